/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The two-stack sampler's records: an index of them by thread and time, and the
 * one that belongs to a sample of perf's.
 *
 * Both were made in one interrupt, each with its own look at the clock, so a
 * time alone does not name the record: the registers have to be the same.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/limits.h"
#include "sample/sample.h"

/* PERF_REG_X86_*, in the order of their numbers (arch/x86/include/uapi/asm/perf_regs.h). */
enum { REG_BX = 1, REG_BP = 6, REG_SP = 7, REG_IP = 8, REG_R12 = 20, REG_R13, REG_R14, REG_R15 };
#define REG_CNT 8
#define REG_MASK (1u << REG_BX | 1u << REG_BP | 1u << REG_SP | 1u << REG_IP | 0xfu << REG_R12)

/* Record number n of the body, by thread and then by time. */
struct slot {
	uint64_t time_ns;
	uint64_t off; /* in the body; a multiple of 8, so bit 0 tells that it was found */
	uint32_t pid, tid;
};
#define IS_USED 1u

struct gj_stack_records {
	struct gj_window body;
	struct slot *slots; /* owned */
	size_t slot_cnt, slot_cap;
	void (*passed)(void *data, struct gj_window bytes);
	void *passed_data;
	uint64_t passed_off; /* of the body */
	/* Of the record found last. */
	struct gj_stack_part *parts; /* owned, room for max_parts */
	const uint8_t **bytes;       /* owned, room for max_parts */
	size_t max_parts;
	uint64_t values[REG_CNT];
};

static uint64_t padded(uint32_t bytes)
{
	return ((uint64_t)bytes + 7) & ~7ULL;
}

/* Whether a record's parts are what its size says. */
static bool holds_parts(struct gj_window bytes, const struct gj_stack_record *head)
{
	struct gj_cursor cur = gj_cursor_init(bytes);
	uint64_t sum = sizeof(*head) + head->part_cnt * sizeof(struct gj_stack_part);

	gj_cursor_take(&cur, sizeof(*head));
	for (unsigned int i = 0; i < head->part_cnt; i++) {
		struct gj_stack_part part;

		gj_cursor_read(&cur, &part, sizeof(part));
		sum += padded(part.bytes);
		if (part.va > UINT64_MAX - part.bytes)
			return false;
	}
	return !gj_cursor_failed(&cur) && sum == bytes.size_bytes;
}

/* The record at @off; empty when there is none to step over. */
static struct gj_window record_at(struct gj_window body, uint64_t off,
				  struct gj_stack_record *head_out)
{
	if (!gj_window_read(body, off, head_out, sizeof(*head_out)) || head_out->bytes & 7 ||
	    head_out->bytes < sizeof(*head_out) || !gj_window_holds(body, off, head_out->bytes))
		return (struct gj_window){ NULL, 0 };
	return gj_window_slice(body, off, head_out->bytes);
}

static bool add(struct gj_stack_records *records, const struct gj_stack_record *head, uint64_t off)
{
	if (records->slot_cnt == records->slot_cap) {
		size_t cap = records->slot_cap ? records->slot_cap * 2 : 1024;
		struct slot *slots = reallocarray(records->slots, cap, sizeof(*slots));

		if (!slots)
			return false;
		records->slots = slots;
		records->slot_cap = cap;
	}
	records->slots[records->slot_cnt++] = (struct slot){
		.time_ns = head->time_ns, .off = off, .pid = head->pid, .tid = head->tid,
	};
	if (head->part_cnt > records->max_parts)
		records->max_parts = head->part_cnt;
	return true;
}

#define PASS_BYTES (4u << 20)

/* @off: everything before it has been looked at. */
static void pass(struct gj_stack_records *records, uint64_t off, uint64_t least_bytes)
{
	if (!records->passed || off < records->passed_off + least_bytes)
		return;
	records->passed(records->passed_data,
			gj_window_slice(records->body, records->passed_off,
					off - records->passed_off));
	records->passed_off = off;
}

