/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Names of the targets in the type information that goes with the maps, so that
 * bpftool prints them: each placeholder enumeration of bpf/gj_trace.h gets a
 * bigger one beside it, and what referred to the placeholder refers to that.
 */
#include <bpf/btf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "load/instance.h"

/* Of kernel and format: vlen of struct btf_type has 16 bits; KSYM_NAME_LEN was 128 up to 6.0. */
#define MAX_ENUMERATORS 65535
#define MAX_IDENT_BYTES 120

/* An enumerator to be. */
struct name {
	char *ident; /* owned */
	uint32_t value;
};

struct names {
	struct name *list; /* owned */
	size_t cnt, cap;
};

static void deinit(struct names *names)
{
	for (size_t i = 0; i < names->cnt; i++)
		free(names->list[i].ident);
	free(names->list);
}

/* Takes @ident over, NULL too. */
static int add(struct names *names, char *ident, uint32_t value)
{
	struct name *list = names->list;

	if (ident && names->cnt == names->cap) {
		list = reallocarray(list, names->cap * 2 + 64, sizeof(*list));
		if (list) {
			names->list = list;
			names->cap = names->cap * 2 + 64;
		}
	}
	if (!ident || !list) {
		free(ident);
		return -ENOMEM;
	}
	names->list[names->cnt++] = (struct name){ ident, value };
	return 0;
}

/* Kernels up to 6.1 take no dots in identifiers; ask this one. */
static bool takes_dots(void)
{
	struct btf *btf = btf__new_empty();
	bool is_taken = btf && btf__add_enum(btf, "gj_dots", 4) > 0 &&
			!btf__add_enum_value(btf, "a.b", 1) && !btf__load_into_kernel(btf);

	btf__free(btf);
	return is_taken;
}

/*
 * A function as an identifier: slashes become dots, the marks of a pointer
 * receiver go, anything else becomes '_'. NULL: out of memory.
 */
static char *function_ident(const char *name, bool with_dots)
{
	struct gj_buf text = { 0 };
	char *ident = malloc(MAX_IDENT_BYTES + 1);
	size_t cnt = 0;

	gj_name_format(name, GJ_NAME_SHORT, &text);
	for (size_t i = 0; ident && i < text.size_bytes && cnt < MAX_IDENT_BYTES; i++) {
		char c = text.data[i];

		if (c == '(' || c == ')' || c == '*')
			continue;
		if (c == '/' || c == '.')
			c = with_dots ? '.' : '_';
		else if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_",
				 c))
			c = '_';
		if (!cnt && c >= '0' && c <= '9')
			ident[cnt++] = '_';
		ident[cnt++] = c;
	}
	if (ident)
		ident[cnt] = '\0';
	if (text.failed || !cnt) {
		free(ident);
		ident = text.failed ? NULL : strdup("_");
	}
	gj_buf_deinit(&text);
	return ident;
}

/* A wait reason as an identifier: "chan receive (nil chan)" is chan_receive_nil_chan. */
static char *reason_ident(const char *reason)
{
	char *ident = malloc(strlen(reason) + 1);
	size_t cnt = 0;

	for (; ident && *reason; reason++) {
		bool is_word = strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789",
				      *reason);

		if (is_word)
			ident[cnt++] = *reason;
		else if (cnt && ident[cnt - 1] != '_')
			ident[cnt++] = '_';
	}
	while (cnt && ident[cnt - 1] == '_')
		cnt--;
	if (ident)
		ident[cnt] = '\0';
	return ident;
}

static int by_ident(const void *a, const void *b)
{
	const struct name *left = a, *right = b;
	int order = strcmp(left->ident, right->ident);

	return order ? order : left->value < right->value ? -1 : left->value > right->value;
}

/* Those that share a name get their number behind it, all but the first. */
static int make_unique(struct names *names)
{
	const char *first = NULL;

	qsort(names->list, names->cnt, sizeof(*names->list), by_ident);
	for (size_t i = 0; i < names->cnt; i++) {
		struct name *name = &names->list[i];
		char *longer;

		if (!first || strcmp(first, name->ident)) {
			first = name->ident;
			continue;
		}
		if (asprintf(&longer, "%.*s.%x", MAX_IDENT_BYTES, name->ident, name->value) < 0)
			return -ENOMEM;
		free(name->ident);
		name->ident = longer;
	}
	return 0;
}

static bool is_runtime(const char *name)
{
	return !strncmp(name, "runtime.", 8);
}

/* @room: how many it may have; the runtime's come first, then from the program's own back to its libraries'. */
static int add_functions(struct names *names, const struct gj_load_binary *binary, size_t room,
			 bool with_dots, size_t *unnamed)
{
	const struct gj_goinfo *info = gj_gotab_info(binary->gotab);
	struct gj_gofunc func;
	int err = 0;

	for (uint64_t i = 0; !err && i < 2ull * info->func_cnt; i++) {
		bool with_runtime = i < info->func_cnt;
		/* Linkers put what depends on others behind them. */
		uint32_t index = info->func_cnt - 1 - (uint32_t)(i % info->func_cnt);

		if (gj_gotab_func(binary->gotab, index, &func) || func.entry_va < info->text_va ||
		    is_runtime(func.name) != with_runtime)
			continue;
		if (!room || func.entry_va - info->text_va >= GJ_FUNC_MASK) {
			++*unnamed;
			continue;
		}
		room--;
		err = add(names, function_ident(func.name, with_dots),
			  binary->target.program << GJ_FUNC_SHIFT |
				  (uint32_t)(func.entry_va - info->text_va + 1));
	}
	return err;
}

