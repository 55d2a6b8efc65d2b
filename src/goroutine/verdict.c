/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The goroutine of one sample, from signs that do not depend on each other.
 *
 * Signs: the thread's last recorded switch; the g in the sample's register;
 * the stack pointer inside that goroutine's stack; the call chain's root; the
 * same g bearing the same goid in a snapshot before and one after. Or the
 * runtime's own word, read in the interrupt that took the sample; then the stack
 * is the second sign.
 */
#include <string.h>

#include "goroutine/history.h"

static struct gj_goid known(uint64_t goid, uint64_t start_pc, const char *source)
{
	return (struct gj_goid){ GJ_GOID_KNOWN, goid, start_pc, source, NULL };
}

static struct gj_goid none(enum gj_goid_state state, const char *reason)
{
	return (struct gj_goid){ .state = state, .reason = reason };
}

/* The thread's last switch at or before the sample; NULL when none is known. */
static const struct gj_gswitch *last_switch(struct gj_ghistory *history,
					    const struct gj_gevidence *evidence)
{
	const struct gj_thread_entry *thread = gj_table_find(&history->threads, evidence->tid);

	if (!thread || thread->last.pid != evidence->pid || !thread->last.goid ||
	    thread->valid_ns > evidence->time_ns ||
	    gj_ghistory_has_gap(history, evidence->pid, thread->last.time_ns, evidence->time_ns))
		return NULL;
	return &thread->last;
}

static bool in_stack(uint64_t sp, uint64_t stack_lo, uint64_t stack_hi)
{
	return sp > stack_lo && sp <= stack_hi;
}

static bool is_known_g(const struct gj_ghistory *history, const struct gj_gevidence *evidence)
{
	return gj_table_find(&history->gs, gj_g_key(evidence->pid, evidence->g));
}

