/* SPDX-License-Identifier: GPL-2.0 */
/* gojitter demangle: a filter for Go symbol names in any text, as c++filt is for C++. */
#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
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

/*
 * Part of a symbol name. Type arguments hold blanks and more, so inside
 * brackets everything but the end of the line belongs to the name.
 */
static bool in_name(char c)
{
	return isalnum((unsigned char)c) || (unsigned char)c >= 0x80 || (c && strchr("_.%/$~*(){}:-", c));
}

/* Bytes of the token at @text: balanced brackets with all they hold belong to it. */
static size_t token_bytes(const char *text)
{
	size_t cnt = 0, depth = 0, closed = 0;

	for (; text[cnt] && text[cnt] != '\n'; cnt++) {
		if (text[cnt] == '[' && (depth || (cnt && in_name(text[cnt - 1]))))
			depth++;
		else if (text[cnt] == ']' && depth)
			depth--;
		else if (!depth && !in_name(text[cnt]))
			break;
		if (!depth)
			closed = cnt + 1;
	}
	return closed;
}

static void format_line(const char *line, unsigned int flags, struct gj_buf *out)
{
	while (*line) {
		size_t cnt = token_bytes(line);
		char *token;

		if (!cnt) {
			gj_buf_chr(out, *line++);
			continue;
		}
		token = strndup(line, cnt);
		/* A Go name has a package and a dot; other words are left alone. */
		if (token && memchr(token, '.', cnt))
			gj_name_format(token, flags, out);
		else
			gj_buf_add(out, line, cnt);
		free(token);
		line += cnt;
	}
}

static int put(struct gj_buf *out)
{
	if (out->failed)
		return gj_cmd_fail("out of memory");
	fwrite(out->data, 1, out->size_bytes, stdout);
	out->size_bytes = 0;
	return 0;
}

static int filter_input(unsigned int flags)
{
	struct gj_buf out = { 0 };
	char *line = NULL;
	size_t cap = 0;
	ssize_t cnt;
	int status = 0;

	while (!status && (cnt = getline(&line, &cap, stdin)) > 0) {
		/* A NUL ends what can be a name; the rest of such a line is passed on. */
		size_t text_bytes = strlen(line);

		format_line(line, flags, &out);
		gj_buf_add(&out, line + text_bytes, (size_t)cnt - text_bytes);
		status = put(&out);
	}
	free(line);
	gj_buf_deinit(&out);
	return status;
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
	struct gj_buf out = { 0 };
	unsigned int flags = 0;
	int c, status = 0;

	while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		switch (c) {
		case OPT_SHORT: flags |= GJ_NAME_SHORT; break;
		case OPT_READABLE: flags |= GJ_NAME_READABLE; break;
		case OPT_GCCGO: flags |= GJ_NAME_GCCGO; break;
		case 'h': fputs(help, stdout); return 0;
		default: fputs(help, stderr); return GJ_EXIT_USAGE;
		}
	}
	/* Whoever reads the other end of the pipe sees each line at once. */
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (optind == argc)
		status = filter_input(flags);
	for (int i = optind; !status && i < argc; i++) {
		gj_name_format(argv[i], flags, &out);
		gj_buf_chr(&out, '\n');
		status = put(&out);
	}
	gj_buf_deinit(&out);
	if (!status && (fflush(stdout) || ferror(stdout)))
		status = gj_cmd_fail("standard output: %s", strerror(errno));
	return status;
}
