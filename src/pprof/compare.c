/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Two profiles' stacks matched from the root, function and line frame by frame.
 *
 * The stacks of the other side are a tree: each node is a stack's beginning,
 * numbered by (node before, frame). A stack walks down as far as it goes.
 */
#include "pprof/compare.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct node {
	int64_t weight, beyond;       /* of all stacks through it */
	int64_t end_weight, end_beyond; /* of those that end there */
	uint32_t heaviest;            /* stack through it */
	uint32_t end;                 /* stack that ends there, or GJ_PROFILE_NONE */
};

/* A step down the tree, or to a leaf whatever its line: then frame is the leaf's name. */
struct step {
	uint32_t before; /* node */
	uint32_t frame;
	uint32_t is_leaf;
};

struct tree {
	struct gj_arena arena;
	struct gj_pnumbers steps; /* struct step: its number + 1 is the node behind it */
	struct node *nodes;       /* owned; 0 is the root */
	size_t node_cap;
};

static struct node *node_of(struct tree *tree, const struct step *step, uint32_t *node_out)
{
	struct node *nodes = gj_parray_grow(tree->nodes, tree->steps.key_cnt + 1, &tree->node_cap,
					    sizeof(*nodes));
	uint32_t number;
	bool is_new;

	if (!nodes)
		return NULL;
	tree->nodes = nodes;
	if (gj_pnumbers_put(&tree->steps, step, sizeof(*step), &number, &is_new))
		return NULL;
	*node_out = number + 1;
	if (is_new)
		nodes[*node_out] = (struct node){ .heaviest = GJ_PROFILE_NONE, .end = GJ_PROFILE_NONE };
	return &nodes[*node_out];
}

/* @stacks come heaviest first. */
static void pass(struct node *node, const struct gj_aligned *stack, uint32_t index)
{
	__builtin_add_overflow(node->weight, stack->weight, &node->weight);
	__builtin_add_overflow(node->beyond, stack->beyond, &node->beyond);
	if (node->heaviest == GJ_PROFILE_NONE)
		node->heaviest = index;
}

static int plant(struct tree *tree, const struct gj_comparison *comparison,
		 const struct gj_aligned *stack, uint32_t index)
{
	struct step step = { 0 };
	struct node *node = NULL;

	for (uint32_t i = 0; i < stack->frame_cnt; i++) {
		uint32_t before = step.before;

		if (i + 1 == stack->frame_cnt) {
			step = (struct step){ before,
					      gj_comparison_frame(comparison, stack->frames[i])->name, 1 };
			node = node_of(tree, &step, &step.before);
			if (!node)
				return -ENOMEM;
			pass(node, stack, index);
		}
		step = (struct step){ before, stack->frames[i], 0 };
		node = node_of(tree, &step, &step.before);
		if (!node)
			return -ENOMEM;
		pass(node, stack, index);
	}
	if (node) {
		node->end_weight = stack->weight;
		node->end_beyond = stack->beyond;
		node->end = index;
	}
	return 0;
}

/* The node behind @step, or 0. */
static uint32_t go_down(const struct tree *tree, const struct step *step)
{
	uint32_t number = gj_pnumbers_find(&tree->steps, step, sizeof(*step));

	return number == UINT32_MAX ? 0 : number + 1;
}

/* Frames up to and with the innermost of user code. */
static uint32_t user_depth(const struct gj_comparison *comparison, const struct gj_aligned *stack)
{
	uint32_t depth = stack->frame_cnt;

	while (depth && !gj_comparison_frame(comparison, stack->frames[depth - 1])->is_user)
		depth--;
	return depth;
}

static void join(struct gj_aligned *stack, enum gj_match match, uint32_t partner, int64_t weight,
		 int64_t beyond)
{
	stack->match = match;
	stack->partner = partner;
	stack->other_weight = weight;
	stack->other_beyond = beyond;
}

