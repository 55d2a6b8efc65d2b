/* SPDX-License-Identifier: GPL-2.0 */
/* gojitter bpf-object: for which program, with what, into which file (src/load makes it). */
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "cmd/cmd.h"
#include "load/load.h"

static const char help[] =
	"usage: gojitter bpf-object -e FILE -o OUT [--what LIST]\n"
	"\n"
	"Writes a BPF object that stock bpftool, 7.5 and later, loads and attaches, with\n"
	"no program of ours:\n"
	"\n"
	"  bpftool prog loadall OUT DIR pinmaps DIR/maps autoattach\n"
	"\n"
	"Maps below DIR/maps are those of gojitter trace; removing DIR ends it.\n"
	"\n"
	"  -e, --exe=FILE     the program, with its symbols, where it will run\n"
	"  -o, --output=OUT   the object\n"
	"      --what=LIST    features, with commas between; all; list: say which there are.\n"
	"                     Without it all that cost little to leave on\n"
	"  -q, --quiet        say nothing but errors\n"
	"  -h, --help         this text\n";

enum { OPT_WHAT = 256 };

static const struct option options[] = {
	{ "exe", required_argument, NULL, 'e' },
	{ "output", required_argument, NULL, 'o' },
	{ "what", required_argument, NULL, OPT_WHAT },
	{ "quiet", no_argument, NULL, 'q' },
	{ "help", no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 },
};

/* What the options fill. */
struct arguments {
	struct gj_trace_options trace;
	const char *file, *output;
};

/* 0 to go on, else the exit status plus one. */
static int take_what(struct arguments *args, const char *text)
{
	int status;

	if (!strcmp(text, "list") && gj_trace_features()) {
		gj_cmd_print_features();
		return 1;
	}
	/* What cannot be had of all is told, and left. */
	args->trace.is_default = !strcmp(text, "all");
	status = gj_cmd_features("bpf-object", text, &args->trace.features);
	return status ? status + 1 : 0;
}

/* The same. */
static int parse(struct arguments *args, int argc, char **argv)
{
	int c, status;

	while ((c = getopt_long(argc, argv, "e:o:qh", options, NULL)) != -1) {
		switch (c) {
		case 'e': args->file = optarg; break;
		case 'o': args->output = optarg; break;
		case 'q': args->trace.say = gj_cmd_say_nothing; break;
		case 'h': fputs(help, stdout); return 1;
		case OPT_WHAT:
			status = take_what(args, optarg);
			if (status)
				return status;
			break;
		default:
			fputs("see gojitter bpf-object --help\n", stderr);
			return GJ_EXIT_USAGE + 1;
		}
	}
	if (optind < argc)
		return gj_cmd_usage("bpf-object", "%s: not understood", argv[optind]) + 1;
	if (!args->file || !*args->file)
		return gj_cmd_usage("bpf-object", "no program; give -e FILE") + 1;
	if (!args->output || !*args->output)
		return gj_cmd_usage("bpf-object", "nowhere to write it; give -o OUT") + 1;
	return 0;
}

int gj_cmd_bpf_object(int argc, char **argv)
{
	struct arguments args = { .trace = { .is_default = true, .say = gj_cmd_say } };
	struct gj_diag diag = { 0 };
	int err, status = parse(&args, argc, argv);

	if (status)
		return status - 1;
	args.trace.files = &args.file;
	args.trace.file_cnt = 1;
	if (!args.trace.features)
		args.trace.features = gj_cmd_default_features();
	err = gj_trace_write_object(&args.trace, args.output, &diag);
	return err ? gj_cmd_fail_diag(err, &diag) : 0;
}
