/* SPDX-License-Identifier: GPL-2.0 */
/* What is profiled: Go processes as they are mapped now, images, and the rows of their code. */
#include <elf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>

#include "base/limits.h"
#include "goroutine/goroutine.h"
#include "profile/profile.h"

#define PAGE_BYTES 4096ull /* of amd64 */
#define VDSO_BYTES (64u << 10) /* looked at; ours has 8 KiB */

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static bool is_vdso(const struct gj_vma *vma)
{
	return !strcmp(vma->path, "[vdso]");
}

struct gj_profile_image *gj_profile_image(const struct gj_profile_targets *targets,
					  const struct gj_vma *vma)
{
	for (size_t i = 0; i < targets->image_cnt; i++) {
		struct gj_profile_image *image = &targets->images[i];

		if (image->is_vdso ? is_vdso(vma) :
				     vma->inode && image->inode == vma->inode &&
				     image->dev_major == vma->dev_major &&
				     image->dev_minor == vma->dev_minor)
			return image;
	}
	return NULL;
}

struct gj_profile_process *gj_profile_process(const struct gj_profile_targets *targets,
					      uint32_t pid)
{
	for (size_t i = 0; i < targets->process_cnt; i++)
		if (targets->processes[i].pid == pid)
			return &targets->processes[i];
	return NULL;
}

/* By the kernel's own link, which outlives a replaced file, or by name. */
static int open_file(uint32_t pid, const struct gj_vma *vma, struct gj_image **image_out)
{
	char path[4096];
	int err;

	snprintf(path, sizeof(path), "/proc/%u/map_files/%llx-%llx", pid,
		 (unsigned long long)vma->start_va, (unsigned long long)vma->end_va);
	err = gj_image_open(path, image_out, NULL);
	if (!err || (err != -EPERM && err != -EACCES) || vma->is_deleted ||
	    (size_t)snprintf(path, sizeof(path), "/proc/%u/root%s", pid, vma->path) >= sizeof(path))
		return err;
	return gj_image_open(path, image_out, NULL);
}

/* Every process has the kernel's one vdso; ours is the nearest copy. */
static int open_vdso(struct gj_image **image_out)
{
	const uint8_t *at = (const uint8_t *)getauxval(AT_SYSINFO_EHDR);
	struct gj_maps *maps;
	const struct gj_vma *vma;
	int err = at ? gj_maps_open("/proc/self/maps", &maps, NULL) : -ENOENT;

	if (err)
		return err;
	vma = gj_maps_find(maps, (uint64_t)(uintptr_t)at);
	err = -ENOENT;
	if (vma && vma->end_va - vma->start_va <= VDSO_BYTES)
		err = gj_image_open_bytes((struct gj_window){ at, vma->end_va - vma->start_va },
					  "[vdso]", image_out, NULL);
	gj_maps_close(maps);
	return err;
}

/* Rows count from the first executable byte. */
static bool find_base(struct gj_profile_image *image)
{
	const struct gj_segment *segment;

	for (unsigned int i = 0; (segment = gj_image_segment(image->image, i)); i++)
		if (segment->flags & PF_X && segment->file_bytes) {
			image->base_va = segment->va;
			return true;
		}
	return false;
}

static int add_rows(struct gj_profile_targets *targets, struct gj_profile_image *image)
{
	uint32_t first_row = (uint32_t)(targets->rows.size_bytes / sizeof(struct gj_unwind_row));
	int err = 0;

	if (!gj_gotab_open(image->image, &image->gotab, NULL))
		err = gj_stitch_facts(image->image, image->gotab, &image->facts);
	if (!err && find_base(image))
		err = gj_profile_rows(image->image, image->gotab, &image->facts, image->base_va,
				      &targets->rows);
	if (err)
		return err;
	image->first_page =
		(uint32_t)(targets->pages.size_bytes / sizeof(struct gj_unwind_page));
	return gj_profile_pages(&targets->rows, first_row, &targets->pages, &image->page_cnt);
}

/*
 * An image that cannot be read stays without rows: stacks end there and say so.
 * @path: the file, NULL: what process @pid has mapped
 */
static int add_image(struct gj_profile_targets *targets, uint32_t pid, const char *path,
		     const struct gj_vma *vma)
{
	struct gj_profile_image image = {
		.inode = vma->inode,
		.dev_major = vma->dev_major,
		.dev_minor = vma->dev_minor,
		.is_vdso = is_vdso(vma),
	};
	struct gj_profile_image *images =
		reallocarray(targets->images, targets->image_cnt + 1, sizeof(*images));
	int err;

	if (!images)
		return -ENOMEM;
	targets->images = images;
	if (path)
		err = gj_image_open(path, &image.image, NULL);
	else
		err = image.is_vdso ? open_vdso(&image.image) : open_file(pid, vma, &image.image);
	if (!err)
		err = add_rows(targets, &image);
	images[targets->image_cnt++] = image;
	return err == -ENOMEM ? err : 0;
}

