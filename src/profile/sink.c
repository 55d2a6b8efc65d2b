/* SPDX-License-Identifier: GPL-2.0 */
/*
 * From counted stacks to text: each is given to a session (include/gojitter.h)
 * as many samples, with what /proc and the images say of their addresses.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "profile/profile.h"

struct gj_profile_sink {
	const struct gj_profile_options *options;
	struct gj_profile_targets *targets;
	struct gj_kallsyms *kallsyms; /* NULL until a stack holds the kernel's part */
	struct gj_session *session;
	const struct gj_profile_process *process; /* of the entry at hand; NULL: it is gone */
	const struct gj_profile_entry *entry;
	uint64_t chain[GJ_PROFILE_KERNEL + GJ_PROFILE_USER + 2];
	char exe[32]; /* of a process whose file has lost its name */
	int fd;
	int write_err;
	uint64_t begin_ns; /* CLOCK_MONOTONIC; of the first sample */
	bool has_begun;
	struct gj_diag diag;
	bool is_ending; /* what is said by now is that the profile could not be written */
};

/* The name of a function that no Go table covers. */
static void name_symbol(struct gj_profile_image *image, uint64_t file_off,
			struct gj_mapping *mapping)
{
	struct gj_elf_symbol symbol;
	uint64_t va;

	if (!image || !image->image || gj_image_off_to_va(image->image, file_off, &va) ||
	    (!image->symbols && gj_symbol_index_new(image->image, &image->symbols)) ||
	    gj_symbol_index_find(image->symbols, va, &symbol))
		return;
	mapping->sym = symbol.name;
	mapping->sym_off = va - symbol.va;
}

/* In a program whose process is not there any more: its own code is known, nothing else. */
static int resolve_gone(const struct gj_profile_entry *entry, uint64_t ip,
			struct gj_mapping *mapping_out)
{
	const struct gj_profile_gone *gone = entry->gone;

	if (!gone->image ||
	    gj_image_va_to_off(gone->image, ip - entry->bias, &mapping_out->file_off))
		return -ENOENT;
	mapping_out->dso = gone->path;
	return 0;
}

static int resolve(void *data, uint64_t ip, struct gj_mapping *mapping_out)
{
	struct gj_profile_sink *sink = data;
	const struct gj_vma *vma;

	*mapping_out = (struct gj_mapping){ 0 };
	if (ip == GJ_PROFILE_THE_KERNEL) {
		*mapping_out = (struct gj_mapping){ .dso = "[kernel.kallsyms]", .sym = "[kernel]" };
		return 0;
	}
	if (!sink->process && !(ip >> 63))
		return resolve_gone(sink->entry, ip, mapping_out);
	if (ip >> 63)
		return sink->kallsyms ? gj_kallsyms_find(sink->kallsyms, ip, mapping_out) : -ENOENT;
	vma = gj_maps_find(sink->process->maps, ip);
	if (!vma || !vma->path[0])
		return -ENOENT;
	mapping_out->dso = vma->path;
	mapping_out->file_off = ip - vma->start_va + vma->file_off;
	if (vma->is_deleted) {
		snprintf(sink->exe, sizeof(sink->exe), "/proc/%u/exe", sink->process->pid);
		mapping_out->dso = sink->exe;
	}
	name_symbol(gj_profile_image(sink->targets, vma), mapping_out->file_off, mapping_out);
	return 0;
}

static void write_text(void *data, const char *text, size_t size_bytes)
{
	struct gj_profile_sink *sink = data;

	while (size_bytes && !sink->write_err) {
		ssize_t cnt = write(sink->fd, text, size_bytes);

		if (cnt < 0 && errno != EINTR)
			sink->write_err = -errno;
		if (cnt > 0) {
			text += cnt;
			size_bytes -= (size_t)cnt;
		}
	}
}

static void warn(void *data, const char *line)
{
	struct gj_profile_sink *sink = data;

	if (sink->is_ending && sink->options->is_pprof)
		sink->write_err = gj_diag_set(&sink->diag, -EIO, "%s", line);
	else
		sink->options->say(line);
}

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

