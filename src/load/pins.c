/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Directories of the bpf file system. An instance is made below GJ_MAKING and gets
 * its name by one rename, and loses it by one before it is taken apart: what has an
 * instance's name is whole, whenever somebody was killed.
 *
 * A directory being made is locked (flock) by who makes it; one that is not locked
 * has been left behind. The file system takes no dots in names.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "load/instance.h"

#define BPFFS "/sys/fs/bpf"
#define GJ_MAKING GJ_TRACE_ROOT "/making"
#define MAX_NAME 64
#define MAX_LINKS 1024       /* of one instance, waited for when it is removed */
#define GONE_TRIES 200       /* of 10 ms */

static int make_directory(const char *path, struct gj_diag *diag)
{
	if (!mkdir(path, 0755) || errno == EEXIST)
		return 0;
	if (errno == EACCES || errno == EPERM)
		return gj_diag_set(diag, -EPERM, "%s: no permission to make it; run as root", path);
	return gj_diag_set(diag, -errno, "%s: %s", path, strerror(errno));
}

static bool is_bpffs(void)
{
	struct statfs fs;

	return !statfs(BPFFS, &fs) && (unsigned long)fs.f_type == BPF_FS_MAGIC;
}

int gj_pins_open(struct gj_diag *diag)
{
	int err;

	if (!is_bpffs() && mount("bpf", BPFFS, "bpf", 0, "mode=0700"))
		return gj_diag_set(diag, -errno,
				   "%s is no bpf file system and cannot be made one: %s; mount -t bpf bpf %s as root",
				   BPFFS, strerror(errno), BPFFS);
	err = make_directory(GJ_TRACE_ROOT, diag);
	if (!err)
		err = make_directory(GJ_TRACE_PINS, diag);
	return err ? err : make_directory(GJ_MAKING, diag);
}

int gj_pins_check_name(const char *instance, struct gj_diag *diag)
{
	size_t bytes = strlen(instance);

	if (bytes && bytes <= MAX_NAME && strspn(instance, "abcdefghijklmnopqrstuvwxyz"
						 "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") == bytes)
		return 0;
	return gj_diag_set(diag, -EINVAL,
			   "instance '%s': letters, digits, '_' and '-' only, at most %d of them",
			   instance, MAX_NAME);
}

static void path_of(const char *instance, char path_out[512])
{
	snprintf(path_out, 512, "%s/%s", GJ_TRACE_PINS, instance);
}

bool gj_pins_exist(const char *instance)
{
	char path[512];

	path_of(instance, path);
	return !access(path, F_OK);
}

/* While it is held no directory is between being made and being locked. */
static int lock_making(void)
{
	int fd = open(GJ_MAKING, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd >= 0)
		flock(fd, LOCK_EX);
	return fd;
}

/* Below GJ_MAKING, of a name nobody has used. */
static void name_made(const char *instance, char path_out[512])
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	snprintf(path_out, 512, "%s/%s-%d-%llx", GJ_MAKING, instance, (int)getpid(),
		 (unsigned long long)now.tv_sec * 1000000000u + (unsigned long long)now.tv_nsec);
}

