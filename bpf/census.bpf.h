/* SPDX-License-Identifier: GPL-2.0 */
/*
 * One goroutine of another process, read from that process' live memory: its g,
 * and its stack by frame pointers as far as these are known to be exact.
 */
#ifndef GJ_CENSUS_BPF_H
#define GJ_CENSUS_BPF_H

#include "trace.bpf.h"

#include "gj_trace_census.h"

/* Linux include/linux/bpf.h, kernel/bpf/task_iter.c. */
struct seq_file;
struct bpf_map;

struct bpf_iter_meta {
	struct seq_file *seq;
} GJ_KERNEL_TYPE;

struct bpf_iter__task {
	struct bpf_iter_meta *meta;
	struct task_struct *task;
} GJ_KERNEL_TYPE;

#define BATCH 64         /* pointers of allgs read at once */
#define G_BYTES 512      /* more than a g's fields of interest reach */
#define G_WORDS (G_BYTES / 8)
#define STATUSES 16
#define TASK_SIZE_MAX 0x7ffffffff000ULL
/* Go src/runtime/proc.go, reentersyscall: from 1.23 on it notes the frame pointer, too. */
#define FIRST_MINOR_SYSCALL_BP 23
/* amd64: call rel32. */
#define CALL_BYTES 5
#define CALL_OPCODE 0xe8

/* How g.sched.bp and g.sched.sp belong to g.sched.pc. */
enum seam {
	seam_unknown,
	seam_mcall,     /* pc has its frame, at bp */
	seam_morestack, /* pc has none yet; where it returns to is at sp, bp is the frame of that */
};

/* What a pass over one process works with; the reader's own, as a pass sleeps. */
struct work {
	struct gj_trace_target target;
	struct gj_census_program program;
	struct gj_census_pass pass;
	struct gj_census_goroutine goroutine;
	__u64 allgs[2];   /* a slice: pointer, length */
	__u64 seam_pc;    /* link-time; the last that was looked at, most goroutines have the same */
	__u32 seam;       /* of that */
	__u32 tgid;
	__u32 g_bytes;    /* of a g up to the last field of interest */
	__u32 by_status[STATUSES];
	__u32 by_reason[GJ_REASONS];
	__u64 batch[BATCH];
	__u64 g[G_WORDS];
	__u64 again[G_WORDS];
};

static __always_inline _Bool read_task(struct task_struct *task, void *to, __u32 bytes, __u64 from)
{
	return from && from < TASK_SIZE_MAX &&
	       !bpf_copy_from_user_task(to, bytes, (void *)from, task, 0);
}

/* The word at @off of a g that was read; 0 where there is none. */
static __always_inline __u64 word(const __u64 *g, __u32 off)
{
	if (off > G_BYTES - sizeof(__u64))
		return 0;
	return *(const __u64 *)((const __u8 *)g + off);
}

/*
 * Whether nothing of the goroutine has changed while its stack was read. Each switch
 * changes g.trackingSeq (from Go 1.17 on) or what the goroutine waits in.
 */
static __always_inline _Bool is_unchanged(const struct work *work)
{
	__u64 difference = 0;

#pragma clang loop unroll(disable)
	for (int i = 0; i < G_WORDS; i++)
		difference |= work->g[i] ^ work->again[i];
	return !difference;
}

/* What the call before @pc calls, both link-time; 0: it is no direct call. */
static __always_inline __u64 callee_before(struct task_struct *task, const struct work *work, __u64 pc)
{
	__u64 code;

	if (!read_task(task, &code, sizeof(code), pc + work->target.bias - CALL_BYTES) ||
	    (code & 0xff) != CALL_OPCODE)
		return 0;
	return pc + (__s64)(__s32)(code >> 8);
}

/* Looks at the call that g.sched.pc returns from. */
static __always_inline __u32 find_seam(struct task_struct *task, struct work *work, __u64 pc)
{
	const struct gj_census_program *program = &work->program;
	__u64 callee;

	if (work->seam_pc == pc)
		return work->seam;
	callee = callee_before(task, work, pc);
	work->seam_pc = pc;
	work->seam = seam_unknown;
	if (!callee)
		return seam_unknown;
	if (callee == program->mcall_va)
		work->seam = seam_mcall;
	else if (callee == program->morestack_va || callee == program->morestack_noctxt_va)
		work->seam = seam_morestack;
	return work->seam;
}

