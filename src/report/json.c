/* SPDX-License-Identifier: GPL-2.0 */
/* format=json: one object per sample and line (docs/perf-plugin.md, "JSON"). */
#include "report/report.h"

static void add_string(const char *key, const char *text, struct gj_buf *out)
{
	gj_buf_str(out, key);
	if (text)
		gj_buf_json(out, text);
	else
		gj_buf_str(out, "null");
}

static void add_number(const char *key, bool is_known, uint64_t value, struct gj_buf *out)
{
	gj_buf_str(out, key);
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
		      enum gj_how how, bool may_miss, struct gj_buf *out)
{
	static const char *const hows[] = {
		[GJ_HOW_IP] = "ip", [GJ_HOW_KERNEL] = "kernel", [GJ_HOW_FP] = "fp",
		[GJ_HOW_PCSP] = "pcsp", [GJ_HOW_CFI] = "cfi", [GJ_HOW_SEAM] = "seam",
		[GJ_HOW_CALL] = "call",
	};

	gj_buf_str(out, "{\"ip\":\"0x");
	gj_buf_hex(out, location->ip, 0);
	add_string("\",\"func\":", frame->name, out);
	add_string(",\"file\":", frame->file, out);
	add_number(",\"line\":", frame->file && frame->line > 0, (uint64_t)frame->line, out);
	add_string(",\"dso\":", location->dso, out);
	gj_buf_str(out, frame->inlined ? ",\"inlined\":true" : ",\"inlined\":false");
	gj_buf_str(out, location->is_kernel ? ",\"kernel\":true" : ",\"kernel\":false");
	gj_buf_str(out, ",\"how\":\"");
	gj_buf_str(out, hows[how]);
	gj_buf_str(out, may_miss ? "\",\"may_miss\":true}," : "\"},");
}

static void add_frames(const struct gj_report *report, const struct gj_location *location,
		       enum gj_how how, bool may_miss, struct gj_buf *out)
{
	for (uint32_t i = 0; i < location->frame_cnt; i++) {
		if (location->frames[i].inlined && !report->inlines)
			continue;
		add_frame(location, &location->frames[i], how, may_miss, out);
		may_miss = false;
	}
}

/* How most samples find a location: as a caller, or in the kernel. */
static enum gj_how usual_how(const struct gj_location *location)
{
	return location->is_kernel ? GJ_HOW_KERNEL : GJ_HOW_FP;
}

void gj_json_location(const struct gj_report *report, const struct gj_location *location,
		      struct gj_buf *out)
{
	add_frames(report, location, usual_how(location), false, out);
}

static void add_labels(const struct gj_record *record, struct gj_buf *out)
{
	for (size_t i = 0; i < record->label_cnt; i++) {
		gj_buf_str(out, i ? "," : ",\"labels\":{");
		gj_buf_json(out, record->labels[i].key);
		add_string(":", record->labels[i].value, out);
	}
	if (record->label_cnt)
		gj_buf_chr(out, '}');
}

void gj_report_json(const struct gj_report *report, const struct gj_record *record,
		    struct gj_buf *out)
{
	const struct gj_sample *sample = record->sample;

	add_string("{\"comm\":", sample->comm ? sample->comm : "", out);
	add_number(",\"pid\":", true, sample->pid, out);
	add_number(",\"tid\":", true, sample->tid, out);
	add_number(",\"cpu\":", sample->cpu >= 0, (uint64_t)sample->cpu, out);
	add_number(",\"time_ns\":", sample->has_time, sample->time_ns, out);
	add_string(",\"event\":", sample->event, out);
	add_number(",\"period\":", sample->has_period, sample->period, out);
	add_number(",\"goid\":", record->goid.state == GJ_GOID_KNOWN, record->goid.goid, out);
	add_string(",\"goid_source\":", goid_source(&record->goid), out);
	add_labels(record, out);
	gj_buf_str(out, ",\"frames\":[");
	for (size_t i = 0; i < record->location_cnt; i++) {
		const struct gj_location *location = record->locations[i];
		bool may_miss = record->gaps && record->gaps[i];

		if (record->hows[i] == usual_how(location) && !may_miss)
			gj_buf_add(out, location->text, location->text_bytes);
		else
			add_frames(report, location, record->hows[i], may_miss, out);
	}
	/* The comma behind the last frame. */
	if (record->location_cnt && !out->failed)
		out->size_bytes--;
	gj_buf_str(out, record->complete ? "],\"complete\":true}\n" : "],\"complete\":false}\n");
}
