// SPDX-License-Identifier: GPL-2.0
/*
 * Runs a command and prints what it took: "WALL_US CPU_US PEAK_KB".
 *
 *   measure INPUT CPUS COMMAND...
 *
 * INPUT becomes its standard input; its output is dropped. CPUS 1 keeps it on
 * one processor, 0 lets it have all. A program this small starts it because
 * the peak that the kernel tells of a process begins with its parent's.
 */
#include <fcntl.h>
#include <sched.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

static double now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec * 1e6 + (double)ts.tv_nsec * 1e-3;
}

static double as_us(struct timeval tv)
{
	return (double)tv.tv_sec * 1e6 + (double)tv.tv_usec;
}

/* The lowest processor we may use, alone. */
static int stay_on_one_cpu(void)
{
	cpu_set_t all, one;
	int cpu = 0;

	if (sched_getaffinity(0, sizeof(all), &all))
		return -1;
	while (!CPU_ISSET(cpu, &all))
		cpu++;
	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	return sched_setaffinity(0, sizeof(one), &one);
}

int main(int argc, char **argv)
{
	posix_spawn_file_actions_t actions;
	struct rusage usage;
	double begin_us;
	int status, err;
	pid_t pid;

	if (argc < 4) {
		fputs("usage: measure INPUT CPUS COMMAND...\n", stderr);
		return 2;
	}
	if (!strcmp(argv[2], "1") && stay_on_one_cpu())
		return 2;
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, argv[1], O_RDONLY, 0);
	posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
	begin_us = now_us();
	err = posix_spawnp(&pid, argv[3], &actions, NULL, argv + 3, environ);
	if (err) {
		fprintf(stderr, "measure: %s: %s\n", argv[3], strerror(err));
		return 2;
	}
	if (wait4(pid, &status, 0, &usage) != pid || status) {
		fprintf(stderr, "measure: %s: status 0x%x\n", argv[3], (unsigned int)status);
		return 1;
	}
	printf("%.0f %.0f %ld\n", now_us() - begin_us,
	       as_us(usage.ru_utime) + as_us(usage.ru_stime), usage.ru_maxrss);
	return 0;
}