static __always_inline _Bool is_injected(const struct gj_census_program *program, __u64 pc)
{
	_Bool is = 0;

#pragma clang loop unroll(disable)
	for (int i = 0; i < GJ_CENSUS_INJECTED; i++)
		is |= pc > program->injected[i].begin_va && pc <= program->injected[i].end_va;
	return is;
}

/* A walk up the frames. */
struct chain {
	struct task_struct *task;
	struct work *work;
	__u64 lo, hi; /* where frames may stand */
	__u64 bp;
	_Bool is_last; /* the next one is exact, what is above is not */
};

/* Takes one return address (run-time); false: it was the last. */
static __always_inline _Bool add_pc(struct work *work, __u64 pc)
{
	struct gj_census_goroutine *goroutine = &work->goroutine;
	__u32 depth = goroutine->depth;

	pc -= work->target.bias;
	/* newproc1 puts that there; what is above is the goroutine's first function. */
	if (pc == work->program.goexit_va + 1) {
		goroutine->is_cut = 0;
		return 0;
	}
	if (depth >= GJ_CENSUS_PCS)
		return 0;
	goroutine->pc[depth] = pc;
	goroutine->depth = depth + 1;
	return 1;
}

static long step(__u32 i, struct chain *chain)
{
	struct work *work = chain->work;
	__u64 bp = chain->bp, frame[2];

	(void)i;
	if (!work || bp < chain->lo || chain->hi < sizeof(frame) || bp > chain->hi - sizeof(frame) ||
	    !read_task(chain->task, frame, sizeof(frame), bp))
		return 1;
	if (!add_pc(work, frame[1]) || chain->is_last)
		return 1;
	chain->is_last = is_injected(&work->program, frame[1] - work->target.bias);
	chain->lo = bp + sizeof(frame);
	chain->bp = frame[0];
	return 0;
}

static __always_inline struct chain begin_chain(struct task_struct *task, struct work *work)
{
	return (struct chain){
		.task = task,
		.work = work,
		.lo = word(work->g, work->target.g_sched_sp),
		.hi = word(work->g, work->target.g_stack_hi),
		.bp = word(work->g, work->target.g_sched_bp),
	};
}

/* By frame pointers, from g.sched. It is cut unless it reaches runtime.goexit. */
static __always_inline void walk_frames(struct task_struct *task, struct work *work, __u32 seam)
{
	struct chain chain = begin_chain(task, work);
	__u64 pc;

	if (seam == seam_morestack &&
	    (chain.lo < word(work->g, work->target.g_stack_lo) || chain.lo >= chain.hi ||
	     !read_task(task, &pc, sizeof(pc), chain.lo) || !add_pc(work, pc)))
		return;
	bpf_loop(GJ_CENSUS_PCS + 1, step, &chain, 0);
}

/*
 * In C: asmcgocall has noted its frame pointer, which is that of cgocall's frame (up to Go
 * 1.20) or of its own above it. entersyscall notes other things there for a moment.
 */
static __always_inline void walk_cgo(struct task_struct *task, struct work *work)
{
	struct chain chain = begin_chain(task, work);
	__u64 frame[2], callee;

	if (chain.hi < sizeof(frame) || chain.bp < chain.lo || chain.bp > chain.hi - sizeof(frame) ||
	    !read_task(task, frame, sizeof(frame), chain.bp))
		return;
	callee = callee_before(task, work, frame[1] - work->target.bias);
	if (callee && callee == work->program.asmcgocall_va) {
		chain.lo = chain.bp + sizeof(frame);
		chain.bp = frame[0];
	} else if (!callee || callee != work->program.cgocall_va) {
		return;
	}
	bpf_loop(GJ_CENSUS_PCS + 1, step, &chain, 0);
}

/* entersyscall notes where it was called in two places, one of which serves other things, too. */
static __always_inline void walk_syscall(struct task_struct *task, struct work *work)
{
	const struct gj_trace_target *target = &work->target;
	__u64 pc = word(work->g, target->g_syscallpc);

	if (!pc)
		return;
	work->goroutine.pc[0] = pc - target->bias;
	work->goroutine.depth = 1;
	if (pc != word(work->g, target->g_sched_pc) ||
	    word(work->g, target->g_syscallsp) != word(work->g, target->g_sched_sp))
		walk_cgo(task, work);
	else if (target->go_minor >= FIRST_MINOR_SYSCALL_BP)
		walk_frames(task, work, seam_mcall);
}

