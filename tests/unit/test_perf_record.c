/* SPDX-License-Identifier: GPL-2.0 */
/* Registers and stack behind the call chain of a raw sample, written as the kernel does. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>

#include "gojitter.h"
#include "perfwriter.h"

#define IP 0x401234
#define MISC PERF_RECORD_MISC_USER
#define REG_MASK (1ULL << 6 | 1ULL << 7 | 1ULL << 22)
#define REG_CNT 3
#define CHAIN_CNT 2

#define CHAIN PERF_SAMPLE_CALLCHAIN
#define REGS PERF_SAMPLE_REGS_USER
#define STACK PERF_SAMPLE_STACK_USER
#define BASIC (PERF_SAMPLE_IP | PERF_SAMPLE_TID | PERF_SAMPLE_TIME | PERF_SAMPLE_PERIOD | CHAIN)

struct record {
	const char *name;
	uint64_t type;
	uint32_t raw_bytes;   /* with its own u32: a multiple of 8 */
	uint64_t stack_bytes, dyn_bytes;
	bool no_abi;          /* a kernel thread: no user registers */
	int want;
	bool want_regs;
	uint64_t want_stack_bytes;
};

static const struct record records[] = {
	{ "registers", BASIC | REGS, .want_regs = true },
	{ "stack", BASIC | STACK, .stack_bytes = 64, .dyn_bytes = 64, .want_stack_bytes = 64 },
	{ "both", BASIC | REGS | STACK, .stack_bytes = 64, .dyn_bytes = 40, .want_regs = true,
	  .want_stack_bytes = 40 },
	{ "behind raw bytes", BASIC | PERF_SAMPLE_RAW | REGS | STACK, .raw_bytes = 64,
	  .stack_bytes = 16, .dyn_bytes = 16, .want_regs = true, .want_stack_bytes = 16 },
	{ "every fixed field",
	  BASIC | PERF_SAMPLE_IDENTIFIER | PERF_SAMPLE_ADDR | PERF_SAMPLE_ID |
		  PERF_SAMPLE_STREAM_ID | PERF_SAMPLE_CPU | REGS,
	  .want_regs = true },
	{ "no fixed field", CHAIN | REGS, .want_regs = true },
	{ "identifier before the address", PERF_SAMPLE_IDENTIFIER | PERF_SAMPLE_IP | CHAIN | REGS,
	  .want_regs = true },
	{ "kernel thread", BASIC | REGS, .no_abi = true },
	{ "kernel thread, stack", BASIC | REGS | STACK, .no_abi = true, .stack_bytes = 0 },
	{ "empty stack", BASIC | REGS | STACK, .stack_bytes = 0, .want_regs = true },
	{ "nothing of the dump filled", BASIC | STACK, .stack_bytes = 32, .dyn_bytes = 0 },
	{ "more filled than dumped", BASIC | STACK, .stack_bytes = 32, .dyn_bytes = 1 << 20,
	  .want_stack_bytes = 32 },
	{ "neither recorded", BASIC, .want = -ENOENT },
	{ "no call chain", (BASIC & ~(uint64_t)CHAIN) | REGS, .want = -ENOENT },
	{ "a counter's values, of any length", BASIC | REGS | PERF_SAMPLE_READ, .want = -ENOENT },
	{ "branches, of any length", BASIC | REGS | PERF_SAMPLE_BRANCH_STACK, .want = -ENOENT },
};
#define RECORD_CNT (sizeof(records) / sizeof(records[0]))

/* A record is one of many in its buffer: something stands before it. */
#define LEAD_BYTES 128

