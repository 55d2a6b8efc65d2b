/* SPDX-License-Identifier: GPL-2.0 */
/* Features by name, and the places of their hooks in one binary. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "probe/feature.h"

static const struct {
	const char *name;
	enum gj_tier tier;
	const struct gj_hook_spec *specs;
	const unsigned int *cnt;
	const char *cost;
} features[] = {
	[GJ_FEATURE_THREADS] = { "threads", GJ_TIER_ALWAYS },
	[GJ_FEATURE_TCP] = { "tcp", GJ_TIER_ALWAYS },
	[GJ_FEATURE_CENSUS] = { "census", GJ_TIER_ALWAYS },
	[GJ_FEATURE_SAMPLES] = { .name = "samples", .tier = GJ_TIER_ALWAYS,
				 .cost = "49 samples a second and processor (-F), about 0.02 % of each" },
	[GJ_FEATURE_GC] = { "gc", GJ_TIER_RARE, gj_hooks_gc, &gj_hooks_gc_cnt },
	[GJ_FEATURE_ALLOC] = { "alloc", GJ_TIER_RARE, gj_hooks_alloc, &gj_hooks_alloc_cnt },
	[GJ_FEATURE_NETPOLL] = { "netpoll", GJ_TIER_RARE, gj_hooks_netpoll, &gj_hooks_netpoll_cnt },
	[GJ_FEATURE_GOROUTINES] = { "goroutines", GJ_TIER_SWITCH, gj_hooks_goroutines,
				    &gj_hooks_goroutines_cnt },
	[GJ_FEATURE_SYSCALLS] = { "syscalls", GJ_TIER_SWITCH, gj_hooks_syscalls, &gj_hooks_syscalls_cnt },
};

const char *gj_feature_name(enum gj_feature feature)
{
	return features[feature].name;
}

int gj_feature_find(const char *name, size_t name_bytes, enum gj_feature *feature_out)
{
	for (unsigned int i = 0; i < GJ_FEATURE_CNT; i++)
		if (strlen(features[i].name) == name_bytes && !memcmp(features[i].name, name, name_bytes)) {
			*feature_out = i;
			return 0;
		}
	return -ENOENT;
}

enum gj_tier gj_feature_tier(enum gj_feature feature)
{
	return features[feature].tier;
}

const char *gj_feature_cost(enum gj_feature feature)
{
	return features[feature].cost;
}

const struct gj_hook_spec *gj_feature_specs(enum gj_feature feature, unsigned int *cnt_out)
{
	*cnt_out = features[feature].cnt ? *features[feature].cnt : 0;
	return features[feature].specs;
}

static int plan_entry(const struct gj_image *image, const struct gj_gofunc *func,
		      unsigned int needed_args, struct gj_probe_plan **plans_out)
{
	struct gj_probe_plan *plan = malloc(sizeof(*plan));
	int err = plan ? gj_probe_plan_entry(image, func, needed_args, plan, NULL) : -ENOMEM;

	if (err) {
		free(plan);
		return err;
	}
	*plans_out = plan;
	return 1;
}

/* As gj_probe_plan_calls; @missing_out: the function that is not in the program. */
static int plan_places(const struct gj_image *image, const struct gj_gotab *gotab,
		       const struct gj_hook_spec *spec, struct gj_probe_plan **plans_out,
		       const char **missing_out)
{
	bool is_call = spec->at == GJ_HOOK_CALL || spec->at == GJ_HOOK_CALLED;
	struct gj_gofunc func, callee;
	int err = gj_gotab_find_name(gotab, spec->function, &func);

	if (err == -ENOENT)
		*missing_out = spec->function;
	if (!err && is_call) {
		err = gj_gotab_find_name(gotab, spec->callee, &callee);
		if (err == -ENOENT)
			*missing_out = spec->callee;
	}
	if (err)
		return err;
	if (is_call)
		return gj_probe_plan_calls(image, &func, callee.entry_va,
					   spec->at == GJ_HOOK_CALLED, plans_out);
	return spec->at == GJ_HOOK_RETURN ?
		       gj_probe_plan_returns(image, &func, plans_out) :
		       plan_entry(image, &func, spec->needed_args, plans_out);
}

