/* SPDX-License-Identifier: GPL-2.0 */
/* Byte strings numbered, and arrays that grow. */
#include "pprof/store.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define MIN_SLOTS 1024 /* power of two */

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
	copy = keys ? gj_arena_take(numbers->arena, size_bytes + 1) : NULL;
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
