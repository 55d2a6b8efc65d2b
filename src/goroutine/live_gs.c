/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The goroutines of a process that runs on: runtime.allgs, a slice of pointers
 * to every g there ever was (Go src/runtime/proc.go). g structs are never
 * freed, only used again, so a pointer once seen stays good; what can tear is
 * the slice while it grows and a g while it is given to a new goroutine.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/limits.h"
#include "goroutine/live.h"

/* g.atomicstatus without the scan bit (Go src/runtime/runtime2.go) */
#define STATUS_BITS 0xfffu
#define STATUS_IDLE 0u
#define STATUS_DEAD 6u
#define STATUS_DEAD_EXTRA 11u /* 1.26: a g that waits for a C thread */
#define STATUS_LAST 11u

/* runtime.maxstacksize is at most 1 GB on 64 bits unless raised by debug.SetMaxStack. */
#define MAX_STACK_BYTES (UINT64_C(1) << 40)

/* The part of g that is read, in one piece: up to the last field wanted. */
#define MAX_G_BYTES 1024

/*
 * gs stand close together in their spans, so one stretch of memory holds many:
 * two belong to the same stretch when less than this lies between them.
 */
#define MAX_GAP_BYTES 1024

/* Bytes read in one go; two copies, the second to see what changed. */
#define BATCH_BYTES (1u << 20)

/* gs that may fit: no g is smaller than 256 bytes. */
#define BATCH_GS (BATCH_BYTES / 256)

struct slice {
	uint64_t va, cnt, cap;
};

/* A goroutine of a batch: where its bytes stand in both copies. */
struct place {
	uint64_t va;
	size_t off, part;
};

struct batch {
	struct gj_memory_part parts[GJ_MEMORY_MAX_PARTS];
	struct place gs[BATCH_GS];
	size_t part_cnt, g_cnt, size_bytes;
	uint8_t first[BATCH_BYTES], second[BATCH_BYTES];
};

static int explain(int err, const struct gj_target *target, struct gj_diag *diag)
{
	if (err == -ESRCH)
		return gj_diag_set(diag, err, "process %u is gone", target->pid);
	if (err == -EPERM)
		return gj_diag_set(diag, err,
				   "process %u: no permission to read its memory; run as root or give the command CAP_SYS_PTRACE",
				   target->pid);
	if (err == -EFAULT)
		return gj_diag_set(diag, -EBADMSG,
				   "process %u: its goroutine list leads to memory that is not there",
				   target->pid);
	return gj_diag_set(diag, err, "process %u: cannot read its memory: %s", target->pid,
			   strerror(-err));
}

static int read_slice(const struct gj_target *target, struct slice *slice, struct gj_diag *diag)
{
	int err = gj_memory_read(target->pid, target->allgs_va, slice, sizeof(*slice));

	if (err)
		return explain(err, target, diag);
	if (slice->cnt > GJ_MAX_GOROUTINES)
		return gj_diag_set(diag, -E2BIG,
				   "process %u: %llu goroutines, more than %u; its list may have been misread",
				   target->pid, (unsigned long long)slice->cnt, GJ_MAX_GOROUTINES);
	return 0;
}

/* A copy of the slice's words, to be freed; read again when the slice grew meanwhile. */
static int read_pointers(const struct gj_target *target, uint64_t **pointers_out, size_t *cnt_out,
			 struct gj_diag *diag)
{
	for (int tries = 0; tries < GJ_MAX_REREADS; tries++) {
		struct slice before, after;
		uint64_t *pointers;
		int err = read_slice(target, &before, diag);

		if (err)
			return err;
		if (before.cnt > before.cap)
			continue; /* caught between its two words */
		pointers = malloc(before.cnt ? before.cnt * sizeof(*pointers) : 1);
		if (!pointers)
			return -ENOMEM;
		err = before.cnt ? gj_memory_read(target->pid, before.va, pointers,
						  before.cnt * sizeof(*pointers)) : 0;
		if (err != -ESRCH && err != -EPERM && !read_slice(target, &after, NULL) &&
		    after.va != before.va) {
			free(pointers);
			continue;
		}
		if (err) {
			free(pointers);
			return explain(err, target, diag);
		}
		*pointers_out = pointers;
		*cnt_out = before.cnt;
		return 0;
	}
	return gj_diag_set(diag, -EAGAIN,
			   "process %u: its list of goroutines changes faster than it can be read",
			   target->pid);
}

static uint64_t word_at(const uint8_t *g, int32_t off)
{
	uint64_t value = 0;

	if (off >= 0)
		memcpy(&value, g + off, sizeof(value));
	return value;
}

