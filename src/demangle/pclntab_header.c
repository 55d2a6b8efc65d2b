/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Finds .gopclntab and reads its header.
 *
 * Header, at the table's first byte (Go src/runtime/symtab.go, type pcHeader;
 * src/cmd/link/internal/ld/pcln.go):
 *
 *   off  1.2..1.15      1.16, 1.17     1.18..1.25     1.26..
 *     0  magic u32, 0, 0, minLC u8, ptrSize u8
 *     8  nfunc          nfunc          nfunc          nfunc
 *    16  functab...     nfiles         nfiles         nfiles
 *    24                 funcname off   textStart      0
 *    32                 cutab off      funcname off   funcname off
 *    40                 filetab off    cutab off      cutab off
 *    48                 pctab off      filetab off    filetab off
 *    56                 functab off    pctab off      pctab off
 *    64                                functab off    functab off
 *
 * Offsets count from the header. The functab has nfunc entries and an end pc.
 */
#include <elf.h>
#include <errno.h>

#include "base/limits.h"
#include "demangle/gotab.h"

#define MAGIC_1_2 0xfffffffbU
#define MAGIC_1_16 0xfffffffaU
#define MAGIC_1_18 0xfffffff0U
#define MAGIC_1_20 0xfffffff1U

#define SCAN_BYTES (4u << 20) /* pages kept in memory while scanning */

/* Whether @tab begins as a header does: magic, two zeros, minLC, pointer size, a sane nfunc. */
static bool is_header(struct gj_window tab)
{
	struct gj_cursor cur = gj_cursor_init(gj_window_slice(tab, 0, 16));
	uint32_t magic = gj_cursor_u32(&cur);
	uint16_t zero = gj_cursor_u16(&cur);
	uint8_t quantum = gj_cursor_u8(&cur);
	uint8_t pointer_bytes = gj_cursor_u8(&cur);
	uint64_t func_cnt = gj_cursor_u64(&cur);

	return !gj_cursor_failed(&cur) &&
	       (magic == MAGIC_1_2 || magic == MAGIC_1_16 || magic == MAGIC_1_18 ||
		magic == MAGIC_1_20) &&
	       zero == 0 && (quantum == 1 || quantum == 2 || quantum == 4) &&
	       pointer_bytes == 8 && func_cnt > 0 && func_cnt < GJ_MAX_FUNCS;
}

static bool take_header_at(struct gj_gotab *gotab, uint64_t va)
{
	struct gj_window tab = gj_image_at(gotab->image, va);

	if (!is_header(tab))
		return false;
	gotab->tab = tab;
	gotab->info.pclntab_va = va;
	return true;
}

/* Looks at every aligned word of [va, va + size) for a header. */
static bool scan(struct gj_gotab *gotab, uint64_t va, uint64_t size_bytes)
{
	struct gj_window bytes = gj_window_slice(gj_image_at(gotab->image, va), 0, size_bytes);
	uint64_t done = 0;

	for (uint64_t off = -va & 7; off + 16 <= bytes.size_bytes; off += 8) {
		uint32_t magic;

		memcpy(&magic, bytes.base + off, sizeof(magic));
		if (magic >= MAGIC_1_18 && take_header_at(gotab, va + off))
			return true;
		if (off - done >= SCAN_BYTES) {
			gj_image_forget(gotab->image, gj_window_slice(bytes, done, SCAN_BYTES));
			done = off;
		}
	}
	return false;
}

/*
 * Sections that every Go linker makes and every external linker keeps. Without
 * any of them a file with a section table is not Go, and is not read through:
 * a system-wide recording names hundreds of shared objects.
 */
static bool may_be_go(const struct gj_image *image)
{
	static const char *const names[] = { ".note.go.buildid", ".go.buildinfo", ".noptrdata",
					     ".noptrbss", ".gosymtab" };
	struct gj_section section;

	/* Nor do the headers tell where the table of their names has been cut off. */
	if (gj_image_section(image, 1, &section) || !section.name[0])
		return true;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (!gj_image_find_section(image, names[i], &section))
			return true;
	return false;
}

static bool scan_segments(struct gj_gotab *gotab, bool executable)
{
	const struct gj_segment *seg;

	for (unsigned int i = 0; (seg = gj_image_segment(gotab->image, i)); i++)
		if (!!(seg->flags & PF_X) == executable && scan(gotab, seg->va, seg->file_bytes))
			return true;
	return false;
}

/* External linkers merge the section into .data.rel.ro, some merge text and constants. */
static bool scan_image(struct gj_gotab *gotab)
{
	struct gj_section section;

	if (!may_be_go(gotab->image))
		return false;
	if (!gj_image_find_section(gotab->image, ".data.rel.ro", &section) &&
	    scan(gotab, section.va, section.size_bytes))
		return true;
	return scan_segments(gotab, false) || scan_segments(gotab, true);
}

/* A header-like magic of a release this library does not know, for the error line. */
static bool is_newer_header(struct gj_window tab)
{
	uint32_t magic;

	return gj_window_u32(tab, 0, &magic) && magic >= 0xffffff00U && !is_header(tab);
}

