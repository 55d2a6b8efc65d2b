/* SPDX-License-Identifier: GPL-2.0 */
/* What an open image holds; shared by the files of src/elf only. */
#ifndef GJ_ELF_IMAGE_H
#define GJ_ELF_IMAGE_H

#include <elf.h>

#include "elf/elf.h"

/* A symbol table and the strings its names are in. */
struct gj_symbol_table {
	struct gj_window symbols; /* whole Elf64_Sym entries */
	struct gj_window strings;
};

struct gj_image {
	char *path; /* owned */
	struct gj_window bytes;
	bool is_mapped; /* bytes are our mapping, not the caller's */
	uint16_t type;
	enum gj_arch arch;
	struct gj_segment *segments; /* PT_LOAD in file order; owned */
	unsigned int segment_cnt;
	uint64_t wanted_bytes; /* how long the file must be to hold every segment */
	bool has_interp;
	bool has_tls;
	uint64_t tls_bytes, tls_align;
	uint64_t dynamic_va, dynamic_bytes; /* PT_DYNAMIC; 0 when there is none */
	struct gj_window headers;           /* whole Elf64_Shdr entries; empty: no sections */
	struct gj_window header_names;
	struct gj_symbol_table symtab, dynsym;
	struct gj_window relas;     /* whole Elf64_Rela entries of DT_RELA */
	bool are_addends_apart;     /* relative addends stand in relas only, not in the file's words */
	bool are_relas_sorted;      /* by address; known only where are_addends_apart */
	struct gj_window build_id, go_build_id;
};

/* Each fills its part of @image from the headers; what is broken is left empty. */
void gj_image_read_sections(struct gj_image *image);
void gj_image_read_symbols(struct gj_image *image);
void gj_image_read_relas(struct gj_image *image);
/* Notes of one PT_NOTE segment or note section. */
void gj_image_read_notes(struct gj_image *image, struct gj_window notes);

/* Bytes of a section, empty for SHT_NOBITS. */
struct gj_window gj_image_section_bytes(const struct gj_image *image,
					const struct gj_section *section);

#endif
