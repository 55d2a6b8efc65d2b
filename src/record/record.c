/* SPDX-License-Identifier: GPL-2.0 */
/*
 * One recording from start to end: targets, probes and their price, perf,
 * snapshots, and everything put back.
 */
#include "record/recording.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define COUNT_WINDOW_NS 200000000ull /* in which the probe's hits are counted beforehand */
#define MIN_ROUND_NS 200000000ull    /* between snapshots where there is no probe */
#define SAMPLED_ROUND_NS 1000000000ull /* the same where samples tell goroutines, snapshots their beginnings */
#define ROUND_SHARE 100              /* and at least this many times what a round takes */

/* Hits a second of all events together; false when they cannot be counted. */
static bool count_rate(const struct recording *recording, double *rate_out)
{
	uint64_t *ids = calloc(recording->programs.cnt + 1, sizeof(*ids)), hits = 0;
	unsigned int cnt = 0;
	bool counted;

	if (!ids)
		return false;
	for (unsigned int i = 0; i < recording->programs.cnt; i++)
		if (recording->programs.list[i].event[0] &&
		    !gj_uprobe_event_id(recording->programs.list[i].event, &ids[cnt], NULL))
			cnt++;
	counted = cnt && !gj_uprobe_count(ids, cnt, COUNT_WINDOW_NS, &hits);
	free(ids);
	*rate_out = (double)hits * 1e9 / (double)COUNT_WINDOW_NS;
	return counted;
}

static void say_probes(const struct recording *recording)
{
	for (unsigned int i = 0; i < recording->programs.cnt; i++) {
		const struct gj_program *program = &recording->programs.list[i];

		if (!program->is_planned)
			continue;
		gj_recording_say(recording, "probe on runtime.execute+%llu (%s%s) of %s (%s)",
		    (unsigned long long)(program->plan.va - program->plan.entry_va),
		    program->plan.insn, program->plan.is_emulated ? "" : ", single-stepped",
		    program->label, gj_gotab_info(program->gotab)->go_version);
	}
}

static void drop_events(struct recording *recording)
{
	for (unsigned int i = 0; i < recording->programs.cnt; i++) {
		struct gj_program *program = &recording->programs.list[i];

		if (program->event[0])
			gj_uprobe_remove(program->event, NULL);
		program->event[0] = '\0';
	}
	recording->probed = false;
}

/* Says what the probes will cost, and goes without them when that is too much. */
static void weigh_probes(struct recording *recording)
{
	uint64_t cost_ns = 0;
	double rate, percent;

	/* A few times what the bare trap takes: the record is written, too (docs/recording.md). */
	if (!gj_probe_cost_ns(&cost_ns))
		cost_ns *= 2;
	say_probes(recording);
	if (cost_ns)
		gj_recording_say(recording, "each goroutine switch takes about %.1f us longer and writes 100 bytes",
		    (double)cost_ns / 1000);
	if (recording->command_only || !count_rate(recording, &rate))
		return;
	percent = rate * (double)cost_ns / 1e7;
	gj_recording_say(recording, "%.0f goroutine switches a second now: the probe takes %.1f %% of one processor and writes %.1f MB a second",
	    rate, percent, rate * 100 / 1e6);
	if (percent <= recording->options->max_cost_percent)
		return;
	gj_recording_say(recording,
	    "that is above --max-cost=%u: going on without the probe; goroutines are known as far as snapshots show",
	    recording->options->max_cost_percent);
	drop_events(recording);
}

static bool is_any_planned(const struct gj_programs *programs)
{
	for (unsigned int i = 0; i < programs->cnt; i++)
		if (programs->list[i].is_planned)
			return true;
	return false;
}

static void set_probes(struct recording *recording)
{
	struct gj_diag diag = { 0 };
	unsigned int removed, kept;
	int err;

	if (!gj_recording_may_probe(recording) || !is_any_planned(&recording->programs))
		return;
	/* A thread's switch on another processor would be missed, and its goroutine be taken for the last. */
	if (recording->options->cpus) {
		gj_recording_say(recording,
		    "-C: no probe, since it must see all processors; goroutines are known as far as snapshots show");
		return;
	}
	if (!gj_uprobes_clean(&removed, &kept, NULL) && removed)
		gj_recording_say(recording, "removed %u probe%s that a killed recording had left", removed,
		    removed == 1 ? "" : "s");
	err = gj_uprobes_allowed(&diag);
	if (!err)
		err = gj_programs_define(&recording->programs, &diag);
	if (err) {
		drop_events(recording);
		recording->options->say(diag.text);
		gj_recording_say(recording,
		    "going on without the probe; goroutines are known as far as snapshots show");
		return;
	}
	recording->probed = true;
	weigh_probes(recording);
}

static int watch_process(void *data, uint32_t pid)
{
	struct recording *recording = data;

	/* Not perf's own. */
	return (pid_t)pid == recording->run.pid ? 0 : gj_watch_add(recording->watch, pid);
}