/* Of the one Go program or library that the process' offsets are for: the first with tables. */
static void set_go(struct gj_profile_process *process, const struct gj_profile_image *image,
		   uint64_t bias)
{
	const struct gj_goinfo *info = gj_gotab_info(image->gotab);
	struct gj_unwind_target *target = &process->target;
	struct gj_gofunc func;

	if (target->go_hi)
		return;
	target->go_lo = info->text_va + bias;
	target->go_hi = info->etext_va + bias;
	target->cgo_g = image->facts.cgo_g_off;
	if (!gj_gotab_find_name(image->gotab, "runtime.systemstack_switch", &func)) {
		target->switch_lo = func.entry_va + bias;
		target->switch_hi = func.end_va + bias;
	}
	if (image->facts.m_vdso_sp >= 0 && image->facts.m_vdso_sp < (int32_t)GJ_NO_OFFSET - 8) {
		process->runtime.m_vdso_sp = (uint16_t)image->facts.m_vdso_sp;
		process->runtime.m_vdso_pc = (uint16_t)(image->facts.m_vdso_sp + 8);
	}
}

/* 0, -E2BIG with more code mappings than a target holds. */
static int add_range(struct gj_profile_process *process, const struct gj_profile_image *image,
		     const struct gj_vma *vma, size_t *range_cnt)
{
	struct gj_unwind_range *range = &process->target.ranges[*range_cnt];
	uint64_t bias;

	if (image->is_vdso)
		process->vdso_va = vma->start_va;
	if (*range_cnt == GJ_UNWIND_RANGES)
		return -E2BIG;
	*range = (struct gj_unwind_range){ .start = vma->start_va,
					   .size = vma->end_va - vma->start_va };
	++*range_cnt;
	if (!image->image)
		return 0;
	if (image->is_vdso)
		bias = vma->start_va - gj_image_segment(image->image, 0)->va;
	else if (gj_maps_load_bias(process->maps, vma, image->image, &bias))
		return 0;
	range->base = image->base_va + bias;
	range->first_page = image->first_page;
	range->page_cnt = image->page_cnt;
	if (image->gotab)
		set_go(process, image, bias);
	return 0;
}

static struct gj_unwind_target no_code(void)
{
	struct gj_unwind_target target = { .cgo_g = -1 };

	for (size_t i = 0; i < GJ_UNWIND_RANGES; i++)
		target.ranges[i].start = GJ_NO_RANGE;
	return target;
}

static int add_ranges(struct gj_profile_targets *targets, struct gj_profile_process *process)
{
	const struct gj_vma *vma;
	size_t range_cnt = 0;
	int err = 0;

	for (size_t i = 0; !err && (vma = gj_maps_vma(process->maps, i)); i++) {
		if (!(vma->flags & PF_X) || (!vma->inode && !is_vdso(vma)))
			continue;
		if (!gj_profile_image(targets, vma))
			err = add_image(targets, process->pid, NULL, vma);
		if (!err)
			err = add_range(process, gj_profile_image(targets, vma), vma, &range_cnt);
	}
	return err;
}

static uint16_t offset16(int32_t offset)
{
	return offset < 0 || offset >= (int32_t)GJ_NO_OFFSET ? GJ_NO_OFFSET : (uint16_t)offset;
}

static int set_runtime(struct gj_profile_process *process, struct gj_diag *diag)
{
	const struct gj_goffsets *offsets;
	struct gj_live *live;
	int err = gj_live_open(process->pid, &live, diag);

	if (err)
		return err;
	offsets = gj_live_offsets(live);
	process->runtime = (struct gj_goruntime){
		.tls_g = offsets->tls_g,
		.g_stack_lo = offset16(offsets->g_stack_lo),
		.g_stack_hi = offset16(offsets->g_stack_hi),
		.g_m = offset16(offsets->g_m),
		.g_sched_sp = offset16(offsets->g_sched_sp),
		.g_sched_pc = offset16(offsets->g_sched_pc),
		.g_sched_bp = offset16(offsets->g_sched_bp),
		.g_goid = offset16(offsets->g_goid),
		.g_labels = offset16(offsets->g_labels),
		.m_g0 = offset16(offsets->m_g0),
		.m_gsignal = offset16(offsets->m_gsignal),
		.m_curg = offset16(offsets->m_curg),
		.m_vdso_sp = GJ_NO_OFFSET,
		.m_vdso_pc = GJ_NO_OFFSET,
	};
	if (offsets->tls_g == INT64_MIN)
		err = gj_diag_set(diag, -EOPNOTSUPP,
				  "process %u: where its threads keep g is not known; record it with gojitter record",
				  process->pid);
	gj_live_close(live);
	return err;
}

static void read_comm(struct gj_profile_process *process)
{
	char path[32];
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%u/comm", process->pid);
	file = fopen(path, "re");
	if (!file)
		return;
	if (fgets(process->comm, sizeof(process->comm), file))
		process->comm[strcspn(process->comm, "\n")] = '\0';
	fclose(file);
}

