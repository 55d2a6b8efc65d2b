/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The exact engine for Go code: how far SP has moved at each address, out of
 * .gopclntab (Go src/cmd/internal/obj/pcln.go, table pcsp; all releases).
 *
 *   amd64   CFA = SP + delta + 8, return address at CFA - 8
 *   arm64   CFA = SP + delta, return address at SP; in x30 where delta is 0
 *
 * No register but SP takes part. The address looked up is the return address
 * itself, as Go's own traceback does: what stands saved as
 * systemstack_switch's address up to Go 1.20 is its first instruction.
 */
#include <string.h>

#include "base/limits.h"
#include "stitch/walk.h"

static enum gj_step step_arm64(struct gj_walk *walk, const struct gj_place *place,
			       const char *seam, enum gj_frame_how how)
{
	uint64_t return_va;

	if (place->delta) {
		gj_walk_forget_regs(walk);
		return gj_walk_return(walk, walk->sp + (uint64_t)place->delta, walk->sp, how, seam);
	}
	if (!walk->is_innermost || !gj_walk_reg(walk, GJ_ARM64_LR, &return_va))
		return gj_walk_cut(walk, GJ_CUT_NO_REGISTER);
	return gj_walk_enter(walk, return_va, walk->sp, how, seam, true);
}

/*
 * On arm64 the kernel's signal handler part makes a call that never was: it
 * saves x30 in 16 bytes below the interrupted SP and sets x30 to the
 * interrupted address (Go src/runtime/signal_arm64.go, pushCall).
 */
static enum gj_step end_injected_call(struct gj_walk *walk)
{
	uint64_t link;

	if (walk->view->arch != GJ_ARCH_ARM64)
		return GJ_STEP_FRAME;
	if (!gj_walk_u64(walk, walk->sp, &link))
		return GJ_STEP_CUT;
	walk->sp += 16;
	gj_walk_set_reg(walk, GJ_ARM64_LR, link);
	walk->is_innermost = true;
	return GJ_STEP_FRAME;
}

/*
 * A frame that has saved registers says nothing of them here. One without a
 * frame has saved none, so that C which called it (as it calls
 * _cgo_topofstack) finds its own.
 */
static enum gj_step step_amd64(struct gj_walk *walk, const struct gj_place *place,
			       const char *seam, enum gj_frame_how how)
{
	uint64_t cfa = walk->sp + (uint64_t)place->delta + 8;

	if (place->delta)
		gj_walk_forget_regs(walk);
	return gj_walk_return(walk, cfa, cfa - 8, how, seam);
}

enum gj_step gj_pcsp_step(struct gj_walk *walk, const struct gj_place *place)
{
	const struct gj_seam *seam = place->seam ? &gj_seams[place->seam - 1] : NULL;
	enum gj_frame_how how = GJ_FRAME_PCSP;
	enum gj_step step = GJ_STEP_STAY;
	uint64_t sp = walk->sp;
	const char *name = NULL;
	bool is_injected;

	if (seam && seam->step)
		step = seam->step(walk, place);
	if (step != GJ_STEP_STAY)
		return step;
	if (walk->sp != sp) { /* on another stack by now: this frame is a seam's */
		how = GJ_FRAME_SEAM;
		name = seam->name;
	} else if (place->is_top && !seam) {
		return gj_walk_root(walk, "thread");
	}
	if (!place->has_delta || place->delta < 0 || (uint32_t)place->delta > GJ_MAX_FRAME_BYTES)
		return gj_walk_cut(walk, GJ_CUT_NO_TABLE);
	is_injected = seam && seam->is_injected;
	step = walk->view->arch == GJ_ARCH_ARM64 ? step_arm64(walk, place, name, how) :
						   step_amd64(walk, place, name, how);
	if (step == GJ_STEP_FRAME && is_injected) {
		walk->is_return = false;
		step = end_injected_call(walk);
	}
	return step;
}
