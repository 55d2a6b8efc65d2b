/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The seam at the vdso: nanotime1, time.now and their like call it on g0's
 * stack, after they have left in m.vdsoPC and m.vdsoSP where their own caller
 * goes on (Go src/runtime/sys_linux_amd64.s; there for Go's profiler). And the
 * facts that this and asmcgocall's seam take from code.
 */
#include <string.h>

#include "stitch/walk.h"

static struct gj_window code_of(const struct gj_module *module, const char *function,
				uint64_t *va_out)
{
	for (size_t i = 0; i < module->seam_cnt; i++) {
		struct gj_gofunc func;

		if (strcmp(gj_seams[module->seams[i].seam - 1].function, function) ||
		    gj_gotab_find_func(module->gotab, module->seams[i].entry_va, &func))
			continue;
		*va_out = func.entry_va;
		return gj_window_slice(gj_image_at(module->image, func.entry_va), 0,
				       func.end_va - func.entry_va);
	}
	return (struct gj_window){ NULL, 0 };
}

/* Where the vdso's wrapper was called from; false when m does not say, or cannot be read. */
static bool read_saved(struct gj_walk *walk, uint64_t *pc_out, uint64_t *sp_out)
{
	struct gj_stitch_image image;
	struct gj_module *module;
	uint64_t m, off;
	enum gj_cut cut = walk->cut;

	if (!gj_walk_runtime(walk))
		return false;
	/* m's layout is that of the runtime, wherever the walk stands. */
	for (module = gj_walk_modules(walk); module && module->m_vdso_sp < 0;)
		module = module->next;
	if (!module)
		return false;
	m = walk->runtime.m;
	off = (uint64_t)module->m_vdso_sp;
	if (!gj_walk_u64(walk, m + off, sp_out) || !gj_walk_u64(walk, m + off + 8, pc_out) ||
	    !*sp_out || !*pc_out || !gj_walk_module(walk, *pc_out, &image)) {
		walk->cut = cut;
		return false;
	}
	return true;
}

/* Room below g0's sched.sp that a wrapper takes for results before it calls the vdso. */
static const uint8_t result_bytes[] = { 16, 32 };

/*
 * The wrapper's own frame: its SP on g0's stack is known, and so is where its
 * call left the return address. Shown only if that address is in a wrapper.
 */
static bool find_wrapper(struct gj_walk *walk, uint64_t *pc_out)
{
	enum gj_cut cut = walk->cut;

	for (size_t i = 0; i < sizeof(result_bytes); i++) {
		uint64_t sp = (walk->runtime.g0_sp - result_bytes[i]) & ~(uint64_t)15, pc;
		struct gj_stitch_image image;
		struct gj_module *module;
		const struct gj_place *place;

		if (sp - 8 < walk->sp || !gj_walk_u64(walk, sp - 8, &pc))
			continue;
		module = gj_walk_module(walk, pc, &image);
		if (!module || !module->gotab)
			continue;
		place = gj_module_place(module, pc - image.bias);
		if (place->seam && gj_seams[place->seam - 1].step == gj_seam_vdso_caller) {
			*pc_out = pc;
			walk->cut = cut;
			return true;
		}
	}
	walk->cut = cut;
	return false;
}

enum gj_step gj_seam_vdso(struct gj_walk *walk)
{
	uint64_t pc, sp, wrapper;

	if (!read_saved(walk, &pc, &sp))
		return GJ_STEP_STAY;
	if (gj_walk_kind(walk, sp) == gj_walk_kind(walk, walk->sp) ?
		    sp <= walk->sp :
		    gj_walk_kind(walk, sp) != GJ_ON_GOROUTINE)
		return GJ_STEP_STAY;
	gj_walk_forget_regs(walk);
	if (gj_walk_kind(walk, sp) == GJ_ON_GOROUTINE && find_wrapper(walk, &wrapper))
		return gj_walk_enter(walk, wrapper, walk->runtime.g0_sp, GJ_FRAME_SEAM, "vdso",
				     true);
	walk->misses = true;
	return gj_walk_enter(walk, pc, sp, GJ_FRAME_SEAM, "vdso", true);
}

/*
 * Without the runtime's state. The wrapper keeps its SP in a register that C
 * gives back, r12 (rbp up to Go 1.16), takes g0's SP if it was called on the
 * goroutine's stack, room for results, and rounds down to 16.
 */
static enum gj_step leave_vdso_alone(struct gj_walk *walk, const struct gj_place *place)
{
	static const struct { uint8_t code[3], reg; } keeps[] = {
		{ { 0x49, 0x89, 0xe4 }, GJ_AMD64_R12 }, { { 0x48, 0x89, 0xe5 }, GJ_AMD64_RBP },
	};
	const struct gj_module *module = walk->module;
	uint64_t va, sp;
	struct gj_window code;
	size_t i;

	code = code_of(module, gj_seams[place->seam - 1].function, &va);
	for (i = 0; i < 2; i++) {
		const uint8_t *at = code.base ? memmem(code.base, code.size_bytes, keeps[i].code, 3) : NULL;

		if (at && place->va <= va + (uint64_t)(at - code.base))
			return GJ_STEP_STAY;
		if (at)
			break;
	}
	if (i == 2 || !gj_walk_reg(walk, keeps[i].reg, &sp))
		return gj_walk_cut(walk, GJ_CUT_NO_RUNTIME);
	if (sp >= walk->sp && sp - walk->sp <= 48) {
		walk->sp = sp;
		return GJ_STEP_STAY;
	}
	return gj_seam_thread(walk, walk->sp, walk->sp + 40, "vdso");
}

/*
 * In a wrapper itself: on the goroutine's stack its table holds, and what is
 * saved, if it is by now, agrees with it. Once SP has been moved only the saved
 * place holds.
 */
enum gj_step gj_seam_vdso_caller(struct gj_walk *walk, const struct gj_place *place)
{
	uint64_t pc, sp;

	if (!place->has_delta)
		return GJ_STEP_STAY;
	if (!read_saved(walk, &pc, &sp)) {
		return place->is_entry || gj_walk_runtime(walk) ? GJ_STEP_STAY :
								  leave_vdso_alone(walk, place);
	}
	if (gj_walk_kind(walk, sp) == gj_walk_kind(walk, walk->sp)) {
		uint64_t cfa = walk->sp + (uint64_t)place->delta + 8;

		/* Moved down by the room for results and rounded, 48 bytes at most. */
		if (sp <= cfa || sp - cfa > 48)
			return GJ_STEP_STAY;
	} else if (gj_walk_kind(walk, sp) != GJ_ON_GOROUTINE ||
		   gj_walk_kind(walk, walk->sp) != GJ_ON_THREAD) {
		return GJ_STEP_STAY;
	}
	gj_walk_forget_regs(walk);
	return gj_walk_enter(walk, pc, sp, GJ_FRAME_SEAM, "vdso", true);
}

/*
 * Offset of m.vdsoSP from the code of runtime.nanotime1, which stores rcx in
 * m.vdsoPC, then rdx in m.vdsoSP before it; m is in rbx. -1: not found.
 */
static int32_t vdso_sp_of(struct gj_window code)
{
	for (uint64_t off = 0; gj_window_holds(code, off, 14); off++) {
		const uint8_t *at = code.base + off;
		uint32_t pc_off, sp_off;

		if (memcmp(at, "\x48\x89\x8b", 3) || memcmp(at + 7, "\x48\x89\x93", 3))
			continue;
		memcpy(&pc_off, at + 3, sizeof(pc_off));
		memcpy(&sp_off, at + 10, sizeof(sp_off));
		if (sp_off < INT32_MAX - 8 && sp_off + 8 == pc_off)
			return (int32_t)sp_off;
	}
	return -1;
}

int32_t gj_stitch_m_vdso_sp(const struct gj_image *image, const struct gj_gotab *gotab)
{
	struct gj_gofunc func;

	if (gj_image_arch(image) != GJ_ARCH_AMD64 ||
	    gj_gotab_find_name(gotab, "runtime.nanotime1", &func))
		return -1;
	return vdso_sp_of(gj_window_slice(gj_image_at(image, func.entry_va), 0,
					  func.end_va - func.entry_va));
}

/*
 * asmcgocall stores rdi, g, beside its frame: 48 bytes above SP up to Go 1.21,
 * 8 since; the depth stands 8 below it. arm64: g at SP, the depth above it.
 */
static void read_asmcgocall(struct gj_module *module)
{
	uint64_t va;
	struct gj_window code = code_of(module, "runtime.asmcgocall", &va);

	if (gj_image_arch(module->image) == GJ_ARCH_ARM64) {
		module->cgo_g_off = 0;
		module->cgo_depth_off = 8;
		return;
	}
	for (uint64_t off = 0; gj_window_holds(code, off, 5); off++) {
		const uint8_t *at = code.base + off;

		if (memcmp(at, "\x48\x89\x7c\x24", 4) || (at[4] != 48 && at[4] != 8))
			continue;
		module->cgo_g_off = (int8_t)at[4];
		module->cgo_depth_off = (int8_t)(at[4] - 8);
		return;
	}
}

/*
 * All take SP from g0's gobuf, systemstack by way of rbx up to Go 1.20, and
 * give the goroutine's back: systemstack from its gobuf, asmcgocall from rsi;
 * morestack does not come back.
 */
static void read_switch(struct gj_module *module, enum gj_switch which)
{
	static const struct {
		const char *function;
		uint8_t to_g0[2][4], size[2], back[4], back_size;
	} moves[GJ_SWITCH_CNT] = {
		{ "runtime.systemstack", { "\x48\x8b\x62\x38", "\x48\x89\xdc" }, { 4, 3 },
		  "\x48\x8b\x60\x38", 4 },
		{ "runtime.asmcgocall", { "\x48\x8b\x66\x38", "\x48\x8b\x66\x38" }, { 4, 4 },
		  "\x48\x89\xf4", 3 },
		{ "runtime.morestack", { "\x48\x8b\x63\x38", "\x48\x8b\x63\x38" }, { 4, 4 }, "", 0 },
	};
	uint64_t va, start_va = 0;
	struct gj_window code = code_of(module, moves[which].function, &va);

	for (uint64_t off = 0; gj_window_holds(code, off, 4); off++) {
		const uint8_t *at = code.base + off;

		for (size_t i = 0; i < 2 && !start_va; i++)
			if (!memcmp(at, moves[which].to_g0[i], moves[which].size[i]))
				start_va = va + off;
		if (!start_va || memcmp(at, moves[which].back, moves[which].back_size))
			continue;
		module->switched[which].start_va = start_va;
		module->switched[which].end_va = va + (moves[which].back_size ? off : code.size_bytes);
		return;
	}
}

void gj_module_read_code(struct gj_module *module)
{
	if (gj_image_arch(module->image) == GJ_ARCH_AMD64) {
		uint64_t va;

		module->m_vdso_sp = vdso_sp_of(code_of(module, "runtime.nanotime1", &va));
		read_switch(module, GJ_SWITCH_SYSTEMSTACK);
		read_switch(module, GJ_SWITCH_ASMCGOCALL);
		read_switch(module, GJ_SWITCH_MORESTACK);
	}
	read_asmcgocall(module);
}
