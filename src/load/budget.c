/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What programs cost in a window, from the kernel's own statistics (Linux 5.8,
 * BPF_ENABLE_STATS): how often each ran and how long, plus the trap before each run.
 * The statistics are on in a window only; their own clock readings, about 0.1 us a run,
 * are in what they say, and stand for what the kernel does around a program.
 *
 * A run may be preempted, and has then taken as long as whatever came between. So a
 * window is cut into slices, and a program's time is that of its quickest slice.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/limits.h"
#include "load/budget.h"

#define SLICES 4
/* A slice with fewer runs proves nothing: most of it may be one that was preempted. */
#define FEW_RUNS 64
#define FEW_RUNS_NS 20000 /* what a run takes at most then: no program of ours takes longer */

uint64_t gj_budget_now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

static int open_pin(const struct gj_budget_watch *watch, const char *dir, const char *name)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "/proc/self/fd/%d/%s%s", watch->dir_fd, dir, name);
	fd = bpf_obj_get(path);
	return fd < 0 ? -errno : fd;
}

int gj_budget_open(struct gj_budget_watch *watch, const char *path)
{
	*watch = (struct gj_budget_watch){ .dir_fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC) };
	return watch->dir_fd < 0 ? -errno : gj_budget_read(watch);
}

void gj_budget_close(struct gj_budget_watch *watch)
{
	if (watch->dir_fd >= 0)
		close(watch->dir_fd);
	watch->dir_fd = -1;
}

static int read_rows(struct gj_budget_watch *watch, int fd)
{
	struct gj_cost_key key, *last = NULL;

	watch->row_cnt = 0;
	while (!bpf_map_get_next_key(fd, last, &key)) {
		struct gj_budget_row *row = &watch->rows[watch->row_cnt];
		enum gj_feature feature;

		last = &key;
		*row = (struct gj_budget_row){ .key = key, .fd = -1 };
		if (bpf_map_lookup_elem(fd, &key, &row->cost))
			continue;
		/* Paths and comparisons are made of them. */
		row->key.feature[sizeof(key.feature) - 1] = '\0';
		row->key.program[sizeof(key.program) - 1] = '\0';
		row->is_all = !strcmp(row->key.program, GJ_BUDGET_ALL);
		row->is_needed = gj_feature_find(row->key.feature, strlen(row->key.feature), &feature);
		if (++watch->row_cnt == GJ_MAX_COST_ROWS)
			break;
	}
	return watch->row_cnt ? 0 : -ENOENT;
}

/* The maps `costs` and `budget`. On failure neither is open. */
struct maps {
	int costs, budget;
};

static int open_maps(const struct gj_budget_watch *watch, struct maps *maps)
{
	maps->costs = open_pin(watch, "", "costs");
	if (maps->costs < 0)
		return maps->costs;
	maps->budget = open_pin(watch, "", "budget");
	if (maps->budget < 0)
		close(maps->costs);
	return maps->budget < 0 ? maps->budget : 0;
}

static void close_maps(const struct maps *maps)
{
	close(maps->costs);
	close(maps->budget);
}

int gj_budget_read(struct gj_budget_watch *watch)
{
	struct maps maps;
	int err = open_maps(watch, &maps);
	uint32_t only = 0;

	if (err)
		return err;
	err = read_rows(watch, maps.costs);
	if (!err && bpf_map_lookup_elem(maps.budget, &only, &watch->budget))
		err = -errno;
	close_maps(&maps);
	return err;
}

int gj_budget_write(const struct gj_budget_watch *watch)
{
	struct maps maps;
	int err = open_maps(watch, &maps);
	uint32_t only = 0;

	if (err)
		return err;
	for (size_t i = 0; !err && i < watch->row_cnt; i++)
		if (bpf_map_update_elem(maps.costs, &watch->rows[i].key, &watch->rows[i].cost, BPF_ANY))
			err = -errno;
	if (!err && bpf_map_update_elem(maps.budget, &only, &watch->budget, BPF_ANY))
		err = -errno;
	close_maps(&maps);
	return err;
}

int gj_budget_may_measure(void)
{
	int fd = bpf_enable_stats(BPF_STATS_RUN_TIME);

	if (fd < 0)
		return -errno;
	close(fd);
	return 0;
}

