/* SPDX-License-Identifier: GPL-2.0 */
/*
 * pc-value tables: SP delta, file, line and inline row by address.
 *
 * A byte stream of (value delta, pc delta) varint pairs. The value starts at
 * -1, the pc at the function's entry; the value delta is zig-zag coded, the pc
 * delta counts in units of minLC; a value delta of 0 ends the table except in
 * the first pair (Go src/runtime/symtab.go, step; all releases).
 */
#include <errno.h>

#include "demangle/gotab.h"

#define PCDATA_INLTREE 2 /* Go src/internal/abi/symtab.go, PCDATA_InlTreeIndex */

static inline int32_t unzigzag(uint32_t value)
{
	return (int32_t)(value >> 1 ^ -(value & 1));
}

/* The pair at walk->pos, whatever its size. 1, 0 at the end of the table, -EBADMSG. */
static int walk_pair(struct gj_pcwalk *walk, const uint8_t *end)
{
	struct gj_cursor cur =
		gj_cursor_init((struct gj_window){ walk->pos, (size_t)(end - walk->pos) });
	uint32_t value_delta = gj_cursor_varint32(&cur), pc_delta;

	if (value_delta == 0 && walk->pc != 0 && !gj_cursor_failed(&cur))
		return 0;
	pc_delta = gj_cursor_varint32(&cur);
	if (gj_cursor_failed(&cur) || pc_delta == 0)
		return -EBADMSG;
	walk->pos = cur.pos;
	walk->value += (uint32_t)unzigzag(value_delta);
	walk->pc += pc_delta;
	return 1;
}

/*
 * Nearly all numbers are of one byte, and a few of two, in no order a
 * processor could guess; so the length of the first takes no branch. Pairs of
 * other lengths, and the first and the last of a table, go the long way.
 */
int gj_pcwalk_to(const struct gj_gotab *gotab, uint64_t pc, struct gj_pcwalk *walk)
{
	const uint8_t *end = gotab->pctab.base + gotab->pctab.size_bytes;
	/* Copies, to be kept in registers. */
	const uint8_t *pos = walk->pos;
	uint64_t at_pc = walk->pc;
	uint32_t value = walk->value;
	int got = 1;

	while (at_pc <= pc && got > 0) {
		uint32_t bytes = 0, is_two, value_delta, pc_delta;

		if (end - pos >= 4)
			memcpy(&bytes, pos, sizeof(bytes));
		is_two = bytes >> 7 & 1;
		value_delta = (bytes & 0x7f) | (bytes >> 1 & 0x3f80 & -is_two);
		pc_delta = bytes >> 8 >> (8 * is_two) & 0xff;
		if (value_delta && pc_delta && pc_delta < 0x80 && (bytes & 0x8080) != 0x8080) {
			pos += 2 + is_two;
			value += (uint32_t)unzigzag(value_delta);
			at_pc += pc_delta;
		} else {
			*walk = (struct gj_pcwalk){ pos, at_pc, value };
			got = walk_pair(walk, end);
			pos = walk->pos;
			at_pc = walk->pc;
			value = walk->value;
		}
	}
	*walk = (struct gj_pcwalk){ pos, at_pc, value };
	return got > 0 ? 0 : got ? got : -ENOENT;
}

/* Offset of the table for pcdata @index, 0 when the function has none. */
static uint32_t pcdata_off(const struct gj_gotab *gotab, const struct gj_gofunc *func,
			   uint32_t index)
{
	uint64_t off = func->pcdata_va - gotab->info.pclntab_va + 4 * (uint64_t)index;
	uint32_t table_off = 0;

	if (index < func->pcdata_cnt)
		gj_window_u32(gotab->tab, off, &table_off);
	return table_off;
}

