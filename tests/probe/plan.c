// SPDX-License-Identifier: GPL-2.0
/*
 * Prints where functions of a binary would be probed.
 *
 *   plan FILE FUNCTION...
 *
 * A line each: FUNCTION ADDRESS FILE-OFFSET emulated|stepped once|repeats INSTRUCTION,
 * or FUNCTION absent.
 */
#include <inttypes.h>
#include <stdio.h>

#include "probe/probe.h"

static int print_plan(const struct gj_image *image, const struct gj_gotab *gotab, const char *name)
{
	struct gj_probe_plan plan;
	struct gj_diag diag = { 0 };
	struct gj_gofunc func;

	if (gj_gotab_find_name(gotab, name, &func)) {
		printf("%s absent\n", name);
		return 0;
	}
	if (gj_probe_plan_entry(image, &func, GJ_ARG_AX, &plan, &diag)) {
		fprintf(stderr, "%s\n", diag.text);
		return 1;
	}
	printf("%s %" PRIx64 " %" PRIx64 " %s %s %s\n", name, plan.va, plan.file_off,
	       plan.is_emulated ? "emulated" : "stepped", plan.may_repeat ? "repeats" : "once",
	       plan.insn);
	return 0;
}

int main(int argc, char **argv)
{
	struct gj_diag diag = { 0 };
	struct gj_image *image;
	struct gj_gotab *gotab;
	int status = 0;

	if (argc < 3 || gj_image_open(argv[1], &image, &diag))
		return 2;
	if (gj_gotab_open(image, &gotab, &diag))
		return 2;
	for (int i = 2; i < argc; i++)
		status |= print_plan(image, gotab, argv[i]);
	gj_gotab_close(gotab);
	gj_image_close(image);
	return status;
}
