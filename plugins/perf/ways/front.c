/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A perf that takes `perf script -s gojitter.so`. Placed first on PATH under
 * the name "perf", it spells that one option `--dlfilter` and becomes the real
 * perf, which stays as it is.
 */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "script_args.h"

/*
 * In every copy of this program and in no other: a second front on PATH (an
 * installed one and a build tree's) is no perf either. perf itself is bigger
 * than FRONT_MAX_BYTES many times over.
 */
static const char mark[] = "gojitter: this program is the front, not perf";
#define FRONT_MAX_BYTES (1 << 20)

/*
 * How many fronts may have become one another. A script of somebody's own,
 * called perf, that runs the front would otherwise go round for ever; a perf
 * that runs a program that runs perf needs one each.
 */
#define DEPTH_MAX 16
#define DEPTH_NAME "GOJITTER_PERF_DEPTH"

static int fail(const char *what, const char *why)
{
	fprintf(stderr, "gojitter: %s: %s\n", what, why);
	return 1;
}

static bool is_front(const char *path, const struct stat *st)
{
	void *bytes;
	bool found;
	int fd;

	if (st->st_size <= 0 || st->st_size > FRONT_MAX_BYTES)
		return false;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	bytes = mmap(NULL, (size_t)st->st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	close(fd);
	if (bytes == MAP_FAILED)
		return false;
	found = memmem(bytes, (size_t)st->st_size, mark, sizeof(mark) - 1);
	munmap(bytes, (size_t)st->st_size);
	return found;
}

static bool is_perf(const char *path)
{
	struct stat st;

	return !stat(path, &st) && S_ISREG(st.st_mode) && !access(path, X_OK) &&
	       !is_front(path, &st);
}

/* The first @name on PATH that is no front, into @path_out of PATH_MAX bytes. */
static bool find_on_path(const char *name, char *path_out)
{
	const char *dir = getenv("PATH");

	if (!dir)
		dir = "/usr/local/bin:/usr/bin:/bin";
	for (;;) {
		size_t size = strcspn(dir, ":");
		int used = snprintf(path_out, PATH_MAX, "%.*s%s%s", (int)size, dir,
				    size ? "/" : "./", name);

		if (used > 0 && used < PATH_MAX && is_perf(path_out))
			return true;
		if (!dir[size])
			return false;
		dir += size + 1;
	}
}

static int find_perf(char *path_out)
{
	const char *named = getenv("PERF");

	if (named && strchr(named, '/')) {
		if (!is_perf(named) || strlen(named) >= PATH_MAX)
			return fail(named, "PERF names no perf; set it to the path of the real one");
		strcpy(path_out, named);
		return 0;
	}
	if (!named || !*named)
		named = "perf";
	if (find_on_path(named, path_out))
		return 0;
	return fail(named, "not on PATH; install it (Debian: linux-perf) or set PERF to its path");
}

/* gojitter.so, which stands beside the directory of this program; NULL when it does not. */
static char *find_plugin(void)
{
	static char path[PATH_MAX];
	char own[PATH_MAX];
	ssize_t size = readlink("/proc/self/exe", own, sizeof(own) - 1);

	if (size < 0)
		return NULL;
	own[size] = '\0';
	if (snprintf(path, sizeof(path), "%s/gojitter.so", dirname(dirname(own))) >= PATH_MAX)
		return NULL;
	return access(path, R_OK) ? NULL : path;
}

static bool count_depth(void)
{
	const char *text = getenv(DEPTH_NAME);
	int depth = text ? atoi(text) + 1 : 1;
	char next[16];

	snprintf(next, sizeof(next), "%d", depth);
	return depth <= DEPTH_MAX && !setenv(DEPTH_NAME, next, 1);
}

int main(int argc, char **argv)
{
	char perf[PATH_MAX];
	char **args;

	if (find_perf(perf))
		return 1;
	if (!count_depth())
		return fail(perf, "leads only back to this front; set PERF to the real perf");
	args = gj_script_args(argc, argv, find_plugin());
	if (!args)
		return fail(perf, "out of memory");
	execv(perf, args);
	return fail(perf, strerror(errno));
}
