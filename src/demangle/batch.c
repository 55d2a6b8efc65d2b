/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Many addresses at once.
 *
 * Look-ups at random addresses wait for memory: each one touches half a dozen
 * places of a table that is larger than any cache. In ascending order they
 * share them, tables are read on from where the last look-up stopped, and
 * neighbours often have the very same answer. So a batch is sorted first.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/limits.h"
#include "demangle/gotab.h"

#define ROW_CACHE_CNT 64 /* rows of an inline tree kept decoded; a power of two */
#define OUTSIDE 0xffffffffULL /* the key of an address in no function */
#define READ_ON_PCS 256  /* so far ahead a table is read on; further, pcindex.c jumps */

/* The tables an answer is made of. */
enum { WALK_LINE, WALK_FILE, WALK_INLINE, WALK_CNT };

static const enum gj_pctable answer_tables[WALK_CNT] = {
	[WALK_LINE] = GJ_PCTABLE_LINE,
	[WALK_FILE] = GJ_PCTABLE_FILE,
	[WALK_INLINE] = GJ_PCTABLE_INLINE,
};

struct cached_row {
	uint64_t key; /* function << 32 | row + 1; 0: empty */
	struct gj_inline_row row;
};

/* Where look-ups in ascending order stand. */
struct scan {
	const struct gj_gotab *gotab;
	struct gj_gofunc func; /* the last one found; end_va 0: none */
	struct gj_pcwalk walks[WALK_CNT];
	uint64_t last_va, same_end_va; /* the last answer's: it holds in [last_va, same_end_va) */
	struct cached_row rows[ROW_CACHE_CNT];
};

struct gj_gobatch {
	struct scan scan;
	bool with_inlines;
	uint64_t *keys, *spare; /* place in the text << 32 | number; owned */
	size_t cap;             /* of both, in keys */
	size_t cnt, done_cnt;
	const uint64_t *vas;    /* borrowed */
	bool keys_tell;
	struct gj_goframe frames[GJ_MAX_INLINE_DEPTH + 1];
	int frame_cnt;
};

int gj_gobatch_new(struct gj_gobatch **batch_out)
{
	struct gj_gobatch *batch = calloc(1, sizeof(*batch));

	if (!batch)
		return -ENOMEM;
	*batch_out = batch;
	return 0;
}

void gj_gobatch_free(struct gj_gobatch *batch)
{
	if (!batch)
		return;
	free(batch->keys);
	free(batch->spare);
	free(batch);
}

static int make_room(struct gj_gobatch *batch, size_t cnt)
{
	uint64_t *keys, *spare;

	if (cnt <= batch->cap)
		return 0;
	keys = realloc(batch->keys, cnt * sizeof(*keys));
	if (keys)
		batch->keys = keys;
	spare = realloc(batch->spare, cnt * sizeof(*spare));
	if (spare)
		batch->spare = spare;
	if (!keys || !spare)
		return -ENOMEM;
	batch->cap = cnt;
	return 0;
}

static int compare_keys(const void *left, const void *right)
{
	uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;

	return a < b ? -1 : a > b;
}

#define DIGIT_BITS 11
#define DIGIT_CNT (1u << DIGIT_BITS)
#define FEW_KEYS 512 /* below, counting digits costs more than it saves */

/* Moves keys to @to in the order of the digit at @shift. */
static void sort_digit(const uint64_t *from, uint64_t *to, size_t cnt, unsigned int shift)
{
	uint32_t places[DIGIT_CNT] = { 0 }, sum = 0;

	for (size_t i = 0; i < cnt; i++)
		places[from[i] >> shift & (DIGIT_CNT - 1)]++;
	for (unsigned int i = 0; i < DIGIT_CNT; i++) {
		uint32_t digit_cnt = places[i];

		places[i] = sum;
		sum += digit_cnt;
	}
	for (size_t i = 0; i < cnt; i++)
		to[places[from[i] >> shift & (DIGIT_CNT - 1)]++] = from[i];
}

static void sort_keys(struct gj_gobatch *batch, uint64_t all_bits)
{
	if (batch->cnt < FEW_KEYS) {
		qsort(batch->keys, batch->cnt, sizeof(*batch->keys), compare_keys);
		return;
	}
	for (unsigned int shift = 32; shift < 64 && all_bits >> shift; shift += DIGIT_BITS) {
		uint64_t *sorted = batch->spare;

		sort_digit(batch->keys, sorted, batch->cnt, shift);
		batch->spare = batch->keys;
		batch->keys = sorted;
	}
}

int gj_gobatch_start(struct gj_gobatch *batch, const struct gj_gotab *gotab,
		     const uint64_t *vas, size_t cnt, bool with_inlines)
{
	uint64_t text_bytes = gotab->end_va - gotab->begin_va, all_bits = 0;
	unsigned int coarser = 0; /* bits that the keys leave out */

	if (cnt > UINT32_MAX)
		return -E2BIG;
	if (make_room(batch, cnt))
		return -ENOMEM;
	/* Order is for speed alone: in a text that long, near is near enough. */
	while (text_bytes >> coarser >= OUTSIDE)
		coarser++;
	for (size_t i = 0; i < cnt; i++) {
		uint64_t off = vas[i] - gotab->begin_va;

		batch->keys[i] = (off < text_bytes ? off >> coarser : OUTSIDE) << 32 | i;
		all_bits |= batch->keys[i];
	}
	batch->cnt = cnt;
	batch->done_cnt = 0;
	batch->vas = vas;
	/* Where a key tells its address, the list need not be read again in an order that costs. */
	batch->keys_tell = coarser == 0;
	batch->with_inlines = with_inlines;
	if (batch->scan.gotab != gotab)
		memset(batch->scan.rows, 0, sizeof(batch->scan.rows));
	batch->scan.gotab = gotab;
	batch->scan.func.end_va = batch->scan.same_end_va = 0;
	sort_keys(batch, all_bits);
	return 0;
}

