/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A BPF program set on events that another process, perf, has opened: its
 * descriptors are listed in /proc and duplicated with pidfd_getfd(2).
 */
#include <dirent.h>
#include <errno.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "record/sampler.h"

static bool is_event(int dir_fd, const char *name)
{
	static const char want[] = "anon_inode:[perf_event]";
	char link[sizeof(want) + 1];
	ssize_t size_bytes = readlinkat(dir_fd, name, link, sizeof(link));

	return size_bytes == sizeof(want) - 1 && !memcmp(link, want, sizeof(want) - 1);
}

/* True the first time it is asked of @fd. */
static bool is_new(struct gj_perf_events *events, size_t fd)
{
	if (fd >= events->seen_cnt) {
		size_t cnt = fd + 256;
		uint8_t *seen = realloc(events->seen, cnt);

		if (!seen)
			return false;
		memset(seen + events->seen_cnt, 0, cnt - events->seen_cnt);
		events->seen = seen;
		events->seen_cnt = cnt;
	}
	return !events->seen[fd];
}

static void set_program(struct gj_perf_events *events, int pid_fd, unsigned int fd, int program_fd)
{
	long copy = syscall(SYS_pidfd_getfd, pid_fd, fd, 0);

	if (copy < 0) {
		events->err = -errno;
		return;
	}
	/*
	 * -EINVAL: a tracepoint or probe, which takes programs of another type.
	 * An event of perf's own bookkeeping takes it and never fires.
	 */
	if (!ioctl((int)copy, PERF_EVENT_IOC_SET_BPF, program_fd) || errno == EEXIST)
		events->set_cnt++;
	else if (errno != EINVAL)
		events->err = -errno;
	close((int)copy);
}

int gj_perf_events_set(struct gj_perf_events *events, pid_t pid, int program_fd)
{
	char path[32];
	struct dirent *entry;
	long pid_fd = syscall(SYS_pidfd_open, pid, 0);
	DIR *dir;

	if (pid_fd < 0)
		return -errno;
	snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	dir = opendir(path);
	if (!dir) {
		int err = -errno;

		close((int)pid_fd);
		return err;
	}
	while ((entry = readdir(dir))) {
		unsigned int fd = (unsigned int)strtoul(entry->d_name, NULL, 10);

		if (entry->d_name[0] == '.' || !is_new(events, fd) ||
		    !is_event(dirfd(dir), entry->d_name))
			continue;
		events->seen[fd] = 1;
		set_program(events, (int)pid_fd, fd, program_fd);
	}
	closedir(dir);
	close((int)pid_fd);
	return 0;
}

void gj_perf_events_deinit(struct gj_perf_events *events)
{
	free(events->seen);
	*events = (struct gj_perf_events){ 0 };
}
