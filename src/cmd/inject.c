/* SPDX-License-Identifier: GPL-2.0 */
/* gojitter inject: a copy of a perf.data file with whole call chains. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmd/cmd.h"
#include "inject/inject.h"
#include "perf/perf.h"

static const char help[] =
	"usage: gojitter inject -i IN -o OUT\n"
	"\n"
	"Copies a perf.data file and puts whole call chains into it, so that stock perf\n"
	"report, perf script, hotspot and others show them.\n"
	"\n"
	"  -i, --input=IN    recording of perf record or gojitter record\n"
	"  -o, --output=OUT  the copy\n"
	"      --symfs=DIR   look for the recorded programs below DIR\n"
	"  -q, --quiet       no line about what was done\n"
	"  -h, --help        this text\n"
	"\n"
	"perf script of the perf on PATH, or the one PERF names, reads IN. Deep stacks show\n"
	"whole with perf report --max-stack 1024.\n";

enum { OPT_SYMFS = 256 };

static const struct option options[] = {
	{ "input", required_argument, NULL, 'i' },
	{ "output", required_argument, NULL, 'o' },
	{ "symfs", required_argument, NULL, OPT_SYMFS },
	{ "quiet", no_argument, NULL, 'q' },
	{ "help", no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 },
};

static void sum_up(const struct gj_inject_options *inject, const struct gj_inject_stats *stats)
{
	printf("%s: %llu samples, %llu with a chain put in, %llu of them whole\n", inject->output,
	       (unsigned long long)stats->sample_cnt, (unsigned long long)stats->chain_cnt,
	       (unsigned long long)stats->complete_cnt);
	if (stats->capped_cnt)
		printf("%llu chains were longer than a record can be (64 KB) and lost their outermost frames\n",
		       (unsigned long long)stats->capped_cnt);
}

/* 0 to go on, else the exit status plus one. */
static int parse(struct gj_inject_options *inject, bool *quiet_out, int argc, char **argv)
{
	int c;

	while ((c = getopt_long(argc, argv, "i:o:qh", options, NULL)) != -1) {
		switch (c) {
		case 'i': inject->input = optarg; break;
		case 'o': inject->output = optarg; break;
		case OPT_SYMFS: inject->symfs = optarg; break;
		case 'q': *quiet_out = true; break;
		case 'h': fputs(help, stdout); return 1;
		default: fputs("see gojitter inject --help\n", stderr); return GJ_EXIT_USAGE + 1;
		}
	}
	if (optind < argc)
		return gj_cmd_usage("inject", "'%s' is no option; say -i IN -o OUT", argv[optind]) + 1;
	if (!inject->input || !inject->output)
		return gj_cmd_usage("inject", "say which recording to read and what to write: -i IN -o OUT") + 1;
	if (!strcmp(inject->input, "-") || !strcmp(inject->output, "-"))
		return gj_cmd_usage("inject", "IN and OUT are files; both are gone through more than once") + 1;
	return 0;
}

int gj_cmd_inject(int argc, char **argv)
{
	struct gj_inject_options inject = { .perf = gj_perf_program(), .say = gj_cmd_say };
	struct gj_inject_stats stats;
	struct gj_diag diag = { 0 };
	bool quiet = false;
	char *plugin = NULL;
	int err, status = parse(&inject, &quiet, argc, argv);

	if (status)
		return status - 1;
	err = gj_perf_find_plugin(&plugin, &diag);
	inject.plugin = plugin;
	if (!err)
		err = gj_inject_run(&inject, &stats, &diag);
	free(plugin);
	if (err)
		return gj_cmd_fail_diag(err, &diag);
	if (!quiet)
		sum_up(&inject, &stats);
	if (fflush(stdout) || ferror(stdout))
		return gj_cmd_fail("standard output: %s", strerror(errno));
	return 0;
}
