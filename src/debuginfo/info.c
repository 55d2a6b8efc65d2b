/* SPDX-License-Identifier: GPL-2.0 */
/*
 * .debug_info and .debug_abbrev: what stands inside a unit.
 *
 *   DW_TAG_compile_unit                 a package
 *     DW_TAG_subprogram, DW_AT_inline   an inlined function, before its first use
 *     DW_TAG_subprogram                 a function
 *       DW_TAG_inlined_subroutine ...   the calls inlined into it, nested
 */
#include <string.h>

#include "base/limits.h"
#include "debuginfo/build.h"
#include "debuginfo/dwarf.h"
#include "debuginfo/encode.h"

/* Abbreviation codes; the flags of a kind are added to its first code. */
enum {
	UNIT = 1,
	UNIT_RANGES = 1, /* flag: several ranges */
	ABSTRACT = 3,
	ABSTRACT_DECL = 1, /* flag: file and line known */
	FUNC = 5,
	FUNC_CHILDREN = 1, /* flag: calls inlined */
	FUNC_DECL = 2,
	CALL = 9,
	CALL_CHILDREN = 1,
	CALL_RANGES = 2,
	CALL_SITE = 4, /* flag: file and line of the call known */
};

static void begin_abbrev(struct gj_buf *abbrev, unsigned int code, unsigned int tag,
			 bool has_children)
{
	gj_put_uleb(abbrev, code);
	gj_put_uleb(abbrev, tag);
	gj_put_u8(abbrev, has_children);
}

static void put_attribute(struct gj_buf *abbrev, unsigned int name, unsigned int form)
{
	gj_put_uleb(abbrev, name);
	gj_put_uleb(abbrev, form);
}

static void put_range_attributes(struct gj_buf *abbrev, bool has_ranges)
{
	if (has_ranges) {
		put_attribute(abbrev, DW_AT_ranges, DW_FORM_sec_offset);
	} else {
		put_attribute(abbrev, DW_AT_low_pc, DW_FORM_addr);
		put_attribute(abbrev, DW_AT_high_pc, DW_FORM_udata);
	}
}

static void put_unit_abbrev(struct gj_buf *abbrev, unsigned int flags)
{
	begin_abbrev(abbrev, UNIT + flags, DW_TAG_compile_unit, true);
	put_attribute(abbrev, DW_AT_name, DW_FORM_strp);
	put_attribute(abbrev, DW_AT_producer, DW_FORM_strp);
	put_attribute(abbrev, DW_AT_language, DW_FORM_data1);
	put_attribute(abbrev, DW_AT_stmt_list, DW_FORM_sec_offset);
	/* Ranges count from the unit's low_pc, which is 0 then. */
	if (flags & UNIT_RANGES)
		put_attribute(abbrev, DW_AT_low_pc, DW_FORM_addr);
	put_range_attributes(abbrev, flags & UNIT_RANGES);
	put_attribute(abbrev, 0, 0);
}

static void put_abstract_abbrev(struct gj_buf *abbrev, unsigned int flags)
{
	begin_abbrev(abbrev, ABSTRACT + flags, DW_TAG_subprogram, false);
	put_attribute(abbrev, DW_AT_name, DW_FORM_strp);
	/*
	 * Without it addr2line (binutils 2.40, bfd/dwarf2.c, mangle_style) takes
	 * Go names for mangled ones and prints the ELF symbol, which is that of
	 * the function around the call.
	 */
	put_attribute(abbrev, DW_AT_linkage_name, DW_FORM_strp);
	put_attribute(abbrev, DW_AT_external, DW_FORM_flag_present);
	put_attribute(abbrev, DW_AT_inline, DW_FORM_data1);
	if (flags & ABSTRACT_DECL) {
		put_attribute(abbrev, DW_AT_decl_file, DW_FORM_udata);
		put_attribute(abbrev, DW_AT_decl_line, DW_FORM_udata);
	}
	put_attribute(abbrev, 0, 0);
}

static void put_func_abbrev(struct gj_buf *abbrev, unsigned int flags)
{
	begin_abbrev(abbrev, FUNC + flags, DW_TAG_subprogram, flags & FUNC_CHILDREN);
	put_attribute(abbrev, DW_AT_name, DW_FORM_strp);
	put_attribute(abbrev, DW_AT_external, DW_FORM_flag_present);
	if (flags & FUNC_DECL) {
		put_attribute(abbrev, DW_AT_decl_file, DW_FORM_udata);
		put_attribute(abbrev, DW_AT_decl_line, DW_FORM_udata);
	}
	put_range_attributes(abbrev, false);
	put_attribute(abbrev, 0, 0);
}

static void put_call_abbrev(struct gj_buf *abbrev, unsigned int flags)
{
	begin_abbrev(abbrev, CALL + flags, DW_TAG_inlined_subroutine, flags & CALL_CHILDREN);
	put_attribute(abbrev, DW_AT_abstract_origin, DW_FORM_ref_udata);
	put_range_attributes(abbrev, flags & CALL_RANGES);
	if (flags & CALL_SITE) {
		put_attribute(abbrev, DW_AT_call_file, DW_FORM_udata);
		put_attribute(abbrev, DW_AT_call_line, DW_FORM_udata);
	}
	put_attribute(abbrev, 0, 0);
}

