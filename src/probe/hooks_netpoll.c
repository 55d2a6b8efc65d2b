/* SPDX-License-Identifier: GPL-2.0 */
/* Where bpf/netpoll.bpf.c is hooked. Go src/runtime/netpoll_epoll.go. */
#include "probe/feature.h"

const struct gj_hook_spec gj_hooks_netpoll[] = {
	{ .program = "gj_on_netpoll", .function = "runtime.netpoll",
	  .first_minor = 17, .at = GJ_HOOK_ENTRY, .needed_args = GJ_ARG_AX },
};
const unsigned int gj_hooks_netpoll_cnt = sizeof(gj_hooks_netpoll) / sizeof(gj_hooks_netpoll[0]);
