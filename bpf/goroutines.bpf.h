/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Maps of bpf/goroutines.bpf.c and how they are added to. To be included once, behind
 * <linux/bpf.h> and <linux/ptrace.h>.
 */
#ifndef GJ_GOROUTINES_BPF_H
#define GJ_GOROUTINES_BPF_H

#include "events.bpf.h"

#include "gj_trace_goroutines.h"

/* Of Go src/runtime/proc.go: newproc1 takes the goid before it sets the status. */
#define FIRST_MINOR_GOID_FIRST 24
/* entersyscall and exitsyscall change the status without casgstatus. */
#define FIRST_MINOR_QUIET_SYSCALLS 26

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 262144);
	__type(key, struct gj_goroutine_key);
	__type(value, struct gj_goroutine);
} goroutines SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 4096);
	__type(key, struct gj_goroutine_func_key);
	__type(value, struct gj_hist);
} sched_latency SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 8192);
	__type(key, struct gj_blocked_key);
	__type(value, struct gj_hist);
} blocked SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 4096);
	__type(key, struct gj_goroutine_func_key);
	__type(value, struct gj_long_run);
} long_runs SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1024);
	__type(key, __u32);
	__type(value, struct gj_goroutine_counts);
} goroutine_counts SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 16384);
	__type(key, struct gj_waker_key);
	__type(value, __u64);
} wakers SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 16384);
	__type(key, struct gj_blocked_stack_key);
	__type(value, struct gj_blocked_stack);
} blocked_stacks SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 16384);
	__type(key, struct gj_waker_stack_key);
	__type(value, struct gj_waker_stack);
} waker_stacks SEC(".maps");

/* A g of one process' life. */
struct g_key {
	__u64 g;
	__u32 tgid;
	__u32 generation; /* of its target */
};

/*
 * goid by g, which a goroutine has from its first event to its end: a look here takes a
 * fifth of the time that reading it takes. What has no room is read again.
 */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 65536);
	__type(key, struct g_key);
	__type(value, __u64);
} goids SEC(".maps");

/* What a thread runs, as last seen; by pid_tid. */
struct running {
	__u64 g, m, g0; /* m, g0: 0 until they were read */
	enum gj_func func;
	__u32 reserved; /* 0 */
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 32768);
	__type(key, __u64);
	__type(value, struct running);
} running SEC(".maps");

/* What new entries begin with; BPF's stack has no room for them. */
static const struct gj_hist no_hist;
static const struct gj_goroutine_counts no_counts;
static const struct gj_long_run no_run;

struct task_struct___switches {
	unsigned long nvcsw;
} GJ_KERNEL_TYPE;

/* Where a goroutine goes on (g.sched), and its stack. */
struct place {
	__u64 lo, hi, pc, sp, bp;
	__u64 bias;    /* of its program */
	__u64 pid_tid; /* of the thread that asks */
};

/* A change of status that is about to happen. */
struct move {
	void *ctx;
	const struct gj_trace_target *target;
	struct gj_goroutine_counts *counts;
	struct gj_goroutine_key key;
	__u64 g;
	__u64 current_g; /* R14: g of the thread that makes the change */
	__u64 now_ns;
	struct place at; /* @has_head; @at.pid_tid is of that thread, in the loader's namespace */
	__u32 old, new;
	__u32 reason;         /* when it begins to wait */
	__u8 why;             /* @has_head: g.waitreason, which may be an old one */
	_Bool has_head;       /* the head of its g was read */
	_Bool is_preempted;   /* when it is taken off: by request */
	_Bool was_in_syscall; /* when it is taken off: it comes out of one, and has no P */
};

/* Also in per-CPU values: a program in a uprobe may be preempted by another on its CPU. */
static __always_inline void add_one(__u64 *cnt)
{
	__sync_fetch_and_add(cnt, 1);
}

static __always_inline void add_to_hist(void *map, const void *key, __u64 ns)
{
	struct gj_hist *hist = bpf_map_lookup_elem(map, key);

	if (!hist) {
		/* Another CPU may be quicker; then it is there all the same. */
		bpf_map_update_elem(map, key, &no_hist, BPF_NOEXIST);
		hist = bpf_map_lookup_elem(map, key);
	}
	if (hist)
		gj_hist_add(hist, ns);
	else
		gj_drop(drop_map_full);
}

static __always_inline struct gj_goroutine_counts *counts_of(__u32 tgid)
{
	struct gj_goroutine_counts *counts = bpf_map_lookup_elem(&goroutine_counts, &tgid);

	if (counts)
		return counts;
	bpf_map_update_elem(&goroutine_counts, &tgid, &no_counts, BPF_NOEXIST);
	counts = bpf_map_lookup_elem(&goroutine_counts, &tgid);
	if (!counts)
		gj_drop(drop_map_full);
	return counts;
}

#define GOROUTINE_EVENTS                                                                       \
	(GJ_EVENT_BIT(goroutine_created) | GJ_EVENT_BIT(goroutine_runnable) |                  \
	 GJ_EVENT_BIT(goroutine_running) | GJ_EVENT_BIT(goroutine_waiting) |                   \
	 GJ_EVENT_BIT(goroutine_syscall) | GJ_EVENT_BIT(goroutine_dead))

/* Tells @move as an event; @other_goid, @at: struct gj_event_goroutine. */
static __always_inline void tell_move(const struct move *move, __u32 kind,
				      const struct gj_goroutine *goroutine, __u32 reason,
				      __u64 other_goid, __u64 at)
{
	struct gj_event event = {
		.time_ns = move->now_ns, .goid = move->key.goid, .kind = kind,
		.goroutine = { .from = move->old, .to = move->new, .reason = reason,
			       .other_goid = other_goid, .at = at },
	};

	if (!gj_tells_any(GOROUTINE_EVENTS) || !(gj_event_mask >> kind & 1))
		return;
	event.program = move->target->program;
	event.func = goroutine ? goroutine->func : unknown_function;
	gj_tell(move->ctx, &event);
}

static __always_inline __u32 kind_of(__u32 status)
{
	switch (status) {
	case g_runnable: return goroutine_runnable;
	case g_running: return goroutine_running;
	case g_syscall: return goroutine_syscall;
	default: return goroutine_waiting;
	}
}

/* The thread's switches by its own will: blocking in a syscall, a page from disk. */
static __always_inline __u64 thread_switches(void)
{
	/* Read as it is; by way of bpf_probe_read_kernel it takes ten times as long. */
	struct task_struct___switches *task = (void *)bpf_get_current_task_btf();

	return task->nvcsw;
}

#endif
