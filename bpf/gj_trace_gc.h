/* SPDX-License-Identifier: GPL-2.0 */
/* Maps of bpf/gc.bpf.c. docs/trace-runtime.md. */
#ifndef GJ_TRACE_GC_H
#define GJ_TRACE_GC_H

#include "gj_trace.h"

/* Go src/runtime/proc.go, stwReason; the same numbers in 1.21 to 1.27. */
enum gj_stw_reason {
	unknown_reason = 0,
	GC_mark_termination = 1,
	GC_sweep_termination = 2,
	write_heap_dump = 3,
	goroutine_profile = 4,
	goroutine_profile_cleanup = 5,
	all_goroutines_stack_trace = 6,
	read_mem_stats = 7,
	AllThreadsSyscall = 8,
	GOMAXPROCS = 9,
	start_trace = 10,
	stop_trace = 11,
	CountPagesInUse_test = 12,
	ReadMetricsSlow_test = 13,
	ReadMemStatsSlow_test = 14,
	PageCachePagesLeaked_test = 15,
	ResetDebugLog_test = 16,
};

enum gj_stw_phase {
	stopping = 0, /* from the request until nothing runs */
	stopped = 1,  /* until it is to go on: what it was stopped for */
	starting = 2, /* until threads are woken; the runtime counts it to the pause */
};

/* Key of `stw`; values are struct gj_hist, one count a stop in each phase. */
struct gj_stw_key {
	__u32 tgid;
	enum gj_stw_reason reason;
	enum gj_stw_phase phase;
};

/* Of one process; times by CLOCK_MONOTONIC in ns, 0: not yet. */
struct gj_gc {
	__u64 cycles;              /* that have ended marking, as MemStats.NumGC counts */
	__u64 mark_begin_ns;       /* of the last one */
	__u64 mark_end_ns;
	__u64 sweep_begin_ns;
	__u64 sweep_end_ns;
	struct gj_hist mark;       /* write barriers are on: until mark termination */
};

/* Key of `mark_assist`. */
struct gj_assist_key {
	__u32 tgid;
	enum gj_func func; /* that the goroutine was started with */
};

_Static_assert(sizeof(struct gj_stw_key) == 12, "no padding");
_Static_assert(sizeof(struct gj_gc) == 40 + sizeof(struct gj_hist), "no padding");

#endif
