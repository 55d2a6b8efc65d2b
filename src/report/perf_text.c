/* SPDX-License-Identifier: GPL-2.0 */
/*
 * format=perf: perf script's own text (tools/perf/builtin-script.c,
 * perf_sample__fprintf_start and process_event; util/evsel_fprintf.c,
 * sample__fprintf_callchain), with the goroutine behind the event's name.
 */
#include "report/report.h"

#include <string.h>

static void add_source_line(const struct gj_frame *frame, struct gj_buf *out)
{
	if (!frame->file)
		return;
	gj_buf_str(out, "\n  ");
	gj_buf_str(out, frame->file);
	gj_buf_fmt(out, ":%d", frame->line);
}

static void add_frame(const struct gj_report *report, const struct gj_location *location,
		      uint64_t ip, const struct gj_frame *frame, struct gj_buf *out)
{
	gj_buf_hex(out, ip, 16);
	if (report->fields & GJ_FIELD_SYM) {
		gj_buf_chr(out, ' ');
		gj_buf_str(out, frame->name ? frame->name : "[unknown]");
		if ((report->fields & GJ_FIELD_SYMOFF) && frame->name && !frame->inlined) {
			gj_buf_str(out, "+0x");
			gj_buf_hex(out, location->sym_off, 0);
		}
	}
	if (frame->inlined) {
		gj_buf_str(out, " (inlined)");
	} else if (report->fields & GJ_FIELD_DSO) {
		gj_buf_str(out, " (");
		gj_buf_str(out, location->dso ? location->dso : "[unknown]");
		gj_buf_chr(out, ')');
	}
	if (report->fields & GJ_FIELD_SRCLINE)
		add_source_line(frame, out);
}

void gj_report_location(const struct gj_report *report, const struct gj_location *location,
			struct gj_buf *out)
{
	for (uint32_t i = 0; i < location->frame_cnt; i++) {
		if (location->frames[i].inlined && !report->inlines)
			continue;
		gj_buf_chr(out, '\t');
		add_frame(report, location, location->printed_ip, &location->frames[i], out);
		gj_buf_chr(out, '\n');
	}
}

static bool has_chain(const struct gj_report *report, const struct gj_sample *sample)
{
	return report->chains && sample->chain && (report->fields & GJ_FIELD_IP);
}

/* perf pads the name when no call chain follows. */
static void add_comm(const struct gj_report *report, const struct gj_sample *sample,
		     struct gj_buf *out)
{
	const char *comm = sample->comm ? sample->comm : ":-1";
	size_t cnt = strlen(comm);

	for (size_t i = cnt; !has_chain(report, sample) && i < 16; i++)
		gj_buf_chr(out, ' ');
	gj_buf_add(out, comm, cnt);
	gj_buf_chr(out, ' ');
}

static void add_ids(const struct gj_report *report, const struct gj_sample *sample,
		    struct gj_buf *out)
{
	size_t start = out->size_bytes;

	if (report->fields & GJ_FIELD_PID)
		gj_buf_dec(out, sample->pid, report->id_width, ' ');
	if ((report->fields & GJ_FIELD_PID) && (report->fields & GJ_FIELD_TID)) {
		gj_buf_chr(out, '/');
		start = out->size_bytes;
		gj_buf_dec(out, sample->tid, 0, ' ');
		while (!out->failed && out->size_bytes - start < report->id_width)
			gj_buf_chr(out, ' ');
	} else if (report->fields & GJ_FIELD_TID) {
		gj_buf_dec(out, sample->tid, report->id_width, ' ');
	}
	gj_buf_chr(out, ' ');
}

static void add_time(const struct gj_report *report, uint64_t time_ns, struct gj_buf *out)
{
	uint64_t seconds = time_ns / 1000000000, rest_ns = time_ns % 1000000000;

	/* "%5lu.%09llu: " with --ns, else "%12s: " of seconds and six digits. */
	gj_buf_dec(out, seconds, 5, ' ');
	gj_buf_chr(out, '.');
	if (report->nanoseconds)
		gj_buf_dec(out, rest_ns, 9, '0');
	else
		gj_buf_dec(out, rest_ns / 1000, 6, '0');
	gj_buf_str(out, ": ");
}

void gj_report_goid(const struct gj_goid *goid, struct gj_buf *out)
{
	static const char *const reasons[] = {
		[GJ_GOID_SCHED] = "-(sched)",
		[GJ_GOID_G0] = "-(g0)",
		[GJ_GOID_UNKNOWN] = "-(?)",
	};

	gj_buf_str(out, " goid:");
	if (goid->state == GJ_GOID_KNOWN)
		gj_buf_dec(out, goid->goid, 0, ' ');
	else
		gj_buf_str(out, reasons[goid->state]);
}

static void add_event(const struct gj_report *report, const struct gj_record *record,
		      struct gj_buf *out)
{
	const char *event = record->sample->event ? record->sample->event : "[unknown]";
	size_t cnt = strlen(event);

	for (size_t i = cnt; i < report->event_width; i++)
		gj_buf_chr(out, ' ');
	gj_buf_add(out, event, cnt);
	gj_buf_chr(out, ':');
}

static void add_first_line(const struct gj_report *report, const struct gj_record *record,
			   struct gj_buf *out)
{
	const struct gj_sample *sample = record->sample;

	if (report->fields & GJ_FIELD_COMM)
		add_comm(report, sample, out);
	if (report->fields & (GJ_FIELD_PID | GJ_FIELD_TID))
		add_ids(report, sample, out);
	if ((report->fields & GJ_FIELD_CPU) && sample->cpu >= 0) {
		gj_buf_chr(out, '[');
		gj_buf_dec(out, (uint64_t)sample->cpu, 3, '0');
		gj_buf_str(out, "] ");
	}
	if ((report->fields & GJ_FIELD_TIME) && sample->has_time)
		add_time(report, sample->time_ns, out);
	if ((report->fields & GJ_FIELD_PERIOD) && sample->has_period) {
		gj_buf_dec(out, sample->period, 10, ' ');
		gj_buf_chr(out, ' ');
	}
	if (report->fields & GJ_FIELD_EVENT)
		add_event(report, record, out);
	if (report->fields & GJ_FIELD_GOID)
		gj_report_goid(&record->goid, out);
	if (report->fields & GJ_FIELD_EVENT)
		gj_buf_chr(out, ' ');
}

void gj_report_perf(const struct gj_report *report, const struct gj_record *record,
		    struct gj_buf *out)
{
	add_first_line(report, record, out);
	if (!(report->fields & GJ_FIELD_IP)) {
		gj_buf_chr(out, '\n');
		return;
	}
	if (!has_chain(report, record->sample)) {
		gj_buf_chr(out, ' ');
		add_frame(report, record->leaf, record->leaf->ip,
			  &record->leaf->frames[record->leaf->frame_cnt - 1], out);
		gj_buf_chr(out, '\n');
		return;
	}
	gj_buf_chr(out, '\n');
	for (size_t i = 0; i < record->location_cnt; i++)
		gj_buf_add(out, record->locations[i]->text, record->locations[i]->text_bytes);
	gj_buf_chr(out, '\n');
}
