/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A profile out of what an instance of `gojitter trace` has counted so far: its pinned
 * maps are read, not emptied. Stacks of which the exact addresses found no room come by
 * the entries of their functions.
 */
#include "profile/profile.h"

#include <errno.h>
#include <string.h>

#ifdef GJ_HAVE_BPF

#include <bpf/bpf.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#include "gj_trace_samples.h"

#define MAX_PROGRAMS 16 /* as many as samples_programs has */

/* An entry of `samples`, and how many samples of it have been given out by line. */
struct by_function {
	struct gj_samples_key key;
	struct gj_samples value;
	uint64_t count, kernel;
};

struct pinned {
	struct gj_profile_options options;
	struct gj_profile_targets targets;
	struct gj_profile_sink *sink;
	struct gj_samples_info info;
	struct gj_samples_program programs[MAX_PROGRAMS];
	struct gj_profile_gone gone[MAX_PROGRAMS];
	bool is_opened[MAX_PROGRAMS]; /* gone[] is made, where it can be */
	struct gj_buf functions;      /* struct by_function, by key */
	struct gj_buf ended;          /* u32: processes that are not there any more */
	uint64_t nameless_cnt;        /* samples of programs that are not there any more */
	uint64_t by_function_cnt;
};

static int open_map(const char *instance, const char *name, size_t value_bytes, struct gj_diag *diag)
{
	struct bpf_map_info info = { 0 };
	uint32_t info_bytes = sizeof(info);
	char path[512];
	int fd;

	snprintf(path, sizeof(path), "%s/%s/%s", GJ_TRACE_PINS, instance, name);
	fd = bpf_obj_get(path);
	if (fd < 0 && errno == ENOENT)
		return gj_diag_set(diag, -ENOENT,
				   "there is no instance %s with samples; gojitter trace makes one",
				   instance);
	if (fd < 0)
		return gj_diag_set(diag, -errno, "%s: %s%s", path, strerror(errno),
				   errno == EPERM || errno == EACCES ? "; run as root" : "");
	if (!bpf_obj_get_info_by_fd(fd, &info, &info_bytes) && info.value_size == value_bytes)
		return fd;
	close(fd);
	return gj_diag_set(diag, -EINVAL, "%s: not of this build of gojitter", path);
}

static int read_info(struct pinned *pinned, struct gj_diag *diag)
{
	const char *instance = pinned->options.instance;
	int info = open_map(instance, "samples_info", sizeof(pinned->info), diag), programs;
	uint32_t zero = 0;

	if (info < 0)
		return info;
	programs = open_map(instance, "samples_programs", sizeof(pinned->programs[0]), diag);
	if (programs >= 0) {
		bpf_map_lookup_elem(info, &zero, &pinned->info);
		for (uint32_t i = 0; i < MAX_PROGRAMS; i++)
			bpf_map_lookup_elem(programs, &i, &pinned->programs[i]);
		close(programs);
	}
	close(info);
	if (programs >= 0 && !pinned->info.hz)
		return gj_diag_set(diag, -EINVAL, "instance %s: its samples_info is empty", instance);
	return programs < 0 ? programs : 0;
}

static int compare_keys(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct gj_samples_key));
}

static int read_functions(struct pinned *pinned, int map)
{
	struct by_function one = { 0 };
	struct gj_buf keys = { 0 };
	int err = gj_profile_keys(map, sizeof(one.key), &keys);

	for (size_t off = 0; !err && off < keys.size_bytes; off += sizeof(one.key)) {
		memcpy(&one.key, keys.data + off, sizeof(one.key));
		if (!bpf_map_lookup_elem(map, &one.key, &one.value))
			gj_buf_add(&pinned->functions, &one, sizeof(one));
	}
	gj_buf_deinit(&keys);
	if (err || pinned->functions.failed)
		return -ENOMEM;
	if (pinned->functions.size_bytes)
		qsort(pinned->functions.data, pinned->functions.size_bytes / sizeof(one), sizeof(one),
		      compare_keys);
	return 0;
}

/* The process as it was when it was sampled; NULL: it has ended, or runs something else. */
static const struct gj_profile_process *find_process(struct pinned *pinned, uint32_t pid,
						     uint64_t vdso)
{
	const struct gj_profile_process *process = gj_profile_process(&pinned->targets, pid);
	const uint32_t *ended = (const void *)pinned->ended.data;

	for (size_t i = 0; !process && i < pinned->ended.size_bytes / sizeof(pid); i++)
		if (ended[i] == pid)
			return NULL;
	if (!process) {
		gj_profile_targets_add(&pinned->targets, pid, NULL);
		process = gj_profile_process(&pinned->targets, pid);
	}
	if (!process)
		gj_buf_add(&pinned->ended, &pid, sizeof(pid));
	return process && process->vdso_va == vdso ? process : NULL;
}

