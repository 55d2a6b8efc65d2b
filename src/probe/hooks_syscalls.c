/* SPDX-License-Identifier: GPL-2.0 */
/* Where bpf/syscalls.bpf.c is hooked. Go src/runtime/proc.go. */
#include "probe/feature.h"

#define LOSES "how long goroutines wait for a P behind a syscall"

const struct gj_hook_spec gj_hooks_syscalls[] = {
	/* Of entersyscall and of cgo's callbacks. */
	{ .program = "gj_on_entersyscall", .function = "runtime.reentersyscall",
	  .first_minor = 17, .at = GJ_HOOK_ENTRY },
	{ .program = "gj_on_entersyscall", .function = "runtime.entersyscallblock",
	  .first_minor = 17, .at = GJ_HOOK_ENTRY },
	{ .program = "gj_on_exitsyscall", .function = "runtime.exitsyscall",
	  .first_minor = 17, .at = GJ_HOOK_ENTRY },
	{ .program = "gj_on_exitsyscall_slow", .function = "runtime.exitsyscall0",
	  .first_minor = 17, .last_minor = 25, .at = GJ_HOOK_ENTRY, .needed_args = GJ_ARG_AX,
	  .is_optional = true, .loses = LOSES },
	{ .program = "gj_on_exitsyscall_slow", .function = "runtime.exitsyscallNoP",
	  .first_minor = 26, .at = GJ_HOOK_ENTRY, .needed_args = GJ_ARG_AX,
	  .is_optional = true, .loses = LOSES },
	{ .program = "gj_on_exitsyscall_end", .function = "runtime.exitsyscall",
	  .callee = "runtime.mcall", .first_minor = 17, .at = GJ_HOOK_CALLED,
	  .is_optional = true, .loses = LOSES },
};
const unsigned int gj_hooks_syscalls_cnt = sizeof(gj_hooks_syscalls) / sizeof(gj_hooks_syscalls[0]);