static void watch_targets(struct recording *recording)
{
	const struct gj_record_options *options = recording->options;

	for (unsigned int i = 0; i < options->pid_cnt; i++)
		gj_watch_add(recording->watch, options->pids[i]);
	if (options->system_wide)
		gj_each_process(watch_process, recording);
	if (recording->command_only)
		gj_each_descendant((uint32_t)recording->run.pid, watch_process, recording);
}

/* Go in a library is known by its process alone. */
static int add_live(void *data, uint32_t pid, const struct gj_live *live)
{
	struct recording *recording = data;

	return gj_sampler_add_live(recording->sampler, pid, live);
}

static void look_around(struct recording *recording)
{
	watch_targets(recording);
	if (recording->sampler)
		gj_watch_each(recording->watch, add_live, recording);
}

static volatile sig_atomic_t stop_signal;

static void note_signal(int number)
{
	stop_signal = number;
}

static void catch_signals(void)
{
	static const int numbers[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };
	struct sigaction action = { .sa_handler = note_signal };

	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		sigaction(numbers[i], &action, NULL);
	/* perf may be gone when it is spoken to. */
	signal(SIGPIPE, SIG_IGN);
}

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

#define STEP_MS 20 /* the sampler's buffer holds more than that many times over */

static void take_step(struct recording *recording)
{
	static const struct timespec step = { 0, STEP_MS * 1000000 };

	gj_perf_says_take(&recording->run.says);
	if (!recording->sampler) {
		nanosleep(&step, NULL);
		return;
	}
	gj_sampler_wait(recording->sampler, STEP_MS);
	gj_sampler_drain(recording->sampler);
}

