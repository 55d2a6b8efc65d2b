/* SPDX-License-Identifier: GPL-2.0 */
/*
 * gojitter sym: addresses of a Go binary to functions and lines, in the forms
 * of GNU addr2line; the list of its functions; what is known about the file.
 */
#include <elf.h>
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
#include "elf/elf.h"
#include "goroutine/goroutine.h"

struct sym_options {
	const char *path;
	bool addresses, functions, inlines, pretty, json, basenames;
	bool list, info;
	unsigned int name_flags;
};

/* One open binary and the text on its way out. */
struct sym {
	struct sym_options opt;
	struct gj_image *image;
	struct gj_gotab *gotab;
	struct gj_symbol_index *symbols; /* for C code; made when first needed */
	struct gj_buf out;
	struct gj_goframe frames[GJ_MAX_INLINE_DEPTH + 1];
};

static const char help[] =
	"usage: gojitter sym -e FILE [-a] [-f] [-i] [-p] [-j] [--short] [ADDR...]\n"
	"       gojitter sym -e FILE --list | --info\n"
	"\n"
	"Prints file:line of each link-time virtual address ADDR (hexadecimal), from the\n"
	"arguments or, without any, from standard input.\n"
	"\n"
	"  -e, --exe=FILE    the binary: executable, shared object or plugin\n"
	"  -a, --addresses   print the address first\n"
	"  -f, --functions   print the function before file:line\n"
	"  -i, --inlines     print every frame, innermost first\n"
	"  -p, --pretty-print one line per frame\n"
	"  -s, --basenames   file names without their directory\n"
	"  -j, --json        one JSON object per address, with every frame\n"
	"  -C, --demangle    taken for addr2line's sake; names are always readable\n"
	"      --short       generics as pkg.(*T).M[...]\n"
	"      --readable    closures and wrappers in words\n"
	"      --list        START, END, NAME, FILE:LINE of every function, tab-separated\n"
	"      --info        key: value lines about the file\n"
	"  -h, --help        this text\n";

static void flush(struct sym *sym)
{
	fwrite(sym->out.data, 1, sym->out.size_bytes, stdout);
	sym->out.size_bytes = 0;
}

static const char *shown_file(const struct sym *sym, const char *file)
{
	const char *slash = file && sym->opt.basenames ? strrchr(file, '/') : NULL;

	return slash ? slash + 1 : file;
}

static void add_line(struct sym *sym, const char *file, int32_t line)
{
	gj_buf_str(&sym->out, file ? shown_file(sym, file) : "??");
	gj_buf_chr(&sym->out, ':');
	if (file && line < 0)
		gj_buf_chr(&sym->out, '-');
	gj_buf_dec(&sym->out, file ? (uint64_t)llabs(line) : 0, 0, ' ');
}

static void add_frame(struct sym *sym, const struct gj_goframe *frame, bool is_inlined_by)
{
	struct gj_buf *out = &sym->out;

	if (sym->opt.pretty && is_inlined_by)
		gj_buf_str(out, " (inlined by) ");
	if (sym->opt.functions) {
		if (frame->name)
			gj_name_format(frame->name, sym->opt.name_flags, out);
		else
			gj_buf_str(out, "??");
		gj_buf_str(out, sym->opt.pretty ? " at " : "\n");
	}
	add_line(sym, frame->file, frame->line);
	gj_buf_chr(out, '\n');
}

static void add_address(struct sym *sym, uint64_t va)
{
	char text[16];

	if (!sym->opt.addresses)
		return;
	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = "0123456789abcdef"[va >> (60 - 4 * i) & 15];
	gj_buf_str(&sym->out, "0x");
	gj_buf_add(&sym->out, text, sizeof(text));
	gj_buf_str(&sym->out, sym->opt.pretty ? ": " : "\n");
}

