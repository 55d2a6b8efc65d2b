/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Snapshots of a runtime that this program plays itself, with structs as Go
 * 1.22 lays them out: what a good one gives, and what a broken or hostile one
 * does. What changes while it is read: test_live_changes.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/limits.h"
#include "fakeruntime.h"

static const struct gj_trail_g *take_gs(struct fake *fake)
{
	struct gj_diag diag = { 0 };

	fake->out.size_bytes = 0;
	if (gj_target_add_gs(&fake->target, &fake->out, &fake->cnt, &diag))
		fail_msg("%s", diag.text);
	assert_int_equal(fake->out.size_bytes, fake->cnt * sizeof(struct gj_trail_g));
	return (const void *)fake->out.data;
}

static const struct gj_trail_m *take_ms(struct fake *fake)
{
	struct gj_diag diag = { 0 };

	fake->out.size_bytes = 0;
	if (gj_target_add_ms(&fake->target, &fake->out, &fake->cnt, &diag))
		fail_msg("%s", diag.text);
	assert_int_equal(fake->out.size_bytes, fake->cnt * sizeof(struct gj_trail_m));
	return (const void *)fake->out.data;
}

static void assert_gs_refused(struct fake *fake, int err, const char *text)
{
	struct gj_diag diag = { 0 };

	assert_int_equal(gj_target_add_gs(&fake->target, &fake->out, &fake->cnt, &diag), err);
	assert_non_null(strstr(diag.text, text));
}

static void assert_ms_refused(struct fake *fake, int err, const char *text)
{
	struct gj_diag diag = { 0 };

	assert_int_equal(gj_target_add_ms(&fake->target, &fake->out, &fake->cnt, &diag), err);
	assert_non_null(strstr(diag.text, text));
}

static void goroutines(void **state)
{
	struct fake *fake = *state;
	const struct gj_trail_g *gs = take_gs(fake);

	assert_int_equal(fake->cnt, G_CNT);
	for (unsigned int i = 0; i < G_CNT; i++) {
		assert_int_equal(gs[i].g, va_of(&fake->gs[i]));
		assert_int_equal(gs[i].goid, i + 1);
		assert_int_equal(gs[i].stack_lo, 0x10000 * (i + 1));
		assert_int_equal(gs[i].stack_hi, 0x10000 * (i + 1) + 0x800);
		assert_int_equal(gs[i].start_pc, 0x400000 + i);
		assert_int_equal(gs[i].status, 4);
		assert_int_equal(gs[i].waitreason, 14);
	}
	/* What stood in the buffer stays. */
	assert_int_equal(gj_target_add_gs(&fake->target, &fake->out, &fake->cnt, NULL), 0);
	assert_int_equal(fake->out.size_bytes, 2 * G_CNT * sizeof(*gs));
}

/* Statuses without a goroutine: idle, dead, 1.26's deadextra; the scan bit is none of it. */
static void states(void **state)
{
	static const struct {
		uint32_t word, status;
		bool is_there;
	} cases[] = {
		{ 0, 0, false },      { 1, 1, true },     { 2, 2, true },       { 3, 3, true },
		{ 4, 4, true },       { 6, 0, false },    { 8, 8, true },       { 9, 9, true },
		{ 10, 10, true },     { 11, 0, false },   { 12, 0, false },     { 0xfff, 0, false },
		{ 0x1001, 1, true },  { 0x1004, 4, true }, { 0x1006, 0, false }, { 0x1000, 0, false },
	};
	struct fake *fake = *state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct gj_trail_g *gs;

		fake->gs[2].status = cases[i].word;
		gs = take_gs(fake);
		assert_int_equal(fake->cnt, cases[i].is_there ? G_CNT : G_CNT - 1);
		assert_int_equal(gs[2].goid, cases[i].is_there ? 3 : 4);
		assert_true(!cases[i].is_there || gs[2].status == cases[i].status);
	}
}

