/* SPDX-License-Identifier: GPL-2.0 */
/* Whose binary a hit of our probe is in; shared by goexec.c and goexec_*.c only. */
#ifndef GJ_GOEXEC_H
#define GJ_GOEXEC_H

#include "sample/sample.h"
#include "session/session.h"

/* The binary a thread runs. */
struct gj_binary {
	const struct gj_image *image;
	const struct gj_gotab *gotab; /* NULL: not known */
	uint64_t bias;                /* address in the process - link-time address */
};

struct gj_binaries;

/*
 * @recording: the perf.data file the hits come from; empty: they are live, or
 *             from elsewhere
 * @definitions: tracefs' uprobe_events, NUL-terminated
 * Both are borrowed. NULL: out of memory.
 */
struct gj_binaries *gj_binaries_new(struct gj_window recording, const char *definitions);
void gj_binaries_free(struct gj_binaries *binaries); /* NULL allowed */

/*
 * The binary @hit is in: a file that was mapped at the probe's address by that
 * thread, or that the probe is defined on, whose runtime.execute lies there.
 * Valid until the next call.
 */
const struct gj_binary *gj_binaries_find(struct gj_binaries *binaries,
					 const struct gj_goexec_hit *hit);

/*
 * The function a goroutine that starts at @func is for: @func, or what it calls
 * when it is but the compiler's wrapper of a go statement with arguments.
 */
const char *gj_goexec_start_name(const struct gj_binary *binary, const struct gj_gofunc *func);

/* The next definition of one of our probes in @text: its name, and the path and offset. */
struct gj_probe_def {
	const char *name, *path; /* into the text; not terminated */
	size_t name_bytes, path_bytes;
	uint64_t file_off;
};
/* Moves *@text behind the definition; false when there is none. */
bool gj_probe_def_next(const char **text, struct gj_probe_def *def_out);

#endif
