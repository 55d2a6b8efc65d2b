/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Pointer words of position-independent images.
 *
 * GNU ld and Go's linker write the addend of a relative relocation into the
 * file as well, so the raw word is right and the relocations are not looked
 * at. LLVM's linker leaves zeros there (its option --apply-dynamic-relocs is
 * off): one look at the first relocation tells, and only in such an image are
 * addends searched. The table is found through PT_DYNAMIC (DT_RELA), so that
 * images without sections work too. Addends of DT_RELR always stand in place.
 */
#include "elf/image.h"

#include <errno.h>
#include <stdlib.h>

static bool read_rela(const struct gj_image *image, uint64_t index, Elf64_Rela *rela_out)
{
	return gj_window_read(image->relas, index * sizeof(*rela_out), rela_out,
			      sizeof(*rela_out));
}

static bool is_relative(const struct gj_image *image, const Elf64_Rela *rela)
{
	uint32_t relative = image->arch == GJ_ARCH_AMD64 ? R_X86_64_RELATIVE : R_AARCH64_RELATIVE;

	return ELF64_R_TYPE(rela->r_info) == relative;
}

/* The table of relocations with addends, empty when there is none. */
static struct gj_window find_relas(const struct gj_image *image)
{
	struct gj_cursor cur = gj_cursor_init(
		gj_window_slice(gj_image_at(image, image->dynamic_va), 0, image->dynamic_bytes));
	uint64_t rela_va = 0, rela_bytes = 0;

	while (gj_cursor_left(&cur) >= sizeof(Elf64_Dyn)) {
		uint64_t tag = gj_cursor_u64(&cur);
		uint64_t value = gj_cursor_u64(&cur);

		if (tag == DT_NULL)
			break;
		if (tag == DT_RELA)
			rela_va = value;
		if (tag == DT_RELASZ)
			rela_bytes = value;
	}
	if (!rela_va)
		return (struct gj_window){ NULL, 0 };
	return gj_window_slice(gj_image_at(image, rela_va), 0, rela_bytes);
}

/* Whether the first relative relocation with an addend finds zero in its place. */
static bool are_addends_apart(const struct gj_image *image)
{
	Elf64_Rela rela;
	uint64_t word;

	for (uint64_t i = 0; read_rela(image, i, &rela); i++)
		if (is_relative(image, &rela) && rela.r_addend &&
		    gj_window_u64(gj_image_at(image, rela.r_offset), 0, &word))
			return word == 0;
	return false;
}

static bool are_relas_sorted(const struct gj_image *image)
{
	Elf64_Rela rela;
	uint64_t last_va = 0;

	for (uint64_t i = 0; read_rela(image, i, &rela) && is_relative(image, &rela); i++) {
		if (rela.r_offset < last_va)
			return false;
		last_va = rela.r_offset;
	}
	return true;
}

void gj_image_read_relas(struct gj_image *image)
{
	if (image->type != ET_DYN)
		return;
	image->relas = find_relas(image);
	image->are_addends_apart = are_addends_apart(image);
	if (image->are_addends_apart)
		image->are_relas_sorted = are_relas_sorted(image);
}

/*
 * Number of the first relocation that may concern @va: linkers put relative
 * ones first, sorted by address (-z combreloc). Past the relative part a
 * number is no guide, so unsorted tables start at 0.
 */
static uint64_t first_rela(const struct gj_image *image, uint64_t va)
{
	uint64_t first = 0, cnt = image->relas.size_bytes / sizeof(Elf64_Rela);
	Elf64_Rela rela;

	while (image->are_relas_sorted && cnt > 0) {
		uint64_t half = cnt / 2;

		if (!read_rela(image, first + half, &rela))
			return 0;
		if (is_relative(image, &rela) && rela.r_offset < va) {
			first += half + 1;
			cnt -= half + 1;
		} else {
			cnt = half;
		}
	}
	return first;
}

/* The addend of the relative relocation at @va, or 0. */
static uint64_t relative_addend(const struct gj_image *image, uint64_t va)
{
	Elf64_Rela rela;

	for (uint64_t i = first_rela(image, va); read_rela(image, i, &rela); i++) {
		if (is_relative(image, &rela) && rela.r_offset == va)
			return (uint64_t)rela.r_addend;
		if (image->are_relas_sorted)
			break;
	}
	return 0;
}

int gj_image_pointer(const struct gj_image *image, uint64_t va, uint64_t *value_out)
{
	uint64_t value;

	if (!gj_window_u64(gj_image_at(image, va), 0, &value))
		return -ENOENT;
	if (value == 0 && image->are_addends_apart)
		value = relative_addend(image, va);
	*value_out = value;
	return 0;
}

int gj_image_find_pointer(const struct gj_image *image, uint64_t value, uint64_t *rela_index,
			  uint64_t *va_out)
{
	Elf64_Rela rela;

	while (image->are_addends_apart && read_rela(image, *rela_index, &rela)) {
		++*rela_index;
		if (is_relative(image, &rela) && (uint64_t)rela.r_addend == value) {
			*va_out = rela.r_offset;
			return 0;
		}
	}
	return -ENOENT;
}

int gj_image_copy_relocated(const struct gj_image *image, uint64_t va, uint64_t size_bytes,
			    uint8_t **copy_out)
{
	struct gj_window bytes = gj_image_at(image, va);
	Elf64_Rela rela;
	uint8_t *copy;

	if (!image->are_addends_apart || !gj_window_holds(bytes, 0, size_bytes))
		return -ENOENT;
	copy = malloc(size_bytes + sizeof(uint64_t));
	if (!copy)
		return -ENOMEM;
	memcpy(copy, bytes.base, size_bytes);
	for (uint64_t i = 0; read_rela(image, i, &rela); i++)
		if (is_relative(image, &rela) && rela.r_offset >= va &&
		    rela.r_offset - va < size_bytes &&
		    size_bytes - (rela.r_offset - va) >= sizeof(uint64_t))
			memcpy(copy + (rela.r_offset - va), &rela.r_addend, sizeof(uint64_t));
	*copy_out = copy;
	return 0;
}
