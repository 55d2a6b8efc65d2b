/* SPDX-License-Identifier: GPL-2.0 */
/* Pieces of memory that are freed together. */
#ifndef GJ_BASE_ARENA_H
#define GJ_BASE_ARENA_H

#include <stddef.h>

struct gj_chunk;

/* Plain storage of the caller's, all zero at first. */
struct gj_arena {
	struct gj_chunk *chunks;
	size_t used_bytes;
	size_t max_bytes; /* 0: no limit */
};

/* @size_bytes at a multiple of 16, or NULL: out of memory, or beyond the limit. */
void *gj_arena_take(struct gj_arena *arena, size_t size_bytes);
/* @cnt zeroed elements. */
void *gj_arena_array(struct gj_arena *arena, size_t cnt, size_t each_bytes);
void *gj_arena_copy(struct gj_arena *arena, const void *bytes, size_t size_bytes);
void gj_arena_deinit(struct gj_arena *arena);

#endif
