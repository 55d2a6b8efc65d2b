/* SPDX-License-Identifier: GPL-2.0 */
/* Where perf and gojitter.so are. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "perf/perf.h"

const char *gj_perf_program(void)
{
	const char *named = getenv("PERF");

	return named && *named ? named : "perf";
}

/* @path with its last part replaced by @name, links of both followed; NULL: it is not there. */
static char *find_beside(const char *path, const char *name)
{
	char real[PATH_MAX], beside[PATH_MAX];
	int cnt;

	if (!realpath(path, real))
		return NULL;
	*strrchr(real, '/') = '\0';
	cnt = snprintf(beside, sizeof(beside), "%s/%s", real, name);
	return cnt > 0 && cnt < PATH_MAX && !access(beside, R_OK) ? realpath(beside, NULL) : NULL;
}

static char *find(void)
{
	static const char own[] = "/proc/self/exe";
	const char *named = getenv("GOJITTER_SO");
	char *path, *link;

	if (named && *named)
		return realpath(named, NULL);
	path = find_beside(own, "gojitter.so");
	if (!path)
		path = find_beside(own, "../libexec/gojitter/gojitter.so");
	if (path)
		return path;
	link = find_beside(own, "perf-gojitter");
	if (link)
		path = find_beside(link, "gojitter.so");
	free(link);
	return path;
}

int gj_perf_find_plugin(char **path_out, struct gj_diag *diag)
{
	*path_out = find();
	if (*path_out)
		return 0;
	return gj_diag_set(diag, -ENOENT,
			   "gojitter.so is not where this gojitter is from; install it (make install), or name it with GOJITTER_SO=PATH");
}
