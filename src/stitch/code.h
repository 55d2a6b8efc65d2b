/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the code of one Go function does with RBP, and where it goes: calls,
 * and jumps into other functions. amd64 only; of src/stitch only.
 */
#ifndef GJ_STITCH_CODE_H
#define GJ_STITCH_CODE_H

#include <stdbool.h>
#include <stdint.h>

#include "demangle/demangle.h"

/* What RBP is at an instruction. */
enum gj_code_rbp {
	GJ_RBP_CALLERS, /* as the function found it */
	GJ_RBP_OWN,     /* of the function's own frame */
	GJ_RBP_WILD,    /* something else */
};

/* A call, or a jump out of the function. */
struct gj_code_edge {
	uint64_t target_va; /* link-time; 0: by a register or through memory */
	uint32_t end_off;   /* of the instruction's end, from the entry */
	bool is_call;
	uint8_t rbp; /* enum gj_code_rbp, there */
};

struct gj_code {
	uint64_t entry_va;
	uint32_t size_bytes;
	/*
	 * All bytes are instructions, and what RBP is does not depend on the path
	 * that led there. Edges are listed anyway.
	 */
	bool is_regular;
	/* Where not: this much of the beginning is certain. */
	uint32_t sure_bytes;
	bool has_own; /* it makes a frame with a frame pointer somewhere */
	struct gj_code_edge *edges;
	uint32_t edge_cnt;
	uint8_t *starts; /* bit N: an instruction starts at byte N */
	uint8_t *rbps;   /* enum gj_code_rbp before the instruction that starts at byte N */
};

/* Functions of one image, each read when first asked for. */
struct gj_codes;

/* Both outlive it. 0 or -ENOMEM. */
int gj_codes_new(const struct gj_image *image, const struct gj_gotab *gotab,
		 struct gj_codes **codes_out);
void gj_codes_free(struct gj_codes *codes); /* NULL allowed */
/* The code of @func; NULL when memory is out or there is none in the file. */
const struct gj_code *gj_codes_find(struct gj_codes *codes, const struct gj_gofunc *func);

static inline bool gj_code_bit(const uint8_t *bits, uint64_t off)
{
	return bits[off / 8] >> off % 8 & 1;
}

#endif
