/* SPDX-License-Identifier: GPL-2.0 */
/* Places of probes in code that is cut, is none, or never returns. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "codewriter.h"
#include "probe/feature.h"

struct opened {
	struct cw_image bytes;
	struct gj_image *image;
	struct gj_gotab *gotab;
	struct gj_gofunc func;
};

static struct opened *open_function(const uint8_t *code, uint32_t code_bytes)
{
	struct opened *opened = calloc(1, sizeof(*opened));
	struct gj_diag diag = { 0 };

	assert_non_null(opened);
	cw_write(&opened->bytes, "runtime.netpoll", "runtime.callee", code, code_bytes);
	assert_int_equal(gj_image_open_bytes((struct gj_window){ (const uint8_t *)&opened->bytes,
							     opened->bytes.size_bytes },
					     "plan", &opened->image, &diag), 0);
	assert_int_equal(gj_gotab_open(opened->image, &opened->gotab, &diag), 0);
	assert_int_equal(gj_gotab_find_name(opened->gotab, "runtime.netpoll", &opened->func), 0);
	assert_int_equal(opened->func.entry_va, CW_TEXT);
	return opened;
}

static void close_function(struct opened *opened)
{
	gj_gotab_close(opened->gotab);
	gj_image_close(opened->image);
	free(opened);
}

/* All planners say the same of code that is none. */
static void assert_refused(const uint8_t *code, uint32_t code_bytes)
{
	struct opened *opened = open_function(code, code_bytes);
	struct gj_probe_plan plan, *plans = NULL;
	struct gj_diag diag = { 0 };

	assert_int_equal(gj_probe_plan_entry(opened->image, &opened->func, 0, &plan, &diag), -EBADMSG);
	assert_non_null(strstr(diag.text, "is not code from end to end"));
	assert_int_equal(gj_probe_plan_returns(opened->image, &opened->func, &plans), -EBADMSG);
	assert_int_equal(gj_probe_plan_calls(opened->image, &opened->func, CW_TEXT + code_bytes, false,
					     &plans), -EBADMSG);
	assert_null(plans);
	close_function(opened);
}

static void what_is_no_code_is_refused(void **state)
{
	static const uint8_t no_instruction[] = { 0x55, 0x06, 0x5d, 0xc3 }; /* push es: not in 64 bit */
	static const uint8_t cut[] = { 0x55, 0xc3, 0x48, 0xb8, 0x01, 0x02 };  /* mov rax, imm64 */
	static const uint8_t cut_call[] = { 0xc3, 0xe8, 0x00 };
	static const uint8_t prefixes[] = { 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66,
					    0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0xc3 };

	(void)state;
	assert_refused(no_instruction, sizeof(no_instruction));
	assert_refused(cut, sizeof(cut));
	assert_refused(cut_call, sizeof(cut_call));
	assert_refused(prefixes, sizeof(prefixes));
}

/* Bytes c3 inside of other instructions are none; ret imm16 and repz ret are. */
static void returns_are_instructions(void **state)
{
	static const uint8_t code[] = {
		0xb8, 0xc3, 0xc3, 0xc3, 0xc3, /* mov eax, 0xc3c3c3c3 */
		0xc3, 0xcc,                   /* ret; int3 */
		0x74, 0xc3,                   /* jz */
		0xc2, 0x08, 0x00,             /* ret 8 */
		0xf3, 0xc3,                   /* repz ret */
	};
	static const uint8_t want[] = { 5, 9, 12 };
	struct opened *opened = open_function(code, sizeof(code));
	struct gj_probe_plan *plans = NULL;

	(void)state;
	assert_int_equal(gj_probe_plan_returns(opened->image, &opened->func, &plans), 3);
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(plans[i].va, CW_TEXT + want[i]);
		assert_int_equal(plans[i].entry_va, CW_TEXT);
		assert_int_equal(plans[i].file_off, offsetof(struct cw_image, code) + want[i]);
		assert_false(plans[i].is_emulated);
		assert_false(plans[i].may_repeat);
	}
	free(plans);
	close_function(opened);
}

static void what_never_returns_has_no_returns(void **state)
{
	static const uint8_t code[] = { 0xeb, 0xfe, 0xcc }; /* jmp to itself */
	struct opened *opened = open_function(code, sizeof(code));
	struct gj_probe_plan *plans = NULL;

	(void)state;
	assert_int_equal(gj_probe_plan_returns(opened->image, &opened->func, &plans), -ENOENT);
	assert_null(plans);
	close_function(opened);
}

/* push rbx is emulated, but BX is lost by then; the stack check's jump is not. */
static void lost_arguments_move_the_place(void **state)
{
	static const uint8_t code[] = {
		0x49, 0x3b, 0x66, 0x10,       /* cmp rsp, [r14+16] */
		0x76, 0x04,                   /* jbe to 10 */
		0x31, 0xdb,                   /* xor ebx, ebx */
		0x53, 0xc3,                   /* push rbx; ret */
		0xeb, 0xf4,                   /* jmp to 0 */
	};
	struct opened *opened = open_function(code, sizeof(code));
	struct gj_probe_plan plan;

	(void)state;
	assert_int_equal(gj_probe_plan_entry(opened->image, &opened->func, GJ_ARG_AX, &plan, NULL), 0);
	assert_int_equal(plan.va, CW_TEXT + 8);
	assert_true(plan.is_emulated);
	assert_false(plan.may_repeat);
	assert_int_equal(gj_probe_plan_entry(opened->image, &opened->func, GJ_ARG_BX, &plan, NULL), 0);
	assert_int_equal(plan.va, CW_TEXT + 4);
	assert_true(plan.is_emulated);
	assert_true(plan.may_repeat);
	close_function(opened);
}

/* The layout is of Go 1.2: features with hooks are not to be had, the others need none. */
static void old_releases_have_no_hooks(void **state)
{
	static const uint8_t code[] = { 0xc3 };
	struct opened *opened = open_function(code, sizeof(code));
	struct gj_feature_plan plan;
	unsigned int cnt;

	(void)state;
	for (int feature = 0; feature < GJ_FEATURE_CNT; feature++) {
		gj_feature_specs(feature, &cnt);
		assert_int_equal(gj_feature_plan(opened->image, opened->gotab, feature, &plan), 0);
		assert_int_equal(plan.err, cnt ? -EOPNOTSUPP : 0);
		assert_int_equal(!plan.reason[0], !cnt);
		assert_int_equal(plan.hook_cnt, 0);
		gj_feature_plan_deinit(&plan);
	}
	close_function(opened);
}

static void features_have_names(void **state)
{
	enum gj_feature found;

	(void)state;
	for (int feature = 0; feature < GJ_FEATURE_CNT; feature++) {
		const char *name = gj_feature_name(feature);

		assert_int_equal(gj_feature_find(name, strlen(name), &found), 0);
		assert_int_equal(found, feature);
		assert_int_equal(gj_feature_find(name, strlen(name) - 1, &found), -ENOENT);
	}
	assert_int_equal(gj_feature_find("", 0, &found), -ENOENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_no_code_is_refused),
		cmocka_unit_test(returns_are_instructions),
		cmocka_unit_test(what_never_returns_has_no_returns),
		cmocka_unit_test(lost_arguments_move_the_place),
		cmocka_unit_test(old_releases_have_no_hooks),
		cmocka_unit_test(features_have_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
