/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Chains by the sample they are of: time, thread, address, processor.
 *
 * Samples that share all of these stand in the order in which the host delivered
 * them, which for equal times is that of the file, and are handed out so.
 */
#include <errno.h>
#include <stdlib.h>

#include "inject/inject.h"
#include "session/session.h"

struct entry {
	uint64_t off;  /* in the stream */
	uint32_t next; /* of the same sample, as number + 1; 0: none */
};

struct slot {
	uint32_t head, tail; /* as number + 1; 0: free */
};

struct gj_chains {
	struct gj_window stream;
	struct entry *entries; /* owned */
	size_t cnt, cap;
	struct slot *slots; /* owned */
	size_t slot_cnt;    /* a power of two, at least twice cnt */
};

static void read_entry(const struct gj_chains *chains, uint64_t off, struct gj_chain_entry *entry_out)
{
	*entry_out = (struct gj_chain_entry){ 0 };
	gj_window_read(chains->stream, off, entry_out, sizeof(*entry_out));
}

static bool is_same(const struct gj_chain_entry *a, const struct gj_chain_entry *b)
{
	return a->time_ns == b->time_ns && a->ip == b->ip && a->tid == b->tid && a->cpu == b->cpu;
}

/* The slot of @key, a free one when it is not there. */
static struct slot *find_slot(const struct gj_chains *chains, const struct gj_chain_entry *key)
{
	const uint64_t mix = 0x9e3779b97f4a7c15ULL;
	uint64_t hash = ((key->time_ns * mix) ^ key->ip ^ (uint64_t)key->tid << 32) * mix;

	for (size_t i = hash >> 32;; i++) {
		struct slot *slot = &chains->slots[i & (chains->slot_cnt - 1)];
		struct gj_chain_entry entry;

		if (!slot->head)
			return slot;
		read_entry(chains, chains->entries[slot->head - 1].off, &entry);
		if (is_same(&entry, key))
			return slot;
	}
}

static int add(struct gj_chains *chains, uint64_t off)
{
	if (chains->cnt == chains->cap) {
		size_t cap = chains->cap ? 2 * chains->cap : 1024;
		struct entry *entries = cap > UINT32_MAX ? NULL :
				reallocarray(chains->entries, cap, sizeof(*entries));

		if (!entries)
			return cap > UINT32_MAX ? -E2BIG : -ENOMEM;
		chains->entries = entries;
		chains->cap = cap;
	}
	chains->entries[chains->cnt++] = (struct entry){ .off = off };
	return 0;
}

static int list_entries(struct gj_chains *chains)
{
	struct gj_cursor cur = gj_cursor_init(chains->stream);

	for (;;) {
		uint64_t off = chains->stream.size_bytes - gj_cursor_left(&cur);
		struct gj_chain_entry entry;
		int err;

		gj_cursor_read(&cur, &entry, sizeof(entry));
		gj_cursor_take(&cur, 8 * (uint64_t)entry.va_cnt);
		if (gj_cursor_failed(&cur))
			return -EBADMSG;
		if (entry.kind == GJ_CHAIN_END)
			return gj_cursor_left(&cur) || entry.time_ns != off ? -EBADMSG : 0;
		err = add(chains, off);
		if (err)
			return err;
	}
}

static int make_slots(struct gj_chains *chains)
{
	chains->slot_cnt = 16;
	while (chains->slot_cnt < 2 * chains->cnt)
		chains->slot_cnt *= 2;
	chains->slots = calloc(chains->slot_cnt, sizeof(*chains->slots));
	if (!chains->slots)
		return -ENOMEM;
	for (size_t i = 0; i < chains->cnt; i++) {
		struct gj_chain_entry entry;
		struct slot *slot;

		read_entry(chains, chains->entries[i].off, &entry);
		slot = find_slot(chains, &entry);
		if (slot->head)
			chains->entries[slot->tail - 1].next = (uint32_t)i + 1;
		else
			slot->head = (uint32_t)i + 1;
		slot->tail = (uint32_t)i + 1;
	}
	return 0;
}

int gj_chains_new(struct gj_window stream, struct gj_chains **chains_out)
{
	struct gj_chains *chains = calloc(1, sizeof(*chains));
	int err = chains ? 0 : -ENOMEM;

	if (!err) {
		chains->stream = stream;
		err = list_entries(chains);
	}
	if (!err)
		err = make_slots(chains);
	if (err)
		gj_chains_free(chains);
	else
		*chains_out = chains;
	return err;
}

void gj_chains_free(struct gj_chains *chains)
{
	if (!chains)
		return;
	free(chains->entries);
	free(chains->slots);
	free(chains);
}

bool gj_chains_find(struct gj_chains *chains, const struct gj_perf_layout *sample,
		    struct gj_chain_found *found_out)
{
	const struct gj_chain_entry key = {
		.time_ns = sample->time_ns,
		.ip = sample->ip,
		.tid = sample->tid,
		.cpu = sample->cpu,
	};
	struct slot *slot = find_slot(chains, &key);
	struct gj_chain_entry entry;
	const struct entry *at;

	if (!slot->head)
		return false;
	at = &chains->entries[slot->head - 1];
	read_entry(chains, at->off, &entry);
	found_out->vas = gj_window_slice(chains->stream, at->off + sizeof(entry),
					 8 * (uint64_t)entry.va_cnt).base;
	found_out->cnt = entry.va_cnt;
	found_out->is_complete = entry.kind == GJ_CHAIN_COMPLETE;
	if (at->next)
		slot->head = at->next;
	return true;
}
