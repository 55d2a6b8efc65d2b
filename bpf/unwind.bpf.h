/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A Go stack unwound in the kernel, frame by frame, by tables: the same engines
 * and seams as src/stitch (seam.c says why each is as it is), for amd64, in a
 * form that the verifier takes from Linux 6.1 on. What cannot be gone on with
 * for certain ends the walk with a reason.
 *
 * The state is in a map, of which the verifier keeps no contents: so one pass
 * over a step shows it all of them.
 */
#ifndef GJ_UNWIND_BPF_H
#define GJ_UNWIND_BPF_H

#include "gothread.bpf.h"

/* The stacks a Go thread moves between. */
enum gj_unwind_on { GJ_ON_GOROUTINE, GJ_ON_GSIGNAL, GJ_ON_THREAD };

struct gj_unwind {
	__u64 pc, sp, bp;
	__u64 reached[4];   /* highest SP seen on each stack, by enum gj_unwind_on */
	__u64 lo[2], hi[2]; /* hi 0: not known */
	__u64 cur, m, g0;
	/* Read when first needed. */
	__u64 sched_pc, sched_sp; /* of cur */
	__u64 g0_sp;  /* where the stack of g0 is taken up; 0: not read */
	__u64 cgo_sp; /* the next cgocallback's frame on g0's stack; 0: g0_sp */
	/* Of the range that was met last. */
	__u64 range_start, range_size, range_base;
	__u32 first_page, page_cnt;
	__u64 hash;   /* of the frames so far */
	__u32 signal_cnt, tgid;
	__u8 has_runtime, has_bp;
	__u8 is_innermost; /* no call has been made from here: interrupted at pc */
	__u8 is_return;    /* pc follows a call */
	__u8 is_scheduling;
};

/* Rows of all programs, and where to begin in them. Sized by the loader. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct gj_unwind_row);
} gj_prof_row SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct gj_unwind_page);
} gj_prof_page SEC(".maps");

/* Rules found before: callers are the same in most samples. */
struct gj_unwind_memo {
	__u64 va;
	__u32 tgid, rule;
};
#define GJ_UNWIND_MEMOS 1024 /* a power of two */

#define GJ_MIX 0x9e3779b97f4a7c15ull
#define GJ_ROW_STEPS 9 /* halvings of the rows of one page and the one before: one a byte at most */
#define GJ_MAX_FRAME (1u << 30) /* bytes; a goroutine's stack ends there */
#define GJ_SIGNAL_MAX 8
#define GJ_CROSSCALL2_SAVED 232 /* bytes; flags and 28 words (Go 1.17) */
#define GJ_CROSSCALL2_RBP 224   /* below the CFA */

/* Keeps the compiler from what it knows of @x: it would mask by an OR, of which Linux 6.1 loses track. */
#define GJ_OPAQUE(x) asm volatile("" : "+r"(x))

static __always_inline _Bool gj_read(__u64 va, __u64 *value_out)
{
	return !bpf_probe_read_user(value_out, sizeof(*value_out), (void *)va);
}

/* 1 where @a >= @b, else 0, without a branch: these would multiply in the verifier. Below 2^63. */
static __always_inline __u64 gj_not_below(__u64 a, __u64 b)
{
	return ~(a - b) >> 63;
}

/* Finds the range of @va; false: no file's code. */
static __always_inline _Bool gj_unwind_range(struct gj_unwind *u,
					     const struct gj_unwind_target *target, __u64 va)
{
	const struct gj_unwind_range *range;
	__u32 at = 0;

	if (va - u->range_start < u->range_size)
		return 1;
	if (va >> 48)
		return 0;
#pragma unroll
	for (__u32 step = GJ_UNWIND_RANGES / 2; step; step /= 2) {
		at += step * (__u32)gj_not_below(va, target->ranges[(at + step) &
								    (GJ_UNWIND_RANGES - 1)].start);
		GJ_OPAQUE(at);
	}
	range = &target->ranges[at & (GJ_UNWIND_RANGES - 1)];
	if (va - range->start >= range->size)
		return 0;
	u->range_start = range->start;
	u->range_size = range->size;
	u->range_base = range->base;
	u->first_page = range->first_page;
	u->page_cnt = range->page_cnt;
	return 1;
}

