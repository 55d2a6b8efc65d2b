/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Features of `gojitter trace` and the places in a Go program that each needs
 * hooked: tables by release (src/probe/hooks_*.c), planned for one binary.
 */
#ifndef GJ_PROBE_FEATURE_H
#define GJ_PROBE_FEATURE_H

#include "probe/probe.h"

/* One question answered; an object of BPF programs each (bpf/NAME.bpf.c). */
enum gj_feature {
	GJ_FEATURE_THREADS,    /* bpf/threads.bpf.c: run queue and off-CPU time; no hook in the target */
	GJ_FEATURE_TCP,        /* bpf/tcp.bpf.c: retransmits; no hook */
	GJ_FEATURE_CENSUS,     /* bpf/census.bpf.c: every goroutine's state, read by an iterator; no hook */
	GJ_FEATURE_SAMPLES,    /* bpf/samples.bpf.c: stacks on CPU, by a timer; no hook */
	GJ_FEATURE_GC,         /* bpf/gc.bpf.c */
	GJ_FEATURE_ALLOC,      /* bpf/alloc.bpf.c */
	GJ_FEATURE_NETPOLL,    /* bpf/netpoll.bpf.c */
	GJ_FEATURE_GOROUTINES, /* bpf/goroutines.bpf.c: lifecycle, scheduling latency, blocked time */
	GJ_FEATURE_SYSCALLS,   /* bpf/syscalls.bpf.c */
	GJ_FEATURE_CNT,
};

/* What a feature costs to leave on. */
enum gj_tier {
	GJ_TIER_ALWAYS = 1, /* nothing hooked in the target */
	GJ_TIER_RARE,       /* rare events */
	GJ_TIER_SWITCH,     /* every switch of goroutines; only when asked for */
};

enum gj_hook_at {
	GJ_HOOK_ENTRY,  /* once a call, arguments intact */
	GJ_HOOK_RETURN, /* every RET of the function: results are in registers, the frame is gone */
	GJ_HOOK_CALL,   /* where the function calls @callee; cheap, as the kernel emulates calls */
	GJ_HOOK_CALLED, /* close behind that call: cheaper than RET, results are not to be had */
};

/* A row of a feature's table. Where a function differs by release it has a row for each. */
struct gj_hook_spec {
	const char *program;  /* BPF program's name in the feature's object */
	const char *function; /* as .gopclntab names it: "runtime.execute" */
	const char *callee;   /* of GJ_HOOK_CALL, GJ_HOOK_CALLED; NULL */
	uint8_t first_minor, last_minor; /* of Go 1.N; 0: no end */
	enum gj_hook_at at;
	unsigned int needed_args; /* GJ_ARG_* */
	bool is_optional;     /* without it the feature goes on, and says what it @loses */
	const char *loses;    /* what cannot be told without it */
};

/* Where one row's program goes in one binary. */
struct gj_hook {
	const struct gj_hook_spec *spec;
	struct gj_probe_plan *plans; /* owned by the feature's plan; one for each place */
	unsigned int plan_cnt;
};

/* What one feature needs in one binary. */
struct gj_feature_plan {
	enum gj_feature feature;
	struct gj_hook *hooks; /* owned */
	unsigned int hook_cnt;
	int err;               /* 0, or why the feature cannot be had: -EOPNOTSUPP, ... */
	char reason[256];      /* of @err, or what is lost without optional hooks; "" */
};

const char *gj_feature_name(enum gj_feature feature); /* "gc": of --what, of doctor, of bpf/NAME.bpf.c */
/* -ENOENT: no such feature. */
int gj_feature_find(const char *name, size_t name_bytes, enum gj_feature *feature_out);
enum gj_tier gj_feature_tier(enum gj_feature feature);
/* What one that hooks nothing costs, in words; NULL: nothing that is not counted by events. */
const char *gj_feature_cost(enum gj_feature feature);
/* Its rows; none for features without hooks. Static. */
const struct gj_hook_spec *gj_feature_specs(enum gj_feature feature, unsigned int *cnt_out);

/*
 * gj_feature_plan - find the places a feature needs in one binary
 * @image, @gotab: of the same file
 *
 * Returns 0 also when the feature cannot be had there (@plan_out->err and its
 * reason); -ENOMEM. The plan is the caller's until gj_feature_plan_deinit.
 */
int gj_feature_plan(const struct gj_image *image, const struct gj_gotab *gotab,
		    enum gj_feature feature, struct gj_feature_plan *plan_out);
void gj_feature_plan_deinit(struct gj_feature_plan *plan);

/* Tables of single features; of src/probe only. */
extern const struct gj_hook_spec gj_hooks_goroutines[], gj_hooks_gc[], gj_hooks_alloc[],
	gj_hooks_netpoll[], gj_hooks_syscalls[];
extern const unsigned int gj_hooks_goroutines_cnt, gj_hooks_gc_cnt, gj_hooks_alloc_cnt,
	gj_hooks_netpoll_cnt, gj_hooks_syscalls_cnt;

#endif
