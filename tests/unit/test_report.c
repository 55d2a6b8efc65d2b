/* SPDX-License-Identifier: GPL-2.0 */
/* src/report: each format over records written by hand, against text written by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "report/report.h"

/* main.outer+0x14 with main.inner inlined, called from the kernel's point of view by read(2). */
static struct gj_frame kernel_frames[] = { { .name = "vfs;read" } };
static struct gj_frame go_frames[] = {
	{ .name = "main.inner", .file = "/src/inner.go", .line = 20, .inlined = true },
	{ .name = "main.(*T).outer", .file = "/src/\"outer\".go", .line = 11 },
};
static struct gj_frame unknown_frames[] = { { 0 } };

static struct gj_location kernel_location = {
	.ip = 0xffffffff81000010, .printed_ip = 0xffffffff81000010, .is_kernel = true,
	.frame_cnt = 1, .frames = kernel_frames, .sym_off = 0x10, .dso = "[kernel.kallsyms]",
};
static struct gj_location go_location = {
	.ip = 0x401014, .printed_ip = 0x1014, .is_go = true,
	.frame_cnt = 2, .frames = go_frames, .sym_off = 0x14, .dso = "/bin/prog",
};
static struct gj_location unknown_location = {
	.ip = 0x7f0000000000, .printed_ip = 0x7f0000000000, .frame_cnt = 1, .frames = unknown_frames,
	.dso = "/lib/libc.so.6",
};
static const struct gj_location *const locations[] = { &kernel_location, &go_location,
							&unknown_location };
static const enum gj_how hows[] = { GJ_HOW_KERNEL, GJ_HOW_IP, GJ_HOW_FP };
static const uint64_t chain[] = { 0 };

static const struct gj_sample sample = {
	.size = sizeof(sample), .pid = 12, .tid = 345, .cpu = 3, .ip = 0x401014,
	.time_ns = 7012345678, .period = 1001, .has_time = true, .has_period = true,
	.event = "cycles", .comm = "my prog", .chain = chain, .chain_cnt = 3,
};

static struct gj_record record_of(const struct gj_sample *of)
{
	return (struct gj_record){
		.sample = of, .locations = locations, .hows = hows, .location_cnt = 3,
		.leaf = &go_location, .goid = { GJ_GOID_KNOWN, 34, 0, "switch+register", NULL },
		.complete = true,
	};
}

static struct gj_report report_of(unsigned int fields)
{
	return (struct gj_report){
		.fields = fields, .inlines = true, .chains = true, .event_width = 8, .id_width = 5,
	};
}

/* Texts of the locations, as a session makes them once. */
static void write_texts(const struct gj_report *report,
			void (*write)(const struct gj_report *, const struct gj_location *,
				      struct gj_buf *))
{
	static struct gj_location *const all[] = { &kernel_location, &go_location,
						   &unknown_location };
	static struct gj_buf texts[3];

	for (size_t i = 0; i < 3; i++) {
		gj_buf_deinit(&texts[i]);
		write(report, all[i], &texts[i]);
		all[i]->text = texts[i].data;
		all[i]->text_bytes = (uint32_t)texts[i].size_bytes;
	}
}

static void expect(struct gj_buf *out, const char *text)
{
	gj_buf_chr(out, '\0');
	assert_string_equal(out->data, text);
	gj_buf_deinit(out);
}

static void perf_text(void **state)
{
	struct gj_report report = report_of(GJ_FIELD_DEFAULT);
	struct gj_record record = record_of(&sample);
	struct gj_buf out = { 0 };

	(void)state;
	write_texts(&report, gj_report_location);
	gj_report_perf(&report, &record, &out);
	expect(&out, "my prog   345 [003]     7.012345:       1001   cycles: goid:34 \n"
		     "\tffffffff81000010 vfs;read+0x10 ([kernel.kallsyms])\n"
		     "\t            1014 main.inner (inlined)\n"
		     "\t            1014 main.(*T).outer+0x14 (/bin/prog)\n"
		     "\t    7f0000000000 [unknown] (/lib/libc.so.6)\n\n");
}

static void perf_text_fields(void **state)
{
	struct gj_report report = report_of(GJ_FIELD_PID | GJ_FIELD_TID | GJ_FIELD_TIME |
					    GJ_FIELD_IP | GJ_FIELD_SYM | GJ_FIELD_SRCLINE);
	struct gj_record record = record_of(&sample);
	struct gj_buf out = { 0 };

	(void)state;
	report.nanoseconds = true;
	report.id_width = 7;
	write_texts(&report, gj_report_location);
	gj_report_perf(&report, &record, &out);
	expect(&out, "     12/345         7.012345678: \n"
		     "\tffffffff81000010 vfs;read\n"
		     "\t            1014 main.inner (inlined)\n  /src/inner.go:20\n"
		     "\t            1014 main.(*T).outer\n  /src/\"outer\".go:11\n"
		     "\t    7f0000000000 [unknown]\n\n");
}

