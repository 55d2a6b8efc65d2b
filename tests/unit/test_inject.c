/* SPDX-License-Identifier: GPL-2.0 */
/* Recordings written by hand, copied with other chains and taken apart again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>

#include "injectwriter.h"

#define MAX_SAMPLES 16

struct fixture {
	struct pw file, stream;
	struct gj_chains *chains;
	struct iw_copy copy;
	struct gj_inject_stats stats;
	struct gj_diag diag;
	/* samples of the copy, in its order */
	struct gj_window bodies[MAX_SAMPLES];
	size_t cnt;
};

static struct gj_window window_of(const struct pw *pw)
{
	return (struct gj_window){ pw->bytes, pw->size_bytes };
}

static int setup(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));

	if (!fixture)
		return -1;
	fixture->copy.cap_bytes = 1 << 20;
	fixture->copy.bytes = calloc(1, fixture->copy.cap_bytes);
	iw_example(&fixture->file);
	iw_example_chains(&fixture->stream);
	*state = fixture;
	return fixture->copy.bytes ? 0 : -1;
}

static int teardown(void **state)
{
	struct fixture *fixture = *state;

	gj_chains_free(fixture->chains);
	free(fixture->copy.bytes);
	free(fixture);
	return 0;
}

static int copy_file(struct fixture *fixture)
{
	const struct gj_inject_sink sink = { .data = &fixture->copy, .put = iw_put };

	gj_chains_free(fixture->chains);
	fixture->chains = NULL;
	assert_int_equal(gj_chains_new(window_of(&fixture->stream), &fixture->chains), 0);
	fixture->copy.size_bytes = 0;
	memset(&fixture->diag, 0, sizeof(fixture->diag));
	return gj_inject_copy(window_of(&fixture->file), fixture->chains, &sink, &fixture->stats,
			      &fixture->diag);
}

static struct gj_window copied(const struct fixture *fixture)
{
	return (struct gj_window){ fixture->copy.bytes, fixture->copy.size_bytes };
}

static void list_samples(struct fixture *fixture)
{
	struct gj_cursor cur = gj_cursor_init(gj_perf_file_data(copied(fixture)));
	struct gj_perf_record record;

	fixture->cnt = 0;
	while (gj_perf_record_next(&cur, &record))
		if (record.type == PERF_RECORD_SAMPLE)
			fixture->bodies[fixture->cnt++] = record.body;
	assert_false(gj_cursor_failed(&cur));
}

/* The chain of sample @index of the copy is @expected, and the parts beside it are as they were. */
static void expect_chain(struct fixture *fixture, size_t index, const uint64_t *expected, size_t cnt)
{
	struct gj_window body = fixture->bodies[index];
	const size_t before_bytes = 64; /* IDENTIFIER IP TID TIME CPU READ */
	uint64_t value = 0, off = before_bytes;

	assert_true(gj_window_u64(body, 40, &value));
	assert_int_equal(value, 1); /* READ's count */
	assert_true(gj_window_u64(body, off, &value));
	assert_int_equal(value, cnt);
	for (size_t i = 0; i < cnt; i++) {
		assert_true(gj_window_u64(body, off += 8, &value));
		assert_int_equal(value, expected[i]);
	}
	off += 8;
	assert_true(gj_window_u64(body, off, &value));
	assert_int_equal(value, 4 | 0xabcdULL << 32);
	assert_true(gj_window_u64(body, off + 8, &value));
	assert_int_equal(value, 1);
	assert_true(gj_window_u64(body, off + 40 + 24, &value));
	assert_int_equal(value, 0x33); /* the last register */
	assert_true(gj_window_u64(body, off + 40 + 32, &value));
	assert_int_equal(value, 0x5105); /* then DATA_SRC: no dump between them */
	assert_int_equal(body.size_bytes, off + 40 + 40);
}