/* The first snapshot of @pid that was begun at or after @time_ns, or the place where it would stand. */
static size_t find_after(const struct gj_ghistory *history, uint32_t pid, uint64_t time_ns)
{
	size_t low = 0, high = history->snapshot_cnt;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		const struct gj_trail_snapshot *head = &history->snapshots[middle].head;

		if (head->pid < pid || (head->pid == pid && head->begin_ns < time_ns))
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* Snapshot number @index when it is one of @pid. */
static const struct gj_snapshot *snapshot_of(const struct gj_ghistory *history, size_t index,
					     uint32_t pid)
{
	return index < history->snapshot_cnt && history->snapshots[index].head.pid == pid ?
		       &history->snapshots[index] : NULL;
}

/*
 * Goroutine ids are never used twice: a g that bears the same one in a
 * snapshot before the sample and in one after it bore no other in between.
 */
static bool find_between(struct gj_ghistory *history, const struct gj_gevidence *evidence,
			 struct gj_goid *goid_out)
{
	size_t index = find_after(history, evidence->pid, evidence->time_ns);
	const struct gj_snapshot *later = snapshot_of(history, index, evidence->pid);
	const struct gj_snapshot *earlier = snapshot_of(history, index - 1, evidence->pid);
	const struct gj_trail_g *before, *after;

	/* One may have been under way at the time of the sample. */
	if (earlier && earlier->head.end_ns > evidence->time_ns)
		earlier = snapshot_of(history, index - 2, evidence->pid);
	if (!later || !earlier || earlier->head.end_ns > evidence->time_ns)
		return false;
	before = gj_snapshot_find(earlier, evidence->g);
	after = gj_snapshot_find(later, evidence->g);
	if (!before || !after || before->goid != after->goid || !before->goid ||
	    gj_ghistory_has_exec(history, evidence->pid, earlier->head.begin_ns,
				 later->head.end_ns))
		return false;
	/* The second sign: the thread is on that goroutine's stack. */
	if (!evidence->root_goexit &&
	    !(evidence->has_sp &&
	      (in_stack(evidence->sp, before->stack_lo, before->stack_hi) ||
	       in_stack(evidence->sp, after->stack_lo, after->stack_hi))))
		return false;
	*goid_out = known(before->goid, before->start_pc, "snapshots+register");
	return true;
}

/* No switch of this thread is known. */
static struct gj_goid without_switch(const struct gj_gevidence *evidence)
{
	if (evidence->root_thread)
		return none(GJ_GOID_G0, "on the system stack");
	return none(GJ_GOID_UNKNOWN, "no switch of this thread known, or some were lost");
}

/* The register holds another value than the g of the thread's last switch. */
static struct gj_goid without_register(const struct gj_ghistory *history,
				       const struct gj_gevidence *evidence,
				       const struct gj_gswitch *last)
{
	bool is_other_g = evidence->has_g && is_known_g(history, evidence);

	/* A coroutine switch (iter.Pull) does not pass runtime.execute; records may be lost. */
	if (is_other_g)
		return none(GJ_GOID_UNKNOWN, "register and last switch disagree");
	/*
	 * Assembly and C use the register for other things; the stack is still the
	 * goroutine's. A coroutine could stand on one that it has left behind.
	 */
	if (evidence->has_sp && !evidence->leaf_is_go && !evidence->has_coroutines &&
	    in_stack(evidence->sp, last->stack_lo, last->stack_hi))
		return known(last->goid, last->start_pc, "switch+stack");
	/*
	 * On g0 for the goroutine's sake: the chain leads over systemstack to a
	 * goroutine's root. Coroutines could have changed whose root it is.
	 */
	if (evidence->has_systemstack && evidence->root_goexit && !evidence->has_coroutines)
		return known(last->goid, last->start_pc, "switch+root");
	if (evidence->has_systemstack || evidence->root_thread || evidence->leaf_is_go)
		return none(GJ_GOID_G0, "on the system stack");
	return none(GJ_GOID_UNKNOWN, evidence->has_g ? "register holds no known g" :
						       "registers were not recorded");
}

/* Where goroutine @goid of @g began, as some snapshot around the sample has it; 0: none has. */
static uint64_t find_start(const struct gj_ghistory *history, const struct gj_gevidence *evidence)
{
	size_t after = find_after(history, evidence->pid, evidence->time_ns);

	for (size_t i = 0; i < 3; i++) {
		const struct gj_snapshot *snapshot = snapshot_of(history, after - i, evidence->pid);
		const struct gj_trail_g *g =
			snapshot ? gj_snapshot_find(snapshot, evidence->cur) : NULL;

		if (g && g->goid == evidence->goid)
			return g->start_pc;
	}
	return 0;
}

static bool is_root(const struct gj_gevidence *evidence, const char *root)
{
	return evidence->root && !strcmp(evidence->root, root);
}

/* The runtime's own word, held against the stack. */
static struct gj_goid from_record(const struct gj_ghistory *history,
				  const struct gj_gevidence *evidence)
{
	bool on_goroutine = is_root(evidence, "goexit");
	bool on_thread = is_root(evidence, "mstart") || is_root(evidence, "rt0_go");

	/*
	 * Between two goroutines m.curg is the one before or the next. Only a stack
	 * that leads over mcall to a goroutine's root is still about that one.
	 */
	if (evidence->has_mcall && !on_goroutine)
		return none(GJ_GOID_SCHED, "in the scheduler");
	if (evidence->goid ? on_thread : on_goroutine)
		return none(GJ_GOID_UNKNOWN, "stack and runtime disagree");
	if (!evidence->goid)
		return none(GJ_GOID_G0, "on the system stack");
	return known(evidence->goid,
		     evidence->start_pc ? evidence->start_pc : find_start(history, evidence),
		     "bpf");
}

void gj_goid_find(struct gj_ghistory *history, const struct gj_gevidence *evidence,
		  struct gj_goid *goid_out)
{
	const struct gj_gswitch *last = last_switch(history, evidence);

	if (evidence->has_goid) {
		*goid_out = from_record(history, evidence);
		return;
	}
	/*
	 * First of all: up to Go 1.24 mcall leaves the frame pointer alone, so a
	 * chain out of the scheduler leads on into a goroutine that is parked.
	 */
	if (evidence->has_mcall)
		*goid_out = none(GJ_GOID_SCHED, "in the scheduler");
	else if (last && evidence->has_g && evidence->g == last->g)
		*goid_out = known(last->goid, last->start_pc, "switch+register");
	else if (evidence->has_g && find_between(history, evidence, goid_out))
		return;
	else if (last)
		*goid_out = without_register(history, evidence, last);
	else
		*goid_out = without_switch(evidence);
}
