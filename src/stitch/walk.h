/* SPDX-License-Identifier: GPL-2.0 */
/* What a walk holds; shared by the files of src/stitch only. */
#ifndef GJ_STITCH_WALK_H
#define GJ_STITCH_WALK_H

#include "stitch/stitch.h"

/* Registers by DWARF's numbers, on amd64 (System V psABI, figure 3.36) and arm64. */
enum gj_dwarf_reg {
	GJ_AMD64_RBX = 3,
	GJ_AMD64_RBP = 6,
	GJ_AMD64_RSP = 7,
	GJ_AMD64_R12 = 12,
	GJ_AMD64_R14 = 14,
	GJ_ARM64_X28 = 28,
	GJ_ARM64_FP = 29,
	GJ_ARM64_LR = 30,
	GJ_ARM64_SP = 31,
};
#define GJ_REG_CNT 32

/* Registers of the frame the walk stands at; those saved on a stack are read when needed. */
struct gj_walk_regs {
	uint64_t values[GJ_REG_CNT]; /* or where it is saved */
	uint32_t known; /* bit N: values[N] says something */
	uint32_t saved; /* bit N: namely where it is saved */
};

/* The stacks a Go thread moves between. */
enum gj_stack_kind {
	GJ_ON_GOROUTINE,
	GJ_ON_GSIGNAL,
	GJ_ON_THREAD, /* g0's: all that is neither of the others */
};
#define GJ_STACK_KIND_CNT 3

/* The thread's runtime state; read when first needed. */
struct gj_runtime {
	bool is_tried, is_known;
	uint64_t m, g0, gsignal;
	uint64_t cur; /* the goroutine; 0: none */
	uint64_t lo[GJ_STACK_KIND_CNT], hi[GJ_STACK_KIND_CNT]; /* hi 0: not known */
	uint64_t g0_sp;   /* g0.sched.sp: where the stack of g0 is taken up */
	uint64_t cgo_sp;  /* the next cgocallback's frame on g0's stack */
	uint64_t sched_pc, sched_sp; /* of cur */
};

struct gj_module;

struct gj_walk {
	struct gj_stitcher *stitcher;
	const struct gj_stitch_view *view;
	struct gj_stack *stack;
	struct gj_runtime runtime;
	/* Images met in this walk, the last of them first. */
	struct { struct gj_stitch_image image; struct gj_module *module; } recent[4];
	struct gj_module *module; /* of pc; NULL: none */
	struct gj_stitch_image image; /* of pc, where module is set */

	/* The frame the walk stands at. */
	uint64_t pc, sp;
	struct gj_walk_regs regs;
	bool is_innermost; /* no call has been made from here: interrupted at pc */
	/* How its callee's unwinding found it. */
	enum gj_frame_how how;
	const char *seam;
	bool is_return;

	uint64_t reached[GJ_STACK_KIND_CNT]; /* highest SP seen on each stack */
	unsigned int signal_cnt;
	enum gj_cut cut; /* set by whatever fails */
	bool is_out_of_memory;
	bool is_scheduling; /* the scheduler's frames have been met on g0's stack */
	bool misses; /* callers between the last frame and the next are left out */

	/* Where the chain by frame pointers goes on: RBP + 8 of the registers; 0: not known. */
	uint64_t join_slot;
	uint64_t first_sp;
	size_t join_index; /* frame that the chain's second address is; 0: not met */
};

/* What a step comes to. */
enum gj_step {
	GJ_STEP_CUT,   /* walk->cut says why */
	GJ_STEP_ROOT,  /* stack->root is set: this frame has no caller */
	GJ_STEP_FRAME, /* pc, sp and how are the caller's */
	GJ_STEP_STAY,  /* of a seam: nothing special, or SP has been put right; unwind as ever */
};

/* What an image's tables say of one address. */
struct gj_place {
	uint64_t va;       /* link-time; UINT64_MAX: empty */
	/* Of Go's tables. */
	int32_t delta;     /* of SP, in bytes */
	uint8_t seam;      /* row of the seam table + 1; 0: none */
	bool has_delta, is_entry, is_top, is_go, is_asm;
	bool is_sigreturn; /* the code a signal handler returns to */
	/* Call frame information, for what is not Go's: at va, and before it for return addresses. */
	const struct gj_cfi_row *row, *row_before;
};

