/* SPDX-License-Identifier: GPL-2.0 */
/*
 * How a program waits for descriptors and timers: calls of runtime.netpoll by what
 * they were asked to wait, how long they were inside, what they brought.
 *
 * Hooked is its beginning (src/probe/hooks_netpoll.c); the answer is that of the
 * thread's next epoll_wait or epoll_pwait, which netpoll makes exactly once, and
 * again when a signal interrupts one that is not timed (Go
 * src/runtime/netpoll_epoll.go).
 */
#include <linux/bpf.h>

#include "rare.bpf.h"
#include "events.bpf.h"

#include "gj_trace_netpoll.h"

char LICENSE[] SEC("license") = "GPL";

#define NEG_EINTR -4

struct poll {
	__u64 begin_ns;
	__u32 kind;
	__u32 reserved;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 4096);
	__type(key, struct gj_netpoll_key);
	__type(value, struct gj_netpoll);
} netpoll SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1024);
	__type(key, __u32);
	__type(value, struct gj_netpoll_storm);
} netpoll_storm SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16384);
	__type(key, struct gj_doer);
	__type(value, struct poll);
} netpoll_polls SEC(".maps");

static const struct gj_netpoll no_polls;
static const struct gj_netpoll_storm no_storm;

static __always_inline struct gj_netpoll *sums_of(__u32 tgid, __u32 kind)
{
	struct gj_netpoll_key key = { .tgid = tgid, .kind = kind };

	return gj_get(&netpoll, &key, &no_polls);
}

/* runtime.netpoll(delay) begins. */
SEC("uprobe")
int gj_on_netpoll(struct pt_regs *ctx)
{
	struct poll poll = { .begin_ns = bpf_ktime_get_ns() };
	struct gj_doer doer = gj_this_thread();
	__s64 delay_ns = ctx->rax;
	struct gj_netpoll *sums;
	__u32 tgid;

	gj_own_stack(ctx);
	if (!gj_target(&tgid))
		return 0;
	poll.kind = delay_ns < 0 ? blocking : delay_ns ? timed : non_blocking;
	sums = sums_of(tgid, poll.kind);
	if (sums) {
		gj_add(&sums->calls, 1);
		if (poll.kind == timed)
			gj_hist_add(&sums->delay, delay_ns);
	}
	gj_begin_at(&netpoll_polls, &doer, &poll);
	return 0;
}

/* The scheduler's doing, not a goroutine's. Once a second. */
static __always_inline void tell_storm(void *ctx, __u32 tgid, __u64 now_ns)
{
	const struct gj_trace_target *target = bpf_map_lookup_elem(&targets, &tgid);
	struct gj_event event = {
		.time_ns = now_ns, .kind = netpoll_stormed, .span = { .count_ns = GJ_STORM_POLLS },
	};

	if (!target)
		return;
	event.program = target->program;
	gj_tell(ctx, &event);
}

/* One more poll for nothing; two CPUs at the turn of a second may lose one. */
static __always_inline void count_storm(void *ctx, __u32 tgid, __u64 now_ns)
{
	struct gj_netpoll_storm *storm = gj_get(&netpoll_storm, &tgid, &no_storm);
	__u64 second = now_ns / 1000000000;

	if (!storm)
		return;
	if (storm->second != second) {
		storm->second = second;
		storm->empty_cnt = 0;
	}
	gj_add(&storm->empty_cnt, 1);
	if (gj_tells(netpoll_stormed) && storm->empty_cnt == GJ_STORM_POLLS)
		tell_storm(ctx, tgid, now_ns);
	if (storm->empty_cnt > storm->max_empty_cnt) {
		storm->max_empty_cnt = storm->empty_cnt;
		storm->max_second = second;
	}
}

static __always_inline void count_answer(void *ctx, __u32 tgid, const struct poll *poll, __s64 answer)
{
	__u64 now_ns = bpf_ktime_get_ns();
	struct gj_netpoll *sums = sums_of(tgid, poll->kind);

	if (!sums)
		return;
	gj_hist_add(&sums->inside, now_ns - poll->begin_ns);
	if (answer > 0) {
		gj_add(&sums->events, answer);
		return;
	}
	gj_add(&sums->empty, 1);
	if (poll->kind == non_blocking)
		count_storm(ctx, tgid, now_ns);
}

SEC("tp_btf/sys_exit")
int gj_netpoll_sys_exit(__u64 *ctx)
{
	int call = gj_syscall_of(ctx[0]);
	struct gj_doer doer;
	struct gj_netpoll *sums;
	struct poll *poll;

	if (call != GJ_SYS_EPOLL_PWAIT && call != GJ_SYS_EPOLL_WAIT)
		return 0;
	doer = gj_this_thread();
	poll = bpf_map_lookup_elem(&netpoll_polls, &doer);
	if (!poll)
		return 0; /* someone else's */
	if ((__s64)ctx[1] == NEG_EINTR) {
		sums = sums_of(doer.tgid, poll->kind);
		if (sums)
			gj_add(&sums->interrupted, 1);
		if (poll->kind != timed)
			return 0;
	}
	count_answer(ctx, doer.tgid, poll, ctx[1]);
	bpf_map_delete_elem(&netpoll_polls, &doer);
	return 0;
}
