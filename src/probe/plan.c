/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Picks the instruction on which to place a probe, from the function's code.
 *
 * Go's compiler begins a function that may grow its stack with a check of SP
 * against the limit in g (Go src/cmd/internal/obj/x86/obj6.go, stacksplit):
 *
 *   cmp rsp, [r14+0x10]            small frames, Go 1.17 and later
 *   lea r12, [rsp-N]; cmp r12, ... bigger ones
 *   mov rcx, fs:[-8]; cmp rsp, ... up to Go 1.16
 *   jbe grow                       (jb for huge frames, after sub)
 *
 * The code at `grow` jumps back to the entry, so what stands before and at the
 * jump runs twice for a call that grows the stack.
 */
#include <Zydis/Zydis.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "probe/probe.h"

struct code {
	ZydisDecoder decoder;
	struct gj_window bytes; /* the function */
	uint64_t entry_va;
};

struct insn {
	ZydisDecodedInstruction decoded;
	ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
	uint64_t off; /* from the entry */
};

bool gj_probe_is_emulated(struct gj_window code)
{
	uint8_t op = 0, second = 0;

	if (!gj_window_u8(code, 0, &op))
		return false;
	gj_window_u8(code, 1, &second);
	if (op >= 0x50 && op <= 0x57) /* push of a low register */
		return true;
	if (op == 0x41 && second >= 0x50 && second <= 0x57) /* push of r8 to r15 */
		return true;
	if (op == 0xeb || op == 0xe9 || op == 0xe8 || op == 0x90) /* jmp, call, nop */
		return true;
	return (op >= 0x70 && op <= 0x7f) || (op == 0x0f && second >= 0x80 && second <= 0x8f);
}

static bool decode(const struct code *code, uint64_t off, struct insn *insn_out)
{
	struct gj_window rest = gj_window_slice(code->bytes, off, UINT64_MAX);

	insn_out->off = off;
	return rest.size_bytes &&
	       ZYAN_SUCCESS(ZydisDecoderDecodeFull(&code->decoder, rest.base, rest.size_bytes,
						   &insn_out->decoded, insn_out->operands));
}

/* Every byte from entry to end belongs to some instruction. */
static bool is_all_code(const struct code *code)
{
	struct insn insn;
	uint64_t off = 0;

	while (off < code->bytes.size_bytes) {
		if (!decode(code, off, &insn))
			return false;
		off += insn.decoded.length;
	}
	return off == code->bytes.size_bytes;
}

static unsigned int arg_of_register(ZydisRegister reg)
{
	switch (ZydisRegisterGetLargestEnclosing(ZYDIS_MACHINE_MODE_LONG_64, reg)) {
	case ZYDIS_REGISTER_RAX: return GJ_ARG_AX;
	case ZYDIS_REGISTER_RBX: return GJ_ARG_BX;
	case ZYDIS_REGISTER_RCX: return GJ_ARG_CX;
	case ZYDIS_REGISTER_RDI: return GJ_ARG_DI;
	case ZYDIS_REGISTER_RSI: return GJ_ARG_SI;
	default: return 0;
	}
}

/* Argument registers that @insn overwrites. */
static unsigned int written_args(const struct insn *insn)
{
	unsigned int written = 0;

	if (insn->decoded.meta.category == ZYDIS_CATEGORY_CALL)
		return ~0u;
	for (unsigned int i = 0; i < insn->decoded.operand_count; i++) {
		const ZydisDecodedOperand *operand = &insn->operands[i];

		if (operand->type == ZYDIS_OPERAND_TYPE_REGISTER &&
		    (operand->actions & ZYDIS_OPERAND_ACTION_MASK_WRITE))
			written |= arg_of_register(operand->reg.value);
	}
	return written;
}

static bool is_jump(const struct insn *insn)
{
	return insn->decoded.meta.category == ZYDIS_CATEGORY_COND_BR ||
	       insn->decoded.meta.category == ZYDIS_CATEGORY_UNCOND_BR ||
	       insn->decoded.meta.category == ZYDIS_CATEGORY_RET;
}

/* The stack check compares with a limit in memory, behind r14 or what was loaded from fs. */
static bool is_limit_compare(const struct insn *insn)
{
	return insn->decoded.mnemonic == ZYDIS_MNEMONIC_CMP &&
	       insn->operands[1].type == ZYDIS_OPERAND_TYPE_MEMORY &&
	       insn->operands[1].mem.disp.value >= 16 && insn->operands[1].mem.disp.value <= 24;
}

