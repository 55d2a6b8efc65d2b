/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Uprobe events of tracefs: defined, found, removed, and cleaned up after
 * processes that were killed (Documentation/trace/uprobetracer.rst).
 *
 * uprobe_events holds one line per event, "p:GROUP/NAME PATH:0xOFFSET ARGS";
 * appending such a line defines one, appending "-:GROUP/NAME" removes it.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "probe/probe.h"

#define TRACEFS_MAGIC_NUMBER 0x74726163 /* include/uapi/linux/magic.h */

static bool is_tracefs(const char *path)
{
	struct statfs fs;

	return !statfs(path, &fs) && fs.f_type == TRACEFS_MAGIC_NUMBER;
}

int gj_tracefs_find(const char **path_out, struct gj_diag *diag)
{
	static const char *const places[] = { "/sys/kernel/tracing", "/sys/kernel/debug/tracing" };

	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		if (is_tracefs(places[i])) {
			*path_out = places[i];
			return 0;
		}
	}
	if (geteuid())
		return gj_diag_set(diag, -EPERM,
				   "tracefs cannot be seen; become root, or mount it: mount -t tracefs nodev %s",
				   places[0]);
	if (mount("nodev", places[0], "tracefs", 0, NULL))
		return gj_diag_set(diag, -ENOENT, "tracefs cannot be mounted at %s: %s", places[0],
				   strerror(errno));
	*path_out = places[0];
	return 0;
}

/* Opens @name below tracefs; the descriptor or a negative errno. */
static int open_file(const char *name, int flags, struct gj_diag *diag)
{
	const char *root;
	char path[128];
	int fd, err = gj_tracefs_find(&root, diag);

	if (err)
		return err;
	snprintf(path, sizeof(path), "%s/%s", root, name);
	fd = open(path, flags | O_CLOEXEC);
	if (fd >= 0)
		return fd;
	err = -errno;
	if (err == -EACCES || err == -EPERM)
		return gj_diag_set(diag, err, "%s: %s; uprobes take root", path, strerror(-err));
	if (err == -ENOENT)
		return gj_diag_set(diag, err, "%s is missing; this kernel has no uprobes", path);
	return gj_diag_set(diag, err, "%s: %s", path, strerror(-err));
}

int gj_uprobes_allowed(struct gj_diag *diag)
{
	int fd = open_file("uprobe_events", O_WRONLY | O_APPEND, diag);

	if (fd < 0)
		return fd;
	close(fd);
	return 0;
}