/* A task that has ended: perf has -1 for its numbers. */
static void perf_text_ended(void **state)
{
	struct gj_report report = report_of(GJ_FIELD_COMM | GJ_FIELD_PID | GJ_FIELD_TID);
	struct gj_sample ended = sample;
	struct gj_record record = record_of(&ended);
	struct gj_buf out = { 0 };

	(void)state;
	ended.pid = ended.tid = UINT32_MAX;
	record.location_cnt = 0;
	gj_report_perf(&report, &record, &out);
	gj_buf_chr(&out, '\0');
	assert_non_null(strstr(out.data, "   -1/-1    "));
	gj_buf_deinit(&out);
}

/* Without a call chain perf pads the name and prints the address itself, on one line. */
static void perf_text_without_chain(void **state)
{
	struct gj_report report = report_of(GJ_FIELD_DEFAULT & ~(unsigned int)GJ_FIELD_GOID);
	struct gj_sample plain = sample;
	struct gj_record record = record_of(&plain);
	struct gj_buf out = { 0 };

	(void)state;
	plain.chain = NULL;
	plain.cpu = -1;
	gj_report_perf(&report, &record, &out);
	expect(&out, "         my prog   345     7.012345:       1001   cycles: "
		     "           401014 main.(*T).outer+0x14 (/bin/prog)\n");
	plain.chain = chain;
	report.chains = false;
	gj_report_perf(&report, &record, &out);
	expect(&out, "         my prog   345     7.012345:       1001   cycles: "
		     "           401014 main.(*T).outer+0x14 (/bin/prog)\n");
}

