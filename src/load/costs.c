/* SPDX-License-Identifier: GPL-2.0 */
/* The budget while an instance is made: rows for what is attached, the first windows, what is said. */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/limits.h"
#include "load/budget.h"

#define FIRST_WINDOW_NS 200000000
#define SURELY 4 /* so many times the budget need no second window */

/* Where this machine does not tell: the dearest seen (docs/probes.md). */
#define UNKNOWN_TRAP_NS 1000
#define UNKNOWN_STEPPED_NS 15000

/* Of one hit, by the kind of instruction. */
struct traps {
	uint64_t emulated_ns, stepped_ns;
};

/* A few milliseconds for the one, some ten for the other, so only what is asked for. */
static uint64_t trap_cost(struct traps *traps, bool is_emulated)
{
	uint64_t *cost_ns = is_emulated ? &traps->emulated_ns : &traps->stepped_ns;

	if (!*cost_ns &&
	    (is_emulated ? gj_probe_cost_ns(cost_ns) : gj_probe_stepped_cost_ns(cost_ns)))
		*cost_ns = is_emulated ? UNKNOWN_TRAP_NS : UNKNOWN_STEPPED_NS;
	return *cost_ns;
}

/* The dearest of a program's places; 0: it has none in the targets. */
static uint64_t trap_of(const struct gj_load *load, struct traps *traps, enum gj_feature feature,
			const char *program)
{
	bool is_emulated = false, is_stepped = false;

	for (unsigned int i = 0; feature != GJ_FEATURE_CNT && i < load->targets.binary_cnt; i++) {
		const struct gj_feature_plan *plan = &load->targets.binaries[i].plans[feature];

		for (unsigned int j = 0; !plan->err && j < plan->hook_cnt; j++) {
			const struct gj_hook *hook = &plan->hooks[j];

			for (unsigned int k = 0; k < hook->plan_cnt; k++)
				if (!strcmp(hook->spec->program, program))
					*(hook->plans[k].is_emulated ? &is_emulated : &is_stepped) =
						true;
		}
	}
	return is_stepped ? trap_cost(traps, false) : is_emulated ? trap_cost(traps, true) : 0;
}

static int put_row(int costs, const char *feature, const char *program, enum gj_cost_state state,
		   uint64_t trap_ns)
{
	struct gj_cost cost = {
		.state = state, .trap_ns = trap_ns, .since_ns = gj_budget_now_ns(),
	};
	struct gj_cost_key key = { 0 };

	snprintf(key.feature, sizeof(key.feature), "%s", feature);
	snprintf(key.program, sizeof(key.program), "%s", program);
	return bpf_map_update_elem(costs, &key, &cost, BPF_ANY) ? -errno : 0;
}

/* Iterators run when they are read, at the reader's cost. */
static bool is_left_on(const struct bpf_program *program)
{
	return bpf_program__autoload(program) &&
	       bpf_program__type(program) != BPF_PROG_TYPE_SYSCALL &&
	       bpf_program__expected_attach_type(program) != BPF_TRACE_ITER;
}

static int describe_object(const struct gj_load *load, const struct gj_load_object *object,
			   int costs, struct traps *traps)
{
	enum gj_feature feature;
	struct bpf_program *program;
	int err = 0;

	if (gj_feature_find(object->name, strlen(object->name), &feature))
		feature = GJ_FEATURE_CNT;
	bpf_object__for_each_program(program, object->object) {
		const char *name = bpf_program__name(program);

		if (!err && is_left_on(program))
			err = put_row(costs, object->name, name, on,
				      load->budget_permille ?
					      trap_of(load, traps, feature, name) : 0);
	}
	return err;
}

static enum gj_cost_state state_of(const struct gj_load *load, enum gj_feature feature)
{
	for (size_t i = 0; i < load->object_cnt; i++)
		if (!strcmp(load->objects[i].name, gj_feature_name(feature)))
			return on;
	return load->options->features & 1u << feature ? cannot : off_by_user;
}

