/* SPDX-License-Identifier: GPL-2.0 */
/* Losses and execs of a recording, written by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>

#include "perfwriter.h"
#include "sample/sample.h"

#define MAX_GAPS 8

struct gaps {
	struct gj_perf_gap list[MAX_GAPS];
	size_t cnt;
	int answer;
	size_t passed_bytes;
};

static int note(void *data, const struct gj_perf_gap *gap)
{
	struct gaps *gaps = data;

	if (gaps->cnt < MAX_GAPS)
		gaps->list[gaps->cnt] = *gap;
	gaps->cnt++;
	return gaps->answer;
}

static int find(const struct pw *pw, size_t size_bytes, struct gaps *gaps)
{
	/* A copy of exactly that size, so that a sanitizer sees its end. */
	uint8_t *copy = malloc(size_bytes ? size_bytes : 1);
	int err;

	assert_non_null(copy);
	memcpy(copy, pw->bytes, size_bytes);
	err = gj_perf_file_gaps((struct gj_window){ copy, size_bytes }, note, NULL, gaps);
	free(copy);
	return err;
}

/* Two processors, each with its own last time; a trace block between; an exec. */
static void write_example(struct pw *pw, uint64_t sample_type)
{
	pw_begin(pw);
	pw_attr(pw, sample_type);
	pw_sample(pw, 100, 0);
	pw_sample(pw, 150, 1);
	pw_sample(pw, 200, 0);
	pw_record(pw, 71, 0); /* AUXTRACE: bytes that are no records follow it */
	pw_u64(pw, 48);
	pw_record_end(pw);
	pw_lost(pw, 1000, 250, 0); /* 48 bytes of trace that only look like a record */
	pw_lost(pw, 5, 300, 1);
	pw_exec(pw, 77, 310, 1);
	pw_lost(pw, 6, 320, 1);
	pw_lost(pw, 7, 330, 0);
	pw_comm(pw, 78, 78, "no exec");
	pw_features(pw, 0);
}

static void assert_gap(const struct gj_perf_gap *gap, uint32_t pid, uint64_t begin_ns,
		       uint64_t end_ns, uint64_t lost_cnt)
{
	assert_int_equal(gap->pid, pid);
	assert_int_equal(gap->begin_ns, begin_ns);
	assert_int_equal(gap->end_ns, end_ns);
	assert_int_equal(gap->lost_cnt, lost_cnt);
}

static void losses_reach_back_on_their_processor(void **state)
{
	struct gaps gaps = { .cnt = 0 };
	struct pw pw;

	(void)state;
	write_example(&pw, PW_SAMPLE_ID);
	assert_int_equal(find(&pw, pw.size_bytes, &gaps), 0);
	assert_int_equal(gaps.cnt, 4);
	assert_gap(&gaps.list[0], 0, 150, 300, 5);
	assert_gap(&gaps.list[1], 77, 310, 310, 0);
	assert_gap(&gaps.list[2], 0, 310, 320, 6);
	assert_gap(&gaps.list[3], 0, 200, 330, 7);
}

/* Without processors a loss may have begun at any time. */
static void losses_without_a_processor(void **state)
{
	struct gaps gaps = { .cnt = 0 };
	struct pw pw;

	(void)state;
	pw_begin(&pw);
	pw_attr(&pw, PERF_SAMPLE_TIME);
	pw_record(&pw, PERF_RECORD_SAMPLE, 0);
	pw_u64(&pw, 100);
	pw_record_end(&pw);
	pw_record(&pw, PERF_RECORD_LOST, 0);
	pw_u64(&pw, 1);
	pw_u64(&pw, 9);
	pw_u64(&pw, 200);
	pw_record_end(&pw);
	pw_features(&pw, 0);
	assert_int_equal(find(&pw, pw.size_bytes, &gaps), 0);
	assert_int_equal(gaps.cnt, 1);
	assert_gap(&gaps.list[0], 0, 0, 200, 9);
}

static void no_times_no_gaps(void **state)
{
	struct gaps gaps = { .cnt = 0 };
	struct pw pw;

	(void)state;
	write_example(&pw, PERF_SAMPLE_CPU | PERF_SAMPLE_IDENTIFIER);
	assert_int_equal(find(&pw, pw.size_bytes, &gaps), -ENOENT);
	assert_int_equal(gaps.cnt, 0);
}

