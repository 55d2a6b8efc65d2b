/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The first failure of an operation, kept for whoever must explain it.
 *
 * Functions that can fail return 0 or a negative errno and take an optional
 * last argument `struct gj_diag *`. The innermost function that knows what was
 * wrong fills it; later calls leave it alone, so the first cause survives.
 */
#ifndef GJ_BASE_ERR_H
#define GJ_BASE_ERR_H

#include <stddef.h>
#include <stdint.h>

#define GJ_DIAG_BYTES 512

struct gj_diag {
	int err;                  /* negative errno, 0 while nothing failed */
	char text[GJ_DIAG_BYTES]; /* one line: what, where, what to do; no newline */
};

/*
 * gj_diag_set - note a failure
 * @diag: may be NULL; left alone when it already holds a failure
 * @err: negative errno
 * @fmt: printf format of one line without "gojitter: " and without newline
 *
 * Control characters in the result are replaced by '?', so that bytes of a
 * hostile file cannot drive the terminal. Returns @err, so that callers can
 * write `return gj_diag_set(...)`.
 */
int gj_diag_set(struct gj_diag *diag, int err, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

#endif
