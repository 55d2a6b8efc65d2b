/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A chain by frame pointers, as the kernel records it, and what a walk found
 * of the same stack.
 *
 * The chain lacks the caller of whoever had no frame pointer of its own when
 * it was interrupted. The walk has that caller, but may have no bytes for the
 * rest. They meet where the walk unwinds the very frame whose record the
 * frame-pointer register names: its return address is the chain's second
 * address, and from there on both go in step. Where they do not meet the chain
 * is given as it was, and the place where it may lack a caller is marked.
 */
#include <string.h>

#include "stitch/walk.h"

/*
 * Instructions of a Go prologue behind which RBP is the function's own; at
 * each of them SP has moved already (amd64).
 */
static bool is_before_fp(const struct gj_module *module, uint64_t va)
{
	struct gj_window code = gj_image_at(module->image, va);
	static const uint8_t starts[][3] = {
		{ 0x48, 0x89, 0xe5 },                       /* mov rbp, rsp */
		{ 0x48, 0x89, 0x6c }, { 0x48, 0x89, 0xac }, /* mov [rsp+n], rbp */
		{ 0x48, 0x8d, 0x6c }, { 0x48, 0x8d, 0xac }, /* lea rbp, [rsp+n] */
	};

	for (size_t i = 0; i < sizeof(starts) / sizeof(starts[0]); i++)
		if (code.size_bytes >= 4 && !memcmp(code.base, starts[i], 3) &&
		    (code.base[2] == 0xe5 || code.base[3] == 0x24))
			return true;
	return false;
}

/* True unless the frame interrupted at @va is known to have set up its own frame pointer. */
static bool may_lack_caller(struct gj_walk *walk, uint64_t va)
{
	struct gj_stitch_image image;
	struct gj_module *module = gj_walk_module(walk, va, &image);
	const struct gj_place *place;

	if (!module || !module->gotab)
		return true;
	place = gj_module_place(module, va - image.bias);
	if (!place->is_go || place->is_asm || !place->has_delta || place->delta <= 0)
		return true;
	return walk->view->arch != GJ_ARCH_AMD64 || is_before_fp(module, va - image.bias);
}

/* What a frame of a chain says of those behind it. */
enum behind {
	BEHIND_CALLER,
	BEHIND_INTERRUPTED, /* whoever was interrupted: an exact address, no call */
	BEHIND_LOST, /* its caller is left out */
	BEHIND_ROOT, /* nothing: it is a root */
	BEHIND_CUT,  /* RBP is another stack's from here on */
};

/*
 * Frame pointers cross from g0's stack to the goroutine's as they please (Go
 * src/runtime/asm_amd64.s): systemstack had no frame up to Go 1.20, so that
 * its caller is skipped; mcall leaves RBP as it was up to 1.24, so that the
 * scheduler seems to be called by whoever was parked last; morestack gives
 * newstack the goroutine's, g0's or none.
 */
static enum behind behind(struct gj_walk *walk, uint64_t va, const char **root_out)
{
	struct gj_stitch_image image;
	struct gj_module *module = gj_walk_module(walk, va, &image);
	const struct gj_place *place;
	const char *name;

	/* RBP is that of whoever was interrupted, so that its own address is skipped. */
	if (module && module->image && gj_module_place(module, va - image.bias)->is_sigreturn)
		return BEHIND_LOST;
	module = gj_walk_module(walk, va - 1, &image);
	if (!module || !module->gotab)
		return BEHIND_CALLER;
	place = gj_module_place(module, va - 1 - image.bias);
	if (!place->seam)
		return BEHIND_CALLER;
	name = gj_seams[place->seam - 1].name;
	*root_out = walk->is_scheduling && !strcmp(name, "morestack") ? "schedule" : name;
	if (gj_seams[place->seam - 1].is_injected)
		return BEHIND_INTERRUPTED;
	if (!strcmp(name, "goexit") || !strcmp(name, "mstart") || !strcmp(name, "rt0_go") ||
	    !strcmp(name, "mcall"))
		return BEHIND_ROOT;
	if (!strcmp(name, "schedule"))
		walk->is_scheduling = true;
	/* newstack has given the thread to others: nobody called for this any more. */
	if (!strcmp(name, "morestack"))
		return walk->is_scheduling ? BEHIND_ROOT : BEHIND_CUT;
	if (!strcmp(name, "systemstack") && gj_gotab_info(module->gotab)->go_minor <= 20)
		return BEHIND_LOST;
	return BEHIND_CALLER;
}

/* The recorded chain, without its second address where that is nothing. */
struct chain {
	const uint64_t *vas;
	size_t cnt;
	bool lacks_second;
};

static uint64_t chain_va(const struct chain *chain, size_t index)
{
	return chain->vas[index + (index && chain->lacks_second)];
}

/* How far a chain goes before it is another stack's. */
static size_t usable_cnt(struct gj_walk *walk, const struct chain *chain)
{
	const char *root;
	size_t i = 1;

	while (i < chain->cnt && behind(walk, chain_va(chain, i), &root) < BEHIND_ROOT)
		i++;
	return i < chain->cnt ? i + 1 : chain->cnt;
}

