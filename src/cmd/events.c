/* SPDX-License-Identifier: GPL-2.0 */
/* gojitter events: prints a file that gojitter trace --events wrote. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "cmd/cmd.h"
#include "events/events.h"

#define PIECE_BYTES (64u << 10) /* of output, written at once */

static const char help[] =
	"usage: gojitter events [--json] [--kind LIST] FILE\n"
	"\n"
	"Prints what gojitter trace --events wrote, a line for each event: seconds since\n"
	"it began, processor, process/thread, what happened, to which goroutine (its\n"
	"number and the function it began with), and why.\n"
	"\n"
	"      --json       lines of JSON; the first tells of the file and its programs\n"
	"      --kind=LIST  only these kinds, or all of a feature, with commas between; lost\n"
	"                   events are always told\n"
	"  -h, --help       this text\n";

enum { OPT_JSON = 256, OPT_KIND };

static const struct option options[] = {
	{ "json", no_argument, NULL, OPT_JSON },
	{ "kind", required_argument, NULL, OPT_KIND },
	{ "help", no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 },
};

int gj_cmd_kinds(const char *command, const char *option, const char *text, uint64_t *kinds_out)
{
	uint64_t kinds = 0;

	while (*text) {
		size_t bytes = strcspn(text, ",");
		uint64_t found = gj_event_kinds_find(text, bytes);

		if (!found || found == GJ_EVENT_BIT(events_lost))
			return gj_cmd_usage(command, "%s %.*s: there are %s", option, (int)bytes, text,
					    "goroutines, gc, syscalls, netpoll, threads, tcp, and their kinds (gojitter-events(1))");
		kinds |= found;
		text += bytes + (text[bytes] == ',');
	}
	*kinds_out = kinds;
	return kinds ? 0 : gj_cmd_usage(command, "%s: no kind is named", option);
}

/* What an event is as a line; lost ones are always told. */
static void add_line(const struct gj_events *events, const struct gj_event *event, uint64_t kinds,
		     bool is_json, struct gj_buf *out)
{
	if (event->kind != events_lost && !(event->kind < 64 && kinds >> event->kind & 1))
		return;
	if (is_json)
		gj_events_json(events, event, out);
	else
		gj_events_text(events, event, out);
	gj_buf_chr(out, '\n');
}

static int write_out(struct gj_buf *out)
{
	int err = out->failed ? -ENOMEM : gj_write_all(STDOUT_FILENO, out->data, out->size_bytes);

	out->size_bytes = 0;
	return err;
}

/* 0 or negative errno with @diag; what can be read is printed in any case. */
static int print_all(struct gj_events *events, uint64_t kinds, bool is_json, struct gj_diag *diag)
{
	struct gj_buf out = { 0 };
	struct gj_event event;
	/* The programs stand before the first event. */
	int more = gj_events_next(events, &event, diag), err = 0;

	if (is_json) {
		gj_events_json_head(events, &out);
		gj_buf_chr(&out, '\n');
	}
	for (; !err && more > 0; more = gj_events_next(events, &event, diag)) {
		add_line(events, &event, kinds, is_json, &out);
		if (out.size_bytes >= PIECE_BYTES)
			err = write_out(&out);
	}
	if (!err)
		err = write_out(&out);
	gj_buf_deinit(&out);
	return err ? err : more;
}

/* Those that could not be put where they belong any more. */
static void tell_late(const struct gj_events *events)
{
	if (gj_events_late(events))
		fprintf(stderr, "gojitter: %llu events stand behind later ones: their threads stood still before they could tell them\n",
			(unsigned long long)gj_events_late(events));
}

int gj_cmd_events(int argc, char **argv)
{
	struct gj_events *events = NULL;
	struct gj_diag diag = { 0 };
	uint64_t kinds = UINT64_MAX;
	bool is_json = false;
	int c, err;

	while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		if (c == 'h') {
			fputs(help, stdout);
			return 0;
		}
		if (c == '?') {
			fputs("see gojitter events --help\n", stderr);
			return GJ_EXIT_USAGE;
		}
		is_json |= c == OPT_JSON;
		if (c == OPT_KIND) {
			err = gj_cmd_kinds("events", "--kind", optarg, &kinds);
			if (err)
				return err;
		}
	}
	if (optind != argc - 1)
		return gj_cmd_usage("events", optind == argc ? "which file?" : "one file at a time");
	err = gj_events_open(argv[optind], &events, &diag);
	if (!err)
		err = print_all(events, kinds, is_json, &diag);
	if (!err)
		tell_late(events);
	gj_events_close(events);
	return err ? gj_cmd_fail_diag(err, &diag) : 0;
}
