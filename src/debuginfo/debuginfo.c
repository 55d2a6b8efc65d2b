/* SPDX-License-Identifier: GPL-2.0 */
/* Builds the sections of a debug file, unit by unit, and has them written. */
#include "debuginfo/debuginfo.h"

#include <elf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "debuginfo/build.h"

bool gj_debug_grow(void **items, size_t *cap, size_t cnt, size_t item_bytes)
{
	size_t new_cap = *cap ? *cap : 64;
	void *moved;

	if (cnt < *cap)
		return true;
	while (new_cap <= cnt)
		new_cap *= 2;
	moved = reallocarray(*items, new_cap, item_bytes);
	if (!moved)
		return false;
	*items = moved;
	*cap = new_cap;
	return true;
}

void gj_debug_put_name(struct gj_buf *buf, const char *name)
{
	char cut[GJ_MAX_NAME_BYTES + 1];
	size_t name_bytes = strnlen(name, GJ_MAX_NAME_BYTES + 1);

	if (name_bytes > GJ_MAX_NAME_BYTES) {
		memcpy(cut, name, GJ_MAX_NAME_BYTES);
		cut[GJ_MAX_NAME_BYTES] = '\0';
		name = cut;
	}
	gj_name_format(name, 0, buf);
	gj_buf_chr(buf, '\0');
}

uint32_t gj_debug_name(struct gj_debug *debug, const char *name)
{
	bool is_new;
	uint32_t *off = gj_strmap_find(&debug->names, name, strnlen(name, GJ_MAX_NAME_BYTES + 1),
				       &is_new);

	if (!off) {
		debug->str.failed = true;
		return 0;
	}
	if (is_new) {
		*off = (uint32_t)debug->str.size_bytes;
		gj_debug_put_name(&debug->str, name);
	}
	return *off;
}

static void deinit(struct gj_debug *debug)
{
	struct gj_buf *const bufs[] = { &debug->info, &debug->abbrev, &debug->line, &debug->str,
					&debug->ranges, &debug->aranges, &debug->frame,
					&debug->symbols, &debug->strings, &debug->program,
					&debug->files.dirs, &debug->files.names };

	for (size_t i = 0; i < sizeof(bufs) / sizeof(bufs[0]); i++)
		gj_buf_deinit(bufs[i]);
	gj_strmap_deinit(&debug->names);
	gj_strmap_deinit(&debug->origins);
	gj_strmap_deinit(&debug->files.dir_map);
	gj_strmap_deinit(&debug->files.file_map);
	free(debug->funcs);
	free(debug->rows);
	free(debug->calls);
	free(debug->call_ranges);
	free(debug->call_of_row);
}

/* Tables that share their parts among functions could make any amount of output. */
int gj_debug_check(const struct gj_debug *debug, struct gj_diag *diag)
{
	const struct gj_buf *const bufs[] = { &debug->info, &debug->line, &debug->str,
					      &debug->ranges, &debug->aranges, &debug->frame,
					      &debug->symbols, &debug->strings };
	uint64_t limit = gj_image_bytes(debug->image).size_bytes;
	uint64_t sum_bytes = 0;

	limit = limit * GJ_MAX_DEBUGINFO_RATIO + GJ_MIN_DEBUGINFO_BYTES;
	for (size_t i = 0; i < sizeof(bufs) / sizeof(bufs[0]); i++) {
		if (bufs[i]->failed)
			return gj_diag_set(diag, -ENOMEM, "%s: out of memory",
					   gj_image_path(debug->image));
		if (bufs[i]->size_bytes > UINT32_MAX)
			return gj_diag_set(diag, -E2BIG,
					   "%s: a section of its debug file would pass 4 GiB",
					   gj_image_path(debug->image));
		sum_bytes += bufs[i]->size_bytes;
	}
	if (sum_bytes > limit)
		return gj_diag_set(diag, -EBADMSG,
				   "%s: its Go tables describe far more code than there is; the file is damaged",
				   gj_image_path(debug->image));
	return 0;
}

