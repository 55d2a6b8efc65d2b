/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Go's own tables of one image: address -> function, file, line, inlined
 * calls, SP delta; and names as people read them.
 *
 * Source of the tables: .gopclntab and moduledata, which every Go binary
 * carries, stripped or not (Go src/cmd/link/internal/ld/pcln.go,
 * src/runtime/symtab.go; magics 0xfffffffb, 0xfffffffa, 0xfffffff0,
 * 0xfffffff1, Go 1.15 to 1.27).
 *
 * A gj_gotab is immutable after opening; any number of threads may read one.
 * Strings point into the image and live as long as it does. Addresses are
 * link-time virtual addresses of the image.
 */
#ifndef GJ_DEMANGLE_H
#define GJ_DEMANGLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "elf/elf.h"

struct gj_gotab;

/* Layout families of .gopclntab, by magic (and 1.26's unused textStart word). */
enum gj_gotab_layout {
	GJ_GOTAB_1_2 = 1,  /* Go 1.2 to 1.15 */
	GJ_GOTAB_1_16 = 2, /* 1.16, 1.17 */
	GJ_GOTAB_1_18 = 3, /* 1.18, 1.19 */
	GJ_GOTAB_1_20 = 4, /* 1.20 and later */
};

/* _func.flag, Go src/internal/abi/symtab.go */
#define GJ_GOFUNC_TOPFRAME 1
#define GJ_GOFUNC_SPWRITE 2
#define GJ_GOFUNC_ASM 4

/* One function; a plain value, filled from the tables. */
struct gj_gofunc {
	uint32_t index; /* position in functab, sorted by entry */
	uint64_t entry_va;
	uint64_t end_va;
	const char *name; /* as .gopclntab spells it */
	int32_t start_line; /* of the func keyword; 0 before Go 1.20, see gj_gotab_first_line */
	uint8_t func_id;
	uint8_t flag;
	uint8_t funcdata_cnt;
	uint32_t pcdata_cnt;
	uint32_t cu_off;    /* first file of its compilation unit */
	uint32_t pcsp_off, pcfile_off, pcln_off; /* in pctab; 0 = no table */
	uint64_t pcdata_va; /* u32 pcdata[], then the funcdata words */
};

/* One frame at an address, innermost first. */
struct gj_goframe {
	const char *name; /* as .gopclntab spells it */
	const char *file; /* NULL when unknown */
	int32_t line;     /* 0 when unknown */
	int32_t start_line; /* of the function, 0 when the tables do not say */
	bool inlined;     /* true for all but the last frame of an address */
};

struct gj_goinfo {
	enum gj_gotab_layout layout;
	uint32_t magic;
	uint64_t pclntab_va;
	uint64_t moduledata_va; /* 0 when not found */
	uint64_t text_va, etext_va;
	uint64_t gofunc_va;     /* 0 when the layout has none */
	uint32_t func_cnt;
	char go_version[64];    /* "go1.24.4"; "" when unknown */
	int go_minor;           /* 24; inferred from the layout when the version is unknown */
	const char *version_source; /* "buildinfo", "symbol", "dwarf", "rodata", "layout" */
};

/*
 * gj_gotab_open - find and check the Go tables of an image
 * @image: borrowed; must outlive the gotab
 *
 * Returns 0, -ENOENT when the image holds no .gopclntab (not a Go program),
 * -EOPNOTSUPP for a magic newer than this library, -EBADMSG when the tables
 * contradict themselves, -ENOMEM.
 */
int gj_gotab_open(const struct gj_image *image, struct gj_gotab **gotab_out,
		  struct gj_diag *diag);
void gj_gotab_close(struct gj_gotab *gotab); /* NULL allowed */

const struct gj_goinfo *gj_gotab_info(const struct gj_gotab *gotab);

/* The function that holds @va: -ENOENT when none does, -EBADMSG when its record is broken. */
int gj_gotab_find_func(const struct gj_gotab *gotab, uint64_t va, struct gj_gofunc *func_out);
/* Function number @index in [0, func_cnt). */
int gj_gotab_func(const struct gj_gotab *gotab, uint32_t index, struct gj_gofunc *func_out);
/*
 * The function called @name (as .gopclntab spells it). Where an ABI wrapper
 * carries the same name the other one is meant. Linear. -ENOENT when absent
 * (not linked in, or inlined everywhere).
 */
int gj_gotab_find_name(const struct gj_gotab *gotab, const char *name,
		       struct gj_gofunc *func_out);

/* file:line at @va inside @func, innermost inlined call. -ENOENT when the tables do not say. */
int gj_gotab_line(const struct gj_gotab *gotab, const struct gj_gofunc *func, uint64_t va,
		  const char **file_out, int32_t *line_out);

/* Line of the func keyword where the tables say it (Go 1.20), else the line at the entry; 0 unknown. */
int32_t gj_gotab_first_line(const struct gj_gotab *gotab, const struct gj_gofunc *func);

