/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The keeper of an instance's budget: a process that looks now and then what the
 * probes cost, and takes the dearest away when it is too much twice running. Between
 * two looks it holds the instance's directory and nothing else.
 */
#include <errno.h>
#include <dirent.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "load/budget.h"

#define NAME "gojitter-budget" /* of the process; as long as the kernel takes */
#define WINDOW_NS 100000000
#define SHORT_MS 5000   /* between two looks */
#define LONG_MS 30000   /* when all has been calm */
#define AGAIN_MS 1000   /* behind one that was too much */
#define BLIND_MS 1000   /* without news of the directory */
#define LATE_NS 3000000000 /* a keeper that is so late is none */

struct keeper {
	const char *instance;
	struct gj_budget_watch watch;
	int news_fd;  /* inotify; -1 */
	int pause_ms;
};

static void path_of(const char *instance, char path_out[512])
{
	snprintf(path_out, 512, "%s/%s", GJ_TRACE_PINS, instance);
}

/* The directory that bears the name is the one that was opened. */
static bool is_there(const struct keeper *keeper)
{
	struct stat ours, named;
	char path[512];

	path_of(keeper->instance, path);
	return !fstat(keeper->watch.dir_fd, &ours) && !stat(path, &named) &&
	       ours.st_dev == named.st_dev && ours.st_ino == named.st_ino;
}

/* False: the instance is gone. */
static bool wait_for(const struct keeper *keeper, int ms)
{
	struct pollfd news = { .fd = keeper->news_fd, .events = POLLIN };
	uint64_t end_ns = gj_budget_now_ns() + (uint64_t)ms * 1000000;
	char text[4096] __attribute__((aligned(8)));

	for (uint64_t now_ns = 0; is_there(keeper); ) {
		int left_ms;

		now_ns = gj_budget_now_ns();
		if (now_ns >= end_ns)
			return true;
		left_ms = (int)((end_ns - now_ns) / 1000000) + 1;
		if (keeper->news_fd < 0 && left_ms > BLIND_MS)
			left_ms = BLIND_MS;
		if (poll(&news, 1, left_ms) > 0 && read(keeper->news_fd, text, sizeof(text)) < 0)
			return is_there(keeper);
	}
	return false;
}

static bool is_keeper(uint32_t pid)
{
	char path[64], name[32] = "";
	FILE *comm;

	snprintf(path, sizeof(path), "/proc/%u/comm", pid);
	comm = pid ? fopen(path, "re") : NULL;
	if (comm) {
		if (!fgets(name, sizeof(name), comm))
			name[0] = '\0';
		fclose(comm);
	}
	return !strcmp(name, NAME "\n");
}

static void tell_off(const struct gj_budget_watch *watch, const bool *was_on,
		     void (*say)(const char *line))
{
	char line[256];

	for (size_t i = 0; i < watch->row_cnt; i++) {
		const struct gj_budget_row *row = &watch->rows[i];

		if (!row->is_all || !was_on[i] || row->cost.state != off_over_budget)
			continue;
		snprintf(line, sizeof(line), "%s: turned off: %llu hits/s, ~%u.%u %% of one processor; with it the budget is exceeded",
			 row->key.feature, (unsigned long long)row->cost.hits_per_s,
			 row->cost.permille / 10, row->cost.permille % 10);
		say(line);
	}
}

static void trim(struct gj_budget_watch *watch, void (*say)(const char *line))
{
	bool was_on[GJ_MAX_COST_ROWS];

	for (size_t i = 0; i < watch->row_cnt; i++)
		was_on[i] = watch->rows[i].cost.state == on;
	gj_budget_trim(watch);
	tell_off(watch, was_on, say);
}

/* One look. Too much must be so twice: a burst is not worth what would be lost. */
static int look(struct keeper *keeper, void (*say)(const char *line))
{
	struct gj_budget_watch *watch = &keeper->watch;
	int err = gj_budget_read(watch);

	if (!err)
		err = gj_budget_measure(watch, WINDOW_NS);
	if (err)
		return err;
	if (!gj_budget_is_over(watch, 1)) {
		bool is_calm = watch->budget.taken_permille * 2 <= watch->budget.permille;

		watch->budget.over_windows = 0;
		keeper->pause_ms = !is_calm || keeper->pause_ms < SHORT_MS ? SHORT_MS :
				   keeper->pause_ms * 2 > LONG_MS ? LONG_MS : keeper->pause_ms * 2;
	} else if (!watch->budget.over_windows++) {
		keeper->pause_ms = AGAIN_MS;
	} else {
		trim(watch, say);
		watch->budget.over_windows = 0;
		keeper->pause_ms = AGAIN_MS;
	}
	watch->budget.next_ns = gj_budget_now_ns() + (uint64_t)keeper->pause_ms * 1000000;
	return gj_budget_write(watch);
}

