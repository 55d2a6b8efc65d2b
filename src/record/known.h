/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Which programs the sampler has been told of: the maps of bpf/goruntime.bpf.h,
 * filled by user space. Shared by the files of src/record only; needs libbpf.
 */
#ifndef GJ_RECORD_KNOWN_H
#define GJ_RECORD_KNOWN_H

#include "record/record.h"

struct gj_known;

/* The maps gj_programs, gj_processes and gj_unknown; borrowed. NULL: out of memory. */
struct gj_known *gj_known_new(int programs_fd, int processes_fd, int unknown_fd);
void gj_known_free(struct gj_known *known); /* NULL allowed */

/* As gj_sampler_add_file and its like. */
int gj_known_add_file(struct gj_known *known, const char *path, struct gj_diag *diag);
int gj_known_add_process(struct gj_known *known, uint32_t pid, struct gj_diag *diag);
int gj_known_add_live(struct gj_known *known, uint32_t pid, const struct gj_live *live);

/* Looks at the programs that samples have met. @say: one that cannot be read. */
void gj_known_answer(struct gj_known *known, void (*say)(const char *line));

#endif
