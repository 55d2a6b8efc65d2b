/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The threads of a process that runs on: runtime.allm, a list through
 * m.alllink (Go src/runtime/proc.go). A thread that ends takes its m out of the
 * list, and the memory may be used for something else while we stand on it; so
 * every m must own its g0, or the walk begins again.
 *
 * m.procid is the thread's number in the process' own pid namespace.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/limits.h"
#include "goroutine/live.h"

#define MAX_M_BYTES 1024

static size_t m_bytes(const struct gj_goffsets *offsets)
{
	const int32_t offs[] = { offsets->m_g0, offsets->m_gsignal, offsets->m_curg,
				 offsets->m_procid, offsets->m_alllink };
	size_t size_bytes = 0;

	for (size_t i = 0; i < sizeof(offs) / sizeof(offs[0]); i++)
		if ((size_t)offs[i] + 8 > size_bytes)
			size_bytes = (size_t)offs[i] + 8;
	return size_bytes;
}

static uint64_t word_at(const uint8_t *m, int32_t off)
{
	uint64_t value;

	memcpy(&value, m + off, sizeof(value));
	return value;
}

/* One m at @va; -EBADMSG when it is none (any more). */
static int read_m(const struct gj_target *target, uint64_t va, struct gj_trail_m *m_out,
		  uint64_t *next_va_out)
{
	const struct gj_goffsets *offsets = &target->offsets;
	uint8_t bytes[MAX_M_BYTES];
	uint64_t procid, owner;
	int err = gj_memory_read(target->pid, va, bytes, m_bytes(offsets));

	if (err)
		return err == -EFAULT ? -EBADMSG : err;
	*m_out = (struct gj_trail_m){
		.curg = word_at(bytes, offsets->m_curg),
		.g0 = word_at(bytes, offsets->m_g0),
		.gsignal = word_at(bytes, offsets->m_gsignal),
	};
	*next_va_out = word_at(bytes, offsets->m_alllink);
	procid = word_at(bytes, offsets->m_procid);
	err = gj_memory_read(target->pid, m_out->g0 + (uint64_t)offsets->g_m, &owner,
			     sizeof(owner));
	if (err)
		return err == -EFAULT ? -EBADMSG : err;
	if (owner != va || procid > INT32_MAX)
		return -EBADMSG;
	m_out->tid = (uint32_t)procid;
	return 0;
}

/* One walk over the list; @out is cut back when it fails. */
static int walk(const struct gj_target *target, struct gj_buf *out)
{
	size_t begin_bytes = out->size_bytes;
	uint64_t va;
	int err = gj_memory_read(target->pid, target->allm_va, &va, sizeof(va));

	if (err == -EFAULT)
		err = -EBADMSG;
	for (uint32_t cnt = 0; !err && va; cnt++) {
		struct gj_trail_m m;

		if (cnt == GJ_MAX_THREADS) {
			err = -E2BIG;
			break;
		}
		err = read_m(target, va, &m, &va);
		/* A thread that has just been made has not asked for its number yet. */
		if (!err && m.tid)
			gj_buf_add(out, &m, sizeof(m));
	}
	if (err)
		out->size_bytes = begin_bytes;
	return err;
}

/*
 * Reads "NSpid:\tOUTER ... INNER" of a thread. The kernel lists the namespaces
 * from the one of our /proc inwards (fs/proc/array.c).
 */
static bool read_numbers(uint32_t pid, const char *tid, uint32_t *outer_out, uint32_t *inner_out)
{
	char path[64], line[512];
	bool found = false;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%u/task/%.20s/status", pid, tid);
	file = fopen(path, "re");
	if (!file)
		return false;
	while (!found && fgets(line, sizeof(line), file)) {
		char *pos = line + 6, *end;

		if (strncmp(line, "NSpid:", 6))
			continue;
		*outer_out = (uint32_t)strtoul(pos, &pos, 10);
		*inner_out = *outer_out;
		for (unsigned long value; value = strtoul(pos, &end, 10), end != pos; pos = end)
			*inner_out = (uint32_t)value;
		found = true;
	}
	fclose(file);
	return found;
}

/* The process lives in a pid namespace of its own: its threads' numbers as we see them. */
static int translate(const struct gj_target *target, struct gj_trail_m *ms, size_t cnt)
{
	struct dirent *entry;
	char path[64];
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%u/task", target->pid);
	dir = opendir(path);
	if (!dir)
		return -ESRCH;
	for (size_t i = 0; i < cnt; i++)
		ms[i].pad = 1; /* not translated yet */
	while ((entry = readdir(dir))) {
		uint32_t outer, inner;

		if (entry->d_name[0] == '.' ||
		    !read_numbers(target->pid, entry->d_name, &outer, &inner))
			continue;
		for (size_t i = 0; i < cnt; i++)
			if (ms[i].pad && ms[i].tid == inner) {
				ms[i].tid = outer;
				ms[i].pad = 0;
				break;
			}
	}
	closedir(dir);
	return 0;
}

/* Threads that have ended meanwhile have no number of ours and are left out. */
static size_t drop_untranslated(struct gj_trail_m *ms, size_t cnt)
{
	size_t kept = 0;

	for (size_t i = 0; i < cnt; i++)
		if (!ms[i].pad)
			ms[kept++] = ms[i];
	return kept;
}

static int number_threads(const struct gj_target *target, struct gj_buf *out, size_t begin_bytes)
{
	struct gj_trail_m *ms = (void *)(out->data + begin_bytes);
	size_t cnt = (out->size_bytes - begin_bytes) / sizeof(*ms);
	uint32_t outer, inner;
	char tid[16];
	int err;

	snprintf(tid, sizeof(tid), "%u", target->pid);
	if (!cnt || !read_numbers(target->pid, tid, &outer, &inner) || outer == inner)
		return 0;
	err = translate(target, ms, cnt);
	if (!err)
		out->size_bytes = begin_bytes + drop_untranslated(ms, cnt) * sizeof(*ms);
	return err;
}

int gj_target_add_ms(const struct gj_target *target, struct gj_buf *out, uint32_t *cnt_out,
		     struct gj_diag *diag)
{
	size_t begin_bytes = out->size_bytes;
	int err = -EBADMSG;

	if (m_bytes(&target->offsets) > MAX_M_BYTES)
		return gj_diag_set(diag, -EBADMSG, "process %u: offsets beyond any m", target->pid);
	for (int tries = 0; err == -EBADMSG && tries < GJ_MAX_REREADS; tries++)
		err = walk(target, out);
	if (!err)
		err = number_threads(target, out, begin_bytes);
	if (!err && out->failed)
		err = -ENOMEM;
	if (!err)
		*cnt_out = (uint32_t)((out->size_bytes - begin_bytes) / sizeof(struct gj_trail_m));
	switch (err) {
	case -EBADMSG:
		return gj_diag_set(diag, err, "process %u: its list of threads is broken",
				   target->pid);
	case -E2BIG:
		return gj_diag_set(diag, err, "process %u: more than %u threads in its list",
				   target->pid, GJ_MAX_THREADS);
	case -ESRCH:
		return gj_diag_set(diag, err, "process %u is gone", target->pid);
	case 0:
		return 0;
	}
	return gj_diag_set(diag, err, "process %u: cannot read its threads: %s", target->pid,
			   strerror(-err));
}
