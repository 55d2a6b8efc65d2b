/* SPDX-License-Identifier: GPL-2.0 */
/* src/session/chain.c: recorded call chains, well-formed and not, to locations. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "recordwriter.h"
#include "session/session.h"

#define KERNEL ((uint64_t)-128)
#define USER ((uint64_t)-512)
#define DEFERRED ((uint64_t)-640)
#define K(n) (0xffffffff81000000 + (n))
#define MODULE 0xffffffffc0000000
#define UNMAPPED 0xdead

static unsigned int asked; /* how often the host was asked */

/* A kernel, a module, and a program that is not on this machine. */
static int resolve(void *data, uint64_t ip, struct gj_mapping *mapping_out)
{
	(void)data;
	asked++;
	if (ip == UNMAPPED)
		return -1;
	*mapping_out = (struct gj_mapping){
		.dso = ip == MODULE ? "[ext4]" : ip > MODULE >> 1 ? "[kernel.kallsyms]" : "/no/prog",
		.file_off = ip & 0xffffff,
		.sym = "f",
		.sym_off = ip & 0xff,
	};
	return 0;
}

struct setting {
	struct gj_options options;
	struct gj_chain chain;
};

static int setup(void **state)
{
	struct setting *setting = calloc(1, sizeof(*setting));

	if (!setting || gj_options_parse(&setting->options, NULL, 0, NULL))
		return -1;
	setting->chain.host = (struct gj_host){ .size = sizeof(struct gj_host), .resolve = resolve };
	setting->chain.dsos = gj_dsos_new(&setting->chain.host, NULL);
	setting->chain.locations = gj_locations_new(&setting->options);
	setting->chain.max = GJ_MAX_CHAIN;
	setting->chain.regs = (struct gj_reg_numbers){ GJ_ARCH_AMD64, .g = 22, .sp = 7, .ip = 8 };
	if (gj_stitcher_new(&setting->chain.stitcher))
		return -1;
	*state = setting;
	return 0;
}

static int teardown(void **state)
{
	struct setting *setting = *state;

	gj_locations_free(setting->chain.locations);
	gj_stitcher_free(setting->chain.stitcher);
	gj_dsos_free(setting->chain.dsos);
	free(setting);
	return 0;
}

static const struct {
	const char *name;
	uint64_t ips[8], cnt;
	uint64_t found[8], found_cnt, first_user;
	bool is_all_core;
} cases[] = {
	{ "kernel and user", { KERNEL, K(1), K(2), USER, 0x1001, 0x1002 }, 6,
	  { K(1), K(2), 0x1001, 0x1002 }, 4, 2, false },
	{ "user only", { USER, 0x1001 }, 2, { 0x1001 }, 1, 0, false },
	{ "the kernel proper only", { KERNEL, K(1), K(2) }, 3, { K(1), K(2) }, 2, 2, true },
	{ "a module among it", { KERNEL, K(1), MODULE }, 3, { K(1), MODULE }, 2, 2, false },
	{ "no markers", { K(1), K(2) }, 2, { K(1), K(2) }, 2, 2, true },
	{ "an address nobody mapped", { USER, 0x1001, UNMAPPED }, 3, { 0x1001, UNMAPPED }, 2, 0, false },
	{ "a cookie in place of the user's part", { KERNEL, K(1), DEFERRED, 0x77 }, 4,
	  { K(1) }, 1, 1, true },
	{ "a marker that is new", { (uint64_t)-700, 0x1001 }, 2, { 0x1001 }, 1, 0, false },
	{ "empty", { 0 }, 0, { 0 }, 0, 0, true },
};

static void chains(void **state)
{
	struct gj_chain *chain = &((struct setting *)*state)->chain;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct gj_sample sample = {
			.size = sizeof(sample), .ip = K(1), .is_kernel = true,
			.chain = cases[i].ips, .chain_cnt = cases[i].cnt,
		};
		bool is_same;

		assert_int_equal(gj_chain_find(chain, &sample), 0);
		is_same = chain->cnt == cases[i].found_cnt &&
			  chain->first_user == cases[i].first_user && chain->leaf &&
			  chain->is_all_core == cases[i].is_all_core && !chain->has_go;
		for (size_t k = 0; is_same && k < chain->cnt; k++)
			is_same = chain->found[k]->ip == cases[i].found[k] &&
				  chain->hows[k] == (k < chain->first_user  ? GJ_HOW_KERNEL :
						     k == chain->first_user ? GJ_HOW_IP :
									      GJ_HOW_FP);
		if (!is_same)
			fail_msg("%s: %zu locations, user from %zu", cases[i].name, chain->cnt,
				 chain->first_user);
	}
}

/* The kernel proper stays where it is: asked once. Modules come and go: each time. */
static void kernel_is_asked_once(void **state)
{
	static const uint64_t core[] = { KERNEL, K(1), K(2) }, module[] = { KERNEL, MODULE };
	struct gj_chain *chain = &((struct setting *)*state)->chain;
	struct gj_sample sample = { .size = sizeof(sample), .ip = K(1), .is_kernel = true,
				    .chain = core, .chain_cnt = 3 };

	assert_int_equal(gj_chain_find(chain, &sample), 0);
	asked = 0;
	assert_int_equal(gj_chain_find(chain, &sample), 0);
	assert_int_equal(asked, 0);
	sample.ip = MODULE;
	sample.chain = module;
	sample.chain_cnt = 2;
	assert_int_equal(gj_chain_find(chain, &sample), 0);
	assert_int_equal(gj_chain_find(chain, &sample), 0);
	assert_int_equal(asked, 2);
}

