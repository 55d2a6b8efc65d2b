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

#include "goroutine_reads.bpf.h"
#include "goroutine_stacks.bpf.h"

char LICENSE[] SEC("license") = "GPL";

/* Why it is taken off its thread. */
static __always_inline void read_why(struct move *move)
{
	const struct gj_trace_target *target = move->target;
	__u64 syscallsp = 0;

	if (move->new == g_waiting)
		move->reason = move->why;
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

static __always_inline struct g_key g_key_of(const struct move *move)
{
	return (struct g_key){ .g = move->g, .tgid = move->key.tgid,
			       .generation = move->target->generation };
}

static __always_inline void insert(const struct move *move, const struct gj_goroutine *goroutine)
{
	struct g_key g = g_key_of(move);

	bpf_map_update_elem(&goids, &g, &move->key.goid, BPF_ANY);
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
static __always_inline void take_thread(const struct move *move, struct gj_goroutine *goroutine)
{
	struct running *known = bpf_map_lookup_elem(&running, &move->at.pid_tid);

	goroutine->tid = (__u32)move->at.pid_tid;
	goroutine->run_switches = thread_switches();
	if (known) {
		known->g = move->g;
		known->func = goroutine->func;
	} else {
		struct running first = { .g = move->g, .func = goroutine->func };

		/* Without, a waker is read from its g. */
		bpf_map_update_elem(&running, &move->at.pid_tid, &first, BPF_ANY);
	}
}

/* One that is older than the trace: known from here on. */
static __always_inline void learn(struct move *move)
{
	struct gj_goroutine goroutine = { .status = move->new, .reason = move->reason };

	describe(move, &goroutine);
	if (move->new == g_running) {
		take_thread(move, &goroutine);
		goroutine.start_cnt = move->old == g_runnable;
	}
	if (move->new == g_waiting)
		note_stack(move, &goroutine);
	if (move->counts)
		add_one(&move->counts->learnt);
	insert(move, &goroutine);
	tell_move(move, kind_of(move->new), &goroutine, move->reason, 0, goroutine.stack);
}

/* The goroutine that the current thread runs; 0: none, the scheduler is at work. False: unreadable. */
static __always_inline _Bool read_waker(const struct move *move, struct running *known, __u64 *g_out)
{
	const struct gj_trace_target *target = move->target;
	__u64 m = 0, g0 = 0;

	*g_out = move->current_g;
	/* A g0 is of one m for good. */
	if (known && known->g0 && known->g0 == move->current_g)
		return gj_user_u64(known->m, target->m_curg, g_out);
	if (!gj_user_u64(move->current_g, target->g_m, &m) || !gj_user_u64(m, target->m_g0, &g0))
		return 0;
	if (known && g0 == move->current_g) {
		known->m = m;
		known->g0 = g0;
	}
	return g0 != move->current_g || gj_user_u64(m, target->m_curg, g_out);
}

/* Start function and g of whose goroutine makes another runnable. */
static __always_inline __u32 waker_of(const struct move *move, __u64 *g_out)
{
	struct running *known = bpf_map_lookup_elem(&running, &move->at.pid_tid);
	__u64 startpc = 0;

	if (!read_waker(move, known, g_out)) {
		gj_drop(drop_no_goroutine);
		return unknown_function;
	}
	/* Else it is one that was switched to unseen. */
	if (*g_out && known && known->g == *g_out)
		return known->func;
	if (*g_out)
		gj_user_u64(*g_out, move->target->g_startpc, &startpc);
	return gj_func_of(move->target, startpc);
}

/* Whose goroutine makes @woken runnable, after @ns (0: not known): its goid, for events. */
static __always_inline __u64 note_waker(struct move *move, const struct gj_goroutine *woken, __u64 ns)
{
	struct gj_waker_key key = { .tgid = move->key.tgid, .reason = woken->reason,
				    .woken = woken->func };
	__u64 g = 0, one = 1, goid = 0, *cnt;

	key.waker = waker_of(move, &g);
	if (ns >= GJ_LONG_WAIT_NS)
		note_waker_stack(move, woken, key.waker, g, ns);
	if (gj_tells(goroutine_runnable) && key.waker)
		gj_user_u64(g, move->target->g_goid, &goid);
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
static __always_inline void note_long_run(struct move *move, const struct gj_goroutine *goroutine,
					  __u64 ns)
{
	struct gj_goroutine_func_key key = { .tgid = move->key.tgid, .func = goroutine->func };
	struct gj_long_run *run = bpf_map_lookup_elem(&long_runs, &key);

	if (!run) {
		bpf_map_update_elem(&long_runs, &key, &no_run, BPF_NOEXIST);
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
	if (move->has_head || read_head(move))
		read_stack(move, &run->stack);
	else
		__builtin_memset(&run->stack, 0, sizeof(run->stack));
}

/* What ends with this move, and was seen beginning. */
static __always_inline void end_spell(struct move *move, struct gj_goroutine *goroutine)
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
static __always_inline void begin_spell(struct move *move, struct gj_goroutine *goroutine,
					__u64 waker)
{
	__u32 reason = move->new == g_runnable ? goroutine->reason : move->reason;

	goroutine->since_ns = move->now_ns;
	goroutine->status = move->new;
	goroutine->reason = move->reason;
	goroutine->stack = 0;
	if (move->new == g_running) {
		take_thread(move, goroutine);
		goroutine->start_cnt += move->old == g_runnable;
	}
	if (move->new == g_waiting)
		note_stack(move, goroutine);
	tell_move(move, kind_of(move->new), goroutine, reason, waker, goroutine->stack);
}

/* A goroutine that was there before and goes on. */
static __always_inline void change(struct move *move, struct gj_goroutine *goroutine)
{
	__u64 waker = 0, ns = 0;

	/* Its work went on while it was marked as waiting. */
	if (move->old == g_waiting && move->new == g_running && goroutine->status == g_running)
		return;
	if (is_known(move, goroutine)) {
		ns = move->now_ns - goroutine->since_ns;
		end_spell(move, goroutine);
	}
	if (move->old == g_waiting && move->new == g_runnable)
		waker = note_waker(move, goroutine, ns);
	begin_spell(move, goroutine, waker);
}

/* Ended, or (an m for calls from C) waits for the next call under no number anybody sees. */
static __always_inline void end(struct move *move)
{
	struct gj_goroutine *goroutine = bpf_map_lookup_elem(&goroutines, &move->key);

	struct g_key g = g_key_of(move);

	count(move);
	tell_move(move, goroutine_dead, goroutine, 0, 0, 0);
	bpf_map_delete_elem(&goids, &g);
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

/* The number of a goroutine that goes on or ends; @read_head, where it begins. */
static __always_inline _Bool find_goid(struct move *move)
{
	struct g_key g = g_key_of(move);
	const __u64 *known = bpf_map_lookup_elem(&goids, &g);

	if (!known)
		return gj_user_u64(move->g, move->target->g_goid, &move->key.goid);
	move->key.goid = *known;
	return 1;
}

/* False when @move is none of a target's goroutine. */
static __always_inline _Bool begin_move(struct move *move, __u64 g)
{
	_Bool is_read;

	move->at.pid_tid = gj_pid_tid();
	move->key.tgid = move->at.pid_tid >> 32;
	/* 0: of another pid namespace, where it cannot be told from others. */
	move->target = move->key.tgid ? gj_target_find(move->key.tgid) : 0;
	if (!move->target)
		return 0;
	move->g = g;
	/* Begun, or taken off its thread: more will be asked. */
	if (move->old == g_dead || move->new == g_waiting ||
	    (move->old == g_running && move->new == g_runnable))
		is_read = read_head(move);
	else
		is_read = find_goid(move);
	if (!is_read) {
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
