/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the fuzz targets of ELF files and Go tables share: input to file.
 *
 * Input that begins as ELF files do is taken as it is. Anything else patches a
 * file written by hand (tests/unit/gowriter.h), so that the fuzzer is inside
 * the tables from its first input on: u8 layout, u16 bytes to cut off the end,
 * then u16 offset and u32 value again and again.
 */
#ifndef GJ_TEST_FUZZ_H
#define GJ_TEST_FUZZ_H

#include "../unit/exercise.h"
#include "../unit/gowriter.h"
#include "seeds.h"

struct fuzz_file {
	struct gj_window bytes;
	uint8_t *copy; /* of exactly that size, so that a sanitizer sees its end */
};

static inline void fuzz_patch(struct gw_image *image, struct gj_cursor *cur)
{
	while (gj_cursor_left(cur) >= 6) {
		uint32_t off = gj_cursor_u16(cur) % (GW_IMAGE_BYTES - 4);

		gw_put(image, off, gj_cursor_u32(cur), 4);
	}
}

static inline void fuzz_file_init(struct fuzz_file *file, const uint8_t *data, size_t size_bytes)
{
	struct gj_cursor cur = gj_cursor_init((struct gj_window){ data, size_bytes });
	size_t cut_bytes = GW_IMAGE_BYTES;
	struct gw_image image;

	*file = (struct fuzz_file){ { data, size_bytes }, NULL };
	if (size_bytes < 4 || !memcmp(data, ELFMAG, SELFMAG))
		return;
	gw_write(&image, (enum gw_layout)(gj_cursor_u8(&cur) % GW_LAYOUT_CNT));
	cut_bytes -= gj_cursor_u16(&cur) % GW_IMAGE_BYTES;
	fuzz_patch(&image, &cur);
	file->copy = malloc(cut_bytes);
	if (!file->copy)
		return;
	memcpy(file->copy, image.bytes, cut_bytes);
	file->bytes = (struct gj_window){ file->copy, cut_bytes };
}

static inline void fuzz_file_deinit(struct fuzz_file *file)
{
	free(file->copy);
}

/* Each layout, as a patch of nothing and as the file itself. */
static inline void fuzz_seed_files(void)
{
	struct gw_image image;

	for (uint8_t layout = 0; layout < GW_LAYOUT_CNT; layout++) {
		fuzz_seed((uint8_t[]){ layout, 0, 0, 0 }, 4);
		gw_write(&image, (enum gw_layout)layout);
		fuzz_seed(image.bytes, sizeof(image.bytes));
	}
}

#endif
