/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Writes the two-stack sampler's records by hand (bpf/gj_abi.h): rw_record(),
 * then rw_part() for each part, in any order of records; rw_finish() makes the
 * trailer.
 */
#ifndef GJ_TEST_RECORDWRITER_H
#define GJ_TEST_RECORDWRITER_H

#include <stdlib.h>

#include "base/buf.h"
#include "sample/sample.h"

/* Appends a record without parts and returns its offset. */
static inline size_t rw_record(struct gj_buf *file, const struct gj_stack_record *head)
{
	size_t off = file->size_bytes;
	struct gj_stack_record record = *head;

	record.bytes = sizeof(record);
	record.part_cnt = 0;
	gj_buf_add(file, &record, sizeof(record));
	return off;
}

/*
 * Puts a part into the record at @off, which is the last of the file: its head
 * goes between the heads and the bytes that are there.
 */
static inline void rw_part(struct gj_buf *file, size_t off, uint32_t kind, uint64_t va,
			   const void *bytes, uint32_t size_bytes)
{
	static const uint8_t zeros[8 + sizeof(struct gj_stack_part)];
	const struct gj_stack_part part = { .va = va, .bytes = size_bytes, .kind = kind };
	struct gj_stack_record record;
	size_t at, behind;

	memcpy(&record, file->data + off, sizeof(record));
	at = off + sizeof(record) + record.part_cnt * sizeof(part);
	behind = file->size_bytes - at;
	gj_buf_add(file, zeros, sizeof(part));
	memmove(file->data + at + sizeof(part), file->data + at, behind);
	memcpy(file->data + at, &part, sizeof(part));
	gj_buf_add(file, bytes, size_bytes);
	gj_buf_add(file, zeros, (8 - size_bytes % 8) % 8);
	record.part_cnt++;
	record.bytes = (uint32_t)(file->size_bytes - off);
	memcpy(file->data + off, &record, sizeof(record));
}

/* @body_off: where the first record stands */
static inline void rw_finish(struct gj_buf *file, size_t body_off, const char *magic)
{
	uint64_t body_bytes = file->size_bytes - body_off;

	gj_buf_add(file, &body_bytes, sizeof(body_bytes));
	gj_buf_add(file, magic, 8);
}

static inline struct gj_window rw_window(const struct gj_buf *file)
{
	return (struct gj_window){ (const uint8_t *)file->data, file->size_bytes };
}

#endif
