/* SPDX-License-Identifier: GPL-2.0 */
/*
 * format=folded: "comm;root;...;leaf count", the form of FlameGraph's
 * stackcollapse-perf.pl: no blanks in the command's name, a function without a
 * name is its file's in brackets, and with annotate=on _[k] marks the kernel's
 * functions and _[i] inlined ones. Equal stacks are counted in a balanced tree
 * of the C library's and written in order when the run ends.
 */
#include <errno.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>

#include "report/report.h"

struct stack {
	uint64_t sample_cnt;
	char text[];
};

struct gj_folded {
	void *root;
	struct gj_buf line; /* the stack being looked up, reused */
};

static int compare(const void *a, const void *b)
{
	return strcmp(((const struct stack *)a)->text, ((const struct stack *)b)->text);
}

struct gj_folded *gj_folded_new(void)
{
	return calloc(1, sizeof(struct gj_folded));
}

void gj_folded_free(struct gj_folded *folded)
{
	if (!folded)
		return;
	tdestroy(folded->root, free);
	gj_buf_deinit(&folded->line);
	free(folded);
}

/* ';' parts frames and a newline parts stacks: neither may stand in a name. */
static void add_name(struct gj_buf *line, const char *name, char blank)
{
	for (; *name; name++)
		gj_buf_chr(line, *name == ';' ? ':' : *name == '\n' ? ' ' :
						      *name == ' '  ? blank : *name);
}

static void add_unknown(struct gj_buf *line, const char *dso)
{
	const char *slash = dso ? strrchr(dso, '/') : NULL;

	if (!dso) {
		gj_buf_str(line, "[unknown]");
		return;
	}
	gj_buf_str(line, dso[0] == '[' ? "" : "[");
	add_name(line, slash ? slash + 1 : dso, ' ');
	gj_buf_str(line, dso[0] == '[' ? "" : "]");
}

static void add_location(const struct gj_report *report, const struct gj_location *location,
			 struct gj_buf *line)
{
	for (uint32_t i = location->frame_cnt; i-- > 0;) {
		const struct gj_frame *frame = &location->frames[i];

		if (frame->inlined && !report->inlines)
			continue;
		gj_buf_chr(line, ';');
		if (frame->name)
			add_name(line, frame->name, ' ');
		else
			add_unknown(line, location->dso);
		if (report->annotate && (location->is_kernel || frame->inlined))
			gj_buf_str(line, location->is_kernel ? "_[k]" : "_[i]");
	}
}

int gj_folded_add(struct gj_folded *folded, const struct gj_report *report,
		  const struct gj_record *record)
{
	struct gj_buf *line = &folded->line;
	struct stack *stack, **found;

	/* The counter's place comes first, so that the buffer is a struct stack to compare. */
	line->size_bytes = 0;
	gj_buf_add(line, &(uint64_t){ 0 }, sizeof(uint64_t));
	add_name(line, record->sample->comm ? record->sample->comm : "[unknown]", '_');
	if (report->fields & GJ_FIELD_GOID && record->goid.state == GJ_GOID_KNOWN)
		gj_buf_fmt(line, ";goroutine %llu", (unsigned long long)record->goid.goid);
	for (size_t i = record->location_cnt; i-- > 0;)
		add_location(report, record->locations[i], line);
	gj_buf_chr(line, '\0');
	if (line->failed)
		return -ENOMEM;
	found = tfind(line->data, &folded->root, compare);
	if (!found) {
		stack = malloc(line->size_bytes);
		if (!stack)
			return -ENOMEM;
		memcpy(stack, line->data, line->size_bytes);
		found = tsearch(stack, &folded->root, compare);
		if (!found) {
			free(stack);
			return -ENOMEM;
		}
	}
	(*found)->sample_cnt++;
	return 0;
}

static void write_stack(const void *node, VISIT which, void *out)
{
	const struct stack *stack = *(struct stack *const *)node;

	if (which != postorder && which != leaf)
		return;
	gj_buf_str(out, stack->text);
	gj_buf_chr(out, ' ');
	gj_buf_dec(out, stack->sample_cnt, 0, ' ');
	gj_buf_chr(out, '\n');
}

void gj_folded_write(struct gj_folded *folded, struct gj_buf *out)
{
	twalk_r(folded->root, write_stack, out);
}
