/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Which Go release built an image.
 *
 * .go.buildinfo (Go src/debug/buildinfo, src/cmd/link/internal/ld/data.go):
 *   0  ff 20 "Go buildinf:"   14  ptrSize u8   15  flags u8
 *   flags & 2 (1.18 and later): at 32 varint length and bytes of the version
 *   else: at 16 the address of a string header {pointer, length}
 *
 * Some builds drop it. Then the string runtime.buildVersion, then what the
 * compiler says of itself in DWARF, then "go1.N.M" in read-only data, then what
 * the table layouts alone tell.
 */
#include <ctype.h>
#include <elf.h>
#include <errno.h>
#include <stdlib.h>

#include "demangle/gotab.h"

#define BUILDINFO_MAGIC "\xff Go buildinf:"
#define BUILDINFO_MAGIC_BYTES 14
#define BUILDINFO_ALIGN 16
#define VERSION_MAX_BYTES 63

/* Takes "go1.N..." or "devel go1.N-..." and notes where it stood. */
static bool take_version(struct gj_goinfo *info, struct gj_window text, const char *source)
{
	size_t cnt = text.size_bytes < VERSION_MAX_BYTES ? text.size_bytes : VERSION_MAX_BYTES;
	const char *minor;

	if (!cnt)
		return false;
	memcpy(info->go_version, text.base, cnt);
	info->go_version[cnt] = '\0';
	minor = strstr(info->go_version, "go1.");
	if (!minor || !isdigit((unsigned char)minor[4])) {
		info->go_version[0] = '\0';
		return false;
	}
	for (char *c = info->go_version; *c; c++)
		if ((unsigned char)*c < 0x20 || (unsigned char)*c >= 0x7f)
			*c = '?';
	info->go_minor = atoi(minor + 4);
	info->version_source = source;
	return true;
}

/* The bytes of the Go string whose header lies at @va. */
static struct gj_window go_string(const struct gj_image *image, uint64_t va)
{
	uint64_t text_va, size_bytes;

	if (gj_image_pointer(image, va, &text_va) ||
	    !gj_window_u64(gj_image_at(image, va), 8, &size_bytes))
		return (struct gj_window){ NULL, 0 };
	return gj_window_slice(gj_image_at(image, text_va), 0, size_bytes);
}

static bool take_buildinfo_at(struct gj_gotab *gotab, uint64_t va)
{
	struct gj_window blob = gj_image_at(gotab->image, va);
	struct gj_cursor cur = gj_cursor_init(gj_window_slice(blob, 32, 128));
	uint64_t header_va;
	uint32_t size_bytes;
	uint8_t flags = 0;

	if (!gj_window_holds(blob, 0, 32) || memcmp(blob.base, BUILDINFO_MAGIC,
						    BUILDINFO_MAGIC_BYTES))
		return false;
	gj_window_u8(blob, 15, &flags);
	if (flags & 2) {
		size_bytes = gj_cursor_varint32(&cur);
		if (size_bytes > gj_cursor_left(&cur))
			return false;
		return take_version(&gotab->info, (struct gj_window){ cur.pos, size_bytes },
				    "buildinfo");
	}
	if (gj_image_pointer(gotab->image, va + 16, &header_va))
		return false;
	return take_version(&gotab->info, go_string(gotab->image, header_va), "buildinfo");
}

static bool take_buildinfo(struct gj_gotab *gotab)
{
	const struct gj_segment *seg;
	struct gj_section section;

	if (!gj_image_find_section(gotab->image, ".go.buildinfo", &section))
		return take_buildinfo_at(gotab, section.va);
	for (unsigned int i = 0; (seg = gj_image_segment(gotab->image, i)); i++) {
		struct gj_window bytes = gj_image_at(gotab->image, seg->va);

		if (!(seg->flags & PF_W))
			continue;
		for (uint64_t off = -seg->va & (BUILDINFO_ALIGN - 1);
		     off + BUILDINFO_MAGIC_BYTES <= bytes.size_bytes; off += BUILDINFO_ALIGN)
			if (bytes.base[off] == 0xff && take_buildinfo_at(gotab, seg->va + off))
				return true;
	}
	return false;
}

static bool take_symbol(struct gj_gotab *gotab)
{
	struct gj_elf_symbol symbol;

	if (gj_image_find_symbol(gotab->image, "runtime.buildVersion", &symbol))
		return false;
	return take_version(&gotab->info, go_string(gotab->image, symbol.va), "symbol");
}

#define PRODUCER "Go cmd/compile "
#define PRODUCER_BYTES (sizeof(PRODUCER) - 1)
#define DWARF_HEAD_BYTES 65536

