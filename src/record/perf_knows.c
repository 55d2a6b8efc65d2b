/* SPDX-License-Identifier: GPL-2.0 */
/* Whether a perf has an option: its own help tells, whatever version it calls itself. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "record/record.h"

#define MAX_HELP_BYTES (1u << 16) /* perf 7.3 prints 7 KB */

static _Noreturn void print_help(const char *perf, int out_fd)
{
	int null_fd = open("/dev/null", O_RDONLY);

	/* In a pipe no pager is started. */
	if (null_fd < 0 || dup2(null_fd, 0) < 0 || dup2(out_fd, 1) < 0 || dup2(out_fd, 2) < 0)
		_exit(127);
	execlp(perf, perf, "record", "-h", (char *)NULL);
	_exit(127);
}

/* All of it, so that perf is not ended by a broken pipe. */
static void read_all(int fd, struct gj_buf *text)
{
	char bytes[4096];
	ssize_t got;

	while ((got = read(fd, bytes, sizeof(bytes))) > 0 || (got < 0 && errno == EINTR))
		if (got > 0 && text->size_bytes < MAX_HELP_BYTES)
			gj_buf_add(text, bytes, (size_t)got);
	gj_buf_chr(text, '\0');
}

bool gj_perf_knows(const char *perf, const char *option)
{
	struct gj_buf text = { 0 };
	int fds[2];
	bool found;
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC))
		return false;
	pid = fork();
	if (!pid)
		print_help(perf, fds[1]);
	close(fds[1]);
	if (pid > 0)
		read_all(fds[0], &text);
	close(fds[0]);
	while (pid > 0 && waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	found = pid > 0 && !text.failed && strstr(text.data, option);
	gj_buf_deinit(&text);
	return found;
}
