/* SPDX-License-Identifier: GPL-2.0 */
/* gojitter record: the options of a recording (src/record does it). */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmd/cmd.h"
#include "gj_abi.h"
#include "perf/perf.h"
#include "record/record.h"

#define MAX_EVENTS 64
#define MAX_PIDS 1024

static const char help[] =
	"usage: gojitter record [OPTION...] [-p PID[,PID...] | -a] [--] [COMMAND [ARG...]]\n"
	"\n"
	"Records with perf so that `perf script -s gojitter.so` knows the goroutine of\n"
	"each sample. Writes an ordinary perf.data file. With -p or -a, COMMAND only says\n"
	"how long to record (as with perf: -p 1234 -- sleep 10).\n"
	"\n"
	"  -F, --freq=HZ          samples a second and event (999)\n"
	"  -g                     call graphs by frame pointer; always on\n"
	"      --call-graph=MODE  fp: by frame pointer, with the stacks themselves behind the\n"
	"                         samples where BPF is allowed (the default);\n"
	"                         both[,BYTES]: by frame pointer, with a slice of the stack;\n"
	"                         dwarf[,BYTES]: stack dumps by perf\n"
	"      --stack-size=BYTES of each stack behind a sample, at most (32768)\n"
	"      --no-bpf           no stacks behind the samples; a probe tells goroutines\n"
	"  -e, --event=EVENT      what to sample, in perf's notation; may be repeated\n"
	"                         (cycles, or cpu-clock where there are no counters)\n"
	"  -p, --pid=PID          processes that are running\n"
	"  -a, --all-cpus         the whole machine\n"
	"  -C, --cpu=LIST         only on these processors\n"
	"  -m, --mmap-pages=SIZE  buffer per processor (8M for root)\n"
	"  -o, --output=FILE      perf.data; - for standard output\n"
	"  -z, --compress         let perf compress its records\n"
	"      --probe            a probe on runtime.execute even where the stacks tell\n"
	"                         goroutines\n"
	"      --no-probe         never one: without BPF, goroutines are known only as far as\n"
	"                         registers and snapshots of the process show\n"
	"      --max-cost=PERCENT no probe either where it would take more than this of one\n"
	"                         processor (20)\n"
	"  -n, --dry-run          say what would be done\n"
	"  -q, --quiet            say nothing but errors\n"
	"  -h, --help             this text\n"
	"\n"
	"perf is the one on PATH; the environment variable PERF names another.\n";

enum { OPT_CALL_GRAPH = 256, OPT_STACK_SIZE, OPT_NO_BPF, OPT_PROBE, OPT_NO_PROBE, OPT_MAX_COST, OPT_HELD };

static const struct option options[] = {
	{ "freq", required_argument, NULL, 'F' },
	{ "call-graph", required_argument, NULL, OPT_CALL_GRAPH },
	{ "event", required_argument, NULL, 'e' },
	{ "pid", required_argument, NULL, 'p' },
	{ "all-cpus", no_argument, NULL, 'a' },
	{ "cpu", required_argument, NULL, 'C' },
	{ "mmap-pages", required_argument, NULL, 'm' },
	{ "output", required_argument, NULL, 'o' },
	{ "stack-size", required_argument, NULL, OPT_STACK_SIZE },
	{ "no-bpf", no_argument, NULL, OPT_NO_BPF },
	{ "compress", no_argument, NULL, 'z' },
	{ "probe", no_argument, NULL, OPT_PROBE },
	{ "no-probe", no_argument, NULL, OPT_NO_PROBE },
	/* For gojitter itself: how it has perf start a command (src/record/held.c). */
	{ "held", required_argument, NULL, OPT_HELD },
	{ "max-cost", required_argument, NULL, OPT_MAX_COST },
	{ "dry-run", no_argument, NULL, 'n' },
	{ "quiet", no_argument, NULL, 'q' },
	{ "help", no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 },
};

/* What the options fill. */
struct arguments {
	struct gj_record_options record;
	const char *events[MAX_EVENTS];
	uint32_t pids[MAX_PIDS];
	const char *held_fds; /* of --held; NULL: not given */
};

static void repeat(const char *text, size_t size_bytes)
{
	fwrite(text, 1, size_bytes, stderr);
}

/* MODE or MODE,BYTES; whole words, as the kernel takes them (perf-record(1), --call-graph). */
static bool parse_mode(const char *text, const char *mode, unsigned int max_bytes,
		       unsigned int *bytes_out)
{
	size_t cnt = strlen(mode);

	if (strncmp(text, mode, cnt))
		return false;
	if (!text[cnt])
		return true;
	text += cnt + 1;
	return text[-1] == ',' && gj_cmd_number(&text, max_bytes, "", bytes_out) &&
	       *bytes_out % 8 == 0;
}

static bool parse_call_graph(struct gj_record_options *record, const char *text)
{
	if (!strcmp(text, "fp"))
		record->call_graph = GJ_CALL_GRAPH_FP;
	else if (parse_mode(text, "dwarf", 65528, &record->dump_bytes))
		record->call_graph = GJ_CALL_GRAPH_DWARF;
	else if (parse_mode(text, "both", GJ_STACK_MAX_BYTES, &record->slice_bytes))
		record->call_graph = GJ_CALL_GRAPH_BOTH;
	else
		return false;
	return true;
}

