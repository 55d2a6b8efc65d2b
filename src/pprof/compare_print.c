/* SPDX-License-Identifier: GPL-2.0 */
/* A comparison as people and programs read it. */
#include <string.h>

#include "pprof/compare.h"

#define SHOWN_FRAMES 4 /* of a stack's inner end */

static const char *const match_words[GJ_MATCH_CNT] = {
	[GJ_MATCH_EXACT] = "exact", [GJ_MATCH_LEAF] = "leaf", [GJ_MATCH_USER] = "user",
	[GJ_MATCH_PREFIX] = "prefix", [GJ_MATCH_NONE] = "none",
};

static double share(int64_t part, int64_t whole)
{
	return whole > 0 ? 100.0 * (double)part / (double)whole : 0.0;
}

static void add_weight(const struct gj_compared *sums, int64_t weight, struct gj_buf *out)
{
	if (!strcmp(sums->type.unit, "nanoseconds"))
		gj_buf_fmt(out, " %10.3f s ", (double)weight / 1e9);
	else
		gj_buf_fmt(out, " %12lld", (long long)weight);
}

static void add_frame(const struct gj_comparison *comparison, uint32_t number, struct gj_buf *out)
{
	const struct gj_pframe *frame = gj_comparison_frame(comparison, number);

	gj_buf_fmt(out, "%s:%lld", comparison->names.keys[frame->name].bytes, (long long)frame->line);
}

/* Leaf first, as many as people read, then the root. */
static void add_stack(const struct gj_comparison *comparison, const struct gj_aligned *stack,
		      struct gj_buf *out)
{
	uint32_t cnt = stack->frame_cnt;

	if (!cnt)
		gj_buf_str(out, "(no Go frames)");
	for (uint32_t i = 0; i < cnt; i++) {
		if (i == SHOWN_FRAMES && cnt > SHOWN_FRAMES + 1) {
			gj_buf_fmt(out, " < (%u more) < ", cnt - SHOWN_FRAMES - 1);
			i = cnt - 1;
		} else if (i) {
			gj_buf_str(out, " < ");
		}
		add_frame(comparison, stack->frames[cnt - 1 - i], out);
	}
}

static void add_totals(const struct gj_comparison *comparison, struct gj_buf *out)
{
	const struct gj_compared *ours = &comparison->sides[GJ_SIDE_OURS].sums;
	const struct gj_compared *theirs = &comparison->sides[GJ_SIDE_THEIRS].sums;
	const struct {
		const char *what;
		int64_t ours, theirs;
	} rows[] = {
		{ "weight", ours->total, theirs->total },
		{ "in user code", ours->user, theirs->user },
		{ "ends in kernel, vdso, C", ours->beyond, theirs->beyond },
	};

	gj_buf_fmt(out, "%-28s %12s %12s\n", "", "pprof", "other");
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		gj_buf_fmt(out, "%-28s", rows[i].what);
		add_weight(ours, rows[i].ours, out);
		add_weight(theirs, rows[i].theirs, out);
		gj_buf_chr(out, '\n');
	}
}

static int64_t aligned(const int64_t match[GJ_MATCH_CNT])
{
	return match[GJ_MATCH_EXACT] + match[GJ_MATCH_LEAF] + match[GJ_MATCH_USER];
}

