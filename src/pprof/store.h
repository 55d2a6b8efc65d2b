/* SPDX-License-Identifier: GPL-2.0 */
/* Memory of src/pprof: byte strings numbered, and arrays that grow. */
#ifndef GJ_PPROF_STORE_H
#define GJ_PPROF_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"

/* One numbered byte string; a NUL byte stands behind it. */
struct gj_pkey {
	uint64_t hash;
	const char *bytes;
	size_t size_bytes;
};

/* Byte strings numbered in the order they came; all zero at first. */
struct gj_pnumbers {
	struct gj_arena *arena; /* where their bytes go */
	struct gj_pkey *keys;    /* owned */
	uint32_t *slots;         /* owned: index + 1, open addressing, at most half full */
	size_t key_cnt, key_cap, slot_cnt;
};

/* 0, -ENOMEM, -E2BIG. @is_new_out: NULL allowed. */
int gj_pnumbers_put(struct gj_pnumbers *numbers, const void *bytes, size_t size_bytes,
		    uint32_t *index_out, bool *is_new_out);
/* The number of a string, or UINT32_MAX where it has none. */
uint32_t gj_pnumbers_find(const struct gj_pnumbers *numbers, const void *bytes, size_t size_bytes);
void gj_pnumbers_deinit(struct gj_pnumbers *numbers);

/*
 * Room for element @cnt of a growing array of @each_bytes; the array, or NULL when
 * memory is out (then the old one stays).
 */
void *gj_parray_grow(void *array, size_t cnt, size_t *cap, size_t each_bytes);

#endif
