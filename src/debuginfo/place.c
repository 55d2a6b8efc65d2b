/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Where tools look for the debug file of an image.
 *
 * With a GNU build id all of them take /usr/lib/debug/.build-id/XX/REST.debug.
 * Without one and without a .gnu_debuglink perf takes /usr/lib/debug/PATH
 * (linux tools/perf/util/dso.c, DSO_BINARY_TYPE__UBUNTU_DEBUGINFO), libbcc does
 * when BCC_SYMFS names /usr/lib/debug, and gdb when it is told to by a script
 * /usr/lib/debug/PATH-gdb.py, which it loads by itself (GDB manual,
 * "objfile-gdbdotext file").
 */
#include "debuginfo/debuginfo.h"

#include <ctype.h>

#define DEBUG_ROOT "/usr/lib/debug"

/* perf and libbcc find the note through its section only. */
static bool has_usable_id(const struct gj_image *image)
{
	struct gj_section section;

	return gj_image_build_id(image).size_bytes >= 2 &&
	       !gj_image_find_section(image, ".note.gnu.build-id", &section);
}

enum gj_debuginfo_link gj_debuginfo_place(const struct gj_image *image, const char *path,
					  const char *root, struct gj_buf *place_out)
{
	struct gj_window id = gj_image_build_id(image);

	gj_buf_fmt(place_out, "%s" DEBUG_ROOT, root);
	if (!has_usable_id(image)) {
		gj_buf_add(place_out, path, strlen(path) + 1);
		return GJ_DEBUGINFO_BY_PATH;
	}
	gj_buf_str(place_out, "/.build-id/");
	for (size_t i = 0; i < id.size_bytes; i++)
		gj_buf_fmt(place_out, i == 0 ? "%02x/" : "%02x", id.base[i]);
	gj_buf_add(place_out, ".debug", sizeof(".debug"));
	return GJ_DEBUGINFO_BY_BUILD_ID;
}

/*
 * The script joins the two when it is loaded for the stripped file; gdb loads
 * it for the debug file as well. Nothing else would notice that the program
 * has been built anew, so the script looks for Go's build id in it.
 */
static const char script[] =
	"# Written by gojitter debuginfo.\n"
	"import gdb\n"
	"def join(debug, build_id):\n"
	"    objfile = gdb.current_objfile()\n"
	"    if objfile is None or objfile.owner is not None or objfile.filename == debug:\n"
	"        return\n"
	"    with open(objfile.filename, 'rb') as file:\n"
	"        if build_id not in file.read(65536):\n"
	"            gdb.write('%s is not of this build; make it again with '\n"
	"                      'gojitter debuginfo --install\\n' % debug, gdb.STDERR)\n"
	"            return\n"
	"    objfile.add_separate_debug_file(debug)\n";

void gj_debuginfo_gdb_script(const struct gj_image *image, struct gj_buf *script_out)
{
	struct gj_window id = gj_image_go_build_id(image);

	gj_buf_str(script_out, script);
	gj_buf_str(script_out, "join(__file__[:-len('-gdb.py')], b'");
	for (size_t i = 0; i < id.size_bytes; i++)
		gj_buf_fmt(script_out, isalnum(id.base[i]) || id.base[i] == '/' ? "%c" : "\\x%02x",
			   id.base[i]);
	gj_buf_str(script_out, "')\n");
}
