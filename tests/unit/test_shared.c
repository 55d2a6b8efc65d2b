/* SPDX-License-Identifier: GPL-2.0 */
/* src/session/shared.c: our parts in records that the host printed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "session/session.h"

static struct gj_frame frames[] = {
	{ .name = "main.inner", .inlined = true },
	{ .name = "main.outer" },
};
static const struct gj_location location = {
	.ip = 0x401014, .printed_ip = 0x401014, .frame_cnt = 2, .frames = frames, .sym_off = 0x14,
	.dso = "/bin/prog",
};
static const struct gj_location *const locations[] = { &location };

static const struct gj_report report = {
	.fields = GJ_FIELD_DEFAULT, .inlines = true, .chains = true,
};

/* The host's text @with @event, cut off after @size_bytes; merged into @out. */
static unsigned int merge(const char *event, const char *host, size_t size_bytes,
			  struct gj_buf *out)
{
	const struct gj_sample sample = { .size = sizeof(sample), .event = event };
	const struct gj_record record = { .sample = &sample,
					  .goid = { .state = GJ_GOID_KNOWN, .goid = 34 } };
	/* A copy of its own length, so that a sanitizer sees a read behind it. */
	uint8_t *copy = malloc(size_bytes ? size_bytes : 1);
	struct gj_shared shared = { 0 };
	unsigned int width;

	memcpy(copy, host, size_bytes);
	assert_int_equal(gj_shared_put(&shared, &record), 0);
	assert_true(shared.is_pending);
	gj_shared_merge(&shared, &report, locations, 1, (struct gj_window){ copy, size_bytes },
			out, &width);
	assert_false(shared.is_pending);
	gj_shared_deinit(&shared);
	free(copy);
	return width;
}

static const struct {
	const char *name, *event, *host, *merged;
	unsigned int width;
} cases[] = {
	{ "a tracepoint's values", "sched:sched_switch",
	  "prog 7 [001] 1.000001:    sched:sched_switch: prev=a next=b\n"
	  "\t401014 [unknown] (/bin/prog)\n\n",
	  "prog 7 [001] 1.000001:    sched:sched_switch: goid:34 prev=a next=b\n"
	  "\t          401014 main.inner (inlined)\n"
	  "\t          401014 main.outer+0x14 (/bin/prog)\n\n", 21 },
	{ "offsets but no files", "e",
	  "prog 7 e: x\n\t401014 main.old+0x2\n\t  402 [unknown]\n\nprog 8 e: y\n\n",
	  "prog 7 e: goid:34 x\n\t          401014 main.inner (inlined)\n"
	  "\t          401014 main.outer+0x14\n\nprog 8 e: y\n\n", 1 },
	{ "names only", "e", "prog 7 e: x\n\t401014 main.old\n\n",
	  "prog 7 e: goid:34 x\n\t          401014 main.inner (inlined)\n"
	  "\t          401014 main.outer\n\n", 1 },
	{ "addresses and files", "e", "prog 7 e: x\n\t401014 (/bin/prog)\n\n",
	  "prog 7 e: goid:34 x\n\t          401014 (inlined)\n"
	  "\t          401014 (/bin/prog)\n\n", 1 },
	{ "registers behind the frames stay", "e",
	  "prog 7 e: x\n\t401014 main.old+0x2 (/bin/prog)\n ABI:2 r14:0x1\n",
	  "prog 7 e: goid:34 x\n\t          401014 main.inner (inlined)\n"
	  "\t          401014 main.outer+0x14 (/bin/prog)\n ABI:2 r14:0x1\n", 1 },
	{ "source lines go with their frames", "e",
	  "prog 7 e: x\n\t401014 main.old+0x2 (/bin/prog)\n  old.go:3\n\n",
	  "prog 7 e: goid:34 x\n\t          401014 main.inner (inlined)\n"
	  "\t          401014 main.outer+0x14 (/bin/prog)\n\n", 1 },
	{ "no frames", "e", "prog 7 e: x\n", "prog 7 e: goid:34 x\n", 1 },
	{ "no event in the line", "e", "prog 7 other: x\n", "prog 7 other: x goid:34\n", 0 },
	{ "the event first", "cycles", "    cycles: \n", "    cycles: goid:34 \n", 10 },
	{ "no text", "e", "", " goid:34\n", 0 },
};

static void merges(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct gj_buf out = { 0 };
		unsigned int width = merge(cases[i].event, cases[i].host,
					   strlen(cases[i].host), &out);

		gj_buf_chr(&out, '\0');
		if (strcmp(out.data, cases[i].merged) || width != cases[i].width)
			fail_msg("%s: width %u, text:\n%s", cases[i].name, width, out.data);
		gj_buf_deinit(&out);
	}
}

/* Whatever comes of text that is cut or spoiled, nothing is read behind it. */
static void cut_and_spoiled(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		size_t cnt = strlen(cases[i].host);
		char *spoiled = strdup(cases[i].host);
		struct gj_buf out = { 0 };

		for (size_t cut = 0; cut <= cnt; cut++)
			merge(cases[i].event, cases[i].host, cut, &out);
		for (size_t at = 0; at < cnt; at++) {
			static const char bytes[] = { '\t', '\n', ' ', ')', '(', '\0', ':' };

			for (size_t k = 0; k < sizeof(bytes); k++) {
				spoiled[at] = bytes[k];
				merge(cases[i].event, spoiled, cnt, &out);
			}
			spoiled[at] = cases[i].host[at];
		}
		free(spoiled);
		gj_buf_deinit(&out);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(merges),
		cmocka_unit_test(cut_and_spoiled),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
