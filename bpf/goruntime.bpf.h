/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Which Go program the current task runs, and where that keeps what is read of it.
 * Include after <linux/bpf.h> and <bpf/bpf_helpers.h>. amd64.
 */
#ifndef GJ_GORUNTIME_BPF_H
#define GJ_GORUNTIME_BPF_H

#include "gothread.bpf.h"

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

#endif
