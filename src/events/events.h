/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Files of `gojitter trace --events`: events in order of time, what was lost, and
 * the names that go with their numbers. Format: docs/events.md.
 *
 * A file is read from front to back; names stand before what uses them, so one that
 * was cut is good up to the cut. Not thread-safe.
 */
#ifndef GJ_EVENTS_H
#define GJ_EVENTS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/cursor.h"
#include "base/err.h"
#include "gj_trace_events.h"

#define GJ_EVENTS_MAGIC "GJEVENT1"
#define GJ_EVENTS_ABI 1
#define GJ_EVENTS_MAX_PROGRAMS 16 /* what gj_func has room for above GJ_FUNC_SHIFT */
#define GJ_EVENTS_MAX_CPUS 8192   /* NR_CPUS of the biggest kernels */

/* What a file says of itself. */
struct gj_events_head {
	uint64_t monotonic_ns, realtime_ns; /* the same moment by both clocks */
	char boot_id[40];                   /* /proc/sys/kernel/random/boot_id; "" */
	uint64_t kinds;                     /* GJ_EVENT_BIT of those that were asked for */
	uint32_t cpu_cnt;
	bool by_perf;                       /* through perf buffers: the kernel has no ring buffer */
};

/* A program of the events. Texts live as long as the file is open. */
struct gj_events_program {
	uint32_t number;        /* struct gj_event.program */
	int go_minor;           /* N of Go 1.N */
	uint64_t text_va;       /* link-time address that function numbers count from */
	const char *path;       /* NULL: there is no such program */
	const char *go_version; /* "go1.24.4" */
	const char *build_id;   /* GNU build id in hex; "": none */
	const char *go_build_id;
};

/* Where a goroutine began to wait: link-time addresses, innermost first. */
struct gj_events_stack {
	uint64_t id;            /* struct gj_event_goroutine.at */
	uint32_t program;
	uint32_t pc_cnt;
	bool is_cut;            /* there are more */
	struct gj_window pcs;   /* pc_cnt times u64 address, u32 gj_func, u32 0 */
};

struct gj_events;

/*
 * gj_events_open - open a file of events
 * @events_out: the caller's until gj_events_close
 *
 * Returns 0, errors of open(2), -EBADMSG when it is no such file, -EOPNOTSUPP for
 * a newer ABI, -ENOMEM.
 */
int gj_events_open(const char *path, struct gj_events **events_out, struct gj_diag *diag);
/* The same over bytes in memory, which must outlive it. @label stands for the path. */
int gj_events_open_bytes(struct gj_window bytes, const char *label, struct gj_events **events_out,
			 struct gj_diag *diag);
void gj_events_close(struct gj_events *events); /* NULL allowed */

const struct gj_events_head *gj_events_head(const struct gj_events *events);

/*
 * gj_events_next - the next event
 *
 * Those of kind events_lost stand where events of one CPU are missing (cpu,
 * span.count_ns: how many); their time is the block's first. Times do not go back
 * but for events that gj_events_late counts.
 *
 * Returns 1, 0 at the end, -EBADMSG where the file contradicts itself, -ENODATA where
 * it was cut; the last two with @diag, and again when called again. -ENOMEM.
 */
int gj_events_next(struct gj_events *events, struct gj_event *event_out, struct gj_diag *diag);

/* Sums of what was read so far. */
uint64_t gj_events_count(const struct gj_events *events, enum gj_event_kind kind);
uint64_t gj_events_lost(const struct gj_events *events);
uint64_t gj_events_late(const struct gj_events *events); /* out of order by more than the writer's window */