/*
 * A stack dump stands for the user's part. Of code that is in no file nothing
 * proves who called it, whatever the frame pointer says: the instruction alone.
 */
static void stack_dump(void **state)
{
	static const uint64_t core[] = { KERNEL, K(1) };
	/* SP = 0x7000: locals, then {frame pointer, return address} at 0x7008 and 0x7018. */
	static const uint64_t stack[] = { 9, 0x7018, 0x2002, 0, 0x3003 };
	static const uint64_t values[] = { 0x7008, 0x7000, 0x1001 };
	struct gj_chain *chain = &((struct setting *)*state)->chain;
	struct gj_sample sample = {
		.size = sizeof(sample), .ip = K(1), .is_kernel = true, .chain = core,
		.chain_cnt = 2, .regs = { 1 << 6 | 1 << 7 | 1 << 8, values },
		.stack = (const uint8_t *)stack, .stack_bytes = sizeof(stack),
	};

	assert_int_equal(gj_chain_find(chain, &sample), 0);
	assert_int_equal(chain->cnt, 2);
	assert_int_equal(chain->first_user, 1);
	assert_int_equal(chain->found[1]->ip, 0x1001);
	assert_int_equal(chain->hows[1], GJ_HOW_IP);
	/* Without SP the dump's place is unknown. */
	sample.regs.mask = 1 << 6 | 1 << 5 | 1 << 8;
	assert_int_equal(gj_chain_find(chain, &sample), 0);
	assert_int_equal(chain->cnt, 2);
	for (size_t cut = 0; cut < sizeof(stack); cut++) {
		sample.regs.mask = 1 << 6 | 1 << 7 | 1 << 8;
		sample.stack_bytes = cut;
		assert_int_equal(gj_chain_find(chain, &sample), 0);
		assert_int_equal(chain->cnt, 2);
	}
}

/* The chain is kept where a walk does not come as far, out of a dump or a record. */
static void chain_beside_walk(void **state)
{
	static const uint64_t ips[] = { KERNEL, K(1), USER, 0x1001, 0x2002, 0x3003 };
	static const uint64_t stack[] = { 9, 0x7018, 0x2002, 0, 0x3003 };
	static const uint64_t values[] = { 0x7008, 0x7000, 0x1001 };
	const struct gj_stack_record head = { .time_ns = 1000, .ip = 0x1001, .sp = 0x7000,
					      .bp = 0x7008, .goid = 7 };
	struct gj_chain *chain = &((struct setting *)*state)->chain;
	struct gj_sample sample = {
		.size = sizeof(sample), .ip = K(1), .is_kernel = true, .chain = ips,
		.chain_cnt = 6, .regs = { 1 << 6 | 1 << 7 | 1 << 8, values },
		.stack = (const uint8_t *)stack, .stack_bytes = sizeof(stack),
		.time_ns = 2000, .has_time = true,
	};
	struct gj_buf file = { 0 };

	for (int i = 0; i < 2; i++) {
		assert_int_equal(gj_chain_find(chain, &sample), 0);
		assert_int_equal(chain->has_record, i);
		assert_true(chain->is_walked);
		assert_false(chain->stack.is_complete);
		assert_int_equal(chain->first_user, 1);
		assert_int_equal(chain->cnt, 4);
		for (size_t k = 1; k < chain->cnt; k++) {
			assert_int_equal(chain->found[k]->ip, ips[k + 2]);
			assert_int_equal(chain->hows[k], k == 1 ? GJ_HOW_IP : GJ_HOW_FP);
		}
		sample.stack = NULL;
		if (i)
			continue;
		rw_part(&file, rw_record(&file, &head), GJ_PART_STACK, 0x7000, stack, 40);
		rw_finish(&file, 0, GJ_STACKS_MAGIC);
		assert_int_equal(gj_stack_records_new(rw_window(&file), NULL, NULL, &chain->records,
						      NULL), 0);
	}
	/* It was the record of that sample; the next one has none. */
	assert_int_equal(gj_chain_find(chain, &sample), 0);
	assert_false(chain->has_record);
	assert_false(chain->is_walked);
	assert_int_equal(chain->cnt, 4);
	gj_stack_records_free(chain->records);
	gj_buf_deinit(&file);
}

static void at_most_max(void **state)
{
	struct gj_chain *chain = &((struct setting *)*state)->chain;
	uint64_t *ips = malloc(3 * GJ_MAX_CHAIN * sizeof(*ips));
	struct gj_sample sample = { .size = sizeof(sample), .ip = 1, .chain = ips,
				    .chain_cnt = 3 * GJ_MAX_CHAIN };

	for (size_t i = 0; i < 3 * GJ_MAX_CHAIN; i++)
		ips[i] = i % 7 ? i : USER;
	assert_int_equal(gj_chain_find(chain, &sample), 0);
	assert_int_equal(chain->cnt, GJ_MAX_CHAIN);
	chain->max = 5;
	assert_int_equal(gj_chain_find(chain, &sample), 0);
	assert_int_equal(chain->cnt, 5);
	free(ips);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(chains, setup, teardown),
		cmocka_unit_test_setup_teardown(kernel_is_asked_once, setup, teardown),
		cmocka_unit_test_setup_teardown(stack_dump, setup, teardown),
		cmocka_unit_test_setup_teardown(chain_beside_walk, setup, teardown),
		cmocka_unit_test_setup_teardown(at_most_max, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