/*
 * Processor time of the targets so far, with their number. Process numbers are those of
 * the loader's pid namespace, which is the keeper's, too.
 */
static uint64_t read_targets(struct gj_budget_watch *watch)
{
	int fd = open_pin(watch, "", "targets");
	uint32_t pid, *last = NULL;
	uint64_t sum_ns = 0;

	watch->target_cnt = 0;
	while (fd >= 0 && !bpf_map_get_next_key(fd, last, &pid) &&
	       watch->target_cnt < GJ_MAX_BUDGET_TARGETS) {
		struct timespec ts;
		clockid_t clock;

		last = &pid;
		watch->target_cnt++;
		if (!clock_getcpuclockid((pid_t)pid, &clock) && !clock_gettime(clock, &ts))
			sum_ns += (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
	}
	if (fd >= 0)
		close(fd);
	return sum_ns;
}

static bool has_programs(const struct gj_budget_watch *watch)
{
	int fd = open_pin(watch, "", "programs");
	struct gj_exe exe;
	bool has = fd >= 0 && !bpf_map_get_next_key(fd, NULL, &exe);

	if (fd >= 0)
		close(fd);
	return has;
}

/* What the kernel has counted of a program so far. */
static bool read_sums(const struct gj_budget_row *row, uint64_t *cnt_out, uint64_t *ns_out)
{
	struct bpf_prog_info info = { 0 };
	uint32_t size_bytes = sizeof(info);

	if (row->fd < 0 || bpf_obj_get_info_by_fd(row->fd, &info, &size_bytes))
		return false;
	*cnt_out = info.run_cnt;
	*ns_out = info.run_time_ns;
	return true;
}

static void begin_rows(struct gj_budget_watch *watch)
{
	for (size_t i = 0; i < watch->row_cnt; i++) {
		struct gj_budget_row *row = &watch->rows[i];

		row->taken_ns = 0;
		row->best_ns = UINT64_MAX;
		row->fd = -1;
		if (row->cost.state != on)
			continue;
		row->cost.hits = 0;
		if (!row->is_all)
			row->fd = open_pin(watch, "progs/", row->key.program);
		if (!read_sums(row, &row->run_cnt, &row->run_ns) && row->fd >= 0) {
			close(row->fd);
			row->fd = -1;
		}
	}
}

static void end_slice(struct gj_budget_row *row)
{
	uint64_t run_cnt, run_ns, cnt, ns;

	if (!read_sums(row, &run_cnt, &run_ns) || run_cnt <= row->run_cnt)
		return;
	cnt = run_cnt - row->run_cnt;
	ns = (run_ns - row->run_ns) / cnt;
	if (cnt < FEW_RUNS && ns > FEW_RUNS_NS)
		ns = FEW_RUNS_NS;
	if (ns < row->best_ns)
		row->best_ns = ns;
	row->cost.hits += cnt;
	row->run_cnt = run_cnt;
	row->run_ns = run_ns;
}

static void put_figures(struct gj_budget_row *row, const struct gj_budget_watch *watch)
{
	struct gj_cost *cost = &row->cost;

	cost->hits_per_s = cost->hits * 1000000000 / watch->window_ns;
	cost->ns_per_hit = cost->hits ? row->taken_ns / cost->hits : 0;
	cost->permille = (uint32_t)((row->taken_ns * 1000 + watch->window_ns / 2) / watch->window_ns);
	cost->window_ns = watch->window_ns;
	cost->measured_ns = watch->budget.measured_ns;
}

/* A feature's row: the sum of its programs'. */
static void add_up(struct gj_budget_watch *watch, struct gj_budget_row *all)
{
	for (size_t i = 0; i < watch->row_cnt; i++) {
		const struct gj_budget_row *row = &watch->rows[i];

		if (row->is_all || strcmp(row->key.feature, all->key.feature))
			continue;
		all->cost.hits += row->cost.hits;
		all->taken_ns += row->taken_ns;
	}
	put_figures(all, watch);
}

static void end_rows(struct gj_budget_watch *watch)
{
	watch->taken_ns = 0;
	for (size_t i = 0; i < watch->row_cnt; i++) {
		struct gj_budget_row *row = &watch->rows[i];

		if (row->fd < 0)
			continue;
		close(row->fd);
		row->fd = -1;
		if (row->cost.hits)
			row->taken_ns = row->cost.hits * (row->cost.trap_ns + row->best_ns);
		watch->taken_ns += row->taken_ns;
		put_figures(row, watch);
	}
	for (size_t i = 0; i < watch->row_cnt; i++)
		if (watch->rows[i].is_all && watch->rows[i].cost.state == on)
			add_up(watch, &watch->rows[i]);
}

int gj_budget_measure(struct gj_budget_watch *watch, uint64_t window_ns)
{
	const struct timespec slice = { .tv_nsec = (long)(window_ns / SLICES) };
	int stats = bpf_enable_stats(BPF_STATS_RUN_TIME);
	uint64_t begin_ns, targets_ns, now_ns;

	if (stats < 0)
		return -errno;
	begin_rows(watch);
	begin_ns = gj_budget_now_ns();
	targets_ns = read_targets(watch);
	for (int i = 0; i < SLICES; i++) {
		nanosleep(&slice, NULL);
		for (size_t j = 0; j < watch->row_cnt; j++)
			end_slice(&watch->rows[j]);
	}
	now_ns = gj_budget_now_ns();
	watch->window_ns = now_ns - begin_ns;
	watch->targets_ns = read_targets(watch);
	/* One that ended in between takes its time with it. */
	watch->targets_ns -= watch->targets_ns > targets_ns ? targets_ns : watch->targets_ns;
	watch->has_programs = has_programs(watch);
	watch->budget.measured_ns = now_ns;
	end_rows(watch);
	watch->budget.taken_permille = (uint32_t)(watch->taken_ns * 1000 / watch->window_ns);
	watch->budget.targets_permille = (uint32_t)(watch->targets_ns * 1000 / watch->window_ns);
	close(stats);
	return 0;
}

bool gj_budget_is_over(const struct gj_budget_watch *watch, unsigned int times)
{
	uint64_t base_ns = watch->targets_ns > watch->window_ns ? watch->targets_ns : watch->window_ns;

	return watch->taken_ns > base_ns * watch->budget.permille * times / 1000;
}

static struct gj_budget_row *find_dearest(struct gj_budget_watch *watch)
{
	struct gj_budget_row *dearest = NULL;

	for (size_t i = 0; i < watch->row_cnt; i++) {
		struct gj_budget_row *row = &watch->rows[i];

		if (row->is_all && !row->is_needed && row->cost.state == on && row->taken_ns &&
		    (!dearest || row->taken_ns > dearest->taken_ns))
			dearest = row;
	}
	return dearest;
}

/*
 * All of a feature's programs: what some of them would go on to count would be wrong.
 * @feature: NULL: of all
 */
static int turn_off(struct gj_budget_watch *watch, const char *feature, enum gj_cost_state state)
{
	uint64_t now_ns = gj_budget_now_ns();
	int err = 0;

	for (size_t i = 0; i < watch->row_cnt; i++) {
		struct gj_budget_row *row = &watch->rows[i];
		int failed;

		if (row->cost.state != on || (feature && strcmp(row->key.feature, feature)))
			continue;
		failed = row->is_all ? 0 : gj_pins_detach(watch->dir_fd, row->key.program);
		err = err ? err : failed;
		row->cost.state = state;
		row->cost.since_ns = now_ns;
	}
	return err;
}

unsigned int gj_budget_trim(struct gj_budget_watch *watch)
{
	struct gj_budget_row *dearest;
	unsigned int off_cnt = 0;

	while (gj_budget_is_over(watch, 1) && (dearest = find_dearest(watch))) {
		/* A pin that is not ours to remove: the row must not say what is not so. */
		if (turn_off(watch, dearest->key.feature, off_over_budget))
			return off_cnt;
		watch->taken_ns -= dearest->taken_ns;
		watch->budget.taken_permille =
			(uint32_t)(watch->taken_ns * 1000 / watch->window_ns);
		off_cnt++;
	}
	return off_cnt;
}

void gj_budget_end(struct gj_budget_watch *watch)
{
	if (!turn_off(watch, NULL, off_target_gone))
		watch->budget.taken_permille = 0;
}
