/* SPDX-License-Identifier: GPL-2.0 */
/* gojitter sym from inside: what its files share. */
#ifndef GJ_CMD_SYM_H
#define GJ_CMD_SYM_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "demangle/demangle.h"
#include "elf/elf.h"

#define SYM_MAX_PATHS 64

struct sym_options {
	const char *path; /* the last one */
	const char *paths[SYM_MAX_PATHS];
	unsigned int path_cnt;
	bool addresses, functions, inlines, pretty, json, basenames;
	bool list, info;
	bool build_id, raw;     /* of --build-id only, as these */
	unsigned int raw_depth; /* frames of an array; 0: all are one */
	uint32_t pid;           /* whose addresses they are; 0: not known */
	unsigned int name_flags;
};

/* One open binary. Threads that answer share it. */
struct sym {
	struct sym_options opt;
	struct gj_image *image;
	struct gj_gotab *gotab; /* NULL: no Go program; only with --build-id */
	pthread_mutex_t symbols_lock;
	struct gj_symbol_index *symbols; /* for C code; made when first needed, under the lock */
};

/* A name or a file as it is printed, with a NUL behind it, in query.strings. */
struct sym_string {
	uint32_t off;
	uint32_t size_bytes;
};

/* A string of the tables and what became of it. */
struct sym_known {
	const char *string; /* NULL: none */
	struct sym_string printed;
};

#define SYM_KNOWN_BITS 6 /* so many strings are remembered: 2^6 */

/* One frame, ready to be printed. */
struct sym_frame {
	struct sym_string name, file; /* off 0: unknown */
	int32_t line, start_line;
	bool inlined;
};

/* The answer for one address: its frames in query.frames. */
struct sym_answer {
	uint32_t first;
	uint32_t cnt;
};

/* A list of addresses and their answers; one thread's. Zeroed storage is empty. */
struct sym_query {
	struct gj_gobatch *batch;
	uint64_t *vas;
	bool *is_address; /* false: the line was something else */
	struct sym_answer *answers;
	size_t cnt, cap;
	struct gj_buf frames; /* of struct sym_frame; each answer once however often it is wanted */
	struct gj_buf strings;
	struct sym_known known[1 << SYM_KNOWN_BITS];
	struct gj_buf out; /* on its way to standard output */
};

void sym_query_deinit(struct sym_query *query);
/* Room for @cnt entries; 0 or -ENOMEM. */
int sym_query_reserve(struct sym_query *query, size_t cnt);
/* Finds the answers for query->vas. 0, -ENOMEM, -E2BIG. */
int sym_query_answer(struct sym_query *query, struct sym *sym);
/* Prints them on standard output in the order of the addresses. 0 or -ENOMEM. */
int sym_query_print(struct sym_query *query, const struct sym_options *opt);

/* FILE:LINE and a newline. */
void sym_add_line(const struct sym_options *opt, const char *file, int32_t line,
		  struct gj_buf *out);

/* Hexadecimal with or without 0x; false when @text is anything else or does not fit. */
bool sym_parse_address(const char *text, uint64_t *va_out);

/* Binaries by their build ids. */
struct sym_finder;

/* A link-time address in one of them. */
struct sym_place {
	struct sym *sym; /* the finder's */
	uint64_t va;
};

/* 0 or a negative errno with @diag: a file of -e that is none, a process that is not there. */
int sym_finder_new(const struct sym_options *opt, struct sym_finder **finder_out,
		   struct gj_diag *diag);
void sym_finder_free(struct sym_finder *finder); /* NULL allowed */
/* File offset @off of the binary with that id. 0, -ENOENT, -ENOMEM. */
int sym_finder_find(struct sym_finder *finder, const char *id, uint64_t off,
		    struct sym_place *place_out);
/* The same of an address in the process of opt->pid. */
int sym_finder_find_address(struct sym_finder *finder, uint64_t ip, struct sym_place *place_out);
/*
 * Prints what is at @place, NULL: that nothing is known.
 * @is_return: the call stands before that address
 * 0 or -ENOMEM.
 */
int sym_finder_print(struct sym_finder *finder, const struct sym_options *opt,
		     const struct sym_place *place, bool is_return);

/* Answers the frames of standard input. Returns the exit status. */
int sym_print_build_ids(const struct sym_options *opt);

/* Answers the lines of standard input. Returns the exit status. */
int sym_print_input(struct sym *sym);

#endif
