/* SPDX-License-Identifier: GPL-2.0 */
/* Fuzz target: a debug file of any bytes; tests/fuzz/fuzz.h tells how input is read. */
#include <sys/mman.h>
#include <unistd.h>

#include "debuginfo/debuginfo.h"
#include "fuzz.h"

static void write_debuginfo(const struct gj_image *image, const struct gj_gotab *gotab,
			    bool with_code)
{
	struct gj_debuginfo_options options = { .with_code = with_code };
	int fd = memfd_create("debuginfo", 0);

	if (fd < 0)
		return;
	gj_debuginfo_write(image, gotab, &options, fd, NULL, NULL);
	close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes)
{
	struct gj_gotab *gotab;
	struct gj_image *image;
	struct fuzz_file file;

	fuzz_file_init(&file, data, size_bytes);
	if (!gj_image_open_bytes(file.bytes, "input", &image, NULL)) {
		if (!gj_gotab_open(image, &gotab, NULL)) {
			write_debuginfo(image, gotab, size_bytes & 1);
			gj_gotab_close(gotab);
		}
		gj_image_close(image);
	}
	fuzz_file_deinit(&file);
	return 0;
}