static int find_table(struct gj_gotab *gotab, struct gj_diag *diag)
{
	static const char *const names[] = { ".gopclntab", ".data.rel.ro.gopclntab" };
	const char *path = gj_image_path(gotab->image);
	struct gj_section section;
	struct gj_elf_symbol symbol;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (gj_image_find_section(gotab->image, names[i], &section))
			continue;
		if (take_header_at(gotab, section.va))
			return 0;
		if (is_newer_header(gj_image_at(gotab->image, section.va)))
			return gj_diag_set(diag, -EOPNOTSUPP,
					   "%s: %s has a header this gojitter does not know; it reads Go 1.15 to 1.27",
					   path, names[i]);
	}
	if (scan_image(gotab))
		return 0;
	if (!gj_image_find_symbol(gotab->image, "runtime.pclntab", &symbol) &&
	    take_header_at(gotab, symbol.va))
		return 0;
	if (gj_image_is_cut(gotab->image))
		return gj_diag_set(diag, -EBADMSG,
				   "%s: the file is cut short: it ends before its last segment does",
				   path);
	return gj_diag_set(diag, -ENOENT, "%s: not a Go program: it has no .gopclntab", path);
}

/* From @off to the last NUL before @end_off: whatever starts inside is a terminated string. */
static struct gj_window string_window(struct gj_window tab, uint64_t off, uint64_t end_off)
{
	struct gj_window part = gj_window_slice(tab, off, end_off > off ? end_off - off : 0);

	while (part.size_bytes && part.base[part.size_bytes - 1])
		part.size_bytes--;
	return part;
}

/* Go 1.2 to 1.15: everything is addressed from the header; the file table stands behind functab. */
static bool read_layout_1_2(struct gj_gotab *gotab)
{
	uint64_t functab_bytes = (uint64_t)gotab->info.func_cnt * 16 + 8;
	uint32_t filetab_off, file_cnt;

	gotab->functab_entry_bytes = 16;
	gotab->functab = gj_window_slice(gotab->tab, 16, functab_bytes);
	gotab->records = gotab->tab;
	gotab->pctab = gotab->tab;
	gotab->names = string_window(gotab->tab, 0, gotab->tab.size_bytes);
	gotab->files = gotab->names;
	if (!gj_window_u32(gotab->tab, 16 + functab_bytes, &filetab_off) ||
	    !gj_window_u32(gotab->tab, filetab_off, &file_cnt))
		return false;
	gotab->cutab = gj_window_slice(gotab->tab, filetab_off, (uint64_t)file_cnt * 4);
	return gotab->functab.size_bytes == functab_bytes;
}

/* Go 1.16 and later: five offsets from @first_off on, in the order of the drawing above. */
static bool read_layout_1_16(struct gj_gotab *gotab, uint64_t first_off)
{
	struct gj_cursor cur = gj_cursor_init(gj_window_slice(gotab->tab, first_off, 40));
	uint64_t names_off = gj_cursor_u64(&cur);
	uint64_t cutab_off = gj_cursor_u64(&cur);
	uint64_t files_off = gj_cursor_u64(&cur);
	uint64_t pctab_off = gj_cursor_u64(&cur);
	uint64_t functab_off = gj_cursor_u64(&cur);
	uint64_t functab_bytes;

	if (gj_cursor_failed(&cur) || names_off > cutab_off || cutab_off > files_off ||
	    files_off > pctab_off || pctab_off > functab_off)
		return false;
	/* n entries of two words, then one word: the end pc. */
	functab_bytes = (uint64_t)gotab->info.func_cnt * gotab->functab_entry_bytes +
			gotab->functab_entry_bytes / 2;
	gotab->names = string_window(gotab->tab, names_off, cutab_off);
	gotab->cutab = gj_window_slice(gotab->tab, cutab_off, files_off - cutab_off);
	gotab->files = string_window(gotab->tab, files_off, pctab_off);
	gotab->pctab = gj_window_slice(gotab->tab, pctab_off, functab_off - pctab_off);
	gotab->functab = gj_window_slice(gotab->tab, functab_off, functab_bytes);
	gotab->records = gj_window_slice(gotab->tab, functab_off, UINT64_MAX);
	return gotab->functab.size_bytes == functab_bytes;
}

static bool read_layout(struct gj_gotab *gotab)
{
	switch (gotab->info.magic) {
	case MAGIC_1_2:
		gotab->info.layout = GJ_GOTAB_1_2;
		return read_layout_1_2(gotab);
	case MAGIC_1_16:
		gotab->info.layout = GJ_GOTAB_1_16;
		gotab->functab_entry_bytes = 16;
		return read_layout_1_16(gotab, 24);
	default:
		gotab->info.layout = gotab->info.magic == MAGIC_1_18 ? GJ_GOTAB_1_18 :
								       GJ_GOTAB_1_20;
		gotab->functab_entry_bytes = 8;
		return read_layout_1_16(gotab, 32);
	}
}

int gj_gotab_find_header(struct gj_gotab *gotab, struct gj_diag *diag)
{
	uint64_t func_cnt;
	int err = find_table(gotab, diag);

	if (err)
		return err;
	if (!gj_window_u32(gotab->tab, 0, &gotab->info.magic) ||
	    !gj_window_u8(gotab->tab, 6, &gotab->quantum) ||
	    !gj_window_u64(gotab->tab, 8, &func_cnt))
		return -EBADMSG;
	gotab->info.func_cnt = (uint32_t)func_cnt;
	if (!read_layout(gotab))
		return gj_diag_set(diag, -EBADMSG,
				   "%s: .gopclntab at 0x%llx is cut short or its header contradicts itself",
				   gj_image_path(gotab->image),
				   (unsigned long long)gotab->info.pclntab_va);
	return 0;
}
