/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A Go program (gowriter.h) with two functions of any name and any code, for
 * what decodes the runtime's own functions. In the oldest layout, whose names may
 * stand anywhere behind the header:
 *
 *   500000  caller, of any length     file off 2800
 *           callee, 16 bytes
 */
#ifndef GJ_TEST_CODEWRITER_H
#define GJ_TEST_CODEWRITER_H

#include <stddef.h>

#include "gowriter.h"

#define CW_TEXT 0x500000
#define CW_MAX_CODE_BYTES 4096
#define CW_CALLEE_BYTES 16
#define CW_NAMES_OFF 0x1800 /* free room behind .gopclntab */

struct cw_image {
	struct gw_image image;
	uint8_t code[CW_MAX_CODE_BYTES + CW_CALLEE_BYTES];
	size_t size_bytes; /* of the file: it ends with the code */
};

_Static_assert(offsetof(struct cw_image, code) >= GW_IMAGE_BYTES, "code follows the image");

static inline void cw_put_name(struct gw_image *image, int index, uint32_t off, const char *name)
{
	memcpy(image->bytes + off, name, strlen(name) + 1);
	gw_put(image, image->func_off[index] + 8, off - GW_PCLNTAB_OFF, 4);
}

static inline void cw_put_text(struct gw_image *image, uint32_t code_bytes)
{
	static const uint16_t begins[] = { 80, 96 }, ends[] = { 88, 104 }; /* minpc, text; maxpc, etext */
	uint64_t callee_va = CW_TEXT + code_bytes, end_va = callee_va + CW_CALLEE_BYTES;

	gw_put(image, image->functab_off, CW_TEXT, 8);
	gw_put(image, image->functab_off + 16, callee_va, 8);
	gw_put(image, image->functab_off + 32, end_va, 8);
	gw_put(image, image->func_off[0], CW_TEXT, 8);
	gw_put(image, image->func_off[1], callee_va, 8);
	for (int i = 0; i < 2; i++) {
		gw_put(image, GW_MODULEDATA_OFF + begins[i], CW_TEXT, 8);
		gw_put(image, GW_MODULEDATA_OFF + ends[i], end_va, 8);
	}
}

/* @caller gets @code; @callee stands behind it. */
static inline void cw_write(struct cw_image *cw, const char *caller, const char *callee,
			    const uint8_t *code, uint32_t code_bytes)
{
	uint32_t size_bytes = code_bytes + CW_CALLEE_BYTES;
	uint32_t off = offsetof(struct cw_image, code);
	Elf64_Phdr phdr = { PT_LOAD, PF_R | PF_X, off, CW_TEXT, CW_TEXT, size_bytes, size_bytes, 1 };

	gw_write(&cw->image, GW_1_2);
	cw_put_name(&cw->image, 0, CW_NAMES_OFF, caller);
	cw_put_name(&cw->image, 1, CW_NAMES_OFF + 64, callee);
	cw_put_text(&cw->image, code_bytes);
	gw_put(&cw->image, offsetof(Elf64_Ehdr, e_phnum), 3, 2);
	memcpy(cw->image.bytes + sizeof(Elf64_Ehdr) + 2 * sizeof(phdr), &phdr, sizeof(phdr));
	memset(cw->code, 0xcc, sizeof(cw->code));
	memcpy(cw->code, code, code_bytes);
	cw->size_bytes = off + size_bytes;
}

#endif
