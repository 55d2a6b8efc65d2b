/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Fuzz target: any memory, registers and runtime under a Go program's stack.
 * Input: u8 function hit, u8 flags (1: no runtime, 2: a recorded chain), 17
 * registers, then memory in pieces: u16 place in units of 8 bytes, u16 number
 * of words, the words.
 */
#include "../unit/stackwriter.h"
#include "seeds.h"

static const struct sw_func funcs[] = {
	{ "main.main", 24 }, { "main.leaf", 0 }, { "runtime.goexit", 0, GJ_GOFUNC_TOPFRAME },
	{ "runtime.systemstack", 8, 0, "\x48\x8b\x62\x38\xff\xd7\x90\x90\x90\x90\x48\x8b\x60\x38", 14 }, { "runtime.systemstack_switch", 8 },
	{ "runtime.mstart", 0, GJ_GOFUNC_TOPFRAME }, { "runtime.morestack", 0 },
	{ "runtime.newstack", 40 }, { "runtime.mcall", 8 },
	{ "runtime.asmcgocall", 8, 0, "\x48\x89\x7c\x24\x08", 5 }, { "runtime.cgocallback", 32 },
	{ "crosscall2", 256 }, { "runtime.sigtramp", 0 },
	{ "runtime.sigreturn", 0, 0, "\x48\xc7\xc0\x0f\0\0\0\x0f\x05", 9 },
	{ "runtime.nanotime1", 24, 0, "\x48\x89\x8b\x68\x03\0\0\x48\x89\x93\x60\x03\0\0", 14 },
	{ "runtime.asyncPreempt", 16 }, { "gogo", 0 }, { "runtime.schedule", 32 },
	{ "runtime.sigfwd", 0, 0, "\x48\x89\xe3\x48\x83\xe4\xf0", 7 }, { "main.wrong", -8 },
	/* call mstart1; lea rax, cgocallbackg, call rax: where g0's stack is taken up */
	{ "runtime.mstart0", 40, 0, "\xe8\xfb\0\0\0", 5 }, { "runtime.mstart1", 32 },
	{ "runtime.cgocallback_gofunc", 32, 0, "\x48\x8d\x05\xf9\0\0\0\xff\xd0", 9 },
	{ "runtime.cgocallbackg", 64 }, { "time.now", 24, 0, "\x49\x89\xe4", 3 },
	{ NULL },
};
#define FUNC_CNT (sizeof(funcs) / sizeof(funcs[0]) - 1)

static void fill(struct sw *sw, struct gj_cursor *cur)
{
	while (gj_cursor_left(cur) > 4) {
		uint64_t off = 8 * (uint64_t)gj_cursor_u16(cur), cnt = gj_cursor_u16(cur) % 64;

		for (; cnt && off <= SW_MEMORY_BYTES - 8; cnt--, off += 8)
			sw_put(sw, SW_MEMORY + off, gj_cursor_u64(cur));
	}
}

static void check(const struct sw *sw)
{
	const struct gj_stack *stack = &sw->stack;

	/* Every frame but those of seams reads a word or two, and there is room for 256. */
	if (stack->cnt > stack->max || stack->kernel_cnt > stack->cnt || sw->read_cnt > 16384)
		abort();
	if (stack->is_complete != (stack->cut == GJ_CUT_NONE) ||
	    stack->is_complete != (stack->root != NULL))
		abort();
	for (size_t i = 0; i < stack->cnt; i++)
		if ((stack->frames[i].how == GJ_FRAME_SEAM) != (stack->frames[i].seam != NULL))
			abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes)
{
	static struct sw sw;
	struct gj_cursor cur = gj_cursor_init((struct gj_window){ data, size_bytes });
	uint64_t ip = SW_AT(gj_cursor_u8(&cur) % FUNC_CNT, 9), chain[8];
	uint8_t flags = gj_cursor_u8(&cur);

	if (sw_open(&sw, funcs, flags & 4 ? EM_AARCH64 : EM_X86_64))
		abort();
	for (size_t i = 0; i < 17; i++)
		sw.values[i] = gj_cursor_u64(&cur);
	memcpy(chain, sw.values, sizeof(chain));
	if (flags & 1)
		sw.view.offsets = NULL;
	if (flags & 2) {
		sw.input.user_chain = chain;
		sw.input.user_cnt = 8;
	}
	sw.view.g = sw.values[0];
	fill(&sw, &cur);
	if (flags & 8) {
		sw.input.regs.mask = 0x1ff; /* arm64's first nine: no SP */
		gj_stitch(sw.stitcher, &sw.view, &sw.input, &sw.stack);
	} else {
		sw_walk(&sw, ip, sw.values[SW_SP]);
	}
	check(&sw);
	sw_close(&sw);
	return 0;
}

static size_t seed_word(uint8_t *seed, size_t at, uint64_t va, uint64_t value)
{
	uint16_t place = (uint16_t)((va - SW_MEMORY) / 8), cnt = 1;

	memcpy(seed + at, &place, 2);
	memcpy(seed + at + 2, &cnt, 2);
	memcpy(seed + at + 4, &value, 8);
	return at + 12;
}

/* leaf < main < goexit; park on g0 < systemstack < main; a signal on gsignal. */
void fuzz_seeds(void)
{
	uint8_t seed[512] = { 1, 0 };
	uint64_t values[17] = { SW_G };
	size_t at = 2 + sizeof(values);

	values[SW_SP] = SW_GO_STACK + 0xe00;
	memcpy(seed + 2, values, sizeof(values));
	at = seed_word(seed, at, SW_GO_STACK + 0xe00, SW_AT(0, 9));
	at = seed_word(seed, at, SW_GO_STACK + 0xe20, SW_AT(2, 1));
	fuzz_seed(seed, at);
	values[0] = SW_G0;
	values[SW_SP] = SW_G0_STACK + 0xe00;
	memcpy(seed + 2, values, sizeof(values));
	at = seed_word(seed, at, SW_G0_STACK + 0xe00, SW_AT(3, 0x40));
	at = seed_word(seed, at, SW_G + 56, SW_GO_STACK + 0xe00);
	at = seed_word(seed, at, SW_G + 64, SW_AT(4, 8));
	fuzz_seed(seed, at);
	values[0] = SW_GSIGNAL;
	values[SW_SP] = SW_SIGNAL_STACK + 0x800;
	memcpy(seed + 2, values, sizeof(values));
	at = seed_word(seed, at, SW_SIGNAL_STACK + 0x800, SW_AT(13, 0));
	at = seed_word(seed, at, SW_SIGNAL_STACK + 0x808 + 168, SW_AT(1, 9));
	at = seed_word(seed, at, SW_SIGNAL_STACK + 0x808 + 160, SW_GO_STACK + 0xe00);
	fuzz_seed(seed, at);
}
