/* SPDX-License-Identifier: GPL-2.0 */
/* gojitter trace: which programs, on which processes, under which name (src/load does it). */
#include <errno.h>
#include <getopt.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/cmd.h"
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
	"      --instance=NAME  letters, digits, '_' and '-' (pid-PID, or the file's name)\n"
	"      --budget=SHARE   what the probes may cost: 2% of one processor, or of the targets'\n"
	"                       processor time where that is more; the dearest feature is turned\n"
	"                       off when it is exceeded (2%; off: nobody looks)\n"
	"      --take-over      replace an instance of that name\n"
	"  -v, --verbose        also what libbpf and the kernel's verifier say\n"
	"  -q, --quiet          say nothing but errors\n"
	"  -h, --help           this text\n";

enum { OPT_WHAT = 256, OPT_INSTANCE, OPT_TAKE_OVER, OPT_BUDGET };

static const struct option options[] = {
	{ "pid", required_argument, NULL, 'p' },
	{ "exe", required_argument, NULL, 'e' },
	{ "what", required_argument, NULL, OPT_WHAT },
	{ "instance", required_argument, NULL, OPT_INSTANCE },
	{ "budget", required_argument, NULL, OPT_BUDGET },
	{ "take-over", no_argument, NULL, OPT_TAKE_OVER },
	{ "verbose", no_argument, NULL, 'v' },
	{ "quiet", no_argument, NULL, 'q' },
	{ "help", no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 },
};

/* What the options fill. */
struct arguments {
	struct gj_trace_options trace;
	uint32_t pids[MAX_PIDS];
	const char *files[MAX_FILES];
	char instance[MAX_NAME + 1]; /* made of what is traced */
	bool is_list;
};

static const char *const tiers[] = {
	[GJ_TIER_ALWAYS] = "nothing is hooked in the target",
	[GJ_TIER_RARE] = "rare events are hooked",
	[GJ_TIER_SWITCH] = "every switch of goroutines or syscall is hooked; only when asked for",
};

static void print_list(void)
{
	uint32_t features = gj_trace_features();

	for (unsigned int i = 0; i < GJ_FEATURE_CNT; i++)
		if (features & 1u << i)
			printf("%-11s %s\n", gj_feature_name(i), tiers[gj_feature_tier(i)]);
}

static uint32_t default_features(void)
{
	uint32_t features = gj_trace_features();

	for (unsigned int i = 0; i < GJ_FEATURE_CNT; i++)
		if (gj_feature_tier(i) == GJ_TIER_SWITCH)
			features &= ~(1u << i);
	return features;
}

/* 0 or the exit status of wrong usage. */
static int parse_what(struct arguments *args, const char *text)
{
	uint32_t known = gj_trace_features();

	args->is_list = !strcmp(text, "list");
	args->trace.is_default = false;
	args->trace.features = strcmp(text, "all") ? 0 : known;
	/* Without any the loader says why. */
	if (args->is_list || args->trace.features || !known)
		return 0;
	while (*text) {
		size_t bytes = strcspn(text, ",");
		enum gj_feature feature;

		if (gj_feature_find(text, bytes, &feature) || !(known & 1u << feature)) {
			char names[256] = "";

			for (unsigned int i = 0; i < GJ_FEATURE_CNT; i++)
				if (known & 1u << i && strlen(names) + 24 < sizeof(names))
					strcat(strcat(names, names[0] ? ", " : ""), gj_feature_name(i));
			return gj_cmd_usage("trace", "--what %.*s: there are %s", (int)bytes, text,
					    names);
		}
		args->trace.features |= 1u << feature;
		text += bytes + (text[bytes] == ',');
	}
	return args->trace.features ? 0 : gj_cmd_usage("trace", "--what: no feature is named");
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
	case 'v': trace->is_verbose = true; return true;
	case 'q': trace->say = gj_cmd_say_nothing; return true;
	case OPT_INSTANCE: trace->instance = value; return true;
	case OPT_BUDGET:
		trace->is_budget_default = false;
		return gj_cmd_budget_value(value, &trace->budget_permille);
	default: trace->take_over = true; return true;
	}
}

/* 0 to go on, else the exit status plus one. */
static int parse(struct arguments *args, int argc, char **argv)
{
	int c, which = 0, status;

	while ((c = getopt_long(argc, argv, "p:e:vqh", options, &which)) != -1) {
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
		} else if (!take_option(args, c, optarg)) {
			return c == OPT_BUDGET ?
				gj_cmd_usage("trace", "--budget %s: a share like 2%% (0.1 to 100), or off",
					     optarg) + 1 :
				gj_cmd_usage("trace", "-%c %s: not understood", c, optarg) + 1;
		}
	}
	if (optind < argc)
		return gj_cmd_usage("trace", "%s: not understood", argv[optind]) + 1;
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

int gj_cmd_trace(int argc, char **argv)
{
	struct arguments args = { .trace = { .is_default = true, .say = gj_cmd_say,
					      .budget_permille = DEFAULT_BUDGET_PERMILLE,
					      .is_budget_default = true,
					      .keep = gj_cmd_budget_start } };
	struct gj_diag diag = { 0 };
	int err, status = parse(&args, argc, argv);

	if (status)
		return status - 1;
	if (args.is_list && gj_trace_features()) {
		print_list();
		return 0;
	}
	args.trace.pids = args.pids;
	args.trace.files = args.files;
	if (args.trace.is_default)
		args.trace.features = default_features();
	if (!args.trace.instance)
		name_instance(&args);
	err = gj_trace_start(&args.trace, &diag);
	return err ? gj_cmd_fail_diag(err, &diag) : 0;
}