static struct gj_trail_g decode(const struct gj_goffsets *offsets, uint64_t va, const uint8_t *g)
{
	return (struct gj_trail_g){
		.g = va,
		.goid = word_at(g, offsets->g_goid),
		.stack_lo = word_at(g, offsets->g_stack_lo),
		.stack_hi = word_at(g, offsets->g_stack_hi),
		.start_pc = word_at(g, offsets->g_startpc),
		.status = (uint32_t)word_at(g, offsets->g_status) & STATUS_BITS,
		.waitreason = (uint8_t)word_at(g, offsets->g_waitreason),
	};
}

/* How many bytes of a g hold every field that decode() reads. */
static size_t g_bytes(const struct gj_goffsets *offsets)
{
	const int32_t offs[] = { offsets->g_goid,    offsets->g_stack_lo, offsets->g_stack_hi,
				 offsets->g_startpc, offsets->g_status,   offsets->g_waitreason };
	size_t size_bytes = 0;

	for (size_t i = 0; i < sizeof(offs) / sizeof(offs[0]); i++)
		if (offs[i] >= 0 && (size_t)offs[i] + 8 > size_bytes)
			size_bytes = (size_t)offs[i] + 8;
	return size_bytes;
}

static bool is_alive(const struct gj_trail_g *g)
{
	return g->status != STATUS_IDLE && g->status != STATUS_DEAD &&
	       g->status != STATUS_DEAD_EXTRA;
}

static bool is_sane(const struct gj_trail_g *g)
{
	return g->goid && g->status <= STATUS_LAST && g->stack_lo < g->stack_hi &&
	       !(g->stack_lo & 7) && !(g->stack_hi & 7) &&
	       g->stack_hi - g->stack_lo <= MAX_STACK_BYTES;
}

/*
 * Two readings that name the same goroutine on the same stack, so that neither
 * is half of one and half of another. What is left: a g that was just given away
 * and bears the id before for some instructions more, while its status says
 * alive (newproc1, up to Go 1.23). Nothing has run on it yet.
 */
static bool is_settled(const struct gj_trail_g *a, const struct gj_trail_g *b)
{
	return a->goid == b->goid && is_alive(a) == is_alive(b) && a->stack_lo == b->stack_lo &&
	       a->stack_hi == b->stack_hi;
}

/* Reads one g until two readings agree; false when it died, or never settles. */
static bool settle(const struct gj_target *target, uint64_t va, struct gj_trail_g *g_out)
{
	struct gj_trail_g before = { 0 }, now;
	uint8_t bytes[MAX_G_BYTES];

	for (int tries = 0; tries < GJ_MAX_REREADS; tries++) {
		if (gj_memory_read(target->pid, va, bytes, g_bytes(&target->offsets)))
			return false;
		now = decode(&target->offsets, va, bytes);
		if (tries && is_settled(&before, &now)) {
			*g_out = now;
			return is_alive(&now) && is_sane(&now);
		}
		before = now;
	}
	return false;
}

/* Makes the next of @pointers part of @batch; false when it is full. */
static bool plan_g(struct batch *batch, uint64_t va, size_t g_size)
{
	struct gj_memory_part *part = &batch->parts[batch->part_cnt ? batch->part_cnt - 1 : 0];
	uint64_t end_va = batch->part_cnt ? part->va + part->size_bytes : 0;
	bool is_near = batch->part_cnt && va >= part->va && va <= end_va + MAX_GAP_BYTES;
	size_t more = g_size;

	if (is_near)
		more = va + g_size > end_va ? va + g_size - end_va : 0;
	if (batch->g_cnt == BATCH_GS || more > BATCH_BYTES - batch->size_bytes ||
	    (!is_near && batch->part_cnt == GJ_MEMORY_MAX_PARTS))
		return false;
	if (!is_near) {
		part = &batch->parts[batch->part_cnt++];
		*part = (struct gj_memory_part){ .va = va };
	}
	part->size_bytes += more;
	batch->size_bytes += more;
	batch->gs[batch->g_cnt++] = (struct place){
		va, batch->size_bytes - part->size_bytes + (va - part->va), batch->part_cnt - 1,
	};
	return true;
}

