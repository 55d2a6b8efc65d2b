/* SPDX-License-Identifier: GPL-2.0 */
/* Kernel and user parts joined, recorded chains repaired, and stacks of rubbish. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "stackwriter.h"

enum { MAIN, LEAF, MIDDLE, GOEXIT, PUSHED, GROWS, MCALL, SYSTEMSTACK, CGOCALLBACK, ASMCGOCALL, SIGRETURN,
       SIGPANIC, SCHEDULE };

static const struct sw_func funcs[] = {
	[MAIN] = { "main.main", 24 },
	[LEAF] = { "main.leaf", 0 },
	[MIDDLE] = { "main.middle", 40 },
	[GOEXIT] = { "runtime.goexit", 0, GJ_GOFUNC_TOPFRAME },
	/* mov rbp, rsp: RBP is the caller's here although SP has moved */
	[PUSHED] = { "main.pushed", 8, 0, "\x48\x89\xe5\x90", 4 },
	[GROWS] = { "runtime.morestack", 0 },
	[MCALL] = { "runtime.mcall", 8 },
	[SYSTEMSTACK] = { "runtime.systemstack", 8 },
	[CGOCALLBACK] = { "runtime.cgocallback", 16 },
	[ASMCGOCALL] = { "runtime.asmcgocall", 8, 0, "\x48\x89\x7c\x24\x08", 5 },
	[SIGRETURN] = { "runtime.sigreturn", 0, 0, "\x48\xc7\xc0\x0f\0\0\0\x0f\x05", 9 },
	[SIGPANIC] = { "runtime.sigpanic", 8 },
	[SCHEDULE] = { "runtime.schedule", 40 },
	{ NULL },
};
#define FUNC_CNT (sizeof(funcs) / sizeof(funcs[0]) - 1)
#define GO(off) (SW_GO_STACK + (off))

static int setup(void **state)
{
	struct sw *sw = malloc(sizeof(*sw));

	*state = sw;
	return sw ? sw_open(sw, funcs, EM_X86_64) : -1;
}

static int teardown(void **state)
{
	sw_close(*state);
	free(*state);
	return 0;
}

/* leaf < middle < middle < main < goexit; RBP is middle's record, at its CFA - 16. */
static void put_calls(struct sw *sw)
{
	sw_put(sw, GO(0x100), SW_AT(MIDDLE, 0x20));
	sw_put(sw, GO(0x130), SW_AT(MIDDLE, 0x30));
	sw_put(sw, GO(0x160), SW_AT(MAIN, 0x40));
	sw_put(sw, GO(0x180), SW_AT(GOEXIT, 1));
	sw->values[SW_BP] = GO(0x128);
}

/* What the kernel makes of it: leaf's caller is lost. */
static const uint64_t fp_chain[] = { SW_AT(LEAF, 4), SW_AT(MIDDLE, 0x30), SW_AT(MAIN, 0x40),
				     SW_AT(GOEXIT, 1) };

static void give_chain(struct sw *sw)
{
	sw->input.user_chain = fp_chain;
	sw->input.user_cnt = 4;
}

/* Reads beyond a slice of the stack fail. */
static uint64_t slice_end_va;

static int read_slice(void *data, uint64_t va, void *bytes_out, size_t size_bytes)
{
	return va + size_bytes <= slice_end_va ? sw_read(data, va, bytes_out, size_bytes) : -14;
}

static void expect_calls(struct sw *sw)
{
	static const uint64_t vas[] = { SW_AT(LEAF, 4), SW_AT(MIDDLE, 0x20), SW_AT(MIDDLE, 0x30),
					SW_AT(MAIN, 0x40), SW_AT(GOEXIT, 1) };

	assert_true(sw->stack.is_complete);
	assert_string_equal(sw->stack.root, "goexit");
	assert_int_equal(sw->stack.cnt, 5);
	for (size_t i = 0; i < 5; i++)
		assert_int_equal(sw->stack.frames[i].va, vas[i]);
	assert_false(sw->stack.has_gap);
}

/* g and m can be read, the goroutine's stack up to a slice's end. */
static int read_slice_and_state(void *data, uint64_t va, void *bytes_out, size_t size_bytes)
{
	return va < GO(SW_STACK_BYTES) ? read_slice(data, va, bytes_out, size_bytes) :
					 sw_read(data, va, bytes_out, size_bytes);
}

