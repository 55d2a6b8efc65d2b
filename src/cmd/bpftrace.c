/* SPDX-License-Identifier: GPL-2.0 */
/* gojitter bpftrace: prints a bpftrace script for one Go binary (src/bpftrace makes it). */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "bpftrace/bpftrace.h"
#include "cmd/cmd.h"

static const char help[] =
	"usage: gojitter bpftrace -e FILE NAME [-p PID] [--offsets]\n"
	"       gojitter bpftrace --list\n"
	"\n"
	"Prints a bpftrace script with the places, registers and offsets of one Go\n"
	"program, stripped or not. Its first lines say how to run it.\n"
	"\n"
	"  -e, --exe=FILE   the program\n"
	"  -p, --pid=PID    look at this process only, not at all that run the program\n"
	"      --offsets    for a bpftrace that can probe inside functions\n"
	"                   (bpftrace --info: unsafe uprobe or bfd: yes)\n"
	"  -l, --list       the scripts, one a line\n"
	"  -h, --help       this text\n";

enum { OPT_OFFSETS = 256 };

static const struct option options[] = {
	{ "exe", required_argument, NULL, 'e' },
	{ "pid", required_argument, NULL, 'p' },
	{ "offsets", no_argument, NULL, OPT_OFFSETS },
	{ "list", no_argument, NULL, 'l' },
	{ "help", no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 },
};

static void print_list(void)
{
	const char *name, *purpose;

	for (size_t i = 0; gj_bpftrace_script(i, &name, &purpose); i++)
		printf("%-17s %s\n", name, purpose);
}

/* 0 to go on, else the exit status plus one. */
static int parse(struct gj_bpftrace_options *opt, int argc, char **argv)
{
	const char *value;
	int c;

	while ((c = getopt_long(argc, argv, "e:p:lh", options, NULL)) != -1) {
		switch (c) {
		case 'e': opt->path = optarg; break;
		case 'p':
			value = optarg;
			if (!gj_cmd_number(&value, 1 << 22, "", &opt->pid))
				return gj_cmd_usage("bpftrace", "-p %s: not understood", optarg) + 1;
			break;
		case OPT_OFFSETS: opt->with_offsets = true; break;
		case 'l': print_list(); return 1;
		case 'h': fputs(help, stdout); return 1;
		default:
			fputs("see gojitter bpftrace --help\n", stderr);
			return GJ_EXIT_USAGE + 1;
		}
	}
	if (!opt->path || !*opt->path)
		return gj_cmd_usage("bpftrace", "no program; give -e FILE") + 1;
	if (argc - optind != 1)
		return gj_cmd_usage("bpftrace", "give the name of one script (--list)") + 1;
	opt->name = argv[optind];
	return 0;
}

/* bpftrace may be run elsewhere: @path from the root on, links left as they are. */
static int make_absolute(const char *path, struct gj_buf *path_out)
{
	char here[4096];

	if (*path != '/') {
		if (!getcwd(here, sizeof(here)))
			return -errno;
		gj_buf_fmt(path_out, "%s/", here);
	}
	gj_buf_str(path_out, path);
	gj_buf_chr(path_out, '\0');
	return path_out->failed ? -ENOMEM : 0;
}

static int print_script(const struct gj_bpftrace_options *opt, struct gj_diag *diag)
{
	struct gj_image *image = NULL;
	struct gj_gotab *gotab = NULL;
	struct gj_buf script = { 0 };
	int err = gj_image_open(opt->path, &image, diag);

	if (!err)
		err = gj_gotab_open(image, &gotab, diag);
	if (!err)
		err = gj_bpftrace_write(image, gotab, opt, &script, diag);
	if (!err && script.failed)
		err = -ENOMEM;
	if (!err && (fwrite(script.data, 1, script.size_bytes, stdout) != script.size_bytes ||
		     fflush(stdout)))
		err = gj_diag_set(diag, -EIO, "the script could not be written");
	gj_buf_deinit(&script);
	gj_gotab_close(gotab);
	gj_image_close(image);
	return err;
}

int gj_cmd_bpftrace(int argc, char **argv)
{
	struct gj_bpftrace_options opt = { 0 };
	struct gj_buf path = { 0 };
	struct gj_diag diag = { 0 };
	int err, status = parse(&opt, argc, argv);

	if (status)
		return status - 1;
	err = make_absolute(opt.path, &path);
	if (!err) {
		opt.path = path.data;
		err = print_script(&opt, &diag);
	}
	gj_buf_deinit(&path);
	return err ? gj_cmd_fail_diag(err, &diag) : 0;
}
