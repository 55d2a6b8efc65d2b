/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Places to start in long pc-value tables.
 *
 * A table says each value as a difference to the one before, so that finding
 * one means reading all before it: 260 pairs on average in Go's compiler, whose
 * code lies in large functions. The first look-up in a large function therefore
 * notes what its tables of files, lines and inlined calls say at every 128th
 * byte of its code; later ones start there, with no search. That costs 36 bytes
 * for 128 of code that is asked for: less than 4 MB for all of Go's compiler,
 * a file of 37 MB.
 *
 * Notes are made once, published whole and never changed, so that any number
 * of threads may look up in one gotab. What two threads make at the same time
 * is kept once.
 */
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/limits.h"
#include "demangle/gotab.h"

#define BLOCK_PCS 128 /* in units of minLC */
#define TABLE_CNT 3

/* The tables that have notes are those behind GJ_PCTABLE_SP. */
static inline unsigned int slot_of(enum gj_pctable table)
{
	return (unsigned int)table - GJ_PCTABLE_FILE;
}

/* What the tables say where a block begins. */
struct block {
	uint32_t off[TABLE_CNT];    /* of the next pair, in pctab; 0: the table ends before */
	uint32_t value[TABLE_CNT];
	uint32_t end_pc[TABLE_CNT]; /* where value ends, from the function's entry */
};

struct pcindex {
	struct pcindex *next; /* in the list of all, for freeing */
	struct block blocks[];
};

struct gj_pcindexes {
	_Atomic(struct pcindex *) all;
	atomic_size_t size_bytes;
	_Atomic(struct pcindex *) by_row[]; /* by row of functab; NULL: not made yet */
};

int gj_pcindexes_new(const struct gj_gotab *gotab, struct gj_pcindexes **indexes_out)
{
	/* Untouched pages of this cost nothing: a single look-up stays cheap. */
	struct gj_pcindexes *indexes =
		calloc(1, sizeof(*indexes) + gotab->info.func_cnt * sizeof(indexes->by_row[0]));

	if (!indexes)
		return -ENOMEM;
	*indexes_out = indexes;
	return 0;
}

void gj_pcindexes_free(struct gj_pcindexes *indexes)
{
	struct pcindex *index = indexes ? atomic_load(&indexes->all) : NULL;

	while (index) {
		struct pcindex *next = index->next;

		free(index);
		index = next;
	}
	free(indexes);
}

static void note_table(const struct gj_gotab *gotab, const struct gj_gofunc *func,
		       enum gj_pctable table, struct block *blocks, uint64_t block_cnt)
{
	unsigned int slot = slot_of(table);
	struct gj_pcwalk walk;

	gj_pcwalk_init(gotab, func, table, &walk);
	if (!walk.pos)
		return;
	for (uint64_t i = 0; i < block_cnt && !gj_pcwalk_to(gotab, i * BLOCK_PCS, &walk); i++) {
		blocks[i].off[slot] = (uint32_t)(walk.pos - gotab->pctab.base);
		blocks[i].value[slot] = walk.value;
		blocks[i].end_pc[slot] = (uint32_t)(walk.pc < UINT32_MAX ? walk.pc : UINT32_MAX);
	}
}

static struct pcindex *make_index(const struct gj_gotab *gotab, const struct gj_gofunc *func)
{
	uint64_t pcs = (func->end_va - func->entry_va) >> (gotab->quantum / 2);
	uint64_t block_cnt = pcs / BLOCK_PCS + 1;
	struct pcindex *index;
	size_t size_bytes;

	if (block_cnt > GJ_MAX_PCINDEX_BYTES / sizeof(index->blocks[0]) ||
	    gotab->pctab.size_bytes > UINT32_MAX)
		return NULL;
	size_bytes = sizeof(*index) + block_cnt * sizeof(index->blocks[0]);
	if (atomic_fetch_add(&gotab->indexes->size_bytes, size_bytes) + size_bytes >
	    GJ_MAX_PCINDEX_BYTES)
		return NULL;
	index = calloc(1, size_bytes);
	for (int table = GJ_PCTABLE_FILE; index && table <= GJ_PCTABLE_INLINE; table++)
		note_table(gotab, func, table, index->blocks, block_cnt);
	return index;
}

/* Makes and publishes a function's index; NULL when it cannot have one. */
static struct pcindex *add_index(const struct gj_gotab *gotab, const struct gj_gofunc *func)
{
	struct gj_pcindexes *indexes = gotab->indexes;
	struct pcindex *other = NULL, *index = NULL;

	if (atomic_load(&indexes->size_bytes) < GJ_MAX_PCINDEX_BYTES)
		index = make_index(gotab, func);
	if (!index)
		return NULL;
	if (!atomic_compare_exchange_strong(&indexes->by_row[func->index], &other, index)) {
		free(index);
		return other;
	}
	index->next = atomic_load(&indexes->all);
	while (!atomic_compare_exchange_weak(&indexes->all, &index->next, index))
		;
	return index;
}

void gj_pcindex_advance(const struct gj_gotab *gotab, const struct gj_gofunc *func,
			enum gj_pctable table, uint64_t pc, struct gj_pcwalk *walk)
{
	const struct pcindex *index = atomic_load_explicit(&gotab->indexes->by_row[func->index],
							   memory_order_acquire);
	const struct block *block;

	if (!index)
		index = add_index(gotab, func);
	if (!index || pc >= func->end_va - func->entry_va)
		return;
	block = &index->blocks[pc / BLOCK_PCS];
	if (block->off[slot_of(table)])
		*walk = (struct gj_pcwalk){
			.pos = gotab->pctab.base + block->off[slot_of(table)],
			.pc = block->end_pc[slot_of(table)],
			.value = block->value[slot_of(table)],
		};
}
