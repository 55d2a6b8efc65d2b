/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The files behind the mappings, opened once each.
 *
 * The recording may come from another machine or another day: a file is used
 * only when its build id is the recorded one (where both are known), looked
 * for at its own path below symfs, then in perf's build-id cache.
 */
#include <errno.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "session/session.h"

#define HINT_CNT 64 /* power of two; hosts hand out the same string for the same file */

struct gj_dsos {
	struct gj_host host;
	const char *symfs;
	void *root; /* tree of struct gj_dso by path */
	struct {
		const char *key; /* the host's pointer; only a hint, the text decides */
		struct gj_dso *dso;
	} hints[HINT_CNT];
};

struct gj_dsos *gj_dsos_new(const struct gj_host *host, const char *symfs)
{
	struct gj_dsos *dsos = calloc(1, sizeof(*dsos));

	if (dsos) {
		dsos->host = *host;
		dsos->symfs = symfs;
	}
	return dsos;
}

static void free_dso(void *data)
{
	struct gj_dso *dso = data;

	gj_gotab_close(dso->gotab);
	gj_image_close(dso->image);
	free(dso->path);
	free(dso);
}

void gj_dsos_free(struct gj_dsos *dsos)
{
	if (!dsos)
		return;
	tdestroy(dsos->root, free_dso);
	free(dsos);
}

static int compare(const void *a, const void *b)
{
	return strcmp(((const struct gj_dso *)a)->path, ((const struct gj_dso *)b)->path);
}

static bool is_recorded_file(const struct gj_image *image, const struct gj_mapping *mapping)
{
	struct gj_window id = gj_image_build_id(image);

	if (!mapping->build_id || !mapping->build_id_bytes || !id.size_bytes)
		return true;
	return id.size_bytes >= mapping->build_id_bytes &&
	       !memcmp(id.base, mapping->build_id, mapping->build_id_bytes);
}

/* perf's cache keeps copies below ~/.debug/.build-id/xx/yyyy/elf (tools/perf/util/build-id.c). */
static int open_cached(const struct gj_mapping *mapping, struct gj_image **image_out)
{
	const char *home = getenv("HOME");
	struct gj_buf path = { 0 };
	int err = -ENOENT;

	if (!home || !mapping->build_id || mapping->build_id_bytes < 2)
		return -ENOENT;
	gj_buf_fmt(&path, "%s/.debug/.build-id/%02x/", home, mapping->build_id[0]);
	for (size_t i = 1; i < mapping->build_id_bytes; i++)
		gj_buf_fmt(&path, "%02x", mapping->build_id[i]);
	gj_buf_str(&path, "/elf");
	gj_buf_chr(&path, '\0');
	if (!path.failed)
		err = gj_image_open(path.data, image_out, NULL);
	gj_buf_deinit(&path);
	return err;
}

static void warn(const struct gj_dsos *dsos, const char *path, const char *what)
{
	struct gj_diag line = { 0 };

	gj_diag_set(&line, -EIO, "%s: %s", path, what);
	dsos->host.warn(dsos->host.data, line.text);
}

/* The file as recorded, or NULL; says once why when it looks like one that should be there. */
static struct gj_image *open_file(const struct gj_dsos *dsos, const struct gj_mapping *mapping)
{
	struct gj_image *image = NULL;
	struct gj_diag diag = { 0 };
	struct gj_buf path = { 0 };
	int err = -ENOMEM;

	gj_buf_str(&path, dsos->symfs ? dsos->symfs : "");
	gj_buf_str(&path, mapping->dso);
	gj_buf_chr(&path, '\0');
	if (!path.failed)
		err = gj_image_open(path.data, &image, &diag);
	gj_buf_deinit(&path);
	if (!err && is_recorded_file(image, mapping))
		return image;
	gj_image_close(image);
	image = NULL;
	if (!open_cached(mapping, &image) && is_recorded_file(image, mapping))
		return image;
	gj_image_close(image);
	if (!err)
		warn(dsos, mapping->dso,
		     "the file was replaced since the recording; its frames show what perf knows. Keep the old binary and give its place with symfs=DIR");
	else if (err == -ENOENT)
		warn(dsos, mapping->dso,
		     "not on this machine; its frames show what perf knows. Copy it here and give its place with symfs=DIR");
	else if (err != -EBADMSG && err != -EOPNOTSUPP)
		warn(dsos, mapping->dso, strerror(-err));
	return NULL;
}

static void open_tables(const struct gj_dsos *dsos, struct gj_dso *dso)
{
	struct gj_diag diag = { 0 };
	struct gj_gofunc func;
	int err = gj_gotab_open(dso->image, &dso->gotab, &diag);

	if (err && err != -ENOENT)
		dsos->host.warn(dsos->host.data, diag.text);
	if (!err)
		dso->has_coroutines =
			!gj_gotab_find_name(dso->gotab, "runtime.coroswitch_m", &func);
}

static struct gj_dso *add_dso(struct gj_dsos *dsos, const struct gj_mapping *mapping)
{
	struct gj_dso *dso = calloc(1, sizeof(*dso));

	if (!dso)
		return NULL;
	dso->path = strdup(mapping->dso);
	if (!dso->path || !tsearch(dso, &dsos->root, compare)) {
		free_dso(dso);
		return NULL;
	}
	/* Only paths are files: [vdso], //anon and the like are not. */
	if (dso->path[0] == '/' && dso->path[1] != '/')
		dso->image = open_file(dsos, mapping);
	if (dso->image)
		open_tables(dsos, dso);
	return dso;
}

const struct gj_dso *gj_dsos_find(struct gj_dsos *dsos, const struct gj_mapping *mapping)
{
	size_t slot = ((uintptr_t)mapping->dso >> 4) & (HINT_CNT - 1);
	struct gj_dso key = { .path = (char *)(uintptr_t)mapping->dso };
	struct gj_dso *dso = dsos->hints[slot].dso, **found;

	if (dso && dsos->hints[slot].key == mapping->dso && !strcmp(dso->path, mapping->dso))
		return dso;
	found = tfind(&key, &dsos->root, compare);
	dso = found ? *found : add_dso(dsos, mapping);
	dsos->hints[slot].key = mapping->dso;
	dsos->hints[slot].dso = dso;
	return dso;
}