static void add_shares(const struct gj_comparison *comparison, struct gj_buf *out)
{
	static const char *const whats[GJ_MATCH_CNT] = {
		[GJ_MATCH_EXACT] = "exact: every frame and line",
		[GJ_MATCH_LEAF] = "leaf: but for its line",
		[GJ_MATCH_USER] = "user: runtime frames differ",
		[GJ_MATCH_PREFIX] = "prefix: to some depth",
		[GJ_MATCH_NONE] = "none",
	};
	const struct gj_compared *ours = &comparison->sides[GJ_SIDE_OURS].sums;
	const struct gj_compared *theirs = &comparison->sides[GJ_SIDE_THEIRS].sums;

	gj_buf_str(out, "\nOf each side's weight in user code, found on the other:\n");
	for (int i = 0; i < GJ_MATCH_CNT; i++)
		gj_buf_fmt(out, "%-28s %10.2f %% %10.2f %%\n", whats[i],
			   share(ours->user_match[i], ours->user),
			   share(theirs->user_match[i], theirs->user));
	gj_buf_fmt(out, "%-28s %10.2f %% %10.2f %%\n", "aligned (exact+leaf+user)",
		   share(aligned(ours->user_match), ours->user),
		   share(aligned(theirs->user_match), theirs->user));
	/* Good and Turing: a new sample is of a stack not seen yet as often as stacks were seen once. */
	gj_buf_fmt(out, "%-28s %10.2f %% %10.2f %%\n", "not exact by chance alone",
		   share(theirs->once, theirs->user), share(ours->once, ours->user));
	gj_buf_fmt(out, "%-28s %12s %10.2f %%\n", "of what ends beyond Go", "",
		   share(theirs->beyond_matched, theirs->beyond));
}

static void add_heaviest(const struct gj_comparison *comparison, size_t top, struct gj_buf *out)
{
	const struct gj_cside *ours = &comparison->sides[GJ_SIDE_OURS];
	int64_t theirs_total = comparison->sides[GJ_SIDE_THEIRS].sums.total;

	gj_buf_str(out, "\nThe heaviest stacks of pprof, leaf first; beyond: of the other's, in kernel, vdso or C\n"
			"  pprof   other  beyond  match   stack\n");
	for (size_t i = 0; i < ours->stack_cnt && i < top; i++) {
		const struct gj_aligned *stack = &ours->stacks[i];

		gj_buf_fmt(out, "%6.2f%% %6.2f%% %6.2f%%  %-6s  ", share(stack->weight, ours->sums.total),
			   share(stack->other_weight, theirs_total),
			   share(stack->other_beyond, theirs_total), match_words[stack->match]);
		add_stack(comparison, stack, out);
		gj_buf_chr(out, '\n');
	}
}

static void add_unmatched(const struct gj_comparison *comparison, enum gj_side which,
			  const char *title, size_t top, struct gj_buf *out)
{
	const struct gj_cside *side = &comparison->sides[which];
	size_t shown = 0;

	for (size_t i = 0; i < side->stack_cnt && shown < top; i++) {
		const struct gj_aligned *stack = &side->stacks[i];

		if (stack->match <= GJ_MATCH_USER)
			continue;
		if (!shown++)
			gj_buf_str(out, title);
		gj_buf_fmt(out, "%6.2f%%  %2u of %2u  ", share(stack->weight, side->sums.total),
			   stack->depth, stack->frame_cnt);
		add_stack(comparison, stack, out);
		gj_buf_fmt(out, "\n                   %s\n", stack->why ? stack->why : "");
	}
}

/* Each stack of the other side that goes on where Go ends, and what of pprof's it extends. */
static void add_extending(const struct gj_comparison *comparison, size_t top, struct gj_buf *out)
{
	const struct gj_cside *side = &comparison->sides[GJ_SIDE_THEIRS];
	size_t shown = 0;

	for (size_t i = 0; i < side->stack_cnt && shown < top; i++) {
		const struct gj_aligned *stack = &side->stacks[i];

		if (!stack->beyond)
			continue;
		if (!shown++)
			gj_buf_str(out, "\nStacks of the other side that go on into kernel, vdso or C, and the stack of pprof they extend\n"
					"  other  beyond  match   pprof's stack\n");
		gj_buf_fmt(out, "%6.2f%% %6.2f%%  %-6s  ", share(stack->weight, side->sums.total),
			   share(stack->beyond, side->sums.total), match_words[stack->match]);
		if (stack->match <= GJ_MATCH_USER)
			add_stack(comparison,
				  &comparison->sides[GJ_SIDE_OURS].stacks[stack->partner], out);
		else
			gj_buf_fmt(out, "- %s", stack->why ? stack->why : "");
		gj_buf_chr(out, '\n');
	}
}