#define GJ_PLACE_CNT 4096 /* one address in each slot, by its low bits */
#define GJ_MODULE_SEAM_CNT 64
#define GJ_THREAD_TOP_CNT 4
enum gj_switch { GJ_SWITCH_SYSTEMSTACK, GJ_SWITCH_ASMCGOCALL, GJ_SWITCH_MORESTACK };
#define GJ_SWITCH_CNT 3

/* One image, with all that walks have learnt of it. */
struct gj_module {
	struct gj_module *next;
	const struct gj_image *image;
	const struct gj_gotab *gotab;
	bool is_vdso;
	bool is_cfi_tried;
	struct gj_cfi *cfi; /* owned */
	struct { uint64_t entry_va; uint8_t seam; } seams[GJ_MODULE_SEAM_CNT];
	size_t seam_cnt;
	int32_t m_vdso_sp;  /* offset in m, vdsoPC 8 behind it; -1: not known */
	int8_t cgo_g_off;   /* where asmcgocall keeps g from SP; -1: not known */
	int8_t cgo_depth_off;
	/* Of functions that switch stacks (amd64): where SP is g0's, behind start_va up to end_va. */
	struct { uint64_t start_va, end_va; } switched[GJ_SWITCH_CNT]; /* 0: not known */
	/* Frames at which g0's stack is taken up (seam_thread.c); read when first needed. */
	bool is_tops_tried;
	struct { uint64_t return_va; int32_t delta; } tops[GJ_THREAD_TOP_CNT]; /* 0: not there */
	struct gj_place places[]; /* GJ_PLACE_CNT of them; none without an image */
};

/* The module of @va and its image; NULL and walk->cut when there is none. */
struct gj_module *gj_walk_module(struct gj_walk *walk, uint64_t va,
				 struct gj_stitch_image *image_out);
/* All modules met so far, the one used last first. */
struct gj_module *gj_walk_modules(const struct gj_walk *walk);
/* What the tables say of link-time @va; not kept beyond the next call. */
const struct gj_place *gj_module_place(struct gj_module *module, uint64_t va);
void gj_module_free(struct gj_module *module);

/* False, and walk->cut, when the target's memory is not there. */
bool gj_walk_u64(struct gj_walk *walk, uint64_t va, uint64_t *value_out);
bool gj_walk_reg(struct gj_walk *walk, unsigned int reg, uint64_t *value_out);
static inline void gj_walk_set_reg(struct gj_walk *walk, unsigned int reg, uint64_t value)
{
	walk->regs.values[reg] = value;
	walk->regs.known |= 1u << reg;
	walk->regs.saved &= ~(1u << reg);
}
/* Not read before it is needed: then from @va. */
static inline void gj_walk_set_saved(struct gj_walk *walk, unsigned int reg, uint64_t va)
{
	walk->regs.values[reg] = va;
	walk->regs.known |= 1u << reg;
	walk->regs.saved |= 1u << reg;
}
static inline void gj_walk_forget_regs(struct gj_walk *walk)
{
	walk->regs.known = 0;
}
static inline enum gj_step gj_walk_cut(struct gj_walk *walk, enum gj_cut cut)
{
	walk->cut = cut;
	return GJ_STEP_CUT;
}
enum gj_step gj_walk_root(struct gj_walk *walk, const char *root);

bool gj_walk_read_runtime(struct gj_walk *walk);
/* True when the runtime's state is known; reads it on first use. */
static inline bool gj_walk_runtime(struct gj_walk *walk)
{
	return walk->runtime.is_tried ? walk->runtime.is_known : gj_walk_read_runtime(walk);
}

/* SP may stand at the very end of a stack, above its first frame. */
static inline bool gj_runtime_holds(const struct gj_runtime *runtime, enum gj_stack_kind kind,
				    uint64_t sp)
{
	return sp >= runtime->lo[kind] && sp <= runtime->hi[kind] && runtime->hi[kind];
}

/* The stack that holds @sp. */
static inline enum gj_stack_kind gj_walk_kind(struct gj_walk *walk, uint64_t sp)
{
	if (!gj_walk_runtime(walk))
		return GJ_ON_THREAD;
	if (gj_runtime_holds(&walk->runtime, GJ_ON_GOROUTINE, sp))
		return GJ_ON_GOROUTINE;
	return gj_runtime_holds(&walk->runtime, GJ_ON_GSIGNAL, sp) ? GJ_ON_GSIGNAL : GJ_ON_THREAD;
}

