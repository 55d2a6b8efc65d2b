/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Writes small ELF files with Go's tables by hand, one per layout, for tests
 * that need a file whose every byte they know and may break.
 *
 * The program has two functions:
 *
 *   main.outer  401000..401010   line 10 at +0, 20 of inner.go at +4 (inlined
 *                                main.inner, called on line 11 before Go 1.20
 *                                and on line 10 from then on), 12 at +8;
 *                                SP delta 0 at +0, 8 from +4 on
 *   main.leaf   401010..401020   line 30 all over, SP delta 0
 *
 *   file off  address   what
 *        0    400000    ELF header, program headers
 *     1000    401000    text (PF_X)
 *     1020    401020    .gopclntab, then inline tree
 *      ...              moduledata at 402000 (PF_W), file off 2000
 *     2400    -         section headers, names, symbols
 */
#ifndef GJ_TEST_GOWRITER_H
#define GJ_TEST_GOWRITER_H

#include <elf.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

enum gw_layout { GW_1_2, GW_1_16, GW_1_18, GW_1_20, GW_1_26, GW_1_27, GW_LAYOUT_CNT };

#define GW_BASE 0x400000
#define GW_TEXT 0x401000
#define GW_OUTER GW_TEXT
#define GW_LEAF (GW_TEXT + 0x10)
#define GW_ETEXT (GW_TEXT + 0x20)
#define GW_PCLNTAB GW_ETEXT
#define GW_PCLNTAB_OFF 0x1020
#define GW_MODULEDATA 0x402000
#define GW_MODULEDATA_OFF 0x2000
#define GW_SECTIONS_OFF 0x2400
#define GW_IMAGE_BYTES 0x2800

/* An image being written. All offsets are from the start of the file. */
struct gw_image {
	uint8_t bytes[GW_IMAGE_BYTES];
	uint32_t func_off[2]; /* the two _func records */
	uint32_t functab_off;
	uint32_t tree_off;
	uint32_t end_off; /* of .gopclntab */
};

static inline void gw_put(struct gw_image *image, uint32_t off, uint64_t value, size_t size_bytes)
{
	memcpy(image->bytes + off, &value, size_bytes);
}

static inline uint32_t gw_add(struct gw_image *image, const void *bytes, size_t size_bytes)
{
	uint32_t off = image->end_off;

	memcpy(image->bytes + off, bytes, size_bytes);
	image->end_off += (uint32_t)size_bytes;
	return off;
}

static inline void gw_align(struct gw_image *image)
{
	image->end_off = (image->end_off + 7) & ~7U;
}

/* pc-value tables; pctab's byte 0 is never a table. */
static const uint8_t gw_pctab[] = {
	0,
	2, 4, 16, 12, 0,       /* 1: SP delta of outer: 0, then 8 */
	2, 4, 2, 4, 1, 8, 0,   /* 6: file of outer: 0, 1, 0 */
	22, 4, 20, 4, 15, 8, 0, /* 13: line of outer: 10, 20, 12 */
	0, 4, 2, 4, 1, 8, 0,   /* 20: inline row of outer: -1, 0, -1 */
	2, 16, 0,              /* 27: SP delta and file of leaf: 0 */
	62, 16, 0,             /* 30: line of leaf: 30 */
	4, 4, 2, 4, 1, 8, 0,   /* 33: file of outer up to Go 1.15, which counts from 1 */
	4, 16, 0,              /* 40: file of leaf there */
	0, 0, 0, 0, 0, 0, 0,
};

static const char gw_names[] = "main.outer\0main.inner\0main.leaf";
static const char gw_files[] = "/src/outer.go\0/src/inner.go";
#define GW_NAME_INNER 11
#define GW_NAME_LEAF 22
#define GW_FILE_INNER 14

/* Where the sub-tables start, as the records' offsets count. */
struct gw_bases {
	uint32_t names, pctab, records, cutab;
};

static inline uint32_t gw_pc_table(const struct gw_bases *bases, uint32_t off)
{
	return bases->pctab + off;
}

