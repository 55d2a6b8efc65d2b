/* SPDX-License-Identifier: GPL-2.0 */
/*
 * One PERF_RECORD_SAMPLE with another call chain: the kernel's part as it was,
 * PERF_CONTEXT_USER, the user part; and without its stack dump. Registers stay,
 * they belong to no unwinding without a stack.
 */
#include <errno.h>

#include "inject/copy.h"

/* The size of a record is a u16. */
#define MAX_RECORD_BYTES 65535
/* Since Linux 6.19: the user part comes in a record of its own. */
#define CONTEXT_USER_DEFERRED ((uint64_t)-640)

/* The new chain of a sample: parts of the old one and what a session found. */
struct chain {
	size_t kept_cnt;     /* so many of the old entries, from the first on */
	bool has_user;       /* PERF_CONTEXT_USER follows */
	struct gj_window vas; /* then these */
};

static uint64_t entry_at(const struct gj_perf_layout *layout, size_t index)
{
	uint64_t value = 0;

	memcpy(&value, layout->chain + 8 * index, sizeof(value));
	return value;
}

/* How many entries of the old chain stand before the user part. */
static size_t count_kernel(const struct gj_perf_layout *layout)
{
	size_t cnt = 0;

	while (cnt < layout->chain_cnt && entry_at(layout, cnt) != (uint64_t)PERF_CONTEXT_USER &&
	       entry_at(layout, cnt) != CONTEXT_USER_DEFERRED)
		cnt++;
	return cnt;
}

/* @room_bytes: what the record may have for its chain, but for the count */
static struct chain choose_chain(struct gj_inject_copier *copier, const struct gj_perf_record *record,
				 const struct gj_perf_layout *layout, size_t room_bytes)
{
	struct chain chain = { .kept_cnt = layout->chain_cnt };
	struct gj_chain_found found;
	size_t cnt, room_cnt;

	if (gj_chains_find(copier->chains, layout, &found)) {
		chain.kept_cnt = count_kernel(layout);
		room_cnt = room_bytes / 8 - chain.kept_cnt;
		/* One entry is the marker. */
		cnt = room_cnt ? room_cnt - 1 : 0;
		copier->stats->capped_cnt += found.cnt > cnt;
		copier->stats->complete_cnt += found.is_complete;
		copier->stats->chain_cnt++;
		cnt = found.cnt < cnt ? found.cnt : cnt;
		chain.has_user = cnt > 0;
		chain.vas = (struct gj_window){ found.vas, 8 * cnt };
	} else if ((record->misc & PERF_RECORD_MISC_CPUMODE_MASK) == PERF_RECORD_MISC_USER &&
		   !layout->chain_cnt && room_bytes >= 16) {
		/* The stack is gone; where the program was is not. */
		chain.has_user = true;
		chain.vas = (struct gj_window){ (const uint8_t *)&layout->ip, sizeof(layout->ip) };
	}
	return chain;
}

static int put_chain(struct gj_inject_copier *copier, const struct gj_perf_layout *layout,
		     const struct chain *chain)
{
	const uint64_t marker = (uint64_t)PERF_CONTEXT_USER;
	uint64_t cnt = chain->kept_cnt + chain->has_user + chain->vas.size_bytes / 8;
	int err = gj_inject_put(copier, (struct gj_window){ (const uint8_t *)&cnt, sizeof(cnt) });

	if (!err)
		err = gj_inject_put(copier, (struct gj_window){ layout->chain, 8 * chain->kept_cnt });
	if (!err && chain->has_user)
		err = gj_inject_put(copier, (struct gj_window){ (const uint8_t *)&marker, sizeof(marker) });
	return err ? err : gj_inject_put(copier, chain->vas);
}

static int put_header(struct gj_inject_copier *copier, const struct gj_perf_record *record,
		      size_t size_bytes)
{
	const struct perf_event_header header = { record->type, record->misc, (uint16_t)size_bytes };

	return gj_inject_put(copier, (struct gj_window){ (const uint8_t *)&header, sizeof(header) });
}

static int put_new(struct gj_inject_copier *copier, const struct gj_perf_record *record,
		   const struct gj_perf_layout *layout)
{
	struct gj_window body = record->body;
	size_t other_bytes = sizeof(struct perf_event_header) + body.size_bytes -
			     (layout->chain_end_off - layout->chain_off) -
			     (layout->stack_end_off - layout->stack_off);
	/* Never less than the old chain took, which did fit. */
	struct chain chain = choose_chain(copier, record, layout,
					  MAX_RECORD_BYTES - other_bytes - 8);
	int err = put_header(copier, record, other_bytes + 8 + 8 * chain.kept_cnt +
						     8 * (size_t)chain.has_user + chain.vas.size_bytes);

	if (!err)
		err = gj_inject_put(copier, gj_window_slice(body, 0, layout->chain_off));
	if (!err)
		err = put_chain(copier, layout, &chain);
	if (!err)
		err = gj_inject_put(copier, gj_window_slice(body, layout->chain_end_off,
							    layout->stack_off - layout->chain_end_off));
	return err ? err : gj_inject_put(copier, gj_window_slice(body, layout->stack_end_off, UINT64_MAX));
}

int gj_inject_sample(struct gj_inject_copier *copier, const struct gj_perf_record *record)
{
	const struct gj_perf_attr *attr = gj_perf_attr_of(copier->attrs, record->body);
	struct gj_perf_layout layout;
	int err;

	if (attr && attr->attr.sample_type & PERF_SAMPLE_CALLCHAIN) {
		copier->stats->sample_cnt++;
		if (gj_perf_sample_layout(attr, record->body, &layout))
			return gj_diag_set(copier->diag, -EBADMSG,
					   "damaged: sample %llu does not hold what its event has",
					   (unsigned long long)copier->stats->sample_cnt);
		return put_new(copier, record, &layout);
	}
	/* Without a chain nothing changes; perf passes over one of an unknown event. */
	err = put_header(copier, record, record->body.size_bytes + sizeof(struct perf_event_header));
	return err ? err : gj_inject_put(copier, record->body);
}
