/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A recording to a profile: perf script reads it (src/perf), and our plugin in it
 * writes the profile into memory that both share.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "pprof/pprof.h"

/* @own and @others in one list, to be freed; NULL: out of memory. */
static char **join(char *const own[2], char *const *others)
{
	size_t cnt = 0;
	char **all;

	while (others[cnt])
		cnt++;
	all = calloc(cnt + 3, sizeof(*all));
	if (!all)
		return NULL;
	memcpy(all, own, 2 * sizeof(*all));
	memcpy(all + 2, others, cnt * sizeof(*all));
	return all;
}

static int read_back(int fd, struct gj_buf *out)
{
	off_t size_bytes = lseek(fd, 0, SEEK_END);
	char *room = size_bytes > 0 ? gj_buf_reserve(out, (size_t)size_bytes) : NULL;

	if (size_bytes <= 0)
		return -ENODATA;
	if (!room)
		return -ENOMEM;
	if (pread(fd, room, (size_t)size_bytes, 0) != size_bytes)
		return -EIO;
	out->size_bytes += (size_t)size_bytes;
	return 0;
}

int gj_profile_from_perf(const struct gj_perf_script *script, struct gj_buf *out,
			 struct gj_diag *diag)
{
	char output[48], format[] = "format=pprof";
	struct gj_perf_script run = *script;
	int fd = memfd_create("gojitter profile", 0), err;
	char **args;

	if (fd < 0)
		return gj_diag_set(diag, -errno, "no memory for the profile: %s", strerror(errno));
	snprintf(output, sizeof(output), "output=/proc/self/fd/%d", fd);
	args = join((char *const[]){ format, output }, script->plugin_args);
	run.plugin_args = args;
	/* In this format the plugin prints nothing; perf's own text is nobody's. */
	run.stdout_fd = -1;
	err = args ? gj_perf_script_run(&run, diag) : -ENOMEM;
	if (!err) {
		err = read_back(fd, out);
		if (err)
			gj_diag_set(diag, err, "%s: perf script left no profile; %s needs support for dlfilters (perf 5.14)",
				    script->input, script->perf);
	}
	free(args);
	close(fd);
	return err;
}
