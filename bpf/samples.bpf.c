// SPDX-License-Identifier: GPL-2.0
/*
 * Which stacks are on a processor, always on: a timer of each processor, the unwinder
 * of `gojitter profile`, and counts in maps that only grow. Nothing reads or empties
 * them meanwhile, so what is bounded by the program's own shape is kept for good
 * (stacks of functions), and exact addresses as long as there is room.
 */
#include <linux/bpf.h>
#include <linux/errno.h>
#include <stddef.h>

#include "trace.bpf.h"

#include "gj_trace_samples.h"
#include "unwind.bpf.h"
#include "userregs.bpf.h"

char LICENSE[] SEC("license") = "GPL";

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 8192);
	__type(key, struct gj_samples_key);
	__type(value, struct gj_samples);
} samples SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__type(key, struct gj_samples_lines_key);
	__type(value, struct gj_samples_lines);
} samples_lines SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct gj_samples_info);
} samples_info SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 512);
	__type(key, __u32);
	__type(value, struct gj_samples_process);
} samples_processes SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 16);
	__type(key, __u32);
	__type(value, struct gj_samples_program);
} samples_programs SEC(".maps");

/* Of each program its functions' entries, bytes from runtime.text, ascending. Sized by the loader. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} samples_functions SEC(".maps");

/* Functions found before. */
struct function_memo {
	__u64 va;
	__u32 space, func;
};
#define FUNCTION_MEMOS 512 /* a power of two */
#define FUNCTION_STEPS 20  /* halvings: a million functions */

/* Of one sample; more than BPF's stack holds. */
struct work {
	struct gj_unwind unwind;
	struct gj_profile_stack stack;
	struct gj_samples_lines_key key;
	struct gj_samples by_function;
	struct gj_samples_lines by_line;
	__u32 used; /* frames of samples before that are still in by_line */
	__u32 space; /* stands for the process' address space in memos */
	struct gj_unwind_memo memo[GJ_UNWIND_MEMOS];
	struct function_memo functions[FUNCTION_MEMOS];
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct work);
} samples_work SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct gj_samples_process);
} samples_new SEC(".maps");

/* @at: of a u64 in struct gj_samples_info */
static __always_inline void add_info(__u64 at)
{
	__u32 zero = 0;
	struct gj_samples_info *info = bpf_map_lookup_elem(&samples_info, &zero);

	if (info && at <= sizeof(*info) - 8)
		__sync_fetch_and_add((__u64 *)((char *)info + at), 1);
}
#define ADD_INFO(field) add_info(offsetof(struct gj_samples_info, field))

/* By its type the kernel's mm_context_t, which has no name to be found by. */
struct mm_struct___vdso {
	struct {
		void *vdso;
	} context;
} GJ_KERNEL_TYPE;

static __always_inline __u64 vdso_of(struct task_struct *task)
{
	struct mm_struct___vdso *mm = (void *)BPF_CORE_READ(task, mm);

	return mm ? (__u64)BPF_CORE_READ(mm, context.vdso) : 0;
}

/*
 * A process that came after the start, or called exec: its program's code, where it is
 * now. 1: it has an entry. Global, so that the verifier goes through it once, by itself.
 */
__attribute__((noinline)) int gj_samples_adopt(__u32 tgid, __u64 vdso)
{
	const struct gj_trace_target *target = bpf_map_lookup_elem(&targets, &tgid);
	__u32 zero = 0, number = target ? target->program : 0;
	const struct gj_samples_program *program = bpf_map_lookup_elem(&samples_programs, &number);
	struct gj_samples_process *process = bpf_map_lookup_elem(&samples_new, &zero);
	struct gj_unwind_range *range;
	__u64 bias;

	if (!target || !program || !process || !program->range_cnt)
		return 0;
	bias = target->bias;
	bpf_probe_read_kernel(&process->target, sizeof(process->target), &program->target);
	process->runtime = program->runtime;
	process->vdso = vdso;
	process->target.go_lo += bias;
	process->target.go_hi += bias;
	process->target.switch_lo += bias;
	process->target.switch_hi += bias;
	for (__u32 i = 0; i < GJ_SAMPLES_RANGES; i++) {
		if (i >= program->range_cnt)
			break;
		process->target.ranges[i].start += bias;
		process->target.ranges[i].base += bias;
	}
	/* It stands above all that is the program's; behind it there are no more. */
	range = &process->target.ranges[program->range_cnt & (GJ_UNWIND_RANGES - 1)];
	if (vdso && program->vdso.size &&
	    vdso > process->target.ranges[(program->range_cnt - 1) & (GJ_UNWIND_RANGES - 1)].start) {
		*range = program->vdso;
		range->start += vdso;
		range->base += vdso;
	}
	if (bpf_map_update_elem(&samples_processes, &tgid, process, BPF_ANY)) {
		gj_drop(drop_map_full);
		return 0;
	}
	return 1;
}

struct walk {
	struct work *work;
	const struct gj_trace_target *target;
	const struct gj_samples_process *process;
	const struct gj_samples_program *program;
	__u64 hash; /* of the functions so far */
};

