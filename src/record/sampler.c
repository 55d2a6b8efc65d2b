/* SPDX-License-Identifier: GPL-2.0 */
/* The BPF program of the two-stack sampler: loaded, set on events, drained, counted. */
#include "record/sampler.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <sampler.skel.h>

#include "record/known.h"

struct gj_stack_sampler {
	void (*say)(const char *line);
	struct gj_sampler *bpf;
	struct ring_buffer *ring;
	struct gj_perf_events events;
	struct gj_known *known;
	struct gj_stack_file file;
};

static int say_nothing(enum libbpf_print_level level, const char *fmt, va_list args)
{
	(void)level;
	(void)fmt;
	(void)args;
	return 0;
}

/* What made loading fail, in words that tell what to do. */
static int explain(int err, struct gj_diag *diag)
{
	if (access("/sys/kernel/btf/vmlinux", R_OK))
		return gj_diag_set(diag, err,
				   "this kernel has no BTF (/sys/kernel/btf/vmlinux, CONFIG_DEBUG_INFO_BTF)");
	if (err == -EPERM || err == -EACCES)
		return gj_diag_set(diag, err,
				   "this user may not load BPF programs (CAP_BPF and CAP_PERFMON are needed; become root)");
	if (err == -ENOMEM)
		return gj_diag_set(diag, err, "the kernel has no memory for its buffers");
	if (libbpf_probe_bpf_helper(BPF_PROG_TYPE_PERF_EVENT, BPF_FUNC_loop, NULL) == 0)
		return gj_diag_set(diag, err, "this kernel is too old (Linux 5.17 is needed)");
	return gj_diag_set(diag, err, "the kernel refuses the BPF program: %s", strerror(-err));
}

/* Numbers of processes are those of our pid namespace, however deep it lies. */
static int find_level(struct gj_sampler *bpf)
{
	LIBBPF_OPTS(bpf_test_run_opts, options);
	int err = bpf_prog_test_run_opts(bpf_program__fd(bpf->progs.gj_find_level), &options);

	return err < 0 ? err : 0;
}

static int load(struct gj_stack_sampler *sampler, unsigned int stack_bytes,
		unsigned int slice_bytes, uint32_t ring_bytes)
{
	int cpu_cnt = libbpf_num_possible_cpus(), err;

	sampler->bpf = gj_sampler__open();
	if (!sampler->bpf)
		return -errno;
	sampler->bpf->rodata->gj_stack_bytes = stack_bytes;
	sampler->bpf->rodata->gj_slice_bytes = slice_bytes;
	err = bpf_map__set_max_entries(sampler->bpf->maps.gj_scratches,
				       cpu_cnt > 0 ? (uint32_t)cpu_cnt : 1);
	if (!err)
		err = bpf_map__set_max_entries(sampler->bpf->maps.gj_records, ring_bytes);
	if (!err)
		err = gj_sampler__load(sampler->bpf);
	return err ? err : find_level(sampler->bpf);
}

static int take_record(void *data, void *bytes, size_t size_bytes)
{
	struct gj_stack_sampler *sampler = data;

	/* Shorter ones only wake us. */
	if (size_bytes >= sizeof(struct gj_stack_record))
		gj_stack_file_add(&sampler->file, bytes, size_bytes);
	return 0;
}

int gj_sampler_open(unsigned int stack_bytes, unsigned int slice_bytes, uint32_t ring_bytes,
		    void (*say)(const char *line), struct gj_stack_sampler **sampler_out,
		    struct gj_diag *diag)
{
	struct gj_stack_sampler *sampler = calloc(1, sizeof(*sampler));
	int err;

	if (!sampler)
		return gj_diag_set(diag, -ENOMEM, "out of memory");
	sampler->say = say;
	sampler->file.fd = -1;
	libbpf_set_print(say_nothing);
	err = load(sampler, stack_bytes, slice_bytes, ring_bytes);
	if (err) {
		gj_sampler_close(sampler);
		return explain(err, diag);
	}
	sampler->ring = ring_buffer__new(bpf_map__fd(sampler->bpf->maps.gj_records), take_record,
					 sampler, NULL);
	sampler->known = gj_known_new(bpf_map__fd(sampler->bpf->maps.gj_programs),
				      bpf_map__fd(sampler->bpf->maps.gj_processes),
				      bpf_map__fd(sampler->bpf->maps.gj_unknown));
	if (!sampler->ring || !sampler->known) {
		gj_sampler_close(sampler);
		return gj_diag_set(diag, -ENOMEM, "out of memory");
	}
	*sampler_out = sampler;
	return 0;
}