/* _func of function @index; the fields behind the entry in the order of all releases. */
static inline void gw_add_func(struct gw_image *image, enum gw_layout layout,
			       const struct gw_bases *bases, int index)
{
	bool is_wide = layout <= GW_1_16;
	uint32_t off, fields[10] = { 0 };
	unsigned int cnt = 0;

	gw_align(image);
	off = image->func_off[index] = image->end_off;
	gw_put(image, off, is_wide ? GW_OUTER + 0x10U * (unsigned)index : 0x10U * (unsigned)index,
	       is_wide ? 8 : 4);
	image->end_off += is_wide ? 8 : 4;
	fields[cnt++] = bases->names + (index ? GW_NAME_LEAF : 0);
	cnt += 2; /* args, deferreturn */
	fields[cnt++] = gw_pc_table(bases, index ? 27 : 1);
	fields[cnt++] = layout == GW_1_2 ? gw_pc_table(bases, index ? 40 : 33) :
					   gw_pc_table(bases, index ? 27 : 6);
	fields[cnt++] = gw_pc_table(bases, index ? 30 : 13);
	fields[cnt++] = index ? 0 : 3; /* npcdata */
	if (layout != GW_1_2)
		cnt++; /* cuOffset */
	if (layout >= GW_1_20)
		fields[cnt++] = index ? 29 : 9; /* startLine */
	fields[cnt++] = index ? 0 : (layout == GW_1_2 ? 5U : 4U) << 24; /* nfuncdata */
	gw_add(image, fields, 4 * cnt);
	if (index == 0)
		gw_add(image, (uint32_t[]){ 0, 0, gw_pc_table(bases, 20) }, 12);
}

/* The function's funcdata: only the inline tree. Its own place is filled in at the end. */
static inline void gw_add_funcdata(struct gw_image *image, enum gw_layout layout,
				   uint32_t *tree_ref_off)
{
	uint8_t none[64];
	bool is_wide = layout <= GW_1_16;
	unsigned int index = layout == GW_1_2 ? 4 : 3, size_bytes = is_wide ? 8 : 4;

	if (is_wide)
		gw_align(image);
	memset(none, is_wide ? 0 : 0xff, sizeof(none));
	*tree_ref_off = gw_add(image, none, size_bytes * (index + 1)) + size_bytes * index;
}

static inline void gw_add_tree(struct gw_image *image, enum gw_layout layout,
			       const struct gw_bases *bases)
{
	uint32_t row[5] = { 0 };

	gw_align(image);
	image->tree_off = image->end_off;
	if (layout <= GW_1_18) {
		row[0] = 0xffff;
		row[1] = layout == GW_1_2;
		row[2] = 11;
		row[3] = bases->names + GW_NAME_INNER;
		row[4] = 3;
		gw_add(image, row, 20);
	} else {
		row[1] = bases->names + GW_NAME_INNER;
		row[2] = 3;
		row[3] = 19;
		gw_add(image, row, 16);
	}
}

/* Up to Go 1.15: names, tables and records are addressed from the header. */
static inline struct gw_bases gw_begin_1_2(struct gw_image *image)
{
	struct gw_bases bases = { 0 };
	uint32_t begin = GW_PCLNTAB_OFF, files;

	image->functab_off = begin + 16;
	image->end_off = image->functab_off + 2 * 16 + 8 + 8;
	bases.names = gw_add(image, gw_names, sizeof(gw_names)) - begin;
	files = gw_add(image, gw_files, sizeof(gw_files)) - begin;
	bases.pctab = gw_add(image, gw_pctab, sizeof(gw_pctab)) - begin;
	gw_align(image);
	/* Word 0 is the table's length. */
	bases.cutab = image->end_off - begin;
	gw_add(image, (uint32_t[]){ 3, files, files + GW_FILE_INNER }, 12);
	gw_put(image, image->functab_off + 2 * 16 + 8, bases.cutab, 4);
	return bases;
}

