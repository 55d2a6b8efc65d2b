/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Fills a script in for one binary.
 *
 * How bpftrace takes "uprobe:FILE:0xN" (its src/attached_probe.cpp, 0.17): where a
 * symbol holds N, N is an address, and one that is not the symbol's first is refused by
 * builds "without offset support", Debian's among them; where none does, N is an offset
 * in the file, for which it wants --unsafe. So the planned instruction is told by
 * whichever number will be understood, and where neither is, the function's entry takes
 * its place, with the function's own stack check as a condition: it runs again for a
 * call that has to grow the stack, and that first time does not count.
 */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "bpftrace/script.h"
#include "goroutine/goroutine.h"

#define FIRST_MINOR 17 /* arguments in registers, g in r14 */
#define FIRST_STW_REASON_MINOR 21
#define LIMIT "*(uint64 *)(reg(\"r14\") + 16)"

struct writer {
	const struct gj_image *image;
	const struct gj_gotab *gotab;
	const struct gj_bpftrace_options *options;
	const struct gj_bt_script *script;
	struct gj_diag *diag;
	struct gj_buf quoted; /* path */
	struct gj_buf body;
	int32_t goid_off;
	int go_minor;
	bool needs_unsafe;
};

/* Where one probe goes, as bpftrace is told. */
struct place {
	uint64_t number;
	bool checks_stack; /* runs more than once a call unless the stack check is looked at */
	bool is_offset;
};

bool gj_bpftrace_script(size_t index, const char **name_out, const char **purpose_out)
{
	if (index >= gj_bt_script_cnt)
		return false;
	*name_out = gj_bt_scripts[index].name;
	*purpose_out = gj_bt_scripts[index].purpose;
	return true;
}

/* Whether some symbol holds @va; *@is_start_out: and one begins there. */
static bool find_symbol(const struct gj_image *image, uint64_t va, bool *is_start_out)
{
	struct gj_elf_symbol symbol;
	bool found = false;

	*is_start_out = false;
	for (unsigned int i = 0; !gj_image_symbol(image, i, &symbol); i++) {
		if (va < symbol.va || va - symbol.va >= symbol.size_bytes)
			continue;
		found = true;
		*is_start_out |= va == symbol.va;
	}
	return found;
}

static int choose_place(struct writer *w, const struct gj_gofunc *func,
			const struct gj_probe_plan *plan, struct place *place_out)
{
	bool is_start, at_start, has_symbol = find_symbol(w->image, plan->va, &is_start);
	bool is_taken = find_symbol(w->image, plan->file_off, &at_start);

	*place_out = (struct place){ .number = plan->va, .checks_stack = plan->may_repeat };
	if (has_symbol && (is_start || w->options->with_offsets))
		return 0;
	if (!is_taken) {
		place_out->number = plan->file_off;
		place_out->is_offset = true;
		return 0;
	}
	if (!has_symbol)
		return gj_diag_set(w->diag, -EOPNOTSUPP, "%s: bpftrace would take the offset of %s "
				   "for the address of a symbol; install its debug file (gojitter "
				   "debuginfo --install) and give it --offsets",
				   w->options->path, func->name);
	place_out->number = func->entry_va;
	place_out->checks_stack = true;
	return 0;
}

/*
 * The condition under which the stack check at the beginning of a function passes:
 * cmp rsp,[r14+16], for bigger frames lea r12,[rsp-N] before it. False: it has none.
 */
static bool write_stack_check(struct gj_window code, struct gj_buf *out)
{
	static const uint8_t compare[] = { 0x49, 0x3b, 0x66, 0x10 };
	static const uint8_t lea8[] = { 0x4c, 0x8d, 0x64, 0x24 };
	static const uint8_t lea32[] = { 0x4c, 0x8d, 0xa4, 0x24 };
	uint8_t near = 0;
	uint32_t far = 0;

	if (code.size_bytes < sizeof(compare))
		return false;
	if (!memcmp(code.base, compare, sizeof(compare))) {
		gj_buf_str(out, "reg(\"sp\") > " LIMIT);
		return true;
	}
	if (!memcmp(code.base, lea8, sizeof(lea8)) && gj_window_u8(code, sizeof(lea8), &near))
		far = (uint32_t)(int32_t)(int8_t)near;
	else if (memcmp(code.base, lea32, sizeof(lea32)) || !gj_window_u32(code, sizeof(lea32), &far))
		return false;
	gj_buf_fmt(out, "reg(\"sp\") - %" PRIu32 " > " LIMIT, 0u - far);
	return true;
}

