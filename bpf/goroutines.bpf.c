/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What goroutines do, seen where the runtime changes their status: the state of
 * each, how long they wait to run, for what they wait and how long, who ends the
 * waiting, which keep their thread for long. docs/trace-goroutines.md.
 *
 * Hooked: runtime.casgstatus (gp, old, new in AX, BX, CX; on entry, so the change
 * is about to happen) and, where goid comes later than the first status (up to Go
 * 1.23), the return of runtime.newproc1 (the new g in AX).
 */
#include <linux/bpf.h>
#include <linux/ptrace.h>

#include "goroutines.bpf.h"

char LICENSE[] SEC("license") = "GPL";

/* Why it waits, and the flag g.preempt, which stands behind that in every release (Go runtime2.go). */
static __always_inline void read_why(struct move *move)
{
	const struct gj_trace_target *target = move->target;
	__u8 bytes[2] = { 0 };
	__u64 syscallsp = 0;

	if (target->g_waitreason == GJ_NO_OFFSET ||
	    bpf_probe_read_user(bytes, sizeof(bytes), (void *)(move->g + target->g_waitreason)))
		gj_drop(drop_unreadable);
	if (move->new == g_waiting)
		move->reason = bytes[0];
	move->is_preempted = bytes[1];
	/* exitsyscallNoP: it has been marked as running for as long as it took to find no P. */
	if (move->new == g_runnable && target->go_minor >= FIRST_MINOR_QUIET_SYSCALLS &&
	    gj_user_u64(move->g, target->g_syscallsp, &syscallsp))
		move->was_in_syscall = syscallsp != 0;
}

/* What is known of a goroutine from its g; its status is for the caller. */
static __always_inline void describe(const struct move *move, struct gj_goroutine *goroutine)
{
	const struct gj_trace_target *target = move->target;
	__u64 startpc = 0, gopc = 0;

	gj_user_u64(move->g, target->g_startpc, &startpc);
	gj_user_u64(move->g, target->g_gopc, &gopc);
	gj_user_u64(move->g, target->g_parent_goid, &goroutine->parent_goid);
	goroutine->func = gj_func_of(target, startpc);
	goroutine->created_at = gopc ? gopc - target->bias : 0;
	goroutine->g = move->g;
	goroutine->since_ns = move->now_ns;
	if (target->go_minor >= FIRST_MINOR_QUIET_SYSCALLS)
		goroutine->note = running_or_in_syscall;
}

static __always_inline void insert(const struct move *move, const struct gj_goroutine *goroutine)
{
	if (bpf_map_update_elem(&goroutines, &move->key, goroutine, BPF_ANY))
		gj_drop(drop_map_full);
}

/* A goroutine that has its number and its first status. */
static __always_inline void create(const struct move *move)
{
	struct gj_goroutine goroutine = { .status = move->new, .created_ns = move->now_ns,
					  .reason = move->reason };

	describe(move, &goroutine);
	if (move->new == g_waiting) /* a coroutine, started by a switch that nobody sees */
		goroutine.note = switched_unseen;
	if (move->counts)
		add_one(&move->counts->created);
	insert(move, &goroutine);
	tell_move(move, goroutine_created, &goroutine, move->reason, goroutine.parent_goid,
		  goroutine.created_at);
}

/* Takes the thread it begins to run on. */
static __always_inline void take_thread(struct gj_goroutine *goroutine)
{
	goroutine->tid = (__u32)gj_current_pid_tid((void *)bpf_get_current_task());
	goroutine->run_switches = thread_switches();
}

/* One that is older than the trace: known from here on. */
static __always_inline void learn(const struct move *move)
{
	struct gj_goroutine goroutine = { .status = move->new, .reason = move->reason };

	describe(move, &goroutine);
	if (move->new == g_running) {
		take_thread(&goroutine);
		goroutine.start_cnt = move->old == g_runnable;
	}
	if (move->counts)
		add_one(&move->counts->learnt);
	insert(move, &goroutine);
	tell_move(move, kind_of(move->new), &goroutine, move->reason, 0, 0);
}

