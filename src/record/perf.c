/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The perf record that does the recording: its arguments, and its start and
 * control (perf-record(1), --control).
 *
 * Every event gets its own frequency or period: a global -F would turn the
 * probe into a sampled one and lose most switches.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/perf_event.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "record/record.h"

/* Arguments, NUL-terminated one behind the other in one buffer. */
struct arguments {
	struct gj_buf text;
	unsigned int cnt;
};

static void add(struct arguments *args, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void add(struct arguments *args, const char *fmt, ...)
{
	char text[8192];
	va_list list;

	va_start(list, fmt);
	vsnprintf(text, sizeof(text), fmt, list);
	va_end(list);
	gj_buf_add(&args->text, text, strlen(text) + 1);
	args->cnt++;
}

/* Hardware counters are missing in many virtual machines. */
static bool has_cycles(void)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_HARDWARE,
		.size = sizeof(attr),
		.config = PERF_COUNT_HW_CPU_CYCLES,
		.exclude_kernel = 1,
		.exclude_hv = 1,
	};
	long fd = syscall(SYS_perf_event_open, &attr, 0, -1, -1, PERF_FLAG_FD_CLOEXEC);

	if (fd >= 0)
		close((int)fd);
	return fd >= 0;
}

/* Whether the kernel lets us sample user code of @pid (0: our own, -1: all on a processor). */
static int try_event(pid_t pid)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_SOFTWARE,
		.size = sizeof(attr),
		.config = PERF_COUNT_SW_CPU_CLOCK,
		.disabled = 1,
		.exclude_kernel = 1,
		.exclude_hv = 1,
	};
	long fd = syscall(SYS_perf_event_open, &attr, pid, pid < 0 ? 0 : -1, -1,
			  PERF_FLAG_FD_CLOEXEC);

	if (fd < 0)
		return -errno;
	close((int)fd);
	return 0;
}

static int refuse(struct gj_diag *diag, const char *what)
{
	return gj_diag_set(diag, -EACCES,
			   "%s cannot be recorded by this user; become root, or lower kernel.perf_event_paranoid",
			   what);
}

int gj_perf_allowed(const struct gj_record_options *options, struct gj_diag *diag)
{
	char what[32];

	if (options->system_wide)
		return try_event(-1) == -EACCES ? refuse(diag, "the whole machine") : 0;
	for (unsigned int i = 0; i < options->pid_cnt; i++) {
		snprintf(what, sizeof(what), "process %u", options->pids[i]);
		if (try_event((pid_t)options->pids[i]) == -EACCES)
			return refuse(diag, what);
	}
	return try_event(0) == -EACCES ? refuse(diag, "a program of one's own") : 0;
}

/* What stands behind an event's name (perf-list(1), EVENT MODIFIERS). */
static bool are_modifiers(const char *text)
{
	return strspn(text, "ukhIGHpPSDWeb") == strlen(text);
}

bool gj_event_is_tracepoint(const char *event)
{
	const char *colon = strchr(event, ':');

	return colon && !are_modifiers(colon + 1) && !strpbrk(event, "/{") &&
	       strncmp(event, "mem:", 4) != 0;
}

/* One event to sample: named tracepoints and events with terms of their own stay as they are. */
static void add_event(struct arguments *args, const char *event, unsigned int hz)
{
	const char *modifier = strchr(event, ':');
	size_t name_cnt = modifier ? (size_t)(modifier - event) : strlen(event);

	add(args, "-e");
	if (strpbrk(event, "/{") || (modifier && !are_modifiers(modifier + 1)))
		add(args, "%s", event);
	else
		add(args, "%.*s/freq=%u,name=%s/%s", (int)name_cnt, event, hz, event,
		    modifier ? modifier + 1 : "");
}

