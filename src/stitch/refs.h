/* SPDX-License-Identifier: GPL-2.0 */
/* What in an image may lead to a function; of src/stitch only. */
#ifndef GJ_STITCH_REFS_H
#define GJ_STITCH_REFS_H

#include <stdbool.h>
#include <stdint.h>

#include "demangle/demangle.h"

struct gj_refs;

/*
 * Reads the whole image once. Both outlive it. 0, -ENOMEM, -EOPNOTSUPP for an
 * image whose functions may be called from outside of it.
 */
int gj_refs_new(const struct gj_image *image, const struct gj_gotab *gotab,
		struct gj_refs **refs_out);
void gj_refs_free(struct gj_refs *refs); /* NULL allowed */
/* True when data may hold the address of function number @func_index. */
bool gj_refs_is_taken(const struct gj_refs *refs, uint32_t func_index);
/* Places in code that may lead to it. */
uint32_t gj_refs_count(const struct gj_refs *refs, uint32_t func_index);
/* One of them, in ascending order: the end of an instruction, if it is one. */
uint64_t gj_refs_site(const struct gj_refs *refs, uint32_t func_index, uint32_t number);

#endif
