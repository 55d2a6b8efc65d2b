/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Stacks that bpf/goroutines.bpf.c keeps: of who waits, and of who ends a long wait.
 * To be included behind goroutine_reads.bpf.h.
 */
#ifndef GJ_GOROUTINE_STACKS_BPF_H
#define GJ_GOROUTINE_STACKS_BPF_H

static __always_inline __u64 hash_of(const struct gj_go_stack *stack)
{
	__u64 hash = 0xcbf29ce484222325ull;

	for (__u32 i = 0; i < GJ_GO_STACK_PCS && i < stack->pc_cnt; i++)
		hash = (hash ^ stack->pcs[i]) * 0x100000001b3ull;
	return hash ? hash : 1;
}

/*
 * Makes an entry of what is in the processor's memory, unless there is one. That memory may
 * be somebody else's by the time it has been copied: then there is no entry.
 */
static __always_inline void *find_entry(void *map, const void *key, const void *first,
					const struct move *move, const struct reads *own)
{
	void *known = bpf_map_lookup_elem(map, key);

	if (known)
		return known;
	if (!bpf_map_update_elem(map, key, first, BPF_NOEXIST) && !is_ours(move->at.pid_tid, own))
		bpf_map_delete_elem(map, key);
	known = bpf_map_lookup_elem(map, key);
	if (!known)
		gj_drop(drop_map_full);
	return known;
}

/* Notes where the goroutine begins to wait. */
static __always_inline void note_stack(struct move *move, struct gj_goroutine *goroutine)
{
	struct gj_blocked_stack_key key = { .tgid = move->key.tgid, .reason = goroutine->reason };
	struct gj_blocked_stack *first, *known;
	struct reads *own;

	/*
	 * Up to Go 1.20 gcMarkTermination and others mark their goroutine while it runs, on
	 * its own stack (casgstatus); g.sched is of some time before.
	 */
	if (move->current_g == move->g)
		return;
	own = take_reads(move->at.pid_tid);
	if (!own)
		return;
	first = &own->blocked;
	first->parked = first->readied = first->sum_ns = first->reserved = 0;
	first->func = goroutine->func;
	read_stack(move, &first->stack);
	key.hash = hash_of(&first->stack);
	if (!first->stack.pc_cnt || !is_ours(move->at.pid_tid, own)) {
		gj_drop(drop_unreadable);
		return;
	}
	known = find_entry(&blocked_stacks, &key, first, move, own);
	if (!known)
		return;
	add_one(&known->parked);
	goroutine->stack = key.hash;
}

static __always_inline void end_stack(const struct move *move, struct gj_goroutine *goroutine,
				      __u64 ns)
{
	struct gj_blocked_stack_key key = { .tgid = move->key.tgid, .reason = goroutine->reason,
					    .hash = goroutine->stack };
	struct gj_blocked_stack *stack = bpf_map_lookup_elem(&blocked_stacks, &key);

	if (!stack)
		return;
	add_one(&stack->readied);
	__sync_fetch_and_add(&stack->sum_ns, ns);
}

/* Where @g, whose goroutine is @waker, ends a wait of @ns: goready has called systemstack for it. */
static __always_inline void note_waker_stack(struct move *move, const struct gj_goroutine *woken,
					     __u32 waker, __u64 g, __u64 ns)
{
	struct gj_waker_stack_key key = { .tgid = move->key.tgid, .reason = woken->reason,
					  .blocked = woken->stack };
	struct gj_waker_stack *first, *known;
	struct reads *own;

	/* On its own stack g.sched is of some time before. */
	if (!g || g == move->current_g)
		return;
	own = read_place(move, g) ? take_reads(move->at.pid_tid) : 0;
	if (!own) {
		gj_drop(drop_unreadable);
		return;
	}
	first = &own->waker;
	first->readied = first->sum_ns = first->reserved = 0;
	first->waker = waker;
	read_stack(move, &first->stack);
	key.hash = hash_of(&first->stack);
	if (!first->stack.pc_cnt || !is_ours(move->at.pid_tid, own)) {
		gj_drop(drop_unreadable);
		return;
	}
	known = find_entry(&waker_stacks, &key, first, move, own);
	if (!known)
		return;
	add_one(&known->readied);
	__sync_fetch_and_add(&known->sum_ns, ns);
}

#endif
