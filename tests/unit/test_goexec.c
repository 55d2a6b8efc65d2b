/* SPDX-License-Identifier: GPL-2.0 */
/* Hits of the probe on runtime.execute: decoding, definitions, names, text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "perfwriter.h"
#include "session/goexec.h"

static void record_is_decoded_or_refused(void **state)
{
	uint64_t words[7] = { 0x0807060504030201, 0x43ba04, 0xc000102380, 34, 0xc000100000,
			      0xc000102000, 0x48fb20 };

	(void)state;
	for (size_t size_bytes = 0; size_bytes <= sizeof(words); size_bytes++) {
		struct gj_gswitch gswitch = { .pid = 1, .tid = 2, .time_ns = 3, .goid = 99 };
		uint8_t *copy = malloc(size_bytes ? size_bytes : 1);
		int err;

		memcpy(copy, words, size_bytes);
		err = gj_goexec_decode((struct gj_window){ copy, size_bytes }, &gswitch);
		free(copy);
		assert_int_equal(err, size_bytes < sizeof(words) ? -EBADMSG : 0);
		assert_int_equal(gswitch.goid, err ? 99 : 34);
		assert_int_equal(gswitch.tid, 2);
		if (err)
			continue;
		assert_int_equal(gswitch.g, 0xc000102380);
		assert_int_equal(gswitch.stack_lo, 0xc000100000);
		assert_int_equal(gswitch.stack_hi, 0xc000102000);
		assert_int_equal(gswitch.start_pc, 0x48fb20);
	}
}

static void only_our_events_are_ours(void **state)
{
	(void)state;
	assert_true(gj_goexec_is_event("gojitter:goexec_1"));
	assert_true(gj_goexec_is_event("gojitter:goexec_1/call-graph=no/"));
	assert_false(gj_goexec_is_event("gojitter:other"));
	assert_false(gj_goexec_is_event("probe_app:goexec_1"));
	assert_false(gj_goexec_is_event("gojitter:goexec"));
	assert_false(gj_goexec_is_event(""));
}

/* Lines as tracefs prints them (Documentation/trace/uprobetracer.rst). */
static const char definitions[] =
	"p:probe_app/goexec /bin/app:0x000000000003ba04 g=%ax:x64\n"
	"p:gojitter/goexec_1 /bin/app:0x000000000003ba04 g=%ax:x64 goid=+152(%ax):u64\n"
	"p:gojitter/other /bin/app:0x0000000000001000\n"
	"r:gojitter/goexec_r /bin/app:0x0000000000001000\n"
	"\n"
	"p:gojitter/goexec_2 /opt/a:b/app:0x10(0x20)\n"
	"p:gojitter/goexec_3\n"
	"p:gojitter/goexec_4 nothing\n"
	"p:gojitter/goexec_5 /bin/last:0xffffffffffffffff";

static void definitions_are_found_among_others(void **state)
{
	static const struct {
		const char *name, *path;
		uint64_t file_off;
	} want[] = {
		{ "goexec_1", "/bin/app", 0x3ba04 },
		{ "goexec_2", "/opt/a:b/app", 0x10 },
		{ "goexec_5", "/bin/last", UINT64_MAX },
	};
	const char *text = definitions;
	struct gj_probe_def def;

	(void)state;
	for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
		assert_true(gj_probe_def_next(&text, &def));
		assert_int_equal(def.name_bytes, strlen(want[i].name));
		assert_memory_equal(def.name, want[i].name, def.name_bytes);
		assert_int_equal(def.path_bytes, strlen(want[i].path));
		assert_memory_equal(def.path, want[i].path, def.path_bytes);
		assert_int_equal(def.file_off, want[i].file_off);
	}
	assert_false(gj_probe_def_next(&text, &def));
	assert_false(gj_probe_def_next(&text, &def));
}

static void definitions_cut_and_broken_anywhere(void **state)
{
	static const char bytes[] = " \n:\0p/_\xff";

	(void)state;
	for (size_t cut = 0; cut < sizeof(definitions); cut++) {
		for (size_t b = 0; b < sizeof(bytes); b++) {
			char *copy = strndup(definitions, cut);
			const char *text = copy;
			struct gj_probe_def def;
			size_t cnt = 0;

			if (cut)
				copy[cut - 1] = bytes[b];
			while (gj_probe_def_next(&text, &def)) {
				assert_in_range(def.name_bytes, 7, cut);
				assert_in_range(def.path_bytes, 0, cut);
				cnt++;
			}
			assert_in_range(cnt, 0, 4);
			free(copy);
		}
	}
}

