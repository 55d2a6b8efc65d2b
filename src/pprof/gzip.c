/* SPDX-License-Identifier: GPL-2.0 */
/* gzip (RFC 1952), by zlib. */
#include "pprof/gzip.h"

#include <errno.h>

#define STEP_BYTES (1 << 16)
#define GZIP_BITS (16 + MAX_WBITS) /* a gzip header in place of zlib's */

/* One step of @stream into @out. Z_STREAM_END, Z_OK, or negative errno. */
static int inflate_step(z_stream *stream, size_t max_bytes, struct gj_buf *out)
{
	char *room = gj_buf_reserve(out, STEP_BYTES);
	int status;

	if (!room)
		return -ENOMEM;
	stream->next_out = (Bytef *)room;
	stream->avail_out = STEP_BYTES;
	status = inflate(stream, Z_NO_FLUSH);
	out->size_bytes += STEP_BYTES - stream->avail_out;
	if (out->size_bytes > max_bytes)
		return -E2BIG;
	if (status == Z_MEM_ERROR)
		return -ENOMEM;
	if (status == Z_STREAM_END)
		return status;
	/* No room left over and nothing more to read: the member is cut. */
	if (status != Z_OK || (!stream->avail_in && stream->avail_out))
		return -EBADMSG;
	return Z_OK;
}

int gj_gzip_unpack(struct gj_window packed, size_t max_bytes, struct gj_buf *out)
{
	z_stream stream = { 0 };
	int status = Z_OK;

	if (packed.size_bytes > UINT32_MAX)
		return -E2BIG;
	if (inflateInit2(&stream, GZIP_BITS) != Z_OK)
		return -ENOMEM;
	stream.next_in = (Bytef *)(uintptr_t)packed.base;
	stream.avail_in = (uInt)packed.size_bytes;
	do {
		status = inflate_step(&stream, max_bytes, out);
		if (status == Z_STREAM_END && stream.avail_in)
			status = inflateReset(&stream);
	} while (status == Z_OK);
	inflateEnd(&stream);
	return status == Z_STREAM_END ? 0 : status;
}

int gj_gzip_begin(struct gj_gzip *gzip, struct gj_buf *out)
{
	*gzip = (struct gj_gzip){ .out = out };
	return deflateInit2(&gzip->stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, GZIP_BITS, 8,
			    Z_DEFAULT_STRATEGY) == Z_OK ? 0 : -ENOMEM;
}

/* Without room for what comes out all is given up: out->failed. */
static int deflate_all(struct gj_gzip *gzip, int flush)
{
	int status;

	do {
		char *room = gj_buf_reserve(gzip->out, STEP_BYTES);

		if (!room)
			return -ENOMEM;
		gzip->stream.next_out = (Bytef *)room;
		gzip->stream.avail_out = STEP_BYTES;
		status = deflate(&gzip->stream, flush);
		gzip->out->size_bytes += STEP_BYTES - gzip->stream.avail_out;
	} while (status == Z_OK && !gzip->stream.avail_out);
	return 0;
}

void gj_gzip_add(struct gj_gzip *gzip, const void *bytes, size_t size_bytes)
{
	const Bytef *at = bytes;

	/* zlib counts in 32 bits. */
	while (size_bytes) {
		size_t step = size_bytes < (1U << 30) ? size_bytes : 1U << 30;

		gzip->stream.next_in = (Bytef *)(uintptr_t)at;
		gzip->stream.avail_in = (uInt)step;
		if (deflate_all(gzip, Z_NO_FLUSH))
			return;
		at += step;
		size_bytes -= step;
	}
}

int gj_gzip_end(struct gj_gzip *gzip)
{
	int err = deflate_all(gzip, Z_FINISH);

	deflateEnd(&gzip->stream);
	return gzip->out->failed ? -ENOMEM : err;
}
