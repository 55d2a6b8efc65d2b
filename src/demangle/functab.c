/* SPDX-License-Identifier: GPL-2.0 */
/*
 * functab and the _func records: address -> function.
 *
 * functab entry: up to Go 1.17 {u64 entry, u64 record}, from 1.18 {u32 entry -
 * text, u32 record}; sorted by entry, closed by an end pc. The record's fields
 * are listed in gj_func_layout (Go src/runtime/runtime2.go, type _func).
 */
#include <errno.h>
#include <stdlib.h>

#include "base/limits.h"
#include "demangle/gotab.h"

static const struct gj_func_layout func_layouts[] = {
	[GJ_GOTAB_1_2] = { .name = 8, .pcsp = 20, .pcfile = 24, .pcln = 28, .npcdata = 32,
			   .cu = -1, .start_line = -1, .func_id = 36, .flag = -1,
			   .nfuncdata = 39, .size_bytes = 40 },
	[GJ_GOTAB_1_16] = { .name = 8, .pcsp = 20, .pcfile = 24, .pcln = 28, .npcdata = 32,
			    .cu = 36, .start_line = -1, .func_id = 40, .flag = 41,
			    .nfuncdata = 43, .size_bytes = 44 },
	[GJ_GOTAB_1_18] = { .name = 4, .pcsp = 16, .pcfile = 20, .pcln = 24, .npcdata = 28,
			    .cu = 32, .start_line = -1, .func_id = 36, .flag = 37,
			    .nfuncdata = 39, .size_bytes = 40 },
	[GJ_GOTAB_1_20] = { .name = 4, .pcsp = 16, .pcfile = 20, .pcln = 24, .npcdata = 28,
			    .cu = 32, .start_line = 36, .func_id = 40, .flag = 41,
			    .nfuncdata = 43, .size_bytes = 44 },
};

/*
 * Up to Go 1.17 functab holds addresses. Where the linker kept them out of the
 * file the table cannot be read in place.
 */
static int relocate_functab(struct gj_gotab *gotab)
{
	uint64_t va = gotab->info.pclntab_va + (uint64_t)(gotab->functab.base - gotab->tab.base);
	int err;

	if (gotab->functab_entry_bytes != 16)
		return 0;
	err = gj_image_copy_relocated(gotab->image, va, gotab->functab.size_bytes,
				      &gotab->functab_copy);
	if (!err)
		gotab->functab.base = gotab->functab_copy;
	return err == -ENOENT ? 0 : err;
}

/* Entry address of functab row @index; row func_cnt is the end pc. The window holds all rows. */
static inline uint64_t entry_va(const struct gj_gotab *gotab, uint32_t index)
{
	const uint8_t *row = gotab->functab.base + (size_t)index * gotab->functab_entry_bytes;
	uint32_t entry_off;
	uint64_t entry;

	if (gotab->functab_entry_bytes == 8) {
		memcpy(&entry_off, row, sizeof(entry_off));
		return gotab->text_va + entry_off;
	}
	memcpy(&entry, row, sizeof(entry));
	return entry;
}

static int open_tables(struct gj_gotab *gotab, struct gj_diag *diag)
{
	int err = gj_gotab_find_header(gotab, diag);

	if (!err)
		err = relocate_functab(gotab);
	if (!err)
		err = gj_gotab_find_moduledata(gotab, diag);
	if (err)
		return err;
	gotab->func = &func_layouts[gotab->info.layout];
	gj_gotab_find_gofunc(gotab);
	gj_gotab_find_buckets(gotab);
	gj_gotab_find_version(gotab);
	gotab->begin_va = entry_va(gotab, 0);
	gotab->end_va = entry_va(gotab, gotab->info.func_cnt);
	return gj_pcindexes_new(gotab, &gotab->indexes);
}

int gj_gotab_open(const struct gj_image *image, struct gj_gotab **gotab_out,
		  struct gj_diag *diag)
{
	struct gj_gotab *gotab = calloc(1, sizeof(*gotab));
	int err = -ENOMEM;

	if (gotab) {
		gotab->image = image;
		err = open_tables(gotab, diag);
	}
	if (err == -ENOMEM)
		gj_diag_set(diag, err, "%s: out of memory", gj_image_path(image));
	if (err) {
		gj_gotab_close(gotab);
		return err;
	}
	*gotab_out = gotab;
	return 0;
}

void gj_gotab_close(struct gj_gotab *gotab)
{
	if (!gotab)
		return;
	gj_pcindexes_free(gotab->indexes);
	free(gotab->functab_copy);
	free(gotab);
}

const struct gj_goinfo *gj_gotab_info(const struct gj_gotab *gotab)
{
	return &gotab->info;
}

static uint64_t record_off(const struct gj_gotab *gotab, uint32_t index)
{
	const uint8_t *row = gotab->functab.base + (size_t)index * gotab->functab_entry_bytes;
	uint32_t off32;
	uint64_t off;

	if (gotab->functab_entry_bytes == 8) {
		memcpy(&off32, row + 4, sizeof(off32));
		return off32;
	}
	memcpy(&off, row + 8, sizeof(off));
	return off;
}

static inline uint32_t field_u32(const uint8_t *record, int8_t off)
{
	uint32_t value = 0;

	if (off >= 0)
		memcpy(&value, record + off, sizeof(value));
	return value;
}