/* The file of program @number, if it still is what was sampled. */
static const struct gj_profile_gone *find_gone(struct pinned *pinned, uint32_t number)
{
	const struct gj_samples_program *program = &pinned->programs[number & (MAX_PROGRAMS - 1)];
	struct gj_profile_gone *gone = &pinned->gone[number & (MAX_PROGRAMS - 1)];
	struct stat st;

	if (!pinned->is_opened[number & (MAX_PROGRAMS - 1)]) {
		pinned->is_opened[number & (MAX_PROGRAMS - 1)] = true;
		gone->path = program->path;
		if (program->path[sizeof(program->path) - 1] || stat(program->path, &st) ||
		    st.st_ino != program->ino ||
		    (major(st.st_dev) << 20 | (minor(st.st_dev) & 0xfffff)) != program->dev ||
		    gj_image_open(program->path, &gone->image, NULL))
			gone->image = NULL;
	}
	return gone;
}

/* Those in the kernel are on behalf of the innermost frame. */
static int give(struct pinned *pinned, struct gj_profile_entry *entry, uint64_t count,
		uint64_t kernel, struct gj_profile_stack *stack)
{
	int err = 0;

	entry->stack = stack;
	entry->cnt = count > kernel ? count - kernel : 0;
	if (entry->cnt)
		err = gj_profile_sink_take(pinned->sink, entry);
	entry->cnt = kernel < count ? kernel : count;
	if (err || !entry->cnt)
		return err;
	stack->kernel_cnt = 1;
	stack->kernel[0] = GJ_PROFILE_THE_KERNEL;
	return gj_profile_sink_take(pinned->sink, entry);
}

static int give_line(struct pinned *pinned, const struct gj_samples_lines_key *key,
		     const struct gj_samples_lines *line)
{
	struct by_function *function =
		bsearch(&key->of, pinned->functions.data,
			pinned->functions.size_bytes / sizeof(*function), sizeof(*function), compare_keys);
	struct gj_profile_stack stack = { .user_cnt = line->frame_cnt };
	struct gj_profile_entry entry = { .pid = key->of.tgid };

	/* Of a stack that has come since functions were read. */
	if (!function)
		return 0;
	function->count += line->count;
	function->kernel += line->kernel;
	memcpy(stack.user, line->frames, sizeof(stack.user));
	if (!find_process(pinned, key->of.tgid, line->vdso)) {
		entry.gone = find_gone(pinned, function->value.frames[0] >> GJ_FUNC_SHIFT);
		entry.bias = line->bias;
		if (!entry.gone->image)
			pinned->nameless_cnt += line->count;
	}
	return give(pinned, &entry, line->count, line->kernel, &stack);
}

static int give_lines(struct pinned *pinned, int map)
{
	struct gj_samples_lines_key key;
	struct gj_samples_lines line;
	struct gj_buf keys = { 0 };
	int err = gj_profile_keys(map, sizeof(key), &keys);

	for (size_t off = 0; !err && off < keys.size_bytes; off += sizeof(key)) {
		memcpy(&key, keys.data + off, sizeof(key));
		if (!bpf_map_lookup_elem(map, &key, &line))
			err = give_line(pinned, &key, &line);
	}
	gj_buf_deinit(&keys);
	return err;
}

/* What was not given by line. */
static int give_function(struct pinned *pinned, const struct by_function *function)
{
	const struct gj_samples *value = &function->value;
	uint32_t number = function->key.start >> GJ_FUNC_SHIFT;
	struct gj_profile_stack stack = { .user_cnt = 0 };
	struct gj_profile_entry entry = { .pid = function->key.tgid };
	uint64_t kernel = value->kernel > function->kernel ? value->kernel - function->kernel : 0;

	if (value->count <= function->count)
		return 0;
	for (uint32_t i = 0; i < value->frame_cnt && i < GJ_SAMPLES_FRAMES; i++) {
		uint32_t frame = value->frames[i];
		uint64_t text_va;

		if (frame != not_go)
			number = frame >> GJ_FUNC_SHIFT;
		text_va = pinned->programs[number & (MAX_PROGRAMS - 1)].target.go_lo;
		/* Callers' are taken for return addresses; there is nothing at 1. */
		stack.user[stack.user_cnt++] =
			frame == not_go ? 1 : text_va + (frame & GJ_FUNC_MASK) - 1 + (i > 0);
	}
	entry.gone = find_gone(pinned, number);
	pinned->by_function_cnt += value->count - function->count;
	return give(pinned, &entry, value->count - function->count, kernel, &stack);
}

