/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Takes user stacks of a process as BPF_F_USER_BUILD_ID gives them.
 *
 *   buildid PID COUNT BPFTOOL DUMP >STACKS
 *
 * A BPF program on a sampling event of each thread calls bpf_get_stack(); COUNT
 * arrays of 32 struct bpf_stack_build_id go to standard output. It calls
 * bpf_get_stackid(), too; what BPFTOOL prints of that map goes to DUMP.txt and
 * DUMP.json. Exit status 77 when the kernel lets this user do none of it.
 */
#include <dirent.h>
#include <errno.h>
#include <linux/bpf.h>
#include <linux/perf_event.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define DEPTH 32

/* What the program fills when size is 0. */
struct value {
	int64_t size;
	struct bpf_stack_build_id frames[DEPTH];
};

static int bpf(int command, union bpf_attr *attr)
{
	return (int)syscall(SYS_bpf, command, attr, sizeof(*attr));
}

static int make_map(void)
{
	union bpf_attr attr = {
		.map_type = BPF_MAP_TYPE_ARRAY, .key_size = 4, .value_size = sizeof(struct value),
		.max_entries = 1,
	};

	return bpf(BPF_MAP_CREATE, &attr);
}

static int make_stack_map(void)
{
	union bpf_attr attr = {
		.map_type = BPF_MAP_TYPE_STACK_TRACE, .key_size = 4,
		.value_size = sizeof(struct bpf_stack_build_id) * DEPTH, .max_entries = 64,
		.map_flags = BPF_F_STACK_BUILD_ID,
	};

	return bpf(BPF_MAP_CREATE, &attr);
}

/* Both forms of bpftool's dump. */
static int dump(int map, const char *bpftool, const char *path)
{
	struct bpf_map_info info = { 0 };
	union bpf_attr attr = { .info = { .bpf_fd = (uint32_t)map, .info_len = sizeof(info),
					  .info = (uintptr_t)&info } };
	char command[4096];

	if (bpf(BPF_OBJ_GET_INFO_BY_FD, &attr))
		return -1;
	snprintf(command, sizeof(command), "'%s' map dump id %u >'%s.txt' && '%s' -j map dump id %u >'%s.json'",
		 bpftool, info.id, path, bpftool, info.id, path);
	return system(command);
}

#define INSN(c, d, s, o, i) ((struct bpf_insn){ .code = (c), .dst_reg = (d), .src_reg = (s), .off = (o), .imm = (i) })

/*
 * value = lookup(0); if (!value) return; if (!value->size) value->size =
 * bpf_get_stack(ctx, value->frames, ...) else bpf_get_stackid(ctx, stacks, ...).
 * Not both: with interrupts off the second finds the lock on the mappings that the
 * first will only give back later, and has no build ids (kernel/bpf/stackmap.c).
 */
