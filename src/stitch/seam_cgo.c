/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Seams between Go and C (Go src/runtime/asm_amd64.s, src/runtime/cgo).
 *
 *   Go -> C    cgocall < asmcgocall | g0's stack: asmcgocall > the C function
 *   C -> Go    C function > crosscall2 > cgocallback | the goroutine's: cgocallbackg
 *
 * asmcgocall keeps g and how deep it stood in g's stack beside its frame on
 * g0's. cgocallback has a frame on both stacks: on the goroutine's a copy of
 * the one on g0's, with a return address as if it had been called by whoever
 * called C; on g0's stack, at its SP, where g0's stack was taken up before.
 */
#include <string.h>

#include "stitch/walk.h"

/*
 * amd64, called in C: on g0's stack, or on any when there is no goroutine to
 * leave; then g is kept as 0 and SP itself stands in place of the depth.
 */
static enum gj_step leave_c(struct gj_walk *walk)
{
	const struct gj_module *module = walk->module;
	const struct gj_runtime *runtime = &walk->runtime;
	uint64_t g, depth, sp;

	if (module->cgo_g_off < 0)
		return gj_walk_cut(walk, GJ_CUT_SWITCHING);
	if (!gj_walk_u64(walk, walk->sp + (uint64_t)module->cgo_g_off, &g) ||
	    !gj_walk_u64(walk, walk->sp + (uint64_t)module->cgo_depth_off, &depth))
		return GJ_STEP_CUT;
	if (!g) {
		if (depth <= walk->sp || gj_walk_kind(walk, depth) != gj_walk_kind(walk, walk->sp))
			return gj_walk_cut(walk, GJ_CUT_NOT_UP);
		walk->sp = depth;
		return GJ_STEP_STAY;
	}
	if (!gj_walk_runtime(walk)) {
		/* SP was g0's, less 16 bytes above the kept g (to 1.21: and as much again), rounded. */
		sp = walk->sp + (uint64_t)module->cgo_g_off + (module->cgo_g_off > 8 ? 16 : 8);
		return gj_seam_thread(walk, sp, sp + 8, "asmcgocall");
	}
	sp = runtime->hi[GJ_ON_GOROUTINE] - depth;
	if (g != runtime->cur || !depth || !gj_walk_on_cur(walk, sp))
		return gj_walk_cut(walk, GJ_CUT_SWITCHING);
	walk->sp = sp;
	return GJ_STEP_STAY;
}

enum gj_step gj_seam_asmcgocall(struct gj_walk *walk, const struct gj_place *place)
{
	const struct gj_runtime *runtime = &walk->runtime;
	enum gj_step step;
	uint64_t fp;

	if (place->is_entry || gj_walk_on_cur(walk, walk->sp))
		return GJ_STEP_STAY;
	if (!gj_walk_runtime(walk) &&
	    gj_is_unswitched(walk->module, GJ_SWITCH_ASMCGOCALL, place->va))
		return GJ_STEP_STAY;
	if (!walk->is_innermost)
		return leave_c(walk);
	if (!gj_walk_runtime(walk))
		return gj_is_switched(walk->module, GJ_SWITCH_ASMCGOCALL, place->va) ?
			       gj_seam_thread(walk, walk->sp, walk->sp + 72, "asmcgocall") :
			       gj_walk_cut(walk, GJ_CUT_NO_RUNTIME);
	/*
	 * On g0's stack before or after the call. What the goroutine saved says
	 * where it stood, if it is here already: SP has just been taken up, or
	 * what is kept agrees, or RBP is that of its frame there (since Go 1.21; before
	 * anything is kept).
	 */
	if (!gj_has_left(walk, "runtime.systemstack_switch"))
		return gj_walk_cut(walk, GJ_CUT_SWITCHING);
	if (walk->sp + 32 > runtime->g0_sp ||
	    (walk->view->arch == GJ_ARCH_AMD64 && gj_walk_reg(walk, GJ_AMD64_RBP, &fp) &&
	     fp == runtime->sched_sp)) {
		walk->sp = runtime->sched_sp;
		return GJ_STEP_STAY;
	}
	step = leave_c(walk);
	if (step == GJ_STEP_STAY && walk->sp != runtime->sched_sp)
		return gj_walk_cut(walk, GJ_CUT_SWITCHING);
	return step;
}

/*
 * By its return address: that on the goroutine's stack returns to where
 * asmcgocall left it for C, or to goexit if C called from a thread of its own.
 */
static bool is_copy(struct gj_walk *walk, const struct gj_place *place)
{
	static const char *const places[] = { "runtime.systemstack_switch", "runtime.asmcgocall",
					      "runtime.goexit" };
	uint64_t pc;

	if (!place->has_delta || !gj_walk_u64(walk, walk->sp + (uint64_t)place->delta, &pc))
		return false;
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++)
		if (gj_walk_is_in(walk, pc, places[i]))
			return true;
	return false;
}

enum gj_step gj_seam_cgocallback(struct gj_walk *walk, const struct gj_place *place)
{
	struct gj_runtime *runtime = &walk->runtime;
	uint64_t sp, before;

