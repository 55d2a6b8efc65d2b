/* SPDX-License-Identifier: GPL-2.0 */
/* Pieces of memory that are freed together: few large allocations for many small. */
#include "base/arena.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK_BYTES (1 << 18)

struct gj_chunk {
	struct gj_chunk *next;
	size_t used_bytes, cap_bytes;
	_Alignas(16) uint8_t bytes[];
};

void *gj_arena_take(struct gj_arena *arena, size_t size_bytes)
{
	struct gj_chunk *chunk = arena->chunks;
	size_t need = (size_bytes + 15) & ~(size_t)15;

	if (need < size_bytes ||
	    (arena->max_bytes && need > arena->max_bytes - arena->used_bytes))
		return NULL;
	if (!chunk || need > chunk->cap_bytes - chunk->used_bytes) {
		size_t cap = need > CHUNK_BYTES ? need : CHUNK_BYTES;

		chunk = malloc(sizeof(*chunk) + cap);
		if (!chunk)
			return NULL;
		*chunk = (struct gj_chunk){ .next = arena->chunks, .cap_bytes = cap };
		arena->chunks = chunk;
	}
	chunk->used_bytes += need;
	arena->used_bytes += need;
	return chunk->bytes + chunk->used_bytes - need;
}

void *gj_arena_array(struct gj_arena *arena, size_t cnt, size_t each_bytes)
{
	void *array = cnt <= SIZE_MAX / 2 / each_bytes ?
			      gj_arena_take(arena, cnt * each_bytes) : NULL;

	if (array)
		memset(array, 0, cnt * each_bytes);
	return array;
}

void *gj_arena_copy(struct gj_arena *arena, const void *bytes, size_t size_bytes)
{
	void *copy = gj_arena_take(arena, size_bytes);

	if (copy && size_bytes)
		memcpy(copy, bytes, size_bytes);
	return copy;
}

void gj_arena_deinit(struct gj_arena *arena)
{
	while (arena->chunks) {
		struct gj_chunk *next = arena->chunks->next;

		free(arena->chunks);
		arena->chunks = next;
	}
	arena->used_bytes = 0;
}
