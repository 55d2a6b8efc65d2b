/* SPDX-License-Identifier: GPL-2.0 */
/* A comparison's parts, shared by the matching and the printing. */
#ifndef GJ_PPROF_COMPARE_H
#define GJ_PPROF_COMPARE_H

#include "pprof/pprof.h"
#include "pprof/store.h"

/* One function and line; numbered in gj_comparison.frames by these bytes. */
struct gj_pframe {
	uint32_t name; /* number in gj_comparison.names */
	uint32_t is_user;
	int64_t line;
};

struct gj_cside {
	const struct gj_profile *profile;
	size_t value; /* index of the values compared */
	size_t count; /* of samples/count; type_cnt: the profile has none */
	struct gj_aligned *stacks; /* owned */
	size_t stack_cnt, stack_cap;
	struct gj_pnumbers keys;   /* of stacks, by their frames */
	struct gj_compared sums;
};

struct gj_comparison {
	struct gj_arena arena;
	struct gj_pnumbers names;  /* functions, as people read them */
	struct gj_pnumbers frames; /* struct gj_pframe */
	struct gj_cside sides[2];  /* by enum gj_side */
};

static inline const struct gj_pframe *gj_comparison_frame(const struct gj_comparison *comparison,
							  uint32_t frame)
{
	return (const struct gj_pframe *)(const void *)comparison->frames.keys[frame].bytes;
}

/* Fills the stacks of @side from its profile. 0 or -ENOMEM. */
int gj_comparison_flatten(struct gj_comparison *comparison, enum gj_side side);

#endif
