/* SPDX-License-Identifier: GPL-2.0 */
/* An open-addressing hash table over FNV-1a; at most half full. */
#include "debuginfo/strmap.h"

#include <stdlib.h>
#include <string.h>

#define MIN_CAP 64

struct gj_strmap_slot {
	const char *key; /* borrowed */
	size_t key_bytes;
	uint32_t hash;
	uint32_t generation;
	uint32_t value;
};

void gj_strmap_deinit(struct gj_strmap *map)
{
	free(map->slots);
	*map = (struct gj_strmap){ 0 };
}

void gj_strmap_clear(struct gj_strmap *map)
{
	map->generation++;
	map->cnt = 0;
}

static uint32_t hash_bytes(const char *key, size_t key_bytes)
{
	uint32_t hash = 2166136261u;

	for (size_t i = 0; i < key_bytes; i++)
		hash = (hash ^ (unsigned char)key[i]) * 16777619u;
	return hash;
}

static bool is_used(const struct gj_strmap *map, const struct gj_strmap_slot *slot)
{
	return slot->key && slot->generation == map->generation;
}

/* The slot of a key, or the free one where it belongs. */
static struct gj_strmap_slot *probe(const struct gj_strmap *map, uint32_t hash, const char *key,
				    size_t key_bytes)
{
	size_t at = hash & (map->cap - 1);

	for (;; at = (at + 1) & (map->cap - 1)) {
		struct gj_strmap_slot *slot = &map->slots[at];

		if (!is_used(map, slot) ||
		    (slot->hash == hash && slot->key_bytes == key_bytes &&
		     (slot->key == key || !memcmp(slot->key, key, key_bytes))))
			return slot;
	}
}

static bool grow(struct gj_strmap *map)
{
	struct gj_strmap bigger = { .cap = map->cap ? 2 * map->cap : MIN_CAP };

	bigger.slots = calloc(bigger.cap, sizeof(*bigger.slots));
	if (!bigger.slots)
		return false;
	bigger.generation = map->generation;
	bigger.cnt = map->cnt;
	for (size_t i = 0; i < map->cap; i++) {
		const struct gj_strmap_slot *slot = &map->slots[i];

		if (is_used(map, slot))
			*probe(&bigger, slot->hash, slot->key, slot->key_bytes) = *slot;
	}
	free(map->slots);
	*map = bigger;
	return true;
}

uint32_t *gj_strmap_find(struct gj_strmap *map, const char *key, size_t key_bytes,
			 bool *is_new_out)
{
	uint32_t hash = hash_bytes(key, key_bytes);
	struct gj_strmap_slot *slot;

	if (map->cnt >= map->cap / 2 && !grow(map))
		return NULL;
	slot = probe(map, hash, key, key_bytes);
	*is_new_out = !is_used(map, slot);
	if (*is_new_out) {
		*slot = (struct gj_strmap_slot){ key, key_bytes, hash, map->generation, 0 };
		map->cnt++;
	}
	return &slot->value;
}
