/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The seam table: places where the Go runtime leaves one stack for another, or
 * where a frame has no ordinary caller (Go src/runtime/asm_amd64.s,
 * asm_arm64.s, proc.go, traceback.go). docs/stacks.md draws each.
 *
 * A seam's function is called at a frame of its Go function. It says that the
 * stack ends, names the caller, or puts SP right and leaves the rest to the
 * tables. All of them tell by SP which stack they are on, so that the
 * instructions before and after the switch come out right too.
 */
#include <string.h>

#include "stitch/walk.h"

bool gj_walk_is_in(struct gj_walk *walk, uint64_t va, const char *function)
{
	struct gj_stitch_image image;
	struct gj_module *module = gj_walk_module(walk, va, &image);
	struct gj_gofunc func;

	return module && module->gotab &&
	       !gj_gotab_find_func(module->gotab, va - image.bias, &func) &&
	       !strcmp(func.name, function);
}

static bool is_go(struct gj_walk *walk, uint64_t va)
{
	struct gj_stitch_image image;
	struct gj_module *module = gj_walk_module(walk, va, &image);

	return module && module->gotab && gj_module_place(module, va - image.bias)->is_go;
}

static bool is_entry(struct gj_walk *walk, uint64_t va)
{
	struct gj_stitch_image image;
	struct gj_module *module = gj_walk_module(walk, va, &image);

	return module && module->gotab && gj_module_place(module, va - image.bias)->is_entry;
}

bool gj_has_left(struct gj_walk *walk, const char *function)
{
	const struct gj_runtime *runtime = &walk->runtime;

	return runtime->cur && gj_walk_on_cur(walk, runtime->sched_sp) &&
	       (function ? gj_walk_is_in(walk, runtime->sched_pc, function) :
			   is_go(walk, runtime->sched_pc));
}

/*
 * systemstack runs a function on g0's stack. Its own frame is on the
 * goroutine's, whose SP it saved, as if systemstack_switch had been called.
 * Called on g0 it jumps to the function and leaves no frame; met on g0 before
 * that jump, SP is well below where g0's stack is taken up.
 */
static enum gj_step seam_systemstack(struct gj_walk *walk, const struct gj_place *place)
{
	if (!gj_walk_runtime(walk)) {
		/* The instruction tells. Up to Go 1.16 SP is a word below g0's. */
		if (gj_is_switched(walk->module, GJ_SWITCH_SYSTEMSTACK, place->va))
			return gj_seam_thread(walk, walk->sp, walk->sp + 8, "systemstack");
		if (gj_is_unswitched(walk->module, GJ_SWITCH_SYSTEMSTACK, place->va))
			return GJ_STEP_STAY;
		return gj_walk_cut(walk, GJ_CUT_NO_RUNTIME);
	}
	if (gj_walk_kind(walk, walk->sp) != GJ_ON_THREAD ||
	    (walk->is_innermost && walk->sp + 16 <= walk->runtime.g0_sp))
		return GJ_STEP_STAY;
	if (!gj_has_left(walk, "runtime.systemstack_switch"))
		return gj_walk_cut(walk, GJ_CUT_SWITCHING);
	walk->sp = walk->runtime.sched_sp;
	return GJ_STEP_STAY;
}

/* On arm64 a frameless @function that has called save_g does not know its caller any more. */
static bool has_lost_link(struct gj_walk *walk, const char *function)
{
	uint64_t link;

	return walk->view->arch == GJ_ARCH_ARM64 &&
	       (!walk->is_innermost || (gj_walk_reg(walk, GJ_ARM64_LR, &link) &&
					gj_walk_is_in(walk, link, function)));
}

/* The function that wants more stack, at the call of morestack in its prologue, as it was saved. */
static enum gj_step enter_saved(struct gj_walk *walk)
{
	const struct gj_goffsets *offsets = walk->view->offsets;
	struct gj_runtime *runtime = &walk->runtime;
	bool is_arm64 = walk->view->arch == GJ_ARCH_ARM64;
	uint64_t link = 0;

	if (!gj_has_left(walk, NULL))
		return gj_walk_cut(walk, GJ_CUT_SWITCHING);
	gj_walk_forget_regs(walk);
	if (is_arm64) {
		/* gobuf.lr stands before gobuf.bp in every release. */
		if (!gj_walk_u64(walk, runtime->cur + (uint64_t)offsets->g_sched_bp - 8, &link))
			return GJ_STEP_CUT;
		gj_walk_set_reg(walk, GJ_ARM64_LR, link);
		/* morestack has no frame of its own. */
		if (walk->reached[GJ_ON_GOROUTINE] == runtime->sched_sp)
			walk->reached[GJ_ON_GOROUTINE]--;
	}
	if (gj_walk_enter(walk, runtime->sched_pc, runtime->sched_sp, GJ_FRAME_SEAM, "morestack",
			  true) != GJ_STEP_FRAME)
		return GJ_STEP_CUT;
	/* In its prologue, as if interrupted there. */
	walk->is_innermost = is_arm64;
	return GJ_STEP_FRAME;
}