/* Waits for perf's end, passing on a request to stop; snapshots meanwhile where there is no probe. */
static int wait_for_perf(struct recording *recording)
{
	uint64_t min_round_ns = recording->sampler ? SAMPLED_ROUND_NS : MIN_ROUND_NS;
	uint64_t round_at_ns = now_ns();
	bool told = false;
	int status;

	while (waitpid(recording->run.pid, &status, WNOHANG) == 0) {
		uint64_t round_ns = ROUND_SHARE * gj_watch_cost_ns(recording->watch);

		if (stop_signal && !told) {
			kill(recording->run.pid, SIGINT);
			told = true;
		}
		take_step(recording);
		if (recording->probed || told ||
		    now_ns() - round_at_ns < (round_ns > min_round_ns ? round_ns : min_round_ns))
			continue;
		look_around(recording);
		gj_watch_snapshot(recording->watch, 0);
		round_at_ns = now_ns();
	}
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* perf records switches from here on, and nothing else yet. */
static int enable_probes(struct recording *recording)
{
	int err = 0;

	for (unsigned int i = 0; i < recording->programs.cnt && !err; i++)
		if (recording->programs.list[i].event[0])
			err = gj_perf_enable(&recording->run, recording->programs.list[i].event);
	return err;
}

/* On every event there is by now. */
static int attach_sampler(void *data)
{
	struct recording *recording = data;

	return gj_sampler_attach(recording->sampler, recording->run.pid);
}

/* 0, also when the sampler cannot be used after all; -EPIPE when perf ended. */
static int begin_sampler(struct recording *recording)
{
	int err = gj_perf_await(&recording->run, attach_sampler, recording);
	unsigned int set_cnt = 0;

	if (err == -EPIPE)
		return err;
	if (!err)
		err = gj_sampler_attach_all(recording->sampler, recording->run.pid, &set_cnt);
	if (err)
		gj_recording_say(recording, "no stack sampler on %s perf's events: %s",
		    set_cnt ? "some of" : "any of", strerror(-err));
	else if (!set_cnt)
		gj_recording_say(recording, "no stack sampler: none of perf's events takes it");
	return 0;
}

/*
 * Switches first, then who runs where at that moment, then the samples: so the
 * first sample already finds its goroutine.
 */
static void begin(struct recording *recording)
{
	uint32_t flags = recording->probed ? GJ_TRAIL_PROBED : 0;
	uint64_t seen;

	if (recording->sampler && begin_sampler(recording))
		return; /* perf ended; its status tells */
	if (enable_probes(recording))
		return;
	seen = gj_watch_snapshot(recording->watch, flags);
	if (gj_perf_enable(&recording->run, NULL))
		return;
	gj_perf_release(&recording->run);
	if (recording->command_only)
		return;
	gj_recording_say(recording, "recording; %llu goroutines now", (unsigned long long)seen);
}

static int run_perf(struct recording *recording, int *exit_status_out, struct gj_diag *diag)
{
	bool deferred = !recording->command_only;
	int err;

	/* Before perf runs: looking at every process takes a while. */
	if (deferred)
		look_around(recording);
	err = gj_perf_start(recording->options, &recording->programs,
			    deferred	       ? GJ_BEGIN_ENABLED :
			    recording->sampler ? GJ_BEGIN_HELD :
						 GJ_BEGIN_AT_ONCE,
			    &recording->run, diag);
	if (err)
		return err;
	if (deferred || recording->sampler)
		begin(recording);
	*exit_status_out = wait_for_perf(recording);
	/* perf ends itself by the signal that ended it when all went well. */
	if (*exit_status_out == 128 + SIGINT || *exit_status_out == 128 + SIGTERM)
		*exit_status_out = 0;
	gj_perf_says_end(&recording->run.says, *exit_status_out);
	if (deferred && *exit_status_out >= 128)
		gj_recording_say(recording, "perf ended with status %d; what it says of that stands above",
		    *exit_status_out);
	gj_watch_snapshot(recording->watch, 0);
	return 0;
}

/* perf may have given up before it began a file of its own: another recording's stays as it is. */
static bool is_ours(const struct recording *recording)
{
	const struct stat *before = &recording->before;
	struct stat st;

	return !stat(recording->options->output, &st) && S_ISREG(st.st_mode) && st.st_size &&
	       (!before->st_size || before->st_dev != st.st_dev || before->st_ino != st.st_ino ||
		before->st_mtim.tv_sec != st.st_mtim.tv_sec ||
		before->st_mtim.tv_nsec != st.st_mtim.tv_nsec);
}

static int write_trailers(struct recording *recording, struct gj_diag *diag)
{
	struct gj_sampler_totals totals;
	int err = 0, watch_err;

	if (!strcmp(recording->options->output, "-") || !is_ours(recording))
		return 0;
	if (recording->sampler) {
		err = gj_sampler_finish(recording->sampler, recording->options->output, &totals,
					diag);
		gj_sampler_say(&totals, recording->options->say);
	}
	watch_err = gj_watch_write(recording->watch, recording->options->output, diag);
	return err ? err : watch_err;
}

/* What would be done; nothing is defined, so the probe's event is not in perf's arguments. */
static int show(const struct recording *recording)
{
	struct gj_buf line = { 0 };

	if (recording->sampler)
		gj_recording_say(recording, "the stack sampler runs on perf's events; its records follow the samples");
	if (gj_recording_may_probe(recording))
		say_probes(recording);
	gj_perf_show(recording->options, &recording->programs, &line);
	gj_buf_chr(&line, '\0');
	if (!line.failed)
		recording->options->say(line.data);
	gj_buf_deinit(&line);
	return 0;
}

/* Told before anything is set up, rather than by perf in the end. */
static int check_output(const char *path, struct gj_diag *diag)
{
	const char *slash = strrchr(path, '/');
	char *directory;
	struct stat st;
	int err = 0;

	if (!strcmp(path, "-"))
		return 0;
	if (!stat(path, &st) && S_ISDIR(st.st_mode))
		return gj_diag_set(diag, -EISDIR, "%s: cannot be written: it is a directory", path);
	if (!access(path, W_OK))
		return 0;
	if (errno != ENOENT)
		return gj_diag_set(diag, -errno, "%s: cannot be written: %s", path, strerror(errno));
	directory = slash ? strndup(path, (size_t)(slash - path) + 1) : strdup(".");
	if (!directory)
		return gj_diag_set(diag, -ENOMEM, "out of memory");
	if (access(directory, W_OK | X_OK))
		err = gj_diag_set(diag, -errno, "%s: cannot be written: %s", path, strerror(errno));
	free(directory);
	return err;
}

static int record(struct recording *recording, int *exit_status_out, struct gj_diag *diag)
{
	int err = recording->options->dry_run ? 0 : check_output(recording->options->output, diag);

	if (err)
		return err;
	recording->sampler = gj_sampler_choose(&recording->own);
	err = gj_recording_find_targets(recording, diag);
	if (!err && !recording->options->dry_run)
		err = gj_perf_allowed(recording->options, diag);
	if (err)
		return err;
	if (recording->options->dry_run)
		return show(recording);
	set_probes(recording);
	/* perf moves it away before it writes one of its own. */
	if (stat(recording->options->output, &recording->before))
		recording->before = (struct stat){ 0 };
	err = run_perf(recording, exit_status_out, diag);
	return err ? err : write_trailers(recording, diag);
}

int gj_record_run(const struct gj_record_options *options, int *exit_status_out,
		  struct gj_diag *diag)
{
	struct recording recording = {
		.own = *options,
		.command_only = options->command && !options->pid_cnt && !options->system_wide,
	};
	int err;

	recording.options = &recording.own;
	*exit_status_out = 0;
	recording.watch = gj_watch_new(options->say);
	if (!recording.watch)
		return gj_diag_set(diag, -ENOMEM, "out of memory");
	catch_signals();
	err = record(&recording, exit_status_out, diag);
	gj_programs_deinit(&recording.programs);
	gj_sampler_close(recording.sampler);
	gj_watch_free(recording.watch);
	return err;
}
