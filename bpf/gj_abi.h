/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What BPF programs and user space both know: types of map keys, map values and
 * records. Includes nothing of ours. Compiled by both sides, so that bpftool
 * prints these names and no layout is written down twice.
 */
#ifndef GJ_ABI_H
#define GJ_ABI_H

#ifndef __VMLINUX_H__
#include <linux/types.h>
#endif

/*
 * Where one Go program keeps what is read of it (struct gj_goffsets of
 * src/goroutine, for BPF). An offset of GJ_NO_OFFSET does not exist or is not known.
 */
#define GJ_NO_OFFSET 0xffffu

struct gj_goruntime {
	__s64 tls_g; /* slot of g, from the thread pointer (fs base) */
	__u16 g_stack_lo, g_stack_hi, g_m, g_sched_sp, g_sched_pc, g_sched_bp, g_goid, g_labels;
	__u16 m_g0, m_gsignal, m_curg;
	__u16 m_vdso_sp, m_vdso_pc;
	__u16 g_bytes, m_bytes; /* of a g and an m that are copied into a record: all fields above */
	__u16 flags;            /* GJ_GORUNTIME_* */
};
#define GJ_GORUNTIME_CGO 1u      /* C may call Go: g0's stack matters, too */
#define GJ_GORUNTIME_LABEL_MAP 2u /* pprof labels are a map (up to Go 1.23), else a sorted list */
#define GJ_GORUNTIME_NONE 4u      /* no Go program, or none we can read: nothing else holds */

/* The file a process runs, as the kernel numbers it: dev is (major << 20) | minor. */
struct gj_exe {
	__u64 ino;
	__u32 dev;
	__u32 reserved; /* 0 */
};

/* A process whose runtime is known by its number: value of gj_processes, by tgid. */
struct gj_process {
	struct gj_goruntime runtime;
	/* The kernel's inode of the program it was told for; 0: taken at its first sample. */
	__u64 inode;
};

/*
 * One sample of the two-stack sampler, in the ring buffer and behind perf.data:
 * this head, then part_cnt struct gj_stack_part, then their bytes in the same
 * order, each padded to 8. A sparse copy of the thread's memory as it was in the
 * sampling interrupt: its stack from SP up, its g and m, the goroutine's g and
 * stack where the thread is on another, pprof labels.
 */
struct gj_stack_record {
	__u32 bytes;       /* of all of it; a multiple of 8 */
	__u16 part_cnt;
	__u16 flags;       /* GJ_STACK_* */
	__u64 time_ns;     /* CLOCK_MONOTONIC, within microseconds of the perf sample's */
	__u32 pid, tid;    /* as perf's sample has them */
	__u32 cpu;
	__u32 reserved;    /* 0 */
	/* User registers: by name, since only these unwind Go and C. */
	__u64 ip, sp, bp, bx, r12, r13, r14, r15;
	/* From the thread's TLS slot; all 0 where the program is none we know. */
	__u64 g, m, curg;
	__u64 goid;        /* of g, or of m.curg where g is g0 or gsignal; 0: none */
	__u64 labels;      /* of the same goroutine: g.labels; 0: none */
};
#define GJ_STACK_GO 1u     /* the program is a Go program we know: g, m, curg were looked for */
#define GJ_STACK_G_READ 2u /* g, m and curg were read; goid 0 then means that there is no goroutine */
#define GJ_STACK_KERNEL 4u /* the sample hit the kernel: registers are those it was entered with */
#define GJ_STACK_SHORT 8u  /* some stack, or some of what lies within its bounds, could not be read */

struct gj_stack_part {
	__u64 va;
	__u32 bytes;
	__u32 kind; /* GJ_PART_* */
};
enum gj_part_kind {
	GJ_PART_STACK,     /* the stack the thread is on, from SP */
	GJ_PART_GOROUTINE, /* the goroutine's, where that is another */
	GJ_PART_SYSTEM,    /* g0's, where the thread is on the goroutine's */
	GJ_PART_RUNTIME,   /* a g or an m */
	GJ_PART_LABELS,    /* pprof labels and their strings */
};

/* Limits of the sampler, in bytes and parts. */
#define GJ_STACK_MAX_BYTES 32768u /* of each stack */
#define GJ_STACK_MAX_PARTS 32u
#define GJ_LABEL_MAX_CNT 8u
#define GJ_LABEL_KEY_BYTES 64u
#define GJ_LABEL_VALUE_BYTES 128u

/* What the sampler counts, one slot of gj_counts each. */
enum gj_sampler_count {
	GJ_COUNT_RECORDS,
	GJ_COUNT_LOST,      /* no room in the ring buffer */
	GJ_COUNT_NO_G,      /* of the records: g could not be read, or there is none */
	GJ_COUNT_SHORT,     /* of the records: GJ_STACK_SHORT */
	GJ_COUNT_OTHER,     /* no record: the program is none we know */
	GJ_COUNT_NO_USER,   /* no record: a kernel thread, or a task without memory */
	GJ_COUNT_CNT,
};

_Static_assert(sizeof(struct gj_goruntime) == 40, "shared with BPF programs");
_Static_assert(sizeof(struct gj_process) == 48, "shared with BPF programs");
_Static_assert(sizeof(struct gj_exe) == 16, "shared with BPF programs");
_Static_assert(sizeof(struct gj_stack_record) == 136, "shared with files");
_Static_assert(sizeof(struct gj_stack_part) == 16, "shared with files");

#endif
