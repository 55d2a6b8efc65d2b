/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Samples of CPU time (bpf/samples.bpf.c): the tables by which stacks are unwound in
 * the kernel, made for the targets' code as it is mapped now, and the timers.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#include "load/instance.h"

/* A link from a perf event to a program; 0 where the kernel has such links (Linux 5.15). */
static int probe_link(int event_fd)
{
	static const struct bpf_insn insns[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0 },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	int program_fd = bpf_prog_load(BPF_PROG_TYPE_PERF_EVENT, NULL, "GPL", insns, 2, NULL), fd;
	int err = 0;

	if (program_fd < 0)
		return program_fd;
	fd = bpf_link_create(program_fd, event_fd, BPF_PERF_EVENT, NULL);
	if (fd < 0)
		err = fd;
	else
		close(fd);
	close(program_fd);
	return err;
}

int gj_load_samples_check(struct gj_diag *diag)
{
	int cpu = sched_getcpu(), err;
	/* Seldom enough not to be heard of. */
	int event_fd = gj_profile_timer(1, cpu < 0 ? 0 : cpu);

	if (event_fd < 0)
		return gj_diag_set(diag, -EOPNOTSUPP,
				   "samples cannot be had: perf_event_open, for a timer of each processor: %s; CAP_PERFMON is needed, and no seccomp filter against it",
				   strerror(-event_fd));
	err = probe_link(event_fd);
	close(event_fd);
	/* 0: it is not there; what cannot be asked is seen when the object is loaded. */
	if (!err && libbpf_probe_bpf_helper(BPF_PROG_TYPE_PERF_EVENT, BPF_FUNC_loop, NULL) == 0)
		return gj_diag_set(diag, -EOPNOTSUPP,
				   "samples cannot be had: this kernel has no bpf_loop, by which stacks are walked (Linux 5.17 has)");
	if (!err)
		return 0;
	return gj_diag_set(diag, -EOPNOTSUPP,
			   "samples cannot be had: this kernel does not let a program stay on a perf event without a process (Linux 5.15 does): %s; gojitter profile samples as long as it runs",
			   strerror(-err));
}

/* What is read of the runtime of one Go program, as the unwinder takes it. */
static struct gj_goruntime runtime_of(const struct gj_trace_target *target,
				      const struct gj_profile_program *program)
{
	return (struct gj_goruntime){
		.tls_g = target->tls_g,
		.g_stack_lo = target->g_stack_lo,
		.g_stack_hi = target->g_stack_hi,
		.g_m = target->g_m,
		.g_sched_sp = target->g_sched_sp,
		.g_sched_pc = target->g_sched_pc,
		.g_sched_bp = target->g_sched_bp,
		.g_goid = target->g_goid,
		.g_labels = target->g_labels,
		.m_g0 = target->m_g0,
		.m_gsignal = target->m_gsignal,
		.m_curg = target->m_curg,
		.m_vdso_sp = program->m_vdso_sp,
		.m_vdso_pc = program->m_vdso_pc,
	};
}

/* Entries of a program's functions, as struct gj_samples_program counts them. */
static void add_functions(struct gj_load_samples *samples, const struct gj_gotab *gotab,
			  struct gj_samples_program *program)
{
	const struct gj_goinfo *info = gj_gotab_info(gotab);
	struct gj_gofunc func;
	uint32_t last = 0;

	program->first_function = (uint32_t)(samples->functions.size_bytes / sizeof(uint64_t));
	for (uint32_t i = 0; i < info->func_cnt; i++) {
		uint64_t off;

		if (gj_gotab_func(gotab, i, &func) || func.entry_va < info->text_va)
			continue;
		off = func.entry_va - info->text_va;
		if (off >= GJ_FUNC_MASK || (program->function_cnt && off <= last))
			continue;
		/* An array's elements are 8 bytes apart. */
		gj_buf_add(&samples->functions, &off, sizeof(off));
		program->function_cnt++;
		last = (uint32_t)off;
	}
}

static int add_program(struct gj_load_samples *samples, const struct gj_load_binary *binary,
		       struct gj_samples_program *program)
{
	struct gj_profile_program code = { .range_cnt = 0 };
	int err = 0;

	add_functions(samples, binary->gotab, program);
	/* Of a library its processes are known, all of which are there now. */
	if (!binary->live)
		err = gj_profile_targets_add_program(&samples->code, binary->path, &code);
	if (err == -ENOMEM || samples->functions.failed)
		return -ENOMEM;
	if (!err && code.range_cnt <= GJ_SAMPLES_RANGES)
		program->range_cnt = code.range_cnt;
	program->target = code.target;
	program->target.go_lo = gj_gotab_info(binary->gotab)->text_va;
	program->vdso = code.vdso;
	program->runtime = runtime_of(&binary->target, &code);
	program->ino = binary->ino;
	program->dev = (uint32_t)major(binary->dev) << 20 | (minor(binary->dev) & 0xfffff);
	/* A library's file is not what the label says. */
	if (!binary->live && strlen(binary->label) < sizeof(program->path))
		strcpy(program->path, binary->label);
	return 0;
}

