/* SPDX-License-Identifier: GPL-2.0 */
/*
 * src/demangle over hand-written tables of every layout: what they say, and
 * that no broken byte of them leads outside the file.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>

#include "exercise.h"
#include "gowriter.h"

static const char *const layout_names[GW_LAYOUT_CNT] = { "1.2",  "1.16", "1.18",
							 "1.20", "1.26", "1.27" };

struct tables {
	struct gw_image file;
	struct gj_image *image;
	struct gj_gotab *gotab;
	enum gw_layout layout;
};

static int setup(void **state)
{
	struct tables *tables = calloc(1, sizeof(*tables));

	*state = tables;
	return tables ? 0 : -1;
}

static int teardown(void **state)
{
	free(*state);
	return 0;
}

static void open_tables(struct tables *tables)
{
	struct gj_window bytes = { tables->file.bytes, sizeof(tables->file.bytes) };
	struct gj_diag diag = { 0 };

	assert_int_equal(gj_image_open_bytes(bytes, "file", &tables->image, &diag), 0);
	if (gj_gotab_open(tables->image, &tables->gotab, &diag))
		fail_msg("layout %s: %s", layout_names[tables->layout], diag.text);
}

static void close_tables(struct tables *tables)
{
	gj_gotab_close(tables->gotab);
	gj_image_close(tables->image);
	tables->gotab = NULL;
	tables->image = NULL;
}

/* Runs @check over one image of each layout. */
static void for_each_layout(void **state, void (*check)(struct tables *tables))
{
	struct tables *tables = *state;

	for (int layout = 0; layout < GW_LAYOUT_CNT; layout++) {
		tables->layout = (enum gw_layout)layout;
		gw_write(&tables->file, tables->layout);
		open_tables(tables);
		check(tables);
		close_tables(tables);
	}
}

static void check_info(struct tables *tables)
{
	const struct gj_goinfo *info = gj_gotab_info(tables->gotab);

	assert_int_equal(info->func_cnt, 2);
	assert_int_equal(info->pclntab_va, GW_PCLNTAB);
	assert_int_equal(info->moduledata_va, GW_MODULEDATA);
	assert_int_equal(info->text_va, GW_TEXT);
	assert_int_equal(info->etext_va, GW_ETEXT);
	assert_string_equal(info->version_source, "layout");
	assert_int_equal(info->go_minor, ((const int[]){ 15, 16, 18, 20, 26, 27 })[tables->layout]);
}

static void test_info(void **state)
{
	for_each_layout(state, check_info);
}

static void check_functions(struct tables *tables)
{
	struct gj_gofunc func;

	assert_int_equal(gj_gotab_find_func(tables->gotab, GW_OUTER - 1, &func), -ENOENT);
	assert_int_equal(gj_gotab_find_func(tables->gotab, GW_ETEXT, &func), -ENOENT);
	assert_int_equal(gj_gotab_find_func(tables->gotab, UINT64_MAX, &func), -ENOENT);
	for (uint64_t va = GW_OUTER; va < GW_ETEXT; va++) {
		assert_int_equal(gj_gotab_find_func(tables->gotab, va, &func), 0);
		assert_int_equal(func.index, va >= GW_LEAF);
		assert_string_equal(func.name, va < GW_LEAF ? "main.outer" : "main.leaf");
		assert_int_equal(func.entry_va, va < GW_LEAF ? GW_OUTER : GW_LEAF);
		assert_int_equal(func.end_va, va < GW_LEAF ? GW_LEAF : GW_ETEXT);
	}
	assert_int_equal(gj_gotab_find_name(tables->gotab, "main.leaf", &func), 0);
	assert_int_equal(func.entry_va, GW_LEAF);
	assert_int_equal(gj_gotab_find_name(tables->gotab, "main.inner", &func), -ENOENT);
	assert_int_equal(gj_gotab_func(tables->gotab, 2, &func), -ENOENT);
}

static void test_functions(void **state)
{
	for_each_layout(state, check_functions);
}

