/* SPDX-License-Identifier: GPL-2.0 */
/* Which goroutine the current thread works for; after trace.bpf.h. */
#ifndef GJ_WHOSE_BPF_H
#define GJ_WHOSE_BPF_H

#include "trace.bpf.h"

struct gj_whose {
	__u64 g;    /* address of its g; 0: none, or it could not be read */
	__u64 goid; /* 0: none, or it could not be read */
	__u32 func; /* where it began */
};

/* False where g or m cannot be read: nothing is known then. True with goid 0: it works for none. */
static __always_inline _Bool gj_whose_read(const struct gj_trace_target *target,
					   struct gj_whose *whose_out)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	__u64 g, m, g0, gsignal = 0, cur_m, startpc = 0;

	whose_out->g = whose_out->goid = 0;
	whose_out->func = unknown_function;
	if (!gj_user_u64(BPF_CORE_READ(task, thread.fsbase) + target->tls_g, 0, &g) ||
	    !gj_user_u64(g, target->g_m, &m) || !gj_user_u64(m, target->m_g0, &g0))
		return 0;
	gj_user_u64(m, target->m_gsignal, &gsignal);
	if ((g == g0 || g == gsignal) && !gj_user_u64(m, target->m_curg, &g))
		return 0;
	if (!g)
		return 1;
	/* m.curg outlives what the goroutine lost by dropg: it may be another thread's by now. */
	if (!gj_user_u64(g, target->g_m, &cur_m))
		return 0;
	if (cur_m != m)
		return 1;
	if (!gj_user_u64(g, target->g_goid, &whose_out->goid))
		return 0;
	gj_user_u64(g, target->g_startpc, &startpc);
	whose_out->g = g;
	whose_out->func = gj_func_of(target, startpc);
	return 1;
}

#endif
