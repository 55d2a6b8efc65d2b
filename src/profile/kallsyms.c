/* SPDX-License-Identifier: GPL-2.0 */
/* Names of the kernel's functions: lines "ADDRESS TYPE NAME[\t[MODULE]]" of /proc/kallsyms. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/limits.h"
#include "profile/profile.h"

struct kernel_symbol {
	uint64_t va;
	uint32_t name_off, dso_off; /* in texts */
};

struct gj_kallsyms {
	struct gj_buf list;  /* struct kernel_symbol, by address */
	struct gj_buf texts;
};

static int compare(const void *a, const void *b)
{
	const struct kernel_symbol *one = a, *other = b;

	return one->va < other->va ? -1 : one->va > other->va;
}

static uint32_t add_text(struct gj_kallsyms *kallsyms, const char *text)
{
	uint32_t off = (uint32_t)kallsyms->texts.size_bytes;

	gj_buf_add(&kallsyms->texts, text, strlen(text) + 1);
	return off;
}

/* Without permission the addresses are all 0. */
static void add_line(struct gj_kallsyms *kallsyms, const char *line)
{
	struct kernel_symbol symbol = { 0 };
	char type, name[512], module[128] = "";
	unsigned long long va;

	if (sscanf(line, "%llx %c %511s %127s", &va, &type, name, module) < 3 || !va ||
	    !strchr("tTwW", type) || kallsyms->texts.size_bytes > UINT32_MAX - 1024)
		return;
	symbol.va = va;
	symbol.name_off = add_text(kallsyms, name);
	symbol.dso_off = module[0] ? add_text(kallsyms, module) : 0;
	gj_buf_add(&kallsyms->list, &symbol, sizeof(symbol));
}

struct gj_kallsyms *gj_kallsyms_new(void)
{
	struct gj_kallsyms *kallsyms = calloc(1, sizeof(*kallsyms));
	FILE *file = fopen("/proc/kallsyms", "re");
	char line[1024];

	if (kallsyms) {
		add_text(kallsyms, "[kernel.kallsyms]");
		while (file && fgets(line, sizeof(line), file))
			add_line(kallsyms, line);
	}
	if (file)
		fclose(file);
	if (kallsyms && (kallsyms->list.failed || kallsyms->texts.failed)) {
		gj_kallsyms_free(kallsyms);
		return NULL;
	}
	if (kallsyms && kallsyms->list.size_bytes)
		qsort(kallsyms->list.data, kallsyms->list.size_bytes / sizeof(struct kernel_symbol),
		      sizeof(struct kernel_symbol), compare);
	return kallsyms;
}

void gj_kallsyms_free(struct gj_kallsyms *kallsyms)
{
	if (!kallsyms)
		return;
	gj_buf_deinit(&kallsyms->list);
	gj_buf_deinit(&kallsyms->texts);
	free(kallsyms);
}

int gj_kallsyms_find(const struct gj_kallsyms *kallsyms, uint64_t va,
		     struct gj_mapping *mapping_out)
{
	const struct kernel_symbol *list = (const void *)kallsyms->list.data, *symbol;
	size_t low = 0, high = kallsyms->list.size_bytes / sizeof(*list);

	if (!(va >> 63))
		return -ENOENT;
	*mapping_out = (struct gj_mapping){ .dso = kallsyms->texts.data, .file_off = va };
	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (list[middle].va <= va)
			low = middle + 1;
		else
			high = middle;
	}
	if (!low)
		return 0;
	symbol = &list[low - 1];
	mapping_out->dso = kallsyms->texts.data + symbol->dso_off;
	mapping_out->sym = kallsyms->texts.data + symbol->name_off;
	mapping_out->sym_off = va - symbol->va;
	return 0;
}
