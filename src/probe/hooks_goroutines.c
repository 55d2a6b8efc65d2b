/* SPDX-License-Identifier: GPL-2.0 */
/* Where bpf/goroutines.bpf.c is hooked. Go src/runtime/proc.go. */
#include "probe/feature.h"

const struct gj_hook_spec gj_hooks_goroutines[] = {
	{ .program = "gj_on_casgstatus",
	  .function = "runtime.casgstatus",
	  .first_minor = 17, /* before, arguments are on the stack */
	  .at = GJ_HOOK_ENTRY,
	  .needed_args = GJ_ARG_AX | GJ_ARG_BX | GJ_ARG_CX },
	/* Up to 1.23 a goroutine gets its number behind its first status. */
	{ .program = "gj_on_newproc1",
	  .function = "runtime.newproc1",
	  .first_minor = 17,
	  .last_minor = 23,
	  .at = GJ_HOOK_RETURN },
};
const unsigned int gj_hooks_goroutines_cnt =
	sizeof(gj_hooks_goroutines) / sizeof(gj_hooks_goroutines[0]);
