/* SPDX-License-Identifier: GPL-2.0 */
/* One step through C code by its compiled call frame information. */
#include "stitch/walk.h"

/* Registers in the order of gj_cfi_row.saved, and all of them as a mask. */
static const uint8_t saved_amd64[] = { 6, 3, 12, 13, 14, 15 };
#define MASK_AMD64 0xf048u
static const uint8_t saved_arm64[] = { 29 };
#define MASK_ARM64 (1u << 29)

static bool find_cfa(struct gj_walk *walk, const struct gj_cfi_row *row, uint64_t *cfa_out)
{
	unsigned int sp_reg = walk->view->arch == GJ_ARCH_ARM64 ? GJ_ARM64_SP : GJ_AMD64_RSP;

	if (row->cfa_kind == GJ_CFA_PLT) {
		*cfa_out = walk->sp + 8 + ((walk->pc & 15) >= 11 ? 8 : 0);
		return true;
	}
	if (row->cfa_reg == sp_reg)
		*cfa_out = walk->sp;
	else if (!gj_walk_reg(walk, row->cfa_reg, cfa_out))
		return false;
	*cfa_out += (uint64_t)(int64_t)row->cfa_off;
	return true;
}

/* Those that C keeps for its caller are the caller's, where they were or where they were saved. */
static void restore(struct gj_walk *walk, const struct gj_cfi_row *row, uint64_t cfa)
{
	bool is_arm64 = walk->view->arch == GJ_ARCH_ARM64;
	const uint8_t *order = is_arm64 ? saved_arm64 : saved_amd64;
	size_t cnt = is_arm64 ? sizeof(saved_arm64) : sizeof(saved_amd64);

	walk->regs.known &= is_arm64 ? MASK_ARM64 : MASK_AMD64;
	for (size_t i = 0; i < cnt; i++)
		if (row->saved[i] != GJ_CFI_SAME)
			gj_walk_set_saved(walk, order[i], cfa + (uint64_t)(int64_t)row->saved[i]);
}

enum gj_step gj_cfi_step(struct gj_walk *walk, const struct gj_cfi_row *row)
{
	uint64_t cfa, return_va;
	enum gj_step step;

	if (!row)
		return gj_walk_cut(walk, GJ_CUT_NO_RULE);
	if (row->is_root)
		return gj_walk_root(walk, "thread");
	if (row->cfa_kind == GJ_CFA_EXPRESSION)
		return gj_walk_cut(walk, GJ_CUT_EXPRESSION);
	if (!find_cfa(walk, row, &cfa))
		return GJ_STEP_CUT;
	if (row->ra_in_reg) {
		if (!walk->is_innermost || !gj_walk_reg(walk, GJ_ARM64_LR, &return_va))
			return gj_walk_cut(walk, GJ_CUT_NO_REGISTER);
		step = gj_walk_enter(walk, return_va, cfa, GJ_FRAME_CFI, NULL, true);
	} else {
		step = gj_walk_return(walk, cfa, cfa + (uint64_t)(int64_t)row->ra_off, GJ_FRAME_CFI,
				      NULL);
	}
	if (step == GJ_STEP_FRAME)
		restore(walk, row, cfa);
	return step;
}
