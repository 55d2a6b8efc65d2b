/* SPDX-License-Identifier: GPL-2.0 */
/*
 * perf.data in, perf.data out, with whole call chains: what a session makes of
 * each sample takes the place of the recorded chain and of the stack dump, so
 * that programs that know nothing of Go show whole stacks (docs/inject.md).
 */
#ifndef GJ_INJECT_H
#define GJ_INJECT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/cursor.h"
#include "base/err.h"
#include "sample/sample.h"

struct gj_inject_stats {
	uint64_t sample_cnt;   /* of events with call chains */
	uint64_t chain_cnt;    /* that got a chain of the session's */
	uint64_t complete_cnt; /* of these, that end at a goroutine's or thread's root */
	uint64_t capped_cnt;   /* of these, that did not fit into a record, outermost frames left out */
};

struct gj_inject_options {
	const char *input, *output;
	const char *perf;   /* program to run; found on PATH */
	const char *plugin; /* gojitter.so */
	const char *symfs;  /* NULL: none */
	/* One line without newline: a complaint of the run that does not end it. */
	void (*say)(const char *line);
};

/*
 * gj_inject_run - the whole of it: perf script with the plugin over the input,
 * then the copy
 *
 * The output appears when it is whole; what was there under its name stays until
 * then. Returns 0 or a negative errno with @diag.
 */
int gj_inject_run(const struct gj_inject_options *options, struct gj_inject_stats *stats_out,
		  struct gj_diag *diag);

/* --- the parts, for src/inject and its tests --- */

/* The chains of a run with format=chains (session/session.h), by their samples. */
struct gj_chains;

/*
 * gj_chains_new - make the entries of @stream findable
 * @stream: borrowed until gj_chains_free
 *
 * Returns 0, -EBADMSG when it is not whole, -E2BIG beyond 2^32 chains, -ENOMEM.
 */
int gj_chains_new(struct gj_window stream, struct gj_chains **chains_out);
void gj_chains_free(struct gj_chains *chains); /* NULL allowed */

struct gj_chain_found {
	const uint8_t *vas; /* u64s, unaligned, innermost first */
	size_t cnt;
	bool is_complete;
};

/*
 * The chain of a sample; false when there is none. Where several samples cannot be
 * told apart each call gives the next one's, and the last one's ever after.
 */
bool gj_chains_find(struct gj_chains *chains, const struct gj_perf_layout *sample,
		    struct gj_chain_found *found_out);

/* Where a copy goes: 0 or a negative errno. Parts may come again, and out of order. */
struct gj_inject_sink {
	void *data;
	int (*put)(void *data, uint64_t off, const void *bytes, size_t size_bytes);
	/* Called now and then with bytes of the file that will not be looked at again; NULL allowed. */
	void (*passed)(void *data, struct gj_window bytes);
};

/* 0 for a file gj_inject_copy takes, else a negative errno with @diag: what it is, what to do. */
int gj_inject_check(struct gj_window file, struct gj_diag *diag);

/*
 * gj_inject_copy - write @file to @sink with @chains in it
 *
 * @diag is to go behind the file's name. Returns 0, -EBADMSG, -EOPNOTSUPP, -ENOMEM
 * or the sink's error.
 */
int gj_inject_copy(struct gj_window file, struct gj_chains *chains,
		   const struct gj_inject_sink *sink, struct gj_inject_stats *stats_out,
		   struct gj_diag *diag);

#endif
