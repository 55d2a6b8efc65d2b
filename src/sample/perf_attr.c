/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The events of a perf.data file and where the parts of their samples lie.
 *
 * The section of attrs (tools/perf/util/header.c, read_attr) has one entry per
 * event: struct perf_event_attr, whose own size field says how much of it there
 * is, then {u64 offset, u64 size} of its list of u64 ids. A sample tells its event
 * by the id it carries (include/uapi/linux/perf_event.h, PERF_RECORD_SAMPLE):
 *
 *   IDENTIFIER IP TID TIME ADDR ID STREAM_ID CPU PERIOD   one u64 each
 *   READ CALLCHAIN RAW BRANCH_STACK REGS_USER STACK_USER  length varies
 *   what follows is not looked at
 */
#include <errno.h>
#include <stdlib.h>

#include "sample/sample.h"

/* Later than the headers that this may be built with. */
#define FORMAT_LOST (1U << 4)             /* Linux 6.0 */
#define BRANCH_COUNTERS (1ULL << 19)      /* Linux 6.8: PERF_SAMPLE_BRANCH_COUNTERS */
#define ENTRY_SECTION_BYTES 16

struct gj_perf_ids {
	struct gj_window list; /* of u64 */
	size_t event;
};

struct gj_perf_attrs {
	struct gj_perf_attr *list; /* owned */
	struct gj_perf_ids *ids;   /* owned; of each event */
	size_t cnt;
	size_t last; /* event of the sample before */
};

static void take_attr(struct gj_cursor *cur, struct gj_window file, struct gj_perf_attr *attr_out)
{
	struct perf_event_attr attr = { 0 };
	const uint8_t *start = cur->pos;
	size_t size_bytes;

	gj_cursor_read(cur, &attr, PERF_ATTR_SIZE_VER0);
	size_bytes = attr.size ? attr.size : PERF_ATTR_SIZE_VER0;
	if (size_bytes < PERF_ATTR_SIZE_VER0)
		cur->failed = true;
	gj_cursor_take(cur, size_bytes - PERF_ATTR_SIZE_VER0);
	if (gj_cursor_failed(cur))
		return;
	memcpy(&attr, start, size_bytes < sizeof(attr) ? size_bytes : sizeof(attr));
	*attr_out = (struct gj_perf_attr){ attr, (size_t)(start - file.base), size_bytes };
}

static int take_attrs(struct gj_perf_attrs *attrs, struct gj_window file, struct gj_window section)
{
	struct gj_cursor cur = gj_cursor_init(section);
	size_t cap = section.size_bytes / (PERF_ATTR_SIZE_VER0 + ENTRY_SECTION_BYTES);

	attrs->list = calloc(cap + 1, sizeof(*attrs->list));
	attrs->ids = calloc(cap + 1, sizeof(*attrs->ids));
	if (!attrs->list || !attrs->ids)
		return -ENOMEM;
	while (gj_cursor_left(&cur)) {
		uint64_t off, size_bytes;

		take_attr(&cur, file, &attrs->list[attrs->cnt]);
		off = gj_cursor_u64(&cur);
		size_bytes = gj_cursor_u64(&cur);
		if (gj_cursor_failed(&cur) || !gj_window_holds(file, off, size_bytes))
			return -EBADMSG;
		attrs->ids[attrs->cnt].list = gj_window_slice(file, off, size_bytes);
		attrs->list[attrs->cnt++].entry_ids_off = (size_t)(cur.pos - file.base) -
							  ENTRY_SECTION_BYTES;
	}
	return attrs->cnt ? 0 : -EBADMSG;
}

int gj_perf_attrs_new(struct gj_window file, struct gj_perf_attrs **attrs_out,
		      struct gj_diag *diag)
{
	struct gj_perf_attrs *attrs = calloc(1, sizeof(*attrs));
	uint64_t off, size_bytes;
	int err = attrs ? 0 : -ENOMEM;

	if (!err && (!gj_perf_file_data(file).base || !gj_window_u64(file, 24, &off) ||
		     !gj_window_u64(file, 32, &size_bytes) || !gj_window_holds(file, off, size_bytes)))
		err = -EBADMSG;
	if (!err)
		err = take_attrs(attrs, file, gj_window_slice(file, off, size_bytes));
	if (err) {
		gj_perf_attrs_free(attrs);
		return gj_diag_set(diag, err, err == -ENOMEM ? "out of memory" :
							       "the list of its events is damaged");
	}
	*attrs_out = attrs;
	return 0;
}

void gj_perf_attrs_free(struct gj_perf_attrs *attrs)
{
	if (!attrs)
		return;
	free(attrs->list);
	free(attrs->ids);
	free(attrs);
}

const struct gj_perf_attr *gj_perf_attr_at(const struct gj_perf_attrs *attrs, size_t index)
{
	return index < attrs->cnt ? &attrs->list[index] : NULL;
}

static bool has_id(const struct gj_perf_ids *ids, uint64_t id)
{
	uint64_t known;

	for (uint64_t off = 0; gj_window_u64(ids->list, off, &known); off += sizeof(known))
		if (known == id)
			return true;
	return false;
}

/* Where the id lies that all samples of a file have in one place; false when there is none. */
static bool find_id(const struct gj_perf_attr *attr, struct gj_window body, uint64_t *id_out)
{
	const uint64_t before = PERF_SAMPLE_IP | PERF_SAMPLE_TID | PERF_SAMPLE_TIME | PERF_SAMPLE_ADDR;
	uint64_t type = attr->attr.sample_type;

	if (type & PERF_SAMPLE_IDENTIFIER)
		return gj_window_u64(body, 0, id_out);
	return type & PERF_SAMPLE_ID &&
	       gj_window_u64(body, 8 * (uint64_t)__builtin_popcountll(type & before), id_out);
}

