/* SPDX-License-Identifier: GPL-2.0 */
/* The gojitter command: picks the subcommand, answers --help and --version. */
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cmd/cmd.h"

struct command {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *purpose;
};

static const struct command commands[] = {
	{ "record", gj_cmd_record, "perf record that knows goroutines" },
	{ "inject", gj_cmd_inject, "copy of a perf.data file with whole call chains" },
	{ "pprof", gj_cmd_pprof, "pprof profile of a recording; a recording compared with a profile" },
	{ "profile", gj_cmd_profile, "CPU profile of Go processes, unwound and added up in the kernel" },
	{ "trace", gj_cmd_trace, "BPF programs on Go processes: maps that bpftool and dashboards read" },
	{ "untrace", gj_cmd_untrace, "end what trace started" },
	{ "budget", gj_cmd_budget, "keep what an instance of trace costs within its budget" },
	{ "events", gj_cmd_events, "what trace --events wrote, as text or JSON" },
	{ "export", gj_cmd_export, "what trace counts, for Prometheus: over HTTP, as a file" },
	{ "doctor", gj_cmd_doctor, "what can be recorded here, and what killed recordings left" },
	{ "sym", gj_cmd_sym, "names, lines and inlined calls of addresses in a Go binary" },
	{ "demangle", gj_cmd_demangle, "filter that makes Go symbol names readable" },
	{ "debuginfo", gj_cmd_debuginfo, "debug file for perf, gdb and bpftrace, made from Go's tables" },
	{ "bpf-object", gj_cmd_bpf_object, "BPF object that stock bpftool loads and attaches to one Go program" },
	{ "bpftrace", gj_cmd_bpftrace, "bpftrace script with the places and offsets of one Go program" },
};

#define COMMAND_CNT (sizeof(commands) / sizeof(commands[0]))

static void report(const char *fmt, va_list args)
{
	fflush(stdout);
	fputs("gojitter: ", stderr);
	vfprintf(stderr, fmt, args);
	fputc('\n', stderr);
}

void gj_cmd_say(const char *line)
{
	fprintf(stderr, "gojitter: %s\n", line);
}

void gj_cmd_say_nothing(const char *line)
{
	(void)line;
}

int gj_cmd_fail(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	report(fmt, args);
	va_end(args);
	return GJ_EXIT_FAILED;
}

int gj_cmd_fail_diag(int err, const struct gj_diag *diag)
{
	if (diag && diag->err)
		return gj_cmd_fail("%s", diag->text);
	return gj_cmd_fail("%s", strerror(err < 0 ? -err : err));
}

int gj_cmd_usage(const char *name, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	report(fmt, args);
	va_end(args);
	fprintf(stderr, "see gojitter %s --help\n", name);
	return GJ_EXIT_USAGE;
}

static void print_help(FILE *to)
{
	fputs("usage: gojitter COMMAND [OPTION...] [ARGUMENT...]\n\nCommands:\n", to);
	for (size_t i = 0; i < COMMAND_CNT; i++)
		fprintf(to, "  %-10s %s\n", commands[i].name, commands[i].purpose);
	fputs("\n'gojitter COMMAND --help' tells the options of one command.\n", to);
}

/*
 * Binaries are mapped, not read. One that is cut short in place, or whose disk
 * fails, is noticed in the middle of anything; all that is left is to say so.
 */
static void on_bus_error(int signal)
{
	static const char text[] =
		"gojitter: a file was cut short or could not be read while it was in use; try again\n";

	ssize_t written = write(STDERR_FILENO, text, sizeof(text) - 1);

	(void)signal;
	(void)written; /* there is nobody else to tell */
	_exit(GJ_EXIT_FAILED);
}

int main(int argc, char **argv)
{
	signal(SIGBUS, on_bus_error);
	if (argc < 2) {
		print_help(stderr);
		return GJ_EXIT_USAGE;
	}
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") || !strcmp(argv[1], "help")) {
		print_help(stdout);
		return 0;
	}
	if (!strcmp(argv[1], "--version") || !strcmp(argv[1], "version")) {
		puts("gojitter " GJ_VERSION);
		return 0;
	}
	for (size_t i = 0; i < COMMAND_CNT; i++)
		if (!strcmp(argv[1], commands[i].name))
			return commands[i].run(argc - 1, argv + 1);
	gj_cmd_fail("there is no command '%s'; see gojitter --help", argv[1]);
	return GJ_EXIT_USAGE;
}