/* Where the goroutine goes on: g.sched, which mcall filled, and the frame pointers above. */
static __always_inline void read_stack(const struct move *move, struct gj_go_stack *stack)
{
	const struct gj_trace_target *target = move->target;
	__u64 lo = 0, hi = 0, bp = 0, pc = 0, frame[2];

	__builtin_memset(stack, 0, sizeof(*stack));
	gj_user_u64(move->g, target->g_stack_lo, &lo);
	gj_user_u64(move->g, target->g_stack_hi, &hi);
	gj_user_u64(move->g, target->g_sched_pc, &pc);
	gj_user_u64(move->g, target->g_sched_sp, &frame[0]);
	gj_user_u64(move->g, target->g_sched_bp, &bp);
	if (!pc)
		return;
	/* reentersyscall saves no frame pointer up to Go 1.22: what stands there is an older one. */
	if (move->new == g_syscall && target->go_minor < 23)
		bp = hi;
	if (frame[0] > lo)
		lo = frame[0];
	for (int i = 0; i < GJ_GO_STACK_PCS; i++) {
		stack->pcs[i] = pc - target->bias;
		stack->pc_cnt = i + 1;
		/* runtime.goexit, under the first function, has no frame. */
		if (!bp)
			return;
		if (bp < lo || bp > hi - sizeof(frame) ||
		    bpf_probe_read_user(frame, sizeof(frame), (void *)bp))
			break;
		lo = bp + sizeof(frame);
		bp = frame[0];
		pc = frame[1];
	}
	stack->is_cut = 1;
}

static __always_inline __u64 hash_of(const struct gj_go_stack *stack)
{
	__u64 hash = 0xcbf29ce484222325ull;

	for (int i = 0; i < GJ_GO_STACK_PCS; i++)
		hash = (hash ^ stack->pcs[i]) * 0x100000001b3ull;
	return hash ? hash : 1;
}

/* Notes where the goroutine begins to wait. */
static __always_inline void note_stack(const struct move *move, struct gj_goroutine *goroutine)
{
	struct gj_blocked_stack stack = { .parked = 1, .func = goroutine->func }, *known;
	struct gj_blocked_stack_key key = { .tgid = move->key.tgid, .reason = goroutine->reason };

	/*
	 * Up to Go 1.20 gcMarkTermination and others mark their goroutine while it runs, on
	 * its own stack (casgstatus); g.sched is of some time before.
	 */
	if (move->current_g == move->g)
		return;
	read_stack(move, &stack.stack);
	if (!stack.stack.pc_cnt) {
		gj_drop(drop_unreadable);
		return;
	}
	key.hash = hash_of(&stack.stack);
	known = bpf_map_lookup_elem(&blocked_stacks, &key);
	if (known)
		add_one(&known->parked);
	else if (bpf_map_update_elem(&blocked_stacks, &key, &stack, BPF_NOEXIST)) {
		known = bpf_map_lookup_elem(&blocked_stacks, &key);
		if (!known) {
			gj_drop(drop_map_full);
			return;
		}
		add_one(&known->parked);
	}
	goroutine->stack = key.hash;
}

static __always_inline void end_stack(const struct move *move, struct gj_goroutine *goroutine,
				      __u64 ns)
{
	struct gj_blocked_stack_key key = { .tgid = move->key.tgid, .reason = goroutine->reason,
					    .hash = goroutine->stack };
	struct gj_blocked_stack *stack = bpf_map_lookup_elem(&blocked_stacks, &key);

	if (!stack)
		return;
	add_one(&stack->readied);
	__sync_fetch_and_add(&stack->sum_ns, ns);
}

/* Whose goroutine makes @woken runnable: its goid, for events. */
static __always_inline __u64 note_waker(const struct move *move, const struct gj_goroutine *woken)
{
	const struct gj_trace_target *target = move->target;
	struct gj_waker_key key = { .tgid = move->key.tgid, .reason = woken->reason,
				    .woken = woken->func };
	__u64 m = 0, g0 = 0, g = move->current_g, startpc = 0, one = 1, goid = 0, *cnt;

	if (!gj_user_u64(g, target->g_m, &m) || !gj_user_u64(m, target->m_g0, &g0))
		gj_drop(drop_no_goroutine);
	else if (g == g0 && !gj_user_u64(m, target->m_curg, &g))
		gj_drop(drop_no_goroutine);
	else if (g)
		gj_user_u64(g, target->g_startpc, &startpc);
	if (gj_tells(goroutine_runnable) && startpc)
		gj_user_u64(g, target->g_goid, &goid);
	key.waker = gj_func_of(target, startpc);
	cnt = bpf_map_lookup_elem(&wakers, &key);
	if (cnt)
		add_one(cnt);
	else if (bpf_map_update_elem(&wakers, &key, &one, BPF_NOEXIST)) {
		cnt = bpf_map_lookup_elem(&wakers, &key);
		if (cnt)
			add_one(cnt);
		else
			gj_drop(drop_map_full);
	}
	return goid;
}