static void add_reason(struct gj_feature_plan *plan, const char *text)
{
	size_t used = strlen(plan->reason);

	if (!strstr(plan->reason, text))
		snprintf(plan->reason + used, sizeof(plan->reason) - used, "%s%s",
			 used ? "; " : "", text);
}

/* Why there is no place for a row: "runtime.f is not in this binary (inlined)". */
static void tell_why(const struct gj_hook_spec *spec, int err, const char *missing, char text_out[128])
{
	if (missing)
		snprintf(text_out, 128, "%s is not in this binary (inlined or not linked in)", missing);
	else if (err == -EOPNOTSUPP)
		snprintf(text_out, 128, "hooks are planned for amd64 only");
	else if (err == -ENOENT && spec->callee)
		snprintf(text_out, 128, "%s does not call %s directly", spec->function, spec->callee);
	else if (err == -ENOENT)
		snprintf(text_out, 128, "%s never returns", spec->function);
	else
		snprintf(text_out, 128, "the code of %s is not understood", spec->function);
}

/* The first thing without which there is no feature is its reason; else all that is lost. */
static void explain(const struct gj_hook_spec *spec, int err, const char *missing,
		    struct gj_feature_plan *plan)
{
	char why[128], text[240];

	if (plan->err)
		return;
	tell_why(spec, err, missing, why);
	if (spec->is_optional) {
		snprintf(text, sizeof(text), "%s, so it is not told %s", why, spec->loses);
		add_reason(plan, text);
		return;
	}
	plan->err = -EOPNOTSUPP;
	snprintf(plan->reason, sizeof(plan->reason), "%s", why);
}

static int add_hook(const struct gj_image *image, const struct gj_gotab *gotab,
		    const struct gj_hook_spec *spec, struct gj_feature_plan *plan)
{
	struct gj_hook hook = { .spec = spec };
	const char *missing = NULL;
	int cnt = plan_places(image, gotab, spec, &hook.plans, &missing);

	if (cnt > 0) {
		hook.plan_cnt = (unsigned int)cnt;
		plan->hooks[plan->hook_cnt++] = hook;
	} else if (cnt != -ENOMEM) {
		explain(spec, cnt, missing, plan);
	}
	return cnt == -ENOMEM ? cnt : 0;
}

static bool is_of_release(const struct gj_hook_spec *spec, int minor)
{
	return minor >= spec->first_minor && (!spec->last_minor || minor <= spec->last_minor);
}

int gj_feature_plan(const struct gj_image *image, const struct gj_gotab *gotab,
		    enum gj_feature feature, struct gj_feature_plan *plan_out)
{
	unsigned int cnt, of_release = 0;
	const struct gj_hook_spec *specs = gj_feature_specs(feature, &cnt);
	struct gj_feature_plan plan = { .feature = feature };
	int minor = gj_gotab_info(gotab)->go_minor, err = 0;

	plan.hooks = calloc(cnt + 1, sizeof(*plan.hooks));
	if (!plan.hooks)
		return -ENOMEM;
	for (unsigned int i = 0; i < cnt && !err; i++) {
		if (!is_of_release(&specs[i], minor))
			continue;
		of_release++;
		err = add_hook(image, gotab, &specs[i], &plan);
	}
	if (err) {
		gj_feature_plan_deinit(&plan);
		return err;
	}
	/* Up to Go 1.16 arguments are on the stack (Go src/cmd/compile/abi-internal.md). */
	if (cnt && !of_release) {
		plan.err = -EOPNOTSUPP;
		snprintf(plan.reason, sizeof(plan.reason),
			 "no hooks are known for Go 1.%d; they are from Go 1.17 on", minor);
	}
	*plan_out = plan;
	return 0;
}

void gj_feature_plan_deinit(struct gj_feature_plan *plan)
{
	for (unsigned int i = 0; i < plan->hook_cnt; i++)
		free(plan->hooks[i].plans);
	free(plan->hooks);
}
