/* SPDX-License-Identifier: GPL-2.0 */
/* Lists of features as options take them: of trace and bpf-object. */
#include <stdio.h>
#include <string.h>

#include "cmd/cmd.h"
#include "load/load.h"

static const char *const tiers[] = {
	[GJ_TIER_ALWAYS] = "nothing is hooked in the target",
	[GJ_TIER_RARE] = "rare events are hooked",
	[GJ_TIER_SWITCH] = "every switch of goroutines or syscall is hooked; only when asked for",
};

void gj_cmd_print_features(void)
{
	uint32_t features = gj_trace_features();

	for (unsigned int i = 0; i < GJ_FEATURE_CNT; i++) {
		const char *cost = gj_feature_cost(i);

		if (features & 1u << i)
			printf("%-11s %s%s%s\n", gj_feature_name(i), tiers[gj_feature_tier(i)],
			       cost ? "; " : "", cost ? cost : "");
	}
}

uint32_t gj_cmd_default_features(void)
{
	uint32_t features = gj_trace_features();

	for (unsigned int i = 0; i < GJ_FEATURE_CNT; i++)
		if (gj_feature_tier(i) == GJ_TIER_SWITCH)
			features &= ~(1u << i);
	return features;
}

static int refuse(const char *command, const char *name, size_t name_bytes)
{
	uint32_t known = gj_trace_features();
	char names[256] = "";

	for (unsigned int i = 0; i < GJ_FEATURE_CNT; i++)
		if (known & 1u << i && strlen(names) + 24 < sizeof(names))
			strcat(strcat(names, names[0] ? ", " : ""), gj_feature_name(i));
	return gj_cmd_usage(command, "--what %.*s: there are %s", (int)name_bytes, name, names);
}

int gj_cmd_features(const char *command, const char *text, uint32_t *features_out)
{
	uint32_t known = gj_trace_features(), features = 0;

	/* Without any the loader says why. */
	if (!strcmp(text, "all") || !known) {
		*features_out = known;
		return 0;
	}
	while (*text) {
		size_t bytes = strcspn(text, ",");
		enum gj_feature feature;

		if (gj_feature_find(text, bytes, &feature) || !(known & 1u << feature))
			return refuse(command, text, bytes);
		features |= 1u << feature;
		text += bytes + (text[bytes] == ',');
	}
	*features_out = features;
	return features ? 0 : gj_cmd_usage(command, "--what: no feature is named");
}
