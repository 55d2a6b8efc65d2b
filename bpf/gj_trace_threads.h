/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Maps of bpf/threads.bpf.c: what the kernel's scheduler did to the threads of
 * Go programs, and to the goroutines they ran. Times are CLOCK_MONOTONIC.
 */
#ifndef GJ_TRACE_THREADS_H
#define GJ_TRACE_THREADS_H

#include "gj_trace_goroutines.h"

/* Since when a thread waits for a processor. */
enum gj_queued {
	not_queued = 0,
	woken = 1,     /* a wake-up */
	created = 2,   /* its first time */
	preempted = 3, /* it was taken off its processor while it could run, or gave it up (sched_yield) */
};

enum gj_off_cpu {
	voluntary = 1,   /* it slept, and waited for a processor afterwards */
	involuntary = 2, /* it could run all the time */
};

enum gj_thread_run {
	run_unknown = 0, /* nothing of it was seen yet */
	on_cpu = 1,
	in_run_queue = 2,
	sleeping = 3,
};

/* Key of `run_queue`: value is the time between the event and the switch to that thread. */
struct gj_run_queue_key {
	__u32 tgid;
	enum gj_queued since;
	enum gj_func func; /* where the goroutine it runs began; unknown_function: it runs none */
	char comm[16];     /* of the thread */
};

/* Key of `off_cpu`: value is the time from switch to switch, that in the run queue with it. */
struct gj_off_cpu_key {
	__u32 tgid;
	enum gj_off_cpu kind;
};

/* Value of `thread_states`, by the thread's number. Numbers and times from the start of the instance. */
struct gj_thread_state {
	__u32 tgid;
	enum gj_thread_run run;
	__u64 since_ns;      /* in that state */
	__u64 goid;          /* it ran at its last switch; 0: none */
	enum gj_func func;   /* where that goroutine began */
	enum gj_queued queued;
	char comm[16];
	__u64 off_since_ns;  /* its last switch away; 0: not seen or it runs */
	__u64 last_queue_ns; /* of its last time in the run queue */
	__u64 queue_ns;      /* all of them */
	__u64 off_cpu_ns;
	__u64 switch_ins;
	__u64 preemptions;
	__u64 unseen_switch_ins; /* not in @switch_ins: the kernel did not tell; their waits are in no sum */
};

/* Value of `goroutine_kernel`, by struct gj_goroutine_key: what happened to threads while they ran it. */
struct gj_goroutine_kernel {
	enum gj_func func; /* where it began */
	__u32 tid;         /* of the last thread */
	__u64 run_queue_ns;
	__u64 off_cpu_ns;  /* run_queue_ns with it; the rest its thread slept in the kernel */
	__u64 preempted_cnt;
	__u64 switches;
	__u64 last_ns;     /* when it was last switched to */
};

_Static_assert(sizeof(struct gj_run_queue_key) == 28, "shared with dashboards");
_Static_assert(sizeof(struct gj_thread_state) == 104, "shared with dashboards");
_Static_assert(sizeof(struct gj_goroutine_kernel) == 48, "shared with dashboards");

#endif