static void add_json(struct sym *sym, uint64_t va, int cnt)
{
	struct gj_buf *out = &sym->out;

	gj_buf_fmt(out, "{\"address\":\"0x%llx\",\"frames\":[", (unsigned long long)va);
	for (int i = 0; i < cnt; i++) {
		const struct gj_goframe *frame = &sym->frames[i];
		struct gj_buf name = { 0 };

		if (i)
			gj_buf_chr(out, ',');
		gj_buf_str(out, "{\"func\":");
		if (frame->name) {
			gj_name_format(frame->name, sym->opt.name_flags, &name);
			gj_buf_chr(&name, '\0');
		}
		if (frame->name && !name.failed)
			gj_buf_json(out, name.data);
		else
			gj_buf_str(out, "null");
		gj_buf_deinit(&name);
		gj_buf_str(out, ",\"file\":");
		if (frame->file)
			gj_buf_json(out, shown_file(sym, frame->file));
		else
			gj_buf_str(out, "null");
		gj_buf_fmt(out, ",\"line\":%d,\"start_line\":%d,\"inlined\":%s}", frame->line,
			   frame->start_line, frame->inlined ? "true" : "false");
	}
	gj_buf_str(out, "]}\n");
}

/* The ELF function symbol that holds @va: C code under cgo. */
static const char *elf_function(struct sym *sym, uint64_t va)
{
	struct gj_elf_symbol symbol;

	if (!sym->symbols && gj_symbol_index_new(sym->image, &sym->symbols))
		return NULL;
	return gj_symbol_index_find(sym->symbols, va, &symbol) ? NULL : symbol.name;
}

/* Frames at @va as the options want them; at least one, unknown where nothing is known. */
static int find_frames(struct sym *sym, uint64_t va)
{
	struct gj_gofunc func;
	int cnt = -ENOENT;

	sym->frames[0] = (struct gj_goframe){ 0 };
	if (sym->gotab && (sym->opt.inlines || sym->opt.json)) {
		cnt = gj_gotab_frames(sym->gotab, va, sym->frames, GJ_MAX_INLINE_DEPTH + 1);
	} else if (sym->gotab) {
		cnt = gj_gotab_find_func(sym->gotab, va, &func);
		if (!cnt) {
			sym->frames[0].name = func.name;
			gj_gotab_line(sym->gotab, &func, va, &sym->frames[0].file,
				      &sym->frames[0].line);
			cnt = 1;
		}
	}
	if (cnt > 0)
		return cnt;
	sym->frames[0] = (struct gj_goframe){ .name = elf_function(sym, va) };
	return 1;
}

