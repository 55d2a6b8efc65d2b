/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Maps of the feature `census` of `gojitter trace`: every goroutine of a process
 * as it was when the iterator `census` was last read. docs/trace-census.md.
 */
#ifndef GJ_TRACE_CENSUS_H
#define GJ_TRACE_CENSUS_H

#include "gj_trace.h"

#define GJ_CENSUS_PCS 32
#define GJ_REASONS 64     /* more than any release has */
#define GJ_REASON_BYTES 32

/* Key of `census_goroutines`. Goroutine numbers are never used again, a g is. */
struct gj_census_key {
	__u32 tgid;
	__u32 reserved; /* 0 */
	__u64 goid;
};

/* Value of `census_goroutines`. Times are CLOCK_MONOTONIC in ns, addresses of code link-time ones. */
struct gj_census_goroutine {
	enum gj_g_status status;
	enum gj_wait_reason reason; /* while it waits; else no_reason */
	enum gj_func func;          /* that it was started with */
	__u32 depth;                /* of pc; 0: nothing of its stack was to be had */
	__u8 is_cut;                /* pc does not reach the goroutine's first function */
	__u8 is_torn;               /* it ran on whenever it was read: status and reason of one moment, no stack */
	__u8 is_busy;               /* only marked as waiting, for the collector or the tracer; its work goes on */
	__u8 reserved[5];           /* 0 */
	__u64 waiting_since;        /* the runtime's: the end of the GC before the one that found it waiting; 0: none did */
	__u64 same_since_ns;        /* first of the passes in a row that found it like this: status, reason, stack */
	__u64 seen_ns;              /* when the pass over its process began */
	__u64 g;                    /* address of its g */
	__u64 parent;               /* goid of who created it; 0: none, or not known (up to Go 1.20) */
	__u64 gopc;                 /* behind the go statement */
	__u64 pc[GJ_CENSUS_PCS];    /* innermost first: where it goes on, then return addresses */
};

/* Key of `census_counts`. */
struct gj_census_count_key {
	__u32 tgid;
	enum gj_g_status status;
	enum gj_wait_reason reason;
	enum gj_func func;
};

/* Value of `census_counts`. */
struct gj_census_count {
	__u64 number;   /* of goroutines, of the last pass that has ended */
	__u64 counting; /* of the pass that began at seen_ns */
	__u64 seen_ns;
};

/* Value of `census_passes`, by tgid: the last pass over a process. */
struct gj_census_pass {
	__u64 seen_ns;    /* when it began */
	__u64 took_ns;
	__u64 goroutines; /* that were told */
	__u64 torn;       /* of those: ran on whenever they were read */
	__u64 busy;       /* of those: only marked as waiting */
	__u64 cut;        /* of those, without torn, busy and running ones: stack not down to its first function */
	__u64 unreadable; /* not told */
	__u64 slots;      /* of runtime.allgs, with those of ended goroutines */
	__u64 is_whole;   /* 0: the process ended meanwhile, or its memory could not be read */
};

/* Value of `census_programs`, by number of the program: its functions, link-time; 0: not known. */
struct gj_census_range {
	__u64 begin_va, end_va;
};
#define GJ_CENSUS_INJECTED 3

struct gj_census_program {
	__u64 mcall_va;
	__u64 morestack_va, morestack_noctxt_va;
	__u64 goexit_va;
	__u64 cgocall_va, asmcgocall_va;
	/* Functions that a signal has put on the stack: what called the function below may have no frame. */
	struct gj_census_range injected[GJ_CENSUS_INJECTED];
};

/* Key of `reason_names`; the value is the runtime's text of GJ_REASON_BYTES, ended by 0. */
struct gj_reason_key {
	__u32 go_minor;
	__u32 reason;
};

/* The same of one release, by reason; empty: there is none. */
struct gj_reasons {
	char texts[GJ_REASONS][GJ_REASON_BYTES];
};

_Static_assert(sizeof(struct gj_census_goroutine) == 72 + 8 * GJ_CENSUS_PCS, "shared with dashboards");
_Static_assert(sizeof(struct gj_census_count_key) == 16, "shared with dashboards");
_Static_assert(sizeof(struct gj_census_pass) == 72, "shared with dashboards");
_Static_assert(sizeof(struct gj_census_program) == 48 + 16 * GJ_CENSUS_INJECTED, "shared with the loader");

#endif
