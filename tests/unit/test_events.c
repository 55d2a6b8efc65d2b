/* SPDX-License-Identifier: GPL-2.0 */
/* Files of events: what was written is read; cut and wrong ones are good up to there. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "eventwriter.h"

#define CNT 64

/* Reads all; -errno or 0 as gj_events_next ended. @read_out: events but for lost ones. */
static int read_all(const uint8_t *bytes, size_t size_bytes, unsigned int *read_out,
		    struct gj_diag *diag)
{
	struct gj_events *events = NULL;
	struct gj_buf line = { 0 };
	struct gj_event event;
	int err = gj_events_open_bytes((struct gj_window){ bytes, size_bytes }, "f", &events, diag);

	*read_out = 0;
	if (err)
		return err;
	while ((err = gj_events_next(events, &event, diag)) > 0) {
		*read_out += event.kind != events_lost || event.goid;
		gj_events_json(events, &event, &line);
		gj_events_text(events, &event, &line);
		line.size_bytes = 0;
	}
	/* It stays at its end. */
	assert_int_equal(gj_events_next(events, &event, NULL), err);
	gj_events_close(events);
	gj_buf_deinit(&line);
	return err;
}

static void same(const struct gj_event *a, const struct gj_event *b)
{
	assert_memory_equal(a, b, sizeof(*a));
}

static int by_time(const void *a, const void *b)
{
	const struct gj_event *left = a, *right = b;

	return left->time_ns < right->time_ns ? -1 : left->time_ns > right->time_ns;
}

static void test_round_trip(void **state)
{
	static struct gj_event wanted[CNT];
	struct gj_events *events;
	struct gj_event event;
	size_t size_bytes, i = 0;
	uint8_t *bytes = ew_file(CNT, &size_bytes);
	uint64_t lost = 0;

	(void)state;
	for (unsigned int j = 0; j < CNT; j++)
		wanted[j] = ew_event(j + 1);
	qsort(wanted, CNT / 2, sizeof(wanted[0]), by_time);
	qsort(wanted + CNT / 2, CNT / 2, sizeof(wanted[0]), by_time);
	assert_non_null(bytes);
	assert_int_equal(gj_events_open_bytes((struct gj_window){ bytes, size_bytes }, "f", &events,
					      NULL), 0);
	assert_int_equal(gj_events_head(events)->realtime_ns, 2000);
	assert_string_equal(gj_events_head(events)->boot_id, "b-0");
	while (gj_events_next(events, &event, NULL) > 0) {
		if (event.kind == events_lost && !event.goid) {
			assert_int_equal(event.cpu, 1);
			lost += event.span.count_ns;
			continue;
		}
		assert_true(i < CNT);
		same(&event, &wanted[i++]);
	}
	assert_int_equal(i, CNT);
	assert_int_equal(lost, 3);
	assert_int_equal(gj_events_lost(events), 3);
	/* Event 33 is of before event 32, which was written by then. */
	assert_int_equal(gj_events_late(events), 1);
	assert_string_equal(gj_events_program(events, 0)->path, "/bin/p");
	assert_null(gj_events_program(events, 1));
	assert_string_equal(gj_events_func(events, 3), "main.odd");
	assert_null(gj_events_func(events, 7));
	assert_string_equal(gj_events_reason(events, 0, 19), gj_wait_reason(24, 19));
	gj_events_close(events);
	free(bytes);
}

static void test_stack(void **state)
{
	struct gj_events *events;
	struct gj_events_stack stack;
	struct gj_event event;
	size_t size_bytes;
	uint8_t *bytes = ew_file(CNT, &size_bytes);
	uint64_t va;
	uint32_t func;

	(void)state;
	assert_int_equal(gj_events_open_bytes((struct gj_window){ bytes, size_bytes }, "f", &events,
					      NULL), 0);
	while (gj_events_next(events, &event, NULL) > 0) {
		if (event.kind != goroutine_waiting)
			continue;
		assert_int_equal(gj_events_stack(events, &event, &stack),
				 event.goroutine.at % 3 ? 0 : -ENOENT);
		if (event.goroutine.at % 3) {
			assert_int_equal(stack.pc_cnt, event.goroutine.at % 3);
			assert_true(gj_events_stack_pc(&stack, 0, &va, &func));
			assert_int_equal(va, 0x401000);
			assert_string_equal(gj_events_func(events, func), "main.odd");
			assert_false(gj_events_stack_pc(&stack, stack.pc_cnt, &va, &func));
		}
	}
	gj_events_close(events);
	free(bytes);
}