static void the_caller_can_stop(void **state)
{
	struct gaps gaps = { .answer = -ENOMEM };
	struct pw pw;

	(void)state;
	write_example(&pw, PW_SAMPLE_ID);
	assert_int_equal(find(&pw, pw.size_bytes, &gaps), -ENOMEM);
	assert_int_equal(gaps.cnt, 1);
}

static void count_passed(void *data, struct gj_window bytes)
{
	struct gaps *gaps = data;

	gaps->passed_bytes += bytes.size_bytes;
}

/* What has been read is handed on piece by piece, without a byte missing between. */
static void passed_bytes_add_up(void **state)
{
	enum { RECORD_BYTES = 32, RECORDS = 400000 };
	size_t head_bytes = PW_HEADER_BYTES + 128 + 16, size_bytes;
	struct gaps gaps = { .cnt = 0 };
	struct pw pw;
	uint8_t *file;

	(void)state;
	pw_begin(&pw);
	pw_attr(&pw, PW_SAMPLE_ID);
	pw_sample(&pw, 100, 0);
	assert_int_equal(pw.size_bytes, head_bytes + RECORD_BYTES);
	pw_set(&pw, 48, (uint64_t)RECORD_BYTES * RECORDS, 8);
	size_bytes = head_bytes + (size_t)RECORD_BYTES * RECORDS;
	file = malloc(size_bytes);
	assert_non_null(file);
	memcpy(file, pw.bytes, pw.size_bytes);
	for (size_t i = 1; i < RECORDS; i++)
		memcpy(file + head_bytes + i * RECORD_BYTES, pw.bytes + head_bytes, RECORD_BYTES);
	assert_int_equal(gj_perf_file_gaps((struct gj_window){ file, size_bytes }, note,
					   count_passed, &gaps), 0);
	assert_int_equal(gaps.passed_bytes, (size_bytes - head_bytes) / (4u << 20) * (4u << 20));
	free(file);
}

static void cut_anywhere(void **state)
{
	struct pw pw;

	(void)state;
	write_example(&pw, PW_SAMPLE_ID);
	for (size_t size_bytes = 0; size_bytes < pw.size_bytes; size_bytes++) {
		struct gaps gaps = { .cnt = 0 };

		find(&pw, size_bytes, &gaps);
		assert_true(gaps.cnt <= 4);
	}
}

static void a_damaged_record_ends_it(void **state)
{
	struct gaps gaps = { .cnt = 0 };
	struct pw pw;

	(void)state;
	pw_begin(&pw);
	pw_attr(&pw, PW_SAMPLE_ID);
	pw_lost(&pw, 5, 300, 1);
	pw_sample(&pw, 310, 1);
	pw_set(&pw, pw.record_off + 6, 4, 2);
	pw_features(&pw, 0);
	assert_int_equal(find(&pw, pw.size_bytes, &gaps), -EBADMSG);
	assert_int_equal(gaps.cnt, 1);
}

static void hostile_words_anywhere(void **state)
{
	static const uint64_t words[] = { 0, 1, UINT64_MAX, UINT64_MAX - 1, 1ULL << 63 };
	struct pw pw;

	(void)state;
	write_example(&pw, PW_SAMPLE_ID);
	for (size_t off = 16; off + 8 <= pw.size_bytes; off += 2) {
		for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
			struct pw broken = pw;
			struct gaps gaps = { .cnt = 0 };

			pw_set(&broken, off, words[i], 8);
			find(&broken, broken.size_bytes, &gaps);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(losses_reach_back_on_their_processor),
		cmocka_unit_test(losses_without_a_processor),
		cmocka_unit_test(no_times_no_gaps),
		cmocka_unit_test(the_caller_can_stop),
		cmocka_unit_test(passed_bytes_add_up),
		cmocka_unit_test(cut_anywhere),
		cmocka_unit_test(a_damaged_record_ends_it),
		cmocka_unit_test(hostile_words_anywhere),
	};

	return cmocka_run_group_tests_name("perf_gaps", tests, NULL, NULL);
}
