/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Runs call frame instructions and hands out the rule that holds at each
 * address. Registers other than those of struct gj_cfi_row are not looked at,
 * so that no input makes this take more than it is long.
 */
#include <dwarf.h>

#include "base/limits.h"
#include "stitch/cfi_table.h"

enum rule { RULE_UNSAID, RULE_SAME, RULE_UNDEFINED, RULE_OFFSET, RULE_OTHER };

/* Of the registers in gj_cfi_row.saved, then the return address. */
#define RA GJ_CFI_SAVED_CNT
#define RULE_CNT (GJ_CFI_SAVED_CNT + 1)

struct state {
	enum gj_cfa_kind cfa_kind;
	uint64_t cfa_reg;
	int64_t cfa_off;
	enum rule rules[RULE_CNT];
	int64_t offs[RULE_CNT];
};

struct run {
	const struct gj_cfi_program *program;
	struct gj_cursor cur;
	struct state state, initial;
	struct state kept[GJ_MAX_CFI_STATES];
	size_t kept_cnt;
	uint64_t va;
	void (*row)(void *data, uint64_t va, const struct gj_cfi_row *row);
	void *data;
};

static const uint8_t order_amd64[GJ_CFI_SAVED_CNT] = { 6, 3, 12, 13, 14, 15 };
static const uint8_t order_arm64[GJ_CFI_SAVED_CNT] = { 29, 0xff, 0xff, 0xff, 0xff, 0xff };

/* LEB128 of 64 bits; what is longer fails the cursor. */
static uint64_t read_uleb(struct gj_cursor *cur)
{
	uint64_t value = 0;

	for (unsigned int shift = 0; shift < 64; shift += 7) {
		uint8_t byte = gj_cursor_u8(cur);

		value |= (uint64_t)(byte & 0x7f) << shift;
		if (!(byte & 0x80))
			return value;
	}
	cur->failed = true;
	return 0;
}

static int64_t read_sleb(struct gj_cursor *cur)
{
	uint64_t value = 0;

	for (unsigned int shift = 0; shift < 64; shift += 7) {
		uint8_t byte = gj_cursor_u8(cur);

		value |= (uint64_t)(byte & 0x7f) << shift;
		if (byte & 0x80)
			continue;
		if (byte & 0x40 && shift < 57)
			value |= UINT64_MAX << (shift + 7);
		return (int64_t)value;
	}
	cur->failed = true;
	return 0;
}

/* Products wrap: a hostile factor gives an offset that does not fit, and no more. */
static int64_t scaled(const struct run *run, int64_t value)
{
	return (int64_t)((uint64_t)value * (uint64_t)run->program->data_align);
}

/* -1 for registers that no row keeps. */
static int slot_of(const struct run *run, uint64_t reg)
{
	const uint8_t *order = run->program->arch == GJ_ARCH_ARM64 ? order_arm64 : order_amd64;

	if (reg == run->program->ra_reg)
		return RA;
	for (int i = 0; i < GJ_CFI_SAVED_CNT; i++)
		if (order[i] != 0xff && reg == order[i])
			return i;
	return -1;
}

static void set_rule(struct run *run, uint64_t reg, enum rule rule, int64_t off)
{
	int slot = slot_of(run, reg);

	if (slot < 0)
		return;
	run->state.rules[slot] = rule;
	run->state.offs[slot] = off;
}

static void restore_rule(struct run *run, uint64_t reg)
{
	int slot = slot_of(run, reg);

	if (slot < 0)
		return;
	run->state.rules[slot] = run->initial.rules[slot];
	run->state.offs[slot] = run->initial.offs[slot];
}

static bool fits(int64_t off)
{
	return off == (int16_t)off && off != GJ_CFI_SAME;
}

static void fill_ra(const struct run *run, struct gj_cfi_row *row)
{
	const struct state *state = &run->state;

	switch (state->rules[RA]) {
	case RULE_OFFSET:
		if (fits(state->offs[RA]))
			row->ra_off = (int16_t)state->offs[RA];
		else
			row->cfa_kind = GJ_CFA_EXPRESSION;
		break;
	case RULE_UNSAID:
	case RULE_SAME:
		/* Nothing said: on arm64 x30 has it; on amd64 there is none. */
		row->ra_in_reg = run->program->arch == GJ_ARCH_ARM64;
		row->is_root = !row->ra_in_reg;
		break;
	case RULE_UNDEFINED:
		row->is_root = true;
		break;
	case RULE_OTHER:
		row->cfa_kind = GJ_CFA_EXPRESSION;
	}
}

