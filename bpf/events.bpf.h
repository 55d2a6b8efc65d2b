/* SPDX-License-Identifier: GPL-2.0 */
/*
 * How programs of `gojitter trace` tell events one by one (gojitter trace --events).
 * Include behind trace.bpf.h, once in an object.
 *
 * The loader writes gj_event_mask before it loads; where a kind's bit is 0 the
 * verifier takes out what stands behind `if (gj_tells(kind))`.
 */
#ifndef GJ_EVENTS_BPF_H
#define GJ_EVENTS_BPF_H

#include "trace.bpf.h"

#include "gj_trace_events.h"

/* Shared by all objects. The loader sets its size, and the type where kernels have no ring buffer. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
} events SEC(".maps");

const volatile __u64 gj_event_mask;
const volatile _Bool gj_events_by_perf; /* `events` is a perf event array */

/* Whether any of @bits is told. */
#define gj_tells_any(bits) (gj_event_mask & (bits))
#define gj_tells(kind) gj_tells_any(GJ_EVENT_BIT(kind))

/* Hands an event to who reads. @ctx: the program's. Without a tgid it is the current thread's. */
static __always_inline void gj_tell(void *ctx, struct gj_event *event)
{
	long err;

	if (!event->tgid) {
		__u64 pid_tid = gj_current_pid_tid((void *)bpf_get_current_task());

		event->tgid = pid_tid >> 32;
		event->tid = (__u32)pid_tid;
	}
	event->cpu = bpf_get_smp_processor_id();
	if (gj_events_by_perf)
		err = bpf_perf_event_output(ctx, &events, BPF_F_CURRENT_CPU, event, sizeof(*event));
	else
		err = bpf_ringbuf_output(&events, event, sizeof(*event), BPF_RB_NO_WAKEUP);
	if (err)
		gj_drop(drop_ring_full);
}

/* Whom it happened to: the goroutine with address @g. */
static __always_inline void gj_event_of(struct gj_event *event, const struct gj_trace_target *target,
					__u64 g)
{
	__u64 startpc = 0;

	event->program = target->program;
	if (!g || !gj_user_u64(g, target->g_goid, &event->goid))
		return;
	gj_user_u64(g, target->g_startpc, &startpc);
	event->func = gj_func_of(target, startpc);
}

/* Something of the current goroutine that has taken @ns by now. */
static __always_inline void gj_tell_span(void *ctx, __u32 kind, const struct gj_trace_target *target,
					 __u64 now_ns, __u32 what, __u64 ns)
{
	struct gj_event event = {
		.time_ns = now_ns, .kind = kind, .span = { .what = what, .count_ns = ns },
	};

	gj_event_of(&event, target, gj_current_g(target));
	gj_tell(ctx, &event);
}

#endif
