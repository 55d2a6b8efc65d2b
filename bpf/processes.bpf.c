/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What becomes of the processes of an instance: one that ends is no target any
 * more, nor is one that becomes another program; one that becomes a program of
 * the instance is. So programs need not ask on every hit whether a number still
 * means the process it meant.
 */
#include <linux/bpf.h>

#include "trace.bpf.h"

char LICENSE[] SEC("license") = "GPL";

struct atomic___live {
	int counter;
} GJ_KERNEL_TYPE;

struct signal_struct___live {
	struct atomic___live live;
} GJ_KERNEL_TYPE;

struct task_struct___signal {
	struct signal_struct___live *signal;
} GJ_KERNEL_TYPE;

SEC("syscall")
int gj_begin(void *ctx __attribute__((unused)))
{
	gj_pid_begin((void *)bpf_get_current_task());
	return 0;
}

#define FORGET_TRIES 3

/*
 * Most that end are none of ours: those cost a look. The kernel may refuse to wait for
 * a lock (-EBUSY, from 6.15 on -EDEADLK and -ETIMEDOUT), and nobody comes by here again.
 */
static __always_inline void forget(__u32 tgid)
{
	for (int i = 0; i < FORGET_TRIES; i++)
		if (!bpf_map_lookup_elem(&targets, &tgid) || !bpf_map_delete_elem(&targets, &tgid))
			return;
}

/* Behind the change: memory and file are those of the new program. */
SEC("tp_btf/sched_process_exec")
int gj_process_exec(__u64 *ctx __attribute__((unused)))
{
	struct task_struct *task = (void *)bpf_get_current_task();
	__u32 tgid = gj_current_pid_tid(task) >> 32;

	forget(tgid);
	gj_target_adopt(task, tgid);
	return 0;
}

/* Of every thread; kernel/exit.c has taken this one off signal->live by now. */
SEC("tp_btf/sched_process_exit")
int gj_process_exit(__u64 *ctx __attribute__((unused)))
{
	struct task_struct___signal *task = (void *)bpf_get_current_task();
	__u32 tgid;

	if (BPF_CORE_READ(task, signal, live.counter))
		return 0;
	tgid = gj_current_pid_tid((void *)task) >> 32;
	forget(tgid);
	return 0;
}

/*
 * In objects of gojitter bpf-object alone, whose processes nobody looks up: those that
 * ran before, for features that hook nothing in them. prev, which is current, may have
 * had its memory taken away by now (kernel/exit.c).
 */
SEC("?raw_tp/sched_switch")
int gj_adopt(void *ctx __attribute__((unused)))
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct mm_struct *mm = task->mm;
	struct file *file = mm ? mm->exe_file : 0;
	struct inode *inode = file ? file->f_inode : 0;
	struct super_block *super = inode ? inode->i_sb : 0;
	__u32 tgid;

	if (super && gj_is_given(inode->i_ino, super->s_dev))
		gj_target(&tgid);
	return 0;
}