/* What is written once is not written again, and nothing is kept too long. */
static void test_window(void **state)
{
	int fd = memfd_create("events", 0);
	struct gj_events_writer *writer = ew_begin(fd);

	(void)state;
	for (unsigned int i = 1; i <= 10; i++) {
		struct gj_event event = ew_event(i);

		assert_int_equal(gj_events_write(writer, &event), 0);
	}
	assert_int_equal(gj_events_flush(writer, 1499, NULL, 0), 0);
	assert_int_equal(gj_events_written(writer), 0);
	/* Times 1500 (1), 1510, 1530, 1520, 1550, 1540: i ^ 1. */
	assert_int_equal(gj_events_flush(writer, 1530, NULL, 0), 0);
	assert_int_equal(gj_events_written(writer), 3);
	assert_int_equal(gj_events_finish(writer, NULL, 0), 0);
	assert_int_equal(gj_events_written(writer), 10);
	gj_events_writer_free(writer);
	close(fd);
	/* Nothing to write to. */
	assert_null(ew_begin(-1));
}

static void test_cut_anywhere(void **state)
{
	unsigned int read_cnt, before = 0;
	size_t size_bytes;
	uint8_t *bytes = ew_file(CNT, &size_bytes);

	(void)state;
	for (size_t cut = 0; cut < size_bytes; cut++) {
		/* Of that size, for sanitizers. */
		uint8_t *part = malloc(cut ? cut : 1);
		struct gj_diag diag = { 0 };
		int err;

		memcpy(part, bytes, cut);
		err = read_all(part, cut, &read_cnt, &diag);
		assert_int_equal(err, cut < 88 ? -EBADMSG : -ENODATA);
		assert_true(diag.text[0] && read_cnt >= before);
		before = read_cnt;
		free(part);
	}
	assert_int_equal(read_all(bytes, size_bytes, &read_cnt, NULL), 0);
	assert_int_equal(read_cnt, CNT);
	free(bytes);
}

static void test_hostile(void **state)
{
	static const uint32_t values[] = { 0, 1, 0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff };
	unsigned int read_cnt;
	size_t size_bytes;
	uint8_t *bytes = ew_file(8, &size_bytes), *copy = malloc(size_bytes);

	(void)state;
	for (size_t off = 0; off + 4 <= size_bytes; off++)
		for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
			struct gj_diag diag = { 0 };
			int err;

			memcpy(copy, bytes, size_bytes);
			memcpy(copy + off, &values[i], 4);
			err = read_all(copy, size_bytes, &read_cnt, &diag);
			assert_true(!err || err == -EBADMSG || err == -ENODATA || err == -EOPNOTSUPP);
			assert_int_equal(!err, !diag.text[0]);
		}
	free(copy);
	free(bytes);
}

static void test_heads(void **state)
{
	unsigned int read_cnt;
	size_t size_bytes;
	uint8_t *bytes = ew_file(1, &size_bytes);
	struct gj_diag diag = { 0 };

	(void)state;
	bytes[8] = 2;
	assert_int_equal(read_all(bytes, size_bytes, &read_cnt, &diag), -EOPNOTSUPP);
	assert_non_null(strstr(diag.text, "ABI 2"));
	bytes[8] = 1;
	bytes[0] = 'g';
	diag = (struct gj_diag){ 0 };
	assert_int_equal(read_all(bytes, size_bytes, &read_cnt, &diag), -EBADMSG);
	assert_int_equal(gj_events_open("/", NULL, NULL), -EISDIR);
	assert_int_equal(gj_events_open("/dev/null", NULL, NULL), -EBADMSG);
	free(bytes);
}

static void test_names(void **state)
{
	(void)state;
	for (unsigned int kind = 0; kind < GJ_EVENT_KIND_CNT; kind++) {
		const char *name = gj_event_kind_name(kind);

		assert_non_null(name);
		assert_int_equal(gj_event_kinds_find(name, strlen(name)), GJ_EVENT_BIT(kind));
		assert_int_equal(!gj_event_kind_feature(kind), kind == events_lost);
	}
	assert_null(gj_event_kind_name(GJ_EVENT_KIND_CNT));
	assert_int_equal(__builtin_popcountll(gj_event_kinds_find("goroutines", 10)), 6);
	assert_int_equal(gj_event_kinds_find("goroutine", 9), 0);
	assert_string_equal(gj_event_status_name(4), "waiting");
	assert_null(gj_event_status_name(5));
	assert_string_equal(gj_event_syscall_name(35), "nanosleep");
	assert_null(gj_event_syscall_name(100000));
	assert_string_equal(gj_event_queued_name(1), "woken");
	assert_null(gj_event_queued_name(4));
	assert_string_equal(gj_event_stw_reason_name(1), "GC_mark_termination");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip), cmocka_unit_test(test_stack),
		cmocka_unit_test(test_window),     cmocka_unit_test(test_cut_anywhere),
		cmocka_unit_test(test_hostile),    cmocka_unit_test(test_heads),
		cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
