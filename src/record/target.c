/* SPDX-License-Identifier: GPL-2.0 */
/* What is to be recorded: processes and programs, looked at before perf runs. */
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "record/recording.h"

void gj_recording_say(const struct recording *recording, const char *fmt, ...)
{
	char line[GJ_DIAG_BYTES];
	va_list args;

	va_start(args, fmt);
	vsnprintf(line, sizeof(line), fmt, args);
	va_end(args);
	recording->options->say(line);
}

bool gj_recording_may_probe(const struct recording *recording)
{
	return recording->options->probe == GJ_PROBE_ALWAYS ||
	       (!recording->sampler && recording->options->probe == GJ_PROBE_AUTO);
}

static int look_at_process(struct recording *recording, uint32_t pid, struct gj_diag *diag)
{
	int err = 0;

	if (recording->sampler)
		err = gj_sampler_add_process(recording->sampler, pid, diag);
	if (!recording->sampler || gj_recording_may_probe(recording))
		err = gj_programs_add_process(&recording->programs, pid, diag);
	return err;
}

static int look_at_file(struct recording *recording, const char *path, struct gj_diag *diag)
{
	int err = 0;

	if (recording->sampler)
		err = gj_sampler_add_file(recording->sampler, path, diag);
	if (!recording->sampler || gj_recording_may_probe(recording))
		err = gj_programs_add_file(&recording->programs, path, diag);
	return err;
}

/* What a failure to look at one target means: a line, not the end. */
static int add_process(void *data, uint32_t pid)
{
	struct recording *recording = data;
	struct gj_diag diag = { 0 };

	if (look_at_process(recording, pid, &diag) && diag.err && diag.err != -ENOENT &&
	    diag.err != -EACCES)
		recording->options->say(diag.text);
	return 0;
}

static int add_named_process(struct recording *recording, uint32_t pid, struct gj_diag *diag)
{
	struct gj_diag why = { 0 };
	int err = look_at_process(recording, pid, &why);

	if (kill((pid_t)pid, 0) && errno == ESRCH)
		return gj_diag_set(diag, -ESRCH, "there is no process %u", pid);
	if (err && why.err)
		recording->options->say(why.text);
	else if (err)
		gj_recording_say(recording, "process %u is no Go program; it is recorded as perf would", pid);
	return 0;
}

/* The file execvp would run. */
static bool find_program(const char *name, char path_out[4096])
{
	const char *at = getenv("PATH");

	if (strchr(name, '/')) {
		snprintf(path_out, 4096, "%s", name);
		return !access(path_out, X_OK);
	}
	for (at = at ? at : "/usr/bin:/bin"; *at; at += strcspn(at, ":") + (at[strcspn(at, ":")] == ':')) {
		struct stat st;

		snprintf(path_out, 4096, "%.*s/%s", (int)strcspn(at, ":"), at, name);
		if (!access(path_out, X_OK) && !stat(path_out, &st) && S_ISREG(st.st_mode))
			return true;
	}
	return false;
}

static int add_command(struct recording *recording, struct gj_diag *diag)
{
	const char *name = recording->options->command[0];
	struct gj_diag why = { 0 };
	char path[4096];

	if (!find_program(name, path))
		return gj_diag_set(diag, -ENOENT, "%s: there is no such program", name);
	if (!look_at_file(recording, path, &why))
		return 0;
	if (why.err)
		recording->options->say(why.text);
	else
		gj_recording_say(recording, "%s is no Go program; of Go programs it starts, %s", name,
		    recording->sampler ?
			    "goroutines are known from a moment after their start" :
			    "goroutines are known only as far as snapshots show (start them first and use -p or -a to have all)");
	return 0;
}

int gj_recording_find_targets(struct recording *recording, struct gj_diag *diag)
{
	const struct gj_record_options *options = recording->options;

	if (recording->command_only)
		return add_command(recording, diag);
	for (unsigned int i = 0; i < options->pid_cnt; i++) {
		int err = add_named_process(recording, options->pids[i], diag);

		if (err)
			return err;
	}
	return options->system_wide ? gj_each_process(add_process, recording) : 0;
}
