/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Pointer words of position-independent images.
 *
 * GNU ld and Go's linker write the addend of a relative relocation into the
 * file as well, so the raw word is right; lld leaves zeros there. Only for
 * such a word .rela.dyn is searched, found through PT_DYNAMIC (DT_RELA), so
 * that images without sections work too.
 */
#include "elf/image.h"

#include <errno.h>

/* The table of relocations with addends, empty when there is none. */
static struct gj_window rela_table(const struct gj_image *image)
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

/* The addend of the relative relocation at @va, or 0. */
static uint64_t relative_addend(const struct gj_image *image, uint64_t va)
{
	uint32_t relative = image->arch == GJ_ARCH_AMD64 ? R_X86_64_RELATIVE : R_AARCH64_RELATIVE;
	struct gj_cursor cur = gj_cursor_init(rela_table(image));

	while (gj_cursor_left(&cur) >= sizeof(Elf64_Rela)) {
		uint64_t off = gj_cursor_u64(&cur);
		uint64_t info = gj_cursor_u64(&cur);
		uint64_t addend = gj_cursor_u64(&cur);

		if (off == va && ELF64_R_TYPE(info) == relative)
			return addend;
	}
	return 0;
}

int gj_image_pointer(const struct gj_image *image, uint64_t va, uint64_t *value_out)
{
	uint64_t value;

	if (!gj_window_u64(gj_image_at(image, va), 0, &value))
		return -ENOENT;
	if (value == 0 && image->type == ET_DYN)
		value = relative_addend(image, va);
	*value_out = value;
	return 0;
}
