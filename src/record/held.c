/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A command that waits before it begins: perf starts what it records by itself,
 * but the sampler must be set on perf's events first. So perf is given this
 * command in its stead, which becomes the real one when it is told to.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "record/record.h"

int gj_held_command(const char *fds, char *const *command, struct gj_diag *diag)
{
	const char *name = strrchr(command[0], '/');
	char go = 0;
	char *at = NULL;
	int release_fd = (int)strtol(fds, &at, 10), error_fd = (int)strtol(at + 1, &at, 10);

	/* As perf's first records are to call it. */
	prctl(PR_SET_NAME, name ? name + 1 : command[0]);
	/* Its own again: perf's goes to gojitter, which also ignores SIGPIPE. */
	dup2(error_fd, STDERR_FILENO);
	close(error_fd);
	signal(SIGPIPE, SIG_DFL);
	while (*at == ',')
		close((int)strtol(at + 1, &at, 10));
	while (read(release_fd, &go, 1) < 0 && errno == EINTR)
		;
	close(release_fd);
	/* Whoever holds it is gone, and nobody records. */
	if (!go)
		return gj_diag_set(diag, -ECANCELED, "%s: not started, since the recording ended first",
				   command[0]);
	execvp(command[0], command);
	return gj_diag_set(diag, -errno, "%s: %s", command[0], strerror(errno));
}
