/* SPDX-License-Identifier: GPL-2.0 */
/* Stack dumps taken on g0's stack, without g and m: on to the thread's root. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "stackwriter.h"

enum { MAIN, MSTART, MSTART0, MSTART1, SYSTEMSTACK, NEWPROC1, MCALL, PARK, CROSSCALL2, CGOCALLBACK,
       CGOCALLBACKG, SCHEDULE };

static const struct sw_func funcs[] = {
	[MAIN] = { "main.main", 24 },
	[MSTART] = { "runtime.mstart", 0, GJ_GOFUNC_TOPFRAME },
	/* call mstart1, the function behind this one */
	[MSTART0] = { "runtime.mstart0", 40, 0, "\xe8\xfb\0\0\0", 5 },
	[MSTART1] = { "runtime.mstart1", 32 },
	/* mov rsp, [rdx+56]; call rdi; mov rsp, [rax+56] */
	[SYSTEMSTACK] = { "runtime.systemstack", 8, GJ_GOFUNC_SPWRITE,
			  "\x48\x8b\x62\x38\xff\xd7\x48\x8b\x60\x38", 10 },
	[NEWPROC1] = { "runtime.newproc1", 16 },
	[MCALL] = { "runtime.mcall", 8, GJ_GOFUNC_SPWRITE },
	[PARK] = { "runtime.park_m", 16 },
	[CROSSCALL2] = { "crosscall2", 256 },
	/* lea rax, [rip+...]; call rax: cgocallbackg, the function behind this one */
	[CGOCALLBACK] = { "runtime.cgocallback", 32, GJ_GOFUNC_SPWRITE,
			  "\x48\x8d\x05\xf9\0\0\0\xff\xd0", 9 },
	[CGOCALLBACKG] = { "runtime.cgocallbackg", 64 },
	[SCHEDULE] = { "runtime.schedule", 32 },
	{ NULL },
};

#define SYS(off) (SW_G0_STACK + (off))

static int setup(void **state)
{
	struct sw *sw = malloc(sizeof(*sw));

	*state = sw;
	if (!sw || sw_open(sw, funcs, EM_X86_64))
		return -1;
	sw->view.offsets = NULL; /* nothing is known of g and m */
	return 0;
}

static int teardown(void **state)
{
	sw_close(*state);
	free(*state);
	return 0;
}

/* g0's stack was taken up at @sp, in mstart0, called by mstart. */
static void put_root(struct sw *sw, uint64_t sp)
{
	sw_put(sw, sp + 40, SW_AT(MSTART, 5));
}

static void expect(struct sw *sw, const uint64_t *vas, size_t cnt, size_t gap)
{
	for (size_t i = 0; i < cnt && i < sw->stack.cnt; i++) {
		assert_int_equal(sw->stack.frames[i].va, vas[i]);
		assert_int_equal(sw->stack.frames[i].may_miss, i == gap);
	}
	assert_int_equal(sw->stack.cnt, cnt);
	assert_true(sw->stack.is_complete);
	assert_string_equal(sw->stack.root, "mstart");
}
#define EXPECT(sw, gap, ...) \
	expect(sw, (uint64_t[]){ __VA_ARGS__ }, sizeof((uint64_t[]){ __VA_ARGS__ }) / 8, gap)

static void systemstack(void **state)
{
	struct sw *sw = *state;

	sw_put(sw, SYS(0xe10), SW_AT(SYSTEMSTACK, 6));
	put_root(sw, SYS(0xe18));
	sw_walk(sw, SW_AT(NEWPROC1, 8), SYS(0xe00));
	EXPECT(sw, 2, SW_AT(NEWPROC1, 8), SW_AT(SYSTEMSTACK, 6), SW_AT(MSTART0, 5), SW_AT(MSTART, 5));
}

/* Behind the switch itself, and a word below as up to Go 1.16. */
static void systemstack_itself(void **state)
{
	struct sw *sw = *state;

	put_root(sw, SYS(0xe08));
	sw_walk(sw, SW_AT(SYSTEMSTACK, 4), SYS(0xe00));
	EXPECT(sw, 1, SW_AT(SYSTEMSTACK, 4), SW_AT(MSTART0, 5), SW_AT(MSTART, 5));
}

static void called_back(void **state)
{
	struct sw *sw = *state;

	sw_put(sw, SYS(0x810), SW_AT(SYSTEMSTACK, 6));
	/* cgocallback's frame at 0x818, called by crosscall2, called by mstart for this test. */
	sw_put(sw, SYS(0x838), SW_AT(CROSSCALL2, 0x30));
	sw_put(sw, SYS(0x940), SW_AT(MSTART, 5));
	sw_walk(sw, SW_AT(NEWPROC1, 8), SYS(0x800));
	EXPECT(sw, 2, SW_AT(NEWPROC1, 8), SW_AT(SYSTEMSTACK, 6), SW_AT(CGOCALLBACK, 9),
	       SW_AT(CROSSCALL2, 0x30), SW_AT(MSTART, 5));
}

/* The scheduler serves nobody: nothing is left out. */
static void mcall(void **state)
{
	struct sw *sw = *state;

	sw_put(sw, SYS(0xe20), SW_AT(PARK, 8));
	sw_put(sw, SYS(0xe38), SW_AT(MCALL, 8));
	put_root(sw, SYS(0xe48));
	sw_walk(sw, SW_AT(SCHEDULE, 8), SYS(0xe00));
	EXPECT(sw, SIZE_MAX, SW_AT(SCHEDULE, 8), SW_AT(PARK, 8), SW_AT(MCALL, 8), SW_AT(MSTART0, 5),
	       SW_AT(MSTART, 5));
}

/* No return address into mstart where mstart0's ought to be: no guess. */
static void not_there(void **state)
{
	struct sw *sw = *state;

	sw_put(sw, SYS(0xe10), SW_AT(SYSTEMSTACK, 6));
	sw_put(sw, SYS(0xe18) + 40, SW_AT(MAIN, 5));
	sw_put(sw, SYS(0xe18) + 48, SW_AT(PARK, 5));
	sw_walk(sw, SW_AT(NEWPROC1, 8), SYS(0xe00));
	assert_false(sw->stack.is_complete);
	assert_int_equal(sw->stack.cut, GJ_CUT_NO_RUNTIME);
	assert_int_equal(sw->stack.cnt, 2);
}

/* Before the switch it stands on its caller's stack, and its table holds. */
static void before_the_switch(void **state)
{
	struct sw *sw = *state;

	sw_put(sw, SYS(0xe08), SW_AT(MSTART, 5));
	sw_walk(sw, SW_AT(SYSTEMSTACK, 0), SYS(0xe00));
	EXPECT(sw, SIZE_MAX, SW_AT(SYSTEMSTACK, 0), SW_AT(MSTART, 5));
}

/* There is no word above the last one. */
static void last_word(void **state)
{
	struct sw *sw = *state;

	for (uint64_t off = 8; off <= 64; off += 8) {
		sw_walk(sw, SW_AT(SYSTEMSTACK, 4), -off);
		assert_false(sw->stack.is_complete);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(systemstack, setup, teardown),
		cmocka_unit_test_setup_teardown(systemstack_itself, setup, teardown),
		cmocka_unit_test_setup_teardown(called_back, setup, teardown),
		cmocka_unit_test_setup_teardown(mcall, setup, teardown),
		cmocka_unit_test_setup_teardown(not_there, setup, teardown),
		cmocka_unit_test_setup_teardown(before_the_switch, setup, teardown),
		cmocka_unit_test_setup_teardown(last_word, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
