/* SPDX-License-Identifier: GPL-2.0 */
/* Maps of bpf/metrics.bpf.c: nothing to be read by others than it. docs/metrics.md. */
#ifndef GJ_TRACE_METRICS_H
#define GJ_TRACE_METRICS_H

#include "gj_trace.h"
#include "gj_trace_alloc.h"
#include "gj_trace_gc.h"
#include "gj_trace_goroutines.h"
#include "gj_trace_netpoll.h"
#include "gj_trace_syscalls.h"
#include "gj_trace_tcp.h"
#include "gj_trace_threads.h"

/*
 * Value of `metrics_steps`. Only the type matters: the kernel keeps it with the map,
 * enumerators and all, and that is where the program finds names.
 */
struct gj_metrics_enums {
	enum gj_drop drop;
	enum gj_func func;
	enum gj_wait_reason reason;
	enum gj_g_status status;
	enum gj_stw_reason stw_reason;
	enum gj_stw_phase stw_phase;
	enum gj_size_class size_class;
	enum gj_poll_kind poll_kind;
	enum gj_syscall syscall;
	enum gj_queued queued;
	enum gj_off_cpu off_cpu;
	enum gj_thread_run thread_run;
	enum gj_family family;
};

/* Value of `metrics_names`: 0 is the instance's, 1 + N that of program number N. */
#define GJ_METRICS_NAMES 17
struct gj_metrics_name {
	char text[72]; /* letters, digits, "._-"; ended by 0 */
};

#endif
