/* SPDX-License-Identifier: GPL-2.0 */
/* gojitter debuginfo: writes the debug file of a Go binary and says, or sees to, where it goes. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "cmd/cmd.h"
#include "debuginfo/debuginfo.h"

struct debuginfo {
	const char *path, *out, *root;
	bool install, verbose;
	struct gj_debuginfo_options write;
	struct gj_image *image;
	struct gj_gotab *gotab;
	char real_path[PATH_MAX];
	enum gj_debuginfo_link link;
	struct gj_buf place; /* where tools look for the debug file; NUL-terminated */
	struct gj_debuginfo_stats stats;
};

static const char help[] =
	"usage: gojitter debuginfo FILE -o OUT [--with-code] [--compress] [-v]\n"
	"       gojitter debuginfo FILE --install [--root=DIR]\n"
	"\n"
	"Writes an ELF debug file made from Go's own tables: symbols, line table, inlined\n"
	"calls, call frames. Stock perf, gdb, bpftrace, addr2line read it for a stripped\n"
	"FILE.\n"
	"\n"
	"  -o, --output=OUT  the file to write\n"
	"      --install     write it to where tools look for it, below /usr/lib/debug\n"
	"      --root=DIR    put DIR before that path\n"
	"      --with-code   a whole copy of FILE with the new sections: needs no FILE\n"
	"                    beside it, and runs\n"
	"  -z, --compress    DWARF sections as zlib streams\n"
	"  -v, --verbose     say what was written\n"
	"  -h, --help        this text\n"
	"\n"
	"A FILE with a GNU build id (Go 1.24 and later, or external linking) is joined to\n"
	"its debug file by every tool. One without is by its path: perf and gdb find what\n"
	"--install writes, bpftrace does with BCC_SYMFS=/usr/lib/debug in its environment.\n"
	"Where nothing is installed: gdb -e FILE -s OUT.\n";

/* Makes the directories above @path. */
static int make_parents(char *path)
{
	for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		int failed;

		*slash = '\0';
		failed = mkdir(path, 0777) && errno != EEXIST;
		*slash = '/';
		if (failed)
			return -errno;
	}
	return 0;
}

/* Whether @out may be written over: nothing there, or a file that is not the binary itself. */
static int check_target(const struct debuginfo *di, const char *out)
{
	struct stat own, other;

	if (stat(out, &other))
		return 0;
	if (!S_ISREG(other.st_mode))
		return gj_cmd_fail("%s: not a regular file; choose another name for the output", out);
	if (!stat(di->path, &own) && own.st_dev == other.st_dev && own.st_ino == other.st_ino)
		return gj_cmd_fail("%s: this is the binary itself; choose another name for the output",
				   out);
	return 0;
}

/* Readable for all as any new file; a whole copy may be run by whoever may run the original. */
static int set_mode(const struct debuginfo *di, int fd)
{
	mode_t mask = umask(0);
	struct stat st = { 0 };

	umask(mask);
	if (di->write.with_code && stat(di->path, &st))
		return -errno;
	return fchmod(fd, (0666 | (st.st_mode & 0111)) & ~mask) ? -errno : 0;
}

static int write_new(struct debuginfo *di, const char *out, const char *temporary, int fd)
{
	struct gj_diag diag = { 0 };
	int err = gj_debuginfo_write(di->image, di->gotab, &di->write, fd, &di->stats, &diag);

	if (err)
		return gj_cmd_fail_diag(err, &diag);
	if (set_mode(di, fd) || rename(temporary, out))
		return gj_cmd_fail("%s: %s", out, strerror(errno));
	return 0;
}

/* Writes beside @out first: whoever reads there sees the old file or the new one. */
static int write_out(struct debuginfo *di, const char *out)
{
	struct gj_buf temporary = { 0 };
	int fd, status = check_target(di, out);

	if (status)
		return status;
	gj_buf_fmt(&temporary, "%s.XXXXXX", out);
	gj_buf_chr(&temporary, '\0');
	if (temporary.failed)
		return gj_cmd_fail("out of memory");
	fd = mkostemp(temporary.data, O_CLOEXEC);
	if (fd < 0) {
		status = gj_cmd_fail("%s: cannot write here: %s", out, strerror(errno));
	} else {
		status = write_new(di, out, temporary.data, fd);
		if (status)
			unlink(temporary.data);
		close(fd);
	}
	gj_buf_deinit(&temporary);
	return status;
}

/* What makes gdb take an installed file that only its path links to the binary. */
static int write_script(const struct debuginfo *di, const char *out)
{
	struct gj_buf path = { 0 }, text = { 0 };
	int status = 0;
	FILE *file = NULL;

	gj_debuginfo_gdb_script(di->image, &text);
	gj_buf_fmt(&path, "%s-gdb.py", out);
	gj_buf_chr(&path, '\0');
	if (text.failed || path.failed)
		status = gj_cmd_fail("out of memory");
	else
		file = fopen(path.data, "we");
	if (file) {
		fwrite(text.data, 1, text.size_bytes, file);
		if (ferror(file) | fclose(file))
			file = NULL;
	}
	if (!status && !file)
		status = gj_cmd_fail("%s: %s", path.data, strerror(errno));
	gj_buf_deinit(&path);
	gj_buf_deinit(&text);
	return status;
}