/* One of GJ_LONG_RUN_NS and more. Two at once of one function may lose one count; the longest stays. */
static __always_inline void note_long_run(const struct move *move,
					  const struct gj_goroutine *goroutine, __u64 ns)
{
	struct gj_goroutine_func_key key = { .tgid = move->key.tgid, .func = goroutine->func };
	struct gj_long_run *run = bpf_map_lookup_elem(&long_runs, &key);

	if (!run) {
		struct gj_long_run none = { 0 };

		bpf_map_update_elem(&long_runs, &key, &none, BPF_NOEXIST);
		run = bpf_map_lookup_elem(&long_runs, &key);
		if (!run) {
			gj_drop(drop_map_full);
			return;
		}
	}
	if (thread_switches() != goroutine->run_switches) {
		add_one(&run->slept_cnt);
		return;
	}
	add_one(&run->cnt);
	if (ns <= run->max_ns)
		return;
	run->max_ns = ns;
	run->goid = move->key.goid;
	run->end_ns = move->now_ns;
	read_stack(move, &run->stack);
}

/* What ends with this move, and was seen beginning. */
static __always_inline void end_spell(const struct move *move, struct gj_goroutine *goroutine)
{
	__u64 ns = move->now_ns - goroutine->since_ns;

	if (move->old == g_running) {
		goroutine->running_ns += ns;
		if (ns >= GJ_LONG_RUN_NS)
			note_long_run(move, goroutine, ns);
	} else if (move->old == g_runnable) {
		struct gj_goroutine_func_key key = { move->key.tgid, goroutine->func };

		goroutine->runnable_ns += ns;
		add_to_hist(&sched_latency, &key, ns);
	} else if (move->old == g_waiting) {
		struct gj_blocked_key key = { move->key.tgid, goroutine->reason, goroutine->func };

		goroutine->blocked_ns += ns;
		add_to_hist(&blocked, &key, ns);
		end_stack(move, goroutine, ns);
	} else if (move->old == g_syscall) {
		goroutine->syscall_ns += ns;
	}
}

/* Counters that need no more than the move itself. */
static __always_inline void count(const struct move *move)
{
	struct gj_goroutine_counts *counts = move->counts;

	if (!counts)
		return;
	if (move->old == g_running && move->new == g_runnable) {
		if (move->was_in_syscall)
			add_one(&counts->syscalls_lost_p);
		else if (move->is_preempted)
			add_one(&counts->preempted);
		else
			add_one(&counts->yielded);
	} else if (move->old == g_runnable && move->new == g_running) {
		add_one(&counts->started);
	} else if (move->old == g_waiting && move->new == g_runnable) {
		add_one(&counts->readied);
	} else if (move->new == g_waiting) {
		add_one(&counts->parked);
	} else if (move->old == g_running && move->new == g_syscall) {
		add_one(&counts->syscalls);
	} else if (move->old == g_syscall && move->new == g_runnable) {
		add_one(&counts->syscalls_lost_p);
	} else if (move->old == g_running && move->new == g_dead) {
		add_one(&counts->exited);
	}
}

/* The old status against what we knew: true when the spell that ends is one we saw begin. */
static __always_inline _Bool is_known(const struct move *move, const struct gj_goroutine *goroutine)
{
	struct gj_goroutine_counts *counts = move->counts;

	if (move->was_in_syscall)
		return 0;
	if (goroutine->status == move->old && move->new != g_running)
		return 1;
	if (move->old == g_waiting && move->new == g_running) {
		/* Up to Go 1.19 nothing tells a systemstack call that only looks like waiting. */
		if (counts)
			add_one(&counts->resumed);
		return 0;
	}
	if (goroutine->status == move->old)
		return 1;
	if (!counts)
		return 0;
	/* preemptPark, for the GC to read its stack, goes by no casgstatus; ready ends it. */
	if (goroutine->status == g_running && move->old == g_waiting && move->new == g_runnable)
		add_one(&counts->preempted);
	else
		add_one(&counts->unseen);
	return 0;
}

/* Takes the new status. @waker: goid of who made it runnable, 0. */
static __always_inline void begin_spell(const struct move *move, struct gj_goroutine *goroutine,
					__u64 waker)
{
	__u32 reason = move->new == g_runnable ? goroutine->reason : move->reason;

	goroutine->since_ns = move->now_ns;
	goroutine->status = move->new;
	goroutine->reason = move->reason;
	goroutine->stack = 0;
	if (move->new == g_running) {
		take_thread(goroutine);
		goroutine->start_cnt += move->old == g_runnable;
	}
	if (move->new == g_waiting)
		note_stack(move, goroutine);
	tell_move(move, kind_of(move->new), goroutine, reason, waker, goroutine->stack);
}

