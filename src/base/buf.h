/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A growing byte buffer for text on its way out.
 *
 * A failed allocation sticks: the buffer keeps what it had, later appends do
 * nothing, and the caller checks buf.failed before it uses the text.
 */
#ifndef GJ_BASE_BUF_H
#define GJ_BASE_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct gj_buf {
	char *data; /* owned; not NUL-terminated */
	size_t size_bytes;
	size_t cap_bytes;
	bool failed;
};

void gj_buf_deinit(struct gj_buf *buf);

/* Makes room for @more_bytes and returns where they go, or NULL when memory is out. */
char *gj_buf_reserve(struct gj_buf *buf, size_t more_bytes);

void gj_buf_add(struct gj_buf *buf, const void *bytes, size_t size_bytes);
void gj_buf_str(struct gj_buf *buf, const char *str);
void gj_buf_chr(struct gj_buf *buf, char c);
/* Unsigned decimal, right-aligned with @pad to at least @width. */
void gj_buf_dec(struct gj_buf *buf, uint64_t value, unsigned int width, char pad);
/* Lower-case hexadecimal without 0x, right-aligned with blanks to at least @width. */
void gj_buf_hex(struct gj_buf *buf, uint64_t value, unsigned int width);
void gj_buf_fmt(struct gj_buf *buf, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* @text as a JSON string with its quotes; bytes that are no UTF-8 become U+FFFD. */
void gj_buf_json(struct gj_buf *buf, const char *text);

#endif
