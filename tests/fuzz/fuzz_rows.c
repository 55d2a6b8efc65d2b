/* SPDX-License-Identifier: GPL-2.0 */
/* Fuzz target: rows for the unwinder in the kernel, out of any ELF file and Go tables. */
#include <stdlib.h>

#include "fuzz.h"
#include "profile/profile.h"

/* Rows ascend from 0, and every page's are among them. */
static void check(const struct gj_buf *rows, const struct gj_buf *pages, uint32_t page_cnt)
{
	const struct gj_unwind_row *list = (const void *)rows->data;
	const struct gj_unwind_page *page = (const void *)pages->data;
	size_t cnt = rows->size_bytes / sizeof(*list);

	if (!cnt || list[0].start)
		abort();
	for (size_t i = 1; i < cnt; i++)
		if (list[i].start <= list[i - 1].start && i > 1)
			abort();
	for (uint32_t i = 0; i < page_cnt; i++, page++)
		if (page->first > page->last || page->last >= cnt ||
		    list[page->first].start > (uint64_t)i << GJ_UNWIND_PAGE_SHIFT)
			abort();
}

static void make(const struct gj_image *image, const struct gj_gotab *gotab)
{
	const struct gj_segment *segment = gj_image_segment(image, 0);
	struct gj_buf rows = { 0 }, pages = { 0 };
	struct gj_stitch_facts facts;
	uint32_t page_cnt;

	if (segment && (!gotab || !gj_stitch_facts(image, gotab, &facts)) &&
	    !gj_profile_rows(image, gotab, &facts, segment->va, &rows) &&
	    !gj_profile_pages(&rows, 0, &pages, &page_cnt))
		check(&rows, &pages, page_cnt);
	gj_buf_deinit(&rows);
	gj_buf_deinit(&pages);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes)
{
	struct fuzz_file file;
	struct gj_image *image;
	struct gj_gotab *gotab = NULL;

	fuzz_file_init(&file, data, size_bytes);
	if (!gj_image_open_bytes(file.bytes, "", &image, NULL)) {
		gj_gotab_open(image, &gotab, NULL);
		make(image, gotab);
		gj_gotab_close(gotab);
		gj_image_close(image);
	}
	fuzz_file_deinit(&file);
	return 0;
}

void fuzz_seeds(void)
{
	fuzz_seed_files();
}
