/* SPDX-License-Identifier: GPL-2.0 */
/* Callers that a chain by frame pointers lacks, proven from code made by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "stackwriter.h"

enum {
	OUTER, /* calls all of those that follow, up to LEAF */
	ONCE, TWICE, NEVER, BY_REGISTER, BY_JUMP, BY_THIN, SELF, LENT, OLD_FORM, SPOILT, TAIL,
	LEAF, BODY, JUMPER, THIN, THIN_LEAF, WILD, ONLY, ONLY_LEAF, TAKEN, GOEXIT, MORESTACK, PANIC,
	PANICMEM, FUNC_CNT
};

static struct sw_func funcs[FUNC_CNT + 1];
static uint8_t code[FUNC_CNT][SW_FUNC_BYTES];
static uint32_t code_bytes[FUNC_CNT];

static const char *const names[FUNC_CNT] = {
	"main.outer", "main.once", "main.twice", "main.never", "main.byRegister", "main.byJump",
	"main.byThin", "main.self", "main.lent", "main.oldForm", "main.spoilt", "main.tail",
	"main.leaf", "main.body", "main.jumper", "main.thin", "main.thinLeaf", "main.wild",
	"main.only", "main.onlyLeaf", "main.taken", "runtime.goexit", "runtime.morestack",
	"runtime.sigpanic", "runtime.panicmem",
};

/* Returns the offset behind it. */
static uint32_t emit(int func, const void *bytes, uint32_t size_bytes)
{
	memcpy(code[func] + code_bytes[func], bytes, size_bytes);
	code_bytes[func] += size_bytes;
	return code_bytes[func];
}

/* @op: 0xe8 call, 0xe9 jmp */
static uint32_t emit_branch(int func, uint8_t op, int target)
{
	uint8_t bytes[5] = { op };
	int32_t distance = SW_AT(target, 0) - (SW_AT(func, code_bytes[func]) + 5);

	memcpy(bytes + 1, &distance, 4);
	return emit(func, bytes, 5);
}

#define BEGIN "\x55\x48\x89\xe5" /* push rbp; mov rbp, rsp */
#define END "\x5d\xc3"           /* pop rbp; ret */

/* A framed function that calls @target; 0: none. Returns the offset behind the call. */
static uint32_t emit_framed(int func, int target)
{
	uint32_t off;

	emit(func, BEGIN, 4);
	off = emit_branch(func, 0xe8, target);
	emit(func, END, 2);
	return off;
}

static uint32_t outer_offs[FUNC_CNT], once_off, thin_off, by_thin_off, by_jump_off, self_off,
	old_off, only_off;

static void write_framed(void)
{
	emit(OUTER, BEGIN, 4);
	for (int i = ONCE; i < LEAF; i++)
		outer_offs[i] = emit_branch(OUTER, 0xe8, i);
	emit(OUTER, END, 2);
	once_off = emit_framed(ONCE, LEAF);
	emit(TWICE, BEGIN, 4);
	emit_branch(TWICE, 0xe8, LEAF);
	emit_branch(TWICE, 0xe8, LEAF);
	emit(TWICE, END, 2);
	emit(NEVER, BEGIN "\x90" END, 7);
	emit(BY_REGISTER, BEGIN "\xff\xd0" END, 8); /* call rax */
	by_jump_off = emit_framed(BY_JUMP, JUMPER);
	by_thin_off = emit_framed(BY_THIN, THIN);
	self_off = emit_framed(SELF, SELF);
	emit_framed(PANIC, PANICMEM);
	only_off = emit_framed(ONLY, ONLY_LEAF);
}

static void write_others(void)
{
	static const uint8_t old_begin[] = { 0x48, 0x83, 0xec, 0x10, 0x48, 0x89, 0x6c, 0x24, 0x08,
					     0x48, 0x8d, 0x6c, 0x24, 0x08 };
	static const uint8_t old_end[] = { 0x48, 0x8b, 0x6c, 0x24, 0x08, 0x48, 0x83, 0xc4, 0x10, 0xc3 };

	emit(OLD_FORM, old_begin, sizeof(old_begin));
	old_off = emit_branch(OLD_FORM, 0xe8, LEAF);
	emit(OLD_FORM, old_end, sizeof(old_end));
	emit(SPOILT, BEGIN "\x31\xed", 6); /* xor ebp, ebp */
	emit_branch(SPOILT, 0xe8, LEAF);
	emit(SPOILT, END, 2);
	emit_branch(TAIL, 0xe9, ONCE);
	emit_branch(JUMPER, 0xe9, BODY);
	thin_off = emit_branch(THIN, 0xe8, THIN_LEAF);
	emit(THIN, "\xc3", 1);
	emit(WILD, BEGIN "\x31\xed\x90" END, 9);
	for (int i = LEAF; i < FUNC_CNT; i++)
		if (!code_bytes[i])
			emit(i, "\x90\xc3", 2);
	emit(LENT, "\x90\xc3", 2);
}

