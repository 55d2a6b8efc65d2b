/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Fuzz target: any text through the filter of gojitter demangle. Input: u8
 * flags of gj_name_format, then the text. The filter is
 * part of the command, not of the library, so its source is compiled in.
 */
#include "cmd/demangle.c"

#include "seeds.h"

int gj_cmd_fail(const char *fmt, ...)
{
	(void)fmt;
	return GJ_EXIT_FAILED;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes)
{
	const char *text = (const char *)data + 1, *end = (const char *)data + size_bytes, *done;
	struct filter filter = { 0 };

	if (!size_bytes)
		return 0;
	filter.flags = data[0];
	/* As the filter does: up to the last newline, then the rest. */
	done = format_text(&filter, text, find_stop(text, end), end);
	format_text(&filter, done, end, end);
	/* Text without a dot holds no Go name: it comes out as it went in. */
	if (!memchr(text, '.', size_bytes - 1) &&
	    (filter.out.size_bytes != size_bytes - 1 ||
	     (size_bytes > 1 && memcmp(filter.out.data, text, size_bytes - 1))))
		abort();
	gj_buf_deinit(&filter.name);
	gj_buf_deinit(&filter.out);
	return 0;
}

void fuzz_seeds(void)
{
	static const char line[] = "\1#1 0x4f2 in a/b%2ec.(*T[int,map[string]x.Y]).M.abi0 (p=0x1) at /src/x.go:12\n";

	fuzz_seed(line, sizeof(line) - 1);
}
