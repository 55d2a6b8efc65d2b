/* SPDX-License-Identifier: GPL-2.0 */
/*
 * src/sample/stack_records.c and trailer.c: which record is whose, what can be
 * read of it, and files that are cut or damaged anywhere.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>

#include "recordwriter.h"

#define PID 100u
#define TID 101u
#define AT 5000000000u

static struct gj_stack_record head_at(uint32_t tid, uint64_t time_ns, uint64_t ip)
{
	return (struct gj_stack_record){
		.time_ns = time_ns, .pid = PID, .tid = tid, .ip = ip, .sp = 0x7000, .bp = 0x7100,
		.bx = 3, .r12 = 12, .r13 = 13, .r14 = 14, .r15 = 15, .goid = ip,
	};
}

/* A sample with the registers gojitter record asks perf for: bp, sp, ip, r14. */
struct asked {
	struct gj_sample sample;
	uint64_t values[4];
};

static void ask(struct asked *asked, uint32_t tid, uint64_t time_ns, uint64_t ip)
{
	*asked = (struct asked){
		.sample = { .size = sizeof(asked->sample), .pid = PID, .tid = tid,
			    .time_ns = time_ns, .has_time = true },
		.values = { 0x7100, 0x7000, ip, 14 },
	};
	asked->sample.regs.mask = 1u << 6 | 1u << 7 | 1u << 8 | 1u << 22;
	asked->sample.regs.values = asked->values;
}

/* The goid of the record found; 0: none. */
static uint64_t find(struct gj_stack_records *records, uint32_t tid, uint64_t time_ns, uint64_t ip)
{
	struct gj_stack_sample found;
	struct asked asked;

	ask(&asked, tid, time_ns, ip);
	return gj_stack_records_find(records, &asked.sample, &found) ? found.record.goid : 0;
}

static struct gj_stack_records *open_all(const struct gj_buf *file)
{
	struct gj_stack_records *records = NULL;

	assert_int_equal(gj_stack_records_new(rw_window(file), NULL, NULL, &records, NULL), 0);
	return records;
}

static void whose(void **state)
{
	static const struct { uint32_t tid; uint64_t time_ns, ip; } made[] = {
		/* Not in order of time, as several processors write. */
		{ TID, AT + 900000, 4 }, { TID, AT, 1 }, { TID + 1, AT, 2 }, { TID, AT + 40000, 3 },
		{ TID, AT + 5000000, 7 }, { TID, AT + 5500000, 7 },
	};
	struct gj_buf file = { 0 };
	struct gj_stack_records *records;

	(void)state;
	gj_buf_str(&file, "perf.data, of odd length");
	for (size_t i = 0; i < sizeof(made) / sizeof(made[0]); i++) {
		struct gj_stack_record head = head_at(made[i].tid, made[i].time_ns, made[i].ip);

		rw_record(&file, &head);
	}
	rw_finish(&file, 24, GJ_STACKS_MAGIC);
	records = open_all(&file);
	assert_int_equal(gj_stack_records_cnt(records), 6);
	/* Another thread, another time, another register. */
	assert_int_equal(find(records, TID + 2, AT, 1), 0);
	assert_int_equal(find(records, TID, AT - GJ_STACK_NEAR_NS, 1), 0);
	assert_int_equal(find(records, TID, AT, 2), 0);
	/* The nearest in time is not the one with these registers. */
	assert_int_equal(find(records, TID, AT + 30000, 1), 1);
	assert_int_equal(find(records, TID, AT + 30000, 1), 0);
	assert_int_equal(find(records, TID, AT + 30000, 4), 4);
	assert_int_equal(find(records, TID + 1, AT - 10, 2), 2);
	assert_int_equal(find(records, TID, AT + 30000, 3), 3);
	gj_stack_records_free(records);
	/* Of two with the same registers the nearer one. */
	records = open_all(&file);
	for (int i = 0; i < 2; i++) {
		struct gj_stack_sample found;
		struct asked asked;

		ask(&asked, TID, AT + 5450000, 7);
		assert_true(gj_stack_records_find(records, &asked.sample, &found));
		assert_int_equal(found.record.time_ns, AT + (i ? 5000000 : 5500000));
	}
	gj_stack_records_free(records);
	gj_buf_deinit(&file);
}

