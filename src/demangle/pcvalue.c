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
	return (int32_t)(value & 1 ? ~(value >> 1) : value >> 1);
}

/*
 * One varint of at most five bytes. @pos must have five bytes left to read;
 * the single-byte case, nearly all of them, is taken first.
 */
static inline const uint8_t *take_varint(const uint8_t *pos, uint32_t *value_out)
{
	uint32_t value = *pos++;
	unsigned int shift = 7;

	if (value >= 0x80) {
		value &= 0x7f;
		for (;;) {
			uint32_t byte = *pos++;

			value |= (byte & 0x7f) << shift;
			shift += 7;
			if (byte < 0x80)
				break;
			if (shift >= 35)
				return NULL;
		}
	}
	*value_out = value;
	return pos;
}

#define PAIR_MAX_BYTES 10

/* Where a walk over a table stands: @value holds from @pc to where the pair at @pos says. */
struct walk {
	const uint8_t *pos;
	uint64_t pc;    /* from the function's entry, in units of minLC */
	uint32_t value; /* sums wrap as Go's int32 does */
};

/*
 * Decodes the pair at walk->pos. 1: *walk holds the value wanted, 0: it stands
 * behind the pair, -ENOENT at the end of the table, -EBADMSG.
 */
static inline int walk_pair(struct walk *walk, uint64_t wanted)
{
	uint32_t value_delta, pc_delta;
	const uint8_t *pos = take_varint(walk->pos, &value_delta);

	if (!pos || (value_delta == 0 && walk->pc != 0))
		return pos ? -ENOENT : -EBADMSG;
	pos = take_varint(pos, &pc_delta);
	if (!pos || pc_delta == 0)
		return -EBADMSG;
	walk->pos = pos;
	walk->value += (uint32_t)unzigzag(value_delta);
	walk->pc += pc_delta;
	return wanted < walk->pc;
}

/* As walk_pair, with a check of every byte: the last ones of all tables. */
static int walk_last_pairs(struct walk *walk, const uint8_t *end, uint64_t wanted)
{
	struct gj_cursor cur =
		gj_cursor_init((struct gj_window){ walk->pos, (size_t)(end - walk->pos) });

	do {
		uint32_t value_delta = gj_cursor_varint32(&cur);
		uint32_t pc_delta;

		if (value_delta == 0 && walk->pc != 0 && !gj_cursor_failed(&cur))
			return -ENOENT;
		pc_delta = gj_cursor_varint32(&cur);
		if (gj_cursor_failed(&cur) || pc_delta == 0)
			return -EBADMSG;
		walk->value += (uint32_t)unzigzag(value_delta);
		walk->pc += pc_delta;
	} while (walk->pc <= wanted);
	return 1;
}

/* Fast: as long as a longest pair is left, no byte needs its own check. */
static int walk_to(struct walk *walk, const uint8_t *end, uint64_t wanted)
{
	int found = 0;

	while (!found && end - walk->pos >= PAIR_MAX_BYTES)
		found = walk_pair(walk, wanted);
	return found ? found : walk_last_pairs(walk, end, wanted);
}

int gj_pcvalue_find(const struct gj_gotab *gotab, uint32_t table_off,
		    const struct gj_gofunc *func, uint64_t va, int32_t *value_out)
{
	struct gj_window table = gj_window_slice(gotab->pctab, table_off, UINT64_MAX);
	struct walk walk = { .pos = table.base, .value = UINT32_MAX };
	int found;

	if (table_off == 0 || !table.base || va < func->entry_va)
		return -ENOENT;
	/* minLC is 1, 2 or 4. */
	found = walk_to(&walk, table.base + table.size_bytes,
			(va - func->entry_va) >> (gotab->quantum / 2));
	if (found != 1)
		return found;
	*value_out = (int32_t)walk.value;
	return 0;
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

int gj_pciter_init(const struct gj_gotab *gotab, const struct gj_gofunc *func,
		   enum gj_pctable table, struct gj_pciter *iter_out)
{
	uint32_t off = 0;

	switch (table) {
	case GJ_PCTABLE_SP:
		off = func->pcsp_off;
		break;
	case GJ_PCTABLE_FILE:
		off = func->pcfile_off;
		break;
	case GJ_PCTABLE_LINE:
		off = func->pcln_off;
		break;
	case GJ_PCTABLE_INLINE:
		off = pcdata_off(gotab, func, PCDATA_INLTREE);
		break;
	}
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
	return gj_pcvalue_find(gotab, func->pcsp_off, func, va, delta_bytes_out);
}

int32_t gj_inline_index(const struct gj_gotab *gotab, const struct gj_gofunc *func, uint64_t va)
{
	int32_t index = -1;

	if (gj_pcvalue_find(gotab, pcdata_off(gotab, func, PCDATA_INLTREE), func, va, &index))
		return -1;
	return index;
}
