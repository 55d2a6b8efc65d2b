/* SPDX-License-Identifier: GPL-2.0 */
/* What the table of call frame information is built from; src/stitch/cfi*.c only. */
#ifndef GJ_STITCH_CFI_TABLE_H
#define GJ_STITCH_CFI_TABLE_H

#include "stitch/stitch.h"

/* A description (FDE) and what it has in common with others (CIE). */
struct gj_cfi_program {
	enum gj_arch arch;
	struct gj_window initial; /* the CIE's instructions */
	struct gj_window own;     /* the FDE's */
	uint64_t code_align;
	int64_t data_align;
	uint64_t ra_reg;
	uint64_t start_va, end_va; /* the code it describes */
};

/*
 * gj_cfi_run - run the instructions of one description
 * @row: called for each rule, in order of address, with row->start left 0; not
 *       for what cannot be read: there the rules end
 *
 * DWARF 5, section 6.4.2, and the additions of GNU and AArch64.
 */
void gj_cfi_run(const struct gj_cfi_program *program,
		void (*row)(void *data, uint64_t va, const struct gj_cfi_row *row), void *data);

#endif
