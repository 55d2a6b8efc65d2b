/* SPDX-License-Identifier: GPL-2.0 */
/* A copy under way; shared by copy.c and sample.c only. */
#ifndef GJ_INJECT_COPY_H
#define GJ_INJECT_COPY_H

#include "base/buf.h"
#include "inject/inject.h"

struct gj_inject_copier {
	struct gj_window file;
	struct gj_chains *chains;
	const struct gj_inject_sink *sink;
	struct gj_inject_stats *stats;
	struct gj_diag *diag;
	struct gj_perf_attrs *attrs;
	uint64_t data_off, data_end_off; /* of the records in the file */
	uint64_t grown_bytes;            /* by so much, modulo 2^64, all behind them moves */
	struct gj_inflater *inflater; /* NULL until it is needed */
	struct gj_buf inflated;       /* records, the last one perhaps in part */
	struct gj_buf out;
	uint64_t out_off; /* where out goes */
};

/* What perf record -z has compressed. */
struct gj_inflater;

/* 0, -ENOENT without libzstd, -ENOMEM. */
int gj_inflater_new(struct gj_inflater **inflater_out);
void gj_inflater_free(struct gj_inflater *inflater); /* NULL allowed */
/* The next record of compressed bytes, to live until all of it is out. 0 or -EBADMSG. */
int gj_inflater_feed(struct gj_inflater *inflater, const struct gj_perf_record *record);
/* Appends a part of what it holds to @to. 0, -EBADMSG, -ENOMEM. */
int gj_inflater_next(struct gj_inflater *inflater, struct gj_buf *to, bool *is_more_out);

/* Appends to the copy. 0, -ENOMEM or the sink's error. */
int gj_inject_put(struct gj_inject_copier *copier, struct gj_window bytes);
/* Appends a PERF_RECORD_SAMPLE with its new chain. The same, or -EBADMSG with the diag. */
int gj_inject_sample(struct gj_inject_copier *copier, const struct gj_perf_record *record);

#endif
