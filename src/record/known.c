/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Programs looked at, each file once, and what of them the sampler is told.
 *
 * A program is known by its inode, which stat(2) gives and the kernel's own
 * numbers usually equal. Where a file system shows others (overlayfs, btrfs),
 * the sampler asks by the kernel's.
 */
#include "record/known.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "record/sampler.h"

/* One file; its runtime says GJ_GORUNTIME_NONE when there is nothing to know. */
struct seen {
	dev_t dev;
	ino_t ino;
	int err; /* why there is nothing */
	struct gj_goruntime runtime;
};

struct gj_known {
	int programs_fd, processes_fd, unknown_fd;
	struct seen *list; /* owned */
	size_t cnt;
};

struct gj_known *gj_known_new(int programs_fd, int processes_fd, int unknown_fd)
{
	struct gj_known *known = calloc(1, sizeof(*known));

	if (known)
		*known = (struct gj_known){ programs_fd, processes_fd, unknown_fd, NULL, 0 };
	return known;
}

void gj_known_free(struct gj_known *known)
{
	if (known)
		free(known->list);
	free(known);
}

/* MKDEV of include/linux/kdev_t.h. */
static struct gj_exe exe_of(const struct stat *st)
{
	return (struct gj_exe){
		.ino = st->st_ino,
		.dev = (uint32_t)major(st->st_dev) << 20 | (minor(st->st_dev) & 0xfffff),
	};
}

/* What is known of the file at @path; looks into it the first time. NULL: out of memory. */
static const struct seen *look(struct gj_known *known, const char *path, const char *label,
			       const struct stat *st, struct gj_diag *diag)
{
	struct seen *list;

	for (size_t i = 0; i < known->cnt; i++)
		if (known->list[i].dev == st->st_dev && known->list[i].ino == st->st_ino)
			return &known->list[i];
	list = reallocarray(known->list, known->cnt + 1, sizeof(*list));
	if (!list)
		return NULL;
	known->list = list;
	list += known->cnt++;
	*list = (struct seen){ .dev = st->st_dev, .ino = st->st_ino };
	list->err = gj_goruntime_of_file(path, label, &list->runtime, diag);
	if (list->err)
		list->runtime = (struct gj_goruntime){ .flags = GJ_GORUNTIME_NONE };
	return list;
}

static int tell(int map_fd, const void *key, const void *value)
{
	return bpf_map_update_elem(map_fd, key, value, BPF_ANY) ? -errno : 0;
}

int gj_known_add_file(struct gj_known *known, const char *path, struct gj_diag *diag)
{
	const struct seen *seen;
	struct gj_exe exe;
	struct stat st;

	if (stat(path, &st))
		return gj_diag_set(diag, -errno, "%s: %s", path, strerror(errno));
	seen = look(known, path, path, &st, diag);
	if (!seen)
		return gj_diag_set(diag, -ENOMEM, "out of memory");
	exe = exe_of(&st);
	tell(known->programs_fd, &exe, &seen->runtime);
	return seen->err;
}

/* Its program's file; -ESRCH without one: gone, or a kernel thread. */
static const struct seen *look_at_process(struct gj_known *known, uint32_t pid, struct stat *st_out,
					  struct gj_diag *diag)
{
	char link[32], label[4096];
	ssize_t cnt;

	snprintf(link, sizeof(link), "/proc/%u/exe", pid);
	cnt = readlink(link, label, sizeof(label) - 1);
	if (cnt < 0 || stat(link, st_out))
		return NULL;
	label[cnt] = '\0';
	return look(known, link, label, st_out, diag);
}

int gj_known_add_process(struct gj_known *known, uint32_t pid, struct gj_diag *diag)
{
	struct gj_process process = { .inode = 0 };
	const struct seen *seen;
	struct gj_exe exe;
	struct stat st;

	seen = look_at_process(known, pid, &st, diag);
	if (!seen)
		return -ESRCH;
	exe = exe_of(&st);
	tell(known->programs_fd, &exe, &seen->runtime);
	process.runtime = seen->runtime;
	/* By number, too: the kernel may know the file by another. */
	if (!seen->err)
		tell(known->processes_fd, &pid, &process);
	return seen->err;
}

int gj_known_add_live(struct gj_known *known, uint32_t pid, const struct gj_live *live)
{
	struct gj_process process = { .inode = 0 };
	const struct seen *seen;
	struct stat st;
	int err;

	seen = look_at_process(known, pid, &st, NULL);
	/* Known by its file, or told already. */
	if (!seen || !seen->err || !bpf_map_lookup_elem(known->processes_fd, &pid, &process))
		return 0;
	err = gj_goruntime_fill(gj_live_offsets(live), gj_live_image(live), gj_live_gotab(live),
				&process.runtime);
	process.inode = 0;
	return err ? err : tell(known->processes_fd, &pid, &process);
}

static void answer(struct gj_known *known, const struct gj_exe *exe, uint32_t pid,
		   void (*say)(const char *line))
{
	struct gj_diag diag = { 0 };
	struct gj_process process = { .inode = 0 };
	const struct seen *seen;
	struct stat st;

	seen = look_at_process(known, pid, &st, &diag);
	if (diag.err)
		say(diag.text);
	if (!seen)
		return;
	/* The same file under the kernel's numbers; or another one since. */
	if (st.st_ino == exe->ino) {
		tell(known->programs_fd, exe, &seen->runtime);
	} else if (!seen->err) {
		process.runtime = seen->runtime;
		tell(known->processes_fd, &pid, &process);
	}
}

#define MAX_ANSWERS 256 /* the map's size: more in one go would be the same ones again */

void gj_known_answer(struct gj_known *known, void (*say)(const char *line))
{
	struct gj_exe exe;
	uint32_t pid;

	for (int i = 0; i < MAX_ANSWERS && !bpf_map_get_next_key(known->unknown_fd, NULL, &exe);
	     i++) {
		bool is_there = !bpf_map_lookup_elem(known->unknown_fd, &exe, &pid);

		if (is_there)
			answer(known, &exe, pid, say);
		/* Behind the answer: it is not asked again meanwhile. */
		bpf_map_delete_elem(known->unknown_fd, &exe);
	}
}
