/* SPDX-License-Identifier: GPL-2.0 */
/*
 * gojitter doctor: what this machine, a process or a binary allows, what would
 * be done to it, and what a killed recording has left behind.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmd/cmd.h"
#include "load/load.h"
#include "perf/perf.h"
#include "probe/feature.h"
#include "record/record.h"

static const char help[] =
	"usage: gojitter doctor [-p PID | -e FILE] [--clean]\n"
	"\n"
	"Says whether goroutines can be recorded here and how, and of a process or binary\n"
	"what each feature of gojitter trace hooks.\n"
	"\n"
	"  -p, --pid=PID     look at this process\n"
	"  -e, --exe=FILE    look at this binary\n"
	"      --clean       remove probes that killed recordings have left\n"
	"  -h, --help        this text\n"
	"\n"
	"Exit status 1 when something stands in the way; the line that says so begins\n"
	"with 'no'.\n";

enum { OPT_CLEAN = 256 };

static const struct option options[] = {
	{ "pid", required_argument, NULL, 'p' },
	{ "exe", required_argument, NULL, 'e' },
	{ "clean", no_argument, NULL, OPT_CLEAN },
	{ "help", no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 },
};

/* One finding: "ok  WHAT: DETAIL" or "no  WHAT: DETAIL". */
static int finding(int err, const char *what, const char *detail)
{
	printf("%s  %s: %s\n", err ? "no" : "ok", what, detail);
	return err ? GJ_EXIT_FAILED : 0;
}

/* Of one hit on this machine; 0: not known, as uprobes are not permitted. */
struct costs {
	uint64_t emulated_ns, stepped_ns;
};

static int check_probes(struct costs *costs)
{
	unsigned int stale, kept;
	struct gj_diag diag = { 0 };
	char detail[64];
	int err = gj_uprobes_allowed(&diag);

	if (err)
		return finding(err, "probes", diag.text);
	err = gj_probe_cost_ns(&costs->emulated_ns);
	if (!err)
		err = gj_probe_stepped_cost_ns(&costs->stepped_ns);
	if (err) {
		finding(err, "probes", strerror(-err));
		return GJ_EXIT_FAILED;
	}
	snprintf(detail, sizeof(detail), "allowed; a hit takes %.1f us here",
		 (double)costs->emulated_ns / 1000);
	finding(0, "probes", detail);
	if (!gj_uprobes_stale(&stale, &kept, NULL) && stale + kept)
		printf("    %u probes of gojitter are defined, %u of them by processes that are gone%s\n",
		       stale + kept, stale,
		       stale ? "; remove those with gojitter doctor --clean" : "");
	return 0;
}

static int check_sampler(void)
{
	struct gj_diag diag = { 0 };
	int err = gj_sampler_allowed(&diag);

	return finding(err, "stack sampler",
		       err ? diag.text :
			     "allowed; goroutines and both stacks of each sample, without probes");
}

static int check_perf(void)
{
	const char *perf = gj_perf_program();
	struct gj_buf command = { 0 };
	char line[128] = "";
	FILE *pipe;
	bool found;

	gj_buf_fmt(&command, "'%s' --version 2>/dev/null", perf);
	gj_buf_chr(&command, '\0');
	pipe = command.failed ? NULL : popen(command.data, "r");
	gj_buf_deinit(&command);
	found = pipe && fgets(line, sizeof(line), pipe);
	line[strcspn(line, "\n")] = '\0';
	if (pipe)
		pclose(pipe);
	return finding(!found, "perf",
		       found ? line : "there is none on PATH; install linux-perf, or name it with PERF=PATH");
}

/*
 * Numbers of /proc/sys/kernel/perf_event_paranoid: above 1 the kernel and other users' code
 * need privileges; above 2, where Debian's kernels start, everything does.
 */
static const char *paranoid_means(int level)
{
	if (level < 2 || !geteuid())
		return "";
	return level > 2 ? "; become root, or sysctl kernel.perf_event_paranoid=2, to record at all" :
			   "; become root to record the kernel and other users";
}

static int check_paranoid(void)
{
	FILE *file = fopen("/proc/sys/kernel/perf_event_paranoid", "re");
	char detail[128];
	int level = 0, known;

	known = file && fscanf(file, "%d", &level) == 1;
	if (file)
		fclose(file);
	if (!known)
		return finding(1, "perf events", "this kernel has none");
	snprintf(detail, sizeof(detail), "kernel.perf_event_paranoid is %d%s", level,
		 paranoid_means(level));
	return finding(level > 1 && geteuid(), "perf events", detail);
}

