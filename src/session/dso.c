/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The files behind the mappings, opened once each.
 *
 * The recording may come from another machine or another day: a file is used
 * only when its build id is the recorded one (where both are known), looked
 * for at its own path below symfs; without symfs in the root directory of its
 * process, when that lives on in another one (a container), then at its own
 * path, then in perf's build-id cache. Two builds that were run from one path
 * in turn are two files, and so are those that two containers have at one path.
 */
#include <elf.h>
#include <errno.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/stat.h>

#include "session/session.h"

#define HINT_CNT 64 /* power of two; hosts hand out the same string for the same file */
#define VIEW_CNT 64 /* power of two */
#define MAX_COMPLAINTS 8 /* files named one by one; a busy machine runs many that are gone soon */

struct gj_dsos {
	struct gj_host host;
	const char *symfs;
	void *root; /* tree of struct gj_dso by path, build id and what the path begins at */
	struct {
		uint32_t pid;
		uint64_t root_id;
	} views[VIEW_CNT]; /* of processes met last */
	unsigned int complaint_cnt;
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
	free(dso->offsets);
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
	const struct gj_dso *one = a, *other = b;
	int order = strcmp(one->path, other->path);

	if (!order && one->root_id != other->root_id)
		order = one->root_id < other->root_id ? -1 : 1;
	if (!order && one->build_id_bytes != other->build_id_bytes)
		order = one->build_id_bytes < other->build_id_bytes ? -1 : 1;
	return order ? order : memcmp(one->build_id, other->build_id, one->build_id_bytes);
}

static void set_build_id(struct gj_dso *dso, const struct gj_mapping *mapping)
{
	dso->build_id_bytes = mapping->build_id ? mapping->build_id_bytes : 0;
	if (dso->build_id_bytes > GJ_BUILD_ID_BYTES)
		dso->build_id_bytes = GJ_BUILD_ID_BYTES;
	if (dso->build_id_bytes)
		memcpy(dso->build_id, mapping->build_id, dso->build_id_bytes);
}

static bool is_recorded_file(const struct gj_image *image, const struct gj_dso *dso)
{
	struct gj_window id = gj_image_build_id(image);

	if (!dso->build_id_bytes || !id.size_bytes)
		return true;
	return id.size_bytes >= dso->build_id_bytes &&
	       !memcmp(id.base, dso->build_id, dso->build_id_bytes);
}

/* Opens the file at @path, whose text it takes; -ESTALE when that is another one than recorded. */
static int open_recorded(struct gj_buf *path, const struct gj_dso *dso,
			 struct gj_image **image_out)
{
	struct gj_image *image = NULL;
	int err = -ENOMEM;

	gj_buf_chr(path, '\0');
	if (!path->failed)
		err = gj_image_open(path->data, &image, NULL);
	gj_buf_deinit(path);
	if (!err && !is_recorded_file(image, dso)) {
		gj_image_close(image);
		return -ESTALE;
	}
	if (!err)
		*image_out = image;
	return err;
}

/* perf's cache keeps copies below ~/.debug/.build-id/xx/yyyy, @name elf or vdso (tools/perf/util/build-id.c). */
static int open_cached(const struct gj_dso *dso, const char *name, struct gj_image **image_out)
{
	const char *home = getenv("HOME");
	struct gj_buf path = { 0 };

	if (!home || dso->build_id_bytes < 2)
		return -ENOENT;
	gj_buf_fmt(&path, "%s/.debug/.build-id/%02x/", home, dso->build_id[0]);
	for (size_t i = 1; i < dso->build_id_bytes; i++)
		gj_buf_fmt(&path, "%02x", dso->build_id[i]);
	gj_buf_fmt(&path, "/%s", name);
	return open_recorded(&path, dso, image_out);
}

void gj_dsos_explain(struct gj_dsos *dsos, struct gj_dso *dso)
{
	struct gj_diag line = { 0 };

	if (!dso->problem)
		return;
	gj_diag_set(&line, -EIO, "%s: %s", dso->path, dso->problem);
	dso->problem = NULL;
	if (dsos->complaint_cnt++ < MAX_COMPLAINTS)
		dsos->host.warn(dsos->host.data, line.text);
}

