/* SPDX-License-Identifier: GPL-2.0 */
/*
 * src/goroutine/offsets*.c over code written by hand: each recipe's shapes, cut
 * at every byte and spoiled at each, and the table's rows against the distances
 * that hold in every release. Real binaries: tests/goroutine/offsets.sh.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>

#include "codewriter.h"
#include "goroutine/offsets.h"

static struct cw_image file;

/* The code after gj_goffsets_from_code has looked at it; the file is a copy that ends with it. */
static struct gj_goffsets from_code(void)
{
	uint8_t *copy = malloc(file.size_bytes);
	struct gj_goffsets offsets;
	struct gj_diag diag = { 0 };
	struct gj_gotab *gotab;
	struct gj_image *image;

	assert_non_null(copy);
	memcpy(copy, &file, file.size_bytes);
	assert_int_equal(gj_image_open_bytes((struct gj_window){ copy, file.size_bytes },
					     "no such file", &image, &diag), 0);
	if (gj_gotab_open(image, &gotab, &diag))
		fail_msg("%s", diag.text);
	gj_goffsets_clear(&offsets);
	assert_int_equal(gj_goffsets_from_code(image, gotab, &offsets), 0);
	gj_gotab_close(gotab);
	gj_image_close(image);
	free(copy);
	return offsets;
}

#define FIELD(name) offsetof(struct gj_goffsets, name)
#define CODE(...) (const uint8_t[]){ __VA_ARGS__ }, sizeof((const uint8_t[]){ __VA_ARGS__ })

struct expected {
	size_t field;
	int32_t value;
};

struct recipe_case {
	const char *what, *caller, *callee;
	const uint8_t *code;
	size_t code_bytes;
	struct expected expected[4];
	int64_t tls_g; /* 0: unknown */
	uint64_t tls_got_va;
};

/* mov rbx,[rax+0x30]; cmp rax,[rbx+0x50]; mov rdx,[rbx]; cmp rax,rdx; cmp rax,[rbx+0xc0] */
#define SYSTEMSTACK_REST \
	0x48, 0x8b, 0x58, 0x30, 0x48, 0x3b, 0x43, 0x50, 0x48, 0x8b, 0x13, 0x48, 0x39, 0xd0, 0x48, \
		0x3b, 0x83, 0xc0, 0x00, 0x00, 0x00
#define SYSTEMSTACK_EXPECTED \
	{ { FIELD(g_m), 0x30 }, { FIELD(m_gsignal), 0x50 }, { FIELD(m_g0), 0 }, { FIELD(m_curg), 0xc0 } }
/* A call to what stands behind the code, from its last five bytes. */
#define CALL_NEXT 0xe8, 0, 0, 0, 0

