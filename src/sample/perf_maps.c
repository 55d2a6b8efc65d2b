/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Which file each process of a perf.data recording had mapped where, from its
 * data section (include/uapi/linux/perf_event.h), each record behind
 * {u32 type, u16 misc, u16 size}:
 *
 *   COMM   u32 pid, tid; ...
 *   FORK   u32 pid, ppid, tid, ptid; ...
 *   MMAP2  u32 pid, tid; u64 va, size, file off;
 *          u32 major, minor; u64 inode, generation, or with MISC_MMAP_BUILD_ID
 *          u8 bytes of the build id, 3 unused, u8 build id[20];
 *          u32 prot, flags; char path[]
 *
 * Recordings made with -z or --threads, and pipes, do not show theirs here.
 */
#include <errno.h>
#include <linux/perf_event.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "sample/sample.h"

#define MAX_BUILD_ID_BYTES 20

struct thread {
	uint32_t tid, pid;
};

struct map {
	uint32_t pid;
	uint64_t va, size_bytes;
	struct gj_perf_map map;
};

struct gj_perf_maps {
	struct thread *threads; /* in order of appearance, as the maps; owned */
	struct map *maps;       /* owned */
	size_t thread_cnt, map_cnt;
};

/* Room for one more behind @cnt entries of @size_bytes at *@array: it doubles at powers of two. */
static int grow(void **array, size_t cnt, size_t size_bytes)
{
	void *bigger;

	if (cnt & (cnt - 1))
		return 0;
	bigger = reallocarray(*array, cnt ? 2 * cnt : 1, size_bytes);
	if (!bigger)
		return -ENOMEM;
	*array = bigger;
	return 0;
}

static int add_thread(struct gj_perf_maps *maps, uint32_t tid, uint32_t pid)
{
	if (grow((void **)&maps->threads, maps->thread_cnt, sizeof(*maps->threads)))
		return -ENOMEM;
	maps->threads[maps->thread_cnt++] = (struct thread){ tid, pid };
	return 0;
}

static int add_map(struct gj_perf_maps *maps, struct gj_window record, uint16_t misc)
{
	struct gj_cursor cur = gj_cursor_init(record);
	struct map map = { .pid = gj_cursor_u32(&cur) };
	struct gj_window id;

	gj_cursor_u32(&cur);
	map.va = gj_cursor_u64(&cur);
	map.size_bytes = gj_cursor_u64(&cur);
	map.map.file_off = gj_cursor_u64(&cur);
	id = gj_window_slice(record, 32, 24);
	gj_cursor_take(&cur, 24);
	map.map.path = gj_window_string(record, 64);
	if (!(gj_cursor_u32(&cur) & PROT_EXEC) || gj_cursor_failed(&cur) || !map.map.path ||
	    map.map.path[0] != '/')
		return 0;
	if (!(misc & PERF_RECORD_MISC_MMAP_BUILD_ID))
		gj_window_u64(id, 8, &map.map.inode);
	else if (id.base[0] <= MAX_BUILD_ID_BYTES)
		map.map.build_id = gj_window_slice(id, 4, id.base[0]);
	if (grow((void **)&maps->maps, maps->map_cnt, sizeof(*maps->maps)))
		return -ENOMEM;
	maps->maps[maps->map_cnt++] = map;
	return 0;
}

static int add_record(struct gj_perf_maps *maps, const struct gj_perf_record *record)
{
	uint32_t pid, tid;

	switch (record->type) {
	case PERF_RECORD_MMAP2:
		return add_map(maps, record->body, record->misc);
	case PERF_RECORD_COMM:
	case PERF_RECORD_FORK:
		if (!gj_window_u32(record->body, 0, &pid) ||
		    !gj_window_u32(record->body, record->type == PERF_RECORD_FORK ? 8 : 4, &tid))
			return 0;
		return add_thread(maps, tid, pid);
	default:
		return 0;
	}
}

static int add_all(struct gj_perf_maps *maps, struct gj_window data)
{
	struct gj_cursor cur = gj_cursor_init(data);
	struct gj_perf_record record;

	while (gj_perf_record_next(&cur, &record))
		if (add_record(maps, &record))
			return -ENOMEM;
	return 0;
}

struct gj_perf_maps *gj_perf_maps_new(struct gj_window file)
{
	struct gj_perf_maps *maps = calloc(1, sizeof(*maps));

	if (maps && add_all(maps, gj_perf_file_data(file))) {
		gj_perf_maps_free(maps);
		return NULL;
	}
	return maps;
}

void gj_perf_maps_free(struct gj_perf_maps *maps)
{
	if (!maps)
		return;
	free(maps->threads);
	free(maps->maps);
	free(maps);
}

bool gj_perf_maps_any(const struct gj_perf_maps *maps)
{
	return maps->map_cnt;
}

static uint32_t pid_of(const struct gj_perf_maps *maps, uint32_t tid)
{
	for (size_t i = maps->thread_cnt; i-- > 0;)
		if (maps->threads[i].tid == tid)
			return maps->threads[i].pid;
	return tid;
}

int gj_perf_maps_find(const struct gj_perf_maps *maps, uint32_t tid, uint64_t va,
		      struct gj_perf_map *map_out)
{
	uint32_t pid = pid_of(maps, tid);

	for (size_t i = maps->map_cnt; i-- > 0;) {
		const struct map *map = &maps->maps[i];

		if (map->pid != pid || va < map->va || va - map->va >= map->size_bytes)
			continue;
		*map_out = map->map;
		map_out->file_off += va - map->va;
		return 0;
	}
	return -ENOENT;
}
