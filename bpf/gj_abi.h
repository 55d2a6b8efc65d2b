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
/*
 * Unwinding in the kernel (bpf/unwind.bpf.h): what code does with the stack, as
 * rows sorted by start, each good until the next one. Made by src/profile out of
 * .gopclntab and call frame information.
 */
struct gj_unwind_row {
	__u32 start; /* bytes from struct gj_unwind_range.base */
	__u32 rule;  /* enum gj_rule_kind above GJ_RULE_SHIFT, a value of that kind below */
};
#define GJ_RULE_SHIFT 28
#define GJ_RULE_MASK 0x0fffffffu
/* Of C code: CFA's offset / 8, and above it how far below the CFA RBP is saved / 8 (0: nowhere). */
#define GJ_RULE_CFA_MASK 0xffffu
#define GJ_RULE_RBP_SHIFT 16

enum gj_rule_kind {
	GJ_RULE_NONE = 0, /* nothing describes this code */
	/* Go: the value is SP's delta, CFA = SP + delta + 8. Those with a name are seams. */
	GJ_RULE_GO = 1,
	GJ_RULE_ROOT = 2,        /* goexit, mstart, rt0_go; a C thread's first frame */
	GJ_RULE_SYSTEMSTACK = 3,
	GJ_RULE_MORESTACK = 4,
	GJ_RULE_MCALL = 5,
	GJ_RULE_GOGO = 6,
	GJ_RULE_ASMCGOCALL = 7,
	GJ_RULE_CGOCALLBACK = 8,
	GJ_RULE_CROSSCALL2 = 9,
	GJ_RULE_VDSO_CALLER = 10,
	GJ_RULE_SCHEDULE = 11,
	GJ_RULE_SWITCHING = 12,  /* moves SP by what no table says */
	GJ_RULE_SIGRETURN = 13,  /* what was interrupted stands above SP */
	GJ_RULE_C_SP = 14,       /* C: CFA from SP */
	GJ_RULE_C_BP = 15,       /* C: CFA from RBP */
};

/* Code mapped in a process. */
struct gj_unwind_range {
	__u64 start; /* of what is mapped; GJ_NO_RANGE: unused */
	__u64 size;
	__u64 base;  /* address that rows count from */
	__u32 first_page; /* of gj_prof_page */
	__u32 page_cnt;   /* 0: nothing is known of this code */
};

/* Value of gj_prof_page: rows that hold in so many bytes of code, counted from a base. */
struct gj_unwind_page {
	__u32 first, last;
};
#define GJ_UNWIND_PAGE_SHIFT 8
#define GJ_NO_RANGE 0x7fffffffffffffffull
#define GJ_UNWIND_RANGES 64

/* Value of gj_prof_target, by process. All addresses are the process'. */
struct gj_unwind_target {
	__u64 go_lo, go_hi;         /* Go's code */
	__u64 switch_lo, switch_hi; /* runtime.systemstack_switch */
	__s32 cgo_g;                /* where asmcgocall keeps g, from SP; -1: not known */
	__u32 reserved;
	struct gj_unwind_range ranges[GJ_UNWIND_RANGES]; /* by start */
};

/* How a stack ends; a slot of struct gj_profile_sums each. */
enum gj_profile_end {
	GJ_PROF_COMPLETE = 0,       /* to a goroutine's or a thread's first frame */
	GJ_PROF_CUT_NO_BYTES = 1,   /* a stack word could not be read */
	GJ_PROF_CUT_BOUNDS = 2,     /* it would leave the stack */
	GJ_PROF_CUT_NOT_UP = 3,
	GJ_PROF_CUT_NO_IMAGE = 4,   /* no file's code at the address */
	GJ_PROF_CUT_NO_TABLE = 5,   /* Go code of which nothing is known */
	GJ_PROF_CUT_NO_RULE = 6,    /* C code that nothing describes, without a frame pointer */
	GJ_PROF_CUT_UNDEFINED = 7,  /* return address 0 */
	GJ_PROF_CUT_NO_RUNTIME = 8, /* a switch of stacks, and g or m could not be read */
	GJ_PROF_CUT_SWITCHING = 9,  /* in the middle of a switch of stacks */
	GJ_PROF_CUT_LIMIT = 10,     /* more frames than GJ_PROFILE_USER */
};
#define GJ_PROF_END_CNT 11

/* What gj_prof_sum holds: samples, by enum gj_profile_end and by what was lost. */
struct gj_profile_sums {
	__u64 complete, cut_no_bytes, cut_bounds, cut_not_up, cut_no_image, cut_no_table,
		cut_no_rule, cut_undefined, cut_no_runtime, cut_switching, cut_limit;
	__u64 no_goroutine;  /* the thread works for none */
	__u64 no_runtime;    /* g or m could not be read: a C thread */
	__u64 other_program; /* the process runs another one by now; in none of the above */
	__u64 lost_stack;    /* gj_prof_stack was full; counted above */
	__u64 lost_count;    /* gj_prof_count was full; counted above */
	/* With --compare-fp: the kernel's own walk by frame pointers beside ours. */
	__u64 fp_complete;
	__u64 fp_caller;     /* its second frame is ours */
};

#define GJ_PROFILE_USER 128 /* frames kept; a power of two */
#define GJ_PROFILE_KERNEL 48

struct gj_profile_stack_key {
	__u64 hash; /* of the stack */
	__u32 round;
	__u32 tgid;
};

/* Value of gj_prof_stack. */
struct gj_profile_stack {
	__u32 kernel_cnt, user_cnt;
	enum gj_profile_end end;
	__u32 has_gap; /* callers may be missing somewhere */
	__u64 kernel[GJ_PROFILE_KERNEL]; /* innermost first */
	__u64 user[GJ_PROFILE_USER];     /* return addresses but the first */
};

/* Key of gj_prof_count; the value is how many samples. */
struct gj_profile_key {
	struct gj_profile_stack_key stack;
	__u64 goid; /* 0: none, or not asked for */
};

#endif
