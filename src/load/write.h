/* SPDX-License-Identifier: GPL-2.0 */
/* What the files that write BPF objects share (src/load/write_*.c). */
#ifndef GJ_LOAD_WRITE_H
#define GJ_LOAD_WRITE_H

#include "base/buf.h"
#include "base/limits.h"
#include "elf/elf.h"
#include "load/instance.h"

/* -EOPNOTSUPP with @diag when this kernel lacks what the object's programs attach to. */
int gj_write_check_kernel(const struct gj_load_image *image, struct gj_diag *diag);

/*
 * gj_write_link - several BPF objects made one
 * @linked_out: owned by the caller in any case
 *
 * Maps, data and gj_begin of one name are one. Returns 0 or a negative errno with @diag.
 */
int gj_write_link(const struct gj_load_image *const *images, size_t image_cnt,
		  struct gj_buf *linked_out, struct gj_diag *diag);

/*
 * gj_write_btf_ext - .BTF.ext for an object that is written with @edit
 * @btf: gets the names of new sections
 * @out: owned by the caller in any case
 *
 * 0, -EBADMSG, -ENOMEM.
 */
int gj_write_btf_ext(struct btf *btf, const struct gj_object *object,
		     const struct gj_object_edit *edit, struct gj_buf *out);

/* Programs at places. */
struct gj_write_places {
	struct gj_object_copy copies[GJ_MAX_OBJECT_PLACES]; /* section, name: owned */
	size_t cnt;
};

/*
 * gj_write_places_add - all places of one feature in one program
 * @path: of the program, where it is attached
 *
 * 0; -ENOENT when the program has no symbols; -E2BIG; -ENOMEM.
 */
int gj_write_places_add(struct gj_write_places *places, const struct gj_anchors *anchors,
			const char *path, const struct gj_feature_plan *plan);
/* @function, in a section of its own called @section. 0, -E2BIG, -ENOMEM. */
int gj_write_places_add_section(struct gj_write_places *places, const char *function,
				const char *section);
void gj_write_places_deinit(struct gj_write_places *places);

#endif
