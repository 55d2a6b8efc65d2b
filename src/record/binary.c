/* SPDX-License-Identifier: GPL-2.0 */
/* The Go binaries to be probed: found once each, planned, their events defined and removed. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "record/record.h"

static void free_binary(struct gj_binary *binary)
{
	if (binary->event[0])
		gj_uprobe_remove(binary->event, NULL);
	gj_gotab_close(binary->gotab);
	gj_image_close(binary->image);
	if (binary->fd >= 0)
		close(binary->fd);
	free(binary->label);
	free(binary->path);
}

void gj_binaries_deinit(struct gj_binaries *binaries)
{
	for (unsigned int i = 0; i < binaries->cnt; i++)
		free_binary(&binaries->list[i]);
	free(binaries->list);
	*binaries = (struct gj_binaries){ 0 };
}

static bool is_same_file(const char *path, const struct stat *st)
{
	struct stat other;

	return !stat(path, &other) && other.st_dev == st->st_dev && other.st_ino == st->st_ino;
}

/*
 * The kernel splits the definition of a probe at blanks, follows the path as
 * this process would, and keeps the file it found.
 */
static char *reachable_path(const char *label, uint32_t pid, const struct stat *st, int *fd_out)
{
	struct gj_buf path = { 0 };

	if (!strpbrk(label, " \t\n") && is_same_file(label, st))
		return strdup(label);
	if (pid && !strpbrk(label, " \t\n")) {
		/* In a container: its own root. */
		gj_buf_fmt(&path, "/proc/%u/root%s", pid, label);
		gj_buf_chr(&path, '\0');
		if (!path.failed && is_same_file(path.data, st))
			return path.data;
		path.size_bytes = 0;
	}
	if (pid) {
		gj_buf_fmt(&path, "/proc/%u/exe", pid);
	} else {
		*fd_out = open(label, O_RDONLY | O_CLOEXEC);
		gj_buf_fmt(&path, "/proc/%u/fd/%d", (unsigned int)getpid(), *fd_out);
	}
	gj_buf_chr(&path, '\0');
	return path.failed ? NULL : path.data;
}

/* Where runtime.execute is to be probed, and what can be fetched there. */
static int plan(struct gj_binary *binary, struct gj_diag *diag)
{
	const struct gj_goinfo *info = gj_gotab_info(binary->gotab);
	struct gj_gofunc func;
	int err;

	if (info->go_minor < 17)
		return gj_diag_set(diag, -EOPNOTSUPP,
				   "%s: built with Go 1.%d, which keeps no g in a register; its goroutines cannot be told (Go 1.17 and later can)",
				   binary->label, info->go_minor);
	err = gj_gotab_find_name(binary->gotab, "runtime.execute", &func);
	if (err)
		return gj_diag_set(diag, err, "%s: runtime.execute is not in its tables",
				   binary->label);
	err = gj_goffsets_find(binary->image, binary->gotab, &binary->offsets, diag);
	if (err)
		return err;
	return gj_probe_plan_entry(binary->image, &func, GJ_ARG_AX, &binary->plan, diag);
}

static int add(struct gj_binaries *binaries, const char *open_path, const char *label,
	       uint32_t pid, struct gj_diag *diag)
{
	struct gj_binary binary = { .fd = -1 }, *list;
	struct stat st;
	int err;

	if (stat(open_path, &st))
		return gj_diag_set(diag, -errno, "%s: %s", label, strerror(errno));
	for (unsigned int i = 0; i < binaries->cnt; i++)
		if (binaries->list[i].dev == st.st_dev && binaries->list[i].ino == st.st_ino)
			return 0;
	binary.dev = st.st_dev;
	binary.ino = st.st_ino;
	if (gj_image_open(open_path, &binary.image, NULL) ||
	    gj_gotab_open(binary.image, &binary.gotab, NULL)) {
		free_binary(&binary);
		return -ENOENT;
	}
	binary.label = strdup(label);
	binary.path = reachable_path(label, pid, &st, &binary.fd);
	list = reallocarray(binaries->list, binaries->cnt + 1, sizeof(*list));
	if (!binary.label || !binary.path || !list) {
		free_binary(&binary);
		return gj_diag_set(diag, -ENOMEM, "out of memory");
	}
	err = plan(&binary, diag);
	binary.is_planned = !err;
	binaries->list = list;
	list[binaries->cnt++] = binary;
	return err;
}

int gj_binaries_add_file(struct gj_binaries *binaries, const char *path, struct gj_diag *diag)
{
	char *real = realpath(path, NULL);
	int err;

	if (!real)
		return gj_diag_set(diag, -errno, "%s: %s", path, strerror(errno));
	err = add(binaries, real, real, 0, diag);
	free(real);
	return err;
}

int gj_binaries_add_process(struct gj_binaries *binaries, uint32_t pid, struct gj_diag *diag)
{
	static const char deleted[] = " (deleted)";
	char link[32], label[4096];
	ssize_t cnt;

	snprintf(link, sizeof(link), "/proc/%u/exe", pid);
	cnt = readlink(link, label, sizeof(label) - 1);
	if (cnt <= 0)
		return gj_diag_set(diag, cnt ? -errno : -ENOENT, "process %u: %s", pid,
				   cnt && errno != ENOENT ? strerror(errno) : "there is none");
	label[cnt] = '\0';
	if ((size_t)cnt > sizeof(deleted) &&
	    !strcmp(label + cnt - (sizeof(deleted) - 1), deleted))
		label[(size_t)cnt - (sizeof(deleted) - 1)] = '\0';
	return add(binaries, link, label, pid, diag);
}

static int define(struct gj_binary *binary, unsigned int number, struct gj_diag *diag)
{
	const struct gj_goffsets *at = &binary->offsets;
	char name[GJ_UPROBE_NAME_BYTES], fetch[160];
	int err = gj_uprobe_name(GJ_GOEXEC_PREFIX, number, name);

	if (err)
		return gj_diag_set(diag, err, "/proc is not mounted");
	/* AX holds the g about to run; names and order are those of gj_goexec_decode. */
	snprintf(fetch, sizeof(fetch),
		 "g=%%ax:x64 goid=+%d(%%ax):u64 stack_lo=+%d(%%ax):x64 stack_hi=+%d(%%ax):x64 start_pc=+%d(%%ax):x64",
		 at->g_goid, at->g_stack_lo, at->g_stack_hi, at->g_startpc);
	err = gj_uprobe_add(name, binary->path, binary->plan.file_off, fetch, diag);
	if (!err)
		memcpy(binary->event, name, sizeof(name));
	return err;
}

int gj_binaries_define(struct gj_binaries *binaries, struct gj_diag *diag)
{
	for (unsigned int i = 0; i < binaries->cnt; i++) {
		int err = binaries->list[i].is_planned ? define(&binaries->list[i], i, diag) : 0;

		if (err)
			return err;
	}
	return 0;
}
