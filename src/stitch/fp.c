/* SPDX-License-Identifier: GPL-2.0 */
/* One step of a walk by a saved frame pointer. */
#include "stitch/walk.h"

/*
 * The last resort, for code that nothing describes: it may have no frame
 * pointer of its own, so that RBP is a caller's; callers may be missing.
 */
enum gj_step gj_fp_step(struct gj_walk *walk)
{
	unsigned int reg = walk->view->arch == GJ_ARCH_ARM64 ? GJ_ARM64_FP : GJ_AMD64_RBP;
	uint64_t fp, next_fp;
	enum gj_step step;

	if (!gj_walk_reg(walk, reg, &fp))
		return GJ_STEP_CUT;
	if (fp < walk->sp || fp & 7 || fp > UINT64_MAX - 16)
		return gj_walk_cut(walk, GJ_CUT_NO_RULE);
	if (!gj_walk_u64(walk, fp, &next_fp))
		return GJ_STEP_CUT;
	step = gj_walk_return(walk, fp + 16, fp + 8, GJ_FRAME_FP, NULL);
	if (step != GJ_STEP_FRAME)
		return step;
	gj_walk_forget_regs(walk);
	gj_walk_set_reg(walk, reg, next_fp);
	walk->misses = true;
	return step;
}
