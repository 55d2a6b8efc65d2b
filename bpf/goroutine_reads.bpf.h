/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What bpf/goroutines.bpf.c reads of a goroutine: the head of its g and its stack.
 * A read of user memory costs tens of nanoseconds, a few bytes or a thousand, so both
 * are read in big pieces, into memory of the processor. To be included behind
 * goroutines.bpf.h.
 */
#ifndef GJ_GOROUTINE_READS_BPF_H
#define GJ_GOROUTINE_READS_BPF_H

#define HEAD_BYTES 256  /* of a g, which has more than 350 in every release: all but where it began */
#define PIECE_BYTES 1024 /* of a stack */
#define READ_TRIES 2

/*
 * The processor's. Another thread's program may come in between and leave it its own
 * (the kernel only keeps a program from moving), so what was read counts when the owner
 * is still there behind it.
 */
struct reads {
	__u64 owner; /* thread */
	__u8 head[HEAD_BYTES + 8];
	__u8 piece[PIECE_BYTES + 16];
	union { /* on its way into its map; BPF's stack has no room for it */
		struct gj_blocked_stack blocked;
		struct gj_waker_stack waker;
	};
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct reads);
} reads SEC(".maps");

static __always_inline struct reads *take_reads(__u64 pid_tid)
{
	__u32 zero = 0;
	struct reads *own = bpf_map_lookup_elem(&reads, &zero);

	if (own)
		*(volatile __u64 *)&own->owner = pid_tid;
	return own;
}

static __always_inline _Bool is_ours(__u64 pid_tid, const struct reads *own)
{
	return *(const volatile __u64 *)&own->owner == pid_tid;
}

static __always_inline __u64 in_head(const struct reads *own, __u32 off)
{
	return *(const __u64 *)(own->head + (off & (HEAD_BYTES - 1)));
}

/* Of a release whose fields stand behind the head: no stack, then. */
static __always_inline _Bool read_behind_head(struct move *move)
{
	__u8 why[2] = { 0 };

	if (!gj_user_u64(move->g, move->target->g_goid, &move->key.goid) ||
	    move->target->g_waitreason == GJ_NO_OFFSET ||
	    bpf_probe_read_user(why, sizeof(why), (void *)(move->g + move->target->g_waitreason)))
		return 0;
	move->why = why[0];
	move->is_preempted = why[1];
	return 1;
}

/* Where the g whose head was read goes on. */
static __always_inline void take_place(const struct gj_trace_target *target, const struct reads *own,
				       struct place *at)
{
	at->lo = in_head(own, target->g_stack_lo);
	at->hi = in_head(own, target->g_stack_hi);
	at->pc = in_head(own, target->g_sched_pc);
	at->sp = in_head(own, target->g_sched_sp);
	at->bp = in_head(own, target->g_sched_bp);
}

/* Takes goid, place of stack and of going on, wait reason, request to stop. False: unreadable. */
static __always_inline _Bool read_head(struct move *move)
{
	const struct gj_trace_target *target = move->target;
	__u32 why = target->g_waitreason, all = why | target->g_goid | target->g_stack_lo |
		target->g_stack_hi | target->g_sched_pc | target->g_sched_sp | target->g_sched_bp;

	if (all >= HEAD_BYTES)
		return read_behind_head(move);
	for (int i = 0; i < READ_TRIES; i++) {
		struct reads *own = take_reads(move->at.pid_tid);

		if (!own || bpf_probe_read_user(own->head, HEAD_BYTES, (void *)move->g))
			return 0;
		move->key.goid = in_head(own, target->g_goid);
		take_place(target, own, &move->at);
		/* g.preempt stands behind it in every release (Go runtime2.go). */
		move->why = own->head[why & (HEAD_BYTES - 1)];
		move->is_preempted = own->head[(why + 1) & (HEAD_BYTES - 1)];
		move->has_head = 1;
		if (is_ours(move->at.pid_tid, own))
			return 1;
	}
	return 0;
}

