/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A process goes on while it is read. This program takes the place of
 * src/goroutine/live_memory.c, so that it chooses what changes between two
 * reads and in the middle of one: nothing that is half one goroutine and half
 * another may come out, and whatever stays must.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "fakeruntime.h"

/* What happens in read number `at`, counting from 0, after its first `split_bytes`. */
typedef void change_fn(struct fake *fake);

static struct {
	struct fake *fake;
	change_fn *change;
	unsigned int read_cnt, at, times;
	size_t split_bytes;
} script;

/* allgs when it has grown. */
static uint64_t elsewhere[G_CNT + 3];

static bool lies_in(uint64_t va, size_t size_bytes, const void *room, size_t room_bytes)
{
	return va >= va_of(room) && va - va_of(room) <= room_bytes - size_bytes;
}

static bool is_there(uint64_t va, size_t size_bytes)
{
	return lies_in(va, size_bytes, script.fake, sizeof(*script.fake)) ||
	       lies_in(va, size_bytes, elsewhere, sizeof(elsewhere));
}

static int read_own(uint64_t va, void *bytes_out, size_t size_bytes)
{
	size_t first = script.split_bytes < size_bytes ? script.split_bytes : 0;
	uint8_t *to = bytes_out;

	if (!is_there(va, size_bytes))
		first = 0;
	else
		memcpy(to, (const void *)(uintptr_t)va, first);
	if (script.read_cnt++ == script.at)
		for (unsigned int i = 0; i < script.times; i++)
			script.change(script.fake);
	if (!is_there(va, size_bytes))
		return -EFAULT;
	memcpy(to + first, (const uint8_t *)(uintptr_t)va + first, size_bytes - first);
	return 0;
}

int gj_memory_read(uint32_t pid, uint64_t va, void *bytes_out, size_t size_bytes)
{
	(void)pid;
	return read_own(va, bytes_out, size_bytes);
}

int gj_memory_read_many(uint32_t pid, struct gj_memory_part *parts, size_t cnt, uint8_t *bytes_out)
{
	(void)pid;
	for (size_t i = 0; i < cnt; bytes_out += parts[i++].size_bytes)
		parts[i].is_read = !read_own(parts[i].va, bytes_out, parts[i].size_bytes);
	return 0;
}

/* Arms the script: @change runs @times at read @at. */
static void play(struct fake *fake, change_fn *change, unsigned int times, unsigned int at)
{
	script.fake = fake;
	script.change = change;
	script.times = times;
	script.at = at;
	script.split_bytes = 0;
	script.read_cnt = 0;
	fake->out.size_bytes = 0;
}

static const struct gj_trail_g *find_goid(const struct fake *fake, uint64_t goid)
{
	const struct gj_trail_g *gs = (const void *)fake->out.data;

	for (uint32_t i = 0; i < fake->cnt; i++)
		if (gs[i].goid == goid)
			return &gs[i];
	return NULL;
}

/* Goroutines 1, 2, 4 and 5 stay, whatever becomes of 3. */
static void assert_others(const struct fake *fake)
{
	for (uint64_t goid = 1; goid <= G_CNT; goid++) {
		const struct gj_trail_g *g = find_goid(fake, goid);

		if (goid == 3)
			continue;
		assert_non_null(g);
		assert_int_equal(g->g, va_of(&fake->gs[goid - 1]));
		assert_int_equal(g->stack_lo, 0x10000 * goid);
	}
}

/* The g of goroutine 3 is given to goroutine 33, one store a step, as gdestroy and newproc1 do. */
#define STEP_CNT 6

static void step(struct fake *fake)
{
	struct fake_g *g = &fake->gs[2];

	if (g->goid == 3 && g->status == 4)
		g->status = 6;
	else if (g->stack_hi != 0x330800)
		g->stack_hi = 0x330800;
	else if (g->stack_lo != 0x330000)
		g->stack_lo = 0x330000;
	else if (g->start_pc != 0x433000)
		g->start_pc = 0x433000;
	else if (g->goid != 33)
		g->goid = 33;
	else
		g->status = 1;
}

/* The same with the last two in the order of Go 1.21 to 1.23. */
static void step_1_23(struct fake *fake)
{
	struct fake_g *g = &fake->gs[2];

	if (g->start_pc == 0x433000 && g->status == 6)
		g->status = 1;
	else
		step(fake);
}

/* The old one, the new one, or neither, but no mixture. */
static void assert_old_or_new(const struct fake *fake, bool is_new_there)
{
	const struct gj_trail_g *old = find_goid(fake, 3), *new = find_goid(fake, 33);

	assert_others(fake);
	assert_int_equal(fake->cnt, G_CNT - 1 + (old != NULL) + (new != NULL));
	assert_false(old && new);
	assert_true(!new || (new->stack_lo == 0x330000 && new->stack_hi == 0x330800 &&
			     new->start_pc == 0x433000));
	/* Nothing has run on a new g that still bears the old id. */
	assert_true(!old || (old->stack_lo == 0x30000 && old->stack_hi == 0x30800) ||
		    (old->stack_lo == 0x330000 && old->stack_hi == 0x330800));
	assert_true(!is_new_there || new);
}