/* The word that newproc puts at the end of a goroutine's stack is known without reading it. */
static void slice_without_goexit(void **state)
{
	struct sw *sw = *state;

	sw->view.read = read_slice_and_state;
	for (uint64_t first = SW_STACK_BYTES - 64; first < SW_STACK_BYTES; first += 8) {
		slice_end_va = GO(first);
		sw_put(sw, GO(first), SW_AT(GOEXIT, 1));
		sw_walk(sw, SW_AT(MAIN, 0x40), GO(first - 24));
		assert_int_equal(sw->stack.is_complete, first == SW_STACK_BYTES - 40);
		assert_int_equal(sw->stack.cnt, 1 + sw->stack.is_complete);
		if (sw->stack.is_complete)
			assert_int_equal(sw->stack.frames[1].va, SW_AT(GOEXIT, 1));
	}
}

/* The lost caller is put back out of one word of the stack; the rest is the kernel's. */
static void chain_and_slice(void **state)
{
	struct sw *sw = *state;

	put_calls(sw);
	give_chain(sw);
	sw->view.offsets = NULL;
	sw->view.read = read_slice;
	for (uint64_t end = 0x108; end <= 0x190; end += 8) {
		slice_end_va = GO(end);
		sw_walk(sw, SW_AT(LEAF, 4), GO(0x100));
		expect_calls(sw);
		assert_int_equal(sw->stack.repaired_cnt, 1);
		assert_int_equal(sw->stack.frames[1].how, GJ_FRAME_PCSP);
		if (end == 0x108)
			assert_int_equal(sw->stack.frames[2].how, GJ_FRAME_FP);
	}
	/* Without that word nothing can be put back, and the place is marked. */
	slice_end_va = GO(0x100);
	sw_walk(sw, SW_AT(LEAF, 4), GO(0x100));
	assert_int_equal(sw->stack.cnt, 4);
	assert_true(sw->stack.has_gap);
	assert_true(sw->stack.frames[1].may_miss);
	assert_int_equal(sw->stack.repaired_cnt, 0);
	assert_true(sw->stack.is_complete);
}

/* The chain is of another stack, or RBP is no record: nothing is mixed. */
static void chain_that_differs(void **state)
{
	static const uint64_t other[] = { SW_AT(LEAF, 4), SW_AT(MAIN, 0x10), SW_AT(GOEXIT, 1) };
	struct sw *sw = *state;

	put_calls(sw);
	sw->input.user_chain = other;
	sw->input.user_cnt = 3;
	sw->view.offsets = NULL;
	sw->view.read = read_slice;
	slice_end_va = GO(0x138);
	sw_walk(sw, SW_AT(LEAF, 4), GO(0x100));
	assert_int_equal(sw->stack.cnt, 3);
	assert_false(sw->stack.is_complete);
	assert_int_equal(sw->stack.frames[2].va, SW_AT(MIDDLE, 0x30));
	assert_int_equal(sw->stack.cut, GJ_CUT_NO_BYTES);
	/* RBP used for something else, and a longer chain: it is given, marked. */
	give_chain(sw);
	sw->values[SW_BP] = 0x1234568;
	slice_end_va = GO(0x108);
	sw_walk(sw, SW_AT(LEAF, 4), GO(0x100));
	assert_int_equal(sw->stack.cnt, 4);
	assert_true(sw->stack.has_gap);
}

/* RBP names a record below SP, whose return address is dead; the frame pointer kept in it holds. */
static void chain_over_dead_record(void **state)
{
	static const uint64_t chain[] = { SW_AT(LEAF, 4), SW_AT(LEAF, 4), SW_AT(MIDDLE, 0x20),
					  SW_AT(MIDDLE, 0x30), SW_AT(MAIN, 0x40), SW_AT(GOEXIT, 1) };
	struct sw *sw = *state;

	put_calls(sw);
	sw->values[SW_BP] = GO(0xf0);
	sw->input.user_chain = chain;
	sw->input.user_cnt = 6;
	sw->view.offsets = NULL;
	sw->view.read = read_slice;
	for (uint64_t end = 0x108; end <= 0x190; end += 8) {
		slice_end_va = GO(end);
		sw_walk(sw, SW_AT(LEAF, 4), GO(0x100));
		expect_calls(sw);
	}
	/* Nothing to hold it against: what may be missing is marked. */
	slice_end_va = GO(0x100);
	sw_walk(sw, SW_AT(LEAF, 4), GO(0x100));
	assert_int_equal(sw->stack.cnt, 5);
	assert_int_equal(sw->stack.frames[1].va, SW_AT(MIDDLE, 0x20));
	assert_true(sw->stack.frames[1].may_miss);
	/* Far below SP it is a record of another stack. */
	sw->values[SW_BP] = SW_GO_STACK - 0x100;
	sw_walk(sw, SW_AT(LEAF, 4), GO(0x100));
	assert_int_equal(sw->stack.cnt, 6);
}