static void chains_take_the_place_of_dumps(void **state)
{
	static const uint64_t user[] = { (uint64_t)PERF_CONTEXT_USER, IW_USER_IP, 0x402001, 0x403002 };
	static const uint64_t both[] = { (uint64_t)PERF_CONTEXT_KERNEL, IW_KERNEL_IP,
					 (uint64_t)PERF_CONTEXT_USER, 0x402001, 0x403002 };
	static const uint64_t lone[] = { (uint64_t)PERF_CONTEXT_USER, IW_USER_IP + 4 };
	struct fixture *fixture = *state;

	assert_int_equal(copy_file(fixture), 0);
	list_samples(fixture);
	assert_int_equal(fixture->cnt, 5);
	expect_chain(fixture, 0, user, 4);
	expect_chain(fixture, 2, both, 5);
	expect_chain(fixture, 3, both, 2); /* a thread of the kernel */
	expect_chain(fixture, 4, lone, 2); /* nothing but its address is known */
	assert_int_equal(fixture->stats.sample_cnt, 4);
	assert_int_equal(fixture->stats.chain_cnt, 2);
	assert_int_equal(fixture->stats.complete_cnt, 2);
	assert_int_equal(fixture->stats.capped_cnt, 0);
}

static void other_samples_stay(void **state)
{
	struct fixture *fixture = *state;
	uint64_t id = 0;

	assert_int_equal(copy_file(fixture), 0);
	list_samples(fixture);
	assert_int_equal(fixture->bodies[1].size_bytes, 32);
	assert_true(gj_window_u64(fixture->bodies[1], 0, &id));
	assert_int_equal(id, IW_OTHER_ID);
}

static void attrs_know_no_dump(void **state)
{
	struct fixture *fixture = *state;
	struct gj_perf_attrs *attrs;
	const struct gj_perf_attr *attr;

	assert_int_equal(copy_file(fixture), 0);
	assert_int_equal(gj_perf_attrs_new(copied(fixture), &attrs, NULL), 0);
	attr = gj_perf_attr_at(attrs, 0);
	assert_int_equal(attr->attr.sample_type, IW_CLOCK_TYPE & ~(uint64_t)PERF_SAMPLE_STACK_USER);
	assert_int_equal(attr->attr.sample_stack_user, 0);
	assert_int_equal(attr->attr.exclude_callchain_user, 0);
	assert_int_equal(attr->attr.sample_regs_user, 0x1c0);
	assert_int_equal(gj_perf_attr_at(attrs, 1)->attr.sample_type, IW_OTHER_TYPE);
	assert_null(gj_perf_attr_at(attrs, 2));
	list_samples(fixture);
	assert_ptr_equal(gj_perf_attr_of(attrs, fixture->bodies[1]), gj_perf_attr_at(attrs, 1));
	gj_perf_attrs_free(attrs);
}

/* What stands behind the records: features at their new places, the attr among them, trailers. */
static void what_follows_moves(void **state)
{
	struct fixture *fixture = *state;
	struct gj_window file = window_of(&fixture->file), copy;
	uint64_t off, old_off = 0;
	struct perf_event_attr attr;
	struct gj_window data;

	assert_int_equal(copy_file(fixture), 0);
	copy = copied(fixture);
	data = gj_perf_file_data(copy);
	assert_int_equal(gj_perf_file_event_width(copy), strlen("cpu-clock"));
	off = (uint64_t)(data.base - copy.base) + data.size_bytes;
	assert_true(gj_window_u64(copy, off, &off));
	assert_string_equal(gj_window_string(copy, off), "host");
	data = gj_perf_file_data(file);
	off = (uint64_t)(data.base - file.base) + data.size_bytes + 16;
	assert_true(gj_window_u64(file, off, &old_off));
	off = old_off + copy.size_bytes - file.size_bytes;
	assert_true(gj_window_read(copy, off + 8, &attr, sizeof(attr)));
	assert_int_equal(attr.sample_type, IW_CLOCK_TYPE & ~(uint64_t)PERF_SAMPLE_STACK_USER);
	assert_memory_equal(copy.base + copy.size_bytes - strlen(IW_TRAILER), IW_TRAILER,
			    strlen(IW_TRAILER));
}