/* Takes the place of another goroutine, @g, which has gone to its thread's own stack. */
static __always_inline _Bool read_place(struct move *move, __u64 g)
{
	const struct gj_trace_target *target = move->target;
	__u32 all = target->g_stack_lo | target->g_stack_hi | target->g_sched_pc |
		    target->g_sched_sp | target->g_sched_bp;

	for (int i = 0; i < READ_TRIES && all < HEAD_BYTES; i++) {
		struct reads *own = take_reads(move->at.pid_tid);

		if (!own || bpf_probe_read_user(own->head, HEAD_BYTES, (void *)g))
			return 0;
		take_place(target, own, &move->at);
		if (is_ours(move->at.pid_tid, own))
			return 1;
	}
	return 0;
}

/* A walk up the frames of a stack. */
struct walk {
	struct reads *own;
	__u64 base;  /* where its piece begins */
	__u64 bytes; /* of that; 0: none has been read */
};

/* Takes the frame at @bp: of the piece if it stands there, else the next piece begins with it. */
static __always_inline _Bool read_frame(const struct place *at, struct walk *walk, __u64 bp,
					__u64 frame_out[2])
{
	__u64 off = bp - walk->base;

	if (off + 2 * sizeof(__u64) > walk->bytes) {
		walk->base = bp;
		walk->bytes = at->hi - bp;
		if (walk->bytes > PIECE_BYTES)
			walk->bytes = PIECE_BYTES;
		if (bpf_probe_read_user(walk->own->piece, walk->bytes, (void *)bp))
			return 0;
		off = 0;
	}
	/* It is in bounds by now; this is for the verifier. */
	off &= PIECE_BYTES - 1;
	frame_out[0] = *(__u64 *)(walk->own->piece + off);
	frame_out[1] = *(__u64 *)(walk->own->piece + off + 8);
	return 1;
}

/* Follows the frame pointers from where the goroutine goes on. */
static __always_inline void walk_up(const struct place *at, struct walk *walk, struct gj_go_stack *stack)
{
	__u64 lo = at->sp > at->lo ? at->sp : at->lo, bp = at->bp, pc = at->pc, frame[2];

	for (int i = 0; i < GJ_GO_STACK_PCS; i++) {
		stack->pcs[i] = pc - at->bias;
		stack->pc_cnt = i + 1;
		/* runtime.goexit, under the first function, has no frame. */
		if (!bp)
			return;
		if (bp < lo || bp > at->hi - sizeof(frame) || !read_frame(at, walk, bp, frame))
			break;
		lo = bp + sizeof(frame);
		bp = frame[0];
		pc = frame[1];
	}
	stack->is_cut = 1;
}

/*
 * Where a goroutine goes on (g.sched, which mcall filled) and the frames above; no pcs:
 * unreadable. A function of its own, so that the verifier looks at it once.
 */
__attribute__((noinline)) int gj_read_stack(const struct place *at, struct gj_go_stack *stack)
{
	if (!at || !stack)
		return 0;
	for (int i = 0; i < READ_TRIES; i++) {
		struct walk walk = { .own = take_reads(at->pid_tid) };

		__builtin_memset(stack, 0, sizeof(*stack));
		if (!walk.own || !at->pc)
			return 0;
		walk_up(at, &walk, stack);
		if (is_ours(at->pid_tid, walk.own))
			return 0;
	}
	__builtin_memset(stack, 0, sizeof(*stack));
	return 0;
}

static __always_inline void read_stack(struct move *move, struct gj_go_stack *stack)
{
	move->at.bias = move->target->bias;
	/* reentersyscall saves no frame pointer up to Go 1.22: what stands there is an older one. */
	if (move->new == g_syscall && move->target->go_minor < 23)
		move->at.bp = move->at.hi;
	gj_read_stack(&move->at, stack);
}

#endif
