/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What of the Go runtime is read of the current thread: its g out of the TLS slot,
 * its m, and the goroutine it works for. Include after <linux/bpf.h>. No maps. amd64.
 */
#ifndef GJ_GOTHREAD_BPF_H
#define GJ_GOTHREAD_BPF_H

#include "task.bpf.h"

/* What was read of the current thread's runtime; all 0 where it was not. */
struct gj_gothread {
	__u64 g, m, curg, g0, gsignal;
	__u64 cur;  /* the goroutine it works for: g, or curg when on g0 or gsignal; 0: none */
	__u64 goid; /* of cur */
};

/*
 * Reads @thread_out of the current task. False when g, m or m.curg cannot be
 * read: then nothing is known. True with cur 0: there is no goroutine.
 *
 * thread.fsbase of the current task is right in any interrupt, since
 * arch_prctl and clone, which set it for Go and libc, keep it there.
 */
static __always_inline _Bool gj_gothread_read(struct task_struct *task,
					      const struct gj_goruntime *runtime,
					      struct gj_gothread *thread_out)
{
	__u64 fs = BPF_CORE_READ(task, thread.fsbase), cur, cur_m = 0;

	__builtin_memset(thread_out, 0, sizeof(*thread_out));
	if (!gj_user_u64(fs + (__u64)runtime->tls_g, 0, &thread_out->g) ||
	    !gj_user_u64(thread_out->g, runtime->g_m, &thread_out->m) ||
	    !gj_user_u64(thread_out->m, runtime->m_curg, &thread_out->curg) ||
	    !gj_user_u64(thread_out->m, runtime->m_g0, &thread_out->g0))
		return 0;
	gj_user_u64(thread_out->m, runtime->m_gsignal, &thread_out->gsignal);
	cur = thread_out->g;
	if (cur == thread_out->g0 || cur == thread_out->gsignal)
		cur = thread_out->curg;
	if (!cur)
		return 1;
	if (!gj_user_u64(cur, runtime->g_m, &cur_m) || cur_m != thread_out->m)
		return cur != thread_out->g; /* m has just been taken off it (dropg) */
	if (!gj_user_u64(cur, runtime->g_goid, &thread_out->goid))
		return 0;
	thread_out->cur = cur;
	return 1;
}

#endif