int gj_pins_stage(struct gj_load *load, struct gj_diag *diag)
{
	int lock_fd = lock_making(), err;
	char path[640];

	name_made(load->options->instance, load->stage);
	err = make_directory(load->stage, diag);
	if (!err) {
		load->stage_fd = open(load->stage, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (load->stage_fd < 0 || flock(load->stage_fd, LOCK_EX | LOCK_NB))
			err = gj_diag_set(diag, -errno, "%s: %s", load->stage, strerror(errno));
	} else {
		load->stage[0] = '\0';
	}
	if (lock_fd >= 0)
		close(lock_fd);
	for (size_t i = 0; !err && i < 2; i++) {
		snprintf(path, sizeof(path), "%s/%s", load->stage, i ? "progs" : "links");
		err = make_directory(path, diag);
	}
	return err;
}

/* Links of a directory that is being removed, by their numbers. */
struct links {
	uint32_t ids[MAX_LINKS];
	size_t cnt;
};

/* The kernel tells a link's pin from others by what it opens to. */
static void note_link(const char *path, struct links *links)
{
	int fd = bpf_obj_get(path);
	struct bpf_link_info info = { 0 };
	uint32_t size_bytes = sizeof(info);
	char kind[64], target[64];
	ssize_t bytes;

	if (fd < 0)
		return;
	snprintf(kind, sizeof(kind), "/proc/self/fd/%d", fd);
	bytes = readlink(kind, target, sizeof(target) - 1);
	target[bytes > 0 ? bytes : 0] = '\0';
	/* anon_inode names of kernel/bpf/syscall.c: bpf_link, bpf_iter, bpf-map, bpf-prog. */
	if (links->cnt < MAX_LINKS && strstr(target, "bpf_link") &&
	    !bpf_obj_get_info_by_fd(fd, &info, &size_bytes))
		links->ids[links->cnt++] = info.id;
	close(fd);
}

/* Of a directory @path: all its files, then itself. Depth is that of an instance: one. */
static int remove_flat(const char *path, struct links *links)
{
	DIR *dir = opendir(path);
	struct dirent *entry;
	char file[1024];
	int err = 0;

	if (!dir)
		return errno == ENOENT ? 0 : -errno;
	while ((entry = readdir(dir))) {
		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
			continue;
		snprintf(file, sizeof(file), "%s/%s", path, entry->d_name);
		note_link(file, links);
		if (unlink(file) && errno != ENOENT)
			err = -errno;
	}
	closedir(dir);
	return rmdir(path) && errno != ENOENT ? (err ? err : -errno) : err;
}

/* The kernel takes links apart behind our back; what we return from is done. */
static void wait_gone(const struct links *links)
{
	const struct timespec pause = { .tv_nsec = 10000000 };
	int tries = GONE_TRIES;

	for (size_t i = 0; i < links->cnt; i++) {
		int fd;

		while ((fd = bpf_link_get_fd_by_id(links->ids[i])) >= 0) {
			close(fd);
			if (!tries--)
				return;
			nanosleep(&pause, NULL);
		}
	}
}

/* pin_link of src/load/attach.c: PROGRAM, and PROGRAM-N. */
static bool is_link_of(const char *name, const char *program)
{
	size_t bytes = strlen(program);

	return !strncmp(name, program, bytes) && (!name[bytes] || name[bytes] == '-');
}

int gj_pins_detach(int dir_fd, const char *program)
{
	struct links links = { .cnt = 0 };
	char path[640];
	struct dirent *entry;
	DIR *dir;
	int err = 0;

	snprintf(path, sizeof(path), "/proc/self/fd/%d/links", dir_fd);
	dir = opendir(path);
	if (!dir)
		return errno == ENOENT ? 0 : -errno;
	while ((entry = readdir(dir))) {
		if (!is_link_of(entry->d_name, program))
			continue;
		snprintf(path, sizeof(path), "/proc/self/fd/%d/links/%s", dir_fd, entry->d_name);
		note_link(path, &links);
		if (unlink(path) && errno != ENOENT)
			err = -errno;
	}
	closedir(dir);
	if (!err)
		wait_gone(&links);
	return err;
}

/* Links first: nothing runs on maps that are gone. */
static int remove_tree(const char *path)
{
	struct links links = { .cnt = 0 };
	char part[640];
	int err, more;

	snprintf(part, sizeof(part), "%s/links", path);
	err = remove_flat(part, &links);
	snprintf(part, sizeof(part), "%s/progs", path);
	more = remove_flat(part, &links);
	err = err ? err : more;
	more = remove_flat(path, &links);
	wait_gone(&links);
	return err ? err : more;
}

void gj_pins_clean(void)
{
	int lock_fd = lock_making();
	DIR *dir = opendir(GJ_MAKING);
	struct dirent *entry;
	char path[640];

	while (dir && (entry = readdir(dir))) {
		int fd;

		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "%s/%s", GJ_MAKING, entry->d_name);
		fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (fd >= 0 && !flock(fd, LOCK_EX | LOCK_NB))
			remove_tree(path);
		if (fd >= 0)
			close(fd);
	}
	if (dir)
		closedir(dir);
	if (lock_fd >= 0)
		close(lock_fd);
}

/* Where what is replaced or removed goes: among what is being made, without a lock. */
static int discard(const char *instance, const char *path, struct gj_diag *diag)
{
	char to[512];

	name_made(instance, to);
	if (rename(path, to))
		return gj_diag_set(diag, -errno, "%s: %s", path,
				   errno == ENOENT ? "there is no such instance" : strerror(errno));
	return remove_tree(to) ? gj_diag_set(diag, -EIO, "%s: not all of it can be removed", to) : 0;
}

int gj_pins_publish(struct gj_load *load, struct gj_diag *diag)
{
	char path[512];
	int err = 0;

	path_of(load->options->instance, path);
	/* Both at once, so that there is no moment without one. */
	if (load->options->take_over && !access(path, F_OK)) {
		if (!renameat2(AT_FDCWD, load->stage, AT_FDCWD, path, RENAME_EXCHANGE))
			return 0;
		err = discard(load->options->instance, path, diag);
	}
	if (err)
		return err;
	if (renameat2(AT_FDCWD, load->stage, AT_FDCWD, path, RENAME_NOREPLACE)) {
		if (errno == EEXIST)
			return gj_diag_set(diag, -EEXIST,
					   "instance %s is there already; --take-over replaces it, gojitter untrace --instance %s removes it",
					   load->options->instance, load->options->instance);
		return gj_diag_set(diag, -errno, "%s: %s", path, strerror(errno));
	}
	load->stage[0] = '\0';
	return 0;
}

void gj_pins_unstage(struct gj_load *load)
{
	if (load->stage[0])
		remove_tree(load->stage);
	if (load->stage_fd >= 0)
		close(load->stage_fd);
	load->stage[0] = '\0';
	load->stage_fd = -1;
}

int gj_pins_remove(const char *instance, struct gj_diag *diag)
{
	char path[512];

	path_of(instance, path);
	if (access(path, F_OK))
		return gj_diag_set(diag, -ENOENT, "there is no instance %s", instance);
	return discard(instance, path, diag);
}

int gj_trace_instances(int (*found)(void *data, const char *instance), void *data,
		       struct gj_diag *diag)
{
	int err = gj_pins_open(diag), stop = 0;
	DIR *dir = err ? NULL : opendir(GJ_TRACE_PINS);
	struct dirent *entry;

	if (err)
		return err;
	if (!dir)
		return gj_diag_set(diag, -errno, "%s: %s", GJ_TRACE_PINS, strerror(errno));
	gj_pins_clean();
	while (!stop && (entry = readdir(dir)))
		if (entry->d_name[0] != '.')
			stop = found(data, entry->d_name);
	closedir(dir);
	return stop;
}
