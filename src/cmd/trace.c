/* SPDX-License-Identifier: GPL-2.0 */
/* gojitter trace: which programs, on which processes, under which name (src/load does it). */
#include <errno.h>
#include <getopt.h>
#include <libgen.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/cmd.h"
#include "events/events.h"
#include "load/load.h"

#define MAX_PIDS 64
#define MAX_FILES 16 /* programs of one instance */
#define MAX_NAME 64
#define DEFAULT_BUDGET_PERMILLE 20

static const char help[] =
	"usage: gojitter trace [OPTION...] -p PID[,PID...] | -e FILE\n"
	"\n"
	"Puts BPF programs on Go processes and returns at once; they go on, and what they\n"
	"count is in maps below /sys/fs/bpf/gojitter/v1/NAME, where bpftool, cat and\n"
	"dashboards find it, until gojitter untrace.\n"
	"\n"
	"  -p, --pid=PID        processes that are running\n"
	"  -e, --exe=FILE       a program: the processes that run it now, and those to come\n"
	"      --what=LIST      features, with commas between; all; list: say which there are.\n"
	"                       Without it all that cost little to leave on\n"
	"  -F, --freq=HZ        samples a second and processor, of the feature samples (49)\n"
	"      --instance=NAME  letters, digits, '_' and '-' (pid-PID, or the file's name)\n"
	"      --budget=SHARE   what the probes may cost: 2% of one processor, or of the targets'\n"
	"                       processor time where that is more; the dearest feature is turned\n"
	"                       off when it is exceeded (2%; off: nobody looks)\n"
	"      --take-over      replace an instance of that name\n"
	"      --events[=LIST]  stay, and write events to a file until interrupted or no process\n"
	"                       is left; then take the instance away. LIST: kinds, or all of\n"
	"                       a feature; without it those of all that is traced and of\n"
	"                       goroutines. gojitter events prints the file\n"
	"  -o, --output=FILE    that file (gojitter.events)\n"
	"      --for=TIME       end after 500ms, 10s, 2m\n"
	"      --events-buffer=SIZE  for what is not written yet: 64K, 16M (16M)\n"
	"      --perf-buffer    events through perf buffers, as where kernels have no ring buffer\n"
	"  -v, --verbose        also what libbpf and the kernel's verifier say\n"
	"  -q, --quiet          say nothing but errors\n"
	"  -h, --help           this text\n";

enum { OPT_WHAT = 256, OPT_INSTANCE, OPT_TAKE_OVER, OPT_BUDGET, OPT_EVENTS, OPT_FOR, OPT_BUFFER, OPT_PERF };

static const struct option options[] = {
	{ "pid", required_argument, NULL, 'p' },
	{ "exe", required_argument, NULL, 'e' },
	{ "freq", required_argument, NULL, 'F' },
	{ "what", required_argument, NULL, OPT_WHAT },
	{ "instance", required_argument, NULL, OPT_INSTANCE },
	{ "budget", required_argument, NULL, OPT_BUDGET },
	{ "take-over", no_argument, NULL, OPT_TAKE_OVER },
	{ "events", optional_argument, NULL, OPT_EVENTS },
	{ "output", required_argument, NULL, 'o' },
	{ "for", required_argument, NULL, OPT_FOR },
	{ "events-buffer", required_argument, NULL, OPT_BUFFER },
	{ "perf-buffer", no_argument, NULL, OPT_PERF },
	{ "verbose", no_argument, NULL, 'v' },
	{ "quiet", no_argument, NULL, 'q' },
	{ "help", no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 },
};

/* What the options fill. */
struct arguments {
	struct gj_trace_options trace;
	struct gj_trace_events events;
	bool has_events_option;      /* one that only events have */
	uint32_t pids[MAX_PIDS];
	const char *files[MAX_FILES];
	char instance[MAX_NAME + 1]; /* made of what is traced */
	bool is_list;
};