static const struct recipe_case recipe_cases[] = {
	{ "TLS slot in the instruction: mov rax,fs:-8", "runtime.systemstack", "runtime.x",
	  CODE(0x64, 0x48, 0x8b, 0x04, 0x25, 0xf8, 0xff, 0xff, 0xff, SYSTEMSTACK_REST),
	  SYSTEMSTACK_EXPECTED, -8, 0 },
	{ "TLS slot in a register: mov rcx,-104; mov rax,fs:[rcx]", "runtime.systemstack",
	  "runtime.x",
	  CODE(0x48, 0xc7, 0xc1, 0x98, 0xff, 0xff, 0xff, 0x64, 0x48, 0x8b, 0x01, SYSTEMSTACK_REST),
	  SYSTEMSTACK_EXPECTED, -104, 0 },
	{ "TLS slot in the GOT: mov r15,[rip+0x1000]; mov rax,fs:[r15]", "runtime.systemstack",
	  "runtime.x",
	  CODE(0x4c, 0x8b, 0x3d, 0x00, 0x10, 0x00, 0x00, 0x64, 0x49, 0x8b, 0x07, SYSTEMSTACK_REST),
	  SYSTEMSTACK_EXPECTED, 0, CW_TEXT + 7 + 0x1000 },
	{ "TLS slot in a register nobody set: mov rax,fs:[rcx]", "runtime.systemstack", "runtime.x",
	  CODE(0x90, 0x64, 0x48, 0x8b, 0x01, SYSTEMSTACK_REST), SYSTEMSTACK_EXPECTED, 0, 0 },
	{ "mcall up to 1.16: g from TLS, and stored too", "runtime.mcall", "runtime.x",
	  CODE(0x64, 0x48, 0x8b, 0x04, 0x25, 0xf8, 0xff, 0xff, 0xff, 0x48, 0x89, 0x58, 0x40, 0x48,
	       0x89, 0x58, 0x38, 0x48, 0x89, 0x40, 0x48, 0x48, 0x89, 0x68, 0x68),
	  { { FIELD(g_sched_pc), 0x40 }, { FIELD(g_sched_sp), 0x38 }, { FIELD(g_sched_bp), 0x68 } },
	  0, 0 },
	{ "mcall from 1.17 on: g in R14", "runtime.mcall", "runtime.x",
	  CODE(0x49, 0x89, 0x5e, 0x40, 0x49, 0x89, 0x5e, 0x38, 0x49, 0x89, 0x5e, 0x60),
	  { { FIELD(g_sched_pc), 0x40 }, { FIELD(g_sched_sp), 0x38 }, { FIELD(g_sched_bp), 0x60 } },
	  0, 0 },
	{ "mcall with two stores only", "runtime.mcall", "runtime.x",
	  CODE(0x49, 0x89, 0x5e, 0x40, 0x49, 0x89, 0x5e, 0x38, CALL_NEXT),
	  { { FIELD(g_sched_pc), -1 }, { FIELD(g_sched_sp), -1 }, { FIELD(g_sched_bp), -1 } }, 0, 0 },
	{ "lock cmpxchg dword [rdi+0x98],ecx behind one of 64 bits", "runtime.casgstatus",
	  "runtime.x",
	  CODE(0xf0, 0x48, 0x0f, 0xb1, 0x8f, 0xa0, 0, 0, 0, 0xf0, 0x0f, 0xb1, 0x8f, 0x98, 0, 0, 0),
	  { { FIELD(g_status), 0x98 } }, 0, 0 },
	{ "mov [rax+0x48],rcx after gettid", "runtime.minit", "runtime.gettid",
	  CODE(0x48, 0x89, 0x48, 0x40, 0xe8, 4, 0, 0, 0, 0x48, 0x89, 0x48, 0x48),
	  { { FIELD(m_procid), 0x48 } }, 0, 0 },
	{ "the same after another call", "runtime.minit", "runtime.getpid",
	  CODE(0x48, 0x89, 0x48, 0x40, 0xe8, 4, 0, 0, 0, 0x48, 0x89, 0x48, 0x48),
	  { { FIELD(m_procid), -1 } }, 0, 0 },
	{ "mov rax,[rax+0x98]; call printuint", "runtime.goroutineheader", "runtime.printuint",
	  CODE(0x48, 0x8b, 0x80, 0x98, 0, 0, 0, CALL_NEXT), { { FIELD(g_goid), 0x98 } }, 0, 0 },
	{ "the same with printint", "runtime.goroutineheader", "runtime.printint",
	  CODE(0x48, 0x8b, 0x80, 0x98, 0, 0, 0, CALL_NEXT), { { FIELD(g_goid), 0x98 } }, 0, 0 },
	{ "no call", "runtime.goroutineheader", "runtime.printint",
	  CODE(0x48, 0x8b, 0x80, 0x98, 0, 0, 0), { { FIELD(g_goid), -1 } }, 0, 0 },
	{ "mov rax,[rax+0x118]; call findfunc", "runtime.printcreatedby", "runtime.findfunc",
	  CODE(0x48, 0x8b, 0x80, 0x18, 1, 0, 0, CALL_NEXT), { { FIELD(g_gopc), 0x118 } }, 0, 0 },
	{ "mov rax,[rax+0x128]; call findfunc", "runtime.isSystemGoroutine", "runtime.findfunc",
	  CODE(0x48, 0x8b, 0x80, 0x28, 1, 0, 0, CALL_NEXT), { { FIELD(g_startpc), 0x128 } }, 0, 0 },
	{ "mov rax,[r14+0x160]", "runtime/pprof.runtime_getProfLabel", "runtime.x",
	  CODE(0x49, 0x8b, 0x46, 0x30, 0x49, 0x8b, 0x86, 0x60, 1, 0, 0),
	  { { FIELD(g_labels), 0x160 } }, 0, 0 },
};

