/* SPDX-License-Identifier: GPL-2.0 */
/* The line at the end of a run: what counts to which base. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "session/session.h"

static const uint64_t ips[] = { 1, 2, 3, 4 };
static const struct gj_sample sample = { .size = sizeof(sample), .chain = ips, .chain_cnt = 4 };
static const struct gj_sample bare = { .size = sizeof(bare) };

static void expect(const struct gj_quality *quality, const char *text)
{
	struct gj_buf out = { 0 };

	assert_true(gj_quality_text(quality, &out));
	gj_buf_add(&out, "", 1);
	assert_string_equal(out.data, text);
	gj_buf_deinit(&out);
}

static void count(struct gj_quality *quality, const struct gj_chain *chain, const struct gj_sample *of,
		  bool complete, struct gj_goid goid)
{
	const struct gj_record record = { .sample = of, .complete = complete, .goid = goid };

	gj_quality_count(quality, chain, &record, true);
}

static const struct gj_goid known = { .state = GJ_GOID_KNOWN, .goid = 7 };
static const struct gj_goid sched = { .state = GJ_GOID_SCHED, .reason = "x" };

static void shares(void **state)
{
	struct gj_quality *quality = gj_quality_new();
	struct gj_chain *chain = calloc(1, sizeof(*chain));

	(void)state;
	assert_non_null(quality);
	assert_non_null(chain);
	chain->max = GJ_MAX_CHAIN;
	/* Without Go code: in the number of samples and nowhere else. */
	for (int i = 0; i < 6; i++)
		count(quality, chain, &sample, true, sched);
	chain->has_go = true;
	chain->cnt = 4;
	chain->first_user = 2;
	count(quality, chain, &sample, true, known);
	chain->repaired_cnt = 2;
	count(quality, chain, &sample, true, sched);
	chain->gap_cnt = 1;
	chain->unnamed_cnt = 1;
	chain->cut = GJ_CUT_NO_BYTES;
	count(quality, chain, &sample, false, known);
	/* No stack was recorded: nothing is said of one. */
	count(quality, chain, &bare, false, known);
	gj_quality_lost(quality, 3);
	gj_quality_lost(quality, 2);
	expect(quality, "quality: samples=10 go=4 complete=66.7% repaired=66.7% may_miss=33.3% cut=33.3% "
			"unnamed=16.7% no_goid=25.0% lost=5; cut: 33.3% stack bytes are not in the recording; "
			"no goid: 25.0% in the scheduler");
	gj_quality_free(quality);
	free(chain);
}

/* Neither stacks nor goroutines were asked for, or none is Go's. */
static void silence(void **state)
{
	struct gj_quality *quality = gj_quality_new();
	struct gj_chain *chain = calloc(1, sizeof(*chain));
	const struct gj_record record = { .sample = &bare };
	struct gj_buf out = { 0 };

	(void)state;
	assert_false(gj_quality_text(quality, &out));
	gj_quality_count(quality, chain, &record, false);
	assert_false(gj_quality_text(quality, &out));
	assert_int_equal(out.size_bytes, 0);
	chain->has_go = true;
	gj_quality_count(quality, chain, &record, false);
	expect(quality, "quality: samples=2 go=1");
	gj_quality_free(quality);
	gj_quality_free(NULL);
	free(chain);
}

/* More reasons than there is room for are summed up. */
static void reasons(void **state)
{
	struct gj_quality *quality = gj_quality_new();
	struct gj_chain *chain = calloc(1, sizeof(*chain));
	static char texts[40][8];
	struct gj_buf out = { 0 };

	(void)state;
	chain->has_go = true;
	for (int i = 0; i < 40; i++) {
		texts[i][0] = (char)('a' + i % 26);
		texts[i][1] = (char)('a' + i / 26);
		count(quality, chain, &bare, false,
		      (struct gj_goid){ .state = GJ_GOID_UNKNOWN, .reason = texts[i] });
	}
	assert_true(gj_quality_text(quality, &out));
	gj_buf_add(&out, "", 1);
	assert_non_null(strstr(out.data, "no_goid=100.0%; no goid: 2.5% aa, 2.5% ba"));
	assert_non_null(strstr(out.data, ", 62.5% other"));
	gj_buf_deinit(&out);
	gj_quality_free(quality);
	free(chain);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(shares),
		cmocka_unit_test(silence),
		cmocka_unit_test(reasons),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