/* 0 or the exit status of wrong usage. */
static int parse_what(struct arguments *args, const char *text)
{
	args->is_list = !strcmp(text, "list");
	args->trace.is_default = false;
	return args->is_list ? 0 : gj_cmd_features("trace", text, &args->trace.features);
}

/* "64K", "16M", bytes. False when it is none. */
static bool parse_size(const char *text, uint32_t *bytes_out)
{
	unsigned int number, shift = 0;

	if (!gj_cmd_number(&text, 1u << 30, "KM", &number))
		return false;
	if (*text)
		shift = *text++ == 'K' ? 10 : 20;
	*bytes_out = number << shift;
	return !*text && *bytes_out >> shift == number && *bytes_out <= 1u << 30;
}

/* As take_option, of those that are for events. */
static bool take_events_option(struct arguments *args, int c, const char *value)
{
	args->has_events_option = true;
	switch (c) {
	case 'o': args->events.path = value; return *value;
	case OPT_FOR: return gj_cmd_time(value, &args->events.for_ns);
	case OPT_BUFFER: return parse_size(value, &args->events.buffer_bytes);
	default: args->events.by_perf = true; return true;
	}
}

/* False when the option's value is wrong. */
static bool take_option(struct arguments *args, int c, const char *value)
{
	struct gj_trace_options *trace = &args->trace;

	switch (c) {
	case 'p': return gj_cmd_pids(value, args->pids, MAX_PIDS, &trace->pid_cnt);
	case 'e':
		if (trace->file_cnt == MAX_FILES || !*value)
			return false;
		args->files[trace->file_cnt++] = value;
		return true;
	case 'F': return gj_cmd_number(&value, 20000, "", &trace->sample_hz);
	case 'v': trace->is_verbose = true; return true;
	case 'q': trace->say = gj_cmd_say_nothing; return true;
	case OPT_INSTANCE: trace->instance = value; return true;
	case OPT_BUDGET:
		trace->is_budget_default = false;
		return gj_cmd_budget_value(value, &trace->budget_permille);
	case OPT_TAKE_OVER: trace->take_over = true; return true;
	default: return take_events_option(args, c, value);
	}
}

/* Of an option that takes a value, as people write it; the value follows. */
static const char *name_of(int c)
{
	static char name[32];
	const struct option *option = options;

	while (option->name && option->val != c)
		option++;
	if (c < 256)
		snprintf(name, sizeof(name), "-%c ", c);
	else
		snprintf(name, sizeof(name), "--%s=", option->name);
	return name;
}

/* 0 to go on, else the exit status plus one. */
static int parse(struct arguments *args, int argc, char **argv)
{
	int c, which = 0, status;

	while ((c = getopt_long(argc, argv, "p:e:F:o:vqh", options, &which)) != -1) {
		if (c == 'h') {
			fputs(help, stdout);
			return 1;
		}
		if (c == '?') {
			fputs("see gojitter trace --help\n", stderr);
			return GJ_EXIT_USAGE + 1;
		}
		if (c == OPT_WHAT) {
			status = parse_what(args, optarg);
			if (status)
				return status + 1;
		} else if (c == OPT_EVENTS) {
			args->trace.events = &args->events;
			status = optarg ? gj_cmd_kinds("trace", "--events", optarg,
						       &args->events.kinds) : 0;
			if (status)
				return status + 1;
		} else if (!take_option(args, c, optarg)) {
			return c == OPT_BUDGET ?
				gj_cmd_usage("trace", "--budget %s: a share like 2%% (0.1 to 100), or off",
					     optarg) + 1 :
				gj_cmd_usage("trace", "%s%s: not understood", name_of(c), optarg) + 1;
		}
	}
	if (optind < argc)
		return gj_cmd_usage("trace", "%s: not understood", argv[optind]) + 1;
	if (args->has_events_option && !args->trace.events)
		return gj_cmd_usage("trace", "-o, --for, --events-buffer and --perf-buffer go with --events") + 1;
	if (!args->is_list && !args->trace.pid_cnt && !args->trace.file_cnt)
		return gj_cmd_usage("trace", "nothing to trace; give -p PID or -e FILE") + 1;
	return 0;
}

