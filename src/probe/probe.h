/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Where and how to probe a Go function: the plan, made from its code, and the
 * uprobe events of tracefs that carry it out.
 *
 * Never a return probe: the trampoline address it leaves on the stack kills Go
 * programs when their stacks are copied (docs/probes.md).
 */
#ifndef GJ_PROBE_H
#define GJ_PROBE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "demangle/demangle.h"
#include "elf/elf.h"

/* Integer argument registers of Go's ABIInternal on amd64, in order (Go src/cmd/compile/abi-internal.md). */
enum gj_arg_reg {
	GJ_ARG_AX = 1 << 0,
	GJ_ARG_BX = 1 << 1,
	GJ_ARG_CX = 1 << 2,
	GJ_ARG_DI = 1 << 3,
	GJ_ARG_SI = 1 << 4,
};

#define GJ_INSN_TEXT_BYTES 64

/* The instruction chosen. */
struct gj_probe_plan {
	uint64_t entry_va;  /* of the function */
	uint64_t va;        /* of the instruction, at or behind entry_va */
	uint64_t file_off;  /* of the instruction, as uprobes are placed */
	bool is_emulated;   /* the kernel emulates it; otherwise it is single-stepped */
	bool may_repeat;    /* runs again when the call has to grow the stack first */
	char insn[GJ_INSN_TEXT_BYTES]; /* as a disassembler prints it */
};

/*
 * gj_probe_plan_entry - the best place to see the calls of a function
 * @image, @gotab: of the same file; amd64 only
 * @func: the function
 * @needed_args: GJ_ARG_*: registers that must still hold their arguments
 *
 * Decodes the function from its entry to its end, so every place it names is
 * an instruction's first byte. Takes, in this order: the first instruction
 * behind the stack check that the kernel emulates; the conditional jump of the
 * check itself, where behind it the needed registers are lost or nothing is
 * emulated before the code branches; the function's first instruction.
 *
 * Returns 0; -EOPNOTSUPP for another architecture; -EBADMSG when the bytes are
 * not code from end to end.
 */
int gj_probe_plan_entry(const struct gj_image *image, const struct gj_gofunc *func,
			unsigned int needed_args, struct gj_probe_plan *plan_out,
			struct gj_diag *diag);

/*
 * gj_probe_plan_calls - where a function calls another one directly
 * @func: a function that gj_probe_plan_entry understood
 * @callee_va: entry of the one called
 * @is_behind: not the call but the first instruction behind it that the kernel
 *	emulates and that nothing else leads to, or else the very first; a call
 *	with neither, where other paths join, is left out
 * @plans_out: as many as are returned, to be freed by the caller
 *
 * Returns the number of calls; -ENOENT without any; -ENOMEM; -EBADMSG.
 */
int gj_probe_plan_calls(const struct gj_image *image, const struct gj_gofunc *func,
			uint64_t callee_va, bool is_behind, struct gj_probe_plan **plans_out);

/*
 * gj_probe_plan_returns - every RET between a function's entry and its end
 * @func: amd64 only
 * @plans_out: as many as are returned, to be freed by the caller
 *
 * RET is never emulated. Returns their number; -ENOENT without any (a function
 * that never returns); -EOPNOTSUPP; -EBADMSG; -ENOMEM.
 */
int gj_probe_plan_returns(const struct gj_image *image, const struct gj_gofunc *func,
			  struct gj_probe_plan **plans_out);

/*
 * gj_probe_is_emulated - whether the kernel emulates the instruction under a uprobe
 * @code: the instruction's bytes
 *
 * arch/x86/kernel/uprobes.c: branch_setup_xol_ops (jmp, call and jcc with a
 * displacement, nop) and push_setup_xol_ops (push of a general register).
 * Everything else is executed out of line by single-stepping.
 */
bool gj_probe_is_emulated(struct gj_window code);

/* Uprobe events: one line each in tracefs' uprobe_events (Documentation/trace/uprobetracer.rst). */

/*
 * gj_tracefs_find - where tracefs is mounted
 *
 * The superuser gets it mounted at its usual place when it is not, as perf
 * does. Returns 0 with a static path; -EPERM or -ENOENT with @diag otherwise.
 */
int gj_tracefs_find(const char **path_out, struct gj_diag *diag);

/* 0 when this process may write uprobe events, or a negative errno with what to do. */
int gj_uprobes_allowed(struct gj_diag *diag);

/*
 * Event names say who made them, so that what a killed process left behind can
 * be told from what a live one uses: PREFIX<pid>_<start time>_<number>, the
 * start time as in field 22 of /proc/PID/stat.
 */
#define GJ_UPROBE_GROUP "gojitter"
#define GJ_UPROBE_NAME_BYTES 64

/* Writes the name of this process' uprobe number @number into @name_out. -EIO: no /proc. */
int gj_uprobe_name(const char *prefix, unsigned int number, char name_out[GJ_UPROBE_NAME_BYTES]);

/*
 * gj_uprobe_add - define an event in group GJ_UPROBE_GROUP
 * @name: from gj_uprobe_name
 * @path: of the binary, without blanks; as the kernel of this process reaches it
 * @fetch: fetch arguments ("g=%ax:x64 ..."), "" for none
 */
int gj_uprobe_add(const char *name, const char *path, uint64_t file_off, const char *fetch,
		  struct gj_diag *diag);

/* 0; -EBUSY while something still uses it; -ENOENT. */
int gj_uprobe_remove(const char *name, struct gj_diag *diag);

/* The number that perf_event_attr.config takes for the event; -ENOENT. */
int gj_uprobe_event_id(const char *name, uint64_t *id_out, struct gj_diag *diag);

/*
 * gj_uprobes_clean - remove the events of processes that are gone
 * @removed_out: how many were removed
 * @kept_out: how many belong to live processes or are in use
 */
int gj_uprobes_clean(unsigned int *removed_out, unsigned int *kept_out, struct gj_diag *diag);
/* The same without removing any. */
int gj_uprobes_stale(unsigned int *stale_out, unsigned int *kept_out, struct gj_diag *diag);

/*
 * gj_probe_cost_ns - what one hit costs on this machine
 *
 * Puts a counting uprobe on an emulated instruction of this very program, calls
 * it, and takes the difference; a few milliseconds. 0, or a negative errno when
 * perf events on uprobes are not permitted.
 */
int gj_probe_cost_ns(uint64_t *cost_ns_out);
/* The same for an instruction that is single-stepped (RET). */
int gj_probe_stepped_cost_ns(uint64_t *cost_ns_out);

/*
 * gj_uprobe_count - how often an event is hit, system-wide
 * @event_ids, @event_cnt: from gj_uprobe_event_id
 * @window_ns: how long to count
 */
int gj_uprobe_count(const uint64_t *event_ids, unsigned int event_cnt, uint64_t window_ns,
		    uint64_t *hits_out);

#endif
