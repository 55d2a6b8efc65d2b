/* SPDX-License-Identifier: GPL-2.0 */
/*
 * perf script with our plugin in it, started as a reader of recordings: what is
 * compressed, piped or split in them, and the kernel's and C's symbols, are then
 * perf's business. Takes a recording and options of both, gives what the plugin
 * writes; whoever asks for it knows the format.
 */
#ifndef GJ_PERF_H
#define GJ_PERF_H

#include "base/err.h"

/* The perf to run: the environment's PERF, else "perf", for PATH; not to be freed. */
const char *gj_perf_program(void);

/*
 * gj_perf_find_plugin - where gojitter.so is
 *
 * The environment's GOJITTER_SO; else beside this command, as built; else in its home
 * as installed, which the link perf-gojitter beside the command leads to wherever it
 * is (mk/install.mk). @path_out is to be freed. 0, -ENOENT with @diag, -ENOMEM.
 */
int gj_perf_find_plugin(char **path_out, struct gj_diag *diag);

struct gj_perf_script {
	const char *perf;         /* program; found on PATH */
	const char *plugin;       /* gojitter.so */
	const char *input;        /* perf.data; "-": standard input */
	char *const *plugin_args; /* key=value, NULL at the end */
	char *const *perf_args;   /* further options, NULL at the end; NULL: none */
	int stdout_fd;            /* of perf; -1: nowhere. Descriptors without O_CLOEXEC are perf's too. */
	/* One line without newline and our name: a complaint of the plugin's that does not end the run. */
	void (*say)(const char *line);
};

/*
 * gj_perf_script_run - run it to its end
 *
 * What perf itself says is heard only where it fails: then its reason is in @diag.
 * 0, -ENOENT: no such program, -EIO: perf failed, -E2BIG: too many options.
 */
int gj_perf_script_run(const struct gj_perf_script *script, struct gj_diag *diag);

#endif
