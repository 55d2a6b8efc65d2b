/* SPDX-License-Identifier: GPL-2.0 */
/* What a debug file under construction holds; shared by the files of src/debuginfo only. */
#ifndef GJ_DEBUGINFO_BUILD_H
#define GJ_DEBUGINFO_BUILD_H

#include "debuginfo/debuginfo.h"
#include "debuginfo/strmap.h"

/* A function that has code. */
struct gj_debug_func {
	uint32_t index; /* for gj_gotab_func */
	uint32_t unit;  /* functions with the same number are one unit */
	uint64_t entry_va;
	uint64_t end_va; /* of its instructions, without the padding behind them */
	uint8_t func_id;
};

/* The file table of one unit: numbers count from 1, 0 is "no file". */
struct gj_debug_files {
	struct gj_strmap dir_map, file_map;
	struct gj_buf dirs;  /* include_directories of the line header */
	struct gj_buf names; /* file_names of the line header */
	uint32_t dir_cnt, file_cnt;
};

/* One row of the line table: @file and @line hold from @va on. */
struct gj_debug_row {
	uint64_t va;
	uint32_t file;
	uint32_t line;
};

struct gj_debug_range {
	uint64_t start_va, end_va;
	uint32_t next; /* number of the next range of the same call, 0 = none */
};

/* One inlined call. Number 0 is the function itself. */
struct gj_debug_call {
	const char *name;
	int32_t tree_row;
	uint32_t start_line;            /* of the called function; 0 unknown */
	uint32_t file;                  /* that holds the called function; 0 unknown */
	uint32_t call_file, call_line;  /* where it is called; 0 unknown */
	uint32_t parent, first_child, last_child, next; /* calls by number; 0 = none */
	uint32_t first_range, last_range;
};

/* Everything being written. Sections grow side by side, unit by unit. */
struct gj_debug {
	const struct gj_image *image;
	const struct gj_gotab *gotab;
	struct gj_debug_func *funcs; /* in the order of their units; owned */
	size_t func_cnt;
	uint8_t wrapper_id; /* func_id of wrappers: the highest in use */
	struct gj_buf info, abbrev, line, str, ranges, aranges, frame;
	struct gj_buf symbols, strings; /* .symtab and .strtab */
	uint32_t local_cnt;             /* symbols that are local */
	uint32_t producer_off;          /* DW_AT_producer in .debug_str */
	struct gj_strmap names;         /* names of .debug_str */

	/* Of the unit at hand. */
	struct gj_debug_files files;
	struct gj_strmap origins; /* abstract instances: offsets in the unit */
	struct gj_buf program;    /* its line number program */
	size_t unit_off;          /* its header in .debug_info */
	uint64_t unit_base_va;    /* its low_pc, which .debug_ranges counts from */

	/* Of the function at hand. */
	struct gj_debug_row *rows; /* owned */
	size_t row_cnt, row_cap;
	struct gj_debug_call *calls; /* owned; call 0 is the function */
	size_t call_cnt, call_cap;
	struct gj_debug_range *call_ranges; /* owned; range 0 is unused */
	size_t call_range_cnt, call_range_cap;
	uint32_t *call_of_row; /* owned; a guess, right when that call says the same row */
	size_t call_of_row_cap;

	struct gj_debuginfo_stats stats;
};

/* Makes room for item @cnt in an array of *cap items. The array moves. */
bool gj_debug_grow(void **items, size_t *cap, size_t cnt, size_t item_bytes);

/* Fails when memory was out or the sections have become too big; cheap. */
int gj_debug_check(const struct gj_debug *debug, struct gj_diag *diag);

/* Offset of a name, as gj_name_format writes it, in .debug_str. */
uint32_t gj_debug_name(struct gj_debug *debug, const char *name);
/* Appends a name as people read it, cut at GJ_MAX_NAME_BYTES, with its NUL. */
void gj_debug_put_name(struct gj_buf *buf, const char *name);

/* Collects the functions and puts them in the order of their units. */
int gj_debug_collect(struct gj_debug *debug);
/* A unit: functions [first, first + cnt) of debug->funcs. */
int gj_debug_put_unit(struct gj_debug *debug, size_t first, size_t cnt, struct gj_diag *diag);
/* Puts them in the order of their addresses. */
void gj_debug_sort_by_address(struct gj_debug *debug);

/* Number of @path in the unit's file table; 0 for NULL and for what is no path. */
uint32_t gj_debug_file(struct gj_debug *debug, const char *path);
/* Reads the function's lines into debug->rows. */
int gj_debug_read_lines(struct gj_debug *debug, const struct gj_gofunc *func, uint64_t end_va);
/* Appends debug->rows to the unit's line number program. */
void gj_debug_put_lines(struct gj_debug *debug, uint64_t end_va);
/* Appends the unit's header, file table and program to .debug_line; empties them. */
void gj_debug_put_line_unit(struct gj_debug *debug);

/* Reads the function's inlined calls into debug->calls; wants its lines read. */
int gj_debug_read_calls(struct gj_debug *debug, const struct gj_gofunc *func, uint64_t end_va);

/* Abbreviations, DWARF 4 section 7.5.3: .debug_abbrev for all units. */
void gj_debug_put_abbrevs(struct gj_debug *debug);
/*
 * The entry of the unit itself. @name_off counts in .debug_str, @range_off in
 * .debug_ranges; where that is -1 the unit is [start, end).
 */
void gj_debug_put_unit_entry(struct gj_debug *debug, uint32_t name_off, int64_t range_off,
			     uint64_t start_va, uint64_t end_va);
/* The entries of the function at hand. */
void gj_debug_put_func(struct gj_debug *debug, const struct gj_gofunc *func, uint64_t end_va);

/* .debug_frame of all functions. */
int gj_debug_put_frames(struct gj_debug *debug, struct gj_diag *diag);

/* .symtab and .strtab of all functions and of what the image has besides. */
int gj_debug_put_symbols(struct gj_debug *debug, struct gj_diag *diag);

#endif
