/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Places of a feature as sections that libbpf attaches by their names:
 * uprobe/FILE:SYMBOL+OFFSET. libbpf attaches what is in a section where the name
 * says, once, so each place has its program once more.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "load/write.h"

static bool has_section(const struct gj_write_places *places, const char *section)
{
	for (size_t i = 0; i < places->cnt; i++)
		if (!strcmp(places->copies[i].section, section))
			return true;
	return false;
}

/* Two programs at one place have sections of two names: zeros before the number change nothing. */
static char *name_section(const struct gj_write_places *places, const char *path,
			  const char *symbol, int64_t delta)
{
	uint64_t magnitude = delta < 0 ? -(uint64_t)delta : (uint64_t)delta;
	char *section = NULL;

	for (int digits = 1; digits < 64; digits++) {
		if (asprintf(&section, "uprobe/%s:%s+%s0x%0*lx", path, symbol, delta < 0 ? "-" : "",
			     digits, magnitude) < 0)
			return NULL;
		if (!has_section(places, section))
			break;
		free(section);
		section = NULL;
	}
	return section;
}

/* The first has the program's own name, further ones a number behind it. */
static char *name_copy(const struct gj_write_places *places, const char *program)
{
	unsigned int number = 1;
	char *name;

	for (size_t i = 0; i < places->cnt; i++)
		number += !strcmp(places->copies[i].function, program);
	if (number == 1)
		return strdup(program);
	return asprintf(&name, "%s_%u", program, number) < 0 ? NULL : name;
}

/* Takes @section over, NULL too. */
static int add_copy(struct gj_write_places *places, const char *function, char *section)
{
	char *name = NULL;
	int err = -ENOMEM;

	if (places->cnt == GJ_MAX_OBJECT_PLACES)
		err = -E2BIG;
	else
		name = name_copy(places, function);
	if (!section || !name) {
		free(section);
		free(name);
		return err;
	}
	places->copies[places->cnt++] =
		(struct gj_object_copy){ .function = function, .section = section, .name = name };
	return 0;
}

static int add_place(struct gj_write_places *places, const struct gj_anchors *anchors,
		     const char *path, const char *program, uint64_t file_off)
{
	const char *symbol;
	int64_t delta;
	int err = gj_anchors_find(anchors, file_off, &symbol, &delta);

	return err ? err : add_copy(places, program, name_section(places, path, symbol, delta));
}

int gj_write_places_add_section(struct gj_write_places *places, const char *function,
				const char *section)
{
	return add_copy(places, function, strdup(section));
}

/* Rows of one program may come to one place, where it is to run once. */
static bool is_first(const struct gj_feature_plan *plan, unsigned int hook, unsigned int place)
{
	for (unsigned int i = 0; i <= hook; i++) {
		unsigned int end = i == hook ? place : plan->hooks[i].plan_cnt;

		if (strcmp(plan->hooks[i].spec->program, plan->hooks[hook].spec->program))
			continue;
		for (unsigned int j = 0; j < end; j++)
			if (plan->hooks[i].plans[j].file_off == plan->hooks[hook].plans[place].file_off)
				return false;
	}
	return true;
}

int gj_write_places_add(struct gj_write_places *places, const struct gj_anchors *anchors,
			const char *path, const struct gj_feature_plan *plan)
{
	int err = 0;

	for (unsigned int i = 0; !err && i < plan->hook_cnt; i++)
		for (unsigned int j = 0; !err && j < plan->hooks[i].plan_cnt; j++)
			if (is_first(plan, i, j))
				err = add_place(places, anchors, path, plan->hooks[i].spec->program,
						plan->hooks[i].plans[j].file_off);
	return err;
}

void gj_write_places_deinit(struct gj_write_places *places)
{
	for (size_t i = 0; i < places->cnt; i++) {
		free((char *)places->copies[i].section);
		free((char *)places->copies[i].name);
	}
	places->cnt = 0;
}
