/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the census (bpf/census.bpf.c) has to be told of each program, and whether the
 * kernel has what it needs.
 */
#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "gj_trace_census.h"
#include "load/instance.h"

/* Of struct gj_census_program: a function of the runtime; 0 when there is none. */
static uint64_t find_va(const struct gj_gotab *gotab, const char *name)
{
	struct gj_gofunc func;

	return gj_gotab_find_name(gotab, name, &func) ? 0 : func.entry_va;
}

static struct gj_census_program find_program(const struct gj_gotab *gotab)
{
	/* Go src/runtime: signal_amd64.go (sigpanic), preempt.go, debugcall.go. */
	static const char *const injected[GJ_CENSUS_INJECTED] = {
		"runtime.asyncPreempt", "runtime.sigpanic", "runtime.debugCallV2",
	};
	struct gj_census_program program = {
		.mcall_va = find_va(gotab, "runtime.mcall"),
		.morestack_va = find_va(gotab, "runtime.morestack"),
		.morestack_noctxt_va = find_va(gotab, "runtime.morestack_noctxt"),
		.goexit_va = find_va(gotab, "runtime.goexit"),
		.cgocall_va = find_va(gotab, "runtime.cgocall"),
		.asmcgocall_va = find_va(gotab, "runtime.asmcgocall"),
	};
	struct gj_gofunc func;

	for (unsigned int i = 0; i < GJ_CENSUS_INJECTED; i++)
		if (!gj_gotab_find_name(gotab, injected[i], &func))
			program.injected[i] = (struct gj_census_range){ func.entry_va, func.end_va };
	return program;
}

static int add_reasons(int names, uint32_t go_minor)
{
	for (uint32_t reason = 0; reason < GJ_REASONS; reason++) {
		struct gj_reason_key key = { .go_minor = go_minor, .reason = reason };
		const char *text = gj_wait_reason((int)go_minor, reason);
		char name[GJ_REASON_BYTES] = { 0 };

		if (!text)
			continue;
		strncpy(name, text, sizeof(name) - 1);
		if (bpf_map_update_elem(names, &key, name, BPF_ANY))
			return -errno;
	}
	return 0;
}

int gj_load_census_fill(const struct gj_load *load)
{
	int programs = gj_load_find_map(load, "census_programs");
	int names = gj_load_find_map(load, "reason_names"), err = 0;

	for (unsigned int i = 0; !err && i < load->targets.binary_cnt; i++) {
		const struct gj_load_binary *binary = &load->targets.binaries[i];
		struct gj_census_program program = find_program(binary->gotab);

		if (programs >= 0 && bpf_map_update_elem(programs, &i, &program, BPF_ANY))
			err = -errno;
		if (!err && names >= 0)
			err = add_reasons(names, binary->target.go_minor);
	}
	return err;
}

void gj_load_census_give(const struct gj_load_binary *binary, void *to)
{
	struct gj_census_program program = find_program(binary->gotab);

	memcpy(to, &program, sizeof(program));
}

void gj_load_reasons_give(const struct gj_load_binary *binary, void *to)
{
	struct gj_reasons reasons = { 0 };

	for (unsigned int i = 0; i < GJ_REASONS; i++) {
		const char *text = gj_wait_reason(binary->target.go_minor, i);

		if (text)
			snprintf(reasons.texts[i], sizeof(reasons.texts[i]), "%s", text);
	}
	memcpy(to, &reasons, sizeof(reasons));
}

/* Whether enum bpf_func_id of the running kernel has @name. */
static bool has_helper(const struct btf *kernel, const char *name)
{
	int id = btf__find_by_name_kind(kernel, "bpf_func_id", BTF_KIND_ENUM);
	const struct btf_type *type = id < 0 ? NULL : btf__type_by_id(kernel, (uint32_t)id);

	for (unsigned int i = 0; type && i < btf_vlen(type); i++)
		if (!strcmp(btf__name_by_offset(kernel, btf_enum(type)[i].name_off), name))
			return true;
	return false;
}

int gj_load_census_check(struct gj_diag *diag)
{
	/* From Linux 5.11, 5.13, 5.17 and 5.18 on; a kernel may have them earlier. */
	static const char *const helpers[] = {
		"BPF_FUNC_task_storage_get", "BPF_FUNC_for_each_map_elem", "BPF_FUNC_loop",
		"BPF_FUNC_copy_from_user_task",
	};
	struct btf *kernel = btf__load_vmlinux_btf();
	int err = 0;

	/* Loading the object says so in its own words. */
	if (libbpf_get_error(kernel))
		return 0;
	for (unsigned int i = 0; !err && i < sizeof(helpers) / sizeof(helpers[0]); i++)
		if (!has_helper(kernel, helpers[i]))
			err = gj_diag_set(diag, -EOPNOTSUPP,
					  "census cannot be had: this kernel has no bpf_%s, by which the memory of another process is walked; goroutines are seen by --what goroutines",
					  helpers[i] + strlen("BPF_FUNC_"));
	btf__free(kernel);
	return err;
}
