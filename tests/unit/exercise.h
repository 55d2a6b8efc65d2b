/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Calls everything src/elf and src/demangle offer on one image, and reads
 * every byte they hand out: with a sanitizer or a guard page behind the input
 * any read outside shows. What comes back does not matter here.
 */
#ifndef GJ_TEST_EXERCISE_H
#define GJ_TEST_EXERCISE_H

#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "demangle/demangle.h"
#include "elf/elf.h"

/* Inputs can claim millions of each: some of them do. */
#define EXERCISE_MAX 64

static volatile size_t exercise_sink;

static inline void exercise_string(const char *str)
{
	if (str)
		exercise_sink += strlen(str);
}

static inline void exercise_window(struct gj_window win)
{
	if (win.size_bytes)
		exercise_sink += win.base[0] + win.base[win.size_bytes - 1];
}

static inline void exercise_address(const struct gj_image *image, uint64_t va)
{
	uint64_t value;

	exercise_window(gj_image_at(image, va));
	if (!gj_image_pointer(image, va, &value))
		exercise_sink += value;
	if (!gj_image_va_to_off(image, va, &value))
		gj_image_off_to_va(image, value, &value);
}

static inline void exercise_symbols(const struct gj_image *image)
{
	struct gj_symbol_index *index;
	struct gj_elf_symbol symbol;

	for (unsigned int i = 0; i < EXERCISE_MAX && !gj_image_symbol(image, i, &symbol); i++) {
		exercise_string(symbol.name);
		exercise_address(image, symbol.va);
	}
	if (!gj_image_find_symbol(image, "runtime.text", &symbol))
		exercise_string(symbol.name);
	if (gj_symbol_index_new(image, &index))
		return;
	if (!gj_symbol_index_find(index, symbol.va, &symbol))
		exercise_string(symbol.name);
	gj_symbol_index_find(index, UINT64_MAX, &symbol);
	gj_symbol_index_free(index);
}

static inline void exercise_anchors(const struct gj_image *image)
{
	struct gj_anchors *anchors;
	const char *name;
	int64_t delta;

	if (gj_anchors_new(image, &anchors))
		return;
	for (uint64_t off = 0; off <= UINT64_MAX / 2; off = 2 * off + 1)
		if (!gj_anchors_find(anchors, off, &name, &delta))
			exercise_string(name);
	gj_anchors_free(anchors);
}

static inline void exercise_image(const struct gj_image *image)
{
	const struct gj_segment *segment;
	struct gj_section section;
	uint64_t value = 0, rela_index = 0;
	uint8_t *copy;

	exercise_string(gj_image_path(image));
	exercise_anchors(image);
	exercise_window(gj_image_build_id(image));
	exercise_window(gj_image_go_build_id(image));
	exercise_sink += gj_image_is_dyn(image) + gj_image_has_interp(image) + gj_image_is_cut(image);
	gj_image_tls(image, &value, &value);
	for (unsigned int i = 0; (segment = gj_image_segment(image, i)); i++) {
		exercise_address(image, segment->va);
		exercise_address(image, segment->va + segment->file_bytes - 8);
		exercise_address(image, segment->va + segment->file_bytes - 1);
		gj_image_forget(image, gj_image_at(image, segment->va));
		if (!gj_image_copy_relocated(image, segment->va, segment->file_bytes, &copy))
			free(copy);
	}
	for (unsigned int i = 0; i < EXERCISE_MAX && !gj_image_section(image, i, &section); i++) {
		exercise_string(section.name);
		exercise_address(image, section.va);
	}
	gj_image_find_section(image, ".text", &section);
	for (int i = 0; i < EXERCISE_MAX &&
			!gj_image_find_pointer(image, 0x401020, &rela_index, &value); i++)
		exercise_address(image, value);
	exercise_address(image, 0);
	exercise_address(image, UINT64_MAX);
	exercise_symbols(image);
}

static inline void exercise_table(const struct gj_gotab *gotab, const struct gj_gofunc *func,
				  enum gj_pctable table)
{
	struct gj_inline_row inlined;
	struct gj_pciter iter;
	struct gj_pcrow row;

	if (gj_pciter_init(gotab, func, table, &iter))
		return;
	for (int i = 0; i < EXERCISE_MAX && gj_pciter_next(&iter, &row) > 0; i++) {
		exercise_string(gj_gotab_file(gotab, func, row.value));
		if (!gj_gotab_inline(gotab, func, row.value, &inlined)) {
			exercise_string(inlined.name);
			exercise_string(inlined.call_file);
		}
	}
}

