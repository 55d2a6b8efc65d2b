/* SPDX-License-Identifier: GPL-2.0 */
/* The key=value options of a run (perf script --dlarg). */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "session/session.h"

struct choice {
	const char *word;
	unsigned int value;
};

static const struct choice formats[] = {
	{ "perf", GJ_FORMAT_PERF },
	{ "folded", GJ_FORMAT_FOLDED },
	{ "json", GJ_FORMAT_JSON },
	{ "chains", GJ_FORMAT_CHAINS },
	{ "pprof", GJ_FORMAT_PPROF },
	{ NULL, 0 },
};

static const struct choice switches[] = {
	{ "on", 1 },
	{ "off", 0 },
	{ NULL, 0 },
};

static const struct choice fields[] = {
	{ "comm", GJ_FIELD_COMM },       { "pid", GJ_FIELD_PID },
	{ "tid", GJ_FIELD_TID },         { "cpu", GJ_FIELD_CPU },
	{ "time", GJ_FIELD_TIME },       { "event", GJ_FIELD_EVENT },
	{ "period", GJ_FIELD_PERIOD },   { "ip", GJ_FIELD_IP },
	{ "sym", GJ_FIELD_SYM },         { "symoff", GJ_FIELD_SYMOFF },
	{ "dso", GJ_FIELD_DSO },         { "srcline", GJ_FIELD_SRCLINE },
	{ "goid", GJ_FIELD_GOID },       { NULL, 0 },
};

/* Whether the @cnt bytes at @word are one of @choices. */
static bool choose(const struct choice *choices, const char *word, size_t cnt,
		   unsigned int *value_out)
{
	for (; choices->word; choices++) {
		if (strlen(choices->word) == cnt && !memcmp(choices->word, word, cnt)) {
			*value_out = choices->value;
			return true;
		}
	}
	return false;
}

static int parse_fields(struct gj_options *options, const char *list, struct gj_diag *diag)
{
	unsigned int chosen = 0, field;

	while (*list) {
		size_t cnt = strcspn(list, ",");

		if (!choose(fields, list, cnt, &field))
			return gj_diag_set(diag, -EINVAL,
					   "fields=: '%.*s' is none of comm, pid, tid, cpu, time, event, period, ip, sym, symoff, dso, srcline, goid",
					   (int)cnt, list);
		chosen |= field;
		list += cnt + (list[cnt] == ',');
	}
	options->report.fields = chosen;
	options->host_lines = false;
	return 0;
}

/*
 * The list given to perf script's own -F: "[type:]field,field" or, to change
 * what stands, "[type:]+field,-field". Whatever is perf's alone leaves the
 * first line to perf; a wrong list perf has refused already.
 */
static void parse_perf_fields(struct gj_options *options, const char *list)
{
	unsigned int field, goid = options->report.fields & GJ_FIELD_GOID;
	const char *colon = strchr(list, ':');

	options->host_lines |= colon != NULL;
	list = colon ? colon + 1 : list;
	if (!strpbrk(list, "+-"))
		options->report.fields = goid;
	while (*list) {
		bool adds = *list != '-';
		size_t cnt;

		list += *list == '-' || *list == '+';
		cnt = strcspn(list, ",");
		if (!choose(fields, list, cnt, &field))
			options->host_lines = true;
		else if (adds)
			options->report.fields |= field;
		else
			options->report.fields &= ~field;
		list += cnt + (list[cnt] == ',');
	}
}

static const struct choice labels[] = {
	{ "goid", GJ_LABEL_GOID }, { "thread", GJ_LABEL_THREAD }, { "cpu", GJ_LABEL_CPU },
	{ "pprof", GJ_LABEL_PPROF }, { "none", 0 }, { NULL, 0 },
};

static int parse_labels(struct gj_options *options, const char *list, struct gj_diag *diag)
{
	unsigned int label;

	options->labels = 0;
	while (*list) {
		size_t cnt = strcspn(list, ",");

		if (!choose(labels, list, cnt, &label))
			return gj_diag_set(diag, -EINVAL,
					   "labels=: '%.*s' is none of goid, thread, cpu, pprof, none",
					   (int)cnt, list);
		options->labels |= label;
		list += cnt + (list[cnt] == ',');
	}
	return 0;
}

static int parse_max_stack(struct gj_options *options, const char *value, struct gj_diag *diag)
{
	char *end;
	unsigned long cnt = strtoul(value, &end, 10);

	if (end == value || *end || *value == '-')
		return gj_diag_set(diag, -EINVAL, "max-stack=%s: a number of frames is wanted", value);
	options->max_stack = cnt < GJ_MAX_CHAIN ? (unsigned int)cnt : GJ_MAX_CHAIN;
	return 0;
}

static void set_field(struct gj_options *options, unsigned int field, unsigned int on)
{
	if (on)
		options->report.fields |= field;
	else
		options->report.fields &= ~field;
}