static void assert_line(struct tables *tables, uint64_t va, const char *file, int32_t line)
{
	struct gj_gofunc func;
	const char *got_file;
	int32_t got_line;

	assert_int_equal(gj_gotab_find_func(tables->gotab, va, &func), 0);
	assert_int_equal(gj_gotab_line(tables->gotab, &func, va, &got_file, &got_line), 0);
	assert_string_equal(got_file, file);
	assert_int_equal(got_line, line);
}

static void check_lines(struct tables *tables)
{
	struct gj_gofunc func;

	assert_line(tables, GW_OUTER, "/src/outer.go", 10);
	assert_line(tables, GW_OUTER + 3, "/src/outer.go", 10);
	assert_line(tables, GW_OUTER + 4, "/src/inner.go", 20);
	assert_line(tables, GW_OUTER + 7, "/src/inner.go", 20);
	assert_line(tables, GW_OUTER + 8, "/src/outer.go", 12);
	assert_line(tables, GW_LEAF - 1, "/src/outer.go", 12);
	assert_line(tables, GW_LEAF, "/src/outer.go", 30);
	assert_line(tables, GW_ETEXT - 1, "/src/outer.go", 30);
	assert_int_equal(gj_gotab_func(tables->gotab, 0, &func), 0);
	assert_int_equal(gj_gotab_first_line(tables->gotab, &func),
			 tables->layout >= GW_1_20 ? 9 : 10);
	assert_null(gj_gotab_file(tables->gotab, &func, -1));
	assert_null(gj_gotab_file(tables->gotab, &func, INT32_MAX));
}

static void test_lines(void **state)
{
	for_each_layout(state, check_lines);
}

static void check_inlines(struct tables *tables)
{
	struct gj_goframe frames[GJ_MAX_INLINE_DEPTH + 1];
	bool by_pc = tables->layout >= GW_1_20;
	struct gj_inline_row row;
	struct gj_gofunc func;

	assert_int_equal(gj_gotab_frames(tables->gotab, GW_OUTER + 5, frames, 8), 2);
	assert_string_equal(frames[0].name, "main.inner");
	assert_string_equal(frames[0].file, "/src/inner.go");
	assert_int_equal(frames[0].line, 20);
	assert_int_equal(frames[0].start_line, by_pc ? 19 : 0);
	assert_true(frames[0].inlined);
	assert_string_equal(frames[1].name, "main.outer");
	assert_string_equal(frames[1].file, "/src/outer.go");
	assert_int_equal(frames[1].line, by_pc ? 10 : 11);
	assert_false(frames[1].inlined);
	/* Without room for all the function itself is given. */
	assert_int_equal(gj_gotab_frames(tables->gotab, GW_OUTER + 5, frames, 1), 1);
	assert_string_equal(frames[0].name, "main.outer");
	assert_int_equal(gj_gotab_frames(tables->gotab, GW_OUTER + 8, frames, 8), 1);
	assert_int_equal(gj_gotab_frames(tables->gotab, GW_ETEXT, frames, 8), -ENOENT);
	assert_int_equal(gj_gotab_func(tables->gotab, 0, &func), 0);
	assert_int_equal(gj_gotab_inline(tables->gotab, &func, 0, &row), 0);
	assert_int_equal(row.parent, -1);
	assert_int_equal(row.parent_va, GW_OUTER + 3);
	assert_int_equal(gj_gotab_inline(tables->gotab, &func, -1, &row), -ENOENT);
	assert_int_not_equal(gj_gotab_inline(tables->gotab, &func, INT32_MAX, &row), 0);
}

static void test_inlines(void **state)
{
	for_each_layout(state, check_inlines);
}