static int check_binary(const struct gj_programs *programs, int err, const struct gj_diag *diag,
			const char *label)
{
	const struct gj_program *program = programs->cnt ? &programs->list[0] : NULL;

	if (!program)
		return finding(1, label, diag->err ? diag->text : "no Go program");
	printf("ok  %s: %s\n", program->label, gj_gotab_info(program->gotab)->go_version);
	if (err)
		return finding(1, "goroutines", diag->text);
	printf("ok  goroutines: goid at g+%d (%s); runtime.execute is probed at +%llu, file offset 0x%llx: %s (%s%s)\n",
	       program->offsets.g_goid, program->offsets.source,
	       (unsigned long long)(program->plan.va - program->plan.entry_va),
	       (unsigned long long)program->plan.file_off, program->plan.insn,
	       program->plan.is_emulated ? "emulated by the kernel" : "single-stepped, dear",
	       program->plan.may_repeat ? "; seen twice when the stack grows" : "");
	return 0;
}

static const char *tier_means(enum gj_tier tier)
{
	switch (tier) {
	case GJ_TIER_ALWAYS: return "always on";
	case GJ_TIER_RARE: return "rare events";
	case GJ_TIER_SWITCH: return "events of every switch or call, when asked for";
	}
	return "";
}

static void show_hook(const struct gj_hook *hook, const struct costs *costs)
{
	for (unsigned int i = 0; i < hook->plan_cnt; i++) {
		const struct gj_probe_plan *plan = &hook->plans[i];
		uint64_t cost_ns = plan->is_emulated ? costs->emulated_ns : costs->stepped_ns;

		printf("        %s+0x%llx  %s  (%s%s)", hook->spec->function,
		       (unsigned long long)(plan->va - plan->entry_va), plan->insn,
		       plan->is_emulated ? "emulated" : "stepped",
		       plan->may_repeat ? ", twice when the stack grows" : "");
		if (cost_ns)
			printf(" ~%.1f us", (double)cost_ns / 1000);
		printf("  %s\n", hook->spec->program);
	}
}

/* One that cannot be had stands in nobody's way: the others go on. */
static void show_feature(const struct gj_program *program, enum gj_feature feature,
			 const struct costs *costs)
{
	enum gj_tier tier = gj_feature_tier(feature);
	const char *cost = gj_feature_cost(feature);
	struct gj_feature_plan plan;
	unsigned int spec_cnt;

	printf("    trace %s: tier %d, %s", gj_feature_name(feature), (int)tier, tier_means(tier));
	gj_feature_specs(feature, &spec_cnt);
	if (gj_feature_plan(program->image, program->gotab, feature, &plan)) {
		printf("; out of memory\n");
		return;
	}
	if (plan.err)
		printf("; unavailable: %s\n", plan.reason);
	else if (!spec_cnt)
		printf("; no hook in the target%s%s\n", cost ? "; " : "", cost ? cost : "");
	else
		printf("%s%s\n", plan.reason[0] ? "; " : "", plan.reason);
	for (unsigned int i = 0; i < plan.hook_cnt && !plan.err; i++)
		show_hook(&plan.hooks[i], costs);
	gj_feature_plan_deinit(&plan);
}

static int check_target(const char *path, uint32_t pid, const struct costs *costs)
{
	struct gj_programs programs = { 0 };
	struct gj_diag diag = { 0 };
	char label[32];
	int err, status;

	snprintf(label, sizeof(label), "process %u", pid);
	err = pid ? gj_programs_add_process(&programs, pid, &diag) :
		    gj_programs_add_file(&programs, path, &diag);
	status = check_binary(&programs, err, &diag, pid ? label : path);
	for (unsigned int i = 0; programs.cnt && i < GJ_FEATURE_CNT; i++)
		if (gj_trace_features() & 1u << i)
			show_feature(&programs.list[0], i, costs);
	gj_programs_deinit(&programs);
	return status;
}

static void show_budget(const char *line)
{
	finding(0, "budget", line);
}

static int clean(void)
{
	unsigned int removed, kept;
	struct gj_diag diag = { 0 };
	int err = gj_uprobes_clean(&removed, &kept, &diag);

	if (err)
		return gj_cmd_fail_diag(err, &diag);
	printf("removed %u probes; %u belong to recordings under way\n", removed, kept);
	return 0;
}

int gj_cmd_doctor(int argc, char **argv)
{
	const char *path = NULL;
	struct costs costs = { 0 };
	unsigned long pid = 0;
	bool cleaning = false;
	int c, status;

	while ((c = getopt_long(argc, argv, "p:e:h", options, NULL)) != -1) {
		switch (c) {
		case 'p':
			pid = strtoul(optarg, NULL, 10);
			if (!pid || pid > 1 << 22)
				return gj_cmd_usage("doctor", "'%s' is no process number", optarg);
			break;
		case 'e': path = optarg; break;
		case OPT_CLEAN: cleaning = true; break;
		case 'h': fputs(help, stdout); return 0;
		default: fputs("see gojitter doctor --help\n", stderr); return GJ_EXIT_USAGE;
		}
	}
	if (optind < argc)
		return gj_cmd_usage("doctor", "'%s' is too much", argv[optind]);
	if (cleaning)
		return clean();
	status = check_perf() | check_paranoid() | check_sampler() | check_probes(&costs);
	gj_trace_report_budgets(show_budget);
	if (pid || path)
		status |= check_target(path, (uint32_t)pid, &costs);
	return status;
}