	if (!gj_walk_runtime(walk)) {
		walk->misses = is_copy(walk, place);
		return GJ_STEP_STAY;
	}
	if (!gj_walk_on_cur(walk, walk->sp)) {
		/* Interrupted with its own frame noted in g0.sched.sp: the next one's is kept in it. */
		if (walk->view->arch == GJ_ARCH_AMD64 && walk->sp == runtime->cgo_sp &&
		    gj_walk_u64(walk, walk->sp, &before))
			runtime->cgo_sp = before;
		return GJ_STEP_STAY;
	}
	sp = runtime->cgo_sp;
	if (walk->view->arch != GJ_ARCH_AMD64 || gj_walk_kind(walk, sp) != GJ_ON_THREAD ||
	    !gj_walk_u64(walk, sp, &before)) {
		/* Without the C part: the copied frame leads on to who called C. */
		walk->misses = true;
		return GJ_STEP_STAY;
	}
	runtime->cgo_sp = before;
	walk->sp = sp;
	return GJ_STEP_STAY;
}

/*
 * crosscall2 saves the registers that C expects back: since Go 1.17 by
 * PUSH_REGS_HOST_TO_ABI0 (Go src/runtime/cgo/abi_amd64.h), flags below the
 * return address and 28 words below them; before, in a frame of its own, with
 * RBP below the return address as ever.
 */
struct saved_reg {
	uint8_t reg, off; /* from the frame's SP, where DELTA is that much */
};
#define SAVED_BYTES (8 + 28 * 8)
static const struct saved_reg saved_since_17[] = {
	{ 6, 16 }, { 3, 24 }, { 12, 32 }, { 13, 40 }, { 14, 48 }, { 15, 56 },
};
#define DELTA_BEFORE_17 0x58
static const struct saved_reg saved_before_17[] = {
	{ 6, 0x50 }, { 3, 0x18 }, { 12, 0x28 }, { 13, 0x30 }, { 14, 0x38 }, { 15, 0x40 },
};

enum gj_step gj_seam_crosscall2(struct gj_walk *walk, const struct gj_place *place)
{
	bool is_since_17 = gj_gotab_info(walk->module->gotab)->go_minor >= 17;
	const struct saved_reg *saved = is_since_17 ? saved_since_17 : saved_before_17;
	uint64_t cfa = walk->sp + (uint64_t)place->delta + 8, base;
	enum gj_step step;

	/* Called back from: all has been saved. Met itself, it may not have been. */
	if (walk->view->arch != GJ_ARCH_AMD64 || !place->has_delta || walk->is_innermost ||
	    (is_since_17 ? place->delta < SAVED_BYTES : place->delta != DELTA_BEFORE_17))
		return GJ_STEP_STAY;
	base = is_since_17 ? cfa - 8 - SAVED_BYTES : walk->sp;
	step = gj_walk_return(walk, cfa, cfa - 8, GJ_FRAME_PCSP, NULL);
	if (step != GJ_STEP_FRAME)
		return step;
	gj_walk_forget_regs(walk);
	for (size_t i = 0; i < sizeof(saved_since_17) / sizeof(saved_since_17[0]); i++)
		gj_walk_set_saved(walk, saved[i].reg, base + saved[i].off);
	return step;
}

/*
 * Go code that calls C on the same stack keeps its SP in a register that C
 * gives back, and rounds SP down to 16. Which register, its code says.
 */
enum gj_step gj_seam_aligned(struct gj_walk *walk, const struct gj_place *place)
{
	static const struct { uint8_t code[7]; uint8_t reg; } kept[] = {
		{ { 0x48, 0x89, 0xe3, 0x48, 0x83, 0xe4, 0xf0 }, GJ_AMD64_RBX },
		{ { 0x48, 0x89, 0xe5, 0x48, 0x83, 0xe4, 0xf0 }, GJ_AMD64_RBP },
		{ { 0x49, 0x89, 0xe4, 0x48, 0x83, 0xe4, 0xf0 }, GJ_AMD64_R12 },
	};
	struct gj_gofunc func;
	struct gj_window code;
	uint64_t sp;

	if (walk->is_innermost)
		return place->is_entry ? GJ_STEP_STAY : gj_walk_cut(walk, GJ_CUT_SWITCHING);
	if (gj_gotab_find_func(walk->module->gotab, walk->pc - walk->image.bias, &func))
		return gj_walk_cut(walk, GJ_CUT_NO_TABLE);
	code = gj_window_slice(gj_image_at(walk->module->image, func.entry_va), 0,
			       func.end_va - func.entry_va);
	for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++) {
		if (!code.base || !memmem(code.base, code.size_bytes, kept[i].code, sizeof(kept[i].code)))
			continue;
		if (!gj_walk_reg(walk, kept[i].reg, &sp))
			return GJ_STEP_CUT;
		if (sp < walk->sp || sp - walk->sp >= 16)
			return gj_walk_cut(walk, GJ_CUT_SWITCHING);
		walk->sp = sp;
		return GJ_STEP_STAY;
	}
	return gj_walk_cut(walk, GJ_CUT_SWITCHING);
}
