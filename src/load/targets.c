/* SPDX-License-Identifier: GPL-2.0 */
/* The programs and processes that an instance is for: found, read, planned. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "load/instance.h"

static void deinit_binary(struct gj_load_binary *binary)
{
	for (unsigned int i = 0; i < GJ_FEATURE_CNT; i++)
		if (binary->planned & 1u << i)
			gj_feature_plan_deinit(&binary->plans[i]);
	if (!binary->live) {
		gj_gotab_close(binary->gotab);
		gj_image_close(binary->image);
	}
	gj_live_close(binary->live);
	if (binary->fd >= 0)
		close(binary->fd);
	free(binary->label);
}

void gj_load_targets_deinit(struct gj_load_targets *targets)
{
	for (unsigned int i = 0; i < targets->binary_cnt; i++)
		deinit_binary(&targets->binaries[i]);
	free(targets->processes);
	*targets = (struct gj_load_targets){ 0 };
}

/* What was said of binary->path, of the name that people know the file by. */
static int explain_file(const struct gj_load_binary *binary, int err, const struct gj_diag *why,
			struct gj_diag *diag)
{
	size_t bytes = strlen(binary->path);

	if (!why->err)
		return gj_diag_set(diag, err, "%s: %s", binary->label, strerror(-err));
	if (!strncmp(why->text, binary->path, bytes))
		return gj_diag_set(diag, err, "%s%s", binary->label, why->text + bytes);
	return gj_diag_set(diag, err, "%s", why->text);
}

/* Reads the file behind binary->fd; -ENOENT when it has no Go tables. */
static int read_binary(struct gj_load_binary *binary, unsigned int number, struct gj_diag *diag)
{
	struct gj_goffsets offsets;
	struct gj_diag why = { 0 };
	int err = gj_image_open(binary->path, &binary->image, &why);

	if (!err)
		err = gj_gotab_open(binary->image, &binary->gotab, &why);
	if (err == -ENOENT)
		return err;
	if (!err)
		err = gj_goffsets_find(binary->image, binary->gotab, &offsets, &why);
	if (err)
		return explain_file(binary, err, &why, diag);
	return gj_load_target_fill(binary->image, binary->gotab, &offsets, number, binary->label,
				   &binary->target, diag);
}

/* The library that holds the runtime of @pid, a program which is not Go itself. */
static int read_library(struct gj_load_binary *binary, unsigned int number, uint32_t pid,
			struct gj_diag *diag)
{
	int err = gj_live_open(pid, &binary->live, diag), fd;