struct gj_profile_sink *gj_profile_sink_new(const struct gj_profile_options *options,
					    struct gj_profile_targets *targets,
					    struct gj_diag *diag)
{
	struct gj_profile_sink *sink = calloc(1, sizeof(*sink));
	struct gj_host host = {
		.size = sizeof(host), .data = sink, .resolve = resolve, .write = write_text,
		.warn = warn,
	};

	if (!sink) {
		gj_diag_set(diag, -ENOMEM, "out of memory");
		return NULL;
	}
	sink->options = options;
	sink->targets = targets;
	sink->begin_ns = options->begin_ns ? options->begin_ns : now_ns();
	sink->fd = STDOUT_FILENO;
	if (options->output)
		sink->fd = open(options->output, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	if (sink->fd < 0) {
		gj_diag_set(diag, -errno, "%s: %s", options->output, strerror(errno));
		free(sink);
		return NULL;
	}
	sink->session = gj_session_new(&host, options->session_args, options->session_arg_cnt);
	if (!sink->session) {
		gj_diag_set(diag, -EINVAL, "the profile cannot be written as asked for");
		gj_profile_sink_end(sink, NULL);
		return NULL;
	}
	return sink;
}

/* As perf records chains: a marker, then addresses, for each part. */
static size_t make_chain(struct gj_profile_sink *sink, const struct gj_profile_stack *stack)
{
	size_t cnt = 0;

	if (stack->kernel_cnt)
		sink->chain[cnt++] = (uint64_t)PERF_CONTEXT_KERNEL;
	for (uint32_t i = 0; i < stack->kernel_cnt && i < GJ_PROFILE_KERNEL; i++)
		sink->chain[cnt++] = stack->kernel[i];
	if (stack->user_cnt)
		sink->chain[cnt++] = (uint64_t)PERF_CONTEXT_USER;
	for (uint32_t i = 0; i < stack->user_cnt && i < GJ_PROFILE_USER; i++)
		sink->chain[cnt++] = stack->user[i];
	return cnt;
}

/* Near enough: what a program is called when nobody renames it, but for its length. */
static const char *comm_of(const struct gj_profile_gone *gone)
{
	const char *slash = strrchr(gone->path, '/');

	return slash ? slash + 1 : gone->path;
}

int gj_profile_sink_take(void *data, const struct gj_profile_entry *entry)
{
	struct gj_profile_sink *sink = data;
	const struct gj_profile_stack *stack = entry->stack;
	struct gj_sample sample = {
		.size = sizeof(sample),
		.pid = entry->pid,
		.tid = entry->pid,
		.cpu = -1,
		.period = 1000000000u / sink->options->hz,
		.has_period = true,
		/* A profile lasts from its first sample to its last. */
		.time_ns = sink->has_begun ? now_ns() : sink->begin_ns,
		.has_time = true,
		.is_kernel = stack->kernel_cnt > 0,
		.event = "cpu-clock",
		.chain = sink->chain,
		.chain_cnt = make_chain(sink, stack),
		.goid = entry->goid,
		.has_goid = entry->goid > 0,
	};

	sink->entry = entry;
	sink->process = entry->gone ? NULL : gj_profile_process(sink->targets, entry->pid);
	if ((!sink->process && !entry->gone) || !sample.chain_cnt)
		return 0;
	if (sample.is_kernel && !sink->kallsyms && !(sink->kallsyms = gj_kallsyms_new()))
		return -ENOMEM;
	sink->has_begun = true;
	sample.comm = sink->process ? sink->process->comm : comm_of(entry->gone);
	sample.ip = sink->chain[1];
	for (uint64_t i = 0; i < entry->cnt; i++)
		gj_session_sample(sink->session, &sample);
	return sink->write_err;
}

int gj_profile_sink_end(struct gj_profile_sink *sink, struct gj_diag *diag)
{
	int err;

	sink->is_ending = true;
	gj_session_end(sink->session);
	err = sink->write_err;
	if (sink->diag.err)
		gj_diag_set(diag, err, "%s", sink->diag.text);
	if (sink->fd != STDOUT_FILENO && close(sink->fd) && !err)
		err = -errno;
	if (err)
		gj_diag_set(diag, err, "%s: %s",
			    sink->options->output ? sink->options->output : "standard output",
			    strerror(-err));
	gj_kallsyms_free(sink->kallsyms);
	free(sink);
	return err;
}
