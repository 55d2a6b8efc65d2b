/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the sources of offsets share: src/goroutine/offsets*.c and live*.c only.
 *
 * Each source fills the fields it knows and leaves the others alone; offsets.c
 * compares them. docs/offsets.md draws the recipes.
 */
#ifndef GJ_GOROUTINE_OFFSETS_H
#define GJ_GOROUTINE_OFFSETS_H

#include <Zydis/Zydis.h>

#include "goroutine/goroutine.h"

/* The releases of the table, as the N of Go 1.N. */
#define GJ_TABLE_FIRST_MINOR 15
#define GJ_TABLE_LAST_MINOR 27

/* Everything unknown: -1, and INT64_MIN for the TLS slot. */
void gj_goffsets_clear(struct gj_goffsets *offsets);

/* -ENOENT when there is no DWARF, or none of runtime.g; -EBADMSG when libdw refuses the file. */
int gj_goffsets_from_dwarf(const struct gj_image *image, struct gj_goffsets *offsets);

/* -EOPNOTSUPP for anything but amd64; 0 however few recipes held. */
int gj_goffsets_from_code(const struct gj_image *image, const struct gj_gotab *gotab,
			  struct gj_goffsets *offsets);

/* -ENOENT for a release that is not in the table. */
int gj_goffsets_from_table(int go_minor, struct gj_goffsets *offsets);

/* Where the runtime keeps what leads to every goroutine and thread; link-time, 0 = unknown. */
struct gj_goglobals {
	uint64_t allgs_va; /* the slice runtime.allgs */
	uint64_t allm_va;  /* runtime.allm, first of a list through m.alllink */
};

/*
 * By decoding runtime.allgadd and runtime.mcommoninit (amd64). The offset of
 * m.alllink comes out of the same instructions; -1 when they were not found.
 */
void gj_goglobals_from_code(const struct gj_image *image, const struct gj_gotab *gotab,
			    struct gj_goglobals *globals, int32_t *m_alllink_out);

/* An operand of an instruction, reduced to what recipes ask for. */
enum gj_operand_kind {
	GJ_OPERAND_NONE,
	GJ_OPERAND_REG,
	GJ_OPERAND_IMM,
	GJ_OPERAND_FIELD,  /* [reg + value], no index, not the stack */
	GJ_OPERAND_STACK,  /* [rsp or rbp + ...] */
	GJ_OPERAND_GLOBAL, /* [rip + x]; value is the link-time address */
	GJ_OPERAND_TLS,    /* fs:[reg + value] or fs:[value] */
	GJ_OPERAND_OTHER,
};

struct gj_operand {
	enum gj_operand_kind kind;
	uint16_t bits;
	ZydisRegister reg; /* the register, or the base of an address, 64 bits wide; NONE without */
	int64_t value;     /* immediate, displacement, or address */
};

struct gj_insn {
	ZydisMnemonic mnemonic;
	uint64_t target_va; /* of a direct call or jump, else 0 */
	struct gj_operand ops[2]; /* destination, source, as Intel writes them */
};

/* A walk over the instructions of one function, in order of address. */
struct gj_insn_iter {
	ZydisDecoder decoder;
	struct gj_window code;
	uint64_t va; /* of the next instruction */
	size_t off;
};

/* The function called @name; -ENOENT when it is not there or has no bytes in the file. */
int gj_insn_iter_init(const struct gj_image *image, const struct gj_gotab *gotab, const char *name,
		      struct gj_insn_iter *iter_out);
/* False at the end, and where bytes are no instruction. */
bool gj_insn_next(struct gj_insn_iter *iter, struct gj_insn *insn_out);

/* True for `mnemonic reg64, [reg + x]`: a load (or comparison) of a field. */
bool gj_insn_reads_field(const struct gj_insn *insn, ZydisMnemonic mnemonic);
/* True for `mov [reg + x], reg64`. */
bool gj_insn_stores_field(const struct gj_insn *insn);

#endif