/* After the first process, else the first file; other characters become '_'. */
static void name_instance(struct arguments *args)
{
	char copy[4096];

	if (args->trace.pid_cnt) {
		snprintf(args->instance, sizeof(args->instance), "pid-%u", args->pids[0]);
	} else {
		snprintf(copy, sizeof(copy), "%s", args->files[0]);
		snprintf(args->instance, sizeof(args->instance), "%s", basename(copy));
	}
	for (char *c = args->instance; *c; c++)
		if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-", *c))
			*c = '_';
	args->trace.instance = args->instance;
}

static volatile sig_atomic_t is_stopped;

static void stop(int signal)
{
	is_stopped = signal;
}

/* Features whose programs tell one of @kinds. */
static uint32_t features_of(uint64_t kinds)
{
	uint32_t features = 0;

	for (unsigned int kind = 0; kind < GJ_EVENT_KIND_CNT; kind++) {
		const char *name = gj_event_kind_feature(kind);
		enum gj_feature feature;

		if (kinds >> kind & 1 && name && !gj_feature_find(name, strlen(name), &feature))
			features |= 1u << feature;
	}
	return features & gj_trace_features();
}

/* Kinds that programs of @features tell. */
static uint64_t kinds_of(uint32_t features)
{
	uint64_t kinds = 0;

	for (unsigned int i = 0; i < GJ_FEATURE_CNT; i++)
		if (features & 1u << i)
			kinds |= gj_event_kinds_find(gj_feature_name(i), strlen(gj_feature_name(i)));
	return kinds;
}

/* Without a list: what is traced, and unless that is said, goroutines. 0 or the exit status. */
static int choose_events(struct arguments *args)
{
	struct gj_trace_events *events = &args->events;
	const struct sigaction action = { .sa_handler = stop };

	if (events->kinds)
		args->trace.features |= features_of(events->kinds);
	else if (args->trace.is_default)
		args->trace.features |= features_of(GJ_EVENT_BIT(goroutine_running));
	if (!events->kinds)
		events->kinds = kinds_of(args->trace.features);
	events->kinds &= kinds_of(args->trace.features);
	if (!events->kinds && gj_trace_features())
		return gj_cmd_usage("trace", "--events: nothing that is traced has such events");
	if (!events->path)
		events->path = "gojitter.events";
	/* Measuring it would fill the buffer before anybody reads. */
	if (args->trace.is_budget_default)
		args->trace.budget_permille = 0;
	events->stop = &is_stopped;
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGHUP, &action, NULL);
	return 0;
}

int gj_cmd_trace(int argc, char **argv)
{
	struct arguments args = { .trace = { .is_default = true, .say = gj_cmd_say,
					      .budget_permille = DEFAULT_BUDGET_PERMILLE,
					      .is_budget_default = true,
					      .keep = gj_cmd_budget_start,
					      .sample_hz = GJ_TRACE_SAMPLE_HZ } };
	struct gj_diag diag = { 0 };
	int err, status = parse(&args, argc, argv);

	if (status)
		return status - 1;
	if (args.is_list && gj_trace_features()) {
		gj_cmd_print_features();
		return 0;
	}
	args.trace.pids = args.pids;
	args.trace.files = args.files;
	if (args.trace.is_default)
		args.trace.features = gj_cmd_default_features();
	if (args.trace.events)
		status = choose_events(&args);
	if (status)
		return status;
	if (!args.trace.instance)
		name_instance(&args);
	err = gj_trace_start(&args.trace, &diag);
	return err ? gj_cmd_fail_diag(err, &diag) : 0;
}
