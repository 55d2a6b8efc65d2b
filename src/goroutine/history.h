/* SPDX-License-Identifier: GPL-2.0 */
/* What a history holds; shared by history.c, trailer.c and verdict.c only. */
#ifndef GJ_GOROUTINE_HISTORY_H
#define GJ_GOROUTINE_HISTORY_H

#include "goroutine/goroutine.h"
#include "goroutine/table.h"

/* The last switch of a thread. */
struct gj_thread_entry {
	uint64_t tid;
	struct gj_gswitch last;
};

/* A g that some switch or snapshot named, by gj_g_key(). */
struct gj_g_entry {
	uint64_t key;
};

struct gj_snapshot {
	struct gj_trail_snapshot head;
	const struct gj_trail_g *gs; /* sorted by g; inside gj_ghistory.trail */
};

struct gj_ghistory {
	struct gj_table threads; /* struct gj_thread_entry by tid */
	struct gj_table gs;      /* struct gj_g_entry */
	uint8_t *trail;          /* copy of the trailer's body; owned */
	struct gj_snapshot *snapshots; /* in order of time; owned */
	size_t snapshot_cnt;
};

/* g structs of different processes may share an address. */
static inline uint64_t gj_g_key(uint32_t pid, uint64_t g)
{
	return g ^ (uint64_t)pid << 48;
}

/* The g of a snapshot, NULL when it is not in it. */
const struct gj_trail_g *gj_snapshot_find(const struct gj_snapshot *snapshot, uint64_t g);

#endif
