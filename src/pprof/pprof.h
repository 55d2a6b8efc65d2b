/* SPDX-License-Identifier: GPL-2.0 */
/*
 * pprof profiles: read, built, written, compared.
 *
 * Source of the format: proto/profile.proto of github.com/google/pprof; what Go
 * writes: Go src/runtime/pprof/proto.go, src/runtime/pprof/protomem.go. Any kind
 * of profile is read (cpu, heap, goroutine, block, mutex, threadcreate); which
 * one it is stands in its sample types.
 */
#ifndef GJ_PPROF_H
#define GJ_PPROF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/cursor.h"
#include "base/err.h"
#include "perf/perf.h"

#define GJ_PROFILE_NONE UINT32_MAX /* an index that stands for nothing */

/* What a value counts, and in what unit: {"cpu", "nanoseconds"}. */
struct gj_profile_type {
	const char *type, *unit;
};

/* One mapped file. Texts are "" where nothing is known, here and below. */
struct gj_profile_mapping {
	uint64_t start_va, limit_va, file_off;
	const char *filename, *build_id; /* the build id in hexadecimal */
	bool has_functions, has_filenames, has_lines, has_inlines;
};

struct gj_profile_function {
	const char *name, *system_name, *filename;
	int64_t start_line; /* of the func keyword; 0: unknown */
};

struct gj_profile_line {
	uint32_t function; /* index, or GJ_PROFILE_NONE */
	int64_t line;      /* 0: unknown */
};

/* One address with its frames: innermost (inlined) first, the function itself last. */
struct gj_profile_location {
	uint64_t address_va; /* a caller's lies inside the call or right behind it */
	uint32_t mapping; /* index, or GJ_PROFILE_NONE */
	uint32_t line_cnt;
	const struct gj_profile_line *lines;
};

struct gj_profile_label {
	const char *key;
	const char *str;  /* NULL: the label is a number; never "", which the format cannot hold */
	int64_t num;
	const char *unit; /* of num */
};

/* A stack, leaf first, and what it weighs: one value per sample type. */
struct gj_profile_sample {
	const uint32_t *locations; /* indexes */
	const int64_t *values;
	const struct gj_profile_label *labels;
	uint32_t location_cnt, label_cnt;
};

/* A profile; all of it lives and dies with whoever made it. Constant once made. */
struct gj_profile {
	const struct gj_profile_type *types;
	const struct gj_profile_sample *samples;
	const struct gj_profile_mapping *mappings; /* the first is the program itself */
	const struct gj_profile_location *locations;
	const struct gj_profile_function *functions;
	const char *const *comments;
	size_t type_cnt, sample_cnt, mapping_cnt, location_cnt, function_cnt, comment_cnt;
	const char *drop_frames, *keep_frames, *default_type;
	int64_t time_ns;     /* since 1970; 0: unknown */
	int64_t duration_ns; /* 0: unknown */
	struct gj_profile_type period_type;
	int64_t period; /* of period_type, between two samples */
};

/* A profile that was read, and the memory it takes. */
struct gj_profile_file;

/*
 * gj_profile_open - read a profile, compressed by gzip or not
 * @path: a file; any size up to GJ_MAX_PPROF_BYTES uncompressed
 *
 * Indexes, ids and counts are all checked: what a profile names is there. Fields
 * unknown to us are passed over. Returns 0; -ENOENT and its like; -EBADMSG when
 * the bytes are no profile or contradict themselves; -E2BIG; -ENOMEM.
 */
int gj_profile_open(const char *path, struct gj_profile_file **file_out, struct gj_diag *diag);
/* The same from memory; @what names it in @diag. @bytes may go afterwards. */
int gj_profile_read(struct gj_window bytes, const char *what, struct gj_profile_file **file_out,
		    struct gj_diag *diag);
void gj_profile_close(struct gj_profile_file *file); /* NULL allowed */
const struct gj_profile *gj_profile_of(const struct gj_profile_file *file);

/*
 * gj_profile_write - append @profile to @out as `go tool pprof` reads it
 *
 * Compressed by gzip, without the time of writing: the same profile gives the same
 * bytes. 0 or -ENOMEM.
 */
int gj_profile_write(const struct gj_profile *profile, struct gj_buf *out);

/*
 * A profile being made. Equal functions, mappings, locations and stacks become one;
 * all texts are copied. Additions return 0, -ENOMEM, or -E2BIG at a limit of ours.
 */
struct gj_profile_builder;

struct gj_profile_builder *gj_profile_builder_new(size_t type_cnt); /* NULL: out of memory */
void gj_profile_builder_free(struct gj_profile_builder *builder);   /* NULL allowed */

