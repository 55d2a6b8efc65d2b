/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What allocation costs where a P's cache does not have it: refills by size class,
 * how long they take, what of it waits for locks, spans that the heap gives.
 *
 * Places: src/probe/hooks_alloc.c. A refill does not change its thread (Go
 * src/runtime/malloc.go holds the m), so what goes on is kept by thread. Its span
 * comes from (*mcentral).cacheSpan, and where that has none from grow.
 */
#include <linux/bpf.h>

#include "rare.bpf.h"

#include "gj_trace_alloc.h"

char LICENSE[] SEC("license") = "GPL";

#define PAGE_BYTES 8192 /* Go src/runtime/malloc.go, pageSize */

struct refill {
	__u64 begin_ns;
	__u64 futex_ns; /* when it began to wait; 0: it does not */
	__u32 class;
	__u32 reserved;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 8192);
	__type(key, struct gj_alloc_key);
	__type(value, struct gj_alloc);
} alloc SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16384);
	__type(key, struct gj_doer);
	__type(value, struct refill);
} alloc_refills SEC(".maps");

static const struct gj_alloc no_alloc;

static __always_inline struct gj_alloc *alloc_of(__u32 tgid, __u32 class)
{
	struct gj_alloc_key key = { .tgid = tgid, .class = class };

	return gj_get(&alloc, &key, &no_alloc);
}

/* (*mcache).refill(c, spc) begins. */
SEC("uprobe")
int gj_on_refill(struct pt_regs *ctx)
{
	struct refill refill = { .begin_ns = bpf_ktime_get_ns(), .class = ctx->rbx & 0xff };
	struct gj_doer doer = gj_this_thread();
	struct gj_alloc *sums;
	__u32 tgid;

	gj_own_stack(ctx);
	if (!gj_target(&tgid))
		return 0;
	sums = alloc_of(tgid, refill.class);
	if (sums)
		gj_add(&sums->refills, 1);
	gj_begin_at(&alloc_refills, &doer, &refill);
	return 0;
}

/* It has its span. */
SEC("uprobe")
int gj_on_refill_end(struct pt_regs *ctx)
{
	__u64 now_ns = bpf_ktime_get_ns();
	struct gj_doer doer = gj_this_thread();
	struct refill *refill;
	struct gj_alloc *sums;
	__u32 tgid;

	gj_own_stack(ctx);
	if (!gj_target(&tgid))
		return 0;
	refill = bpf_map_lookup_elem(&alloc_refills, &doer);
	if (!refill) {
		gj_drop(drop_no_start);
		return 0;
	}
	sums = alloc_of(tgid, refill->class);
	if (sums)
		gj_hist_add(&sums->refill, now_ns - refill->begin_ns);
	bpf_map_delete_elem(&alloc_refills, &doer);
	return 0;
}

/* (*mcentral).grow, of a refill. */
SEC("uprobe")
int gj_on_grow(struct pt_regs *ctx)
{
	struct gj_doer doer = gj_this_thread();
	struct refill *refill;
	struct gj_alloc *sums;
	__u32 tgid;

	gj_own_stack(ctx);
	if (!gj_target(&tgid))
		return 0;
	refill = bpf_map_lookup_elem(&alloc_refills, &doer);
	if (!refill) {
		gj_drop(drop_no_start);
		return 0;
	}
	sums = alloc_of(tgid, refill->class);
	if (sums)
		gj_add(&sums->grows, 1);
	return 0;
}

/* (*mheap).alloc(h, npages, spanclass): of grow, and of each large object. */
SEC("uprobe")
int gj_on_mheap_alloc(struct pt_regs *ctx)
{
	struct gj_alloc *sums;
	__u32 tgid;

	gj_own_stack(ctx);
	if (!gj_target(&tgid))
		return 0;
	sums = alloc_of(tgid, ctx->rcx & 0xff);
	if (sums) {
		gj_add(&sums->spans, 1);
		gj_add(&sums->span_bytes, ctx->rbx * PAGE_BYTES);
	}
	return 0;
}

static __always_inline struct refill *this_refill(struct gj_doer *doer_out)
{
	*doer_out = gj_this_thread();
	return bpf_map_lookup_elem(&alloc_refills, doer_out);
}

SEC("tp_btf/sys_enter")
int gj_alloc_sys_enter(__u64 *ctx)
{
	struct gj_doer doer;
	struct refill *refill;

	if ((int)ctx[1] != GJ_SYS_FUTEX)
		return 0;
	refill = this_refill(&doer);
	if (refill)
		refill->futex_ns = bpf_ktime_get_ns();
	return 0;
}

SEC("tp_btf/sys_exit")
int gj_alloc_sys_exit(__u64 *ctx)
{
	struct gj_alloc *sums;
	struct gj_doer doer;
	struct refill *refill;
	__u64 wait_ns;

	if (gj_syscall_of(ctx[0]) != GJ_SYS_FUTEX)
		return 0;
	refill = this_refill(&doer);
	if (!refill || !refill->futex_ns)
		return 0;
	wait_ns = bpf_ktime_get_ns() - refill->futex_ns;
	refill->futex_ns = 0;
	sums = alloc_of(doer.tgid, refill->class);
	if (!sums)
		return 0;
	gj_add(&sums->lock_waits, 1);
	gj_add(&sums->lock_wait_ns, wait_ns);
	if (wait_ns > sums->max_lock_wait_ns)
		sums->max_lock_wait_ns = wait_ns;
	return 0;
}
