/* SPDX-License-Identifier: GPL-2.0 */
/*
 * gojitter sym --build-id: which file has a build id. Looked through, in this
 * order: the files and directories of -e, what the process of --pid has mapped,
 * perf's cache (~/.debug), /usr/lib/debug, the programs of running processes.
 *
 * An id is the GNU note's in hexadecimal, or Go's own text (go tool buildid).
 */
#include <dirent.h>
#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cmd/cmd.h"
#include "cmd/sym.h"

#define MAX_BINARIES (1U << 16) /* files opened for their build ids */
#define MAX_ID_BYTES 64

struct binary {
	char *path; /* owned */
	char *id;   /* in hexadecimal, owned; NULL: none */
	char *go_id; /* owned; NULL: none */
	struct sym sym;
	bool is_open;
};

struct sym_finder {
	struct binary **list; /* owned */
	size_t cnt, cap;
	bool has_processes; /* all are in the list */
	struct gj_maps *maps; /* of the process asked for */
	uint32_t pid;
	struct sym_query query;
};

static char *copy_id(struct gj_window id, bool is_text)
{
	char *text = id.size_bytes && id.size_bytes < MAX_ID_BYTES * 2 ? malloc(2 * id.size_bytes + 1) : NULL;

	if (!text)
		return NULL;
	for (size_t i = 0; i < id.size_bytes && !is_text; i++)
		sprintf(text + 2 * i, "%02x", id.base[i]);
	if (is_text) {
		memcpy(text, id.base, id.size_bytes);
		text[id.size_bytes] = '\0';
	}
	return text;
}

static struct binary *find_path(const struct sym_finder *finder, const char *path)
{
	for (size_t i = 0; i < finder->cnt; i++)
		if (!strcmp(finder->list[i]->path, path))
			return finder->list[i];
	return NULL;
}

static int append(struct sym_finder *finder, struct binary *binary)
{
	if (finder->cnt == finder->cap) {
		size_t cap = finder->cap ? 2 * finder->cap : 64;
		struct binary **list = reallocarray(finder->list, cap, sizeof(*list));

		if (!list)
			return -ENOMEM;
		finder->list = list;
		finder->cap = cap;
	}
	finder->list[finder->cnt++] = binary;
	return 0;
}

static void free_binary(struct binary *binary)
{
	if (!binary)
		return;
	gj_symbol_index_free(binary->sym.symbols);
	gj_gotab_close(binary->sym.gotab);
	gj_image_close(binary->sym.image);
	free(binary->path);
	free(binary->id);
	free(binary->go_id);
	free(binary);
}

/* The ELF file at @path; 0, -ENOMEM, or why it is none. */
static int add_file(struct sym_finder *finder, const char *path, struct gj_diag *diag)
{
	struct gj_image *image;
	struct binary *binary;
	int err;

	if (finder->cnt >= MAX_BINARIES)
		return gj_diag_set(diag, -E2BIG, "%s: more than %u files to look through", path, MAX_BINARIES);
	err = gj_image_open(path, &image, diag);
	if (err)
		return err;
	binary = calloc(1, sizeof(*binary));
	if (binary) {
		binary->path = strdup(path);
		binary->id = copy_id(gj_image_build_id(image), false);
		binary->go_id = copy_id(gj_image_go_build_id(image), true);
		binary->sym.symbols_lock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
	}
	/* Of a thousand files a few will be asked for. */
	gj_image_close(image);
	if (!binary || !binary->path || append(finder, binary)) {
		free_binary(binary);
		return gj_diag_set(diag, -ENOMEM, "out of memory");
	}
	return 0;
}

/* nftw(3) hands its callback no data. */
static struct sym_finder *walking;

static int add_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)ftw;
	if (type != FTW_F || !S_ISREG(st->st_mode))
		return 0;
	return add_file(walking, path, NULL) == -ENOMEM ? -1 : walking->cnt >= MAX_BINARIES;
}

static int add_path(struct sym_finder *finder, const char *path, struct gj_diag *diag)
{
	struct stat st;

	if (stat(path, &st) || !S_ISDIR(st.st_mode))
		return add_file(finder, path, diag);
	walking = finder;
	return nftw(path, add_entry, 16, FTW_PHYS) < 0 ?
		       gj_diag_set(diag, -errno, "%s: %s", path, strerror(errno)) : 0;
}

/* Where a file that process @pid has mapped at @va is for us. */
static char *mapped_path(uint32_t pid, const struct gj_vma *vma)
{
	char *path;

	if (asprintf(&path, "/proc/%u/map_files/%llx-%llx", pid, (unsigned long long)vma->start_va,
		     (unsigned long long)vma->end_va) < 0)
		return NULL;
	if (!access(path, R_OK))
		return path;
	free(path);
	return asprintf(&path, "/proc/%u/root%s", pid, vma->path) < 0 ? NULL : path;
}

static int add_process(struct sym_finder *finder, uint32_t pid, struct gj_diag *diag)
{
	const struct gj_vma *vma;
	char maps[64];
	int err;

	snprintf(maps, sizeof(maps), "/proc/%u/maps", pid);
	err = gj_maps_open(maps, &finder->maps, diag);
	for (size_t i = 0; !err && (vma = gj_maps_vma(finder->maps, i)); i++) {
		char *path = vma->inode && vma->flags & 1 ? mapped_path(pid, vma) : NULL;

		if (path && add_file(finder, path, NULL) == -ENOMEM)
			err = -ENOMEM;
		free(path);
	}
	finder->pid = pid;
	return err;
}

