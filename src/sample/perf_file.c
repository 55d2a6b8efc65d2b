/* SPDX-License-Identifier: GPL-2.0 */
/*
 * perf.data's header, as far as its data, the machine and the names of its events
 * (tools/perf/Documentation/perf.data-file-format.txt):
 *
 *   0 "PERFILE2"   8 u64 size (a pipe's header has 16)   16 u64 attr size   24 attrs {off, size}
 *  40 data {off, size}   56 event types {off, size}   72 u64 features[4]
 *
 * Behind the data stands one {off, size} per feature bit set, lowest first.
 * HEADER_ARCH (6): u32 length, text as uname -m has it.
 * HEADER_EVENT_DESC (12): u32 events, u32 attr size, then per event the attr,
 * u32 ids, u32 name length, name, u64 id[].
 * HEADER_CLOCK_DATA (29): u32 version 1, u32 clock, u64 time of day, u64 clock's time.
 */
#include <errno.h>

#include "sample/sample.h"

#define RECORD_AUXTRACE 71 /* tools/perf/util/event.h: u64 size, ...; that many bytes follow */
#define HEADER_TRACING_DATA 1
#define HEADER_ARCH 6
#define HEADER_EVENT_DESC 12
#define HEADER_CLOCK_DATA 29
#define MIN_HEADER_BYTES 104
#define MAX_EVENTS 65536
#define MAX_NAME 512

static bool find_data(struct gj_window file, uint64_t *off_out, uint64_t *size_bytes_out)
{
	uint64_t header_bytes;

	return file.size_bytes >= MIN_HEADER_BYTES && !memcmp(file.base, "PERFILE2", 8) &&
	       gj_window_u64(file, 8, &header_bytes) && header_bytes >= MIN_HEADER_BYTES &&
	       gj_window_u64(file, 40, off_out) && gj_window_u64(file, 48, size_bytes_out) &&
	       gj_window_holds(file, *off_out, *size_bytes_out);
}

struct gj_window gj_perf_file_data(struct gj_window file)
{
	uint64_t off, size_bytes;

	if (!find_data(file, &off, &size_bytes))
		return (struct gj_window){ NULL, 0 };
	return gj_window_slice(file, off, size_bytes);
}

bool gj_perf_record_next(struct gj_cursor *cur, struct gj_perf_record *record_out)
{
	uint16_t size_bytes;
	uint64_t trace_bytes;

	if (!gj_cursor_left(cur))
		return false;
	record_out->type = gj_cursor_u32(cur);
	record_out->misc = gj_cursor_u16(cur);
	size_bytes = gj_cursor_u16(cur);
	/* A size below the header's own wraps and fails here too. */
	record_out->body = (struct gj_window){ gj_cursor_take(cur, size_bytes - 8ULL),
					       size_bytes - 8U };
	if (gj_cursor_failed(cur))
		return false;
	if (record_out->type == RECORD_AUXTRACE &&
	    gj_window_u64(record_out->body, 0, &trace_bytes))
		gj_cursor_take(cur, trace_bytes);
	return true;
}

/* The bytes of feature @bit, empty when the file has none. */
static struct gj_window find_feature(struct gj_window file, unsigned int bit)
{
	struct gj_window none = { NULL, 0 };
	uint64_t data_off, data_bytes, features, off, size_bytes;

	if (!find_data(file, &data_off, &data_bytes) || !gj_window_u64(file, 72, &features) ||
	    !(features >> bit & 1))
		return none;
	off = data_off + data_bytes +
	      16 * (uint64_t)__builtin_popcountll(features & ((1ULL << bit) - 1));
	if (!gj_window_u64(file, off + 8, &size_bytes) || !gj_window_u64(file, off, &off))
		return none;
	return gj_window_slice(file, off, size_bytes);
}

struct gj_window gj_perf_file_formats(struct gj_window file)
{
	return find_feature(file, HEADER_TRACING_DATA);
}

unsigned int gj_perf_file_event_width(struct gj_window file)
{
	struct gj_cursor cur = gj_cursor_init(find_feature(file, HEADER_EVENT_DESC));
	uint32_t event_cnt = gj_cursor_u32(&cur);
	uint32_t attr_bytes = gj_cursor_u32(&cur);
	unsigned int width = 0;

	for (uint32_t i = 0; i < event_cnt && i < MAX_EVENTS; i++) {
		uint32_t id_cnt, name_bytes;
		const uint8_t *name;

		gj_cursor_take(&cur, attr_bytes);
		id_cnt = gj_cursor_u32(&cur);
		name_bytes = gj_cursor_u32(&cur);
		name = gj_cursor_take(&cur, name_bytes);
		gj_cursor_take(&cur, 8 * (uint64_t)id_cnt);
		if (gj_cursor_failed(&cur))
			break;
		name_bytes = (uint32_t)strnlen((const char *)name, name_bytes);
		if (name_bytes > width && name_bytes <= MAX_NAME)
			width = name_bytes;
	}
	return width;
}

int gj_perf_file_clock(struct gj_window file, uint64_t *wall_ns_out, uint64_t *clock_ns_out)
{
	struct gj_window clock = find_feature(file, HEADER_CLOCK_DATA);
	uint32_t version;

	if (!gj_window_u32(clock, 0, &version) || version != 1 ||
	    !gj_window_u64(clock, 8, wall_ns_out) || !gj_window_u64(clock, 16, clock_ns_out))
		return -ENOENT;
	return 0;
}

enum gj_recorded gj_perf_file_machine(struct gj_window file)
{
	struct gj_cursor cur = gj_cursor_init(find_feature(file, HEADER_ARCH));
	struct gj_window name = { NULL, gj_cursor_u32(&cur) };
	const char *text;

	name.base = gj_cursor_take(&cur, name.size_bytes);
	text = name.base ? gj_window_string(name, 0) : NULL;
	if (!text)
		return GJ_RECORDED_UNKNOWN;
	if (!strcmp(text, "aarch64") || !strcmp(text, "arm64"))
		return GJ_RECORDED_ARM64;
	return strcmp(text, "x86_64") ? GJ_RECORDED_OTHER : GJ_RECORDED_AMD64;
}
