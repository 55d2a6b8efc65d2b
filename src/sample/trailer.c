/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What `gojitter record` leaves behind perf.data, which perf does not look at:
 * any number of trailers, each a body, u64 size of the body, eight bytes of
 * magic. They are found from the end of the file backwards.
 */
#include <errno.h>

#include "sample/sample.h"

#define FOOTER_BYTES 16
#define MAGIC_BYTES 8

/* "GJ", five capitals, the version: a trailer of ours, whatever is in it. */
static bool is_magic(const char *magic)
{
	for (size_t i = 2; i < MAGIC_BYTES - 1; i++)
		if (magic[i] < 'A' || magic[i] > 'Z')
			return false;
	return !memcmp(magic, "GJ", 2) && magic[MAGIC_BYTES - 1] >= '1' &&
	       magic[MAGIC_BYTES - 1] <= '9';
}

int gj_perf_file_trailer(struct gj_window file, const char *magic, struct gj_window *body_out)
{
	char found[MAGIC_BYTES];
	uint64_t body_bytes;

	/* Each round drops a footer at least. */
	while (file.size_bytes >= FOOTER_BYTES &&
	       gj_window_read(file, file.size_bytes - MAGIC_BYTES, found, sizeof(found)) &&
	       is_magic(found)) {
		bool is_wanted = !memcmp(found, magic, MAGIC_BYTES);

		gj_window_u64(file, file.size_bytes - FOOTER_BYTES, &body_bytes);
		file.size_bytes -= FOOTER_BYTES;
		/* What stands before a damaged one cannot be found. */
		if (body_bytes > file.size_bytes)
			return is_wanted ? -EBADMSG : -ENOENT;
		file.size_bytes -= body_bytes;
		if (is_wanted) {
			*body_out = (struct gj_window){ file.base + file.size_bytes, body_bytes };
			return 0;
		}
	}
	return -ENOENT;
}
