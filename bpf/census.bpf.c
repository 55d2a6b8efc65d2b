/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The goroutine census: reading the iterator `census` walks runtime.allgs of every
 * target in its live memory. Nothing is hooked, nothing is stopped.
 * docs/trace-census.md. Kernel 6.1: bpf_loop, bpf_copy_from_user_task.
 */
#include <linux/bpf.h>
#include <linux/ptrace.h>

#include "census.bpf.h"

char LICENSE[] SEC("license") = "GPL";

#define MAX_GOROUTINES (1 << 20)
#define MAX_ATTEMPTS 3

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1 << 18);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct gj_census_key);
	__type(value, struct gj_census_goroutine);
} census_goroutines SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16384);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct gj_census_count_key);
	__type(value, struct gj_census_count);
} census_counts SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, __u32);
	__type(value, struct gj_census_pass);
} census_passes SEC(".maps");

/* Filled by the loader. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 256);
	__type(key, __u32);
	__type(value, struct gj_census_program);
} census_programs SEC(".maps");

/* Beside gj_given (trace.bpf.h), where no loader fills the map. */
const volatile struct gj_census_program gj_census_given = { 0 };

/* Likewise, of the targets' releases. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, struct gj_reason_key);
	__type(value, char[GJ_REASON_BYTES]);
} reason_names SEC(".maps");

/* The same for this. */
const volatile struct gj_reasons gj_reasons_given = { 0 };

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct work);
} census_work SEC(".maps");

struct reader {
	struct task_struct *task;
	struct work *work;
};

SEC("syscall")
int gj_begin(void *ctx __attribute__((unused)))
{
	gj_pid_begin((void *)bpf_get_current_task());
	return 0;
}

static __always_inline struct work *get_work(void)
{
	return bpf_task_storage_get(&census_work, bpf_get_current_task_btf(), 0,
				    BPF_LOCAL_STORAGE_GET_F_CREATE);
}

static __always_inline _Bool is_alive(__u32 status)
{
	return status != g_idle && status != g_dead && status != g_deadextra;
}

static __always_inline void count(struct work *work)
{
	const struct gj_census_goroutine *goroutine = &work->goroutine;
	struct gj_census_count_key key = {
		.tgid = work->tgid, .status = goroutine->status, .reason = goroutine->reason,
		.func = goroutine->func,
	};
	struct gj_census_count first = { .counting = 1, .seen_ns = work->pass.seen_ns }, *entry;

	work->pass.goroutines++;
	work->pass.torn += goroutine->is_torn;
	if (goroutine->is_busy) {
		work->pass.busy++;
		work->by_status[g_running]++;
	} else {
		if (goroutine->is_cut && !goroutine->is_torn && goroutine->status != g_running)
			work->pass.cut++;
		work->by_status[goroutine->status & (STATUSES - 1)]++;
		work->by_reason[goroutine->reason & (GJ_REASONS - 1)]++;
	}
	entry = bpf_map_lookup_elem(&census_counts, &key);
	if (!entry) {
		if (bpf_map_update_elem(&census_counts, &key, &first, BPF_NOEXIST))
			gj_drop(drop_map_full);
	} else if (entry->seen_ns == work->pass.seen_ns) {
		entry->counting++;
	} else if (entry->seen_ns < work->pass.seen_ns) {
		entry->seen_ns = work->pass.seen_ns;
		entry->counting = 1;
	}
}

static __always_inline _Bool is_same(const struct gj_census_goroutine *old,
				     const struct gj_census_goroutine *new)
{
	__u64 difference = old->status ^ new->status;

	difference |= old->reason ^ new->reason;
#pragma clang loop unroll(disable)
	for (int i = 0; i < GJ_CENSUS_PCS; i++)
		difference |= old->pc[i] ^ new->pc[i];
	return !difference && new->depth;
}

static __always_inline void store(struct work *work, __u64 goid)
{
	struct gj_census_key key = { .tgid = work->tgid, .goid = goid };
	struct gj_census_goroutine *old = bpf_map_lookup_elem(&census_goroutines, &key);

	count(work);
	/* Of a later pass, by another reader. */
	if (old && old->seen_ns > work->pass.seen_ns)
		return;
	if (old && is_same(old, &work->goroutine))
		work->goroutine.same_since_ns = old->same_since_ns;
	if (bpf_map_update_elem(&census_goroutines, &key, &work->goroutine, BPF_ANY))
		gj_drop(drop_map_full);
}

/* False: it could not be read, or is none. */
static __always_inline _Bool take(struct task_struct *task, struct work *work, __u64 g)
{
	for (int i = 0; i < MAX_ATTEMPTS; i++) {
		if (!read_g(task, work, work->g, g))
			return 0;
		describe(work, g);
		/* One that is being made has no number yet. */
		if (!is_alive(work->goroutine.status) || !word(work->g, work->target.g_goid))
			return 1;
		if (word(work->g, work->target.g_stack_lo) >= word(work->g, work->target.g_stack_hi))
			return 0;
		walk(task, work);
		if (!read_g(task, work, work->again, g))
			return 0;
		if (work->goroutine.status == g_running || is_unchanged(work))
			break;
		/* It has gone on meanwhile: this stack may never have been. */
		describe(work, g);
		work->goroutine.is_torn = 1;
	}
	store(work, word(work->g, work->target.g_goid));
	return 1;
}