static void keep(struct keeper *keeper, void (*say)(const char *line))
{
	struct gj_budget_watch *watch = &keeper->watch;

	while (wait_for(keeper, keeper->pause_ms) && !look(keeper, say) &&
	       (watch->target_cnt || watch->has_programs))
		;
	/* Then nothing can come, and every syscall of the machine would go on to pay. */
	if (watch->budget.measured_ns && !watch->target_cnt && !watch->has_programs && is_there(keeper))
		gj_budget_end(watch);
	/* Where nobody has taken the instance away it says that nobody looks any more. */
	watch->budget.keeper = 0;
	watch->budget.next_ns = 0;
	if (is_there(keeper))
		gj_budget_write(watch);
}

static int begin(struct keeper *keeper, struct gj_diag *diag)
{
	struct gj_budget_watch *watch = &keeper->watch;
	char path[512];
	int err = gj_pins_check_name(keeper->instance, diag);

	if (err)
		return err;
	path_of(keeper->instance, path);
	err = gj_budget_open(watch, path);
	if (err)
		return gj_diag_set(diag, err, "instance %s: %s", keeper->instance,
				   err == -ENOENT ? "there is none" : strerror(-err));
	if (!watch->budget.permille)
		return gj_diag_set(diag, -EINVAL, "instance %s has no budget (--budget off)",
				   keeper->instance);
	if (is_keeper(watch->budget.keeper))
		return gj_diag_set(diag, -EEXIST, "instance %s: process %u keeps its budget",
				   keeper->instance, watch->budget.keeper);
	err = gj_budget_may_measure();
	if (err)
		return gj_diag_set(diag, err, "what probes cost cannot be measured: %s", strerror(-err));
	keeper->news_fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (keeper->news_fd >= 0)
		inotify_add_watch(keeper->news_fd, GJ_TRACE_PINS,
				  IN_MOVED_FROM | IN_MOVED_TO | IN_DELETE | IN_ONLYDIR);
	watch->budget.keeper = (uint32_t)getpid();
	watch->budget.next_ns = gj_budget_now_ns() + (uint64_t)keeper->pause_ms * 1000000;
	return gj_budget_write(watch);
}

int gj_trace_keep(const char *instance, void (*say)(const char *line), struct gj_diag *diag)
{
	static struct keeper keeper;
	int err;

	keeper = (struct keeper){
		.instance = instance, .watch.dir_fd = -1, .news_fd = -1, .pause_ms = SHORT_MS,
	};
	prctl(PR_SET_NAME, NAME);
	err = begin(&keeper, diag);
	if (!err)
		keep(&keeper, say);
	if (keeper.news_fd >= 0)
		close(keeper.news_fd);
	gj_budget_close(&keeper.watch);
	return err;
}

static void report(const char *instance, void (*found)(const char *line))
{
	static struct gj_budget_watch watch;
	char path[512], line[512];
	bool is_open;

	path_of(instance, path);
	is_open = !gj_budget_open(&watch, path);
	gj_budget_close(&watch);
	if (!is_open)
		return;
	for (size_t i = 0; i < watch.row_cnt; i++) {
		const struct gj_budget_row *row = &watch.rows[i];

		if (!row->is_all || row->cost.state != off_over_budget)
			continue;
		snprintf(line, sizeof(line), "instance %s: %s is turned off: with its %u.%u %% of one processor the budget was exceeded",
			 instance, row->key.feature, row->cost.permille / 10, row->cost.permille % 10);
		found(line);
	}
	if (!watch.budget.keeper || gj_budget_now_ns() < watch.budget.next_ns + LATE_NS)
		return;
	snprintf(line, sizeof(line), "instance %s: nobody keeps its budget any more; gojitter budget --instance %s does",
		 instance, instance);
	found(line);
}

void gj_trace_report_budgets(void (*found)(const char *line))
{
	DIR *dir = opendir(GJ_TRACE_PINS);
	struct dirent *entry;

	while (dir && (entry = readdir(dir)))
		if (entry->d_name[0] != '.')
			report(entry->d_name, found);
	if (dir)
		closedir(dir);
}