const struct gj_perf_attr *gj_perf_attr_of(struct gj_perf_attrs *attrs, struct gj_window body)
{
	uint64_t id;

	if (attrs->cnt == 1)
		return attrs->list;
	if (!find_id(attrs->list, body, &id))
		return NULL;
	/* What perf makes up itself has no id and is of the first event. */
	if (!id)
		return attrs->list;
	/* Most samples are of the event of the one before. */
	for (size_t i = 0; i < attrs->cnt; i++) {
		size_t at = (attrs->last + i) % attrs->cnt;

		if (has_id(&attrs->ids[at], id)) {
			attrs->last = at;
			return &attrs->list[at];
		}
	}
	return NULL;
}

static void skip_read(struct gj_cursor *cur, uint64_t format)
{
	uint64_t times = !!(format & PERF_FORMAT_TOTAL_TIME_ENABLED) +
			 !!(format & PERF_FORMAT_TOTAL_TIME_RUNNING);
	uint64_t value = 1 + !!(format & PERF_FORMAT_ID) + !!(format & FORMAT_LOST);
	uint64_t cnt = format & PERF_FORMAT_GROUP ? gj_cursor_u64(cur) : 1;

	if (cnt > gj_cursor_left(cur) / 8)
		cur->failed = true;
	gj_cursor_take(cur, 8 * (times + cnt * value));
}

static void skip_branches(struct gj_cursor *cur, uint64_t branch_type)
{
	uint64_t cnt = gj_cursor_u64(cur);

	if (branch_type & PERF_SAMPLE_BRANCH_HW_INDEX)
		gj_cursor_u64(cur);
	if (cnt > gj_cursor_left(cur) / 24)
		cur->failed = true;
	gj_cursor_take(cur, cnt * (branch_type & BRANCH_COUNTERS ? 32 : 24));
}

static void skip_regs(struct gj_cursor *cur, uint64_t mask)
{
	if (gj_cursor_u64(cur))
		gj_cursor_take(cur, 8 * (uint64_t)__builtin_popcountll(mask));
}

/* @off_out: where it begins; moves past it. */
static void take_chain(struct gj_cursor *cur, struct gj_perf_layout *layout_out)
{
	uint64_t cnt = gj_cursor_u64(cur);

	if (cnt > gj_cursor_left(cur) / 8)
		cur->failed = true;
	layout_out->chain = gj_cursor_take(cur, 8 * cnt);
	layout_out->chain_cnt = gj_cursor_failed(cur) ? 0 : cnt;
}

static void skip_stack(struct gj_cursor *cur)
{
	uint64_t size_bytes = gj_cursor_u64(cur);

	gj_cursor_take(cur, size_bytes);
	if (size_bytes)
		gj_cursor_u64(cur); /* how much of it is filled */
}

/* The parts of one u64 each; what is not recorded is as perf has it then. */
static void take_fixed(struct gj_cursor *cur, uint64_t type, struct gj_perf_layout *layout_out)
{
	layout_out->time_ns = UINT64_MAX;
	layout_out->tid = UINT32_MAX;
	layout_out->cpu = -1;
	if (type & PERF_SAMPLE_IDENTIFIER)
		gj_cursor_u64(cur);
	if (type & PERF_SAMPLE_IP)
		layout_out->ip = gj_cursor_u64(cur);
	if (type & PERF_SAMPLE_TID)
		layout_out->tid = (uint32_t)(gj_cursor_u64(cur) >> 32);
	if (type & PERF_SAMPLE_TIME)
		layout_out->time_ns = gj_cursor_u64(cur);
	gj_cursor_take(cur, 8 * (uint64_t)__builtin_popcountll(
					type & (PERF_SAMPLE_ADDR | PERF_SAMPLE_ID |
						PERF_SAMPLE_STREAM_ID)));
	if (type & PERF_SAMPLE_CPU)
		layout_out->cpu = (int32_t)gj_cursor_u64(cur);
	if (type & PERF_SAMPLE_PERIOD)
		gj_cursor_u64(cur);
}

int gj_perf_sample_layout(const struct gj_perf_attr *attr, struct gj_window body,
			  struct gj_perf_layout *layout_out)
{
	const struct perf_event_attr *event = &attr->attr;
	struct gj_cursor cur = gj_cursor_init(body);
	uint64_t type = event->sample_type;
	const uint8_t *begin = cur.pos;

	*layout_out = (struct gj_perf_layout){ 0 };
	take_fixed(&cur, type, layout_out);
	if (type & PERF_SAMPLE_READ)
		skip_read(&cur, event->read_format);
	layout_out->chain_off = (size_t)(cur.pos - begin);
	if (type & PERF_SAMPLE_CALLCHAIN)
		take_chain(&cur, layout_out);
	layout_out->chain_end_off = (size_t)(cur.pos - begin);
	if (type & PERF_SAMPLE_RAW)
		gj_cursor_take(&cur, gj_cursor_u32(&cur));
	if (type & PERF_SAMPLE_BRANCH_STACK)
		skip_branches(&cur, event->branch_sample_type);
	if (type & PERF_SAMPLE_REGS_USER)
		skip_regs(&cur, event->sample_regs_user);
	layout_out->stack_off = (size_t)(cur.pos - begin);
	if (type & PERF_SAMPLE_STACK_USER)
		skip_stack(&cur);
	layout_out->stack_end_off = (size_t)(cur.pos - begin);
	return gj_cursor_failed(&cur) ? -EBADMSG : 0;
}
