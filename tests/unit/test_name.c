/* SPDX-License-Identifier: GPL-2.0 */
/* Symbol names as people read them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "demangle/demangle.h"

#define SHORT GJ_NAME_SHORT
#define READABLE GJ_NAME_READABLE
#define GCCGO GJ_NAME_GCCGO

struct name {
	const char *raw, *want;
	unsigned int flags;
};

static const struct name names[] = {
	/* What the linker escapes (Go src/cmd/internal/objabi/path.go). */
	{ "main.main", "main.main", 0 },
	{ "gopkg.in/yaml%2ev3.Marshal", "gopkg.in/yaml.v3.Marshal", 0 },
	{ "a/b%2ec%20d%22%25.F", "a/b.c d\"%.F", 0 },
	{ "p%c3%a4kchen.F", "p\xc3\xa4kchen.F", 0 },
	{ "p%7f.F", "p\x7f.F", 0 },
	{ "%2e", ".", 0 },
	/* What it would not have written stays: capitals, letters, NUL, what is cut. */
	{ "a%2E.F", "a%2E.F", 0 },
	{ "a%61.F", "a%61.F", 0 },
	{ "a%00b", "a%00b", 0 },
	{ "a%2", "a%2", 0 },
	{ "a%", "a%", 0 },
	{ "%%2e", "%.", 0 },
	{ "%252e", "%2e", 0 },
	{ "100%", "100%", 0 },

	/* ABI suffixes of the symbol table. */
	{ "runtime.memmove.abi0", "runtime.memmove", 0 },
	{ "runtime.morestack.abiinternal", "runtime.morestack", 0 },
	{ ".abi0", ".abi0", 0 },
	{ "main.abi0.F", "main.abi0.F", 0 },
	{ "main.F.abi01", "main.F.abi01", 0 },
	{ "main.(*T[...]).M.abi0", "main.(*T[...]).M", SHORT },

	/* Generics in full, and short. */
	{ "main.(*Pair[go.shape.string,go.shape.int]).Set",
	  "main.(*Pair[go.shape.string,go.shape.int]).Set", 0 },
	{ "main.(*Pair[go.shape.string,go.shape.int]).Set", "main.(*Pair[...]).Set", SHORT },
	{ "main.Map[go.shape.struct { main.a [4]int; b map[string]int }]", "main.Map[...]", SHORT },
	{ "main.F[int].func1", "main.F[...].func1", SHORT },
	{ "slices.SortFunc[go.shape.[]gopkg.in/x%2ey.T,go.shape.*uint8]", "slices.SortFunc[...]", SHORT },
	{ "main.F[int][string]", "main.F[...][string]", SHORT },
	{ "main.F[unclosed[int]", "main.F[...]", SHORT },
	{ "main.\xc3\xa4[int]", "main.\xc3\xa4[...]", SHORT },
	/* Brackets that are no type arguments. */
	{ "type:.eq.[2]string", "type:.eq.[2]string", SHORT },
	{ "type..eq.[2]interface {}", "type..eq.[2]interface {}", SHORT },
	{ "type:.eq.struct { a[2] }", "type:.eq.struct { a[2] }", SHORT },
	{ "go:struct { F [2]int }", "go:struct { F [2]int }", SHORT },
	{ "main.[2]", "main.[2]", SHORT },
	{ "[", "[", SHORT },
	{ "a]", "a]", SHORT },

	/* Closures and wrappers in words. */
	{ "main.main.func1", "main.main{closure#1}", READABLE },
	{ "main.main.func12.3", "main.main{closure#12}{closure#3}", READABLE },
	{ "main.main.func1.2.3", "main.main{closure#1}{closure#2}{closure#3}", READABLE },
	{ "main.main.func3.deferwrap1", "main.main{closure#3}{defer#1}", READABLE },
	{ "main.glob..func1", "main.{package-var}{closure#1}", READABLE },
	{ "main.init.0", "main.init.0", READABLE },
	{ "main.main.func1.func2", "main.main{closure#1}{closure#2}", READABLE },
	{ "main.main.gowrap1", "main.main{go#1}", READABLE },
	{ "main.main.deferwrap2", "main.main{defer#2}", READABLE },
	{ "main.walk-range1", "main.walk{range#1}", READABLE },
	{ "main.(*T).M-fm", "main.(*T).M{method-value}", READABLE },
	{ "main.main.func1-range2.func3", "main.main{closure#1}{range#2}{closure#3}", READABLE },
	{ "main.F[go.shape.int].func1", "main.F[...]{closure#1}", READABLE | SHORT },
	/* Functions that are only named like them. */
	{ "main.functor", "main.functor", READABLE },
	{ "main.func1x", "main.func1x", READABLE },
	{ "main.func", "main.func", READABLE },
	{ "main.gowrap", "main.gowrap", READABLE },
	{ "main.T.M-fmx", "main.T.M-fmx", READABLE },
	{ "main.main.func1", "main.main.func1", SHORT },
	/* cgo's bridges. */
	{ "main._Cfunc_puts", "main.C.puts", READABLE },
	{ "main._Cfunc_puts", "main._Cfunc_puts", 0 },
	{ "main._Cfunc_", "main._Cfunc_", READABLE },

	/* gccgo (gcc/go/gofrontend/go-encode-id.cc). */
	{ "main.F", "main.F", GCCGO },
	{ "github_0com_1foo_1bar_x2dbaz.F", "github.com/foo/bar-baz.F", GCCGO },
	{ "main.my__func", "main.my_func", GCCGO },
	{ "main.T_2_3_4_5_6_7_8_9_a_b_c", "main.T*,{}[]()\" ;", GCCGO },
	{ "main._u00fcber", "main.\xc3\xbc" "ber", GCCGO },
	{ "main._u20ac", "main.\xe2\x82\xac", GCCGO },
	{ "main._U0001f600", "main.\xf0\x9f\x98\x80", GCCGO },
	{ "_x31st.F", "1st.F", GCCGO },
	{ "main.F_", "main.F_", GCCGO },
	{ "main.F_x", "main.F_x", GCCGO },
	{ "main.F_x2", "main.F_x2", GCCGO },
	{ "main.F_xZZ", "main.F_xZZ", GCCGO },
	{ "main.F_x00", "main.F_x00", GCCGO },
	{ "main.F_ud800", "main.F_ud800", GCCGO },
	{ "main.F_U00110000", "main.F_U00110000", GCCGO },
	{ "main.my_0name", "main.my_0name", 0 },

	/* Names of others. */
	{ "_ZN4core3fmt9Formatter3padE", "_ZN4core3fmt9Formatter3padE", READABLE | SHORT },
	{ "printf", "printf", READABLE | SHORT },
	{ "", "", READABLE | SHORT },
};
#define NAME_CNT (sizeof(names) / sizeof(names[0]))

