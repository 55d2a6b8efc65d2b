/* SPDX-License-Identifier: GPL-2.0 */
/* Bytes to and from files. */
#ifndef GJ_BASE_FILE_H
#define GJ_BASE_FILE_H

#include <stddef.h>

#include "base/cursor.h"

/* Writes all of it at the descriptor's position, however often that takes. 0 or a negative errno. */
int gj_write_all(int fd, const void *bytes, size_t size_bytes);

/* Whole pages in a mapping of a file leave our memory; reading them again brings them back. */
void gj_window_give_back(struct gj_window bytes);

#endif
