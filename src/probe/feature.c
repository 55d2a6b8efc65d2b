/* SPDX-License-Identifier: GPL-2.0 */
/* Features by name, and the places of their hooks: entries of functions, and their RETs. */
#include <Zydis/Zydis.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "probe/feature.h"

/* Tables that are there so far. */
#if __has_include("probe/hooks_goroutines.c")
#define GOROUTINES gj_hooks_goroutines, &gj_hooks_goroutines_cnt
#else
#define GOROUTINES NULL, NULL
#endif

static const struct {
	const char *name;
	enum gj_tier tier;
	const struct gj_hook_spec *specs;
	const unsigned int *cnt;
} features[] = {
	[GJ_FEATURE_THREADS] = { "threads", GJ_TIER_ALWAYS },
	[GJ_FEATURE_TCP] = { "tcp", GJ_TIER_ALWAYS },
	[GJ_FEATURE_CENSUS] = { "census", GJ_TIER_ALWAYS },
	[GJ_FEATURE_GC] = { "gc", GJ_TIER_RARE, gj_hooks_gc, &gj_hooks_gc_cnt },
	[GJ_FEATURE_ALLOC] = { "alloc", GJ_TIER_RARE, gj_hooks_alloc, &gj_hooks_alloc_cnt },
	[GJ_FEATURE_NETPOLL] = { "netpoll", GJ_TIER_RARE, gj_hooks_netpoll, &gj_hooks_netpoll_cnt },
	[GJ_FEATURE_GOROUTINES] = { "goroutines", GJ_TIER_SWITCH, GOROUTINES },
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

const struct gj_hook_spec *gj_feature_specs(enum gj_feature feature, unsigned int *cnt_out)
{
	*cnt_out = features[feature].cnt ? *features[feature].cnt : 0;
	return features[feature].specs;
}

/* Every RET of code that is known to be code from end to end. 0, -ENOMEM, -ENOENT without any. */
static int plan_returns(const struct gj_image *image, const struct gj_gofunc *func,
			struct gj_hook *hook)
{
	struct gj_window code =
		gj_window_slice(gj_image_at(image, func->entry_va), 0, func->end_va - func->entry_va);
	ZydisDecodedInstruction insn;
	ZydisDecoder decoder;
	uint64_t off = 0;

	if (ZYAN_FAILED(ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64)))
		return -EOPNOTSUPP;
	for (; off < code.size_bytes; off += insn.length) {
		struct gj_window rest = gj_window_slice(code, off, UINT64_MAX);
		struct gj_probe_plan *plans;

		if (ZYAN_FAILED(ZydisDecoderDecodeInstruction(&decoder, NULL, rest.base,
							      rest.size_bytes, &insn)))
			return -EBADMSG;
		if (insn.meta.category != ZYDIS_CATEGORY_RET)
			continue;
		plans = reallocarray(hook->plans, hook->plan_cnt + 1, sizeof(*plans));
		if (!plans)
			return -ENOMEM;
		hook->plans = plans;
		plans[hook->plan_cnt] = (struct gj_probe_plan){
			.entry_va = func->entry_va, .va = func->entry_va + off, .insn = "ret",
		};
		if (gj_image_va_to_off(image, func->entry_va + off, &plans[hook->plan_cnt].file_off))
			return -EBADMSG;
		hook->plan_cnt++;
	}
	return hook->plan_cnt ? 0 : -ENOENT;
}

/* -ENOENT also when the one called is not in the program. */
static int plan_calls(const struct gj_image *image, const struct gj_gotab *gotab,
		      const struct gj_gofunc *func, struct gj_hook *hook)
{
	struct gj_gofunc callee;
	int cnt = gj_gotab_find_name(gotab, hook->spec->callee, &callee);

	if (!cnt)
		cnt = gj_probe_plan_calls(image, func, callee.entry_va,
					  hook->spec->at == GJ_HOOK_CALLED, &hook->plans);
	if (cnt < 0)
		return cnt;
	hook->plan_cnt = (unsigned int)cnt;
	return 0;
}

static int plan_hook(const struct gj_image *image, const struct gj_gotab *gotab,
		     const struct gj_hook_spec *spec, struct gj_feature_plan *plan)
{
	struct gj_hook *hook = &plan->hooks[plan->hook_cnt];
	struct gj_probe_plan entry;
	struct gj_gofunc func;
	int err = gj_gotab_find_name(gotab, spec->function, &func);

	/* Also proves that what follows the entry is code. */
	if (!err)
		err = gj_probe_plan_entry(image, &func, spec->needed_args, &entry, NULL);
	if (err)
		return err;
	*hook = (struct gj_hook){ .spec = spec };
	plan->hook_cnt++;
	if (spec->at == GJ_HOOK_RETURN)
		return plan_returns(image, &func, hook);
	if (spec->at == GJ_HOOK_CALL || spec->at == GJ_HOOK_CALLED)
		return plan_calls(image, gotab, &func, hook);
	hook->plans = malloc(sizeof(*hook->plans));
	if (!hook->plans)
		return -ENOMEM;
	hook->plans[0] = entry;
	hook->plan_cnt = 1;
	return 0;
}

static void explain(const struct gj_hook_spec *spec, int err, struct gj_feature_plan *plan)
{
	if (spec->is_optional && !plan->reason[0])
		snprintf(plan->reason, sizeof(plan->reason), "without %s: %s", spec->function,
			 spec->loses);
	if (spec->is_optional || plan->err)
		return;
	plan->err = -EOPNOTSUPP;
	snprintf(plan->reason, sizeof(plan->reason), "%s: %s", spec->function,
		 err == -ENOENT ? "the program has no such function" :
		 err == -EOPNOTSUPP ? "hooks are planned for amd64 only" : "its code is not understood");
}

int gj_feature_plan(const struct gj_image *image, const struct gj_gotab *gotab,
		    enum gj_feature feature, struct gj_feature_plan *plan_out)
{
	unsigned int cnt;
	const struct gj_hook_spec *specs = gj_feature_specs(feature, &cnt);
	struct gj_feature_plan plan = { .feature = feature };
	int minor = gj_gotab_info(gotab)->go_minor;

	plan.hooks = calloc(cnt + 1, sizeof(*plan.hooks));
	if (!plan.hooks)
		return -ENOMEM;
	for (unsigned int i = 0; i < cnt; i++) {
		int err;

		if (minor < specs[i].first_minor ||
		    (specs[i].last_minor && minor > specs[i].last_minor))
			continue;
		err = plan_hook(image, gotab, &specs[i], &plan);
		if (err == -ENOMEM) {
			gj_feature_plan_deinit(&plan);
			return err;
		}
		if (err)
			explain(&specs[i], err, &plan);
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