static void check_pc_tables(struct tables *tables)
{
	struct gj_gofunc func;
	struct gj_pciter iter;
	struct gj_pcrow row;
	int32_t delta;

	assert_int_equal(gj_gotab_func(tables->gotab, 0, &func), 0);
	assert_int_equal(gj_gotab_sp_delta(tables->gotab, &func, GW_OUTER + 3, &delta), 0);
	assert_int_equal(delta, 0);
	assert_int_equal(gj_gotab_sp_delta(tables->gotab, &func, GW_OUTER + 4, &delta), 0);
	assert_int_equal(delta, 8);
	assert_int_equal(gj_gotab_sp_delta(tables->gotab, &func, GW_LEAF, &delta), -ENOENT);
	assert_int_equal(gj_gotab_sp_delta(tables->gotab, &func, GW_OUTER - 1, &delta), -ENOENT);
	assert_int_equal(gj_pciter_init(tables->gotab, &func, GJ_PCTABLE_LINE, &iter), 0);
	assert_int_equal(gj_pciter_next(&iter, &row), 1);
	assert_true(row.start_va == GW_OUTER && row.end_va == GW_OUTER + 4 && row.value == 10);
	assert_int_equal(gj_pciter_next(&iter, &row), 1);
	assert_int_equal(gj_pciter_next(&iter, &row), 1);
	assert_true(row.start_va == GW_OUTER + 8 && row.end_va == GW_LEAF && row.value == 12);
	assert_int_equal(gj_pciter_next(&iter, &row), 0);
	assert_int_equal(gj_gotab_func(tables->gotab, 1, &func), 0);
	assert_int_equal(gj_pciter_init(tables->gotab, &func, GJ_PCTABLE_INLINE, &iter), -ENOENT);
}

/* The answers of a list in the order of its addresses, as "frames:line" pairs. */
static void check_batch(struct tables *tables, bool with_inlines)
{
	static const uint64_t vas[] = { GW_LEAF, GW_OUTER + 4, 0, GW_OUTER, GW_OUTER + 5,
					UINT64_MAX, GW_OUTER + 8, GW_ETEXT };
	static const int lines[] = { 30, 20, 0, 10, 20, 0, 12, 0 };
	struct gj_goanswer answer;
	struct gj_gobatch *batch;
	unsigned int answered = 0, same_cnt = 0;

	assert_int_equal(gj_gobatch_new(&batch), 0);
	assert_int_equal(gj_gobatch_start(batch, tables->gotab, vas, 8, with_inlines), 0);
	while (gj_gobatch_next(batch, &answer)) {
		bool is_inner = with_inlines && lines[answer.index] == 20;

		assert_false(answered & 1U << answer.index);
		answered |= 1U << answer.index;
		same_cnt += answer.is_same;
		if (!lines[answer.index]) {
			assert_int_equal(answer.frame_cnt, -ENOENT);
			continue;
		}
		assert_int_equal(answer.frame_cnt, is_inner ? 2 : 1);
		assert_int_equal(answer.frames[0].line, lines[answer.index]);
		assert_string_equal(answer.frames[0].name,
				    is_inner ? "main.inner" :
				    answer.index == 0 ? "main.leaf" : "main.outer");
	}
	assert_int_equal(answered, 0xff);
	assert_int_equal(same_cnt, 1); /* +5 is +4's row */
	assert_int_equal(gj_gobatch_start(batch, tables->gotab, NULL, 0, with_inlines), 0);
	assert_false(gj_gobatch_next(batch, &answer));
	gj_gobatch_free(batch);
}

static void check_batches(struct tables *tables)
{
	check_batch(tables, true);
	check_batch(tables, false);
}

static void test_batches(void **state)
{
	for_each_layout(state, check_batches);
}

#define BUCKET_OFF (GW_MODULEDATA_OFF + 0x200)

/* Whatever the runtime's index says, true, wrong or wild, the function is the right one. */
static void test_index_of_functions(void **state)
{
	static const uint32_t rows[] = { 0, 1, 2, 0x7fffffff, 0xffffffff };
	static const uint8_t more[] = { 0, 1, 255 };
	struct tables *tables = *state;
	struct gj_gofunc func;

	for (int layout = 0; layout < GW_LAYOUT_CNT; layout++) {
		for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]) * sizeof(more); i++) {
			tables->layout = (enum gw_layout)layout;
			gw_write(&tables->file, tables->layout);
			gw_put(&tables->file, GW_MODULEDATA_OFF + (layout == GW_1_2 ? 72 : 152),
			       GW_BASE + BUCKET_OFF, 8);
			gw_put(&tables->file, BUCKET_OFF, rows[i / sizeof(more)], 4);
			gw_put(&tables->file, BUCKET_OFF + 4, more[i % sizeof(more)], 1);
			open_tables(tables);
			assert_int_equal(gj_gotab_find_func(tables->gotab, GW_OUTER + 15, &func), 0);
			assert_int_equal(func.entry_va, GW_OUTER);
			assert_int_equal(gj_gotab_find_func(tables->gotab, GW_LEAF, &func), 0);
			assert_int_equal(func.entry_va, GW_LEAF);
			close_tables(tables);
		}
	}
}