	if (err)
		return err;
	gj_gotab_close(binary->gotab);
	gj_image_close(binary->image);
	/* Only read from here on. */
	binary->image = (struct gj_image *)gj_live_image(binary->live);
	binary->gotab = (struct gj_gotab *)gj_live_gotab(binary->live);
	fd = open(gj_image_path(binary->image), O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return gj_diag_set(diag, -errno, "process %u: its library cannot be opened: %s", pid,
				   strerror(errno));
	close(binary->fd);
	binary->fd = fd;
	snprintf(binary->path, sizeof(binary->path), "/proc/self/fd/%d", fd);
	return gj_load_target_fill(binary->image, binary->gotab, gj_live_offsets(binary->live),
				   number, binary->label, &binary->target, diag);
}

/* Room for one more, begun with the file at @path. */
static struct gj_load_binary *begin_binary(struct gj_load_targets *targets, const char *path,
					   const char *label, struct gj_diag *diag)
{
	struct gj_load_binary *binary = &targets->binaries[targets->binary_cnt];
	struct stat st;

	if (targets->binary_cnt == GJ_LOAD_MAX_BINARIES) {
		gj_diag_set(diag, -E2BIG, "more than %d programs in one instance",
			    GJ_LOAD_MAX_BINARIES);
		return NULL;
	}
	*binary = (struct gj_load_binary){ .fd = open(path, O_RDONLY | O_CLOEXEC) };
	if (binary->fd < 0 || fstat(binary->fd, &st)) {
		gj_diag_set(diag, -errno, "%s: %s", label, strerror(errno));
		if (binary->fd >= 0)
			close(binary->fd);
		return NULL;
	}
	targets->binary_cnt++;
	binary->dev = st.st_dev;
	binary->ino = st.st_ino;
	binary->label = strdup(label);
	snprintf(binary->path, sizeof(binary->path), "/proc/self/fd/%d", binary->fd);
	return binary->label ? binary : NULL;
}

/* What was added to link-time addresses of the program of @pid; -ESRCH when it has gone. */
static int find_bias(uint32_t pid, const struct gj_image *image, uint64_t *bias_out)
{
	static const char deleted[] = " (deleted)";
	char file[64], exe[4096];
	struct gj_maps *maps = NULL;
	const struct gj_vma *vma;
	ssize_t size_bytes;
	int err;

	snprintf(file, sizeof(file), "/proc/%u/exe", pid);
	size_bytes = readlink(file, exe, sizeof(exe) - 1);
	snprintf(file, sizeof(file), "/proc/%u/maps", pid);
	if (size_bytes < 0 || gj_maps_open(file, &maps, NULL))
		return -ESRCH;
	exe[size_bytes] = '\0';
	if ((size_t)size_bytes >= sizeof(deleted) &&
	    !strcmp(exe + size_bytes - (sizeof(deleted) - 1), deleted))
		exe[(size_t)size_bytes - (sizeof(deleted) - 1)] = '\0';
	err = -ESRCH;
	for (size_t i = 0; err && (vma = gj_maps_vma(maps, i)); i++)
		if (vma->inode && !strcmp(vma->path, exe))
			err = gj_maps_load_bias(maps, vma, image, bias_out);
	gj_maps_close(maps);
	return err ? -ESRCH : 0;
}

/* MKDEV of include/linux/kdev_t.h. */
static struct gj_exe make_exe(uint64_t ino, uint32_t dev_major, uint32_t dev_minor)
{
	return (struct gj_exe){ .ino = ino, .dev = dev_major << 20 | (dev_minor & 0xfffff) };
}

void gj_load_exes(const struct gj_load_binary *binary, struct gj_exe exes_out[2])
{
	const void *mapped = gj_image_bytes(binary->image).base;
	const struct gj_vma *vma = NULL;
	struct gj_maps *maps = NULL;

	exes_out[0] = make_exe(binary->ino, major(binary->dev), minor(binary->dev));
	if (!gj_maps_open("/proc/self/maps", &maps, NULL))
		vma = gj_maps_find(maps, (uint64_t)(uintptr_t)mapped);
	exes_out[1] = vma ? make_exe(vma->inode, vma->dev_major, vma->dev_minor) : exes_out[0];
	gj_maps_close(maps);
}

/* True when process @pid is there; then also its program's file. */
static bool stat_exe(uint32_t pid, struct stat *st_out)
{
	char exe[32];

	snprintf(exe, sizeof(exe), "/proc/%u/exe", pid);
	return !stat(exe, st_out);
}

bool gj_load_is_running(const struct gj_load_process *process)
{
	struct stat st;

	return stat_exe(process->pid, &st) && st.st_dev == process->dev &&
	       st.st_ino == process->ino;
}

static int add_process(struct gj_load_targets *targets, uint32_t pid, unsigned int number,
		       struct gj_diag *diag)
{
	struct gj_load_binary *binary = &targets->binaries[number];
	struct gj_load_process process = { .pid = pid, .target = binary->target, .binary = number };
	struct gj_load_process *list;
	uint64_t bias = 0;
	struct stat st;
	int err = 0;