/* The function that holds @va; a new one, or a step back, starts all tables afresh. */
static int scan_func(struct scan *scan, uint64_t va)
{
	bool is_other = va < scan->func.entry_va || va >= scan->func.end_va;
	int err = 0;

	if (!is_other && va >= scan->last_va)
		return 0;
	if (is_other)
		err = gj_gotab_find_func(scan->gotab, va, &scan->func);
	if (err) {
		scan->func.end_va = 0;
		return err;
	}
	for (int i = 0; i < WALK_CNT; i++)
		gj_pcwalk_init(scan->gotab, &scan->func, answer_tables[i], &scan->walks[i]);
	return 0;
}

/* The value of one table at @va, which must not lie before the last one asked for. */
static bool scan_value(struct scan *scan, int table, uint64_t pc, int32_t *value_out)
{
	struct gj_pcwalk *walk = &scan->walks[table];

	if (!walk->pos)
		return false;
	if (pc >= walk->pc && pc - walk->pc > READ_ON_PCS)
		gj_pcindex_advance(scan->gotab, &scan->func, answer_tables[table], pc, walk);
	if (walk->pc <= pc && gj_pcwalk_to(scan->gotab, pc, walk)) {
		walk->pos = NULL;
		return false;
	}
	*value_out = (int32_t)walk->value;
	return true;
}

static int scan_row(struct scan *scan, int32_t index, const struct gj_inline_row **row_out)
{
	struct cached_row *cached = &scan->rows[index & (ROW_CACHE_CNT - 1)];
	uint64_t key = (uint64_t)scan->func.index << 32 | ((uint32_t)index + 1);

	*row_out = &cached->row;
	if (cached->key == key)
		return 0;
	cached->key = 0;
	if (gj_gotab_inline(scan->gotab, &scan->func, index, &cached->row))
		return -EBADMSG;
	cached->key = key;
	return 0;
}

/* Innermost file:line at @pc, as gj_gotab_line says it; and how far it holds. */
static void scan_line(struct scan *scan, uint64_t pc, struct gj_goframe *frame,
		      uint64_t *same_pcs)
{
	int32_t line, file_index;

	if (!scan_value(scan, WALK_LINE, pc, &line) || !scan_value(scan, WALK_FILE, pc, &file_index))
		return;
	frame->file = gj_gotab_file(scan->gotab, &scan->func, file_index);
	frame->line = frame->file ? line : 0;
	for (int i = WALK_LINE; i <= WALK_FILE; i++)
		if (scan->walks[i].pc - pc < *same_pcs)
			*same_pcs = scan->walks[i].pc - pc;
}

/* The frames of inlined calls, innermost first; afterwards @frame is the function's own. */
static int scan_inlines(struct scan *scan, uint64_t pc, struct gj_goframe *frames,
			struct gj_goframe *frame, uint64_t *same_pcs)
{
	const struct gj_goframe innermost = *frame;
	const struct gj_inline_row *row;
	int32_t index;
	int cnt = 0;

	if (!scan_value(scan, WALK_INLINE, pc, &index))
		return 0;
	if (scan->walks[WALK_INLINE].pc - pc < *same_pcs)
		*same_pcs = scan->walks[WALK_INLINE].pc - pc;
	while (index >= 0 && cnt < GJ_MAX_INLINE_DEPTH && !scan_row(scan, index, &row)) {
		frames[cnt++] = (struct gj_goframe){ row->name, frame->file, frame->line,
						     row->start_line, true };
		frame->file = row->call_file;
		frame->line = row->call_line;
		index = row->parent;
	}
	if (index < 0)
		return cnt;
	*frame = innermost;
	return 0;
}

static int scan_frames(struct scan *scan, uint64_t va, bool with_inlines,
		       struct gj_goframe *frames)
{
	struct gj_goframe frame = { 0 };
	uint64_t same_pcs = UINT64_MAX, pc;
	int cnt = 0, err = scan_func(scan, va);

	if (err)
		return err;
	pc = (va - scan->func.entry_va) >> (scan->gotab->quantum / 2);
	scan_line(scan, pc, &frame, &same_pcs);
	if (with_inlines)
		cnt = scan_inlines(scan, pc, frames, &frame, &same_pcs);
	frame.name = scan->func.name;
	frame.start_line = scan->func.start_line;
	frames[cnt++] = frame;
	/* What the tables do not say is not taken to hold beyond this address. */
	scan->last_va = va;
	scan->same_end_va = va + 1;
	if (frame.file)
		scan->same_end_va = scan->func.entry_va + (pc + same_pcs) * scan->gotab->quantum;
	if (scan->same_end_va > scan->func.end_va)
		scan->same_end_va = scan->func.end_va;
	return cnt;
}

bool gj_gobatch_next(struct gj_gobatch *batch, struct gj_goanswer *answer_out)
{
	struct scan *scan = &batch->scan;
	uint64_t key, va;

	if (batch->done_cnt == batch->cnt)
		return false;
	key = batch->keys[batch->done_cnt++];
	answer_out->index = (uint32_t)key;
	answer_out->frames = batch->frames;
	key >>= 32;
	va = batch->keys_tell ? scan->gotab->begin_va + key : batch->vas[answer_out->index];
	answer_out->is_same = va >= scan->last_va && va < scan->same_end_va;
	if (!answer_out->is_same) {
		scan->same_end_va = 0;
		batch->frame_cnt = key == OUTSIDE ? -ENOENT :
						    scan_frames(scan, va, batch->with_inlines,
								batch->frames);
	}
	answer_out->frame_cnt = batch->frame_cnt;
	return true;
}
