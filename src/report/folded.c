/* SPDX-License-Identifier: GPL-2.0 */
/*
 * format=folded: "comm;root;...;leaf count", the form of FlameGraph's
 * stackcollapse-perf.pl: no blanks in the command's name, a function without a
 * name is its file's in brackets, and with annotate=on _[k] marks the kernel's
 * functions and _[i] inlined ones. Equal stacks are counted in a hash table and
 * written in order of their text.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "report/report.h"

#define MIN_SLOTS 4096 /* power of two */

struct stack {
	uint64_t hash;
	uint64_t sample_cnt;
	size_t size_bytes;
	char text[];
};

struct gj_folded {
	struct stack **slots; /* open addressing, at most half full */
	size_t slot_cnt, stack_cnt, used_bytes;
	struct gj_buf line; /* the stack being looked up, reused */
};

struct gj_folded *gj_folded_new(void)
{
	struct gj_folded *folded = calloc(1, sizeof(*folded));

	if (!folded)
		return NULL;
	folded->slot_cnt = MIN_SLOTS;
	folded->slots = calloc(MIN_SLOTS, sizeof(*folded->slots));
	if (!folded->slots) {
		free(folded);
		return NULL;
	}
	return folded;
}

static void clear(struct gj_folded *folded)
{
	for (size_t i = 0; i < folded->slot_cnt; i++) {
		free(folded->slots[i]);
		folded->slots[i] = NULL;
	}
	folded->stack_cnt = folded->used_bytes = 0;
}

void gj_folded_free(struct gj_folded *folded)
{
	if (!folded)
		return;
	clear(folded);
	free(folded->slots);
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

void gj_folded_location(const struct gj_report *report, const struct gj_location *location,
			struct gj_buf *out)
{
	for (uint32_t i = location->frame_cnt; i-- > 0;) {
		const struct gj_frame *frame = &location->frames[i];

		if (frame->inlined && !report->inlines)
			continue;
		gj_buf_chr(out, ';');
		if (frame->name)
			add_name(out, frame->name, ' ');
		else
			add_unknown(out, location->dso);
		if (report->annotate && (location->is_kernel || frame->inlined))
			gj_buf_str(out, location->is_kernel ? "_[k]" : "_[i]");
	}
}

static uint64_t hash(const char *text, size_t size_bytes)
{
	uint64_t mixed = size_bytes, word;

	for (; size_bytes >= sizeof(word); size_bytes -= sizeof(word), text += sizeof(word)) {
		memcpy(&word, text, sizeof(word));
		mixed = (mixed ^ word) * 0x9e3779b97f4a7c15ULL;
		mixed ^= mixed >> 29;
	}
	word = 0;
	memcpy(&word, text, size_bytes);
	mixed = (mixed ^ word) * 0x9e3779b97f4a7c15ULL;
	return mixed ^ mixed >> 32;
}

/* The slot of the stack with this text, or the free one where it belongs. */
static struct stack **find_slot(const struct gj_folded *folded, uint64_t wanted,
				const char *text, size_t size_bytes)
{
	size_t index = wanted & (folded->slot_cnt - 1);
	struct stack *stack;

	while ((stack = folded->slots[index])) {
		if (stack->hash == wanted && stack->size_bytes == size_bytes &&
		    !memcmp(stack->text, text, size_bytes))
			break;
		index = (index + 1) & (folded->slot_cnt - 1);
	}
	return &folded->slots[index];
}

static int grow(struct gj_folded *folded)
{
	struct gj_folded bigger = *folded;

	bigger.slot_cnt *= 2;
	bigger.slots = calloc(bigger.slot_cnt, sizeof(*bigger.slots));
	if (!bigger.slots)
		return -ENOMEM;
	for (size_t i = 0; i < folded->slot_cnt; i++) {
		struct stack *stack = folded->slots[i];

		if (stack)
			*find_slot(&bigger, stack->hash, stack->text, stack->size_bytes) = stack;
	}
	free(folded->slots);
	*folded = bigger;
	return 0;
}

static int count(struct gj_folded *folded, const char *text, size_t size_bytes)
{
	uint64_t wanted = hash(text, size_bytes);
	struct stack **slot = find_slot(folded, wanted, text, size_bytes);

	if (*slot) {
		(*slot)->sample_cnt++;
		return 0;
	}
	if (folded->stack_cnt * 2 >= folded->slot_cnt) {
		if (grow(folded))
			return -ENOMEM;
		slot = find_slot(folded, wanted, text, size_bytes);
	}
	*slot = malloc(sizeof(**slot) + size_bytes + 1);
	if (!*slot)
		return -ENOMEM;
	**slot = (struct stack){ wanted, 1, size_bytes };
	memcpy((*slot)->text, text, size_bytes);
	(*slot)->text[size_bytes] = '\0';
	folded->stack_cnt++;
	folded->used_bytes += sizeof(**slot) + size_bytes;
	return 0;
}

int gj_folded_add(struct gj_folded *folded, const struct gj_report *report,
		  const struct gj_record *record)
{
	struct gj_buf *line = &folded->line;

	line->size_bytes = 0;
	add_name(line, record->sample->comm ? record->sample->comm : "[unknown]", '_');
	if (report->fields & GJ_FIELD_GOID && record->goid.state == GJ_GOID_KNOWN) {
		gj_buf_str(line, ";goroutine ");
		gj_buf_dec(line, record->goid.goid, 0, ' ');
	}
	for (size_t i = record->location_cnt; i-- > 0;)
		gj_buf_add(line, record->locations[i]->text, record->locations[i]->text_bytes);
	if (line->failed) {
		gj_buf_deinit(line);
		return -ENOMEM;
	}
	return count(folded, line->data, line->size_bytes);
}

size_t gj_folded_bytes(const struct gj_folded *folded)
{
	return folded->used_bytes;
}

static int compare(const void *a, const void *b)
{
	return strcmp((*(struct stack *const *)a)->text, (*(struct stack *const *)b)->text);
}

void gj_folded_write(struct gj_folded *folded, struct gj_buf *out)
{
	size_t cnt = 0;

	/* The table is emptied below: its slots serve as the list to be sorted. */
	for (size_t i = 0; i < folded->slot_cnt; i++) {
		struct stack *stack = folded->slots[i];

		folded->slots[i] = NULL;
		if (stack)
			folded->slots[cnt++] = stack;
	}
	qsort(folded->slots, cnt, sizeof(*folded->slots), compare);
	for (size_t i = 0; i < cnt; i++) {
		gj_buf_add(out, folded->slots[i]->text, folded->slots[i]->size_bytes);
		gj_buf_chr(out, ' ');
		gj_buf_dec(out, folded->slots[i]->sample_cnt, 0, ' ');
		gj_buf_chr(out, '\n');
	}
	clear(folded);
}
