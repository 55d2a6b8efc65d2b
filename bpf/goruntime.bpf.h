/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What of the Go runtime a BPF program reads: which Go program the current task
 * runs, its g out of the TLS slot, its m, and the goroutine it works for.
 *
 * No vmlinux.h: the few kernel fields needed are declared here and relocated by
 * libbpf (CO-RE). Include after <linux/bpf.h> and <bpf/bpf_helpers.h>. amd64.
 */
#ifndef GJ_GORUNTIME_BPF_H
#define GJ_GORUNTIME_BPF_H

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

#include "gj_abi.h"

#define GJ_KERNEL_TYPE __attribute__((preserve_access_index))

struct super_block {
	__u32 s_dev;
} GJ_KERNEL_TYPE;

struct inode {
	struct super_block *i_sb;
	unsigned long i_ino;
} GJ_KERNEL_TYPE;

struct file {
	struct inode *f_inode;
} GJ_KERNEL_TYPE;

struct mm_struct {
	struct file *exe_file;
} GJ_KERNEL_TYPE;

struct upid {
	int nr;
	void *ns;
} GJ_KERNEL_TYPE;

struct pid {
	unsigned int level;
	struct upid numbers[1];
} GJ_KERNEL_TYPE;

struct thread_struct {
	unsigned long fsbase;
} GJ_KERNEL_TYPE;

struct task_struct {
	struct mm_struct *mm;
	struct task_struct *group_leader;
	struct pid *thread_pid;
	struct thread_struct thread;
} GJ_KERNEL_TYPE;

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

/* The loader's pid namespace and its depth (gj_pid_begin): numbers are those its /proc and perf show. */
__u32 gj_pid_level;
__u64 gj_pid_ns;

/* What was read of the current thread's runtime; all 0 where it was not. */
struct gj_gothread {
	__u64 g, m, curg, g0, gsignal;
	__u64 cur;  /* the goroutine it works for: g, or curg when on g0 or gsignal; 0: none */
	__u64 goid; /* of cur */
};

/* Number @level of @pid and the namespace it is of. */
static __always_inline struct upid gj_read_upid(struct pid *pid, __u32 level)
{
	struct upid upid = { 0 };
	void *at = (void *)pid + bpf_core_field_offset(struct pid, numbers) +
		   level * bpf_core_type_size(struct upid);

	bpf_core_read(&upid.nr, sizeof(upid.nr), at + bpf_core_field_offset(struct upid, nr));
	bpf_core_read(&upid.ns, sizeof(upid.ns), at + bpf_core_field_offset(struct upid, ns));
	return upid;
}

/* Notes the loader's namespace; to be called once, by the loader itself. */
static __always_inline void gj_pid_begin(struct task_struct *task)
{
	struct pid *pid = BPF_CORE_READ(task, thread_pid);

	if (!pid)
		return;
	gj_pid_level = BPF_CORE_READ(pid, level);
	gj_pid_ns = (__u64)gj_read_upid(pid, gj_pid_level).ns;
}

/* The number of @pid in the loader's namespace; 0: it has none there. */
static __always_inline __u32 gj_pid_number(struct pid *pid)
{
	struct upid upid;

	if (!pid || BPF_CORE_READ(pid, level) < gj_pid_level)
		return 0;
	upid = gj_read_upid(pid, gj_pid_level);
	/* Other namespaces of that depth have numbers of their own. */
	return (__u64)upid.ns == gj_pid_ns ? (__u32)upid.nr : 0;
}

/* pid in the upper half, tid in the lower, as perf's samples have them. */
static __always_inline __u64 gj_current_pid_tid(struct task_struct *task)
{
	if (!gj_pid_level)
		return bpf_get_current_pid_tgid();
	return (__u64)gj_pid_number(BPF_CORE_READ(task, group_leader, thread_pid)) << 32 |
	       gj_pid_number(BPF_CORE_READ(task, thread_pid));
}

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

/* The word of the current process at @base + @off; false when it is not there. */
static __always_inline _Bool gj_user_u64(__u64 base, __u64 off, __u64 *value_out)
{
	return base && off != GJ_NO_OFFSET &&
	       !bpf_probe_read_user(value_out, sizeof(*value_out), (void *)(base + off));
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
