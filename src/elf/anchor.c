/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Places in a file as libbpf is told them, SYMBOL+OFFSET: which symbol to count
 * from, so that libbpf comes to that very place.
 *
 * libbpf (src/elf.c, elf_find_func_offset) looks a function's name up in
 * .dynsym, then in .symtab; of several of one name in one table it takes none,
 * unless they stand at one place. A symbol's place in the file is its value less
 * the address of its section plus the section's offset. Up to 1.2 libbpf reads
 * names of letters, digits, '_' and '.' only (src/libbpf.c, attach_uprobe).
 */
#include "elf/image.h"

#include <errno.h>
#include <stdlib.h>

#include "base/limits.h"

struct anchor {
	const char *name;
	uint64_t file_off;
	bool is_usable; /* else it only is in the way of others */
};

struct gj_anchors {
	struct anchor *list; /* by file_off; owned */
	size_t cnt;
};

/* A name that is asked for finds those with a version, too: NAME@VERSION, NAME@@VERSION. */
static size_t name_bytes(const char *name)
{
	return strcspn(name, "@");
}

static bool is_plain(const char *name)
{
	return *name && !name[strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
					   "0123456789_.")];
}

static void collect(const struct gj_image *image, const struct gj_symbol_table *table,
		    struct gj_anchors *anchors)
{
	Elf64_Sym sym;

	for (uint64_t i = 1; gj_window_read(table->symbols, i * sizeof(sym), &sym, sizeof(sym)); i++) {
		struct anchor anchor = { .name = gj_window_string(table->strings, sym.st_name) };
		struct gj_section section;

		if (ELF64_ST_TYPE(sym.st_info) != STT_FUNC || !anchor.name)
			continue;
		if (sym.st_shndx != SHN_UNDEF && !gj_image_section(image, sym.st_shndx, &section) &&
		    sym.st_value >= section.va && sym.st_value - section.va < section.size_bytes) {
			anchor.file_off = sym.st_value - section.va + section.file_off;
			anchor.is_usable = is_plain(anchor.name);
		}
		anchors->list[anchors->cnt++] = anchor;
	}
}

static int compare_names(const struct anchor *a, const struct anchor *b)
{
	size_t a_bytes = name_bytes(a->name), b_bytes = name_bytes(b->name);
	int order = memcmp(a->name, b->name, a_bytes < b_bytes ? a_bytes : b_bytes);

	return order ? order : a_bytes < b_bytes ? -1 : a_bytes > b_bytes;
}

static int by_name(const void *left, const void *right)
{
	return compare_names(left, right);
}

static int by_place(const void *left, const void *right)
{
	const struct anchor *a = left, *b = right;

	if (a->file_off != b->file_off)
		return a->file_off < b->file_off ? -1 : 1;
	return compare_names(a, b);
}

/* What libbpf would not find, or would find elsewhere, is of no use. */
static void leave_out_ambiguous(struct gj_anchors *anchors)
{
	struct anchor *list = anchors->list;

	qsort(list, anchors->cnt, sizeof(*list), by_name);
	for (size_t i = 0; i < anchors->cnt;) {
		size_t end = i + 1;
		bool is_one = true;

		for (; end < anchors->cnt && !compare_names(&list[end], &list[i]); end++)
			is_one = is_one && list[end].file_off == list[i].file_off;
		for (; i < end; i++)
			list[i].is_usable &= is_one;
	}
	qsort(list, anchors->cnt, sizeof(*list), by_place);
}

int gj_anchors_new(const struct gj_image *image, struct gj_anchors **anchors_out)
{
	size_t cnt = (image->symtab.symbols.size_bytes + image->dynsym.symbols.size_bytes) /
		     sizeof(Elf64_Sym);
	struct gj_anchors *anchors;

	if (cnt > GJ_MAX_SYMBOLS)
		return -E2BIG;
	anchors = calloc(1, sizeof(*anchors));
	if (anchors)
		anchors->list = calloc(cnt + 1, sizeof(*anchors->list));
	if (!anchors || !anchors->list) {
		free(anchors);
		return -ENOMEM;
	}
	collect(image, &image->dynsym, anchors);
	collect(image, &image->symtab, anchors);
	leave_out_ambiguous(anchors);
	*anchors_out = anchors;
	return 0;
}

void gj_anchors_free(struct gj_anchors *anchors)
{
	if (!anchors)
		return;
	free(anchors->list);
	free(anchors);
}

int gj_anchors_find(const struct gj_anchors *anchors, uint64_t file_off, const char **name_out,
		    int64_t *delta_out)
{
	const struct anchor *found = NULL;

	/* The last before the place, else the first behind it. */
	for (size_t i = 0; i < anchors->cnt; i++) {
		const struct anchor *anchor = &anchors->list[i];

		if (!anchor->is_usable)
			continue;
		if (anchor->file_off > file_off && found)
			break;
		found = anchor;
	}
	if (!found)
		return -ENOENT;
	*name_out = found->name;
	*delta_out = (int64_t)(file_off - found->file_off);
	return 0;
}