/* EVENT[,EVENT...]; commas in an event's terms and in groups are its own. Cuts @text. */
static bool add_events(struct arguments *args, char *text)
{
	while (*text) {
		bool in_terms = false, in_group = false;
		char *at = text;

		for (; *at && (in_terms || in_group || *at != ','); at++) {
			in_terms ^= *at == '/';
			in_group = *at == '{' || (in_group && *at != '}');
		}
		if (args->record.event_cnt == MAX_EVENTS || at == text)
			return false;
		args->events[args->record.event_cnt++] = text;
		text = at + (*at == ',');
		*at = '\0';
	}
	return args->record.event_cnt;
}

/* False when the option's value is wrong. */
static bool take_option(struct arguments *args, int c, const char *value)
{
	struct gj_record_options *record = &args->record;

	switch (c) {
	case 'F': return gj_cmd_number(&value, 1000000, "", &record->hz);
	case 'e': return add_events(args, optarg);
	case 'p': return gj_cmd_pids(value, args->pids, MAX_PIDS, &record->pid_cnt);
	case 'a': record->system_wide = true; return true;
	case 'C': record->cpus = value; return true;
	case 'm': record->pages = value; return true;
	case 'o': record->output = value; return true;
	case 'n': record->dry_run = true; return true;
	case 'q': record->quiet = true; return true;
	case 'g': return true;
	case OPT_CALL_GRAPH: return parse_call_graph(record, value);
	case 'z': record->compress = true; return true;
	case OPT_STACK_SIZE:
		return gj_cmd_number(&value, GJ_STACK_MAX_BYTES, "", &record->stack_bytes) &&
		       record->stack_bytes % 8 == 0;
	case OPT_NO_BPF: record->use_bpf = false; return true;
	case OPT_PROBE: record->probe = GJ_PROBE_ALWAYS; return true;
	case OPT_NO_PROBE: record->probe = GJ_PROBE_NEVER; return true;
	case OPT_HELD: args->held_fds = value; return true;
	default: return gj_cmd_number(&value, 10000, "", &record->max_cost_percent);
	}
}

/* 0 to go on, else the exit status plus one. */
static int parse(struct arguments *args, int argc, char **argv)
{
	struct gj_record_options *record = &args->record;
	int c, which = 0;

	/* '+': what follows the command is the command's. */
	while ((c = getopt_long(argc, argv, "+F:ge:p:aC:m:o:nqzh", options, &which)) != -1) {
		if (c == 'h') {
			fputs(help, stdout);
			return 1;
		}
		if (c == '?') {
			fputs("see gojitter record --help\n", stderr);
			return GJ_EXIT_USAGE + 1;
		}
		if (!take_option(args, c, optarg)) {
			if (c < 256)
				return gj_cmd_usage("record", "-%c %s: not understood", c, optarg) + 1;
			return gj_cmd_usage("record", "--%s %s: not understood", options[which].name,
					    optarg) + 1;
		}
	}
	if (optind < argc)
		record->command = argv + optind;
	if (args->held_fds)
		return record->command ? 0 : gj_cmd_usage("record", "--held: no command") + 1;
	/* As with perf, processors alone mean everything on them. */
	record->system_wide |= record->cpus && !record->pid_cnt;
	if (record->pid_cnt && record->system_wide)
		return gj_cmd_usage("record", "-p and -a exclude each other") + 1;
	if (!record->command && !record->pid_cnt && !record->system_wide)
		return gj_cmd_usage("record", "nothing to record; give -p PID, -a or a command") + 1;
	return 0;
}

/* This program, by its name or, when that is gone, through /proc as long as we run. */
static void find_self(char path_out[4096])
{
	ssize_t cnt = readlink("/proc/self/exe", path_out, 4095);

	path_out[cnt > 0 ? cnt : 0] = '\0';
	if (access(path_out, X_OK))
		snprintf(path_out, 4096, "/proc/%d/exe", (int)getpid());
}

int gj_cmd_record(int argc, char **argv)
{
	struct arguments args = {
		.record = {
			.perf = gj_perf_program(),
			.output = "perf.data",
			.hz = 999,
			.dump_bytes = 8192,
			.stack_bytes = GJ_STACK_MAX_BYTES,
			.slice_bytes = 1024,
			.use_bpf = true,
			/* Others than root may lock half a megabyte (kernel.perf_event_mlock_kb). */
			.pages = geteuid() ? NULL : "8M",
			.probe = GJ_PROBE_AUTO,
			.max_cost_percent = 20,
			.say = gj_cmd_say,
			.repeat = repeat,
		},
	};
	char self[4096];
	struct gj_diag diag = { 0 };
	int err, status = parse(&args, argc, argv);

	if (status)
		return status - 1;
	if (args.held_fds) {
		err = gj_held_command(args.held_fds, args.record.command, &diag);
		gj_cmd_fail_diag(err, &diag);
		return 127;
	}
	find_self(self);
	args.record.held = self;
	args.record.events = args.events;
	args.record.pids = args.pids;
	if (args.record.quiet)
		args.record.say = gj_cmd_say_nothing;
	err = gj_record_run(&args.record, &status, &diag);
	if (err)
		return gj_cmd_fail_diag(err, &diag);
	return status;
}
