/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Everything in an image that may lead to a function of Go's tables, so that
 * nothing else can.
 *
 * Code reaches a function by an address relative to the instruction's end
 * (call, jmp, jcc, lea), found at whatever byte it may stand: more than there
 * is, never less. In data an address stands as a word (closures, method tables
 * of interfaces; relocations' addends are words as well), or, for methods that reflection and
 * type assertions find, as a distance from the text's start (Go
 * src/internal/abi/type.go, TextOff).
 */
#include "stitch/refs.h"

#include <elf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"

struct hit {
	uint32_t index; /* of the function */
	uint32_t site;
};

struct gj_refs {
	const struct gj_image *image;
	const struct gj_gotab *gotab;
	uint64_t text_va, text_bytes;
	uint64_t site_va;  /* sites count from here */
	uint32_t func_cnt;
	uint8_t *entries;  /* bit N: a function begins N bytes into the text */
	uint8_t *taken;    /* of each function: its address is known to others */
	uint32_t *firsts;  /* of each function, and one behind: place in sites */
	uint32_t *sites;
	struct hit *hits;
	size_t hit_cnt, hit_cap;
};

void gj_refs_free(struct gj_refs *refs)
{
	if (!refs)
		return;
	free(refs->entries);
	free(refs->taken);
	free(refs->firsts);
	free(refs->sites);
	free(refs->hits);
	free(refs);
}

static bool is_entry(const struct gj_refs *refs, uint64_t va)
{
	uint64_t off = va - refs->text_va;

	return off < refs->text_bytes && refs->entries[off / 8] >> off % 8 & 1;
}

static void take_address(struct gj_refs *refs, uint64_t va)
{
	struct gj_gofunc func;

	if (is_entry(refs, va) && !gj_gotab_find_func(refs->gotab, va, &func))
		refs->taken[func.index] = 1;
}

static int add_hit(struct gj_refs *refs, uint64_t target_va, uint64_t site_va)
{
	struct gj_gofunc func;
	size_t wanted = refs->hit_cap ? refs->hit_cap * 2 : 4096;
	struct hit *more;

	if (gj_gotab_find_func(refs->gotab, target_va, &func))
		return 0;
	if (refs->hit_cnt == refs->hit_cap) {
		more = realloc(refs->hits, wanted * sizeof(*more));
		if (!more)
			return -ENOMEM;
		refs->hits = more;
		refs->hit_cap = wanted;
	}
	refs->hits[refs->hit_cnt++] = (struct hit){ func.index, (uint32_t)(site_va - refs->site_va) };
	return 0;
}

static int scan_code(struct gj_refs *refs, uint64_t va, struct gj_window bytes)
{
	bool is_dyn = gj_image_is_dyn(refs->image);

	for (uint64_t off = 0; off + 4 <= bytes.size_bytes; off++) {
		uint64_t end_va = va + off + 4, target_va;
		int32_t value;

		memcpy(&value, bytes.base + off, sizeof(value));
		target_va = end_va + (uint64_t)(int64_t)value;
		if (is_entry(refs, target_va) && add_hit(refs, target_va, end_va))
			return -ENOMEM;
		/* An address as it is, where images do not move. */
		if (!is_dyn)
			take_address(refs, (uint32_t)value);
	}
	return 0;
}

/* Go's own tables, which name every function; empty where sections are not known. */
static struct gj_window tables_of(const struct gj_image *image)
{
	static const char *const names[] = { ".gopclntab", ".data.rel.ro.gopclntab" };
	struct gj_section section;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (!gj_image_find_section(image, names[i], &section))
			return gj_window_slice(gj_image_at(image, section.va), 0, section.size_bytes);
	return (struct gj_window){ NULL, 0 };
}

static void scan_data(struct gj_refs *refs, struct gj_window bytes, struct gj_window tables)
{
	uint64_t word;
	uint32_t half;

	for (uint64_t off = 0; off + 4 <= bytes.size_bytes; off += 4) {
		const uint8_t *at = bytes.base + off;

		if (tables.size_bytes && at >= tables.base &&
		    (size_t)(at - tables.base) < tables.size_bytes)
			continue;
		memcpy(&half, at, sizeof(half));
		if (half)
			take_address(refs, refs->text_va + half);
		if (off % 8 == 0 && gj_window_read(bytes, off, &word, sizeof(word)))
			take_address(refs, word);
	}
}

