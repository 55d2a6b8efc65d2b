/* SPDX-License-Identifier: GPL-2.0 */
/* The BPF program of bpf/profile.bpf.c: loaded, put on a timer of each processor, read. */
#include "profile/profile.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#ifdef GJ_HAVE_BPF

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <profile.skel.h>
#include <time.h>
#include <unistd.h>

/* Programs that run in a sampling interrupt take microseconds. */
#define GRACE_NS 20000000

struct gj_profiler {
	const struct gj_profile_options *options;
	struct gj_profile *skel;
	int *events; /* file descriptors; -1: none */
	size_t event_cnt;
	struct bpf_link **links; /* as many */
	int stats_fd;
};

static int say_nothing(enum libbpf_print_level level, const char *fmt, va_list args)
{
	(void)level;
	(void)fmt;
	(void)args;
	return 0;
}

static int refuse(int err, const char *what, struct gj_diag *diag)
{
	if (err == -EPERM || err == -EACCES)
		return gj_diag_set(diag, -EPERM,
				   "the kernel does not let this user %s; run as root (or with CAP_BPF, CAP_PERFMON and CAP_SYS_PTRACE)",
				   what);
	return gj_diag_set(diag, err, "the kernel cannot %s: %s; gojitter profile wants Linux 6.1 with BTF", what,
			   strerror(-err));
}

static int load(struct gj_profiler *profiler, const struct gj_profile_targets *targets,
		struct gj_diag *diag)
{
	uint32_t row_cnt = (uint32_t)(targets->rows.size_bytes / sizeof(struct gj_unwind_row));
	struct gj_profile *skel = gj_profile__open();
	int err;

	if (!skel)
		return gj_diag_set(diag, -errno, "the BPF program cannot be read: %s", strerror(errno));
	profiler->skel = skel;
	skel->rodata->gj_by_goid = profiler->options->by_goid;
	skel->rodata->gj_compare_fp = profiler->options->compare_fp;
	err = bpf_map__set_max_entries(skel->maps.gj_prof_row, row_cnt ? row_cnt : 1);
	if (!err && targets->pages.size_bytes)
		err = bpf_map__set_max_entries(skel->maps.gj_prof_page,
					       (uint32_t)(targets->pages.size_bytes /
							  sizeof(struct gj_unwind_page)));
	if (!err) /* processes are known by number alone */
		err = bpf_map__set_max_entries(skel->maps.gj_programs, 1);
	if (!err && !profiler->options->cost) {
		err = bpf_program__set_autoload(skel->progs.gj_prof_empty, false);
		if (!err)
			err = bpf_program__set_autoload(skel->progs.gj_prof_fp, false);
	}
	if (!err)
		err = gj_profile__load(skel);
	return err ? refuse(err, "load the unwinder", diag) : 0;
}

static int fill(struct gj_profiler *profiler, const struct gj_profile_targets *targets)
{
	struct gj_profile *skel = profiler->skel;
	LIBBPF_OPTS(bpf_test_run_opts, once);
	int err = gj_profile_fill_array(bpf_map__fd(skel->maps.gj_prof_row), &targets->rows);

	if (!err)
		err = gj_profile_fill_array(bpf_map__fd(skel->maps.gj_prof_page), &targets->pages);
	/* Numbers of processes are those of our own pid namespace. */
	if (!err)
		err = bpf_prog_test_run_opts(bpf_program__fd(skel->progs.gj_prof_begin), &once);
	for (size_t i = 0; !err && i < targets->process_cnt; i++) {
		const struct gj_profile_process *process = &targets->processes[i];
		struct gj_process known = { .runtime = process->runtime };

		err = bpf_map_update_elem(bpf_map__fd(skel->maps.gj_processes), &process->pid,
					  &known, BPF_ANY);
		if (!err)
			err = bpf_map_update_elem(bpf_map__fd(skel->maps.gj_prof_target),
						  &process->pid, &process->target, BPF_ANY);
	}
	return err;
}

int gj_profiler_new(const struct gj_profile_options *options,
		    const struct gj_profile_targets *targets, struct gj_profiler **profiler_out,
		    struct gj_diag *diag)
{
	struct gj_profiler *profiler = calloc(1, sizeof(*profiler));
	int err;

	if (!profiler)
		return gj_diag_set(diag, -ENOMEM, "out of memory");
	libbpf_set_print(say_nothing);
	profiler->options = options;
	profiler->stats_fd = -1;
	err = load(profiler, targets, diag);
	if (!err) {
		err = fill(profiler, targets);
		if (err)
			gj_diag_set(diag, err, "the unwinder's maps cannot be filled: %s", strerror(-err));
	}
	if (err) {
		gj_profiler_free(profiler);
		return err;
	}
	*profiler_out = profiler;
	return 0;
}

