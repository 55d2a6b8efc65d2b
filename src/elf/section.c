/* SPDX-License-Identifier: GPL-2.0 */
/* Sections by name and number, symbols, and the notes that hold build ids. */
#include "elf/image.h"

#include <errno.h>
#include <gelf.h>

int gj_image_section(const struct gj_image *image, unsigned int index,
		     struct gj_section *section_out)
{
	GElf_Shdr shdr;
	Elf_Scn *scn;
	const char *name;

	if (index >= image->section_cnt)
		return -ENOENT;
	scn = elf_getscn(image->elf, index);
	if (!scn || !gelf_getshdr(scn, &shdr))
		return -ENOENT;
	name = elf_strptr(image->elf, image->shstrndx, shdr.sh_name);
	*section_out = (struct gj_section){
		.name = name ? name : "",
		.index = index,
		.type = shdr.sh_type,
		.flags = shdr.sh_flags,
		.va = shdr.sh_addr,
		.file_off = shdr.sh_offset,
		.size_bytes = shdr.sh_size,
	};
	return 0;
}

int gj_image_find_section(const struct gj_image *image, const char *name,
			  struct gj_section *section_out)
{
	struct gj_section section;

	for (unsigned int i = 1; i < image->section_cnt; i++) {
		if (gj_image_section(image, i, &section))
			continue;
		if (!strcmp(section.name, name)) {
			*section_out = section;
			return 0;
		}
	}
	return -ENOENT;
}

struct gj_window gj_image_section_bytes(const struct gj_image *image,
					const struct gj_section *section)
{
	if (section->type == SHT_NOBITS)
		return (struct gj_window){ NULL, 0 };
	return gj_window_slice(image->bytes, section->file_off, section->size_bytes);
}

/* The symbol table to use, .symtab before .dynsym, and its strings. */
static int find_symtab(const struct gj_image *image, struct gj_window *symbols_out,
		       struct gj_window *strings_out)
{
	static const char *const pairs[][2] = {
		{ ".symtab", ".strtab" },
		{ ".dynsym", ".dynstr" },
	};
	struct gj_section symbols, strings;

	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
		if (gj_image_find_section(image, pairs[i][0], &symbols) ||
		    gj_image_find_section(image, pairs[i][1], &strings))
			continue;
		*symbols_out = gj_image_section_bytes(image, &symbols);
		*strings_out = gj_image_section_bytes(image, &strings);
		return 0;
	}
	return -ENOENT;
}

static int read_symbol(struct gj_window symbols, struct gj_window strings, uint64_t index,
		       struct gj_elf_symbol *symbol_out)
{
	Elf64_Sym sym;
	const char *name;

	if (!gj_window_read(symbols, index * sizeof(sym), &sym, sizeof(sym)))
		return -ENOENT;
	name = gj_window_string(strings, sym.st_name);
	*symbol_out = (struct gj_elf_symbol){
		.name = name ? name : "",
		.va = sym.st_value,
		.size_bytes = sym.st_size,
		.type = ELF64_ST_TYPE(sym.st_info),
		.section_index = sym.st_shndx,
	};
	return 0;
}

int gj_image_symbol(const struct gj_image *image, unsigned int index,
		    struct gj_elf_symbol *symbol_out)
{
	struct gj_window symbols, strings;

	if (find_symtab(image, &symbols, &strings))
		return -ENOENT;
	return read_symbol(symbols, strings, index, symbol_out);
}

int gj_image_find_symbol(const struct gj_image *image, const char *name,
			 struct gj_elf_symbol *symbol_out)
{
	struct gj_window symbols, strings;
	struct gj_elf_symbol symbol;

	if (find_symtab(image, &symbols, &strings))
		return -ENOENT;
	for (uint64_t i = 1; !read_symbol(symbols, strings, i, &symbol); i++) {
		if (symbol.section_index != SHN_UNDEF && !strcmp(symbol.name, name)) {
			*symbol_out = symbol;
			return 0;
		}
	}
	return -ENOENT;
}

#define NT_GO_BUILD_ID 4 /* Go src/cmd/internal/buildid/note.go, tagged "Go\0\0" */

/*
 * One note: u32 name size, u32 descriptor size, u32 type, name and descriptor
 * each padded to 4 bytes (System V ABI, "Note Section").
 */
static bool take_note(struct gj_image *image, struct gj_cursor *cur)
{
	uint32_t name_bytes = gj_cursor_u32(cur);
	uint32_t desc_bytes = gj_cursor_u32(cur);
	uint32_t type = gj_cursor_u32(cur);
	const uint8_t *name = gj_cursor_take(cur, ((uint64_t)name_bytes + 3) & ~3ULL);
	const uint8_t *desc = gj_cursor_take(cur, desc_bytes);

	if (gj_cursor_failed(cur))
		return false;
	if (name_bytes == 4 && !memcmp(name, "GNU", 4) && type == NT_GNU_BUILD_ID)
		image->build_id = (struct gj_window){ desc, desc_bytes };
	if (name_bytes == 4 && !memcmp(name, "Go\0", 4) && type == NT_GO_BUILD_ID)
		image->go_build_id = (struct gj_window){ desc, desc_bytes };
	gj_cursor_take(cur, -(uint64_t)desc_bytes & 3);
	return true;
}

static void read_notes(struct gj_image *image, struct gj_window notes)
{
	struct gj_cursor cur = gj_cursor_init(notes);

	while (gj_cursor_left(&cur) >= 12 && take_note(image, &cur))
		;
}

void gj_image_find_notes(struct gj_image *image)
{
	static const char *const names[] = { ".note.gnu.build-id", ".note.go.buildid" };
	struct gj_section section;
	size_t phdr_cnt = 0;
	GElf_Phdr phdr;

	/* Segments first: they stay when sections are stripped. */
	if (!elf_getphdrnum(image->elf, &phdr_cnt))
		for (size_t i = 0; i < phdr_cnt; i++)
			if (gelf_getphdr(image->elf, (int)i, &phdr) && phdr.p_type == PT_NOTE)
				read_notes(image, gj_window_slice(image->bytes, phdr.p_offset,
								  phdr.p_filesz));
	/* Go's linker leaves .note.gnu.build-id outside PT_NOTE. */
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (!gj_image_find_section(image, names[i], &section))
			read_notes(image, gj_image_section_bytes(image, &section));
}

struct gj_window gj_image_build_id(const struct gj_image *image)
{
	return image->build_id;
}

struct gj_window gj_image_go_build_id(const struct gj_image *image)
{
	return image->go_build_id;
}
