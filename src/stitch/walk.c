/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What every engine does: read stack words and registers, and go on to a
 * caller, provided that the walk goes up and stays inside the stack.
 */
#include "base/limits.h"
#include "stitch/walk.h"

bool gj_walk_u64(struct gj_walk *walk, uint64_t va, uint64_t *value_out)
{
	if (va > UINT64_MAX - sizeof(*value_out) || !walk->view->read ||
	    walk->view->read(walk->view->data, va, value_out, sizeof(*value_out))) {
		walk->cut = GJ_CUT_NO_BYTES;
		return false;
	}
	return true;
}

bool gj_walk_reg(struct gj_walk *walk, unsigned int reg, uint64_t *value_out)
{
	if (reg >= GJ_REG_CNT || !(walk->regs.known >> reg & 1)) {
		walk->cut = GJ_CUT_NO_REGISTER;
		return false;
	}
	if (walk->regs.saved >> reg & 1) {
		if (!gj_walk_u64(walk, walk->regs.values[reg], value_out))
			return false;
		gj_walk_set_reg(walk, reg, *value_out);
	}
	*value_out = walk->regs.values[reg];
	return true;
}

enum gj_step gj_walk_root(struct gj_walk *walk, const char *root)
{
	walk->stack->root = root;
	return GJ_STEP_ROOT;
}

/* The end of the stack @sp lies on; 0: not known. */
static uint64_t end_of_stack(struct gj_walk *walk, enum gj_stack_kind kind, uint64_t sp)
{
	const struct gj_stitch_view *view = walk->view;

	if (kind != GJ_ON_THREAD)
		return walk->runtime.hi[kind];
	return view->stack_hi && sp >= view->stack_lo && sp <= view->stack_hi ? view->stack_hi : 0;
}

/*
 * On each of the stacks SP only rises, whatever was visited in between; this
 * alone bounds every walk. A frame without a frame (arm64, the return address
 * still in its register) may leave SP where it was, once.
 */
static bool rises(struct gj_walk *walk, enum gj_stack_kind kind, uint64_t sp)
{
	bool may_stay = walk->view->arch == GJ_ARCH_ARM64 && walk->is_innermost;

	return sp > walk->reached[kind] || (may_stay && sp == walk->reached[kind]);
}

enum gj_step gj_walk_enter(struct gj_walk *walk, uint64_t pc, uint64_t sp, enum gj_frame_how how,
			   const char *seam, bool is_return)
{
	enum gj_stack_kind kind = gj_walk_kind(walk, sp);

	if (!rises(walk, kind, sp))
		return gj_walk_cut(walk, GJ_CUT_NOT_UP);
	if (!pc)
		return gj_walk_cut(walk, GJ_CUT_UNDEFINED);
	walk->module = gj_walk_module(walk, is_return ? pc - 1 : pc, &walk->image);
	if (!walk->module)
		return GJ_STEP_CUT;
	walk->reached[kind] = sp;
	walk->pc = pc;
	walk->sp = sp;
	walk->how = how;
	walk->seam = seam;
	walk->is_return = is_return;
	walk->is_innermost = false;
	return GJ_STEP_FRAME;
}

/*
 * A goroutine is made with the address of goexit as if that had called its
 * first function, below four spare words at the end of its stack (Go
 * src/runtime/proc.go, newproc1; the same for goroutines of C's threads,
 * oneNewExtraM). Since Go 1.17 no arguments stand in between. So that word
 * need not be in the recording.
 */
#define FIRST_SLOT_BYTES 40
#define FIRST_MINOR 17

static bool find_goexit(struct gj_walk *walk, uint64_t ra_slot, uint64_t *return_va_out)
{
	const struct gj_gotab *gotab = walk->module->gotab;
	struct gj_gofunc goexit;

	if (walk->view->arch != GJ_ARCH_AMD64 || !gotab || !gj_walk_on_cur(walk, walk->sp) ||
	    walk->runtime.hi[GJ_ON_GOROUTINE] - ra_slot != FIRST_SLOT_BYTES ||
	    gj_gotab_info(gotab)->go_minor < FIRST_MINOR ||
	    gj_gotab_find_name(gotab, "runtime.goexit", &goexit))
		return false;
	*return_va_out = goexit.entry_va + walk->image.bias + 1;
	return true;
}

enum gj_step gj_walk_return(struct gj_walk *walk, uint64_t cfa, uint64_t ra_slot,
			    enum gj_frame_how how, const char *seam)
{
	enum gj_stack_kind kind = gj_walk_kind(walk, walk->sp);
	uint64_t end = end_of_stack(walk, kind, walk->sp), return_va;

	if (cfa <= walk->sp)
		return gj_walk_cut(walk, GJ_CUT_NOT_UP);
	if ((end && cfa > end) || cfa - walk->sp > GJ_MAX_FRAME_BYTES)
		return gj_walk_cut(walk, GJ_CUT_BOUNDS);
	/* The frame that comes next is the one whose return address stands here. */
	if (ra_slot == walk->join_slot && !walk->join_index)
		walk->join_index = walk->stack->cnt - walk->stack->kernel_cnt;
	if (!gj_walk_u64(walk, ra_slot, &return_va) && !find_goexit(walk, ra_slot, &return_va))
		return GJ_STEP_CUT;
	return gj_walk_enter(walk, return_va, cfa, how, seam, true);
}
