/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Finds `-s X.so` among the words of a perf command line. perf reads options up
 * to the first word that is neither an option nor an option's value (`perf
 * script report NAME ...`): what follows belongs to somebody else and is left
 * alone. The rules are those of tools/perf/perf.c, handle_options(), of
 * tools/lib/subcmd/parse-options.c and of the table in builtin-script.c, which
 * 5.14 to 7.3 share.
 */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "script_args.h"

/* perf script's short options that take a value; 's' is the one we look for. */
static const char short_with_value[] = "sgikFSCc";

struct words {
	char **in;
	char **out;
	int in_cnt;
	int next; /* of in */
	int out_cnt;
	char *plugin;
};

static void put(struct words *words, char *word)
{
	words->out[words->out_cnt++] = word;
}

/* "lang:name" names a script of that language, whatever its name ends with. */
static bool is_shared_object(const char *name)
{
	size_t size = strlen(name);

	return size > 3 && !strcmp(name + size - 3, ".so") && !strchr(name, ':');
}

static void put_dlfilter(struct words *words, char *name)
{
	put(words, (char *)"--dlfilter");
	put(words, words->plugin && !strcmp(name, "gojitter.so") ? words->plugin : name);
}

/* perf's own options, before the name of its subcommand. */
static void copy_global_options(struct words *words)
{
	static const char *const with_value[] = {
		"--debugfs-dir", "--buildid-dir", "--debug", "--debug-file",
	};

	while (words->next < words->in_cnt && words->in[words->next][0] == '-') {
		const char *option = words->in[words->next];

		put(words, words->in[words->next++]);
		for (size_t i = 0; i < sizeof(with_value) / sizeof(with_value[0]); i++)
			if (!strcmp(option, with_value[i]) && words->next < words->in_cnt)
				put(words, words->in[words->next++]);
	}
}

/* "--script" or what perf takes for it; "--s" alone could be several options. */
static bool is_script_option(const char *name, size_t size)
{
	return size >= strlen("--sc") && size <= strlen("--script") &&
	       !strncmp(name, "--script", size);
}

/*
 * A long option. Which of them take the next word as their value changes from
 * release to release, so any may: the second plain word in a row ends the options.
 */
static void copy_long(struct words *words)
{
	char *option = words->in[words->next++];
	char *equals = strchr(option, '=');
	size_t name_size = equals ? (size_t)(equals - option) : strlen(option);
	bool is_script = is_script_option(option, name_size);
	char *value = equals ? equals + 1 :
		      words->next < words->in_cnt ? words->in[words->next] : NULL;

	if (is_script && value && is_shared_object(value)) {
		put_dlfilter(words, value);
		words->next += !equals;
		return;
	}
	put(words, option);
	if (!equals && value && (is_script || value[0] != '-' || !value[1]))
		put(words, words->in[words->next++]);
}

/* Short options in one word; the last may have its value in it or after it. */
static void copy_short(struct words *words)
{
	char *option = words->in[words->next++];
	char *letter = strpbrk(option + 1, short_with_value);
	char *value = !letter ? NULL :
		      letter[1] ? letter + 1 :
		      words->next < words->in_cnt ? words->in[words->next] : NULL;

	if (value && *letter == 's' && is_shared_object(value)) {
		words->next += !letter[1];
		*letter = '\0'; /* what stood before it stays: -fs X.so is -f -s X.so */
		if (option[1])
			put(words, option);
		put_dlfilter(words, value);
		return;
	}
	put(words, option);
	if (value && !letter[1])
		put(words, words->in[words->next++]);
}

char **gj_script_args(int argc, char **argv, char *plugin)
{
	/* A word becomes at most three: -fsX.so is -f --dlfilter X.so. */
	struct words words = {
		.in = argv,
		.out = calloc((size_t)argc * 3 + 1, sizeof(char *)),
		.in_cnt = argc,
		.plugin = plugin,
	};

	if (!words.out)
		return NULL;
	if (argc > 0)
		put(&words, argv[words.next++]);
	copy_global_options(&words);
	if (words.next < argc && !strcmp(argv[words.next], "script")) {
		put(&words, argv[words.next++]);
		while (words.next < argc) {
			const char *word = argv[words.next];

			if (word[0] != '-' || !word[1] || !strcmp(word, "--"))
				break;
			if (word[1] == '-')
				copy_long(&words);
			else
				copy_short(&words);
		}
	}
	while (words.next < argc)
		put(&words, argv[words.next++]);
	return words.out;
}
