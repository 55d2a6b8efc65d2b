/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What every program of `gojitter trace` begins with: its target, the goroutine
 * of the current thread, histograms, counters of what was dropped. amd64.
 */
#ifndef GJ_TRACE_BPF_H
#define GJ_TRACE_BPF_H

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "gj_trace.h"
#include "task.bpf.h"

/* Shared by all objects of an instance: the loader makes them once. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, __u32);
	__type(value, struct gj_trace_target);
} targets SEC(".maps");

/* By program, for processes to come (gojitter trace -e). */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 256);
	__type(key, struct gj_exe);
	__type(value, struct gj_trace_target);
} programs SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, GJ_DROP_CNT);
	__type(key, __u32);
	__type(value, __u64);
} drops SEC(".maps");

/*
 * The stack of a program in a uprobe has to be its thread's. Linux a76ab5731e32 ("bpf: Find
 * eligible subprogs for private stack support", 6.13) lays that of a bigger program into
 * memory of the processor, on amd64; but nothing keeps another thread from being put on the
 * processor in the midst of it, and from running the same program: they write over each
 * other's. A program with a tail call has no such stack, so each has one, that is never made.
 */
struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} no_programs SEC(".maps");

const volatile _Bool gj_is_never;

static __always_inline void gj_own_stack(struct pt_regs *ctx)
{
	if (gj_is_never)
		bpf_tail_call(ctx, &no_programs, 0);
}
/* Written into the object where no loader of ours fills the maps (gojitter bpf-object). */
const volatile struct gj_trace_given gj_given = { 0 };

static __always_inline void gj_drop(__u32 why)
{
	__u64 *cnt = bpf_map_lookup_elem(&drops, &why);

	/* A program in a uprobe may be preempted by another on its CPU. */
	if (cnt)
		__sync_fetch_and_add(cnt, 1);
}


struct mm_struct___code {
	unsigned long start_code;
} GJ_KERNEL_TYPE;
#define GJ_PF_EXITING 4 /* PF_EXITING of include/linux/sched.h */

struct task_struct___flags {
	unsigned int flags;
} GJ_KERNEL_TYPE;

static __always_inline _Bool gj_is_given(__u64 ino, __u32 dev)
{
	return gj_given.exes[0].ino && ((ino == gj_given.exes[0].ino && dev == gj_given.exes[0].dev) ||
					(ino == gj_given.exes[1].ino && dev == gj_given.exes[1].dev));
}

/* What we were told of the program @exe; NULL: nothing. */
static __always_inline const struct gj_trace_target *gj_find_program(const struct gj_exe *exe)
{
	const struct gj_trace_target *given = (const void *)&gj_given.target;

	if (!gj_is_given(exe->ino, exe->dev))
		return bpf_map_lookup_elem(&programs, exe);
	/* So that the compiler does not read what stands in the source. */
	barrier_var(given);
	return given;
}

/* A process of a program we were told of: known by its number from now on. */
static __always_inline const struct gj_trace_target *gj_target_adopt(struct task_struct *task,
								     __u32 tgid)
{
	struct inode *inode = BPF_CORE_READ(task, mm, exe_file, f_inode);
	const struct gj_trace_target *program;
	struct gj_trace_target target;
	struct mm_struct___code *mm;
	struct gj_exe exe = { 0 };

	/*
	 * sched_process_exit comes before the memory is gone (from Linux 6.16 on): what happens
	 * to a thread behind that (a switch of threads) must not make a target of it again.
	 */
	if (!inode || BPF_CORE_READ((struct task_struct___flags *)task, flags) & GJ_PF_EXITING)
		return 0;
	exe.ino = BPF_CORE_READ(inode, i_ino);
	exe.dev = BPF_CORE_READ(inode, i_sb, s_dev);
	program = gj_find_program(&exe);
	if (!program)
		return 0;
	target = *program;
	mm = (void *)BPF_CORE_READ(task, mm);
	/* fs/binfmt_elf.c: start_code is where its lowest executable segment begins, once it is mapped. */
	target.bias = BPF_CORE_READ(mm, start_code);
	if (!target.bias)
		return 0;
	target.bias -= target.exec_va;
	target.inode = (__u64)inode;
	target.generation = bpf_get_prandom_u32() | 1;
	if (bpf_map_update_elem(&targets, &tgid, &target, BPF_ANY))
		gj_drop(drop_map_full);
	return bpf_map_lookup_elem(&targets, &tgid);
}