/* The rule for @va out of the rows; GJ_RULE_NONE where nothing is known. */
static __always_inline __u32 gj_unwind_find(const struct gj_unwind *u, __u64 va)
{
	__u32 off = (__u32)(va - u->range_base), index = off >> GJ_UNWIND_PAGE_SHIFT, first, cnt;
	const struct gj_unwind_page *page;
	const struct gj_unwind_row *row;

	if (index >= u->page_cnt)
		return 0;
	index += u->first_page;
	page = bpf_map_lookup_elem(&gj_prof_page, &index);
	if (!page)
		return 0;
	first = page->first;
	cnt = page->last - first + 1;
#pragma unroll
	for (int i = 0; i < GJ_ROW_STEPS; i++) {
		__u32 half = cnt >> 1;

		if (!half)
			break;
		index = first + half;
		row = bpf_map_lookup_elem(&gj_prof_row, &index);
		if (!row)
			return 0;
		first += half * (__u32)gj_not_below(off, row->start);
		cnt -= half;
	}
	row = bpf_map_lookup_elem(&gj_prof_row, &first);
	return row ? row->rule : 0;
}

/* The same, as it was found before where it was; @memos of this processor. False: no file's code. */
static __always_inline _Bool gj_unwind_rule(struct gj_unwind *u,
					    const struct gj_unwind_target *target,
					    struct gj_unwind_memo *memos, __u64 va, __u32 *rule_out)
{
	struct gj_unwind_memo *memo = &memos[(va ^ va >> 10) & (GJ_UNWIND_MEMOS - 1)];

	if (memo->va == va && memo->tgid == u->tgid) {
		*rule_out = memo->rule;
		return 1;
	}
	*rule_out = 0;
	if (!gj_unwind_range(u, target, va))
		return 0;
	*rule_out = gj_unwind_find(u, va);
	memo->va = va;
	memo->tgid = u->tgid;
	memo->rule = *rule_out;
	return 1;
}

/* SP may stand at the very end of a stack, above its first frame. */
static __always_inline __u32 gj_unwind_on(const struct gj_unwind *u, __u64 sp)
{
	if (u->hi[0] && sp >= u->lo[0] && sp <= u->hi[0])
		return GJ_ON_GOROUTINE;
	return u->hi[1] && sp >= u->lo[1] && sp <= u->hi[1] ? GJ_ON_GSIGNAL : GJ_ON_THREAD;
}

static __always_inline void gj_unwind_add(struct gj_unwind *u, struct gj_profile_stack *stack,
					  __u64 pc)
{
	stack->user[stack->user_cnt & (GJ_PROFILE_USER - 1)] = pc;
	stack->user_cnt++;
	u->hash = (u->hash ^ pc) * GJ_MIX;
	u->hash ^= u->hash >> 29;
}

static __always_inline void gj_need_sched(struct gj_unwind *u, const struct gj_goruntime *runtime)
{
	if (!u->sched_sp) {
		gj_user_u64(u->cur, runtime->g_sched_pc, &u->sched_pc);
		gj_user_u64(u->cur, runtime->g_sched_sp, &u->sched_sp);
	}
}

static __always_inline __u64 gj_need_g0_sp(struct gj_unwind *u, const struct gj_goruntime *runtime)
{
	if (!u->g0_sp)
		gj_user_u64(u->g0, runtime->g_sched_sp, &u->g0_sp);
	return u->g0_sp;
}

/* The goroutine left its own stack with its state saved, in systemstack_switch or in any Go code. */
static __always_inline _Bool gj_has_left(struct gj_unwind *u, const struct gj_goruntime *runtime,
					 __u64 lo, __u64 hi)
{
	gj_need_sched(u, runtime);
	return u->cur && gj_unwind_on(u, u->sched_sp) == GJ_ON_GOROUTINE && u->sched_pc >= lo &&
	       u->sched_pc < hi;
}

static __always_inline _Bool gj_has_switched(struct gj_unwind *u,
					     const struct gj_unwind_target *t,
					     const struct gj_goruntime *runtime)
{
	return gj_has_left(u, runtime, t->switch_lo, t->switch_hi);
}

/* What a seam comes to. */
enum gj_seam_step {
	GJ_SEAM_STAY,  /* u->sp is right (by now): the table says the rest */
	GJ_SEAM_ENTER, /* the caller is at *pc, *sp */
	GJ_SEAM_CUT,   /* in the middle of a switch */
	GJ_SEAM_NO_RUNTIME,
	GJ_SEAM_NO_BYTES,
	GJ_SEAM_ROOT,
};