/* The rule of now, as a row; what does not fit is marked as an expression. */
static void hand_out(struct run *run, uint64_t end_va)
{
	const struct state *state = &run->state;
	struct gj_cfi_row row = { .cfa_kind = (uint8_t)state->cfa_kind };

	if (end_va <= run->va)
		return;
	if (state->cfa_kind == GJ_CFA_REG) {
		row.cfa_reg = (uint8_t)state->cfa_reg;
		row.cfa_off = (int32_t)state->cfa_off;
		if (state->cfa_reg != row.cfa_reg || state->cfa_reg > 31 || state->cfa_off != row.cfa_off)
			row.cfa_kind = GJ_CFA_EXPRESSION;
	}
	for (int i = 0; i < GJ_CFI_SAVED_CNT; i++) {
		row.saved[i] = GJ_CFI_SAME;
		if (state->rules[i] == RULE_OFFSET && fits(state->offs[i]))
			row.saved[i] = (int16_t)state->offs[i];
		else if (state->rules[i] == RULE_OFFSET || state->rules[i] == RULE_OTHER)
			row.cfa_kind = GJ_CFA_EXPRESSION;
	}
	fill_ra(run, &row);
	run->row(run->data, run->va, &row);
	run->va = end_va;
}

static void advance(struct run *run, uint64_t delta)
{
	uint64_t left = run->program->end_va - run->va, step;

	/* Behind the code described there is nothing to say. */
	if (__builtin_mul_overflow(delta, run->program->code_align, &step) || step > left)
		step = left;
	hand_out(run, run->va + step);
}

/* x86's .plt, as every linker describes it: rsp + 8 + (((rip & 15) >= 11) << 3). */
static bool is_plt(struct gj_window block)
{
	static const uint8_t plt[] = { 0x77, 8, 0x80, 0, 0x3f, 0x1a, 0x3b, 0x2a, 0x33, 0x24, 0x22 };

	return block.size_bytes == sizeof(plt) && !memcmp(block.base, plt, sizeof(plt));
}

static void skip_block(struct run *run, struct gj_window *block_out)
{
	uint64_t size_bytes = read_uleb(&run->cur);

	*block_out = (struct gj_window){ gj_cursor_take(&run->cur, size_bytes), size_bytes };
}

static void set_cfa_expression(struct run *run)
{
	struct gj_window block;

	skip_block(run, &block);
	if (gj_cursor_failed(&run->cur))
		return;
	run->state.cfa_kind = run->program->arch == GJ_ARCH_AMD64 && is_plt(block) ?
				      GJ_CFA_PLT : GJ_CFA_EXPRESSION;
}

static void set_cfa(struct run *run, uint64_t reg, int64_t off)
{
	run->state.cfa_kind = GJ_CFA_REG;
	run->state.cfa_reg = reg;
	run->state.cfa_off = off;
}

/* Instructions that say where a register is. False: none of them. */
static bool run_register(struct run *run, uint8_t opcode)
{
	struct gj_cursor *cur = &run->cur;
	struct gj_window block;
	uint64_t reg;

	if (opcode < DW_CFA_offset_extended || (opcode > DW_CFA_register && opcode < DW_CFA_expression) ||
	    opcode == DW_CFA_def_cfa_sf || opcode == DW_CFA_def_cfa_offset_sf ||
	    (opcode > DW_CFA_val_expression && opcode != DW_CFA_GNU_negative_offset_extended))
		return false;
	reg = read_uleb(cur);
	switch (opcode) {
	case DW_CFA_offset_extended:
		set_rule(run, reg, RULE_OFFSET, scaled(run, (int64_t)read_uleb(cur)));
		break;
	case DW_CFA_offset_extended_sf:
		set_rule(run, reg, RULE_OFFSET, scaled(run, read_sleb(cur)));
		break;
	case DW_CFA_GNU_negative_offset_extended:
		set_rule(run, reg, RULE_OFFSET, scaled(run, (int64_t)(0 - read_uleb(cur))));
		break;
	case DW_CFA_restore_extended:
		restore_rule(run, reg);
		break;
	case DW_CFA_undefined:
		set_rule(run, reg, RULE_UNDEFINED, 0);
		break;
	case DW_CFA_same_value:
		set_rule(run, reg, RULE_SAME, 0);
		break;
	case DW_CFA_expression:
	case DW_CFA_val_expression:
		skip_block(run, &block);
		set_rule(run, reg, RULE_OTHER, 0);
		break;
	default: /* DW_CFA_register, DW_CFA_val_offset, DW_CFA_val_offset_sf: one number more */
		read_uleb(cur);
		set_rule(run, reg, RULE_OTHER, 0);
	}
	return true;
}

