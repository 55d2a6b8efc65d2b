/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Maps of the feature `goroutines` of `gojitter trace`: what every goroutine does,
 * since when and why, seen at its changes of status. docs/trace-goroutines.md.
 */
#ifndef GJ_TRACE_GOROUTINES_H
#define GJ_TRACE_GOROUTINES_H

#include "gj_trace.h"

/* Key of `goroutines`. Goroutine numbers are never used again, a g is. */
struct gj_goroutine_key {
	__u32 tgid;
	__u32 reserved; /* 0 */
	__u64 goid;
};

/* How far a goroutine's status can be believed. */
enum gj_g_note {
	status_is_exact = 0,
	/* Go 1.26 enters and leaves syscalls without telling; so a running one may be in one. */
	running_or_in_syscall = 1,
	/* It is, or runs, a coroutine (iter.Pull), to and from which the runtime switches without telling. */
	switched_unseen = 2,
};

/* Value of `goroutines`. Times are CLOCK_MONOTONIC in ns, sums of what has ended. */
struct gj_goroutine {
	enum gj_g_status status;
	enum gj_wait_reason reason; /* while it waits; else no_reason */
	enum gj_g_note note;
	__u32 tid;         /* thread it runs on or ran on last; 0: not seen running */
	enum gj_func func; /* that it was started with */
	__u32 reserved;    /* 0 */
	__u64 since_ns;    /* of its status; of its first event where it is older than the trace */
	__u64 created_ns;  /* 0: before the trace */
	__u64 parent_goid; /* 0: none, or not known (up to Go 1.20) */
	__u64 created_at;  /* link-time address behind the go statement */
	__u64 g;           /* address of its g */
	__u64 start_cnt;   /* how often it was put on a thread */
	__u64 runnable_ns, running_ns, blocked_ns, syscall_ns;
	__u64 run_switches; /* of this program: the thread's voluntary switches when it began to run */
	__u64 stack;        /* of this program: key of its `blocked_stacks` entry; 0: none */
};

/* Key of `sched_latency` (runnable to running) and of `long_runs`. */
struct gj_goroutine_func_key {
	__u32 tgid;
	enum gj_func func;
};

/* Key of `blocked` (waiting to runnable). */
struct gj_blocked_key {
	__u32 tgid;
	enum gj_wait_reason reason;
	enum gj_func func;
};

/* Key of `wakers`; the value counts. */
struct gj_waker_key {
	__u32 tgid;
	enum gj_wait_reason reason; /* what was waited for */
	enum gj_func waker;         /* unknown_function: the scheduler itself (timers, network, GC) */
	enum gj_func woken;
};

/*
 * Value of `goroutine_counts`, by tgid. Each counts calls of the runtime, none is
 * derived from another; a wait that turned out to be none counts in @parked and
 * in @resumed.
 */
struct gj_goroutine_counts {
	__u64 created;
	__u64 started;   /* put on a thread */
	__u64 parked;
	__u64 readied;
	__u64 resumed;   /* went on without having been readied: it only looked as if it waited */
	__u64 preempted; /* taken off by request of the runtime */
	__u64 yielded;   /* put itself behind others */
	__u64 syscalls;  /* entered; up to Go 1.25 */
	__u64 syscalls_lost_p; /* came back and found no P */
	__u64 exited;
	__u64 learnt;    /* older than the trace, met at an event */
	__u64 unseen;    /* events whose predecessor bypassed the hook: no duration was added */
};

#define GJ_LONG_RUN_NS 10000000ull
#define GJ_GO_STACK_PCS 16

/* Link-time addresses, innermost first: where it goes on, then return addresses. */
struct gj_go_stack {
	__u32 pc_cnt;
	__u32 is_cut; /* there are more, or one could not be read */
	__u64 pcs[GJ_GO_STACK_PCS];
};

/* Value of `long_runs`: runs of GJ_LONG_RUN_NS and more, without a switch of goroutines. */
struct gj_long_run {
	__u64 cnt;
	__u64 slept_cnt; /* longer ones not in @cnt: the thread slept in the kernel meanwhile */
	__u64 max_ns;    /* of those in @cnt; the rest is of that one */
	__u64 goid;
	__u64 end_ns;
	struct gj_go_stack stack; /* where it stopped */
};

/* Key of `blocked_stacks`. */
struct gj_blocked_stack_key {
	__u32 tgid;
	enum gj_wait_reason reason;
	__u64 hash; /* of the stack */
};

struct gj_blocked_stack {
	__u64 parked;  /* waits begun there */
	__u64 readied; /* ended */
	__u64 sum_ns;  /* of those */
	enum gj_func func;
	__u32 reserved; /* 0 */
	struct gj_go_stack stack;
};

#define GJ_LONG_WAIT_NS 100000 /* 100 us: waits whose end is worth a stack */

/* Key of `waker_stacks`. */
struct gj_waker_stack_key {
	__u32 tgid;
	enum gj_wait_reason reason; /* what was waited for */
	__u64 blocked; /* hash of the `blocked_stacks` entry where it was; 0: not known */
	__u64 hash;    /* of the waker's stack */
};

/* Waits of GJ_LONG_WAIT_NS and more that were ended there by a goroutine. */
struct gj_waker_stack {
	__u64 readied;
	__u64 sum_ns; /* of those waits */
	enum gj_func waker;
	__u32 reserved; /* 0 */
	struct gj_go_stack stack;
};

_Static_assert(sizeof(struct gj_goroutine_key) == 16, "shared with dashboards");
_Static_assert(sizeof(struct gj_goroutine) == 120, "shared with dashboards");
_Static_assert(sizeof(struct gj_goroutine_counts) == 96, "shared with dashboards");
_Static_assert(sizeof(struct gj_long_run) == 176, "shared with dashboards");
_Static_assert(sizeof(struct gj_blocked_stack) == 168, "shared with dashboards");
_Static_assert(sizeof(struct gj_waker_stack_key) == 24, "shared with dashboards");
_Static_assert(sizeof(struct gj_waker_stack) == 160, "shared with dashboards");

#endif
