/* SPDX-License-Identifier: GPL-2.0 */
/* gojitter export: what instances of gojitter trace have counted, for Prometheus (src/export does it). */
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "cmd/cmd.h"
#include "export/export.h"

static const char help[] =
	"usage: gojitter export [--listen ADDR:PORT | --textfile DIR] [--instance NAME]\n"
	"\n"
	"Prints what gojitter trace has counted, as Prometheus takes it. It only reads the\n"
	"files metrics and census below /sys/fs/bpf/gojitter/v1/NAME.\n"
	"\n"
	"      --listen=ADDR:PORT  serve it at http://ADDR:PORT/metrics until interrupted\n"
	"      --textfile=DIR      put it into DIR/" GJ_EXPORT_FILE ", for node_exporter's\n"
	"                          --collector.textfile.directory\n"
	"      --instance=NAME     of that instance only; without it of all, now and to come\n"
	"  -q, --quiet             say nothing but errors\n"
	"  -h, --help              this text\n";

enum { OPT_LISTEN = 256, OPT_TEXTFILE, OPT_INSTANCE };

static const struct option options[] = {
	{ "listen", required_argument, NULL, OPT_LISTEN },
	{ "textfile", required_argument, NULL, OPT_TEXTFILE },
	{ "instance", required_argument, NULL, OPT_INSTANCE },
	{ "quiet", no_argument, NULL, 'q' },
	{ "help", no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 },
};

struct arguments {
	const char *listen, *textfile, *instance; /* NULL: not given */
	void (*say)(const char *line);
};

static int print(const struct arguments *args)
{
	struct gj_buf text = { 0 };
	struct gj_diag diag = { 0 };
	int err = gj_export_text(args->instance, &text, &diag);

	if (!err)
		err = gj_write_all(STDOUT_FILENO, text.data, text.size_bytes);
	gj_buf_deinit(&text);
	return err ? gj_cmd_fail_diag(err, &diag) : 0;
}

static int serve(const struct arguments *args)
{
	struct gj_exporter *exporter;
	struct gj_diag diag = { 0 };
	unsigned int port;
	sigset_t ends;
	char line[512];
	int err, signal, host_bytes;

	/* Before there is a thread that would take them. */
	sigemptyset(&ends);
	sigaddset(&ends, SIGINT);
	sigaddset(&ends, SIGTERM);
	sigprocmask(SIG_BLOCK, &ends, NULL);
	err = gj_exporter_open(args->listen, args->instance, &exporter, &port, &diag);
	if (err)
		return gj_cmd_fail_diag(err, &diag);
	host_bytes = (int)(strrchr(args->listen, ':') - args->listen);
	snprintf(line, sizeof(line), "serving http://%.*s:%u/metrics", host_bytes ? host_bytes : 9,
		 host_bytes ? args->listen : "localhost", port);
	args->say(line);
	while (sigwait(&ends, &signal))
		;
	gj_exporter_close(exporter);
	return 0;
}

static int to_file(const struct arguments *args)
{
	struct gj_diag diag = { 0 };
	int err = gj_export_to_file(args->instance, args->textfile, &diag);

	return err ? gj_cmd_fail_diag(err, &diag) : 0;
}

int gj_cmd_export(int argc, char **argv)
{
	struct arguments args = { .say = gj_cmd_say };
	int c;

	while ((c = getopt_long(argc, argv, "qh", options, NULL)) != -1) {
		switch (c) {
		case 'h': fputs(help, stdout); return 0;
		case 'q': args.say = gj_cmd_say_nothing; break;
		case OPT_LISTEN: args.listen = optarg; break;
		case OPT_TEXTFILE: args.textfile = optarg; break;
		case OPT_INSTANCE: args.instance = optarg; break;
		default: fputs("see gojitter export --help\n", stderr); return GJ_EXIT_USAGE;
		}
	}
	if (optind < argc)
		return gj_cmd_usage("export", "%s: not understood", argv[optind]);
	if (args.listen && args.textfile)
		return gj_cmd_usage("export", "--listen and --textfile exclude each other");
	return args.listen ? serve(&args) : args.textfile ? to_file(&args) : print(&args);
}
