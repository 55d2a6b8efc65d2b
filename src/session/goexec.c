/* SPDX-License-Identifier: GPL-2.0 */
/* One hit of the probe on runtime.execute as a line of text. */
#include "session/goexec.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"

/* Events with these numbers are known before any source names them. */
#define NUMBERED_CNT 64

/* Where tracefs is, or was before Linux 4.1 (Documentation/trace/ftrace.rst). */
static const char *const definition_paths[] = {
	"/sys/kernel/tracing/uprobe_events",
	"/sys/kernel/debug/tracing/uprobe_events",
};

#define START_CNT 256 /* power of two; start functions remembered */

/* Where goroutines of a binary start. */
struct start {
	const struct gj_gotab *gotab; /* NULL: free */
	uint64_t va;
	const char *name; /* NULL: no function begins there */
};

struct gj_goexec {
	struct gj_binaries *binaries;
	struct gj_buf definitions; /* NUL-terminated */
	char **names;              /* owned */
	size_t name_cnt;
	struct start starts[START_CNT];
	struct gj_buf text;
};

static bool has_name(const struct gj_goexec *goexec, const char *name, size_t size_bytes)
{
	for (size_t i = 0; i < goexec->name_cnt; i++)
		if (!strncmp(goexec->names[i], name, size_bytes) && !goexec->names[i][size_bytes])
			return true;
	return false;
}

static void add_name(struct gj_goexec *goexec, const char *name, size_t size_bytes)
{
	if (goexec->name_cnt == GJ_MAX_GOEXEC_NAMES || has_name(goexec, name, size_bytes))
		return;
	goexec->names[goexec->name_cnt] = strndup(name, size_bytes);
	goexec->name_cnt += !!goexec->names[goexec->name_cnt];
}

static void add_numbered(struct gj_goexec *goexec)
{
	char name[sizeof(GJ_GOEXEC_PREFIX) + 10];

	for (unsigned int i = 0; i < NUMBERED_CNT; i++)
		add_name(goexec, name,
			 (size_t)snprintf(name, sizeof(name), GJ_GOEXEC_PREFIX "%u", i));
}

static void add_defined(struct gj_goexec *goexec)
{
	const char *text = goexec->definitions.data;
	struct gj_probe_def def;

	while (gj_probe_def_next(&text, &def))
		add_name(goexec, def.name, def.name_bytes);
}

/* A format file begins "name: EVENT\n". */
static void add_recorded(struct gj_goexec *goexec, struct gj_window formats)
{
	static const char prefix[] = "name: " GJ_GOEXEC_PREFIX;
	const size_t skip = sizeof("name: ") - 1;
	const uint8_t *pos = formats.base, *end = formats.base + formats.size_bytes;

	while (pos && (pos = memmem(pos, (size_t)(end - pos), prefix, sizeof(prefix) - 1))) {
		const uint8_t *name = pos + skip, *name_end;

		name_end = memchr(name, '\n', (size_t)(end - name));
		if (!name_end)
			break;
		add_name(goexec, (const char *)name, (size_t)(name_end - name));
		pos = name_end;
	}
}

static void read_definitions(struct gj_buf *buf)
{
	FILE *file = NULL;
	char *to;
	size_t cnt;

	for (size_t i = 0; !file && i < sizeof(definition_paths) / sizeof(definition_paths[0]); i++)
		file = fopen(definition_paths[i], "re");
	while (file && (to = gj_buf_reserve(buf, 4096)) && (cnt = fread(to, 1, 4096, file)))
		buf->size_bytes += cnt;
	if (file)
		fclose(file);
	gj_buf_chr(buf, '\0');
}

struct gj_goexec *gj_goexec_new(const uint8_t *recording, size_t size_bytes)
{
	struct gj_goexec *goexec = calloc(1, sizeof(*goexec));
	struct gj_window file = { recording, size_bytes };

	if (!goexec)
		return NULL;
	read_definitions(&goexec->definitions);
	goexec->names = calloc(GJ_MAX_GOEXEC_NAMES, sizeof(*goexec->names));
	if (!goexec->definitions.failed)
		goexec->binaries = gj_binaries_new(file, goexec->definitions.data);
	if (!goexec->names || !goexec->binaries) {
		gj_goexec_free(goexec);
		return NULL;
	}
	add_numbered(goexec);
	add_defined(goexec);
	add_recorded(goexec, gj_perf_file_formats(file));
	return goexec;
}

void gj_goexec_free(struct gj_goexec *goexec)
{
	if (!goexec)
		return;
	for (size_t i = 0; i < goexec->name_cnt; i++)
		free(goexec->names[i]);
	free(goexec->names);
	gj_binaries_free(goexec->binaries);
	gj_buf_deinit(&goexec->definitions);
	gj_buf_deinit(&goexec->text);
	free(goexec);
}

const char *gj_goexec_event(const struct gj_goexec *goexec, size_t index)
{
	return index < goexec->name_cnt ? goexec->names[index] : NULL;
}

static const char *find_start(struct gj_goexec *goexec, const struct gj_binary *binary,
			      uint64_t va)
{
	struct start *start = &goexec->starts[va / 16 & (START_CNT - 1)];
	struct gj_gofunc func;

	if (start->gotab == binary->gotab && start->va == va)
		return start->name;
	*start = (struct start){ .gotab = binary->gotab, .va = va };
	/* Another build of the program hardly has a function begin at the same place. */
	if (!gj_gotab_find_func(binary->gotab, va, &func) && func.entry_va == va)
		start->name = gj_goexec_start_name(binary, &func);
	return start->name;
}

/* The function a goroutine started with: its name, else the bare address. */
static void add_start(struct gj_goexec *goexec, const struct gj_goexec_hit *hit)
{
	const struct gj_binary *binary = gj_binaries_find(goexec->binaries, hit);
	const char *name = NULL;

	if (binary->gotab)
		name = find_start(goexec, binary, hit->start_pc - binary->bias);
	gj_buf_chr(&goexec->text, ' ');
	if (name)
		gj_name_format(name, 0, &goexec->text);
	else
		gj_buf_fmt(&goexec->text, "0x%" PRIx64, hit->start_pc);
}

const char *gj_goexec_text(struct gj_goexec *goexec, const struct gj_goexec_hit *hit)
{
	struct gj_buf *text = &goexec->text;

	text->size_bytes = 0;
	gj_buf_str(text, "goroutine ");
	/* The kernel gives 0 for memory it could not read; no goroutine has that number. */
	if (hit->goid)
		gj_buf_dec(text, hit->goid, 0, ' ');
	else
		gj_buf_chr(text, '?');
	gj_buf_str(text, " starts running");
	if (hit->start_pc)
		add_start(goexec, hit);
	gj_buf_fmt(text, " (g=0x%" PRIx64 ")", hit->g);
	gj_buf_chr(text, '\0');
	return text->failed ? NULL : text->data;
}
