/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Fuzz target: snapshots behind a recording, then verdicts on samples of the
 * processes and goroutines they name. Input that does not end as a trailer
 * does is taken as the body of one, so that the fuzzer is inside from its
 * first input on.
 */
#include <stdlib.h>

#include "goroutine/goroutine.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes);

static bool has_footer(const uint8_t *data, size_t size_bytes)
{
	return size_bytes >= 16 && !memcmp(data + size_bytes - 8, GJ_TRAIL_MAGIC, 8);
}

/* Samples made of the input's own words, so that they meet what it names. */
static void ask_all(struct gj_ghistory *history, struct gj_window bytes)
{
	struct gj_cursor cur = gj_cursor_init(bytes);

	while (gj_cursor_left(&cur) >= 16) {
		struct gj_gevidence evidence = {
			.pid = gj_cursor_u32(&cur), .tid = gj_cursor_u32(&cur), .time_ns = 1u << 20,
			.has_g = true, .has_sp = true, .g = gj_cursor_u64(&cur), .leaf_is_go = true,
		};
		struct gj_goid goid;

		evidence.sp = evidence.g;
		gj_goid_find(history, &evidence, &goid);
		evidence.has_systemstack = evidence.root_goexit = true;
		gj_goid_find(history, &evidence, &goid);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes)
{
	struct gj_ghistory *history = gj_ghistory_new();
	struct gj_gswitch gswitch = { .pid = 1, .tid = 1, .time_ns = 1 };
	struct gj_buf file = { 0 };
	struct gj_diag diag = { 0 };
	uint8_t *copy = NULL;

	gj_buf_add(&file, data, size_bytes);
	if (!has_footer(data, size_bytes))
		gj_trail_finish(&file);
	/* Of exactly that size, so that a sanitizer sees its end. */
	if (history && !file.failed)
		copy = malloc(file.size_bytes);
	if (copy) {
		struct gj_window bytes = { copy, file.size_bytes };

		memcpy(copy, file.data, file.size_bytes);
		gj_ghistory_load_trailer(history, bytes, &diag);
		if (!gj_goexec_decode(bytes, &gswitch))
			gj_ghistory_switch(history, &gswitch);
		ask_all(history, bytes);
	}
	free(copy);
	gj_buf_deinit(&file);
	gj_ghistory_free(history);
	return 0;
}
