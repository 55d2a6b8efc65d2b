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

/* Fills id_width and prints_file_off from the perf this runs in; left alone when it cannot tell. */
struct gj_host;
void gj_plugin_style(struct gj_host *host);

/*
 * gj_plugin_options - perf's own options that shape a record, as ours
 * @args, @arg_cnt: perf's --dlarg, which count for more and come last
 * @all_out: list and strings, to be freed with gj_plugin_options_free
 *
 * Returns how many, or -1 when memory is out. Where /proc cannot be read the
 * list is that of @args.
 */
int gj_plugin_options(char *const *args, int arg_cnt, char ***all_out);
void gj_plugin_options_free(char **all);

/* perf's text of one record, kept from the user. All zero: unused. */
struct gj_plugin_capture {
	int out_fd, memory_fd;
	bool is_open, is_on;
	char *text;
};

/* 0, or -EIO: then nothing is captured. */
int gj_plugin_capture_begin(struct gj_plugin_capture *capture);
/* Size of what was printed since; the text lives until the next call. */
size_t gj_plugin_capture_end(struct gj_plugin_capture *capture, const char **text_out);
void gj_plugin_capture_deinit(struct gj_plugin_capture *capture);

#endif