int gj_budget_describe(struct gj_load *load, struct gj_diag *diag)
{
	int costs = gj_load_find_map(load, "costs"), map = gj_load_find_map(load, "budget"), err = 0;
	struct gj_budget budget = { .permille = load->budget_permille };
	struct traps traps = { 0 };
	uint32_t features = gj_trace_features(), only = 0;

	for (size_t i = 0; !err && i < load->object_cnt; i++)
		err = describe_object(load, &load->objects[i], costs, &traps);
	for (unsigned int i = 0; !err && i < GJ_FEATURE_CNT; i++)
		if (features & 1u << i)
			err = put_row(costs, gj_feature_name(i), GJ_BUDGET_ALL, state_of(load, i), 0);
	if (!err && bpf_map_update_elem(map, &only, &budget, BPF_ANY))
		err = -errno;
	return err ? gj_diag_set(diag, err, "what probes cost finds no room in its map: %s",
				 strerror(-err)) : 0;
}

/*
 * A target that is slowed down by one feature hits the others less often, so what is
 * left is measured again; each time at least one feature less.
 */
int gj_budget_settle(struct gj_load *load, struct gj_diag *diag)
{
	static struct gj_budget_watch watch;
	int err = load->budget_permille ? gj_budget_open(&watch, load->stage) : 0;

	if (!load->budget_permille)
		return 0;
	while (!err) {
		err = gj_budget_measure(&watch, FIRST_WINDOW_NS);
		/* Others on the machine may just have been busy. */
		if (!err && gj_budget_is_over(&watch, 1) && !gj_budget_is_over(&watch, SURELY))
			err = gj_budget_measure(&watch, FIRST_WINDOW_NS);
		if (err || !gj_budget_trim(&watch))
			break;
	}
	if (!err)
		err = gj_budget_write(&watch);
	gj_budget_close(&watch);
	return err ? gj_diag_set(diag, err, "what probes cost cannot be measured: %s",
				 strerror(-err)) : 0;
}

/* 1234567 as "1,234,567". */
static const char *group(uint64_t number, char text_out[32])
{
	char digits[32];
	int cnt = snprintf(digits, sizeof(digits), "%llu", (unsigned long long)number), at = 0;

	for (int i = 0; i < cnt; i++) {
		if (i && (cnt - i) % 3 == 0)
			text_out[at++] = ',';
		text_out[at++] = digits[i];
	}
	text_out[at] = '\0';
	return text_out;
}

static void tell_feature(const struct gj_load *load, const char *feature,
			 const struct gj_cost *cost, void (*say)(const char *line))
{
	char hits[32], line[256];
	int bytes = snprintf(line, sizeof(line), "%s: %s%s hits/s, ~%u.%u %% of one processor", feature,
			     cost->state == on ? "" : "turned off: ", group(cost->hits_per_s, hits),
			     cost->permille / 10, cost->permille % 10);

	if (cost->state != on)
		snprintf(line + bytes, sizeof(line) - (size_t)bytes,
			 "; with it the budget of %u.%u %% is exceeded. Its maps stay as they are; --budget off leaves it on",
			 load->budget_permille / 10, load->budget_permille % 10);
	say(line);
}

void gj_budget_tell(const struct gj_load *load, void (*say)(const char *line))
{
	int costs = gj_load_find_map(load, "costs");

	for (unsigned int i = 0; load->budget_permille && i < GJ_FEATURE_CNT; i++) {
		struct gj_cost_key key = { .program = GJ_BUDGET_ALL };
		struct gj_cost cost;

		snprintf(key.feature, sizeof(key.feature), "%s", gj_feature_name(i));
		if (!bpf_map_lookup_elem(costs, &key, &cost) && cost.window_ns)
			tell_feature(load, key.feature, &cost, say);
	}
}