/* Why a stack that has all it needs itself found no exact partner. */
static const char *explain(const struct gj_comparison *comparison, const struct gj_aligned *stack,
			   const struct gj_cside *other)
{
	uint32_t next = stack->depth < stack->frame_cnt ? stack->depth : stack->frame_cnt - 1;

	if (stack->match == GJ_MATCH_LEAF)
		return "the same function, hit on other lines";
	if (stack->match == GJ_MATCH_USER)
		return "only runtime frames below user code differ";
	if (stack->partner != GJ_PROFILE_NONE && stack->depth &&
	    other->stacks[stack->partner].frame_cnt == stack->depth)
		return "the other side's stack ends there";
	if (stack->match == GJ_MATCH_NONE &&
	    gj_comparison_frame(comparison, stack->frames[next])->is_user)
		return "the other side has no stack with this root";
	return stack->match == GJ_MATCH_NONE ? "runtime's own, not seen on the other side" :
					       "the other side was never seen below that frame";
}

static void match(const struct gj_comparison *comparison, const struct tree *tree,
		  struct gj_aligned *stack, const struct gj_cside *other)
{
	struct step step = { 0 };
	uint32_t node = 0, leaf = 0, at = 0;

	stack->match = GJ_MATCH_NONE;
	for (; at < stack->frame_cnt; at++) {
		step = (struct step){ node, stack->frames[at], 0 };
		if (at + 1 == stack->frame_cnt) {
			struct step any = { node, gj_comparison_frame(comparison, stack->frames[at])->name, 1 };

			leaf = go_down(tree, &any);
		}
		if (!go_down(tree, &step))
			break;
		node = go_down(tree, &step);
	}
	stack->depth = at;
	if (!stack->frame_cnt)
		return;
	if (at == stack->frame_cnt && tree->nodes[node].end != GJ_PROFILE_NONE) {
		join(stack, GJ_MATCH_EXACT, tree->nodes[node].end, tree->nodes[node].end_weight,
		     tree->nodes[node].end_beyond);
		stack->why = NULL;
		return;
	}
	if (leaf)
		join(stack, GJ_MATCH_LEAF, tree->nodes[leaf].heaviest, tree->nodes[leaf].weight,
		     tree->nodes[leaf].beyond);
	else if (at)
		join(stack, stack->is_user && at >= user_depth(comparison, stack) ? GJ_MATCH_USER :
										   GJ_MATCH_PREFIX,
		     tree->nodes[node].heaviest, tree->nodes[node].weight, tree->nodes[node].beyond);
	if (!stack->why || stack->match < GJ_MATCH_PREFIX)
		stack->why = explain(comparison, stack, other);
}

static int grow_tree(const struct gj_comparison *comparison, const struct gj_cside *side,
		     struct tree *tree)
{
	int err = 0;

	tree->steps.arena = &tree->arena;
	for (size_t i = 0; !err && i < side->stack_cnt; i++)
		err = plant(tree, comparison, &side->stacks[i], (uint32_t)i);
	return err;
}

static void add_up(struct gj_cside *side)
{
	struct gj_compared *sums = &side->sums;

	sums->type = side->profile->types[side->value];
	for (size_t i = 0; i < side->stack_cnt; i++) {
		const struct gj_aligned *stack = &side->stacks[i];

		__builtin_add_overflow(sums->total, stack->weight, &sums->total);
		__builtin_add_overflow(sums->match[stack->match], stack->weight,
				       &sums->match[stack->match]);
		__builtin_add_overflow(sums->beyond, stack->beyond, &sums->beyond);
		if (stack->match <= GJ_MATCH_USER)
			__builtin_add_overflow(sums->beyond_matched, stack->beyond,
					       &sums->beyond_matched);
		if (!stack->is_user)
			continue;
		__builtin_add_overflow(sums->user, stack->weight, &sums->user);
		if (stack->sample_cnt == 1)
			__builtin_add_overflow(sums->once, stack->weight, &sums->once);
		__builtin_add_overflow(sums->user_match[stack->match], stack->weight,
				       &sums->user_match[stack->match]);
	}
}