static void insane_goroutines(void **state)
{
	struct fake *fake = *state;
	struct fake_g good = fake->gs[2];
	uint64_t *const stack[] = { &fake->gs[2].stack_lo, &fake->gs[2].stack_hi };
	static const uint64_t values[] = { 0, 1, 0x30001, UINT64_MAX, UINT64_MAX - 7,
					   UINT64_C(1) << 63 };

	fake->gs[2].goid = 0;
	take_gs(fake);
	assert_int_equal(fake->cnt, G_CNT - 1);
	fake->gs[2] = good;
	for (unsigned int field = 0; field < 2; field++)
		for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
			*stack[field] = values[i];
			/* The lower end may be 0, for all we know. */
			take_gs(fake);
			assert_int_equal(fake->cnt,
					 field == 0 && values[i] == 0 ? G_CNT : G_CNT - 1);
			fake->gs[2] = good;
		}
}

/* Pointers that lead nowhere, twice to the same place or to half a word are passed over. */
static void bad_pointers(void **state)
{
	static const uint64_t values[] = { 0, 1, 8, 4096, UINT64_MAX, UINT64_MAX - 7,
					   UINT64_C(1) << 63, UINT64_C(0x7ffffffff000) };
	struct fake *fake = *state;
	uint8_t *page = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	assert_ptr_not_equal(page, MAP_FAILED);
	assert_int_equal(munmap(page + 4096, 4096), 0);
	fake->allgs.cnt = G_CNT + 1;
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		fake->pointers[G_CNT] = values[i];
		take_gs(fake);
		assert_int_equal(fake->cnt, G_CNT);
	}
	fake->pointers[G_CNT] = va_of(&fake->gs[1]);
	take_gs(fake);
	assert_int_equal(fake->cnt, G_CNT);
	fake->pointers[G_CNT] = va_of(&fake->gs[1]) + 4;
	take_gs(fake);
	assert_int_equal(fake->cnt, G_CNT);
	/* Two gs in one stretch, of which only the first is all there. */
	memcpy(page + 4096 - 512, &fake->gs[4], sizeof(fake->gs[4]));
	fake->pointers[G_CNT] = va_of(page + 4096 - 512);
	fake->pointers[G_CNT + 1] = va_of(page + 4096 - 64);
	fake->allgs.cnt = G_CNT + 2;
	take_gs(fake);
	assert_int_equal(fake->cnt, G_CNT + 1);
	munmap(page, 4096);
}

static void bad_lists(void **state)
{
	struct fake *fake = *state;

	fake->allgs.cnt = 0;
	fake->allgs.va = 0;
	take_gs(fake);
	assert_int_equal(fake->cnt, 0);
	fake->allgs.cnt = G_CNT;
	assert_gs_refused(fake, -EBADMSG, "memory that is not there");
	fake->allgs.va = va_of(fake->pointers);
	fake->allgs.cap = 1;
	assert_gs_refused(fake, -EAGAIN, "changes faster");
	fake->allgs.cnt = fake->allgs.cap = GJ_MAX_GOROUTINES + 1;
	assert_gs_refused(fake, -E2BIG, "misread");
	fake->allgs.cnt = fake->allgs.cap = UINT64_MAX;
	assert_gs_refused(fake, -E2BIG, "misread");
	fake->allgs.cnt = fake->allgs.cap = GJ_MAX_GOROUTINES;
	assert_gs_refused(fake, -EBADMSG, "memory that is not there");
	fake->target.allgs_va = 8;
	assert_gs_refused(fake, -EBADMSG, "memory that is not there");
	fake->target.pid = 4194305;
	assert_gs_refused(fake, -ESRCH, "is gone");
}

static void threads(void **state)
{
	struct fake *fake = *state;
	const struct gj_trail_m *ms = take_ms(fake);

	assert_int_equal(fake->cnt, M_CNT);
	for (unsigned int i = 0; i < M_CNT; i++) {
		assert_int_equal(ms[i].tid, (uint32_t)getpid() + i);
		assert_int_equal(ms[i].curg, va_of(&fake->gs[i]));
		assert_int_equal(ms[i].g0, va_of(&fake->g0s[i]));
		assert_int_equal(ms[i].gsignal, 0x1000 + i);
		assert_int_equal(ms[i].pad, 0);
	}
	/* One that has not asked for its number yet. */
	fake->ms[1].procid = 0;
	ms = take_ms(fake);
	assert_int_equal(fake->cnt, M_CNT - 1);
	assert_int_equal(ms[1].tid, (uint32_t)getpid() + 2);
	fake->allm = 0;
	take_ms(fake);
	assert_int_equal(fake->cnt, 0);
}

