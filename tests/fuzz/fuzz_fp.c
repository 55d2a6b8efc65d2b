/* SPDX-License-Identifier: GPL-2.0 */
/* Fuzz target: any stack dump. Input: u64 SP, u64 frame pointer, then the dump's bytes. */
#include <stdlib.h>

#include "seeds.h"
#include "stitch/stitch.h"

#define MAX 64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes)
{
	struct gj_cursor cur = gj_cursor_init((struct gj_window){ data, size_bytes });
	uint64_t sp = gj_cursor_u64(&cur), fp = gj_cursor_u64(&cur), chain[MAX];
	size_t left = gj_cursor_left(&cur), cnt;
	uint8_t *copy = malloc(left + 1);

	if (!copy)
		return 0;
	memcpy(copy, cur.pos, left);
	cnt = gj_fp_walk((struct gj_window){ copy, left }, 0x401000, sp, fp, chain, MAX);
	/* Each frame takes two words or shares one with the next, and the chain holds no zero. */
	if (!cnt || cnt > MAX || cnt > 1 + left / 8)
		abort();
	for (size_t i = 0; i < cnt; i++)
		if (!chain[i])
			abort();
	free(copy);
	return 0;
}

void fuzz_seeds(void)
{
	uint64_t words[10] = { 0x7ffc00001000, 0x7ffc00001008, 0, 0x7ffc00001020, 0x401100, 0,
			       0x7ffc00001030, 0x401200, 0, 0x401300 };

	fuzz_seed(words, sizeof(words));
}
