/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Prints an image's compiled call frame information, for cfi.py:
 *
 *   cfi FILE [DEBUG_DIR]
 *
 *   VA none|reg|plt|exp REG OFFSET ROOT RA RBP RBX R12 R13 R14 R15
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "stitch/stitch.h"

int main(int argc, char **argv)
{
	static const char *const kinds[] = { "none", "reg", "plt", "exp" };
	const struct gj_cfi_row *row;
	struct gj_image *image;
	struct gj_cfi *cfi;
	uint64_t va;
	int err;

	if (argc < 2 || gj_image_open(argv[1], &image, NULL))
		return 2;
	err = gj_cfi_new(image, argc > 2 ? argv[2] : NULL, &cfi);
	if (err) {
		printf("error %d\n", err);
		return 1;
	}
	for (size_t i = 0; (row = gj_cfi_row(cfi, i, &va)); i++) {
		printf("%" PRIx64 " %s %u %d %d %d", va, kinds[row->cfa_kind], row->cfa_reg, row->cfa_off,
		       row->is_root, row->ra_off);
		for (size_t r = 0; r < GJ_CFI_SAVED_CNT; r++)
			printf(" %d", row->saved[r]);
		putchar('\n');
	}
	gj_cfi_free(cfi);
	gj_image_close(image);
	return 0;
}
