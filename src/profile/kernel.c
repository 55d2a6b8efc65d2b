/* SPDX-License-Identifier: GPL-2.0 */
/* What BPF programs that sample are given, whoever loads them: a clock, and their tables. */
#include <errno.h>
#include <linux/perf_event.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "profile/profile.h"

int gj_profile_fill_array(int map_fd, const struct gj_buf *from)
{
	void *to;

	if (!from->size_bytes)
		return 0;
	to = mmap(NULL, from->size_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, map_fd, 0);
	if (to == MAP_FAILED)
		return -errno;
	memcpy(to, from->data, from->size_bytes);
	munmap(to, from->size_bytes);
	return 0;
}

int gj_profile_timer(unsigned int hz, int cpu)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_SOFTWARE,
		.size = sizeof(attr),
		.config = PERF_COUNT_SW_CPU_CLOCK,
		.sample_period = 1000000000u / hz,
	};
	long fd = syscall(SYS_perf_event_open, &attr, -1, cpu, -1, PERF_FLAG_FD_CLOEXEC);

	return fd < 0 ? -errno : (int)fd;
}
