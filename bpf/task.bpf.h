/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Of the current task: the kernel's fields that are needed, its numbers in the
 * loader's pid namespace, words of its memory. No maps.
 *
 * No vmlinux.h: the few kernel fields needed are declared here and relocated by
 * libbpf (CO-RE). Include after <linux/bpf.h>. amd64.
 */
#ifndef GJ_TASK_BPF_H
#define GJ_TASK_BPF_H

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

/* The loader's pid namespace and its depth (gj_pid_begin): numbers are those its /proc and perf show. */
__u32 gj_pid_level;
__u64 gj_pid_ns;

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
	/* Other namespaces of that depth have numbers of their own; nobody's (bpf-object) is the first. */
	return !gj_pid_ns || (__u64)upid.ns == gj_pid_ns ? (__u32)upid.nr : 0;
}

/* pid in the upper half, tid in the lower, as perf's samples have them. */
static __always_inline __u64 gj_current_pid_tid(struct task_struct *task)
{
	if (!gj_pid_level)
		return bpf_get_current_pid_tgid();
	return (__u64)gj_pid_number(BPF_CORE_READ(task, group_leader, thread_pid)) << 32 |
	       gj_pid_number(BPF_CORE_READ(task, thread_pid));
}

/* The word of the current process at @base + @off; false when it is not there. */
static __always_inline _Bool gj_user_u64(__u64 base, __u64 off, __u64 *value_out)
{
	return base && off != GJ_NO_OFFSET &&
	       !bpf_probe_read_user(value_out, sizeof(*value_out), (void *)(base + off));
}

#endif
