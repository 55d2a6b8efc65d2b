/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Fuzz target: texts of several instances put together. Input: texts, with a zero byte
 * between them. What comes out has every family once, and comes out of it unchanged.
 */
#include <stdlib.h>
#include <string.h>

#include "export/export.h"

#include "seeds.h"

#define MAX_TEXTS 8

static size_t count(const struct gj_buf *text, const char *line, size_t bytes)
{
	size_t cnt = 0;

	for (size_t at = 0; at + bytes <= text->size_bytes; at++)
		cnt += (!at || text->data[at - 1] == '\n') && !memcmp(text->data + at, line, bytes);
	return cnt;
}

static void each_family_once(const struct gj_buf *text)
{
	const char *at, *next, *end;

	if (!text->size_bytes)
		return;
	end = text->data + text->size_bytes;
	for (at = text->data; at < end; at = next) {
		size_t bytes;

		next = memchr(at, '\n', (size_t)(end - at));
		if (!next)
			abort();
		bytes = (size_t)(next++ - at);
		if (bytes < 7 || memcmp(at, "# HELP ", 7))
			continue;
		/* Up to the name's end, and what ends it. */
		for (bytes = 7; at[bytes] != ' ' && at[bytes] != '\n'; bytes++)
			;
		if (count(text, at, bytes) != count(text, at, bytes + 1))
			continue; /* a name that begins another */
		if (count(text, at, bytes + 1) != 1)
			abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes)
{
	struct gj_buf texts[MAX_TEXTS] = { { 0 } }, merged = { 0 }, again = { 0 };
	size_t cnt = 0;

	for (size_t i = 0; i < size_bytes; i++) {
		if (!data[i] && cnt + 1 < MAX_TEXTS)
			cnt++;
		else
			gj_buf_chr(&texts[cnt], (char)data[i]);
	}
	if (gj_export_merge(texts, cnt + 1, &merged) || gj_export_merge(&merged, 1, &again))
		abort();
	each_family_once(&merged);
	if (again.size_bytes != merged.size_bytes ||
	    (merged.size_bytes && memcmp(again.data, merged.data, merged.size_bytes)))
		abort();
	for (size_t i = 0; i < MAX_TEXTS; i++)
		gj_buf_deinit(&texts[i]);
	gj_buf_deinit(&merged);
	gj_buf_deinit(&again);
	return 0;
}

void fuzz_seeds(void)
{
	static const char texts[] =
		"# HELP a_total A.\n# TYPE a_total counter\na_total{trace=\"one\"} 1\n"
		"# HELP b B.\n# TYPE b gauge\nb{trace=\"one\"} 2\n"
		"\0"
		"# HELP b B.\n# TYPE b gauge\nb{trace=\"two\"} 3\n"
		"# HELP a_total A.\n# TYPE a_total counter\na_total{trace=\"two\"} 4";

	fuzz_seed(texts, sizeof(texts) - 1);
}