/* Offset of a table in pctab, 0 when the function has none. */
static inline uint32_t table_off(const struct gj_gotab *gotab, const struct gj_gofunc *func,
				 enum gj_pctable table)
{
	switch (table) {
	case GJ_PCTABLE_SP:
		return func->pcsp_off;
	case GJ_PCTABLE_FILE:
		return func->pcfile_off;
	case GJ_PCTABLE_LINE:
		return func->pcln_off;
	case GJ_PCTABLE_INLINE:
		return pcdata_off(gotab, func, PCDATA_INLTREE);
	}
	return 0;
}

static inline struct gj_pcwalk walk_init(const struct gj_gotab *gotab,
					 const struct gj_gofunc *func, enum gj_pctable table)
{
	uint32_t off = table_off(gotab, func, table);

	return (struct gj_pcwalk){
		.pos = off && off < gotab->pctab.size_bytes ? gotab->pctab.base + off : NULL,
		.value = UINT32_MAX,
	};
}

void gj_pcwalk_init(const struct gj_gotab *gotab, const struct gj_gofunc *func,
		    enum gj_pctable table, struct gj_pcwalk *walk_out)
{
	*walk_out = walk_init(gotab, func, table);
}

/* Code bytes from which on a function's tables may be long enough for an index. */
#define INDEX_MIN_BYTES 256

int gj_pcvalue_find(const struct gj_gotab *gotab, const struct gj_gofunc *func,
		    enum gj_pctable table, uint64_t va, int32_t *value_out)
{
	struct gj_pcwalk walk = walk_init(gotab, func, table);
	uint64_t pc = (va - func->entry_va) >> (gotab->quantum / 2); /* minLC is 1, 2 or 4 */
	int err;

	if (!walk.pos || va < func->entry_va)
		return -ENOENT;
	if (table != GJ_PCTABLE_SP && func->end_va - func->entry_va >= INDEX_MIN_BYTES)
		gj_pcindex_advance(gotab, func, table, pc, &walk);
	err = gj_pcwalk_to(gotab, pc, &walk);
	if (err)
		return err;
	*value_out = (int32_t)walk.value;
	return 0;
}

int gj_pciter_init(const struct gj_gotab *gotab, const struct gj_gofunc *func,
		   enum gj_pctable table, struct gj_pciter *iter_out)
{
	uint32_t off = table_off(gotab, func, table);

	if (off == 0)
		return -ENOENT;
	*iter_out = (struct gj_pciter){
		.cur = gj_cursor_init(gj_window_slice(gotab->pctab, off, UINT64_MAX)),
		.next_va = func->entry_va,
		.end_va = func->end_va,
		.value = -1,
		.quantum = gotab->quantum,
		.first = true,
	};
	return 0;
}

int gj_pciter_next(struct gj_pciter *iter, struct gj_pcrow *row_out)
{
	uint32_t value_delta, pc_delta;

	if (iter->next_va >= iter->end_va)
		return 0;
	value_delta = gj_cursor_varint32(&iter->cur);
	if (value_delta == 0 && !iter->first && !gj_cursor_failed(&iter->cur))
		return 0;
	pc_delta = gj_cursor_varint32(&iter->cur);
	if (gj_cursor_failed(&iter->cur) || pc_delta == 0)
		return -EBADMSG;
	iter->first = false;
	iter->value = (int32_t)((uint32_t)iter->value + (uint32_t)unzigzag(value_delta));
	*row_out = (struct gj_pcrow){
		.start_va = iter->next_va,
		.end_va = iter->next_va + (uint64_t)pc_delta * iter->quantum,
		.value = iter->value,
	};
	iter->next_va = row_out->end_va;
	return 1;
}

int gj_gotab_sp_delta(const struct gj_gotab *gotab, const struct gj_gofunc *func, uint64_t va,
		      int32_t *delta_bytes_out)
{
	return gj_pcvalue_find(gotab, func, GJ_PCTABLE_SP, va, delta_bytes_out);
}

int32_t gj_inline_index(const struct gj_gotab *gotab, const struct gj_gofunc *func, uint64_t va)
{
	int32_t index = -1;

	if (gj_pcvalue_find(gotab, func, GJ_PCTABLE_INLINE, va, &index))
		return -1;
	return index;
}