static void copies_copy_as_themselves(void **state)
{
	struct fixture *fixture = *state;
	struct gj_window first;

	assert_int_equal(copy_file(fixture), 0);
	first = copied(fixture);
	assert_true(first.size_bytes <= sizeof(fixture->file.bytes));
	memcpy(fixture->file.bytes, first.base, first.size_bytes);
	fixture->file.size_bytes = first.size_bytes;
	assert_int_equal(copy_file(fixture), 0);
	assert_int_equal(fixture->copy.size_bytes, fixture->file.size_bytes);
	assert_memory_equal(fixture->copy.bytes, fixture->file.bytes, fixture->file.size_bytes);
}

/* The size of a record is a u16. */
static void long_chains_are_capped(void **state)
{
	struct fixture *fixture = *state;
	const uint32_t va_cnt = 9000;
	uint8_t *bytes = calloc(1, 2 * sizeof(struct gj_chain_entry) + 8 * va_cnt);
	struct gj_chain_entry entry = {
		.time_ns = 1000, .ip = IW_USER_IP, .tid = 100, .cpu = 1, .va_cnt = va_cnt,
	};
	const struct gj_inject_sink sink = { .data = &fixture->copy, .put = iw_put };
	size_t end = sizeof(entry) + 8 * va_cnt;
	uint64_t cnt = 0;

	assert_non_null(bytes);
	memcpy(bytes, &entry, sizeof(entry));
	entry = (struct gj_chain_entry){ .time_ns = end, .kind = GJ_CHAIN_END };
	memcpy(bytes + end, &entry, sizeof(entry));
	assert_int_equal(gj_chains_new((struct gj_window){ bytes, end + sizeof(entry) },
				       &fixture->chains), 0);
	assert_int_equal(gj_inject_copy(window_of(&fixture->file), fixture->chains, &sink,
					&fixture->stats, NULL), 0);
	list_samples(fixture);
	assert_int_equal(fixture->bodies[0].size_bytes + 8, 65528);
	assert_true(gj_window_u64(fixture->bodies[0], 64, &cnt));
	assert_int_equal(cnt, (65528 - 8 - 64 - 8 - 80) / 8);
	assert_int_equal(fixture->stats.capped_cnt, 1);
	free(bytes);
}

static void equal_samples_keep_their_order(void **state)
{
	static const uint64_t vas[] = { 1, 2, 3 };
	struct fixture *fixture = *state;
	struct gj_perf_layout sample = { .time_ns = 5, .ip = 6, .tid = 7, .cpu = 1 };
	struct gj_chain_found found;

	memset(&fixture->stream, 0, sizeof(fixture->stream));
	for (int i = 0; i < 3; i++)
		iw_chain(&fixture->stream, 6, 7, 5, vas + i, 1);
	iw_chains_end(&fixture->stream);
	assert_int_equal(gj_chains_new(window_of(&fixture->stream), &fixture->chains), 0);
	for (uint64_t i = 0; i < 5; i++) {
		assert_true(gj_chains_find(fixture->chains, &sample, &found));
		assert_int_equal(found.cnt, 1);
		assert_memory_equal(found.vas, &vas[i < 3 ? i : 2], 8);
	}
	sample.cpu = 0;
	assert_false(gj_chains_find(fixture->chains, &sample, &found));
}

static void cut_chains_are_refused(void **state)
{
	struct fixture *fixture = *state;
	struct gj_chains *chains = NULL;

	for (size_t size = 0; size < fixture->stream.size_bytes; size++)
		assert_int_equal(gj_chains_new((struct gj_window){ fixture->stream.bytes, size },
					       &chains), -EBADMSG);
	assert_null(chains);
}

/* Every cut says what is wrong; none but that of the trailer passes. */
static void cut_files_are_refused(void **state)
{
	struct fixture *fixture = *state;
	size_t whole = fixture->file.size_bytes;

	for (size_t size = 0; size < whole - strlen(IW_TRAILER); size++) {
		fixture->file.size_bytes = size;
		assert_int_not_equal(copy_file(fixture), 0);
		assert_int_not_equal(fixture->diag.err, 0);
	}
}