/* @index: of an address of the chain, behind one of which @last says what follows */
static struct gj_stack_frame frame_of(struct gj_walk *walk, const struct chain *chain,
				      size_t index, enum behind last)
{
	struct gj_stitch_image image;
	struct gj_stack_frame frame = {
		.va = chain_va(chain, index),
		.how = index ? GJ_FRAME_FP : GJ_FRAME_IP,
		.is_return = index && last != BEHIND_INTERRUPTED,
		.may_miss = last == BEHIND_LOST,
	};

	if (gj_walk_module(walk, frame.va, &image)) {
		frame.image = image.image;
		frame.bias = image.bias;
	}
	return frame;
}

static void append(struct gj_walk *walk, const struct chain *chain, size_t from)
{
	struct gj_stack *stack = walk->stack;
	enum behind last = BEHIND_CALLER;
	const char *root = NULL;
	bool lacks_caller = false;

	if (from > 1)
		last = behind(walk, chain_va(chain, from - 1), &root);
	for (size_t i = from; i < chain->cnt && last < BEHIND_ROOT; i++) {
		struct gj_stack_frame frame = frame_of(walk, chain, i, last);

		frame.may_miss |= lacks_caller;
		/* Interrupted anywhere, it may have had no frame pointer of its own. */
		lacks_caller = (!i || last == BEHIND_INTERRUPTED) && may_lack_caller(walk, frame.va);
		if (stack->cnt == stack->max) {
			stack->cut = GJ_CUT_LIMIT;
			return;
		}
		stack->frames[stack->cnt++] = frame;
		stack->has_gap |= frame.may_miss;
		if (i)
			last = behind(walk, frame.va, &root);
	}
	stack->is_complete = last == BEHIND_ROOT;
	stack->root = stack->is_complete ? root : NULL;
	stack->cut = stack->is_complete ? GJ_CUT_NONE : GJ_CUT_CHAIN;
	if (stack->cut && stack->cnt)
		stack->cut_va = stack->frames[stack->cnt - 1].va;
}

/* Frames the walk has found that the chain, which it meets at frame @meet, has not. */
static size_t count_repaired(const struct gj_stack *stack, size_t meet)
{
	return stack->kernel_cnt + meet <= stack->cnt && meet > 1 ? meet - 1 : 0;
}

/* True when the walked frames from @meet on are the chain's, as far as both go. */
static bool in_step(const struct gj_stack *stack, const struct chain *chain, size_t meet)
{
	for (size_t i = stack->kernel_cnt + meet, k = 1; i < stack->cnt; i++, k++)
		if (k >= chain->cnt || stack->frames[i].va != chain_va(chain, k))
			return false;
	return true;
}

/* Frames of @stack's user part that are not in the chain at all, in order of both. */
static size_t count_added(const struct gj_stack *stack, const struct chain *chain)
{
	size_t added = 0, k = 0;

	for (size_t i = stack->kernel_cnt; i < stack->cnt; i++) {
		size_t at = k;

		while (at < chain->cnt && chain_va(chain, at) != stack->frames[i].va)
			at++;
		if (at < chain->cnt)
			k = at + 1;
		else
			added++;
	}
	return added;
}

#define RED_ZONE_BYTES 128 /* what a function may use below SP (System V psABI); beyond is another stack */

/*
 * A return address below SP is no frame's any more. Go up to 1.23 lets RBP name
 * such a record around calls of duffzero and duffcopy: {its own RBP, the call's
 * return address}. What follows it in the chain is right.
 */
static struct chain chain_of(const struct gj_walk *walk, const struct gj_stitch_input *input)
{
	bool is_dead = walk->join_slot && walk->join_slot < walk->first_sp &&
		       walk->first_sp - walk->join_slot <= RED_ZONE_BYTES && input->user_cnt > 1;

	return (struct chain){ input->user_chain, input->user_cnt - is_dead, is_dead };
}

void gj_chain_join(struct gj_walk *walk, const struct gj_stitch_input *input)
{
	struct gj_stack *stack = walk->stack;
	size_t walked = stack->cnt - stack->kernel_cnt, meet = walk->join_index;
	struct chain chain = chain_of(walk, input);

	if (stack->is_complete) {
		stack->repaired_cnt = count_added(stack, &chain);
		return;
	}
	/* RBP's own record is dead: the one it leads to is the frame's that was interrupted. */
	if (chain.lacks_second && walked > 1)
		meet = 1;
	if (meet && walked && chain.cnt && in_step(stack, &chain, meet)) {
		stack->repaired_cnt = count_repaired(stack, meet);
		append(walk, &chain, walked - meet + 1);
		return;
	}
	/* Not the same stack, or too few bytes to tell: the longer of the two, nothing mixed. */
	if (walked >= chain.cnt || walked >= usable_cnt(walk, &chain))
		return;
	stack->cnt = stack->kernel_cnt;
	stack->has_gap = false;
	append(walk, &chain, 0);
}
