/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the garbage collector does to a program: how often and how long it marks,
 * stops the world (by reason and phase), makes goroutines help, sweeps.
 *
 * Places: src/probe/hooks_gc.c. A program has one cycle and one stop at a time
 * (Go src/runtime/mgc.go work.startSema, proc.go worldsema), so their state is
 * the process'.
 */
#include <linux/bpf.h>

#include "rare.bpf.h"
#include "events.bpf.h"

#include "gj_trace_gc.h"

char LICENSE[] SEC("license") = "GPL";

/* stopTheWorldWithSema takes its reason from here on. */
#define FIRST_MINOR_STW_REASON 21

/* A stop that goes on. */
struct stop {
	__u64 asked_ns, stopped_ns, start_ns;
	__u32 reason;
	__u32 reserved;
};

struct assist {
	__u64 begin_ns;
	__u32 func;
	__u32 inner_cnt; /* marking may end in an assist, which allocates, which assists */
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 4096);
	__type(key, struct gj_stw_key);
	__type(value, struct gj_hist);
} stw SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1024);
	__type(key, __u32);
	__type(value, struct gj_gc);
} gc SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 4096);
	__type(key, struct gj_assist_key);
	__type(value, struct gj_hist);
} mark_assist SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1024);
	__type(key, __u32);
	__type(value, struct gj_hist);
} sweep SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, __u32);
	__type(value, struct stop);
} gc_stops SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16384);
	__type(key, struct gj_doer);
	__type(value, struct assist);
} gc_assists SEC(".maps");

static const struct gj_gc no_gc;

/* runtime.stopTheWorldWithSema(reason) begins. */
SEC("uprobe")
int gj_on_stw_stop(struct pt_regs *ctx)
{
	const struct gj_trace_target *target;
	struct stop stop = { .asked_ns = bpf_ktime_get_ns() };
	__u32 tgid;

	gj_own_stack(ctx);
	target = gj_target(&tgid);
	if (!target)
		return 0;
	if (target->go_minor >= FIRST_MINOR_STW_REASON)
		stop.reason = ctx->rax & 0xff;
	gj_begin_at(&gc_stops, &tgid, &stop);
	if (gj_tells(stw_stopping))
		gj_tell_span(ctx, stw_stopping, target, stop.asked_ns, stop.reason, 0);
	return 0;
}

/* It returns. */
SEC("uprobe")
int gj_on_stw_stopped(struct pt_regs *ctx)
{
	const struct gj_trace_target *target;
	__u64 now_ns = bpf_ktime_get_ns();
	struct stop *stop;
	__u32 tgid;

	gj_own_stack(ctx);
	target = gj_target(&tgid);
	if (!target)
		return 0;
	stop = bpf_map_lookup_elem(&gc_stops, &tgid);
	if (!stop) {
		gj_drop(drop_no_start);
		return 0;
	}
	stop->stopped_ns = now_ns;
	if (gj_tells(stw_stopped))
		gj_tell_span(ctx, stw_stopped, target, now_ns, stop->reason, now_ns - stop->asked_ns);
	return 0;
}

/* runtime.startTheWorldWithSema begins. */
SEC("uprobe")
int gj_on_stw_start(struct pt_regs *ctx)
{
	const struct gj_trace_target *target;
	__u64 now_ns = bpf_ktime_get_ns();
	struct stop *stop;
	__u32 tgid;

	gj_own_stack(ctx);
	target = gj_target(&tgid);
	if (!target)
		return 0;
	stop = bpf_map_lookup_elem(&gc_stops, &tgid);
	if (!stop || !stop->stopped_ns) {
		gj_drop(drop_no_start);
		return 0;
	}
	stop->start_ns = now_ns;
	if (gj_tells(stw_starting))
		gj_tell_span(ctx, stw_starting, target, now_ns, stop->reason,
			     now_ns - stop->stopped_ns);
	return 0;
}

/* It returns: all phases are known, and what the stop was for. */
SEC("uprobe")
int gj_on_stw_started(struct pt_regs *ctx)
{
	const struct gj_trace_target *target;
	__u64 now_ns = bpf_ktime_get_ns();
	struct gj_stw_key key = { 0 };
	struct stop *stop;

	gj_own_stack(ctx);
	target = gj_target(&key.tgid);
	if (!target)
		return 0;
	stop = bpf_map_lookup_elem(&gc_stops, &key.tgid);
	if (!stop || !stop->start_ns) {
		gj_drop(drop_no_start);
		return 0;
	}
	key.reason = stop->reason;
	key.phase = stopping;
	gj_count_ns(&stw, &key, stop->stopped_ns - stop->asked_ns);
	key.phase = stopped;
	gj_count_ns(&stw, &key, stop->start_ns - stop->stopped_ns);
	key.phase = starting;
	gj_count_ns(&stw, &key, now_ns - stop->start_ns);
	if (gj_tells(stw_started))
		gj_tell_span(ctx, stw_started, target, now_ns, stop->reason, now_ns - stop->start_ns);
	bpf_map_delete_elem(&gc_stops, &key.tgid);
	return 0;
}

/* Releases that do not tell: what happens during the stop does. */
static __always_inline void tell_reason(__u32 tgid, __u32 reason)
{
	struct stop *stop = bpf_map_lookup_elem(&gc_stops, &tgid);

	if (stop && stop->reason == unknown_reason)
		stop->reason = reason;
}

