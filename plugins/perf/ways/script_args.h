/* SPDX-License-Identifier: GPL-2.0 */
/* The one change the front makes to perf's command line. */
#ifndef GJ_SCRIPT_ARGS_H
#define GJ_SCRIPT_ARGS_H

/*
 * @argv with every `-s X.so` that is an option of `perf script` spelled
 * `--dlfilter X.so`; all else word for word. @plugin, where not NULL, is the
 * path to take when X.so is plain "gojitter.so". The result is from malloc and
 * borrows its words from @argv and @plugin; NULL when out of memory.
 */
char **gj_script_args(int argc, char **argv, char *plugin);

#endif
