/* SPDX-License-Identifier: GPL-2.0 */
/* format=json: one object per sample and line. */
#include "report/report.h"

static void add_string(const char *key, const char *text, struct gj_buf *out)
{
	gj_buf_fmt(out, ",\"%s\":", key);
	if (text)
		gj_buf_json(out, text);
	else
		gj_buf_str(out, "null");
}

static void add_number(const char *key, bool is_known, uint64_t value, struct gj_buf *out)
{
	gj_buf_fmt(out, ",\"%s\":", key);
	if (is_known)
		gj_buf_dec(out, value, 0, ' ');
	else
		gj_buf_str(out, "null");
}

static const char *goid_source(const struct gj_goid *goid)
{
	switch (goid->state) {
	case GJ_GOID_KNOWN:
		return goid->source;
	case GJ_GOID_SCHED:
		return "sched";
	case GJ_GOID_G0:
		return "g0";
	case GJ_GOID_UNKNOWN:
		break;
	}
	return goid->reason;
}

static void add_frame(const struct gj_location *location, const struct gj_frame *frame,
		      enum gj_how how, struct gj_buf *out)
{
	static const char *const hows[] = {
		[GJ_HOW_IP] = "ip", [GJ_HOW_KERNEL] = "kernel", [GJ_HOW_FP] = "fp",
	};

	gj_buf_fmt(out, "{\"ip\":\"0x%llx\"", (unsigned long long)location->ip);
	add_string("func", frame->name, out);
	add_string("file", frame->file, out);
	add_number("line", frame->file && frame->line > 0, (uint64_t)frame->line, out);
	add_string("dso", location->dso, out);
	gj_buf_fmt(out, ",\"inlined\":%s,\"kernel\":%s,\"how\":\"%s\"}",
		   frame->inlined ? "true" : "false", location->is_kernel ? "true" : "false",
		   hows[how]);
}

void gj_report_json(const struct gj_report *report, const struct gj_record *record,
		    struct gj_buf *out)
{
	const struct gj_sample *sample = record->sample;
	bool is_first = true;

	gj_buf_str(out, "{\"comm\":");
	gj_buf_json(out, sample->comm ? sample->comm : "");
	add_number("pid", true, sample->pid, out);
	add_number("tid", true, sample->tid, out);
	add_number("cpu", sample->cpu >= 0, (uint64_t)sample->cpu, out);
	add_number("time_ns", sample->has_time, sample->time_ns, out);
	add_string("event", sample->event, out);
	add_number("period", sample->has_period, sample->period, out);
	add_number("goid", record->goid.state == GJ_GOID_KNOWN, record->goid.goid, out);
	add_string("goid_source", goid_source(&record->goid), out);
	gj_buf_str(out, ",\"frames\":[");
	for (size_t i = 0; i < record->location_cnt; i++) {
		const struct gj_location *location = record->locations[i];

		for (uint32_t k = 0; k < location->frame_cnt; k++) {
			if (location->frames[k].inlined && !report->inlines)
				continue;
			if (!is_first)
				gj_buf_chr(out, ',');
			is_first = false;
			add_frame(location, &location->frames[k], record->hows[i], out);
		}
	}
	gj_buf_fmt(out, "],\"complete\":%s}\n", record->complete ? "true" : "false");
}
