/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Fuzz target: any line through the filter of gojitter demangle. Input: u8
 * flags of gj_name_format, then the line up to a NUL or the end. The filter is
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
	struct gj_buf out = { 0 };
	char *line;

	if (!size_bytes)
		return 0;
	line = strndup((const char *)data + 1, size_bytes - 1);
	if (!line)
		return 0;
	format_line(line, data[0], &out);
	/* Text without a dot holds no Go name: it comes out as it went in. */
	if (!strchr(line, '.') &&
	    (out.size_bytes != strlen(line) || (*line && memcmp(out.data, line, out.size_bytes))))
		abort();
	gj_buf_deinit(&out);
	free(line);
	return 0;
}

void fuzz_seeds(void)
{
	static const char line[] = "\1#1 0x4f2 in a/b%2ec.(*T[int,map[string]x.Y]).M.abi0 (p=0x1) at /src/x.go:12\n";

	fuzz_seed(line, sizeof(line) - 1);
}