/* @element_bytes: as they are in @from */
static int set_size(struct bpf_object *object, const char *name, const struct gj_buf *from,
		    size_t element_bytes)
{
	struct bpf_map *map = bpf_object__find_map_by_name(object, name);
	size_t cnt = from->size_bytes / element_bytes;

	return map ? bpf_map__set_max_entries(map, cnt ? (uint32_t)cnt : 1) : -ENOENT;
}

int gj_load_samples_fit(struct gj_load *load, struct bpf_object *object, struct gj_diag *diag)
{
	struct gj_load_samples *samples = &load->samples;
	int err = 0;

	/* One that cannot be had, or has ended, is known by its program's code, if at all. */
	for (unsigned int i = 0; !err && i < load->targets.process_cnt; i++)
		if (gj_profile_targets_add(&samples->code, load->targets.processes[i].pid, NULL) == -ENOMEM)
			err = -ENOMEM;
	for (unsigned int i = 0; !err && i < load->targets.binary_cnt; i++)
		err = add_program(samples, &load->targets.binaries[i], &samples->programs[i]);
	if (!err)
		err = set_size(object, "gj_prof_row", &samples->code.rows, sizeof(struct gj_unwind_row));
	if (!err)
		err = set_size(object, "gj_prof_page", &samples->code.pages,
			       sizeof(struct gj_unwind_page));
	if (!err)
		err = set_size(object, "samples_functions", &samples->functions, sizeof(uint64_t));
	return err ? gj_diag_set(diag, err, "samples: the targets' code: %s", strerror(-err)) : 0;
}

static int fill_processes(const struct gj_load *load, int map)
{
	const struct gj_profile_targets *code = &load->samples.code;

	for (size_t i = 0; i < code->process_cnt; i++) {
		const struct gj_profile_process *process = &code->processes[i];
		struct gj_samples_process value = {
			.runtime = process->runtime, .vdso = process->vdso_va, .target = process->target,
		};

		if (bpf_map_update_elem(map, &process->pid, &value, BPF_ANY))
			return errno == E2BIG ? 0 : -errno; /* the rest is adopted, or counted as lost */
	}
	return 0;
}

int gj_load_samples_fill(const struct gj_load *load)
{
	const struct gj_load_samples *samples = &load->samples;
	struct gj_samples_info info = { .hz = load->options->sample_hz };
	int map = gj_load_find_map(load, "samples_info"), err;
	uint32_t zero = 0;
	struct timespec now;

	if (map < 0)
		return 0;
	clock_gettime(CLOCK_MONOTONIC, &now);
	info.begin_ns = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
	err = bpf_map_update_elem(map, &zero, &info, BPF_ANY) ? -errno : 0;
	if (!err)
		err = gj_profile_fill_array(gj_load_find_map(load, "gj_prof_row"), &samples->code.rows);
	if (!err)
		err = gj_profile_fill_array(gj_load_find_map(load, "gj_prof_page"),
					    &samples->code.pages);
	if (!err)
		err = gj_profile_fill_array(gj_load_find_map(load, "samples_functions"),
					    &samples->functions);
	map = gj_load_find_map(load, "samples_programs");
	for (uint32_t i = 0; !err && i < load->targets.binary_cnt; i++)
		if (bpf_map_update_elem(map, &i, &samples->programs[i], BPF_ANY))
			err = -errno;
	return err ? err : fill_processes(load, gj_load_find_map(load, "samples_processes"));
}

int gj_load_samples_attach(struct gj_load *load, struct bpf_program *program, struct gj_diag *diag)
{
	int cpu_cnt = libbpf_num_possible_cpus(), err = 0;
	unsigned int number = 0;

	for (int cpu = 0; !err && cpu < cpu_cnt; cpu++) {
		int event_fd = gj_profile_timer(load->options->sample_hz, cpu), fd;

		if (event_fd == -ENODEV)
			continue;
		fd = event_fd < 0 ? event_fd :
				    bpf_link_create(bpf_program__fd(program), event_fd, BPF_PERF_EVENT, NULL);
		if (fd < 0)
			err = gj_diag_set(diag, fd, "processor %d cannot be sampled: %s", cpu, strerror(-fd));
		else
			err = gj_load_pin_link(load, bpf_program__name(program), number++, fd, diag);
		/* The link holds the event. */
		if (fd >= 0)
			close(fd);
		if (event_fd >= 0)
			close(event_fd);
	}
	return err;
}

void gj_load_samples_tell(const struct gj_load *load, char *text_out, size_t text_bytes)
{
	const struct gj_profile_targets *code = &load->samples.code;
	double bytes = (double)(code->rows.size_bytes + code->pages.size_bytes +
				load->samples.functions.size_bytes);

	snprintf(text_out, text_bytes,
		 "samples: nothing is hooked in the target; %u a second on each processor; %.1f MiB of tables, made in %.0f ms",
		 load->options->sample_hz, bytes / (1 << 20), (double)code->rows_ns / 1e6);
}

void gj_load_samples_deinit(struct gj_load_samples *samples)
{
	gj_profile_targets_deinit(&samples->code);
	gj_buf_deinit(&samples->functions);
}