/* Some steps before all reads and some inside each, split at each field of g. */
static void use_again(struct fake *fake, change_fn *change)
{
	static const size_t splits[] = { 0, 8, 16, 148, 160, 177 };
	struct fake_g before = fake->gs[2];

	for (unsigned int begin = 0; begin <= STEP_CNT; begin++)
		for (unsigned int times = 0; times <= STEP_CNT - begin; times++)
			for (unsigned int at = 0; at < 6; at++)
				for (size_t i = 0; i < sizeof(splits) / sizeof(splits[0]); i++) {
					size_t to_g = offsetof(struct fake, gs[2]) -
						      offsetof(struct fake, gs[0]);

					for (unsigned int k = 0; k < begin; k++)
						change(fake);
					play(fake, change, times, at);
					/* All gs lie in one stretch. */
					script.split_bytes = to_g + splits[i];
					assert_int_equal(gj_target_add_gs(&fake->target, &fake->out,
									  &fake->cnt, NULL), 0);
					assert_old_or_new(fake, begin == STEP_CNT);
					fake->gs[2] = before;
				}
}

static void used_again(void **state)
{
	use_again(*state, step);
	use_again(*state, step_1_23);
}

/* One that is given away in every read is left out, and the walk ends. */
static void change_again(struct fake *fake)
{
	fake->gs[2].goid++;
	script.at++;
}

static void never_settles(void **state)
{
	struct fake *fake = *state;

	play(fake, change_again, 1, 0);
	assert_int_equal(gj_target_add_gs(&fake->target, &fake->out, &fake->cnt, NULL), 0);
	assert_int_equal(fake->cnt, G_CNT - 1);
	assert_others(fake);
}

/* The stack moves while it is read: both ends of the new one, or of the old. */
static void move_stack(struct fake *fake)
{
	fake->gs[2].stack_lo += 0x1000000;
	fake->gs[2].stack_hi += 0x1000000;
}

static void stack_moves(void **state)
{
	struct fake *fake = *state;

	for (unsigned int at = 0; at < 8; at++) {
		const struct gj_trail_g *g;

		play(fake, move_stack, 1, at);
		/* Between the two ends of goroutine 3's stack. */
		script.split_bytes = 2 * sizeof(struct fake_g) + 8;
		assert_int_equal(gj_target_add_gs(&fake->target, &fake->out, &fake->cnt, NULL), 0);
		assert_int_equal(fake->cnt, G_CNT);
		g = find_goid(fake, 3);
		assert_non_null(g);
		assert_int_equal(g->stack_hi - g->stack_lo, 0x800);
		/* Reads 0 to 2 are the list, 3 and 4 the goroutines: there is none later to miss it. */
		assert_int_equal(g->stack_lo, fake->gs[2].stack_lo);
	}
}

/* allgs grows: new memory, and the old one is overwritten at once. */
static void grow(struct fake *fake)
{
	memcpy(elsewhere, fake->pointers, sizeof(elsewhere));
	memset(fake->pointers, 0x55, sizeof(fake->pointers));
	fake->allgs.va = va_of(elsewhere);
}

static void list_grows(void **state)
{
	struct fake *fake = *state;

	for (unsigned int at = 0; at < 4; at++) {
		struct fake before = *fake;

		play(fake, grow, 1, at);
		assert_int_equal(gj_target_add_gs(&fake->target, &fake->out, &fake->cnt, NULL), 0);
		assert_int_equal(fake->cnt, G_CNT);
		memcpy(fake->pointers, before.pointers, sizeof(fake->pointers));
		fake->allgs.va = va_of(fake->pointers);
	}
	/* Gone from under us in the middle. */
	fake->allgs.va = 64;
	play(fake, grow, 1, 1);
	assert_int_equal(gj_target_add_gs(&fake->target, &fake->out, &fake->cnt, NULL), 0);
	assert_int_equal(fake->cnt, G_CNT);
}

static void move_list(struct fake *fake)
{
	fake->allgs.va += 8;
	script.at++;
}

static void list_never_rests(void **state)
{
	struct fake *fake = *state;
	struct gj_diag diag = { 0 };

	play(fake, move_list, 1, 0);
	fake->allgs.cnt = 1;
	assert_int_equal(gj_target_add_gs(&fake->target, &fake->out, &fake->cnt, &diag), -EAGAIN);
	assert_non_null(strstr(diag.text, "changes faster"));
}

/* The second thread ends: out of the list, and its memory is used for something else. */
static void end_thread(struct fake *fake)
{
	fake->ms[0].alllink = va_of(&fake->ms[2]);
	/* It looks like an m with a number, at the end of the list. */
	fake->ms[1] = (struct fake_m){ .g0 = va_of(&fake->g0s[2]), .procid = 9, .curg = 0x5555 };
}

static void thread_ends(void **state)
{
	struct fake *fake = *state;
	struct fake before = *fake;

	/* Reads: the list's head, then per thread the m and its g0's owner. */
	for (unsigned int at = 0; at < 8; at++) {
		const struct gj_trail_m *ms;

		play(fake, end_thread, 1, at);
		assert_int_equal(gj_target_add_ms(&fake->target, &fake->out, &fake->cnt, NULL), 0);
		ms = (const void *)fake->out.data;
		/* The g0 was checked with read number 4: after it the thread was there. */
		assert_int_equal(fake->cnt, at > 3 ? 3 : 2);
		assert_int_equal(ms[0].tid, (uint32_t)getpid());
		assert_int_equal(ms[fake->cnt - 1].tid, (uint32_t)getpid() + 2);
		memcpy(fake->ms, before.ms, sizeof(fake->ms));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(used_again, fake_setup, fake_teardown),
		cmocka_unit_test_setup_teardown(never_settles, fake_setup, fake_teardown),
		cmocka_unit_test_setup_teardown(stack_moves, fake_setup, fake_teardown),
		cmocka_unit_test_setup_teardown(list_grows, fake_setup, fake_teardown),
		cmocka_unit_test_setup_teardown(list_never_rests, fake_setup, fake_teardown),
		cmocka_unit_test_setup_teardown(thread_ends, fake_setup, fake_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
