/* SPDX-License-Identifier: GPL-2.0 */
/* gojitter demangle: a filter for Go symbol names in any text, as c++filt is for C++. */
#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/limits.h"
#include "cmd/cmd.h"
#include "demangle/demangle.h"

static const char help[] =
	"usage: gojitter demangle [--short] [--readable] [--gccgo] [NAME...]\n"
	"\n"
	"Rewrites the Go symbol names in the arguments or, without any, in standard\n"
	"input: %2e and its like unescaped, .abi0 dropped. All other text stays as it is.\n"
	"\n"
	"      --short     generics as pkg.(*T).M[...]\n"
	"      --readable  closures, go and defer wrappers, method values in words\n"
	"      --gccgo     decode gccgo's mangling\n"
	"  -h, --help      this text\n";

/* Text is handled in pieces of so many bytes at most; a longer line in several. */
#define PIECE_BYTES (256u << 10)
/* Brackets that nothing closes are searched that often in one piece, which is then no list of names. */
#define MAX_UNCLOSED 64

struct filter {
	unsigned int flags;
	unsigned int unclosed_cnt;
	struct gj_buf name; /* the one being looked at, with its NUL */
	struct gj_buf out;
};

/* Bytes of names outside of type arguments: letters, digits, all of UTF-8's, and these. */
static bool in_name(char c)
{
	return isalnum((unsigned char)c) || (unsigned char)c >= 0x80 ||
	       (c && strchr("_.%/$~*(){}:-", c));
}

/*
 * Behind the brackets that open at @pos, whatever they hold: type arguments
 * have blanks and more in them. NULL when they do not close in time.
 */
static const char *skip_brackets(struct filter *filter, const char *pos, const char *end)
{
	size_t depth = 0;

	if (filter->unclosed_cnt >= MAX_UNCLOSED)
		return NULL;
	if (end - pos > GJ_MAX_NAME_BYTES)
		end = pos + GJ_MAX_NAME_BYTES;
	for (; pos < end && *pos && *pos != '\n'; pos++) {
		if (*pos == '[')
			depth++;
		else if (*pos == ']' && --depth == 0)
			return pos + 1;
	}
	filter->unclosed_cnt++;
	return NULL;
}

/* Behind the word that begins at @begin; @begin itself when no word begins there. */
static const char *skip_word(struct filter *filter, const char *begin, const char *end)
{
	const char *pos = begin, *behind;

	while (pos < end) {
		if (in_name(*pos)) {
			pos++;
			continue;
		}
		behind = *pos == '[' && pos > begin ? skip_brackets(filter, pos, end) : NULL;
		if (!behind)
			break;
		pos = behind;
	}
	return pos;
}

static void add_name(struct filter *filter, const char *text, size_t size_bytes)
{
	filter->name.size_bytes = 0;
	gj_buf_add(&filter->name, text, size_bytes);
	gj_buf_chr(&filter->name, '\0');
	if (!filter->name.failed)
		gj_name_format(filter->name.data, filter->flags, &filter->out);
}

/*
 * Formats [pos, end), but begins no word at or behind @stop; returns how far
 * it came. A Go name has a package and a dot; other words, and longer ones, are
 * left alone.
 */
static const char *format_text(struct filter *filter, const char *pos, const char *stop,
			       const char *end)
{
	filter->unclosed_cnt = 0;
	while (pos < stop) {
		const char *behind = skip_word(filter, pos, end);
		size_t size_bytes = (size_t)(behind - pos);

		if (size_bytes && size_bytes <= GJ_MAX_NAME_BYTES && memchr(pos, '.', size_bytes)) {
			add_name(filter, pos, size_bytes);
			pos = behind;
			continue;
		}
		/* The byte that ended the word is none of a name's. */
		behind += behind < end;
		gj_buf_add(&filter->out, pos, (size_t)(behind - pos));
		pos = behind;
	}
	return pos;
}

static int put(struct filter *filter)
{
	if (filter->out.failed || filter->name.failed)
		return gj_cmd_fail("out of memory");
	fwrite(filter->out.data, 1, filter->out.size_bytes, stdout);
	filter->out.size_bytes = 0;
	if (fflush(stdout) || ferror(stdout))
		return gj_cmd_fail("standard output: %s", strerror(errno));
	return 0;
}

/*
 * How far a piece can be handled before more is read: to the end of its last
 * line, or, in a line that fills it, to where a name may no longer be whole.
 */
static const char *find_stop(const char *begin, const char *end)
{
	const char *newline = memrchr(begin, '\n', (size_t)(end - begin));

	if (newline)
		return newline + 1;
	return end - begin < PIECE_BYTES ? begin : end - 2 * GJ_MAX_NAME_BYTES;
}

/* Each line goes out as soon as it has come in whole. */
static int filter_input(struct filter *filter)
{
	char *piece = malloc(PIECE_BYTES);
	size_t have = 0;
	int status = 0;
	ssize_t got;

	if (!piece)
		return gj_cmd_fail("out of memory");
	while (!status && (got = read(STDIN_FILENO, piece + have, PIECE_BYTES - have)) > 0) {
		const char *end = piece + have + got, *done;

		done = format_text(filter, piece, find_stop(piece, end), end);
		have = (size_t)(end - done);
		memmove(piece, done, have);
		status = put(filter);
	}
	if (!status && got < 0)
		status = gj_cmd_fail("standard input: %s", strerror(errno));
	if (!status) {
		format_text(filter, piece, piece + have, piece + have);
		status = put(filter);
	}
	free(piece);
	return status;
}

/* Each argument is one name, whatever it looks like. */
static int format_arguments(struct filter *filter, int argc, char **argv)
{
	for (int i = 0; i < argc; i++) {
		gj_name_format(argv[i], filter->flags, &filter->out);
		gj_buf_chr(&filter->out, '\n');
	}
	return put(filter);
}

enum { OPT_SHORT = 256, OPT_READABLE, OPT_GCCGO };

static const struct option options[] = {
	{ "short", no_argument, NULL, OPT_SHORT },
	{ "readable", no_argument, NULL, OPT_READABLE },
	{ "gccgo", no_argument, NULL, OPT_GCCGO },
	{ "help", no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 },
};

int gj_cmd_demangle(int argc, char **argv)
{
	struct filter filter = { 0 };
	int c, status;

	while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		switch (c) {
		case OPT_SHORT: filter.flags |= GJ_NAME_SHORT; break;
		case OPT_READABLE: filter.flags |= GJ_NAME_READABLE; break;
		case OPT_GCCGO: filter.flags |= GJ_NAME_GCCGO; break;
		case 'h': fputs(help, stdout); return 0;
		default: fputs(help, stderr); return GJ_EXIT_USAGE;
		}
	}
	if (optind == argc)
		status = filter_input(&filter);
	else
		status = format_arguments(&filter, argc - optind, argv + optind);
	gj_buf_deinit(&filter.name);
	gj_buf_deinit(&filter.out);
	return status;
}
