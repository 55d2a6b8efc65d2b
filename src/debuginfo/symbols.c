/* SPDX-License-Identifier: GPL-2.0 */
/*
 * .symtab and .strtab: what symbols the image still has, as they are, and a
 * function symbol for each Go function that none of them names.
 */
#include <elf.h>
#include <errno.h>
#include <string.h>

#include "base/limits.h"
#include "debuginfo/build.h"
#include "debuginfo/encode.h"

static void put_symbol(struct gj_debug *debug, const Elf64_Sym *sym)
{
	gj_buf_add(&debug->symbols, sym, sizeof(*sym));
}

/* Symbols that name a place in the image; imported ones and names of files do not. */
static bool is_kept(const struct gj_elf_symbol *symbol)
{
	return symbol->section_index != SHN_UNDEF && symbol->section_index < SHN_LORESERVE &&
	       symbol->type != STT_FILE && symbol->type != STT_SECTION && symbol->name[0] &&
	       strnlen(symbol->name, GJ_MAX_NAME_BYTES) < GJ_MAX_NAME_BYTES;
}

/* The image's own symbols of one kind: local ones come first in a symbol table. */
static int put_kept(struct gj_debug *debug, bool want_local, struct gj_diag *diag)
{
	struct gj_elf_symbol symbol;
	int err = 0;

	for (unsigned int i = 1;
	     !err && i < GJ_MAX_SYMBOLS && !gj_image_symbol(debug->image, i, &symbol); i++) {
		Elf64_Sym sym = {
			.st_name = (Elf64_Word)debug->strings.size_bytes,
			.st_info = ELF64_ST_INFO(symbol.binding, symbol.type),
			.st_shndx = symbol.section_index,
			.st_value = symbol.va,
			.st_size = symbol.size_bytes,
		};

		if (!is_kept(&symbol) || (symbol.binding == STB_LOCAL) != want_local)
			continue;
		gj_buf_add(&debug->strings, symbol.name, strlen(symbol.name) + 1);
		put_symbol(debug, &sym);
		err = gj_debug_check(debug, diag);
	}
	return err;
}

static void put_func(struct gj_debug *debug, const struct gj_debug_func *func)
{
	struct gj_gofunc gofunc;
	Elf64_Sym sym = {
		.st_name = (Elf64_Word)debug->strings.size_bytes,
		.st_info = ELF64_ST_INFO(STB_GLOBAL, STT_FUNC),
		.st_shndx = gj_elf_section_at(debug->image, func->entry_va),
		.st_value = func->entry_va,
		.st_size = func->end_va - func->entry_va,
	};

	if (gj_gotab_func(debug->gotab, func->index, &gofunc))
		return;
	gj_debug_put_name(&debug->strings, gofunc.name);
	put_symbol(debug, &sym);
}

/*
 * The functions that no symbol of the image names. Where an ABI wrapper bears
 * the name of what it wraps the other one comes first: tools that look for a
 * name take the first.
 */
static int put_funcs(struct gj_debug *debug, const struct gj_symbol_index *index,
		     bool want_wrappers, struct gj_diag *diag)
{
	int err = 0;

	for (size_t i = 0; !err && i < debug->func_cnt; i++) {
		const struct gj_debug_func *func = &debug->funcs[i];
		struct gj_elf_symbol symbol;

		if ((func->func_id == debug->wrapper_id) != want_wrappers)
			continue;
		if (gj_symbol_index_find(index, func->entry_va, &symbol) ||
		    symbol.va != func->entry_va)
			put_func(debug, func);
		err = gj_debug_check(debug, diag);
	}
	return err;
}

int gj_debug_put_symbols(struct gj_debug *debug, struct gj_diag *diag)
{
	static const Elf64_Sym none;
	struct gj_symbol_index *index = NULL;
	int err = gj_symbol_index_new(debug->image, &index);

	gj_buf_chr(&debug->strings, '\0');
	put_symbol(debug, &none);
	if (!err)
		err = put_kept(debug, true, diag);
	debug->local_cnt = (uint32_t)(debug->symbols.size_bytes / sizeof(none));
	if (!err)
		err = put_kept(debug, false, diag);
	if (!err)
		err = put_funcs(debug, index, false, diag);
	if (!err)
		err = put_funcs(debug, index, true, diag);
	gj_symbol_index_free(index);
	return err;
}
