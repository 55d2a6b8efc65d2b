/* SPDX-License-Identifier: GPL-2.0 */
/* Go frames by their tables of SP, on amd64 and arm64, and tables that lie. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "stackwriter.h"

enum { MAIN, LEAF, BIG, NEGATIVE, NO_TABLE, GOEXIT, ASYNC_PREEMPT, HUGE_FRAME };

static const struct sw_func funcs[] = {
	[MAIN] = { "main.main", 24 },
	[LEAF] = { "main.leaf", 0 },
	[BIG] = { "main.big", 0x800 },
	[NEGATIVE] = { "main.negative", -16 },
	[NO_TABLE] = { "main.notable", SW_NO_TABLE },
	[GOEXIT] = { "runtime.goexit", 0, GJ_GOFUNC_TOPFRAME },
	[ASYNC_PREEMPT] = { "runtime.asyncPreempt", 48 },
	[HUGE_FRAME] = { "main.huge", INT32_MAX - 8 },
	{ NULL },
};

#define GO(off) (SW_GO_STACK + (off))

static int setup(void **state)
{
	struct sw *sw = malloc(sizeof(*sw));

	*state = sw;
	return sw ? sw_open(sw, funcs, EM_X86_64) : -1;
}

static int setup_arm64(void **state)
{
	struct sw *sw = malloc(sizeof(*sw));

	*state = sw;
	return sw ? sw_open(sw, funcs, EM_AARCH64) : -1;
}

static int teardown(void **state)
{
	sw_close(*state);
	free(*state);
	return 0;
}

static void expect_cut(struct sw *sw, enum gj_cut cut, size_t cnt)
{
	assert_false(sw->stack.is_complete);
	if (sw->stack.cut != cut)
		fail_msg("cut: %s", gj_cut_text(sw->stack.cut));
	assert_int_equal(sw->stack.cnt, cnt);
}

static void frames(void **state)
{
	struct sw *sw = *state;

	sw_put(sw, GO(0x100), SW_AT(BIG, 0x10));
	sw_put(sw, GO(0x108 + 0x800), SW_AT(MAIN, 0x40));
	sw_put(sw, GO(0x108 + 0x808 + 24), SW_AT(GOEXIT, 1));
	assert_int_equal(sw_walk(sw, SW_AT(LEAF, 9), GO(0x100)), 0);
	assert_true(sw->stack.is_complete);
	assert_string_equal(sw->stack.root, "goexit");
	assert_int_equal(sw->stack.cnt, 4);
	assert_int_equal(sw->stack.frames[0].how, GJ_FRAME_IP);
	assert_false(sw->stack.frames[0].is_return);
	assert_int_equal(sw->stack.frames[1].va, SW_AT(BIG, 0x10));
	assert_int_equal(sw->stack.frames[1].sp, GO(0x108));
	assert_int_equal(sw->stack.frames[1].how, GJ_FRAME_PCSP);
	assert_ptr_equal(sw->stack.frames[1].image, sw->image);
	assert_int_equal(sw->stack.frames[2].sp, GO(0x910));
	assert_int_equal(sw->stack.frames[3].va, SW_AT(GOEXIT, 1));
}

/* Tables and words that lead nowhere, each with its own reason. */
static void cuts(void **state)
{
	struct sw *sw = *state;

	sw_walk(sw, SW_AT(NEGATIVE, 4), GO(0x100));
	expect_cut(sw, GJ_CUT_NO_TABLE, 1);
	sw_walk(sw, SW_AT(NO_TABLE, 4), GO(0x100));
	expect_cut(sw, GJ_CUT_NO_TABLE, 1);
	sw_walk(sw, SW_AT(HUGE_FRAME, 4), GO(0x100));
	expect_cut(sw, GJ_CUT_NO_TABLE, 1);
	sw_walk(sw, SW_AT(BIG, 4), GO(0x900));
	expect_cut(sw, GJ_CUT_BOUNDS, 1);
	sw_walk(sw, SW_AT(LEAF, 4), GO(0x100));
	expect_cut(sw, GJ_CUT_UNDEFINED, 1);
	sw_put(sw, GO(0x100), 0x1234);
	sw_walk(sw, SW_AT(LEAF, 4), GO(0x100));
	expect_cut(sw, GJ_CUT_NO_IMAGE, 1);
	sw_walk(sw, 0x1234, GO(0x100));
	expect_cut(sw, GJ_CUT_NO_IMAGE, 1);
	sw_walk(sw, SW_AT(MAIN, 4), 0x5000);
	expect_cut(sw, GJ_CUT_NO_BYTES, 1);
	sw_walk(sw, SW_AT(MAIN, 4), UINT64_MAX - 7);
	assert_false(sw->stack.is_complete);
	assert_int_equal(sw->stack.cnt, 1);
	sw->input.regs = (struct gj_regs){ 0 };
	sw_walk(sw, SW_AT(MAIN, 4), GO(0x100));
	expect_cut(sw, GJ_CUT_NO_REGS, 0);
}

