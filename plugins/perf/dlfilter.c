/* SPDX-License-Identifier: GPL-2.0 */
/*
 * gojitter.so: the perf dlfilter. Turns perf's samples into gj_sample and
 * hands them to a session, which prints them; perf's own record is then
 * dropped (tools/perf/Documentation/perf-dlfilter.txt).
 */
#include <linux/perf_event.h>
#include <perf/perf_dlfilter.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "gojitter.h"
#include "plugin.h"

/* perf fills this in at load time, so it must not be const. */
struct perf_dlfilter_fns perf_dlfilter_fns;

struct run {
	struct gj_session *session;
	struct gj_plugin_capture capture;
	struct gj_plugin_reading reading;
	void *ctx; /* perf's, of the call under way */
	struct gj_mapping mapping; /* of that call's sample */
	char **options;
	struct gj_plugin_file recording; /* all zero: none */
};

static int resolve(void *data, uint64_t ip, struct gj_mapping *mapping_out)
{
	struct run *run = data;
	struct perf_dlfilter_al al = { .size = GJ_PLUGIN_AL_BYTES };

	if (perf_dlfilter_fns.resolve_address(run->ctx, ip, &al))
		return -1;
	gj_plugin_mapping(&al, mapping_out);
	return 0;
}

static bool has_lines(void *data)
{
	struct run *run = data;
	uint32_t line;

	return perf_dlfilter_fns.srcline(run->ctx, &line) != NULL;
}

static void write_out(void *data, const char *text, size_t size_bytes)
{
	(void)data;
	fwrite(text, 1, size_bytes, stdout);
}

static void warn(void *data, const char *line)
{
	(void)data;
	fprintf(stderr, "gojitter: %s\n", line);
}

static void free_run(struct run *run)
{
	gj_plugin_capture_deinit(&run->capture);
	gj_plugin_options_free(run->options);
	if (run->recording.bytes)
		munmap(run->recording.bytes, run->recording.size_bytes);
	free(run);
}

int start(void **data, void *ctx)
{
	struct run *run = calloc(1, sizeof(*run));
	struct gj_host host = {
		.size = sizeof(host), .data = run, .resolve = resolve, .write = write_out,
		.warn = warn, .has_lines = has_lines,
	};
	struct gj_plugin_file file = { 0 };
	char **args;
	int arg_cnt = 0;

	if (!run)
		return 1;
	args = perf_dlfilter_fns.args(ctx, &arg_cnt);
	arg_cnt = gj_plugin_options(args, args ? arg_cnt : 0, &run->options);
	gj_plugin_style(&host);
	gj_plugin_map_recording(&file);
	host.recorded_s = file.changed_s;
	run->recording = file;
	run->session = arg_cnt < 0 ? NULL : gj_session_new(&host, run->options, arg_cnt);
	if (run->session && file.bytes)
		gj_session_recording(run->session, file.bytes, file.size_bytes);
	if (!run->session) {
		free_run(run);
		return 1;
	}
	*data = run;
	return 0;
}

/* Hands perf's text of the last record on, if that was shared. */
static void settle(struct run *run)
{
	const char *text;
	size_t size_bytes;

	if (!run->capture.is_on)
		return;
	size_bytes = gj_plugin_capture_end(&run->capture, &text);
	gj_session_shared(run->session, text, size_bytes);
}

/* What only a sample that will be shown is worth. */
static void complete(struct run *run, uint16_t misc, struct gj_sample *sample)
{
	const struct perf_event_attr *attr = perf_dlfilter_fns.attr(run->ctx);
	const struct perf_dlfilter_al *al = perf_dlfilter_fns.resolve_ip(run->ctx);

	if (attr)
		gj_perf_record_regs(attr->sample_type, attr->sample_regs_user, misc, sample);
	if (!al)
		return;
	sample->comm = al->comm;
	gj_plugin_mapping(al, &run->mapping);
	sample->mapping = &run->mapping;
}

int filter_event_early(void *data, const struct perf_dlfilter_sample *sample, void *ctx)
{
	struct run *run = data;
	struct gj_sample ours;

	settle(run);
	/* Only tracepoints concern the bookkeeping. */
	if (!sample->raw_data || !gj_plugin_sample(sample, perf_dlfilter_fns.attr(ctx), &ours))
		return 0;
	return gj_session_early(run->session, &ours);
}

int filter_event(void *data, const struct perf_dlfilter_sample *sample, void *ctx)
{
	struct run *run = data;
	struct gj_sample ours;

	run->ctx = ctx;
	if (sample->raw_callchain)
		gj_plugin_read_until(&run->reading, sample->raw_callchain);
	if (!gj_plugin_sample(sample, perf_dlfilter_fns.attr(ctx), &ours))
		return 0;
	complete(run, sample->misc, &ours);
	switch (gj_session_sample(run->session, &ours)) {
	case GJ_PRINTED:
		return 1;
	case GJ_HOST_SHARES:
		gj_plugin_capture_begin(&run->capture);
		break;
	case GJ_HOST_PRINTS:
		break;
	}
	return 0;
}

int stop(void *data, void *ctx)
{
	struct run *run = data;

	(void)ctx;
	if (!run)
		return 0;
	settle(run);
	gj_session_end(run->session);
	free_run(run);
	return 0;
}

const char *filter_description(const char **long_description)
{
	*long_description =
		"Go function names (stripped binaries too), inlined calls, file:line and goroutine IDs.\n"
		"Options by --dlarg: format=perf|folded|json|pprof, goid=on|off, inline=on|off,\n"
		"lines=on|off, short=on|off, readable=on|off, chain=on|off, ns=on|off, annotate=on|off,\n"
		"repair=on|off, quality=on|off, show-probe=on|off, fields=LIST, symfs=DIR, output=FILE,\n"
		"labels=LIST, kernel=on|off. See gojitter-perf(1).";
	return "makes Go programs readable";
}
