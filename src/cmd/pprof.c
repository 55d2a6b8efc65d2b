/* SPDX-License-Identifier: GPL-2.0 */
/* gojitter pprof: a recording to a pprof profile, and two profiles compared (src/pprof). */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/file.h"
#include "cmd/cmd.h"
#include "perf/perf.h"
#include "pprof/pprof.h"

#define MAX_PLUGIN_ARGS 16

static const char help[] =
	"usage: gojitter pprof [-i PERF.DATA] [-o PROFILE] [OPTION...] [-- PERF-SCRIPT-OPTION...]\n"
	"       gojitter pprof --compare CPU.PPROF [-i PERF.DATA] [OPTION...] [-- ...]\n"
	"       gojitter pprof --compare CPU.PPROF OTHER.PPROF [OPTION...]\n"
	"\n"
	"Writes a pprof profile from a perf recording: for `go tool pprof` and\n"
	"`go build -pgo`. Or tells how well a profile by runtime/pprof and a recording of\n"
	"the same process and time agree.\n"
	"\n"
	"  -i, --input=FILE     recording, as perf script takes it (perf.data)\n"
	"  -o, --output=FILE    profile (profile.pb.gz); - for standard output\n"
	"      --labels=LIST    of goid, thread, cpu, pprof (the program's own); or none\n"
	"                       (goid,pprof)\n"
	"      --no-kernel      without the kernel's frames\n"
	"      --event=NAME     the event counted, where there are several (the first seen)\n"
	"      --symfs=DIR      where the binaries lie\n"
	"      --compare=FILE   compare with this profile\n"
	"  -n, --top=N          stacks shown by --compare (20)\n"
	"      --json           --compare's answer as JSON, with all stacks\n"
	"  -h, --help           this text\n"
	"\n"
	"perf is the one on PATH; the environment variable PERF names another.\n";

enum { OPT_LABELS = 256, OPT_NO_KERNEL, OPT_EVENT, OPT_SYMFS, OPT_COMPARE, OPT_JSON };

static const struct option options[] = {
	{ "input", required_argument, NULL, 'i' },
	{ "output", required_argument, NULL, 'o' },
	{ "labels", required_argument, NULL, OPT_LABELS },
	{ "no-kernel", no_argument, NULL, OPT_NO_KERNEL },
	{ "event", required_argument, NULL, OPT_EVENT },
	{ "symfs", required_argument, NULL, OPT_SYMFS },
	{ "compare", required_argument, NULL, OPT_COMPARE },
	{ "top", required_argument, NULL, 'n' },
	{ "json", no_argument, NULL, OPT_JSON },
	{ "help", no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 },
};

struct arguments {
	struct gj_perf_script script;
	char *plugin_args[MAX_PLUGIN_ARGS + 1]; /* owned */
	size_t plugin_arg_cnt;
	const char *output;
	const char *compare, *other;
	unsigned long top;
	bool has_input, json;
};

/* "KEY=VALUE" for the plugin; a key given twice counts as given last. */
static bool add_plugin_arg(struct arguments *args, const char *key, const char *value)
{
	char *arg;

	if (args->plugin_arg_cnt == MAX_PLUGIN_ARGS || asprintf(&arg, "%s=%s", key, value) < 0)
		return false;
	args->plugin_args[args->plugin_arg_cnt++] = arg;
	return true;
}

static bool are_labels(const char *list)
{
	static const char *const names[] = { "goid", "thread", "cpu", "pprof", "none" };

	while (*list) {
		size_t cnt = strcspn(list, ","), i;

		for (i = 0; i < 5; i++)
			if (strlen(names[i]) == cnt && !memcmp(names[i], list, cnt))
				break;
		if (i == 5)
			return false;
		list += cnt + (list[cnt] == ',');
	}
	return true;
}

/* False when the option's value is wrong. */
static bool take_option(struct arguments *args, int c, const char *value)
{
	char *end;

	switch (c) {
	case 'i': args->script.input = value; args->has_input = true; return *value;
	case 'o': args->output = value; return *value;
	case OPT_LABELS: return are_labels(value) && add_plugin_arg(args, "labels", value);
	case OPT_NO_KERNEL: return add_plugin_arg(args, "kernel", "off");
	case OPT_EVENT: return *value && add_plugin_arg(args, "event", value);
	case OPT_SYMFS: return *value && add_plugin_arg(args, "symfs", value);
	case OPT_COMPARE: args->compare = value; return *value;
	case OPT_JSON: args->json = true; return true;
	default:
		args->top = strtoul(value, &end, 10);
		return end != value && !*end && *value != '-';
	}
}

/* What stands behind the options: OTHER.PPROF, then after "--" perf's. */
static int take_rest(struct arguments *args, int argc, char **argv)
{
	bool is_perfs = optind > 0 && !strcmp(argv[optind - 1], "--");

	if (!is_perfs && optind < argc && args->compare && !args->has_input) {
		args->other = argv[optind++];
		is_perfs = optind == argc;
	} else if (!is_perfs) {
		is_perfs = optind == argc;
	}
	if (!is_perfs)
		return gj_cmd_usage("pprof", "%s: what is this for? perf script's options stand behind --",
				    argv[optind]) + 1;
	if (!args->compare && args->json)
		return gj_cmd_usage("pprof", "--json goes with --compare") + 1;
	if (args->compare && args->output)
		return gj_cmd_usage("pprof", "--compare and -o exclude each other") + 1;
	args->script.perf_args = argv + optind;
	return 0;
}

