/* SPDX-License-Identifier: GPL-2.0 */
/* What the perf plugin's files share. */
#ifndef GJ_PLUGIN_H
#define GJ_PLUGIN_H

#include <stdbool.h>
#include <stddef.h>

struct gj_plugin_file {
	void *bytes; /* to be unmapped by the caller */
	size_t size_bytes;
};

/*
 * Maps the perf.data file perf is reading: among the open descriptors the
 * regular file that begins as one. False for pipes and directories.
 */
bool gj_plugin_map_recording(struct gj_plugin_file *file_out);

#endif