static bool run_cfa(struct run *run, uint8_t opcode)
{
	struct gj_cursor *cur = &run->cur;
	uint64_t reg;

	switch (opcode) {
	case DW_CFA_def_cfa:
		reg = read_uleb(cur);
		set_cfa(run, reg, (int64_t)read_uleb(cur));
		return true;
	case DW_CFA_def_cfa_sf:
		reg = read_uleb(cur);
		set_cfa(run, reg, scaled(run, read_sleb(cur)));
		return true;
	case DW_CFA_def_cfa_register:
		set_cfa(run, read_uleb(cur), run->state.cfa_off);
		return true;
	case DW_CFA_def_cfa_offset:
		run->state.cfa_off = (int64_t)read_uleb(cur);
		return true;
	case DW_CFA_def_cfa_offset_sf:
		run->state.cfa_off = scaled(run, read_sleb(cur));
		return true;
	case DW_CFA_def_cfa_expression:
		set_cfa_expression(run);
		return true;
	}
	return false;
}

/* False where the rest cannot be read. */
static bool run_other(struct run *run, uint8_t opcode)
{
	switch (opcode) {
	case DW_CFA_nop:
	case DW_CFA_GNU_window_save: /* on arm64: the return address is signed, or not any more */
		return true;
	case DW_CFA_GNU_args_size:
		read_uleb(&run->cur);
		return true;
	case DW_CFA_advance_loc1:
		advance(run, gj_cursor_u8(&run->cur));
		return true;
	case DW_CFA_advance_loc2:
		advance(run, gj_cursor_u16(&run->cur));
		return true;
	case DW_CFA_advance_loc4:
		advance(run, gj_cursor_u32(&run->cur));
		return true;
	case DW_CFA_remember_state:
		if (run->kept_cnt == GJ_MAX_CFI_STATES)
			return false;
		run->kept[run->kept_cnt++] = run->state;
		return true;
	case DW_CFA_restore_state:
		if (!run->kept_cnt)
			return false;
		run->state = run->kept[--run->kept_cnt];
		return true;
	}
	return false;
}

static bool run_all(struct run *run, struct gj_window instructions)
{
	run->cur = gj_cursor_init(instructions);
	while (gj_cursor_left(&run->cur)) {
		uint8_t opcode = gj_cursor_u8(&run->cur), low = opcode & 0x3f;

		switch (opcode & 0xc0) {
		case DW_CFA_advance_loc:
			advance(run, low);
			continue;
		case DW_CFA_offset:
			set_rule(run, low, RULE_OFFSET, scaled(run, (int64_t)read_uleb(&run->cur)));
			break;
		case DW_CFA_restore:
			restore_rule(run, low);
			continue;
		default:
			if (!run_cfa(run, opcode) && !run_register(run, opcode) &&
			    !run_other(run, opcode))
				return false;
		}
		if (gj_cursor_failed(&run->cur))
			return false;
	}
	return true;
}

void gj_cfi_run(const struct gj_cfi_program *program,
		void (*row)(void *data, uint64_t va, const struct gj_cfi_row *row), void *data)
{
	struct run run = { .program = program, .row = row, .data = data };

	/* What all descriptions begin with is at no address of its own. */
	run.va = program->end_va;
	if (!run_all(&run, program->initial))
		return;
	run.initial = run.state;
	run.kept_cnt = 0;
	run.va = program->start_va;
	if (run_all(&run, program->own))
		hand_out(&run, program->end_va);
}
