/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Finds the image's moduledata and takes from it what .gopclntab leaves out:
 * the start of text that entry offsets count from, and gofunc, the base of
 * funcdata offsets.
 *
 * The struct (Go src/runtime/symtab.go, type moduledata) begins with the
 * address of .gopclntab. Byte offsets of the words used:
 *
 *              ..1.15  1.16,17  1.18,19  1.20..1.26  1.27
 *   ftab len       32      136      136         136   136
 *   findfunctab    72      152      152         152   152
 *   minpc          80      160      160         160   160
 *   maxpc          88      168      168         168   168
 *   text           96      176      176         176   176
 *   etext         104      184      184         184   184
 *   gofunc          -        -      304         320   344
 */
#include <elf.h>
#include <errno.h>

#include "base/limits.h"
#include "demangle/gotab.h"

#define GOFUNC_1_18 304
#define GOFUNC_1_20 320
#define GOFUNC_1_27 344

struct moduledata_layout {
	uint16_t ftab_len, findfunctab, minpc, maxpc, text, etext;
};

static const struct moduledata_layout layout_1_2 = { 32, 72, 80, 88, 96, 104 };
static const struct moduledata_layout layout_1_16 = { 136, 152, 160, 168, 176, 184 };

static const struct moduledata_layout *layout_of(const struct gj_gotab *gotab)
{
	return gotab->info.layout == GJ_GOTAB_1_2 ? &layout_1_2 : &layout_1_16;
}

/* Whether the words at @va hold together as moduledata; if so takes text and etext. */
static bool take_moduledata(struct gj_gotab *gotab, uint64_t va)
{
	const struct moduledata_layout *layout = layout_of(gotab);
	uint64_t pclntab_va, ftab_len, minpc, maxpc, text_va, etext_va;

	if (gj_image_pointer(gotab->image, va, &pclntab_va) ||
	    pclntab_va != gotab->info.pclntab_va ||
	    gj_image_pointer(gotab->image, va + layout->ftab_len, &ftab_len) ||
	    ftab_len != (uint64_t)gotab->info.func_cnt + 1 ||
	    gj_image_pointer(gotab->image, va + layout->minpc, &minpc) ||
	    gj_image_pointer(gotab->image, va + layout->maxpc, &maxpc) ||
	    gj_image_pointer(gotab->image, va + layout->text, &text_va) ||
	    gj_image_pointer(gotab->image, va + layout->etext, &etext_va))
		return false;
	if (text_va > minpc || minpc >= maxpc || maxpc > etext_va)
		return false;
	gotab->info.moduledata_va = va;
	gotab->info.text_va = text_va;
	gotab->info.etext_va = etext_va;
	return true;
}

#define SCAN_BYTES (4u << 20) /* pages kept in memory while scanning */

/* A search for moduledata; hostile images must not make it endless. */
struct search {
	struct gj_gotab *gotab;
	unsigned int try_cnt;
};

static bool try_moduledata(struct search *search, uint64_t va)
{
	return search->try_cnt++ < GJ_MAX_MODULEDATA_TRIES && take_moduledata(search->gotab, va);
}

/* Every aligned word in [va, va + size) that names .gopclntab is a candidate. */
static bool scan(struct search *search, uint64_t va, uint64_t size_bytes)
{
	const struct gj_image *image = search->gotab->image;
	struct gj_window bytes = gj_window_slice(gj_image_at(image, va), 0, size_bytes);
	uint64_t wanted = search->gotab->info.pclntab_va, done = 0;

	for (uint64_t off = -va & 7; off + 8 <= bytes.size_bytes; off += 8) {
		uint64_t word;

		memcpy(&word, bytes.base + off, sizeof(word));
		if (word == wanted && try_moduledata(search, va + off))
			return true;
		if (off - done >= SCAN_BYTES) {
			gj_image_forget(image, gj_window_slice(bytes, done, SCAN_BYTES));
			done = off;
		}
	}
	return false;
}

static bool scan_section(struct search *search, const char *name)
{
	struct gj_section section;

	return !gj_image_find_section(search->gotab->image, name, &section) &&
	       section.type != SHT_NOBITS && scan(search, section.va, section.size_bytes);
}

static bool scan_writable_segments(struct search *search)
{
	const struct gj_segment *seg;

	for (unsigned int i = 0; (seg = gj_image_segment(search->gotab->image, i)); i++)
		if ((seg->flags & PF_W) && scan(search, seg->va, seg->file_bytes))
			return true;
	return false;
}