static int match_side(struct gj_comparison *comparison, enum gj_side which)
{
	struct gj_cside *side = &comparison->sides[which], *other = &comparison->sides[!which];
	struct tree tree = { 0 };
	int err = grow_tree(comparison, other, &tree);

	for (size_t i = 0; !err && i < side->stack_cnt; i++)
		match(comparison, &tree, &side->stacks[i], other);
	gj_pnumbers_deinit(&tree.steps);
	gj_arena_deinit(&tree.arena);
	free(tree.nodes);
	return err;
}

static int compare_weights(const void *a, const void *b)
{
	const struct gj_aligned *one = a, *other = b;

	if (one->weight != other->weight)
		return one->weight < other->weight ? 1 : -1;
	return (one->sample > other->sample) - (one->sample < other->sample);
}

/* Which values count samples; type_cnt when none do. */
static size_t find_count(const struct gj_profile *profile)
{
	size_t i = 0;

	while (i < profile->type_cnt && (strcmp(profile->types[i].type, "samples") ||
					 strcmp(profile->types[i].unit, "count")))
		i++;
	return i;
}

/* CPU time if there is any, else what the profile calls its default, else the last type. */
static size_t choose_value(const struct gj_profile *profile)
{
	size_t chosen = profile->type_cnt - 1;

	for (size_t i = 0; i < profile->type_cnt; i++) {
		if (!strcmp(profile->types[i].type, "cpu") &&
		    !strcmp(profile->types[i].unit, "nanoseconds"))
			return i;
		if (profile->default_type && *profile->default_type &&
		    !strcmp(profile->types[i].type, profile->default_type))
			chosen = i;
	}
	return chosen;
}

static int fill_side(struct gj_comparison *comparison, enum gj_side which,
		     const struct gj_profile *profile)
{
	struct gj_cside *side = &comparison->sides[which];
	int err;

	side->profile = profile;
	side->value = choose_value(profile);
	side->count = find_count(profile);
	side->keys.arena = &comparison->arena;
	err = gj_comparison_flatten(comparison, which);
	if (!err && side->stack_cnt)
		qsort(side->stacks, side->stack_cnt, sizeof(*side->stacks), compare_weights);
	return err;
}

int gj_compare(const struct gj_profile *ours, const struct gj_profile *theirs,
	       struct gj_comparison **comparison_out, struct gj_diag *diag)
{
	struct gj_comparison *comparison = calloc(1, sizeof(*comparison));
	int err = comparison ? 0 : -ENOMEM;

	if (!err) {
		comparison->names.arena = comparison->frames.arena = &comparison->arena;
		err = fill_side(comparison, GJ_SIDE_OURS, ours);
	}
	if (!err)
		err = fill_side(comparison, GJ_SIDE_THEIRS, theirs);
	if (!err)
		err = match_side(comparison, GJ_SIDE_OURS);
	if (!err)
		err = match_side(comparison, GJ_SIDE_THEIRS);
	if (err) {
		gj_comparison_free(comparison);
		return gj_diag_set(diag, err, "the profiles could not be compared: %s", strerror(-err));
	}
	add_up(&comparison->sides[GJ_SIDE_OURS]);
	add_up(&comparison->sides[GJ_SIDE_THEIRS]);
	*comparison_out = comparison;
	return 0;
}

void gj_comparison_free(struct gj_comparison *comparison)
{
	if (!comparison)
		return;
	for (int i = 0; i < 2; i++) {
		free(comparison->sides[i].stacks);
		gj_pnumbers_deinit(&comparison->sides[i].keys);
	}
	gj_pnumbers_deinit(&comparison->names);
	gj_pnumbers_deinit(&comparison->frames);
	gj_arena_deinit(&comparison->arena);
	free(comparison);
}

const struct gj_aligned *gj_comparison_stacks(const struct gj_comparison *comparison,
					      enum gj_side side, size_t *cnt_out)
{
	*cnt_out = comparison->sides[side].stack_cnt;
	return comparison->sides[side].stacks;
}

const struct gj_compared *gj_comparison_sums(const struct gj_comparison *comparison,
					     enum gj_side side)
{
	return &comparison->sides[side].sums;
}
