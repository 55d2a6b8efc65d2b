/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Compiled call frame information: this very program's and libc's, against
 * libgcc's unwinder (backtrace) on this program's own stack.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <execinfo.h>
#include <stdlib.h>
#include <ucontext.h>
#include <unistd.h>

#include "stitch/stitch.h"

#define MAX 128

struct self {
	struct gj_maps *maps;
	struct { const struct gj_vma *vma; struct gj_image *image; uint64_t bias; } files[64];
	size_t file_cnt;
	uint64_t stack_hi;
};

static int read_self(void *data, uint64_t va, void *bytes_out, size_t size_bytes)
{
	struct self *self = data;

	if (va >= self->stack_hi || size_bytes > self->stack_hi - va || va < self->stack_hi - (8 << 20))
		return -14;
	memcpy(bytes_out, (const void *)(uintptr_t)va, size_bytes);
	return 0;
}

static int find_self(void *data, uint64_t va, struct gj_stitch_image *image_out)
{
	struct self *self = data;

	for (size_t i = 0; i < self->file_cnt; i++)
		if (va >= self->files[i].vma->start_va && va < self->files[i].vma->end_va) {
			*image_out = (struct gj_stitch_image){ self->files[i].image, NULL,
							       self->files[i].bias, false };
			return 0;
		}
	return -2;
}

static int setup(void **state)
{
	static struct self self;
	const struct gj_vma *vma;

	if (gj_maps_open("/proc/self/maps", &self.maps, NULL))
		return -1;
	for (size_t i = 0; (vma = gj_maps_vma(self.maps, i)) && self.file_cnt < 64; i++) {
		if (!strcmp(vma->path, "[stack]"))
			self.stack_hi = vma->end_va;
		if (!(vma->flags & 1) || vma->path[0] != '/' ||
		    gj_image_open(vma->path, &self.files[self.file_cnt].image, NULL))
			continue;
		self.files[self.file_cnt].vma = vma;
		if (gj_maps_load_bias(self.maps, vma, self.files[self.file_cnt].image,
				      &self.files[self.file_cnt].bias))
			return -1;
		self.file_cnt++;
	}
	*state = &self;
	return 0;
}

static int teardown(void **state)
{
	struct self *self = *state;

	for (size_t i = 0; i < self->file_cnt; i++)
		gj_image_close(self->files[i].image);
	gj_maps_close(self->maps);
	return 0;
}

struct both {
	struct self *self;
	struct gj_stack_frame frames[MAX];
	struct gj_stack stack;
	void *backtrace[MAX];
	int cnt;
};

static void take_both(struct both *both)
{
	ucontext_t context;
	uint64_t values[17];
	const greg_t *g = context.uc_mcontext.gregs;
	struct gj_stitcher *stitcher;
	struct gj_stitch_input input = { .regs = { 0xff01ff, values } };
	struct gj_stitch_view view = { .data = both->self, .read = read_self,
				       .find_image = find_self, .arch = GJ_ARCH_AMD64 };
	const int order[17] = { REG_RAX, REG_RBX, REG_RCX, REG_RDX, REG_RSI, REG_RDI, REG_RBP,
				REG_RSP, REG_RIP, REG_R8, REG_R9, REG_R10, REG_R11, REG_R12,
				REG_R13, REG_R14, REG_R15 };

	both->cnt = backtrace(both->backtrace, MAX);
	getcontext(&context);
	for (size_t i = 0; i < 17; i++)
		values[i] = (uint64_t)g[order[i]];
	both->stack = (struct gj_stack){ .frames = both->frames, .max = MAX };
	assert_int_equal(gj_stitcher_new(&stitcher), 0);
	assert_int_equal(gj_stitch(stitcher, &view, &input, &both->stack), 0);
	gj_stitcher_free(stitcher);
}

/* Called back by libc, from a frame that has room of any size. */
static struct both *current;

static int compare(const void *a, const void *b)
{
	if (!current->cnt)
		take_both(current);
	return memcmp(a, b, 1);
}

__attribute__((noinline)) static int recurse(int depth, struct both *both)
{
	volatile char room[1 + depth * 40];

	room[depth] = (char)depth;
	if (depth) {
		return recurse(depth - 1, both) + room[depth];
	} else {
		char letters[] = "gojitter";

		current = both;
		qsort(letters, sizeof(letters) - 1, 1, compare);
		return letters[0];
	}
}

static void own_stack(void **state)
{
	static struct both both;
	int first = 0;

	both.self = *state;
	recurse(20, &both);
	assert_in_range(both.cnt, 25, MAX - 1);
	assert_true(both.stack.is_complete);
	assert_string_equal(both.stack.root, "thread");
	/* Both were asked inside one function, at two places; a sanitizer asks from its own. */
	while (first < both.cnt &&
	       both.stack.frames[1].va != (uint64_t)(uintptr_t)both.backtrace[first])
		first++;
	assert_in_range(first, 1, 2);
	assert_int_equal(both.stack.cnt, both.cnt - first + 1);
	for (int i = first; i < both.cnt; i++) {
		const struct gj_stack_frame *frame = &both.stack.frames[i - first + 1];

		assert_int_equal(frame->va, (uint64_t)(uintptr_t)both.backtrace[i]);
		assert_int_equal(frame->how, GJ_FRAME_CFI);
	}
}

/* Rows stand in order; outside of all there is none. */
static void rows(void **state)
{
	struct self *self = *state;
	size_t row_cnt, expression_cnt;
	struct gj_cfi *cfi;

	for (size_t i = 0; i < self->file_cnt; i++) {
		uint64_t va, last_va = 0;

		if (gj_cfi_new(self->files[i].image, NULL, &cfi))
			continue;
		gj_cfi_count(cfi, &row_cnt, &expression_cnt);
		assert_in_range(row_cnt, 2, 10000000);
		assert_in_range(expression_cnt, 0, row_cnt / 100 + 4);
		for (size_t r = 0; r < row_cnt; r++) {
			const struct gj_cfi_row *row = gj_cfi_row(cfi, r, &va);

			assert_true(!r || va > last_va);
			last_va = va;
			if (row->cfa_kind != GJ_CFA_NONE)
				assert_ptr_equal(gj_cfi_find(cfi, va), row);
			else if (!row->is_root)
				assert_null(gj_cfi_find(cfi, va));
		}
		assert_null(gj_cfi_row(cfi, row_cnt, &va));
		assert_null(gj_cfi_find(cfi, last_va));
		assert_null(gj_cfi_find(cfi, UINT64_MAX));
		gj_cfi_free(cfi);
	}
	gj_cfi_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(own_stack),
		cmocka_unit_test(rows),
	};

	return cmocka_run_group_tests_name("cfi", tests, setup, teardown);
}
