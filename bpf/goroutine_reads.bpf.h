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
#define READ_TRIES 3

/*
 * The processor's. Another thread's program may come in between and leave it its own
 * (the kernel only keeps a program from moving), so what was read counts when the owner
 * is still there behind it.
 */
struct reads {
	__u64 owner; /* thread */
	__u8 head[HEAD_BYTES];
	__u8 piece[PIECE_BYTES];
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct reads);
} reads SEC(".maps");

static __always_inline struct reads *take_reads(const struct move *move)
{
	__u32 zero = 0;
	struct reads *own = bpf_map_lookup_elem(&reads, &zero);

	if (own)
		*(volatile __u64 *)&own->owner = move->pid_tid;
	return own;
}

static __always_inline _Bool is_ours(const struct move *move, const struct reads *own)
{
	return *(const volatile __u64 *)&own->owner == move->pid_tid;
}

static __always_inline __u64 in_head(const struct move *move, const struct reads *own, __u32 off)
{
	__u64 value = 0;

	if (off <= HEAD_BYTES - sizeof(value))
		return *(const __u64 *)(own->head + (off & (HEAD_BYTES - 1)));
	gj_user_u64(move->g, off, &value);
	return value;
}

/* Takes goid, place of stack and of going on, wait reason, request to stop. False: unreadable. */
static __always_inline _Bool read_head(struct move *move)
{
	const struct gj_trace_target *target = move->target;

	for (int i = 0; i < READ_TRIES; i++) {
		struct reads *own = take_reads(move);
		__u32 why = target->g_waitreason;

		if (!own || bpf_probe_read_user(own->head, HEAD_BYTES, (void *)move->g))
			return 0;
		move->key.goid = in_head(move, own, target->g_goid);
		move->stack_lo = in_head(move, own, target->g_stack_lo);
		move->stack_hi = in_head(move, own, target->g_stack_hi);
		move->pc = in_head(move, own, target->g_sched_pc);
		move->sp = in_head(move, own, target->g_sched_sp);
		move->bp = in_head(move, own, target->g_sched_bp);
		/* g.preempt stands behind it in every release (Go runtime2.go). */
		if (why < HEAD_BYTES - 1) {
			move->why = own->head[why & (HEAD_BYTES - 1)];
			move->is_preempted = own->head[(why + 1) & (HEAD_BYTES - 1)];
		}
		move->has_head = 1;
		if (is_ours(move, own))
			return 1;
	}
	return 0;
}

/* A walk up the frames of a stack. */
struct walk {
	struct reads *own;
	__u64 base;  /* where its piece begins */
	__u32 bytes; /* of that; 0: none has been read */
};

/* Takes the frame at @bp: of the piece if it stands there, else the next piece begins with it. */
static __always_inline _Bool read_frame(const struct move *move, struct walk *walk, __u64 bp,
					__u64 frame_out[2])
{
	__u64 off = bp - walk->base;

	if (off + 2 * sizeof(__u64) > walk->bytes) {
		__u64 left = move->stack_hi - bp;

		walk->base = bp;
		walk->bytes = left < PIECE_BYTES ? left : PIECE_BYTES;
		if (bpf_probe_read_user(walk->own->piece, walk->bytes & (2 * PIECE_BYTES - 1), (void *)bp))
			return 0;
		off = 0;
	}
	/* Frames stand on whole words. */
	off &= PIECE_BYTES - 8;
	if (off > PIECE_BYTES - 2 * sizeof(__u64))
		return 0;
	frame_out[0] = *(__u64 *)(walk->own->piece + off);
	frame_out[1] = *(__u64 *)(walk->own->piece + off + 8);
	return 1;
}

/* Follows the frame pointers from where the goroutine goes on. */
static __always_inline void walk_up(const struct move *move, struct walk *walk,
				    struct gj_go_stack *stack)
{
	__u64 lo = move->stack_lo, hi = move->stack_hi, bp = move->bp, pc = move->pc, frame[2];

	/* reentersyscall saves no frame pointer up to Go 1.22: what stands there is an older one. */
	if (move->new == g_syscall && move->target->go_minor < 23)
		bp = hi;
	if (move->sp > lo)
		lo = move->sp;
	for (int i = 0; i < GJ_GO_STACK_PCS; i++) {
		stack->pcs[i] = pc - move->target->bias;
		stack->pc_cnt = i + 1;
		/* runtime.goexit, under the first function, has no frame. */
		if (!bp)
			return;
		if (bp < lo || bp > hi - sizeof(frame) || bp & 7 || !read_frame(move, walk, bp, frame))
			break;
		lo = bp + sizeof(frame);
		bp = frame[0];
		pc = frame[1];
	}
	stack->is_cut = 1;
}

/* Where the goroutine goes on: g.sched, which mcall filled, and the frames above. 0 pcs: unreadable. */
static __always_inline void read_stack(const struct move *move, struct gj_go_stack *stack)
{
	for (int i = 0; i < READ_TRIES; i++) {
		struct walk walk = { .own = take_reads(move) };

		__builtin_memset(stack, 0, sizeof(*stack));
		if (!walk.own || !move->pc)
			return;
		walk_up(move, &walk, stack);
		if (is_ours(move, walk.own))
			return;
	}
	__builtin_memset(stack, 0, sizeof(*stack));
}

#endif
