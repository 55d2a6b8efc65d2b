/* SPDX-License-Identifier: GPL-2.0 */
/*
 * ELF symbols: by number, by name, and, through an index sorted on demand, by
 * address.
 */
#include "elf/image.h"

#include <errno.h>
#include <stdlib.h>

#include "base/limits.h"

static void take_table(struct gj_image *image, const struct gj_section *section,
		       struct gj_symbol_table *table)
{
	struct gj_section strings;

	if (gj_image_section(image, section->link, &strings))
		return;
	table->symbols = gj_image_section_bytes(image, section);
	table->symbols.size_bytes -= table->symbols.size_bytes % sizeof(Elf64_Sym);
	table->strings = gj_image_section_bytes(image, &strings);
}

void gj_image_read_symbols(struct gj_image *image)
{
	struct gj_section section;

	for (unsigned int i = 1; !gj_image_section(image, i, &section); i++) {
		if (section.type == SHT_SYMTAB)
			take_table(image, &section, &image->symtab);
		if (section.type == SHT_DYNSYM)
			take_table(image, &section, &image->dynsym);
	}
}

static int read_symbol(const struct gj_symbol_table *table, uint64_t index,
		       struct gj_elf_symbol *symbol_out)
{
	const char *name;
	Elf64_Sym sym;

	if (!gj_window_read(table->symbols, index * sizeof(sym), &sym, sizeof(sym)))
		return -ENOENT;
	name = gj_window_string(table->strings, sym.st_name);
	*symbol_out = (struct gj_elf_symbol){
		.name = name ? name : "",
		.va = sym.st_value,
		.size_bytes = sym.st_size,
		.type = ELF64_ST_TYPE(sym.st_info),
		.binding = ELF64_ST_BIND(sym.st_info),
		.section_index = sym.st_shndx,
	};
	return 0;
}

static const struct gj_symbol_table *main_table(const struct gj_image *image)
{
	return image->symtab.symbols.size_bytes ? &image->symtab : &image->dynsym;
}

int gj_image_symbol(const struct gj_image *image, unsigned int index,
		    struct gj_elf_symbol *symbol_out)
{
	return read_symbol(main_table(image), index, symbol_out);
}

static int find_in_table(const struct gj_symbol_table *table, const char *name,
			 struct gj_elf_symbol *symbol_out)
{
	size_t name_bytes = strlen(name) + 1;
	Elf64_Sym sym;

	for (uint64_t i = 1; gj_window_read(table->symbols, i * sizeof(sym), &sym, sizeof(sym)); i++)
		if (sym.st_shndx != SHN_UNDEF &&
		    gj_window_holds(table->strings, sym.st_name, name_bytes) &&
		    !memcmp(table->strings.base + sym.st_name, name, name_bytes))
			return read_symbol(table, i, symbol_out);
	return -ENOENT;
}

int gj_image_find_symbol(const struct gj_image *image, const char *name,
			 struct gj_elf_symbol *symbol_out)
{
	int err = find_in_table(&image->symtab, name, symbol_out);

	return err ? find_in_table(&image->dynsym, name, symbol_out) : 0;
}

/* One function of the index: where it starts and which symbol it is. */
struct index_entry {
	uint64_t va;
	uint64_t size_bytes;
	uint32_t symbol_index;
};

struct gj_symbol_index {
	const struct gj_image *image;
	struct index_entry *entries; /* sorted; owned */
	size_t cnt;
};

/* By address; of two at one address the sized one comes last, so that it is found. */
static int compare_entries(const void *left, const void *right)
{
	const struct index_entry *a = left, *b = right;

	if (a->va != b->va)
		return a->va < b->va ? -1 : 1;
	if (a->size_bytes != b->size_bytes)
		return a->size_bytes < b->size_bytes ? -1 : 1;
	/* The first of equals wins: it stands behind. */
	return a->symbol_index > b->symbol_index ? -1 : a->symbol_index < b->symbol_index;
}

static bool is_function(const Elf64_Sym *sym)
{
	return (ELF64_ST_TYPE(sym->st_info) == STT_FUNC ||
		ELF64_ST_TYPE(sym->st_info) == STT_GNU_IFUNC) &&
	       sym->st_shndx != SHN_UNDEF;
}

static void collect(struct gj_symbol_index *index)
{
	struct gj_window symbols = main_table(index->image)->symbols;
	Elf64_Sym sym;

	for (uint32_t i = 1; gj_window_read(symbols, (uint64_t)i * sizeof(sym), &sym, sizeof(sym));
	     i++)
		if (is_function(&sym))
			index->entries[index->cnt++] =
				(struct index_entry){ sym.st_value, sym.st_size, i };
	qsort(index->entries, index->cnt, sizeof(*index->entries), compare_entries);
}

int gj_symbol_index_new(const struct gj_image *image, struct gj_symbol_index **index_out)
{
	struct gj_symbol_index *index = calloc(1, sizeof(*index));
	size_t cnt = main_table(image)->symbols.size_bytes / sizeof(Elf64_Sym);

	if (!index)
		return -ENOMEM;
	index->image = image;
	index->entries = cnt > GJ_MAX_SYMBOLS ? NULL : calloc(cnt + 1, sizeof(*index->entries));
	if (!index->entries) {
		free(index);
		return cnt > GJ_MAX_SYMBOLS ? -E2BIG : -ENOMEM;
	}
	collect(index);
	*index_out = index;
	return 0;
}

void gj_symbol_index_free(struct gj_symbol_index *index)
{
	if (!index)
		return;
	free(index->entries);
	free(index);
}

int gj_symbol_index_find(const struct gj_symbol_index *index, uint64_t va,
			 struct gj_elf_symbol *symbol_out)
{
	size_t first = 0, cnt = index->cnt;
	const struct index_entry *entry;

	if (!cnt || va < index->entries[0].va)
		return -ENOENT;
	while (cnt > 1) {
		size_t half = cnt / 2;

		first = index->entries[first + half].va <= va ? first + half : first;
		cnt -= half;
	}
	entry = &index->entries[first];
	/* Hand-written assembly may have no size: it reaches to the next function. */
	if (entry->size_bytes ? va - entry->va >= entry->size_bytes : first + 1 == index->cnt)
		return -ENOENT;
	return gj_image_symbol(index->image, entry->symbol_index, symbol_out);
}
