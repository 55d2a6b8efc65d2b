/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A recording to a profile: perf script reads it, so that compressed, piped and
 * split recordings, and the kernel's and C's symbols, are perf's business; our
 * plugin in it writes the profile into memory that both share.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "pprof/pprof.h"

#define MAX_ARGS 256

struct command {
	const char *args[MAX_ARGS + 1];
	size_t cnt;
	char output[48];
};

static void add(struct command *command, const char *arg)
{
	if (command->cnt < MAX_ARGS)
		command->args[command->cnt++] = arg;
}

static void fill(struct command *command, const struct gj_profile_request *request, int fd)
{
	snprintf(command->output, sizeof(command->output), "output=/proc/self/fd/%d", fd);
	add(command, request->perf);
	add(command, "script");
	add(command, "-i");
	add(command, request->input);
	add(command, "--dlfilter");
	add(command, request->plugin);
	add(command, "--dlarg");
	add(command, "format=pprof");
	add(command, "--dlarg");
	add(command, command->output);
	for (char *const *arg = request->plugin_args; *arg; arg++) {
		add(command, "--dlarg");
		add(command, *arg);
	}
	for (char *const *arg = request->perf_args; *arg; arg++)
		add(command, *arg);
	command->args[command->cnt] = NULL;
}

/* In the child. The plugin prints nothing in this format; perf's own text is nobody's. */
static void exec_perf(const struct command *command)
{
	int null_fd = open("/dev/null", O_WRONLY);

	if (null_fd >= 0)
		dup2(null_fd, STDOUT_FILENO);
	execvp(command->args[0], (char *const *)(uintptr_t)command->args);
	_exit(errno == ENOENT ? 127 : 126);
}

static int run(const struct command *command, struct gj_diag *diag)
{
	const char *perf = command->args[0];
	int status = 0;
	pid_t pid = fork();

	if (pid < 0)
		return gj_diag_set(diag, -errno, "%s: %s", perf, strerror(errno));
	if (!pid)
		exec_perf(command);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (WIFEXITED(status) && !WEXITSTATUS(status))
		return 0;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
		return gj_diag_set(diag, -ENOENT,
				   "%s: there is no such program; install linux-perf or name one with PERF=PATH",
				   perf);
	if (WIFSIGNALED(status))
		return gj_diag_set(diag, -EIO, "%s script was ended by signal %d", perf,
				   WTERMSIG(status));
	return gj_diag_set(diag, -EIO, "%s script failed (exit status %d); it says why above", perf,
			   WEXITSTATUS(status));
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

int gj_profile_from_perf(const struct gj_profile_request *request, struct gj_buf *out,
			 struct gj_diag *diag)
{
	struct command command = { .cnt = 0 };
	int fd = memfd_create("gojitter profile", 0), err;

	if (fd < 0)
		return gj_diag_set(diag, -errno, "no memory for the profile: %s", strerror(errno));
	fill(&command, request, fd);
	if (command.cnt == MAX_ARGS)
		err = gj_diag_set(diag, -E2BIG, "too many options for perf script");
	else
		err = run(&command, diag);
	if (!err) {
		err = read_back(fd, out);
		if (err)
			gj_diag_set(diag, err, "%s: perf script left no profile; %s needs support for dlfilters (perf 5.14)",
				    request->input, request->perf);
	}
	close(fd);
	return err;
}
