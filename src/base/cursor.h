/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Bounded reads of bytes we did not write. The only place that does pointer
 * arithmetic on input.
 *
 * Two ways in: a window (base, length) read at an offset, and a cursor that
 * moves through a window. A cursor's failure sticks: later reads give 0, and
 * the caller checks gj_cursor_failed() once per record, before it uses
 * anything. All values are little-endian.
 */
#ifndef GJ_BASE_CURSOR_H
#define GJ_BASE_CURSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "gojitter reads little-endian targets on little-endian hosts"
#endif

struct gj_window {
	const uint8_t *base; /* borrowed */
	size_t size_bytes;
};

struct gj_cursor {
	const uint8_t *pos;
	const uint8_t *end;
	bool failed;
};

/* True when [off, off + size) lies inside @win. */
static inline bool gj_window_holds(struct gj_window win, uint64_t off, uint64_t size_bytes)
{
	return off <= win.size_bytes && size_bytes <= win.size_bytes - off;
}

/* The part of @win from @off, at most @size_bytes long; empty when @off is outside. */
static inline struct gj_window gj_window_slice(struct gj_window win, uint64_t off,
					       uint64_t size_bytes)
{
	struct gj_window part = { NULL, 0 };

	if (off > win.size_bytes)
		return part;
	part.base = win.base ? win.base + off : NULL;
	part.size_bytes = win.size_bytes - off;
	if (part.size_bytes > size_bytes)
		part.size_bytes = size_bytes;
	return part;
}

/* Copies @size_bytes at @off to @value_out; false (and *value_out untouched) when outside. */
static inline bool gj_window_read(struct gj_window win, uint64_t off, void *value_out,
				  size_t size_bytes)
{
	if (!gj_window_holds(win, off, size_bytes))
		return false;
	memcpy(value_out, win.base + off, size_bytes);
	return true;
}

static inline bool gj_window_u8(struct gj_window win, uint64_t off, uint8_t *value_out)
{
	return gj_window_read(win, off, value_out, sizeof(*value_out));
}

static inline bool gj_window_u16(struct gj_window win, uint64_t off, uint16_t *value_out)
{
	return gj_window_read(win, off, value_out, sizeof(*value_out));
}

static inline bool gj_window_u32(struct gj_window win, uint64_t off, uint32_t *value_out)
{
	return gj_window_read(win, off, value_out, sizeof(*value_out));
}

static inline bool gj_window_u64(struct gj_window win, uint64_t off, uint64_t *value_out)
{
	return gj_window_read(win, off, value_out, sizeof(*value_out));
}

/* The NUL-terminated string at @off, or NULL when it does not end inside @win. */
static inline const char *gj_window_string(struct gj_window win, uint64_t off)
{
	if (off >= win.size_bytes || !memchr(win.base + off, '\0', win.size_bytes - off))
		return NULL;
	return (const char *)win.base + off;
}

static inline struct gj_cursor gj_cursor_init(struct gj_window win)
{
	/* No arithmetic on NULL, not even with 0: C has none. */
	static const uint8_t nothing[1];
	const uint8_t *base = win.base ? win.base : nothing;

	return (struct gj_cursor){ base, base + (win.base ? win.size_bytes : 0), false };
}

static inline bool gj_cursor_failed(const struct gj_cursor *cur)
{
	return cur->failed;
}

static inline size_t gj_cursor_left(const struct gj_cursor *cur)
{
	return cur->failed ? 0 : (size_t)(cur->end - cur->pos);
}

/* Moves past @size_bytes and returns where they start, or NULL and fails. */
static inline const uint8_t *gj_cursor_take(struct gj_cursor *cur, uint64_t size_bytes)
{
	const uint8_t *start = cur->pos;

	if (size_bytes > gj_cursor_left(cur)) {
		cur->failed = true;
		return NULL;
	}
	cur->pos += size_bytes;
	return start;
}

static inline void gj_cursor_read(struct gj_cursor *cur, void *value_out, size_t size_bytes)
{
	const uint8_t *start = gj_cursor_take(cur, size_bytes);

	if (start)
		memcpy(value_out, start, size_bytes);
	else
		memset(value_out, 0, size_bytes);
}

static inline uint8_t gj_cursor_u8(struct gj_cursor *cur)
{
	uint8_t value;

	gj_cursor_read(cur, &value, sizeof(value));
	return value;
}

static inline uint16_t gj_cursor_u16(struct gj_cursor *cur)
{
	uint16_t value;

	gj_cursor_read(cur, &value, sizeof(value));
	return value;
}

static inline uint32_t gj_cursor_u32(struct gj_cursor *cur)
{
	uint32_t value;

	gj_cursor_read(cur, &value, sizeof(value));
	return value;
}

static inline uint64_t gj_cursor_u64(struct gj_cursor *cur)
{
	uint64_t value;

	gj_cursor_read(cur, &value, sizeof(value));
	return value;
}

/*
 * An unsigned LEB128 number of at most 32 bits, as Go's pc-value tables and
 * trace events hold them (Go src/runtime/symtab.go, readvarint). More than
 * five bytes fails the cursor.
 */
static inline uint32_t gj_cursor_varint32(struct gj_cursor *cur)
{
	uint32_t value = 0;

	if (!cur->failed && cur->pos < cur->end && *cur->pos < 0x80)
		return *cur->pos++;
	for (unsigned int shift = 0; shift < 35; shift += 7) {
		uint8_t byte = gj_cursor_u8(cur);

		value |= (uint32_t)(byte & 0x7f) << shift;
		if (!(byte & 0x80))
			return cur->failed ? 0 : value;
	}
	cur->failed = true;
	return 0;
}

#endif
