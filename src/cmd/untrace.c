/* SPDX-License-Identifier: GPL-2.0 */
/* gojitter untrace: removes instances of gojitter trace. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/cmd.h"
#include "load/load.h"

static const char help[] =
	"usage: gojitter untrace [--instance NAME | --all]\n"
	"\n"
	"Takes an instance of gojitter trace away: its programs stop, its maps are gone.\n"
	"Without a name the only one there is.\n"
	"\n"
	"      --instance=NAME  which\n"
	"      --all            every one\n"
	"  -h, --help           this text\n";

enum { OPT_INSTANCE = 256, OPT_ALL };

static const struct option options[] = {
	{ "instance", required_argument, NULL, OPT_INSTANCE },
	{ "all", no_argument, NULL, OPT_ALL },
	{ "help", no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 },
};

/* The instances that are there, and how removing them went. */
struct instances {
	char *first; /* owned */
	size_t cnt;
	struct gj_diag diag;
};

static int count(void *data, const char *instance)
{
	struct instances *instances = data;

	if (!instances->cnt++)
		instances->first = strdup(instance);
	return 0;
}

static int stop(void *data, const char *instance)
{
	struct instances *instances = data;
	int err = gj_trace_stop(instance, &instances->diag);

	/* Somebody else was faster. */
	return err == -ENOENT ? 0 : err;
}

static int stop_only(struct instances *instances)
{
	int err = gj_trace_instances(count, instances, &instances->diag);

	if (err)
		return gj_cmd_fail_diag(err, &instances->diag);
	if (!instances->cnt)
		return gj_cmd_fail("there is no instance");
	if (instances->cnt > 1)
		return gj_cmd_fail("there are %zu instances; give --instance NAME or --all (ls /sys/fs/bpf/gojitter/v1)",
				   instances->cnt);
	err = instances->first ? gj_trace_stop(instances->first, &instances->diag) : -ENOMEM;
	return err ? gj_cmd_fail_diag(err, &instances->diag) : 0;
}

int gj_cmd_untrace(int argc, char **argv)
{
	struct instances instances = { 0 };
	const char *instance = NULL;
	bool is_all = false;
	int c, err;

	while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		if (c == 'h') {
			fputs(help, stdout);
			return 0;
		}
		if (c == '?') {
			fputs("see gojitter untrace --help\n", stderr);
			return GJ_EXIT_USAGE;
		}
		if (c == OPT_ALL)
			is_all = true;
		else
			instance = optarg;
	}
	if (optind < argc)
		return gj_cmd_usage("untrace", "%s: not understood", argv[optind]);
	if (is_all && instance)
		return gj_cmd_usage("untrace", "--all and --instance exclude each other");
	if (!is_all && !instance) {
		err = stop_only(&instances);
		free(instances.first);
		return err;
	}
	err = is_all ? gj_trace_instances(stop, &instances, &instances.diag) :
		       gj_trace_stop(instance, &instances.diag);
	return err ? gj_cmd_fail_diag(err, &instances.diag) : 0;
}