static inline void exercise_lookup(const struct gj_gotab *gotab, uint64_t va)
{
	struct gj_goframe frames[GJ_MAX_INLINE_DEPTH + 1];
	int cnt = gj_gotab_frames(gotab, va, frames, GJ_MAX_INLINE_DEPTH + 1);
	struct gj_gofunc func;
	const char *file;
	int32_t value;

	for (int i = 0; i < cnt; i++) {
		exercise_string(frames[i].name);
		exercise_string(frames[i].file);
	}
	gj_gotab_frames(gotab, va, frames, 1);
	if (gj_gotab_find_func(gotab, va, &func))
		return;
	if (!gj_gotab_line(gotab, &func, va, &file, &value))
		exercise_string(file);
	gj_gotab_sp_delta(gotab, &func, va, &value);
}

static inline void exercise_func(const struct gj_gotab *gotab, const struct gj_gofunc *func)
{
	struct gj_buf buf = { 0 };

	exercise_string(func->name);
	if (strlen(func->name) <= GJ_MAX_NAME_BYTES) {
		gj_name_format(func->name, 0, &buf);
		gj_name_format(func->name, GJ_NAME_SHORT | GJ_NAME_READABLE, &buf);
	}
	gj_buf_deinit(&buf);
	exercise_sink += (size_t)gj_gotab_first_line(gotab, func);
	exercise_table(gotab, func, GJ_PCTABLE_SP);
	exercise_table(gotab, func, GJ_PCTABLE_FILE);
	exercise_table(gotab, func, GJ_PCTABLE_LINE);
	exercise_table(gotab, func, GJ_PCTABLE_INLINE);
	exercise_lookup(gotab, func->entry_va);
	exercise_lookup(gotab, func->entry_va + (func->end_va - func->entry_va) / 2);
	exercise_lookup(gotab, func->end_va - 1);
}

/* The same addresses as a batch, twice: in a large function that is another way through it. */
static inline void exercise_batch(const struct gj_gotab *gotab, const struct gj_gofunc *func)
{
	uint64_t code_bytes = func->end_va - func->entry_va;
	struct gj_gobatch *batch;
	struct gj_goanswer answer;
	uint64_t vas[16];

	if (gj_gobatch_new(&batch))
		return;
	for (unsigned int i = 0; i < 16; i++)
		vas[i] = func->entry_va + code_bytes / 16 * (i * 5 % 16) - (i == 7);
	vas[3] = UINT64_MAX;
	for (int with_inlines = 0; with_inlines < 2; with_inlines++) {
		if (gj_gobatch_start(batch, gotab, vas, 16, with_inlines))
			break;
		while (gj_gobatch_next(batch, &answer))
			for (int i = 0; i < answer.frame_cnt; i++) {
				exercise_string(answer.frames[i].name);
				exercise_string(answer.frames[i].file);
			}
	}
	gj_gobatch_free(batch);
}

static inline void exercise_gotab(const struct gj_gotab *gotab)
{
	const struct gj_goinfo *info = gj_gotab_info(gotab);
	uint32_t step = info->func_cnt / EXERCISE_MAX + 1;
	struct gj_gofunc func;

	exercise_string(info->go_version);
	exercise_string(info->version_source);
	for (uint32_t i = 0; i < info->func_cnt; i += step)
		if (!gj_gotab_func(gotab, i, &func))
			exercise_func(gotab, &func);
	if (!gj_gotab_func(gotab, info->func_cnt - 1, &func)) {
		exercise_func(gotab, &func);
		exercise_batch(gotab, &func);
	}
	if (!gj_gotab_func(gotab, info->func_cnt / 2, &func))
		exercise_batch(gotab, &func);
	gj_gotab_func(gotab, info->func_cnt, &func);
	exercise_lookup(gotab, 0);
	exercise_lookup(gotab, info->text_va + 1);
	exercise_lookup(gotab, UINT64_MAX);
	if (info->func_cnt < 4096)
		gj_gotab_find_name(gotab, "main.leaf", &func);
}

/* Everything at once over @size_bytes at @bytes. */
static inline void exercise_bytes(const uint8_t *bytes, size_t size_bytes)
{
	struct gj_window win = { bytes, size_bytes };
	struct gj_diag diag = { 0 };
	struct gj_gotab *gotab;
	struct gj_image *image;

	if (gj_image_open_bytes(win, "input", &image, &diag))
		return;
	exercise_image(image);
	if (!gj_gotab_open(image, &gotab, &diag)) {
		exercise_gotab(gotab);
		gj_gotab_close(gotab);
	}
	gj_image_close(image);
}

#endif
