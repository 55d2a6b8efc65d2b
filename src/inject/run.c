/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Files and processes of `gojitter inject`: perf script runs the plugin over the
 * recording, so that mappings and order of events are perf's work; the chains
 * go to a file that has no name.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "inject/inject.h"
#include "perf/perf.h"

struct run {
	const struct gj_inject_options *options;
	char *target;     /* the output's real name; owned */
	char *directory;  /* of the output; owned */
	int input_fd, chains_fd, output_fd;
	struct gj_window input, stream; /* mapped */
	char *output_name; /* of output_fd, while it has one; owned */
	struct gj_diag *diag;
};

static int fail(struct run *run, const char *path, const char *what)
{
	int err = -errno;

	return gj_diag_set(run->diag, err, "%s: %s%s", path, what, strerror(-err));
}

/* A file without a name in the output's directory; @name_out is set where it has to have one. */
static int open_unnamed(struct run *run, char **name_out)
{
	int fd = open(run->directory, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	char *name;

	if (name_out)
		*name_out = NULL;
	if (fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL))
		return fd;
	if (asprintf(&name, "%s/.gojitter-inject.XXXXXX", run->directory) < 0)
		return -1;
	fd = mkostemp(name, O_CLOEXEC);
	if (fd >= 0 && !name_out)
		unlink(name);
	if (fd >= 0 && name_out)
		*name_out = name;
	else
		free(name);
	return fd;
}

static int map(int fd, struct gj_window *bytes_out)
{
	struct stat st;
	void *bytes;

	if (fstat(fd, &st))
		return -errno;
	if (!st.st_size)
		return 0;
	bytes = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (bytes == MAP_FAILED)
		return -errno;
	*bytes_out = (struct gj_window){ bytes, (size_t)st.st_size };
	return 0;
}

static int open_input(struct run *run)
{
	const char *path = run->options->input;
	struct gj_diag diag = { 0 };
	struct stat st;
	int err;

	/* A pipe without a writer must not keep us waiting. */
	run->input_fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (run->input_fd < 0 || fstat(run->input_fd, &st))
		return fail(run, path, "");
	if (S_ISDIR(st.st_mode))
		return gj_diag_set(run->diag, -EISDIR,
				   "%s: a recording in many files; record without --threads", path);
	if (!S_ISREG(st.st_mode))
		return gj_diag_set(run->diag, -EINVAL,
				   "%s: no file; it is read twice, so record into one (perf record -o FILE)",
				   path);
	err = map(run->input_fd, &run->input);
	if (err)
		return gj_diag_set(run->diag, err, "%s: %s", path, strerror(-err));
	err = gj_inject_check(run->input, &diag);
	return err ? gj_diag_set(run->diag, err, "%s: %s", path, diag.text) : 0;
}

/* The output's real name and directory; it must be no other kind of file, nor the input. */
static int choose_target(struct run *run)
{
	const char *path = run->options->output;
	char *real = realpath(path, NULL), *slash;
	struct stat from, to;

	run->target = real ? real : strdup(path);
	if (!run->target)
		return -ENOMEM;
	if (real && (stat(real, &to) || fstat(run->input_fd, &from)))
		return fail(run, path, "");
	if (real && from.st_dev == to.st_dev && from.st_ino == to.st_ino)
		return gj_diag_set(run->diag, -EINVAL, "%s: is the input too; give another name", path);
	if (real && !S_ISREG(to.st_mode))
		return gj_diag_set(run->diag, -EINVAL, "%s: exists and is no file; give another name",
				   path);
	if (real && access(real, W_OK))
		return fail(run, path, "");
	slash = strrchr(run->target, '/');
	run->directory = slash ? strndup(run->target, (size_t)(slash - run->target) + (slash == run->target)) :
				 strdup(".");
	return run->directory ? 0 : -ENOMEM;
}

static int open_outputs(struct run *run)
{
	int err = choose_target(run);

	if (err)
		return err;
	run->output_fd = open_unnamed(run, &run->output_name);
	if (run->output_fd >= 0)
		run->chains_fd = open_unnamed(run, NULL);
	return run->chains_fd < 0 ? fail(run, run->options->output, "") : 0;
}

/* Whether there is no room left behind what perf wrote. */
static bool is_disk_full(int fd)
{
	static const char more[8192];
	ssize_t done = pwrite(fd, more, sizeof(more), lseek(fd, 0, SEEK_END));

	return done < 0 ? errno == ENOSPC || errno == EDQUOT : done < (ssize_t)sizeof(more);
}