static bool has_event(const struct gj_goexec *goexec, const char *want)
{
	const char *name;

	for (size_t i = 0; (name = gj_goexec_event(goexec, i)); i++)
		if (!strcmp(name, want))
			return true;
	return false;
}

static void names_come_from_the_recording_too(void **state)
{
	struct gj_goexec *goexec = gj_goexec_new(NULL, 0);
	struct pw pw;

	(void)state;
	assert_true(has_event(goexec, "goexec_0"));
	assert_true(has_event(goexec, "goexec_63"));
	assert_false(has_event(goexec, "goexec_unit_test"));
	gj_goexec_free(goexec);
	pw_begin(&pw);
	pw_features(&pw, 1 << PW_TRACING_DATA);
	pw_feature(&pw);
	/* The last one's end is cut off. */
	pw_text(&pw, "name: other\nname: goexec_unit_test\nID: 1\nname: goexec_1\nname: goexec_cut", 1);
	pw_feature_end(&pw);
	goexec = gj_goexec_new(pw.bytes, pw.size_bytes);
	assert_true(has_event(goexec, "goexec_unit_test"));
	assert_true(has_event(goexec, "goexec_1"));
	assert_false(has_event(goexec, "goexec_cut"));
	assert_false(has_event(goexec, "other"));
	gj_goexec_free(goexec);
	gj_goexec_free(NULL);
}

static void names_are_bounded(void **state)
{
	static const char line[] = "name: goexec_x0000\n";
	size_t line_bytes = sizeof(line) - 1, cnt = 20000, names = 0;
	struct pw *pw = calloc(1, sizeof(*pw));
	uint8_t *file = calloc(1, 4096 + cnt * line_bytes);
	struct gj_goexec *goexec;

	(void)state;
	pw_begin(pw);
	pw_features(pw, 1 << PW_TRACING_DATA);
	pw_set(pw, pw->section_off, pw->size_bytes, 8);
	pw_set(pw, pw->section_off + 8, cnt * line_bytes, 8);
	memcpy(file, pw->bytes, pw->size_bytes);
	for (size_t i = 0; i < cnt; i++) {
		char text[32];

		snprintf(text, sizeof(text), "name: goexec_x%04x\n", (unsigned int)i);
		memcpy(file + pw->size_bytes + i * line_bytes, text, line_bytes);
	}
	goexec = gj_goexec_new(file, pw->size_bytes + cnt * line_bytes);
	while (gj_goexec_event(goexec, names))
		names++;
	assert_int_equal(names, 1024);
	gj_goexec_free(goexec);
	free(file);
	free(pw);
}

static void text_says_what_is_known(void **state)
{
	static const struct {
		struct gj_goexec_hit hit;
		const char *want;
	} cases[] = {
		{ { .g = 0xc000102380, .goid = 34, .start_pc = 0x48fb20 },
		  "goroutine 34 starts running 0x48fb20 (g=0xc000102380)" },
		{ { .g = 0xc000102380, .goid = 34 }, "goroutine 34 starts running (g=0xc000102380)" },
		{ { .g = 0xc000102380 }, "goroutine ? starts running (g=0xc000102380)" },
		{ { .g = UINT64_MAX, .goid = UINT64_MAX, .start_pc = UINT64_MAX },
		  "goroutine 18446744073709551615 starts running 0xffffffffffffffff (g=0xffffffffffffffff)" },
	};
	struct gj_goexec *goexec = gj_goexec_new(NULL, 0);

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct gj_goexec_hit hit = cases[i].hit;

		hit.size = sizeof(hit);
		hit.event = "goexec_unit_test";
		hit.tid = UINT32_MAX;
		hit.probe_ip = 0x43ba04;
		assert_string_equal(gj_goexec_text(goexec, &hit), cases[i].want);
	}
	gj_goexec_free(goexec);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(record_is_decoded_or_refused),
		cmocka_unit_test(only_our_events_are_ours),
		cmocka_unit_test(definitions_are_found_among_others),
		cmocka_unit_test(definitions_cut_and_broken_anywhere),
		cmocka_unit_test(names_come_from_the_recording_too),
		cmocka_unit_test(names_are_bounded),
		cmocka_unit_test(text_says_what_is_known),
	};

	return cmocka_run_group_tests_name("goexec", tests, NULL, NULL);
}