static void too_little(void **state)
{
	struct gj_stack_record head = head_at(TID, AT, 1);
	struct gj_buf file = { 0 };
	struct gj_stack_records *records;
	struct gj_stack_sample found;
	struct asked asked;

	(void)state;
	rw_record(&file, &head);
	rw_finish(&file, 0, GJ_STACKS_MAGIC);
	records = open_all(&file);
	ask(&asked, TID, AT, 1);
	asked.sample.has_time = false;
	assert_false(gj_stack_records_find(records, &asked.sample, &found));
	ask(&asked, TID, AT, 1);
	asked.sample.pid++;
	assert_false(gj_stack_records_find(records, &asked.sample, &found));
	ask(&asked, TID, AT, 1);
	asked.sample.regs.values = NULL;
	assert_false(gj_stack_records_find(records, &asked.sample, &found));
	ask(&asked, TID, AT, 1);
	asked.sample.regs.mask = 1u << 22; /* R14 alone, the first value */
	asked.values[0] = 14;
	assert_false(gj_stack_records_find(records, &asked.sample, &found));
	ask(&asked, TID, AT, 1);
	asked.values[3] = 15;
	assert_false(gj_stack_records_find(records, &asked.sample, &found));
	ask(&asked, TID, AT, 1);
	assert_true(gj_stack_records_find(records, &asked.sample, &found));
	gj_stack_records_free(records);
	gj_buf_deinit(&file);
}

static void memory(void **state)
{
	struct gj_stack_record head = head_at(TID, AT, 1);
	uint8_t bytes[32], got[16];
	struct gj_buf file = { 0 };
	struct gj_stack_records *records;
	struct gj_stack_sample found;
	struct asked asked;
	size_t off;

	(void)state;
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)i;
	off = rw_record(&file, &head);
	rw_part(&file, off, GJ_PART_STACK, 0x7000, bytes, 16);
	rw_part(&file, off, GJ_PART_RUNTIME, 0xc000, bytes + 16, 5);
	rw_part(&file, off, GJ_PART_STACK, 0x7010, bytes + 16, 16);
	rw_part(&file, off, GJ_PART_LABELS, UINT64_MAX - 3, bytes, 3);
	rw_finish(&file, 0, GJ_STACKS_MAGIC);
	records = open_all(&file);
	ask(&asked, TID, AT + 9, 1);
	assert_true(gj_stack_records_find(records, &asked.sample, &found));
	assert_int_equal(found.record.part_cnt, 4);
	assert_int_equal(found.parts[1].kind, GJ_PART_RUNTIME);
	/* Over the border of two parts that stand apart in the record. */
	assert_int_equal(gj_stack_sample_read(&found, 0x7008, got, 16), 0);
	assert_memory_equal(got, bytes + 8, 16);
	assert_int_equal(gj_stack_sample_read(&found, 0x701f, got, 1), 0);
	assert_int_equal(gj_stack_sample_read(&found, 0xc001, got, 4), 0);
	assert_memory_equal(got, bytes + 17, 4);
	assert_int_equal(gj_stack_sample_read(&found, UINT64_MAX - 2, got, 2), 0);
	assert_int_equal(gj_stack_sample_read(&found, 0x6fff, got, 2), -EFAULT);
	assert_int_equal(gj_stack_sample_read(&found, 0x701f, got, 2), -EFAULT);
	assert_int_equal(gj_stack_sample_read(&found, 0xc004, got, 2), -EFAULT);
	assert_int_equal(gj_stack_sample_read(&found, UINT64_MAX - 1, got, 8), -EFAULT);
	/* All eight registers, by their numbers. */
	assert_int_equal(found.regs.mask, 1u << 1 | 7u << 6 | 0xfu << 20);
	assert_memory_equal(found.regs.values,
			    ((uint64_t[]){ 3, 0x7100, 0x7000, 1, 12, 13, 14, 15 }), 64);
	gj_stack_records_free(records);
	gj_buf_deinit(&file);
}

