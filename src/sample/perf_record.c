/* SPDX-License-Identifier: GPL-2.0 */
/*
 * User registers and stack bytes of a raw PERF_RECORD_SAMPLE, reached from the
 * call chain inside it (include/uapi/linux/perf_event.h, PERF_RECORD_SAMPLE):
 *
 *   header {u32 type, u16 misc, u16 size}
 *   IDENTIFIER IP TID TIME ADDR ID STREAM_ID CPU PERIOD   one u64 each, if asked for
 *   [READ]                                                 length varies
 *   u64 nr; u64 ips[nr]                                    CALLCHAIN
 *   u32 size; bytes                                        RAW
 *   [BRANCH_STACK]                                         length varies
 *   u64 abi; u64 regs[]                                    REGS_USER, regs only when abi != 0
 *   u64 size; bytes; u64 dyn_size                          STACK_USER, dyn_size only when size != 0
 *
 * A host may have made the chain itself; then what stands before it is no
 * header of this sample and nothing is taken.
 */
#include <errno.h>
#include <linux/perf_event.h>

#include "base/cursor.h"
#include "base/limits.h"
#include "gojitter.h"

#define FIXED_FIELDS                                                                       \
	(PERF_SAMPLE_IDENTIFIER | PERF_SAMPLE_IP | PERF_SAMPLE_TID | PERF_SAMPLE_TIME |     \
	 PERF_SAMPLE_ADDR | PERF_SAMPLE_ID | PERF_SAMPLE_STREAM_ID | PERF_SAMPLE_CPU |      \
	 PERF_SAMPLE_PERIOD)

/* The record's bytes from the call chain's nr on, empty unless everything before it fits. */
static struct gj_window find_tail(uint64_t sample_type, uint16_t misc,
				  const struct gj_sample *sample)
{
	struct gj_window none = { NULL, 0 };
	size_t before = sizeof(struct perf_event_header) +
			8 * (size_t)__builtin_popcountll(sample_type & FIXED_FIELDS);
	const uint8_t *nr = (const uint8_t *)(sample->chain - 1);
	struct perf_event_header header;
	uint64_t chain_cnt, ip;

	memcpy(&header, nr - before, sizeof(header));
	memcpy(&chain_cnt, nr, sizeof(chain_cnt));
	if (header.type != PERF_RECORD_SAMPLE || header.misc != misc ||
	    chain_cnt != sample->chain_cnt || header.size <= before)
		return none;
	if (sample_type & PERF_SAMPLE_IP) {
		memcpy(&ip, nr - before + sizeof(header) +
				    (sample_type & PERF_SAMPLE_IDENTIFIER ? 8 : 0), sizeof(ip));
		if (ip != sample->ip)
			return none;
	}
	return (struct gj_window){ nr, header.size - before };
}

static void take_regs(struct gj_cursor *cur, uint64_t mask, struct gj_sample *sample)
{
	uint64_t abi = gj_cursor_u64(cur);
	const uint8_t *values;

	if (!abi)
		return;
	values = gj_cursor_take(cur, 8 * (uint64_t)__builtin_popcountll(mask));
	if (values)
		sample->regs = (struct gj_regs){ mask, (const uint64_t *)(const void *)values };
}

static void take_stack(struct gj_cursor *cur, struct gj_sample *sample)
{
	uint64_t size_bytes = gj_cursor_u64(cur);
	const uint8_t *bytes = size_bytes ? gj_cursor_take(cur, size_bytes) : NULL;
	uint64_t dyn_bytes = bytes ? gj_cursor_u64(cur) : 0;

	if (!bytes || gj_cursor_failed(cur))
		return;
	/* dyn_size says how much of the dump the kernel really filled. */
	sample->stack = bytes;
	sample->stack_bytes = dyn_bytes < size_bytes ? dyn_bytes : size_bytes;
}

int gj_perf_record_regs(uint64_t sample_type, uint64_t sample_regs_user, uint16_t misc,
			struct gj_sample *sample)
{
	struct gj_sample found = *sample;
	struct gj_cursor cur;
	struct gj_window tail;
	uint32_t raw_bytes = 0;

	if (!(sample_type & (PERF_SAMPLE_REGS_USER | PERF_SAMPLE_STACK_USER)) ||
	    !(sample_type & PERF_SAMPLE_CALLCHAIN) || !sample->chain)
		return -ENOENT;
	if ((sample_type & PERF_SAMPLE_READ) || (sample_type & PERF_SAMPLE_BRANCH_STACK))
		return -ENOENT;
	tail = find_tail(sample_type, misc, sample);
	cur = gj_cursor_init(tail);
	if (sample->chain_cnt > tail.size_bytes / 8)
		return -EBADMSG;
	gj_cursor_take(&cur, 8 + 8 * sample->chain_cnt);
	if (sample_type & PERF_SAMPLE_RAW)
		raw_bytes = gj_cursor_u32(&cur);
	gj_cursor_take(&cur, raw_bytes);
	/* The kernel fills RAW up, so that registers can be read where they are. */
	if (gj_cursor_failed(&cur) || (sample_type & PERF_SAMPLE_RAW && raw_bytes % 8 != 4))
		return -EBADMSG;
	if (sample_type & PERF_SAMPLE_REGS_USER)
		take_regs(&cur, sample_regs_user, &found);
	if (sample_type & PERF_SAMPLE_STACK_USER)
		take_stack(&cur, &found);
	if (gj_cursor_failed(&cur))
		return -EBADMSG;
	*sample = found;
	return 0;
}