/* Steps over records whose parts are not what their size says. */
static int read_all(struct gj_stack_records *records, struct gj_diag *diag)
{
	size_t broken_cnt = 0;
	uint64_t off = 0;

	while (off < records->body.size_bytes) {
		struct gj_stack_record head;
		struct gj_window bytes = record_at(records->body, off, &head);

		if (!bytes.size_bytes)
			return gj_diag_set(diag, -EBADMSG,
					   "the stacks behind the recording are damaged after %zu of them; the samples without show what perf recorded",
					   records->slot_cnt);
		if (!holds_parts(bytes, &head))
			broken_cnt++;
		else if (!add(records, &head, off))
			return -ENOMEM;
		off += bytes.size_bytes;
		pass(records, off, PASS_BYTES);
	}
	if (!broken_cnt)
		return 0;
	return gj_diag_set(diag, -EBADMSG,
			   "%zu of the stacks behind the recording are damaged; their samples show what perf recorded",
			   broken_cnt);
}

static int compare(const void *a, const void *b)
{
	const struct slot *left = a, *right = b;

	if (left->tid != right->tid)
		return left->tid < right->tid ? -1 : 1;
	if (left->time_ns != right->time_ns)
		return left->time_ns < right->time_ns ? -1 : 1;
	return 0;
}

int gj_stack_records_new(struct gj_window file,
			 void (*passed)(void *data, struct gj_window bytes), void *data,
			 struct gj_stack_records **records_out, struct gj_diag *diag)
{
	struct gj_stack_records *records;
	struct gj_window body;
	int err = gj_perf_file_trailer(file, GJ_STACKS_MAGIC, &body), read_err;

	if (err == -EBADMSG)
		return gj_diag_set(diag, err, "the stacks behind the recording are cut short; going on without them");
	if (err)
		return err;
	records = calloc(1, sizeof(*records));
	if (!records)
		return -ENOMEM;
	*records = (struct gj_stack_records){ .body = body, .passed = passed, .passed_data = data };
	read_err = read_all(records, diag);
	if (records->slot_cnt)
		qsort(records->slots, records->slot_cnt, sizeof(*records->slots), compare);
	/* One more: there may be none at all. */
	records->parts = calloc(records->max_parts + 1, sizeof(*records->parts));
	records->bytes = calloc(records->max_parts + 1, sizeof(*records->bytes));
	if (read_err == -ENOMEM || !records->parts || !records->bytes) {
		gj_stack_records_free(records);
		return -ENOMEM;
	}
	pass(records, body.size_bytes, 0);
	records->passed_off = 0;
	*records_out = records;
	return read_err;
}

void gj_stack_records_free(struct gj_stack_records *records)
{
	if (!records)
		return;
	free(records->slots);
	free(records->parts);
	free(records->bytes);
	free(records);
}

size_t gj_stack_records_cnt(const struct gj_stack_records *records)
{
	return records->slot_cnt;
}

