/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Where a recording is not the whole truth: records that were lost, and
 * programs that were replaced by exec.
 *
 * Other than samples, records end with the fields of sample_id
 * (include/uapi/linux/perf_event.h): TID TIME ID STREAM_ID CPU IDENTIFIER, one
 * u64 each as far as sample_type asks for them.
 *
 * perf keeps one ring buffer per processor. A PERF_RECORD_LOST is written when
 * its buffer has room again: what is missing lies between the record before it
 * on that processor and itself. A recording that does not tell the processor
 * of its records could have lost something at any time before.
 */
#include <errno.h>
#include <linux/perf_event.h>
#include <stdlib.h>

#include "sample/sample.h"

#define MAX_CPUS 8192 /* CONFIG_NR_CPUS_RANGE_END of arch/x86/Kconfig */

struct scan {
	uint64_t sample_type;
	struct gj_perf_gap gap;
	uint64_t last_ns[MAX_CPUS]; /* by processor, 0: nothing yet */
};

/* sample_type of the first event; all events of one recording agree on what matters here. */
static int read_sample_type(struct gj_window file, uint64_t *sample_type_out)
{
	uint64_t attrs_off, attrs_bytes;

	if (!gj_window_u64(file, 24, &attrs_off) || !gj_window_u64(file, 32, &attrs_bytes) ||
	    attrs_bytes < 32 || attrs_off > file.size_bytes ||
	    !gj_window_u64(file, attrs_off + 24, sample_type_out))
		return -EBADMSG;
	return *sample_type_out & PERF_SAMPLE_TIME ? 0 : -ENOENT;
}

/* How many bytes those fields of @fields take that the recording has. */
static uint64_t width(const struct scan *scan, uint64_t fields)
{
	return 8 * (uint64_t)__builtin_popcountll(scan->sample_type & fields);
}

/* Offsets of time and processor in a record's body; false when it is too short for them. */
static bool find_fields(const struct scan *scan, const struct gj_perf_record *record,
			uint64_t *time_off_out, uint64_t *cpu_off_out)
{
	uint64_t between = width(scan, PERF_SAMPLE_ID | PERF_SAMPLE_STREAM_ID), behind;

	if (record->type == PERF_RECORD_SAMPLE) {
		*time_off_out = width(scan, PERF_SAMPLE_IDENTIFIER | PERF_SAMPLE_IP |
					    PERF_SAMPLE_TID);
		*cpu_off_out = *time_off_out + 8 + width(scan, PERF_SAMPLE_ADDR) + between;
		return true;
	}
	behind = between + width(scan, PERF_SAMPLE_CPU | PERF_SAMPLE_IDENTIFIER) + 8;
	if (record->body.size_bytes < behind)
		return false;
	*time_off_out = record->body.size_bytes - behind;
	*cpu_off_out = *time_off_out + 8 + between;
	return true;
}

/* The last time seen on the record's processor, NULL when that is not known. */
static uint64_t *last_of_cpu(struct scan *scan, struct gj_window body, uint64_t cpu_off)
{
	uint32_t cpu;

	if (!(scan->sample_type & PERF_SAMPLE_CPU) || !gj_window_u32(body, cpu_off, &cpu) ||
	    cpu >= MAX_CPUS)
		return NULL;
	return &scan->last_ns[cpu];
}

/* {u64 id, u64 lost} */
static void note_loss(struct scan *scan, struct gj_window body, uint64_t begin_ns,
		      uint64_t time_ns)
{
	scan->gap = (struct gj_perf_gap){ .begin_ns = begin_ns, .end_ns = time_ns };
	gj_window_u64(body, 8, &scan->gap.lost_cnt);
}

/* {u32 pid, u32 tid, comm}: another program from here on. */
static bool note_exec(struct scan *scan, struct gj_window body, uint64_t time_ns)
{
	scan->gap = (struct gj_perf_gap){ .begin_ns = time_ns, .end_ns = time_ns };
	return gj_window_u32(body, 0, &scan->gap.pid) && scan->gap.pid;
}

/* True when the record makes scan->gap. */
static bool look(struct scan *scan, const struct gj_perf_record *record)
{
	uint64_t time_ns, time_off, cpu_off, begin_ns, *last;

	/* Records that perf itself makes have no time, or one of 0. */
	if (record->type > PERF_RECORD_SAMPLE && record->type != PERF_RECORD_SWITCH)
		return false;
	if (!find_fields(scan, record, &time_off, &cpu_off) ||
	    !gj_window_u64(record->body, time_off, &time_ns) || !time_ns)
		return false;
	last = last_of_cpu(scan, record->body, cpu_off);
	begin_ns = last ? *last : 0;
	if (last)
		*last = time_ns;
	if (record->type == PERF_RECORD_LOST) {
		note_loss(scan, record->body, begin_ns, time_ns);
		return true;
	}
	return record->type == PERF_RECORD_COMM && (record->misc & PERF_RECORD_MISC_COMM_EXEC) &&
	       note_exec(scan, record->body, time_ns);
}

#define PASS_BYTES (4u << 20)

/* Hands on what lies between *from_off and the cursor, once that is worth it. */
static void pass(struct gj_window data, const struct gj_cursor *cur, size_t *from_off,
		 void (*passed)(void *data, struct gj_window bytes), void *passed_data)
{
	size_t off = data.size_bytes - gj_cursor_left(cur);

	if (!passed || off - *from_off < PASS_BYTES)
		return;
	passed(passed_data, gj_window_slice(data, *from_off, off - *from_off));
	*from_off = off;
}

static int walk(struct scan *scan, struct gj_window data,
		int (*found)(void *data, const struct gj_perf_gap *gap),
		void (*passed)(void *data, struct gj_window bytes), void *callback_data)
{
	struct gj_cursor cur = gj_cursor_init(data);
	struct gj_perf_record record;
	size_t from_off = 0;

	while (gj_perf_record_next(&cur, &record)) {
		int err = look(scan, &record) ? found(callback_data, &scan->gap) : 0;

		if (err)
			return err;
		pass(data, &cur, &from_off, passed, callback_data);
	}
	return gj_cursor_failed(&cur) ? -EBADMSG : 0;
}

int gj_perf_file_gaps(struct gj_window file,
		      int (*found)(void *data, const struct gj_perf_gap *gap),
		      void (*passed)(void *data, struct gj_window bytes), void *data)
{
	uint64_t sample_type;
	struct scan *scan;
	int err = read_sample_type(file, &sample_type);

	if (err)
		return err;
	scan = calloc(1, sizeof(*scan));
	if (!scan)
		return -ENOMEM;
	scan->sample_type = sample_type;
	err = walk(scan, gj_perf_file_data(file), found, passed, data);
	free(scan);
	return err;
}