static void test_pc_tables(void **state)
{
	for_each_layout(state, check_pc_tables);
}

/* Without .go.module, sections or symbols everything is found by looking at the bytes. */
static void test_no_sections(void **state)
{
	struct tables *tables = *state;

	for (int layout = 0; layout < GW_LAYOUT_CNT; layout++) {
		tables->layout = (enum gw_layout)layout;
		gw_write(&tables->file, tables->layout);
		gw_put(&tables->file, offsetof(Elf64_Ehdr, e_shoff), 0, 8);
		gw_put(&tables->file, offsetof(Elf64_Ehdr, e_shnum), 0, 2);
		open_tables(tables);
		check_info(tables);
		check_inlines(tables);
		close_tables(tables);
	}
}

/* Without moduledata the header says where the text starts, until Go 1.26. */
static void test_no_moduledata(void **state)
{
	struct tables *tables = *state;
	struct gj_diag diag = { 0 };

	for (int layout = 0; layout < GW_LAYOUT_CNT; layout++) {
		tables->layout = (enum gw_layout)layout;
		gw_write(&tables->file, tables->layout);
		gw_put(&tables->file, GW_MODULEDATA_OFF, 0, 8);
		if (layout < GW_1_26) {
			open_tables(tables);
			check_functions(tables);
			check_lines(tables);
			close_tables(tables);
			continue;
		}
		assert_int_equal(gj_image_open_bytes((struct gj_window){ tables->file.bytes,
									 GW_IMAGE_BYTES },
						     "file", &tables->image, NULL), 0);
		assert_int_equal(gj_gotab_open(tables->image, &tables->gotab, &diag), -EBADMSG);
		assert_string_equal(diag.text, "file: no moduledata found, and .gopclntab does not "
					       "say where the text starts");
		diag.err = 0;
		gj_image_close(tables->image);
	}
}

/* A wrapper that bears the name of what it wraps: the other one is meant. */
static void test_wrapper_twin(void **state)
{
	struct tables *tables = *state;
	struct gj_gofunc func;

	tables->layout = GW_1_20;
	gw_write(&tables->file, tables->layout);
	/* outer takes leaf's name and the funcID of a wrapper. */
	memcpy(tables->file.bytes + tables->file.func_off[0] + 4,
	       tables->file.bytes + tables->file.func_off[1] + 4, 4);
	tables->file.bytes[tables->file.func_off[0] + 40] = 22;
	open_tables(tables);
	assert_int_equal(gj_gotab_find_name(tables->gotab, "main.leaf", &func), 0);
	assert_int_equal(func.entry_va, GW_LEAF);
	close_tables(tables);
}

static int open_status(struct tables *tables, struct gj_diag *diag)
{
	int err = gj_image_open_bytes((struct gj_window){ tables->file.bytes, GW_IMAGE_BYTES },
				      "file", &tables->image, diag);

	assert_int_equal(err, 0);
	err = gj_gotab_open(tables->image, &tables->gotab, diag);
	if (!err)
		gj_gotab_close(tables->gotab);
	gj_image_close(tables->image);
	return err;
}

static void test_refusals(void **state)
{
	struct tables *tables = *state;
	struct gj_diag diag = { 0 };

	gw_write(&tables->file, GW_1_20);
	gw_put(&tables->file, GW_PCLNTAB_OFF, 0xfffffff2, 4);
	assert_int_equal(open_status(tables, &diag), -EOPNOTSUPP);
	assert_non_null(strstr(diag.text, "does not know"));
	diag.err = 0;
	gw_write(&tables->file, GW_1_20);
	gw_put(&tables->file, GW_PCLNTAB_OFF, 0, 4);
	assert_int_equal(open_status(tables, &diag), -ENOENT);
	assert_string_equal(diag.text, "file: not a Go program: it has no .gopclntab");
	diag.err = 0;
	gw_write(&tables->file, GW_1_20);
	gw_put(&tables->file, GW_PCLNTAB_OFF + 8, 1000000, 8);
	assert_int_equal(open_status(tables, &diag), -EBADMSG);
	assert_non_null(strstr(diag.text, "cut short or its header contradicts itself"));
}

