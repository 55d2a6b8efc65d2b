/* SPDX-License-Identifier: GPL-2.0 */
/* gojitter budget: keeps what an instance of gojitter trace costs within its budget; trace starts it. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmd/cmd.h"
#include "load/load.h"

static const char help[] =
	"usage: gojitter budget --instance NAME\n"
	"\n"
	"Measures now and then what the probes of an instance of gojitter trace cost, and turns\n"
	"the dearest off when it is more than the instance's budget. Ends with the instance, or\n"
	"when the last process that is traced by number has ended, and turns all off then.\n"
	"gojitter trace starts it; by hand when it was killed.\n"
	"\n"
	"      --instance=NAME  which\n"
	"  -h, --help           this text\n";

static const struct option options[] = {
	{ "instance", required_argument, NULL, 'i' },
	{ "help", no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 },
};

int gj_cmd_budget(int argc, char **argv)
{
	const char *instance = NULL;
	struct gj_diag diag = { 0 };
	int c, err;

	while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		if (c == 'h') {
			fputs(help, stdout);
			return 0;
		}
		if (c == '?') {
			fputs("see gojitter budget --help\n", stderr);
			return GJ_EXIT_USAGE;
		}
		instance = optarg;
	}
	if (optind < argc)
		return gj_cmd_usage("budget", "%s: not understood", argv[optind]);
	if (!instance)
		return gj_cmd_usage("budget", "which instance? give --instance NAME");
	err = gj_trace_keep(instance, gj_cmd_say, &diag);
	return err ? gj_cmd_fail_diag(err, &diag) : 0;
}

bool gj_cmd_budget_value(const char *text, unsigned int *permille_out)
{
	char *end;
	double percent;

	if (!strcmp(text, "off")) {
		*permille_out = 0;
		return true;
	}
	if (*text < '0' || *text > '9')
		return false;
	errno = 0;
	percent = strtod(text, &end);
	if (errno || end == text || strspn(text, "0123456789.") != (size_t)(end - text) ||
	    (*end && strcmp(end, "%")) || percent < 0.1 || percent > 100)
		return false;
	*permille_out = (unsigned int)(percent * 10 + 0.5);
	return true;
}

/* In the child: nothing of the terminal, of who called, or of what they hold. */
static void detach(void)
{
	int null = open("/dev/null", O_RDWR);

	for (int fd = 0; null >= 0 && fd < 3; fd++)
		dup2(null, fd);
	close_range(3, ~0u, 0);
	setsid();
	if (chdir("/"))
		_exit(GJ_EXIT_FAILED);
}

int gj_cmd_budget_start(const char *instance)
{
	pid_t pid = fork();

	if (pid < 0)
		return -errno;
	if (pid)
		return 0;
	detach();
	/* A program of its own, so that it has neither our memory nor our name. */
	execl("/proc/self/exe", "gojitter", "budget", "--instance", instance, (char *)NULL);
	_exit(GJ_EXIT_FAILED);
}