/* The record behind LEAD_BYTES; *chain_off_out: where nr stands. */
static void write_record(struct pw *pw, const struct record *record, size_t *chain_off_out)
{
	static const uint64_t before[] = { PERF_SAMPLE_IDENTIFIER, PERF_SAMPLE_IP, PERF_SAMPLE_TID,
					   PERF_SAMPLE_TIME,       PERF_SAMPLE_ADDR, PERF_SAMPLE_ID,
					   PERF_SAMPLE_STREAM_ID,  PERF_SAMPLE_CPU,
					   PERF_SAMPLE_PERIOD };

	memset(pw, 0, sizeof(*pw));
	pw->size_bytes = LEAD_BYTES;
	pw_record(pw, PERF_RECORD_SAMPLE, MISC);
	for (size_t i = 0; i < sizeof(before) / sizeof(before[0]); i++)
		if (record->type & before[i])
			pw_u64(pw, before[i] == PERF_SAMPLE_IP ? IP : 0x1111 * (i + 1));
	*chain_off_out = pw->size_bytes;
	pw_u64(pw, CHAIN_CNT);
	pw_u64(pw, PERF_CONTEXT_USER);
	pw_u64(pw, IP);
	if (record->type & PERF_SAMPLE_RAW) {
		pw_u32(pw, record->raw_bytes - 4);
		pw->size_bytes += record->raw_bytes - 4;
	}
	if (record->type & REGS) {
		pw_u64(pw, record->no_abi ? PERF_SAMPLE_REGS_ABI_NONE : PERF_SAMPLE_REGS_ABI_64);
		for (uint64_t i = 0; i < REG_CNT && !record->no_abi; i++)
			pw_u64(pw, 0xc000000000 + i);
	}
	if (record->type & STACK) {
		pw_u64(pw, record->stack_bytes);
		memset(pw->bytes + pw->size_bytes, 0x5a, record->stack_bytes);
		pw->size_bytes += record->stack_bytes;
		if (record->stack_bytes)
			pw_u64(pw, record->dyn_bytes);
	}
	pw_record_end(pw);
}

static struct gj_sample sample_at(const uint8_t *bytes, size_t chain_off)
{
	return (struct gj_sample){
		.size = sizeof(struct gj_sample),
		.ip = IP,
		.chain = (const uint64_t *)(const void *)(bytes + chain_off + 8),
		.chain_cnt = CHAIN_CNT,
	};
}

static void each_layout_gives_what_it_holds(void **state)
{
	(void)state;
	for (size_t i = 0; i < RECORD_CNT; i++) {
		const struct record *record = &records[i];
		struct gj_sample sample;
		size_t chain_off;
		struct pw pw;
		int err;

		write_record(&pw, record, &chain_off);
		sample = sample_at(pw.bytes, chain_off);
		err = gj_perf_record_regs(record->type, REG_MASK, MISC, &sample);
		if (err != record->want)
			fail_msg("%s: %d", record->name, err);
		if (!!sample.regs.values != record->want_regs)
			fail_msg("%s: registers", record->name);
		if (sample.regs.values) {
			assert_int_equal(sample.regs.mask, REG_MASK);
			for (uint64_t reg = 0; reg < REG_CNT; reg++)
				assert_int_equal(sample.regs.values[reg], 0xc000000000 + reg);
		}
		if (sample.stack_bytes != record->want_stack_bytes)
			fail_msg("%s: stack of %d bytes", record->name, (int)sample.stack_bytes);
		for (uint64_t b = 0; b < sample.stack_bytes; b++)
			assert_int_equal(sample.stack[b], 0x5a);
	}
}

/* What stands before the chain is not this sample's header: the host made the chain. */
static void a_chain_from_elsewhere_is_refused(void **state)
{
	const struct record *record = &records[2];
	struct gj_sample sample;
	size_t chain_off;
	struct pw pw;

	(void)state;
	write_record(&pw, record, &chain_off);
#define REFUSED(type, misc)                                                                       \
	do {                                                                                      \
		assert_int_equal(gj_perf_record_regs(type, REG_MASK, misc, &sample), -EBADMSG);   \
		assert_null(sample.regs.values);                                                  \
		assert_null(sample.stack);                                                        \
	} while (0)
	sample = sample_at(pw.bytes, chain_off);
	REFUSED(record->type, PERF_RECORD_MISC_KERNEL);
	REFUSED(record->type | PERF_SAMPLE_CPU, MISC);
	sample.ip++;
	REFUSED(record->type, MISC);
	sample = sample_at(pw.bytes, chain_off);
	sample.chain_cnt--;
	REFUSED(record->type, MISC);
	sample = sample_at(pw.bytes, chain_off);
	pw_set(&pw, LEAD_BYTES, PERF_RECORD_MMAP2, 4);
	REFUSED(record->type, MISC);
	/* Eight bytes for each of these wrap around to nothing. */
	pw_set(&pw, LEAD_BYTES, PERF_RECORD_SAMPLE, 4);
	pw_set(&pw, chain_off, 1ULL << 61, 8);
	sample.chain_cnt = 1ULL << 61;
	REFUSED(record->type, MISC);
	sample.chain = NULL;
	assert_int_equal(gj_perf_record_regs(record->type, REG_MASK, MISC, &sample), -ENOENT);
}

