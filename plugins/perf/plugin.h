/* SPDX-License-Identifier: GPL-2.0 */
/* What the perf plugin's files share. */
#ifndef GJ_PLUGIN_H
#define GJ_PLUGIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct gj_host;
struct gj_mapping;
struct gj_sample;
struct perf_dlfilter_al;
struct perf_dlfilter_sample;
struct perf_event_attr;

/*
 * Size of struct perf_dlfilter_al up to its comm. Newer perfs add a pointer
 * that a filter must give back (al_cleanup, Linux 6.6), unless it asks for less.
 */
#define GJ_PLUGIN_AL_BYTES                                                                 \
	((uint32_t)(offsetof(struct perf_dlfilter_al, comm) + sizeof(const char *)))

/*
 * perf's sample as ours, but for comm, registers, stack and mapping.
 * @attr: of its event; NULL allowed
 *
 * False for a sample of a perf too old to deliver what we need.
 */
bool gj_plugin_sample(const struct perf_dlfilter_sample *from,
		      const struct perf_event_attr *attr, struct gj_sample *sample_out);
/* Borrows from @al, which lives until perf's callback returns. */
void gj_plugin_mapping(const struct perf_dlfilter_al *al, struct gj_mapping *mapping_out);

struct gj_plugin_file {
	void *bytes; /* to be unmapped by the caller; NULL: none */
	size_t size_bytes;
	int64_t changed_s; /* when it was last written, seconds since 1970; 0: not known */
};

/*
 * Maps the perf.data file perf is reading: among the open descriptors the
 * regular file that begins as one. Nothing for pipes.
 */
void gj_plugin_map_recording(struct gj_plugin_file *file_out);

/* How far perf has read its mapped recording. All zero: not yet known. */
struct gj_plugin_reading {
	bool is_sought;
	uint8_t *done, *end; /* given back up to here; end of the mapping */
};

/*
 * gj_plugin_read_until - give back the pages of the recording that perf is through with
 * @at: inside the record at hand
 *
 * perf maps the whole file and keeps every page it has touched. Pages of a
 * read-only mapping of a file can be dropped at any time: they come back from
 * the file when they are read again.
 */
void gj_plugin_read_until(struct gj_plugin_reading *reading, const void *at);

/* Fills id_width and prints_file_off from the perf this runs in; left alone when it cannot tell. */
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
