/* SPDX-License-Identifier: GPL-2.0 */
/*
 * amd64 instructions of one function, through Zydis, reduced to the few
 * shapes that recipes look for.
 */
#include <errno.h>

#include "base/limits.h"
#include "goroutine/offsets.h"

int gj_insn_iter_init(const struct gj_image *image, const struct gj_gotab *gotab, const char *name,
		      struct gj_insn_iter *iter_out)
{
	struct gj_insn_iter iter = { 0 };
	struct gj_gofunc func;
	uint64_t size_bytes;

	if (gj_image_arch(image) != GJ_ARCH_AMD64 || gj_gotab_find_name(gotab, name, &func))
		return -ENOENT;
	size_bytes = func.end_va - func.entry_va;
	if (size_bytes > GJ_MAX_CODE_BYTES)
		size_bytes = GJ_MAX_CODE_BYTES;
	iter.code = gj_window_slice(gj_image_at(image, func.entry_va), 0, size_bytes);
	iter.va = func.entry_va;
	if (!iter.code.size_bytes ||
	    ZYAN_FAILED(ZydisDecoderInit(&iter.decoder, ZYDIS_MACHINE_MODE_LONG_64,
					 ZYDIS_STACK_WIDTH_64)))
		return -ENOENT;
	*iter_out = iter;
	return 0;
}

static ZydisRegister whole_register(ZydisRegister reg)
{
	return reg == ZYDIS_REGISTER_NONE ?
		       reg :
		       ZydisRegisterGetLargestEnclosing(ZYDIS_MACHINE_MODE_LONG_64, reg);
}

static void take_address(const ZydisDecodedOperandMem *mem, uint64_t next_va,
			 struct gj_operand *operand)
{
	operand->reg = whole_register(mem->base);
	operand->value = mem->disp.has_displacement ? mem->disp.value : 0;
	if (mem->segment == ZYDIS_REGISTER_FS)
		operand->kind = mem->index == ZYDIS_REGISTER_NONE ? GJ_OPERAND_TLS :
								    GJ_OPERAND_OTHER;
	else if (mem->index != ZYDIS_REGISTER_NONE || mem->base == ZYDIS_REGISTER_NONE)
		operand->kind = GJ_OPERAND_OTHER;
	else if (mem->base == ZYDIS_REGISTER_RSP || mem->base == ZYDIS_REGISTER_RBP)
		operand->kind = GJ_OPERAND_STACK;
	else if (mem->base == ZYDIS_REGISTER_RIP)
		operand->kind = GJ_OPERAND_GLOBAL;
	else
		operand->kind = GJ_OPERAND_FIELD;
	if (operand->kind == GJ_OPERAND_GLOBAL)
		operand->value = (int64_t)(next_va + (uint64_t)operand->value);
}

static void take_operand(const ZydisDecodedOperand *decoded, uint64_t next_va,
			 struct gj_operand *operand)
{
	*operand = (struct gj_operand){ .kind = GJ_OPERAND_OTHER, .bits = decoded->size };
	switch (decoded->type) {
	case ZYDIS_OPERAND_TYPE_REGISTER:
		operand->kind = GJ_OPERAND_REG;
		operand->reg = whole_register(decoded->reg.value);
		break;
	case ZYDIS_OPERAND_TYPE_IMMEDIATE:
		operand->kind = GJ_OPERAND_IMM;
		operand->value = decoded->imm.value.s;
		break;
	case ZYDIS_OPERAND_TYPE_MEMORY:
		take_address(&decoded->mem, next_va, operand);
		break;
	default:
		break;
	}
}

bool gj_insn_next(struct gj_insn_iter *iter, struct gj_insn *insn_out)
{
	struct gj_window rest = gj_window_slice(iter->code, iter->off, SIZE_MAX);
	ZydisDecodedOperand decoded[ZYDIS_MAX_OPERAND_COUNT];
	ZydisDecodedInstruction insn;
	uint64_t next_va;

	if (!rest.size_bytes ||
	    ZYAN_FAILED(ZydisDecoderDecodeFull(&iter->decoder, rest.base, rest.size_bytes, &insn,
					       decoded)))
		return false;
	next_va = iter->va + insn.length;
	*insn_out = (struct gj_insn){ .mnemonic = insn.mnemonic };
	for (int i = 0; i < 2 && i < insn.operand_count_visible; i++)
		take_operand(&decoded[i], next_va, &insn_out->ops[i]);
	if (insn.operand_count_visible && decoded[0].type == ZYDIS_OPERAND_TYPE_IMMEDIATE &&
	    decoded[0].imm.is_relative)
		insn_out->target_va = next_va + decoded[0].imm.value.u;
	iter->va = next_va;
	iter->off += insn.length;
	return true;
}

bool gj_insn_reads_field(const struct gj_insn *insn, ZydisMnemonic mnemonic)
{
	return insn->mnemonic == mnemonic && insn->ops[0].kind == GJ_OPERAND_REG &&
	       insn->ops[1].kind == GJ_OPERAND_FIELD && insn->ops[1].bits == 64;
}

bool gj_insn_stores_field(const struct gj_insn *insn)
{
	return insn->mnemonic == ZYDIS_MNEMONIC_MOV && insn->ops[0].kind == GJ_OPERAND_FIELD &&
	       insn->ops[0].bits == 64 && insn->ops[1].kind == GJ_OPERAND_REG;
}
