// SPDX-License-Identifier: GPL-2.0
/*
 * The two-stack sampler: runs on perf's own sampling events, before perf writes
 * its sample, and copies what of the thread's memory is needed to walk its Go
 * stacks and to name its goroutine (struct gj_stack_record, docs/abi.md).
 *
 * In two phases, since the part table stands in front of the bytes: first which
 * parts there are, then a loop that copies them page by page. Never drops perf's
 * sample.
 */
#include <linux/bpf.h>
#include <linux/bpf_perf_event.h>

#include "goruntime.bpf.h"

#define PAGE 4096u
#define RED_ZONE 128u /* below SP (System V psABI, 3.2.2) */
#define BUFFER_MASK 0x1ffffu /* 128 KiB: three stacks, g, m and labels at their largest */

/* Set before loading. */
const volatile __u32 gj_stack_bytes = GJ_STACK_MAX_BYTES; /* of each stack */
/*
 * Of the goroutine's or C's stack that the thread is on, where that is less:
 * perf's chain goes on from there. No chain leads from the runtime's own stacks
 * to the goroutine's, nor to what a signal interrupted: these are always walked.
 */
const volatile __u32 gj_slice_bytes = GJ_STACK_MAX_BYTES;

/* Where one record is put together. */
struct gj_scratch {
	__u32 part_cnt;
	__u32 open_ended; /* bit N: how far the stack of part N goes is not known */
	__u32 part, done_bytes; /* being copied: which, and how far */
	__u32 end;              /* of the record in buffer */
	__u64 words[(8 + 16 * GJ_LABEL_MAX_CNT + 16 * GJ_LABEL_MAX_CNT) / 8]; /* labels looked through */
	__u8 buffer[BUFFER_MASK + 1 + 2 * PAGE];
};

/* One per processor: an event does not interrupt another's program (bpf_prog_active). */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1); /* as many as processors, set before loading */
	__type(key, __u32);
	__type(value, struct gj_scratch);
} gj_scratches SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 8 << 20);
} gj_records SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, GJ_COUNT_CNT);
	__type(key, __u32);
	__type(value, __u64);
} gj_counts SEC(".maps");

/* Programs met that user space has said nothing of yet, with a process that runs them. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 256);
	__type(key, struct gj_exe);
	__type(value, __u32);
} gj_unknown SEC(".maps");

static __always_inline void count(enum gj_sampler_count which)
{
	__u32 key = which;
	__u64 *value = bpf_map_lookup_elem(&gj_counts, &key);

	if (value)
		*value += 1;
}

static __always_inline struct gj_stack_record *record_of(struct gj_scratch *scratch)
{
	return (struct gj_stack_record *)scratch->buffer;
}

static __always_inline void add_part(struct gj_scratch *scratch, __u64 va, __u64 bytes,
				     enum gj_part_kind kind)
{
	struct gj_stack_part *parts = (void *)(scratch->buffer + sizeof(struct gj_stack_record));
	__u32 index = scratch->part_cnt;

	if (!va || !bytes || index >= GJ_STACK_MAX_PARTS)
		return;
	parts[index & (GJ_STACK_MAX_PARTS - 1)] = (struct gj_stack_part){ va, (__u32)bytes, kind };
	scratch->part_cnt = index + 1;
}

/* Of a stack in C's hands: as much of it as there is. */
static __always_inline void add_open_stack(struct gj_scratch *scratch, __u64 va, __u64 bytes,
					   enum gj_part_kind kind)
{
	scratch->open_ended |= 1u << (scratch->part_cnt & (GJ_STACK_MAX_PARTS - 1));
	add_part(scratch, va, bytes, kind);
}

/* Where C stands: how it saved RBP may be told by a word that it has popped already. */
static __always_inline void add_c_stack(struct gj_scratch *scratch, __u64 sp)
{
	add_open_stack(scratch, sp > RED_ZONE ? sp - RED_ZONE : sp, gj_slice_bytes + RED_ZONE,
		       GJ_PART_STACK);
}

/* From @va to @end, but @most bytes, of a stack; in two parts where a page in between cannot be read. */
static __always_inline void add_stack(struct gj_scratch *scratch, __u64 va, __u64 end,
				      __u32 most, enum gj_part_kind kind)
{
	struct gj_stack_part *parts = (void *)(scratch->buffer + sizeof(struct gj_stack_record));
	__u64 bytes = end > va ? end - va : 0;
	__u32 index;

	if (bytes > most)
		bytes = most;
	add_part(scratch, va, bytes, kind);
	index = scratch->part_cnt;
	if ((va & (PAGE - 1)) + bytes <= PAGE || index >= GJ_STACK_MAX_PARTS)
		return;
	parts[index & (GJ_STACK_MAX_PARTS - 1)] = (struct gj_stack_part){ 0, 0, kind };
	scratch->part_cnt = index + 1;
}

