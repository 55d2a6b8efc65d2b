/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Offsets read out of the runtime's own instructions (amd64): works on
 * stripped binaries and on releases nobody has seen yet.
 *
 * Each recipe decodes one runtime function that .gopclntab names and looks for
 * the instructions that its source makes unavoidable (named at each recipe;
 * the files are Go's). Where the shape is not found the field stays unknown.
 */
#include <errno.h>

#include "goroutine/offsets.h"

struct recipe {
	const struct gj_image *image;
	const struct gj_gotab *gotab;
	struct gj_goffsets *offsets;
};

static bool is_reg(const struct gj_operand *operand, ZydisRegister reg)
{
	return operand->kind == GJ_OPERAND_REG && operand->reg == reg;
}

/* `mov reg64, something` */
static bool is_load(const struct gj_insn *insn)
{
	return insn->mnemonic == ZYDIS_MNEMONIC_MOV && insn->ops[0].kind == GJ_OPERAND_REG &&
	       insn->ops[0].bits == 64;
}

/*
 * Registers that hold g on the way through a function: R14 throughout since Go
 * 1.17 (internal ABI), any register loaded from the TLS slot.
 */
static bool is_g(const struct gj_operand *address, ZydisRegister tls_reg)
{
	return address->reg == ZYDIS_REGISTER_R14 || (tls_reg && address->reg == tls_reg);
}

/*
 * The slot that `mov reg, fs:[...]` reads. Three code models: a displacement;
 * an immediate in a register just before; a word of the GOT that the loader
 * fills (before: the instruction that set the register).
 */
static void take_tls_slot(struct gj_goffsets *offsets, const struct gj_insn *insn,
			  const struct gj_insn *before)
{
	const struct gj_operand *slot = &insn->ops[1];

	if (slot->reg == ZYDIS_REGISTER_NONE)
		offsets->tls_g = slot->value;
	else if (!is_load(before) || !is_reg(&before->ops[0], slot->reg))
		return;
	else if (before->ops[1].kind == GJ_OPERAND_IMM)
		offsets->tls_g = before->ops[1].value + slot->value;
	else if (before->ops[1].kind == GJ_OPERAND_GLOBAL && !slot->value)
		offsets->tls_got_va = (uint64_t)before->ops[1].value;
}

/*
 * runtime.systemstack (asm_amd64.s):
 *   get_tls(CX); MOVQ g(CX), AX; MOVQ g_m(AX), BX; CMPQ AX, m_gsignal(BX);
 *   ... MOVQ m_g0(BX), DX; ... CMPQ AX, m_curg(BX)
 */
static void from_systemstack(struct recipe *recipe)
{
	ZydisRegister g = ZYDIS_REGISTER_NONE, m = ZYDIS_REGISTER_NONE;
	struct gj_insn insn, before = { 0 };
	struct gj_goffsets *offsets = recipe->offsets;
	struct gj_insn_iter iter;

	if (gj_insn_iter_init(recipe->image, recipe->gotab, "runtime.systemstack", &iter))
		return;
	for (; gj_insn_next(&iter, &insn); before = insn) {
		if (!g && is_load(&insn) && insn.ops[1].kind == GJ_OPERAND_TLS) {
			take_tls_slot(offsets, &insn, &before);
			g = insn.ops[0].reg;
		} else if (g && !m && gj_insn_reads_field(&insn, ZYDIS_MNEMONIC_MOV) &&
			   insn.ops[1].reg == g) {
			offsets->g_m = (int32_t)insn.ops[1].value;
			m = insn.ops[0].reg;
		} else if (m && gj_insn_reads_field(&insn, ZYDIS_MNEMONIC_CMP) &&
			   insn.ops[0].reg == g && insn.ops[1].reg == m) {
			if (offsets->m_gsignal >= 0) {
				offsets->m_curg = (int32_t)insn.ops[1].value;
				return;
			}
			offsets->m_gsignal = (int32_t)insn.ops[1].value;
		} else if (m && gj_insn_reads_field(&insn, ZYDIS_MNEMONIC_MOV) &&
			   insn.ops[1].reg == m) {
			offsets->m_g0 = (int32_t)insn.ops[1].value;
		}
	}
}

/*
 * runtime.mcall (asm_amd64.s) saves the caller in g.sched: pc, sp, bp in this
 * order (and g itself up to 1.16).
 */
static void from_mcall(struct recipe *recipe)
{
	int32_t *const fields[] = { &recipe->offsets->g_sched_pc, &recipe->offsets->g_sched_sp,
				    &recipe->offsets->g_sched_bp };
	ZydisRegister tls_reg = ZYDIS_REGISTER_NONE;
	int32_t found[3];
	struct gj_insn_iter iter;
	struct gj_insn insn;
	size_t cnt = 0;

	if (gj_insn_iter_init(recipe->image, recipe->gotab, "runtime.mcall", &iter))
		return;
	while (cnt < 3 && gj_insn_next(&iter, &insn)) {
		if (!tls_reg && is_load(&insn) && insn.ops[1].kind == GJ_OPERAND_TLS)
			tls_reg = insn.ops[0].reg;
		else if (gj_insn_stores_field(&insn) && is_g(&insn.ops[0], tls_reg) &&
			 !is_g(&insn.ops[1], tls_reg))
			found[cnt++] = (int32_t)insn.ops[0].value;
		else if (insn.mnemonic == ZYDIS_MNEMONIC_CALL)
			return;
	}
	for (size_t i = 0; cnt == 3 && i < 3; i++)
		*fields[i] = found[i];
}

/* runtime.casgstatus (proc.go): atomic.Cas(&gp.atomicstatus, oldval, newval). */
static void from_casgstatus(struct recipe *recipe)
{
	struct gj_insn_iter iter;
	struct gj_insn insn;

	if (gj_insn_iter_init(recipe->image, recipe->gotab, "runtime.casgstatus", &iter))
		return;
	while (gj_insn_next(&iter, &insn))
		if (insn.mnemonic == ZYDIS_MNEMONIC_CMPXCHG &&
		    insn.ops[0].kind == GJ_OPERAND_FIELD && insn.ops[0].bits == 32) {
			recipe->offsets->g_status = (int32_t)insn.ops[0].value;
			return;
		}
}

static bool calls(const struct recipe *recipe, const struct gj_insn *insn, const char *name)
{
	struct gj_gofunc func;

	return insn->mnemonic == ZYDIS_MNEMONIC_CALL && insn->target_va &&
	       !gj_gotab_find_func(recipe->gotab, insn->target_va, &func) &&
	       !strcmp(func.name, name);
}

/* runtime.minit (os_linux.go): getg().m.procid = uint64(gettid()). */
static void from_minit(struct recipe *recipe)
{
	bool has_tid = false;
	struct gj_insn_iter iter;
	struct gj_insn insn;

	if (gj_insn_iter_init(recipe->image, recipe->gotab, "runtime.minit", &iter))
		return;
	while (gj_insn_next(&iter, &insn)) {
		if (calls(recipe, &insn, "runtime.gettid")) {
			has_tid = true;
		} else if (has_tid && gj_insn_stores_field(&insn)) {
			recipe->offsets->m_procid = (int32_t)insn.ops[0].value;
			return;
		}
	}
}

/*
 * The field loaded last before @caller first calls @callee (or @other), -1
 * when it does not: what it passes.
 */
static int32_t argument_field(struct recipe *recipe, const char *caller, const char *callee,
			      const char *other)
{
	int32_t field = -1;
	struct gj_insn_iter iter;
	struct gj_insn insn;

	if (gj_insn_iter_init(recipe->image, recipe->gotab, caller, &iter))
		return -1;
	while (gj_insn_next(&iter, &insn)) {
		if (gj_insn_reads_field(&insn, ZYDIS_MNEMONIC_MOV))
			field = (int32_t)insn.ops[1].value;
		else if (calls(recipe, &insn, callee) || calls(recipe, &insn, other))
			return field;
	}
	return -1;
}

/*
 * traceback.go: goroutineheader prints gp.goid first (printint up to 1.19);
 * printcreatedby begins with findfunc(gp.gopc); isSystemGoroutine with
 * findfunc(gp.startpc).
 */
static void from_traceback(struct recipe *recipe)
{
	struct gj_goffsets *offsets = recipe->offsets;

	offsets->g_goid = argument_field(recipe, "runtime.goroutineheader", "runtime.printuint",
					 "runtime.printint");
	offsets->g_gopc = argument_field(recipe, "runtime.printcreatedby", "runtime.findfunc",
					 "runtime.findfunc");
	offsets->g_startpc = argument_field(recipe, "runtime.isSystemGoroutine", "runtime.findfunc",
					    "runtime.findfunc");
}

/* The first field of g that @name reads past @min_off, -1 when there is none. */
static int32_t g_field(struct recipe *recipe, const char *name, int64_t min_off)
{
	ZydisRegister tls_reg = ZYDIS_REGISTER_NONE;
	struct gj_insn_iter iter;
	struct gj_insn insn;

	if (gj_insn_iter_init(recipe->image, recipe->gotab, name, &iter))
		return -1;
	while (gj_insn_next(&iter, &insn)) {
		if (gj_insn_reads_field(&insn, ZYDIS_MNEMONIC_MOV) &&
		    is_g(&insn.ops[1], tls_reg) && insn.ops[1].value >= min_off)
			return (int32_t)insn.ops[1].value;
		if (is_load(&insn) && insn.ops[1].kind == GJ_OPERAND_TLS)
			tls_reg = insn.ops[0].reg;
	}
	return -1;
}

/* runtime.wirep (proc.go): if getg().m.p != 0 { throw }. */
static void from_wirep(struct recipe *recipe)
{
	ZydisRegister tls_reg = ZYDIS_REGISTER_NONE, m = ZYDIS_REGISTER_NONE;
	struct gj_insn_iter iter;
	struct gj_insn insn;

	if (gj_insn_iter_init(recipe->image, recipe->gotab, "runtime.wirep", &iter))
		return;
	while (gj_insn_next(&iter, &insn)) {
		if (m && insn.mnemonic == ZYDIS_MNEMONIC_CMP &&
		    insn.ops[0].kind == GJ_OPERAND_FIELD && insn.ops[0].reg == m &&
		    insn.ops[0].bits == 64 && insn.ops[1].kind == GJ_OPERAND_IMM) {
			recipe->offsets->m_p = (int32_t)insn.ops[0].value;
			return;
		}
		if (is_load(&insn) && insn.ops[1].kind == GJ_OPERAND_TLS)
			tls_reg = insn.ops[0].reg;
		else if (gj_insn_reads_field(&insn, ZYDIS_MNEMONIC_MOV) &&
			 is_g(&insn.ops[1], tls_reg) &&
			 insn.ops[1].value == recipe->offsets->g_m)
			m = insn.ops[0].reg;
	}
}

int gj_goffsets_from_code(const struct gj_image *image, const struct gj_gotab *gotab,
			  struct gj_goffsets *offsets)
{
	struct recipe recipe = { image, gotab, offsets };
	struct gj_goglobals globals;

	if (gj_image_arch(image) != GJ_ARCH_AMD64)
		return -EOPNOTSUPP;
	from_systemstack(&recipe);
	from_mcall(&recipe);
	from_casgstatus(&recipe);
	from_minit(&recipe);
	from_traceback(&recipe);
	from_wirep(&recipe);
	offsets->g_labels = g_field(&recipe, "runtime/pprof.runtime_getProfLabel", 256);
	gj_goglobals_from_code(image, gotab, &globals, &offsets->m_alllink);
	return 0;
}