void gj_sampler_close(struct gj_stack_sampler *sampler)
{
	if (!sampler)
		return;
	ring_buffer__free(sampler->ring);
	gj_sampler__destroy(sampler->bpf);
	gj_perf_events_deinit(&sampler->events);
	gj_known_free(sampler->known);
	gj_stack_file_close(&sampler->file);
	free(sampler);
}

int gj_sampler_keep(struct gj_stack_sampler *sampler, const char *output, struct gj_diag *diag)
{
	return gj_stack_file_open(&sampler->file, output, diag);
}

int gj_sampler_add_file(struct gj_stack_sampler *sampler, const char *path, struct gj_diag *diag)
{
	return gj_known_add_file(sampler->known, path, diag);
}

int gj_sampler_add_process(struct gj_stack_sampler *sampler, uint32_t pid, struct gj_diag *diag)
{
	return gj_known_add_process(sampler->known, pid, diag);
}

int gj_sampler_add_live(struct gj_stack_sampler *sampler, uint32_t pid, const struct gj_live *live)
{
	return gj_known_add_live(sampler->known, pid, live);
}

int gj_sampler_attach(struct gj_stack_sampler *sampler, pid_t pid)
{
	return gj_perf_events_set(&sampler->events, pid,
				  bpf_program__fd(sampler->bpf->progs.gj_sample));
}

int gj_sampler_attach_all(struct gj_stack_sampler *sampler, pid_t pid, unsigned int *set_cnt_out)
{
	int err;

	gj_perf_events_deinit(&sampler->events);
	err = gj_sampler_attach(sampler, pid);
	*set_cnt_out = sampler->events.set_cnt;
	return err ? err : sampler->events.err;
}

void gj_sampler_wait(struct gj_stack_sampler *sampler, int most_ms)
{
	struct pollfd ready = { .fd = ring_buffer__epoll_fd(sampler->ring), .events = POLLIN };

	poll(&ready, 1, most_ms);
}

void gj_sampler_drain(struct gj_stack_sampler *sampler)
{
	int err = sampler->file.err;
	char line[128];

	ring_buffer__consume(sampler->ring);
	gj_known_answer(sampler->known, sampler->say);
	if (err || !sampler->file.err)
		return;
	if (sampler->file.err == -ENOSPC)
		snprintf(line, sizeof(line),
			 "stack records are given up from here on: the disk is nearly full, and perf is left %u MB",
			 GJ_STACK_FILE_SPARED_BYTES >> 20);
	else
		snprintf(line, sizeof(line), "stack records are given up from here on: %s",
			 strerror(-sampler->file.err));
	sampler->say(line);
}

static void add_counts(const struct gj_stack_sampler *sampler, struct gj_sampler_totals *totals)
{
	int cpu_cnt = libbpf_num_possible_cpus();
	uint64_t *values = calloc(cpu_cnt > 0 ? (size_t)cpu_cnt : 1, sizeof(*values));

	for (uint32_t i = 0; values && i < GJ_COUNT_CNT; i++) {
		if (bpf_map_lookup_elem(bpf_map__fd(sampler->bpf->maps.gj_counts), &i, values))
			continue;
		for (int cpu = 0; cpu < cpu_cnt; cpu++)
			totals->counts[i] += values[cpu];
	}
	free(values);
}

int gj_sampler_finish(struct gj_stack_sampler *sampler, const char *output,
		      struct gj_sampler_totals *totals_out, struct gj_diag *diag)
{
	int err;

	gj_sampler_drain(sampler);
	err = gj_stack_file_append(&sampler->file, output, diag);
	*totals_out = (struct gj_sampler_totals){
		.kept_cnt = sampler->file.cnt,
		.file_bytes = sampler->file.size_bytes,
	};
	add_counts(sampler, totals_out);
	return err;
}
