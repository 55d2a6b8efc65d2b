/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Records whose first line only the host can write: tracepoints with their
 * values, fields of its own. The host prints the record; the goroutine goes
 * into its first line and our frames take the place of its own.
 */
#include <errno.h>

#include "session/session.h"

void gj_shared_deinit(struct gj_shared *shared)
{
	gj_buf_deinit(&shared->event);
	shared->is_pending = false;
}

int gj_shared_put(struct gj_shared *shared, const struct gj_record *record)
{
	shared->event.size_bytes = 0;
	gj_buf_str(&shared->event, record->sample->event ? record->sample->event : "");
	gj_buf_chr(&shared->event, ':');
	if (shared->event.failed) {
		gj_shared_deinit(shared);
		return -ENOMEM;
	}
	shared->goid = record->goid;
	shared->is_pending = true;
	return 0;
}

/* The first line of @text without its newline. */
static struct gj_window first_line(struct gj_window text)
{
	const uint8_t *end = text.size_bytes ? memchr(text.base, '\n', text.size_bytes) : NULL;

	return gj_window_slice(text, 0, end ? (uint64_t)(end - text.base) : UINT64_MAX);
}

static struct gj_window behind(struct gj_window text, struct gj_window line)
{
	return gj_window_slice(text, line.size_bytes + (line.size_bytes < text.size_bytes),
			       UINT64_MAX);
}

/* Where "event:" begins in @line, the line's end when it is not there. */
static size_t find_event(const struct gj_shared *shared, struct gj_window line)
{
	size_t cnt = shared->event.size_bytes;

	for (size_t i = 0; i + cnt <= line.size_bytes; i++)
		if (!memcmp(line.base + i, shared->event.data, cnt) &&
		    (!i || line.base[i - 1] == ' '))
			return i;
	return line.size_bytes;
}

/* The host pads the name on the left; one blank more ends the field before it. */
static unsigned int width_of(struct gj_window line, size_t event_off, size_t event_cnt)
{
	size_t start = event_off;

	while (start && line.base[start - 1] == ' ')
		start--;
	return (unsigned int)(event_off - start + event_cnt - (start > 0));
}

/* A frame's line begins with a tab, the source line behind it with two blanks. */
static bool is_frame(struct gj_window line, bool has_frames)
{
	return line.size_bytes && (line.base[0] == '\t' || (has_frames && line.size_bytes > 2 &&
							    !memcmp(line.base, "  ", 2)));
}

/*
 * Which fields the host shows of a frame, "\t<ip>[ name[+0xoff]][ (dso)]": it
 * may show others for another type of event. A frame without a name shows no
 * offset in any case; *no_offset_out is set when one with a name shows none.
 */
static unsigned int fields_of(struct gj_window line, bool *no_offset_out)
{
	static const char unknown[] = " [unknown]";
	const uint8_t *end = line.base + line.size_bytes;
	const uint8_t *ip = line.base + 1, *name;
	unsigned int fields = 0;
	size_t left;

	while (ip < end && *ip == ' ')
		ip++;
	name = memchr(ip, ' ', (size_t)(end - ip));
	if (!name)
		return 0;
	left = (size_t)(end - name);
	if (end[-1] == ')' && memmem(name, left, " (", 2))
		fields |= GJ_FIELD_DSO;
	if (left < 2 || name[1] == '(')
		return fields;
	if (memmem(name, left, "+0x", 3))
		fields |= GJ_FIELD_SYMOFF;
	else if (left < sizeof(unknown) - 1 || memcmp(name, unknown, sizeof(unknown) - 1))
		*no_offset_out = true;
	return fields | GJ_FIELD_SYM;
}

static void add_frames(const struct gj_report *report,
		       const struct gj_location *const *locations, size_t location_cnt,
		       unsigned int fields, struct gj_buf *out)
{
	struct gj_report like_host = *report;

	like_host.fields = fields;
	for (size_t i = 0; i < location_cnt; i++)
		gj_report_location(&like_host, locations[i], out);
}

/*
 * The host's frames at the head of @text: how many bytes they take, and the
 * fields they show in place of @fields' own.
 */
static size_t read_frames(struct gj_window text, unsigned int *fields)
{
	const unsigned int shown = GJ_FIELD_SYM | GJ_FIELD_SYMOFF | GJ_FIELD_DSO;
	struct gj_window rest = text, line;
	unsigned int seen = 0;
	bool no_offset = false;

	while (is_frame(line = first_line(rest), rest.base != text.base)) {
		if (line.base[0] == '\t')
			seen |= fields_of(line, &no_offset);
		rest = behind(rest, line);
	}
	if (!no_offset && (seen & GJ_FIELD_SYM))
		seen |= *fields & GJ_FIELD_SYMOFF;
	*fields = (*fields & ~shown) | seen;
	return (size_t)(rest.base - text.base);
}

void gj_shared_merge(struct gj_shared *shared, const struct gj_report *report,
		     const struct gj_location *const *locations, size_t location_cnt,
		     struct gj_window text, struct gj_buf *out, unsigned int *event_width_out)
{
	struct gj_window line = first_line(text), rest = behind(text, line);
	size_t event = find_event(shared, line), cnt = shared->event.size_bytes;
	size_t split = event < line.size_bytes ? event + cnt : event, frame_bytes;
	unsigned int fields = report->fields;

	*event_width_out = event < line.size_bytes ? width_of(line, event, cnt - 1) : 0;
	gj_buf_add(out, line.base, split);
	if (report->fields & GJ_FIELD_GOID)
		gj_report_goid(&shared->goid, out);
	gj_buf_add(out, line.base + split, line.size_bytes - split);
	gj_buf_chr(out, '\n');
	frame_bytes = read_frames(rest, &fields);
	if (frame_bytes)
		add_frames(report, locations, location_cnt, fields, out);
	gj_buf_add(out, rest.base + frame_bytes, rest.size_bytes - frame_bytes);
	shared->is_pending = false;
}
