/* SPDX-License-Identifier: GPL-2.0 */
/* What an open image holds; shared by the files of src/elf only. */
#ifndef GJ_ELF_IMAGE_H
#define GJ_ELF_IMAGE_H

#include <elf.h>
#include <libelf.h>

#include "elf/elf.h"

struct gj_image {
	char *path; /* owned */
	struct gj_window bytes;
	bool is_mapped; /* bytes are our mapping, not the caller's */
	Elf *elf;
	size_t shstrndx;
	size_t section_cnt;
	uint16_t type;
	enum gj_arch arch;
	struct gj_segment *segments; /* PT_LOAD in file order; owned */
	unsigned int segment_cnt;
	bool has_interp;
	bool has_tls;
	uint64_t tls_bytes, tls_align;
	uint64_t dynamic_va, dynamic_bytes; /* PT_DYNAMIC; 0 when there is none */
	struct gj_window build_id, go_build_id;
};

/* Looks through PT_NOTE segments and note sections for the two build ids. */
void gj_image_find_notes(struct gj_image *image);

/* Bytes of a section, empty for SHT_NOBITS. */
struct gj_window gj_image_section_bytes(const struct gj_image *image,
					const struct gj_section *section);

#endif