/* Linkers that keep addends out of the file leave nothing to scan for. */
static bool search_relocations(struct search *search)
{
	uint64_t rela_index = 0, va;

	while (!gj_image_find_pointer(search->gotab->image, search->gotab->info.pclntab_va,
				      &rela_index, &va))
		if (try_moduledata(search, va))
			return true;
	return false;
}

static bool take_by_symbol(struct search *search)
{
	/* In a plugin runtime.firstmoduledata is the host's and local.moduledata its own. */
	static const char *const names[] = { "runtime.firstmoduledata", "local.moduledata" };
	struct gj_elf_symbol symbol;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (!gj_image_find_symbol(search->gotab->image, names[i], &symbol) &&
		    try_moduledata(search, symbol.va))
			return true;
	return false;
}

/* Without moduledata the header's textStart serves, as far as the layout has it. */
static int take_header_text(struct gj_gotab *gotab, struct gj_diag *diag)
{
	uint64_t text_va = 0;

	if (gotab->info.layout == GJ_GOTAB_1_18 || gotab->info.layout == GJ_GOTAB_1_20) {
		gj_image_pointer(gotab->image, gotab->info.pclntab_va + 24, &text_va);
		if (!text_va)
			return gj_diag_set(diag, -EBADMSG,
					   "%s: no moduledata found, and .gopclntab does not say where the text starts",
					   gj_image_path(gotab->image));
	}
	gotab->info.text_va = text_va;
	return 0;
}

int gj_gotab_find_moduledata(struct gj_gotab *gotab, struct gj_diag *diag)
{
	struct search search = { .gotab = gotab };

	/* Likely places first, so that a big file is not read through. */
	if (!scan_section(&search, ".go.module") && !search_relocations(&search) &&
	    !scan_section(&search, ".noptrdata") && !scan_section(&search, ".data") &&
	    !scan_writable_segments(&search) && !take_by_symbol(&search)) {
		int err = take_header_text(gotab, diag);

		if (err)
			return err;
	}
	if (gotab->functab_entry_bytes == 8)
		gotab->text_va = gotab->info.text_va;
	return 0;
}

/*
 * From Go 1.26 gofunc points into .gopclntab itself, and the word behind it is
 * the table's end.
 */
static bool take_gofunc_1_26(struct gj_gotab *gotab, uint16_t off)
{
	uint64_t md = gotab->info.moduledata_va, begin_va = gotab->info.pclntab_va;
	uint64_t gofunc_va, end_va;

	if (gj_image_pointer(gotab->image, md + off, &gofunc_va) ||
	    gj_image_pointer(gotab->image, md + off + 8, &end_va) || gofunc_va < begin_va ||
	    end_va < gofunc_va || end_va - begin_va > gotab->tab.size_bytes)
		return false;
	gotab->info.gofunc_va = gofunc_va;
	return true;
}

void gj_gotab_find_gofunc(struct gj_gotab *gotab)
{
	uint64_t md = gotab->info.moduledata_va, gofunc_va;
	bool is_1_18 = gotab->info.layout == GJ_GOTAB_1_18;

	if (!md || gotab->functab_entry_bytes != 8)
		return;
	/* The words decide, not the release: it may be unknown. */
	if (!is_1_18 && take_gofunc_1_26(gotab, GOFUNC_1_27))
		gotab->gofunc_minor = 27;
	else if (!is_1_18 && take_gofunc_1_26(gotab, GOFUNC_1_20))
		gotab->gofunc_minor = 26;
	if (gotab->gofunc_minor)
		return;
	if (!gj_image_pointer(gotab->image, md + (is_1_18 ? GOFUNC_1_18 : GOFUNC_1_20),
			      &gofunc_va))
		gotab->info.gofunc_va = gofunc_va;
}

void gj_gotab_find_buckets(struct gj_gotab *gotab)
{
	const struct moduledata_layout *layout = layout_of(gotab);
	uint64_t md = gotab->info.moduledata_va, buckets_va, minpc;

	if (!md || gj_image_pointer(gotab->image, md + layout->findfunctab, &buckets_va) ||
	    gj_image_pointer(gotab->image, md + layout->minpc, &minpc))
		return;
	gotab->buckets = gj_image_at(gotab->image, buckets_va);
	gotab->buckets_va = minpc;
}