/* Field 22 of /proc/PID/stat: start of the process in clock ticks since boot; 0 when it is gone. */
static uint64_t start_time(unsigned int pid)
{
	unsigned long long ticks = 0;
	char path[32], text[1024];
	const char *rest;
	ssize_t got;
	int fd;

	snprintf(path, sizeof(path), "/proc/%u/stat", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	got = read(fd, text, sizeof(text) - 1);
	close(fd);
	if (got <= 0)
		return 0;
	text[got] = '\0';
	/* The command's name, field 2, stands in parentheses and may hold anything. */
	rest = strrchr(text, ')');
	if (!rest || sscanf(rest, ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %llu",
			    &ticks) != 1)
		return 0;
	return ticks;
}

int gj_uprobe_name(const char *prefix, unsigned int number, char name_out[GJ_UPROBE_NAME_BYTES])
{
	unsigned int pid = (unsigned int)getpid();
	uint64_t ticks = start_time(pid);

	if (!ticks)
		return -EIO;
	snprintf(name_out, GJ_UPROBE_NAME_BYTES, "%s%u_%llu_%u", prefix, pid,
		 (unsigned long long)ticks, number);
	return 0;
}

static int write_line(const char *line, struct gj_diag *diag)
{
	int fd = open_file("uprobe_events", O_WRONLY | O_APPEND, diag);
	size_t size_bytes = strlen(line);
	int err = 0;

	if (fd < 0)
		return fd;
	if (write(fd, line, size_bytes) != (ssize_t)size_bytes)
		err = -errno;
	close(fd);
	return err;
}

int gj_uprobe_add(const char *name, const char *path, uint64_t file_off, const char *fetch,
		  struct gj_diag *diag)
{
	struct gj_buf line = { 0 };
	int err;

	gj_buf_fmt(&line, "p:" GJ_UPROBE_GROUP "/%s %s:0x%llx %s\n", name, path,
		   (unsigned long long)file_off, fetch);
	gj_buf_chr(&line, '\0');
	err = line.failed ? -ENOMEM : write_line(line.data, diag);
	gj_buf_deinit(&line);
	if (err)
		return gj_diag_set(diag, err, "%s: the kernel takes no uprobe at offset 0x%llx: %s",
				   path, (unsigned long long)file_off, strerror(-err));
	return 0;
}

int gj_uprobe_remove(const char *name, struct gj_diag *diag)
{
	char line[GJ_UPROBE_NAME_BYTES + 16];
	int err;

	snprintf(line, sizeof(line), "-:" GJ_UPROBE_GROUP "/%s\n", name);
	err = write_line(line, diag);
	if (err)
		return gj_diag_set(diag, err,
				   "probe " GJ_UPROBE_GROUP ":%s cannot be removed: %s", name,
				   err == -EBUSY ? "something still records it" : strerror(-err));
	return 0;
}

int gj_uprobe_event_id(const char *name, uint64_t *id_out, struct gj_diag *diag)
{
	char path[GJ_UPROBE_NAME_BYTES + 32], text[32];
	ssize_t got;
	int fd;

	snprintf(path, sizeof(path), "events/" GJ_UPROBE_GROUP "/%s/id", name);
	fd = open_file(path, O_RDONLY, diag);
	if (fd < 0)
		return fd;
	got = read(fd, text, sizeof(text) - 1);
	close(fd);
	if (got <= 0)
		return gj_diag_set(diag, -EIO, "%s cannot be read", path);
	text[got] = '\0';
	*id_out = strtoull(text, NULL, 10);
	return 0;
}

/* Whether the process that made event @name, by its name, is still there. */
static bool is_owned(const char *name)
{
	const char *digits = name + strcspn(name, "0123456789");
	unsigned long long ticks;
	unsigned int pid;

	/* Names in another form are not ours to judge. */
	if (sscanf(digits, "%u_%llu_%*u", &pid, &ticks) != 2)
		return true;
	return start_time(pid) == ticks;
}

/* Calls @found with the name of each event of our group. */
static int each_event(void (*found)(void *data, const char *name), void *data,
		      struct gj_diag *diag)
{
	static const char prefix[] = "p:" GJ_UPROBE_GROUP "/";
	int fd = open_file("uprobe_events", O_RDONLY, diag);
	size_t line_cap = 0;
	char *line = NULL;
	FILE *file;

	if (fd < 0)
		return fd;
	file = fdopen(fd, "r");
	if (!file) {
		close(fd);
		return -ENOMEM;
	}
	while (getline(&line, &line_cap, file) > 0) {
		char *name = line + sizeof(prefix) - 1;

		if (strncmp(line, prefix, sizeof(prefix) - 1))
			continue;
		name[strcspn(name, " \n")] = '\0';
		if (*name && strlen(name) < GJ_UPROBE_NAME_BYTES)
			found(data, name);
	}
	free(line);
	fclose(file);
	return 0;
}

struct tally {
	unsigned int stale, kept;
	bool removing;
};

static void tally_event(void *data, const char *name)
{
	struct tally *tally = data;

	if (is_owned(name) || (tally->removing && gj_uprobe_remove(name, NULL)))
		tally->kept++;
	else
		tally->stale++;
}

static int tally_events(bool removing, unsigned int *stale_out, unsigned int *kept_out,
			struct gj_diag *diag)
{
	struct tally tally = { .removing = removing };
	int err = each_event(tally_event, &tally, diag);

	*stale_out = tally.stale;
	*kept_out = tally.kept;
	return err;
}

int gj_uprobes_clean(unsigned int *removed_out, unsigned int *kept_out, struct gj_diag *diag)
{
	return tally_events(true, removed_out, kept_out, diag);
}

int gj_uprobes_stale(unsigned int *stale_out, unsigned int *kept_out, struct gj_diag *diag)
{
	return tally_events(false, stale_out, kept_out, diag);
}
