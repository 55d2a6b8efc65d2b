/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The runtime's own variables in a binary without symbols, by the addresses
 * that its instructions use (amd64).
 */
#include "goroutine/offsets.h"

/* Words of data that one function may refer to; allgadd has nine. */
#define MAX_GLOBALS 64

struct global_set {
	uint64_t vas[MAX_GLOBALS];
	size_t cnt;
};

static bool holds(const struct global_set *set, uint64_t va)
{
	for (size_t i = 0; i < set->cnt; i++)
		if (set->vas[i] == va)
			return true;
	return false;
}

static void add_global(struct global_set *set, const struct gj_operand *operand)
{
	uint64_t va = (uint64_t)operand->value;

	if (operand->kind == GJ_OPERAND_GLOBAL && set->cnt < MAX_GLOBALS && !holds(set, va))
		set->vas[set->cnt++] = va;
}

/*
 * runtime.allgadd (proc.go): allgs = append(allgs, gp). A slice is three words
 * (pointer, length, capacity), and append is the only thing there that uses all
 * three of one.
 */
static uint64_t find_allgs(const struct gj_image *image, const struct gj_gotab *gotab)
{
	struct global_set set = { .cnt = 0 };
	struct gj_insn_iter iter;
	struct gj_insn insn;
	uint64_t found = 0;

	if (gj_insn_iter_init(image, gotab, "runtime.allgadd", &iter))
		return 0;
	while (gj_insn_next(&iter, &insn)) {
		if (insn.mnemonic != ZYDIS_MNEMONIC_MOV)
			continue;
		add_global(&set, &insn.ops[0]);
		add_global(&set, &insn.ops[1]);
	}
	for (size_t i = 0; i < set.cnt; i++)
		if (holds(&set, set.vas[i] + 8) && holds(&set, set.vas[i] + 16)) {
			if (found)
				return 0;
			found = set.vas[i];
		}
	return found;
}

/*
 * runtime.mcommoninit (proc.go): mp.alllink = allm; atomicstorep(&allm, mp). A
 * word is loaded, stored in a field, and then its address is taken.
 */
static void find_allm(const struct gj_image *image, const struct gj_gotab *gotab,
		      uint64_t *allm_va_out, int32_t *m_alllink_out)
{
	ZydisRegister held_by = ZYDIS_REGISTER_NONE;
	uint64_t held_va = 0, linked_va = 0;
	int32_t link = -1;
	struct gj_insn_iter iter;
	struct gj_insn insn;

	if (gj_insn_iter_init(image, gotab, "runtime.mcommoninit", &iter))
		return;
	while (gj_insn_next(&iter, &insn)) {
		const struct gj_operand *to = &insn.ops[0], *from = &insn.ops[1];

		if (insn.mnemonic == ZYDIS_MNEMONIC_MOV && to->kind == GJ_OPERAND_REG &&
		    from->kind == GJ_OPERAND_GLOBAL && from->bits == 64) {
			held_by = to->reg;
			held_va = (uint64_t)from->value;
		} else if (held_by && gj_insn_stores_field(&insn) && from->reg == held_by &&
			   to->value > 0) { /* [r11] is the write barrier's buffer */
			link = (int32_t)to->value;
			linked_va = held_va;
			held_by = ZYDIS_REGISTER_NONE;
		} else if (linked_va && insn.mnemonic == ZYDIS_MNEMONIC_LEA &&
			   from->kind == GJ_OPERAND_GLOBAL && (uint64_t)from->value == linked_va) {
			*allm_va_out = linked_va;
			*m_alllink_out = link;
			return;
		} else if (to->kind == GJ_OPERAND_REG && to->reg == held_by) {
			held_by = ZYDIS_REGISTER_NONE;
		}
	}
}

void gj_goglobals_from_code(const struct gj_image *image, const struct gj_gotab *gotab,
			    struct gj_goglobals *globals, int32_t *m_alllink_out)
{
	*globals = (struct gj_goglobals){ 0 };
	*m_alllink_out = -1;
	globals->allgs_va = find_allgs(image, gotab);
	find_allm(image, gotab, &globals->allm_va, m_alllink_out);
}
