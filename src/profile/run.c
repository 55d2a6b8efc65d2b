/* SPDX-License-Identifier: GPL-2.0 */
/* One profile from beginning to end, and what is said of it. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "profile/profile.h"

/* How often the kernel's maps are emptied: 16384 stacks last that long at 999 Hz on 8 processors. */
#define DRAIN_NS 2000000000u

struct run {
	const struct gj_profile_options *options;
	struct gj_profile_targets targets;
	struct gj_profiler *profiler;
	struct gj_profile_sink *sink;
	int signal_fd;
	uint64_t begin_ns, end_ns;
};

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void say(const struct gj_profile_options *options, struct gj_buf *line)
{
	gj_buf_chr(line, '\0');
	if (!line->failed)
		options->say(line->data);
	gj_buf_deinit(line);
}

static double percent(uint64_t part, uint64_t all)
{
	return all ? 100.0 * (double)part / (double)all : 0;
}

static void say_rows(const struct run *run)
{
	const struct gj_buf *rows = &run->targets.rows;
	struct gj_buf line = { 0 };

	gj_buf_fmt(&line, "%zu rows of %zu images, %.1f MiB in the kernel, made in %.0f ms",
		   rows->size_bytes / sizeof(struct gj_unwind_row), run->targets.image_cnt,
		   (double)(rows->size_bytes + run->targets.pages.size_bytes) / (1 << 20), (double)run->targets.rows_ns / 1e6);
	say(run->options, &line);
}

/* Why stacks ended before their root, by enum gj_profile_end. */
static const char *const cuts[] = {
	[GJ_PROF_CUT_NO_BYTES] = "a stack word could not be read",
	[GJ_PROF_CUT_BOUNDS] = "the next frame would be outside the stack",
	[GJ_PROF_CUT_NOT_UP] = "the next frame would not be above",
	[GJ_PROF_CUT_NO_IMAGE] = "no file's code at the address",
	[GJ_PROF_CUT_NO_TABLE] = "Go code without a table",
	[GJ_PROF_CUT_NO_RULE] = "C code without unwind information",
	[GJ_PROF_CUT_UNDEFINED] = "no return address",
	[GJ_PROF_CUT_NO_RUNTIME] = "a switch of stacks, and the runtime's state was not to be read",
	[GJ_PROF_CUT_SWITCHING] = "in the middle of a switch of stacks",
	[GJ_PROF_CUT_LIMIT] = "more than 128 frames",
};

/* The sums of struct gj_profile_sums that enum gj_profile_end numbers. */
static const __u64 *ends_of(const struct gj_profile_sums *sums)
{
	return &sums->complete;
}

uint64_t gj_profiler_count(const struct gj_profile_sums *sums)
{
	uint64_t cnt = 0;

	for (unsigned int end = 0; end < GJ_PROF_END_CNT; end++)
		cnt += ends_of(sums)[end];
	return cnt;
}

static void say_losses(const struct gj_profile_options *options,
		       const struct gj_profile_sums *sums)
{
	uint64_t lost = sums->lost_stack + sums->lost_count;
	struct gj_buf line = { 0 };

	for (unsigned int end = 1; end < GJ_PROF_END_CNT; end++)
		if (ends_of(sums)[end])
			gj_buf_fmt(&line, "%s%llu (%.2f %%) %s", line.size_bytes ? ", " : "cut: ",
				   (unsigned long long)ends_of(sums)[end],
				   percent(ends_of(sums)[end], gj_profiler_count(sums)), cuts[end]);
	if (lost)
		gj_buf_fmt(&line, "%slost: %llu, the kernel's maps were full%s",
			   line.size_bytes ? "; " : "", (unsigned long long)lost,
			   options->instance ? "" : "; take fewer samples (-F)");
	if (sums->other_program)
		gj_buf_fmt(&line, "%s%llu samples of a process that runs another program by now",
			   line.size_bytes ? "; " : "", (unsigned long long)sums->other_program);
	if (line.size_bytes)
		say(options, &line);
}

void gj_profile_say_sums(const struct gj_profile_options *options,
			 const struct gj_profile_sums *sums, uint64_t lasted_ns)
{
	struct gj_buf line = { 0 };
	uint64_t samples = gj_profiler_count(sums);

	gj_buf_fmt(&line, "%llu samples in %.1f s, %.2f %% complete; %llu without a goroutine",
		   (unsigned long long)samples, (double)lasted_ns / 1e9,
		   percent(sums->complete, samples),
		   (unsigned long long)(sums->no_goroutine + sums->no_runtime));
	say(options, &line);
	say_losses(options, sums);
}

static void say_sums(const struct run *run)
{
	struct gj_profile_sums sums;
	struct gj_buf line = { 0 };
	uint64_t samples;

	gj_profiler_sums(run->profiler, &sums);
	samples = gj_profiler_count(&sums);
	gj_profile_say_sums(run->options, &sums, now_ns() - run->begin_ns);
	if (!run->options->compare_fp)
		return;
	gj_buf_fmt(&line, "the kernel's own walk: %.2f %% end at a root, %.2f %% have the leaf's caller",
		   percent(sums.fp_complete, samples), percent(sums.fp_caller, samples));
	say(run->options, &line);
}