/* The outermost part of a stack: where it was left is not known. */
static __always_inline void add_stack_top(struct gj_scratch *scratch, __u64 lo, __u64 hi,
					  enum gj_part_kind kind)
{
	if (hi > lo)
		add_stack(scratch, hi - lo > gj_stack_bytes ? hi - gj_stack_bytes : lo, hi,
			  gj_stack_bytes, kind);
}

static __always_inline void add_label(struct gj_scratch *scratch, __u64 key, __u64 key_bytes,
				      __u64 value, __u64 value_bytes)
{
	add_part(scratch, key, key_bytes < GJ_LABEL_KEY_BYTES ? key_bytes : GJ_LABEL_KEY_BYTES,
		 GJ_PART_LABELS);
	add_part(scratch, value,
		 value_bytes < GJ_LABEL_VALUE_BYTES ? value_bytes : GJ_LABEL_VALUE_BYTES,
		 GJ_PART_LABELS);
}

/* Since Go 1.24: a slice of {key, value}, both strings (src/runtime/pprof, src/internal/runtime/pprof/label). */
static __always_inline void plan_label_list(struct gj_scratch *scratch, __u64 labels)
{
	__u64 list = 0, cnt = 0, *words = scratch->words;

	if (!gj_user_u64(labels, 0, &list) || !gj_user_u64(labels, 8, &cnt) || !list)
		return;
	if (cnt > GJ_LABEL_MAX_CNT)
		cnt = GJ_LABEL_MAX_CNT;
	add_part(scratch, labels, 24, GJ_PART_LABELS);
	add_part(scratch, list, 32 * cnt, GJ_PART_LABELS);
	if (bpf_probe_read_user(words, 32 * cnt, (void *)list))
		return;
	for (__u32 i = 0; i < GJ_LABEL_MAX_CNT; i++)
		if (i < cnt)
			add_label(scratch, words[4 * i], words[4 * i + 1], words[4 * i + 2],
				  words[4 * i + 3]);
}

/*
 * Up to Go 1.23: a variable that points to a map[string]string (src/runtime/map.go):
 * hmap has its count at 0, B at 9, the buckets at 16; the only bucket of up to
 * eight entries has a byte for each, eight keys, eight values.
 */
static __always_inline void plan_label_map(struct gj_scratch *scratch, __u64 labels)
{
	__u64 map = 0, bucket = 0, *words = scratch->words;

	if (!gj_user_u64(labels, 0, &map) || !gj_user_u64(map, 16, &bucket) || !bucket)
		return;
	add_part(scratch, labels, 8, GJ_PART_LABELS);
	add_part(scratch, map, 48, GJ_PART_LABELS);
	add_part(scratch, bucket, sizeof(scratch->words), GJ_PART_LABELS);
	if (bpf_probe_read_user(words, sizeof(scratch->words), (void *)bucket))
		return;
	for (__u32 i = 0; i < GJ_LABEL_MAX_CNT; i++) {
		/* Below 5: empty or moved (minTopHash). */
		if ((words[0] >> 8 * i & 0xff) >= 5)
			add_label(scratch, words[1 + 2 * i], words[2 + 2 * i], words[17 + 2 * i],
				  words[18 + 2 * i]);
	}
}

static __always_inline void plan_labels(struct gj_scratch *scratch,
					const struct gj_goruntime *runtime,
					const struct gj_gothread *thread)
{
	__u64 labels = 0;

	if (!thread->cur || !gj_user_u64(thread->cur, runtime->g_labels, &labels) || !labels)
		return;
	record_of(scratch)->labels = labels;
	if (runtime->flags & GJ_GORUNTIME_LABEL_MAP)
		plan_label_map(scratch, labels);
	else
		plan_label_list(scratch, labels);
}