static __always_inline void end_sweep(void *ctx, const struct gj_trace_target *target, __u32 tgid,
				      struct gj_gc *cycle, __u64 now_ns)
{
	if (!cycle->sweep_begin_ns || cycle->sweep_end_ns > cycle->sweep_begin_ns)
		return;
	cycle->sweep_end_ns = now_ns;
	gj_count_ns(&sweep, &tgid, now_ns - cycle->sweep_begin_ns);
	if (gj_tells(gc_swept))
		gj_tell_span(ctx, gc_swept, target, now_ns, 0, now_ns - cycle->sweep_begin_ns);
}

/* (*gcControllerState).startCycle: the world is stopped, write barriers come next. */
SEC("uprobe")
int gj_on_gc_start(struct pt_regs *ctx)
{
	const struct gj_trace_target *target;
	__u64 now_ns = bpf_ktime_get_ns();
	struct gj_gc *cycle;
	__u32 tgid;

	gj_own_stack(ctx);
	target = gj_target(&tgid);
	if (!target)
		return 0;
	if (gj_tells(gc_mark_begin))
		gj_tell_span(ctx, gc_mark_begin, target, now_ns, 0, 0);
	tell_reason(tgid, GC_sweep_termination);
	cycle = gj_get(&gc, &tgid, &no_gc);
	if (!cycle)
		return 0;
	/* What was left of the last cycle's sweeping was done before the stop. */
	end_sweep(ctx, target, tgid, cycle, now_ns);
	cycle->mark_begin_ns = now_ns;
	return 0;
}

/* runtime.gcMarkTermination: marking is over; sweeping begins before the world goes on. */
SEC("uprobe")
int gj_on_mark_done(struct pt_regs *ctx)
{
	const struct gj_trace_target *target;
	__u64 now_ns = bpf_ktime_get_ns();
	struct gj_gc *cycle;
	__u32 tgid;

	gj_own_stack(ctx);
	target = gj_target(&tgid);
	if (!target)
		return 0;
	tell_reason(tgid, GC_mark_termination);
	cycle = gj_get(&gc, &tgid, &no_gc);
	if (!cycle)
		return 0;
	cycle->cycles++;
	if (gj_tells(gc_mark_end))
		gj_tell_span(ctx, gc_mark_end, target, now_ns, 0,
			     cycle->mark_begin_ns > cycle->mark_end_ns ?
				     now_ns - cycle->mark_begin_ns : 0);
	if (cycle->mark_begin_ns > cycle->mark_end_ns)
		gj_hist_add(&cycle->mark, now_ns - cycle->mark_begin_ns);
	else
		gj_drop(drop_no_start);
	cycle->mark_end_ns = now_ns;
	cycle->sweep_begin_ns = now_ns;
	return 0;
}

/* The sweeper (runtime.bgsweep) is about to park: all is swept. Also parks when it is created. */
SEC("uprobe")
int gj_on_swept(struct pt_regs *ctx)
{
	const struct gj_trace_target *target;
	__u64 now_ns = bpf_ktime_get_ns();
	struct gj_gc *cycle;
	__u32 tgid;

	gj_own_stack(ctx);
	target = gj_target(&tgid);
	if (!target)
		return 0;
	cycle = bpf_map_lookup_elem(&gc, &tgid);
	if (cycle)
		end_sweep(ctx, target, tgid, cycle, now_ns);
	return 0;
}

/* runtime.gcAssistAlloc(gp) begins; it may park, and end on another thread. */
SEC("uprobe")
int gj_on_assist(struct pt_regs *ctx)
{
	const struct gj_trace_target *target;
	struct assist assist = { .begin_ns = bpf_ktime_get_ns() };
	struct gj_doer doer = { .g = ctx->r14 };
	struct assist *outer;
	__u64 startpc = 0;

	gj_own_stack(ctx);
	target = gj_target(&doer.tgid);
	if (!target)
		return 0;
	outer = bpf_map_lookup_elem(&gc_assists, &doer);
	if (outer) {
		outer->inner_cnt++;
		return 0;
	}
	if (gj_user_u64(ctx->rax, target->g_startpc, &startpc))
		assist.func = gj_func_of(target, startpc);
	gj_begin_at(&gc_assists, &doer, &assist);
	return 0;
}

SEC("uprobe")
int gj_on_assist_end(struct pt_regs *ctx)
{
	const struct gj_trace_target *target;
	__u64 now_ns = bpf_ktime_get_ns();
	struct gj_doer doer = { .g = ctx->r14 };
	struct gj_assist_key key = { 0 };
	struct assist *assist;

	gj_own_stack(ctx);
	target = gj_target(&doer.tgid);
	if (!target)
		return 0;
	assist = bpf_map_lookup_elem(&gc_assists, &doer);
	if (!assist) {
		gj_drop(drop_no_start);
		return 0;
	}
	if (assist->inner_cnt) {
		assist->inner_cnt--;
		return 0;
	}
	key.tgid = doer.tgid;
	key.func = assist->func;
	gj_count_ns(&mark_assist, &key, now_ns - assist->begin_ns);
	if (gj_tells(gc_assist))
		gj_tell_span(ctx, gc_assist, target, now_ns, 0, now_ns - assist->begin_ns);
	bpf_map_delete_elem(&gc_assists, &doer);
	return 0;
}
