/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What of the Go runtime a BPF program reads: which Go program the current task
 * runs, its g out of the TLS slot, its m, and the goroutine it works for.
 * Include after <linux/bpf.h> and <bpf/bpf_helpers.h>. amd64.
 */
#ifndef GJ_GORUNTIME_BPF_H
#define GJ_GORUNTIME_BPF_H

#include "task.bpf.h"

/* Runtimes by process; exact, and all there is for c-shared libraries and plugins. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 8192);
	__type(key, __u32);
	__type(value, struct gj_process);
} gj_processes SEC(".maps");

/* Runtimes by program, so that processes to come are known at once. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 8192);
	__type(key, struct gj_exe);
	__type(value, struct gj_goruntime);
} gj_programs SEC(".maps");

/* What was read of the current thread's runtime; all 0 where it was not. */
struct gj_gothread {
	__u64 g, m, curg, g0, gsignal;
	__u64 cur;  /* the goroutine it works for: g, or curg when on g0 or gsignal; 0: none */
	__u64 goid; /* of cur */
};

/*
 * The runtime of the program that @task runs, by its process number @tgid, else
 * by its file; NULL: none we know. @exe_out: the file, when it was looked at.
 */
static __always_inline const struct gj_goruntime *
gj_goruntime_find(struct task_struct *task, __u32 tgid, struct gj_exe *exe_out)
{
	struct gj_process *process = bpf_map_lookup_elem(&gj_processes, &tgid);
	struct inode *inode = BPF_CORE_READ(task, mm, exe_file, f_inode);

	if (!inode)
		return 0;
	if (process) {
		if (!process->inode)
			process->inode = (__u64)inode;
		/* Else it has become another program. */
		if (process->inode == (__u64)inode)
			return &process->runtime;
	}
	exe_out->ino = BPF_CORE_READ(inode, i_ino);
	exe_out->dev = BPF_CORE_READ(inode, i_sb, s_dev);
	exe_out->reserved = 0;
	return bpf_map_lookup_elem(&gj_programs, exe_out);
}

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
