/* SPDX-License-Identifier: GPL-2.0 */
/*
 * perf script's own options that shape what it prints. A dlfilter is not told
 * them; they stand in this process' command line.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "plugin.h"

#define MAX_OPTIONS 64
#define MAX_COMMAND_LINE (1 << 17) /* ARG_MAX of one string; a longer line is read in part */

/* One of perf's options (tools/perf/builtin-script.c, cmd_script). */
struct option {
	const char *name; /* long form without dashes */
	char letter;
	bool has_value;
	const char *ours; /* with a value: the key, else the whole option */
};

static const struct option known[] = {
	{ "fields", 'F', true, "perf-fields=" },
	{ "symfs", 0, true, "symfs=" },
	{ "hide-call-graph", 'G', false, "chain=off" },
	{ "ns", 0, false, "ns=on" },
	{ "inline", 0, false, "inline=on" },
	{ "no-inline", 0, false, "inline=off" },
	{ "max-stack", 0, true, "max-stack=" },
	{ "stop-bt", 0, true, "stop-bt=" },
	/* These change the first line in ways only perf knows. */
	{ "reltime", 0, false, "host-lines=on" },
	{ "deltatime", 0, false, "host-lines=on" },
	{ "Latency", 'L', false, "host-lines=on" },
};

static size_t read_command_line(char *line, size_t cap)
{
	int fd = open("/proc/self/cmdline", O_RDONLY | O_CLOEXEC);
	ssize_t cnt = fd >= 0 ? read(fd, line, cap - 1) : -1;

	if (fd >= 0)
		close(fd);
	cnt = cnt < 0 ? 0 : cnt;
	line[cnt] = '\0';
	return (size_t)cnt;
}

/*
 * Whether @word is @option. @value_out: the value inside the word ("-Fip",
 * "--fields=ip"), NULL when it is the next word or there is none.
 */
static bool is_option(const struct option *option, const char *word, const char **value_out)
{
	size_t cnt = strlen(option->name);

	*value_out = NULL;
	if (!strncmp(word, "--", 2) && !strncmp(word + 2, option->name, cnt)) {
		if (word[2 + cnt] == '=' && option->has_value)
			*value_out = word + 3 + cnt;
		return !word[2 + cnt] || *value_out;
	}
	if (!option->letter || word[0] != '-' || word[1] != option->letter)
		return false;
	if (word[2] && option->has_value)
		*value_out = word + 2;
	return !word[2] || *value_out;
}

/* Our form of the option at @word, or NULL when it is none; *@next is moved past its value. */
static char *translate(const char *word, const char **next, const char *end)
{
	/* perf prints other records between the samples: no text may wait. */
	if (!strncmp(word, "--show-", 7))
		return strdup("ordered=on");
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		const char *value;
		char *ours;

		if (!is_option(&known[i], word, &value))
			continue;
		if (known[i].has_value && !value) {
			if (*next >= end)
				return NULL;
			value = *next;
			*next += strlen(*next) + 1;
		}
		return asprintf(&ours, "%s%s", known[i].ours, value ? value : "") < 0 ? NULL : ours;
	}
	return NULL;
}

static int take_perf_options(char **all, int max)
{
	char *line = malloc(MAX_COMMAND_LINE);
	const char *next = line, *end;
	int cnt = 0;

	if (!line)
		return -1;
	end = line + read_command_line(line, MAX_COMMAND_LINE);
	while (next < end && cnt < max) {
		const char *word = next;

		next += strlen(word) + 1;
		all[cnt] = translate(word, &next, end);
		cnt += all[cnt] != NULL;
	}
	free(line);
	return cnt;
}

int gj_plugin_options(char *const *args, int arg_cnt, char ***all_out)
{
	char **all = calloc((size_t)arg_cnt + MAX_OPTIONS + 1, sizeof(*all));
	int cnt = all ? take_perf_options(all, MAX_OPTIONS) : -1;

	for (int i = 0; cnt >= 0 && i < arg_cnt; i++) {
		all[cnt] = strdup(args[i]);
		cnt = all[cnt] ? cnt + 1 : -1;
	}
	if (cnt < 0) {
		gj_plugin_options_free(all);
		all = NULL;
	}
	*all_out = all;
	return cnt;
}

void gj_plugin_options_free(char **all)
{
	for (size_t i = 0; all && all[i]; i++)
		free(all[i]);
	free(all);
}