/* 0 to go on, else the exit status plus one. */
static int parse(struct arguments *args, int argc, char **argv)
{
	int c, which = 0;

	while ((c = getopt_long(argc, argv, "i:o:n:h", options, &which)) != -1) {
		if (c == 'h') {
			fputs(help, stdout);
			return 1;
		}
		if (c == '?') {
			fputs("see gojitter pprof --help\n", stderr);
			return GJ_EXIT_USAGE + 1;
		}
		if (!take_option(args, c, optarg)) {
			if (c < 256)
				return gj_cmd_usage("pprof", "-%c %s: not understood", c, optarg) + 1;
			return gj_cmd_usage("pprof", "--%s %s: not understood", options[which].name,
					    optarg ? optarg : "") + 1;
		}
	}
	return take_rest(args, argc, argv);
}

static int run_perf(struct arguments *args, struct gj_buf *out, struct gj_diag *diag)
{
	char *plugin = NULL;
	int err = gj_perf_find_plugin(&plugin, diag);

	args->script.perf = gj_perf_program();
	args->script.plugin = plugin;
	args->script.plugin_args = args->plugin_args;
	args->script.say = gj_cmd_say;
	if (!err)
		err = gj_profile_from_perf(&args->script, out, diag);
	free(plugin);
	return err;
}

static int put_out(const char *path, const struct gj_buf *bytes, struct gj_diag *diag)
{
	bool is_stdout = !strcmp(path, "-");
	int fd = is_stdout ? STDOUT_FILENO : open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	int err = fd < 0 ? -errno : gj_write_all(fd, bytes->data, bytes->size_bytes);

	if (fd >= 0 && !is_stdout && close(fd) && !err)
		err = -errno;
	if (err)
		gj_diag_set(diag, err, "%s: %s", is_stdout ? "standard output" : path, strerror(-err));
	return err;
}

/* A profile without samples is not worth a file; why there are none, the user must be told. */
static int check_samples(const struct arguments *args, const struct gj_buf *bytes,
			 struct gj_diag *diag)
{
	struct gj_profile_file *file;
	int err = gj_profile_read((struct gj_window){ (const uint8_t *)bytes->data, bytes->size_bytes },
				  args->script.input, &file, diag);

	if (err)
		return err;
	if (!gj_profile_of(file)->sample_cnt)
		err = gj_diag_set(diag, -ENODATA,
				  "%s: no samples are left; look at --event, --no-kernel and perf script's options, and at what perf script -i %s shows",
				  args->script.input, args->script.input);
	gj_profile_close(file);
	return err;
}

static int convert(struct arguments *args, struct gj_diag *diag)
{
	const char *output = args->output ? args->output : "profile.pb.gz";
	struct gj_buf bytes = { 0 };
	int err = run_perf(args, &bytes, diag);

	if (!err)
		err = check_samples(args, &bytes, diag);
	if (!err)
		err = put_out(output, &bytes, diag);
	gj_buf_deinit(&bytes);
	return err;
}

/* The other profile: a file, or made from the recording. */
static int open_other(struct arguments *args, struct gj_profile_file **other_out,
		      struct gj_diag *diag)
{
	struct gj_buf bytes = { 0 };
	int err;

	if (args->other)
		return gj_profile_open(args->other, other_out, diag);
	if (!add_plugin_arg(args, "labels", "none"))
		return gj_diag_set(diag, -ENOMEM, "out of memory");
	err = run_perf(args, &bytes, diag);
	if (!err)
		err = gj_profile_read((struct gj_window){ (const uint8_t *)bytes.data,
							  bytes.size_bytes },
				      args->script.input, other_out, diag);
	gj_buf_deinit(&bytes);
	return err;
}

static int print_comparison(const struct arguments *args, const struct gj_profile *ours,
			    const struct gj_profile *theirs, struct gj_diag *diag)
{
	struct gj_comparison *comparison = NULL;
	struct gj_buf out = { 0 };
	int err = gj_compare(ours, theirs, &comparison, diag);

	if (err)
		return err;
	if (args->json)
		gj_comparison_json(comparison, &out);
	else
		gj_comparison_text(comparison, args->top, &out);
	err = out.failed ? gj_diag_set(diag, -ENOMEM, "out of memory") : put_out("-", &out, diag);
	gj_buf_deinit(&out);
	gj_comparison_free(comparison);
	return err;
}

static int compare(struct arguments *args, struct gj_diag *diag)
{
	struct gj_profile_file *ours = NULL, *theirs = NULL;
	int err = gj_profile_open(args->compare, &ours, diag);

	if (!err)
		err = open_other(args, &theirs, diag);
	if (!err)
		err = print_comparison(args, gj_profile_of(ours), gj_profile_of(theirs), diag);
	gj_profile_close(theirs);
	gj_profile_close(ours);
	return err;
}

int gj_cmd_pprof(int argc, char **argv)
{
	struct arguments args = { .script = { .input = "perf.data" }, .top = 20 };
	struct gj_diag diag = { 0 };
	int status = parse(&args, argc, argv), err = 0;

	if (!status)
		err = args.compare ? compare(&args, &diag) : convert(&args, &diag);
	for (size_t i = 0; i < args.plugin_arg_cnt; i++)
		free(args.plugin_args[i]);
	if (status)
		return status - 1;
	return err ? gj_cmd_fail_diag(err, &diag) : 0;
}
