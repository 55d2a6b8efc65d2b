/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Units: the functions of one package, as the compiler has them.
 *
 * The records of the functions of a package share the start of their file
 * numbers from Go 1.16 on; before, a unit is a run of functions whose names
 * say the same package.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "debuginfo/build.h"
#include "debuginfo/dwarf.h"
#include "debuginfo/encode.h"

/*
 * Bytes of the package path at the start of a name; 0 where the name says no
 * package for certain: instances of generics stand in the package that uses
 * them, type:.eq.T and its like in any.
 */
static size_t package_bytes(const char *name)
{
	size_t name_bytes = strnlen(name, GJ_MAX_NAME_BYTES);
	const char *paren = memchr(name, '(', name_bytes);
	size_t path_bytes = paren ? (size_t)(paren - name) : name_bytes;
	const char *slash = memrchr(name, '/', path_bytes);
	const char *begin = slash ? slash : name;
	const char *dot = memchr(begin, '.', path_bytes - (size_t)(begin - name));

	if (!dot || memchr(name, '[', name_bytes) || memchr(name, ':', (size_t)(dot - name)) ||
	    !strncmp(name, "type..", 6))
		return 0;
	return (size_t)(dot - name);
}

/* Where the instructions of a function end: at the end of its longest table, or at the next function. */
static uint64_t code_end(const struct gj_gotab *gotab, const struct gj_gofunc *func)
{
	static const enum gj_pctable tables[] = { GJ_PCTABLE_LINE, GJ_PCTABLE_SP };
	uint64_t end_va = func->entry_va;

	for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
		struct gj_pciter iter;
		struct gj_pcrow row;

		if (gj_pciter_init(gotab, func, tables[i], &iter))
			continue;
		while (gj_pciter_next(&iter, &row) == 1)
			if (row.end_va > end_va)
				end_va = row.end_va;
	}
	return end_va == func->entry_va || end_va > func->end_va ? func->end_va : end_va;
}

static int compare_funcs(const void *left, const void *right)
{
	const struct gj_debug_func *a = left, *b = right;

	if (a->unit != b->unit)
		return a->unit < b->unit ? -1 : 1;
	return a->index < b->index ? -1 : a->index > b->index;
}

static int compare_addresses(const void *left, const void *right)
{
	const struct gj_debug_func *a = left, *b = right;

	return a->index < b->index ? -1 : a->index > b->index;
}

void gj_debug_sort_by_address(struct gj_debug *debug)
{
	qsort(debug->funcs, debug->func_cnt, sizeof(*debug->funcs), compare_addresses);
}

int gj_debug_collect(struct gj_debug *debug)
{
	const struct gj_goinfo *goinfo = gj_gotab_info(debug->gotab);
	const char *package = "";
	size_t prefix_bytes = 0;
	uint32_t run = 0;

	debug->funcs = calloc((size_t)goinfo->func_cnt + 1, sizeof(*debug->funcs));
	if (!debug->funcs)
		return -ENOMEM;
	for (uint32_t i = 0; i < goinfo->func_cnt; i++) {
		struct gj_gofunc func;
		int err = gj_gotab_func(debug->gotab, i, &func);

		if (err || func.entry_va >= func.end_va) {
			debug->stats.broken_cnt += err != -ENOENT;
			continue;
		}
		if (goinfo->layout == GJ_GOTAB_1_2 &&
		    (package_bytes(func.name) != prefix_bytes ||
		     memcmp(func.name, package, prefix_bytes))) {
			package = func.name;
			prefix_bytes = package_bytes(package);
			run++;
		}
		debug->funcs[debug->func_cnt++] = (struct gj_debug_func){
			.index = i,
			.unit = goinfo->layout == GJ_GOTAB_1_2 ? run : func.cu_off,
			.entry_va = func.entry_va,
			.end_va = code_end(debug->gotab, &func),
			.func_id = func.func_id,
		};
		if (func.func_id > debug->wrapper_id)
			debug->wrapper_id = func.func_id;
	}
	debug->stats.func_cnt = (uint32_t)debug->func_cnt;
	qsort(debug->funcs, debug->func_cnt, sizeof(*debug->funcs), compare_funcs);
	return 0;
}

