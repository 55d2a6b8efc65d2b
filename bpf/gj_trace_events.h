/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Events of `gojitter trace --events`: what goes through the ring buffer `events`,
 * and the numbers that stand in the file (docs/events.md). Numbers are only added.
 */
#ifndef GJ_TRACE_EVENTS_H
#define GJ_TRACE_EVENTS_H

#include "gj_trace.h"

/* What happened; its names are those of --events and of `gojitter events`. */
enum gj_event_kind {
	events_lost = 0, /* never in the buffer: the reader's, count_ns counts */
	goroutine_created = 1,
	goroutine_runnable = 2,
	goroutine_running = 3,
	goroutine_waiting = 4,
	goroutine_syscall = 5, /* up to Go 1.25 */
	goroutine_dead = 6,
	stw_stopping = 7,
	stw_stopped = 8,
	stw_starting = 9,
	stw_started = 10,
	gc_mark_begin = 11,
	gc_mark_end = 12,
	gc_swept = 13,
	gc_assist = 14,
	syscall_returned = 15,
	syscall_got_p = 16,
	netpoll_stormed = 17,
	thread_runnable = 18,
	thread_running = 19,
	thread_off = 20,
	tcp_retransmitted = 21,
	GJ_EVENT_KIND_CNT,
};

#define GJ_EVENT_BIT(kind) (1ull << (kind))

/*
 * Of the kinds goroutine_*. @at of goroutine_created: link-time address behind the
 * go statement; of goroutine_waiting: key of `blocked_stacks`; else 0.
 */
struct gj_event_goroutine {
	__u16 from, to;    /* enum gj_g_status */
	__u32 reason;      /* enum gj_wait_reason: what it waits for; runnable: waited for */
	__u64 other_goid;  /* created: by whom; runnable: who ended the waiting. 0: none, or not known */
	__u64 at;
};

/* Of all the others: something with a number, and how long it took. */
struct gj_event_span {
	__u32 what;        /* stw_*: enum gj_stw_reason; syscall_*: its number; thread_*: enum gj_queued */
	__u32 flags;       /* 0 */
	__u64 count_ns;    /* ns since what began it; events_lost, netpoll_stormed: a count */
	__u64 kernel_ns;   /* of syscall_returned */
};

/* Of tcp_retransmitted: to whoever wrote the socket last (docs/trace-kernel.md). */
struct gj_event_tcp {
	__u16 local_port, remote_port;
	__u8 remote[4];    /* of IPv4, else 0 */
	__u64 segments;
	__u32 rtt_us;      /* smoothed */
	__u32 writers;     /* goroutines that wrote it lately; more than 1: whose it was is not sure */
};

/* One event. Of no goroutine: goid 0. */
struct gj_event {
	__u64 time_ns;     /* CLOCK_MONOTONIC */
	__u32 tgid, tid;   /* who did it; of the recorder's pid namespace */
	__u64 goid;        /* whom it happened to */
	__u32 func;        /* enum gj_func: that goroutine's; 0: not known */
	__u16 cpu;
	__u8 kind;         /* enum gj_event_kind */
	__u8 program;      /* its process': struct gj_trace_target.program */
	union {
		struct gj_event_goroutine goroutine;
		struct gj_event_span span;
		struct gj_event_tcp tcp;
	};
};

/* Empty polls of one second from which on they are a storm. */
#define GJ_STORM_POLLS 1000

_Static_assert(sizeof(struct gj_event_goroutine) == 24, "members are of one size");
_Static_assert(sizeof(struct gj_event_span) == 24, "members are of one size");
_Static_assert(sizeof(struct gj_event_tcp) == 24, "members are of one size");
_Static_assert(sizeof(struct gj_event) == 56, "no padding");

#endif
