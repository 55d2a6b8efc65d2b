/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Fuzz target: any code and tables of SP under a repair of chains. Input: u8
 * function hit, u8 offset in it, u8 flags (1: a return address), u16 return
 * address in the text, then the text of eight functions.
 */
#include "../unit/stackwriter.h"
#include "seeds.h"

#define FUNC_CNT 8

static const struct sw_func funcs[FUNC_CNT + 1] = {
	{ "main.outer", 8 }, { "main.middle", 8 }, { "main.leaf", 0 },
	{ "main.asm", 24, GJ_GOFUNC_ASM }, { "runtime.morestack", 0 }, { "runtime.sigpanic", 16 },
	{ "runtime.duffcopy", 0 }, { "main.wrong", -8 }, { NULL },
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes)
{
	static struct sw sw;
	struct gj_cursor cur = gj_cursor_init((struct gj_window){ data, size_bytes });
	uint64_t va = SW_AT(gj_cursor_u8(&cur) % FUNC_CNT, gj_cursor_u8(&cur));
	bool is_return = gj_cursor_u8(&cur) & 1;
	uint64_t return_va = SW_TEXT + gj_cursor_u16(&cur) % (FUNC_CNT * SW_FUNC_BYTES + 8);
	struct gj_repaired repaired;
	struct gj_repair *repair;

	if (sw_open(&sw, funcs, EM_X86_64) || gj_repair_new(&repair))
		abort();
	for (size_t i = 0; i < FUNC_CNT * SW_FUNC_BYTES && gj_cursor_left(&cur); i++)
		sw.file[SW_TEXT_OFF + i] = gj_cursor_u8(&cur);
	gj_repair_lacks(repair, sw.image, sw.gotab, va, is_return);
	gj_repair_find(repair, sw.image, sw.gotab, va, is_return, return_va, &repaired);
	if (repaired.cnt > GJ_REPAIR_MAX || (repaired.is_exact && !repaired.cnt))
		abort();
	/* Whatever is put in is code of this program. */
	for (size_t i = 0; i < repaired.cnt; i++)
		if (repaired.vas[i] < SW_TEXT || repaired.vas[i] > SW_AT(FUNC_CNT, 0))
			abort();
	gj_repair_free(repair);
	sw_close(&sw);
	return 0;
}

/* outer calls middle, which calls leaf, where it was hit. */
void fuzz_seeds(void)
{
	static const uint8_t outer[] = { 0x55, 0x48, 0x89, 0xe5, 0xe8, 0xf7, 0, 0, 0, 0x5d, 0xc3 };
	uint8_t seed[5 + 3 * SW_FUNC_BYTES] = { 2, 0, 0, 9, 0 };

	memset(seed + 5, 0xcc, sizeof(seed) - 5);
	memcpy(seed + 5, outer, sizeof(outer));
	memcpy(seed + 5 + SW_FUNC_BYTES, outer, sizeof(outer));
	seed[5 + 2 * SW_FUNC_BYTES] = 0xc3;
	fuzz_seed(seed, sizeof(seed));
}
