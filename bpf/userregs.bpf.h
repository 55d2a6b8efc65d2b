/* SPDX-License-Identifier: GPL-2.0 */
/* The user's registers at a sample of a timer. Include after <linux/bpf.h>. amd64. */
#ifndef GJ_USERREGS_BPF_H
#define GJ_USERREGS_BPF_H

#include <linux/bpf_perf_event.h>

#include "task.bpf.h"

/* What of the kernel's registers is needed (arch/x86/include/asm/ptrace.h). */
struct pt_regs___kernel {
	unsigned long bp, ip, sp;
} GJ_KERNEL_TYPE;

/* Where the user's code was: interrupted, or (true) when it entered the kernel. */
static __always_inline _Bool gj_user_regs(struct bpf_perf_event_data *ctx,
					  struct task_struct *task, __u64 *ip, __u64 *sp,
					  __u64 *bp)
{
	struct pt_regs___kernel *regs;

	*ip = *(volatile __u64 *)&ctx->regs.rip;
	*sp = *(volatile __u64 *)&ctx->regs.rsp;
	*bp = *(volatile __u64 *)&ctx->regs.rbp;
	if ((__s64)*ip >= 0)
		return 0;
	regs = (struct pt_regs___kernel *)bpf_task_pt_regs(task);
	*ip = regs->ip;
	*sp = regs->sp;
	*bp = regs->bp;
	return 1;
}

#endif