/* Where asmcgocall was called, once C has been: g and how deep it stood are beside its frame. */
static __always_inline int gj_leave_c(struct gj_unwind *u, const struct gj_unwind_target *t)
{
	__u64 g, depth, sp;

	if (t->cgo_g < 0)
		return GJ_SEAM_CUT;
	if (!gj_read(u->sp + (__u64)t->cgo_g, &g) || !gj_read(u->sp + (__u64)t->cgo_g - 8, &depth))
		return GJ_SEAM_NO_BYTES;
	if (!g) {
		if (depth <= u->sp || gj_unwind_on(u, depth) != gj_unwind_on(u, u->sp))
			return GJ_SEAM_CUT;
		u->sp = depth;
		return GJ_SEAM_STAY;
	}
	if (!u->has_runtime)
		return GJ_SEAM_NO_RUNTIME;
	sp = u->hi[GJ_ON_GOROUTINE] - depth;
	if (g != u->cur || !depth || gj_unwind_on(u, sp) != GJ_ON_GOROUTINE)
		return GJ_SEAM_CUT;
	u->sp = sp;
	return GJ_SEAM_STAY;
}

static __always_inline int gj_step_asmcgocall(struct gj_unwind *u, const struct gj_unwind_target *t,
					       const struct gj_goruntime *runtime)
{
	int step;

	if (gj_unwind_on(u, u->sp) == GJ_ON_GOROUTINE)
		return GJ_SEAM_STAY;
	if (u->is_innermost) {
		if (!u->has_runtime)
			return GJ_SEAM_NO_RUNTIME;
		if (!gj_has_switched(u, t, runtime))
			return GJ_SEAM_CUT;
		if (u->sp + 32 > gj_need_g0_sp(u, runtime)) {
			u->sp = u->sched_sp;
			return GJ_SEAM_STAY;
		}
	}
	step = gj_leave_c(u, t);
	if (step == GJ_SEAM_STAY && u->is_innermost && u->sp != u->sched_sp)
		return GJ_SEAM_CUT;
	return step;
}

static __always_inline int gj_step_mcall(struct gj_unwind *u, const struct gj_unwind_target *t,
					 const struct gj_goruntime *runtime,
					 __u64 *pc, __u64 *sp)
{
	__u64 given = u->cur, word = 0;

	if (!u->has_runtime)
		return u->is_innermost ? GJ_SEAM_NO_RUNTIME : GJ_SEAM_ROOT;
	if (gj_unwind_on(u, u->sp) != GJ_ON_THREAD)
		return GJ_SEAM_STAY;
	if (!u->is_innermost && !gj_read(u->sp, &given))
		return GJ_SEAM_NO_BYTES;
	if (!u->cur || given != u->cur)
		return GJ_SEAM_ROOT;
	if (!gj_has_left(u, runtime, t->go_lo, t->go_hi))
		return GJ_SEAM_CUT;
	/* recovery() writes where the goroutine goes on instead, a word after the other. */
	if (!u->is_innermost && (!gj_read(u->sched_sp - 8, &word) || word != u->sched_pc))
		return GJ_SEAM_CUT;
	*pc = u->sched_pc;
	*sp = u->sched_sp;
	return GJ_SEAM_ENTER;
}

static __always_inline int gj_step_morestack(struct gj_unwind *u, const struct gj_unwind_target *t,
					 const struct gj_goruntime *runtime,
					     __u64 *pc, __u64 *sp)
{
	if (!u->has_runtime)
		return u->is_innermost ? GJ_SEAM_STAY : GJ_SEAM_NO_RUNTIME;
	if (gj_unwind_on(u, u->sp) != GJ_ON_THREAD)
		return GJ_SEAM_STAY;
	if (u->is_scheduling || !u->cur)
		return GJ_SEAM_ROOT;
	if (!gj_has_left(u, runtime, t->go_lo, t->go_hi))
		return GJ_SEAM_CUT;
	*pc = u->sched_pc;
	*sp = u->sched_sp;
	return GJ_SEAM_ENTER;
}

static __always_inline int gj_step_gogo(struct gj_unwind *u, const struct gj_unwind_target *t,
					 const struct gj_goruntime *runtime,
					__u64 *pc, __u64 *sp)
{
	if (!u->has_runtime)
		return GJ_SEAM_NO_RUNTIME;
	if (gj_unwind_on(u, u->sp) != GJ_ON_GOROUTINE)
		return GJ_SEAM_STAY;
	gj_need_sched(u, runtime);
	if (!u->is_innermost || u->sched_pc < t->go_lo || u->sched_pc >= t->go_hi)
		return GJ_SEAM_CUT;
	u->reached[GJ_ON_GOROUTINE] = u->sp - 1;
	*pc = u->sched_pc;
	*sp = u->sp;
	return GJ_SEAM_ENTER;
}

