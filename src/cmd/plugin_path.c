/* SPDX-License-Identifier: GPL-2.0 */
/* Where gojitter.so is: beside the command as built, or in its home as installed. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmd/cmd.h"

char *gj_cmd_find_plugin(void)
{
	static const char *const places[] = { "gojitter.so", "../libexec/gojitter/gojitter.so" };
	const char *named = getenv("GOJITTER_SO");
	char own[4096], *path;
	ssize_t size = readlink("/proc/self/exe", own, sizeof(own) - 1);
	const char *slash;

	if (named && *named)
		return realpath(named, NULL);
	if (size <= 0)
		return NULL;
	own[size] = '\0';
	slash = strrchr(own, '/');
	for (size_t i = 0; slash && i < sizeof(places) / sizeof(places[0]); i++) {
		if (asprintf(&path, "%.*s/%s", (int)(slash - own), own, places[i]) < 0)
			return NULL;
		if (!access(path, R_OK))
			return path;
		free(path);
	}
	return NULL;
}