static void bad_threads(void **state)
{
	struct fake *fake = *state;

	/* In a circle. */
	fake->ms[2].alllink = va_of(fake->ms);
	assert_ms_refused(fake, -E2BIG, "threads in its list");
	assert_int_equal(fake->out.size_bytes, 0);
	fake->ms[2].alllink = 16;
	assert_ms_refused(fake, -EBADMSG, "list of threads is broken");
	fake->ms[2].alllink = UINT64_MAX - 100;
	assert_ms_refused(fake, -EBADMSG, "list of threads is broken");
	fake->ms[2].alllink = 0;
	/* Its g0 belongs to another. */
	fake->g0s[1].m = va_of(&fake->ms[2]);
	assert_ms_refused(fake, -EBADMSG, "list of threads is broken");
	fake->g0s[1].m = va_of(&fake->ms[1]);
	fake->ms[1].g0 = UINT64_MAX;
	assert_ms_refused(fake, -EBADMSG, "list of threads is broken");
	fake->ms[1].g0 = va_of(&fake->g0s[1]);
	fake->ms[1].procid = UINT64_C(1) << 40;
	assert_ms_refused(fake, -EBADMSG, "list of threads is broken");
	fake->ms[1].procid = 7;
	fake->target.allm_va = 8;
	assert_ms_refused(fake, -EBADMSG, "list of threads is broken");
	fake->target.pid = 4194305;
	assert_ms_refused(fake, -ESRCH, "is gone");
}

static void assert_check(struct fake *fake, int err, const char *text)
{
	struct gj_diag diag = { 0 };

	assert_int_equal(gj_target_check(&fake->target, &diag), err);
	assert_non_null(strstr(diag.text, text));
}

static void first_goroutine(void **state)
{
	struct fake *fake = *state;

	assert_check(fake, 0, "");
	fake->gs[0].goid = 0;
	assert_check(fake, -EAGAIN, "has not started yet");
	fake->gs[0].goid = 2;
	assert_check(fake, -EBADMSG, "would be number 2 by the offsets found (table)");
	fake->gs[0].goid = 1;
	fake->gs[0].status = 77;
	assert_check(fake, -EBADMSG, "trusted");
	fake->allgs.cnt = 0;
	assert_check(fake, -EAGAIN, "has not started yet");
	fake->allgs.cnt = 1;
	fake->pointers[0] = 64;
	assert_check(fake, -EBADMSG, "memory that is not there");
	fake->target.offsets.g_startpc = 5000;
	assert_check(fake, -EBADMSG, "beyond any g");
}

static void not_go(void **state)
{
	struct gj_diag diag = { 0 };
	struct gj_live *live = NULL;

	(void)state;
	assert_int_equal(gj_live_open((uint32_t)getpid(), &live, &diag), -ENOENT);
	assert_null(live);
	assert_non_null(strstr(diag.text, "no Go program"));
	gj_live_close(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(goroutines, fake_setup, fake_teardown),
		cmocka_unit_test_setup_teardown(states, fake_setup, fake_teardown),
		cmocka_unit_test_setup_teardown(insane_goroutines, fake_setup, fake_teardown),
		cmocka_unit_test_setup_teardown(bad_pointers, fake_setup, fake_teardown),
		cmocka_unit_test_setup_teardown(bad_lists, fake_setup, fake_teardown),
		cmocka_unit_test_setup_teardown(threads, fake_setup, fake_teardown),
		cmocka_unit_test_setup_teardown(bad_threads, fake_setup, fake_teardown),
		cmocka_unit_test_setup_teardown(first_goroutine, fake_setup, fake_teardown),
		cmocka_unit_test(not_go),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