static void trailers(void **state)
{
	struct gj_stack_record head = head_at(TID, AT, 1);
	struct gj_stack_records *records = NULL;
	struct gj_diag diag = { 0 };
	struct gj_buf file = { 0 };
	struct gj_window body = { NULL, 0 };
	size_t off;

	(void)state;
	gj_buf_str(&file, "PERFILE2");
	assert_int_equal(gj_stack_records_new(rw_window(&file), NULL, NULL, &records, NULL), -ENOENT);
	off = file.size_bytes;
	rw_record(&file, &head);
	rw_finish(&file, off, GJ_STACKS_MAGIC);
	off = file.size_bytes;
	gj_buf_str(&file, "snapshots");
	rw_finish(&file, off, "GJTRAIL1");
	assert_int_equal(gj_perf_file_trailer(rw_window(&file), "GJTRAIL1", &body), 0);
	assert_int_equal(body.size_bytes, 9);
	assert_memory_equal(body.base, "snapshots", 9);
	/* One that nobody knows yet is stepped over; what is none ends the search. */
	off = file.size_bytes;
	rw_finish(&file, off, "GJFUTUR2");
	assert_int_equal(gj_perf_file_trailer(rw_window(&file), GJ_STACKS_MAGIC, &body), 0);
	assert_int_equal(body.size_bytes, sizeof(head));
	assert_int_equal(gj_perf_file_trailer(rw_window(&file), "GJOTHER1", &body), -ENOENT);
	rw_finish(&file, file.size_bytes, "gjtrail1");
	assert_int_equal(gj_perf_file_trailer(rw_window(&file), GJ_STACKS_MAGIC, &body), -ENOENT);
	gj_buf_deinit(&file);
	file = (struct gj_buf){ 0 };
	/* Longer than the file. */
	gj_buf_add(&file, "12345678\x09\0\0\0\0\0\0\0GJSTACK1", 24);
	assert_int_equal(gj_stack_records_new(rw_window(&file), NULL, NULL, &records, &diag),
			 -EBADMSG);
	assert_non_null(strstr(diag.text, "cut short"));
	assert_int_equal(gj_perf_file_trailer(rw_window(&file), "GJTRAIL1", &body), -ENOENT);
	assert_null(records);
	gj_buf_deinit(&file);
}

/* Every word of the second of two records set to hostile values: the first stays, nothing else breaks. */
static void damaged(void **state)
{
	static const uint64_t hostile[] = { 0, 1, 7, 8, INT32_MAX, UINT32_MAX, INT64_MAX, UINT64_MAX };
	struct gj_stack_record one = head_at(TID, AT, 1), other = head_at(TID, AT + 1000, 2);
	struct gj_buf file = { 0 };
	size_t off;

	(void)state;
	rw_part(&file, rw_record(&file, &one), GJ_PART_STACK, 0x7000, "12345678", 8);
	off = rw_record(&file, &other);
	rw_part(&file, off, GJ_PART_STACK, 0x7000, "12345678abc", 11);
	rw_part(&file, off, GJ_PART_RUNTIME, 0xc000, "12345678", 8);
	rw_finish(&file, 0, GJ_STACKS_MAGIC);
	for (size_t at = off; at + 4 <= file.size_bytes - 16; at += 4) {
		for (size_t i = 0; i < sizeof(hostile) / sizeof(hostile[0]); i++) {
			struct gj_stack_records *records = NULL;
			char kept[4], got[8];
			struct gj_stack_sample found;
			struct asked asked;
			int err;

			memcpy(kept, file.data + at, 4);
			memcpy(file.data + at, &hostile[i], 4);
			err = gj_stack_records_new(rw_window(&file), NULL, NULL, &records, NULL);
			assert_true(err == 0 || err == -EBADMSG);
			assert_int_equal(gj_stack_records_cnt(records), err ? 1 : 2);
			ask(&asked, TID, AT + 1000, 2);
			if (gj_stack_records_find(records, &asked.sample, &found))
				gj_stack_sample_read(&found, 0x7003, got, 8);
			assert_int_equal(find(records, TID, AT, 1), 1);
			gj_stack_records_free(records);
			memcpy(file.data + at, kept, 4);
		}
	}
	gj_buf_deinit(&file);
}

