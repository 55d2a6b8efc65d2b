/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Maps of `gojitter trace`: types that BPF programs and user space both know.
 * What belongs to one question stands in gj_trace_<question>.h beside this.
 * Enumerators are what bpftool prints, so they read as people's words.
 */
#ifndef GJ_TRACE_H
#define GJ_TRACE_H

#include "gj_abi.h"

#define GJ_TRACE_ROOT "/sys/fs/bpf/gojitter"
#define GJ_TRACE_PINS GJ_TRACE_ROOT "/v1" /* the ABI's version; docs/abi.md */

/*
 * One Go program as the programs need it: value of `targets`, by process number.
 * Offsets of GJ_NO_OFFSET do not exist in its release or are not known.
 */
struct gj_trace_target {
	__s64 tls_g;        /* slot of g, from the thread pointer */
	__u64 bias;         /* run-time less link-time address of its code */
	__u64 text_va;      /* link-time address that function numbers count from: runtime.text */
	__u64 exec_va;      /* link-time address of its first executable segment */
	__u64 allgs_va;     /* link-time address of runtime.allgs (a slice); 0: not known */
	__u64 busy_reasons; /* bit N: waiting for wait reason N the goroutine's work goes on */
	__u64 inode;        /* the kernel's, of its program; 0: not known yet */
	__u32 program;      /* number of its program in this instance, from 0 */
	__u16 go_minor;     /* N of Go 1.N */
	__u16 reserved;
	__u16 g_stack_lo, g_stack_hi, g_m, g_sched_sp, g_sched_pc, g_sched_bp, g_status, g_goid;
	__u16 g_waitreason, g_waitsince, g_startpc, g_gopc, g_parent_goid, g_syscallpc, g_syscallsp, g_labels;
	__u16 m_g0, m_gsignal, m_curg, m_p, m_procid, m_id;
	__u32 generation; /* not that of an earlier process of its number; 0: of `gojitter trace` */
};

/* The one program that an object of `gojitter bpf-object` is for. */
struct gj_trace_given {
	struct gj_exe exes[2]; /* of its file, of which one need be it; ino 0: none, a loader fills the maps */
	struct gj_trace_target target;
};

/*
 * A function of a target: its program's number above GJ_FUNC_SHIFT, below it the
 * bytes from runtime.text to its entry, plus 1. The loader adds an enumerator for
 * each function of the target (docs/abi.md), so that bpftool prints names.
 */
enum gj_func {
	unknown_function = 0,
	not_go = 0x0fffffff, /* where it stands for a frame: code of C, the vdso */
};
#define GJ_FUNC_SHIFT 28
#define GJ_FUNC_MASK 0x0fffffffu

/*
 * Why a goroutine waits: the number of the target's own release (Go
 * src/runtime/runtime2.go); the loader adds that release's names.
 */
enum gj_wait_reason {
	no_reason = 0,
};

/* Go src/runtime/runtime2.go, with the scan bit masked off. */
enum gj_g_status {
	g_idle = 0,
	g_runnable = 1,
	g_running = 2,
	g_syscall = 3,
	g_waiting = 4,
	g_dead = 6,
	g_copystack = 8,
	g_preempted = 9,
	g_leaked = 10,
	g_deadextra = 11,
};
#define GJ_G_STATUS_MASK 0xfffu

/*
 * Histogram of durations in ns: four slots to each power of two. Slot 0 is what
 * is below 2^8, slot 1 + 4 * (e - 8) + q what is from (4 + q) * 2^(e-2) up to the
 * next, e being 8 to 35; the last what is 2^36 and more.
 */
#define GJ_HIST_MIN_EXP 8
#define GJ_HIST_MAX_EXP 36
#define GJ_HIST_SLOTS (2 + 4 * (GJ_HIST_MAX_EXP - GJ_HIST_MIN_EXP))
struct gj_hist {
	__u64 count;
	__u64 sum_ns;
	__u64 max_ns;
	__u64 slots[GJ_HIST_SLOTS];
};

/* Why something is missing: key of `drops`, one counter each and CPU. */
enum gj_drop {
	drop_map_full,       /* an entry found no room: docs/abi.md says in which map */
	drop_no_goroutine,   /* the thread's g could not be read */
	drop_no_start,       /* the end of something whose beginning was not seen */
	drop_unreadable,     /* memory of the target could not be read */
	drop_ring_full,      /* an event found no room in the ring buffer */
	drop_stack_short,    /* a stack was cut */
	GJ_DROP_CNT,
};

/*
 * What the probes of an instance cost: rows of `costs`, one for each program and one,
 * whose program is "all", for each feature. User space writes them (src/load/budget.c).
 */
struct gj_cost_key {
	char feature[16]; /* or "processes" and the like: what all features need */
	char program[32];
};

enum gj_cost_state {
	on = 1,
	off_over_budget = 2, /* taken away; the feature's maps hold what was counted until then */
	off_by_user = 3,     /* not asked for */
	cannot = 4,          /* was to be had, and is not here */
	off_target_gone = 5, /* taken away, as no process is left and none can come */
};

/* Times by CLOCK_MONOTONIC in ns. Figures are the last window's. */
struct gj_cost {
	__u64 hits;        /* in the window */
	__u64 hits_per_s;
	__u64 ns_per_hit;  /* trap and program */
	__u64 trap_ns;     /* the trap of it: measured on this machine for that kind of instruction; 0: none */
	__u64 window_ns;   /* how long was counted; 0: never yet */
	__u64 measured_ns; /* end of the window */
	__u64 since_ns;    /* the state is what it is */
	__u32 permille;    /* of one processor */
	enum gj_cost_state state;
};

/* The one value of `budget`. */
struct gj_budget {
	__u32 permille;         /* of the targets' processor time, of one processor at least; 0: no budget */
	__u32 taken_permille;   /* of one processor, by all that is on, in the last window */
	__u32 targets_permille; /* processor time of the targets in it, of one processor */
	__u32 over_windows;     /* running: how often the budget was exceeded */
	__u64 measured_ns;      /* end of the last window; 0: none yet */
	__u64 next_ns;          /* when the keeper is to look again; 0: there is none */
	__u32 keeper;           /* its process number, in the pid namespace of the loader; 0 */
	__u32 reserved;
};

_Static_assert(sizeof(struct gj_trace_target) == 112, "shared with BPF programs");
_Static_assert(sizeof(struct gj_hist) == 24 + 8 * 114, "shared with dashboards");
_Static_assert(sizeof(struct gj_cost_key) == 48, "shared with dashboards");
_Static_assert(sizeof(struct gj_cost) == 64, "shared with dashboards");
_Static_assert(sizeof(struct gj_budget) == 40, "shared with dashboards");

#endif
