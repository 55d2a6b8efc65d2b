// SPDX-License-Identifier: GPL-2.0
/*
 * A profile that the kernel adds up: each sample's stack is unwound where it is
 * taken and counted in maps that `bpftool map dump` prints. src/profile loads
 * this, fills gj_prof_row, gj_prof_target and gj_processes, and reads the rest.
 *
 * Entries belong to a round. The reader begins a new one, waits until programs
 * under way have ended, then takes those of the old one out: none is lost, and
 * no entry is changed while it is being read.
 */
#include <linux/bpf.h>
#include <linux/bpf_perf_event.h>
#include <linux/errno.h>
#include <stddef.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

#include "gj_abi.h"
#include "goruntime.bpf.h"
#include "unwind.bpf.h"
#include "userregs.bpf.h"

char LICENSE[] SEC("license") = "GPL";

const volatile _Bool gj_by_goid = 0;
const volatile _Bool gj_compare_fp = 0;
volatile __u32 gj_round = 0;

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 64);
	__type(key, __u32);
	__type(value, struct gj_unwind_target);
} gj_prof_target SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16384);
	__type(key, struct gj_profile_stack_key);
	__type(value, struct gj_profile_stack);
} gj_prof_stack SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 65536);
	__type(key, struct gj_profile_key);
	__type(value, __u64);
} gj_prof_count SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct gj_profile_sums);
} gj_prof_sum SEC(".maps");

/* Of one sample; more than BPF's stack holds. */
struct gj_profile_work {
	struct gj_unwind unwind;
	struct gj_profile_stack stack;
	struct gj_profile_key key;
	__u32 used_kernel, used_user; /* frames of samples before that are still in stack */
	__u64 fp[GJ_PROFILE_USER];
	struct gj_unwind_memo memo[GJ_UNWIND_MEMOS];
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct gj_profile_work);
} gj_prof_work SEC(".maps");

_Static_assert(sizeof(struct gj_profile_sums) / 8 > GJ_PROF_END_CNT, "ends have a slot each");
_Static_assert(offsetof(struct gj_profile_sums, cut_limit) / 8 == GJ_PROF_CUT_LIMIT, "in order");

/* @at: of a sum in struct gj_profile_sums */
static __always_inline void add_sum(__u64 at)
{
	__u32 zero = 0;
	struct gj_profile_sums *sums = bpf_map_lookup_elem(&gj_prof_sum, &zero);

	if (sums && at <= sizeof(*sums) - 8)
		__sync_fetch_and_add((__u64 *)((char *)sums + at), 1);
}
#define ADD_SUM(sum) add_sum(offsetof(struct gj_profile_sums, sum))

struct walk {
	struct gj_profile_work *work;
	const struct gj_unwind_target *target;
	const struct gj_goruntime *runtime;
};

static long walk_step(__u32 index, struct walk *walk)
{
	(void)index;
	return gj_unwind_step(&walk->work->unwind, walk->target, walk->runtime, walk->work->memo,
			      &walk->work->stack);
}

static __always_inline void add_kernel(struct bpf_perf_event_data *ctx,
				       struct gj_profile_work *work)
{
	struct gj_profile_stack *stack = &work->stack;
	long bytes = bpf_get_stack(ctx, stack->kernel, sizeof(stack->kernel), 0);

	if (bytes <= 0)
		return;
	stack->kernel_cnt = (__u32)bytes / 8;
	for (__u32 i = 0; i < GJ_PROFILE_KERNEL; i++) {
		if (i >= stack->kernel_cnt)
			break;
		work->unwind.hash = (work->unwind.hash ^ stack->kernel[i]) * GJ_MIX;
	}
}

/* 1: no more to clear. */
static long clear_frame(__u32 index, struct gj_profile_work **work)
{
	struct gj_profile_stack *stack = &(*work)->stack;
	__u32 user = stack->user_cnt + index, kernel = stack->kernel_cnt + index;

	if (user < GJ_PROFILE_USER)
		stack->user[user] = 0;
	if (kernel < GJ_PROFILE_KERNEL)
		stack->kernel[kernel] = 0;
	return user >= (*work)->used_user && kernel >= (*work)->used_kernel;
}

/* What is left of other samples behind this one's frames goes before it is kept. */
static __always_inline long keep_stack(struct gj_profile_work *work)
{
	struct gj_profile_stack *stack = &work->stack;

	bpf_loop(GJ_PROFILE_USER, clear_frame, &work, 0);
	work->used_user = stack->user_cnt;
	work->used_kernel = stack->kernel_cnt;
	return bpf_map_update_elem(&gj_prof_stack, &work->key.stack, stack, BPF_NOEXIST);
}

/* Every sample's frames are in the way of those to come. */
static __always_inline void note_used(struct gj_profile_work *work)
{
	if (work->used_user < work->stack.user_cnt)
		work->used_user = work->stack.user_cnt;
	if (work->used_kernel < work->stack.kernel_cnt)
		work->used_kernel = work->stack.kernel_cnt;
}

static __always_inline void count_stack(struct gj_profile_work *work)
{
	__u64 *cnt, one = 1;

	if (!bpf_map_lookup_elem(&gj_prof_stack, &work->key.stack)) {
		long err = keep_stack(work);

		if (err && err != -EEXIST) {
			ADD_SUM(lost_stack);
			return;
		}
	}
	cnt = bpf_map_lookup_elem(&gj_prof_count, &work->key);
	if (!cnt && !bpf_map_update_elem(&gj_prof_count, &work->key, &one, BPF_NOEXIST))
		return;
	if (!cnt)
		cnt = bpf_map_lookup_elem(&gj_prof_count, &work->key);
	if (cnt)
		__sync_fetch_and_add(cnt, 1);
	else
		ADD_SUM(lost_count);
}

