/* SPDX-License-Identifier: GPL-2.0 */
/* The Go programs to be probed: found once each, planned, their events defined and removed. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "record/record.h"

static void free_program(struct gj_program *program)
{
	if (program->event[0])
		gj_uprobe_remove(program->event, NULL);
	gj_gotab_close(program->gotab);
	gj_image_close(program->image);
	if (program->fd >= 0)
		close(program->fd);
	free(program->label);
	free(program->path);
}

void gj_programs_deinit(struct gj_programs *programs)
{
	for (unsigned int i = 0; i < programs->cnt; i++)
		free_program(&programs->list[i]);
	free(programs->list);
	*programs = (struct gj_programs){ 0 };
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
static int plan(struct gj_program *program, struct gj_diag *diag)
{
	const struct gj_goinfo *info = gj_gotab_info(program->gotab);
	struct gj_gofunc func;
	int err;

	if (info->go_minor < 17)
		return gj_diag_set(diag, -EOPNOTSUPP,
				   "%s: built with Go 1.%d, which keeps no g in a register; its goroutines cannot be told (Go 1.17 and later can)",
				   program->label, info->go_minor);
	err = gj_gotab_find_name(program->gotab, "runtime.execute", &func);
	if (err)
		return gj_diag_set(diag, err, "%s: runtime.execute is not in its tables",
				   program->label);
	err = gj_goffsets_find(program->image, program->gotab, &program->offsets, diag);
	if (err)
		return err;
	return gj_probe_plan_entry(program->image, &func, GJ_ARG_AX, &program->plan, diag);
}

static int add(struct gj_programs *programs, const char *open_path, const char *label,
	       uint32_t pid, struct gj_diag *diag)
{
	struct gj_program program = { .fd = -1 }, *list;
	struct stat st;
	int err;

	if (stat(open_path, &st))
		return gj_diag_set(diag, -errno, "%s: %s", label, strerror(errno));
	for (unsigned int i = 0; i < programs->cnt; i++)
		if (programs->list[i].dev == st.st_dev && programs->list[i].ino == st.st_ino)
			return 0;
	program.dev = st.st_dev;
	program.ino = st.st_ino;
	if (gj_image_open(open_path, &program.image, NULL) ||
	    gj_gotab_open(program.image, &program.gotab, NULL)) {
		free_program(&program);
		return -ENOENT;
	}
	program.label = strdup(label);
	program.path = reachable_path(label, pid, &st, &program.fd);
	list = reallocarray(programs->list, programs->cnt + 1, sizeof(*list));
	if (!program.label || !program.path || !list) {
		free_program(&program);
		return gj_diag_set(diag, -ENOMEM, "out of memory");
	}
	err = plan(&program, diag);
	program.is_planned = !err;
	programs->list = list;
	list[programs->cnt++] = program;
	return err;
}

int gj_programs_add_file(struct gj_programs *programs, const char *path, struct gj_diag *diag)
{
	char *real = realpath(path, NULL);
	int err;

	if (!real)
		return gj_diag_set(diag, -errno, "%s: %s", path, strerror(errno));
	err = add(programs, real, real, 0, diag);
	free(real);
	return err;
}

int gj_programs_add_process(struct gj_programs *programs, uint32_t pid, struct gj_diag *diag)
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
	return add(programs, link, label, pid, diag);
}

static int define(struct gj_program *program, unsigned int number, struct gj_diag *diag)
{
	const struct gj_goffsets *at = &program->offsets;
	char name[GJ_UPROBE_NAME_BYTES], fetch[160];
	int err = gj_uprobe_name(GJ_GOEXEC_PREFIX, number, name);

	if (err)
		return gj_diag_set(diag, err, "/proc is not mounted");
	/* AX holds the g about to run; names and order are those of gj_goexec_decode. */
	snprintf(fetch, sizeof(fetch),
		 "g=%%ax:x64 goid=+%d(%%ax):u64 stack_lo=+%d(%%ax):x64 stack_hi=+%d(%%ax):x64 start_pc=+%d(%%ax):x64",
		 at->g_goid, at->g_stack_lo, at->g_stack_hi, at->g_startpc);
	err = gj_uprobe_add(name, program->path, program->plan.file_off, fetch, diag);
	if (!err)
		memcpy(program->event, name, sizeof(name));
	return err;
}

int gj_programs_define(struct gj_programs *programs, struct gj_diag *diag)
{
	for (unsigned int i = 0; i < programs->cnt; i++) {
		int err = programs->list[i].is_planned ? define(&programs->list[i], i, diag) : 0;

		if (err)
			return err;
	}
	return 0;
}
