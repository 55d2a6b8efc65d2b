/* SPDX-License-Identifier: GPL-2.0 */
/* Memory of src/pprof: pieces freed together, and byte strings numbered. */
#include "pprof/store.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK_BYTES (1 << 18)
#define MIN_SLOTS 1024 /* power of two */

struct gj_pchunk {
	struct gj_pchunk *next;
	size_t used_bytes, cap_bytes;
	_Alignas(16) uint8_t bytes[];
};

void *gj_parena_take(struct gj_parena *arena, size_t size_bytes)
{
	struct gj_pchunk *chunk = arena->chunks;
	size_t need = (size_bytes + 15) & ~(size_t)15;

	if (need < size_bytes ||
	    (arena->max_bytes && need > arena->max_bytes - arena->used_bytes))
		return NULL;
	if (!chunk || need > chunk->cap_bytes - chunk->used_bytes) {
		size_t cap = need > CHUNK_BYTES ? need : CHUNK_BYTES;

		chunk = malloc(sizeof(*chunk) + cap);
		if (!chunk)
			return NULL;
		*chunk = (struct gj_pchunk){ .next = arena->chunks, .cap_bytes = cap };
		arena->chunks = chunk;
	}
	chunk->used_bytes += need;
	arena->used_bytes += need;
	return chunk->bytes + chunk->used_bytes - need;
}

void *gj_parena_array(struct gj_parena *arena, size_t cnt, size_t each_bytes)
{
	void *array = cnt <= SIZE_MAX / 2 / each_bytes ?
			      gj_parena_take(arena, cnt * each_bytes) : NULL;

	if (array)
		memset(array, 0, cnt * each_bytes);
	return array;
}

void *gj_parena_copy(struct gj_parena *arena, const void *bytes, size_t size_bytes)
{
	void *copy = gj_parena_take(arena, size_bytes);

	if (copy && size_bytes)
		memcpy(copy, bytes, size_bytes);
	return copy;
}

void gj_parena_deinit(struct gj_parena *arena)
{
	while (arena->chunks) {
		struct gj_pchunk *next = arena->chunks->next;

		free(arena->chunks);
		arena->chunks = next;
	}
	arena->used_bytes = 0;
}

void *gj_parray_grow(void *array, size_t cnt, size_t *cap, size_t each_bytes)
{
	size_t bigger = *cap ? *cap * 2 : 64;
	void *grown = array;

	if (cnt < *cap)
		return array;
	grown = reallocarray(array, bigger, each_bytes);
	if (grown)
		*cap = bigger;
	return grown;
}

static uint64_t hash(const void *bytes, size_t size_bytes)
{
	const uint8_t *at = bytes;
	uint64_t mixed = size_bytes, word;

	for (; size_bytes >= sizeof(word); size_bytes -= sizeof(word), at += sizeof(word)) {
		memcpy(&word, at, sizeof(word));
		mixed = (mixed ^ word) * 0x9e3779b97f4a7c15ULL;
		mixed ^= mixed >> 29;
	}
	word = 0;
	if (size_bytes)
		memcpy(&word, at, size_bytes);
	mixed = (mixed ^ word) * 0x9e3779b97f4a7c15ULL;
	return mixed ^ mixed >> 32;
}

/* The slot of these bytes, or the free one where they belong. */
static uint32_t *find_slot(const struct gj_pnumbers *numbers, uint64_t wanted, const void *bytes,
			   size_t size_bytes)
{
	size_t slot = wanted & (numbers->slot_cnt - 1);

	for (; numbers->slots[slot]; slot = (slot + 1) & (numbers->slot_cnt - 1)) {
		const struct gj_pkey *key = &numbers->keys[numbers->slots[slot] - 1];

		if (key->hash == wanted && key->size_bytes == size_bytes &&
		    (!size_bytes || !memcmp(key->bytes, bytes, size_bytes)))
			break;
	}
	return &numbers->slots[slot];
}

static int grow_slots(struct gj_pnumbers *numbers)
{
	struct gj_pnumbers bigger = *numbers;

	if (numbers->key_cnt * 2 < numbers->slot_cnt)
		return 0;
	bigger.slot_cnt = numbers->slot_cnt ? numbers->slot_cnt * 2 : MIN_SLOTS;
	bigger.slots = calloc(bigger.slot_cnt, sizeof(*bigger.slots));
	if (!bigger.slots)
		return -ENOMEM;
	for (size_t i = 0; i < numbers->key_cnt; i++) {
		const struct gj_pkey *key = &numbers->keys[i];

		*find_slot(&bigger, key->hash, key->bytes, key->size_bytes) = (uint32_t)i + 1;
	}
	free(numbers->slots);
	*numbers = bigger;
	return 0;
}

static int add_key(struct gj_pnumbers *numbers, uint64_t wanted, const void *bytes,
		   size_t size_bytes)
{
	struct gj_pkey *keys;
	char *copy;

	if (numbers->key_cnt >= UINT32_MAX - 1)
		return -E2BIG;
	keys = gj_parray_grow(numbers->keys, numbers->key_cnt, &numbers->key_cap, sizeof(*keys));
	copy = keys ? gj_parena_take(numbers->arena, size_bytes + 1) : NULL;
	if (keys)
		numbers->keys = keys;
	if (!copy)
		return -ENOMEM;
	if (size_bytes)
		memcpy(copy, bytes, size_bytes);
	copy[size_bytes] = '\0';
	keys[numbers->key_cnt++] = (struct gj_pkey){ wanted, copy, size_bytes };
	return 0;
}

int gj_pnumbers_put(struct gj_pnumbers *numbers, const void *bytes, size_t size_bytes,
		    uint32_t *index_out, bool *is_new_out)
{
	uint64_t wanted = hash(bytes, size_bytes);
	int err = grow_slots(numbers);
	uint32_t *slot;

	if (err)
		return err;
	slot = find_slot(numbers, wanted, bytes, size_bytes);
	if (is_new_out)
		*is_new_out = !*slot;
	if (!*slot) {
		err = add_key(numbers, wanted, bytes, size_bytes);
		if (err)
			return err;
		*slot = (uint32_t)numbers->key_cnt;
	}
	*index_out = *slot - 1;
	return 0;
}

uint32_t gj_pnumbers_find(const struct gj_pnumbers *numbers, const void *bytes, size_t size_bytes)
{
	if (!numbers->slot_cnt)
		return UINT32_MAX;
	return *find_slot(numbers, hash(bytes, size_bytes), bytes, size_bytes) - 1;
}

void gj_pnumbers_deinit(struct gj_pnumbers *numbers)
{
	free(numbers->keys);
	free(numbers->slots);
	*numbers = (struct gj_pnumbers){ 0 };
}