void gj_profiler_stop(struct gj_profiler *profiler)
{
	for (size_t i = 0; i < profiler->event_cnt; i++) {
		bpf_link__destroy(profiler->links[i]);
		if (profiler->events[i] >= 0)
			close(profiler->events[i]);
	}
	profiler->event_cnt = 0;
}

void gj_profiler_free(struct gj_profiler *profiler)
{
	if (!profiler)
		return;
	gj_profiler_stop(profiler);
	if (profiler->stats_fd >= 0)
		close(profiler->stats_fd);
	gj_profile__destroy(profiler->skel);
	free(profiler->events);
	free(profiler->links);
	free(profiler);
}

static int attach(struct gj_profiler *profiler, struct bpf_program *program, int cpu)
{
	size_t at = profiler->event_cnt;
	int fd = gj_profile_timer(profiler->options->hz, cpu);

	if (fd < 0)
		return fd == -ENODEV ? 0 : fd;
	profiler->links[at] = bpf_program__attach_perf_event(program, fd);
	if (!profiler->links[at]) {
		int err = -errno;

		close(fd);
		return err;
	}
	/* libbpf closes the event with its link. */
	profiler->events[at] = -1;
	profiler->event_cnt++;
	return 0;
}

int gj_profiler_start(struct gj_profiler *profiler, struct gj_diag *diag)
{
	struct gj_profile *skel = profiler->skel;
	struct bpf_program *programs[] = { skel->progs.gj_prof_sample, skel->progs.gj_prof_empty,
					   skel->progs.gj_prof_fp };
	size_t program_cnt = profiler->options->cost ? 3 : 1;
	int cpu_cnt = libbpf_num_possible_cpus(), err = 0;

	if (cpu_cnt <= 0)
		return gj_diag_set(diag, -ENODEV, "the number of processors is not known");
	profiler->events = calloc((size_t)cpu_cnt * program_cnt, sizeof(*profiler->events));
	profiler->links = calloc((size_t)cpu_cnt * program_cnt, sizeof(struct bpf_link *));
	if (!profiler->events || !profiler->links)
		return gj_diag_set(diag, -ENOMEM, "out of memory");
	if (profiler->options->cost) {
		profiler->stats_fd = bpf_enable_stats(BPF_STATS_RUN_TIME);
		if (profiler->stats_fd < 0)
			return gj_diag_set(diag, -errno,
					   "the kernel's run-time statistics cannot be switched on: %s; --cost wants root",
					   strerror(errno));
	}
	for (size_t i = 0; i < program_cnt; i++)
		for (int cpu = 0; !err && cpu < cpu_cnt; cpu++)
			err = attach(profiler, programs[i], cpu);
	return err ? refuse(err, "sample all processors", diag) : 0;
}

int gj_profile_keys(int map_fd, size_t key_bytes, struct gj_buf *keys)
{
	uint8_t key[64], *before = NULL;

	while (!bpf_map_get_next_key(map_fd, before, key)) {
		gj_buf_add(keys, key, key_bytes);
		before = key;
	}
	return keys->failed ? -ENOMEM : 0;
}

static int take_counts(struct gj_profiler *profiler, uint32_t round, const struct gj_buf *keys,
		       int (*take)(void *data, const struct gj_profile_entry *entry), void *data)
{
	int counts = bpf_map__fd(profiler->skel->maps.gj_prof_count);
	int stacks = bpf_map__fd(profiler->skel->maps.gj_prof_stack);
	struct gj_profile_key key;
	struct gj_profile_stack stack;
	int err = 0;

	for (size_t off = 0; !err && off < keys->size_bytes; off += sizeof(key)) {
		struct gj_profile_entry entry = { .stack = &stack };

		memcpy(&key, keys->data + off, sizeof(key));
		if (key.stack.round != round || bpf_map_lookup_elem(counts, &key, &entry.cnt))
			continue;
		entry.pid = key.stack.tgid;
		entry.goid = key.goid;
		if (!bpf_map_lookup_elem(stacks, &key.stack, &stack))
			err = take(data, &entry);
		bpf_map_delete_elem(counts, &key);
	}
	return err;
}

static void drop_stacks(struct gj_profiler *profiler, uint32_t round, const struct gj_buf *keys)
{
	struct gj_profile_stack_key key;

	for (size_t off = 0; off < keys->size_bytes; off += sizeof(key)) {
		memcpy(&key, keys->data + off, sizeof(key));
		if (key.round == round)
			bpf_map_delete_elem(bpf_map__fd(profiler->skel->maps.gj_prof_stack), &key);
	}
}