static int scan(struct gj_refs *refs)
{
	const struct gj_segment *segment;
	struct gj_window tables = tables_of(refs->image), bytes;

	for (unsigned int i = 0; (segment = gj_image_segment(refs->image, i)); i++) {
		bytes = gj_window_slice(gj_image_at(refs->image, segment->va), 0, segment->file_bytes);
		if (segment->flags & PF_X) {
			if (scan_code(refs, segment->va, bytes))
				return -ENOMEM;
		} else {
			scan_data(refs, bytes, tables);
		}
	}
	return 0;
}

/* Sites in order of their functions. */
static int sort(struct gj_refs *refs)
{
	uint32_t sum = 0;

	refs->firsts = calloc((size_t)refs->func_cnt + 2, sizeof(*refs->firsts));
	refs->sites = calloc(refs->hit_cnt + 1, sizeof(*refs->sites));
	if (!refs->firsts || !refs->sites)
		return -ENOMEM;
	for (size_t i = 0; i < refs->hit_cnt; i++)
		refs->firsts[refs->hits[i].index + 2]++;
	for (uint32_t i = 2; i < refs->func_cnt + 2; i++)
		refs->firsts[i] = sum += refs->firsts[i];
	for (size_t i = 0; i < refs->hit_cnt; i++)
		refs->sites[refs->firsts[refs->hits[i].index + 1]++] = refs->hits[i].site;
	free(refs->hits);
	refs->hits = NULL;
	return 0;
}

static int note_entries(struct gj_refs *refs)
{
	struct gj_gofunc func;

	refs->entries = calloc(1, refs->text_bytes / 8 + 1);
	refs->taken = calloc(1, (size_t)refs->func_cnt + 1);
	if (!refs->entries || !refs->taken)
		return -ENOMEM;
	for (uint32_t i = 0; i < refs->func_cnt; i++) {
		uint64_t off;

		if (gj_gotab_func(refs->gotab, i, &func))
			continue;
		off = func.entry_va - refs->text_va;
		if (off < refs->text_bytes)
			refs->entries[off / 8] |= (uint8_t)(1 << off % 8);
	}
	return 0;
}

/*
 * Only a whole program knows all that leads to its functions: no library, no
 * program that loads plugins, and none whose tables hold plain addresses (up
 * to Go 1.17) of every function.
 */
static bool is_closed(const struct gj_image *image, const struct gj_gotab *gotab)
{
	const struct gj_goinfo *info = gj_gotab_info(gotab);
	struct gj_gofunc func;

	return info->layout >= GJ_GOTAB_1_18 && info->etext_va > info->text_va &&
	       info->etext_va - info->text_va <= UINT32_MAX &&
	       (!gj_image_is_dyn(image) || gj_image_has_interp(image)) &&
	       gj_gotab_find_name(gotab, "plugin.open", &func);
}

int gj_refs_new(const struct gj_image *image, const struct gj_gotab *gotab,
		struct gj_refs **refs_out)
{
	const struct gj_goinfo *info = gj_gotab_info(gotab);
	const struct gj_segment *segment;
	struct gj_refs *refs;
	int err;

	if (!is_closed(image, gotab))
		return -EOPNOTSUPP;
	refs = calloc(1, sizeof(*refs));
	if (!refs)
		return -ENOMEM;
	refs->image = image;
	refs->gotab = gotab;
	refs->text_va = info->text_va;
	refs->text_bytes = info->etext_va - info->text_va;
	refs->func_cnt = info->func_cnt;
	refs->site_va = info->text_va;
	for (unsigned int i = 0; (segment = gj_image_segment(image, i)); i++)
		if (segment->flags & PF_X && segment->va < refs->site_va)
			refs->site_va = segment->va;
	err = note_entries(refs);
	err = err ? err : scan(refs);
	err = err ? err : sort(refs);
	if (err) {
		gj_refs_free(refs);
		return err;
	}
	*refs_out = refs;
	return 0;
}

bool gj_refs_is_taken(const struct gj_refs *refs, uint32_t func_index)
{
	return func_index >= refs->func_cnt || refs->taken[func_index];
}

uint32_t gj_refs_count(const struct gj_refs *refs, uint32_t func_index)
{
	return refs->firsts[func_index + 1] - refs->firsts[func_index];
}

uint64_t gj_refs_site(const struct gj_refs *refs, uint32_t func_index, uint32_t number)
{
	return refs->site_va + refs->sites[refs->firsts[func_index] + number];
}
