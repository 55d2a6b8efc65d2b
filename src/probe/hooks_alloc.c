/* SPDX-License-Identifier: GPL-2.0 */
/* Where bpf/alloc.bpf.c is hooked. Go src/runtime/{mcache,mcentral,mheap}.go. */
#include "probe/feature.h"

const struct gj_hook_spec gj_hooks_alloc[] = {
	{ .program = "gj_on_refill", .function = "runtime.(*mcache).refill",
	  .first_minor = 17, .at = GJ_HOOK_ENTRY, .needed_args = GJ_ARG_BX },
	/* What is behind it takes no time, and RET would cost more than the refill. */
	{ .program = "gj_on_refill_end", .function = "runtime.(*mcache).refill",
	  .callee = "runtime.(*mcentral).cacheSpan", .first_minor = 17, .at = GJ_HOOK_CALLED },
	{ .program = "gj_on_grow", .function = "runtime.(*mcentral).grow",
	  .first_minor = 17, .at = GJ_HOOK_ENTRY,
	  .is_optional = true, .loses = "which refills needed a new span" },
	{ .program = "gj_on_mheap_alloc", .function = "runtime.(*mheap).alloc",
	  .first_minor = 17, .at = GJ_HOOK_ENTRY, .needed_args = GJ_ARG_BX | GJ_ARG_CX,
	  .is_optional = true, .loses = "spans and their bytes, large objects" },
};
const unsigned int gj_hooks_alloc_cnt = sizeof(gj_hooks_alloc) / sizeof(gj_hooks_alloc[0]);
