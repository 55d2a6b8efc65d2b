/* SPDX-License-Identifier: GPL-2.0 */
/* gojitter profile: the options of a profile that the kernel adds up (src/profile does it). */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/cmd.h"
#include "profile/profile.h"

#define MAX_PIDS 64 /* as many as bpf/profile.bpf.c has room for */

static const char help[] =
	"usage: gojitter profile [OPTION...] -p PID[,PID...] | --instance NAME\n"
	"\n"
	"Samples the CPU time of Go processes, unwinds each stack in the kernel and\n"
	"counts equal ones there; prints folded stacks or writes a pprof profile, kernel\n"
	"part included. Ends after --for, with the processes, or by SIGINT.\n"
	"\n"
	"  -p, --pid=PID        processes that are running\n"
	"      --instance=NAME  what gojitter trace has sampled under that name so far\n"
	"  -F, --freq=HZ        samples a second and processor (99)\n"
	"      --for=TIME       how long: 500ms, 10s, 2m\n"
	"  -o, --output=FILE    a pprof profile, for go tool pprof\n"
	"      --folded         folded stacks, as flame graphs are made of; the default\n"
	"                       without -o\n"
	"      --by=goid        each goroutine's stacks apart\n"
	"      --compare-fp     say what the kernel's own walk by frame pointers finds\n"
	"      --cost           say what a sample costs here; no profile\n"
	"  -q, --quiet          say nothing but errors\n"
	"  -h, --help           this text\n";

enum { OPT_FOR = 256, OPT_INSTANCE, OPT_FOLDED, OPT_BY, OPT_COMPARE_FP, OPT_COST };

static const struct option options[] = {
	{ "pid", required_argument, NULL, 'p' },
	{ "instance", required_argument, NULL, OPT_INSTANCE },
	{ "freq", required_argument, NULL, 'F' },
	{ "for", required_argument, NULL, OPT_FOR },
	{ "output", required_argument, NULL, 'o' },
	{ "folded", no_argument, NULL, OPT_FOLDED },
	{ "by", required_argument, NULL, OPT_BY },
	{ "compare-fp", no_argument, NULL, OPT_COMPARE_FP },
	{ "cost", no_argument, NULL, OPT_COST },
	{ "quiet", no_argument, NULL, 'q' },
	{ "help", no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 },
};

/* What the options fill. */
struct arguments {
	struct gj_profile_options profile;
	uint32_t pids[MAX_PIDS];
	bool is_folded;
	bool is_how; /* an option says how to sample */
};

/* False when the option's value is wrong. */
static bool take_option(struct arguments *args, int c, const char *value)
{
	struct gj_profile_options *profile = &args->profile;

	args->is_how |= c == 'p' || c == 'F' || c == OPT_FOR || c == OPT_BY ||
			c == OPT_COMPARE_FP || c == OPT_COST;
	switch (c) {
	case 'p': return gj_cmd_pids(value, args->pids, MAX_PIDS, &profile->pid_cnt);
	case 'F': return gj_cmd_number(&value, 20000, "", &profile->hz);
	case 'o': profile->output = value; return *value;
	case 'q': profile->say = gj_cmd_say_nothing; return true;
	case OPT_FOR: return gj_cmd_time(value, &profile->for_ns);
	case OPT_INSTANCE: profile->instance = value; return true;
	case OPT_FOLDED: args->is_folded = true; return true;
	case OPT_BY: profile->by_goid = true; return !strcmp(value, "goid");
	case OPT_COMPARE_FP: profile->compare_fp = true; return true;
	default: profile->cost = true; return true;
	}
}

/* 0 to go on, else the exit status plus one. */
static int parse(struct arguments *args, int argc, char **argv)
{
	int c, which = 0;

	while ((c = getopt_long(argc, argv, "p:F:o:qh", options, &which)) != -1) {
		if (c == 'h') {
			fputs(help, stdout);
			return 1;
		}
		if (c == '?') {
			fputs("see gojitter profile --help\n", stderr);
			return GJ_EXIT_USAGE + 1;
		}
		if (!take_option(args, c, optarg)) {
			if (c < 256)
				return gj_cmd_usage("profile", "-%c %s: not understood", c, optarg) + 1;
			return gj_cmd_usage("profile", "--%s %s: not understood", options[which].name,
					    optarg) + 1;
		}
	}
	if (optind < argc)
		return gj_cmd_usage("profile", "%s: not understood", argv[optind]) + 1;
	if (args->profile.instance && args->is_how)
		return gj_cmd_usage("profile", "--instance has been sampled; only -o, --folded and -q go with it") + 1;
	if (!args->profile.pid_cnt && !args->profile.instance)
		return gj_cmd_usage("profile", "nothing to profile; give -p PID or --instance NAME") + 1;
	return 0;
}

/* What the session is told; @output: memory for one of its arguments. 0 or -ENOMEM. */
static int make_session_args(struct arguments *args, char **session_args, struct gj_buf *output)
{
	static char folded[] = "format=folded", pprof[] = "format=pprof";
	static char goid_on[] = "goid=on", goid_off[] = "goid=off";
	/* These stacks are walked by tables: no caller is lost, and none is to be guessed. */
	static char repair[] = "repair=off", quality[] = "quality=off";
	struct gj_profile_options *profile = &args->profile;

	profile->is_pprof = profile->output && !args->is_folded;
	session_args[0] = profile->is_pprof ? pprof : folded;
	session_args[1] = profile->by_goid ? goid_on : goid_off;
	session_args[2] = repair;
	session_args[3] = quality;
	profile->session_args = session_args;
	profile->session_arg_cnt = 4;
	if (!profile->is_pprof)
		return 0;
	gj_buf_fmt(output, "output=%s", profile->output);
	gj_buf_chr(output, '\0');
	session_args[profile->session_arg_cnt++] = output->data;
	return output->failed ? -ENOMEM : 0;
}

int gj_cmd_profile(int argc, char **argv)
{
	struct arguments args = { .profile = { .hz = 99, .say = gj_cmd_say } };
	struct gj_buf output = { 0 };
	struct gj_diag diag = { 0 };
	char *session_args[5];
	int err, status = parse(&args, argc, argv);

	if (status)
		return status - 1;
	args.profile.pids = args.pids;
	err = make_session_args(&args, session_args, &output);
	if (!err)
		err = gj_profile_run(&args.profile, &diag);
	gj_buf_deinit(&output);
	return err ? gj_cmd_fail_diag(err, &diag) : 0;
}