static __always_inline _Bool read_allgs(struct task_struct *task, struct work *work)
{
	return work->target.allgs_va && read_task(task, work->allgs, sizeof(work->allgs),
						  work->target.allgs_va + work->target.bias);
}

/*
 * Pointers from number @i on. The array moves when it grows, and is then used for other
 * things; so it has to be in the same place before and behind. False: no more can be read.
 */
static __always_inline _Bool read_batch(struct task_struct *task, struct work *work, __u32 i)
{
	for (int attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
		__u64 before, left;
		__u32 bytes;

		if (!read_allgs(task, work))
			return 0;
		before = work->allgs[0];
		left = work->allgs[1];
		if (i >= left)
			return 1;
		left -= i;
		bytes = left < BATCH ? (__u32)left * sizeof(__u64) : sizeof(work->batch);
		/* For the verifier: at most the batch. */
		asm volatile("%0 &= 1023" : "+r"(bytes));
		if (bytes > sizeof(work->batch))
			return 0;
		__builtin_memset(work->batch, 0, sizeof(work->batch));
		if (read_task(task, work->batch, bytes, before + i * sizeof(__u64)) &&
		    read_allgs(task, work) && work->allgs[0] == before)
			return 1;
	}
	return 0;
}

static long visit(__u32 i, struct reader *reader)
{
	struct work *work = reader->work;
	__u32 at = i & (BATCH - 1);

	if (!work)
		return 1;
	if (!at && !read_batch(reader->task, work, i)) {
		work->pass.is_whole = 0;
		return 1;
	}
	if (i >= work->allgs[1])
		return 1;
	/* It has grown since; the next batch has what came. */
	if (!work->batch[at])
		return 0;
	work->pass.slots++;
	if (!take(reader->task, work, work->batch[at])) {
		work->pass.unreadable++;
		gj_drop(drop_unreadable);
	}
	return 0;
}

/* Goroutines of the process that this pass has not met have ended. */
static long forget_goroutine(struct bpf_map *map, struct gj_census_key *key,
			     struct gj_census_goroutine *goroutine, struct work **work_at)
{
	struct work *work = get_work();

	(void)map, (void)work_at;
	if (work && key->tgid == work->tgid && goroutine->seen_ns < work->pass.seen_ns) {
		struct gj_census_key gone = *key;

		bpf_map_delete_elem(&census_goroutines, &gone);
	}
	return 0;
}

static long finish_count(struct bpf_map *map, struct gj_census_count_key *key,
			 struct gj_census_count *entry, struct work **work_at)
{
	struct work *work = get_work();

	(void)map, (void)work_at;
	if (!work || key->tgid != work->tgid)
		return 0;
	if (entry->seen_ns == work->pass.seen_ns) {
		entry->number = entry->counting;
	} else if (entry->seen_ns < work->pass.seen_ns) {
		struct gj_census_count_key gone = *key;

		bpf_map_delete_elem(&census_counts, &gone);
	}
	return 0;
}

/* Of processes that are no targets any more. */
static long forget_process(struct bpf_map *map, struct gj_census_key *key,
			   struct gj_census_goroutine *goroutine, void *data)
{
	struct gj_census_key gone = *key;

	(void)map, (void)goroutine, (void)data;
	if (!bpf_map_lookup_elem(&targets, &gone.tgid))
		bpf_map_delete_elem(&census_goroutines, &gone);
	return 0;
}

static long forget_counts(struct bpf_map *map, struct gj_census_count_key *key,
			  struct gj_census_count *entry, void *data)
{
	struct gj_census_count_key gone = *key;

	(void)map, (void)entry, (void)data;
	if (!bpf_map_lookup_elem(&targets, &gone.tgid))
		bpf_map_delete_elem(&census_counts, &gone);
	return 0;
}

static long forget_pass(struct bpf_map *map, __u32 *tgid, struct gj_census_pass *pass, void *data)
{
	__u32 gone = *tgid;

	(void)map, (void)pass, (void)data;
	if (!bpf_map_lookup_elem(&targets, &gone))
		bpf_map_delete_elem(&census_passes, &gone);
	return 0;
}

static __always_inline void print_statuses(struct seq_file *seq, const struct work *work)
{
	BPF_SEQ_PRINTF(seq, "pid %u: %llu goroutines: %u waiting, %u runnable, %u running", work->tgid,
		       work->pass.goroutines, work->by_status[g_waiting], work->by_status[g_runnable],
		       work->by_status[g_running]);
	if (work->pass.busy)
		BPF_SEQ_PRINTF(seq, " (%llu of these marked as waiting)", work->pass.busy);
	BPF_SEQ_PRINTF(seq, ", %u in a syscall, %u preempted", work->by_status[g_syscall],
		       work->by_status[g_preempted]);
	if (work->by_status[g_leaked])
		BPF_SEQ_PRINTF(seq, ", %u leaked", work->by_status[g_leaked]);
	if (work->by_status[g_copystack])
		BPF_SEQ_PRINTF(seq, ", %u moving", work->by_status[g_copystack]);
}

