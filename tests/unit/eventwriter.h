/* SPDX-License-Identifier: GPL-2.0 */
/* A small file of events, for unit tests and fuzzing. */
#ifndef GJ_TEST_EVENTWRITER_H
#define GJ_TEST_EVENTWRITER_H

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "events/events.h"
#include "goroutine/goroutine.h"

static inline const char *ew_func(void *data, uint32_t func)
{
	(void)data;
	return func == 7 ? NULL : func & 1 ? "main.odd" : "main.(*even).do";
}

static inline int ew_stack(void *data, const struct gj_event *event,
			   struct gj_events_stack *stack_out, struct gj_buf *pcs_out)
{
	uint64_t va = 0x401000;
	uint32_t row[2] = { 0x101, 0 };

	(void)data;
	*stack_out = (struct gj_events_stack){ .pc_cnt = event->goroutine.at % 3, .is_cut = true };
	for (uint32_t i = 0; i < stack_out->pc_cnt; i++) {
		gj_buf_add(pcs_out, &va, sizeof(va));
		gj_buf_add(pcs_out, row, sizeof(row));
	}
	return stack_out->pc_cnt ? 0 : -1;
}

static inline struct gj_events_writer *ew_begin(int fd)
{
	static const struct gj_events_head head = { .monotonic_ns = 1000, .realtime_ns = 2000,
						    .kinds = 6, .cpu_cnt = 2, .boot_id = "b-0" };
	static const struct gj_events_program program = { .go_minor = 24, .text_va = 0x401000,
							  .path = "/bin/p", .go_version = "go1.24",
							  .build_id = "ab", .go_build_id = "x/y" };
	static const struct gj_events_names names = { NULL, ew_func, ew_stack };
	struct gj_events_writer *writer = NULL;

	if (!gj_events_writer_new(fd, &head, &names, &writer) &&
	    gj_events_write_program(writer, &program, gj_wait_reason)) {
		gj_events_writer_free(writer);
		writer = NULL;
	}
	return writer;
}

/* An event of each kind and one that is newer, with all of its fields. */
static inline struct gj_event ew_event(unsigned int i)
{
	return (struct gj_event){
		.time_ns = 1500 + 10ull * (i ^ 1), .tgid = 100, .tid = 100 + i % 3, .goid = i * i,
		.func = i, .cpu = i % 2, .kind = (uint8_t)(i % (GJ_EVENT_KIND_CNT + 1)),
		.goroutine = { .from = (uint16_t)(i % 12), .to = 4, .reason = i % 70,
			       .other_goid = i % 4 ? 0 : UINT64_MAX, .at = i },
	};
}

/* The whole file, to be freed by the caller; NULL. */
static inline uint8_t *ew_file(unsigned int event_cnt, size_t *size_out)
{
	static const uint64_t lost[2] = { 0, 3 };
	int fd = memfd_create("events", 0);
	struct gj_events_writer *writer = ew_begin(fd);
	uint8_t *bytes = NULL;
	struct stat st;
	bool is_good = writer;

	for (unsigned int i = 1; is_good && i <= event_cnt; i++) {
		struct gj_event event = ew_event(i);

		is_good = !gj_events_write(writer, &event);
		if (is_good && i == event_cnt / 2)
			is_good = !gj_events_flush(writer, UINT64_MAX, lost, 2);
	}
	if (is_good && !gj_events_finish(writer, NULL, 0) && !fstat(fd, &st)) {
		*size_out = (size_t)st.st_size;
		bytes = malloc(*size_out);
		if (bytes && pread(fd, bytes, *size_out, 0) != (ssize_t)*size_out) {
			free(bytes);
			bytes = NULL;
		}
	}
	gj_events_writer_free(writer);
	close(fd);
	return bytes;
}

#endif
