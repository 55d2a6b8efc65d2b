/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Finds the binary behind a hit of the probe on runtime.execute: what the
 * recording says was mapped there, else what the living process has mapped
 * there, else the probe's definition. Whatever is found must have
 * runtime.execute at the place of the hit, or it is not taken.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "session/goexec.h"

#define SLOT_CNT 256 /* power of two; threads remembered */
#define PAGE_BYTES 4096

struct slot {
	uint32_t tid;
	uint64_t probe_ip; /* 0: free */
	const char *event; /* the host's pointer, its events live as long as it does */
	struct gj_binary binary;
};

struct gj_binaries {
	struct gj_window recording;
	struct gj_perf_maps *maps; /* NULL until the first hit: most recordings have none */
	const char *definitions;
	struct gj_dsos *dsos;
	struct slot slots[SLOT_CNT];
};

/* A name that cannot be told is no reason to speak: the host's line shows the address. */
static void stay_silent(void *data, const char *line)
{
	(void)data;
	(void)line;
}

struct gj_binaries *gj_binaries_new(struct gj_window recording, const char *definitions)
{
	static const struct gj_host host = { .size = sizeof(host), .warn = stay_silent };
	struct gj_binaries *binaries = calloc(1, sizeof(*binaries));

	if (!binaries)
		return NULL;
	binaries->recording = recording;
	binaries->definitions = definitions;
	binaries->dsos = gj_dsos_new(&host, NULL);
	if (!binaries->dsos) {
		gj_binaries_free(binaries);
		return NULL;
	}
	return binaries;
}

void gj_binaries_free(struct gj_binaries *binaries)
{
	if (!binaries)
		return;
	gj_perf_maps_free(binaries->maps);
	gj_dsos_free(binaries->dsos);
	free(binaries);
}

/* Takes the file at @path when the byte at @file_off of it is what @hit ran into. */
static bool take_file(struct gj_binaries *binaries, const struct gj_goexec_hit *hit,
		      const struct gj_mapping *mapping, struct gj_binary *binary_out)
{
	const struct gj_dso *dso = gj_dsos_find(binaries->dsos, mapping, 0);
	struct gj_gofunc func;
	uint64_t va, bias;

	if (!dso || !dso->gotab || gj_image_off_to_va(dso->image, mapping->file_off, &va))
		return false;
	bias = hit->probe_ip - va;
	if (bias % PAGE_BYTES || (bias && !gj_image_is_dyn(dso->image)) ||
	    gj_gotab_find_func(dso->gotab, va, &func) || strcmp(func.name, "runtime.execute"))
		return false;
	*binary_out = (struct gj_binary){ dso->image, dso->gotab, bias };
	return true;
}

/* Without a build id the inode must tell that the file is still the same. */
static bool is_same_file(const struct gj_perf_map *map)
{
	struct stat st;

	return map->build_id.size_bytes || !map->inode ||
	       (!stat(map->path, &st) && st.st_ino == map->inode);
}

static bool take_recorded(struct gj_binaries *binaries, const struct gj_goexec_hit *hit,
			  struct gj_binary *binary_out)
{
	struct gj_mapping mapping = { 0 };
	struct gj_perf_map map;

	if (gj_perf_maps_find(binaries->maps, hit->tid, hit->probe_ip, &map) ||
	    !is_same_file(&map))
		return false;
	mapping.dso = map.path;
	mapping.file_off = map.file_off;
	mapping.build_id = map.build_id.base;
	mapping.build_id_bytes = map.build_id.size_bytes;
	return take_file(binaries, hit, &mapping, binary_out);
}

/* The path, and the place in the file, of a line of /proc/PID/maps that covers @va. */
static const char *mapped_at(char *line, uint64_t va, uint64_t *file_off_out)
{
	uint64_t start, end, off;
	char perms[5];
	int path = 0;

	if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %4s %" SCNx64 " %*s %*s %n", &start, &end, perms,
		   &off, &path) < 4 ||
	    va < start || va >= end || line[path] != '/')
		return NULL;
	line[strcspn(line, "\n")] = '\0';
	*file_off_out = va - start + off;
	return line + path;
}