/*
 * gj_gotab_frames - every frame at an address, innermost first
 * @va: an address inside the instruction meant; for a return address pass it
 *      minus one
 * @frames_out: room for @max frames; GJ_MAX_INLINE_DEPTH + 1 always suffices
 *
 * Returns the number of frames (at least 1), or a negative errno as
 * gj_gotab_find_func. A broken inline tree ends the expansion: what is
 * certain (the function itself) is always given.
 */
int gj_gotab_frames(const struct gj_gotab *gotab, uint64_t va, struct gj_goframe *frames_out,
		    size_t max);

/*
 * Many addresses at once: several times faster than one at a time, because
 * they are answered in ascending order.
 *
 * A batch is the memory this takes; used for one list after another, by one
 * thread at a time.
 */
struct gj_gobatch;

/* The answer for one address. */
struct gj_goanswer {
	size_t index;   /* number of the address in the list */
	int frame_cnt;  /* as gj_gotab_frames returns it */
	bool is_same;   /* the frames are those of the answer before */
	const struct gj_goframe *frames; /* until the next call */
};

int gj_gobatch_new(struct gj_gobatch **batch_out); /* 0 or -ENOMEM */
void gj_gobatch_free(struct gj_gobatch *batch);    /* NULL allowed */

/*
 * gj_gobatch_start - begin with a list
 * @gotab, @vas: borrowed until the last answer has been used
 * @with_inlines: every frame; otherwise one, the function that holds the
 *                address, with the innermost line, as gj_gotab_line gives it
 *
 * 0, -ENOMEM, -E2BIG beyond 2^32 addresses.
 */
int gj_gobatch_start(struct gj_gobatch *batch, const struct gj_gotab *gotab,
		     const uint64_t *vas, size_t cnt, bool with_inlines);
/* The next answer, in no order the caller may rely on; false after the last one. */
bool gj_gobatch_next(struct gj_gobatch *batch, struct gj_goanswer *answer_out);

/* Bytes between SP and the return address' end at @va (CFA = SP + delta + pointer on amd64). */
int gj_gotab_sp_delta(const struct gj_gotab *gotab, const struct gj_gofunc *func, uint64_t va,
		      int32_t *delta_bytes_out);

/* One row of a pc-value table: @value holds for start_va <= pc < end_va. */
struct gj_pcrow {
	uint64_t start_va, end_va;
	int32_t value;
};

enum gj_pctable {
	GJ_PCTABLE_SP,
	GJ_PCTABLE_FILE, /* value: index for gj_gotab_file */
	GJ_PCTABLE_LINE,
	GJ_PCTABLE_INLINE, /* value: row for gj_gotab_inline, -1 = not inlined */
};

/* A walk over one pc-value table; plain storage of the caller's. */
struct gj_pciter {
	struct gj_cursor cur;
	uint64_t next_va, end_va;
	int32_t value;
	uint8_t quantum;
	bool first;
};

/* 0, or -ENOENT when @func has no such table. */
int gj_pciter_init(const struct gj_gotab *gotab, const struct gj_gofunc *func,
		   enum gj_pctable table, struct gj_pciter *iter_out);
/* 1 and a row, 0 at the end, -EBADMSG when the table is broken. */
int gj_pciter_next(struct gj_pciter *iter, struct gj_pcrow *row_out);

/* File number @file_index of @func's unit, NULL when absent. */
const char *gj_gotab_file(const struct gj_gotab *gotab, const struct gj_gofunc *func,
			  int32_t file_index);

/* One row of a function's inline tree. */
struct gj_inline_row {
	const char *name;
	int32_t start_line; /* 0 before Go 1.20 */
	int32_t parent;     /* row that called it, -1 = the function itself; from parent_va */
	uint64_t parent_va; /* address of the call in the caller */
	const char *call_file; /* call site */
	int32_t call_line;
};

/* Row @index of @func's inline tree. -ENOENT past its end, -EBADMSG when broken. */
int gj_gotab_inline(const struct gj_gotab *gotab, const struct gj_gofunc *func, int32_t index,
		    struct gj_inline_row *row_out);

/* How gj_name_format writes a name. */
#define GJ_NAME_SHORT 1u    /* pkg.(*T).M[...] in place of full shape names */
#define GJ_NAME_READABLE 2u /* closures, wrappers and method values in words */
#define GJ_NAME_GCCGO 4u    /* decode gccgo's mangling (gcc/go/gofrontend/go-encode-id.cc) */

/*
 * gj_name_format - append a symbol name as people read it
 * @name: from .gopclntab, an ELF symbol table or text; NUL-terminated
 * @flags: GJ_NAME_*
 *
 * Always: %2e and its like unescaped, the .abi0/.abiinternal suffix dropped.
 * Names that are not Go's are appended unchanged. gccgo's mangling is decoded
 * only on request, since "_0" is also part of ordinary names.
 */
void gj_name_format(const char *name, unsigned int flags, struct gj_buf *buf);

#endif
