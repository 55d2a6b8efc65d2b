/* SPDX-License-Identifier: GPL-2.0 */
/* What probes cost: the price of one hit, measured here, and how often an event is hit. */
#include <errno.h>
#include <fcntl.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "probe/probe.h"

#define CALLS 1000
#define ROUNDS 5

static int open_event(struct perf_event_attr *attr, pid_t pid, int cpu)
{
	long fd;

	attr->size = sizeof(*attr);
	fd = syscall(SYS_perf_event_open, attr, pid, cpu, -1, PERF_FLAG_FD_CLOEXEC);
	return fd < 0 ? -errno : (int)fd;
}

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

#ifdef __x86_64__
/* Begins with an instruction the kernel emulates, as the planned places in Go code do. */
__asm__(".text\n"
	".type gj_probe_target, @function\n"
	"gj_probe_target:\n"
	"	push %rbp\n"
	"	pop %rbp\n"
	"gj_probe_target_ret:\n"
	"	ret\n"
	".size gj_probe_target, . - gj_probe_target\n");
void gj_probe_target(void);
void gj_probe_target_ret(void);

/* File and offset of an address of this process, out of /proc/self/maps. */
static int find_self(uint64_t address, char path_out[4096], uint64_t *off_out)
{
	FILE *maps = fopen("/proc/self/maps", "re");
	unsigned long long start, end, off;
	char line[4352];
	int err = -ENOENT;

	while (maps && err && fgets(line, sizeof(line), maps)) {
		if (sscanf(line, "%llx-%llx %*s %llx %*s %*s %4095[^\n]", &start, &end, &off,
			   path_out) == 4 &&
		    address >= start && address < end) {
			*off_out = address - start + off;
			err = 0;
		}
	}
	if (maps)
		fclose(maps);
	return err;
}

/* Shortest of some rounds: what the machine needs when nothing else interferes. */
static uint64_t time_calls(void)
{
	uint64_t best = UINT64_MAX;

	for (int round = 0; round < ROUNDS; round++) {
		uint64_t begin = now_ns(), took;

		for (int i = 0; i < CALLS; i++)
			gj_probe_target();
		took = now_ns() - begin;
		best = took < best ? took : best;
	}
	return best / CALLS;
}

/* @address: an instruction of gj_probe_target */
static int cost_at(uint64_t address, uint64_t *cost_ns_out)
{
	struct perf_event_attr attr = { 0 };
	uint64_t bare, probed, off;
	char path[4096], type[16] = "";
	int fd, err;

	fd = open("/sys/bus/event_source/devices/uprobe/type", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	err = read(fd, type, sizeof(type) - 1) > 0 ? 0 : -EIO;
	close(fd);
	if (!err)
		err = find_self(address, path, &off);
	if (err)
		return err;
	attr.type = (uint32_t)atoi(type);
	attr.config1 = (uint64_t)(uintptr_t)path;
	attr.config2 = off;
	bare = time_calls();
	fd = open_event(&attr, 0, -1);
	if (fd < 0)
		return fd;
	probed = time_calls();
	close(fd);
	*cost_ns_out = probed > bare ? probed - bare : 0;
	return 0;
}

int gj_probe_cost_ns(uint64_t *cost_ns_out)
{
	return cost_at((uint64_t)(uintptr_t)gj_probe_target, cost_ns_out);
}

int gj_probe_stepped_cost_ns(uint64_t *cost_ns_out)
{
	return cost_at((uint64_t)(uintptr_t)gj_probe_target_ret, cost_ns_out);
}
#else
int gj_probe_stepped_cost_ns(uint64_t *cost_ns_out)
{
	(void)cost_ns_out;
	return -EOPNOTSUPP;
}

int gj_probe_cost_ns(uint64_t *cost_ns_out)
{
	(void)cost_ns_out;
	return -EOPNOTSUPP;
}
#endif

static int open_counters(const uint64_t *event_ids, unsigned int event_cnt, unsigned int cpu_cnt,
			 int *fds)
{
	for (unsigned int i = 0; i < event_cnt * cpu_cnt; i++) {
		struct perf_event_attr attr = {
			.type = PERF_TYPE_TRACEPOINT,
			.config = event_ids[i / cpu_cnt],
		};

		fds[i] = open_event(&attr, -1, (int)(i % cpu_cnt));
		/* A processor that is off line has no counter. */
		if (fds[i] < 0 && fds[i] != -ENODEV)
			return fds[i];
	}
	return 0;
}

int gj_uprobe_count(const uint64_t *event_ids, unsigned int event_cnt, uint64_t window_ns,
		    uint64_t *hits_out)
{
	unsigned int cpu_cnt = (unsigned int)sysconf(_SC_NPROCESSORS_CONF);
	unsigned int fd_cnt = event_cnt * cpu_cnt;
	struct timespec window = { (time_t)(window_ns / 1000000000), (long)(window_ns % 1000000000) };
	int *fds = malloc(fd_cnt * sizeof(*fds));
	uint64_t hits = 0, value;
	int err;

	if (!fds)
		return -ENOMEM;
	memset(fds, -1, fd_cnt * sizeof(*fds));
	err = open_counters(event_ids, event_cnt, cpu_cnt, fds);
	if (!err)
		nanosleep(&window, NULL);
	for (unsigned int i = 0; i < fd_cnt; i++) {
		if (fds[i] < 0)
			continue;
		if (read(fds[i], &value, sizeof(value)) == sizeof(value))
			hits += value;
		close(fds[i]);
	}
	free(fds);
	if (!err)
		*hits_out = hits;
	return err;
}