static inline struct gw_bases gw_begin_1_16(struct gw_image *image, enum gw_layout layout)
{
	struct gw_bases bases = { 0 };
	uint32_t begin = GW_PCLNTAB_OFF, at = begin + 16;

	image->end_off = begin + (layout == GW_1_16 ? 64 : 72);
	gw_put(image, at, 2, 8);
	at += 8;
	if (layout >= GW_1_18) {
		gw_put(image, at, layout >= GW_1_26 ? 0 : GW_TEXT, 8);
		at += 8;
	}
	gw_put(image, at, gw_add(image, gw_names, sizeof(gw_names)) - begin, 8);
	gw_align(image);
	gw_put(image, at + 8, gw_add(image, (uint32_t[]){ 0, GW_FILE_INNER }, 8) - begin, 8);
	gw_put(image, at + 16, gw_add(image, gw_files, sizeof(gw_files)) - begin, 8);
	gw_put(image, at + 24, gw_add(image, gw_pctab, sizeof(gw_pctab)) - begin, 8);
	gw_align(image);
	image->functab_off = image->end_off;
	gw_put(image, at + 32, image->functab_off - begin, 8);
	bases.records = image->functab_off - begin;
	image->end_off += layout == GW_1_16 ? 2 * 16 + 8 : 2 * 8 + 4;
	return bases;
}

static inline void gw_put_functab(struct gw_image *image, enum gw_layout layout,
				  const struct gw_bases *bases)
{
	unsigned int word = layout <= GW_1_16 ? 8 : 4;
	uint64_t base = layout <= GW_1_16 ? GW_TEXT : 0;

	for (unsigned int i = 0; i < 3; i++) {
		gw_put(image, image->functab_off + i * 2 * word, base + 0x10 * i, word);
		if (i < 2)
			gw_put(image, image->functab_off + (i * 2 + 1) * word,
			       image->func_off[i] - GW_PCLNTAB_OFF - bases->records, word);
	}
}

static inline void gw_put_moduledata(struct gw_image *image, enum gw_layout layout)
{
	static const uint16_t offs[GW_LAYOUT_CNT][6] = {
		/* ftab len, minpc, maxpc, text, etext, gofunc */
		[GW_1_2] = { 32, 80, 88, 96, 104, 0 },
		[GW_1_16] = { 136, 160, 168, 176, 184, 0 },
		[GW_1_18] = { 136, 160, 168, 176, 184, 304 },
		[GW_1_20] = { 136, 160, 168, 176, 184, 320 },
		[GW_1_26] = { 136, 160, 168, 176, 184, 320 },
		[GW_1_27] = { 136, 160, 168, 176, 184, 344 },
	};
	uint64_t values[6] = { 3, GW_TEXT, GW_ETEXT, GW_TEXT, GW_ETEXT, GW_PCLNTAB };

	gw_put(image, GW_MODULEDATA_OFF, GW_PCLNTAB, 8);
	for (unsigned int i = 0; i < 6; i++)
		if (offs[layout][i])
			gw_put(image, GW_MODULEDATA_OFF + offs[layout][i], values[i], 8);
	/* epclntab */
	if (layout >= GW_1_26)
		gw_put(image, GW_MODULEDATA_OFF + offs[layout][5] + 8U,
		       GW_PCLNTAB + (image->end_off - GW_PCLNTAB_OFF), 8);
}

static inline void gw_put_pclntab(struct gw_image *image, enum gw_layout layout)
{
	static const uint32_t magics[GW_LAYOUT_CNT] = { 0xfffffffb, 0xfffffffa, 0xfffffff0,
							0xfffffff1, 0xfffffff1, 0xfffffff1 };
	struct gw_bases bases;
	uint32_t tree_ref_off;

	gw_put(image, GW_PCLNTAB_OFF, magics[layout], 4);
	gw_put(image, GW_PCLNTAB_OFF + 6, 1, 1);
	gw_put(image, GW_PCLNTAB_OFF + 7, 8, 1);
	gw_put(image, GW_PCLNTAB_OFF + 8, 2, 8);
	bases = layout == GW_1_2 ? gw_begin_1_2(image) : gw_begin_1_16(image, layout);
	gw_add_func(image, layout, &bases, 0);
	gw_add_funcdata(image, layout, &tree_ref_off);
	gw_add_func(image, layout, &bases, 1);
	gw_add_tree(image, layout, &bases);
	if (layout <= GW_1_16)
		gw_put(image, tree_ref_off, GW_BASE + image->tree_off, 8);
	else /* gofunc is the table's own start in every layout here */
		gw_put(image, tree_ref_off, image->tree_off - GW_PCLNTAB_OFF, 4);
	gw_put_functab(image, layout, &bases);
}

