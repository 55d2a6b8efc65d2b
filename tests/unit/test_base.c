/* SPDX-License-Identifier: GPL-2.0 */
/* Bounded reads, the first failure kept, text buffers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "base/buf.h"
#include "base/cursor.h"
#include "base/err.h"

static const uint8_t bytes[] = { 1, 2, 3, 4, 5, 6, 7, 8, 'a', 0, 'b' };
static const struct gj_window win = { bytes, sizeof(bytes) };

static void window_never_leaves_its_bytes(void **state)
{
	uint64_t u64 = 42;

	(void)state;
	assert_true(gj_window_u64(win, 3, &u64));
	assert_int_equal(u64, 0x6200610807060504);
	u64 = 42;
	assert_false(gj_window_u64(win, 4, &u64));
	assert_false(gj_window_u64(win, UINT64_MAX, &u64));
	assert_false(gj_window_u64(win, UINT64_MAX - 6, &u64));
	assert_int_equal(u64, 42);
	assert_int_equal(gj_window_slice(win, 9, UINT64_MAX).size_bytes, 2);
	assert_int_equal(gj_window_slice(win, 12, 1).size_bytes, 0);
}

static void window_string_needs_its_nul(void **state)
{
	(void)state;
	assert_string_equal(gj_window_string(win, 8), "a");
	assert_null(gj_window_string(win, 10));
	assert_null(gj_window_string(win, 11));
	assert_null(gj_window_string(win, UINT64_MAX));
}

static void cursor_failure_sticks(void **state)
{
	struct gj_cursor cur = gj_cursor_init(win);

	(void)state;
	assert_int_equal(gj_cursor_u32(&cur), 0x04030201);
	assert_int_equal(gj_cursor_u64(&cur), 0);
	assert_true(gj_cursor_failed(&cur));
	assert_int_equal(gj_cursor_u8(&cur), 0);
	assert_int_equal(gj_cursor_left(&cur), 0);
}

static void varint_has_a_maximum_length(void **state)
{
	static const uint8_t good[] = { 0xff, 0xff, 0xff, 0xff, 0x0f, 0x7f };
	static const uint8_t longer[] = { 0x80, 0x80, 0x80, 0x80, 0x80, 0x00 };
	struct gj_cursor cur = gj_cursor_init((struct gj_window){ good, sizeof(good) });

	(void)state;
	assert_int_equal(gj_cursor_varint32(&cur), UINT32_MAX);
	assert_int_equal(gj_cursor_varint32(&cur), 0x7f);
	assert_false(gj_cursor_failed(&cur));
	gj_cursor_varint32(&cur);
	assert_true(gj_cursor_failed(&cur));
	cur = gj_cursor_init((struct gj_window){ longer, sizeof(longer) });
	gj_cursor_varint32(&cur);
	assert_true(gj_cursor_failed(&cur));
}

static void diag_keeps_the_first_failure_and_no_controls(void **state)
{
	struct gj_diag diag = { 0 };

	(void)state;
	assert_int_equal(gj_diag_set(&diag, -ENOENT, "first %s", "a\x1b[31m"), -ENOENT);
	assert_int_equal(gj_diag_set(&diag, -EINVAL, "second"), -EINVAL);
	assert_int_equal(diag.err, -ENOENT);
	assert_string_equal(diag.text, "first a?[31m");
	assert_int_equal(gj_diag_set(NULL, -EINVAL, "nobody listens"), -EINVAL);
}

static void buf_formats_as_printf_does(void **state)
{
	struct gj_buf buf = { 0 };

	(void)state;
	gj_buf_hex(&buf, 0xdeadbeef, 16);
	gj_buf_chr(&buf, '|');
	gj_buf_dec(&buf, 7, 3, '0');
	gj_buf_chr(&buf, '|');
	gj_buf_fmt(&buf, "%d%s", -5, "x");
	gj_buf_dec(&buf, UINT64_MAX, 0, ' ');
	gj_buf_chr(&buf, '\0');
	assert_string_equal(buf.data, "        deadbeef|007|-5x18446744073709551615");
	assert_false(buf.failed);
	gj_buf_deinit(&buf);
}

static void buf_grows_and_refuses_what_cannot_be(void **state)
{
	struct gj_buf buf = { 0 };

	(void)state;
	for (int i = 0; i < 10000; i++)
		gj_buf_dec(&buf, (uint64_t)i % 10, 0, ' ');
	assert_int_equal(buf.size_bytes, 10000);
	assert_memory_equal(buf.data + 9990, "0123456789", 10);
	assert_non_null(gj_buf_reserve(&buf, 0));
	/* More than there is memory, and sums that wrap. */
	assert_null(gj_buf_reserve(&buf, SIZE_MAX));
	assert_true(buf.failed);
	gj_buf_str(&buf, "late");
	assert_int_equal(buf.size_bytes, 10000);
	assert_null(gj_buf_reserve(&buf, 1));
	gj_buf_deinit(&buf);
	assert_false(buf.failed);
	gj_buf_add(&buf, NULL, 0);
	assert_int_equal(buf.size_bytes, 0);
	gj_buf_deinit(&buf);
}

