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
	uint64_t valid_ns; /* from here on it holds; later than the switch where a snapshot told it */
};

/* A g that some switch or snapshot named, by gj_g_key(). */
struct gj_g_entry {
	uint64_t key;
};

struct gj_snapshot {
	struct gj_trail_snapshot head;
	const struct gj_trail_g *gs; /* sorted by g; inside gj_ghistory.trail */
};

/* Switches may be missing from begin_ns to end_ns; for an exec both are its time. */
struct gj_ggap {
	uint64_t key; /* of an exec: its pid; 0 for a loss */
	uint64_t begin_ns, end_ns;
};

/* Sorted by key and begin_ns when first asked; end_ns then is that of all before it with its key, too. */
struct gj_ggap_list {
	struct gj_ggap *list; /* owned */
	size_t cnt, cap;
	bool is_sorted;
};

struct gj_ghistory {
	struct gj_table threads; /* struct gj_thread_entry by tid */
	struct gj_table gs;      /* struct gj_g_entry */
	uint8_t *trail;          /* copy of the trailer's body; owned */
	struct gj_snapshot *snapshots; /* by process, then by time; owned */
	size_t snapshot_cnt;
	struct gj_ggap_list losses, execs;
};

/* g structs of different processes may share an address. */
static inline uint64_t gj_g_key(uint32_t pid, uint64_t g)
{
	return g ^ (uint64_t)pid << 48;
}

/* Whether a switch of @pid may be missing between @since_ns and @time_ns. */
bool gj_ghistory_has_gap(struct gj_ghistory *history, uint32_t pid, uint64_t since_ns,
			 uint64_t time_ns);

/* Whether @pid became another program between @since_ns and @time_ns. */
bool gj_ghistory_has_exec(struct gj_ghistory *history, uint32_t pid, uint64_t since_ns,
			  uint64_t time_ns);

/* gj_ghistory_switch for what is certain from @valid_ns on only. */
int gj_ghistory_switch_from(struct gj_ghistory *history, const struct gj_gswitch *gswitch,
			    uint64_t valid_ns);

/* The g of a snapshot, NULL when it is not in it. */
const struct gj_trail_g *gj_snapshot_find(const struct gj_snapshot *snapshot, uint64_t g);

#endif
