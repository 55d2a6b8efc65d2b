/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The inline tree of a function: which calls were inlined at an address.
 *
 * funcdata FUNCDATA_InlTree (4 up to Go 1.15, 3 later) points to rows, pcdata
 * InlTreeIndex names the innermost row at an address, -1 for none:
 *
 *   up to 1.19, 20 bytes: i16 parent row, u8 funcID, u8 pad, i32 file of the
 *     call, i32 line of the call, i32 name, i32 parentPc
 *   from 1.20, 16 bytes: u8 funcID, 3 pad, i32 name, i32 parentPc, i32 startLine
 *
 * parentPc counts from the function's entry and lies in the calling code; from
 * 1.20 the caller's row and the call's line are what the tables say there
 * (Go src/runtime/symtabinl.go). funcdata are addresses up to 1.17, offsets
 * from moduledata.gofunc later.
 */
#include <errno.h>

#include "base/limits.h"
#include "demangle/gotab.h"

#define NO_FUNCDATA 0xffffffffU

static bool has_parent_rows(const struct gj_gotab *gotab)
{
	return gotab->info.layout != GJ_GOTAB_1_20;
}

/* Address of the function's inline tree. -ENOENT when it has none. */
static int find_tree(const struct gj_gotab *gotab, const struct gj_gofunc *func,
		     uint64_t *tree_va_out)
{
	uint32_t index = gotab->info.layout == GJ_GOTAB_1_2 ? 4 : 3;
	uint64_t va = func->pcdata_va + 4 * (uint64_t)func->pcdata_cnt;
	uint64_t tree_va;
	uint32_t off;

	if (index >= func->funcdata_cnt)
		return -ENOENT;
	if (gotab->functab_entry_bytes == 16) {
		va = (va + 7) & ~7ULL;
		if (gj_image_pointer(gotab->image, va + 8 * index, &tree_va) || !tree_va)
			return -ENOENT;
		*tree_va_out = tree_va;
		return 0;
	}
	if (!gj_window_u32(gotab->tab, va - gotab->info.pclntab_va + 4 * index, &off))
		return -EBADMSG;
	if (off == NO_FUNCDATA || !gotab->info.gofunc_va)
		return -ENOENT;
	*tree_va_out = gotab->info.gofunc_va + off;
	return 0;
}

static const char *name_at(const struct gj_gotab *gotab, uint32_t off)
{
	return off < gotab->names.size_bytes ? (const char *)gotab->names.base + off : NULL;
}

/* Up to Go 1.19: the row itself says who called it and where. */
static int read_row_1_2(const struct gj_gotab *gotab, const struct gj_gofunc *func,
			struct gj_cursor *cur, struct gj_inline_row *row)
{
	int16_t parent = (int16_t)gj_cursor_u16(cur);
	int32_t file, line;
	uint32_t name_off, parent_off;

	gj_cursor_u16(cur);
	file = (int32_t)gj_cursor_u32(cur);
	line = (int32_t)gj_cursor_u32(cur);
	name_off = gj_cursor_u32(cur);
	parent_off = gj_cursor_u32(cur);
	*row = (struct gj_inline_row){
		.name = name_at(gotab, name_off),
		.parent = parent,
		.parent_va = func->entry_va + parent_off,
		.call_file = gj_gotab_file(gotab, func, file),
		.call_line = line,
	};
	return gj_cursor_failed(cur) || !row->name ? -EBADMSG : 0;
}

/* From Go 1.20: the tables at parentPc say it. */
static int read_row_1_20(const struct gj_gotab *gotab, const struct gj_gofunc *func,
			 struct gj_cursor *cur, struct gj_inline_row *row)
{
	uint32_t name_off, parent_off;

	gj_cursor_u32(cur);
	name_off = gj_cursor_u32(cur);
	parent_off = gj_cursor_u32(cur);
	*row = (struct gj_inline_row){
		.name = name_at(gotab, name_off),
		.start_line = (int32_t)gj_cursor_u32(cur),
		.parent_va = func->entry_va + parent_off,
	};
	if (gj_cursor_failed(cur) || !row->name ||
	    parent_off >= func->end_va - func->entry_va)
		return -EBADMSG;
	row->parent = gj_inline_index(gotab, func, row->parent_va);
	gj_gotab_line(gotab, func, row->parent_va, &row->call_file, &row->call_line);
	return 0;
}

int gj_gotab_inline(const struct gj_gotab *gotab, const struct gj_gofunc *func, int32_t index,
		    struct gj_inline_row *row_out)
{
	uint64_t row_bytes = has_parent_rows(gotab) ? 20 : 16;
	struct gj_inline_row row;
	struct gj_cursor cur;
	uint64_t tree_va;
	int err;

	if (index < 0)
		return -ENOENT;
	err = find_tree(gotab, func, &tree_va);
	if (err)
		return err;
	cur = gj_cursor_init(gj_window_slice(gj_image_at(gotab->image, tree_va),
					     (uint64_t)index * row_bytes, row_bytes));
	err = has_parent_rows(gotab) ? read_row_1_2(gotab, func, &cur, &row) :
				       read_row_1_20(gotab, func, &cur, &row);
	if (!err)
		*row_out = row;
	return err;
}

int gj_gotab_frames(const struct gj_gotab *gotab, uint64_t va, struct gj_goframe *frames_out,
		    size_t max)
{
	struct gj_inline_row row;
	struct gj_gofunc func;
	const char *file = NULL;
	int32_t line = 0, index;
	size_t cnt = 0;
	int err = gj_gotab_find_func(gotab, va, &func);

	if (err)
		return err;
	gj_gotab_line(gotab, &func, va, &file, &line);
	index = gj_inline_index(gotab, &func, va);
	/* A tree that loops fills the room: then nothing of it is certain. */
	while (index >= 0 && cnt + 1 < max && cnt < GJ_MAX_INLINE_DEPTH) {
		if (gj_gotab_inline(gotab, &func, index, &row))
			break;
		frames_out[cnt++] = (struct gj_goframe){ row.name, file, line, row.start_line,
							 true };
		file = row.call_file;
		line = row.call_line;
		index = row.parent;
	}
	if (index >= 0) {
		cnt = 0;
		gj_gotab_line(gotab, &func, va, &file, &line);
	}
	if (max > cnt)
		frames_out[cnt++] = (struct gj_goframe){ func.name, file, line, func.start_line,
							 false };
	return (int)cnt;
}
