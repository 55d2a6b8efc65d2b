/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Fuzz target: a perf.data file and chains for it, copied into memory. Input that
 * does not begin as a file patches one written by hand (tests/unit/injectwriter.h):
 * u16 bytes to cut off its end, u16 bytes to cut off the chains, then again and
 * again u16 offset, of the chains where its top bit is set, and u32 value. What comes
 * out is copied once more.
 */
#include <stdlib.h>

#include "../unit/injectwriter.h"
#include "seeds.h"

#define COPY_BYTES (1u << 20)

/* Memory of exactly that size, so that a sanitizer sees its end. */
static struct gj_window exact(const uint8_t *bytes, size_t size_bytes)
{
	uint8_t *copy = malloc(size_bytes ? size_bytes : 1);

	if (copy && size_bytes)
		memcpy(copy, bytes, size_bytes);
	return (struct gj_window){ copy, copy ? size_bytes : 0 };
}

static bool copy_file(struct gj_window file, struct gj_chains *chains, struct iw_copy *copy)
{
	const struct gj_inject_sink sink = { .data = copy, .put = iw_put };
	struct gj_inject_stats stats;

	copy->size_bytes = 0;
	return !gj_inject_copy(file, chains, &sink, &stats, NULL);
}

static void run(const uint8_t *file_bytes, size_t file_size, const uint8_t *stream_bytes,
		size_t stream_size)
{
	static uint8_t first_bytes[COPY_BYTES], second_bytes[COPY_BYTES];
	struct iw_copy first = { .bytes = first_bytes, .cap_bytes = COPY_BYTES };
	struct iw_copy second = { .bytes = second_bytes, .cap_bytes = COPY_BYTES };
	struct gj_window file = exact(file_bytes, file_size);
	struct gj_window stream = exact(stream_bytes, stream_size);
	struct gj_chains *chains = NULL;

	if (!gj_chains_new(stream, &chains) && copy_file(file, chains, &first)) {
		struct gj_window again = exact(first.bytes, first.size_bytes);

		copy_file(again, chains, &second);
		free((void *)(uintptr_t)again.base);
	}
	gj_chains_free(chains);
	free((void *)(uintptr_t)file.base);
	free((void *)(uintptr_t)stream.base);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes)
{
	struct gj_cursor cur = gj_cursor_init((struct gj_window){ data, size_bytes });
	static struct pw file, stream;
	size_t file_cut, stream_cut;

	iw_example_chains(&stream);
	if (size_bytes >= 8 && !memcmp(data, "PERFILE2", 8)) {
		run(data, size_bytes, stream.bytes, stream.size_bytes);
		return 0;
	}
	iw_example(&file);
	file_cut = gj_cursor_u16(&cur) % file.size_bytes;
	stream_cut = gj_cursor_u16(&cur) % stream.size_bytes;
	while (gj_cursor_left(&cur) >= 6) {
		uint16_t at = gj_cursor_u16(&cur);
		struct pw *pw = at & 0x8000 ? &stream : &file;

		pw_set(pw, (at & 0x7fff) % (pw->size_bytes - 4), gj_cursor_u32(&cur), 4);
	}
	run(file.bytes, file.size_bytes - file_cut, stream.bytes, stream.size_bytes - stream_cut);
	return 0;
}

void fuzz_seeds(void)
{
	struct pw pw, packed;

	iw_example(&pw);
	fuzz_seed(pw.bytes, pw.size_bytes);
	iw_compress(&pw, &packed, 100);
	fuzz_seed(packed.bytes, packed.size_bytes);
	fuzz_seed((uint8_t[]){ 0, 0, 0, 0 }, 4);
}