void gj_dsos_sum_up(const struct gj_dsos *dsos)
{
	struct gj_diag line = { 0 };

	if (dsos->complaint_cnt <= MAX_COMPLAINTS)
		return;
	gj_diag_set(&line, -EIO, "%u more files could not be read; their frames show what perf knows",
		    dsos->complaint_cnt - MAX_COMPLAINTS);
	dsos->host.warn(dsos->host.data, line.text);
}

/* @root: "" or a directory without a slash at its end */
static int open_below(const char *root, const struct gj_dso *dso, struct gj_image **image_out)
{
	struct gj_buf path = { 0 };

	gj_buf_str(&path, root);
	gj_buf_str(&path, dso->path);
	return open_recorded(&path, dso, image_out);
}

static uint64_t inode_of(uint32_t pid, const char *what)
{
	struct stat st;
	char path[64];

	if (pid)
		snprintf(path, sizeof(path), "/proc/%u/%s", pid, what);
	else
		snprintf(path, sizeof(path), "/proc/self/%s", what);
	return stat(path, &st) ? 0 : st.st_ino;
}

/* What paths of @pid begin at: 0 where it is what ours do, or where the process is gone. */
static uint64_t find_root_id(uint32_t pid)
{
	static const char *const whats[] = { "ns/mnt", "root" };

	for (size_t i = 0; pid && i < sizeof(whats) / sizeof(whats[0]); i++) {
		uint64_t theirs = inode_of(pid, whats[i]);

		if (theirs && theirs != inode_of(0, whats[i]))
			return theirs;
	}
	return 0;
}

static uint64_t root_id_of(struct gj_dsos *dsos, uint32_t pid)
{
	size_t slot = pid & (VIEW_CNT - 1);

	if (dsos->views[slot].pid != pid) {
		dsos->views[slot].pid = pid;
		dsos->views[slot].root_id = find_root_id(pid);
	}
	return dsos->views[slot].root_id;
}

/* The file as process @pid sees it. */
static int open_in_root(const struct gj_dso *dso, uint32_t pid, struct gj_image **image_out)
{
	char root[sizeof("/proc/4294967295/root")];

	snprintf(root, sizeof(root), "/proc/%u/root", pid);
	return open_below(root, dso, image_out);
}

/* The file as recorded, or NULL and the problem when it looks like one that should be there. */
static struct gj_image *open_file(const struct gj_dsos *dsos, struct gj_dso *dso, uint32_t pid)
{
	struct gj_image *image = NULL;
	int err;

	if (!dsos->symfs && dso->root_id && !open_in_root(dso, pid, &image))
		return image;
	err = open_below(dsos->symfs ? dsos->symfs : "", dso, &image);
	if (!err || !open_cached(dso, "elf", &image))
		return image;
	/* It was mapped as code: what is no ELF file now is another file. */
	if (err == -ESTALE || err == -EBADMSG)
		dso->problem = "the file was replaced since the recording; its frames show what perf knows. Keep the old binary and give its place with symfs=DIR";
	else if (err == -ENOENT)
		dso->problem = "not on this machine; its frames show what perf knows. Copy it here and give its place with symfs=DIR";
	else if (err != -EOPNOTSUPP)
		dso->problem = strerrordesc_np(-err);
	return NULL;
}

/*
 * The vdso is the kernel's, the same in every process until the next boot of
 * another kernel: ours is the recorded one if its build id is. perf keeps
 * copies as well. No build id, no proof.
 */
static struct gj_image *open_vdso(const struct gj_dso *dso)
{
	const Elf64_Ehdr *head = (const Elf64_Ehdr *)(uintptr_t)getauxval(AT_SYSINFO_EHDR);
	struct gj_image *image = NULL;
	struct gj_window bytes;

	if (!dso->build_id_bytes)
		return NULL;
	if (head) {
		bytes.base = (const uint8_t *)head;
		bytes.size_bytes = head->e_shoff + (uint64_t)head->e_shnum * head->e_shentsize;
		if (!gj_image_open_bytes(bytes, dso->path, &image, NULL) &&
		    gj_image_build_id(image).size_bytes && is_recorded_file(image, dso))
			return image;
		gj_image_close(image);
		image = NULL;
	}
	return open_cached(dso, "vdso", &image) ? NULL : image;
}

static void find_text(struct gj_dso *dso)
{
	const struct gj_segment *segment;

	for (unsigned int i = 0; (segment = gj_image_segment(dso->image, i)); i++) {
		if (!(segment->flags & PF_X))
			continue;
		dso->text_off = segment->file_off;
		dso->text_end_off = segment->file_off + segment->file_bytes;
		return;
	}
}