/* One line: what to do with the file. */
static void print_hint(const struct debuginfo *di, const char *out)
{
	if (di->install)
		printf("installed %s%s\n", out, di->link == GJ_DEBUGINFO_BY_PATH ?
		       " and what makes gdb find it; bpftrace wants BCC_SYMFS=/usr/lib/debug" : "");
	else if (di->write.with_code)
		printf("%s stands for %s in any tool, and runs\n", out, di->path);
	else if (di->link == GJ_DEBUGINFO_BY_BUILD_ID)
		printf("to have it found, install it as %s (or use --install)\n", di->place.data);
	else
		printf("no build id to find it by: use --install, or gdb -e %s -s %s\n", di->path, out);
	if (di->verbose)
		printf("%u functions in %u units, %llu inlined calls, %llu lines\n",
		       di->stats.func_cnt, di->stats.unit_cnt,
		       (unsigned long long)di->stats.inlined_cnt,
		       (unsigned long long)di->stats.line_cnt);
}

static int run(struct debuginfo *di)
{
	const char *out = di->out;
	struct gj_diag diag = { 0 };
	int status, err = gj_image_open(di->path, &di->image, &diag);

	if (!err)
		err = gj_gotab_open(di->image, &di->gotab, &diag);
	if (err)
		return gj_cmd_fail_diag(err, &diag);
	if (!realpath(di->path, di->real_path))
		return gj_cmd_fail("%s: %s", di->path, strerror(errno));
	di->link = gj_debuginfo_place(di->image, di->real_path, di->root ? di->root : "",
				      &di->place);
	if (di->place.failed)
		return gj_cmd_fail("out of memory");
	if (di->install) {
		out = di->place.data;
		if (make_parents(di->place.data))
			return gj_cmd_fail("%s: cannot make its directory: %s", out,
					   strerror(errno));
	}
	status = write_out(di, out);
	if (!status && di->install && di->link == GJ_DEBUGINFO_BY_PATH)
		status = write_script(di, out);
	if (!status)
		print_hint(di, out);
	if (!status && di->stats.broken_cnt)
		status = gj_cmd_fail("%s: %u function records are broken and were left out",
				     di->path, di->stats.broken_cnt);
	return status;
}

enum { OPT_INSTALL = 256, OPT_ROOT, OPT_WITH_CODE };

static const struct option options[] = {
	{ "output", required_argument, NULL, 'o' },
	{ "install", no_argument, NULL, OPT_INSTALL },
	{ "root", required_argument, NULL, OPT_ROOT },
	{ "with-code", no_argument, NULL, OPT_WITH_CODE },
	{ "compress", no_argument, NULL, 'z' },
	{ "verbose", no_argument, NULL, 'v' },
	{ "help", no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 },
};

static int check_options(struct debuginfo *di, int argc, char **argv)
{
	if (optind == argc)
		return gj_cmd_usage("debuginfo", "no binary given") + 1;
	if (optind + 1 < argc)
		return gj_cmd_usage("debuginfo", "one binary at a time, not '%s' too",
				    argv[optind + 1]) + 1;
	di->path = argv[optind];
	if (!di->out == !di->install)
		return gj_cmd_usage("debuginfo", "say either -o OUT or --install") + 1;
	if (di->root && !di->install)
		return gj_cmd_usage("debuginfo", "--root goes with --install") + 1;
	return 0;
}

/* 0 to go on, else the exit status plus one. */
static int parse_options(struct debuginfo *di, int argc, char **argv)
{
	int c;

	while ((c = getopt_long(argc, argv, "o:zvh", options, NULL)) != -1) {
		switch (c) {
		case 'o': di->out = optarg; break;
		case OPT_INSTALL: di->install = true; break;
		case OPT_ROOT: di->root = optarg; break;
		case OPT_WITH_CODE: di->write.with_code = true; break;
		case 'z': di->write.compress = true; break;
		case 'v': di->verbose = true; break;
		case 'h': fputs(help, stdout); return 1;
		default: fputs(help, stderr); return GJ_EXIT_USAGE + 1;
		}
	}
	return check_options(di, argc, argv);
}

int gj_cmd_debuginfo(int argc, char **argv)
{
	struct debuginfo di = { 0 };
	int status = parse_options(&di, argc, argv);

	if (status)
		return status - 1;
	status = run(&di);
	gj_buf_deinit(&di.place);
	gj_gotab_close(di.gotab);
	gj_image_close(di.image);
	if (!status && (fflush(stdout) || ferror(stdout)))
		status = gj_cmd_fail("standard output: %s", strerror(errno));
	return status;
}