static void write_filter(struct writer *w, const struct gj_gofunc *func, const struct place *place,
			 const char *condition, size_t condition_bytes)
{
	struct gj_buf filter = { 0 };

	if (w->options->pid)
		gj_buf_fmt(&filter, "pid == %" PRIu32 " && ", w->options->pid);
	if (place->checks_stack && write_stack_check(gj_image_at(w->image, func->entry_va), &filter))
		gj_buf_str(&filter, " && ");
	if (condition_bytes)
		gj_buf_fmt(&filter, "%.*s && ", (int)condition_bytes, condition);
	if (filter.size_bytes)
		gj_buf_fmt(&w->body, "/%.*s/\n", (int)(filter.size_bytes - 4), filter.data);
	w->body.failed |= filter.failed;
	gj_buf_deinit(&filter);
}

/* @line: "FUNCTION CONDITION" without what marks it. */
static int write_probe(struct writer *w, const char *line, size_t line_bytes)
{
	const char *blank = memchr(line, ' ', line_bytes);
	size_t name_bytes = blank ? (size_t)(blank - line) : line_bytes;
	char name[64];
	struct gj_gofunc func;
	struct gj_probe_plan plan;
	struct place place;
	int err;

	snprintf(name, sizeof(name), "%.*s", (int)name_bytes, line);
	if (gj_gotab_find_name(w->gotab, name, &func))
		return gj_diag_set(w->diag, -ENOENT, "%s: Go 1.%d has no function %s here, which "
				   "script %s hooks", w->options->path, w->go_minor, name,
				   w->script->name);
	err = gj_probe_plan_entry(w->image, &func, w->script->needed_args, &plan, w->diag);
	if (!err)
		err = choose_place(w, &func, &plan, &place);
	if (err)
		return err;
	gj_buf_fmt(&w->body, "// %s+%" PRIu64 "%s\n", name,
		   place.number == func.entry_va && !place.is_offset ? 0 : plan.va - func.entry_va,
		   place.is_offset ? ", as its offset in the file" : "");
	gj_buf_fmt(&w->body, "uprobe:%.*s:0x%" PRIx64 "\n", (int)w->quoted.size_bytes,
		   w->quoted.data, place.number);
	write_filter(w, &func, &place, blank ? blank + 1 : "",
		     blank ? line_bytes - name_bytes - 1 : 0);
	w->needs_unsafe |= place.is_offset;
	return 0;
}

static void write_line(struct writer *w, const char *line, size_t line_bytes)
{
	static const char goid[] = "%goid", reason[] = "%reason";

	for (size_t i = 0; i < line_bytes; i++) {
		if (!strncmp(line + i, goid, sizeof(goid) - 1)) {
			gj_buf_fmt(&w->body, "%" PRId32, w->goid_off);
			i += sizeof(goid) - 2;
		} else if (!strncmp(line + i, reason, sizeof(reason) - 1)) {
			gj_buf_str(&w->body, w->go_minor < FIRST_STW_REASON_MINOR ? "0" :
				   "reg(\"ax\") & 255");
			i += sizeof(reason) - 2;
		} else {
			gj_buf_chr(&w->body, line[i]);
		}
	}
	gj_buf_chr(&w->body, '\n');
}

static int write_body(struct writer *w)
{
	int err = 0;

	for (const char *line = w->script->body; *line && !err; line = strchr(line, '\n') + 1) {
		size_t line_bytes = (size_t)(strchr(line, '\n') - line);

		if (!strncmp(line, "@@", 2))
			err = write_probe(w, line + 2, line_bytes - 2);
		else
			write_line(w, line, line_bytes);
	}
	return err;
}

/*
 * bpftrace takes a quoted path, but even there looks for patterns and for the colon
 * behind the path, and loses backslashes.
 */
static int quote_path(struct writer *w)
{
	const char *path = w->options->path;

	gj_buf_chr(&w->quoted, '"');
	for (size_t i = 0; path[i]; i++) {
		if (strchr("*?[]:\\", path[i]) || iscntrl((unsigned char)path[i]))
			return gj_diag_set(w->diag, -EINVAL, "%s: bpftrace cannot take '%c' in a path; "
					   "give a link to the file that has none", path,
					   iscntrl((unsigned char)path[i]) ? ' ' : path[i]);
		if (path[i] == '"')
			gj_buf_chr(&w->quoted, '\\');
		gj_buf_chr(&w->quoted, path[i]);
	}
	gj_buf_chr(&w->quoted, '"');
	return 0;
}