/* Where the targets' releases differ a number has the names of all of them. */
static int add_reason(struct names *names, const struct gj_load_targets *targets,
		      unsigned int number)
{
	struct gj_buf text = { 0 };
	const char *seen[GJ_LOAD_MAX_BINARIES];
	size_t seen_cnt = 0;
	int err = 0;

	for (unsigned int i = 0; i < targets->binary_cnt; i++) {
		const char *reason = gj_wait_reason(targets->binaries[i].target.go_minor, number);
		bool is_new = reason;

		for (size_t j = 0; is_new && j < seen_cnt; j++)
			is_new = reason != seen[j];
		if (!is_new)
			continue;
		gj_buf_fmt(&text, "%s%s", seen_cnt ? " or " : "", reason);
		seen[seen_cnt++] = reason;
	}
	gj_buf_chr(&text, '\0');
	if (text.failed)
		err = -ENOMEM;
	else if (seen_cnt)
		err = add(names, reason_ident(text.data), number);
	gj_buf_deinit(&text);
	return err;
}

/* @type may not be kept: adding to @btf moves it. */
static struct btf_type *type_at(struct btf *btf, uint32_t id)
{
	return (struct btf_type *)btf__type_by_id(btf, id);
}

/* Everything in type @id that refers to @from refers to @to. */
static void redirect(struct btf *btf, uint32_t id, uint32_t from, uint32_t to)
{
	struct btf_type *type = type_at(btf, id);

	if (btf_is_composite(type)) {
		for (unsigned int i = 0; i < btf_vlen(type); i++)
			if (btf_members(type)[i].type == from)
				btf_members(type)[i].type = to;
	} else if (btf_is_array(type)) {
		if (btf_array(type)->type == from)
			btf_array(type)->type = to;
	} else if (btf_is_mod(type) || btf_is_typedef(type) || btf_is_ptr(type) || btf_is_var(type)) {
		if (type->type == from)
			type->type = to;
	}
}

/* In the order in which bpf/metrics.bpf.c searches them. */
static int by_value(const void *a, const void *b)
{
	const struct name *left = a, *right = b;

	return (int32_t)left->value < (int32_t)right->value ? -1 :
	       (int32_t)left->value > (int32_t)right->value;
}

/* Puts @names, and what the placeholder has, in the placeholder's stead. */
static int replace(struct btf *btf, uint32_t placeholder, struct names *names)
{
	uint32_t type_cnt = btf__type_cnt(btf);
	const struct btf_enum *own = btf_enum(type_at(btf, placeholder));
	const char *type_name = btf__name_by_offset(btf, type_at(btf, placeholder)->name_off);
	char *copy = strdup(type_name);
	int err = copy ? 0 : -ENOMEM, id;

	for (unsigned int i = 0; !err && i < btf_vlen(type_at(btf, placeholder)); i++)
		err = add(names, strdup(btf__name_by_offset(btf, own[i].name_off)),
			  (uint32_t)own[i].val);
	if (!err)
		err = make_unique(names);
	qsort(names->list, names->cnt, sizeof(*names->list), by_value);
	id = err ? err : btf__add_enum(btf, copy, 4);
	free(copy);
	if (id < 0)
		return id;
	for (size_t i = 0; !err && i < names->cnt; i++)
		err = btf__add_enum_value(btf, names->list[i].ident, names->list[i].value);
	for (uint32_t i = 1; !err && i < type_cnt; i++)
		redirect(btf, i, placeholder, (uint32_t)id);
	return err;
}

static int name_functions(struct btf *btf, uint32_t placeholder,
			  const struct gj_load_targets *targets, size_t *unnamed_out)
{
	struct names names = { 0 };
	bool with_dots = takes_dots();
	int err = 0;

	/* Two places are for the placeholder's own; what one program leaves others have. */
	for (unsigned int i = 0; !err && i < targets->binary_cnt; i++)
		err = add_functions(&names, &targets->binaries[i],
				    (MAX_ENUMERATORS - 2 - names.cnt) / (targets->binary_cnt - i),
				    with_dots, unnamed_out);
	if (!err)
		err = replace(btf, placeholder, &names);
	deinit(&names);
	return err;
}

static int name_reasons(struct btf *btf, uint32_t placeholder,
			const struct gj_load_targets *targets)
{
	struct names names = { 0 };
	int err = 0;

	for (unsigned int i = 1; !err && i < GJ_WAIT_REASON_CNT; i++)
		err = add_reason(&names, targets, i);
	if (!err)
		err = replace(btf, placeholder, &names);
	deinit(&names);
	return err;
}

int gj_load_names_add(struct btf *btf, const struct gj_load_targets *targets,
		      size_t *unnamed_out)
{
	int func = btf__find_by_name_kind(btf, "gj_func", BTF_KIND_ENUM);
	int reason = btf__find_by_name_kind(btf, "gj_wait_reason", BTF_KIND_ENUM);
	int err = 0;

	*unnamed_out = 0;
	if (func > 0)
		err = name_functions(btf, (uint32_t)func, targets, unnamed_out);
	if (!err && reason > 0)
		err = name_reasons(btf, (uint32_t)reason, targets);
	return err;
}
