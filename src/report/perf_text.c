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

/*
 * The first line is written once per sample: straight into room made for all
 * of it. FIELDS_BYTES holds every field but the names, at most five numbers of
 * 20 digits and what stands around them.
 */
#define FIELDS_BYTES 256

static char *put(char *to, const char *text, size_t cnt)
{
	memcpy(to, text, cnt);
	return to + cnt;
}

static char *put_pad(char *to, char pad, size_t cnt, unsigned int width)
{
	if (cnt >= width)
		return to;
	memset(to, pad, width - cnt);
	return to + (width - cnt);
}

/* Decimal, filled on the left to @width, itself at most FIELDS_BYTES / 8. */
static char *put_dec(char *to, uint64_t value, unsigned int width, char pad)
{
	static const char pairs[] = "00010203040506070809101112131415161718192021222324"
				    "25262728293031323334353637383940414243444546474849"
				    "50515253545556575859606162636465666768697071727374"
				    "75767778798081828384858687888990919293949596979899";
	char digits[20];
	size_t first = sizeof(digits);

	for (; value >= 100; value /= 100)
		memcpy(digits + (first -= 2), pairs + value % 100 * 2, 2);
	if (value >= 10)
		memcpy(digits + (first -= 2), pairs + value * 2, 2);
	else
		digits[--first] = (char)('0' + value);
	to = put_pad(to, pad, sizeof(digits) - first, width);
	return put(to, digits + first, sizeof(digits) - first);
}

static bool has_chain(const struct gj_report *report, const struct gj_sample *sample)
{
	return report->chains && sample->chain && (report->fields & GJ_FIELD_IP);
}

/* perf pads the name when no call chain follows. */
static char *put_comm(char *to, const struct gj_report *report, const struct gj_sample *sample,
		      const char *comm)
{
	size_t cnt = strlen(comm);

	to = put_pad(to, ' ', cnt, has_chain(report, sample) ? 0 : 16);
	to = put(to, comm, cnt);
	return put(to, " ", 1);
}

/* perf's numbers have a sign: a task that has ended is -1. */
static char *put_id(char *to, uint32_t id, unsigned int width)
{
	if (id != UINT32_MAX)
		return put_dec(to, id, width, ' ');
	to = put_pad(to, ' ', 2, width);
	return put(to, "-1", 2);
}

static char *put_ids(char *to, const struct gj_report *report, const struct gj_sample *sample)
{
	char *tid;

	if (report->fields & GJ_FIELD_PID)
		to = put_id(to, sample->pid, report->id_width);
	if ((report->fields & GJ_FIELD_PID) && (report->fields & GJ_FIELD_TID)) {
		tid = put(to, "/", 1);
		to = put_id(tid, sample->tid, 0);
		to = put_pad(to, ' ', (size_t)(to - tid), report->id_width);
	} else if (report->fields & GJ_FIELD_TID) {
		to = put_id(to, sample->tid, report->id_width);
	}
	return put(to, " ", 1);
}

static char *put_time(char *to, const struct gj_report *report, uint64_t time_ns)
{
	uint64_t seconds = time_ns / 1000000000, rest_ns = time_ns % 1000000000;

	/* "%5lu.%09llu: " with --ns, else "%12s: " of seconds and six digits. */
	to = put_dec(to, seconds, 5, ' ');
	to = put(to, ".", 1);
	if (report->nanoseconds)
		to = put_dec(to, rest_ns, 9, '0');
	else
		to = put_dec(to, rest_ns / 1000, 6, '0');
	return put(to, ": ", 2);
}

static char *put_numbers(char *to, const struct gj_report *report,
			 const struct gj_sample *sample)
{
	if (report->fields & (GJ_FIELD_PID | GJ_FIELD_TID))
		to = put_ids(to, report, sample);
	if ((report->fields & GJ_FIELD_CPU) && sample->cpu >= 0) {
		to = put(to, "[", 1);
		to = put_dec(to, (uint64_t)sample->cpu, 3, '0');
		to = put(to, "] ", 2);
	}
	if ((report->fields & GJ_FIELD_TIME) && sample->has_time)
		to = put_time(to, report, sample->time_ns);
	if ((report->fields & GJ_FIELD_PERIOD) && sample->has_period) {
		to = put_dec(to, sample->period, 10, ' ');
		to = put(to, " ", 1);
	}
	return to;
}

static char *put_event(char *to, const struct gj_report *report, const char *event)
{
	size_t cnt = strlen(event);

	to = put_pad(to, ' ', cnt, report->event_width);
	to = put(to, event, cnt);
	return put(to, ":", 1);
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

static void add_first_line(const struct gj_report *report, const struct gj_record *record,
			   struct gj_buf *out)
{
	const struct gj_sample *sample = record->sample;
	const char *event = sample->event ? sample->event : "[unknown]";
	const char *comm = sample->comm ? sample->comm : ":-1";
	char *start = gj_buf_reserve(out, FIELDS_BYTES + strlen(comm) + strlen(event) +
						  report->event_width);
	char *to = start;

	if (!start)
		return;
	if (report->fields & GJ_FIELD_COMM)
		to = put_comm(to, report, sample, comm);
	to = put_numbers(to, report, sample);
	if (report->fields & GJ_FIELD_EVENT)
		to = put_event(to, report, event);
	out->size_bytes += (size_t)(to - start);
	if (report->fields & GJ_FIELD_GOID)
		gj_report_goid(&record->goid, out);
	if (report->fields & GJ_FIELD_EVENT)
		gj_buf_chr(out, ' ');
}

/* The bulk of all text: room is made once, and nothing but copying is left. */
static void add_texts(const struct gj_record *record, struct gj_buf *out)
{
	size_t size_bytes = 0;
	char *to;

	for (size_t i = 0; i < record->location_cnt; i++)
		size_bytes += record->locations[i]->text_bytes;
	to = gj_buf_reserve(out, size_bytes);
	if (!to)
		return;
	for (size_t i = 0; i < record->location_cnt; i++) {
		memcpy(to, record->locations[i]->text, record->locations[i]->text_bytes);
		to += record->locations[i]->text_bytes;
	}
	out->size_bytes += size_bytes;
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
	add_texts(record, out);
	gj_buf_chr(out, '\n');
}
