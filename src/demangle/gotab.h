/* SPDX-License-Identifier: GPL-2.0 */
/* What an open set of Go tables holds; shared by the files of src/demangle only. */
#ifndef GJ_DEMANGLE_GOTAB_H
#define GJ_DEMANGLE_GOTAB_H

#include "demangle/demangle.h"

/*
 * Where a _func record keeps its fields, by layout (Go src/runtime/runtime2.go,
 * type _func). -1: the layout has no such field.
 */
struct gj_func_layout {
	int8_t name, pcsp, pcfile, pcln, npcdata, cu, start_line, func_id, flag, nfuncdata;
	int8_t size_bytes;
};

struct gj_gotab {
	const struct gj_image *image;
	struct gj_goinfo info;
	uint8_t quantum; /* pc deltas count in this many bytes: minLC */
	const struct gj_func_layout *func;
	struct gj_window tab;     /* from the header to the end of its segment */
	struct gj_window functab; /* exactly func_cnt entries and the end pc */
	uint8_t *functab_copy;    /* owned; where functab's pointers had to be filled in */
	uint8_t functab_entry_bytes;
	struct gj_window records; /* _func records; functab's offsets start here */
	struct gj_window names;   /* ends with a NUL, so every offset inside starts a string */
	struct gj_window cutab;
	struct gj_window files;   /* ends with a NUL too */
	struct gj_window pctab;
	uint64_t begin_va, end_va; /* first row's entry, end pc */
	uint64_t text_va;         /* what entry offsets are relative to; 0 for absolute ones */
	struct gj_window buckets; /* runtime's findfunctab; empty when it cannot be used */
	uint64_t buckets_va;      /* the text address its first bucket stands for */
	struct gj_pcindexes *indexes; /* owned; see pcindex.c */
	int gofunc_minor;         /* 26 or 27 where the place of gofunc says so, else 0 */
};

/* Finds the header and the sub-tables: fills all but info.moduledata_va and what follows from it. */
int gj_gotab_find_header(struct gj_gotab *gotab, struct gj_diag *diag);

/* Finds moduledata: text and etext, and the base of funcdata offsets. */
int gj_gotab_find_moduledata(struct gj_gotab *gotab, struct gj_diag *diag);
void gj_gotab_find_gofunc(struct gj_gotab *gotab);
void gj_gotab_find_buckets(struct gj_gotab *gotab);

/* The release that built the image: fills info.go_version, go_minor, version_source. */
void gj_gotab_find_version(struct gj_gotab *gotab);

/* The value of @func's table for @va; -ENOENT when it has none or it does not cover @va. */
int gj_pcvalue_find(const struct gj_gotab *gotab, const struct gj_gofunc *func,
		    enum gj_pctable table, uint64_t va, int32_t *value_out);

/* Where a walk over a table stands. */
struct gj_pcwalk {
	const uint8_t *pos; /* the next pair */
	uint64_t pc;    /* value holds up to here; from the function's entry, in units of minLC */
	uint32_t value; /* sums wrap as Go's int32 does */
};

/* A walk at the table's start; walk_out->pos is NULL when @func has no such table. */
void gj_pcwalk_init(const struct gj_gotab *gotab, const struct gj_gofunc *func,
		    enum gj_pctable table, struct gj_pcwalk *walk_out);
/* Moves on until walk->pc > @pc: 0, -ENOENT at the end of the table, -EBADMSG. */
int gj_pcwalk_to(const struct gj_gotab *gotab, uint64_t pc, struct gj_pcwalk *walk);

struct gj_pcindexes; /* what was learnt of long tables */

int gj_pcindexes_new(const struct gj_gotab *gotab, struct gj_pcindexes **indexes_out);
void gj_pcindexes_free(struct gj_pcindexes *indexes); /* NULL allowed */
/*
 * Moves a walk over any table but GJ_PCTABLE_SP towards @pc, as far as is
 * known; it may already hold the value there (walk->pc > @pc).
 */
void gj_pcindex_advance(const struct gj_gotab *gotab, const struct gj_gofunc *func,
			enum gj_pctable table, uint64_t pc, struct gj_pcwalk *walk);

/* Row of the inline tree at @va, -1 when nothing is inlined there. */
int32_t gj_inline_index(const struct gj_gotab *gotab, const struct gj_gofunc *func, uint64_t va);

#endif
