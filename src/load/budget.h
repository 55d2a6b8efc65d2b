/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the probes of an instance cost, and what is done about it. The maps `costs`
 * and `budget` (bpf/gj_trace.h) say it; the loader and the keeper write them.
 */
#ifndef GJ_LOAD_BUDGET_H
#define GJ_LOAD_BUDGET_H

#include "load/instance.h"

#define GJ_BUDGET_ALL "all" /* program of a feature's own row */

/* A row of `costs`, and what a window needs beside it. */
struct gj_budget_row {
	struct gj_cost_key key;
	struct gj_cost cost;
	bool is_all;       /* the feature's own row */
	bool is_needed;    /* of no feature, so it stays */
	int fd;            /* its program, in a window; -1 */
	uint64_t run_cnt, run_ns; /* the kernel's sums when the slice began */
	uint64_t best_ns;  /* a run's, in the slice that was least disturbed */
	uint64_t taken_ns; /* in the window */
};

/* An instance as the budget sees it. Holds nothing of it but its directory. */
struct gj_budget_watch {
	int dir_fd; /* stays the same directory whatever its name becomes */
	struct gj_budget budget;
	struct gj_budget_row rows[GJ_MAX_COST_ROWS];
	size_t row_cnt;
	uint64_t window_ns, taken_ns, targets_ns;
	unsigned int target_cnt; /* processes traced in the window */
	bool has_programs;       /* there may be processes to come */
};

/* Writes the first rows of `costs`, and `budget`, for what has been attached. */
int gj_budget_describe(struct gj_load *load, struct gj_diag *diag);
/* Measures what has been attached and takes away what is over the budget. */
int gj_budget_settle(struct gj_load *load, struct gj_diag *diag);
/* Says what each feature costs, a line each. */
void gj_budget_tell(const struct gj_load *load, void (*say)(const char *line));

/* 0; -ENOENT: no such directory, or it is no instance. */
int gj_budget_open(struct gj_budget_watch *watch, const char *path);
/* Reads the rows anew. */
int gj_budget_read(struct gj_budget_watch *watch);
void gj_budget_close(struct gj_budget_watch *watch);

/* 0; -EPERM: the kernel does not count for this user. */
int gj_budget_may_measure(void);
/* Counts for @window_ns and fills the rows. */
int gj_budget_measure(struct gj_budget_watch *watch, uint64_t window_ns);
/* More than so many times the budget was taken. */
bool gj_budget_is_over(const struct gj_budget_watch *watch, unsigned int times);
/* Takes away the dearest features until the rest fits; how many. */
unsigned int gj_budget_trim(struct gj_budget_watch *watch);
/* Takes all away, as there is nothing to be seen any more. */
void gj_budget_end(struct gj_budget_watch *watch);
/* Writes rows and @watch->budget into their maps. */
int gj_budget_write(const struct gj_budget_watch *watch);

uint64_t gj_budget_now_ns(void); /* CLOCK_MONOTONIC */

#endif
