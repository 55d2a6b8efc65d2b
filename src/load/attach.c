/* SPDX-License-Identifier: GPL-2.0 */
/* Programs put where they belong, by links that stay when they are pinned. */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "load/instance.h"

#define TRACE_UPROBE_MULTI 48 /* enum bpf_attach_type, Linux 6.6 */

/* union bpf_attr of BPF_LINK_CREATE with its member uprobe_multi (include/uapi/linux/bpf.h, 6.6). */
struct multi_attr {
	uint32_t prog_fd, target_fd, attach_type, flags;
	uint64_t path, offsets, ref_ctr_offsets, cookies;
	uint32_t cnt, uprobe_flags, pid, pad;
};

/* Descriptor of the link or a negative errno. @pid: 0, all processes. */
static int link_multi(int program_fd, const char *path, const uint64_t *offs, size_t cnt,
		      uint32_t pid)
{
	struct multi_attr attr = {
		.prog_fd = (uint32_t)program_fd,
		.attach_type = TRACE_UPROBE_MULTI,
		.path = (uint64_t)(uintptr_t)path,
		.offsets = (uint64_t)(uintptr_t)offs,
		.cnt = (uint32_t)cnt,
		.pid = pid,
	};
	/* Up to pid: an older kernel refuses bytes it does not know. */
	long fd = syscall(SYS_bpf, BPF_LINK_CREATE, &attr, offsetof(struct multi_attr, pad));

	return fd < 0 ? -errno : (int)fd;
}

enum gj_load_multi gj_load_find_multi(void)
{
	static const struct bpf_insn insns[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0 },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	LIBBPF_OPTS(bpf_prog_load_opts, opts,
		    .expected_attach_type = (enum bpf_attach_type)TRACE_UPROBE_MULTI);
	int fd = bpf_prog_load(BPF_PROG_TYPE_KPROBE, NULL, "GPL", insns, 2, &opts);
	enum gj_load_multi multi = GJ_LOAD_SINGLE;
	uint64_t off = 0;

	if (fd < 0)
		return GJ_LOAD_SINGLE;
	/* A directory is no binary: who says so knows what was asked. */
	if (link_multi(fd, "/", &off, 1, 0) == -EBADF)
		multi = GJ_LOAD_MULTI_ALL;
	/*
	 * Linux 46ba0e49b642 ("bpf: fix multi-uprobe PID filtering logic", 6.10): before it a
	 * link for a process saw one thread of it, and pid was unsigned.
	 */
	if (multi == GJ_LOAD_MULTI_ALL && link_multi(fd, "/", &off, 1, UINT32_MAX) == -EINVAL)
		multi = GJ_LOAD_MULTI;
	close(fd);
	return multi;
}

int gj_load_pin_link(struct gj_load *load, const char *program, unsigned int number, int fd,
		     struct gj_diag *diag)
{
	char path[640];

	if (number)
		snprintf(path, sizeof(path), "%s/links/%s-%u", load->stage, program, number + 1);
	else
		snprintf(path, sizeof(path), "%s/links/%s", load->stage, program);
	return bpf_obj_pin(fd, path) ? gj_diag_set(diag, -errno, "%s: %s", path, strerror(errno)) : 0;
}

/* Takes @link over, which is pinned by now. */
static void let_go(struct bpf_link *link)
{
	bpf_link__disconnect(link);
	bpf_link__destroy(link);
}

/* One program in one binary, for one process or all. */
struct hooking {
	struct gj_load *load;
	const struct gj_load_binary *binary;
	struct bpf_program *program;
	const uint64_t *offs;
	size_t cnt;
	uint32_t pid;         /* 0: all processes */
	unsigned int *number; /* of the program's next link */
};

static int refuse(const struct hooking *hooking, int err, struct gj_diag *diag)
{
	if (err == -EACCES || err == -EPERM)
		return gj_diag_set(diag, -EPERM,
				   "%s cannot be hooked: CAP_SYS_ADMIN is missing, which this kernel wants for uprobes; run as root",
				   hooking->binary->label);
	return gj_diag_set(diag, err, "%s cannot be hooked: %s", hooking->binary->label,
			   strerror(-err));
}

static int hook_multi(const struct hooking *hooking, struct gj_diag *diag)
{
	int fd = link_multi(bpf_program__fd(hooking->program), hooking->binary->path, hooking->offs,
			    hooking->cnt, hooking->pid);
	int err;

	if (fd < 0)
		return refuse(hooking, fd, diag);
	err = gj_load_pin_link(hooking->load, bpf_program__name(hooking->program),
			       (*hooking->number)++, fd, diag);
	close(fd);
	return err;
}

static int hook_single(const struct hooking *hooking, struct gj_diag *diag)
{
	int err = 0;

	for (size_t i = 0; !err && i < hooking->cnt; i++) {
		LIBBPF_OPTS(bpf_uprobe_opts, opts);
		struct bpf_link *link = bpf_program__attach_uprobe_opts(
			hooking->program, hooking->pid ? (pid_t)hooking->pid : -1,
			hooking->binary->path, hooking->offs[i], &opts);

		if (!link)
			return refuse(hooking, -errno, diag);
		err = gj_load_pin_link(hooking->load, bpf_program__name(hooking->program),
				       (*hooking->number)++, bpf_link__fd(link), diag);
		if (err)
			bpf_link__destroy(link);
		else
			let_go(link);
	}
	return err;
}

