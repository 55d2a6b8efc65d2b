/* SPDX-License-Identifier: GPL-2.0 */
/* Reads the snapshots behind perf.data, and ends them when written (layout: goroutine.h). */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "goroutine/history.h"
#include "sample/sample.h"

/* One snapshot at the cursor; its entries stay where they are, in the copy. */
static bool take_snapshot(struct gj_cursor *cur, struct gj_snapshot *snapshot_out,
			  const struct gj_trail_m **ms_out)
{
	struct gj_trail_snapshot head;
	const uint8_t *gs, *ms;

	gj_cursor_read(cur, &head, sizeof(head));
	gs = gj_cursor_take(cur, (uint64_t)head.g_cnt * sizeof(struct gj_trail_g));
	ms = gj_cursor_take(cur, (uint64_t)head.m_cnt * sizeof(struct gj_trail_m));
	if (gj_cursor_failed(cur))
		return false;
	*snapshot_out = (struct gj_snapshot){ head, (const void *)gs };
	*ms_out = (const void *)ms;
	return true;
}

const struct gj_trail_g *gj_snapshot_find(const struct gj_snapshot *snapshot, uint64_t g)
{
	size_t low = 0, high = snapshot->head.g_cnt;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (snapshot->gs[middle].g == g)
			return &snapshot->gs[middle];
		if (snapshot->gs[middle].g < g)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

/*
 * Of a process' first snapshot with the probe armed; what a later one says,
 * switches have said. With the probe armed a thread's goroutine is as good as a
 * switch at the beginning of the snapshot: any later one is recorded and takes
 * its place. It holds from the end on, since it was read some time between.
 */
static int take_threads(struct gj_ghistory *history, const struct gj_snapshot *snapshot,
			const struct gj_trail_m *ms)
{
	for (uint32_t i = 0; i < snapshot->head.m_cnt; i++) {
		const struct gj_trail_g *g =
			ms[i].curg ? gj_snapshot_find(snapshot, ms[i].curg) : NULL;
		struct gj_gswitch gswitch = {
			.pid = snapshot->head.pid,
			.tid = ms[i].tid,
			.time_ns = snapshot->head.begin_ns,
		};

		if (!g)
			continue;
		gswitch.g = g->g;
		gswitch.goid = g->goid;
		gswitch.stack_lo = g->stack_lo;
		gswitch.stack_hi = g->stack_hi;
		gswitch.start_pc = g->start_pc;
		if (gj_ghistory_switch_from(history, &gswitch, snapshot->head.end_ns))
			return -ENOMEM;
	}
	return 0;
}

static int add_snapshot(struct gj_ghistory *history, const struct gj_snapshot *snapshot)
{
	struct gj_snapshot *snapshots = reallocarray(history->snapshots, history->snapshot_cnt + 1,
						     sizeof(*snapshots));

	if (!snapshots)
		return -ENOMEM;
	history->snapshots = snapshots;
	snapshots[history->snapshot_cnt++] = *snapshot;
	for (uint32_t i = 0; i < snapshot->head.g_cnt; i++) {
		uint64_t key = gj_g_key(snapshot->head.pid, snapshot->gs[i].g);

		if (key && !gj_table_add(&history->gs, key))
			return -ENOMEM;
	}
	return 0;
}

static bool has_probed(const struct gj_ghistory *history, uint32_t pid)
{
	for (size_t i = 0; i < history->snapshot_cnt; i++)
		if (history->snapshots[i].head.pid == pid &&
		    (history->snapshots[i].head.flags & GJ_TRAIL_PROBED))
			return true;
	return false;
}

/* By process, then by time. */
static int compare_snapshots(const void *a, const void *b)
{
	const struct gj_trail_snapshot *left = &((const struct gj_snapshot *)a)->head;
	const struct gj_trail_snapshot *right = &((const struct gj_snapshot *)b)->head;

	if (left->pid != right->pid)
		return left->pid < right->pid ? -1 : 1;
	if (left->begin_ns != right->begin_ns)
		return left->begin_ns < right->begin_ns ? -1 : 1;
	return 0;
}

static int read_body(struct gj_ghistory *history, struct gj_window body, struct gj_diag *diag)
{
	struct gj_cursor cur = gj_cursor_init(body);

	while (gj_cursor_left(&cur)) {
		const struct gj_trail_m *ms;
		struct gj_snapshot snapshot;
		bool is_first_probed;
		int err;

		if (!take_snapshot(&cur, &snapshot, &ms))
			return gj_diag_set(diag, -EBADMSG,
					   "the goroutine snapshots behind the recording are damaged; going on with those before the damage");
		is_first_probed = (snapshot.head.flags & GJ_TRAIL_PROBED) &&
				  !has_probed(history, snapshot.head.pid);
		err = add_snapshot(history, &snapshot);
		if (!err && is_first_probed)
			err = take_threads(history, &snapshot, ms);
		if (err)
			return err;
	}
	return 0;
}

int gj_ghistory_load_trailer(struct gj_ghistory *history, struct gj_window file,
			     struct gj_diag *diag)
{
	struct gj_window body = { NULL, 0 };
	int err = gj_perf_file_trailer(file, GJ_TRAIL_MAGIC, &body);

	if (err == -EBADMSG)
		return gj_diag_set(diag, err,
				   "the goroutine snapshots behind the recording are cut short; going on without them");
	if (err)
		return err;
	history->trail = malloc(body.size_bytes ? body.size_bytes : 1);
	if (!history->trail)
		return -ENOMEM;
	memcpy(history->trail, body.base, body.size_bytes);
	err = read_body(history, (struct gj_window){ history->trail, body.size_bytes }, diag);
	if (history->snapshot_cnt)
		qsort(history->snapshots, history->snapshot_cnt, sizeof(*history->snapshots),
		      compare_snapshots);
	return err;
}

void gj_trail_finish(struct gj_buf *body)
{
	uint64_t body_bytes = body->size_bytes;

	gj_buf_add(body, &body_bytes, sizeof(body_bytes));
	gj_buf_add(body, GJ_TRAIL_MAGIC, sizeof(GJ_TRAIL_MAGIC) - 1);
}