static int setup(void **state)
{
	struct sw *sw = malloc(sizeof(*sw));

	memset(code, 0xcc, sizeof(code));
	memset(code_bytes, 0, sizeof(code_bytes));
	write_framed();
	write_others();
	for (int i = 0; i < FUNC_CNT; i++)
		funcs[i] = (struct sw_func){
			.name = names[i], .flag = i == GOEXIT ? GJ_GOFUNC_TOPFRAME : 0,
			.delta = memcmp(code[i], BEGIN, 4) && i != OLD_FORM ? 0 : 8,
			.code = (const char *)code[i], .code_bytes = SW_FUNC_BYTES,
		};
	*state = sw;
	return sw ? sw_open(sw, funcs, EM_X86_64) : -1;
}

static int teardown(void **state)
{
	sw_close(*state);
	free(*state);
	return 0;
}

static struct gj_repaired find(struct sw *sw, uint64_t va, uint64_t return_va)
{
	struct gj_repaired repaired, again;
	struct gj_repair *repair;

	assert_int_equal(gj_repair_new(&repair), 0);
	gj_repair_find(repair, sw->image, sw->gotab, va, false, return_va, &repaired);
	gj_repair_find(repair, sw->image, sw->gotab, va, false, return_va, &again);
	assert_memory_equal(&repaired, &again, sizeof(again));
	gj_repair_free(repair);
	return repaired;
}

static bool lacks(struct sw *sw, uint64_t va, bool is_return)
{
	struct gj_repair *repair;
	bool answer;

	assert_int_equal(gj_repair_new(&repair), 0);
	answer = gj_repair_lacks(repair, sw->image, sw->gotab, va, is_return);
	gj_repair_free(repair);
	return answer;
}

/* Whose RBP it is, by instruction. */
static void owners(void **state)
{
	assert_true(lacks(*state, SW_AT(ONCE, 0), false));
	assert_true(lacks(*state, SW_AT(ONCE, 1), false));
	assert_false(lacks(*state, SW_AT(ONCE, 4), false));
	assert_false(lacks(*state, SW_AT(ONCE, once_off), true));
	assert_false(lacks(*state, SW_AT(ONCE, once_off), false)); /* at pop rbp */
	assert_true(lacks(*state, SW_AT(ONCE, once_off + 1), false));
	assert_true(lacks(*state, SW_AT(ONCE, 2), false)); /* inside an instruction */
	assert_true(lacks(*state, SW_AT(OLD_FORM, 9), false));
	assert_false(lacks(*state, SW_AT(OLD_FORM, 14), false));
	assert_false(lacks(*state, SW_AT(OLD_FORM, old_off), false));
	assert_true(lacks(*state, SW_AT(OLD_FORM, old_off + 5), false));
	assert_true(lacks(*state, SW_AT(WILD, 6), false));
	assert_true(lacks(*state, SW_AT(THIN, thin_off), true));
	assert_true(lacks(*state, SW_AT(LEAF, 0), false));
	assert_false(lacks(*state, SW_AT(GOEXIT, 1), true)); /* a root */
	assert_false(lacks(*state, 0x1234, false)); /* not Go's */
}

struct wanted {
	const char *name;
	int leaf;
	uint32_t *return_off; /* in OUTER */
	size_t cnt;
	bool is_exact, may_miss;
	uint64_t va, va_behind;
};