void gj_comparison_text(const struct gj_comparison *comparison, size_t top, struct gj_buf *out)
{
	add_totals(comparison, out);
	add_shares(comparison, out);
	add_heaviest(comparison, top, out);
	add_extending(comparison, top, out);
	add_unmatched(comparison, GJ_SIDE_OURS,
		      "\nOf pprof's, not aligned: weight, frames that are the same, stack, why\n", top, out);
	add_unmatched(comparison, GJ_SIDE_THEIRS,
		      "\nOf the other's, not aligned: weight, frames that are the same, stack, why\n", top, out);
}

static void json_stack(const struct gj_comparison *comparison, const struct gj_aligned *stack,
		       struct gj_buf *out)
{
	gj_buf_fmt(out, "{\"weight\":%lld,\"beyond\":%lld,\"match\":\"%s\",\"depth\":%u,\"user\":%s,",
		   (long long)stack->weight, (long long)stack->beyond, match_words[stack->match],
		   stack->depth, stack->is_user ? "true" : "false");
	if (stack->partner == GJ_PROFILE_NONE)
		gj_buf_str(out, "\"partner\":null,");
	else
		gj_buf_fmt(out, "\"partner\":%u,\"other_weight\":%lld,\"other_beyond\":%lld,",
			   stack->partner, (long long)stack->other_weight,
			   (long long)stack->other_beyond);
	gj_buf_str(out, "\"why\":");
	if (stack->why)
		gj_buf_json(out, stack->why);
	else
		gj_buf_str(out, "null");
	gj_buf_str(out, ",\"frames\":[");
	for (uint32_t i = stack->frame_cnt; i-- > 0;) {
		const struct gj_pframe *frame = gj_comparison_frame(comparison, stack->frames[i]);

		gj_buf_str(out, "{\"func\":");
		gj_buf_json(out, comparison->names.keys[frame->name].bytes);
		gj_buf_fmt(out, ",\"line\":%lld}%s", (long long)frame->line, i ? "," : "");
	}
	gj_buf_str(out, "]}");
}

static void json_side(const struct gj_comparison *comparison, enum gj_side which,
		      struct gj_buf *out)
{
	const struct gj_cside *side = &comparison->sides[which];

	gj_buf_str(out, "{\"type\":");
	gj_buf_json(out, side->sums.type.type);
	gj_buf_str(out, ",\"unit\":");
	gj_buf_json(out, side->sums.type.unit);
	gj_buf_fmt(out, ",\"weight\":%lld,\"user\":%lld,\"beyond\":%lld,\"beyond_aligned\":%lld,\"once\":%lld,\"user_match\":{",
		   (long long)side->sums.total, (long long)side->sums.user,
		   (long long)side->sums.beyond, (long long)side->sums.beyond_matched,
		   (long long)side->sums.once);
	for (int i = 0; i < GJ_MATCH_CNT; i++)
		gj_buf_fmt(out, "%s\"%s\":%lld", i ? "," : "", match_words[i],
			   (long long)side->sums.user_match[i]);
	gj_buf_fmt(out, "},\"user_aligned_percent\":%.2f,\"stacks\":[",
		   share(aligned(side->sums.user_match), side->sums.user));
	for (size_t i = 0; i < side->stack_cnt; i++) {
		if (i)
			gj_buf_chr(out, ',');
		json_stack(comparison, &side->stacks[i], out);
	}
	gj_buf_str(out, "]}");
}

void gj_comparison_json(const struct gj_comparison *comparison, struct gj_buf *out)
{
	gj_buf_str(out, "{\"pprof\":");
	json_side(comparison, GJ_SIDE_OURS, out);
	gj_buf_str(out, ",\"other\":");
	json_side(comparison, GJ_SIDE_THEIRS, out);
	gj_buf_str(out, "}\n");
}
