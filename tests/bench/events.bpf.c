/* SPDX-License-Identifier: GPL-2.0 */
/* Tells as many events as it is asked for, for tests/bench/events.c. */
#include <linux/bpf.h>

#include "events.bpf.h"

char LICENSE[] SEC("license") = "GPL";

#define MAX_BURST 64

/* Argument: how many. */
SEC("raw_tp")
int burst(__u64 *ctx)
{
	for (int i = 0; i < MAX_BURST && i < ctx[0]; i++) {
		struct gj_event event = { .time_ns = bpf_ktime_get_ns(), .tgid = 1, .tid = 1,
					  .kind = goroutine_running };

		gj_tell(ctx, &event);
	}
	return 0;
}

/* The same through the ring buffer, which wakes its reader when that waits. */
SEC("raw_tp")
int burst_waking(__u64 *ctx)
{
	for (int i = 0; i < MAX_BURST && i < ctx[0]; i++) {
		struct gj_event event = { .time_ns = bpf_ktime_get_ns(), .tgid = 1, .tid = 1,
					  .kind = goroutine_running };

		if (!gj_events_by_perf && bpf_ringbuf_output(&events, &event, sizeof(event), 0))
			gj_drop(drop_ring_full);
	}
	return 0;
}