int gj_gotab_func(const struct gj_gotab *gotab, uint32_t index, struct gj_gofunc *func_out)
{
	const struct gj_func_layout *layout = gotab->func;
	const uint8_t *record;
	uint64_t off;
	uint32_t name_off;

	if (index >= gotab->info.func_cnt)
		return -ENOENT;
	off = record_off(gotab, index);
	/* From 1.18 an offset of 0 marks a hole: code the external linker put in between. */
	if (off == 0 && gotab->functab_entry_bytes == 8)
		return -ENOENT;
	if (!gj_window_holds(gotab->records, off, (uint64_t)layout->size_bytes))
		return -EBADMSG;
	record = gotab->records.base + off;
	name_off = field_u32(record, layout->name);
	if (name_off >= gotab->names.size_bytes)
		return -EBADMSG;
	*func_out = (struct gj_gofunc){
		.index = index,
		.entry_va = entry_va(gotab, index),
		.end_va = entry_va(gotab, index + 1),
		.name = (const char *)gotab->names.base + name_off,
		.start_line = (int32_t)field_u32(record, layout->start_line),
		.func_id = record[layout->func_id],
		.flag = layout->flag >= 0 ? record[layout->flag] : 0,
		.funcdata_cnt = record[layout->nfuncdata],
		.pcdata_cnt = field_u32(record, layout->npcdata),
		.cu_off = field_u32(record, layout->cu),
		.pcsp_off = field_u32(record, layout->pcsp),
		.pcfile_off = field_u32(record, layout->pcfile),
		.pcln_off = field_u32(record, layout->pcln),
		.pcdata_va = gotab->info.pclntab_va +
			     (uint64_t)(record - gotab->tab.base) + (uint64_t)layout->size_bytes,
	};
	return 0;
}

/*
 * Go's own index of the text (Go src/runtime/symtab.go, findfuncbucket): for
 * each 4096 bytes u32 row and u8[16], one for each 256 bytes: the sum is the
 * first row that has code there. Functions are 16 bytes apart or more, so the
 * row wanted is near. false: the index is missing or wrong.
 */
#define BUCKET_BYTES 20
#define BUCKET_CODE_BYTES 4096
#define SUBBUCKET_CODE_BYTES 256
#define SUBBUCKET_MAX_ROWS 32

static bool find_in_bucket(const struct gj_gotab *gotab, uint64_t va, uint32_t *row_out)
{
	uint64_t code_off = va - gotab->buckets_va;
	uint64_t off = code_off / BUCKET_CODE_BYTES * BUCKET_BYTES;
	uint32_t row, end;

	if (va < gotab->buckets_va || !gj_window_holds(gotab->buckets, off, BUCKET_BYTES))
		return false;
	memcpy(&row, gotab->buckets.base + off, sizeof(row));
	row += gotab->buckets.base[off + 4 + code_off % BUCKET_CODE_BYTES / SUBBUCKET_CODE_BYTES];
	if (row >= gotab->info.func_cnt || entry_va(gotab, row) > va)
		return false;
	end = gotab->info.func_cnt - row;
	end = row + (end < SUBBUCKET_MAX_ROWS ? end : SUBBUCKET_MAX_ROWS);
	/* va lies before the last row, the end pc, so this stops there. */
	for (; row < end; row++) {
		if (entry_va(gotab, row + 1) > va) {
			*row_out = row;
			return true;
		}
	}
	return false;
}

/* The last row whose entry is not above @va; one comparison a step, no early way out. */
static uint32_t find_by_halves(const struct gj_gotab *gotab, uint64_t va)
{
	uint32_t first = 0, cnt = gotab->info.func_cnt;

	while (cnt > 1) {
		uint32_t half = cnt / 2;

		first = entry_va(gotab, first + half) <= va ? first + half : first;
		cnt -= half;
	}
	return first;
}

int gj_gotab_find_func(const struct gj_gotab *gotab, uint64_t va, struct gj_gofunc *func_out)
{
	uint32_t row;
	int err;

	if (va < gotab->begin_va || va >= gotab->end_va)
		return -ENOENT;
	if (!find_in_bucket(gotab, va, &row))
		row = find_by_halves(gotab, va);
	err = gj_gotab_func(gotab, row, func_out);
	/* A table that is not sorted leads anywhere. */
	return !err && (va < func_out->entry_va || va >= func_out->end_va) ? -EBADMSG : err;
}

/* Whether the compiler made it, with no line of anybody's source. */
static bool is_generated(const struct gj_gotab *gotab, const struct gj_gofunc *func)
{
	const char *file;
	int32_t line;

	return !gj_gotab_line(gotab, func, func->entry_va, &file, &line) &&
	       !strcmp(file, "<autogenerated>");
}

/*
 * From Go 1.17 an ABI wrapper bears the name of what it wraps. It is generated,
 * and its funcID is the highest in use (Go src/internal/abi/symtab.go,
 * FuncIDWrapper); reflect.callMethod and its like have that funcID themselves.
 */
int gj_gotab_find_name(const struct gj_gotab *gotab, const char *name,
		       struct gj_gofunc *func_out)
{
	struct gj_gofunc func, best;
	bool found = false, is_wrapper, is_best_wrapper = false;

	for (uint32_t i = 0; i < gotab->info.func_cnt; i++) {
		if (gj_gotab_func(gotab, i, &func) || strcmp(func.name, name))
			continue;
		is_wrapper = is_generated(gotab, &func);
		if (!found || is_wrapper < is_best_wrapper ||
		    (is_wrapper == is_best_wrapper && func.func_id < best.func_id)) {
			best = func;
			is_best_wrapper = is_wrapper;
		}
		found = true;
	}
	if (!found)
		return -ENOENT;
	*func_out = best;
	return 0;
}
