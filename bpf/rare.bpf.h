/* SPDX-License-Identifier: GPL-2.0 */
/* What objects share that count: who is the current thread, entries that come to be. */
#ifndef GJ_RARE_BPF_H
#define GJ_RARE_BPF_H

#include <linux/ptrace.h>

#include "trace.bpf.h"

/* A thread, or with an address a goroutine, of one process. */
struct gj_doer {
	__u32 tgid;
	__u32 tid; /* 0: of @g */
	__u64 g;   /* address of its g; 0: of @tid */
};

/* The kernel's own names, to be relocated. */
struct pt_regs___kernel {
	unsigned long orig_ax, sp;
} GJ_KERNEL_TYPE;

#define GJ_SYS_FUTEX 202
#define GJ_SYS_EPOLL_WAIT 232
#define GJ_SYS_EPOLL_PWAIT 281

/*
 * Number of the syscall whose registers a raw_syscalls tracepoint (tp_btf) has as its first
 * argument. Asked at every syscall of the machine, so it is read in place, not by a call.
 */
static __always_inline int gj_syscall_of(__u64 regs)
{
	return (int)((struct pt_regs___kernel *)regs)->orig_ax;
}

/* The loader's pid namespace is this object's, too. */
SEC("syscall")
int gj_begin(void *ctx __attribute__((unused)))
{
	gj_pid_begin((void *)bpf_get_current_task());
	return 0;
}

/* What new histograms begin with. */
static const struct gj_hist gj_no_hist;

static __always_inline struct gj_doer gj_this_thread(void)
{
	__u64 pid_tid = gj_current_pid_tid((void *)bpf_get_current_task());
	struct gj_doer doer = { .tgid = pid_tid >> 32, .tid = (__u32)pid_tid };

	return doer;
}

/* The entry of @key, made of @empty when there is none. NULL: no room, which is counted. */
static __always_inline void *gj_get(void *map, const void *key, const void *empty)
{
	void *value = bpf_map_lookup_elem(map, key);

	if (value)
		return value;
	/* Another CPU may be quicker; then it is there. */
	bpf_map_update_elem(map, key, empty, BPF_NOEXIST);
	value = bpf_map_lookup_elem(map, key);
	if (!value)
		gj_drop(drop_map_full);
	return value;
}

static __always_inline void gj_count_ns(void *map, const void *key, __u64 ns)
{
	struct gj_hist *hist = gj_get(map, key, &gj_no_hist);

	if (hist)
		gj_hist_add(hist, ns);
}

/* Programs at uprobes may be preempted by others on their CPU. */
static __always_inline void gj_add(__u64 *sum, __u64 value)
{
	__sync_fetch_and_add(sum, value);
}

/* Notes a beginning; what cannot be noted is counted, now and when its end comes. */
static __always_inline void gj_begin_at(void *map, const void *key, const void *state)
{
	if (bpf_map_update_elem(map, key, state, BPF_ANY))
		gj_drop(drop_map_full);
}

#endif
