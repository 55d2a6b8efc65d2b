/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Snapshots of a runtime that this program plays itself, with structs as Go
 * 1.22 lays them out: what a good one gives, what a broken or hostile one does,
 * and that a goroutine which changes meanwhile is never half of each.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/limits.h"
#include "goroutine/live.h"

/* Go 1.22, src/runtime/runtime2.go; only what is read. */
struct fake_g {
	uint64_t stack_lo, stack_hi, guards[2], panics[2];
	uint64_t m;
	uint8_t sched_to_status[88];
	uint32_t status, stack_lock;
	uint64_t goid, schedlink, waitsince;
	uint8_t waitreason, rest[119];
	uint64_t start_pc, tail[15];
};

struct fake_m {
	uint64_t g0;
	uint8_t morebuf[64];
	uint64_t procid, gsignal;
	uint8_t to_curg[104];
	uint64_t curg;
	uint8_t to_alllink[128];
	uint64_t alllink;
};

_Static_assert(offsetof(struct fake_g, m) == 48, "layout of Go 1.22");
_Static_assert(offsetof(struct fake_g, status) == 144, "layout of Go 1.22");
_Static_assert(offsetof(struct fake_g, goid) == 152, "layout of Go 1.22");
_Static_assert(offsetof(struct fake_g, waitreason) == 176, "layout of Go 1.22");
_Static_assert(offsetof(struct fake_g, start_pc) == 296, "layout of Go 1.22");
_Static_assert(offsetof(struct fake_m, procid) == 72, "layout of Go 1.22");
_Static_assert(offsetof(struct fake_m, curg) == 192, "layout of Go 1.22");
_Static_assert(offsetof(struct fake_m, alllink) == 328, "layout of Go 1.22");

#define G_CNT 5
#define M_CNT 3

struct fake {
	struct fake_g gs[G_CNT];
	struct fake_g g0s[M_CNT];
	struct fake_m ms[M_CNT];
	uint64_t pointers[G_CNT + 3];
	struct {
		uint64_t va, cnt, cap;
	} allgs;
	uint64_t allm;
	struct gj_target target;
	struct gj_buf out;
	uint32_t cnt;
};

static uint64_t va_of(const void *pointer)
{
	return (uint64_t)(uintptr_t)pointer;
}

static int setup(void **state)
{
	struct fake *fake = calloc(1, sizeof(*fake));

	*state = fake;
	if (!fake)
		return -1;
	for (unsigned int i = 0; i < G_CNT; i++) {
		fake->gs[i] = (struct fake_g){
			.stack_lo = 0x10000 * (i + 1), .stack_hi = 0x10000 * (i + 1) + 0x800,
			.status = 4, .goid = i + 1, .waitreason = 14, .start_pc = 0x400000 + i,
		};
		/* Not in the order of their addresses, which the snapshot is. */
		fake->pointers[i ? G_CNT - i : 0] = va_of(&fake->gs[i]);
	}
	fake->allgs.va = va_of(fake->pointers);
	fake->allgs.cnt = G_CNT;
	fake->allgs.cap = G_CNT + 3;
	for (unsigned int i = 0; i < M_CNT; i++) {
		fake->ms[i] = (struct fake_m){
			.g0 = va_of(&fake->g0s[i]), .gsignal = 0x1000 + i, .procid = (uint64_t)getpid() + i,
			.curg = va_of(&fake->gs[i]),
			.alllink = i + 1 < M_CNT ? va_of(&fake->ms[i + 1]) : 0,
		};
		fake->g0s[i].m = va_of(&fake->ms[i]);
	}
	fake->allm = va_of(fake->ms);
	fake->target.pid = (uint32_t)getpid();
	gj_goffsets_clear(&fake->target.offsets);
	assert_int_equal(gj_goffsets_from_table(22, &fake->target.offsets), 0);
	fake->target.offsets.source = "table";
	fake->target.allgs_va = va_of(&fake->allgs);
	fake->target.allm_va = va_of(&fake->allm);
	return 0;
}

static int teardown(void **state)
{
	struct fake *fake = *state;

	gj_buf_deinit(&fake->out);
	free(fake);
	return 0;
}

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

struct reuser {
	struct fake_g *g;
	bool stop;
};

/*
 * Gives one g to new goroutines as the runtime does: dead first, alive last
 * (Go src/runtime/proc.go: gdestroy, newproc1).
 */
static void *reuse(void *arg)
{
	struct reuser *reuser = arg;
	struct fake_g *g = reuser->g;

	for (uint64_t n = 100; !__atomic_load_n(&reuser->stop, __ATOMIC_RELAXED); n++) {
		__atomic_store_n(&g->status, 6, __ATOMIC_SEQ_CST);
		__atomic_store_n(&g->goid, n, __ATOMIC_SEQ_CST);
		__atomic_store_n(&g->start_pc, n * 16, __ATOMIC_SEQ_CST);
		__atomic_store_n(&g->stack_hi, n * 0x10000 + 0x800, __ATOMIC_SEQ_CST);
		__atomic_store_n(&g->stack_lo, n * 0x10000, __ATOMIC_SEQ_CST);
		__atomic_store_n(&g->status, 1, __ATOMIC_SEQ_CST);
	}
	return NULL;
}

static void used_again_meanwhile(void **state)
{
	struct fake *fake = *state;
	struct reuser reuser = { &fake->gs[2], false };
	unsigned long seen = 0;
	pthread_t thread;

	fake->gs[2].status = 6;
	assert_int_equal(pthread_create(&thread, NULL, reuse, &reuser), 0);
	for (int i = 0; i < 20000; i++) {
		const struct gj_trail_g *gs = take_gs(fake);

		for (uint32_t k = 0; k < fake->cnt; k++) {
			if (gs[k].g != va_of(&fake->gs[2]))
				continue;
			seen++;
			assert_int_equal(gs[k].stack_lo, gs[k].goid * 0x10000);
			assert_int_equal(gs[k].stack_hi, gs[k].goid * 0x10000 + 0x800);
			assert_int_equal(gs[k].start_pc, gs[k].goid * 16);
		}
		assert_true(fake->cnt >= G_CNT - 1);
	}
	__atomic_store_n(&reuser.stop, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	assert_true(seen > 0);
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
		cmocka_unit_test_setup_teardown(goroutines, setup, teardown),
		cmocka_unit_test_setup_teardown(states, setup, teardown),
		cmocka_unit_test_setup_teardown(insane_goroutines, setup, teardown),
		cmocka_unit_test_setup_teardown(bad_pointers, setup, teardown),
		cmocka_unit_test_setup_teardown(bad_lists, setup, teardown),
		cmocka_unit_test_setup_teardown(threads, setup, teardown),
		cmocka_unit_test_setup_teardown(bad_threads, setup, teardown),
		cmocka_unit_test_setup_teardown(first_goroutine, setup, teardown),
		cmocka_unit_test_setup_teardown(used_again_meanwhile, setup, teardown),
		cmocka_unit_test(not_go),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