/* A long chain that is another stack's from its third address on does not take a walk's place. */
static void chain_that_is_cut(void **state)
{
	static const uint64_t crossing[] = { SW_AT(LEAF, 4), SW_AT(GROWS, 0x40), SW_AT(MAIN, 0x40),
					     SW_AT(MAIN, 0x40), SW_AT(MAIN, 0x40), SW_AT(GOEXIT, 1) };
	struct sw *sw = *state;

	put_calls(sw);
	sw->values[SW_BP] = 0x1234568;
	sw->input.user_chain = crossing;
	sw->input.user_cnt = 6;
	sw->view.offsets = NULL;
	sw->view.read = read_slice;
	slice_end_va = GO(0x138);
	sw_walk(sw, SW_AT(LEAF, 4), GO(0x100));
	assert_int_equal(sw->stack.cnt, 3);
	assert_int_equal(sw->stack.frames[2].va, SW_AT(MIDDLE, 0x30));
	assert_int_equal(sw->stack.cut, GJ_CUT_NO_BYTES);
	slice_end_va = GO(0x100);
	sw_walk(sw, SW_AT(LEAF, 4), GO(0x100));
	assert_int_equal(sw->stack.cnt, 2);
	assert_int_equal(sw->stack.frames[1].va, SW_AT(GROWS, 0x40));
	assert_int_equal(sw->stack.cut, GJ_CUT_CHAIN);
}

/* No registers: what is certain of a chain is whether its first frame has its own record. */
static void chain_alone(void **state)
{
	static const struct { uint64_t ip; bool may_miss; } cases[] = {
		{ SW_AT(LEAF, 4), true }, { SW_AT(MIDDLE, 4), false }, { SW_AT(PUSHED, 0), true },
		{ SW_AT(PUSHED, 3), false }, { 0x1234, true },
	};
	struct sw *sw = *state;

	sw->input.regs = (struct gj_regs){ 0 };
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint64_t chain[] = { cases[i].ip, SW_AT(MAIN, 0x40), SW_AT(GOEXIT, 1) };

		sw->input.user_chain = chain;
		sw->input.user_cnt = 3;
		sw_walk(sw, 0, 0);
		assert_int_equal(sw->stack.cnt, 3);
		assert_true(sw->stack.is_complete);
		assert_int_equal(sw->stack.has_gap, cases[i].may_miss);
		assert_int_equal(sw->stack.frames[0].how, GJ_FRAME_IP);
		assert_int_equal(sw->stack.frames[1].how, GJ_FRAME_FP);
		sw->input.user_cnt = 2;
		sw_walk(sw, 0, 0);
		assert_false(sw->stack.is_complete);
		assert_int_equal(sw->stack.cut, GJ_CUT_CHAIN);
	}
}

/* Frame pointers cross between stacks; what they cross is a root, a loss, or the end of what holds. */
static void chain_over_seams(void **state)
{
	struct sw *sw = *state;
	uint64_t chain[] = { SW_AT(MIDDLE, 4), SW_AT(MCALL, 0x40), SW_AT(MAIN, 0x40), SW_AT(GOEXIT, 1) };

	sw->input.regs = (struct gj_regs){ 0 };
	sw->input.user_chain = chain;
	sw->input.user_cnt = 4;
	sw_walk(sw, 0, 0);
	assert_int_equal(sw->stack.cnt, 2);
	assert_true(sw->stack.is_complete);
	assert_string_equal(sw->stack.root, "mcall");
	chain[1] = SW_AT(GROWS, 0x40);
	sw_walk(sw, 0, 0);
	assert_int_equal(sw->stack.cnt, 2);
	assert_false(sw->stack.is_complete);
	assert_int_equal(sw->stack.cut, GJ_CUT_CHAIN);
	/* Who wanted more stack has been put off: the thread serves others by now. */
	chain[1] = SW_AT(SCHEDULE, 0x40);
	chain[2] = SW_AT(GROWS, 0x40);
	sw_walk(sw, 0, 0);
	assert_int_equal(sw->stack.cnt, 3);
	assert_true(sw->stack.is_complete);
	assert_string_equal(sw->stack.root, "schedule");
	chain[2] = SW_AT(MAIN, 0x40);
	chain[1] = SW_AT(SYSTEMSTACK, 0x40);
	sw_walk(sw, 0, 0);
	assert_int_equal(sw->stack.cnt, 4);
	assert_true(sw->stack.is_complete);
	assert_false(sw->stack.frames[1].may_miss);
	assert_true(sw->stack.frames[2].may_miss);
	/* Who was interrupted stands at an instruction of its own, and may have had no frame yet. */
	for (unsigned int off = 0; off <= 4; off += 4) {
		uint64_t faulted[] = { SW_AT(MIDDLE, 4), SW_AT(SIGPANIC, 0x40), SW_AT(off ? MIDDLE : LEAF, off),
				       SW_AT(MAIN, 0x40), SW_AT(GOEXIT, 1) };

		sw->input.user_chain = faulted;
		sw->input.user_cnt = 5;
		sw_walk(sw, 0, 0);
		assert_true(sw->stack.is_complete);
		assert_true(sw->stack.frames[1].is_return);
		assert_false(sw->stack.frames[2].is_return);
		assert_false(sw->stack.frames[2].may_miss);
		assert_true(sw->stack.frames[3].is_return);
		assert_int_equal(sw->stack.frames[3].may_miss, !off);
	}
	/* A signal: the chain goes on with the caller of whoever it came to. */
	chain[1] = SW_AT(SIGRETURN, 0);
	sw->input.user_chain = chain;
	sw->input.user_cnt = 4;
	sw_walk(sw, 0, 0);
	assert_int_equal(sw->stack.cnt, 4);
	assert_false(sw->stack.frames[1].may_miss);
	assert_true(sw->stack.frames[2].may_miss);
}

