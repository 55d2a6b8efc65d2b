/* SPDX-License-Identifier: GPL-2.0 */
/* Maps of bpf/netpoll.bpf.c. docs/trace-runtime.md. */
#ifndef GJ_TRACE_NETPOLL_H
#define GJ_TRACE_NETPOLL_H

#include "gj_trace.h"

/* Of runtime.netpoll's delay. */
enum gj_poll_kind {
	non_blocking = 0, /* 0 */
	timed = 1,        /* until a timer is due */
	blocking = 2,     /* below 0: until something happens */
};

/* Key of `netpoll`. */
struct gj_netpoll_key {
	__u32 tgid;
	enum gj_poll_kind kind;
};

struct gj_netpoll {
	__u64 calls;
	__u64 empty;         /* epoll_pwait(2) gave no event */
	__u64 interrupted;   /* a signal ended it; what does not wait for a timer waits again */
	__u64 events;        /* of descriptors, and of the runtime's own to wake it */
	struct gj_hist delay;  /* asked for, where timed */
	struct gj_hist inside; /* from the call until the kernel had an answer */
};

/* Value of `netpoll_storm`, by process: polls that neither wait nor find anything. */
struct gj_netpoll_storm {
	__u64 second;           /* of CLOCK_MONOTONIC, being counted */
	__u64 empty_cnt;        /* in it */
	__u64 max_empty_cnt;    /* of all seconds */
	__u64 max_second;       /* when that was */
};

_Static_assert(sizeof(struct gj_netpoll) == 32 + 2 * sizeof(struct gj_hist), "no padding");

#endif
