/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The inlined calls of one function as a tree with address ranges.
 *
 * The tables name the innermost call at each address; a call that contains
 * others covers their addresses too, as DW_TAG_inlined_subroutine has it.
 */
#include <errno.h>

#include "base/limits.h"
#include "debuginfo/build.h"

/* Makes a call and hangs it below @parent, behind the calls made before it. */
static uint32_t new_call(struct gj_debug *debug, const struct gj_inline_row *row,
			 int32_t tree_row, uint32_t parent)
{
	uint32_t number = (uint32_t)debug->call_cnt;
	struct gj_debug_call *call, *up;

	if (!gj_debug_grow((void **)&debug->calls, &debug->call_cap, debug->call_cnt,
			   sizeof(*debug->calls)))
		return 0;
	debug->call_cnt++;
	call = &debug->calls[number];
	up = &debug->calls[parent];
	*call = (struct gj_debug_call){
		.name = row->name,
		.tree_row = tree_row,
		.start_line = row->start_line > 0 ? (uint32_t)row->start_line : 0,
		.call_file = gj_debug_file(debug, row->call_file),
		.call_line = row->call_line > 0 ? (uint32_t)row->call_line : 0,
		.parent = parent,
	};
	if (up->last_child)
		debug->calls[up->last_child].next = number;
	else
		up->first_child = number;
	up->last_child = number;
	/* A call stands in the file of the function that makes it. */
	if (!up->file)
		up->file = call->call_file;
	return number;
}

/* The call that a row of the inline tree has become, 0 when it has not yet. */
static uint32_t known_call(const struct gj_debug *debug, int32_t tree_row)
{
	uint32_t number = debug->call_of_row[tree_row];

	return number && number < debug->call_cnt &&
	       debug->calls[number].tree_row == tree_row ? number : 0;
}

static bool reach_row(struct gj_debug *debug, int32_t tree_row)
{
	size_t old_cap = debug->call_of_row_cap;

	if (!gj_debug_grow((void **)&debug->call_of_row, &debug->call_of_row_cap,
			   (size_t)tree_row, sizeof(*debug->call_of_row)))
		return false;
	for (size_t i = old_cap; i < debug->call_of_row_cap; i++)
		debug->call_of_row[i] = 0;
	return true;
}

/*
 * The call of a row, made together with those around it that are not there
 * yet. 0, the function itself, where the tree is broken or loops.
 */
static uint32_t call_of_row(struct gj_debug *debug, const struct gj_gofunc *func,
			    int32_t tree_row, int *err_out)
{
	struct gj_inline_row chain[GJ_MAX_INLINE_DEPTH];
	int32_t rows[GJ_MAX_INLINE_DEPTH];
	uint32_t number = 0;
	size_t cnt = 0;

	while (tree_row >= 0) {
		if (tree_row >= GJ_MAX_INLINE_ROWS || cnt == GJ_MAX_INLINE_DEPTH)
			return 0;
		if (!reach_row(debug, tree_row)) {
			*err_out = -ENOMEM;
			return 0;
		}
		number = known_call(debug, tree_row);
		if (number)
			break;
		if (gj_gotab_inline(debug->gotab, func, tree_row, &chain[cnt]))
			return 0;
		rows[cnt] = tree_row;
		tree_row = chain[cnt++].parent;
	}
	while (cnt) {
		cnt--;
		number = new_call(debug, &chain[cnt], rows[cnt], number);
		if (!number) {
			*err_out = -ENOMEM;
			return 0;
		}
		debug->call_of_row[rows[cnt]] = number;
	}
	return number;
}

static bool add_range(struct gj_debug *debug, uint32_t number, uint64_t start_va,
		      uint64_t end_va)
{
	struct gj_debug_call *call = &debug->calls[number];
	uint32_t range = (uint32_t)debug->call_range_cnt;

	if (call->last_range && debug->call_ranges[call->last_range].end_va == start_va) {
		debug->call_ranges[call->last_range].end_va = end_va;
		return true;
	}
	if (!gj_debug_grow((void **)&debug->call_ranges, &debug->call_range_cap,
			   debug->call_range_cnt, sizeof(*debug->call_ranges)))
		return false;
	debug->call_range_cnt++;
	debug->call_ranges[range] = (struct gj_debug_range){ start_va, end_va, 0 };
	if (call->last_range)
		debug->call_ranges[call->last_range].next = range;
	else
		call->first_range = range;
	call->last_range = range;
	return true;
}

/* The file at @va, from the lines that were read. */
static uint32_t file_at(const struct gj_debug *debug, uint64_t va)
{
	size_t first = 0, cnt = debug->row_cnt;

	if (!cnt || va < debug->rows[0].va)
		return 0;
	while (cnt > 1) {
		size_t half = cnt / 2;

		first = debug->rows[first + half].va <= va ? first + half : first;
		cnt -= half;
	}
	return debug->rows[first].file;
}

static int begin_calls(struct gj_debug *debug)
{
	debug->call_cnt = debug->call_range_cnt = 0;
	if (!gj_debug_grow((void **)&debug->calls, &debug->call_cap, 0, sizeof(*debug->calls)) ||
	    !gj_debug_grow((void **)&debug->call_ranges, &debug->call_range_cap, 0,
			   sizeof(*debug->call_ranges)))
		return -ENOMEM;
	debug->calls[0] = (struct gj_debug_call){ .tree_row = -1 };
	debug->call_cnt = debug->call_range_cnt = 1;
	return 0;
}

int gj_debug_read_calls(struct gj_debug *debug, const struct gj_gofunc *func, uint64_t end_va)
{
	struct gj_pciter iter;
	struct gj_pcrow row;
	int err = begin_calls(debug);

	if (err || gj_pciter_init(debug->gotab, func, GJ_PCTABLE_INLINE, &iter))
		return err;
	while (!err && gj_pciter_next(&iter, &row) == 1 && row.start_va < end_va) {
		uint32_t number = call_of_row(debug, func, row.value, &err);

		if (row.end_va > end_va)
			row.end_va = end_va;
		if (number && !debug->calls[number].file)
			debug->calls[number].file = file_at(debug, row.start_va);
		for (; number && !err; number = debug->calls[number].parent)
			if (!add_range(debug, number, row.start_va, row.end_va))
				err = -ENOMEM;
	}
	return err;
}