static void kernel_part(void **state)
{
	static const uint64_t kernel[] = { 0xffffffff81000000, 0xffffffff81000100 };
	struct sw *sw = *state;

	put_calls(sw);
	sw->input.kernel_chain = kernel;
	sw->input.kernel_cnt = 2;
	sw_walk(sw, SW_AT(LEAF, 4), GO(0x100));
	assert_int_equal(sw->stack.cnt, 7);
	assert_int_equal(sw->stack.kernel_cnt, 2);
	assert_int_equal(sw->stack.frames[1].how, GJ_FRAME_KERNEL);
	assert_int_equal(sw->stack.frames[2].va, SW_AT(LEAF, 4));
	assert_true(sw->stack.is_complete);
	/* Joined with a chain too. */
	give_chain(sw);
	sw->view.offsets = NULL;
	sw->view.read = read_slice;
	slice_end_va = GO(0x108);
	sw_walk(sw, SW_AT(LEAF, 4), GO(0x100));
	assert_int_equal(sw->stack.cnt, 7);
	assert_int_equal(sw->stack.repaired_cnt, 1);
	for (size_t max = 0; max < 7; max++) {
		sw->stack.max = max;
		sw_walk(sw, SW_AT(LEAF, 4), GO(0x100));
		assert_int_equal(sw->stack.cnt, max);
		assert_false(sw->stack.is_complete);
		assert_int_equal(sw->stack.cut, GJ_CUT_LIMIT);
	}
}

/* Stacks of addresses that all are code, of a runtime that says anything, end with a reason. */
static void rubbish(void **state)
{
	struct sw *sw = *state;
	uint64_t seed = 1;

	for (unsigned int round = 0; round < 3000; round++) {
		for (uint64_t va = SW_MEMORY; va < SW_MEMORY + SW_MEMORY_BYTES - 0x800; va += 8) {
			seed = seed * 6364136223846793005 + 1442695040888963407;
			if (va >= SW_G ? seed >> 62 : 0)
				continue;
			sw_put(sw, va, seed >> 63 ? SW_AT(seed >> 33 & 15, seed >> 40 & 0xff) % (SW_TEXT + 0x100 * FUNC_CNT) :
						    SW_MEMORY + (seed >> 40) % SW_MEMORY_BYTES / 8 * 8);
		}
		if (round % 2)
			sw_write_runtime(sw);
		sw->read_cnt = 0;
		sw_walk(sw, SW_AT(round % FUNC_CNT, round & 0xff),
			SW_MEMORY + (seed >> 20) % SW_MEMORY_BYTES / 8 * 8);
		assert_in_range(sw->stack.cnt, 1, 256);
		assert_true(sw->stack.is_complete == (sw->stack.cut == GJ_CUT_NONE));
		assert_true(sw->stack.is_complete == (sw->stack.root != NULL));
		assert_in_range(sw->read_cnt, 0, 8192);
	}
}

static void cut_texts(void **state)
{
	(void)state;
	for (int cut = -1; cut <= GJ_CUT_CNT; cut++)
		assert_non_null(gj_cut_text((enum gj_cut)cut));
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(chain_and_slice), TEST(slice_without_goexit), TEST(chain_that_differs),
		TEST(chain_that_is_cut), TEST(chain_over_dead_record),
		TEST(chain_alone), TEST(chain_over_seams),
		TEST(kernel_part), TEST(rubbish), cmocka_unit_test(cut_texts),
	};

	return cmocka_run_group_tests_name("stitch", tests, NULL, NULL);
}
