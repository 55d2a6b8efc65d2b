/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Records of perf record -z: one zstd stream, cut into PERF_RECORD_COMPRESSED (81:
 * header, bytes) or, since Linux 6.16, PERF_RECORD_COMPRESSED2 (83: header, u64 size,
 * bytes, filled up to 8); what it holds are records, one behind the other, across
 * the cuts (tools/perf/util/tool.c, perf_session__process_compressed_event).
 *
 * libzstd is looked for when it is needed: whoever has a perf that writes such
 * files has it. Its interface is fixed by its soname.
 */
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>

#include "inject/copy.h"

#define RECORD_COMPRESSED2 83
#define CHUNK_BYTES (1U << 17) /* ZSTD_DStreamOutSize() */

/* zstd.h, ZSTD_inBuffer and ZSTD_outBuffer. */
struct in_buffer {
	const void *bytes;
	size_t size_bytes, pos;
};

struct out_buffer {
	void *bytes;
	size_t size_bytes, pos;
};

struct gj_inflater {
	void *library;
	void *stream;
	size_t (*free_stream)(void *stream);
	size_t (*decompress)(void *stream, struct out_buffer *out, struct in_buffer *in);
	unsigned int (*is_error)(size_t code);
	struct in_buffer in; /* of the record at hand */
};

int gj_inflater_new(struct gj_inflater **inflater_out)
{
	struct gj_inflater *inflater = calloc(1, sizeof(*inflater));
	void *(*create)(void);

	if (!inflater)
		return -ENOMEM;
	inflater->library = dlopen("libzstd.so.1", RTLD_NOW | RTLD_LOCAL);
	if (!inflater->library) {
		free(inflater);
		return -ENOENT;
	}
	create = (void *(*)(void))dlsym(inflater->library, "ZSTD_createDStream");
	inflater->free_stream = (size_t (*)(void *))dlsym(inflater->library, "ZSTD_freeDStream");
	inflater->decompress = (size_t (*)(void *, struct out_buffer *, struct in_buffer *))
		dlsym(inflater->library, "ZSTD_decompressStream");
	inflater->is_error = (unsigned int (*)(size_t))dlsym(inflater->library, "ZSTD_isError");
	if (create && inflater->free_stream && inflater->decompress && inflater->is_error)
		inflater->stream = create();
	if (!inflater->stream) {
		gj_inflater_free(inflater);
		return -ENOENT;
	}
	*inflater_out = inflater;
	return 0;
}

void gj_inflater_free(struct gj_inflater *inflater)
{
	if (!inflater)
		return;
	if (inflater->stream)
		inflater->free_stream(inflater->stream);
	dlclose(inflater->library);
	free(inflater);
}

int gj_inflater_feed(struct gj_inflater *inflater, const struct gj_perf_record *record)
{
	struct gj_window bytes = record->body;
	uint64_t size_bytes;

	if (record->type == RECORD_COMPRESSED2) {
		if (!gj_window_u64(bytes, 0, &size_bytes) || !gj_window_holds(bytes, 8, size_bytes))
			return -EBADMSG;
		bytes = gj_window_slice(bytes, 8, size_bytes);
	}
	inflater->in = (struct in_buffer){ bytes.base, bytes.size_bytes, 0 };
	return 0;
}

/* A chunk that is full may have more behind it, though all input is taken. */
int gj_inflater_next(struct gj_inflater *inflater, struct gj_buf *to, bool *is_more_out)
{
	struct out_buffer out = { gj_buf_reserve(to, CHUNK_BYTES), CHUNK_BYTES, 0 };
	size_t before = inflater->in.pos;

	if (!out.bytes)
		return -ENOMEM;
	if (inflater->is_error(inflater->decompress(inflater->stream, &out, &inflater->in)))
		return -EBADMSG;
	to->size_bytes += out.pos;
	*is_more_out = out.pos == out.size_bytes || inflater->in.pos < inflater->in.size_bytes;
	/* Nothing taken and nothing given: so it would stay. */
	return *is_more_out && !out.pos && inflater->in.pos == before ? -EBADMSG : 0;
}