static void damage_is_told(void **state)
{
	struct fixture *fixture = *state;
	size_t first = 0;

	/* A sample that claims a longer chain than it has room for. */
	for (size_t i = 0; !first && i + 8 < fixture->file.size_bytes; i++)
		if (!memcmp(fixture->file.bytes + i, "\xcd\xab\0\0", 4))
			first = i - 4;
	pw_set(&fixture->file, first - 8, 1 << 20, 8);
	assert_int_equal(copy_file(fixture), -EBADMSG);
	assert_string_equal(fixture->diag.text, "damaged: sample 1 does not hold what its event has");
}

static void errors_of_the_sink_end_it(void **state)
{
	struct fixture *fixture = *state;

	fixture->copy.err = -EDQUOT;
	assert_int_equal(copy_file(fixture), -EDQUOT);
}

static void what_cannot_be_copied_is_named(void **state)
{
	struct fixture *fixture = *state;
	struct gj_diag diag = { 0 };

	pw_set(&fixture->file, 72, 1 << 3 | 1 << 12 | 1ULL << 18, 8);
	assert_int_equal(gj_inject_check(window_of(&fixture->file), &diag), -EOPNOTSUPP);
	assert_non_null(strstr(diag.text, "hardware trace"));
	iw_example(&fixture->file);
	pw_set(&fixture->file, 8, 16, 8);
	diag.err = 0;
	assert_int_equal(gj_inject_check(window_of(&fixture->file), &diag), -EOPNOTSUPP);
	assert_non_null(strstr(diag.text, "pipe"));
}

/* However the stream is cut, what comes out is the copy of the plain file. */
static void compressed_records_are_unpacked(void **state)
{
	struct fixture *fixture = *state;
	struct gj_window data;
	uint8_t *plain = malloc(fixture->copy.cap_bytes);
	size_t plain_bytes;
	struct pw file;

	assert_non_null(plain);
	assert_int_equal(copy_file(fixture), 0);
	data = gj_perf_file_data(copied(fixture));
	memcpy(plain, data.base, data.size_bytes);
	plain_bytes = data.size_bytes;
	file = fixture->file;
	/* Smaller pieces take more room than the writer has. */
	for (size_t piece_bytes = 20; piece_bytes < 256; piece_bytes++) {
		int err;

		iw_compress(&file, &fixture->file, piece_bytes);
		err = copy_file(fixture);
		if (err == -ENOENT)
			break; /* no libzstd: nobody here can write such files either */
		assert_int_equal(err, 0);
		data = gj_perf_file_data(copied(fixture));
		assert_int_equal(data.size_bytes, plain_bytes);
		assert_memory_equal(data.base, plain, plain_bytes);
	}
	free(plain);
}

static void damaged_compression_is_told(void **state)
{
	struct fixture *fixture = *state;
	struct pw file = fixture->file;
	uint64_t off;
	int err;

	memcpy(&off, file.bytes + 40, 8);
	iw_compress(&file, &fixture->file, 200);
	pw_set(&fixture->file, off + 8, 0x12345678, 4);
	err = copy_file(fixture);
	assert_true(err == -EBADMSG || err == -ENOENT);
	assert_int_equal(fixture->diag.err, err);
	/* The end is missing: a record is there in part. */
	iw_compress(&file, &fixture->file, 100);
	memcpy(&err, fixture->file.bytes + 48, 4);
	pw_set(&fixture->file, 48, (uint64_t)err / 117 * 117, 8);
	err = copy_file(fixture);
	assert_true(err == -EBADMSG || err == -ENOENT);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(chains_take_the_place_of_dumps),
		TEST(other_samples_stay),
		TEST(attrs_know_no_dump),
		TEST(what_follows_moves),
		TEST(copies_copy_as_themselves),
		TEST(long_chains_are_capped),
		TEST(equal_samples_keep_their_order),
		TEST(cut_chains_are_refused),
		TEST(cut_files_are_refused),
		TEST(damage_is_told),
		TEST(errors_of_the_sink_end_it),
		TEST(what_cannot_be_copied_is_named),
		TEST(compressed_records_are_unpacked),
		TEST(damaged_compression_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