static void add_events(struct arguments *args, const struct gj_record_options *options,
		       const struct gj_programs *programs)
{
	for (unsigned int i = 0; i < options->event_cnt; i++)
		add_event(args, options->events[i], options->hz);
	if (!options->event_cnt)
		add_event(args, has_cycles() ? "cycles" : "cpu-clock", options->hz);
	for (unsigned int i = 0; i < programs->cnt; i++) {
		if (!programs->list[i].event[0])
			continue;
		add(args, "-e");
		add(args, GJ_UPROBE_GROUP ":%s/call-graph=no/", programs->list[i].event);
	}
}

/* What perf inherits; -1: not there. */
struct pipes {
	int control[2], ack[2], release[2];
	int says[2];  /* its standard error */
	int error_fd; /* and ours, for the command */
	int failed[2]; /* why perf could not be run */
};
#define NO_PIPES { { -1, -1 }, { -1, -1 }, { -1, -1 }, { -1, -1 }, -1, { -1, -1 } }

static void add_command(struct arguments *args, const struct gj_record_options *options,
			const struct pipes *pipes)
{
	add(args, "--");
	if (pipes->release[0] >= 0) {
		add(args, "%s", options->held);
		add(args, "record");
		add(args, "--held=%d,%d,%d,%d,%d", pipes->release[0], pipes->error_fd,
		    pipes->control[0], pipes->control[1], pipes->ack[1]);
		add(args, "--");
	}
	for (char *const *word = options->command; *word; word++)
		gj_buf_add(&args->text, *word, strlen(*word) + 1), args->cnt++;
}

static void add_targets(struct arguments *args, const struct gj_record_options *options)
{
	struct gj_buf pids = { 0 };

	if (options->system_wide)
		add(args, "-a");
	if (options->cpus) {
		add(args, "-C");
		add(args, "%s", options->cpus);
	}
	for (unsigned int i = 0; i < options->pid_cnt; i++)
		gj_buf_fmt(&pids, "%s%u", i ? "," : "", options->pids[i]);
	if (pids.size_bytes) {
		add(args, "-p");
		add(args, "%.*s", (int)pids.size_bytes, pids.data);
	}
	gj_buf_deinit(&pids);
}

static void add_all(struct arguments *args, const struct gj_record_options *options,
		    const struct gj_programs *programs, const struct pipes *pipes)
{
	add(args, "%s", options->perf);
	add(args, "record");
	/* It would keep its errors to itself as well. */
	if (options->quiet && pipes->says[0] < 0)
		add(args, "-q");
	add(args, "-k");
	add(args, "CLOCK_MONOTONIC");
	if (options->pages) {
		add(args, "-m");
		add(args, "%s", options->pages);
	}
	add(args, "-o");
	add(args, "%s", options->output);
	/* Tells which buffer lost what (src/sample/perf_gaps.c). */
	add(args, "--sample-cpu");
	/* perf 7.3 puts build ids into its map records, and finds none in what Go linked. */
	if (gj_perf_knows(options->perf, "buildid-mmap"))
		add(args, "--no-buildid-mmap");
	add(args, "--call-graph");
	if (options->call_graph == GJ_CALL_GRAPH_DWARF)
		add(args, "dwarf,%u", options->dump_bytes);
	else
		add(args, "fp");
	/* In dwarf mode perf records all registers. */
	if (options->call_graph != GJ_CALL_GRAPH_DWARF)
		add(args, "--user-regs=r14,sp,bp,ip");
	if (options->compress)
		add(args, "-z");
	if (pipes->control[0] >= 0) {
		add(args, "-D");
		add(args, "-1");
		add(args, "--control=fd:%d,%d", pipes->control[0], pipes->ack[1]);
	}
	add_events(args, options, programs);
	add_targets(args, options);
	if (options->command)
		add_command(args, options, pipes);
}

static void add_quoted(const char *word, struct gj_buf *out)
{
	if (*word && !word[strcspn(word, " \t\n'\"\\$`;&|<>()*?[]{}~#!")]) {
		gj_buf_str(out, word);
		return;
	}
	gj_buf_chr(out, '\'');
	for (; *word; word++) {
		if (*word == '\'')
			gj_buf_str(out, "'\\''");
		else
			gj_buf_chr(out, *word);
	}
	gj_buf_chr(out, '\'');
}

