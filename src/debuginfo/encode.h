/* SPDX-License-Identifier: GPL-2.0 */
/* Numbers as DWARF and ELF write them, appended to a buffer; little-endian as cursor.h. */
#ifndef GJ_DEBUGINFO_ENCODE_H
#define GJ_DEBUGINFO_ENCODE_H

#include <stdint.h>
#include <string.h>

#include "base/buf.h"

static inline void gj_put_u8(struct gj_buf *buf, unsigned int value)
{
	gj_buf_chr(buf, (char)value);
}

static inline void gj_put_u16(struct gj_buf *buf, uint16_t value)
{
	gj_buf_add(buf, &value, sizeof(value));
}

static inline void gj_put_u32(struct gj_buf *buf, uint32_t value)
{
	gj_buf_add(buf, &value, sizeof(value));
}

static inline void gj_put_u64(struct gj_buf *buf, uint64_t value)
{
	gj_buf_add(buf, &value, sizeof(value));
}

/* LEB128, DWARF 4 section 7.6. */
static inline void gj_put_uleb(struct gj_buf *buf, uint64_t value)
{
	uint8_t bytes[10];
	size_t cnt = 0;

	do {
		bytes[cnt] = value & 0x7f;
		value >>= 7;
		bytes[cnt++] |= value ? 0x80 : 0;
	} while (value);
	gj_buf_add(buf, bytes, cnt);
}

static inline void gj_put_sleb(struct gj_buf *buf, int64_t value)
{
	uint8_t bytes[10];
	size_t cnt = 0;
	bool more;

	do {
		bytes[cnt] = (uint8_t)value & 0x7f;
		value >>= 7;
		more = !((value == 0 && !(bytes[cnt] & 0x40)) || (value == -1 && bytes[cnt] & 0x40));
		bytes[cnt++] |= more ? 0x80 : 0;
	} while (more);
	gj_buf_add(buf, bytes, cnt);
}

/* Overwrites the four bytes at @off, which were appended before. */
static inline void gj_patch_u32(struct gj_buf *buf, size_t off, uint32_t value)
{
	if (!buf->failed)
		memcpy(buf->data + off, &value, sizeof(value));
}

/* A length that counts what follows it: leaves room, and fills it in later. */
static inline size_t gj_begin_length(struct gj_buf *buf)
{
	gj_put_u32(buf, 0);
	return buf->size_bytes;
}

static inline void gj_end_length(struct gj_buf *buf, size_t begin)
{
	gj_patch_u32(buf, begin - 4, (uint32_t)(buf->size_bytes - begin));
}

#endif
