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

#include "cmd/cmd.h"
#include "cmd/sym.h"
#include "goroutine/goroutine.h"

static const char help[] =
	"usage: gojitter sym -e FILE [-a] [-f] [-i] [-p] [-j] [--short] [ADDR...]\n"
	"       gojitter sym -e FILE --list | --info\n"
	"       gojitter sym --build-id [-e FILE|DIR]... [--pid=PID] [--raw[=DEPTH]] [-afijps]\n"
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
	"      --build-id    standard input holds frames of BPF_F_USER_BUILD_ID: lines\n"
	"                    BUILDID+0xOFFSET, or what bpftool map dump prints; binaries are\n"
	"                    found among FILEs, below DIRs, in perf's cache, /usr/lib/debug, and\n"
	"                    among running programs\n"
	"      --raw[=DEPTH] it holds arrays of struct bpf_stack_build_id, DEPTH each\n"
	"      --pid=PID     whose addresses frames without a build id are\n"
	"  -h, --help        this text\n";

static void put(struct gj_buf *out)
{
	fwrite(out->data, 1, out->size_bytes, stdout);
	out->size_bytes = 0;
}

static int print_arguments(struct sym *sym, int argc, char **argv)
{
	struct sym_query query = { 0 };
	const char *bad = NULL;
	int err = sym_query_reserve(&query, (size_t)argc);

	for (int i = 0; !err && !bad && i < argc; i++) {
		query.is_address[i] = sym_parse_address(argv[i], &query.vas[i]);
		if (query.is_address[i])
			query.cnt++;
		else
			bad = argv[i];
	}
	if (!err)
		err = sym_query_answer(&query, sym);
	if (!err)
		err = sym_query_print(&query, &sym->opt);
	sym_query_deinit(&query);
	if (err)
		return gj_cmd_fail("%s", strerror(-err));
	return bad ? gj_cmd_usage("sym", "'%s' is no hexadecimal address", bad) : 0;
}

static int print_list(struct sym *sym)
{
	struct gj_buf out = { 0 };
	struct gj_gofunc func;
	uint32_t broken = 0;
	bool is_short;

	for (uint32_t i = 0; i < gj_gotab_info(sym->gotab)->func_cnt; i++) {
		const char *file = NULL;
		int32_t line = 0;
		int err = gj_gotab_func(sym->gotab, i, &func);

		if (err) {
			broken += err != -ENOENT;
			continue;
		}
		gj_gotab_line(sym->gotab, &func, func.entry_va, &file, &line);
		gj_buf_hex(&out, func.entry_va, 0);
		gj_buf_chr(&out, '\t');
		gj_buf_hex(&out, func.end_va, 0);
		gj_buf_chr(&out, '\t');
		gj_name_format(func.name, sym->opt.name_flags, &out);
		gj_buf_chr(&out, '\t');
		sym_add_line(&sym->opt, file, gj_gotab_first_line(sym->gotab, &func), &out);
		if (out.size_bytes > 1 << 16)
			put(&out);
	}
	put(&out);
	is_short = out.failed;
	gj_buf_deinit(&out);
	if (is_short)
		return gj_cmd_fail("out of memory");
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

enum { OPT_SHORT = 256, OPT_READABLE, OPT_LIST, OPT_INFO, OPT_BUILD_ID, OPT_RAW, OPT_PID };

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
	{ "build-id", no_argument, NULL, OPT_BUILD_ID },
	{ "raw", optional_argument, NULL, OPT_RAW },
	{ "pid", required_argument, NULL, OPT_PID },
	{ "help", no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 },
};

static bool add_path(struct sym_options *opt, const char *path)
{
	opt->path = path;
	if (opt->path_cnt == SYM_MAX_PATHS)
		return false;
	opt->paths[opt->path_cnt++] = path;
	return true;
}

/* A number above 0; NULL is 0. */
static bool parse_number(const char *text, unsigned int *value_out)
{
	char *end = NULL;
	unsigned long value = text ? strtoul(text, &end, 10) : 0;

	*value_out = (unsigned int)value;
	return !text || (end > text && !*end && *text != '-' && value && value <= INT32_MAX);
}

static bool take_build_id_option(struct sym_options *opt, int c, const char *value)
{
	switch (c) {
	case OPT_BUILD_ID: opt->build_id = true; return true;
	case OPT_RAW: opt->raw = opt->build_id = true; return parse_number(value, &opt->raw_depth);
	default: return parse_number(value, &opt->pid);
	}
}

static int check_options(const struct sym_options *opt, int argc, char **argv)
{
	if (!opt->build_id && !opt->path)
		return gj_cmd_usage("sym", "no binary given; use -e FILE") + 1;
	if (opt->build_id && (opt->list || opt->info))
		return gj_cmd_usage("sym", "--build-id goes with neither --list nor --info") + 1;
	if (opt->build_id && optind < argc)
		return gj_cmd_usage("sym", "'%s': with --build-id frames come from standard input",
				    argv[optind]) + 1;
	return 0;
}

/* 0 to go on, else the exit status plus one. */
static int parse_options(struct sym_options *opt, int argc, char **argv)
{
	int c;

	while ((c = getopt_long(argc, argv, "e:afipjsCh", options, NULL)) != -1) {
		switch (c) {
		case 'e':
			if (!add_path(opt, optarg))
				return gj_cmd_usage("sym", "more than %d times -e; name a directory",
						    SYM_MAX_PATHS) + 1;
			break;
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
		case OPT_BUILD_ID: case OPT_RAW: case OPT_PID:
			if (!take_build_id_option(opt, c, optarg))
				return gj_cmd_usage("sym", "'%s' is no number", optarg) + 1;
			break;
		case 'h': fputs(help, stdout); return 1;
		default: fputs(help, stderr); return GJ_EXIT_USAGE + 1;
		}
	}
	return check_options(opt, argc, argv);
}

static int open_binary(struct sym *sym, struct gj_diag *diag)
{
	int err = gj_image_open(sym->opt.path, &sym->image, diag);

	return err ? err : gj_gotab_open(sym->image, &sym->gotab, diag);
}

/* What is asked of one binary. */
static int answer(struct sym *sym, int argc, char **argv)
{
	struct gj_diag diag = { 0 };
	int err = open_binary(sym, &diag);

	if (err)
		return gj_cmd_fail_diag(err, &diag);
	if (sym->opt.info)
		return print_info(sym);
	if (sym->opt.list)
		return print_list(sym);
	if (optind < argc)
		return print_arguments(sym, argc - optind, argv + optind);
	return sym_print_input(sym);
}

int gj_cmd_sym(int argc, char **argv)
{
	struct sym storage = { .symbols_lock = PTHREAD_MUTEX_INITIALIZER }, *sym = &storage;
	int status = parse_options(&sym->opt, argc, argv);

	if (status)
		return status - 1;
	if (sym->opt.build_id)
		status = sym_print_build_ids(&sym->opt);
	else
		status = answer(sym, argc, argv);
	if (!status && (fflush(stdout) || ferror(stdout)))
		status = gj_cmd_fail("standard output: %s", strerror(errno));
	gj_symbol_index_free(sym->symbols);
	gj_gotab_close(sym->gotab);
	gj_image_close(sym->image);
	return status;
}