/* An inline tree whose row is its own caller ends, with the function that is certain. */
static void test_inline_loop(void **state)
{
	struct tables *tables = *state;
	struct gj_goframe frames[GJ_MAX_INLINE_DEPTH + 1];

	for (int layout = 0; layout < GW_LAYOUT_CNT; layout++) {
		tables->layout = (enum gw_layout)layout;
		gw_write(&tables->file, tables->layout);
		if (layout <= GW_1_18)
			gw_put(&tables->file, tables->file.tree_off, 0, 2);
		else
			gw_put(&tables->file, tables->file.tree_off + 8, 5, 4);
		open_tables(tables);
		assert_int_equal(gj_gotab_frames(tables->gotab, GW_OUTER + 5, frames,
						 GJ_MAX_INLINE_DEPTH + 1), 1);
		assert_string_equal(frames[0].name, "main.outer");
		assert_int_equal(frames[0].line, 20);
		close_tables(tables);
	}
}

/* Each truncation of the file, in memory of just that size. */
static void test_truncated(void **state)
{
	struct tables *tables = *state;

	for (int layout = 0; layout < GW_LAYOUT_CNT; layout++) {
		gw_write(&tables->file, (enum gw_layout)layout);
		for (size_t size = 0; size <= GW_IMAGE_BYTES; size++) {
			uint8_t *copy = malloc(size ? size : 1);

			assert_non_null(copy);
			memcpy(copy, tables->file.bytes, size);
			exercise_bytes(copy, size);
			free(copy);
			/* Only zeros in between. */
			if (size > 0x1020 + 0x400 && size < 0x2000)
				size += 63;
			if (size > 0xb0 && size < 0x1000)
				size += 63;
		}
	}
}

/* Every word of headers, tables and moduledata replaced by what breaks sums and signs. */
static void test_hostile(void **state)
{
	static const uint64_t values[] = { 0, 1, 0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff,
					   INT64_MAX, 1ULL << 63, UINT64_MAX - 1, UINT64_MAX };
	struct tables *tables = *state;
	struct gw_image *file = &tables->file;

	for (int layout = 0; layout < GW_LAYOUT_CNT; layout++) {
		gw_write(file, (enum gw_layout)layout);
		for (uint32_t off = 0; off + 8 <= GW_IMAGE_BYTES; off += 2) {
			uint64_t good;

			if ((off > 0xb0 && off < 0x1000) || (off > file->end_off && off < 0x2000))
				continue;
			memcpy(&good, file->bytes + off, 8);
			for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
				gw_put(file, off, values[i], i < 6 ? 4 : 8);
				exercise_bytes(file->bytes, GW_IMAGE_BYTES);
				memcpy(file->bytes + off, &good, 8);
			}
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_info, setup, teardown),
		cmocka_unit_test_setup_teardown(test_functions, setup, teardown),
		cmocka_unit_test_setup_teardown(test_lines, setup, teardown),
		cmocka_unit_test_setup_teardown(test_inlines, setup, teardown),
		cmocka_unit_test_setup_teardown(test_pc_tables, setup, teardown),
		cmocka_unit_test_setup_teardown(test_batches, setup, teardown),
		cmocka_unit_test_setup_teardown(test_index_of_functions, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_sections, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_moduledata, setup, teardown),
		cmocka_unit_test_setup_teardown(test_wrapper_twin, setup, teardown),
		cmocka_unit_test_setup_teardown(test_refusals, setup, teardown),
		cmocka_unit_test_setup_teardown(test_inline_loop, setup, teardown),
		cmocka_unit_test_setup_teardown(test_truncated, setup, teardown),
		cmocka_unit_test_setup_teardown(test_hostile, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