static int32_t value_of(const struct gj_goffsets *offsets, size_t field)
{
	int32_t value;

	memcpy(&value, (const char *)offsets + field, sizeof(value));
	return value;
}

static void write_case(const struct recipe_case *c, size_t code_bytes)
{
	cw_write(&file, c->caller, c->callee, c->code, (uint32_t)code_bytes);
}

static void recipes(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(recipe_cases) / sizeof(recipe_cases[0]); i++) {
		const struct recipe_case *c = &recipe_cases[i];
		struct gj_goffsets offsets;

		write_case(c, c->code_bytes);
		offsets = from_code();
		for (size_t k = 0; k < 4 && (c->expected[k].field || c->expected[k].value); k++)
			if (value_of(&offsets, c->expected[k].field) != c->expected[k].value)
				fail_msg("%s: %d, not %d", c->what,
					 value_of(&offsets, c->expected[k].field),
					 c->expected[k].value);
		assert_int_equal(offsets.tls_g, c->tls_g ? c->tls_g : INT64_MIN);
		assert_int_equal(offsets.tls_got_va, c->tls_got_va);
	}
}

/* wirep needs to know g.m, which systemstack tells; only one of the two is in such a file. */
static void without_systemstack(void **state)
{
	static const uint8_t code[] = { 0x49, 0x8b, 0x4e, 0x30, 0x48, 0x83, 0xb9, 0xd0, 0, 0, 0, 0 };

	(void)state;
	cw_write(&file, "runtime.wirep", "runtime.x", code, sizeof(code));
	assert_int_equal(from_code().m_p, -1);
}

/* mov rcx,[rip+allm]; mov [rax+0x150],rcx; lea rcx,[rip+allm], in the ways it is written. */
static void globals(void **state)
{
	static const uint8_t code[] = {
		0x48, 0x8b, 0x0d, 0xf9, 0x0f, 0, 0,       /*  0: mov rcx,[501000+text] */
		0x49, 0x89, 0x0b,                         /*  7: mov [r11],rcx */
		0x48, 0x89, 0x88, 0x50, 0x01, 0, 0,       /* 10: mov [rax+0x150],rcx */
		0x48, 0x8d, 0x05, 0xe8, 0x0f, 0, 0,       /* 17: lea rax,[501000+text] */
	};
	struct gj_goffsets offsets;

	(void)state;
	cw_write(&file, "runtime.mcommoninit", "runtime.x", code, sizeof(code));
	offsets = from_code();
	assert_int_equal(offsets.m_alllink, 0x150);
	/* Its address is never taken: some other variable. */
	cw_write(&file, "runtime.mcommoninit", "runtime.x", code, 17);
	assert_int_equal(from_code().m_alllink, -1);
	/* The register is overwritten before the store. */
	cw_write(&file, "runtime.mcommoninit", "runtime.x", code, sizeof(code));
	memcpy(file.code + 7, "\x48\x31\xc9", 3); /* xor rcx,rcx */
	assert_int_equal(from_code().m_alllink, -1);
}

/* Cut at each byte: less is known, nothing else. */
static void cut_code(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(recipe_cases) / sizeof(recipe_cases[0]); i++) {
		const struct recipe_case *c = &recipe_cases[i];

		for (size_t cut = 1; cut < c->code_bytes; cut++) {
			struct gj_goffsets offsets;

			write_case(c, c->code_bytes - cut);
			offsets = from_code();
			for (size_t k = 0; k < 4; k++) {
				int32_t value = value_of(&offsets, c->expected[k].field);

				assert_true(!c->expected[k].field || value == -1 ||
					    value == c->expected[k].value);
			}
		}
		/* The function goes on where the file has ended. */
		write_case(c, c->code_bytes);
		gw_put(&file.image, file.image.functab_off + 16, CW_TEXT + 0x10000000, 8);
		gw_put(&file.image, file.image.functab_off + 32, CW_TEXT + 0x10000010, 8);
		from_code();
	}
}

