/* SPDX-License-Identifier: GPL-2.0 */
/* What the repair of chains knows of one image; of src/stitch only. */
#ifndef GJ_STITCH_REPAIR_H
#define GJ_STITCH_REPAIR_H

#include "stitch/code.h"
#include "stitch/refs.h"
#include "stitch/stitch.h"

#define GJ_REPAIR_INJECTED 8

/* One image. */
struct gj_repair_part {
	struct gj_repair_part *next;
	const struct gj_image *image;
	const struct gj_gotab *gotab;
	struct gj_codes *codes;
	struct gj_refs *refs; /* NULL: not asked for, or there are none to be had */
	bool is_refs_tried;
	uint8_t *closed; /* of each function: what is_closed found */
	/* Functions entered without a call: their return address need not follow one. */
	struct gj_gofunc injected[GJ_REPAIR_INJECTED];
	size_t injected_cnt;
};

/* The calls that may have entered a function. */
struct gj_entered {
	bool is_by_one;     /* all of them in one function */
	uint32_t site_cnt;
	uint64_t return_va; /* behind the first */
	struct gj_gofunc by; /* the function with that call */
};

/* Nothing but calls by functions with a frame pointer leads to @func. */
bool gj_repair_is_closed(struct gj_repair_part *part, const struct gj_gofunc *func);
/*
 * The calls that lead to @func, which is closed. Not those out of functions
 * that are closed as well: their own return address would follow a direct
 * call, which the one in the chain does not.
 */
void gj_repair_find_entries(struct gj_repair_part *part, const struct gj_gofunc *func,
			    struct gj_entered *entered);

#endif
