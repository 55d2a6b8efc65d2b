/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Rows for the unwinder in the kernel: a small Go program's and this very
 * program's, libc's included, address by address against the tables they are
 * made of.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <elf.h>
#include <gnu/libc-version.h>
#include <stdlib.h>

#include "gowriter.h"
#include "profile/profile.h"

struct rows {
	struct gj_buf rows, pages;
	uint32_t page_cnt;
	uint64_t base_va;
};

static void make(struct rows *rows, const struct gj_image *image, const struct gj_gotab *gotab)
{
	struct gj_stitch_facts facts;
	const struct gj_segment *segment;

	*rows = (struct rows){ 0 };
	for (unsigned int i = 0; (segment = gj_image_segment(image, i)); i++)
		if (segment->flags & PF_X) {
			rows->base_va = segment->va;
			break;
		}
	if (gotab)
		assert_int_equal(gj_stitch_facts(image, gotab, &facts), 0);
	assert_int_equal(gj_profile_rows(image, gotab, &facts, rows->base_va, &rows->rows), 0);
	assert_int_equal(gj_profile_pages(&rows->rows, 0, &rows->pages, &rows->page_cnt), 0);
	assert_int_equal(rows->pages.size_bytes, rows->page_cnt * sizeof(struct gj_unwind_page));
}

static void deinit(struct rows *rows)
{
	gj_buf_deinit(&rows->rows);
	gj_buf_deinit(&rows->pages);
}

/* As bpf/unwind.bpf.h looks up, without its haste. */
static uint32_t rule_at(const struct rows *rows, uint64_t va)
{
	const struct gj_unwind_row *list = (const void *)rows->rows.data;
	const struct gj_unwind_page *pages = (const void *)rows->pages.data;
	uint64_t off = va - rows->base_va;
	uint32_t row;

	if (off >> GJ_UNWIND_PAGE_SHIFT >= rows->page_cnt)
		return 0;
	pages += off >> GJ_UNWIND_PAGE_SHIFT;
	/* What nine halvings can tell apart. */
	assert_true(pages->last - pages->first < 512);
	assert_true(list[pages->first].start <= off);
	for (row = pages->first; row < pages->last && list[row + 1].start <= off; row++)
		;
	return list[row].rule;
}

static uint32_t rule(enum gj_rule_kind kind, uint32_t value)
{
	return (uint32_t)kind << GJ_RULE_SHIFT | value;
}

static void go_deltas(void **state)
{
	(void)state;
	for (int layout = GW_1_16; layout < GW_LAYOUT_CNT; layout++) {
		static struct gw_image file;
		struct gj_image *image;
		struct gj_gotab *gotab;
		struct rows rows;
		struct gj_gofunc func;
		int32_t delta;

		gw_write(&file, (enum gw_layout)layout);
		assert_int_equal(gj_image_open_bytes((struct gj_window){ file.bytes, sizeof(file.bytes) },
						     "", &image, NULL), 0);
		assert_int_equal(gj_gotab_open(image, &gotab, NULL), 0);
		make(&rows, image, gotab);
		for (uint64_t va = GW_TEXT; va < GW_ETEXT; va++) {
			assert_int_equal(gj_gotab_find_func(gotab, va, &func), 0);
			assert_int_equal(gj_gotab_sp_delta(gotab, &func, va, &delta), 0);
			assert_int_equal(rule_at(&rows, va), rule(GJ_RULE_GO, (uint32_t)delta));
		}
		assert_int_equal(rule_at(&rows, GW_ETEXT), rule(GJ_RULE_NONE, 0));
		deinit(&rows);
		gj_gotab_close(gotab);
		gj_image_close(image);
	}
}