static void spoiled_code(void **state)
{
	static const uint8_t values[] = { 0x00, 0x0f, 0x48, 0x62, 0x64, 0x66, 0x7f, 0x80, 0xc5, 0xff };

	(void)state;
	for (size_t i = 0; i < sizeof(recipe_cases) / sizeof(recipe_cases[0]); i++) {
		write_case(&recipe_cases[i], recipe_cases[i].code_bytes);
		for (size_t at = 0; at < recipe_cases[i].code_bytes; at++)
			for (size_t v = 0; v < sizeof(values); v++) {
				uint8_t good = file.code[at];

				file.code[at] = values[v];
				from_code();
				file.code[at] = good;
			}
	}
}

/* What has held since 1.14 holds in each row; a new row that breaks it must be looked at. */
static void rows(void **state)
{
	struct gj_goffsets row;

	(void)state;
	assert_int_equal(gj_goffsets_from_table(GJ_TABLE_FIRST_MINOR - 1, &row), -ENOENT);
	assert_int_equal(gj_goffsets_from_table(GJ_TABLE_LAST_MINOR + 1, &row), -ENOENT);
	assert_int_equal(gj_goffsets_from_table(-1, &row), -ENOENT);
	for (int minor = GJ_TABLE_FIRST_MINOR; minor <= GJ_TABLE_LAST_MINOR; minor++) {
		gj_goffsets_clear(&row);
		assert_int_equal(gj_goffsets_from_table(minor, &row), 0);
		assert_int_equal(row.g_stack_hi, row.g_stack_lo + 8);
		assert_int_equal(row.g_goid, row.g_status + 8);
		assert_int_equal(row.g_waitsince, row.g_goid + 16);
		assert_int_equal(row.g_waitreason, row.g_goid + 24);
		assert_int_equal(row.g_startpc, row.g_gopc + 16);
		assert_int_equal(row.g_labels, row.g_gopc + 64);
		assert_int_equal(row.g_parent_goid, minor >= 21 ? row.g_gopc - 8 : -1);
		assert_int_equal(row.g_syscallsp, row.g_sched_bp + 8);
		assert_int_equal(row.m_curg, row.m_gsignal + 112);
		assert_int_equal(row.m_procid, row.m_gsignal - 8);
		assert_int_equal(row.m_id, row.m_p + 24);
		assert_int_equal(row.tls_g, INT64_MIN);
	}
}

static void nothing_tells(void **state)
{
	struct gj_goffsets offsets = { .g_goid = 7 };
	struct gj_diag diag = { 0 };
	struct gj_gotab *gotab;
	struct gj_image *image;

	(void)state;
	write_case(&recipe_cases[0], recipe_cases[0].code_bytes);
	assert_int_equal(gj_image_open_bytes((struct gj_window){ (uint8_t *)&file, file.size_bytes },
					     "no such file", &image, &diag), 0);
	assert_int_equal(gj_gotab_open(image, &gotab, &diag), 0);
	/* systemstack alone does not make a source. */
	assert_int_equal(gj_goffsets_find(image, gotab, &offsets, &diag), -EOPNOTSUPP);
	assert_non_null(strstr(diag.text, "no such file: goroutines of an unknown release"));
	assert_int_equal(offsets.g_goid, 7);
	gj_gotab_close(gotab);
	gj_image_close(image);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(recipes),	cmocka_unit_test(without_systemstack),
		cmocka_unit_test(globals),	cmocka_unit_test(cut_code),
		cmocka_unit_test(spoiled_code), cmocka_unit_test(rows),
		cmocka_unit_test(nothing_tells),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
