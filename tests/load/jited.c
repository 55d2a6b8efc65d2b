/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Writes the machine code that the kernel made of a pinned BPF program, in raw bytes:
 *
 *   jited PIN
 */
#include <bpf/bpf.h>
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
	struct bpf_prog_info info = { 0 };
	uint32_t size_bytes = sizeof(info), code_bytes;
	int fd = argc > 1 ? bpf_obj_get(argv[1]) : -1;
	void *code;

	if (fd < 0 || bpf_obj_get_info_by_fd(fd, &info, &size_bytes)) {
		fprintf(stderr, "jited: %s is no pinned program\n", argc > 1 ? argv[1] : "nothing");
		return 1;
	}
	code_bytes = info.jited_prog_len;
	code = malloc(code_bytes);
	info = (struct bpf_prog_info){
		.jited_prog_len = code_bytes,
		.jited_prog_insns = (uint64_t)(uintptr_t)code,
	};
	size_bytes = sizeof(info);
	if (!code || bpf_obj_get_info_by_fd(fd, &info, &size_bytes))
		return 1;
	return fwrite(code, 1, code_bytes, stdout) != code_bytes;
}