/* The runtime's own structs, as far as a walk reads them (src/stitch/runtime.c). */
static __always_inline void plan_runtime(struct gj_scratch *scratch,
					 const struct gj_goruntime *runtime,
					 const struct gj_gothread *thread)
{
	add_part(scratch, thread->m, runtime->m_bytes, GJ_PART_RUNTIME);
	if (runtime->m_vdso_sp != GJ_NO_OFFSET)
		add_part(scratch, thread->m + runtime->m_vdso_sp, 16, GJ_PART_RUNTIME);
	add_part(scratch, thread->g0, runtime->g_bytes, GJ_PART_RUNTIME);
	add_part(scratch, thread->gsignal, runtime->g_stack_hi + 8u, GJ_PART_RUNTIME);
	add_part(scratch, thread->cur, runtime->g_bytes, GJ_PART_RUNTIME);
	/* m has been taken off it; still the thread's g. */
	if (thread->g != thread->cur && thread->g != thread->g0 && thread->g != thread->gsignal)
		add_part(scratch, thread->g, runtime->g_bytes, GJ_PART_RUNTIME);
}

struct bounds {
	__u64 lo, hi;
};

static __always_inline struct bounds bounds_of(const struct gj_goruntime *runtime, __u64 g)
{
	struct bounds bounds = { 0, 0 };

	if (!gj_user_u64(g, runtime->g_stack_lo, &bounds.lo) ||
	    !gj_user_u64(g, runtime->g_stack_hi, &bounds.hi))
		bounds.lo = bounds.hi = 0;
	return bounds;
}

static __always_inline _Bool holds(const struct bounds *bounds, __u64 sp)
{
	return sp >= bounds->lo && sp < bounds->hi;
}

/* The goroutine's stack while the thread is on g0's. */
static __always_inline void plan_goroutine(struct gj_scratch *scratch,
					   const struct gj_goruntime *runtime,
					   const struct gj_gothread *thread,
					   const struct bounds *bounds)
{
	__u64 sp = 0, pc = 0;

	/* In the vdso nothing has been saved in sched; its wrapper says in m where it stood. */
	if (gj_user_u64(thread->m, runtime->m_vdso_pc, &pc) && pc &&
	    gj_user_u64(thread->m, runtime->m_vdso_sp, &sp) && holds(bounds, sp)) {
		add_stack(scratch, sp, bounds->hi, gj_stack_bytes, GJ_PART_GOROUTINE);
		return;
	}
	sp = 0;
	gj_user_u64(thread->cur, runtime->g_sched_sp, &sp);
	/* With the return address below it, by which a walk tells that mcall has saved it. */
	sp -= 8;
	if (holds(bounds, sp))
		add_stack(scratch, sp, bounds->hi, gj_stack_bytes, GJ_PART_GOROUTINE);
	else
		add_stack_top(scratch, bounds->lo, bounds->hi, GJ_PART_GOROUTINE);
}

/*
 * C that called Go is on g0's stack, from where that is taken up on. Without
 * any that is right above the thread's first frame (mstart; 40 to 56 bytes).
 * Bounds are no more than a guess where C made the thread.
 */
static __always_inline void plan_callers(struct gj_scratch *scratch,
					 const struct gj_goruntime *runtime,
					 const struct gj_gothread *thread,
					 const struct bounds *bounds)
{
	__u64 sp = 0;

	gj_user_u64(thread->g0, runtime->g_sched_sp, &sp);
	if (sp && bounds->hi - sp > 128)
		add_open_stack(scratch, sp, gj_stack_bytes, GJ_PART_SYSTEM);
}

/* A signal came on one of these stacks: where, is in its frame, which a walk reads, not we. */
static __always_inline void plan_interrupted(struct gj_scratch *scratch,
					     const struct gj_goruntime *runtime,
					     const struct gj_gothread *thread,
					     const struct bounds *cur, const struct bounds *g0)
{
	__u64 sp = 0;

	add_stack_top(scratch, cur->lo, cur->hi, GJ_PART_GOROUTINE);
	if (!(runtime->flags & GJ_GORUNTIME_CGO)) {
		add_stack_top(scratch, g0->lo, g0->hi, GJ_PART_SYSTEM);
		return;
	}
	/* C goes on below where Go left it. */
	gj_user_u64(thread->g0, runtime->g_sched_sp, &sp);
	if (sp > gj_stack_bytes / 2)
		add_open_stack(scratch, sp - gj_stack_bytes / 2, gj_stack_bytes, GJ_PART_SYSTEM);
}

