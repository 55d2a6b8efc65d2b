/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Fuzz target: any bytes as a raw sample. Input: u64 sample_type, u64 mask of
 * registers, u16 misc, then the record. As perf does, the record is as long as
 * its header says or longer, never shorter.
 */
#include <stdlib.h>

#include "../unit/perfwriter.h"
#include "base/cursor.h"
#include "gojitter.h"
#include "seeds.h"

#define FIXED_FIELDS                                                                       \
	(PERF_SAMPLE_IDENTIFIER | PERF_SAMPLE_IP | PERF_SAMPLE_TID | PERF_SAMPLE_TIME |     \
	 PERF_SAMPLE_ADDR | PERF_SAMPLE_ID | PERF_SAMPLE_STREAM_ID | PERF_SAMPLE_CPU |      \
	 PERF_SAMPLE_PERIOD)
#define PREFIX_BYTES 18

static volatile uint64_t sink;

/* What was found must lie in the record. */
static void check_inside(const uint8_t *record, size_t size_bytes, const void *found,
			 uint64_t found_bytes)
{
	const uint8_t *pos = found;

	if (pos < record || found_bytes > size_bytes ||
	    (size_t)(pos - record) > size_bytes - found_bytes)
		abort();
}

static void read_record(uint64_t type, uint64_t mask, uint16_t misc, uint8_t *record,
			size_t size_bytes)
{
	size_t chain_off = 8 + 8 * (size_t)__builtin_popcountll(type & FIXED_FIELDS) + 8;
	struct gj_sample sample = { .size = sizeof(sample) };
	uint16_t header_bytes;

	if (size_bytes < chain_off)
		return;
	memcpy(&header_bytes, record + 6, 2);
	if (header_bytes > size_bytes) {
		header_bytes = (uint16_t)size_bytes;
		memcpy(record + 6, &header_bytes, 2);
	}
	/* The host reads these from the same record. */
	memcpy(&sample.chain_cnt, record + chain_off - 8, 8);
	if (type & PERF_SAMPLE_IP)
		memcpy(&sample.ip, record + (type & PERF_SAMPLE_IDENTIFIER ? 16 : 8), 8);
	sample.chain = (const uint64_t *)(const void *)(record + chain_off);
	if (gj_perf_record_regs(type, mask, misc, &sample))
		return;
	for (int i = 0; sample.regs.values && i < __builtin_popcountll(sample.regs.mask); i++) {
		check_inside(record, header_bytes, sample.regs.values + i, 8);
		sink += sample.regs.values[i];
	}
	if (!sample.stack)
		return;
	check_inside(record, header_bytes, sample.stack, sample.stack_bytes);
	if (sample.stack_bytes)
		sink += sample.stack[0] + sample.stack[sample.stack_bytes - 1];
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes)
{
	struct gj_cursor cur = gj_cursor_init((struct gj_window){ data, size_bytes });
	uint64_t type = gj_cursor_u64(&cur), mask = gj_cursor_u64(&cur);
	uint16_t misc = gj_cursor_u16(&cur);
	size_t left = gj_cursor_left(&cur);
	uint8_t *copy = malloc(left + 1);

	if (copy && left) {
		memcpy(copy, data + PREFIX_BYTES, left);
		read_record(type, mask, misc, copy, left);
	}
	free(copy);
	return 0;
}

/* With all there can be before registers and stack. */
void fuzz_seeds(void)
{
	uint64_t type = FIXED_FIELDS | PERF_SAMPLE_CALLCHAIN | PERF_SAMPLE_RAW |
			PERF_SAMPLE_REGS_USER | PERF_SAMPLE_STACK_USER;
	struct pw pw = { .size_bytes = 0 };

	pw_u64(&pw, type);
	pw_u64(&pw, 1ULL << 7 | 1ULL << 22);
	pw_u16(&pw, PERF_RECORD_MISC_USER);
	pw_record(&pw, PERF_RECORD_SAMPLE, PERF_RECORD_MISC_USER);
	for (uint64_t i = 0; i < 9; i++)
		pw_u64(&pw, 0x401000 + i);
	pw_u64(&pw, 2);
	pw_u64(&pw, PERF_CONTEXT_USER);
	pw_u64(&pw, 0x401001);
	pw_u32(&pw, 12);
	pw.size_bytes += 12;
	pw_u64(&pw, PERF_SAMPLE_REGS_ABI_64);
	pw_u64(&pw, 0x7ffc0000);
	pw_u64(&pw, 0xc000000100);
	pw_u64(&pw, 16);
	pw.size_bytes += 16;
	pw_u64(&pw, 16);
	pw_record_end(&pw);
	fuzz_seed(pw.bytes, pw.size_bytes);
}