void gj_perf_show(const struct gj_record_options *options, const struct gj_programs *programs,
		  struct gj_buf *out)
{
	static const struct pipes none = NO_PIPES;
	struct arguments args = { 0 };
	const char *at;

	add_all(&args, options, programs, &none);
	at = args.text.data;
	for (unsigned int i = 0; i < args.cnt && !args.text.failed; i++) {
		if (i)
			gj_buf_chr(out, ' ');
		add_quoted(at, out);
		at += strlen(at) + 1;
	}
	gj_buf_deinit(&args.text);
}

/*
 * With a group of its own perf does not see what the terminal sends to ours, so
 * that we can end it in our time; the command that is recorded stays in ours.
 */
static _Noreturn void become_perf(struct arguments *args, const struct pipes *pipes, bool own_group)
{
	ssize_t written;
	int err;
	char **argv = calloc(args->cnt + 1, sizeof(*argv));
	char *at = args->text.data;

	if (!argv)
		_exit(127);
	for (unsigned int i = 0; i < args->cnt; i++) {
		argv[i] = at;
		at += strlen(at) + 1;
	}
	/* Whatever becomes of us, perf writes its file to the end. */
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	signal(SIGINT, SIG_DFL);
	signal(SIGTERM, SIG_DFL);
	/* Without us it writes its file to the end, whoever hears what it says. */
	if (pipes->says[0] < 0)
		signal(SIGPIPE, SIG_DFL);
	if (own_group)
		setpgid(0, 0);
	if (pipes->says[1] >= 0)
		dup2(pipes->says[1], STDERR_FILENO);
	execvp(argv[0], argv);
	err = errno;
	written = write(pipes->failed[1], &err, sizeof(err));
	(void)written; /* who would read it is gone */
	_exit(127);
}

static void close_pair(const int fds[2])
{
	if (fds[0] >= 0)
		close(fds[0]);
	if (fds[1] >= 0)
		close(fds[1]);
}

/*
 * perf inherits its ends and our writing end of the control pipe, too: perf 6.1
 * gives up without finishing its file when that pipe is hung up, as it would be
 * when we are killed. The command that is held is not to outlive us.
 */
static int open_pipes(enum gj_perf_begin begin, struct pipes *pipes)
{
	if (pipe2(pipes->failed, O_CLOEXEC))
		return -errno;
	if (begin == GJ_BEGIN_AT_ONCE)
		return 0;
	if (pipe(pipes->control) || pipe(pipes->ack) || fcntl(pipes->ack[0], F_SETFD, FD_CLOEXEC))
		return -errno;
	if (begin == GJ_BEGIN_HELD &&
	    (pipe(pipes->release) || fcntl(pipes->release[1], F_SETFD, FD_CLOEXEC)))
		return -errno;
	return 0;
}

/*
 * perf's standard error comes to us where that does not take the command's, too;
 * a command that only says how long prints so little that it may, unless all
 * that comes is kept back.
 */
static int open_says(const struct gj_record_options *options, enum gj_perf_begin begin,
		     struct pipes *pipes)
{
	if (begin == GJ_BEGIN_AT_ONCE ||
	    (begin == GJ_BEGIN_ENABLED && options->command && options->quiet))
		return 0;
	pipes->error_fd = begin == GJ_BEGIN_HELD ? dup(STDERR_FILENO) : -1;
	if (begin == GJ_BEGIN_HELD && pipes->error_fd < 0)
		return -errno;
	if (pipe2(pipes->says, O_CLOEXEC) || fcntl(pipes->says[0], F_SETFL, O_NONBLOCK))
		return -errno;
	return 0;
}

static void close_pipes(const struct pipes *pipes)
{
	close_pair(pipes->control);
	close_pair(pipes->ack);
	close_pair(pipes->release);
	close_pair(pipes->says);
	close_pair((int[]){ pipes->error_fd, -1 });
	close_pair(pipes->failed);
}