static __always_inline void print_losses(struct seq_file *seq, const struct gj_census_pass *pass)
{
	if (pass->torn)
		BPF_SEQ_PRINTF(seq, "; %llu ran on while being read", pass->torn);
	if (pass->cut)
		BPF_SEQ_PRINTF(seq, "; %llu with a cut stack", pass->cut);
	if (pass->unreadable)
		BPF_SEQ_PRINTF(seq, "; %llu could not be read", pass->unreadable);
	if (!pass->is_whole)
		BPF_SEQ_PRINTF(seq, "; not all: it ended, or its memory cannot be read");
	BPF_SEQ_PRINTF(seq, "\n");
}

/* NULL: there is no name for it. */
static __always_inline const char *reason_name(__u32 go_minor, __u32 reason)
{
	const struct gj_reasons *given = (const void *)&gj_reasons_given;
	struct gj_reason_key key = { .go_minor = go_minor, .reason = reason };

	if (!gj_given.exes[0].ino)
		return bpf_map_lookup_elem(&reason_names, &key);
	barrier_var(given);
	return reason < GJ_REASONS && given->texts[reason][0] ? given->texts[reason] : 0;
}

static __always_inline void print(struct seq_file *seq, const struct work *work)
{
	_Bool is_first = 1;

	print_statuses(seq, work);
	for (__u32 i = 1; i < GJ_REASONS; i++) {
		const char *name;

		if (!work->by_reason[i])
			continue;
		if (is_first)
			BPF_SEQ_PRINTF(seq, "; waiting: %u ", work->by_reason[i]);
		else
			BPF_SEQ_PRINTF(seq, ", %u ", work->by_reason[i]);
		is_first = 0;
		name = reason_name(work->target.go_minor, i);
		if (name)
			BPF_SEQ_PRINTF(seq, "%s", name);
		else
			BPF_SEQ_PRINTF(seq, "for reason %u", i);
	}
	print_losses(seq, &work->pass);
}

static __always_inline void begin(struct work *work, const struct gj_trace_target *target, __u32 tgid)
{
	const struct gj_census_program *program;
	__u32 number = target->program;

	work->target = *target;
	program = bpf_map_lookup_elem(&census_programs, &number);
	if (!program) {
		program = (const void *)&gj_census_given;
		barrier_var(program);
	}
	work->program = *program;
	__builtin_memset(&work->pass, 0, sizeof(work->pass));
	work->pass.seen_ns = bpf_ktime_get_ns();
	work->pass.is_whole = 1;
	work->tgid = tgid;
	work->allgs[0] = work->allgs[1] = work->seam_pc = 0;
	work->g_bytes = find_g_bytes(&work->target);
	__builtin_memset(work->by_status, 0, sizeof(work->by_status));
	__builtin_memset(work->by_reason, 0, sizeof(work->by_reason));
	/* Of another program, whose g is longer. */
	__builtin_memset(work->g, 0, sizeof(work->g));
	__builtin_memset(work->again, 0, sizeof(work->again));
}

static __always_inline void end(struct work *work)
{
	bpf_for_each_map_elem(&census_goroutines, forget_goroutine, &work, 0);
	bpf_for_each_map_elem(&census_counts, finish_count, &work, 0);
	work->pass.took_ns = bpf_ktime_get_ns() - work->pass.seen_ns;
	if (bpf_map_update_elem(&census_passes, &work->tgid, &work->pass, BPF_ANY))
		gj_drop(drop_map_full);
}

/* Behind the last process. */
static __always_inline void forget(void)
{
	bpf_for_each_map_elem(&census_goroutines, forget_process, 0, 0);
	bpf_for_each_map_elem(&census_counts, forget_counts, 0, 0);
	bpf_for_each_map_elem(&census_passes, forget_pass, 0, 0);
}

SEC("iter.s/task")
int census(struct bpf_iter__task *ctx)
{
	struct seq_file *seq = ctx->meta->seq;
	struct task_struct *task = ctx->task;
	const struct gj_trace_target *target;
	struct reader reader = { .task = task };
	struct work *work;
	__u32 tgid;

	if (!task) {
		forget();
		return 0;
	}
	if (task->group_leader != task)
		return 0;
	tgid = gj_pid_number(task->thread_pid);
	target = bpf_map_lookup_elem(&targets, &tgid);
	work = target ? get_work() : 0;
	if (!work)
		return 0;
	begin(work, target, tgid);
	reader.work = work;
	bpf_loop(MAX_GOROUTINES, visit, &reader, 0);
	end(work);
	print(seq, work);
	return 0;
}
