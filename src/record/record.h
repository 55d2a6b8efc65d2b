/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Recording with perf so that goroutines are known afterwards: finds the Go
 * programs, puts a probe on runtime.execute of each, runs `perf record`, and
 * leaves snapshots of their goroutines behind the samples.
 *
 * What it makes is an ordinary perf.data file (docs/recording.md).
 */
#ifndef GJ_RECORD_H
#define GJ_RECORD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/err.h"
#include "elf/elf.h"
#include "goroutine/goroutine.h"
#include "probe/probe.h"

enum gj_call_graph {
	GJ_CALL_GRAPH_FP,
	GJ_CALL_GRAPH_DWARF,
	GJ_CALL_GRAPH_BOTH, /* the chain, and a slice of the stack by the sampler */
};

/* Whether to set a probe on runtime.execute. */
enum gj_use_probe {
	GJ_PROBE_AUTO, /* where the sampler does not tell goroutines */
	GJ_PROBE_ALWAYS,
	GJ_PROBE_NEVER, /* registers and snapshots only */
};

struct gj_record_options {
	const char *perf;         /* program to run; found on PATH */
	const char *output;       /* file, or "-" for a pipe on standard output */
	unsigned int hz;          /* samples a second and event */
	enum gj_call_graph call_graph;
	unsigned int dump_bytes;  /* of the user stack, for GJ_CALL_GRAPH_DWARF */
	unsigned int stack_bytes; /* that the sampler takes, of each stack at most */
	unsigned int slice_bytes; /* for GJ_CALL_GRAPH_BOTH, of the goroutine's or C's that the thread is on */
	bool use_bpf;             /* the two-stack sampler where it can be had */
	const char *held;         /* program to run as PROGRAM record --held=FDS -- COMMAND (gj_held_command) */
	const char *const *events; /* perf's notation; none: cycles, or cpu-clock without counters */
	unsigned int event_cnt;
	const uint32_t *pids;
	unsigned int pid_cnt;
	bool system_wide;
	const char *cpus;         /* perf's -C, NULL: all */
	const char *pages;        /* perf's -m, NULL: perf's own choice */
	bool compress;            /* perf's -z */
	enum gj_use_probe probe;
	unsigned int max_cost_percent; /* of one processor; above it no probe is set */
	bool dry_run, quiet;
	char *const *command;     /* NULL-terminated; NULL: none */
	/* One line without newline; what is done, what it costs, what cannot be known. */
	void (*say)(const char *line);
	/* What perf has printed, as it is. */
	void (*repeat)(const char *text, size_t size_bytes);
};

/*
 * gj_record_run - record until the command ends, the targets end, or a signal
 * asks for the end
 * @exit_status_out: perf's own exit status
 *
 * Returns 0 or a negative errno with @diag. Probes are removed on every way
 * out but SIGKILL; then the next run removes them.
 */
int gj_record_run(const struct gj_record_options *options, int *exit_status_out,
		  struct gj_diag *diag);

/*
 * gj_held_command - become @command when told to
 * @fds: numbers of descriptors: the one a byte comes through, what is to be its
 *       standard error, then those to be closed
 *
 * Returns only with the reason why not.
 */
int gj_held_command(const char *fds, char *const *command, struct gj_diag *diag);

/* Whether the two-stack sampler can run here: 0, or a negative errno with @diag. */
int gj_sampler_allowed(struct gj_diag *diag);

/* --- shared by the files of src/record only --- */

/* One Go binary that is to be probed. */
struct gj_program {
	dev_t dev;
	ino_t ino;
	char *label;              /* for people: path as its process sees it; owned */
	char *path;               /* for the kernel: where this process reaches it; owned */
	int fd;                   /* keeps /proc/self/fd paths alive; -1 */
	struct gj_image *image;
	struct gj_gotab *gotab;
	struct gj_goffsets offsets;
	struct gj_probe_plan plan;
	bool is_planned;          /* offsets and plan hold */
	char event[GJ_UPROBE_NAME_BYTES]; /* "" while no event is defined */
};

struct gj_programs {
	struct gj_program *list; /* owned */
	unsigned int cnt;
};

