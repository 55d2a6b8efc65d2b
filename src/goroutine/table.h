/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A growing hash table from a number to a fixed-size record; for the history
 * only. Entries are never removed. A key of 0 is no key.
 */
#ifndef GJ_GOROUTINE_TABLE_H
#define GJ_GOROUTINE_TABLE_H

#include <stddef.h>
#include <stdint.h>

struct gj_table {
	uint8_t *entries; /* slot_cnt records of entry_bytes, each beginning with its u64 key */
	size_t entry_bytes, slot_cnt, used_cnt;
};

void gj_table_init(struct gj_table *table, size_t entry_bytes);
void gj_table_deinit(struct gj_table *table);
/* The record of @key or NULL. */
void *gj_table_find(const struct gj_table *table, uint64_t key);
/* The record of @key, zeroed but for the key when new; NULL: out of memory. Moves records. */
void *gj_table_add(struct gj_table *table, uint64_t key);

#endif