/* 0 once perf runs, or why it does not. */
static int read_failure(const struct gj_record_options *options, struct pipes *pipes,
			struct gj_diag *diag)
{
	int err = 0;
	ssize_t got;

	close(pipes->failed[1]);
	pipes->failed[1] = -1;
	do
		got = read(pipes->failed[0], &err, sizeof(err));
	while (got < 0 && errno == EINTR);
	if (got != sizeof(err))
		return 0;
	if (err == ENOENT)
		return gj_diag_set(diag, -err,
				   "%s: there is no such program; install linux-perf or name one with PERF=PATH",
				   options->perf);
	return gj_diag_set(diag, -err, "%s cannot be run: %s", options->perf, strerror(err));
}

int gj_perf_start(const struct gj_record_options *options, const struct gj_programs *programs,
		  enum gj_perf_begin begin, struct gj_perf_run *run_out, struct gj_diag *diag)
{
	struct pipes pipes = NO_PIPES;
	struct arguments args = { 0 };
	pid_t pid = -1;
	int err = open_pipes(begin, &pipes);

	if (!err)
		err = open_says(options, begin, &pipes);
	add_all(&args, options, programs, &pipes);
	if (!err && args.text.failed)
		err = -ENOMEM;
	if (!err) {
		pid = fork();
		if (!pid)
			become_perf(&args, &pipes, begin == GJ_BEGIN_ENABLED);
		err = pid < 0 ? -errno : read_failure(options, &pipes, diag);
		if (err && pid > 0)
			waitpid(pid, NULL, 0);
	}
	gj_buf_deinit(&args.text);
	if (err) {
		close_pipes(&pipes);
		return gj_diag_set(diag, err, "perf cannot be started: %s", strerror(-err));
	}
	close_pair((int[]){ pipes.control[0], pipes.ack[1] });
	close_pair((int[]){ pipes.release[0], pipes.says[1] });
	close_pair((int[]){ pipes.error_fd, pipes.failed[0] });
	*run_out = (struct gj_perf_run){
		pid, pipes.control[1], pipes.ack[0], pipes.release[1],
		{ .fd = pipes.says[0], .repeat = options->repeat, .quiet = options->quiet },
	};
	return 0;
}

/* 0 once perf has done what it was told; -EPIPE when it ended instead. */
static int read_ack(const struct gj_perf_run *run)
{
	char answer[16];
	ssize_t got;

	do
		got = read(run->ack_fd, answer, sizeof(answer));
	while (got < 0 && errno == EINTR);
	return got > 0 ? 0 : -EPIPE;
}

#define AWAIT_MS 2 /* threads that begin between perf's look and ours are missed */

int gj_perf_await(struct gj_perf_run *run, int (*meanwhile)(void *data), void *data)
{
	/* perf answers once all its events are open. */
	static const char command[] = "ping\n";
	struct pollfd ack = { .fd = run->ack_fd, .events = POLLIN };
	int err;

	if (write(run->control_fd, command, sizeof(command) - 1) != sizeof(command) - 1)
		return -EPIPE;
	do {
		/* An end of perf's shows at the pipe. */
		err = meanwhile(data);
	} while (poll(&ack, 1, AWAIT_MS) <= 0 && !err);
	return read_ack(run) ? -EPIPE : err;
}

void gj_perf_release(struct gj_perf_run *run)
{
	ssize_t written;

	if (run->release_fd < 0)
		return;
	written = write(run->release_fd, "g", 1);
	(void)written; /* gone with perf, whose status tells */
	close(run->release_fd);
	run->release_fd = -1;
}

int gj_perf_enable(struct gj_perf_run *run, const char *event)
{
	char command[2 * GJ_UPROBE_NAME_BYTES];
	int size;

	if (event)
		size = snprintf(command, sizeof(command), "enable " GJ_UPROBE_GROUP ":%s\n", event);
	else
		size = snprintf(command, sizeof(command), "enable\n");
	if (write(run->control_fd, command, (size_t)size) != size)
		return -EPIPE;
	return read_ack(run);
}
