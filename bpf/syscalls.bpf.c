/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Syscalls that the Go scheduler knows of (runtime.entersyscall to exitsyscall), by
 * number: how long the whole took, how long the kernel, how long it took to get a P.
 *
 * Places: src/probe/hooks_syscalls.c. Until exitsyscall begins a goroutine stays on
 * its thread; where it has to wait for a P it may go on on another one. What the
 * runtime itself does meanwhile (waking a thread) runs on g0's stack, as C does, so
 * the syscall is the one made on the goroutine's stack.
 */
#include <linux/bpf.h>

#include "rare.bpf.h"
#include "events.bpf.h"

#include "gj_trace_syscalls.h"

char LICENSE[] SEC("license") = "GPL";

struct call {
	__u64 begin_ns;
	__u64 stack_lo, stack_hi;     /* of its goroutine */
	__u64 kernel_begin_ns;        /* 0: not in the kernel */
	__u64 kernel_ns, c_kernel_ns; /* on that stack, on others */
	__u64 exit_ns;                /* exitsyscall began; 0: not yet */
	__s32 nr;
	__u32 is_on_stack; /* what is in the kernel now */
};

struct wait {
	__u64 begin_ns;
	__s32 nr;
	__u32 reserved;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 8192);
	__type(key, struct gj_syscall_key);
	__type(value, struct gj_syscalls);
} syscalls SEC(".maps");

/* By thread, kept from one call to the next; of threads that are gone the oldest go first. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, struct gj_doer);
	__type(value, struct call);
} syscalls_calls SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 65536);
	__type(key, struct gj_doer);
	__type(value, struct wait);
} syscalls_waits SEC(".maps");

static const struct gj_syscalls no_calls;

static __always_inline struct gj_syscalls *sums_of(__u32 tgid, __s32 nr)
{
	struct gj_syscall_key key = { .tgid = tgid, .nr = nr };

	return gj_get(&syscalls, &key, &no_calls);
}

/* runtime.reentersyscall or entersyscallblock begins. */
SEC("uprobe")
int gj_on_entersyscall(struct pt_regs *ctx)
{
	const struct gj_trace_target *target;
	struct gj_doer doer = gj_this_thread();
	struct call call = { .begin_ns = bpf_ktime_get_ns(), .nr = in_C };
	__u32 tgid;

	gj_own_stack(ctx);
	target = gj_target(&tgid);
	if (!target)
		return 0;
	if (!gj_user_u64(ctx->r14, target->g_stack_lo, &call.stack_lo) ||
	    !gj_user_u64(ctx->r14, target->g_stack_hi, &call.stack_hi)) {
		gj_drop(drop_unreadable);
		return 0;
	}
	gj_begin_at(&syscalls_calls, &doer, &call);
	return 0;
}

/* The call this thread is in; NULL: none. */
static __always_inline struct call *this_call(void)
{
	struct gj_doer doer = gj_this_thread();
	struct call *call = bpf_map_lookup_elem(&syscalls_calls, &doer);

	return call && !call->exit_ns ? call : 0;
}

SEC("tp_btf/sys_enter")
int gj_syscalls_sys_enter(__u64 *ctx)
{
	struct call *call = this_call();
	__u64 sp;

	if (!call)
		return 0;
	sp = BPF_CORE_READ((struct pt_regs___kernel *)ctx[0], sp);
	call->is_on_stack = sp >= call->stack_lo && sp < call->stack_hi;
	/* The first: behind a stopped one the kernel may make restart_syscall of it. */
	if (call->is_on_stack && call->nr < 0)
		call->nr = ctx[1];
	call->kernel_begin_ns = bpf_ktime_get_ns();
	return 0;
}

SEC("tp_btf/sys_exit")
int gj_syscalls_sys_exit(__u64 *ctx __attribute__((unused)))
{
	struct call *call = this_call();
	__u64 ns;

	if (!call || !call->kernel_begin_ns)
		return 0;
	ns = bpf_ktime_get_ns() - call->kernel_begin_ns;
	call->kernel_begin_ns = 0;
	if (call->is_on_stack)
		call->kernel_ns += ns;
	else
		call->c_kernel_ns += ns;
	return 0;
}

static __always_inline void tell_return(struct pt_regs *ctx, const struct gj_trace_target *target,
					const struct call *call)
{
	struct gj_event event = {
		.time_ns = call->exit_ns, .kind = syscall_returned,
		.span = { .what = call->nr, .count_ns = call->exit_ns - call->begin_ns,
			  .kernel_ns = call->nr < 0 ? call->c_kernel_ns : call->kernel_ns },
	};

	gj_event_of(&event, target, ctx->r14);
	gj_tell(ctx, &event);
}

/* runtime.exitsyscall begins. */
SEC("uprobe")
int gj_on_exitsyscall(struct pt_regs *ctx)
{
	const struct gj_trace_target *target;
	__u64 now_ns = bpf_ktime_get_ns();
	struct gj_syscalls *sums;
	struct call *call;
	__u32 tgid;

	gj_own_stack(ctx);
	target = gj_target(&tgid);
	if (!target)
		return 0;
	call = this_call();
	if (!call) {
		gj_drop(drop_no_start);
		return 0;
	}
	call->exit_ns = now_ns;
	if (gj_tells(syscall_returned))
		tell_return(ctx, target, call);
	sums = sums_of(tgid, call->nr);
	if (!sums)
		return 0;
	gj_hist_add(&sums->whole, now_ns - call->begin_ns);
	gj_hist_add(&sums->kernel, call->nr < 0 ? call->c_kernel_ns : call->kernel_ns);
	return 0;
}

/* exitsyscall0 or exitsyscallNoP (gp), on the same thread still: there is no P. */
SEC("uprobe")
int gj_on_exitsyscall_slow(struct pt_regs *ctx)
{
	struct gj_doer thread = gj_this_thread(), doer = { .g = ctx->rax };
	struct wait wait = { 0 };
	struct call *call;

	gj_own_stack(ctx);
	if (!gj_target(&doer.tgid))
		return 0;
	call = bpf_map_lookup_elem(&syscalls_calls, &thread);
	if (!call || !call->exit_ns) {
		gj_drop(drop_no_start);
		return 0;
	}
	wait.begin_ns = call->exit_ns;
	wait.nr = call->nr;
	gj_begin_at(&syscalls_waits, &doer, &wait);
	return 0;
}

/* exitsyscall goes on behind that, perhaps on another thread. */
SEC("uprobe")
int gj_on_exitsyscall_end(struct pt_regs *ctx)
{
	const struct gj_trace_target *target;
	__u64 now_ns = bpf_ktime_get_ns();
	struct gj_doer doer = { .g = ctx->r14 };
	struct gj_syscalls *sums;
	struct wait *wait;

	gj_own_stack(ctx);
	target = gj_target(&doer.tgid);
	if (!target)
		return 0;
	wait = bpf_map_lookup_elem(&syscalls_waits, &doer);
	if (!wait) {
		gj_drop(drop_no_start);
		return 0;
	}
	if (gj_tells(syscall_got_p))
		gj_tell_span(ctx, syscall_got_p, target, now_ns, wait->nr, now_ns - wait->begin_ns);
	sums = sums_of(doer.tgid, wait->nr);
	if (sums)
		gj_hist_add(&sums->p_wait, now_ns - wait->begin_ns);
	bpf_map_delete_elem(&syscalls_waits, &doer);
	return 0;
}
