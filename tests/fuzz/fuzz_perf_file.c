/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Fuzz target: any bytes as a perf.data file. Input that does not begin as one
 * patches a recording written by hand (tests/unit/perfwriter.h): u16 bytes to
 * cut off the end, then u16 offset and u32 value again and again.
 */
#include <stdlib.h>

#include "../unit/perfwriter.h"
#include "sample/sample.h"
#include "seeds.h"

static volatile size_t sink;

static int note_gap(void *data, const struct gj_perf_gap *gap)
{
	(void)data;
	sink += gap->begin_ns + gap->end_ns + gap->pid + gap->lost_cnt;
	return 0;
}

static void read_file(struct gj_window file)
{
	struct gj_window formats = gj_perf_file_formats(file);
	struct gj_perf_maps *maps;
	struct gj_perf_map map;

	sink += gj_perf_file_event_width(file);
	if (formats.size_bytes)
		sink += formats.base[0] + formats.base[formats.size_bytes - 1];
	gj_perf_file_gaps(file, note_gap, NULL, NULL);
	maps = gj_perf_maps_new(file);
	if (!maps)
		return;
	for (uint32_t tid = 100; tid <= 200; tid++) {
		if (gj_perf_maps_find(maps, tid, PW_BIN_VA, &map))
			continue;
		sink += strlen(map.path);
		if (map.build_id.size_bytes)
			sink += map.build_id.base[map.build_id.size_bytes - 1];
	}
	gj_perf_maps_free(maps);
}

/* Reads @size_bytes from memory of exactly that size, so that a sanitizer sees its end. */
static void read_copy(const uint8_t *bytes, size_t size_bytes)
{
	uint8_t *copy = malloc(size_bytes ? size_bytes : 1);

	if (!copy)
		return;
	memcpy(copy, bytes, size_bytes);
	read_file((struct gj_window){ copy, size_bytes });
	free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes)
{
	struct gj_cursor cur = gj_cursor_init((struct gj_window){ data, size_bytes });
	size_t cut_bytes;
	struct pw pw;

	if (size_bytes >= 8 && !memcmp(data, "PERFILE2", 8)) {
		read_copy(data, size_bytes);
		return 0;
	}
	pw_example(&pw);
	cut_bytes = gj_cursor_u16(&cur) % pw.size_bytes;
	while (gj_cursor_left(&cur) >= 6) {
		size_t off = gj_cursor_u16(&cur) % (pw.size_bytes - 4);

		pw_set(&pw, off, gj_cursor_u32(&cur), 4);
	}
	read_copy(pw.bytes, pw.size_bytes - cut_bytes);
	return 0;
}

void fuzz_seeds(void)
{
	struct pw pw;

	pw_example(&pw);
	fuzz_seed(pw.bytes, pw.size_bytes);
	fuzz_seed((uint8_t[]){ 0, 0 }, 2);
}