static void print_address(struct sym *sym, uint64_t va)
{
	int cnt = find_frames(sym, va);

	if (sym->opt.json) {
		add_json(sym, va, sym->frames[0].name ? cnt : 0);
	} else {
		add_address(sym, va);
		for (int i = 0; i < cnt; i++)
			add_frame(sym, &sym->frames[i], i > 0);
	}
	if (sym->out.size_bytes > 1 << 16)
		flush(sym);
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static const char *skip_blanks(const char *text)
{
	return text + strspn(text, " \t\r");
}

/* Hexadecimal with or without 0x; false when @text is anything else or does not fit. */
static bool parse_address(const char *text, uint64_t *va_out)
{
	const char *start;
	uint64_t va = 0;

	text = skip_blanks(text);
	if (text[0] == '0' && (text[1] == 'x' || text[1] == 'X'))
		text += 2;
	for (start = text; hex_digit(*text) >= 0; text++) {
		if (va >> 60)
			return false;
		va = va << 4 | (uint64_t)hex_digit(*text);
	}
	*va_out = va;
	return text > start && !*skip_blanks(text);
}

/* One input line; as addr2line, an answer per line, so that a script stays in step. */
static int print_line(struct sym *sym, const char *line)
{
	uint64_t va = 0;

	if (parse_address(line, &va)) {
		print_address(sym, va);
		return 0;
	}
	sym->frames[0] = (struct gj_goframe){ 0 };
	if (sym->opt.json) {
		gj_buf_str(&sym->out, "{\"address\":null,\"frames\":[]}\n");
	} else {
		add_address(sym, 0);
		add_frame(sym, &sym->frames[0], false);
	}
	return GJ_EXIT_FAILED;
}

#define INPUT_BYTES 65536

/*
 * Answers whatever input has arrived, then writes: fast on a file, and a
 * program at the other end of a pipe gets each answer at once.
 */
static int print_input(struct sym *sym)
{
	char input[INPUT_BYTES + 1];
	size_t have = 0;
	ssize_t got;
	int status = 0;

	while ((got = read(STDIN_FILENO, input + have, INPUT_BYTES - have)) > 0) {
		char *line = input, *end;

		have += (size_t)got;
		while ((end = memchr(line, '\n', have - (size_t)(line - input)))) {
			*end = '\0';
			status |= print_line(sym, line);
			line = end + 1;
		}
		have -= (size_t)(line - input);
		if (have == INPUT_BYTES) {
			status = GJ_EXIT_FAILED; /* no address is that long */
			have = 0;
		}
		memmove(input, line, have);
		flush(sym);
		fflush(stdout);
	}
	if (have) {
		input[have] = '\0';
		status |= print_line(sym, input);
	}
	return status;
}

static int print_arguments(struct sym *sym, int argc, char **argv)
{
	uint64_t va;

	for (int i = 0; i < argc; i++) {
		if (!parse_address(argv[i], &va)) {
			flush(sym);
			return gj_cmd_usage("sym", "'%s' is no hexadecimal address", argv[i]);
		}
		print_address(sym, va);
	}
	return 0;
}

static int print_list(struct sym *sym)
{
	struct gj_buf *out = &sym->out;
	struct gj_gofunc func;
	uint32_t broken = 0;

	for (uint32_t i = 0; i < gj_gotab_info(sym->gotab)->func_cnt; i++) {
		const char *file = NULL;
		int32_t line = 0;

		int err = gj_gotab_func(sym->gotab, i, &func);

		if (err) {
			broken += err != -ENOENT;
			continue;
		}
		gj_gotab_line(sym->gotab, &func, func.entry_va, &file, &line);
		gj_buf_hex(out, func.entry_va, 0);
		gj_buf_chr(out, '\t');
		gj_buf_hex(out, func.end_va, 0);
		gj_buf_chr(out, '\t');
		gj_name_format(func.name, sym->opt.name_flags, out);
		gj_buf_chr(out, '\t');
		add_line(sym, file, gj_gotab_first_line(sym->gotab, &func));
		gj_buf_chr(out, '\n');
		if (out->size_bytes > 1 << 16)
			flush(sym);
	}
	flush(sym);
	return broken ? gj_cmd_fail("%s: %u function records are broken and were left out",
				    sym->opt.path, broken) :
			0;
}

static void print_bytes(const char *key, struct gj_window bytes, bool is_text)
{
	printf("%s: ", key);
	for (size_t i = 0; i < bytes.size_bytes; i++) {
		if (is_text)
			putchar(bytes.base[i] >= 0x20 && bytes.base[i] < 0x7f ? bytes.base[i] : '?');
		else
			printf("%02x", bytes.base[i]);
	}
	puts(bytes.size_bytes ? "" : "none");
}

/* Whether C code is linked in: the runtime's cgo bridge is among the functions. */
static bool has_cgo(const struct gj_gotab *gotab)
{
	struct gj_gofunc func;

	return !gj_gotab_find_name(gotab, "runtime/cgo.init.0", &func) ||
	       !gj_gotab_find_name(gotab, "crosscall2", &func);
}

/* Where the runtime keeps a goroutine's id and how that is known. */
static void print_offsets(struct sym *sym)
{
	struct gj_goffsets offsets;
	struct gj_diag diag = { 0 };

	if (gj_goffsets_find(sym->image, sym->gotab, &offsets, &diag)) {
		puts("goid_offset: unknown");
		printf("offsets_source: none: %s\n", diag.text);
		return;
	}
	printf("goid_offset: %d\n", offsets.g_goid);
	printf("offsets_source: %s\n", offsets.source);
	if (offsets.tls_g == INT64_MIN)
		puts("tls_g: unknown");
	else
		printf("tls_g: %lld\n", (long long)offsets.tls_g);
}

static int print_info(struct sym *sym)
{
	const struct gj_goinfo *info = gj_gotab_info(sym->gotab);

	printf("go_version: %s\n", info->go_version[0] ? info->go_version : "unknown");
	printf("version_source: %s\n", info->version_source);
	printf("arch: %s\n", gj_image_arch(sym->image) == GJ_ARCH_AMD64 ? "amd64" : "arm64");
	printf("pclntab_magic: 0x%08x\n", info->magic);
	printf("pclntab: 0x%llx\n", (unsigned long long)info->pclntab_va);
	printf("moduledata: 0x%llx\n", (unsigned long long)info->moduledata_va);
	printf("text_start: 0x%llx\n", (unsigned long long)info->text_va);
	printf("functions: %u\n", info->func_cnt);
	print_bytes("build_id", gj_image_build_id(sym->image), false);
	print_bytes("go_build_id", gj_image_go_build_id(sym->image), true);
	printf("pie: %s\n", gj_image_is_dyn(sym->image) ? "yes" : "no");
	printf("cgo: %s\n", has_cgo(sym->gotab) ? "yes" : "no");
	print_offsets(sym);
	return 0;
}

enum { OPT_SHORT = 256, OPT_READABLE, OPT_LIST, OPT_INFO };

static const struct option options[] = {
	{ "exe", required_argument, NULL, 'e' },
	{ "addresses", no_argument, NULL, 'a' },
	{ "functions", no_argument, NULL, 'f' },
	{ "inlines", no_argument, NULL, 'i' },
	{ "pretty-print", no_argument, NULL, 'p' },
	{ "json", no_argument, NULL, 'j' },
	{ "basenames", no_argument, NULL, 's' },
	{ "demangle", optional_argument, NULL, 'C' },
	{ "short", no_argument, NULL, OPT_SHORT },
	{ "readable", no_argument, NULL, OPT_READABLE },
	{ "list", no_argument, NULL, OPT_LIST },
	{ "info", no_argument, NULL, OPT_INFO },
	{ "help", no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 },
};

/* 0 to go on, else the exit status plus one. */
static int parse_options(struct sym_options *opt, int argc, char **argv)
{
	int c;

	while ((c = getopt_long(argc, argv, "e:afipjsCh", options, NULL)) != -1) {
		switch (c) {
		case 'e': opt->path = optarg; break;
		case 'a': opt->addresses = true; break;
		case 'f': opt->functions = true; break;
		case 'i': opt->inlines = true; break;
		case 'p': opt->pretty = true; break;
		case 'j': opt->json = true; break;
		case 's': opt->basenames = true; break;
		case 'C': break;
		case OPT_SHORT: opt->name_flags |= GJ_NAME_SHORT; break;
		case OPT_READABLE: opt->name_flags |= GJ_NAME_READABLE; break;
		case OPT_LIST: opt->list = true; break;
		case OPT_INFO: opt->info = true; break;
		case 'h': fputs(help, stdout); return 1;
		default: fputs(help, stderr); return GJ_EXIT_USAGE + 1;
		}
	}
	if (!opt->path)
		return gj_cmd_usage("sym", "no binary given; use -e FILE") + 1;
	return 0;
}

static int open_binary(struct sym *sym, struct gj_diag *diag)
{
	int err = gj_image_open(sym->opt.path, &sym->image, diag);

	return err ? err : gj_gotab_open(sym->image, &sym->gotab, diag);
}

int gj_cmd_sym(int argc, char **argv)
{
	struct sym *sym = calloc(1, sizeof(*sym));
	struct gj_diag diag = { 0 };
	int status, err;

	if (!sym)
		return gj_cmd_fail("out of memory");
	status = parse_options(&sym->opt, argc, argv);
	if (status) {
		status--;
		goto out;
	}
	err = open_binary(sym, &diag);
	if (err)
		status = gj_cmd_fail_diag(err, &diag);
	else if (sym->opt.info)
		status = print_info(sym);
	else if (sym->opt.list)
		status = print_list(sym);
	else if (optind < argc)
		status = print_arguments(sym, argc - optind, argv + optind);
	else
		status = print_input(sym);
	flush(sym);
	if (!status && (fflush(stdout) || ferror(stdout)))
		status = gj_cmd_fail("standard output: %s", strerror(errno));
out:
	gj_symbol_index_free(sym->symbols);
	gj_gotab_close(sym->gotab);
	gj_image_close(sym->image);
	gj_buf_deinit(&sym->out);
	free(sym);
	return status;
}