/*
 * arm64, before the switch: x30 returns to the function that wants more stack,
 * and x3 is what x30 was there (Go src/cmd/internal/obj/arm64/obj7.go,
 * stacksplit). Behind the call of save_g only the saved state says so.
 */
static enum gj_step enter_by_link(struct gj_walk *walk)
{
	uint64_t pc, link;

	if (has_lost_link(walk, "runtime.morestack"))
		return enter_saved(walk);
	if (!gj_walk_reg(walk, GJ_ARM64_LR, &pc) || !gj_walk_reg(walk, 3, &link))
		return GJ_STEP_CUT;
	if (gj_walk_enter(walk, pc, walk->sp, GJ_FRAME_SEAM, "morestack", true) != GJ_STEP_FRAME)
		return GJ_STEP_CUT;
	gj_walk_set_reg(walk, GJ_ARM64_LR, link);
	walk->is_innermost = true;
	return GJ_STEP_FRAME;
}

/*
 * morestack calls newstack on g0's stack; the function that wants more stack
 * has its state saved at the call of morestack in its prologue.
 */
static enum gj_step seam_morestack(struct gj_walk *walk, const struct gj_place *place)
{
	if (!gj_walk_runtime(walk)) {
		/* The instruction tells; none is known on arm64, nor in code we have not seen. */
		if (walk->is_innermost &&
		    gj_is_unswitched(walk->module, GJ_SWITCH_MORESTACK, place->va))
			return GJ_STEP_STAY;
		return gj_seam_thread(walk, walk->sp, walk->sp, "morestack");
	}
	if (gj_walk_kind(walk, walk->sp) != GJ_ON_THREAD)
		return walk->view->arch == GJ_ARCH_ARM64 ? enter_by_link(walk) : GJ_STEP_STAY;
	/* newstack may give the thread to others: m.curg is not who called any more. */
	if (walk->is_scheduling || !walk->runtime.cur)
		return gj_walk_root(walk, "schedule");
	return enter_saved(walk);
}

/* It goes on into morestack and has no frame; on amd64 its return address is at SP. */
static enum gj_step seam_morestack_noctxt(struct gj_walk *walk, const struct gj_place *place)
{
	(void)place;
	return walk->view->arch == GJ_ARCH_ARM64 ? enter_by_link(walk) : GJ_STEP_STAY;
}

/* The caller of mcall, as it was saved. */
static enum gj_step enter_parked(struct gj_walk *walk)
{
	const struct gj_runtime *runtime = &walk->runtime;

	if (!gj_has_left(walk, NULL))
		return gj_walk_cut(walk, GJ_CUT_SWITCHING);
	gj_walk_forget_regs(walk);
	/* On arm64 mcall has no frame of its own. */
	if (walk->reached[GJ_ON_GOROUTINE] == runtime->sched_sp)
		walk->reached[GJ_ON_GOROUTINE]--;
	return gj_walk_enter(walk, runtime->sched_pc, runtime->sched_sp, GJ_FRAME_SEAM, "mcall",
			     true);
}

/* Without the runtime's state: on to the root of the thread, whoever the goroutine was. */
static enum gj_step mcall_alone(struct gj_walk *walk)
{
	bool is_scheduling = walk->is_scheduling;

	if (walk->is_innermost)
		return gj_walk_cut(walk, GJ_CUT_NO_RUNTIME);
	if (gj_seam_thread(walk, walk->sp + 8, walk->sp + 8, "mcall") != GJ_STEP_FRAME)
		return gj_walk_root(walk, "mcall");
	/* The scheduler serves nobody: nothing is left out. */
	walk->misses = !is_scheduling;
	return GJ_STEP_FRAME;
}

/*
 * mcall leaves the goroutine for the scheduler for good. What runs below it is
 * on behalf of that goroutine only as long as m.curg still names the one that
 * mcall was given, which stands at its SP (since Go 1.17: "open up space for
 * fn's arg spill slot"). Where the goroutine's stack is not in the recording
 * mcall is as good a root.
 */
static enum gj_step seam_mcall(struct gj_walk *walk, const struct gj_place *place)
{
	const struct gj_runtime *runtime = &walk->runtime;
	uint64_t given = 0, word;

	(void)place;
	if (!gj_walk_runtime(walk))
		return mcall_alone(walk);
	if (gj_walk_kind(walk, walk->sp) != GJ_ON_THREAD)
		return has_lost_link(walk, "runtime.mcall") ? enter_parked(walk) : GJ_STEP_STAY;
	/* Met itself, before the function is called, it has just come from there. */
	if (walk->is_innermost)
		given = runtime->cur;
	else if (!gj_walk_u64(walk, walk->sp, &given))
		return GJ_STEP_CUT;
	if (!runtime->cur || given != runtime->cur || walk->view->arch == GJ_ARCH_ARM64)
		return gj_walk_root(walk, "mcall");
	if (!gj_has_left(walk, NULL))
		return enter_parked(walk);
	if (!gj_walk_u64(walk, runtime->sched_sp - 8, &word))
		return gj_walk_root(walk, "mcall");
	/* recovery() writes where the goroutine goes on instead, a word after the other. */
	return word == runtime->sched_pc ? enter_parked(walk)
					 : gj_walk_cut(walk, GJ_CUT_SWITCHING);
}

