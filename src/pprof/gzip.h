/* SPDX-License-Identifier: GPL-2.0 */
/* gzip (RFC 1952), by zlib. */
#ifndef GJ_PPROF_GZIP_H
#define GJ_PPROF_GZIP_H

#include <zlib.h>

#include "base/buf.h"
#include "base/cursor.h"

/*
 * Appends what @packed holds to @out: one gzip member or several. 0; -E2BIG beyond
 * @max_bytes; -EBADMSG when it is damaged or cut; -ENOMEM.
 */
int gj_gzip_unpack(struct gj_window packed, size_t max_bytes, struct gj_buf *out);

/* A member being written; z_stream and the buffer it ends up in. */
struct gj_gzip {
	z_stream stream;
	struct gj_buf *out;
};

/* Time 0 in its header: the same bytes give the same member. 0 or -ENOMEM. */
int gj_gzip_begin(struct gj_gzip *gzip, struct gj_buf *out);
void gj_gzip_add(struct gj_gzip *gzip, const void *bytes, size_t size_bytes);
/* Ends the member; 0, or -ENOMEM when any part of it found no room. */
int gj_gzip_end(struct gj_gzip *gzip);

#endif
