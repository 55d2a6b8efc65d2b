/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The function a goroutine is for, where it starts in a wrapper: the compiler
 * turns `go f(x)` into a closure that loads x and calls f (Go
 * src/cmd/compile/internal/walk/order.go, wrapGoDefer; since Go 1.17). Go's own
 * stack dumps leave such functions out.
 */
#include <Zydis/Zydis.h>
#include <string.h>

#include "session/goexec.h"

#define MAX_CODE_BYTES 1024 /* of one wrapper; large arguments make it longer, and unclear */

/* The runtime has such a wrapper in every program, whose mark tells the release's value. */
static bool is_wrapper(const struct gj_gotab *gotab, const struct gj_gofunc *func)
{
	static const char *const known[] = { "runtime.gcenable.gowrap1", "runtime.gcenable.func1",
					     "runtime.gcenable·dwrap·1" };
	struct gj_gofunc wrapper;

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (!gj_gotab_find_name(gotab, known[i], &wrapper))
			return wrapper.func_id && wrapper.func_id == func->func_id;
	return false;
}

/* True when f was small enough to be inlined; its name, NULL when others were too. */
static bool find_inlined(const struct gj_gotab *gotab, const struct gj_gofunc *func,
			 const char **name_out)
{
	struct gj_inline_row row;
	const char *name = NULL;
	struct gj_pciter iter;
	struct gj_pcrow pcrow;
	bool any = false;

	if (gj_pciter_init(gotab, func, GJ_PCTABLE_INLINE, &iter))
		return false;
	while (gj_pciter_next(&iter, &pcrow) > 0) {
		if (pcrow.value < 0)
			continue;
		while (!gj_gotab_inline(gotab, func, pcrow.value, &row) && row.parent >= 0 &&
		       row.parent < pcrow.value)
			pcrow.value = row.parent;
		name = !any || (name && !strcmp(name, row.name)) ? row.name : NULL;
		any = true;
	}
	*name_out = name;
	return any;
}

/* What the compiler calls on its own account. */
static bool is_helper(const char *name)
{
	return !strncmp(name, "runtime.morestack", 17) ||
	       !strncmp(name, "runtime.gcWriteBarrier", 22) ||
	       !strncmp(name, "runtime.panic", 13);
}

/* The function that @func calls directly, NULL unless it is the only one. */
static const char *find_called(const struct gj_image *image, const struct gj_gotab *gotab,
			       const struct gj_gofunc *func)
{
	struct gj_window code = gj_window_slice(gj_image_at(image, func->entry_va), 0,
						func->end_va - func->entry_va);
	ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
	ZydisDecodedInstruction insn;
	const char *found = NULL;
	struct gj_gofunc target;
	ZydisDecoder decoder;

	if (gj_image_arch(image) != GJ_ARCH_AMD64 || code.size_bytes > MAX_CODE_BYTES ||
	    ZYAN_FAILED(ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64,
					 ZYDIS_STACK_WIDTH_64)))
		return NULL;
	for (uint64_t off = 0; off < code.size_bytes; off += insn.length) {
		struct gj_window rest = gj_window_slice(code, off, UINT64_MAX);

		if (ZYAN_FAILED(ZydisDecoderDecodeFull(&decoder, rest.base, rest.size_bytes, &insn,
						       operands)))
			return NULL;
		if (insn.mnemonic != ZYDIS_MNEMONIC_CALL)
			continue;
		if (operands[0].type != ZYDIS_OPERAND_TYPE_IMMEDIATE ||
		    gj_gotab_find_func(gotab,
				       func->entry_va + off + insn.length +
					       operands[0].imm.value.u,
				       &target))
			return NULL;
		if (is_helper(target.name))
			continue;
		if (found)
			return NULL;
		found = target.name;
	}
	return found;
}

const char *gj_goexec_start_name(const struct gj_binary *binary, const struct gj_gofunc *func)
{
	const char *name = NULL;

	if (is_wrapper(binary->gotab, func) && !find_inlined(binary->gotab, func, &name))
		name = find_called(binary->image, binary->gotab, func);
	return name ? name : func->name;
}