int gj_profiler_drain(struct gj_profiler *profiler,
		      int (*take)(void *data, const struct gj_profile_entry *entry), void *data,
		      struct gj_diag *diag)
{
	const struct timespec grace = { .tv_nsec = GRACE_NS };
	struct gj_profile *skel = profiler->skel;
	struct gj_buf counts = { 0 }, stacks = { 0 };
	uint32_t round = skel->bss->gj_round;
	int err;

	skel->bss->gj_round = round + 1;
	nanosleep(&grace, NULL);
	err = gj_profile_keys(bpf_map__fd(skel->maps.gj_prof_count), sizeof(struct gj_profile_key), &counts);
	if (!err)
		err = gj_profile_keys(bpf_map__fd(skel->maps.gj_prof_stack),
				sizeof(struct gj_profile_stack_key), &stacks);
	if (!err)
		err = take_counts(profiler, round, &counts, take, data);
	drop_stacks(profiler, round, &stacks);
	gj_buf_deinit(&counts);
	gj_buf_deinit(&stacks);
	return err ? gj_diag_set(diag, err, "the profile cannot be read: %s", strerror(-err)) : 0;
}

void gj_profiler_sums(struct gj_profiler *profiler, struct gj_profile_sums *sums_out)
{
	uint32_t zero = 0;

	if (bpf_map_lookup_elem(bpf_map__fd(profiler->skel->maps.gj_prof_sum), &zero, sums_out))
		*sums_out = (struct gj_profile_sums){ 0 };
}

static void read_times(const struct bpf_program *program, uint64_t *ns_out, uint64_t *runs_out)
{
	struct bpf_prog_info info = { 0 };
	uint32_t size_bytes = sizeof(info);

	*ns_out = *runs_out = 0;
	if (bpf_obj_get_info_by_fd(bpf_program__fd(program), &info, &size_bytes))
		return;
	*ns_out = info.run_time_ns;
	*runs_out = info.run_cnt;
}

/* Runs that found another process took as long as the program that does nothing. */
static uint64_t mean_ns(const struct bpf_program *program, uint64_t empty_ns, uint64_t sample_cnt)
{
	uint64_t ns, runs, other_ns;

	read_times(program, &ns, &runs);
	other_ns = runs > sample_cnt ? (runs - sample_cnt) * empty_ns : 0;
	return sample_cnt && ns > other_ns ? (ns - other_ns) / sample_cnt : 0;
}

void gj_profiler_cost(struct gj_profiler *profiler, struct gj_profile_cost *cost_out)
{
	struct gj_profile *skel = profiler->skel;
	struct gj_profile_sums sums;
	uint64_t ns, runs;

	gj_profiler_sums(profiler, &sums);
	read_times(skel->progs.gj_prof_empty, &ns, &runs);
	cost_out->empty_ns = runs ? ns / runs : 0;
	cost_out->samples = gj_profiler_count(&sums);
	cost_out->fp_ns = mean_ns(skel->progs.gj_prof_fp, cost_out->empty_ns, cost_out->samples);
	cost_out->ours_ns =
		mean_ns(skel->progs.gj_prof_sample, cost_out->empty_ns, cost_out->samples);
}

#else

int gj_profiler_new(const struct gj_profile_options *options,
		    const struct gj_profile_targets *targets, struct gj_profiler **profiler_out,
		    struct gj_diag *diag)
{
	(void)options;
	(void)targets;
	(void)profiler_out;
	return gj_diag_set(diag, -EOPNOTSUPP,
			   "built without BPF; build again with clang, bpftool and libbpf-dev installed");
}

void gj_profiler_free(struct gj_profiler *profiler)
{
	(void)profiler;
}

int gj_profiler_start(struct gj_profiler *profiler, struct gj_diag *diag)
{
	(void)profiler;
	(void)diag;
	return -EOPNOTSUPP;
}

void gj_profiler_stop(struct gj_profiler *profiler)
{
	(void)profiler;
}

int gj_profiler_drain(struct gj_profiler *profiler,
		      int (*take)(void *data, const struct gj_profile_entry *entry), void *data,
		      struct gj_diag *diag)
{
	(void)profiler;
	(void)take;
	(void)data;
	(void)diag;
	return -EOPNOTSUPP;
}

void gj_profiler_sums(struct gj_profiler *profiler, struct gj_profile_sums *sums_out)
{
	(void)profiler;
	*sums_out = (struct gj_profile_sums){ 0 };
}

void gj_profiler_cost(struct gj_profiler *profiler, struct gj_profile_cost *cost_out)
{
	(void)profiler;
	*cost_out = (struct gj_profile_cost){ 0 };
}

#endif