/* Every process' own, or one for all, whose programs then know their targets. */
static int hook_binary(struct hooking *hooking, unsigned int binary_number, struct gj_diag *diag)
{
	const struct gj_load_targets *targets = &hooking->load->targets;
	int (*hook)(const struct hooking *hooking, struct gj_diag *diag) =
		hooking->load->multi == GJ_LOAD_SINGLE ? hook_single : hook_multi;
	int err = 0;

	if (hooking->binary->is_file || hooking->load->multi == GJ_LOAD_MULTI_ALL)
		return hook(hooking, diag);
	for (unsigned int i = 0; !err && i < targets->process_cnt; i++) {
		if (targets->processes[i].binary != binary_number)
			continue;
		hooking->pid = targets->processes[i].pid;
		err = hook(hooking, diag);
		if (err == -ESRCH)
			gj_diag_set(diag, err, "process %u has ended", hooking->pid);
	}
	return err;
}

static int attach_hooked(struct gj_load *load, struct bpf_program *program,
			 enum gj_feature feature, struct gj_diag *diag)
{
	unsigned int number = 0;
	int err = 0;

	for (unsigned int i = 0; !err && i < load->targets.binary_cnt; i++) {
		const struct gj_load_binary *binary = &load->targets.binaries[i];
		const char *name = bpf_program__name(program);
		size_t cnt = gj_load_places(binary, feature, name, NULL);
		uint64_t *offs = calloc(cnt + 1, sizeof(*offs));
		struct hooking hooking = {
			.load = load, .binary = binary, .program = program, .offs = offs, .cnt = cnt,
			.number = &number,
		};

		if (!offs)
			return gj_diag_set(diag, -ENOMEM, "out of memory");
		gj_load_places(binary, feature, name, offs);
		if (cnt)
			err = hook_binary(&hooking, i, diag);
		free(offs);
	}
	return err;
}

/* An iterator is a file beside the maps: reading it runs it. */
static int pin_iterator(struct gj_load *load, const char *program, int fd, struct gj_diag *diag)
{
	char path[640];

	if (!strncmp(program, "gj_", 3))
		program += 3;
	snprintf(path, sizeof(path), "%s/%s", load->stage, program);
	return bpf_obj_pin(fd, path) ? gj_diag_set(diag, -errno, "%s: %s", path, strerror(errno)) : 0;
}

/* An iterator over a map's elements goes over that of its own name: gj_metrics over metrics_steps. */
static struct bpf_link *attach_map_iterator(struct gj_load *load, struct bpf_program *program)
{
	union bpf_iter_link_info info = { 0 };
	LIBBPF_OPTS(bpf_iter_attach_opts, opts, .link_info = &info, .link_info_len = sizeof(info));
	char map[64];
	int fd;

	snprintf(map, sizeof(map), "%s_steps", bpf_program__name(program) + strlen("gj_"));
	fd = gj_load_find_map(load, map);
	info.map.map_fd = (uint32_t)fd;
	return fd < 0 ? NULL : bpf_program__attach_iter(program, &opts);
}

static int attach_by_section(struct gj_load *load, struct bpf_program *program,
			     struct gj_diag *diag)
{
	const char *name = bpf_program__name(program);
	struct bpf_link *link = strcmp(bpf_program__section_name(program), "iter/bpf_map_elem") ?
		bpf_program__attach(program) : attach_map_iterator(load, program);
	int err;

	if (!link)
		return gj_diag_set(diag, -errno, "%s (%s) cannot be attached: %s", name,
				   bpf_program__section_name(program), strerror(errno));
	if (bpf_program__expected_attach_type(program) == BPF_TRACE_ITER)
		err = pin_iterator(load, name, bpf_link__fd(link), diag);
	else
		err = gj_load_pin_link(load, name, 0, bpf_link__fd(link), diag);
	if (err)
		bpf_link__destroy(link);
	else
		let_go(link);
	return err;
}

int gj_load_attach(struct gj_load *load, struct gj_load_object *object, enum gj_feature feature,
		   struct gj_diag *diag)
{
	struct bpf_program *program;
	int err = 0;

	bpf_object__for_each_program(program, object->object) {
		if (err)
			break;
		if (!bpf_program__autoload(program) ||
		    bpf_program__type(program) == BPF_PROG_TYPE_SYSCALL)
			continue;
		if (!strcmp(bpf_program__section_name(program), "uprobe"))
			err = attach_hooked(load, program, feature, diag);
		else if (bpf_program__type(program) == BPF_PROG_TYPE_PERF_EVENT)
			err = gj_load_samples_attach(load, program, diag);
		else
			err = attach_by_section(load, program, diag);
	}
	return err;
}