static int load(int map, int stacks)
{
	const struct bpf_insn insns[] = {
		INSN(BPF_ALU64 | BPF_MOV | BPF_X, 6, 1, 0, 0),
		INSN(BPF_ST | BPF_MEM | BPF_W, 10, 0, -4, 0),
		INSN(BPF_ALU64 | BPF_MOV | BPF_X, 2, 10, 0, 0),
		INSN(BPF_ALU64 | BPF_ADD | BPF_K, 2, 0, 0, -4),
		INSN(BPF_LD | BPF_DW | BPF_IMM, 1, BPF_PSEUDO_MAP_FD, 0, map),
		INSN(0, 0, 0, 0, 0),
		INSN(BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_map_lookup_elem),
		INSN(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 15, 0),
		INSN(BPF_ALU64 | BPF_MOV | BPF_X, 7, 0, 0, 0),
		INSN(BPF_LDX | BPF_MEM | BPF_DW, 2, 7, 0, 0),
		INSN(BPF_ALU64 | BPF_MOV | BPF_X, 1, 6, 0, 0),
		INSN(BPF_JMP | BPF_JNE | BPF_K, 2, 0, 7, 0),
		INSN(BPF_ALU64 | BPF_MOV | BPF_X, 2, 7, 0, 0),
		INSN(BPF_ALU64 | BPF_ADD | BPF_K, 2, 0, 0, 8),
		INSN(BPF_ALU64 | BPF_MOV | BPF_K, 3, 0, 0, sizeof(struct bpf_stack_build_id) * DEPTH),
		INSN(BPF_ALU64 | BPF_MOV | BPF_K, 4, 0, 0, BPF_F_USER_STACK | BPF_F_USER_BUILD_ID),
		INSN(BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_get_stack),
		INSN(BPF_STX | BPF_MEM | BPF_DW, 7, 0, 0, 0),
		INSN(BPF_JMP | BPF_JA, 0, 0, 4, 0),
		INSN(BPF_LD | BPF_DW | BPF_IMM, 2, BPF_PSEUDO_MAP_FD, 0, stacks),
		INSN(0, 0, 0, 0, 0),
		INSN(BPF_ALU64 | BPF_MOV | BPF_K, 3, 0, 0, BPF_F_USER_STACK),
		INSN(BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_get_stackid),
		INSN(BPF_ALU64 | BPF_MOV | BPF_K, 0, 0, 0, 0),
		INSN(BPF_JMP | BPF_EXIT, 0, 0, 0, 0),
	};
	static char log[1 << 16];
	union bpf_attr attr = {
		.prog_type = BPF_PROG_TYPE_PERF_EVENT, .insns = (uintptr_t)insns,
		.insn_cnt = sizeof(insns) / sizeof(insns[0]), .license = (uintptr_t)"GPL",
		.log_buf = (uintptr_t)log, .log_size = sizeof(log), .log_level = 1,
	};
	int fd = bpf(BPF_PROG_LOAD, &attr);

	if (fd < 0)
		fprintf(stderr, "%s\n%s\n", strerror(errno), log);
	return fd;
}

static int sample_thread(pid_t tid, int program)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_SOFTWARE, .size = sizeof(attr), .config = PERF_COUNT_SW_CPU_CLOCK,
		.sample_freq = 499, .freq = 1, .exclude_kernel = 1,
	};
	int fd = (int)syscall(SYS_perf_event_open, &attr, tid, -1, -1, PERF_FLAG_FD_CLOEXEC);

	return fd >= 0 && ioctl(fd, PERF_EVENT_IOC_SET_BPF, program) ? -1 : fd;
}

static int sample_all(pid_t pid, int program)
{
	char path[64];
	struct dirent *entry;
	int cnt = 0;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
	dir = opendir(path);
	while (dir && (entry = readdir(dir)))
		if (entry->d_name[0] != '.' && sample_thread(atoi(entry->d_name), program) >= 0)
			cnt++;
	if (dir)
		closedir(dir);
	return cnt;
}

/* One more stack; 0 when none has come. */
static int take(int map)
{
	uint32_t key = 0;
	struct value value = { 0 };
	union bpf_attr attr = { .map_fd = (uint32_t)map, .key = (uintptr_t)&key, .value = (uintptr_t)&value };
	int64_t size;

	if (bpf(BPF_MAP_LOOKUP_ELEM, &attr) || !value.size)
		return 0;
	size = value.size;
	if (size > 0)
		fwrite(value.frames, sizeof(value.frames), 1, stdout);
	memset(&value, 0, sizeof(value));
	bpf(BPF_MAP_UPDATE_ELEM, &attr);
	return size > 0;
}

int main(int argc, char **argv)
{
	int map, stacks, program, cnt = 0;

	if (argc != 5)
		return 2;
	map = make_map();
	stacks = make_stack_map();
	program = map < 0 || stacks < 0 ? -1 : load(map, stacks);
	if (program < 0 || !sample_all(atoi(argv[1]), program)) {
		perror("no stacks can be taken");
		return 77;
	}
	for (int i = 0; i < 1000 && cnt < atoi(argv[2]); i++, usleep(10000))
		cnt += take(map);
	return cnt < atoi(argv[2]) || dump(stacks, argv[3], argv[4]) || fflush(stdout);
}