/* The kernel's own walk beside ours: whether it ends at a root, and who called the leaf. */
static __always_inline void compare_fp(struct bpf_perf_event_data *ctx,
				       struct gj_profile_work *work,
				       const struct gj_unwind_target *target)
{
	long bytes = bpf_get_stack(ctx, work->fp, sizeof(work->fp), BPF_F_USER_STACK);
	__u32 rule, cnt;

	if (bytes <= 0)
		return;
	cnt = (__u32)bytes / 8;
	if (cnt > 1 && work->stack.user_cnt > 1 && work->fp[1] == work->stack.user[1])
		ADD_SUM(fp_caller);
	gj_unwind_rule(&work->unwind, target, work->memo, work->fp[(cnt - 1) & (GJ_PROFILE_USER - 1)], &rule);
	if (rule >> GJ_RULE_SHIFT == GJ_RULE_ROOT)
		ADD_SUM(fp_complete);
}

/* Run once by the loader, as itself. */
SEC("syscall")
int gj_prof_begin(void *ctx)
{
	(void)ctx;
	gj_pid_begin(bpf_get_current_task_btf());
	return 0;
}

/* The runtime of process @tgid; NULL when it has become another program since. */
static __always_inline const struct gj_goruntime *find_runtime(struct task_struct *task, __u32 tgid)
{
	struct gj_process *process = bpf_map_lookup_elem(&gj_processes, &tgid);
	struct mm_struct *mm = task->mm;
	struct file *file = mm ? mm->exe_file : 0;
	__u64 inode = file ? (__u64)file->f_inode : 0;

	if (!process || !inode)
		return 0;
	if (!process->inode)
		process->inode = inode;
	return process->inode == inode ? &process->runtime : 0;
}

/* What is known of the program the current task runs; false where it is none that is asked for. */
static __always_inline _Bool find_target(struct task_struct *task, __u32 tgid, struct walk *walk)
{
	__u32 zero = 0;

	walk->target = bpf_map_lookup_elem(&gj_prof_target, &tgid);
	if (!walk->target)
		return 0;
	walk->runtime = find_runtime(task, tgid);
	walk->work = bpf_map_lookup_elem(&gj_prof_work, &zero);
	/* At its end a process has no program any more. */
	if (!walk->runtime && task->mm)
		ADD_SUM(other_program);
	return walk->runtime && walk->work;
}

static __always_inline void unwind(struct bpf_perf_event_data *ctx, struct task_struct *task,
				   struct walk *walk)
{
	struct gj_profile_work *work = walk->work;
	struct gj_gothread thread;
	__u64 ip, sp, bp;
	_Bool is_kernel = gj_user_regs(ctx, task, &ip, &sp, &bp);
	_Bool has_runtime = gj_gothread_read(task, walk->runtime, &thread);

	work->stack.user_cnt = work->stack.kernel_cnt = 0;
	work->stack.has_gap = 0;
	work->stack.end = GJ_PROF_CUT_LIMIT;
	gj_unwind_begin(&work->unwind, walk->runtime, &thread, has_runtime, &work->stack,
			work->key.stack.tgid, ip, sp, bp);
	bpf_loop(GJ_PROFILE_USER, walk_step, walk, 0);
	if (is_kernel)
		add_kernel(ctx, work);
	if (!has_runtime)
		ADD_SUM(no_runtime);
	else if (!thread.cur)
		ADD_SUM(no_goroutine);
	work->key.goid = gj_by_goid ? thread.goid : 0;
}

SEC("perf_event")
int gj_prof_sample(struct bpf_perf_event_data *ctx)
{
	struct task_struct *task = bpf_get_current_task_btf();
	__u32 tgid = (__u32)(gj_current_pid_tid(task) >> 32);
	struct walk walk;

	if (!find_target(task, tgid, &walk))
		return 0;
	walk.work->key.stack.tgid = tgid;
	unwind(ctx, task, &walk);
	walk.work->key.stack.hash = walk.work->unwind.hash;
	walk.work->key.stack.round = gj_round;
	note_used(walk.work);
	count_stack(walk.work);
	add_sum((walk.work->stack.end & 15) * 8);
	if (gj_compare_fp)
		compare_fp(ctx, walk.work, walk.target);
	return 0;
}

/* What a sample costs is told beside these two: nothing at all, and the kernel's own walk. */
SEC("perf_event")
int gj_prof_empty(struct bpf_perf_event_data *ctx)
{
	struct task_struct *task = bpf_get_current_task_btf();
	__u32 tgid = (__u32)(gj_current_pid_tid(task) >> 32);

	(void)ctx;
	return bpf_map_lookup_elem(&gj_prof_target, &tgid) ? 1 : 0;
}

SEC("perf_event")
int gj_prof_fp(struct bpf_perf_event_data *ctx)
{
	struct task_struct *task = bpf_get_current_task_btf();
	__u32 tgid = (__u32)(gj_current_pid_tid(task) >> 32), zero = 0;
	struct gj_profile_work *work;

	if (!bpf_map_lookup_elem(&gj_prof_target, &tgid))
		return 0;
	work = bpf_map_lookup_elem(&gj_prof_work, &zero);
	if (!work)
		return 0;
	bpf_get_stack(ctx, work->fp, sizeof(work->fp), BPF_F_USER_STACK);
	if ((__s64) * (volatile __u64 *)&ctx->regs.rip < 0)
		bpf_get_stack(ctx, work->fp, sizeof(work->fp), 0);
	return 0;
}
