/* SPDX-License-Identifier: GPL-2.0 */
/*
 * ELF debug files made from Go's own tables, for tools that read symbols and
 * DWARF but not .gopclntab: perf, gdb, bpftrace, addr2line and others.
 */
#ifndef GJ_DEBUGINFO_H
#define GJ_DEBUGINFO_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "demangle/demangle.h"
#include "elf/elf.h"

struct gj_debuginfo_options {
	bool with_code; /* a whole copy of the image with the new sections, not only these */
	bool compress;  /* DWARF sections as zlib streams */
};

/* What was written. */
struct gj_debuginfo_stats {
	uint32_t func_cnt;
	uint32_t broken_cnt;  /* functions left out, because their records are broken */
	uint32_t unit_cnt;
	uint64_t inlined_cnt; /* inlined calls, each with its own address ranges */
	uint64_t line_cnt;    /* rows of the line table */
};

/*
 * gj_debuginfo_write - write the debug file of an image
 * @fd: empty file, open for writing; stays open. Holds nothing useful after an error
 * @stats_out: may be NULL
 *
 * Contents: .symtab with every Go function and what symbols the image still
 * has, DWARF 4 with a unit for each package, line table, inlined calls, call
 * frame information; the build id of the image. Takes memory of the size of
 * what it writes. Returns 0, -ENOMEM, -E2BIG when a section would pass 4 GiB,
 * -EBADMSG when the tables make no sense, or the error of writing.
 */
int gj_debuginfo_write(const struct gj_image *image, const struct gj_gotab *gotab,
		       const struct gj_debuginfo_options *options, int fd,
		       struct gj_debuginfo_stats *stats_out, struct gj_diag *diag);

/* How tools come from a stripped file to its debug file. */
enum gj_debuginfo_link {
	GJ_DEBUGINFO_BY_BUILD_ID = 1, /* every tool finds it */
	GJ_DEBUGINFO_BY_PATH = 2,     /* no build id: perf does, gdb through a script */
};

/*
 * gj_debuginfo_place - where tools look for the debug file of an image
 * @path: of the image, absolute and without symbolic links
 * @root: put before /usr/lib/debug; "" for the running system
 * @place_out: gets the path, NUL-terminated; check .failed
 */
enum gj_debuginfo_link gj_debuginfo_place(const struct gj_image *image, const char *path,
					  const char *root, struct gj_buf *place_out);

/*
 * gj_debuginfo_gdb_script - what makes gdb find a debug file that is linked by path
 *
 * The text of the file that goes beside it as PATH-gdb.py. Not NUL-terminated;
 * check .failed.
 */
void gj_debuginfo_gdb_script(const struct gj_image *image, struct gj_buf *script_out);

#endif