static int give_all(struct pinned *pinned, struct gj_diag *diag)
{
	const char *instance = pinned->options.instance;
	int samples = open_map(instance, "samples", sizeof(struct gj_samples), diag);
	int lines = open_map(instance, "samples_lines", sizeof(struct gj_samples_lines), diag), err = 0;

	if (samples < 0 || lines < 0) {
		err = samples < 0 ? samples : lines;
	} else {
		err = read_functions(pinned, samples);
		if (!err)
			err = give_lines(pinned, lines);
		for (size_t off = 0; !err && off < pinned->functions.size_bytes;
		     off += sizeof(struct by_function))
			err = give_function(pinned, (const void *)(pinned->functions.data + off));
		if (err)
			gj_diag_set(diag, err, "the samples cannot be read: %s", strerror(-err));
	}
	if (samples >= 0)
		close(samples);
	if (lines >= 0)
		close(lines);
	return err;
}

static void say(const struct pinned *pinned, struct gj_buf *line)
{
	gj_buf_chr(line, '\0');
	if (!line->failed)
		pinned->options.say(line->data);
	gj_buf_deinit(line);
}

static void say_pinned(const struct pinned *pinned)
{
	struct gj_profile_sums sums = pinned->info.sums;
	struct gj_buf line = { 0 };
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	sums.lost_count = 0;
	gj_profile_say_sums(&pinned->options, &sums,
			    (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec -
				    pinned->info.begin_ns);
	if (pinned->info.lost_process)
		gj_buf_fmt(&line, "%llu more of processes of whose code nothing is known",
			   (unsigned long long)pinned->info.lost_process);
	if (pinned->by_function_cnt)
		gj_buf_fmt(&line, "%s%llu by function only: samples_lines is full",
			   line.size_bytes ? "; " : "", (unsigned long long)pinned->by_function_cnt);
	if (pinned->nameless_cnt)
		gj_buf_fmt(&line, "%s%llu without names: the process has ended, and its program is another file by now",
			   line.size_bytes ? "; " : "", (unsigned long long)pinned->nameless_cnt);
	if (line.size_bytes)
		say(pinned, &line);
}

static int check_name(const char *instance, struct gj_diag *diag)
{
	if (*instance && strlen(instance) <= 64 && !strpbrk(instance, "./"))
		return 0;
	return gj_diag_set(diag, -EINVAL, "there is no instance '%s'", instance);
}

static int run(struct pinned *pinned, struct gj_diag *diag)
{
	int err = check_name(pinned->options.instance, diag), end_err;

	if (!err)
		err = read_info(pinned, diag);
	if (err)
		return err;
	pinned->options.hz = pinned->info.hz;
	pinned->options.begin_ns = pinned->info.begin_ns;
	pinned->sink = gj_profile_sink_new(&pinned->options, &pinned->targets, diag);
	if (!pinned->sink)
		return diag->err;
	err = give_all(pinned, diag);
	end_err = gj_profile_sink_end(pinned->sink, err ? NULL : diag);
	if (!err && !end_err)
		say_pinned(pinned);
	return err ? err : end_err;
}

int gj_profile_run_pinned(const struct gj_profile_options *options, struct gj_diag *diag)
{
	struct pinned *pinned = calloc(1, sizeof(*pinned));
	int err;

	if (!pinned)
		return gj_diag_set(diag, -ENOMEM, "out of memory");
	pinned->options = *options;
	err = run(pinned, diag);
	for (size_t i = 0; i < MAX_PROGRAMS; i++)
		gj_image_close(pinned->gone[i].image);
	gj_profile_targets_deinit(&pinned->targets);
	gj_buf_deinit(&pinned->functions);
	gj_buf_deinit(&pinned->ended);
	free(pinned);
	return err;
}

#else

int gj_profile_run_pinned(const struct gj_profile_options *options, struct gj_diag *diag)
{
	(void)options;
	return gj_diag_set(diag, -EOPNOTSUPP,
			   "built without BPF; build again with clang, bpftool and libbpf-dev installed");
}

#endif
