// SPDX-License-Identifier: GPL-2.0
/*
 * Prints where the features of gojitter trace hook a binary.
 *
 *   features FILE
 *
 * A line each, separated by tabs: FEATURE PROGRAM FUNCTION CALLEE|- AT NEEDED
 * ENTRY ADDRESS FILE-OFFSET emulated|stepped once|repeats INSTRUCTION; of a
 * feature that is not to be had: FEATURE unavailable REASON; of one that lacks
 * something: FEATURE lacks REASON.
 */
#include <inttypes.h>
#include <stdio.h>

#include "probe/feature.h"

static const char *const at_names[] = {
	[GJ_HOOK_ENTRY] = "entry",
	[GJ_HOOK_RETURN] = "return",
	[GJ_HOOK_CALL] = "call",
	[GJ_HOOK_CALLED] = "called",
};

static void print_hook(const char *feature, const struct gj_hook *hook)
{
	const struct gj_hook_spec *spec = hook->spec;

	for (unsigned int i = 0; i < hook->plan_cnt; i++) {
		const struct gj_probe_plan *plan = &hook->plans[i];

		printf("%s\t%s\t%s\t%s\t%s\t%u\t%" PRIx64 "\t%" PRIx64 "\t%" PRIx64 "\t%s\t%s\t%s\n", feature,
		       spec->program, spec->function, spec->callee ? spec->callee : "-",
		       at_names[spec->at], spec->needed_args, plan->entry_va, plan->va,
		       plan->file_off, plan->is_emulated ? "emulated" : "stepped",
		       plan->may_repeat ? "repeats" : "once", plan->insn);
	}
}

static int print_feature(const struct gj_image *image, const struct gj_gotab *gotab,
			 enum gj_feature feature)
{
	const char *name = gj_feature_name(feature);
	struct gj_feature_plan plan;

	if (gj_feature_plan(image, gotab, feature, &plan))
		return 1;
	if (plan.reason[0])
		printf("%s\t%s\t%s\n", name, plan.err ? "unavailable" : "lacks", plan.reason);
	for (unsigned int i = 0; i < plan.hook_cnt && !plan.err; i++)
		print_hook(name, &plan.hooks[i]);
	gj_feature_plan_deinit(&plan);
	return 0;
}

int main(int argc, char **argv)
{
	struct gj_diag diag = { 0 };
	struct gj_image *image;
	struct gj_gotab *gotab;
	int status = 0;

	if (argc != 2 || gj_image_open(argv[1], &image, &diag))
		return 2;
	if (gj_gotab_open(image, &gotab, &diag))
		return 2;
	for (int feature = 0; feature < GJ_FEATURE_CNT; feature++)
		status |= print_feature(image, gotab, feature);
	gj_gotab_close(gotab);
	gj_image_close(image);
	return status;
}