	for (unsigned int i = 0; i < targets->process_cnt; i++)
		if (targets->processes[i].pid == pid)
			return 0;
	/* First, so that it is the program whose bias is read or one before it. */
	if (!stat_exe(pid, &st))
		return gj_diag_set(diag, -ESRCH, "process %u has ended", pid);
	process.dev = st.st_dev;
	process.ino = st.st_ino;
	if (binary->live)
		bias = gj_live_bias(binary->live);
	else
		err = find_bias(pid, binary->image, &bias);
	process.target.bias = bias;
	if (err)
		return gj_diag_set(diag, err, "process %u has ended", pid);
	list = reallocarray(targets->processes, targets->process_cnt + 1, sizeof(*list));
	if (!list)
		return gj_diag_set(diag, -ENOMEM, "out of memory");
	targets->processes = list;
	list[targets->process_cnt++] = process;
	return 0;
}

static int explain_process(uint32_t pid, struct gj_diag *diag)
{
	if (errno == EACCES || errno == EPERM)
		return gj_diag_set(diag, -EPERM, "process %u: no permission to look into it; %s", pid,
				   gj_load_may_ptrace() ?
					   "it has capabilities that this process has not" :
					   "CAP_SYS_PTRACE is missing; run as root or as its owner");
	if (errno == ENOENT && !kill((pid_t)pid, 0))
		return gj_diag_set(diag, -ENOENT, "process %u has no program: a kernel thread, or it has ended",
				   pid);
	return gj_diag_set(diag, errno == ENOENT ? -ESRCH : -errno, "there is no process %u", pid);
}

static int add_pid(struct gj_load_targets *targets, uint32_t pid, struct gj_diag *diag)
{
	struct gj_load_binary *binary;
	char exe[32], label[4096];
	struct stat st;
	ssize_t size_bytes;
	unsigned int number;
	int err;

	snprintf(exe, sizeof(exe), "/proc/%u/exe", pid);
	size_bytes = readlink(exe, label, sizeof(label) - 1);
	if (size_bytes < 0 || stat(exe, &st))
		return explain_process(pid, diag);
	label[size_bytes] = '\0';
	for (number = 0; number < targets->binary_cnt; number++) {
		binary = &targets->binaries[number];
		if (!binary->live && binary->dev == st.st_dev && binary->ino == st.st_ino)
			return add_process(targets, pid, number, diag);
	}
	binary = begin_binary(targets, exe, label, diag);
	if (!binary)
		return diag->err ? diag->err : -ENOMEM;
	err = read_binary(binary, number, diag);
	if (err == -ENOENT)
		err = read_library(binary, number, pid, diag);
	return err ? err : add_process(targets, pid, number, diag);
}

/* Processes that run the file already; those whose /proc cannot be read are not ours to see. */
static int add_running(struct gj_load_targets *targets, unsigned int number, struct gj_diag *diag)
{
	const struct gj_load_binary *binary = &targets->binaries[number];
	DIR *proc = opendir("/proc");
	struct dirent *entry;
	int err = proc ? 0 : gj_diag_set(diag, -errno, "/proc: %s", strerror(errno));

	while (!err && (entry = readdir(proc))) {
		unsigned long pid = strtoul(entry->d_name, NULL, 10);
		struct stat st;

		if (!pid || !stat_exe((uint32_t)pid, &st) || st.st_dev != binary->dev || st.st_ino != binary->ino)
			continue;
		err = add_process(targets, (uint32_t)pid, number, NULL);
		if (err == -ESRCH)
			err = 0;
	}
	if (proc)
		closedir(proc);
	return err;
}

static int add_file(struct gj_load_targets *targets, const char *path, struct gj_diag *diag)
{
	char *real = realpath(path, NULL);
	struct gj_load_binary *binary;
	unsigned int number = targets->binary_cnt;
	int err;

	if (!real)
		return gj_diag_set(diag, -errno, "%s: %s", path, strerror(errno));
	binary = begin_binary(targets, real, real, diag);
	free(real);
	if (!binary)
		return diag->err ? diag->err : -ENOMEM;
	binary->is_file = true;
	for (unsigned int i = 0; i < number; i++)
		if (targets->binaries[i].dev == binary->dev &&
		    targets->binaries[i].ino == binary->ino) {
			deinit_binary(binary);
			targets->binary_cnt--;
			return 0;
		}
	err = read_binary(binary, number, diag);
	if (err == -ENOENT)
		return gj_diag_set(diag, err, "%s: no Go program: it carries none of Go's tables", path);
	return err ? err : add_running(targets, number, diag);
}

static int plan(struct gj_load_binary *binary, uint32_t features)
{
	for (unsigned int i = 0; i < GJ_FEATURE_CNT; i++) {
		int err;

		if (!(features & 1u << i))
			continue;
		err = gj_feature_plan(binary->image, binary->gotab, i, &binary->plans[i]);
		if (err)
			return err;
		binary->planned |= 1u << i;
	}
	return 0;
}

int gj_load_targets_init(struct gj_load_targets *targets, const struct gj_trace_options *options,
			 struct gj_diag *diag)
{
	int err = 0;

	*targets = (struct gj_load_targets){ 0 };
	/* Files first: their processes are all there are, also those named by number. */
	for (unsigned int i = 0; !err && i < options->file_cnt; i++)
		err = add_file(targets, options->files[i], diag);
	for (unsigned int i = 0; !err && i < options->pid_cnt; i++)
		err = add_pid(targets, options->pids[i], diag);
	for (unsigned int i = 0; !err && i < targets->binary_cnt; i++)
		err = plan(&targets->binaries[i], options->features);
	return err == -ENOMEM ? gj_diag_set(diag, err, "out of memory") : err;
}