/* The first slot of @tid at or after @time_ns, or the place where it would stand. */
static size_t find_slot(const struct gj_stack_records *records, uint32_t tid, uint64_t time_ns)
{
	const struct slot key = { .time_ns = time_ns, .tid = tid };
	size_t low = 0, high = records->slot_cnt;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (compare(&records->slots[middle], &key) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static void values_of(const struct gj_stack_record *head, uint64_t values_out[REG_CNT])
{
	const uint64_t values[REG_CNT] = { head->bx, head->bp, head->sp, head->ip,
					   head->r12, head->r13, head->r14, head->r15 };

	memcpy(values_out, values, sizeof(values));
}

/* Whether the registers that both have are equal, IP and SP among them. */
static bool agrees(const struct gj_sample *sample, const uint64_t values[REG_CNT])
{
	uint64_t both = sample->regs.mask & REG_MASK;

	if (!sample->regs.values || ~both & (1u << REG_IP | 1u << REG_SP))
		return false;
	for (; both; both &= both - 1) {
		uint64_t below = (both & -both) - 1, value;

		memcpy(&value, sample->regs.values + __builtin_popcountll(sample->regs.mask & below),
		       sizeof(value));
		if (value != values[__builtin_popcountll(REG_MASK & below)])
			return false;
	}
	return true;
}

/* Whether @slot is the sample's own; then its head is in @head_out and its registers in records->values. */
static bool fits(struct gj_stack_records *records, const struct slot *slot,
		 const struct gj_sample *sample, struct gj_stack_record *head_out)
{
	if (slot->off & IS_USED || slot->pid != sample->pid ||
	    !gj_window_read(records->body, slot->off, head_out, sizeof(*head_out)))
		return false;
	values_of(head_out, records->values);
	return agrees(sample, records->values);
}

static uint64_t distance(uint64_t a_ns, uint64_t b_ns)
{
	return a_ns < b_ns ? b_ns - a_ns : a_ns - b_ns;
}

/* Whether slot @index is there, of @sample's thread and near it in time. */
static bool is_near(const struct gj_stack_records *records, size_t index,
		    const struct gj_sample *sample)
{
	return index < records->slot_cnt && records->slots[index].tid == sample->tid &&
	       distance(records->slots[index].time_ns, sample->time_ns) < GJ_STACK_NEAR_NS;
}

/* The slot of the sample's record, from the nearest in time outwards; NULL when there is none. */
static struct slot *find_own(struct gj_stack_records *records, const struct gj_sample *sample,
			     struct gj_stack_record *head_out)
{
	size_t after = find_slot(records, sample->tid, sample->time_ns), before = after - 1;

	for (unsigned int i = 0; i < GJ_MAX_STACK_TRIES; i++) {
		bool has_after = is_near(records, after, sample);
		bool has_before = is_near(records, before, sample);
		struct slot *slot;

		if (!has_after && !has_before)
			break;
		if (has_after && (!has_before ||
				  distance(records->slots[after].time_ns, sample->time_ns) <
					  distance(records->slots[before].time_ns, sample->time_ns)))
			slot = &records->slots[after++];
		else
			slot = &records->slots[before--];
		if (fits(records, slot, sample, head_out))
			return slot;
	}
	return NULL;
}

static void take_parts(struct gj_stack_records *records, const struct gj_stack_record *head,
		       uint64_t off)
{
	struct gj_cursor cur = gj_cursor_init(gj_window_slice(records->body, off, head->bytes));

	gj_cursor_take(&cur, sizeof(*head));
	for (unsigned int i = 0; i < head->part_cnt; i++)
		gj_cursor_read(&cur, &records->parts[i], sizeof(records->parts[i]));
	for (unsigned int i = 0; i < head->part_cnt; i++)
		records->bytes[i] = gj_cursor_take(&cur, padded(records->parts[i].bytes));
}

bool gj_stack_records_find(struct gj_stack_records *records, const struct gj_sample *sample,
			   struct gj_stack_sample *found_out)
{
	struct gj_stack_record head;
	struct slot *slot = sample->has_time ? find_own(records, sample, &head) : NULL;

	if (!slot)
		return false;
	take_parts(records, &head, slot->off);
	/* Samples come in time order and so, by and large, do records: some of those before may yet be asked for. */
	if (slot->off > PASS_BYTES)
		pass(records, slot->off - PASS_BYTES, PASS_BYTES);
	slot->off |= IS_USED;
	*found_out = (struct gj_stack_sample){
		.record = head,
		.parts = records->parts,
		.bytes = records->bytes,
		.regs = { .mask = REG_MASK, .values = records->values },
	};
	return true;
}

int gj_stack_sample_read(const struct gj_stack_sample *sample, uint64_t va, void *bytes_out,
			 size_t size_bytes)
{
	uint8_t *to = bytes_out;

	/* Each round reads a byte at least; parts may border on each other. */
	for (unsigned int i = 0; size_bytes && i < sample->record.part_cnt;) {
		uint64_t off = va - sample->parts[i].va;
		struct gj_window bytes = { sample->bytes[i], sample->parts[i].bytes };
		size_t here;

		if (off >= bytes.size_bytes) {
			i++;
			continue;
		}
		here = bytes.size_bytes - off < size_bytes ? bytes.size_bytes - off : size_bytes;
		gj_window_read(bytes, off, to, here);
		to += here;
		va += here;
		size_bytes -= here;
		i = 0;
	}
	return size_bytes ? -EFAULT : 0;
}