/* Appends the package of the unit to .debug_str: what most plainly says so among its functions. */
static uint32_t put_name(struct gj_debug *debug, size_t first, size_t last)
{
	uint32_t name_off = (uint32_t)debug->str.size_bytes;
	struct gj_gofunc func = { .name = "go" };
	size_t name_bytes = 0;
	char *name;

	for (size_t i = first; !name_bytes && i < last; i++)
		if (!gj_gotab_func(debug->gotab, debug->funcs[i].index, &func))
			name_bytes = package_bytes(func.name);
	name = strndup(name_bytes ? func.name : "go", name_bytes ? name_bytes : 2);
	if (name)
		gj_debug_put_name(&debug->str, name);
	else
		debug->str.failed = true;
	free(name);
	return name_off;
}

/* Functions of the unit that follow one another make one range, padding included. */
static size_t run_length(const struct gj_debug *debug, size_t first, size_t last)
{
	size_t i = first + 1;

	while (i < last && debug->funcs[i].index == debug->funcs[i - 1].index + 1)
		i++;
	return i - first;
}

/* The ranges of functions [first, last), as .debug_ranges and .debug_aranges have them. */
static size_t put_unit_ranges(struct gj_debug *debug, size_t first, size_t last)
{
	struct gj_buf *aranges = &debug->aranges;
	size_t set = gj_begin_length(aranges), cnt = 0;

	gj_put_u16(aranges, GJ_DWARF_ARANGES_VERSION);
	gj_put_u32(aranges, (uint32_t)debug->unit_off);
	gj_put_u8(aranges, sizeof(uint64_t));
	gj_put_u8(aranges, 0); /* no segments */
	/* Tuples are aligned to their own size, from the start of the set. */
	gj_put_u32(aranges, 0);
	for (size_t i = first; i < last; cnt++) {
		size_t length = run_length(debug, i, last);
		uint64_t start_va = debug->funcs[i].entry_va;
		uint64_t end_va = debug->funcs[i + length - 1].end_va;

		gj_put_u64(&debug->ranges, start_va);
		gj_put_u64(&debug->ranges, end_va);
		gj_put_u64(aranges, start_va);
		gj_put_u64(aranges, end_va - start_va);
		i += length;
	}
	gj_put_u64(&debug->ranges, 0);
	gj_put_u64(&debug->ranges, 0);
	gj_put_u64(aranges, 0);
	gj_put_u64(aranges, 0);
	gj_end_length(aranges, set);
	return cnt;
}

static void put_unit_header(struct gj_debug *debug, size_t first, size_t last)
{
	size_t range_off = debug->ranges.size_bytes;
	size_t range_cnt = put_unit_ranges(debug, first, last);

	gj_put_u16(&debug->info, GJ_DWARF_VERSION);
	gj_put_u32(&debug->info, 0); /* all units share one table of abbreviations */
	gj_put_u8(&debug->info, sizeof(uint64_t));
	if (range_cnt == 1)
		debug->ranges.size_bytes = range_off;
	gj_debug_put_unit_entry(debug, put_name(debug, first, last),
				range_cnt == 1 ? -1 : (int64_t)range_off,
				debug->funcs[first].entry_va, debug->funcs[last - 1].end_va);
}

int gj_debug_put_unit(struct gj_debug *debug, size_t first, size_t cnt, struct gj_diag *diag)
{
	size_t unit;
	int err = 0;

	debug->unit_off = debug->info.size_bytes;
	unit = gj_begin_length(&debug->info);
	put_unit_header(debug, first, first + cnt);
	for (size_t i = first; !err && i < first + cnt; i++) {
		uint64_t end_va = debug->funcs[i].end_va;
		struct gj_gofunc func;

		err = gj_gotab_func(debug->gotab, debug->funcs[i].index, &func);
		if (!err)
			err = gj_debug_read_lines(debug, &func, end_va);
		if (!err)
			err = gj_debug_read_calls(debug, &func, end_va);
		if (err)
			break;
		gj_debug_put_func(debug, &func, end_va);
		gj_debug_put_lines(debug, end_va);
		err = gj_debug_check(debug, diag);
	}
	gj_put_u8(&debug->info, 0);
	gj_end_length(&debug->info, unit);
	gj_debug_put_line_unit(debug);
	gj_strmap_clear(&debug->origins);
	debug->stats.unit_cnt++;
	return err;
}
