/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Samples of CPU time (bpf/samples.bpf.c, docs/trace.md): which stacks were seen on
 * a processor, by functions and, beside that, by exact addresses.
 */
#ifndef GJ_TRACE_SAMPLES_H
#define GJ_TRACE_SAMPLES_H

#include "gj_trace.h"

/* How a stack ends: enum gj_profile_end as people read it. */
enum gj_samples_end {
	whole = GJ_PROF_COMPLETE,
	cut_no_bytes = GJ_PROF_CUT_NO_BYTES,
	cut_bounds = GJ_PROF_CUT_BOUNDS,
	cut_not_up = GJ_PROF_CUT_NOT_UP,
	cut_no_image = GJ_PROF_CUT_NO_IMAGE, /* also code mapped after the start */
	cut_no_table = GJ_PROF_CUT_NO_TABLE,
	cut_no_rule = GJ_PROF_CUT_NO_RULE,
	cut_undefined = GJ_PROF_CUT_UNDEFINED,
	cut_no_runtime = GJ_PROF_CUT_NO_RUNTIME,
	cut_switching = GJ_PROF_CUT_SWITCHING,
	cut_limit = GJ_PROF_CUT_LIMIT,
	whole_with_gap = 16, /* to the first frame, but functions may be missing in between */
};

/* Key of `samples`. */
struct gj_samples_key {
	__u64 stack; /* hash of its functions, of all frames */
	__u32 tgid;
	enum gj_func start; /* of the goroutine; unknown_function: the thread works for none */
};

#define GJ_SAMPLES_FRAMES 32

/* Value of `samples`: a stack of functions. Inlined ones are part of those they are inlined in. */
struct gj_samples {
	__u64 count;    /* samples */
	__u64 kernel;   /* of them in the kernel, on behalf of the innermost function */
	enum gj_samples_end end;
	__u32 frame_cnt; /* of the stack, which may have more than are shown */
	enum gj_func frames[GJ_SAMPLES_FRAMES]; /* innermost first; the first frame_cnt */
};

/* Key of `samples_lines`: of the stacks of one `samples` entry, that with these addresses. */
struct gj_samples_lines_key {
	struct gj_samples_key of;
	__u64 addresses; /* hash */
};

/* Value of `samples_lines`: the same samples once more, by address. */
struct gj_samples_lines {
	__u64 count, kernel; /* as in struct gj_samples */
	__u64 bias;          /* run-time less link-time addresses of the Go program */
	__u64 vdso;          /* where the process has the vdso: addresses are this process' only */
	enum gj_samples_end end;
	__u32 frame_cnt;
	__u64 frames[GJ_PROFILE_USER]; /* return addresses but the first */
};

/* Value of `samples_processes`: what the unwinder knows of a process. */
struct gj_samples_process {
	struct gj_goruntime runtime;
	__u64 vdso; /* of the process it is for; one that has called exec has another */
	struct gj_unwind_target target;
};

#define GJ_SAMPLES_RANGES 8 /* of a program's own code */
#define GJ_SAMPLES_PATH 256

/* Value of `samples_programs`, by the program's number: what processes to come begin with. */
struct gj_samples_program {
	struct gj_goruntime runtime;
	struct gj_unwind_target target; /* link-time addresses */
	struct gj_unwind_range vdso;    /* from the vdso's start; size 0: not known */
	__u32 range_cnt;                /* 0: only processes that were there at the start */
	__u32 dev;                      /* of the file, as stat(2) has it: major << 20 | minor */
	__u32 first_function, function_cnt; /* of samples_functions */
	__u64 ino;
	char path[GJ_SAMPLES_PATH];     /* as the loader found it; "" when longer */
};

/* Value of `samples_info`. */
struct gj_samples_info {
	__u64 begin_ns; /* CLOCK_MONOTONIC */
	__u32 hz;       /* samples a second and processor */
	__u32 reserved;
	/*
	 * By how stacks end. lost_stack: `samples` was full; lost_count: `samples_lines` was,
	 * and the sample is in `samples` alone.
	 */
	struct gj_profile_sums sums;
	/* Samples of a process of whose code nothing is known, or without room in
	 * `samples_processes`; in none of the above. */
	__u64 lost_process;
};

_Static_assert(sizeof(struct gj_samples_key) == 16, "shared with dashboards");
_Static_assert(sizeof(struct gj_samples) == 24 + 4 * GJ_SAMPLES_FRAMES, "shared with dashboards");
_Static_assert(sizeof(struct gj_samples_lines) == 40 + 8 * GJ_PROFILE_USER, "shared with dashboards");

#endif