static void raw_bytes_that_end_askew_are_refused(void **state)
{
	const struct record *record = &records[3];
	struct gj_sample sample;
	size_t chain_off;
	struct pw pw;

	(void)state;
	write_record(&pw, record, &chain_off);
	sample = sample_at(pw.bytes, chain_off);
	pw_set(&pw, chain_off + 8 + 8 * CHAIN_CNT, record->raw_bytes - 5, 4);
	REFUSED(record->type, MISC);
}

/* Reads what was found; the record fills its memory. Offsets are those in the writer. */
static void use(const uint8_t *bytes, size_t size_bytes, size_t chain_off, uint64_t type,
		uint64_t chain_cnt)
{
	uint8_t *copy = malloc(size_bytes - LEAD_BYTES);
	volatile uint64_t sum = 0;
	struct gj_sample sample;

	memcpy(copy, bytes + LEAD_BYTES, size_bytes - LEAD_BYTES);
	sample = sample_at(copy, chain_off - LEAD_BYTES);
	sample.chain_cnt = chain_cnt;
	/* What ends too early gives nothing, not half of it. */
	if (gj_perf_record_regs(type, REG_MASK, MISC, &sample)) {
		assert_null(sample.regs.values);
		assert_null(sample.stack);
	}
	for (int i = 0; sample.regs.values && i < REG_CNT; i++)
		sum += sample.regs.values[i];
	for (uint64_t i = 0; i < sample.stack_bytes; i++)
		sum += sample.stack[i];
	free(copy);
}

/* A record never says it is longer than it is; anything else may be. */
static void cut_anywhere(void **state)
{
	(void)state;
	for (size_t i = 0; i < RECORD_CNT; i++) {
		size_t chain_off;
		struct pw pw;

		write_record(&pw, &records[i], &chain_off);
		for (size_t cut = chain_off + 8; cut <= pw.size_bytes; cut++) {
			pw_set(&pw, LEAD_BYTES + 6, cut - LEAD_BYTES, 2);
			use(pw.bytes, cut, chain_off, records[i].type, CHAIN_CNT);
		}
		for (size_t size = 0; size <= pw.size_bytes - LEAD_BYTES; size++) {
			pw_set(&pw, LEAD_BYTES + 6, size, 2);
			use(pw.bytes, pw.size_bytes, chain_off, records[i].type, CHAIN_CNT);
		}
	}
}

static void hostile_counts_anywhere(void **state)
{
	static const uint64_t words[] = { 0, 1, 3, 4, UINT64_MAX, UINT64_MAX - 1, 1ULL << 63, 1ULL << 61 };

	(void)state;
	for (size_t i = 0; i < RECORD_CNT; i++) {
		for (size_t w = 0; w < sizeof(words) / sizeof(words[0]); w++) {
			size_t chain_off;
			struct pw pw;

			write_record(&pw, &records[i], &chain_off);
			for (size_t off = chain_off; off + 8 <= pw.size_bytes; off += 4) {
				struct pw broken = pw;

				pw_set(&broken, off, words[w], 8);
				use(broken.bytes, broken.size_bytes, chain_off, records[i].type,
				    off == chain_off ? words[w] : CHAIN_CNT);
			}
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_layout_gives_what_it_holds),
		cmocka_unit_test(a_chain_from_elsewhere_is_refused),
		cmocka_unit_test(raw_bytes_that_end_askew_are_refused),
		cmocka_unit_test(cut_anywhere),
		cmocka_unit_test(hostile_counts_anywhere),
	};

	return cmocka_run_group_tests_name("perf_record", tests, NULL, NULL);
}
