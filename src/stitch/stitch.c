/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The stitcher: the kernel's part, then the user's, frame by frame with the
 * engine that fits; and the chain by frame pointers, where one was recorded,
 * behind what could be walked.
 */
#include <errno.h>
#include <string.h>

#include "base/limits.h"
#include "stitch/walk.h"

const char *gj_cut_text(enum gj_cut cut)
{
	static const char *const texts[GJ_CUT_CNT] = {
		[GJ_CUT_NONE] = "complete",
		[GJ_CUT_NO_REGS] = "no registers were recorded",
		[GJ_CUT_NO_BYTES] = "stack bytes are not in the recording",
		[GJ_CUT_BOUNDS] = "the next frame would be outside the stack",
		[GJ_CUT_NOT_UP] = "the next frame would not be above this one",
		[GJ_CUT_NO_IMAGE] = "no code is mapped at the address",
		[GJ_CUT_NO_TABLE] = "Go's tables do not say how deep the stack is here",
		[GJ_CUT_NO_RULE] = "code without unwind information",
		[GJ_CUT_EXPRESSION] = "unwind information that is an expression",
		[GJ_CUT_NO_REGISTER] = "a register that is needed is not known",
		[GJ_CUT_UNDEFINED] = "no return address",
		[GJ_CUT_NO_RUNTIME] = "a switch of stacks, and the runtime's state is not in the recording",
		[GJ_CUT_SWITCHING] = "in the middle of a switch of stacks",
		[GJ_CUT_LIMIT] = "too many frames",
		[GJ_CUT_CHAIN] = "frame pointers end before a root",
	};

	return (unsigned int)cut < GJ_CUT_CNT ? texts[cut] : "?";
}

/* False when there is no room. */
static bool add(struct gj_stack *stack, const struct gj_stack_frame *frame)
{
	if (stack->cnt == stack->max) {
		stack->cut = GJ_CUT_LIMIT;
		return false;
	}
	stack->frames[stack->cnt++] = *frame;
	stack->has_gap |= frame->may_miss;
	return true;
}

static bool add_walked(struct gj_walk *walk)
{
	struct gj_stack_frame frame = {
		.va = walk->pc,
		.sp = walk->sp,
		.image = walk->image.image,
		.bias = walk->image.bias,
		.how = walk->how,
		.seam = walk->seam,
		.is_return = walk->is_return,
		.may_miss = walk->misses,
	};

	walk->misses = false;
	if (add(walk->stack, &frame))
		return true;
	walk->cut = GJ_CUT_LIMIT;
	return false;
}

static enum gj_step step_c(struct gj_walk *walk, const struct gj_cfi_row *row)
{
	enum gj_step step = gj_cfi_step(walk, row);

	if (step == GJ_STEP_CUT && walk->cut == GJ_CUT_NO_RULE && walk->image.is_vdso) {
		step = gj_seam_vdso(walk);
		if (step != GJ_STEP_STAY)
			return step;
		return gj_fp_step(walk);
	}
	if (step == GJ_STEP_CUT && walk->cut == GJ_CUT_NO_RULE)
		return gj_fp_step(walk);
	return step;
}

static enum gj_step step(struct gj_walk *walk)
{
	const struct gj_place *place;
	struct gj_place kept;

	if (!walk->module->image)
		return step_c(walk, NULL);
	place = gj_module_place(walk->module, walk->pc - walk->image.bias);
	if (place->is_sigreturn)
		return gj_seam_sigreturn(walk);
	if (!place->is_go)
		return step_c(walk, walk->is_return ? place->row_before : place->row);
	/* Seams look at other addresses, which may take this one's slot. */
	if (place->seam) {
		kept = *place;
		place = &kept;
	}
	return gj_pcsp_step(walk, place);
}

