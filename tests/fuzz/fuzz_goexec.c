/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Fuzz target: any record of our probe, as the history takes it, and any text
 * as tracefs' uprobe_events.
 */
#include <stdlib.h>

#include "seeds.h"
#include "session/goexec.h"

static void read_records(struct gj_window bytes)
{
	struct gj_ghistory *history = gj_ghistory_new();
	struct gj_cursor cur = gj_cursor_init(bytes);
	uint64_t time_ns = 1;

	while (history && gj_cursor_left(&cur) >= 8) {
		struct gj_gswitch gswitch = { .pid = gj_cursor_u16(&cur), .tid = gj_cursor_u16(&cur),
					      .time_ns = time_ns += gj_cursor_u32(&cur) };
		struct gj_window raw = { cur.pos, gj_cursor_left(&cur) };
		struct gj_gevidence evidence = { .pid = gswitch.pid, .tid = gswitch.tid,
						 .time_ns = gswitch.time_ns + 1, .has_g = true,
						 .leaf_is_go = true, .root_goexit = true };
		struct gj_goid goid;

		if (gj_goexec_decode(raw, &gswitch))
			break;
		gj_ghistory_switch(history, &gswitch);
		evidence.g = gswitch.g;
		gj_goid_find(history, &evidence, &goid);
		/* What the record says of its own thread and g is all there is to go by. */
		if (goid.state == GJ_GOID_KNOWN && goid.goid != gswitch.goid)
			abort();
		gj_cursor_take(&cur, 56);
	}
	gj_ghistory_free(history);
}

static void read_definitions(const char *text)
{
	const char *end = text + strlen(text);
	struct gj_probe_def def;

	while (gj_probe_def_next(&text, &def))
		if (def.name + def.name_bytes > end || def.path + def.path_bytes > end)
			abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes)
{
	char *copy = malloc(size_bytes + 1);

	if (!copy)
		return 0;
	memcpy(copy, data, size_bytes);
	copy[size_bytes] = '\0';
	read_definitions(copy);
	free(copy);
	copy = malloc(size_bytes ? size_bytes : 1);
	if (!copy)
		return 0;
	memcpy(copy, data, size_bytes);
	read_records((struct gj_window){ (const uint8_t *)copy, size_bytes });
	free(copy);
	return 0;
}

void fuzz_seeds(void)
{
	static const char definition[] =
		"p:gojitter/goexec_1 /bin/app:0x000000000003ba04 g=%ax:x64 goid=+152(%ax):u64\n";
	/* pid and tid 1, then 2, both on the same g. */
	uint64_t records[16] = { 0x0000000500010001, 0, 0, 0xc000000100, 1, 0xc000001000, 0xc000002000, 3,
				 0x0000000600020001, 0, 0, 0xc000000100, 1, 0xc000001000, 0xc000002000, 3 };

	fuzz_seed(definition, sizeof(definition) - 1);
	fuzz_seed(records, sizeof(records));
}