static __always_inline int gj_step_systemstack(struct gj_unwind *u,
					       const struct gj_unwind_target *t,
					       const struct gj_goruntime *runtime)
{
	if (!u->has_runtime)
		return GJ_SEAM_NO_RUNTIME;
	if (gj_unwind_on(u, u->sp) != GJ_ON_THREAD || 
	    (u->is_innermost && u->sp + 16 <= gj_need_g0_sp(u, runtime)))
		return GJ_SEAM_STAY;
	if (!gj_has_switched(u, t, runtime))
		return GJ_SEAM_CUT;
	u->sp = u->sched_sp;
	return GJ_SEAM_STAY;
}

static __always_inline int gj_step_cgocallback(struct gj_unwind *u,
					       const struct gj_goruntime *runtime,
					       struct gj_profile_stack *stack)
{
	__u64 sp = u->cgo_sp ? u->cgo_sp : gj_need_g0_sp(u, runtime), before;

	if (gj_unwind_on(u, u->sp) != GJ_ON_GOROUTINE)
		return GJ_SEAM_STAY;
	/* Begun inside the newest one, which has its place there already. */
	if (sp && sp < u->reached[GJ_ON_THREAD] && !gj_read(sp, &sp))
		sp = 0;
	if (gj_unwind_on(u, sp) != GJ_ON_THREAD || !gj_read(sp, &before)) {
		stack->has_gap = 1;
		return GJ_SEAM_STAY;
	}
	u->cgo_sp = before;
	u->sp = sp;
	return GJ_SEAM_STAY;
}

static __always_inline int gj_step_vdso_caller(struct gj_unwind *u,
					       const struct gj_goruntime *runtime, __u64 cfa,
					       __u64 *pc, __u64 *sp)
{
	__u64 vdso_pc = 0, vdso_sp = 0;
	__u32 on, vdso_on;

	if (!u->has_runtime)
		return GJ_SEAM_NO_RUNTIME;
	if (!gj_user_u64(u->m, runtime->m_vdso_sp, &vdso_sp) ||
	    !gj_user_u64(u->m, runtime->m_vdso_pc, &vdso_pc) || !vdso_sp || !vdso_pc)
		return GJ_SEAM_STAY;
	on = gj_unwind_on(u, u->sp);
	vdso_on = gj_unwind_on(u, vdso_sp);
	if (on == vdso_on) {
		/* Moved down by the room for results and rounded, 48 bytes at most. */
		if (vdso_sp <= cfa || vdso_sp - cfa > 48)
			return GJ_SEAM_STAY;
	} else if (vdso_on != GJ_ON_GOROUTINE || on != GJ_ON_THREAD) {
		return GJ_SEAM_STAY;
	}
	*pc = vdso_pc;
	*sp = vdso_sp;
	return GJ_SEAM_ENTER;
}

/* The seam of kind @kind at u->pc. */
static __always_inline int gj_unwind_seam(struct gj_unwind *u, const struct gj_unwind_target *t,
					  const struct gj_goruntime *runtime,
					  struct gj_profile_stack *stack, __u32 kind, __u32 delta,
					  __u64 *pc, __u64 *sp)
{
	switch (kind) {
	case GJ_RULE_SYSTEMSTACK: return gj_step_systemstack(u, t, runtime);
	case GJ_RULE_MORESTACK: return gj_step_morestack(u, t, runtime, pc, sp);
	case GJ_RULE_MCALL: return gj_step_mcall(u, t, runtime, pc, sp);
	case GJ_RULE_GOGO: return gj_step_gogo(u, t, runtime, pc, sp);
	case GJ_RULE_ASMCGOCALL: return gj_step_asmcgocall(u, t, runtime);
	case GJ_RULE_CGOCALLBACK: return gj_step_cgocallback(u, runtime, stack);
	case GJ_RULE_VDSO_CALLER:
		return gj_step_vdso_caller(u, runtime, u->sp + delta + 8, pc, sp);
	case GJ_RULE_SCHEDULE: u->is_scheduling = 1; return GJ_SEAM_STAY;
	case GJ_RULE_SWITCHING: return GJ_SEAM_CUT;
	case GJ_RULE_ROOT: return GJ_SEAM_ROOT;
	default: return GJ_SEAM_STAY;
	}
}

