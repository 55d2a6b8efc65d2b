/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Walks stopped threads of a live process, for live.py:
 *
 *   live PID [EXE [dump]]
 *   live PID EXE arm64 [dump]
 *
 * EXE stands in for the program's own file (the same one, stripped). With dump
 * no more of the memory is read than perf's largest stack dump holds. Each line
 * of standard input is a request: fs base, then rax rbx rcx rdx rsi rdi rbp rsp
 * rip r8 ... r15, all in hex. arm64: PID is qemu-aarch64's, which runs EXE at its
 * own addresses (-B 0); 0, then x0 ... x30 sp pc. The answer is one line:
 *
 *   complete|cut ROOT|REASON GAP	VA:HOW:SP:MAY_MISS	VA:HOW:SP:MAY_MISS ...
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/limits.h"
#include "stitch/stitch.h"

#define MAX_FILES 64
#define DUMP_BYTES 65528 /* perf record --call-graph dwarf,65528 */

struct file {
	uint64_t start_va, end_va, bias;
	struct gj_image *image;
	struct gj_gotab *gotab;
	bool is_vdso;
};

struct target {
	pid_t pid;
	struct gj_maps *maps;
	struct file files[MAX_FILES];
	size_t file_cnt;
	struct gj_goffsets offsets;
	bool has_offsets;
	bool is_arm64;
	bool is_dump;
	uint64_t sp; /* of the request */
};

static int read_memory(void *data, uint64_t va, void *bytes_out, size_t size_bytes)
{
	struct target *target = data;
	struct iovec local = { bytes_out, size_bytes };
	struct iovec remote = { (void *)(uintptr_t)va, size_bytes };

	if (target->is_dump && (va < target->sp || va - target->sp > DUMP_BYTES - size_bytes))
		return -1;
	return process_vm_readv(target->pid, &local, 1, &remote, 1, 0) == (ssize_t)size_bytes ? 0 :
												-1;
}

static int find_image(void *data, uint64_t va, struct gj_stitch_image *image_out)
{
	struct target *target = data;

	for (size_t i = 0; i < target->file_cnt; i++) {
		struct file *file = &target->files[i];

		if (va < file->start_va || va >= file->end_va)
			continue;
		*image_out = (struct gj_stitch_image){ file->image, file->gotab, file->bias,
						       file->is_vdso, file->start_va, file->end_va };
		return 0;
	}
	return -1;
}

static void take_vdso(struct target *target, const struct gj_vma *vma)
{
	size_t size_bytes = vma->end_va - vma->start_va;
	uint8_t *copy = malloc(size_bytes);
	struct file *file = &target->files[target->file_cnt];

	if (!copy || read_memory(target, vma->start_va, copy, size_bytes) ||
	    gj_image_open_bytes((struct gj_window){ copy, size_bytes }, "[vdso]", &file->image, NULL))
		return;
	file->start_va = vma->start_va;
	file->end_va = vma->end_va;
	file->bias = vma->start_va;
	file->is_vdso = true;
	target->file_cnt++;
}

static void take_file(struct target *target, const struct gj_vma *vma, const char *path)
{
	struct file *file = &target->files[target->file_cnt];

	for (size_t i = 0; i < target->file_cnt; i++)
		if (target->files[i].image && !strcmp(gj_image_path(target->files[i].image), path)) {
			file->image = target->files[i].image;
			file->gotab = target->files[i].gotab;
		}
	if (!file->image) {
		if (gj_image_open(path, &file->image, NULL))
			return;
		gj_gotab_open(file->image, &file->gotab, NULL);
	}
	if (gj_maps_load_bias(target->maps, vma, file->image, &file->bias))
		return;
	file->start_va = vma->start_va;
	file->end_va = vma->end_va;
	target->file_cnt++;
	if (file->gotab && !target->has_offsets)
		target->has_offsets =
			!gj_goffsets_find(file->image, file->gotab, &target->offsets, NULL);
}