/* Adds what must be known of the file; -ENOENT with no @diag when it is no Go program. */
int gj_programs_add_file(struct gj_programs *programs, const char *path, struct gj_diag *diag);
int gj_programs_add_process(struct gj_programs *programs, uint32_t pid, struct gj_diag *diag);
void gj_programs_deinit(struct gj_programs *programs); /* removes their events too */
/* Defines the events of all planned programs; 0 or the first failure. */
int gj_programs_define(struct gj_programs *programs, struct gj_diag *diag);

/* Go processes whose goroutines are looked at. */
struct gj_watch;

struct gj_watch *gj_watch_new(void (*say)(const char *line)); /* NULL: out of memory */
void gj_watch_free(struct gj_watch *watch);
/* Looks at @pid from now on if it is a Go program; says why when it is one that cannot be read. */
int gj_watch_add(struct gj_watch *watch, uint32_t pid);
/* A snapshot of every process still there. @flags: GJ_TRAIL_*. Returns goroutines seen. */
uint64_t gj_watch_snapshot(struct gj_watch *watch, uint32_t flags);
/* What one round of snapshots took last time, in ns. */
uint64_t gj_watch_cost_ns(const struct gj_watch *watch);
/* Calls @found with every process whose runtime is looked at. */
void gj_watch_each(const struct gj_watch *watch,
		   int (*found)(void *data, uint32_t pid, const struct gj_live *live), void *data);
/* Appends the snapshots and their footer behind the file; nothing when there are none. */
int gj_watch_write(struct gj_watch *watch, const char *path, struct gj_diag *diag);

/* What perf prints on its standard error. */
struct gj_perf_says {
	int fd; /* reading end, does not block; -1: perf prints by itself */
	struct gj_buf text; /* not repeated yet */
	void (*repeat)(const char *text, size_t size_bytes);
	bool quiet;
};

/* Takes what has come, and repeats it; not in a quiet recording. */
void gj_perf_says_take(struct gj_perf_says *says);
/* perf has ended; @failed: also a quiet recording tells what it said. */
void gj_perf_says_end(struct gj_perf_says *says, bool failed);

/* A perf record under way. */
struct gj_perf_run {
	pid_t pid;
	int control_fd, ack_fd; /* -1: not asked for */
	int release_fd;         /* the command waits at its other end; -1: it does not */
	struct gj_perf_says says;
};

/* 0, or -EACCES with what to do when the kernel lets this user record none of it. */
int gj_perf_allowed(const struct gj_record_options *options, struct gj_diag *diag);
/* Whether @event, in perf's notation, is SYSTEM:NAME. */
bool gj_event_is_tracepoint(const char *event);

/* Whether the help of @perf's record names @option; false also where it cannot be run. */
bool gj_perf_knows(const char *perf, const char *option);

/* When perf and what it records begin. */
enum gj_perf_begin {
	GJ_BEGIN_AT_ONCE,
	GJ_BEGIN_ENABLED, /* events are off until gj_perf_enable */
	GJ_BEGIN_HELD,    /* and the command has not begun until gj_perf_release */
};

/* 0, or why perf cannot be run. The caller waits for it, and ends @run_out->says. */
int gj_perf_start(const struct gj_record_options *options, const struct gj_programs *programs,
		  enum gj_perf_begin begin, struct gj_perf_run *run_out, struct gj_diag *diag);
/*
 * Calls @meanwhile every few milliseconds until perf has opened all its events.
 * 0; what @meanwhile returned; -EPIPE when perf ended instead.
 */
int gj_perf_await(struct gj_perf_run *run, int (*meanwhile)(void *data), void *data);
/* Lets the command begin. */
void gj_perf_release(struct gj_perf_run *run);
/* 0 once @event of our group, or all with NULL, is on; -EPIPE when perf ended instead. */
int gj_perf_enable(struct gj_perf_run *run, const char *event);
/* The command that gj_perf_start runs, as a shell would take it. */
void gj_perf_show(const struct gj_record_options *options, const struct gj_programs *programs,
		  struct gj_buf *out);

/* Calls @add with every process (threads left out); stops at its first non-zero result. */
int gj_each_process(int (*add)(void *data, uint32_t pid), void *data);
/* The same with @pid's descendants. */
int gj_each_descendant(uint32_t pid, int (*add)(void *data, uint32_t pid), void *data);

#endif
