/* SPDX-License-Identifier: GPL-2.0 */
/*
 * An instance from beginning to end: targets found, objects loaded, maps filled,
 * programs attached, all of it in a directory that gets its name last.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "gj_trace_metrics.h"
#include "load/budget.h"
#include "load/instance.h"

/* libbpf prints through one function for all; who started says where to. */
static void (*say_all)(const char *line);

static int print(enum libbpf_print_level level, const char *fmt, va_list args)
{
	char text[1024], *line = text, *end;

	if (!say_all || level == LIBBPF_DEBUG)
		return 0;
	vsnprintf(text, sizeof(text), fmt, args);
	for (; *line; line = end + 1) {
		end = strchr(line, '\n');
		if (end)
			*end = '\0';
		if (*line)
			say_all(line);
		if (!end)
			break;
	}
	return 0;
}

static void say(const struct gj_load *load, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

static void say(const struct gj_load *load, const char *fmt, ...)
{
	char line[1024];
	va_list args;

	va_start(args, fmt);
	vsnprintf(line, sizeof(line), fmt, args);
	va_end(args);
	load->options->say(line);
}

/* The feature an object is for; GJ_FEATURE_CNT: for all. */
static enum gj_feature feature_of(const char *name)
{
	enum gj_feature feature;

	return gj_feature_find(name, strlen(name), &feature) ? GJ_FEATURE_CNT : feature;
}

/* Whether one of the targets has what @feature needs; else why not, in @diag. */
static int check_feature(const struct gj_load *load, enum gj_feature feature, struct gj_diag *diag)
{
	struct gj_diag why = { 0 };
	unsigned int cnt = 0;

	for (unsigned int i = 0; i < load->targets.binary_cnt; i++) {
		const struct gj_load_binary *binary = &load->targets.binaries[i];
		const struct gj_feature_plan *plan = &binary->plans[feature];

		if (!plan->err)
			cnt++;
		else
			gj_diag_set(&why, plan->err, "%s cannot be had: %s: %s",
				    gj_feature_name(feature), binary->label, plan->reason);
		/* In one of several targets, or part of it. */
		if (!plan->err && plan->reason[0])
			say(load, "%s: %s: %s", gj_feature_name(feature), binary->label,
			    plan->reason);
	}
	if (cnt && why.err && load->options->is_default)
		say(load, "%s", why.text);
	if (!why.err || (cnt && load->options->is_default))
		return 0;
	return gj_diag_set(diag, why.err, "%s", why.text);
}

static int load_feature(struct gj_load *load, const struct gj_load_image *image,
			struct gj_diag *diag)
{
	enum gj_feature feature = feature_of(image->name);
	struct gj_diag why = { 0 };
	int err = 0;

	if (feature != GJ_FEATURE_CNT && !(load->options->features & 1u << feature))
		return 0;
	if (feature != GJ_FEATURE_CNT)
		err = check_feature(load, feature, &why);
	if (!err && feature == GJ_FEATURE_CENSUS)
		err = gj_load_census_check(&why);
	if (!err && feature == GJ_FEATURE_SAMPLES)
		err = gj_load_samples_check(&why);
	if (!err)
		err = gj_load_object(load, image, feature, &why);
	if (!err)
		return 0;
	/* Maps are read without it, too. */
	if (!strcmp(image->name, "metrics") && err != -EPERM && err != -ENOMEM) {
		say(load, "no metrics file, which wants Linux 5.19: %s", why.text);
		return 0;
	}
	if (feature == GJ_FEATURE_CNT || !load->options->is_default || err == -EPERM || err == -ENOMEM)
		return gj_diag_set(diag, err, "%s", why.text);
	say(load, "%s", why.text);
	return 0;
}

static int fill_program(int programs, const struct gj_load_binary *binary)
{
	struct gj_exe exes[2];
	int err = 0;

	gj_load_exes(binary, exes);
	for (unsigned int i = 0; !err && i < 2; i++)
		if (bpf_map_update_elem(programs, &exes[i], &binary->target, BPF_ANY))
			err = -errno;
	return err;
}

static int fill(const struct gj_load *load, struct gj_diag *diag)
{
	const struct gj_load_targets *targets = &load->targets;
	int processes = gj_load_find_map(load, "targets"), programs = gj_load_find_map(load, "programs"), err = 0;

	for (unsigned int i = 0; processes >= 0 && !err && i < targets->process_cnt; i++)
		if (bpf_map_update_elem(processes, &targets->processes[i].pid,
					&targets->processes[i].target, BPF_ANY))
			err = -errno;
	for (unsigned int i = 0; programs >= 0 && !err && i < targets->binary_cnt; i++)
		if (targets->binaries[i].is_file)
			err = fill_program(programs, &targets->binaries[i]);
	if (!err)
		err = gj_load_census_fill(load);
	if (!err)
		err = gj_load_samples_fill(load);
	return err ? gj_diag_set(diag, err, "the targets find no room in their maps: %s",
				 strerror(-err)) : 0;
}

/* One name for `metrics_names`: of it what a label's value may have without quoting. */
static struct gj_metrics_name name_of(const char *text)
{
	struct gj_metrics_name name = { "" };
	const char *base = strrchr(text, '/');

	snprintf(name.text, sizeof(name.text), "%s", base ? base + 1 : text);
	for (char *c = name.text; *c; c++)
		if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-", *c))
			*c = '_';
	return name;
}

/* What bpf/metrics.bpf.c calls the instance and its programs. */
static int fill_names(const struct gj_load *load, struct gj_diag *diag)
{
	struct gj_metrics_name name = name_of(load->options->instance);
	int map = gj_load_find_map(load, "metrics_names"), err = 0;

	for (uint32_t i = 0; map >= 0 && !err; i++) {
		if (bpf_map_update_elem(map, &i, &name, BPF_ANY))
			err = gj_diag_set(diag, -errno, "metrics_names: %s", strerror(errno));
		if (i == load->targets.binary_cnt)
			break;
		name = name_of(load->targets.binaries[i].label);
	}
	return err;
}

/*
 * What has ended, or has become another program, before processes.bpf.c could see
 * it. -ESRCH when nothing is left that was asked for by number.
 */
static int check_processes(const struct gj_load *load, struct gj_diag *diag)
{
	const struct gj_load_targets *targets = &load->targets;
	unsigned int left_cnt = 0;
	int map = gj_load_find_map(load, "targets");

	for (unsigned int i = 0; i < targets->process_cnt; i++) {
		const struct gj_load_process *process = &targets->processes[i];

		if (gj_load_is_running(process)) {
			left_cnt++;
			continue;
		}
		if (map >= 0)
			bpf_map_delete_elem(map, &process->pid);
		say(load, "process %u has ended, or has become another program", process->pid);
	}
	return left_cnt || load->options->file_cnt ? 0 :
	       gj_diag_set(diag, -ESRCH, "no process is left to trace");
}

static void start_keeper(const struct gj_load *load)
{
	const struct gj_trace_options *options = load->options;
	int err = load->budget_permille ? options->keep(options->instance) : 0;

	if (err)
		say(load, "nobody keeps the budget: %s; gojitter budget --instance %s does",
		    strerror(-err), options->instance);
}

static int make(struct gj_load *load, struct gj_diag *diag)
{
	const struct gj_load_image *image;
	int err = gj_pins_stage(load, diag);

	for (size_t i = 0; !err && (image = gj_load_image(i)); i++)
		err = load_feature(load, image, diag);
	if (!err && !load->object_cnt)
		err = gj_diag_set(diag, -EOPNOTSUPP, "nothing of what is asked for can be had here");
	if (!err)
		err = fill(load, diag);
	if (!err)
		err = fill_names(load, diag);
	if (!err && load->stream)
		err = gj_load_stream_begin(load, diag);
	for (size_t i = 0; !err && i < load->object_cnt; i++)
		err = gj_load_attach(load, &load->objects[i], feature_of(load->objects[i].name), diag);
	if (!err)
		err = check_processes(load, diag);
	if (!err)
		err = gj_budget_describe(load, diag);
	if (!err)
		err = gj_budget_settle(load, diag);
	if (!err)
		err = gj_pins_publish(load, diag);
	if (!err)
		start_keeper(load);
	return err;
}

static void tell(const struct gj_load *load)
{
	char text[256];

	for (size_t i = 0; i < load->object_cnt; i++) {
		const struct gj_load_object *object = &load->objects[i];

		if (feature_of(object->name) == GJ_FEATURE_CNT)
			continue;
		if (feature_of(object->name) == GJ_FEATURE_SAMPLES) {
			gj_load_samples_tell(load, text, sizeof(text));
			say(load, "%s", text);
		} else if (object->place_cnt) {
			say(load, "%s: hooked at %u place%s", object->name, object->place_cnt,
			    object->place_cnt == 1 ? "" : "s");
		} else {
			say(load, "%s: nothing is hooked in the target", object->name);
		}
	}
	gj_budget_tell(load, load->options->say);
	if (load->unnamed_cnt)
		say(load, "%zu functions are shown by number: the kernel takes no more names",
		    load->unnamed_cnt);
	say(load, "%u process%s; maps: %s/%s; gojitter untrace --instance %s removes them",
	    load->targets.process_cnt, load->targets.process_cnt == 1 ? "" : "es", GJ_TRACE_PINS,
	    load->options->instance, load->options->instance);
}

/* Whether the kernel counts for us what a budget needs. */
static int check_budget(struct gj_load *load, struct gj_diag *diag)
{
	int err = load->options->budget_permille ? gj_budget_may_measure() : 0;

	if (!err)
		load->budget_permille = load->options->budget_permille;
	if (!err || !load->options->is_budget_default)
		return err ? gj_diag_set(diag, err,
					 "--budget: the kernel does not count what programs cost: %s",
					 err == -EPERM ? "CAP_SYS_ADMIN is missing" : strerror(-err)) : 0;
	say(load, "no budget: the kernel does not count what programs cost: %s",
	    err == -EPERM ? "CAP_SYS_ADMIN is missing" : strerror(-err));
	return 0;
}

static int start(struct gj_load *load, struct gj_diag *diag)
{
	int err = gj_pins_check_name(load->options->instance, diag);

	if (!err)
		err = gj_load_check_caps(diag);
	if (!err)
		err = gj_pins_open(diag);
	if (err)
		return err;
	gj_pins_clean();
	if (!load->options->take_over && gj_pins_exist(load->options->instance))
		return gj_diag_set(diag, -EEXIST,
				   "instance %s is there already; --take-over replaces it, gojitter untrace --instance %s removes it",
				   load->options->instance, load->options->instance);
	err = gj_load_targets_init(&load->targets, load->options, diag);
	if (!err)
		err = check_budget(load, diag);
	load->events_by_perf = gj_load_events_need_perf(load);
	if (!err && load->options->events)
		err = gj_load_stream_open(load, diag);
	if (!err) {
		load->multi = gj_load_find_multi();
		err = make(load, diag);
	}
	return err;
}

int gj_trace_start(const struct gj_trace_options *options, struct gj_diag *diag)
{
	static struct gj_load load;
	struct gj_diag why = { 0 };
	int err;

	load = (struct gj_load){ .options = options, .stage_fd = -1 };
	say_all = options->is_verbose ? options->say : NULL;
	libbpf_set_print(print);
	err = start(&load, &why);
	if (!err)
		tell(&load);
	if (!err && load.stream)
		err = gj_load_stream_run(&load, &why);
	/* Also what was taken over. */
	gj_pins_unstage(&load);
	for (size_t i = 0; i < load.object_cnt; i++)
		bpf_object__close(load.objects[i].object);
	gj_load_stream_free(load.stream);
	gj_load_targets_deinit(&load.targets);
	gj_load_samples_deinit(&load.samples);
	return err ? gj_diag_set(diag, err, "%s", why.err ? why.text : strerror(-err)) : 0;
}

int gj_trace_stop(const char *instance, struct gj_diag *diag)
{
	int err = gj_pins_check_name(instance, diag);

	if (!err)
		err = gj_pins_open(diag);
	if (err)
		return err;
	gj_pins_clean();
	return gj_pins_remove(instance, diag);
}