static int check_release(struct writer *w)
{
	struct gj_goffsets offsets;
	int err = 0;

	if (gj_image_arch(w->image) != GJ_ARCH_AMD64)
		return gj_diag_set(w->diag, -EOPNOTSUPP, "%s: scripts are made for amd64 only",
				   w->options->path);
	if (w->go_minor < FIRST_MINOR)
		return gj_diag_set(w->diag, -EOPNOTSUPP, "%s: Go 1.%d passes arguments on the stack; "
				   "scripts are made for programs of Go 1.%d and later",
				   w->options->path, w->go_minor, FIRST_MINOR);
	if (!strstr(w->script->body, "%goid"))
		return 0;
	err = gj_goffsets_find(w->image, w->gotab, &offsets, w->diag);
	if (err)
		return err;
	if (offsets.g_goid < 0)
		return gj_diag_set(w->diag, -EOPNOTSUPP, "%s: where Go 1.%d keeps goroutine IDs is "
				   "not known", w->options->path, w->go_minor);
	w->goid_off = offsets.g_goid;
	return 0;
}

static int find_script(struct writer *w)
{
	for (size_t i = 0; i < gj_bt_script_cnt; i++) {
		if (strcmp(gj_bt_scripts[i].name, w->options->name))
			continue;
		w->script = &gj_bt_scripts[i];
		return 0;
	}
	return gj_diag_set(w->diag, -ENOENT, "there is no script '%s'; gojitter bpftrace --list "
			   "names them", w->options->name);
}

static void write_head(const struct writer *w, struct gj_buf *out)
{
	const struct gj_bt_script *script = w->script;

	gj_buf_str(out, "#!/usr/bin/env bpftrace\n");
	gj_buf_fmt(out, "/*\n * %s.bt - %s\n *\n", script->name, script->purpose);
	gj_buf_fmt(out, " * USAGE: bpftrace%s %s.bt          until Ctrl-C\n *\n",
		   w->needs_unsafe ? " --unsafe" : "", script->name);
	gj_buf_fmt(out, " * Made by gojitter for one build of one program, Go 1.%d; make it anew for\n"
		   " * another.%s\n *\n", w->go_minor,
		   w->needs_unsafe ? " bpftrace warns that it cannot check the places: gojitter did." : "");
	gj_buf_str(out, script->notes);
	gj_buf_str(out, " */\n\n");
}

static int write_names(const struct writer *w, struct gj_buf *out)
{
	int err;

	if (w->script->names == GJ_BT_NO_NAMES)
		return 0;
	gj_buf_str(out, "BEGIN\n{\n");
	err = gj_bt_write_names(w->script->names, w->go_minor, out);
	gj_buf_str(out, "}\n\n");
	return err ? gj_diag_set(w->diag, err, "%s: the numbers of Go 1.%d are not known",
				 w->options->path, w->go_minor) : 0;
}

static void write_end(const struct writer *w, struct gj_buf *out)
{
	const char *map = w->script->own_maps;

	gj_buf_str(out, "\nEND\n{\n");
	while (*map) {
		size_t map_bytes = strcspn(map, " ");

		gj_buf_fmt(out, "\tclear(%.*s);\n", (int)map_bytes, map);
		map += map_bytes + (map[map_bytes] == ' ');
	}
	gj_buf_str(out, "}\n");
}

int gj_bpftrace_write(const struct gj_image *image, const struct gj_gotab *gotab,
		      const struct gj_bpftrace_options *options, struct gj_buf *script_out,
		      struct gj_diag *diag)
{
	struct writer w = {
		.image = image, .gotab = gotab, .options = options, .diag = diag,
		.go_minor = gj_gotab_info(gotab)->go_minor,
	};
	int err = find_script(&w);

	if (!err)
		err = quote_path(&w);
	if (!err)
		err = check_release(&w);
	if (!err)
		err = write_body(&w);
	if (!err) {
		write_head(&w, script_out);
		err = write_names(&w, script_out);
		gj_buf_add(script_out, w.body.data, w.body.size_bytes);
		write_end(&w, script_out);
		script_out->failed |= w.body.failed | w.quoted.failed;
	}
	gj_buf_deinit(&w.body);
	gj_buf_deinit(&w.quoted);
	return err;
}