/* perf's registers of arm64: x0 to x30, sp, pc. */
static void walk_arm64(struct sw *sw, uint64_t pc, uint64_t sp, uint64_t lr)
{
	uint64_t values[33] = { 0 };

	values[30] = lr;
	values[31] = sp;
	values[32] = pc;
	sw->input.regs = (struct gj_regs){ 0x1ffffffff, values };
	assert_int_equal(gj_stitch(sw->stitcher, &sw->view, &sw->input, &sw->stack), 0);
}

/* A leaf has its return address in x30; frames have theirs at SP. */
static void frames_arm64(void **state)
{
	struct sw *sw = *state;

	sw_put(sw, GO(0x100), SW_AT(BIG, 0x10));
	sw_put(sw, GO(0x118), SW_AT(GOEXIT, 4));
	walk_arm64(sw, SW_AT(LEAF, 8), GO(0x100), SW_AT(MAIN, 0x40));
	assert_true(sw->stack.is_complete);
	assert_int_equal(sw->stack.cnt, 4);
	assert_int_equal(sw->stack.frames[1].va, SW_AT(MAIN, 0x40));
	assert_int_equal(sw->stack.frames[1].sp, GO(0x100));
	assert_int_equal(sw->stack.frames[2].va, SW_AT(BIG, 0x10));
	assert_int_equal(sw->stack.frames[2].sp, GO(0x118));
	sw_put(sw, GO(0x100), SW_AT(GOEXIT, 4));
	walk_arm64(sw, SW_AT(LEAF, 8), GO(0x100), SW_AT(MAIN, 0x40));
	assert_true(sw->stack.is_complete);
	assert_int_equal(sw->stack.cnt, 3);
	/* A leaf that calls itself has no frame to rise by. */
	walk_arm64(sw, SW_AT(LEAF, 8), GO(0x100), SW_AT(LEAF, 8));
	expect_cut(sw, GJ_CUT_NO_REGISTER, 2);
}

/* x30 of whoever was preempted stands in 16 bytes below its SP. */
static void injected_arm64(void **state)
{
	struct sw *sw = *state;

	sw_put(sw, GO(0x100), SW_AT(LEAF, 0x20));
	sw_put(sw, GO(0x100 + 48), SW_AT(MAIN, 0x40));
	sw_put(sw, GO(0x140), SW_AT(GOEXIT, 4));
	walk_arm64(sw, SW_AT(ASYNC_PREEMPT, 8), GO(0x100), 0);
	assert_true(sw->stack.is_complete);
	assert_int_equal(sw->stack.cnt, 4);
	assert_int_equal(sw->stack.frames[1].va, SW_AT(LEAF, 0x20));
	assert_false(sw->stack.frames[1].is_return);
	assert_int_equal(sw->stack.frames[2].va, SW_AT(MAIN, 0x40));
	assert_int_equal(sw->stack.frames[2].sp, GO(0x140));
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)
#define TEST_ARM64(function) cmocka_unit_test_setup_teardown(function, setup_arm64, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(frames), TEST(cuts), TEST_ARM64(frames_arm64), TEST_ARM64(injected_arm64),
	};

	return cmocka_run_group_tests_name("pcsp", tests, NULL, NULL);
}
