/* SPDX-License-Identifier: GPL-2.0 */
/* What a run has seen, in one line at its end (docs/perf-plugin.md, "The quality line"). */
#include "session/session.h"

#include <stdlib.h>
#include <string.h>

#define REASON_CNT 16 /* verdict.c has fewer */

struct reason {
	const char *text; /* static */
	uint64_t cnt;
};

struct gj_quality {
	uint64_t sample_cnt;
	uint64_t go_cnt;     /* of them, with Go code in the user part, or of a program known to be Go's */
	/* Of those with Go code: */
	uint64_t stack_cnt;  /* recorded with a call chain or a dump of the stack */
	uint64_t complete_cnt, repaired_cnt, gap_cnt; /* of stack_cnt */
	uint64_t cut_cnts[GJ_CUT_CNT];
	uint64_t address_cnt, unnamed_cnt; /* user addresses in them */
	bool with_goid;
	uint64_t no_goid_cnt;
	struct reason reasons[REASON_CNT];
	bool knows_lost;
	uint64_t lost_cnt;
};

struct gj_quality *gj_quality_new(void)
{
	return calloc(1, sizeof(struct gj_quality));
}

void gj_quality_free(struct gj_quality *quality)
{
	free(quality);
}

static const char *reason_of(const struct gj_goid *goid)
{
	if (goid->state == GJ_GOID_SCHED)
		return "in the scheduler";
	return goid->state == GJ_GOID_G0 ? "on the system stack" : goid->reason;
}

static void count_reason(struct gj_quality *quality, const char *text)
{
	struct reason *reason = quality->reasons, *last = reason + REASON_CNT - 1;

	quality->no_goid_cnt++;
	while (reason < last && reason->text && reason->text != text && strcmp(reason->text, text))
		reason++;
	reason->text = reason->text && reason == last ? "other" : text;
	reason->cnt++;
}

static void count_stack(struct gj_quality *quality, const struct gj_chain *chain, bool is_complete)
{
	bool is_full = chain->cnt >= chain->max;

	quality->stack_cnt++;
	quality->repaired_cnt += chain->repaired_cnt > 0;
	quality->gap_cnt += chain->gap_cnt > 0;
	quality->address_cnt += chain->cnt - chain->first_user;
	quality->unnamed_cnt += chain->unnamed_cnt;
	if (is_complete)
		quality->complete_cnt++;
	else
		quality->cut_cnts[is_full ? GJ_CUT_LIMIT : chain->cut ? chain->cut : GJ_CUT_CHAIN]++;
}

void gj_quality_count(struct gj_quality *quality, const struct gj_chain *chain,
		      const struct gj_record *record, bool with_goid)
{
	quality->sample_cnt++;
	/* The sampler leaves records of Go programs only. */
	if (!chain->has_go && !chain->has_record)
		return;
	quality->go_cnt++;
	if (record->sample->chain)
		count_stack(quality, chain, record->complete);
	quality->with_goid |= with_goid;
	if (with_goid && record->goid.state != GJ_GOID_KNOWN)
		count_reason(quality, reason_of(&record->goid));
}

void gj_quality_lost(struct gj_quality *quality, uint64_t cnt)
{
	quality->knows_lost = true;
	quality->lost_cnt += cnt;
}

/* @before, then @cnt of @all in percent, to a tenth. */
static void add_share(struct gj_buf *out, const char *before, uint64_t cnt, uint64_t all)
{
	gj_buf_fmt(out, "%s%.1f%%", before, all ? 100.0 * (double)cnt / (double)all : 0.0);
}

static void add_causes(const struct gj_quality *quality, struct gj_buf *out)
{
	const char *before = "; cut: ";

	for (unsigned int i = 0; i < GJ_CUT_CNT; i++)
		if (quality->cut_cnts[i]) {
			gj_buf_str(out, before);
			add_share(out, "", quality->cut_cnts[i], quality->stack_cnt);
			gj_buf_fmt(out, " %s", gj_cut_text(i));
			before = ", ";
		}
	before = "; no goid: ";
	for (unsigned int i = 0; i < REASON_CNT && quality->reasons[i].text; i++) {
		gj_buf_str(out, before);
		add_share(out, "", quality->reasons[i].cnt, quality->go_cnt);
		gj_buf_fmt(out, " %s", quality->reasons[i].text);
		before = ", ";
	}
}

bool gj_quality_text(const struct gj_quality *quality, struct gj_buf *out)
{
	if (!quality->go_cnt)
		return false;
	gj_buf_fmt(out, "quality: samples=%llu go=%llu", (unsigned long long)quality->sample_cnt,
		   (unsigned long long)quality->go_cnt);
	if (quality->stack_cnt) {
		add_share(out, " complete=", quality->complete_cnt, quality->stack_cnt);
		add_share(out, " repaired=", quality->repaired_cnt, quality->stack_cnt);
		add_share(out, " may_miss=", quality->gap_cnt, quality->stack_cnt);
		add_share(out, " cut=", quality->stack_cnt - quality->complete_cnt,
			  quality->stack_cnt);
		add_share(out, " unnamed=", quality->unnamed_cnt, quality->address_cnt);
	}
	if (quality->with_goid)
		add_share(out, " no_goid=", quality->no_goid_cnt, quality->go_cnt);
	if (quality->knows_lost)
		gj_buf_fmt(out, " lost=%llu", (unsigned long long)quality->lost_cnt);
	add_causes(quality, out);
	return !out->failed;
}
