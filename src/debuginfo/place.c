/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Where tools look for the debug file of an image.
 *
 * With a GNU build id all of them take /usr/lib/debug/.build-id/XX/REST.debug.
 * Without one and without a .gnu_debuglink perf takes /usr/lib/debug/PATH
 * (linux tools/perf/util/dso.c, DSO_BINARY_TYPE__UBUNTU_DEBUGINFO), and so does
 * libbcc when BCC_SYMFS names /usr/lib/debug.
 */
#include "debuginfo/debuginfo.h"

#define DEBUG_ROOT "/usr/lib/debug"

enum gj_debuginfo_link gj_debuginfo_place(const struct gj_image *image, const char *path,
					  const char *root, struct gj_buf *place_out)
{
	struct gj_window id = gj_image_build_id(image);

	gj_buf_fmt(place_out, "%s" DEBUG_ROOT, root);
	if (id.size_bytes < 2) {
		gj_buf_add(place_out, path, strlen(path) + 1);
		return GJ_DEBUGINFO_BY_PATH;
	}
	gj_buf_str(place_out, "/.build-id/");
	for (size_t i = 0; i < id.size_bytes; i++)
		gj_buf_fmt(place_out, i == 0 ? "%02x/" : "%02x", id.base[i]);
	gj_buf_add(place_out, ".debug", sizeof(".debug"));
	return GJ_DEBUGINFO_BY_BUILD_ID;
}
