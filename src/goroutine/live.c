/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Finds the Go runtime in a live process and takes snapshots of its goroutines
 * and threads, from outside and without stopping it.
 */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "goroutine/live.h"

struct gj_live {
	struct gj_target target;
	int dir_fd; /* of /proc/PID: dies with the process, whoever gets its number next */
	dev_t exe_dev;
	ino_t exe_inode;
	struct gj_maps *maps;
	struct gj_image *image;
	struct gj_gotab *gotab;
	uint64_t bias;
};

static int gone(const struct gj_live *live, struct gj_diag *diag)
{
	return gj_diag_set(diag, -ESRCH, "process %u is gone", live->target.pid);
}

/* -ESRCH when the process has ended or runs another program by now. */
static int check_identity(const struct gj_live *live, struct gj_diag *diag)
{
	struct stat st;

	if (fstatat(live->dir_fd, "exe", &st, 0))
		return gone(live, diag);
	if (st.st_dev != live->exe_dev || st.st_ino != live->exe_inode)
		return gj_diag_set(diag, -ESRCH, "process %u runs another program by now",
				   live->target.pid);
	return 0;
}

static int open_process(struct gj_live *live, struct gj_diag *diag)
{
	uint32_t pid = live->target.pid;
	struct stat st;
	char path[64];

	snprintf(path, sizeof(path), "/proc/%u", pid);
	live->dir_fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (live->dir_fd < 0 && errno == ENOENT)
		return gj_diag_set(diag, -ESRCH, "there is no process %u", pid);
	if (live->dir_fd < 0)
		return gj_diag_set(diag, -errno, "%s: %s", path, strerror(errno));
	if (fstatat(live->dir_fd, "exe", &st, 0)) {
		if (errno == EACCES || errno == EPERM)
			return gj_diag_set(diag, -EPERM,
					   "process %u: no permission to look into it; run as root or as its owner",
					   pid);
		return gj_diag_set(diag, errno == ENOENT ? -ENOENT : -errno,
				   "process %u has no program: a kernel thread, or it has ended",
				   pid);
	}
	live->exe_dev = st.st_dev;
	live->exe_inode = st.st_ino;
	snprintf(path, sizeof(path), "/proc/%u/maps", pid);
	return gj_maps_open(path, &live->maps, diag);
}

/* Opens @path if it is Go; else leaves @live as it was. */
static int open_image(struct gj_live *live, const char *path, struct gj_diag *diag)
{
	int err = gj_image_open(path, &live->image, diag);

	if (err)
		return err;
	err = gj_gotab_open(live->image, &live->gotab, diag);
	if (err) {
		gj_image_close(live->image);
		live->image = NULL;
	}
	return err;
}

/* The file behind @mapping: by the kernel's own link, which outlives a replaced file, or by name. */
static int open_mapped(struct gj_live *live, const struct gj_vma *mapping,
		       struct gj_diag *diag)
{
	char path[4096];
	int err;

	snprintf(path, sizeof(path), "/proc/%u/map_files/%llx-%llx", live->target.pid,
		 (unsigned long long)mapping->start_va, (unsigned long long)mapping->end_va);
	err = open_image(live, path, diag);
	if (err != -EPERM && err != -EACCES)
		return err;
	if (mapping->is_deleted ||
	    (size_t)snprintf(path, sizeof(path), "/proc/%u/root%s", live->target.pid,
			     mapping->path) >= sizeof(path))
		return err;
	return open_image(live, path, NULL);
}

static bool is_file(const struct gj_vma *mapping)
{
	return mapping->inode && mapping->path[0] == '/';
}

/* True when an executable mapping of the same file stands before number @index. */
static bool was_seen(const struct gj_maps *maps, size_t index)
{
	const struct gj_vma *mapping = gj_maps_vma(maps, index);

	for (size_t i = 0; i < index; i++) {
		const struct gj_vma *other = gj_maps_vma(maps, i);

		if (other->flags & PF_X && other->inode == mapping->inode &&
		    other->dev_major == mapping->dev_major &&
		    other->dev_minor == mapping->dev_minor)
			return true;
	}
	return false;
}

/* The mapping of the executable: the one whose path /proc/PID/exe bears. */
static const struct gj_vma *find_exe(const struct gj_live *live)
{
	const struct gj_vma *mapping;
	char path[4096];
	ssize_t size_bytes = readlinkat(live->dir_fd, "exe", path, sizeof(path) - 1);
	char *deleted;

	if (size_bytes < 0)
		return NULL;
	path[size_bytes] = '\0';
	deleted = strstr(path, " (deleted)");
	if (deleted && !deleted[10])
		*deleted = '\0';
	for (size_t i = 0; (mapping = gj_maps_vma(live->maps, i)); i++)
		if (is_file(mapping) && !strcmp(mapping->path, path))
			return mapping;
	return NULL;
}

static int find_image(struct gj_live *live, const struct gj_vma **mapping_out,
		      struct gj_diag *diag)
{
	const struct gj_vma *mapping;
	struct gj_diag why = { 0 };
	char path[64];

	snprintf(path, sizeof(path), "/proc/%u/exe", live->target.pid);
	*mapping_out = find_exe(live);
	if (*mapping_out && !open_image(live, path, &why))
		return 0;
	for (size_t i = 0; (mapping = gj_maps_vma(live->maps, i)); i++) {
		if (!(mapping->flags & PF_X) || !is_file(mapping) || was_seen(live->maps, i))
			continue;
		if (!open_mapped(live, mapping, NULL)) {
			live->target.is_library = true;
			*mapping_out = mapping;
			return 0;
		}
	}
	if (why.err == -EACCES)
		why.err = -EPERM;
	/* Broken or newer tables of the executable itself are not the absence of Go. */
	return gj_diag_set(diag, why.err ? why.err : -ENOENT, "process %u: no Go program: %s",
			   live->target.pid,
			   why.err ? why.text : "nothing in it carries Go's tables");
}