/* The option called @key whose value is on or off; NULL when there is none. */
static bool *find_switch(struct gj_options *options, const char *key, size_t cnt)
{
	const struct {
		const char *key;
		bool *is_on;
	} list[] = {
		{ "goid", &options->goid },
		{ "inline", &options->report.inlines },
		{ "lines", &options->lines },
		{ "short", &options->short_names },
		{ "readable", &options->readable },
		{ "chain", &options->report.chains },
		{ "ns", &options->report.nanoseconds },
		{ "annotate", &options->report.annotate },
		{ "show-probe", &options->show_probe },
		{ "host-lines", &options->host_lines },
		{ "ordered", &options->ordered },
		{ "kernel", &options->kernel },
		{ "repair", &options->repair },
		{ "quality", &options->quality },
	};

	for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++)
		if (strlen(list[i].key) == cnt && !memcmp(list[i].key, key, cnt))
			return list[i].is_on;
	return NULL;
}

static int parse_switch(struct gj_options *options, const char *arg, struct gj_diag *diag)
{
	size_t cnt = strcspn(arg, "=");
	bool *is_on = find_switch(options, arg, cnt);
	unsigned int on;

	if (!is_on)
		return gj_diag_set(diag, -EINVAL,
				   "'%s' is no option; there are format=, output=, labels=, fields=, event=, max-stack=, symfs= and, with on or off, goid=, inline=, lines=, short=, readable=, chain=, ns=, annotate=, kernel=, show-probe=, repair=, quality=",
				   arg);
	if (!arg[cnt] || !choose(switches, arg + cnt + 1, strlen(arg + cnt + 1), &on))
		return gj_diag_set(diag, -EINVAL, "'%s': it is on or off, as in %.*s=on", arg,
				   (int)cnt, arg);
	*is_on = on;
	if (is_on == &options->goid) {
		set_field(options, GJ_FIELD_GOID, on);
		options->chose_goid = true;
	}
	if (is_on == &options->lines)
		set_field(options, GJ_FIELD_SRCLINE, on);
	return 0;
}

/* An option whose value is text; NULL when @arg is none. */
static const char **find_text(struct gj_options *options, const char *arg)
{
	if (!strncmp(arg, "symfs=", 6))
		return &options->symfs;
	if (!strncmp(arg, "event=", 6))
		return &options->event;
	if (!strncmp(arg, "stop-bt=", 8))
		return &options->stop_bt;
	if (!strncmp(arg, "output=", 7))
		return &options->output;
	return NULL;
}

static int parse_one(struct gj_options *options, const char *arg, struct gj_diag *diag)
{
	const char *equals = strchr(arg, '='), *value = equals ? equals + 1 : "";
	const char **text = find_text(options, arg);
	unsigned int choice;

	if (text) {
		*text = value;
		return 0;
	}
	if (!strncmp(arg, "format=", 7)) {
		if (!choose(formats, value, strlen(value), &choice))
			return gj_diag_set(diag, -EINVAL,
					   "format=%s: the formats are perf, folded, json and pprof", value);
		options->format = choice;
		return 0;
	}
	if (!strncmp(arg, "fields=", 7))
		return parse_fields(options, value, diag);
	if (!strncmp(arg, "labels=", 7))
		return parse_labels(options, value, diag);
	if (!strncmp(arg, "max-stack=", 10))
		return parse_max_stack(options, value, diag);
	if (!strncmp(arg, "perf-fields=", 12)) {
		parse_perf_fields(options, value);
		return 0;
	}
	return parse_switch(options, arg, diag);
}

int gj_options_parse(struct gj_options *options, char *const *args, int arg_cnt,
		     struct gj_diag *diag)
{
	*options = (struct gj_options){
		.report = { .fields = GJ_FIELD_DEFAULT, .inlines = true, .chains = true },
		.goid = true,
		.labels = GJ_LABEL_GOID | GJ_LABEL_PPROF,
		.kernel = true,
		.repair = true,
		.quality = true,
		.max_stack = GJ_MAX_CHAIN,
	};
	for (int i = 0; i < arg_cnt; i++) {
		int err = parse_one(options, args[i], diag);

		if (err)
			return err;
	}
	if (options->format == GJ_FORMAT_PPROF && (!options->output || !*options->output))
		return gj_diag_set(diag, -EINVAL, "format=pprof: output=FILE says where the profile goes");
	/* A graph of thousands of goroutines shows nothing: there they must be asked for. */
	if (options->format == GJ_FORMAT_FOLDED && !options->chose_goid)
		set_field(options, GJ_FIELD_GOID, 0);
	options->name_flags = (options->short_names ? GJ_NAME_SHORT : 0) |
			      (options->readable ? GJ_NAME_READABLE : 0);
	return 0;
}
