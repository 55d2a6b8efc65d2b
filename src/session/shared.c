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
	gj_buf_deinit(&shared->goid);
	gj_buf_deinit(&shared->frames);
}

static void clear(struct gj_shared *shared)
{
	shared->event.size_bytes = shared->goid.size_bytes = shared->frames.size_bytes = 0;
	shared->is_pending = false;
}

int gj_shared_put(struct gj_shared *shared, const struct gj_report *report,
		  const struct gj_record *record)
{
	clear(shared);
	gj_buf_str(&shared->event, record->sample->event ? record->sample->event : "");
	gj_buf_chr(&shared->event, ':');
	if (report->fields & GJ_FIELD_GOID)
		gj_report_goid(&record->goid, &shared->goid);
	for (size_t i = 0; i < record->location_cnt; i++)
		gj_buf_add(&shared->frames, record->locations[i]->text,
			   record->locations[i]->text_bytes);
	if (shared->event.failed || shared->goid.failed || shared->frames.failed) {
		gj_shared_deinit(shared);
		return -ENOMEM;
	}
	shared->has_srclines = report->fields & GJ_FIELD_SRCLINE;
	shared->is_pending = true;
	return 0;
}

/* Bytes of the first line of @text, its newline included. */
static size_t line_bytes(struct gj_window text)
{
	const uint8_t *end = text.size_bytes ? memchr(text.base, '\n', text.size_bytes) : NULL;

	return end ? (size_t)(end - text.base) + 1 : text.size_bytes;
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

void gj_shared_merge(struct gj_shared *shared, struct gj_window text, struct gj_buf *out,
		     unsigned int *event_width_out)
{
	struct gj_window line = { text.base, line_bytes(text) };
	size_t end = line.size_bytes - (line.size_bytes && line.base[line.size_bytes - 1] == '\n');
	size_t event = find_event(shared, (struct gj_window){ line.base, end });
	size_t split = event < end ? event + shared->event.size_bytes : end;
	bool has_frames = false;

	*event_width_out = event < end ? width_of(line, event, shared->event.size_bytes - 1) : 0;
	gj_buf_add(out, text.base, split);
	gj_buf_add(out, shared->goid.data, shared->goid.size_bytes);
	gj_buf_add(out, text.base + split, line.size_bytes - split);
	text = gj_window_slice(text, line.size_bytes, UINT64_MAX);
	/* A frame's line begins with a tab, the source line behind it with two blanks. */
	while (text.size_bytes && (text.base[0] == '\t' || (has_frames && shared->has_srclines &&
							    text.base[0] == ' '))) {
		has_frames = true;
		text = gj_window_slice(text, line_bytes(text), UINT64_MAX);
	}
	if (has_frames)
		gj_buf_add(out, shared->frames.data, shared->frames.size_bytes);
	gj_buf_add(out, text.base, text.size_bytes);
	clear(shared);
}
