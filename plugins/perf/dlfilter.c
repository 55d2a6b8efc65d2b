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
#include <unistd.h>

#include "gojitter.h"
#include "plugin.h"

/* perf fills this in at load time, so it must not be const. */
struct perf_dlfilter_fns perf_dlfilter_fns;

struct run {
	struct gj_session *session;
	struct gj_plugin_capture capture;
	void *ctx; /* perf's, of the call under way */
	char **options;
};

static int resolve(void *data, uint64_t ip, struct gj_mapping *mapping_out)
{
	struct run *run = data;
	struct perf_dlfilter_al al = { .size = sizeof(al) };

	if (perf_dlfilter_fns.resolve_address(run->ctx, ip, &al))
		return -1;
	*mapping_out = (struct gj_mapping){
		.dso = al.dso,
		.file_off = al.addr,
		.sym = al.sym,
		.sym_off = al.symoff,
		.build_id = al.buildid_size ? al.buildid : NULL,
		.build_id_bytes = al.buildid_size,
	};
	return 0;
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
	free(run);
}

int start(void **data, void *ctx)
{
	struct run *run = calloc(1, sizeof(*run));
	struct gj_host host = {
		.size = sizeof(host), .data = run, .resolve = resolve, .write = write_out, .warn = warn,
	};
	struct gj_plugin_file file;
	char **args;
	int arg_cnt = 0;

	if (!run)
		return 1;
	args = perf_dlfilter_fns.args(ctx, &arg_cnt);
	arg_cnt = gj_plugin_options(args, args ? arg_cnt : 0, &run->options);
	gj_plugin_style(&host);
	run->session = arg_cnt < 0 ? NULL : gj_session_new(&host, run->options, arg_cnt);
	if (!run->session) {
		free_run(run);
		return 1;
	}
	if (gj_plugin_map_recording(&file)) {
		gj_session_recording(run->session, file.bytes, file.size_bytes);
		munmap(file.bytes, file.size_bytes);
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

/* Events whose record perf ends with more than the fields all events have. */
static bool has_own_fields(const struct perf_event_attr *attr)
{
	const uint64_t own = PERF_SAMPLE_ADDR | PERF_SAMPLE_DATA_SRC | PERF_SAMPLE_WEIGHT_TYPE |
			     PERF_SAMPLE_PHYS_ADDR | PERF_SAMPLE_DATA_PAGE_SIZE |
			     PERF_SAMPLE_CODE_PAGE_SIZE;

	return attr->type >= PERF_TYPE_RAW && (attr->sample_type & own);
}

/* perf's sample as ours; false for a sample older perfs deliver without what we need. */
static int translate(const struct perf_dlfilter_sample *from, void *ctx, int is_late,
		     struct gj_sample *to)
{
	const struct perf_event_attr *attr = perf_dlfilter_fns.attr(ctx);
	const struct perf_dlfilter_al *al = is_late ? perf_dlfilter_fns.resolve_ip(ctx) : NULL;
	uint64_t type = attr ? attr->sample_type : 0;

	*to = (struct gj_sample){
		.size = sizeof(*to),
		.pid = (uint32_t)from->pid,
		.tid = (uint32_t)from->tid,
		.cpu = type & PERF_SAMPLE_CPU ? from->cpu : -1,
		.ip = from->ip,
		.time_ns = from->time,
		.period = from->period,
		.has_time = type & PERF_SAMPLE_TIME,
		.has_period = type & PERF_SAMPLE_PERIOD,
		.is_kernel = from->cpumode == PERF_RECORD_MISC_KERNEL,
		.event = from->event,
		.comm = al ? al->comm : NULL,
		.chain = type & PERF_SAMPLE_CALLCHAIN ? (const uint64_t *)from->raw_callchain : NULL,
		.chain_cnt = from->raw_callchain_nr,
		.raw = from->raw_data,
		.raw_bytes = from->raw_size,
		.host_line = from->raw_data || (attr && has_own_fields(attr)),
	};
	if (is_late && attr)
		gj_perf_record_regs(type, attr->sample_regs_user, from->misc, to);
	return from->size >= offsetof(struct perf_dlfilter_sample, event) + sizeof(from->event);
}

int filter_event_early(void *data, const struct perf_dlfilter_sample *sample, void *ctx)
{
	struct run *run = data;
	struct gj_sample ours;

	settle(run);
	/* Only tracepoints concern the bookkeeping. */
	if (!sample->raw_data || !translate(sample, ctx, 0, &ours))
		return 0;
	return gj_session_early(run->session, &ours);
}

int filter_event(void *data, const struct perf_dlfilter_sample *sample, void *ctx)
{
	struct run *run = data;
	struct gj_sample ours;

	run->ctx = ctx;
	if (!translate(sample, ctx, 1, &ours))
		return 0;
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
		"Options by --dlarg: format=perf|folded|json, goid=on|off, inline=on|off, lines=on|off,\n"
		"short=on|off, readable=on|off, chain=on|off, ns=on|off, annotate=on|off,\n"
		"show-probe=on|off, fields=LIST, symfs=DIR. See gojitter-perf(1).";
	return "makes Go programs readable";
}
