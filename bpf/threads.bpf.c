/* SPDX-License-Identifier: GPL-2.0 */
/*
 * How long threads of Go programs wait for a processor and stay off it, and
 * which goroutine they ran meanwhile. From the scheduler's own tracepoints; the
 * target is not touched. Linux 5.18: sched_switch says in which state a task
 * left. What was counted stays when a process ends (docs/trace-kernel.md).
 *
 * Some kernels hold back the tracepoint for tasks they hide. A switch from such a
 * task to a thread of ours is then seen when that thread leaves: unseen_switch_ins.
 */
#include <linux/bpf.h>

#include "events.bpf.h"
#include "gj_trace_threads.h"
#include "rare.bpf.h"
#include "whose.bpf.h"

char LICENSE[] SEC("license") = "GPL";

#define TASK_EXITING 0x4 /* PF_EXITING, include/linux/sched.h */

struct task_struct___thread {
	struct mm_struct *mm;
	struct task_struct *group_leader;
	struct pid *thread_pid;
	unsigned int flags;
	int pid;
	int tgid;
	char comm[16];
} GJ_KERNEL_TYPE;

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(max_entries, 1024);
	__type(key, struct gj_run_queue_key);
	__type(value, struct gj_hist);
} run_queue SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(max_entries, 256);
	__type(key, struct gj_off_cpu_key);
	__type(value, struct gj_hist);
} off_cpu SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16384);
	__type(key, __u32);
	__type(value, struct gj_thread_state);
} thread_states SEC(".maps");

/* No hook says here that a goroutine has ended: those longest without a switch give way. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, struct gj_goroutine_key);
	__type(value, struct gj_goroutine_kernel);
} goroutine_kernel SEC(".maps");

/* Numbers of any task in the loader's namespace, as gj_current_pid_tid. */
static __always_inline __u64 pid_tid(struct task_struct___thread *task)
{
	if (!gj_pid_level)
		return (__u64)(__u32)task->tgid << 32 | (__u32)task->pid;
	return (__u64)gj_pid_number(BPF_CORE_READ(task, group_leader, thread_pid)) << 32 |
	       gj_pid_number(BPF_CORE_READ(task, thread_pid));
}

/* The target that @task is of; NULL also for kernel threads and what is about to end. */
static __always_inline const struct gj_trace_target *target_of(struct task_struct___thread *task,
							       __u64 *pid_tid_out)
{
	__u32 tgid;

	if (!task->mm || task->flags & TASK_EXITING)
		return 0;
	*pid_tid_out = pid_tid(task);
	tgid = *pid_tid_out >> 32;
	return bpf_map_lookup_elem(&targets, &tgid);
}

static __always_inline struct gj_thread_state *state_of(__u64 id)
{
	struct gj_thread_state *state, fresh = { .tgid = id >> 32 };
	__u32 tid = id;

	state = bpf_map_lookup_elem(&thread_states, &tid);
	if (state && state->tgid == fresh.tgid)
		return state;
	if (bpf_map_update_elem(&thread_states, &tid, &fresh, BPF_ANY))
		gj_drop(drop_map_full);
	return bpf_map_lookup_elem(&thread_states, &tid);
}

/* Something of a thread, which need not be the current one, and of the goroutine it has. */
static __always_inline void tell_thread(void *ctx, __u32 kind, const struct gj_trace_target *target,
					__u64 id, const struct gj_thread_state *state, __u64 ns)
{
	struct gj_event event = {
		.time_ns = state->since_ns, .tgid = id >> 32, .tid = id, .goid = state->goid,
		.func = state->func, .kind = kind, .program = target->program,
		.span = { .what = state->queued, .count_ns = ns },
	};

	gj_tell(ctx, &event);
}

static __always_inline void queue(void *ctx, struct task_struct___thread *task,
				  enum gj_queued since)
{
	const struct gj_trace_target *target;
	struct gj_thread_state *state;
	__u64 id;

	target = target_of(task, &id);
	if (!target)
		return;
	state = state_of(id);
	/* Woken before it has gone, or preempted on its way to sleep: it waits for nothing else now. */
	if (!state || state->run == on_cpu || state->run == in_run_queue)
		return;
	state->queued = since;
	state->run = in_run_queue;
	state->since_ns = bpf_ktime_get_ns();
	if (gj_tells(thread_runnable))
		tell_thread(ctx, thread_runnable, target, id, state, 0);
}

SEC("tp_btf/sched_wakeup")
int gj_wakeup(__u64 *ctx)
{
	queue(ctx, (void *)ctx[0], woken);
	return 0;
}

SEC("tp_btf/sched_wakeup_new")
int gj_wakeup_new(__u64 *ctx)
{
	queue(ctx, (void *)ctx[0], created);
	return 0;
}

