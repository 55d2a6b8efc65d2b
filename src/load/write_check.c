/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Whether bpftool can attach an object's programs on this kernel. The loader may take
 * others where it cannot; bpftool fails with all of it.
 */
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <string.h>

#include "load/write.h"

static int check_section(const struct btf *kernel, const char *section, struct gj_diag *diag)
{
	static const char prefix[] = "tp_btf/";

	if (!strcmp(section, "perf_event"))
		return gj_diag_set(diag, -EOPNOTSUPP,
				   "bpftool starts no timers; gojitter trace does");
	if (strncmp(section, prefix, sizeof(prefix) - 1))
		return 0;
	section += sizeof(prefix) - 1;
	if (gj_load_has_tracepoint(kernel, section))
		return 0;
	return gj_diag_set(diag, -EOPNOTSUPP, "this kernel has no tracepoint %s", section);
}

int gj_write_check_kernel(const struct gj_load_image *image, struct gj_diag *diag)
{
	struct btf *kernel = btf__load_vmlinux_btf();
	struct bpf_object *object =
		bpf_object__open_mem(image->bytes, image->size_bytes, NULL);
	struct bpf_program *program;
	int err = 0;

	/* Of a kernel that nothing is known of bpftool will tell. */
	bpf_object__for_each_program(program, kernel && object ? object : NULL)
		if (!err && bpf_program__autoload(program))
			err = check_section(kernel, bpf_program__section_name(program), diag);
	bpf_object__close(object);
	btf__free(kernel);
	return err;
}