/* NULL past the last, or not yet read. */
const struct gj_events_program *gj_events_program(const struct gj_events *events, uint32_t number);
/* As .gopclntab has it; NULL: not known. Lives as long as the file is open. */
const char *gj_events_func(const struct gj_events *events, uint32_t func);
/* A wait reason of a program's release; NULL: not known. */
const char *gj_events_reason(const struct gj_events *events, uint32_t program, uint32_t reason);
/* The stack that a goroutine_waiting event names; 0 or -ENOENT. */
int gj_events_stack(const struct gj_events *events, const struct gj_event *event,
		    struct gj_events_stack *stack_out);
/* Address @index of a stack and its function (gj_func); false past the last. */
bool gj_events_stack_pc(const struct gj_events_stack *stack, uint32_t index, uint64_t *va_out,
			uint32_t *func_out);

/* What the file calls a kind, which may be newer than we are; NULL: not known. */
const char *gj_events_kind(const struct gj_events *events, unsigned int kind);

/* Names of numbers; static, NULL where there is none. */
const char *gj_event_kind_name(unsigned int kind);
const char *gj_event_syscall_name(unsigned int number);    /* of amd64: "read" */
const char *gj_event_status_name(unsigned int status);     /* enum gj_g_status */
const char *gj_event_stw_reason_name(unsigned int reason); /* enum gj_stw_reason */
const char *gj_event_queued_name(unsigned int queued);     /* of thread_runnable: "woken" */
/* The feature of `gojitter trace` whose programs tell @kind: "gc"; NULL. */
const char *gj_event_kind_feature(unsigned int kind);
/* Kinds called @name: one, or with a feature's name all of that. 0: there is none. */
uint64_t gj_event_kinds_find(const char *name, size_t name_bytes);

/*
 * The writer. Events come in any order within a window; they are kept until they are
 * older than that.
 */
struct gj_events_writer;

/* What the writer asks for names. */
struct gj_events_names {
	void *data;
	/* As .gopclntab has it, valid until the next call; NULL: not known. */
	const char *(*func)(void *data, uint32_t func);
	/* The stack of a goroutine_waiting event: 16-byte rows as in gj_events_stack. 0 or negative. */
	int (*stack)(void *data, const struct gj_event *event, struct gj_events_stack *stack_out,
		     struct gj_buf *pcs_out);
};

/*
 * gj_events_writer_new - begin a file
 * @fd: borrowed; written at its position
 * @names: copied
 *
 * 0, -ENOMEM or errors of write(2).
 */
int gj_events_writer_new(int fd, const struct gj_events_head *head,
			 const struct gj_events_names *names,
			 struct gj_events_writer **writer_out);
void gj_events_writer_free(struct gj_events_writer *writer); /* NULL allowed; writes nothing */
/* A program, before events of it; @reason: name of a wait reason there, NULL. */
int gj_events_write_program(struct gj_events_writer *writer,
			    const struct gj_events_program *program,
			    const char *(*reason)(int go_minor, unsigned int reason));
/* Keeps a copy of an event. 0 or -ENOMEM. */
int gj_events_write(struct gj_events_writer *writer, const struct gj_event *event);
/*
 * gj_events_flush - write what is older
 * @until_ns: events up to that time; UINT64_MAX: all
 * @lost: by CPU, how many were lost since the last call; NULL: none
 *
 * 0, -ENOMEM or errors of write(2).
 */
int gj_events_flush(struct gj_events_writer *writer, uint64_t until_ns, const uint64_t *lost,
		    size_t cpu_cnt);
/* Writes what is left and the file's end. As gj_events_flush. */
int gj_events_finish(struct gj_events_writer *writer, const uint64_t *lost, size_t cpu_cnt);
uint64_t gj_events_written(const struct gj_events_writer *writer);

/* An event as one line of text or JSON, without newline, with all names that are known. */
void gj_events_text(const struct gj_events *events, const struct gj_event *event,
		    struct gj_buf *out);
void gj_events_json(const struct gj_events *events, const struct gj_event *event,
		    struct gj_buf *out);
/* The head and its programs as one line of JSON. */
void gj_events_json_head(const struct gj_events *events, struct gj_buf *out);

#endif
