/* SPDX-License-Identifier: GPL-2.0 */
/* A runtime in memory; shared by live*.c only (and by their unit test). */
#ifndef GJ_GOROUTINE_LIVE_H
#define GJ_GOROUTINE_LIVE_H

#include "goroutine/offsets.h"

/* Where to read; addresses are the process'. */
struct gj_target {
	uint32_t pid;
	struct gj_goffsets offsets;
	uint64_t allgs_va;
	uint64_t allm_va;
	bool is_library; /* of a program that is not Go: its main goroutine ends at once */
};

/* A stretch of memory to be read. */
struct gj_memory_part {
	uint64_t va;
	size_t size_bytes;
	bool is_read; /* set by gj_memory_read_many */
};

/* [va, va + size) of the process: 0, -ESRCH, -EPERM, or -EFAULT when it is not all there. */
int gj_memory_read(uint32_t pid, uint64_t va, void *bytes_out, size_t size_bytes);

/* Parts that fit one call: UIO_MAXIOV of the kernel. */
#define GJ_MEMORY_MAX_PARTS 1024

/*
 * Up to GJ_MEMORY_MAX_PARTS parts, one behind the other in @bytes_out. A part
 * that cannot be read is marked, and its bytes are undefined. 0, -ESRCH or
 * -EPERM.
 */
int gj_memory_read_many(uint32_t pid, struct gj_memory_part *parts, size_t cnt,
			uint8_t *bytes_out);

/*
 * Append the goroutines (sorted by g) and the threads of @target to @out.
 * Errors as gj_live_snapshot.
 */
int gj_target_add_gs(const struct gj_target *target, struct gj_buf *out, uint32_t *cnt_out,
		     struct gj_diag *diag);
int gj_target_add_ms(const struct gj_target *target, struct gj_buf *out, uint32_t *cnt_out,
		     struct gj_diag *diag);

/* 0 when the runtime is up: the first goroutine is number 1. -EAGAIN before, -EBADMSG. */
int gj_target_check(const struct gj_target *target, struct gj_diag *diag);

#endif