static inline void gw_put_headers(struct gw_image *image)
{
	Elf64_Ehdr ehdr = {
		.e_ident = { ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB, EV_CURRENT },
		.e_type = ET_EXEC,
		.e_machine = EM_X86_64,
		.e_version = EV_CURRENT,
		.e_phoff = sizeof(Elf64_Ehdr),
		.e_shoff = GW_SECTIONS_OFF,
		.e_ehsize = sizeof(Elf64_Ehdr),
		.e_phentsize = sizeof(Elf64_Phdr),
		.e_phnum = 2,
		.e_shentsize = sizeof(Elf64_Shdr),
		.e_shnum = 5,
		.e_shstrndx = 2,
	};
	Elf64_Phdr phdrs[2] = {
		{ PT_LOAD, PF_R | PF_X, 0, GW_BASE, GW_BASE, GW_MODULEDATA_OFF, GW_MODULEDATA_OFF, 4096 },
		{ PT_LOAD, PF_R | PF_W, GW_MODULEDATA_OFF, GW_MODULEDATA, GW_MODULEDATA, 0x400, 0x1000, 4096 },
	};

	memcpy(image->bytes, &ehdr, sizeof(ehdr));
	memcpy(image->bytes + sizeof(ehdr), phdrs, sizeof(phdrs));
}

static inline void gw_put_sections(struct gw_image *image)
{
	static const char names[] = "\0.gopclntab\0.shstrtab\0.symtab\0.strtab";
	static const char strings[] = "\0main.outer\0c_code";
	uint32_t names_off = GW_SECTIONS_OFF + 5 * sizeof(Elf64_Shdr);
	uint32_t strings_off = names_off + sizeof(names);
	uint32_t symbols_off = (strings_off + (uint32_t)sizeof(strings) + 7) & ~7U;
	Elf64_Sym symbols[3] = {
		{ 0 },
		{ 1, ELF64_ST_INFO(STB_GLOBAL, STT_FUNC), 0, 1, GW_OUTER, 0x10 },
		{ 12, ELF64_ST_INFO(STB_GLOBAL, STT_FUNC), 0, 1, GW_BASE + 0x800, 0x20 },
	};
	Elf64_Shdr sections[5] = {
		{ 0 },
		{ 1, SHT_PROGBITS, SHF_ALLOC, GW_PCLNTAB, GW_PCLNTAB_OFF,
		  image->end_off - GW_PCLNTAB_OFF, 0, 0, 32, 0 },
		{ 12, SHT_STRTAB, 0, 0, names_off, sizeof(names), 0, 0, 1, 0 },
		{ 22, SHT_SYMTAB, 0, 0, symbols_off, sizeof(symbols), 4, 0, 8, sizeof(Elf64_Sym) },
		{ 30, SHT_STRTAB, 0, 0, strings_off, sizeof(strings), 0, 0, 1, 0 },
	};

	memcpy(image->bytes + GW_SECTIONS_OFF, sections, sizeof(sections));
	memcpy(image->bytes + names_off, names, sizeof(names));
	memcpy(image->bytes + strings_off, strings, sizeof(strings));
	memcpy(image->bytes + symbols_off, symbols, sizeof(symbols));
}

static inline void gw_write(struct gw_image *image, enum gw_layout layout)
{
	memset(image, 0, sizeof(*image));
	gw_put_headers(image);
	gw_put_pclntab(image, layout);
	gw_put_moduledata(image, layout);
	gw_put_sections(image);
}

#endif