/*
 * Go wrote no build ids before 1.24, and from perf 7 on the kernel records them,
 * which does not find Go's. Then a program is taken for the recorded one, but
 * not in silence when it is younger than the recording.
 */
static void doubt(struct gj_dsos *dsos, const struct gj_dso *dso)
{
	bool is_proven = dso->build_id_bytes && gj_image_build_id(dso->image).size_bytes;
	struct gj_diag line = { 0 };
	struct stat st;

	/* Whoever gives symfs= vouches for what is there. */
	if (is_proven || dsos->symfs || !dsos->host.recorded_s || stat(gj_image_path(dso->image), &st) ||
	    st.st_mtime <= dsos->host.recorded_s)
		return;
	gj_diag_set(&line, -ESTALE,
		    "%s: newer than the recording, which holds no build id of it; if it was built anew since, its names and lines are wrong: give the old one's place with symfs=DIR",
		    dso->path);
	if (dsos->complaint_cnt++ < MAX_COMPLAINTS)
		dsos->host.warn(dsos->host.data, line.text);
}

static void open_tables(struct gj_dsos *dsos, struct gj_dso *dso)
{
	struct gj_diag diag = { 0 };
	struct gj_gofunc func;
	int err = gj_gotab_open(dso->image, &dso->gotab, &diag);

	if (!err) {
		dso->has_coroutines =
			!gj_gotab_find_name(dso->gotab, "runtime.coroswitch_m", &func);
		doubt(dsos, dso);
		return;
	}
	/* Not Go's: the host names its frames. Walks want its call frame information. */
	if (err != -ENOENT)
		dsos->host.warn(dsos->host.data, diag.text);
}

const struct gj_goffsets *gj_dsos_offsets(struct gj_dsos *dsos, struct gj_dso *dso)
{
	struct gj_diag diag = { 0 };

	if (dso->is_offsets_tried)
		return dso->offsets;
	dso->is_offsets_tried = true;
	dso->offsets = malloc(sizeof(*dso->offsets));
	if (!dso->offsets || !gj_goffsets_find(dso->image, dso->gotab, dso->offsets, &diag))
		return dso->offsets;
	free(dso->offsets);
	dso->offsets = NULL;
	dsos->host.warn(dsos->host.data, diag.text);
	return NULL;
}

/* Only paths are files, not [vdso], //anon and the like; and these are not kept anywhere. */
static bool is_file(const char *path)
{
	static const char *const others[] = { "//", "/memfd:", "/dev/", "/SYSV", "/anon_hugepage",
					      "/tmp/perf-" };

	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		if (!strncmp(path, others[i], strlen(others[i])))
			return false;
	return path[0] == '/';
}

static struct gj_dso *add_dso(struct gj_dsos *dsos, const struct gj_dso *key, uint32_t pid)
{
	struct gj_dso *dso = malloc(sizeof(*dso));

	if (!dso)
		return NULL;
	*dso = *key;
	dso->path = strdup(key->path);
	if (!dso->path || !tsearch(dso, &dsos->root, compare)) {
		free_dso(dso);
		return NULL;
	}
	dso->is_vdso = !strcmp(dso->path, "[vdso]");
	if (is_file(dso->path))
		dso->image = open_file(dsos, dso, pid);
	else if (dso->is_vdso)
		dso->image = open_vdso(dso);
	if (dso->image) {
		find_text(dso);
		open_tables(dsos, dso);
	}
	return dso;
}

struct gj_dso *gj_dsos_find(struct gj_dsos *dsos, const struct gj_mapping *mapping, uint32_t pid)
{
	size_t slot = ((uintptr_t)mapping->dso >> 4) & (HINT_CNT - 1);
	struct gj_dso key = { .path = (char *)(uintptr_t)mapping->dso };
	struct gj_dso *dso = dsos->hints[slot].dso, **found;

	set_build_id(&key, mapping);
	key.root_id = root_id_of(dsos, pid);
	if (dso && dsos->hints[slot].key == mapping->dso && !compare(dso, &key))
		return dso;
	found = tfind(&key, &dsos->root, compare);
	dso = found ? *found : add_dso(dsos, &key, pid);
	dsos->hints[slot].key = mapping->dso;
	dsos->hints[slot].dso = dso;
	return dso;
}
