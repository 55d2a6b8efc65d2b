/* SPDX-License-Identifier: GPL-2.0 */
/* One run of perf script, and its complaints as lines of ours. */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "perf/perf.h"

#define MAX_ARGS 256

struct command {
	const char *args[MAX_ARGS + 1]; /* NULL at the end */
	size_t cnt;
};

static void add(struct command *command, const char *arg)
{
	if (command->cnt < MAX_ARGS)
		command->args[command->cnt++] = arg;
}

static void fill(struct command *command, const struct gj_perf_script *script)
{
	add(command, script->perf);
	add(command, "script");
	add(command, "-i");
	add(command, script->input);
	add(command, "--dlfilter");
	add(command, script->plugin);
	for (char *const *arg = script->plugin_args; *arg; arg++) {
		add(command, "--dlarg");
		add(command, *arg);
	}
	for (char *const *arg = script->perf_args; arg && *arg; arg++)
		add(command, *arg);
}

static _Noreturn void become_perf(const struct gj_perf_script *script,
				  const struct command *command, int text_fd)
{
	int nothing = open("/dev/null", O_RDWR | O_CLOEXEC);
	int stdout_fd = script->stdout_fd < 0 ? nothing : script->stdout_fd;

	if (nothing >= 0 && strcmp(script->input, "-"))
		dup2(nothing, STDIN_FILENO);
	if (dup2(stdout_fd, STDOUT_FILENO) >= 0 && dup2(text_fd, STDERR_FILENO) >= 0)
		execvp(command->args[0], (char *const *)(uintptr_t)command->args);
	_exit(errno == ENOENT ? 127 : 126);
}

/* What was said in a run. */
struct complaints {
	char *ours;    /* the plugin's last, not handed on yet; owned */
	char *perfs;   /* perf's last before it tells its usage; owned */
	bool is_usage; /* what follows */
};

static void hear(struct complaints *heard, const struct gj_perf_script *script, const char *line)
{
	static const char name[] = "gojitter: ";

	line += strspn(line, " \t");
	if (!strncmp(line, name, sizeof(name) - 1)) {
		if (heard->ours)
			script->say(heard->ours);
		free(heard->ours);
		heard->ours = strdup(line + sizeof(name) - 1);
	} else if (!strncmp(line, "Usage:", 6)) {
		heard->is_usage = true;
	} else if (*line && !heard->is_usage) {
		free(heard->perfs);
		heard->perfs = strdup(line);
	}
}

static void hear_all(struct complaints *heard, const struct gj_perf_script *script, int text_fd)
{
	FILE *text = lseek(text_fd, 0, SEEK_SET) ? NULL : fdopen(dup(text_fd), "r");
	char *line = NULL;
	size_t cap = 0;

	while (text && getline(&line, &cap, text) > 0) {
		line[strcspn(line, "\n")] = '\0';
		hear(heard, script, line);
	}
	free(line);
	if (text)
		fclose(text);
}

/* Why perf ended with @status. Where the plugin refused, perf itself says nothing. */
static int explain(const struct gj_perf_script *script, int status,
		   struct complaints *heard, struct gj_diag *diag)
{
	if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
		return gj_diag_set(diag, -ENOENT,
				   "%s: there is no such program; install linux-perf or name one with PERF=PATH",
				   script->perf);
	if (WIFSIGNALED(status))
		return gj_diag_set(diag, -EIO, "%s: %s script was ended by signal %d", script->input,
				   script->perf, WTERMSIG(status));
	if (heard->ours && !heard->perfs) {
		gj_diag_set(diag, -EIO, "%s", heard->ours);
		free(heard->ours);
		heard->ours = NULL;
		return -EIO;
	}
	return gj_diag_set(diag, -EIO, "%s: %s script cannot read it: %s", script->input,
			   script->perf, heard->perfs ? heard->perfs : "it says no more");
}

static int run(const struct gj_perf_script *script, const struct command *command, int text_fd,
	       struct gj_diag *diag)
{
	struct complaints heard = { 0 };
	int status = 0, err = 0;
	pid_t pid = fork();

	if (!pid)
		become_perf(script, command, text_fd);
	if (pid < 0)
		return gj_diag_set(diag, -errno, "%s: %s", script->perf, strerror(errno));
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	hear_all(&heard, script, text_fd);
	if (status)
		err = explain(script, status, &heard, diag);
	if (heard.ours)
		script->say(heard.ours);
	free(heard.ours);
	free(heard.perfs);
	return err;
}

int gj_perf_script_run(const struct gj_perf_script *script, struct gj_diag *diag)
{
	struct command command = { .cnt = 0 };
	int text_fd, err;

	fill(&command, script);
	if (command.cnt == MAX_ARGS)
		return gj_diag_set(diag, -E2BIG, "too many options for perf script");
	text_fd = memfd_create("gojitter perf text", MFD_CLOEXEC);
	if (text_fd < 0)
		return gj_diag_set(diag, -errno, "no memory for what perf says: %s", strerror(errno));
	err = run(script, &command, text_fd, diag);
	close(text_fd);
	return err;
}