static __always_inline int gj_unwind_end(struct gj_profile_stack *stack, enum gj_profile_end end)
{
	stack->end = end;
	return 1;
}

static __always_inline int gj_seam_end(struct gj_profile_stack *stack, int step)
{
	switch (step) {
	case GJ_SEAM_ROOT: return gj_unwind_end(stack, GJ_PROF_COMPLETE);
	case GJ_SEAM_CUT: return gj_unwind_end(stack, GJ_PROF_CUT_SWITCHING);
	case GJ_SEAM_NO_RUNTIME: return gj_unwind_end(stack, GJ_PROF_CUT_NO_RUNTIME);
	default: return gj_unwind_end(stack, GJ_PROF_CUT_NO_BYTES);
	}
}

/* Above SP of a restorer: r8 at 40 and on, rbp the eleventh word, rsp the 16th, rip the 17th. */
static __always_inline int gj_step_sigreturn(struct gj_unwind *u, struct gj_profile_stack *stack,
					     __u64 *pc, __u64 *sp)
{
	if (++u->signal_cnt > GJ_SIGNAL_MAX)
		return gj_unwind_end(stack, GJ_PROF_CUT_LIMIT);
	if (!gj_read(u->sp + 40 + 8 * 10, &u->bp) || !gj_read(u->sp + 40 + 8 * 15, sp) ||
	    !gj_read(u->sp + 40 + 8 * 16, pc))
		return gj_unwind_end(stack, GJ_PROF_CUT_NO_BYTES);
	/* C's handlers on a stack of their own: not one of those that are told apart. */
	if (gj_unwind_on(u, *sp) == GJ_ON_THREAD && gj_unwind_on(u, u->sp) == GJ_ON_THREAD)
		u->reached[GJ_ON_THREAD] = 0;
	u->has_bp = 1;
	return 0;
}

/* CFA of C code, and where RBP is saved (0: it is as it was, 1: not known). 0: no rule. */
static __always_inline __u64 gj_unwind_c(const struct gj_unwind *u, __u32 kind, __u32 value,
					 __u64 *bp_slot)
{
	__u64 cfa, saved = (value >> GJ_RULE_RBP_SHIFT) * 8;

	if (kind == GJ_RULE_C_SP) {
		cfa = u->sp + (__u64)(value & GJ_RULE_CFA_MASK) * 8;
	} else if (!u->has_bp || (u->bp & 7) || u->bp < u->sp) {
		return 0;
	} else if (kind == GJ_RULE_C_BP) {
		cfa = u->bp + (__u64)(value & GJ_RULE_CFA_MASK) * 8;
	} else { /* by the frame pointer, if it is one */
		cfa = u->bp + 16;
		saved = 16;
	}
	*bp_slot = saved ? cfa - saved : 0;
	return cfa;
}

/* Goes on to the caller at @pc, @sp. 1: the walk ends. */
static __always_inline int gj_unwind_enter(struct gj_unwind *u, struct gj_profile_stack *stack,
					   __u64 pc, __u64 sp)
{
	__u32 on = gj_unwind_on(u, sp) & 3;

	if (sp <= u->reached[on])
		return gj_unwind_end(stack, GJ_PROF_CUT_NOT_UP);
	if (pc < 4096)
		return gj_unwind_end(stack, GJ_PROF_CUT_UNDEFINED);
	if (stack->user_cnt >= GJ_PROFILE_USER)
		return gj_unwind_end(stack, GJ_PROF_CUT_LIMIT);
	u->reached[on] = sp;
	u->pc = pc;
	u->sp = sp;
	gj_unwind_add(u, stack, pc);
	return 0;
}

/* Reads the return address below @cfa. */
static __always_inline int gj_unwind_return(const struct gj_unwind *u,
					    struct gj_profile_stack *stack, __u64 cfa, __u64 *pc)
{
	__u32 on = gj_unwind_on(u, u->sp);

	if (cfa <= u->sp)
		return gj_unwind_end(stack, GJ_PROF_CUT_NOT_UP);
	if (cfa - u->sp > GJ_MAX_FRAME || (on != GJ_ON_THREAD && cfa > u->hi[on & 1]))
		return gj_unwind_end(stack, GJ_PROF_CUT_BOUNDS);
	if (!gj_read(cfa - 8, pc))
		return gj_unwind_end(stack, GJ_PROF_CUT_NO_BYTES);
	return 0;
}

