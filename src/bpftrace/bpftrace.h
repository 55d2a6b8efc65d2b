/* SPDX-License-Identifier: GPL-2.0 */
/*
 * bpftrace scripts for one Go binary: places, argument registers and struct
 * offsets filled in, so that stock bpftrace runs them, the binary stripped or not.
 */
#ifndef GJ_BPFTRACE_H
#define GJ_BPFTRACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "demangle/demangle.h"
#include "elf/elf.h"

struct gj_bpftrace_options {
	const char *name;  /* of the script */
	const char *path;  /* of the binary, absolute, as bpftrace is to open it */
	uint32_t pid;      /* the one process to look at; 0: all that run the binary */
	bool with_offsets; /* this bpftrace was built to probe behind a symbol's beginning */
};

/* Name and purpose of script number @index; false past the last. Static text. */
bool gj_bpftrace_script(size_t index, const char **name_out, const char **purpose_out);

/*
 * gj_bpftrace_write - make a script for a binary
 * @image, @gotab: of the same file
 * @script_out: the text is appended; @script_out->failed as ever
 *
 * Returns 0; -ENOENT: there is no such script, or the binary has not the function it
 * hooks; -EINVAL: a path that bpftrace cannot be given; -EOPNOTSUPP: another architecture,
 * or a release whose registers or numbers are not known; errors of
 * gj_probe_plan_entry and gj_goffsets_find. @diag says which.
 */
int gj_bpftrace_write(const struct gj_image *image, const struct gj_gotab *gotab,
		      const struct gj_bpftrace_options *options, struct gj_buf *script_out,
		      struct gj_diag *diag);

#endif
