/* SPDX-License-Identifier: GPL-2.0 */
/* Open addressing with linear probing, at most half full. */
#include "goroutine/table.h"

#include <stdlib.h>
#include <string.h>

#define MIN_SLOTS 256

void gj_table_init(struct gj_table *table, size_t entry_bytes)
{
	*table = (struct gj_table){ .entry_bytes = entry_bytes };
}

void gj_table_deinit(struct gj_table *table)
{
	free(table->entries);
	table->entries = NULL;
}

/* The slot that holds @key, or the free one where it belongs. */
static uint8_t *slot_of(const struct gj_table *table, uint64_t key)
{
	size_t slot = (size_t)((key * 0x9e3779b97f4a7c15ULL) >> 20) & (table->slot_cnt - 1);

	for (;;) {
		uint8_t *entry = table->entries + slot * table->entry_bytes;
		uint64_t have;

		memcpy(&have, entry, sizeof(have));
		if (have == key || have == 0)
			return entry;
		slot = (slot + 1) & (table->slot_cnt - 1);
	}
}

void *gj_table_find(const struct gj_table *table, uint64_t key)
{
	uint8_t *entry;
	uint64_t have;

	if (!key || !table->slot_cnt)
		return NULL;
	entry = slot_of(table, key);
	memcpy(&have, entry, sizeof(have));
	return have == key ? entry : NULL;
}

static int grow(struct gj_table *table)
{
	struct gj_table bigger = *table;

	bigger.slot_cnt = table->slot_cnt ? table->slot_cnt * 2 : MIN_SLOTS;
	bigger.entries = calloc(bigger.slot_cnt, table->entry_bytes);
	if (!bigger.entries)
		return -1;
	for (size_t i = 0; i < table->slot_cnt; i++) {
		const uint8_t *entry = table->entries + i * table->entry_bytes;
		uint64_t key;

		memcpy(&key, entry, sizeof(key));
		if (key)
			memcpy(slot_of(&bigger, key), entry, table->entry_bytes);
	}
	free(table->entries);
	*table = bigger;
	return 0;
}

void *gj_table_add(struct gj_table *table, uint64_t key)
{
	uint8_t *entry = gj_table_find(table, key);

	if (entry || !key)
		return entry;
	if (table->used_cnt * 2 >= table->slot_cnt && grow(table))
		return NULL;
	entry = slot_of(table, key);
	memcpy(entry, &key, sizeof(key));
	table->used_cnt++;
	return entry;
}
