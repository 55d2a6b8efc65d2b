/* SPDX-License-Identifier: GPL-2.0 */
/* Fuzz target: any bytes as an ELF file; tests/fuzz/fuzz.h tells how input is read. */
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes)
{
	struct gj_image *image;
	struct fuzz_file file;

	fuzz_file_init(&file, data, size_bytes);
	if (!gj_image_open_bytes(file.bytes, "input", &image, NULL)) {
		exercise_image(image);
		gj_image_close(image);
	}
	fuzz_file_deinit(&file);
	return 0;
}

void fuzz_seeds(void)
{
	fuzz_seed_files();
}
