/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The subcommands of `gojitter`, one file each, and what they share.
 *
 * A subcommand gets its own name as argv[0] and returns the exit status:
 * 0 done, 1 the answer is no or something failed (one line on standard error
 * beginning "gojitter: "), 2 wrong usage.
 */
#ifndef GJ_CMD_H
#define GJ_CMD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

#define GJ_EXIT_FAILED 1
#define GJ_EXIT_USAGE 2

/* Prints "gojitter: LINE" on standard error. */
void gj_cmd_say(const char *line);
void gj_cmd_say_nothing(const char *line);
/*
 * A whole number from 1 to @max, up to the text's end or one of @ends. Moves
 * *@text to its end. False when there is none.
 */
bool gj_cmd_number(const char **text, unsigned long max, const char *ends,
		   unsigned int *number_out);
/* Adds the processes of "PID,PID..." to @pids, which has room for @max. False when it is no such list. */
bool gj_cmd_pids(const char *text, uint32_t *pids, unsigned int max, unsigned int *cnt);
/* "250ms", "10s", "10", "2m", "1h". False when it is none of these. */
bool gj_cmd_time(const char *text, uint64_t *ns_out);
/*
 * Kinds of events, or features, with commas between, as GJ_EVENT_BIT. @option of
 * @command had them. 0, or the exit status with the reason said.
 */
int gj_cmd_kinds(const char *command, const char *option, const char *text, uint64_t *kinds_out);
/*
 * "NAME,NAME..." or "all" as features of gojitter trace (bit N: enum gj_feature N). 0, or
 * the exit status of wrong usage of @command, which is then told.
 */
int gj_cmd_features(const char *command, const char *text, uint32_t *features_out);
void gj_cmd_print_features(void);       /* each with what it costs, one a line */
uint32_t gj_cmd_default_features(void); /* all that cost little to leave on */
/* Prints "gojitter: TEXT" on standard error and returns GJ_EXIT_FAILED. */
int gj_cmd_fail(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* The same with what @diag holds, or the text of @err where it holds nothing. */
int gj_cmd_fail_diag(int err, const struct gj_diag *diag);
/* Prints "gojitter: TEXT" and "see gojitter NAME --help"; returns GJ_EXIT_USAGE. */
int gj_cmd_usage(const char *name, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* "off" (0), "2%", "0.5". False when it is none of them. */
bool gj_cmd_budget_value(const char *text, unsigned int *permille_out);
/* Starts gojitter budget in the background. 0 or a negative errno. */
int gj_cmd_budget_start(const char *instance);

int gj_cmd_sym(int argc, char **argv);
int gj_cmd_demangle(int argc, char **argv);
int gj_cmd_debuginfo(int argc, char **argv);
int gj_cmd_record(int argc, char **argv);
int gj_cmd_pprof(int argc, char **argv);
int gj_cmd_profile(int argc, char **argv);
int gj_cmd_trace(int argc, char **argv);
int gj_cmd_untrace(int argc, char **argv);
int gj_cmd_budget(int argc, char **argv);
int gj_cmd_doctor(int argc, char **argv);
int gj_cmd_inject(int argc, char **argv);
int gj_cmd_bpftrace(int argc, char **argv);
int gj_cmd_events(int argc, char **argv);
int gj_cmd_bpf_object(int argc, char **argv);
int gj_cmd_export(int argc, char **argv);

#endif