/* A goroutine that was there before and goes on. */
static __always_inline void change(const struct move *move, struct gj_goroutine *goroutine)
{
	__u64 waker = 0;

	/* Its work went on while it was marked as waiting. */
	if (move->old == g_waiting && move->new == g_running && goroutine->status == g_running)
		return;
	if (is_known(move, goroutine))
		end_spell(move, goroutine);
	if (move->old == g_waiting && move->new == g_runnable)
		waker = note_waker(move, goroutine);
	begin_spell(move, goroutine, waker);
}

/* Ended, or (an m for calls from C) waits for the next call under no number anybody sees. */
static __always_inline void end(const struct move *move)
{
	struct gj_goroutine *goroutine = bpf_map_lookup_elem(&goroutines, &move->key);

	count(move);
	tell_move(move, goroutine_dead, goroutine, 0, 0, 0);
	if (!goroutine)
		return;
	if (is_known(move, goroutine))
		end_spell(move, goroutine);
	bpf_map_delete_elem(&goroutines, &move->key);
}

static __always_inline void go_on(struct move *move)
{
	const struct gj_trace_target *target = move->target;
	struct gj_goroutine *goroutine;

	if (move->old == g_running && (move->new == g_waiting || move->new == g_runnable))
		read_why(move);
	if (move->new == g_waiting && target->busy_reasons >> (move->reason & 63) & 1)
		return;
	if (target->go_minor >= FIRST_MINOR_QUIET_SYSCALLS) {
		/* Only some come by here; half of them would be worse than none. */
		if ((move->old == g_running && move->new == g_syscall) ||
		    (move->old == g_syscall && move->new == g_running))
			return;
		if (move->new == g_syscall)
			move->new = g_running;
	}
	count(move);
	goroutine = bpf_map_lookup_elem(&goroutines, &move->key);
	if (goroutine)
		change(move, goroutine);
	else
		learn(move);
}

/* False when @move is none of a target's goroutine. */
static __always_inline _Bool begin_move(struct move *move, __u64 g)
{
	move->target = gj_target(&move->key.tgid);
	if (!move->target)
		return 0;
	move->g = g;
	if (!gj_user_u64(g, move->target->g_goid, &move->key.goid)) {
		gj_drop(drop_unreadable);
		return 0;
	}
	move->now_ns = bpf_ktime_get_ns();
	move->counts = counts_of(move->key.tgid);
	return 1;
}

SEC("syscall")
int gj_begin(void *ctx __attribute__((unused)))
{
	gj_pid_begin((void *)bpf_get_current_task());
	return 0;
}

SEC("uprobe")
int gj_on_casgstatus(struct pt_regs *ctx)
{
	struct move move = { .ctx = ctx, .current_g = ctx->r14, .old = ctx->rbx & GJ_G_STATUS_MASK,
			     .new = ctx->rcx & GJ_G_STATUS_MASK };

	gj_own_stack(ctx);
	/* Copying its stack is not doing something else; idle ones are none yet. */
	if (move.old == g_copystack || move.new == g_copystack || move.old == g_idle)
		return 0;
	if (!begin_move(&move, ctx->rax))
		return 0;
	if (move.new == g_dead || move.new == g_deadextra) {
		end(&move);
	} else if (move.old != g_dead || move.new == g_syscall) {
		go_on(&move);
	} else if (move.target->go_minor >= FIRST_MINOR_GOID_FIRST) {
		if (move.new == g_waiting)
			read_why(&move);
		create(&move);
	}
	return 0;
}

SEC("uprobe")
int gj_on_newproc1(struct pt_regs *ctx)
{
	struct move move = { .ctx = ctx, .old = g_dead };

	gj_own_stack(ctx);
	if (!begin_move(&move, ctx->rax) || move.target->go_minor >= FIRST_MINOR_GOID_FIRST)
		return 0;
	if (move.target->g_status == GJ_NO_OFFSET ||
	    bpf_probe_read_user(&move.new, sizeof(move.new),
				(void *)(move.g + move.target->g_status))) {
		gj_drop(drop_unreadable);
		return 0;
	}
	move.new &= GJ_G_STATUS_MASK;
	if (move.new == g_waiting)
		read_why(&move);
	create(&move);
	return 0;
}