static __always_inline void plan_stacks(struct gj_scratch *scratch,
					const struct gj_goruntime *runtime,
					const struct gj_gothread *thread)
{
	struct bounds cur = bounds_of(runtime, thread->cur);
	struct bounds gsignal = bounds_of(runtime, thread->gsignal);
	struct bounds g0 = bounds_of(runtime, thread->g0);
	__u64 sp = record_of(scratch)->sp;
	_Bool is_cgo = runtime->flags & GJ_GORUNTIME_CGO;

	if (holds(&cur, sp)) {
		add_stack(scratch, sp, cur.hi, gj_slice_bytes, GJ_PART_STACK);
		if (gj_slice_bytes >= gj_stack_bytes && is_cgo)
			plan_callers(scratch, runtime, thread, &g0);
	} else if (holds(&gsignal, sp)) {
		add_stack(scratch, sp, gsignal.hi, gj_stack_bytes, GJ_PART_STACK);
		plan_interrupted(scratch, runtime, thread, &cur, &g0);
	} else {
		if (!is_cgo && holds(&g0, sp))
			add_stack(scratch, sp, g0.hi, gj_stack_bytes, GJ_PART_STACK);
		else
			add_c_stack(scratch, sp);
		if (thread->cur)
			plan_goroutine(scratch, runtime, thread, &cur);
	}
}

/*
 * A page of @part, @bytes of it from @done on, cannot be read: it is not in
 * memory just now. What lies behind it goes on in the same part where nothing
 * was copied yet, else in the one kept free behind it (add_stack).
 */
static __always_inline void pass_hole(struct gj_scratch *scratch, struct gj_stack_part *part,
				      __u64 done, __u64 bytes)
{
	struct gj_stack_part *parts = (void *)(scratch->buffer + sizeof(struct gj_stack_record));
	struct gj_stack_part *next = parts + ((scratch->part + 1) & (GJ_STACK_MAX_PARTS - 1));
	__u64 behind = part->va + done + bytes, left = part->bytes - done - bytes;

	/* An end not known: here it is. */
	if (part->kind > GJ_PART_SYSTEM ||
	    (done && scratch->open_ended >> (scratch->part & (GJ_STACK_MAX_PARTS - 1)) & 1)) {
		part->bytes = done;
		return;
	}
	if (part->kind != GJ_PART_STACK || behind > record_of(scratch)->sp)
		record_of(scratch)->flags |= GJ_STACK_SHORT;
	if (!done) {
		part->va = behind;
		part->bytes = left;
		return;
	}
	part->bytes = done;
	if (scratch->part + 1 < scratch->part_cnt && !next->va) {
		next->va = behind;
		next->bytes = left;
	}
}

/* Copies up to the end of one page; 1 when all is copied (bpf_loop). */
static long copy_page(__u32 turn, void *data)
{
	struct gj_scratch *scratch = *(struct gj_scratch **)data;
	struct gj_stack_part *part = (void *)(scratch->buffer + sizeof(struct gj_stack_record));
	__u64 end = scratch->end, done = scratch->done_bytes, room, bytes;

	(void)turn;
	if (scratch->part >= scratch->part_cnt || end > BUFFER_MASK)
		return 1;
	part += scratch->part & (GJ_STACK_MAX_PARTS - 1);
	bytes = part->bytes - done;
	room = PAGE - ((part->va + done) & (PAGE - 1));
	if (bytes > room)
		bytes = room;
	end &= BUFFER_MASK;
	/* Never more than a page; without this the compiler knows that, but not the verifier. */
	asm volatile("" : "+r"(bytes));
	bytes &= 2 * PAGE - 1;
	/* What pads the part to whole words. */
	*(__u64 *)(scratch->buffer + ((end + bytes) & (BUFFER_MASK & ~7u))) = 0;
	if (bpf_probe_read_user(scratch->buffer + end, bytes, (void *)(part->va + done))) {
		pass_hole(scratch, part, done, bytes);
		bytes = 0;
	}
	end += bytes;
	done += bytes;
	if (done == part->bytes) {
		scratch->part++;
		done = 0;
		end = (end + 7) & ~7u;
	}
	scratch->done_bytes = done;
	scratch->end = end;
	return 0;
}

static __always_inline void write_record(struct gj_scratch *scratch)
{
	struct gj_stack_record *record = record_of(scratch);
	__u32 end;

	scratch->part = scratch->done_bytes = 0;
	scratch->end = sizeof(*record) + scratch->part_cnt * sizeof(struct gj_stack_part);
	/* Each part may cross a page; three are stacks. */
	bpf_loop(2 * GJ_STACK_MAX_PARTS + 3 * (GJ_STACK_MAX_BYTES / PAGE + 2), copy_page, &scratch, 0);
	end = scratch->end;
	if (end > BUFFER_MASK)
		end = BUFFER_MASK & ~7u;
	record->bytes = end;
	record->part_cnt = scratch->part_cnt;
	if (bpf_ringbuf_output(&gj_records, record, end, BPF_RB_NO_WAKEUP)) {
		count(GJ_COUNT_LOST);
		return;
	}
	count(GJ_COUNT_RECORDS);
	if (!(record->flags & GJ_STACK_G_READ))
		count(GJ_COUNT_NO_G);
	if (record->flags & GJ_STACK_SHORT)
		count(GJ_COUNT_SHORT);
}

