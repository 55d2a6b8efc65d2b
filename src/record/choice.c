/* SPDX-License-Identifier: GPL-2.0 */
/* Whether and how the two-stack sampler is used, and what is said of it. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "record/sampler.h"

#define MIN_RING_BYTES (8u << 20)
#define MAX_RING_BYTES (64u << 20)
#define STALL_MS 250 /* that the reader may be late on a busy machine */

/* Room for what comes while the reader is late, all processors busy. */
static uint32_t ring_bytes(const struct gj_record_options *options)
{
	long cpu_cnt = sysconf(_SC_NPROCESSORS_ONLN);
	uint64_t events = options->event_cnt ? options->event_cnt : 1;
	/* Most stacks are shallow, most samples have one, and who is late is so seldom by so much. */
	uint64_t need = events * (cpu_cnt > 0 ? (uint64_t)cpu_cnt : 1) * options->hz * STALL_MS /
			1000 * (1024 + options->stack_bytes / 4);
	uint32_t bytes = MIN_RING_BYTES;

	while (bytes < need && bytes < MAX_RING_BYTES)
		bytes *= 2;
	return bytes;
}

int gj_sampler_allowed(struct gj_diag *diag)
{
	struct gj_stack_sampler *sampler;
	int err = gj_sampler_open(1024, 1024, MIN_RING_BYTES, NULL, &sampler, diag);

	if (!err)
		gj_sampler_close(sampler);
	return err;
}

static bool are_tracepoints(const struct gj_record_options *options)
{
	for (unsigned int i = 0; i < options->event_cnt; i++)
		if (!gj_event_is_tracepoint(options->events[i]))
			return false;
	return options->event_cnt;
}

/* Opens one, ready to keep what it writes. */
static int open_one(const struct gj_record_options *options, struct gj_stack_sampler **sampler_out,
		    struct gj_diag *diag)
{
	bool is_both = options->call_graph == GJ_CALL_GRAPH_BOTH;
	unsigned int slice_bytes = is_both ? options->slice_bytes : options->stack_bytes;
	struct gj_stack_sampler *sampler;
	int err;

	if (!options->use_bpf)
		return gj_diag_set(diag, -ECANCELED, "--no-bpf");
	if (are_tracepoints(options))
		return gj_diag_set(diag, -EOPNOTSUPP, "events of a tracepoint carry no such program");
	if (!strcmp(options->output, "-"))
		return gj_diag_set(diag, -ESPIPE, "a pipe cannot carry stack records");
	err = gj_sampler_open(options->stack_bytes, slice_bytes, ring_bytes(options),
			      options->say, &sampler, NULL);
	/* Rather lose some than have none: with the smallest buffer. */
	if (err)
		err = gj_sampler_open(options->stack_bytes, slice_bytes, MIN_RING_BYTES,
				      options->say, &sampler, diag);
	if (err)
		return err;
	err = options->dry_run ? 0 : gj_sampler_keep(sampler, options->output, diag);
	if (err)
		gj_sampler_close(sampler);
	else
		*sampler_out = sampler;
	return err;
}

struct gj_stack_sampler *gj_sampler_choose(struct gj_record_options *options)
{
	struct gj_stack_sampler *sampler = NULL;
	struct gj_diag diag = { 0 };
	char line[GJ_DIAG_BYTES + 96];
	const char *instead = options->probe == GJ_PROBE_NEVER ?
				      "going on without" :
				      "going on with a probe on runtime.execute";

	/* perf takes the stack itself, and all registers. */
	if (options->call_graph == GJ_CALL_GRAPH_DWARF || !open_one(options, &sampler, &diag))
		return sampler;
	if (options->call_graph == GJ_CALL_GRAPH_BOTH) {
		options->call_graph = GJ_CALL_GRAPH_DWARF;
		instead = "recording stack dumps (--call-graph dwarf) instead";
	} else if (!options->use_bpf) {
		return NULL;
	}
	snprintf(line, sizeof(line), "no stack sampler: %s; %s", diag.text, instead);
	options->say(line);
	return NULL;
}

void gj_sampler_say(const struct gj_sampler_totals *totals, void (*say)(const char *line))
{
	const uint64_t *counts = totals->counts;
	uint64_t go = counts[GJ_COUNT_RECORDS] + counts[GJ_COUNT_LOST];
	const struct {
		uint64_t cnt;
		const char *what;
	} flaws[] = {
		{ go - totals->kept_cnt, "without a stack record" },
		{ counts[GJ_COUNT_NO_G], "without g" },
		{ counts[GJ_COUNT_SHORT], "with a stack that was not all in memory" },
	};
	char line[GJ_DIAG_BYTES];
	int cnt = snprintf(line, sizeof(line), "%llu samples, %llu of Go programs; stack records: %.1f MB",
			   (unsigned long long)(go + counts[GJ_COUNT_OTHER] + counts[GJ_COUNT_NO_USER]),
			   (unsigned long long)go, (double)totals->file_bytes / 1e6);

	for (size_t i = 0; i < sizeof(flaws) / sizeof(flaws[0]); i++)
		if (flaws[i].cnt && cnt > 0 && (size_t)cnt < sizeof(line))
			cnt += snprintf(line + cnt, sizeof(line) - (size_t)cnt, "; %llu %s",
					(unsigned long long)flaws[i].cnt, flaws[i].what);
	say(line);
}