static bool take_living(struct gj_binaries *binaries, const struct gj_goexec_hit *hit,
			struct gj_binary *binary_out)
{
	struct gj_mapping mapping = { 0 };
	struct gj_buf path = { 0 };
	char maps_path[32], *line = NULL;
	const char *found = NULL;
	size_t cap = 0;
	FILE *maps;
	bool taken = false;

	snprintf(maps_path, sizeof(maps_path), "/proc/%" PRIu32 "/maps", hit->tid);
	maps = fopen(maps_path, "re");
	while (maps && !found && getline(&line, &cap, maps) > 0)
		found = mapped_at(line, hit->probe_ip, &mapping.file_off);
	if (maps)
		fclose(maps);
	if (found) {
		/* Its path as the process sees it, which may live in a container. */
		gj_buf_fmt(&path, "/proc/%" PRIu32 "/root%s", hit->tid, found);
		gj_buf_chr(&path, '\0');
		mapping.dso = path.data;
		taken = !path.failed && take_file(binaries, hit, &mapping, binary_out);
	}
	gj_buf_deinit(&path);
	free(line);
	return taken;
}

bool gj_probe_def_next(const char **text, struct gj_probe_def *def_out)
{
	static const char prefix[] = "p:" GJ_GOEXEC_GROUP "/" GJ_GOEXEC_PREFIX;

	while (**text) {
		const char *line = *text, *end = line + strcspn(line, "\n");
		const char *name, *path, *path_end;

		*text = *end ? end + 1 : end;
		if (strncmp(line, prefix, sizeof(prefix) - 1))
			continue;
		name = line + sizeof("p:" GJ_GOEXEC_GROUP);
		path = name + strcspn(name, " \n");
		def_out->name = name;
		def_out->name_bytes = (size_t)(path - name);
		path += *path == ' ';
		path_end = path + strcspn(path, " \n");
		/* PATH:0xOFFSET; a path may hold colons itself. */
		while (path_end > path && *path_end != ':')
			path_end--;
		if (*path_end != ':')
			continue;
		def_out->path = path;
		def_out->path_bytes = (size_t)(path_end - path);
		def_out->file_off = strtoull(path_end + 1, NULL, 16);
		return true;
	}
	return false;
}

static bool take_defined(struct gj_binaries *binaries, const struct gj_goexec_hit *hit,
			 struct gj_binary *binary_out)
{
	const char *text = binaries->definitions;
	struct gj_probe_def def;
	bool taken = false;

	while (!taken && gj_probe_def_next(&text, &def)) {
		struct gj_mapping mapping = { .file_off = def.file_off };
		char *path;

		if (strlen(hit->event) != def.name_bytes ||
		    memcmp(hit->event, def.name, def.name_bytes))
			continue;
		path = strndup(def.path, def.path_bytes);
		mapping.dso = path;
		taken = path && take_file(binaries, hit, &mapping, binary_out);
		free(path);
	}
	return taken;
}

const struct gj_binary *gj_binaries_find(struct gj_binaries *binaries,
					 const struct gj_goexec_hit *hit)
{
	struct slot *slot = &binaries->slots[hit->tid & (SLOT_CNT - 1)];

	if (slot->probe_ip == hit->probe_ip && slot->tid == hit->tid && slot->event == hit->event)
		return &slot->binary;
	*slot = (struct slot){ .tid = hit->tid, .probe_ip = hit->probe_ip, .event = hit->event };
	if (!binaries->maps)
		binaries->maps = gj_perf_maps_new(binaries->recording);
	if (!binaries->maps)
		return &slot->binary;
	/* A recording's processes may be gone and their IDs and probes others' by now. */
	if (gj_perf_maps_any(binaries->maps))
		take_recorded(binaries, hit, &slot->binary);
	else if (!take_living(binaries, hit, &slot->binary))
		take_defined(binaries, hit, &slot->binary);
	return &slot->binary;
}
