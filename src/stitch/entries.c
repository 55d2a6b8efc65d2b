/* SPDX-License-Identifier: GPL-2.0 */
/* By which calls a function can be entered. */
#include <stdlib.h>

#include "stitch/repair.h"

#define MAX_SITES 256 /* calls of one function looked at, each in a function to be read */

/* What in @code ends at @va: a call with RBP its own is all that is wanted. */
static bool is_own_call(const struct gj_code *code, uint64_t va)
{
	for (uint32_t i = 0; i < code->edge_cnt; i++)
		if (code->entry_va + code->edges[i].end_off == va)
			return code->is_regular && code->edges[i].is_call &&
			       code->edges[i].rbp == GJ_RBP_OWN;
	return false;
}

/* A jump back to the function's own beginning: it has got more stack. */
static bool is_own_jump(const struct gj_code *code, const struct gj_image *image, uint64_t va)
{
	struct gj_window jump = gj_image_at(image, va - 5);
	uint8_t op;

	return va - code->entry_va >= 5 && va - code->entry_va <= code->size_bytes &&
	       gj_window_u8(jump, 0, &op) && op == 0xe9 &&
	       gj_code_bit(code->starts, va - 5 - code->entry_va);
}

/* Place number @number that may lead to @func: a call with RBP its own, or that jump? */
static bool check_site(struct gj_repair_part *part, const struct gj_gofunc *func, uint32_t number)
{
	uint64_t va = gj_refs_site(part->refs, func->index, number);
	const struct gj_code *code;
	struct gj_gofunc by;

	if (gj_gotab_find_func(part->gotab, va - 1, &by))
		return false;
	code = gj_codes_find(part->codes, &by);
	return code && (is_own_call(code, va) ||
			(by.index == func->index && is_own_jump(code, part->image, va)));
}

/* Looks through the image for what may lead to its functions, once. */
static void read_refs(struct gj_repair_part *part)
{
	if (part->is_refs_tried)
		return;
	part->is_refs_tried = true;
	part->closed = calloc(gj_gotab_info(part->gotab)->func_cnt, sizeof(*part->closed));
	if (!part->closed || gj_refs_new(part->image, part->gotab, &part->refs))
		part->refs = NULL;
}

bool gj_repair_is_closed(struct gj_repair_part *part, const struct gj_gofunc *func)
{
	enum { UNKNOWN, CLOSED, OPEN };
	uint8_t *known;
	uint32_t cnt;

	read_refs(part);
	if (!part->refs)
		return false;
	known = &part->closed[func->index];
	cnt = gj_refs_count(part->refs, func->index);
	if (*known == UNKNOWN) {
		*known = cnt && cnt <= MAX_SITES && !gj_refs_is_taken(part->refs, func->index) ?
				 CLOSED : OPEN;
		for (uint32_t i = 0; i < cnt && *known == CLOSED; i++)
			if (!check_site(part, func, i))
				*known = OPEN;
	}
	return *known == CLOSED;
}

void gj_repair_find_entries(struct gj_repair_part *part, const struct gj_gofunc *func,
			    struct gj_entered *entered)
{
	uint32_t cnt = gj_refs_count(part->refs, func->index);

	*entered = (struct gj_entered){ .is_by_one = true };
	for (uint32_t i = 0; i < cnt && entered->is_by_one; i++) {
		uint64_t va = gj_refs_site(part->refs, func->index, i);
		const struct gj_code *code;
		struct gj_gofunc by;

		if (gj_gotab_find_func(part->gotab, va - 1, &by))
			continue;
		code = gj_codes_find(part->codes, &by);
		if (!code || !is_own_call(code, va) || gj_repair_is_closed(part, &by))
			continue;
		if (!entered->site_cnt++) {
			entered->by = by;
			entered->return_va = va;
		}
		entered->is_by_one = by.index == entered->by.index;
	}
}