static void callers(void **state)
{
	const struct wanted cases[] = {
		{ "one call", LEAF, &outer_offs[ONCE], 1, true, false, SW_AT(ONCE, once_off), 0 },
		{ "two calls", LEAF, &outer_offs[TWICE], 1, false, false, SW_AT(TWICE, 0), 0 },
		{ "no call", LEAF, &outer_offs[NEVER], 0, false, true, 0, 0 },
		{ "a call of whatever", TAKEN, &outer_offs[BY_REGISTER], 1, false, true,
		  SW_AT(BY_REGISTER, 0), 0 },
		{ "by a jump", BODY, &outer_offs[BY_JUMP], 1, true, false,
		  SW_AT(BY_JUMP, by_jump_off), 0 },
		{ "over one without a frame", THIN_LEAF, &outer_offs[BY_THIN], 2, true, false,
		  SW_AT(THIN, thin_off), SW_AT(BY_THIN, by_thin_off) },
		{ "recursion", SELF, &outer_offs[SELF], 1, true, false, SW_AT(SELF, self_off), 0 },
		{ "a frame that was lent", LENT, &outer_offs[LENT], 0, false, false, 0, 0 },
		{ "frames as up to Go 1.20", LEAF, &outer_offs[OLD_FORM], 1, true, false,
		  SW_AT(OLD_FORM, old_off), 0 },
		{ "RBP is no frame pointer at the call", LEAF, &outer_offs[SPOILT], 0, false, true, 0, 0 },
		{ "who was called jumped on", LEAF, &outer_offs[TAIL], 1, true, false,
		  SW_AT(ONCE, once_off), 0 },
		{ "RBP is none in the leaf", WILD, &outer_offs[ONCE], 0, false, true, 0, 0 },
		{ "a function that a fault may call", PANICMEM, &outer_offs[ONCE], 0, false, true, 0, 0 },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct wanted *wanted = &cases[i];
		/* Where RBP is the caller's; in WILD where it is nobody's. */
		struct gj_repaired found = find(*state, SW_AT(wanted->leaf, wanted->leaf == WILD ? 6 : 0),
						SW_AT(OUTER, *wanted->return_off));

		if (found.cnt != wanted->cnt || found.is_exact != wanted->is_exact ||
		    found.may_miss != wanted->may_miss || found.vas[0] != wanted->va ||
		    found.vas[1] != wanted->va_behind)
			fail_msg("%s: %zu, exact %d, may miss %d: %lx %lx", wanted->name, found.cnt,
				 found.is_exact, found.may_miss, (unsigned long)found.vas[0],
				 (unsigned long)found.vas[1]);
	}
}

/* No call stands before the return address: then it takes a function that one place only leads to. */
static void entries(void **state)
{
	struct sw *sw = *state;
	struct gj_repaired found = find(sw, SW_AT(ONLY_LEAF, 0), SW_AT(GOEXIT, 1));

	assert_int_equal(found.cnt, 1);
	assert_true(found.is_exact);
	assert_false(found.may_miss);
	assert_int_equal(found.vas[0], SW_AT(ONLY, only_off));
	/* Called from many places. */
	found = find(sw, SW_AT(LEAF, 0), SW_AT(GOEXIT, 1));
	assert_int_equal(found.cnt, 0);
	assert_true(found.may_miss);
	/* Its address in data: it may be called through a register. */
	sw_put64(sw, SW_DATA_OFF + 0x300, SW_AT(ONLY_LEAF, 0));
	found = find(sw, SW_AT(ONLY_LEAF, 0), SW_AT(GOEXIT, 1));
	assert_int_equal(found.cnt, 0);
	assert_true(found.may_miss);
}

/* Return addresses that are none, and code that is none. */
static void nonsense(void **state)
{
	struct sw *sw = *state;
	static const uint64_t vas[] = { 0x1234, UINT64_MAX, SW_AT(OUTER, 6), SW_AT(FUNC_CNT, 0), 1 };

	for (size_t i = 0; i < sizeof(vas) / sizeof(vas[0]); i++) {
		struct gj_repaired found = find(sw, SW_AT(LEAF, 0), vas[i]);

		assert_int_equal(found.cnt, 0);
		assert_true(found.may_miss);
		find(sw, vas[i], SW_AT(OUTER, outer_offs[ONCE]));
	}
	memset(sw->file + SW_TEXT_OFF + SW_FUNC_BYTES * ONCE, 0x06, SW_FUNC_BYTES); /* no instruction */
	assert_int_equal(find(sw, SW_AT(LEAF, 0), SW_AT(OUTER, outer_offs[ONCE])).cnt, 0);
	assert_true(lacks(sw, SW_AT(ONCE, 4), false));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(owners, setup, teardown),
		cmocka_unit_test_setup_teardown(callers, setup, teardown),
		cmocka_unit_test_setup_teardown(entries, setup, teardown),
		cmocka_unit_test_setup_teardown(nonsense, setup, teardown),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
