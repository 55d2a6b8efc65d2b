/* SPDX-License-Identifier: GPL-2.0 */
/*
 * File names and file:line at an address.
 *
 * A pcfile value numbers a file of the function's compilation unit: its name
 * starts at filetab + cutab[cu + number], u32s, 0xffffffff for none. Up to
 * Go 1.15 the numbers are global: cutab[number] from the table's start, where
 * word 0 is the table's length (Go src/runtime/symtab.go, funcfile).
 */
#include <errno.h>

#include "demangle/gotab.h"

#define NO_FILE 0xffffffffU

const char *gj_gotab_file(const struct gj_gotab *gotab, const struct gj_gofunc *func,
			  int32_t file_index)
{
	uint64_t index = (uint64_t)func->cu_off + (uint32_t)file_index;
	uint32_t name_off;

	if (file_index < 0 || !gj_window_u32(gotab->cutab, index * 4, &name_off) ||
	    name_off == NO_FILE || name_off >= gotab->files.size_bytes)
		return NULL;
	return (const char *)gotab->files.base + name_off;
}

int gj_gotab_line(const struct gj_gotab *gotab, const struct gj_gofunc *func, uint64_t va,
		  const char **file_out, int32_t *line_out)
{
	int32_t file_index, line;
	const char *file;
	int err = gj_pcvalue_find(gotab, func, GJ_PCTABLE_FILE, va, &file_index);

	if (!err)
		err = gj_pcvalue_find(gotab, func, GJ_PCTABLE_LINE, va, &line);
	if (err)
		return err;
	file = gj_gotab_file(gotab, func, file_index);
	if (!file)
		return -ENOENT;
	*file_out = file;
	*line_out = line;
	return 0;
}

int32_t gj_gotab_first_line(const struct gj_gotab *gotab, const struct gj_gofunc *func)
{
	const char *file;
	int32_t line;

	if (func->start_line > 0)
		return func->start_line;
	if (gj_gotab_line(gotab, func, func->entry_va, &file, &line))
		return 0;
	return line;
}