static void goid_forms(void **state)
{
	static const struct {
		struct gj_goid goid;
		const char *text;
	} cases[] = {
		{ { .state = GJ_GOID_KNOWN, .goid = UINT64_MAX }, " goid:18446744073709551615" },
		{ { .state = GJ_GOID_SCHED }, " goid:-(sched)" },
		{ { .state = GJ_GOID_G0 }, " goid:-(g0)" },
		{ { .state = GJ_GOID_UNKNOWN }, " goid:-(?)" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct gj_buf out = { 0 };

		gj_report_goid(&cases[i].goid, &out);
		expect(&out, cases[i].text);
	}
}

static void json(void **state)
{
	struct gj_report report = report_of(GJ_FIELD_DEFAULT);
	struct gj_sample bare = { .size = sizeof(bare), .cpu = -1, .comm = "a\"\\\n" };
	struct gj_record record = record_of(&sample);
	struct gj_buf out = { 0 };

	(void)state;
	write_texts(&report, gj_json_location);
	gj_report_json(&report, &record, &out);
	expect(&out,
	       "{\"comm\":\"my prog\",\"pid\":12,\"tid\":345,\"cpu\":3,\"time_ns\":7012345678,"
	       "\"event\":\"cycles\",\"period\":1001,\"goid\":34,\"goid_source\":\"switch+register\","
	       "\"frames\":["
	       "{\"ip\":\"0xffffffff81000010\",\"func\":\"vfs;read\",\"file\":null,\"line\":null,"
	       "\"dso\":\"[kernel.kallsyms]\",\"inlined\":false,\"kernel\":true,\"how\":\"kernel\"},"
	       "{\"ip\":\"0x401014\",\"func\":\"main.inner\",\"file\":\"/src/inner.go\",\"line\":20,"
	       "\"dso\":\"/bin/prog\",\"inlined\":true,\"kernel\":false,\"how\":\"ip\"},"
	       "{\"ip\":\"0x401014\",\"func\":\"main.(*T).outer\",\"file\":\"/src/\\\"outer\\\".go\","
	       "\"line\":11,\"dso\":\"/bin/prog\",\"inlined\":false,\"kernel\":false,\"how\":\"ip\"},"
	       "{\"ip\":\"0x7f0000000000\",\"func\":null,\"file\":null,\"line\":null,"
	       "\"dso\":\"/lib/libc.so.6\",\"inlined\":false,\"kernel\":false,\"how\":\"fp\"}"
	       "],\"complete\":true}\n");
	record.gaps = (bool[]){ false, true, true };
	record.location_cnt = 3;
	out.size_bytes = 0;
	gj_report_json(&report, &record, &out);
	gj_buf_chr(&out, '\0');
	/* Once for a location, at its innermost frame. */
	assert_non_null(strstr(out.data, "\"how\":\"ip\",\"may_miss\":true},{\"ip\":\"0x401014\",\"func\":\"main.(*T)"));
	assert_non_null(strstr(out.data, "\"how\":\"ip\"},{\"ip\":\"0x7f"));
	assert_non_null(strstr(out.data, "\"how\":\"fp\",\"may_miss\":true}]"));
	out.size_bytes = 0;
	record = (struct gj_record){ .sample = &bare, .goid = { .state = GJ_GOID_UNKNOWN,
							       .reason = "off" } };
	gj_report_json(&report, &record, &out);
	expect(&out, "{\"comm\":\"a\\\"\\\\\\u000a\",\"pid\":0,\"tid\":0,\"cpu\":null,\"time_ns\":null,"
		     "\"event\":null,\"period\":null,\"goid\":null,\"goid_source\":\"off\","
		     "\"frames\":[],\"complete\":false}\n");
	record.labels = (struct gj_label[]){ { "path", "/a\"b" }, { "user", "" } };
	record.label_cnt = 2;
	record.sample = &(struct gj_sample){ .cpu = -1 };
	gj_report_json(&report, &record, &out);
	expect(&out, "{\"comm\":\"\",\"pid\":0,\"tid\":0,\"cpu\":null,\"time_ns\":null,"
		     "\"event\":null,\"period\":null,\"goid\":null,\"goid_source\":\"off\","
		     "\"labels\":{\"path\":\"/a\\\"b\",\"user\":\"\"},"
		     "\"frames\":[],\"complete\":false}\n");
}

static void folded(void **state)
{
	struct gj_report report = report_of(GJ_FIELD_DEFAULT);
	struct gj_folded *folded = gj_folded_new();
	struct gj_record record = record_of(&sample);
	struct gj_buf out = { 0 };

	(void)state;
	report.annotate = true;
	write_texts(&report, gj_folded_location);
	assert_int_equal(gj_folded_add(folded, &report, &record), 0);
	report.fields &= ~(unsigned int)GJ_FIELD_GOID;
	assert_int_equal(gj_folded_add(folded, &report, &record), 0);
	assert_int_equal(gj_folded_add(folded, &report, &record), 0);
	assert_true(gj_folded_bytes(folded) > 0);
	gj_folded_write(folded, &out);
	expect(&out, "my_prog;[libc.so.6];main.(*T).outer;main.inner_[i];vfs:read_[k] 2\n"
		     "my_prog;goroutine 34;[libc.so.6];main.(*T).outer;main.inner_[i];vfs:read_[k] 1\n");
	assert_int_equal(gj_folded_bytes(folded), 0);
	gj_folded_write(folded, &out);
	assert_int_equal(out.size_bytes, 0);
	gj_folded_free(folded);
}

/* Enough different stacks to move the table several times; each is counted as often as it came. */
static void folded_many(void **state)
{
	struct gj_report report = report_of(0);
	struct gj_folded *folded = gj_folded_new();
	struct gj_sample named = sample;
	struct gj_record record = { .sample = &named };
	struct gj_buf out = { 0 };
	char comm[16], *line;
	unsigned int seen = 0;

	(void)state;
	named.comm = comm;
	for (unsigned int round = 0; round < 3; round++) {
		for (unsigned int i = 0; i < 20000; i++) {
			snprintf(comm, sizeof(comm), "p%05u", i);
			if (round < 2 || i % 2)
				assert_int_equal(gj_folded_add(folded, &report, &record), 0);
		}
	}
	gj_folded_write(folded, &out);
	gj_buf_chr(&out, '\0');
	for (line = strtok(out.data, "\n"); line; line = strtok(NULL, "\n"), seen++) {
		snprintf(comm, sizeof(comm), "p%05u %u", seen, seen % 2 ? 3u : 2u);
		assert_string_equal(line, comm);
	}
	assert_int_equal(seen, 20000);
	gj_buf_deinit(&out);
	gj_folded_free(folded);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(perf_text),
		cmocka_unit_test(perf_text_fields),
		cmocka_unit_test(perf_text_ended),
		cmocka_unit_test(perf_text_without_chain),
		cmocka_unit_test(goid_forms),
		cmocka_unit_test(json),
		cmocka_unit_test(folded),
		cmocka_unit_test(folded_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