int sym_finder_new(const struct sym_options *opt, struct sym_finder **finder_out,
		   struct gj_diag *diag)
{
	struct sym_finder *finder = calloc(1, sizeof(*finder));
	int err = finder && !sym_query_reserve(&finder->query, 1) ? 0 : -ENOMEM;

	for (unsigned int i = 0; !err && i < opt->path_cnt; i++)
		err = add_path(finder, opt->paths[i], diag);
	if (!err && opt->pid)
		err = add_process(finder, opt->pid, diag);
	if (err)
		sym_finder_free(finder);
	else
		*finder_out = finder;
	return err;
}

void sym_finder_free(struct sym_finder *finder)
{
	if (!finder)
		return;
	for (size_t i = 0; i < finder->cnt; i++)
		free_binary(finder->list[i]);
	free(finder->list);
	gj_maps_close(finder->maps);
	sym_query_deinit(&finder->query);
	free(finder);
}

/* Ids shorter than 20 bytes come out of the kernel filled up with zeros. */
static bool is_id(const struct binary *binary, const char *id)
{
	size_t cnt = binary->id ? strlen(binary->id) : 0;

	if (binary->go_id && !strcmp(binary->go_id, id))
		return true;
	return cnt && !strncasecmp(binary->id, id, cnt) && strspn(id + cnt, "0") == strlen(id + cnt);
}

static struct binary *find_id(const struct sym_finder *finder, const char *id)
{
	for (size_t i = 0; i < finder->cnt; i++)
		if (is_id(finder->list[i], id))
			return finder->list[i];
	return NULL;
}

/* perf buildid-cache and debug packages have files under their ids. */
static int add_known(struct sym_finder *finder, const char *id)
{
	static const char *const forms[] = {
		"%s/.debug/.build-id/%.2s/%s/elf", "%s/usr/lib/debug/.build-id/%.2s/%s.debug",
	};
	const char *home = getenv("HOME");
	int err = 0;

	if (strlen(id) < 3 || id[strspn(id, "0123456789abcdefABCDEF")])
		return 0;
	for (size_t i = 0; i < 2 && err != -ENOMEM; i++) {
		char *path;

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
		if (asprintf(&path, forms[i], i ? "" : home ? home : "", id, id + 2) < 0)
			return -ENOMEM;
#pragma GCC diagnostic pop
		err = add_file(finder, path, NULL);
		free(path);
	}
	return err == -ENOMEM ? err : 0;
}

static int add_processes(struct sym_finder *finder)
{
	DIR *dir = finder->has_processes ? NULL : opendir("/proc");
	struct dirent *entry;
	int err = 0;

	finder->has_processes = true;
	while (dir && err != -ENOMEM && (entry = readdir(dir))) {
		char path[sizeof(entry->d_name) + 16];

		if (entry->d_name[strspn(entry->d_name, "0123456789")])
			continue;
		snprintf(path, sizeof(path), "/proc/%s/exe", entry->d_name);
		err = add_file(finder, path, NULL);
	}
	if (dir)
		closedir(dir);
	return err == -ENOMEM ? err : 0;
}

/* 0, -ENOENT or -ENOMEM. @va_out: of file offset @off */
static int open_binary(struct binary *binary, uint64_t off, uint64_t *va_out)
{
	struct sym *sym = &binary->sym;
	int err = 0;

	if (!binary->is_open) {
		binary->is_open = true;
		err = gj_image_open(binary->path, &sym->image, NULL);
		if (!err && gj_gotab_open(sym->image, &sym->gotab, NULL))
			sym->gotab = NULL; /* C: it has symbols or none */
	}
	if (err || !sym->image)
		return err == -ENOMEM ? err : -ENOENT;
	return gj_image_off_to_va(sym->image, off, va_out);
}

static int take_place(struct binary *binary, uint64_t off, struct sym_place *place_out)
{
	place_out->sym = &binary->sym;
	return open_binary(binary, off, &place_out->va);
}

int sym_finder_find(struct sym_finder *finder, const char *id, uint64_t off,
		    struct sym_place *place_out)
{
	struct binary *binary = find_id(finder, id);
	int err = 0;

	if (!binary) {
		err = add_known(finder, id);
		binary = find_id(finder, id);
	}
	if (!binary && !err) {
		err = add_processes(finder);
		binary = find_id(finder, id);
	}
	return err ? err : binary ? take_place(binary, off, place_out) : -ENOENT;
}

int sym_finder_find_address(struct sym_finder *finder, uint64_t ip, struct sym_place *place_out)
{
	const struct gj_vma *vma = finder->maps ? gj_maps_find(finder->maps, ip) : NULL;
	struct binary *binary;
	char *path;

	if (!vma || !vma->inode)
		return -ENOENT;
	path = mapped_path(finder->pid, vma);
	if (!path)
		return -ENOMEM;
	binary = find_path(finder, path);
	free(path);
	return binary ? take_place(binary, ip - vma->start_va + vma->file_off, place_out) : -ENOENT;
}

/* What stands for a binary that is not known. */
static struct sym nothing = { .symbols_lock = PTHREAD_MUTEX_INITIALIZER };

int sym_finder_print(struct sym_finder *finder, const struct sym_options *opt,
		     const struct sym_place *place, bool is_return)
{
	struct sym *sym = place ? place->sym : &nothing;
	struct sym_query *query = &finder->query;
	int err;

	sym->opt = *opt;
	query->cnt = 1;
	query->vas[0] = place ? place->va - is_return : 0;
	query->is_address[0] = place != NULL;
	err = sym_query_answer(query, sym);
	return err ? err : sym_query_print(query, opt);
}