void gj_debug_put_abbrevs(struct gj_debug *debug)
{
	struct gj_buf *abbrev = &debug->abbrev;

	for (unsigned int flags = 0; flags < ABSTRACT - UNIT; flags++)
		put_unit_abbrev(abbrev, flags);
	for (unsigned int flags = 0; flags < FUNC - ABSTRACT; flags++)
		put_abstract_abbrev(abbrev, flags);
	for (unsigned int flags = 0; flags < CALL - FUNC; flags++)
		put_func_abbrev(abbrev, flags);
	for (unsigned int flags = 0; flags < 2 * CALL_SITE; flags++)
		put_call_abbrev(abbrev, flags);
	gj_put_u8(abbrev, 0);
}

void gj_debug_put_unit_entry(struct gj_debug *debug, uint32_t name_off, int64_t range_off,
			     uint64_t start_va, uint64_t end_va)
{
	struct gj_buf *info = &debug->info;

	gj_put_uleb(info, UNIT + (range_off >= 0 ? UNIT_RANGES : 0));
	gj_put_u32(info, name_off);
	gj_put_u32(info, debug->producer_off);
	gj_put_u8(info, DW_LANG_Go);
	gj_put_u32(info, (uint32_t)debug->line.size_bytes);
	debug->unit_base_va = range_off >= 0 ? 0 : start_va;
	gj_put_u64(info, debug->unit_base_va);
	if (range_off >= 0)
		gj_put_u32(info, (uint32_t)range_off);
	else
		gj_put_uleb(info, end_va - start_va);
}

/* Offset in the unit of the abstract instance of a call; written where it is not there yet. */
static uint32_t origin(struct gj_debug *debug, const struct gj_debug_call *call)
{
	struct gj_buf *info = &debug->info;
	uint32_t name_off;
	bool is_new;
	uint32_t *off = gj_strmap_find(&debug->origins, call->name,
				       strnlen(call->name, GJ_MAX_NAME_BYTES + 1), &is_new);

	if (!off) {
		info->failed = true;
		return 0;
	}
	if (!is_new)
		return *off;
	*off = (uint32_t)(info->size_bytes - debug->unit_off);
	gj_put_uleb(info, ABSTRACT + (call->file ? ABSTRACT_DECL : 0));
	name_off = gj_debug_name(debug, call->name);
	gj_put_u32(info, name_off);
	gj_put_u32(info, name_off);
	gj_put_u8(info, DW_INL_inlined);
	if (call->file) {
		gj_put_uleb(info, call->file);
		gj_put_uleb(info, call->start_line);
	}
	return *off;
}

/* Appends the ranges of a call to .debug_ranges. */
static uint32_t put_ranges(struct gj_debug *debug, const struct gj_debug_call *call)
{
	uint32_t off = (uint32_t)debug->ranges.size_bytes;

	for (uint32_t i = call->first_range; i; i = debug->call_ranges[i].next) {
		gj_put_u64(&debug->ranges, debug->call_ranges[i].start_va - debug->unit_base_va);
		gj_put_u64(&debug->ranges, debug->call_ranges[i].end_va - debug->unit_base_va);
	}
	gj_put_u64(&debug->ranges, 0);
	gj_put_u64(&debug->ranges, 0);
	return off;
}

static void put_call(struct gj_debug *debug, const struct gj_debug_call *call)
{
	const struct gj_debug_range *range = &debug->call_ranges[call->first_range];
	struct gj_buf *info = &debug->info;

	gj_put_uleb(info, CALL + (call->first_child ? CALL_CHILDREN : 0) +
				  (range->next ? CALL_RANGES : 0) +
				  (call->call_file ? CALL_SITE : 0));
	gj_put_uleb(info, origin(debug, call));
	if (range->next) {
		gj_put_u32(info, put_ranges(debug, call));
	} else {
		gj_put_u64(info, range->start_va);
		gj_put_uleb(info, range->end_va - range->start_va);
	}
	if (call->call_file) {
		gj_put_uleb(info, call->call_file);
		gj_put_uleb(info, call->call_line);
	}
	debug->stats.inlined_cnt++;
}

/* Every call below the function: a call, what it contains, the next one beside it. */
static void put_calls(struct gj_debug *debug)
{
	uint32_t number = debug->calls[0].first_child;

	while (number) {
		const struct gj_debug_call *call = &debug->calls[number];

		put_call(debug, call);
		if (call->first_child) {
			number = call->first_child;
			continue;
		}
		while (!call->next && call->parent) {
			gj_put_u8(&debug->info, 0);
			call = &debug->calls[call->parent];
		}
		number = call->next;
	}
	gj_put_u8(&debug->info, 0);
}

void gj_debug_put_func(struct gj_debug *debug, const struct gj_gofunc *func, uint64_t end_va)
{
	struct gj_buf *info = &debug->info;
	uint32_t file = debug->row_cnt ? debug->rows[0].file : 0;
	int32_t line = gj_gotab_first_line(debug->gotab, func);
	bool has_calls = debug->calls[0].first_child;

	/* Abstract instances stand beside the function, not in it. */
	for (size_t i = 1; i < debug->call_cnt; i++)
		origin(debug, &debug->calls[i]);
	gj_put_uleb(info, FUNC + (has_calls ? FUNC_CHILDREN : 0) + (file ? FUNC_DECL : 0));
	gj_put_u32(info, gj_debug_name(debug, func->name));
	if (file) {
		gj_put_uleb(info, file);
		gj_put_uleb(info, line > 0 ? (uint64_t)line : 0);
	}
	gj_put_u64(info, func->entry_va);
	gj_put_uleb(info, end_va - func->entry_va);
	if (has_calls)
		put_calls(debug);
}