#define CHECK_INSNS 8 /* the longest form, for huge frames, takes seven */

/* The jump that ends the stack check; false when the function has none. */
static bool find_check(const struct code *code, struct insn *jump_out)
{
	bool compared = false;
	uint64_t off = 0;

	for (int i = 0; i < CHECK_INSNS && decode(code, off, jump_out); i++) {
		compared |= is_limit_compare(jump_out);
		if (jump_out->decoded.mnemonic == ZYDIS_MNEMONIC_JBE && compared)
			return true;
		/* Huge frames: a first jump where the subtraction wrapped around. */
		if (is_jump(jump_out) && jump_out->decoded.mnemonic != ZYDIS_MNEMONIC_JB)
			return false;
		off += jump_out->decoded.length;
	}
	return false;
}

static bool is_emulated_at(const struct code *code, uint64_t off)
{
	return gj_probe_is_emulated(gj_window_slice(code->bytes, off, ZYDIS_MAX_INSTRUCTION_LENGTH));
}

#define SEARCH_INSNS 24

/* Whether some jump inside the function leads to [from, to]: what stands there may run again. */
static bool is_jumped_to(const struct code *code, uint64_t from, uint64_t to)
{
	struct insn insn;

	for (uint64_t off = 0; decode(code, off, &insn); off += insn.decoded.length) {
		ZyanU64 target;

		if (is_jump(&insn) && insn.operands[0].type == ZYDIS_OPERAND_TYPE_IMMEDIATE &&
		    ZYAN_SUCCESS(ZydisCalcAbsoluteAddress(&insn.decoded, &insn.operands[0], off,
							  &target)) &&
		    target >= from && target <= to)
			return true;
	}
	return false;
}

/*
 * The first emulated instruction from @start on that every call passes exactly
 * once, its arguments still in place.
 */
static bool find_emulated(const struct code *code, uint64_t start, unsigned int needed_args,
			  struct insn *insn_out)
{
	uint64_t off = start;

	for (int i = 0; i < SEARCH_INSNS && decode(code, off, insn_out); i++) {
		if (is_emulated_at(code, off))
			return !is_jumped_to(code, start, off);
		if (is_jump(insn_out) || (written_args(insn_out) & needed_args))
			return false;
		off += insn_out->decoded.length;
	}
	return false;
}

static void describe(const struct code *code, const struct insn *insn, char *text_out)
{
	ZydisFormatter formatter;

	if (ZYAN_FAILED(ZydisFormatterInit(&formatter, ZYDIS_FORMATTER_STYLE_INTEL)) ||
	    ZYAN_FAILED(ZydisFormatterFormatInstruction(
		    &formatter, &insn->decoded, insn->operands,
		    insn->decoded.operand_count_visible, text_out, GJ_INSN_TEXT_BYTES,
		    code->entry_va + insn->off, NULL)))
		text_out[0] = '\0';
}

static void choose(const struct code *code, unsigned int needed_args, struct insn *insn_out,
		   bool *may_repeat_out)
{
	struct insn jump, behind;
	bool checked = find_check(code, &jump);
	uint64_t start = checked ? jump.off + jump.decoded.length : 0;

	*may_repeat_out = false;
	if (find_emulated(code, start, needed_args, &behind)) {
		*insn_out = behind;
	} else if (checked) {
		*insn_out = jump;
		*may_repeat_out = true;
	} else {
		decode(code, 0, insn_out);
	}
}

static int open_code(const struct gj_image *image, const struct gj_gofunc *func,
		     struct code *code_out, struct gj_diag *diag)
{
	if (gj_image_arch(image) != GJ_ARCH_AMD64)
		return gj_diag_set(diag, -EOPNOTSUPP, "%s: probes are planned for amd64 only",
				   gj_image_path(image));
	code_out->entry_va = func->entry_va;
	code_out->bytes = gj_window_slice(gj_image_at(image, func->entry_va), 0,
					  func->end_va - func->entry_va);
	if (ZYAN_FAILED(ZydisDecoderInit(&code_out->decoder, ZYDIS_MACHINE_MODE_LONG_64,
					 ZYDIS_STACK_WIDTH_64)) ||
	    code_out->bytes.size_bytes != func->end_va - func->entry_va ||
	    code_out->bytes.size_bytes > GJ_MAX_CODE_BYTES || !is_all_code(code_out))
		return gj_diag_set(diag, -EBADMSG, "%s: %s at 0x%llx is not code from end to end",
				   gj_image_path(image), func->name,
				   (unsigned long long)func->entry_va);
	return 0;
}