/* RFC 8259 strings; RFC 3629 says what is UTF-8. */
static void json_strings_are_valid(void **state)
{
	static const struct {
		const char *raw, *want;
	} cases[] = {
		{ "", "\"\"" },
		{ "a\"b\\c/", "\"a\\\"b\\\\c/\"" },
		{ "\n\t\x1f\x7f", "\"\\u000a\\u0009\\u001f\x7f\"" },
		{ "\xc3\xa4 \xe2\x82\xac \xf0\x9f\x98\x80", "\"\xc3\xa4 \xe2\x82\xac \xf0\x9f\x98\x80\"" },
		/* A lone byte, a cut sequence, overlong forms, a surrogate, above U+10FFFF. */
		{ "\x80", "\"\\ufffd\"" },
		{ "\xe2\x82", "\"\\ufffd\\ufffd\"" },
		{ "\xc0\x80", "\"\\ufffd\\ufffd\"" },
		{ "\xe0\x80\x80", "\"\\ufffd\\ufffd\\ufffd\"" },
		{ "\xed\xa0\x80", "\"\\ufffd\\ufffd\\ufffd\"" },
		{ "\xf4\x90\x80\x80", "\"\\ufffd\\ufffd\\ufffd\\ufffd\"" },
		{ "\xff" "a", "\"\\ufffda\"" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct gj_buf buf = { 0 };

		gj_buf_json(&buf, cases[i].raw);
		gj_buf_chr(&buf, '\0');
		assert_string_equal(buf.data, cases[i].want);
		gj_buf_deinit(&buf);
	}
}

static void cursor_takes_never_more_than_is_left(void **state)
{
	static const uint64_t sizes[] = { 0, 1, 11, 12, UINT32_MAX, 1ULL << 63, UINT64_MAX - 1, UINT64_MAX };

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct gj_cursor cur = gj_cursor_init(win);
		const uint8_t *start = gj_cursor_take(&cur, sizes[i]);
		bool fits = sizes[i] <= sizeof(bytes);

		assert_int_equal(gj_cursor_failed(&cur), !fits);
		assert_ptr_equal(start, fits ? bytes : NULL);
		assert_int_equal(gj_cursor_left(&cur), fits ? sizeof(bytes) - sizes[i] : 0);
		assert_int_equal(gj_window_slice(win, sizes[i], sizes[i]).size_bytes,
				 sizes[i] == 1 ? 1 : 0);
		assert_int_equal(gj_window_holds(win, 1, sizes[i]), sizes[i] < sizeof(bytes));
		assert_int_equal(gj_window_holds(win, sizes[i], 1), sizes[i] < sizeof(bytes));
	}
}

static void an_empty_window_gives_nothing(void **state)
{
	const struct gj_window none = { NULL, 0 };
	struct gj_cursor cur = gj_cursor_init(none);
	uint8_t u8 = 42;

	(void)state;
	assert_int_equal(gj_cursor_left(&cur), 0);
	assert_non_null(gj_cursor_take(&cur, 0));
	assert_false(gj_cursor_failed(&cur));
	assert_null(gj_cursor_take(&cur, 1));
	cur = gj_cursor_init(none);
	assert_int_equal(gj_cursor_varint32(&cur), 0);
	assert_true(gj_cursor_failed(&cur));
	assert_false(gj_window_u8(none, 0, &u8));
	assert_null(gj_window_string(none, 0));
	assert_int_equal(gj_window_slice(none, 0, 1).size_bytes, 0);
	assert_int_equal(u8, 42);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(window_never_leaves_its_bytes),
		cmocka_unit_test(window_string_needs_its_nul),
		cmocka_unit_test(cursor_failure_sticks),
		cmocka_unit_test(varint_has_a_maximum_length),
		cmocka_unit_test(diag_keeps_the_first_failure_and_no_controls),
		cmocka_unit_test(buf_formats_as_printf_does),
		cmocka_unit_test(buf_grows_and_refuses_what_cannot_be),
		cmocka_unit_test(json_strings_are_valid),
		cmocka_unit_test(cursor_takes_never_more_than_is_left),
		cmocka_unit_test(an_empty_window_gives_nothing),
	};

	return cmocka_run_group_tests_name("base", tests, NULL, NULL);
}