/*
 * Entry of the function that @off is in, both bytes from runtime.text; of samples_functions
 * those from @first on. Global, so that the verifier goes through it once, by itself.
 */
__attribute__((noinline)) __u32 gj_samples_entry(__u32 first, __u32 cnt, __u32 off)
{
	const __u32 *entry;

	for (int i = 0; i < FUNCTION_STEPS; i++) {
		__u32 half = cnt >> 1, index = first + half;

		if (!half)
			break;
		entry = bpf_map_lookup_elem(&samples_functions, &index);
		if (!entry)
			return 0;
		first += half * (__u32)gj_not_below(off, *entry);
		cnt -= half;
	}
	entry = bpf_map_lookup_elem(&samples_functions, &first);
	return entry ? *entry : 0;
}

/* The gj_func that @va is in. */
static __always_inline __u32 function_at(const struct walk *walk, __u64 va)
{
	const struct gj_unwind_target *code = &walk->process->target;
	struct work *work = walk->work;
	struct function_memo *memo = &work->functions[(va ^ va >> 9) & (FUNCTION_MEMOS - 1)];
	__u32 entry;

	if (va < code->go_lo || va >= code->go_hi || !walk->program->function_cnt)
		return not_go;
	if (memo->va == va && memo->space == work->space)
		return memo->func;
	memo->va = va;
	memo->space = work->space;
	entry = gj_samples_entry(walk->program->first_function, walk->program->function_cnt,
				 (__u32)(va - code->go_lo));
	memo->func = walk->target->program << GJ_FUNC_SHIFT | ((entry + 1) & GJ_FUNC_MASK);
	return memo->func;
}

/* The frame that the walk is at. */
static __always_inline void note_frame(struct walk *walk)
{
	struct work *work = walk->work;
	struct gj_unwind *unwind = &work->unwind;
	/* A call may be a function's last instruction. */
	__u32 func = function_at(walk, unwind->pc - !unwind->is_innermost);
	__u64 at = (__u64)work->stack.user_cnt - 1;

	walk->hash = (walk->hash ^ func) * GJ_MIX;
	walk->hash ^= walk->hash >> 29;
	if (at < GJ_SAMPLES_FRAMES)
		work->by_function.frames[at & (GJ_SAMPLES_FRAMES - 1)] = func;
	work->by_line.frames[at & (GJ_PROFILE_USER - 1)] = unwind->pc;
}

static long walk_step(__u32 index, struct walk *walk)
{
	struct work *work = walk->work;

	(void)index;
	note_frame(walk);
	return gj_unwind_step(&work->unwind, &walk->process->target, &walk->process->runtime,
			      work->memo, &work->stack);
}

/* 1: no more to clear. */
static long clear_frame(__u32 index, struct work **in)
{
	struct work *work = *in;
	__u64 at = (__u64)work->stack.user_cnt + index;

	if (at < GJ_SAMPLES_FRAMES)
		work->by_function.frames[at] = unknown_function;
	if (at < GJ_PROFILE_USER)
		work->by_line.frames[at] = 0;
	return at >= work->used;
}

/* What is left of other samples behind this one's frames goes before it is kept. */
static __always_inline void clear(struct work *work)
{
	if (work->used < work->stack.user_cnt)
		work->used = work->stack.user_cnt;
	bpf_loop(GJ_PROFILE_USER, clear_frame, &work, 0);
	work->used = work->stack.user_cnt;
}

static __always_inline enum gj_samples_end end_of(const struct gj_profile_stack *stack)
{
	return stack->end == GJ_PROF_COMPLETE && stack->has_gap ? whole_with_gap :
								  (enum gj_samples_end)stack->end;
}

static __always_inline _Bool count_function(struct work *work, _Bool is_kernel)
{
	struct gj_samples *known = bpf_map_lookup_elem(&samples, &work->key.of);

	if (!known) {
		clear(work);
		work->by_function.end = end_of(&work->stack);
		work->by_function.frame_cnt = work->stack.user_cnt;
		bpf_map_update_elem(&samples, &work->key.of, &work->by_function, BPF_NOEXIST);
		known = bpf_map_lookup_elem(&samples, &work->key.of);
	}
	if (!known)
		return 0;
	__sync_fetch_and_add(&known->count, 1);
	if (is_kernel)
		__sync_fetch_and_add(&known->kernel, 1);
	return 1;
}

static __always_inline _Bool count_line(const struct walk *walk, _Bool is_kernel)
{
	struct work *work = walk->work;
	struct gj_samples_lines *known = bpf_map_lookup_elem(&samples_lines, &work->key);

	if (!known) {
		clear(work);
		work->by_line.bias = walk->target->bias;
		work->by_line.vdso = walk->process->vdso;
		work->by_line.end = end_of(&work->stack);
		work->by_line.frame_cnt = work->stack.user_cnt;
		bpf_map_update_elem(&samples_lines, &work->key, &work->by_line, BPF_NOEXIST);
		known = bpf_map_lookup_elem(&samples_lines, &work->key);
	}
	if (!known)
		return 0;
	__sync_fetch_and_add(&known->count, 1);
	if (is_kernel)
		__sync_fetch_and_add(&known->kernel, 1);
	return 1;
}