/* True when @sp lies in the goroutine's stack. */
static inline bool gj_walk_on_cur(struct gj_walk *walk, uint64_t sp)
{
	return gj_walk_runtime(walk) && gj_runtime_holds(&walk->runtime, GJ_ON_GOROUTINE, sp);
}

/*
 * The caller: GJ_STEP_FRAME, or GJ_STEP_CUT when @pc is no code or @sp is not
 * above what has been seen of its stack, or outside it.
 */
enum gj_step gj_walk_enter(struct gj_walk *walk, uint64_t pc, uint64_t sp, enum gj_frame_how how,
			   const char *seam, bool is_return);
/* The caller whose return address is the word at @cfa - 8 (amd64). */
enum gj_step gj_walk_return(struct gj_walk *walk, uint64_t cfa, uint64_t ra_slot,
			    enum gj_frame_how how, const char *seam);

/* The engines; each takes a step from walk->pc. */
enum gj_step gj_pcsp_step(struct gj_walk *walk, const struct gj_place *place);
/* @row: NULL where none holds. */
enum gj_step gj_cfi_step(struct gj_walk *walk, const struct gj_cfi_row *row);
enum gj_step gj_fp_step(struct gj_walk *walk);

/* Puts the recorded chain behind what was walked, or in its place. */
void gj_chain_join(struct gj_walk *walk, const struct gj_stitch_input *input);

/* The seam table. */
struct gj_seam {
	const char *name;     /* as frames and docs/stacks.md call it */
	const char *function; /* of Go's tables */
	uint8_t first_minor, last_minor; /* releases it was checked with, N of Go 1.N */
	bool is_injected;     /* its caller was interrupted, not waiting for a return */
	enum gj_step (*step)(struct gj_walk *walk, const struct gj_place *place);
};

extern const struct gj_seam gj_seams[];
extern const size_t gj_seam_cnt;

/* True when process address @va is in Go's @function. */
bool gj_walk_is_in(struct gj_walk *walk, uint64_t va, const char *function);
/* The goroutine left its own stack with its state saved: SP inside, PC in @function (NULL: any Go code). */
bool gj_has_left(struct gj_walk *walk, const char *function);
/* True when link-time @va is an instruction of the code a signal handler returns to. */
bool gj_is_sigreturn(const struct gj_image *image, uint64_t va);
/* True when it stands right behind that code, as where the kernel was entered from there. */
bool gj_is_in_sigreturn(const struct gj_image *image, uint64_t va);
enum gj_step gj_seam_sigreturn(struct gj_walk *walk);
/* Code in the vdso. GJ_STEP_STAY: not called by Go's own wrappers. */
enum gj_step gj_seam_vdso(struct gj_walk *walk);
enum gj_step gj_seam_vdso_caller(struct gj_walk *walk, const struct gj_place *place);
/*
 * On g0's stack, without the runtime's state: leaves out the goroutine's part
 * and goes on where g0's stack was taken up, if that is seen to be at one of
 * the words from @first_sp to @last_sp; else cut (GJ_CUT_NO_RUNTIME).
 */
enum gj_step gj_seam_thread(struct gj_walk *walk, uint64_t first_sp, uint64_t last_sp,
			    const char *seam);
enum gj_step gj_seam_asmcgocall(struct gj_walk *walk, const struct gj_place *place);
enum gj_step gj_seam_cgocallback(struct gj_walk *walk, const struct gj_place *place);
enum gj_step gj_seam_crosscall2(struct gj_walk *walk, const struct gj_place *place);
enum gj_step gj_seam_aligned(struct gj_walk *walk, const struct gj_place *place);
/* By the instruction: SP is g0's there; the goroutine's, or whatever it was called on. */
static inline bool gj_is_switched(const struct gj_module *module, enum gj_switch which, uint64_t va)
{
	return va > module->switched[which].start_va && va <= module->switched[which].end_va;
}
static inline bool gj_is_unswitched(const struct gj_module *module, enum gj_switch which,
				    uint64_t va)
{
	return module->switched[which].end_va && va <= module->switched[which].start_va;
}
/* Facts that seams take from an image's code. */
void gj_module_read_code(struct gj_module *module);

#endif