/*
 * The first compilation unit begins with the compiler's name as a string in
 * place: "Go cmd/compile go1.27.4; regabi" (Go src/cmd/internal/dwarf, DW_AT_producer).
 */
static bool take_dwarf(struct gj_gotab *gotab)
{
	static const char *const names[] = { ".debug_info", ".zdebug_info" };
	struct gj_section section;
	uint8_t *head, *found;
	bool is_taken = false;
	ssize_t cnt = -1;

	head = malloc(DWARF_HEAD_BYTES);
	for (size_t i = 0; head && cnt < 0 && i < sizeof(names) / sizeof(names[0]); i++)
		if (!gj_image_find_section(gotab->image, names[i], &section))
			cnt = gj_image_section_head(gotab->image, &section, head,
						    DWARF_HEAD_BYTES);
	found = cnt > 0 ? memmem(head, (size_t)cnt, PRODUCER, PRODUCER_BYTES) : NULL;
	if (found) {
		struct gj_window text = { found + PRODUCER_BYTES,
					  (size_t)(head + cnt - found) - PRODUCER_BYTES };

		for (size_t i = 0; i < text.size_bytes; i++)
			if (!text.base[i] || text.base[i] == ';')
				text.size_bytes = i;
		is_taken = take_version(&gotab->info, text, "dwarf");
	}
	free(head);
	return is_taken;
}

static bool is_version_char(uint8_t c)
{
	return isdigit(c) || c == '.';
}

/* A later "go1.N.M" in @bytes than @pos, empty when there is none. */
static struct gj_window next_release(struct gj_window bytes, const uint8_t *pos)
{
	const uint8_t *end = bytes.base + bytes.size_bytes;

	while ((pos = memmem(pos, (size_t)(end - pos), "go1.", 4))) {
		size_t cnt = 4;

		while (cnt < (size_t)(end - pos) && cnt < 12 && is_version_char(pos[cnt]))
			cnt++;
		/* Only a full go1.N.M is a build's own version; go1.N alone stands in messages. */
		if (cnt >= 8 && memchr(pos + 4, '.', cnt - 4))
			return (struct gj_window){ pos, cnt };
		pos += 4;
	}
	return (struct gj_window){ NULL, 0 };
}

/*
 * "go1.N.M" among the strings of read-only data. Other strings may stand right
 * behind it without a separator, so only digits and dots are taken; a text that
 * names another release (an error message, say) disagrees and spoils the find.
 */
static bool take_release_in(struct gj_gotab *gotab, struct gj_window bytes)
{
	struct gj_window first, next;

	if (!bytes.size_bytes)
		return false;
	first = next = next_release(bytes, bytes.base);
	while (next.base) {
		if (next.size_bytes != first.size_bytes ||
		    memcmp(next.base, first.base, first.size_bytes))
			return false;
		next = next_release(bytes, next.base + next.size_bytes);
	}
	return first.base && take_version(&gotab->info, first, "rodata");
}

static bool take_rodata(struct gj_gotab *gotab)
{
	const struct gj_segment *seg;
	struct gj_section section;
	bool found = false;

	if (!gj_image_find_section(gotab->image, ".rodata", &section))
		return take_release_in(gotab, gj_window_slice(gj_image_at(gotab->image, section.va),
							      0, section.size_bytes));
	/* Without sections: names in .gopclntab mention no releases, code holds no strings. */
	for (unsigned int i = 0; !found && (seg = gj_image_segment(gotab->image, i)); i++)
		if (!(seg->flags & (PF_W | PF_X)))
			found = take_release_in(gotab, gj_image_at(gotab->image, seg->va));
	return found;
}

/*
 * The oldest release that writes what was seen. From 1.26 gofunc lies inside
 * .gopclntab; 1.27 moved it within moduledata.
 */
static void infer_from_layout(struct gj_gotab *gotab)
{
	static const int first_minor[] = {
		[GJ_GOTAB_1_2] = 15, [GJ_GOTAB_1_16] = 16,
		[GJ_GOTAB_1_18] = 18, [GJ_GOTAB_1_20] = 20,
	};
	struct gj_goinfo *info = &gotab->info;

	info->go_minor = first_minor[info->layout];
	info->version_source = "layout";
	if (gotab->gofunc_minor)
		info->go_minor = gotab->gofunc_minor;
}

void gj_gotab_find_version(struct gj_gotab *gotab)
{
	if (!take_buildinfo(gotab) && !take_symbol(gotab) && !take_dwarf(gotab) &&
	    !take_rodata(gotab))
		infer_from_layout(gotab);
}