static void walk_user(struct gj_walk *walk)
{
	struct gj_stack *stack = walk->stack;
	enum gj_step next = GJ_STEP_FRAME;

	while (next == GJ_STEP_FRAME) {
		uint64_t va = walk->pc;

		if (!add_walked(walk)) {
			stack->cut_va = va;
			next = GJ_STEP_CUT;
			break;
		}
		next = step(walk);
		if (next == GJ_STEP_CUT)
			stack->cut_va = va;
	}
	stack->is_complete = next == GJ_STEP_ROOT;
	stack->cut = next == GJ_STEP_ROOT ? GJ_CUT_NONE : walk->cut;
}

/* perf's numbers of registers, by DWARF's: PERF_REG_X86_*, PERF_REG_ARM64_*. */
static const uint8_t perf_amd64[16] = { 0, 3, 2, 1, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23 };
#define PERF_AMD64_IP 8
#define PERF_ARM64_PC 32

static bool perf_reg(const struct gj_regs *regs, unsigned int number, uint64_t *value_out)
{
	if (!regs->values || !(regs->mask >> number & 1))
		return false;
	memcpy(value_out,
	       regs->values + __builtin_popcountll(regs->mask & ((1ULL << number) - 1)),
	       sizeof(*value_out));
	return true;
}

/* False without IP and SP. */
static bool take_regs(struct gj_walk *walk, const struct gj_regs *regs)
{
	bool is_arm64 = walk->view->arch == GJ_ARCH_ARM64;
	unsigned int cnt = is_arm64 ? 32 : 16, fp = is_arm64 ? GJ_ARM64_FP : GJ_AMD64_RBP;
	uint64_t value;

	for (unsigned int i = 0; i < cnt; i++)
		if (perf_reg(regs, is_arm64 ? i : perf_amd64[i], &value))
			gj_walk_set_reg(walk, i, value);
	if (!perf_reg(regs, is_arm64 ? PERF_ARM64_PC : PERF_AMD64_IP, &walk->pc) ||
	    !gj_walk_reg(walk, is_arm64 ? GJ_ARM64_SP : GJ_AMD64_RSP, &walk->sp))
		return false;
	if (walk->regs.known >> fp & 1 && !(walk->regs.values[fp] & 7))
		walk->join_slot = walk->regs.values[fp] + 8;
	return true;
}

static void begin(struct gj_walk *walk)
{
	walk->how = GJ_FRAME_IP;
	walk->is_innermost = true;
	walk->first_sp = walk->sp;
	walk->reached[gj_walk_kind(walk, walk->sp)] = walk->sp;
	walk->module = gj_walk_module(walk, walk->pc, &walk->image);
	if (walk->module) {
		walk_user(walk);
		return;
	}
	add_walked(walk);
	walk->stack->cut = GJ_CUT_NO_IMAGE;
	walk->stack->cut_va = walk->pc;
}

static void add_kernel(const struct gj_stitch_input *input, struct gj_stack *stack)
{
	for (size_t i = 0; i < input->kernel_cnt; i++) {
		struct gj_stack_frame frame = {
			.va = input->kernel_chain[i], .how = GJ_FRAME_KERNEL, .is_return = i > 0,
		};

		if (!add(stack, &frame))
			break;
	}
	stack->kernel_cnt = stack->cnt;
}

int gj_stitch(struct gj_stitcher *stitcher, const struct gj_stitch_view *view,
	      const struct gj_stitch_input *input, struct gj_stack *stack)
{
	struct gj_walk walk = { .stitcher = stitcher, .view = view, .stack = stack };

	*stack = (struct gj_stack){ .frames = stack->frames, .max = stack->max };
	add_kernel(input, stack);
	if (take_regs(&walk, &input->regs))
		begin(&walk);
	else
		stack->cut = GJ_CUT_NO_REGS;
	if (input->user_chain && !walk.is_out_of_memory)
		gj_chain_join(&walk, input);
	return walk.is_out_of_memory ? -ENOMEM : 0;
}