/* One step from u->pc. 1: the walk has ended, stack->end says how. */
static __always_inline int gj_unwind_step(struct gj_unwind *u, const struct gj_unwind_target *t,
					  const struct gj_goruntime *runtime,
					  struct gj_unwind_memo *memos,
					  struct gj_profile_stack *stack)
{
	_Bool is_go = u->pc >= t->go_lo && u->pc < t->go_hi;
	__u64 pc = 0, sp = 0, cfa, bp_slot = 1;
	__u32 rule, kind, value;
	int step = GJ_SEAM_STAY;

	/* Go's own traceback looks the return address itself up; what stands in for calls needs that. */
	if (!gj_unwind_rule(u, t, memos, u->pc - (u->is_return && !is_go), &rule))
		return gj_unwind_end(stack, GJ_PROF_CUT_NO_IMAGE);
	kind = rule >> GJ_RULE_SHIFT;
	value = rule & GJ_RULE_MASK;
	if (kind == GJ_RULE_SIGRETURN) {
		if (gj_step_sigreturn(u, stack, &pc, &sp) || gj_unwind_enter(u, stack, pc, sp))
			return 1;
		u->is_innermost = 1;
		u->is_return = 0;
		return 0;
	}
	if (kind >= GJ_RULE_C_SP || kind == GJ_RULE_NONE) {
		if (is_go)
			return gj_unwind_end(stack, GJ_PROF_CUT_NO_TABLE);
		cfa = gj_unwind_c(u, kind, value, &bp_slot);
		if (!cfa)
			return gj_unwind_end(stack, GJ_PROF_CUT_NO_RULE);
	} else {
		step = gj_unwind_seam(u, t, runtime, stack, kind, value, &pc, &sp);
		if (step > GJ_SEAM_ENTER)
			return gj_seam_end(stack, step);
		cfa = u->sp + value + 8;
		/* A frame that has saved registers says nothing of them here. */
		if (step == GJ_SEAM_STAY && !value)
			bp_slot = 0;
		if (kind == GJ_RULE_CROSSCALL2 && !u->is_innermost && value >= GJ_CROSSCALL2_SAVED)
			bp_slot = cfa - GJ_CROSSCALL2_RBP;
	}
	if (step == GJ_SEAM_STAY) {
		if (gj_unwind_return(u, stack, cfa, &pc))
			return 1;
		sp = cfa;
	}
	if (bp_slot)
		u->has_bp = bp_slot > 1 && gj_read(bp_slot, &u->bp);
	u->is_innermost = 0;
	u->is_return = 1;
	return gj_unwind_enter(u, stack, pc, sp);
}

static __always_inline void gj_read_bounds(struct gj_unwind *u, const struct gj_goruntime *runtime,
					   __u64 g, enum gj_unwind_on on)
{
	if (g && (!gj_user_u64(g, runtime->g_stack_lo, &u->lo[on]) ||
		  !gj_user_u64(g, runtime->g_stack_hi, &u->hi[on])))
		u->hi[on] = 0;
}

/*
 * Begins a walk at the user registers @pc, @sp, @bp. @stack's user part must be
 * empty. What is read of the runtime is believed where g and m agree.
 */
static __always_inline void gj_unwind_begin(struct gj_unwind *u,
					    const struct gj_goruntime *runtime,
					    const struct gj_gothread *thread, _Bool has_runtime,
					    struct gj_profile_stack *stack, __u32 tgid, __u64 pc,
					    __u64 sp, __u64 bp)
{
	__builtin_memset(u, 0, sizeof(*u));
	u->tgid = tgid;
	u->pc = pc;
	u->sp = sp;
	u->bp = bp;
	u->has_bp = 1;
	u->is_innermost = 1;
	if (has_runtime) {
		u->has_runtime = 1;
		u->m = thread->m;
		u->g0 = thread->g0;
		u->cur = thread->cur;
		gj_read_bounds(u, runtime, thread->cur, GJ_ON_GOROUTINE);
		/* Nobody comes to gsignal's stack from another. */
		if (gj_unwind_on(u, sp) != GJ_ON_GOROUTINE)
			gj_read_bounds(u, runtime, thread->gsignal, GJ_ON_GSIGNAL);
	}
	u->reached[gj_unwind_on(u, sp) & 3] = sp;
	gj_unwind_add(u, stack, pc);
}

#endif
