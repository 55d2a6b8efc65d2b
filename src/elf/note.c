/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The notes that hold build ids.
 *
 * A note is u32 name size, u32 descriptor size, u32 type, then name and
 * descriptor, each padded to 4 bytes (System V ABI, "Note Section").
 */
#include "elf/image.h"

#define NOTE_HEADER_BYTES 12
#define NT_GO_BUILD_ID 4 /* Go src/cmd/internal/buildid/note.go, tagged "Go\0\0" */

static bool take_note(struct gj_image *image, struct gj_cursor *cur)
{
	uint32_t name_bytes = gj_cursor_u32(cur);
	uint32_t desc_bytes = gj_cursor_u32(cur);
	uint32_t type = gj_cursor_u32(cur);
	const uint8_t *name = gj_cursor_take(cur, ((uint64_t)name_bytes + 3) & ~3ULL);
	const uint8_t *desc = gj_cursor_take(cur, desc_bytes);

	if (gj_cursor_failed(cur))
		return false;
	if (name_bytes == 4 && !memcmp(name, "GNU", 4) && type == NT_GNU_BUILD_ID)
		image->build_id = (struct gj_window){ desc, desc_bytes };
	if (name_bytes == 4 && !memcmp(name, "Go\0", 4) && type == NT_GO_BUILD_ID)
		image->go_build_id = (struct gj_window){ desc, desc_bytes };
	gj_cursor_take(cur, -(uint64_t)desc_bytes & 3);
	return true;
}

void gj_image_read_notes(struct gj_image *image, struct gj_window notes)
{
	struct gj_cursor cur = gj_cursor_init(notes);

	while (gj_cursor_left(&cur) >= NOTE_HEADER_BYTES && take_note(image, &cur))
		;
}

struct gj_window gj_image_build_id(const struct gj_image *image)
{
	return image->build_id;
}

struct gj_window gj_image_go_build_id(const struct gj_image *image)
{
	return image->go_build_id;
}