/* Of the current thread, as gj_current_pid_tid; one call where that is all it takes. */
static __always_inline __u64 gj_pid_tid(void)
{
	return gj_pid_level ? gj_current_pid_tid((void *)bpf_get_current_task()) :
			      bpf_get_current_pid_tgid();
}

/* The target that the current process, @tgid, is; NULL: none of this instance. */
static __always_inline const struct gj_trace_target *gj_target_find(__u32 tgid)
{
	const struct gj_trace_target *target = bpf_map_lookup_elem(&targets, &tgid);

	return target ? target : gj_target_adopt((void *)bpf_get_current_task(), tgid);
}

static __always_inline const struct gj_trace_target *gj_target(__u32 *tgid_out)
{
	*tgid_out = gj_pid_tid() >> 32;
	return gj_target_find(*tgid_out);
}

/* gj_func of run-time address @pc, which is a function's entry; unknown_function for 0. */
static __always_inline __u32 gj_func_of(const struct gj_trace_target *target, __u64 pc)
{
	if (!pc)
		return unknown_function;
	return target->program << GJ_FUNC_SHIFT |
	       ((__u32)(pc - target->bias - target->text_va + 1) & GJ_FUNC_MASK);
}

/* The g of the current thread: of its TLS slot, m.curg where that is g0 or gsignal. 0: none. */
static __always_inline __u64 gj_current_g(const struct gj_trace_target *target)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	__u64 g, m, g0 = 0, gsignal = 0, curg = 0;

	if (!gj_user_u64(BPF_CORE_READ(task, thread.fsbase) + target->tls_g, 0, &g) ||
	    !gj_user_u64(g, target->g_m, &m) || !gj_user_u64(m, target->m_g0, &g0))
		return 0;
	gj_user_u64(m, target->m_gsignal, &gsignal);
	if (g != g0 && g != gsignal)
		return g;
	return gj_user_u64(m, target->m_curg, &curg) ? curg : 0;
}

/* 63 less the leading zeros; @value is not 0. */
static __always_inline __u32 gj_log2(__u64 value)
{
	__u32 exp = 0;

#pragma unroll
	for (int bit = 5; bit >= 0; bit--) {
		__u64 above = value >> (1 << bit);

		if (above) {
			exp += 1 << bit;
			value = above;
		}
	}
	return exp;
}

static __always_inline __u32 gj_hist_slot(__u64 ns)
{
	__u32 exp;

	if (ns < 1ULL << GJ_HIST_MIN_EXP)
		return 0;
	exp = gj_log2(ns);
	if (exp >= GJ_HIST_MAX_EXP)
		return GJ_HIST_SLOTS - 1;
	return 1 + 4 * (exp - GJ_HIST_MIN_EXP) + ((ns >> (exp - 2)) & 3);
}

/*
 * Adds to one CPU's own histogram. A program in a uprobe may be preempted by another on
 * its CPU (the kernel only keeps it from moving), so counts are added atomically.
 */
static __always_inline void gj_hist_add(struct gj_hist *hist, __u64 ns)
{
	__u32 slot = gj_hist_slot(ns);

	__sync_fetch_and_add(&hist->count, 1);
	__sync_fetch_and_add(&hist->sum_ns, ns);
	if (ns > hist->max_ns)
		hist->max_ns = ns;
	if (slot < GJ_HIST_SLOTS)
		__sync_fetch_and_add(&hist->slots[slot], 1);
}

#endif