/* Plans as many of the sorted @pointers as fit; returns how many it went through. */
static size_t plan_batch(struct batch *batch, const uint64_t *pointers, size_t cnt, size_t g_size)
{
	size_t i;

	batch->part_cnt = batch->g_cnt = batch->size_bytes = 0;
	for (i = 0; i < cnt; i++) {
		bool is_g = pointers[i] && !(pointers[i] & 7) &&
			    pointers[i] <= UINT64_MAX - BATCH_BYTES &&
			    !(i && pointers[i] == pointers[i - 1]);

		if (is_g && !plan_g(batch, pointers[i], g_size))
			break;
	}
	return i;
}

static int read_batch(const struct gj_target *target, struct batch *batch, struct gj_buf *out)
{
	int err = gj_memory_read_many(target->pid, batch->parts, batch->part_cnt, batch->first);

	if (!err)
		err = gj_memory_read_many(target->pid, batch->parts, batch->part_cnt,
					  batch->second);
	if (err)
		return err;
	for (size_t i = 0; i < batch->g_cnt; i++) {
		const struct place *place = &batch->gs[i];
		struct gj_trail_g first = decode(&target->offsets, place->va,
						 batch->first + place->off);
		struct gj_trail_g g = decode(&target->offsets, place->va,
					     batch->second + place->off);

		if (batch->parts[place->part].is_read && is_settled(&first, &g) ?
			    is_alive(&g) && is_sane(&g) :
			    settle(target, place->va, &g))
			gj_buf_add(out, &g, sizeof(g));
	}
	return 0;
}

static int by_value(const void *a, const void *b)
{
	const uint64_t *one = a, *other = b;

	return *one < *other ? -1 : *one > *other;
}

int gj_target_add_gs(const struct gj_target *target, struct gj_buf *out, uint32_t *cnt_out,
		     struct gj_diag *diag)
{
	size_t begin_bytes = out->size_bytes, cnt = 0;
	uint64_t *pointers = NULL;
	struct batch *batch = malloc(sizeof(*batch));
	int err = batch ? read_pointers(target, &pointers, &cnt, diag) : -ENOMEM;

	if (!err)
		qsort(pointers, cnt, sizeof(*pointers), by_value);
	for (size_t i = 0; !err && i < cnt;) {
		i += plan_batch(batch, pointers + i, cnt - i, g_bytes(&target->offsets));
		err = read_batch(target, batch, out);
		if (err)
			err = explain(err, target, diag);
	}
	if (!err && out->failed)
		err = -ENOMEM;
	if (!err)
		*cnt_out = (uint32_t)((out->size_bytes - begin_bytes) / sizeof(struct gj_trail_g));
	free(pointers);
	free(batch);
	return err;
}

/* A goroutine's stack is a power of two (Go src/runtime/stack.go); a dead one may have none. */
static bool has_stack(const struct gj_trail_g *g)
{
	uint64_t bytes = g->stack_hi - g->stack_lo;

	return g->status == STATUS_DEAD || (g->stack_lo && bytes >= 2048 && !(bytes & (bytes - 1)));
}

/*
 * newproc makes the main goroutine first, and allgs is never put in another order.
 * In a library it ends with initialization (runtime.main), and its g may be
 * another's by now.
 */
static bool is_first(const struct gj_target *target, const struct gj_trail_g *g)
{
	return g->status <= STATUS_LAST && (g->goid == 1 || (target->is_library && has_stack(g)));
}

int gj_target_check(const struct gj_target *target, struct gj_diag *diag)
{
	struct gj_trail_g g;
	uint8_t bytes[MAX_G_BYTES];
	struct slice slice;
	uint64_t first_va;
	int err;

	if (g_bytes(&target->offsets) > MAX_G_BYTES)
		return gj_diag_set(diag, -EBADMSG, "process %u: offsets beyond any g", target->pid);
	err = read_slice(target, &slice, diag);
	if (err)
		return err;
	if (!slice.cnt)
		return gj_diag_set(diag, -EAGAIN, "process %u: its Go runtime has not started yet",
				   target->pid);
	err = gj_memory_read(target->pid, slice.va, &first_va, sizeof(first_va));
	if (!err)
		err = gj_memory_read(target->pid, first_va, bytes, g_bytes(&target->offsets));
	if (err)
		return explain(err, target, diag);
	g = decode(&target->offsets, first_va, bytes);
	if (g.goid == 0)
		return gj_diag_set(diag, -EAGAIN, "process %u: its Go runtime has not started yet",
				   target->pid);
	if (!is_first(target, &g))
		return gj_diag_set(diag, -EBADMSG,
				   "process %u: its first goroutine would be number %llu by the offsets found (%s), not 1; nothing it holds can be trusted",
				   target->pid, (unsigned long long)g.goid, target->offsets.source);
	return 0;
}