/* @task is still current: its memory can be read, and so its goroutine. */
static __always_inline void switch_out(void *ctx, struct task_struct___thread *task,
				       _Bool is_runnable, __u64 now)
{
	const struct gj_trace_target *target;
	struct gj_thread_state *state;
	struct gj_whose whose;
	__u64 id, run_ns;

	target = target_of(task, &id);
	state = target ? state_of(id) : 0;
	if (!state)
		return;
	/* Of a thread seen before: it was switched to, and nobody said so. */
	if (state->run == in_run_queue || state->run == sleeping) {
		state->unseen_switch_ins++;
		gj_drop(drop_no_start);
	}
	if (!gj_whose_read(target, &whose))
		gj_drop(drop_no_goroutine);
	state->goid = whose.goid;
	state->func = whose.func;
	run_ns = state->run == on_cpu ? now - state->since_ns : 0;
	state->off_since_ns = state->since_ns = now;
	state->queued = is_runnable ? preempted : not_queued;
	state->run = is_runnable ? in_run_queue : sleeping;
	state->preemptions += is_runnable;
	if (gj_tells(thread_off))
		tell_thread(ctx, thread_off, target, id, state, run_ns);
	bpf_probe_read_kernel(state->comm, sizeof(state->comm), task->comm);
}

static __always_inline void add_to_goroutine(const struct gj_thread_state *state, __u32 tid,
					     __u64 queue_ns, __u64 off_ns, __u64 now)
{
	struct gj_goroutine_key key = { .tgid = state->tgid, .goid = state->goid };
	struct gj_goroutine_kernel fresh = { .func = state->func };
	struct gj_goroutine_kernel *sum = gj_get(&goroutine_kernel, &key, &fresh);

	if (!sum)
		return;
	/* One thread at a time runs a goroutine; the next may be another, on another processor. */
	sum->tid = tid;
	sum->run_queue_ns += queue_ns;
	sum->off_cpu_ns += off_ns;
	sum->preempted_cnt += state->queued == preempted;
	sum->switches++;
	sum->last_ns = now;
}

static __always_inline __u64 leave_queue(struct gj_thread_state *state, __u64 now)
{
	struct gj_run_queue_key key = { .tgid = state->tgid, .since = state->queued,
					.func = state->func };
	__u64 ns = now - state->since_ns;

	__builtin_memcpy(key.comm, state->comm, sizeof(key.comm));
	state->last_queue_ns = ns;
	state->queue_ns += ns;
	gj_count_ns(&run_queue, &key, ns);
	return ns;
}

static __always_inline void switch_in(void *ctx, struct task_struct___thread *task, __u64 now)
{
	const struct gj_trace_target *target;
	struct gj_thread_state *state;
	__u64 id, queue_ns = 0, off_ns = 0;

	target = target_of(task, &id);
	state = target ? state_of(id) : 0;
	if (!state)
		return;
	if (!state->comm[0])
		bpf_probe_read_kernel(state->comm, sizeof(state->comm), task->comm);
	if (state->run == in_run_queue)
		queue_ns = leave_queue(state, now);
	else
		gj_drop(drop_no_start);
	if (state->off_since_ns) {
		struct gj_off_cpu_key key = {
			.tgid = state->tgid,
			.kind = state->queued == preempted ? involuntary : voluntary,
		};

		off_ns = now - state->off_since_ns;
		state->off_cpu_ns += off_ns;
		gj_count_ns(&off_cpu, &key, off_ns);
		if (state->goid)
			add_to_goroutine(state, id, queue_ns, off_ns, now);
	}
	state->switch_ins++;
	state->off_since_ns = 0;
	state->run = on_cpu;
	state->since_ns = now;
	if (gj_tells(thread_running))
		tell_thread(ctx, thread_running, target, id, state, queue_ns);
	state->queued = not_queued;
}

/* Arguments: preempt, prev, next, prev_state. */
SEC("tp_btf/sched_switch")
int gj_switch(__u64 *ctx)
{
	__u64 now = bpf_ktime_get_ns();

	switch_out(ctx, (void *)ctx[1], ctx[0] || !ctx[3], now);
	switch_in(ctx, (void *)ctx[2], now);
	return 0;
}

SEC("tp_btf/sched_process_exit")
int gj_thread_exit(__u64 *ctx)
{
	__u32 tid = pid_tid((void *)ctx[0]);

	bpf_map_delete_elem(&thread_states, &tid);
	return 0;
}

/*
 * The thread that calls exec takes its leader's number. Its old one is an
 * argument, as the first namespace counts.
 */
SEC("tp_btf/sched_process_exec")
int gj_thread_exec(__u64 *ctx)
{
	__u32 tid = pid_tid((void *)ctx[0]), old_tid = ctx[1];

	bpf_map_delete_elem(&thread_states, &tid);
	if (!gj_pid_level)
		bpf_map_delete_elem(&thread_states, &old_tid);
	return 0;
}