static __always_inline void count(const struct walk *walk, _Bool is_kernel)
{
	struct work *work = walk->work;

	/* One more sample is seen by function before it is by line. */
	if (!count_function(work, is_kernel)) {
		ADD_INFO(sums.lost_stack);
		gj_drop(drop_map_full);
	} else if (!count_line(walk, is_kernel)) {
		ADD_INFO(sums.lost_count);
	}
	add_info(offsetof(struct gj_samples_info, sums) + (work->stack.end & 15) * 8);
	if (work->stack.end != GJ_PROF_COMPLETE)
		gj_drop(drop_stack_short);
	/* Every sample's frames are in the way of those to come. */
	if (work->used < work->stack.user_cnt)
		work->used = work->stack.user_cnt;
}

static __always_inline void note_start(const struct walk *walk, const struct gj_gothread *thread,
				       _Bool has_runtime)
{
	__u64 pc = 0;

	if (!has_runtime)
		ADD_INFO(sums.no_runtime);
	else if (!thread->cur)
		ADD_INFO(sums.no_goroutine);
	else
		gj_user_u64(thread->cur, walk->target->g_startpc, &pc);
	walk->work->key.of.start = gj_func_of(walk->target, pc);
}

/* What is known of the process' code; false: nothing. */
static __always_inline _Bool find_process(struct task_struct *task, __u32 tgid, struct walk *walk)
{
	__u64 vdso = vdso_of(task);
	__u32 zero = 0, number = walk->target->program;

	walk->work = bpf_map_lookup_elem(&samples_work, &zero);
	walk->program = bpf_map_lookup_elem(&samples_programs, &number);
	walk->process = bpf_map_lookup_elem(&samples_processes, &tgid);
	if (!walk->process || walk->process->vdso != vdso) {
		if (!gj_samples_adopt(tgid, vdso))
			return 0;
		walk->process = bpf_map_lookup_elem(&samples_processes, &tgid);
	}
	return walk->work && walk->program && walk->process;
}

SEC("perf_event")
int gj_samples(struct bpf_perf_event_data *ctx)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct gj_gothread thread;
	struct walk walk = { 0 };
	_Bool is_kernel, has_runtime;
	__u64 ip, sp, bp;
	__u32 tgid;

	walk.target = gj_target(&tgid);
	if (!walk.target)
		return 0;
	if (!find_process(task, tgid, &walk)) {
		ADD_INFO(lost_process);
		return 0;
	}
	is_kernel = gj_user_regs(ctx, task, &ip, &sp, &bp);
	has_runtime = gj_gothread_read(task, &walk.process->runtime, &thread);
	walk.work->key.of.tgid = tgid;
	walk.work->space = tgid ^ (__u32)(walk.process->vdso >> 12);
	walk.work->stack.user_cnt = walk.work->stack.has_gap = 0;
	walk.work->stack.end = GJ_PROF_CUT_LIMIT;
	gj_unwind_begin(&walk.work->unwind, &walk.process->runtime, &thread, has_runtime,
			&walk.work->stack, walk.work->space, ip, sp, bp);
	bpf_loop(GJ_PROFILE_USER, walk_step, &walk, 0);
	note_start(&walk, &thread, has_runtime);
	walk.work->key.of.stack = walk.hash;
	/* The same addresses mean something else in another process of that number. */
	walk.work->key.addresses = (walk.work->unwind.hash ^ walk.process->vdso) * GJ_MIX;
	count(&walk, is_kernel);
	return 0;
}

SEC("syscall")
int gj_begin(void *ctx __attribute__((unused)))
{
	gj_pid_begin((void *)bpf_get_current_task());
	return 0;
}

struct atomic___last {
	int counter;
} GJ_KERNEL_TYPE;

struct signal_struct___last {
	struct atomic___last live;
} GJ_KERNEL_TYPE;

struct task_struct___last {
	struct signal_struct___last *signal;
} GJ_KERNEL_TYPE;

/* Behind the change. A sample in the middle of it may have met the new code as the old program's. */
SEC("tp_btf/sched_process_exec")
int gj_samples_exec(__u64 *ctx __attribute__((unused)))
{
	__u32 tgid = gj_current_pid_tid((void *)bpf_get_current_task()) >> 32;

	bpf_map_delete_elem(&samples_processes, &tgid);
	return 0;
}

/* With its last thread a process goes; what was counted of it stays. */
SEC("tp_btf/sched_process_exit")
int gj_samples_exit(__u64 *ctx __attribute__((unused)))
{
	struct task_struct___last *task = (void *)bpf_get_current_task();
	__u32 tgid;

	if (BPF_CORE_READ(task, signal, live.counter))
		return 0;
	tgid = gj_current_pid_tid((void *)task) >> 32;
	bpf_map_delete_elem(&samples_processes, &tgid);
	return 0;
}