/*
 * gogo takes SP from the gobuf and jumps to its PC. Once SP is the
 * goroutine's, the frame to go on with is the one saved.
 */
static enum gj_step seam_gogo(struct gj_walk *walk, const struct gj_place *place)
{
	const struct gj_runtime *runtime = &walk->runtime;

	if (!gj_walk_runtime(walk))
		return gj_walk_cut(walk, GJ_CUT_NO_RUNTIME);
	if (gj_walk_kind(walk, walk->sp) != GJ_ON_GOROUTINE)
		return has_lost_link(walk, gj_seams[place->seam - 1].function) ?
			       gj_walk_cut(walk, GJ_CUT_SWITCHING) : GJ_STEP_STAY;
	if (!walk->is_innermost || !is_go(walk, runtime->sched_pc))
		return gj_walk_cut(walk, GJ_CUT_SWITCHING);
	gj_walk_forget_regs(walk);
	walk->reached[GJ_ON_GOROUTINE] = walk->sp - 1;
	/* A goroutine that has not run yet begins at its function's first instruction. */
	return gj_walk_enter(walk, runtime->sched_pc, walk->sp, GJ_FRAME_SEAM, "gogo",
			     !is_entry(walk, runtime->sched_pc));
}

/* The scheduler: from here on m.curg is whoever runs next. */
static enum gj_step seam_schedule(struct gj_walk *walk, const struct gj_place *place)
{
	(void)place;
	walk->is_scheduling = true;
	return GJ_STEP_STAY;
}

/* The first frame of a goroutine, of g0, or of the program. */
static enum gj_step seam_top(struct gj_walk *walk, const struct gj_place *place)
{
	return gj_walk_root(walk, gj_seams[place->seam - 1].name);
}

#define FIRST 15
#define LAST 27

const struct gj_seam gj_seams[] = {
	{ "systemstack", "runtime.systemstack", FIRST, LAST, false, seam_systemstack },
	{ "morestack", "runtime.morestack", FIRST, LAST, false, seam_morestack },
	{ "morestack", "runtime.morestack_noctxt", FIRST, LAST, false, seam_morestack_noctxt },
	{ "mcall", "runtime.mcall", FIRST, LAST, false, seam_mcall },
	{ "gogo", "runtime.gogo", FIRST, LAST, false, seam_gogo },
	{ "gogo", "gogo", 17, LAST, false, seam_gogo },
	{ "asmcgocall", "runtime.asmcgocall", FIRST, LAST, false, gj_seam_asmcgocall },
	{ "cgocallback", "runtime.cgocallback", 16, LAST, false, gj_seam_cgocallback },
	{ "cgocallback", "runtime.cgocallback_gofunc", FIRST, FIRST, false, gj_seam_cgocallback },
	{ "crosscall2", "crosscall2", FIRST, LAST, false, gj_seam_crosscall2 },
	{ "sigfwd", "runtime.sigfwd", FIRST, LAST, false, gj_seam_aligned },
	{ "callCgoSigaction", "runtime.callCgoSigaction", FIRST, LAST, false, gj_seam_aligned },
	{ "callCgoMmap", "runtime.callCgoMmap", FIRST, LAST, false, gj_seam_aligned },
	{ "callCgoMunmap", "runtime.callCgoMunmap", FIRST, LAST, false, gj_seam_aligned },
	{ "vdso", "runtime.nanotime1", FIRST, LAST, false, gj_seam_vdso_caller },
	{ "vdso", "runtime.walltime", 17, LAST, false, gj_seam_vdso_caller },
	{ "vdso", "runtime.walltime1", FIRST, 16, false, gj_seam_vdso_caller },
	{ "vdso", "time.now", 17, LAST, false, gj_seam_vdso_caller },
	{ "vdso", "runtime.vgetrandom1", 24, LAST, false, gj_seam_vdso_caller },
	{ "schedule", "runtime.schedule", FIRST, LAST, false, seam_schedule },
	{ "schedule", "runtime.execute", FIRST, LAST, false, seam_schedule },
	{ "asyncPreempt", "runtime.asyncPreempt", FIRST, LAST, true, NULL },
	{ "sigpanic", "runtime.sigpanic", FIRST, LAST, true, NULL },
	{ "sigpanic0", "runtime.sigpanic0", FIRST, LAST, true, NULL },
	{ "debugCall", "runtime.debugCallV1", FIRST, 16, true, NULL },
	{ "debugCall", "runtime.debugCallV2", 17, LAST, true, NULL },
	{ "sigtramp", "runtime.sigtramp", FIRST, LAST, false, NULL },
	{ "goexit", "runtime.goexit", FIRST, LAST, false, seam_top },
	{ "mstart", "runtime.mstart", FIRST, LAST, false, seam_top },
	{ "rt0_go", "runtime.rt0_go", FIRST, LAST, false, seam_top },
};

const size_t gj_seam_cnt = sizeof(gj_seams) / sizeof(gj_seams[0]);