/* A record whose parts contradict its size is stepped over, those behind it are not lost. */
static void broken(void **state)
{
	struct gj_stack_record one = head_at(TID, AT, 1), other = head_at(TID, AT + 1000, 2);
	struct gj_stack_records *records = NULL;
	struct gj_diag diag = { 0 };
	struct gj_buf file = { 0 };

	(void)state;
	rw_part(&file, rw_record(&file, &one), GJ_PART_STACK, 0x7000, "12345678", 8);
	file.data[sizeof(one) + 8] = 9; /* bytes of the part */
	rw_record(&file, &other);
	rw_finish(&file, 0, GJ_STACKS_MAGIC);
	assert_int_equal(gj_stack_records_new(rw_window(&file), NULL, NULL, &records, &diag),
			 -EBADMSG);
	assert_non_null(strstr(diag.text, "1 of the stacks"));
	assert_int_equal(find(records, TID, AT, 1), 0);
	assert_int_equal(find(records, TID, AT + 1000, 2), 2);
	gj_stack_records_free(records);
	gj_buf_deinit(&file);
}

static void cut(void **state)
{
	struct gj_stack_record head = head_at(TID, AT, 1);
	struct gj_buf whole = { 0 };

	(void)state;
	rw_part(&whole, rw_record(&whole, &head), GJ_PART_STACK, 0x7000, "12345678", 8);
	for (size_t cnt = 1; cnt < whole.size_bytes; cnt++) {
		struct gj_stack_records *records = NULL;
		struct gj_diag diag = { 0 };
		struct gj_buf file = { 0 };

		gj_buf_add(&file, whole.data, cnt);
		rw_finish(&file, 0, GJ_STACKS_MAGIC);
		assert_int_equal(gj_stack_records_new(rw_window(&file), NULL, NULL, &records, &diag),
				 -EBADMSG);
		assert_non_null(strstr(diag.text, "damaged after 0"));
		assert_int_equal(gj_stack_records_cnt(records), 0);
		assert_int_equal(find(records, TID, AT, 1), 0);
		gj_stack_records_free(records);
		gj_buf_deinit(&file);
	}
	gj_buf_deinit(&whole);
}

struct passes {
	const uint8_t *end; /* nothing before it may be passed again in one direction */
	uint64_t bytes;
};

static void note_pass(void *data, struct gj_window bytes)
{
	struct passes *passes = data;

	assert_true(bytes.base >= passes->end || !passes->end);
	passes->end = bytes.base + bytes.size_bytes;
	passes->bytes += bytes.size_bytes;
}

/* Pages are given back as they are passed, when the index is made and when samples come. */
static void passing(void **state)
{
	static uint8_t stack[64 << 10];
	struct gj_stack_records *records = NULL;
	struct passes passes = { 0 };
	struct gj_buf file = { 0 };
	unsigned int cnt = 512;
	size_t body_bytes;

	(void)state;
	for (unsigned int i = 0; i < cnt; i++) {
		struct gj_stack_record head = head_at(TID, AT + i * 1000000u, 1 + i);

		rw_part(&file, rw_record(&file, &head), GJ_PART_STACK, 0x7000, stack, sizeof(stack));
	}
	body_bytes = file.size_bytes;
	rw_finish(&file, 0, GJ_STACKS_MAGIC);
	assert_int_equal(gj_stack_records_new(rw_window(&file), note_pass, &passes, &records, NULL), 0);
	assert_int_equal(passes.bytes, body_bytes);
	passes = (struct passes){ 0 };
	for (unsigned int i = 0; i < cnt; i++)
		assert_int_equal(find(records, TID, AT + i * 1000000u, 1 + i), 1 + i);
	assert_in_range(passes.bytes, body_bytes - (10 << 20), body_bytes);
	gj_stack_records_free(records);
	gj_buf_deinit(&file);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(whose),
		cmocka_unit_test(too_little),
		cmocka_unit_test(memory),
		cmocka_unit_test(trailers),
		cmocka_unit_test(damaged),
		cmocka_unit_test(broken),
		cmocka_unit_test(cut),
		cmocka_unit_test(passing),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
