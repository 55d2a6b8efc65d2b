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
	void *ctx; /* perf's, of the call under way */
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

int start(void **data, void *ctx)
{
	struct run *run = calloc(1, sizeof(*run));
	const struct gj_host host = {
		.size = sizeof(host), .data = run, .resolve = resolve, .write = write_out, .warn = warn,
	};
	struct gj_plugin_file file;
	char **args;
	int arg_cnt = 0;

	if (!run)
		return 1;
	args = perf_dlfilter_fns.args(ctx, &arg_cnt);
	run->session = gj_session_new(&host, args, args ? arg_cnt : 0);
	if (!run->session) {
		free(run);
		return 1;
	}
	if (gj_plugin_map_recording(&file)) {
		gj_session_recording(run->session, file.bytes, file.size_bytes);
		munmap(file.bytes, file.size_bytes);
	}
	*data = run;
	return 0;
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
	};
	if (is_late && attr)
		gj_perf_record_regs(type, attr->sample_regs_user, from->misc, to);
	return from->size >= offsetof(struct perf_dlfilter_sample, event) + sizeof(from->event);
}

int filter_event_early(void *data, const struct perf_dlfilter_sample *sample, void *ctx)
{
	struct run *run = data;
	struct gj_sample ours;

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
	return gj_session_sample(run->session, &ours);
}

int stop(void *data, void *ctx)
{
	struct run *run = data;

	(void)ctx;
	if (run)
		gj_session_end(run->session);
	free(run);
	return 0;
}

const char *filter_description(const char **long_description)
{
	*long_description =
		"Go function names (stripped binaries too), inlined calls, file:line and goroutine IDs.\n"
		"Options by --dlarg: format=perf|folded|json, goid=on|off, inline=on|off, lines=on|off,\n"
		"short=on|off, readable=on|off, ns=on|off, annotate=on|off, show-probe=on|off,\n"
		"fields=LIST, symfs=DIR. See gojitter-perf(1).";
	return "makes Go programs readable";
}