static void say_cost(const struct run *run)
{
	struct gj_profile_cost cost;
	struct gj_buf line = { 0 };

	gj_profiler_cost(run->profiler, &cost);
	gj_buf_fmt(&line,
		   "a sample takes %llu ns (mean of %llu); a program that does nothing %llu ns, the kernel's own walk %llu ns",
		   (unsigned long long)cost.ours_ns, (unsigned long long)cost.samples,
		   (unsigned long long)cost.empty_ns, (unsigned long long)cost.fp_ns);
	say(run->options, &line);
	gj_buf_fmt(&line, "at %u samples a second that is %.3f %% of a processor", run->options->hz,
		   (double)cost.ours_ns * run->options->hz / 1e7);
	say(run->options, &line);
}

/* SIGINT and SIGTERM end the profile, which is then written. */
static int open_signals(struct run *run)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	run->signal_fd = signalfd(-1, &set, SFD_CLOEXEC);
	return run->signal_fd < 0 ? -errno : 0;
}

/* One descriptor for the signal and one of each process, readable once that has ended. */
static nfds_t list_ends(const struct run *run, struct pollfd *list)
{
	nfds_t cnt = 0;

	list[cnt++] = (struct pollfd){ run->signal_fd, POLLIN, 0 };
	for (size_t i = 0; i < run->targets.process_cnt; i++) {
		long fd = syscall(SYS_pidfd_open, run->targets.processes[i].pid, 0);

		if (fd >= 0)
			list[cnt++] = (struct pollfd){ (int)fd, POLLIN, 0 };
	}
	return cnt;
}

/* Waits a while; true when the profile is to end. Processes that have ended leave the list. */
static bool wait_a_while(const struct run *run, struct pollfd *list, nfds_t *cnt)
{
	uint64_t now = now_ns(), left = run->end_ns > now ? run->end_ns - now : 0;
	uint64_t wait_ns = left < DRAIN_NS ? left : DRAIN_NS;
	struct timespec wait = { (time_t)(wait_ns / 1000000000u), (long)(wait_ns % 1000000000u) };

	if (ppoll(list, *cnt, &wait, NULL) > 0) {
		if (list[0].revents)
			return true;
		for (nfds_t i = *cnt; i-- > 1;)
			if (list[i].revents) {
				close(list[i].fd);
				list[i] = list[--*cnt];
			}
	}
	return *cnt == 1 || now_ns() >= run->end_ns;
}

static int sample(struct run *run, struct gj_diag *diag)
{
	struct pollfd *list = calloc(run->targets.process_cnt + 1, sizeof(*list));
	nfds_t cnt;
	bool is_over = false;
	int err;

	if (!list)
		return gj_diag_set(diag, -ENOMEM, "out of memory");
	cnt = list_ends(run, list);
	run->begin_ns = now_ns();
	run->end_ns = run->options->for_ns ? run->begin_ns + run->options->for_ns : UINT64_MAX;
	err = gj_profiler_start(run->profiler, diag);
	while (!err && !is_over) {
		is_over = wait_a_while(run, list, &cnt);
		if (is_over)
			gj_profiler_stop(run->profiler);
		err = gj_profiler_drain(run->profiler, gj_profile_sink_take, run->sink, diag);
	}
	while (cnt-- > 1)
		close(list[cnt].fd);
	free(list);
	return err;
}

/* Counted for the time they take only. */
static int take_nothing(void *data, const struct gj_profile_entry *entry)
{
	(void)data;
	(void)entry;
	return 0;
}

static int measure(struct run *run, struct gj_diag *diag)
{
	struct pollfd signals = { run->signal_fd, POLLIN, 0 };
	int wait_ms = (int)((run->options->for_ns ? run->options->for_ns : 3000000000u) / 1000000u);
	int err = gj_profiler_start(run->profiler, diag);

	if (err)
		return err;
	run->begin_ns = now_ns();
	poll(&signals, 1, wait_ms);
	gj_profiler_stop(run->profiler);
	say_cost(run);
	return gj_profiler_drain(run->profiler, take_nothing, NULL, diag);
}

static int prepare(struct run *run, struct gj_diag *diag)
{
	const struct gj_profile_options *options = run->options;
	int err = open_signals(run);

	if (err)
		return gj_diag_set(diag, err, "signals cannot be waited for: %s", strerror(-err));
	for (unsigned int i = 0; !err && i < options->pid_cnt; i++)
		if (!gj_profile_process(&run->targets, options->pids[i]))
			err = gj_profile_targets_add(&run->targets, options->pids[i], diag);
	if (!err)
		err = gj_profiler_new(options, &run->targets, &run->profiler, diag);
	if (!err)
		say_rows(run);
	return err;
}

int gj_profile_run(const struct gj_profile_options *options, struct gj_diag *diag)
{
	struct run run = { .options = options, .signal_fd = -1 };
	int err;

	if (options->instance)
		return gj_profile_run_pinned(options, diag);
	err = prepare(&run, diag);
	if (!err && options->cost) {
		err = measure(&run, diag);
	} else if (!err) {
		run.sink = gj_profile_sink_new(options, &run.targets, diag);
		err = run.sink ? sample(&run, diag) : diag->err;
	}
	if (run.sink) {
		int end_err = gj_profile_sink_end(run.sink, diag);

		err = err ? err : end_err;
	}
	if (!err)
		say_sums(&run);
	gj_profiler_free(run.profiler);
	gj_profile_targets_deinit(&run.targets);
	if (run.signal_fd >= 0)
		close(run.signal_fd);
	return err;
}
