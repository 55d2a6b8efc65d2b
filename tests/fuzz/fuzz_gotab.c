/* SPDX-License-Identifier: GPL-2.0 */
/* Fuzz target: any bytes as a Go program; tests/fuzz/fuzz.h tells how input is read. */
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes)
{
	struct gj_gotab *gotab;
	struct gj_image *image;
	struct fuzz_file file;

	fuzz_file_init(&file, data, size_bytes);
	if (!gj_image_open_bytes(file.bytes, "input", &image, NULL)) {
		if (!gj_gotab_open(image, &gotab, NULL)) {
			exercise_gotab(gotab);
			gj_gotab_close(gotab);
		}
		gj_image_close(image);
	}
	fuzz_file_deinit(&file);
	return 0;
}

void fuzz_seeds(void)
{
	fuzz_seed_files();
}