/*
 * Whether g.sched says where the goroutine stands. Once that has gone on (gogo) there is
 * no stack pointer in it: up to Go 1.19 it may yet be marked as waiting, for the GC.
 */
static __always_inline _Bool is_still(const struct work *work)
{
	const struct gj_census_goroutine *goroutine = &work->goroutine;
	__u64 sp = word(work->g, work->target.g_sched_sp);

	if (sp < word(work->g, work->target.g_stack_lo) || sp >= word(work->g, work->target.g_stack_hi))
		return 0;
	switch (goroutine->status) {
	case g_waiting:
		return !goroutine->is_busy;
	case g_runnable:
	case g_preempted:
	case g_leaked:
		return 1;
	default:
		return 0;
	}
}

static __always_inline void walk(struct task_struct *task, struct work *work)
{
	struct gj_census_goroutine *goroutine = &work->goroutine;
	__u64 pc = word(work->g, work->target.g_sched_pc);
	__u32 seam;

	if (goroutine->status == g_syscall)
		walk_syscall(task, work);
	if (!is_still(work) || !pc)
		return;
	goroutine->pc[0] = pc - work->target.bias;
	goroutine->depth = 1;
	seam = find_seam(task, work, goroutine->pc[0]);
	if (seam != seam_unknown)
		walk_frames(task, work, seam);
	else if (pc == word(work->g, work->target.g_startpc) &&
		 !word(work->g, work->target.g_sched_bp))
		goroutine->is_cut = 0; /* It has not run yet. */
}

static __always_inline void describe(struct work *work, __u64 g)
{
	const struct gj_trace_target *target = &work->target;
	struct gj_census_goroutine *goroutine = &work->goroutine;

	__builtin_memset(goroutine, 0, sizeof(*goroutine));
	goroutine->status = (__u32)word(work->g, target->g_status) & GJ_G_STATUS_MASK;
	goroutine->func = gj_func_of(target, word(work->g, target->g_startpc));
	goroutine->g = g;
	goroutine->is_cut = 1;
	goroutine->seen_ns = goroutine->same_since_ns = work->pass.seen_ns;
	goroutine->parent = word(work->g, target->g_parent_goid);
	goroutine->gopc = word(work->g, target->g_gopc);
	if (goroutine->gopc)
		goroutine->gopc -= target->bias;
	if (goroutine->status != g_waiting && goroutine->status != g_leaked)
		return;
	goroutine->reason = (__u8)word(work->g, target->g_waitreason);
	goroutine->waiting_since = word(work->g, target->g_waitsince);
	goroutine->is_busy = goroutine->status == g_waiting &&
			     target->busy_reasons >> (goroutine->reason & 63) & 1;
}

/* Bytes of a g from its beginning to behind the last field of interest. */
static __always_inline __u32 find_g_bytes(const struct gj_trace_target *target)
{
	__u32 most = 0;

#define REACH(off) \
	if ((off) != GJ_NO_OFFSET && (off) > most) \
		most = (off)
	REACH(target->g_stack_hi);
	REACH(target->g_sched_bp);
	REACH(target->g_syscallsp);
	REACH(target->g_syscallpc);
	REACH(target->g_status);
	REACH(target->g_goid);
	REACH(target->g_waitreason);
	REACH(target->g_waitsince);
	REACH(target->g_startpc);
	REACH(target->g_gopc);
	REACH(target->g_parent_goid);
#undef REACH
	/* A word; so also of what is smaller. All of them stand well before the end of a g. */
	most += sizeof(__u64);
	return most < G_BYTES ? most : G_BYTES - 1;
}

static __always_inline _Bool read_g(struct task_struct *task, struct work *work, void *to, __u64 g)
{
	__u32 bytes = work->g_bytes;

	/* For the verifier, which else forgets the bound. */
	asm volatile("%0 &= 511" : "+r"(bytes));
	return read_task(task, to, bytes, g);
}

#endif