int gj_probe_plan_entry(const struct gj_image *image, const struct gj_gofunc *func,
			unsigned int needed_args, struct gj_probe_plan *plan_out,
			struct gj_diag *diag)
{
	struct gj_probe_plan plan = { .entry_va = func->entry_va };
	struct code code;
	struct insn insn;
	int err = open_code(image, func, &code, diag);

	if (err)
		return err;
	choose(&code, needed_args, &insn, &plan.may_repeat);
	plan.va = func->entry_va + insn.off;
	plan.is_emulated = is_emulated_at(&code, insn.off);
	describe(&code, &insn, plan.insn);
	err = gj_image_va_to_off(image, plan.va, &plan.file_off);
	if (err)
		return gj_diag_set(diag, err, "%s: %s is in no segment of the file",
				   gj_image_path(image), func->name);
	*plan_out = plan;
	return 0;
}

/* Whether @insn, an instruction of @code, is a direct call of @callee_va. */
static bool is_call_of(const struct code *code, const struct insn *insn, uint64_t callee_va)
{
	ZyanU64 target;

	return insn->decoded.meta.category == ZYDIS_CATEGORY_CALL &&
	       insn->operands[0].type == ZYDIS_OPERAND_TYPE_IMMEDIATE &&
	       ZYAN_SUCCESS(ZydisCalcAbsoluteAddress(&insn->decoded, &insn->operands[0],
						     code->entry_va + insn->off, &target)) &&
	       target == callee_va;
}

/* What is behind the call that ends at @next, and behind nothing else. */
static bool find_behind(const struct code *code, uint64_t next, struct insn *insn_out)
{
	if (find_emulated(code, next, 0, insn_out))
		return true;
	return !is_jumped_to(code, next, next) && decode(code, next, insn_out);
}

static int add_plan(const struct gj_image *image, const struct code *code, const struct insn *insn,
		    struct gj_probe_plan **plans, int cnt)
{
	struct gj_probe_plan *grown = reallocarray(*plans, (size_t)cnt + 1, sizeof(*grown));

	if (!grown)
		return -ENOMEM;
	*plans = grown;
	grown[cnt] = (struct gj_probe_plan){
		.entry_va = code->entry_va,
		.va = code->entry_va + insn->off,
		.is_emulated = is_emulated_at(code, insn->off),
	};
	describe(code, insn, grown[cnt].insn);
	return gj_image_va_to_off(image, grown[cnt].va, &grown[cnt].file_off) ? -EBADMSG : cnt + 1;
}

/* The list, when there is any; else why not. */
static int take_plans(struct gj_probe_plan *plans, int cnt, struct gj_probe_plan **plans_out)
{
	if (cnt > 0) {
		*plans_out = plans;
		return cnt;
	}
	free(plans);
	return cnt ? cnt : -ENOENT;
}

int gj_probe_plan_calls(const struct gj_image *image, const struct gj_gofunc *func,
			uint64_t callee_va, bool is_behind, struct gj_probe_plan **plans_out)
{
	struct gj_probe_plan *plans = NULL;
	struct code code;
	struct insn insn, at;
	int cnt = open_code(image, func, &code, NULL);

	for (uint64_t off = 0; cnt >= 0 && decode(&code, off, &insn); off += insn.decoded.length) {
		uint64_t next = off + insn.decoded.length;

		if (!is_call_of(&code, &insn, callee_va))
			continue;
		at = insn;
		if (!is_behind || find_behind(&code, next, &at))
			cnt = add_plan(image, &code, &at, &plans, cnt);
	}
	return take_plans(plans, cnt, plans_out);
}

int gj_probe_plan_returns(const struct gj_image *image, const struct gj_gofunc *func,
			  struct gj_probe_plan **plans_out)
{
	struct gj_probe_plan *plans = NULL;
	struct code code;
	struct insn insn;
	int cnt = open_code(image, func, &code, NULL);

	for (uint64_t off = 0; cnt >= 0 && decode(&code, off, &insn); off += insn.decoded.length)
		if (insn.decoded.meta.category == ZYDIS_CATEGORY_RET)
			cnt = add_plan(image, &code, &insn, &plans, cnt);
	return take_plans(plans, cnt, plans_out);
}