static uint64_t find_global(const struct gj_image *image, const char *name)
{
	struct gj_elf_symbol symbol;

	if (gj_image_find_symbol(image, name, &symbol) || !symbol.section_index)
		return 0;
	return symbol.va;
}

/* By symbol, or where there are none by the code that uses them. */
static int find_globals(struct gj_live *live, struct gj_diag *diag)
{
	struct gj_goglobals globals = {
		.allgs_va = find_global(live->image, "runtime.allgs"),
		.allm_va = find_global(live->image, "runtime.allm"),
	};
	int32_t m_alllink;

	if (!globals.allgs_va || !globals.allm_va)
		gj_goglobals_from_code(live->image, live->gotab, &globals, &m_alllink);
	if (!globals.allgs_va || !globals.allm_va || live->target.offsets.m_alllink < 0)
		return gj_diag_set(diag, -EOPNOTSUPP,
				   "process %u: %s has no symbols and its code does not tell where its goroutines are listed",
				   live->target.pid, gj_image_path(live->image));
	live->target.allgs_va = globals.allgs_va + live->bias;
	live->target.allm_va = globals.allm_va + live->bias;
	return 0;
}

/* A shared library's slot of g: the loader has put its place into a word by now. */
static void read_tls_slot(struct gj_live *live)
{
	struct gj_goffsets *offsets = &live->target.offsets;
	int64_t tls_g;

	if (offsets->tls_got_va && offsets->tls_g == INT64_MIN &&
	    !gj_memory_read(live->target.pid, offsets->tls_got_va + live->bias, &tls_g,
			    sizeof(tls_g)) &&
	    tls_g < 0 && !(tls_g & 7))
		offsets->tls_g = tls_g;
}

static int open_live(struct gj_live *live, struct gj_diag *diag)
{
	const struct gj_vma *mapping;
	int err = open_process(live, diag);

	if (!err)
		err = find_image(live, &mapping, diag);
	if (!err && gj_maps_load_bias(live->maps, mapping, live->image, &live->bias))
		err = gj_diag_set(diag, -EBADMSG, "process %u: %s is not mapped as the file says",
				  live->target.pid, mapping->path);
	if (!err)
		err = gj_goffsets_find(live->image, live->gotab, &live->target.offsets, diag);
	if (!err)
		err = find_globals(live, diag);
	if (!err)
		err = gj_target_check(&live->target, diag);
	if (!err)
		read_tls_slot(live);
	/* Whatever was wrong, a process that ended meanwhile is the reason. */
	if (err && live->dir_fd >= 0 && faccessat(live->dir_fd, "stat", F_OK, 0)) {
		*diag = (struct gj_diag){ 0 };
		err = gone(live, diag);
	}
	return err;
}

int gj_live_open(uint32_t pid, struct gj_live **live_out, struct gj_diag *diag)
{
	struct gj_live *live = calloc(1, sizeof(*live));
	struct gj_diag why = { 0 };
	int err;

	if (!live)
		return gj_diag_set(diag, -ENOMEM, "out of memory");
	live->target.pid = pid;
	live->dir_fd = -1;
	err = open_live(live, &why);
	if (err) {
		gj_live_close(live);
		return gj_diag_set(diag, err, "%s", why.err ? why.text : strerror(-err));
	}
	*live_out = live;
	return 0;
}

void gj_live_close(struct gj_live *live)
{
	if (!live)
		return;
	gj_gotab_close(live->gotab);
	gj_image_close(live->image);
	gj_maps_close(live->maps);
	if (live->dir_fd >= 0)
		close(live->dir_fd);
	free(live);
}

const struct gj_goffsets *gj_live_offsets(const struct gj_live *live)
{
	return &live->target.offsets;
}

const struct gj_image *gj_live_image(const struct gj_live *live)
{
	return live->image;
}

const struct gj_gotab *gj_live_gotab(const struct gj_live *live)
{
	return live->gotab;
}

uint64_t gj_live_bias(const struct gj_live *live)
{
	return live->bias;
}

uint64_t gj_goallgs_va(const struct gj_image *image, const struct gj_gotab *gotab)
{
	struct gj_goglobals globals = { .allgs_va = find_global(image, "runtime.allgs") };
	int32_t m_alllink;

	if (!globals.allgs_va)
		gj_goglobals_from_code(image, gotab, &globals, &m_alllink);
	return globals.allgs_va;
}

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

int gj_live_snapshot(struct gj_live *live, uint32_t flags, struct gj_buf *body_out,
		     struct gj_diag *diag)
{
	size_t begin_bytes = body_out->size_bytes;
	struct gj_trail_snapshot head = {
		.pid = live->target.pid, .flags = flags, .begin_ns = now_ns(),
	};
	int err;

	/* The head's numbers are known last; its place is kept. */
	gj_buf_add(body_out, &head, sizeof(head));
	err = gj_target_add_gs(&live->target, body_out, &head.g_cnt, diag);
	if (!err)
		err = gj_target_add_ms(&live->target, body_out, &head.m_cnt, diag);
	/* What was read was the same process' memory if that process is still there. */
	if (!err)
		err = check_identity(live, diag);
	if (err) {
		body_out->size_bytes = begin_bytes;
		return err;
	}
	head.end_ns = now_ns();
	memcpy(body_out->data + begin_bytes, &head, sizeof(head));
	return 0;
}
