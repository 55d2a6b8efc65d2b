/* SPDX-License-Identifier: GPL-2.0 */
/* Which g was which goroutine on which thread: switches as they come. */
#include "goroutine/history.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

bool gj_goexec_is_event(const char *event)
{
	static const char prefix[] = GJ_GOEXEC_GROUP ":" GJ_GOEXEC_PREFIX;

	return !strncmp(event, prefix, sizeof(prefix) - 1);
}

int gj_goexec_decode(struct gj_window raw, struct gj_gswitch *switch_out)
{
	/* Common header of a tracepoint record and __probe_ip (kernel/trace/trace_probe.h). */
	struct gj_cursor cur = gj_cursor_init(gj_window_slice(raw, 16, UINT64_MAX));
	struct gj_gswitch found = *switch_out;

	found.g = gj_cursor_u64(&cur);
	found.goid = gj_cursor_u64(&cur);
	found.stack_lo = gj_cursor_u64(&cur);
	found.stack_hi = gj_cursor_u64(&cur);
	found.start_pc = gj_cursor_u64(&cur);
	if (gj_cursor_failed(&cur) || raw.size_bytes < 56)
		return -EBADMSG;
	*switch_out = found;
	return 0;
}

struct gj_ghistory *gj_ghistory_new(void)
{
	struct gj_ghistory *history = calloc(1, sizeof(*history));

	if (history) {
		gj_table_init(&history->threads, sizeof(struct gj_thread_entry));
		gj_table_init(&history->gs, sizeof(struct gj_g_entry));
	}
	return history;
}

void gj_ghistory_free(struct gj_ghistory *history)
{
	if (!history)
		return;
	gj_table_deinit(&history->threads);
	gj_table_deinit(&history->gs);
	free(history->trail);
	free(history->snapshots);
	free(history->losses.list);
	free(history->execs.list);
	free(history);
}

int gj_ghistory_switch(struct gj_ghistory *history, const struct gj_gswitch *gswitch)
{
	return gj_ghistory_switch_from(history, gswitch, gswitch->time_ns);
}

int gj_ghistory_switch_from(struct gj_ghistory *history, const struct gj_gswitch *gswitch,
			    uint64_t valid_ns)
{
	struct gj_thread_entry *thread;

	/* A fetch that faulted leaves zeros: then the thread's goroutine is not known. */
	thread = gj_table_add(&history->threads, gswitch->tid);
	if (!thread)
		return gswitch->tid ? -ENOMEM : 0;
	/* A snapshot of later date already stands there when its trailer was read first. */
	if (thread->last.pid == gswitch->pid && thread->last.time_ns > gswitch->time_ns)
		return 0;
	thread->last = *gswitch;
	thread->valid_ns = valid_ns;
	return gj_table_add(&history->gs, gj_g_key(gswitch->pid, gswitch->g)) || !gswitch->g ?
		       0 :
		       -ENOMEM;
}