int gj_profile_targets_add(struct gj_profile_targets *targets, uint32_t pid, struct gj_diag *diag)
{
	struct gj_profile_process process = { .pid = pid, .target = no_code() }, *processes;
	uint64_t begin_ns = now_ns();
	char path[32];
	int err = set_runtime(&process, diag);

	if (err)
		return err;
	snprintf(path, sizeof(path), "/proc/%u/maps", pid);
	err = gj_maps_open(path, &process.maps, diag);
	if (err)
		return err;
	read_comm(&process);
	err = add_ranges(targets, &process);
	processes = err ? NULL :
			  reallocarray(targets->processes, targets->process_cnt + 1,
				       sizeof(*processes));
	if (!processes) {
		gj_maps_close(process.maps);
		if (err == -E2BIG)
			return gj_diag_set(diag, err,
					   "process %u has more than %d mappings of code; record it with gojitter record",
					   pid, GJ_UNWIND_RANGES);
		return gj_diag_set(diag, -ENOMEM, "out of memory");
	}
	targets->processes = processes;
	processes[targets->process_cnt++] = process;
	targets->rows_ns += now_ns() - begin_ns;
	return 0;
}

/* Where the kernel maps the program's code: whole pages of each segment. */
static int add_segments(const struct gj_profile_image *image, struct gj_profile_program *program)
{
	const struct gj_segment *segment;

	for (unsigned int i = 0; (segment = gj_image_segment(image->image, i)); i++) {
		uint64_t start_va = segment->va & ~(PAGE_BYTES - 1);
		uint64_t end_va = (segment->va + segment->file_bytes + PAGE_BYTES - 1) & ~(PAGE_BYTES - 1);

		if (!(segment->flags & PF_X) || end_va <= start_va)
			continue;
		if (program->range_cnt == GJ_UNWIND_RANGES - 1 ||
		    (program->range_cnt && program->target.ranges[program->range_cnt - 1].start >= start_va))
			return -EBADMSG;
		program->target.ranges[program->range_cnt++] = (struct gj_unwind_range){
			.start = start_va, .size = end_va - start_va, .base = image->base_va,
			.first_page = image->first_page, .page_cnt = image->page_cnt,
		};
	}
	return 0;
}

static int add_vdso(struct gj_profile_targets *targets, struct gj_profile_program *program)
{
	const struct gj_vma vma = { .path = "[vdso]" };
	const struct gj_profile_image *image;
	int err = gj_profile_image(targets, &vma) ? 0 : add_image(targets, 0, NULL, &vma);

	image = err ? NULL : gj_profile_image(targets, &vma);
	if (image && image->image && gj_image_segment(image->image, 0))
		program->vdso = (struct gj_unwind_range){
			.size = gj_image_bytes(image->image).size_bytes,
			.base = image->base_va - gj_image_segment(image->image, 0)->va,
			.first_page = image->first_page, .page_cnt = image->page_cnt,
		};
	return err;
}

int gj_profile_targets_add_program(struct gj_profile_targets *targets, const char *path,
				   struct gj_profile_program *program_out)
{
	struct gj_profile_process process = { .target = no_code() };
	struct gj_profile_program program = { .range_cnt = 0 };
	uint64_t begin_ns = now_ns();
	struct gj_vma vma = { .path = path };
	const struct gj_profile_image *image;
	struct stat st;
	int err = stat(path, &st) ? -errno : 0;

	if (err)
		return err;
	vma.inode = st.st_ino;
	vma.dev_major = major(st.st_dev);
	vma.dev_minor = minor(st.st_dev);
	if (!gj_profile_image(targets, &vma))
		err = add_image(targets, 0, path, &vma);
	image = err ? NULL : gj_profile_image(targets, &vma);
	if (!err && !image->gotab)
		err = -ENOENT;
	if (err)
		return err;
	set_go(&process, image, 0);
	program.target = process.target;
	program.m_vdso_sp = process.runtime.m_vdso_sp ? process.runtime.m_vdso_sp : GJ_NO_OFFSET;
	program.m_vdso_pc = process.runtime.m_vdso_pc ? process.runtime.m_vdso_pc : GJ_NO_OFFSET;
	err = add_segments(image, &program);
	if (!err)
		err = add_vdso(targets, &program);
	targets->rows_ns += now_ns() - begin_ns;
	if (!err)
		*program_out = program;
	return err;
}

void gj_profile_targets_deinit(struct gj_profile_targets *targets)
{
	for (size_t i = 0; i < targets->image_cnt; i++) {
		gj_symbol_index_free(targets->images[i].symbols);
		gj_gotab_close(targets->images[i].gotab);
		gj_image_close(targets->images[i].image);
	}
	for (size_t i = 0; i < targets->process_cnt; i++)
		gj_maps_close(targets->processes[i].maps);
	free(targets->images);
	free(targets->processes);
	gj_buf_deinit(&targets->rows);
	gj_buf_deinit(&targets->pages);
	*targets = (struct gj_profile_targets){ 0 };
}
