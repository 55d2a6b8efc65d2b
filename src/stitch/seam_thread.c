/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The far side of a switch to g0's stack when the runtime's g and m are not
 * in the recording, as in perf's stack dumps: the goroutine's own part cannot
 * be had then, but g0's stack goes on where the runtime took it up, to the
 * root of the thread. There stands (Go src/runtime/proc.go, asm_amd64.s)
 *
 *   mstart1's caller      after "Record the caller for use as the top of stack
 *                         in mcall": mstart0 (mstart up to 1.16), called by
 *                         mstart (by rt0_go or clone)
 *   cgocallback's frame   while C has called Go: cgocallback saved g0's stack
 *                         anew; called by crosscall2
 *
 * Either is taken only where its return address, found by the function's own
 * frame size, is in the one caller it can have.
 */
#include <string.h>

#include "stitch/walk.h"

/* The two frames and whose code their return address is in. */
static const struct {
	const char *function, *called;
	const char *callers[3];
} tops[GJ_THREAD_TOP_CNT] = {
	{ "runtime.mstart0", "runtime.mstart1", { "runtime.mstart", "runtime.mstart0" } },
	{ "runtime.mstart", "runtime.mstart1", { "runtime.rt0_go", "runtime.clone" } },
	{ "runtime.cgocallback", "runtime.cgocallbackg", { "crosscall2" } },
	{ "runtime.cgocallback_gofunc", "runtime.cgocallbackg", { "runtime.cgocallback" } },
};

static bool is_called(const struct gj_module *module, uint64_t va, const char *function)
{
	struct gj_gofunc func;

	return !gj_gotab_find_func(module->gotab, va, &func) && !strcmp(func.name, function);
}

/*
 * The length of a call of @called at @va, 0 when there is none: e8 rel32, or
 * lea rel32(%rip), reg; call *reg.
 */
static size_t call_bytes(const struct gj_module *module, struct gj_window code, uint64_t off,
			 uint64_t va, const char *called)
{
	const uint8_t *at = code.base + off;
	int32_t rel;

	if (gj_window_holds(code, off, 5) && at[0] == 0xe8) {
		memcpy(&rel, at + 1, sizeof(rel));
		return is_called(module, va + 5 + (uint64_t)(int64_t)rel, called) ? 5 : 0;
	}
	if (gj_window_holds(code, off, 9) && at[0] == 0x48 && at[1] == 0x8d &&
	    (at[2] & 0xc7) == 5 && at[7] == 0xff && at[8] == (0xd0 | at[2] >> 3)) {
		memcpy(&rel, at + 3, sizeof(rel));
		return is_called(module, va + 7 + (uint64_t)(int64_t)rel, called) ? 9 : 0;
	}
	return 0;
}

static void read_top(struct gj_module *module, size_t number)
{
	struct gj_gofunc func;
	struct gj_window code;
	int32_t delta;

	if (gj_gotab_find_name(module->gotab, tops[number].function, &func))
		return;
	code = gj_window_slice(gj_image_at(module->image, func.entry_va), 0,
			       func.end_va - func.entry_va);
	for (uint64_t off = 0; off < code.size_bytes; off++) {
		size_t size = call_bytes(module, code, off, func.entry_va + off,
					 tops[number].called);

		if (!size || gj_gotab_sp_delta(module->gotab, &func, func.entry_va + off + size,
					       &delta) || delta <= 0)
			continue;
		module->tops[number].return_va = func.entry_va + off + size;
		module->tops[number].delta = delta;
		return;
	}
}

static void read_tops(struct gj_module *module)
{
	if (module->is_tops_tried)
		return;
	module->is_tops_tried = true;
	for (size_t i = 0; i < GJ_THREAD_TOP_CNT; i++)
		read_top(module, i);
}

static bool is_from(struct gj_walk *walk, uint64_t pc, size_t number)
{
	struct gj_stitch_image image;
	struct gj_module *module = gj_walk_module(walk, pc, &image);

	if (!module || !module->gotab)
		return false;
	for (size_t i = 0; i < 3 && tops[number].callers[i]; i++)
		if (is_called(module, pc - image.bias, tops[number].callers[i]))
			return true;
	return false;
}

/* The frame that waits with SP at @sp, if it is one of them. */
static bool find_top(struct gj_walk *walk, uint64_t sp, uint64_t *return_va_out)
{
	const struct gj_module *module = walk->module;

	for (size_t i = 0; i < GJ_THREAD_TOP_CNT; i++) {
		uint64_t pc;

		if (!module->tops[i].return_va ||
		    !gj_walk_u64(walk, sp + (uint64_t)module->tops[i].delta, &pc) ||
		    !is_from(walk, pc, i))
			continue;
		*return_va_out = module->tops[i].return_va;
		return true;
	}
	return false;
}

enum gj_step gj_seam_thread(struct gj_walk *walk, uint64_t first_sp, uint64_t last_sp,
			    const char *seam)
{
	uint64_t va;

	/* Above it the next word would be the first of all. */
	if (walk->view->arch != GJ_ARCH_AMD64 || last_sp < first_sp || last_sp > UINT64_MAX - 8)
		return gj_walk_cut(walk, GJ_CUT_NO_RUNTIME);
	read_tops(walk->module);
	walk->cut = GJ_CUT_NONE;
	for (uint64_t sp = first_sp; sp <= last_sp; sp += 8) {
		if (!find_top(walk, sp, &va))
			continue;
		gj_walk_forget_regs(walk);
		walk->misses = true;
		/* systemstack and morestack have no frame of their own there. */
		if (walk->reached[GJ_ON_THREAD] == sp)
			walk->reached[GJ_ON_THREAD]--;
		return gj_walk_enter(walk, va + walk->image.bias, sp, GJ_FRAME_SEAM, seam, true);
	}
	/* A dump may end below it. */
	return gj_walk_cut(walk, walk->cut == GJ_CUT_NO_BYTES ? walk->cut : GJ_CUT_NO_RUNTIME);
}
