/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The two-stack sampler as user space sees it: loads bpf/sampler.bpf.c, sets it
 * on the events of a perf record, says which programs are Go programs, and keeps
 * what it writes until the recording ends. Shared by the files of src/record only.
 */
#ifndef GJ_RECORD_SAMPLER_H
#define GJ_RECORD_SAMPLER_H

#include "gj_abi.h"
#include "record/record.h"

/*
 * What BPF programs must know of a Go program. @offsets may know more than the
 * file says (a library's TLS slot). -EOPNOTSUPP when some needed offset is not known.
 */
int gj_goruntime_fill(const struct gj_goffsets *offsets, const struct gj_image *image,
		      const struct gj_gotab *gotab, struct gj_goruntime *runtime_out);
/*
 * The same by a file. -ENOENT when it is no Go program, -EOPNOTSUPP with @diag
 * when it cannot be read, -EAGAIN for a library, which only its process tells of.
 */
int gj_goruntime_of_file(const char *path, const char *label, struct gj_goruntime *runtime_out,
			 struct gj_diag *diag);

/* Bytes on their way behind the recording, in a file without a name. */
struct gj_stack_file {
	int fd; /* -1: none */
	struct gj_buf pending;
	uint64_t size_bytes; /* written */
	uint64_t pending_cnt, cnt; /* records: in pending, written */
	int err; /* first failure; nothing is taken from then on */
};

/* With less free on its disk nothing is added any more. */
#define GJ_STACK_FILE_SPARED_BYTES (32u << 20)

/* Beside @output, where the recording will have room, too. */
int gj_stack_file_open(struct gj_stack_file *file, const char *output, struct gj_diag *diag);
void gj_stack_file_close(struct gj_stack_file *file);
/* One record, whole or not at all. */
void gj_stack_file_add(struct gj_stack_file *file, const void *bytes, size_t size_bytes);
/* Appends the trailer to @output (docs/abi.md); nothing without records. */
int gj_stack_file_append(struct gj_stack_file *file, const char *output, struct gj_diag *diag);

/* The sampling events of a perf record, by its descriptors. */
struct gj_perf_events {
	uint8_t *seen; /* by descriptor; owned */
	size_t seen_cnt;
	unsigned int set_cnt; /* of them, those that bear the program */
	int err; /* why a descriptor could not be had; 0 */
};

/*
 * gj_perf_events_set - set a program on all events of process @pid that have come since
 *
 * Events that take no such program (tracepoints, probes) are passed over. New
 * threads inherit it. A descriptor is looked at once; perf opens some in vain,
 * so that, once all are open, gj_perf_events_deinit and a last call are needed.
 * Returns 0 or why the process' descriptors cannot be listed.
 */
int gj_perf_events_set(struct gj_perf_events *events, pid_t pid, int program_fd);
void gj_perf_events_deinit(struct gj_perf_events *events);

/* Events taken and what became of them. */
struct gj_sampler_totals {
	uint64_t counts[GJ_COUNT_CNT];
	uint64_t kept_cnt; /* records in the file */
	uint64_t file_bytes;
};

struct gj_stack_sampler;

/*
 * gj_sampler_open - load the program
 * @say: one line of what is met on the way; kept
 * @ring_bytes: a power of two of at least a page
 * @stack_bytes: of each stack, at most
 * @slice_bytes: of a goroutine's or C's stack that the thread is on; where it is less
 *               than @stack_bytes, C's that called Go is left out
 *
 * Returns 0, or a negative errno with @diag saying why this kernel, this user
 * or this build does not let it run.
 */
int gj_sampler_open(unsigned int stack_bytes, unsigned int slice_bytes, uint32_t ring_bytes,
		    void (*say)(const char *line), struct gj_stack_sampler **sampler_out,
		    struct gj_diag *diag);
void gj_sampler_close(struct gj_stack_sampler *sampler); /* NULL allowed */

/* From now on records are kept, to be appended to @output. */
int gj_sampler_keep(struct gj_stack_sampler *sampler, const char *output, struct gj_diag *diag);

/*
 * Tells the program of a Go program. 0, -ENOENT when it is none, or another
 * negative errno with @diag when it cannot be read. Those met later are found
 * out by gj_sampler_drain.
 */
int gj_sampler_add_file(struct gj_stack_sampler *sampler, const char *path, struct gj_diag *diag);
int gj_sampler_add_process(struct gj_stack_sampler *sampler, uint32_t pid, struct gj_diag *diag);
/* Go in a process whose program is not Go. */
int gj_sampler_add_live(struct gj_stack_sampler *sampler, uint32_t pid, const struct gj_live *live);

/* Sets the program on events of perf process @pid that have come since. */
int gj_sampler_attach(struct gj_stack_sampler *sampler, pid_t pid);
/* The same for all, once they are open; how many there are. */
int gj_sampler_attach_all(struct gj_stack_sampler *sampler, pid_t pid, unsigned int *set_cnt_out);

/* Until the program has met something it must be told of, or @most_ms have passed. */
void gj_sampler_wait(struct gj_stack_sampler *sampler, int most_ms);

/* Takes what the program has written. To be called every 20 ms or so. */
void gj_sampler_drain(struct gj_stack_sampler *sampler);

/* The last of it, behind perf.data. */
int gj_sampler_finish(struct gj_stack_sampler *sampler, const char *output,
		      struct gj_sampler_totals *totals_out, struct gj_diag *diag);

/*
 * The sampler that @options ask for and this machine allows; NULL without, after
 * one line that says why, and with @options changed to what is done instead.
 */
struct gj_stack_sampler *gj_sampler_choose(struct gj_record_options *options);
void gj_sampler_say(const struct gj_sampler_totals *totals, void (*say)(const char *line));

#endif