/* Told apart by all but flags and the range, which @mapping_out's owner may widen. */
int gj_profile_add_mapping(struct gj_profile_builder *builder,
			   const struct gj_profile_mapping *mapping, uint32_t *index_out);
/* The mapping, to be changed until the profile is finished; valid until the next addition. */
struct gj_profile_mapping *gj_profile_mapping_at(struct gj_profile_builder *builder,
						 uint32_t index);
int gj_profile_add_function(struct gj_profile_builder *builder,
			    const struct gj_profile_function *function, uint32_t *index_out);
/* Told apart by all it holds. */
int gj_profile_add_location(struct gj_profile_builder *builder,
			    const struct gj_profile_location *location, uint32_t *index_out);
/* @sample->values are added to those of the same stack with the same labels. */
int gj_profile_add_sample(struct gj_profile_builder *builder,
			  const struct gj_profile_sample *sample);
/* Fills arrays and counts of @profile_out, which live as long as @builder and until it is added to. */
void gj_profile_builder_view(const struct gj_profile_builder *builder,
			     struct gj_profile *profile_out);

/* How far two stacks are the same, seen from the root. */
enum gj_match {
	GJ_MATCH_EXACT,    /* every frame: function and line */
	GJ_MATCH_LEAF,     /* all but the line in the innermost function */
	GJ_MATCH_USER,     /* to the last frame of user code; the runtime's own below it differ */
	GJ_MATCH_PREFIX,   /* only from the root to a certain depth */
	GJ_MATCH_NONE,     /* not even the root */
	GJ_MATCH_CNT,
};

/* One stack of a comparison; equal stacks are one, whatever their labels. */
struct gj_aligned {
	uint32_t sample;       /* index of one of its samples */
	int64_t weight;
	int64_t sample_cnt;    /* as the profile counts them, or as it has them */
	int64_t beyond;        /* other side only: of it, with frames beyond Go's (kernel, vdso, C) */
	int64_t other_weight;  /* of the stacks it was matched with, on the other side */
	int64_t other_beyond;
	uint32_t frame_cnt;    /* Go's, root to leaf, as compared */
	uint32_t depth;        /* of them the same on the other side */
	uint32_t partner;      /* index in the other side's list, or GJ_PROFILE_NONE */
	enum gj_match match;
	bool is_user;          /* has a frame of user code */
	const char *why;       /* why it has no exact partner; NULL when it has one; static text */
	const uint32_t *frames; /* root first; names of comparison */
};

struct gj_comparison;

/*
 * gj_compare - match the stacks of two profiles of one program and window
 * @ours: the profile asked about (of runtime/pprof)
 * @theirs: the one that should hold its stacks too (of perf)
 *
 * Both are borrowed until gj_comparison_free. 0, -EINVAL with @diag, -ENOMEM.
 */
int gj_compare(const struct gj_profile *ours, const struct gj_profile *theirs,
	       struct gj_comparison **comparison_out, struct gj_diag *diag);
void gj_comparison_free(struct gj_comparison *comparison); /* NULL allowed */

enum gj_side { GJ_SIDE_OURS, GJ_SIDE_THEIRS };

/* The stacks of one side, heaviest first. */
const struct gj_aligned *gj_comparison_stacks(const struct gj_comparison *comparison,
					      enum gj_side side, size_t *cnt_out);

/* Weights of one side. */
struct gj_compared {
	int64_t total, user;              /* of all stacks, of those with user code */
	int64_t once;                     /* of user, in stacks that were hit once */
	int64_t user_match[GJ_MATCH_CNT]; /* of user, by how it was matched */
	int64_t match[GJ_MATCH_CNT];      /* of total */
	int64_t beyond, beyond_matched;   /* with frames beyond Go's; of it, extending a stack of the other side */
	struct gj_profile_type type;      /* of the weights */
};
const struct gj_compared *gj_comparison_sums(const struct gj_comparison *comparison,
					     enum gj_side side);

/* A table for people, with at most @top stacks in each list. */
void gj_comparison_text(const struct gj_comparison *comparison, size_t top, struct gj_buf *out);
/* One JSON object with every stack. */
void gj_comparison_json(const struct gj_comparison *comparison, struct gj_buf *out);

/*
 * gj_profile_from_perf - run perf script over a recording
 * @script: what to run; plugin_args besides format and output
 * @out: gets the profile as format=pprof writes it
 *
 * 0; what gj_perf_script_run returns, or -ENODATA: perf left no profile, with @diag.
 */
int gj_profile_from_perf(const struct gj_perf_script *script, struct gj_buf *out,
			 struct gj_diag *diag);

#endif