/* @name formatted, NUL-terminated; to be freed. */
static char *format(const char *name, unsigned int flags)
{
	struct gj_buf buf = { 0 };

	gj_name_format(name, flags, &buf);
	gj_buf_chr(&buf, '\0');
	assert_false(buf.failed);
	return buf.data;
}

static void each_name(void **state)
{
	(void)state;
	for (size_t i = 0; i < NAME_CNT; i++) {
		char *got = format(names[i].raw, names[i].flags);

		if (strcmp(got, names[i].want))
			fail_msg("%s (%x): %s, not %s", names[i].raw, names[i].flags, got,
				 names[i].want);
		free(got);
	}
}

static void is_appended(void **state)
{
	struct gj_buf buf = { 0 };

	(void)state;
	gj_buf_str(&buf, "at ");
	gj_name_format("a%2eb.F.abi0", 0, &buf);
	gj_name_format("main.G[int]", SHORT, &buf);
	assert_int_equal(buf.size_bytes, strlen("at a.b.Fmain.G[...]"));
	assert_memory_equal(buf.data, "at a.b.Fmain.G[...]", buf.size_bytes);
	gj_buf_deinit(&buf);
}

/* A name in memory of exactly its size, cut at each byte and with each byte broken. */
static void cut_and_broken_anywhere(void **state)
{
	static const char bytes[] = "%[].-_\x80\xff" "0f";

	(void)state;
	for (size_t i = 0; i < NAME_CNT; i++) {
		size_t size_bytes = strlen(names[i].raw);

		for (size_t cut = 0; cut <= size_bytes; cut++) {
			char *copy = strndup(names[i].raw, cut);

			for (unsigned int flags = 0; flags < 8; flags++) {
				free(format(copy, flags));
				for (size_t b = 0; cut && b < sizeof(bytes) - 1; b++) {
					copy[cut - 1] = bytes[b];
					free(format(copy, flags));
				}
			}
			free(copy);
		}
	}
}

/* Deep brackets must not cost a stack frame each, nor time beyond measure. */
static void long_names(void **state)
{
	size_t size_bytes = 1 << 20;
	char *name = malloc(size_bytes + 1), *got;

	(void)state;
	memset(name, '[', size_bytes);
	memcpy(name, "main.F", 6);
	name[size_bytes] = '\0';
	got = format(name, SHORT);
	assert_string_equal(got, "main.F[...]");
	free(got);
	for (size_t i = 6; i + 2 < size_bytes; i += 3)
		memcpy(name + i, "%2e", 3);
	got = format(name, SHORT | READABLE);
	assert_int_equal(strspn(got + 6, "."), (size_bytes - 6) / 3);
	free(got);
	free(name);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_name),
		cmocka_unit_test(is_appended),
		cmocka_unit_test(cut_and_broken_anywhere),
		cmocka_unit_test(long_names),
	};

	return cmocka_run_group_tests_name("name", tests, NULL, NULL);
}
