/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Programs that stand in for others where the kernel lacks their tracepoint. The
 * kernel is asked, not its version: it describes each as a type, btf_trace_NAME.
 */
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "load/instance.h"

static const struct {
	const char *program, *instead; /* both of one object; @instead has a section with '?' */
} variants[] = {
	{ "gj_tcp_write", "gj_tcp_syscall" },
};

bool gj_load_has_tracepoint(const struct btf *kernel, const char *name)
{
	char type[128];

	snprintf(type, sizeof(type), "btf_trace_%s", name);
	return btf__find_by_name_kind(kernel, type, BTF_KIND_TYPEDEF) > 0;
}

static bool can_attach(const struct btf *kernel, const struct bpf_program *program)
{
	const char *name = strchr(bpf_program__section_name(program), '/');

	return !name || gj_load_has_tracepoint(kernel, name + 1);
}

int gj_load_choose_programs(struct bpf_object *object)
{
	struct btf *kernel = NULL;
	int err = 0;

	for (size_t i = 0; !err && i < sizeof(variants) / sizeof(*variants); i++) {
		struct bpf_program *program =
			bpf_object__find_program_by_name(object, variants[i].program);
		struct bpf_program *instead =
			bpf_object__find_program_by_name(object, variants[i].instead);

		if (!program || !instead)
			continue;
		/* Without any, loading will tell. */
		if (!kernel)
			kernel = btf__load_vmlinux_btf();
		if (!kernel)
			break;
		if (can_attach(kernel, program))
			continue;
		err = bpf_program__set_autoload(program, false);
		if (!err)
			err = bpf_program__set_autoload(instead, true);
	}
	btf__free(kernel);
	return err;
}
