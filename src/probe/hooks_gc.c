/* SPDX-License-Identifier: GPL-2.0 */
/* Where bpf/gc.bpf.c is hooked. Go src/runtime/{proc,mgc,mgcpacer,mgcmark,mgcsweep}.go. */
#include "probe/feature.h"

const struct gj_hook_spec gj_hooks_gc[] = {
	{ .program = "gj_on_stw_stop", .function = "runtime.stopTheWorldWithSema",
	  .first_minor = 17, .at = GJ_HOOK_ENTRY, .needed_args = GJ_ARG_AX },
	{ .program = "gj_on_stw_stopped", .function = "runtime.stopTheWorldWithSema",
	  .first_minor = 17, .at = GJ_HOOK_RETURN },
	{ .program = "gj_on_stw_start", .function = "runtime.startTheWorldWithSema",
	  .first_minor = 17, .at = GJ_HOOK_ENTRY },
	{ .program = "gj_on_stw_started", .function = "runtime.startTheWorldWithSema",
	  .first_minor = 17, .at = GJ_HOOK_RETURN },
	/* Once a cycle; gcStart is also called where no cycle begins. */
	{ .program = "gj_on_gc_start", .function = "runtime.(*gcControllerState).startCycle",
	  .first_minor = 17, .at = GJ_HOOK_ENTRY },
	{ .program = "gj_on_mark_done", .function = "runtime.gcMarkTermination",
	  .first_minor = 17, .at = GJ_HOOK_ENTRY },
	{ .program = "gj_on_assist", .function = "runtime.gcAssistAlloc",
	  .first_minor = 17, .at = GJ_HOOK_ENTRY, .needed_args = GJ_ARG_AX,
	  .is_optional = true, .loses = "how long goroutines have to help marking" },
	{ .program = "gj_on_assist_end", .function = "runtime.gcAssistAlloc",
	  .first_minor = 17, .at = GJ_HOOK_RETURN,
	  .is_optional = true, .loses = "how long goroutines have to help marking" },
	/* Not sweepone, which is once a span. */
	{ .program = "gj_on_swept", .function = "runtime.bgsweep", .callee = "runtime.gopark",
	  .first_minor = 17, .at = GJ_HOOK_CALL,
	  .is_optional = true, .loses = "when sweeping ends, before the next cycle" },
};
const unsigned int gj_hooks_gc_cnt = sizeof(gj_hooks_gc) / sizeof(gj_hooks_gc[0]);
