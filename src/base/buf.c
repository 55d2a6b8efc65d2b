/* SPDX-License-Identifier: GPL-2.0 */
/* A growing byte buffer for text on its way out. */
#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MIN_CAP_BYTES 256

void gj_buf_deinit(struct gj_buf *buf)
{
	free(buf->data);
	*buf = (struct gj_buf){ 0 };
}

char *gj_buf_reserve(struct gj_buf *buf, size_t more_bytes)
{
	size_t cap = buf->cap_bytes ? buf->cap_bytes : MIN_CAP_BYTES;
	char *data;

	if (buf->failed)
		return NULL;
	if (more_bytes <= buf->cap_bytes - buf->size_bytes)
		return buf->data + buf->size_bytes;
	while (cap - buf->size_bytes < more_bytes) {
		if (cap > SIZE_MAX / 2)
			goto fail;
		cap *= 2;
	}
	data = realloc(buf->data, cap);
	if (!data)
		goto fail;
	buf->data = data;
	buf->cap_bytes = cap;
	return buf->data + buf->size_bytes;
fail:
	buf->failed = true;
	return NULL;
}

void gj_buf_add(struct gj_buf *buf, const void *bytes, size_t size_bytes)
{
	char *to = size_bytes ? gj_buf_reserve(buf, size_bytes) : NULL;

	if (to) {
		memcpy(to, bytes, size_bytes);
		buf->size_bytes += size_bytes;
	}
}

void gj_buf_str(struct gj_buf *buf, const char *str)
{
	gj_buf_add(buf, str, strlen(str));
}

void gj_buf_chr(struct gj_buf *buf, char c)
{
	gj_buf_add(buf, &c, 1);
}

/* Adds @digits, filled on the left to @width. */
static void add_padded(struct gj_buf *buf, const char *digits, size_t cnt, unsigned int width,
		       char pad)
{
	for (size_t i = cnt; i < width; i++)
		gj_buf_chr(buf, pad);
	gj_buf_add(buf, digits, cnt);
}

void gj_buf_dec(struct gj_buf *buf, uint64_t value, unsigned int width, char pad)
{
	char digits[20];
	size_t first = sizeof(digits);

	do {
		digits[--first] = (char)('0' + value % 10);
		value /= 10;
	} while (value);
	add_padded(buf, digits + first, sizeof(digits) - first, width, pad);
}

void gj_buf_hex(struct gj_buf *buf, uint64_t value, unsigned int width)
{
	char digits[16];
	size_t first = sizeof(digits);

	do {
		digits[--first] = "0123456789abcdef"[value & 15];
		value >>= 4;
	} while (value);
	add_padded(buf, digits + first, sizeof(digits) - first, width, ' ');
}

void gj_buf_fmt(struct gj_buf *buf, const char *fmt, ...)
{
	va_list args;
	int need;
	char *to;

	va_start(args, fmt);
	need = vsnprintf(NULL, 0, fmt, args);
	va_end(args);
	if (need < 0)
		return;
	to = gj_buf_reserve(buf, (size_t)need + 1);
	if (!to)
		return;
	va_start(args, fmt);
	vsnprintf(to, (size_t)need + 1, fmt, args);
	va_end(args);
	buf->size_bytes += (size_t)need;
}

/* Bytes of the UTF-8 sequence at @text (RFC 3629), 0 when it is none. */
static size_t utf8_bytes(const unsigned char *text)
{
	size_t cnt = text[0] < 0x80 ? 1 : text[0] < 0xc2 ? 0 : text[0] < 0xe0 ? 2 :
		     text[0] < 0xf0 ? 3 : text[0] < 0xf5 ? 4 : 0;

	for (size_t i = 1; i < cnt; i++)
		if ((text[i] & 0xc0) != 0x80)
			return 0;
	/* Overlong forms, surrogates and what lies above U+10FFFF. */
	if ((text[0] == 0xe0 && text[1] < 0xa0) || (text[0] == 0xed && text[1] > 0x9f) ||
	    (text[0] == 0xf0 && text[1] < 0x90) || (text[0] == 0xf4 && text[1] > 0x8f))
		return 0;
	return cnt;
}

void gj_buf_json(struct gj_buf *buf, const char *text)
{
	const unsigned char *c = (const unsigned char *)text;

	gj_buf_chr(buf, '"');
	while (*c) {
		size_t cnt = utf8_bytes(c);

		if (*c == '"' || *c == '\\') {
			gj_buf_chr(buf, '\\');
			gj_buf_chr(buf, (char)*c);
		} else if (*c < 0x20) {
			gj_buf_fmt(buf, "\\u%04x", *c);
		} else if (cnt) {
			gj_buf_add(buf, c, cnt);
		} else {
			gj_buf_str(buf, "\\ufffd");
		}
		c += cnt ? cnt : 1;
	}
	gj_buf_chr(buf, '"');
}
