/* SPDX-License-Identifier: GPL-2.0 */
/* Fuzz target: files of events, read and printed in both forms. */
#include "../unit/eventwriter.h"
#include "seeds.h"

#define MAX_EVENTS 20000 /* of one input: two bytes are an event, a line of it hundreds */

static void print(const struct gj_events *events, const struct gj_event *event, struct gj_buf *line)
{
	struct gj_events_stack stack;
	uint32_t func;
	uint64_t va;

	line->size_bytes = 0;
	gj_events_text(events, event, line);
	gj_events_json(events, event, line);
	if (gj_events_stack(events, event, &stack))
		return;
	for (uint32_t i = 0; i < 64 && gj_events_stack_pc(&stack, i, &va, &func); i++)
		gj_events_func(events, func);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes)
{
	struct gj_events *events = NULL;
	struct gj_diag diag = { 0 };
	struct gj_buf line = { 0 };
	struct gj_event event;

	if (gj_events_open_bytes((struct gj_window){ data, size_bytes }, "input", &events, &diag))
		return 0;
	for (unsigned int i = 0; i < MAX_EVENTS && gj_events_next(events, &event, &diag) > 0; i++)
		print(events, &event, &line);
	line.size_bytes = 0;
	gj_events_json_head(events, &line);
	gj_events_close(events);
	gj_buf_deinit(&line);
	return 0;
}

void fuzz_seeds(void)
{
	static const unsigned int cnts[] = { 0, 1, 40 };

	for (unsigned int i = 0; i < 3; i++) {
		size_t size_bytes = 0;
		uint8_t *bytes = ew_file(cnts[i], &size_bytes);

		if (bytes)
			fuzz_seed(bytes, size_bytes);
		free(bytes);
	}
}
