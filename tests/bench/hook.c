// SPDX-License-Identifier: GPL-2.0
/*
 * A BPF program that does nothing, in a uprobe: what a hit costs before any work is done.
 *
 *   hook FILE OFFSET PID   the offset in the file, in hexadecimal; prints "hooked"
 *   hook                   has the kernel count runs of all programs and their time;
 *                          prints "counting"
 *
 * Either holds until its standard input ends.
 */
#include <bpf/bpf.h>
#include <inttypes.h>
#include <linux/bpf.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

/* enum bpf_attach_type of Linux 6.6, newer than the headers of libbpf 1.1. */
#define TRACE_UPROBE_MULTI 48

/* union bpf_attr of BPF_LINK_CREATE there. */
struct multi_attr {
	uint32_t prog_fd, target_fd, attach_type, flags;
	uint64_t path, offsets, ref_ctr_offsets, cookies;
	uint32_t cnt, multi_flags, pid, pad;
};

static int load(uint32_t attach_type)
{
	static const struct bpf_insn insns[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0 },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	LIBBPF_OPTS(bpf_prog_load_opts, opts, .expected_attach_type = attach_type);

	return bpf_prog_load(BPF_PROG_TYPE_KPROBE, "gj_floor", "GPL", insns, 2, &opts);
}

static int hook_multi(int program, const char *file, uint64_t off, uint32_t pid)
{
	struct multi_attr attr = { .prog_fd = (uint32_t)program, .attach_type = TRACE_UPROBE_MULTI,
				   .path = (uintptr_t)file, .offsets = (uintptr_t)&off,
				   .cnt = 1, .pid = pid };

	return (int)syscall(SYS_bpf, BPF_LINK_CREATE, &attr, sizeof(attr));
}

/* As before Linux 6.6. */
static int hook_single(int program, const char *file, uint64_t off, pid_t pid)
{
	FILE *type = fopen("/sys/bus/event_source/devices/uprobe/type", "r");
	struct perf_event_attr attr = { .size = sizeof(attr), .config1 = (uintptr_t)file,
					.config2 = off };
	int fd;

	if (!type || fscanf(type, "%" SCNu32, &attr.type) != 1)
		return -1;
	fclose(type);
	fd = (int)syscall(SYS_perf_event_open, &attr, pid, -1, -1, PERF_FLAG_FD_CLOEXEC);
	if (fd < 0 || ioctl(fd, PERF_EVENT_IOC_SET_BPF, program))
		return -1;
	return fd;
}

static int hook(const char *file, uint64_t off, pid_t pid)
{
	int program = load(TRACE_UPROBE_MULTI);
	int link = program < 0 ? -1 : hook_multi(program, file, off, (uint32_t)pid);

	if (link >= 0)
		return link;
	program = load(0);
	return program < 0 ? -1 : hook_single(program, file, off, pid);
}

int main(int argc, char **argv)
{
	int fd;

	if (argc != 1 && argc != 4) {
		fprintf(stderr, "usage: hook [FILE OFFSET PID]\n");
		return 2;
	}
	fd = argc == 1 ? bpf_enable_stats(BPF_STATS_RUN_TIME) :
			 hook(argv[1], strtoull(argv[2], NULL, 16), atoi(argv[3]));
	if (fd < 0) {
		perror("hook");
		return 1;
	}
	puts(argc == 1 ? "counting" : "hooked");
	fflush(stdout);
	while (getchar() != EOF)
		;
	return 0;
}
