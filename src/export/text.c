/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The text of instances, read from their pinned iterators and put together. The
 * lines of a family have to stand together, so those of several instances are
 * sorted by family; bpf/metrics.bpf.c makes no two alike.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/limits.h"
#include "export/export.h"
#include "gj_trace.h"

#define READ_BYTES 65536
#define READ_TRIES 20 /* of READ_PAUSE_US: others are reading */
#define READ_PAUSE_US 50000

/* Lines of one family in one text. */
struct section {
	const char *name;   /* behind "# HELP " */
	size_t name_bytes;
	const char *begin;  /* HELP and TYPE */
	const char *samples;
	const char *end;
	bool is_written;
};

struct sections {
	struct section *list; /* owned */
	size_t cnt, cap;
};

static const char *line_end(const char *at, const char *end)
{
	const char *newline = memchr(at, '\n', (size_t)(end - at));

	return newline ? newline + 1 : end;
}

static bool begins(const char *at, const char *end, const char *with)
{
	size_t bytes = strlen(with);

	return (size_t)(end - at) >= bytes && !memcmp(at, with, bytes);
}

static int add_section(struct sections *sections, const char *at, const char *end)
{
	static const char help[] = "# HELP ";
	struct section *list = sections->list;
	const char *name = at + sizeof(help) - 1, *stop = name;

	if (sections->cnt == sections->cap) {
		list = reallocarray(list, sections->cap * 2 + 64, sizeof(*list));
		if (!list)
			return -ENOMEM;
		sections->list = list;
		sections->cap = sections->cap * 2 + 64;
	}
	while (stop < end && *stop != ' ' && *stop != '\n')
		stop++;
	list[sections->cnt++] = (struct section){
		.name = name, .name_bytes = (size_t)(stop - name), .begin = at, .samples = end,
	};
	return 0;
}

static int split(struct sections *sections, const struct gj_buf *text)
{
	const char *at = text->data, *end = at ? at + text->size_bytes : at;
	bool is_open = false;
	int err = 0;

	while (at < end && !err) {
		const char *next = line_end(at, end);

		if (begins(at, end, "# HELP ")) {
			err = add_section(sections, at, next);
			is_open = !err;
		} else if (is_open && *at == '#') {
			sections->list[sections->cnt - 1].samples = next;
		}
		if (is_open)
			sections->list[sections->cnt - 1].end = next;
		at = next;
	}
	return err;
}

static bool is_same(const struct section *one, const struct section *other)
{
	return one->name_bytes == other->name_bytes && !memcmp(one->name, other->name, one->name_bytes);
}

static void add_lines(struct gj_buf *text, const char *begin, const char *end)
{
	gj_buf_add(text, begin, (size_t)(end - begin));
	/* The last line of a text may have no newline. */
	if (end > begin && end[-1] != '\n')
		gj_buf_chr(text, '\n');
}

int gj_export_merge(const struct gj_buf *texts, size_t text_cnt, struct gj_buf *text_out)
{
	struct sections sections = { 0 };
	int err = 0;

	for (size_t i = 0; !err && i < text_cnt; i++)
		err = split(&sections, &texts[i]);
	for (size_t i = 0; !err && i < sections.cnt; i++) {
		const struct section *first = &sections.list[i];

		if (first->is_written)
			continue;
		add_lines(text_out, first->begin, first->samples);
		for (size_t j = i; j < sections.cnt; j++) {
			struct section *section = &sections.list[j];

			if (!is_same(first, section))
				continue;
			add_lines(text_out, section->samples, section->end);
			section->is_written = true;
		}
	}
	free(sections.list);
	return err || text_out->failed ? -ENOMEM : 0;
}

/* All that an iterator gives, added to @text. */
static int read_pin(const char *path, struct gj_buf *text)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), err = fd < 0 ? -errno : 0;
	ssize_t bytes = 1;

	while (!err && bytes > 0) {
		char *room = gj_buf_reserve(text, READ_BYTES);

		bytes = room ? read(fd, room, READ_BYTES) : 0;
		if (!room)
			err = -ENOMEM;
		else if (bytes < 0)
			err = -errno;
		else
			text->size_bytes += (size_t)bytes;
		if (text->size_bytes > GJ_MAX_EXPORT_BYTES)
			err = -E2BIG;
	}
	if (fd >= 0)
		close(fd);
	return err;
}

/* Reading the census makes the counts that the metrics tell; how old they are is told there, too. */
static void take_census(const char *instance)
{
	struct gj_buf ignored = { 0 };
	char path[512];

	snprintf(path, sizeof(path), "%s/%s/census", GJ_TRACE_PINS, instance);
	if (!access(path, R_OK))
		read_pin(path, &ignored);
	gj_buf_deinit(&ignored);
}

static int read_instance(const char *instance, struct gj_buf *text, struct gj_diag *diag)
{
	char path[512];
	int err = -EAGAIN;

	take_census(instance);
	snprintf(path, sizeof(path), "%s/%s/metrics", GJ_TRACE_PINS, instance);
	for (int i = 0; i < READ_TRIES && err == -EAGAIN; i++) {
		if (i)
			usleep(READ_PAUSE_US);
		text->size_bytes = 0;
		err = read_pin(path, text);
	}
	if (err == -EAGAIN)
		return gj_diag_set(diag, err, "%s: too many are reading it; try again", path);
	if (err == -ENOENT)
		return gj_diag_set(diag, err,
				   "%s is not there: no such instance, or a kernel before 5.19 (ls %s)",
				   path, GJ_TRACE_PINS);
	return err ? gj_diag_set(diag, err, "%s: %s", path, strerror(-err)) : 0;
}

/* Of every instance that has it; one that goes meanwhile has none. */
static int read_all(DIR *dir, struct gj_buf **texts, size_t *cnt, struct gj_diag *diag)
{
	struct dirent *entry;
	int err = 0;

	while (!err && (entry = readdir(dir))) {
		struct gj_diag why = { 0 };
		struct gj_buf *more;

		if (entry->d_name[0] == '.')
			continue;
		more = reallocarray(*texts, *cnt + 1, sizeof(**texts));
		if (!more)
			return gj_diag_set(diag, -ENOMEM, "out of memory");
		*texts = more;
		more[*cnt] = (struct gj_buf){ 0 };
		err = read_instance(entry->d_name, &more[(*cnt)++], &why);
		if (err == -ENOENT)
			err = 0;
		else if (err)
			gj_diag_set(diag, err, "%s", why.text);
	}
	return err;
}

int gj_export_text(const char *instance, struct gj_buf *text_out, struct gj_diag *diag)
{
	struct gj_buf *texts = NULL;
	size_t cnt = 0;
	DIR *dir;
	int err;

	if (instance && (!*instance || strchr(instance, '/') || *instance == '.'))
		return gj_diag_set(diag, -EINVAL, "instance '%s': no such name", instance);
	if (instance)
		return read_instance(instance, text_out, diag);
	dir = opendir(GJ_TRACE_PINS);
	if (!dir && errno == ENOENT)
		return 0;
	if (!dir)
		return gj_diag_set(diag, -errno, "%s: %s", GJ_TRACE_PINS, strerror(errno));
	err = read_all(dir, &texts, &cnt, diag);
	closedir(dir);
	if (!err)
		err = gj_export_merge(texts, cnt, text_out);
	for (size_t i = 0; i < cnt; i++)
		gj_buf_deinit(&texts[i]);
	free(texts);
	return err ? gj_diag_set(diag, err, "%s", strerror(-err)) : 0;
}
