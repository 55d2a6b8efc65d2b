/* SPDX-License-Identifier: GPL-2.0 */
/* The frame-pointer walk over a stack dump. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "stitch/stitch.h"

#define SP 0x7ffc00001000ULL
#define WORDS 16
#define MAX 8

/* A dump of sixteen words from SP, of which each case sets some. */
struct walk {
	const char *name;
	struct { unsigned int word; uint64_t value; } set[6];
	uint64_t fp_words; /* of the register, in words above SP */
	size_t cut_bytes;  /* off the dump's end */
	size_t max;
	uint64_t want[MAX]; /* behind ip; ends with 0 */
};

#define AT(word) (SP + 8 * (word))
static const struct walk walks[] = {
	{ "three frames", { { 2, AT(5) }, { 3, 0x11 }, { 5, AT(9) }, { 6, 0x22 }, { 9, 0 }, { 10, 0x33 } },
	  .fp_words = 2, .max = MAX, .want = { 0x11, 0x22, 0x33 } },
	{ "fp at sp", { { 0, AT(4) }, { 1, 0x11 }, { 4, 0 }, { 5, 0x22 } },
	  .fp_words = 0, .max = MAX, .want = { 0x11, 0x22 } },
	{ "no room", { { 2, AT(5) }, { 3, 0x11 }, { 5, AT(9) }, { 6, 0x22 } },
	  .fp_words = 2, .max = 2, .want = { 0x11 } },
	{ "room for ip alone", { { 2, AT(5) }, { 3, 0x11 } }, .fp_words = 2, .max = 1 },
	{ "fp does not rise", { { 2, AT(2) }, { 3, 0x11 } },
	  .fp_words = 2, .max = MAX, .want = { 0x11 } },
	{ "fp falls back", { { 4, AT(1) }, { 5, 0x11 }, { 1, AT(4) }, { 2, 0x22 } },
	  .fp_words = 4, .max = MAX, .want = { 0x11 } },
	{ "fp askew", { { 2, AT(5) + 3 }, { 3, 0x11 }, { 6, 0x22 } },
	  .fp_words = 2, .max = MAX, .want = { 0x11 } },
	{ "no return address", { { 2, AT(5) }, { 3, 0 }, { 6, 0x22 } }, .fp_words = 2, .max = MAX },
	{ "beyond the dump", { { 2, AT(400) }, { 3, 0x11 } },
	  .fp_words = 2, .max = MAX, .want = { 0x11 } },
	{ "end of memory", { { 2, UINT64_MAX - 7 }, { 3, 0x11 } },
	  .fp_words = 2, .max = MAX, .want = { 0x11 } },
	{ "fp below sp", { { 2, AT(5) }, { 3, 0x11 } }, .fp_words = (uint64_t)-1, .max = MAX },
	{ "dump ends between the two words", { { 14, AT(15) }, { 15, 0x11 } },
	  .fp_words = 14, .cut_bytes = 8, .max = MAX },
	{ "dump ends inside the return address", { { 14, AT(15) }, { 15, 0x11 } },
	  .fp_words = 14, .cut_bytes = 1, .max = MAX },
	{ "dump ends behind the return address", { { 14, AT(15) }, { 15, 0x11 } },
	  .fp_words = 14, .max = MAX, .want = { 0x11 } },
};

static void each_walk(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(walks) / sizeof(walks[0]); i++) {
		const struct walk *walk = &walks[i];
		size_t size_bytes = 8 * WORDS - walk->cut_bytes, cnt, want_cnt = 1;
		uint64_t words[WORDS] = { 0 }, chain[MAX + 1];
		uint8_t *copy = malloc(size_bytes);

		for (size_t s = 0; s < sizeof(walk->set) / sizeof(walk->set[0]); s++)
			if (walk->set[s].value)
				words[walk->set[s].word] = walk->set[s].value;
		memcpy(copy, words, size_bytes);
		chain[walk->max] = 0xdead;
		cnt = gj_fp_walk((struct gj_window){ copy, size_bytes }, 0x42, SP,
				 SP + 8 * walk->fp_words, chain, walk->max);
		while (walk->want[want_cnt - 1])
			want_cnt++;
		if (cnt != want_cnt || chain[0] != 0x42 ||
		    memcmp(chain + 1, walk->want, 8 * (cnt - 1)))
			fail_msg("%s: %d addresses, not %d", walk->name, (int)cnt, (int)want_cnt);
		assert_int_equal(chain[walk->max], 0xdead);
		free(copy);
	}
}

static void nothing_to_walk(void **state)
{
	uint64_t chain[1] = { 7 };

	(void)state;
	assert_int_equal(gj_fp_walk((struct gj_window){ NULL, 0 }, 0x42, SP, SP, chain, 1), 1);
	assert_int_equal(chain[0], 0x42);
	assert_int_equal(gj_fp_walk((struct gj_window){ NULL, 0 }, 0x42, SP, SP, chain, 0), 0);
}

/* Whatever the words say, the walk goes up, stays inside and ends. */
static void hostile_words(void **state)
{
	static const uint64_t values[] = { 0, 1, UINT64_MAX, UINT64_MAX - 7, 1ULL << 63, SP, AT(3), AT(15) };
	const size_t value_cnt = sizeof(values) / sizeof(values[0]);
	uint64_t chain[64];

	(void)state;
	for (size_t seed = 0; seed < 4096; seed++) {
		uint64_t *words = malloc(8 * WORDS);
		struct gj_window stack = { (uint8_t *)words, 8 * WORDS };

		for (size_t w = 0; w < WORDS; w++)
			words[w] = values[(seed >> w % 4 * 3 ^ w) % value_cnt];
		for (size_t v = 0; v < value_cnt; v++) {
			size_t cnt = gj_fp_walk(stack, 1, SP, values[v], chain, 64);

			assert_in_range(cnt, 1, 1 + WORDS / 2);
			cnt = gj_fp_walk(stack, 1, values[v], SP, chain, 64);
			assert_in_range(cnt, 1, 1 + WORDS);
		}
		free(words);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_walk),
		cmocka_unit_test(nothing_to_walk),
		cmocka_unit_test(hostile_words),
	};

	return cmocka_run_group_tests_name("fp", tests, NULL, NULL);
}