/* What the rows say of an address agrees with the compiled call frame information. */
static bool agrees(uint32_t got, const struct gj_cfi_row *row)
{
	uint32_t kind = got >> GJ_RULE_SHIFT, value = got & GJ_RULE_MASK;
	bool is_sp = row->cfa_reg == 7;
	int32_t rbp = row->saved[0] == GJ_CFI_SAME ? 0 : -row->saved[0];

	if (row->is_root)
		return kind == GJ_RULE_ROOT;
	if (row->cfa_kind == GJ_CFA_PLT)
		return kind == GJ_RULE_C_SP;
	if (row->cfa_kind != GJ_CFA_REG || (!is_sp && row->cfa_reg != 6))
		return kind == GJ_RULE_NONE || kind == GJ_RULE_SIGRETURN;
	return kind == (is_sp ? GJ_RULE_C_SP : GJ_RULE_C_BP) &&
	       (value & GJ_RULE_CFA_MASK) * 8 == (uint32_t)row->cfa_off &&
	       (value >> GJ_RULE_RBP_SHIFT) * 8 == (uint32_t)rbp;
}

static void check_c(const char *path, bool has_restorer)
{
	struct gj_image *image;
	struct gj_cfi *cfi;
	const struct gj_cfi_row *row;
	struct rows rows;
	uint64_t va, restorer = 0;
	size_t cnt = 0;

	assert_int_equal(gj_image_open(path, &image, NULL), 0);
	assert_int_equal(gj_cfi_new(image, "/usr/lib/debug", &cfi), 0);
	make(&rows, image, NULL);
	assert_int_equal(gj_stitch_find_restorer(image, rows.base_va, &restorer), has_restorer ? 0 : -2);
	for (size_t i = 0; (row = gj_cfi_row(cfi, i, &va)); i++) {
		if (va < rows.base_va || (has_restorer && va + 16 > restorer && va < restorer + 16))
			continue;
		cnt++;
		if (!agrees(rule_at(&rows, va), row))
			fail_msg("%s: %llx: rule %x", path, (unsigned long long)va, rule_at(&rows, va));
	}
	assert_true(cnt > 100);
	/* A return address there is looked up a byte lower. */
	if (has_restorer)
		assert_int_equal(rule_at(&rows, restorer - 1), rule(GJ_RULE_SIGRETURN, 0));
	/* In the kernel, on its way out of the handler. */
	if (has_restorer)
		assert_int_equal(rule_at(&rows, restorer + 9), rule(GJ_RULE_SIGRETURN, 0));
	deinit(&rows);
	gj_cfi_free(cfi);
	gj_image_close(image);
}

static void c_of_this_program(void **state)
{
	(void)state;
	check_c("/proc/self/exe", false);
}

static void c_of_libc(void **state)
{
	struct gj_maps *maps;
	const struct gj_vma *vma;

	(void)state;
	assert_int_equal(gj_maps_open("/proc/self/maps", &maps, NULL), 0);
	vma = gj_maps_find(maps, (uint64_t)(uintptr_t)gnu_get_libc_version);
	assert_non_null(vma);
	check_c(vma->path, true);
	gj_maps_close(maps);
}

/* Rows far apart, many in one page, and none. */
static void pages_of_rows(void **state)
{
	static const struct gj_unwind_row list[] = { { 0, 1 }, { 255, 2 }, { 256, 3 }, { 300, 4 },
						     { 5000, 5 } };
	static const uint32_t vas[][2] = { { 0, 1 }, { 254, 1 }, { 255, 2 }, { 256, 3 }, { 299, 3 },
					   { 300, 4 }, { 4999, 4 }, { 5000, 5 }, { 5119, 5 },
					   { 5120, 0 } };
	struct rows rows = { 0 };

	(void)state;
	assert_int_equal(gj_profile_pages(&rows.rows, 0, &rows.pages, &rows.page_cnt), 0);
	assert_int_equal(rows.page_cnt, 0);
	gj_buf_add(&rows.rows, list, sizeof(list));
	assert_int_equal(gj_profile_pages(&rows.rows, 0, &rows.pages, &rows.page_cnt), 0);
	for (size_t i = 0; i < sizeof(vas) / sizeof(vas[0]); i++)
		assert_int_equal(rule_at(&rows, vas[i][0]), vas[i][1]);
	deinit(&rows);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(go_deltas),
		cmocka_unit_test(c_of_this_program),
		cmocka_unit_test(c_of_libc),
		cmocka_unit_test(pages_of_rows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