/* Registers by name: pt_regs of include/uapi is what the kernel's own is, on amd64. */
#define COPY_REGS(record, regs)                  \
	do {                                     \
		(record)->ip = (regs)->rip;      \
		(record)->sp = (regs)->rsp;      \
		(record)->bp = (regs)->rbp;      \
		(record)->bx = (regs)->rbx;      \
		(record)->r12 = (regs)->r12;     \
		(record)->r13 = (regs)->r13;     \
		(record)->r14 = (regs)->r14;     \
		(record)->r15 = (regs)->r15;     \
	} while (0)

/* User registers; false when there are none. */
static __always_inline _Bool take_regs(struct bpf_perf_event_data *ctx,
				       struct gj_stack_record *record)
{
	struct pt_regs regs;

	if (ctx->regs.cs & 3) {
		COPY_REGS(record, &ctx->regs);
		return 1;
	}
	record->flags = GJ_STACK_KERNEL;
	if (bpf_probe_read_kernel(&regs, sizeof(regs),
				  (void *)bpf_task_pt_regs(bpf_get_current_task_btf())))
		return 0;
	COPY_REGS(record, &regs);
	return regs.rip != 0;
}

static __always_inline void fill_head(struct gj_stack_record *record, __u64 pid_tid,
				      const struct gj_gothread *thread)
{
	record->time_ns = bpf_ktime_get_ns();
	record->pid = pid_tid >> 32;
	record->tid = (__u32)pid_tid;
	record->cpu = bpf_get_smp_processor_id();
	record->reserved = 0;
	record->g = thread->g;
	record->m = thread->m;
	record->curg = thread->curg;
	record->goid = thread->goid;
	record->labels = 0;
}

/* Asks user space for a program, and wakes it: until it answers nothing can be recorded. */
static __always_inline void ask(const struct gj_exe *exe, __u32 tgid)
{
	__u64 nothing = 0;

	if (!tgid || !exe->ino || bpf_map_update_elem(&gj_unknown, exe, &tgid, BPF_NOEXIST))
		return;
	bpf_ringbuf_output(&gj_records, &nothing, sizeof(nothing), BPF_RB_FORCE_WAKEUP);
}

SEC("perf_event")
int gj_sample(struct bpf_perf_event_data *ctx)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	__u32 cpu = bpf_get_smp_processor_id();
	const struct gj_goruntime *runtime;
	struct gj_gothread thread;
	struct gj_scratch *scratch;
	struct gj_exe exe = { 0 };
	__u64 pid_tid;

	if (!BPF_CORE_READ(task, mm)) {
		count(GJ_COUNT_NO_USER);
		return 1;
	}
	pid_tid = gj_current_pid_tid(task);
	/* Outside our pid namespace: perf's sample has no number either, and no name. */
	if (!pid_tid) {
		count(GJ_COUNT_OTHER);
		return 1;
	}
	runtime = gj_goruntime_find(task, pid_tid >> 32, &exe);
	if (!runtime || runtime->flags & GJ_GORUNTIME_NONE) {
		if (!runtime)
			ask(&exe, pid_tid >> 32);
		count(GJ_COUNT_OTHER);
		return 1;
	}
	scratch = bpf_map_lookup_elem(&gj_scratches, &cpu);
	if (!scratch)
		return 1;
	scratch->part_cnt = scratch->open_ended = 0;
	record_of(scratch)->flags = 0;
	if (!take_regs(ctx, record_of(scratch))) {
		count(GJ_COUNT_NO_USER);
		return 1;
	}
	record_of(scratch)->flags |= GJ_STACK_GO;
	if (gj_gothread_read(task, runtime, &thread)) {
		record_of(scratch)->flags |= GJ_STACK_G_READ;
		fill_head(record_of(scratch), pid_tid, &thread);
		plan_runtime(scratch, runtime, &thread);
		plan_stacks(scratch, runtime, &thread);
		plan_labels(scratch, runtime, &thread);
	} else {
		__builtin_memset(&thread, 0, sizeof(thread));
		fill_head(record_of(scratch), pid_tid, &thread);
		add_c_stack(scratch, record_of(scratch)->sp);
	}
	write_record(scratch);
	return 1;
}

/* Run once by the loader, as itself. */
SEC("syscall")
int gj_find_level(void *ctx)
{
	(void)ctx;
	gj_pid_begin((void *)bpf_get_current_task());
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