static int put_units(struct gj_debug *debug, struct gj_diag *diag)
{
	size_t first = 0;
	int err = 0;

	while (!err && first < debug->func_cnt) {
		size_t last = first + 1;

		while (last < debug->func_cnt && debug->funcs[last].unit == debug->funcs[first].unit)
			last++;
		err = gj_debug_put_unit(debug, first, last - first, diag);
		first = last;
	}
	return err;
}

static void put_producer(struct gj_debug *debug)
{
	const char *version = gj_gotab_info(debug->gotab)->go_version;

	debug->producer_off = (uint32_t)debug->str.size_bytes;
	gj_buf_fmt(&debug->str, "Go cmd/compile %s; gojitter " GJ_VERSION,
		   version[0] ? version : "of unknown release");
	gj_buf_chr(&debug->str, '\0');
}

static int build(struct gj_debug *debug, struct gj_diag *diag)
{
	int err;

	gj_debug_put_abbrevs(debug);
	put_producer(debug);
	err = put_units(debug, diag);
	gj_debug_sort_by_address(debug);
	if (!err)
		err = gj_debug_put_symbols(debug, diag);
	if (!err)
		err = gj_debug_put_frames(debug, diag);
	return err ? err : debug->abbrev.failed ? -ENOMEM : 0;
}

static struct gj_window bytes_of(const struct gj_buf *buf)
{
	return (struct gj_window){ (const uint8_t *)buf->data, buf->size_bytes };
}

static int write_file(const struct gj_debug *debug, const struct gj_debuginfo_options *options,
		      int fd, struct gj_diag *diag)
{
	const struct gj_new_section sections[] = {
		{ ".symtab", SHT_SYMTAB, debug->local_cnt, sizeof(Elf64_Sym), 8, true, false,
		  bytes_of(&debug->symbols) },
		{ ".strtab", SHT_STRTAB, .align = 1, .bytes = bytes_of(&debug->strings) },
		{ ".debug_abbrev", SHT_PROGBITS, .align = 1, .bytes = bytes_of(&debug->abbrev) },
		{ ".debug_info", SHT_PROGBITS, .align = 1, .compress = options->compress,
		  .bytes = bytes_of(&debug->info) },
		{ ".debug_line", SHT_PROGBITS, .align = 1, .compress = options->compress,
		  .bytes = bytes_of(&debug->line) },
		{ ".debug_str", SHT_PROGBITS, .align = 1, .compress = options->compress,
		  .bytes = bytes_of(&debug->str) },
		{ ".debug_ranges", SHT_PROGBITS, .align = 1, .compress = options->compress,
		  .bytes = bytes_of(&debug->ranges) },
		{ ".debug_aranges", SHT_PROGBITS, .align = 1, .compress = options->compress,
		  .bytes = bytes_of(&debug->aranges) },
		{ ".debug_frame", SHT_PROGBITS, .align = 8, .compress = options->compress,
		  .bytes = bytes_of(&debug->frame) },
	};

	return gj_elf_write(debug->image, fd, sections, sizeof(sections) / sizeof(sections[0]),
			    options->with_code, diag);
}

int gj_debuginfo_write(const struct gj_image *image, const struct gj_gotab *gotab,
		       const struct gj_debuginfo_options *options, int fd,
		       struct gj_debuginfo_stats *stats_out, struct gj_diag *diag)
{
	struct gj_debug debug = { .image = image, .gotab = gotab };
	int err = gj_debug_collect(&debug);

	if (!err)
		err = build(&debug, diag);
	if (!err)
		err = write_file(&debug, options, fd, diag);
	if (err == -ENOMEM)
		gj_diag_set(diag, err, "%s: out of memory", gj_image_path(image));
	if (!err && stats_out)
		*stats_out = debug.stats;
	deinit(&debug);
	return err;
}