static void open_target(struct target *target, const char *exe)
{
	const struct gj_vma *vma;
	char path[64], own[4096];
	ssize_t size_bytes;

	snprintf(path, sizeof(path), "/proc/%d/exe", target->pid);
	size_bytes = readlink(path, own, sizeof(own) - 1);
	own[size_bytes > 0 ? size_bytes : 0] = '\0';
	snprintf(path, sizeof(path), "/proc/%d/maps", target->pid);
	if (gj_maps_open(path, &target->maps, NULL))
		exit(1);
	for (size_t i = 0; (vma = gj_maps_vma(target->maps, i)); i++) {
		if (!(vma->flags & 1) || target->file_cnt == MAX_FILES)
			continue;
		if (!strcmp(vma->path, "[vdso]"))
			take_vdso(target, vma);
		else if (vma->path[0] == '/')
			take_file(target, vma, exe && !strcmp(vma->path, own) ? exe : vma->path);
	}
}

/* The emulator maps the program without leave to execute; it is no PIE. */
static void open_emulated(struct target *target, const char *exe)
{
	struct file *file = &target->files[0];

	if (gj_image_open(exe, &file->image, NULL) ||
	    gj_gotab_open(file->image, &file->gotab, NULL))
		exit(1);
	file->end_va = UINT64_MAX;
	target->file_cnt = 1;
	target->has_offsets = !gj_goffsets_find(file->image, file->gotab, &target->offsets, NULL);
}

static void answer(struct gj_stitcher *stitcher, struct target *target, char *line)
{
	static struct gj_stack_frame frames[GJ_MAX_CHAIN];
	static const char hows[GJ_FRAME_HOW_CNT + 1] = "ikpcfs";
	struct gj_stack stack = { .frames = frames, .max = GJ_MAX_CHAIN };
	/* PERF_REG_X86_*: ax bx cx dx si di bp sp ip, then r8 on from number 16. */
	struct gj_stitch_input input = { .regs.mask = target->is_arm64 ? 0x1ffffffff : 0xff01ff };
	struct gj_stitch_view view = {
		.data = target, .read = read_memory, .find_image = find_image,
		.arch = target->is_arm64 ? GJ_ARCH_ARM64 : GJ_ARCH_AMD64, .offsets = target->has_offsets && !target->is_dump ? &target->offsets : NULL,
	};
	uint64_t values[33], fs_base = 0;
	char *at = line;

	fs_base = strtoull(at, &at, 16);
	for (size_t i = 0; i < (target->is_arm64 ? 33 : 17); i++)
		values[i] = strtoull(at, &at, 16);
	input.regs.values = values;
	target->sp = values[target->is_arm64 ? 31 : 7];
	if (target->is_arm64)
		view.g = values[28];
	else if (!target->is_dump && view.offsets && view.offsets->tls_g != INT64_MIN)
		read_memory(target, fs_base + (uint64_t)view.offsets->tls_g, &view.g, sizeof(view.g));
	if (gj_stitch(stitcher, &view, &input, &stack))
		exit(1);
	printf("%s %s %d", stack.is_complete ? "complete" : "cut",
	       stack.is_complete ? stack.root : gj_cut_text(stack.cut), stack.has_gap);
	for (size_t i = 0; i < stack.cnt; i++)
		printf("\t%" PRIx64 ":%c:%" PRIx64 ":%d", frames[i].va, hows[frames[i].how],
		       frames[i].sp, frames[i].may_miss);
	putchar('\n');
	fflush(stdout);
}

int main(int argc, char **argv)
{
	static struct target target;
	struct gj_stitcher *stitcher;
	char line[4096];

	if (argc < 2 || gj_stitcher_new(&stitcher))
		return 2;
	target.pid = atoi(argv[1]);
	while (fgets(line, sizeof(line), stdin)) {
		if (!target.file_cnt) {
			target.is_arm64 = argc > 3 && !strcmp(argv[3], "arm64");
			target.is_dump = argc > 3 + target.is_arm64;
			if (target.is_arm64)
				open_emulated(&target, argv[2]);
			else
				open_target(&target, argc > 2 ? argv[2] : NULL);
		}
		answer(stitcher, &target, line);
	}
	return 0;
}