static int make_chains(struct run *run, struct gj_chains **chains_out)
{
	const struct gj_inject_options *options = run->options;
	static char *const plugin_args[] = { "format=chains", "goid=off", "inline=off", "quality=off", NULL };
	char *const perf_args[] = { options->symfs ? "--symfs" : NULL, (char *)options->symfs, NULL };
	const struct gj_perf_script script = {
		.perf = options->perf, .plugin = options->plugin, .input = options->input,
		.plugin_args = plugin_args, .perf_args = perf_args,
		.stdout_fd = run->chains_fd, .say = options->say,
	};
	struct gj_diag diag = { 0 };
	int err = gj_perf_script_run(&script, &diag);

	if (err == -EIO && is_disk_full(run->chains_fd))
		return gj_diag_set(run->diag, -ENOSPC, "%s: %s", options->output, strerror(ENOSPC));
	if (err)
		return gj_diag_set(run->diag, err, "%s", diag.text);
	err = map(run->chains_fd, &run->stream);
	if (err)
		return err;
	err = gj_chains_new(run->stream, chains_out);
	if (err == -EBADMSG)
		return gj_diag_set(run->diag, -ENOSPC,
				   "%s: its chains did not come whole out of perf script; is the disk full?",
				   run->options->output);
	return err;
}

static int put(void *data, uint64_t off, const void *bytes, size_t size_bytes)
{
	struct run *run = data;
	const char *from = bytes;

	while (size_bytes) {
		ssize_t done = pwrite(run->output_fd, from, size_bytes, (off_t)off);

		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0)
			return fail(run, run->options->output, "");
		from += done;
		off += (uint64_t)done;
		size_bytes -= (size_t)done;
	}
	return 0;
}

/* Whole pages of the input's mapping; reading them again would bring them back. */
static void give_back(void *data, struct gj_window bytes)
{
	(void)data;
	gj_window_give_back(bytes);
}

/* Gives the output its name, in place of what had it. */
static int name_output(struct run *run)
{
	char own[64];

	if (!run->output_name) {
		char *name;

		if (asprintf(&name, "%s/.gojitter-inject.%d", run->directory, (int)getpid()) < 0)
			return -ENOMEM;
		run->output_name = name;
		snprintf(own, sizeof(own), "/proc/self/fd/%d", run->output_fd);
		unlink(name);
		if (linkat(AT_FDCWD, own, AT_FDCWD, name, AT_SYMLINK_FOLLOW))
			return fail(run, run->options->output, "");
	}
	if (fsync(run->output_fd) && errno != EINVAL)
		return fail(run, run->options->output, "");
	if (rename(run->output_name, run->target))
		return fail(run, run->options->output, "");
	free(run->output_name);
	run->output_name = NULL;
	return 0;
}

static int write_output(struct run *run, struct gj_chains *chains, struct gj_inject_stats *stats_out)
{
	const struct gj_inject_sink sink = { .data = run, .put = put, .passed = give_back };
	struct gj_diag diag = { 0 };
	int err = gj_inject_copy(run->input, chains, &sink, stats_out, &diag);

	if (err && !run->diag->err)
		return gj_diag_set(run->diag, err, "%s: %s", run->options->input, diag.text);
	return err ? err : name_output(run);
}

static void close_all(struct run *run)
{
	const int fds[] = { run->input_fd, run->chains_fd, run->output_fd };

	if (run->output_name)
		unlink(run->output_name);
	if (run->input.base)
		munmap((void *)(uintptr_t)run->input.base, run->input.size_bytes);
	if (run->stream.base)
		munmap((void *)(uintptr_t)run->stream.base, run->stream.size_bytes);
	for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++)
		if (fds[i] >= 0)
			close(fds[i]);
	free(run->target);
	free(run->directory);
	free(run->output_name);
}

int gj_inject_run(const struct gj_inject_options *options, struct gj_inject_stats *stats_out,
		  struct gj_diag *diag)
{
	struct run run = {
		.options = options, .diag = diag,
		.input_fd = -1, .chains_fd = -1, .output_fd = -1,
	};
	struct gj_chains *chains = NULL;
	int err = open_input(&run);

	if (!err)
		err = open_outputs(&run);
	if (!err)
		err = make_chains(&run, &chains);
	if (!err)
		err = write_output(&run, chains, stats_out);
	gj_chains_free(chains);
	close_all(&run);
	return err;
}
