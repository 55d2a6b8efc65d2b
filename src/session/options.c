/* SPDX-License-Identifier: GPL-2.0 */
/* The key=value options of a run (perf script --dlarg). */
#include <errno.h>
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
	return 0;
}

static void set_field(struct gj_options *options, unsigned int field, unsigned int on)
{
	if (on)
		options->report.fields |= field;
	else
		options->report.fields &= ~field;
}

/* An option whose value is on or off; false when @key is none. */
static bool set_switch(struct gj_options *options, const char *key, size_t cnt, unsigned int on)
{
	static const struct choice keys[] = {
		{ "goid", 0 }, { "inline", 1 }, { "lines", 2 },    { "short", 3 },
		{ "ns", 4 },   { "annotate", 5 }, { "show-probe", 6 }, { "readable", 7 },
		{ NULL, 0 },
	};
	unsigned int which;

	if (!choose(keys, key, cnt, &which))
		return false;
	switch (which) {
	case 0:
		options->goid = on;
		set_field(options, GJ_FIELD_GOID, on);
		break;
	case 1:
		options->report.inlines = on;
		break;
	case 2:
		set_field(options, GJ_FIELD_SRCLINE, on);
		break;
	case 3:
		options->name_flags |= on ? GJ_NAME_SHORT : 0;
		break;
	case 4:
		options->report.nanoseconds = on;
		break;
	case 5:
		options->report.annotate_kernel = on;
		break;
	case 6:
		options->show_probe = on;
		break;
	default:
		options->name_flags |= on ? GJ_NAME_READABLE : 0;
		break;
	}
	return true;
}

static int parse_one(struct gj_options *options, const char *arg, struct gj_diag *diag)
{
	size_t key_cnt = strcspn(arg, "=");
	const char *value = arg[key_cnt] ? arg + key_cnt + 1 : "";
	unsigned int choice;

	if (!strncmp(arg, "format=", 7)) {
		if (!choose(formats, value, strlen(value), &choice))
			return gj_diag_set(diag, -EINVAL,
					   "format=%s: the formats are perf, folded and json", value);
		options->format = choice;
		return 0;
	}
	if (!strncmp(arg, "fields=", 7))
		return parse_fields(options, value, diag);
	if (!strncmp(arg, "symfs=", 6)) {
		options->symfs = value;
		return 0;
	}
	if (!choose(switches, value, strlen(value), &choice) ||
	    !set_switch(options, arg, key_cnt, choice))
		return gj_diag_set(diag, -EINVAL,
				   "'%s' is no option; there are format=, fields=, symfs= and, with on or off, goid=, inline=, lines=, short=, readable=, ns=, annotate=, show-probe=",
				   arg);
	return 0;
}

int gj_options_parse(struct gj_options *options, char *const *args, int arg_cnt,
		     struct gj_diag *diag)
{
	*options = (struct gj_options){
		.report = { .fields = GJ_FIELD_DEFAULT, .inlines = true },
		.goid = true,
	};
	for (int i = 0; i < arg_cnt; i++) {
		int err = parse_one(options, args[i], diag);

		if (err)
			return err;
	}
	return 0;
}
