/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Strings to numbers: which string has been written where. Keys are borrowed
 * and must outlive the map; clearing one costs nothing.
 */
#ifndef GJ_DEBUGINFO_STRMAP_H
#define GJ_DEBUGINFO_STRMAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct gj_strmap_slot;

struct gj_strmap {
	struct gj_strmap_slot *slots; /* owned */
	size_t cap, cnt;
	uint32_t generation; /* slots of another one are free */
};

void gj_strmap_deinit(struct gj_strmap *map);
void gj_strmap_clear(struct gj_strmap *map);

/*
 * Where the number of a key stands; *is_new_out says that the key was added
 * just now and the number is 0. The pointer lives until the next call. NULL
 * when memory is out.
 */
uint32_t *gj_strmap_find(struct gj_strmap *map, const char *key, size_t key_bytes,
			 bool *is_new_out);

#endif
