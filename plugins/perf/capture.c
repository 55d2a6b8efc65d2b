/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Catches what perf prints for one record. perf prints after filter_event has
 * returned and keeps the FILE it prints to, so standard output's descriptor is
 * led into memory until the next call.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "plugin.h"

int gj_plugin_capture_begin(struct gj_plugin_capture *capture)
{
	if (!capture->is_open) {
		capture->out_fd = dup(STDOUT_FILENO);
		capture->memory_fd = memfd_create("gojitter", MFD_CLOEXEC);
		capture->is_open = capture->out_fd >= 0 && capture->memory_fd >= 0;
	}
	if (!capture->is_open || fflush(stdout) ||
	    dup2(capture->memory_fd, STDOUT_FILENO) != STDOUT_FILENO)
		return -EIO;
	capture->is_on = true;
	return 0;
}

size_t gj_plugin_capture_end(struct gj_plugin_capture *capture, const char **text_out)
{
	ssize_t size_bytes;
	char *text;

	fflush(stdout);
	dup2(capture->out_fd, STDOUT_FILENO);
	capture->is_on = false;
	size_bytes = lseek(capture->memory_fd, 0, SEEK_CUR);
	text = size_bytes > 0 ? realloc(capture->text, (size_t)size_bytes) : NULL;
	if (text) {
		capture->text = text;
		size_bytes = pread(capture->memory_fd, text, (size_t)size_bytes, 0);
	}
	if (lseek(capture->memory_fd, 0, SEEK_SET) || ftruncate(capture->memory_fd, 0))
		capture->is_open = false;
	*text_out = capture->text;
	return text && size_bytes > 0 ? (size_t)size_bytes : 0;
}

void gj_plugin_capture_deinit(struct gj_plugin_capture *capture)
{
	if (capture->is_open) {
		close(capture->out_fd);
		close(capture->memory_fd);
	}
	free(capture->text);
	*capture = (struct gj_plugin_capture){ 0 };
}
