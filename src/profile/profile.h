/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Profiles that the kernel adds up: a BPF program on a timer unwinds the stacks
 * of Go processes by tables made here and counts them; what comes out goes
 * through a session as samples do (docs/profile.md).
 */
#ifndef GJ_PROFILE_H
#define GJ_PROFILE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "elf/elf.h"
#include "gj_abi.h"
#include "gojitter.h"
#include "stitch/stitch.h"

struct gj_profile_options {
	const char *instance; /* of gojitter trace, whose samples are taken; NULL: sample @pids */
	const uint32_t *pids; /* at least one */
	unsigned int pid_cnt;
	unsigned int hz;      /* samples a second and processor */
	uint64_t for_ns;      /* 0: until a signal, or until all processes have ended */
	const char *output;   /* file; NULL: standard output */
	bool is_pprof;        /* the session writes @output by itself */
	char *const *session_args; /* key=value options of the session */
	int session_arg_cnt;
	bool by_goid;         /* count each goroutine's stacks apart */
	bool compare_fp;      /* the kernel's own walk beside ours */
	bool cost;            /* measure the program, print no profile */
	uint64_t begin_ns;    /* CLOCK_MONOTONIC, of the first sample; 0: now */
	/* One line without newline. */
	void (*say)(const char *line);
};

/*
 * gj_profile_run - take one profile, or what an instance has counted so far
 *
 * Returns 0; -EPERM when the kernel does not let this user do it, -EOPNOTSUPP
 * when it cannot, or gojitter was built without BPF; -ENOENT when a process is
 * no Go program; -ESRCH, -E2BIG, -ENOMEM, errors of open(2) and write(2).
 * Nothing stays in the kernel on any way out, SIGKILL included.
 */
int gj_profile_run(const struct gj_profile_options *options, struct gj_diag *diag);

/* --- of use to src/load, too: what the unwinder in the kernel has to be told --- */

struct gj_profile_image;
struct gj_profile_process;

/* What is profiled: processes, the images mapped in them, and their rows. */
struct gj_profile_targets {
	struct gj_profile_image *images; /* owned, as are the two below */
	size_t image_cnt;
	struct gj_profile_process *processes;
	size_t process_cnt;
	struct gj_buf rows;  /* struct gj_unwind_row, for gj_prof_row */
	struct gj_buf pages; /* struct gj_unwind_page, for gj_prof_page */
	uint64_t rows_ns;   /* what making them took */
};

struct gj_profile_process {
	uint32_t pid;
	char comm[16];
	bool has_ended;
	uint64_t vdso_va; /* where it has the vdso; 0: it has none */
	struct gj_maps *maps;
	struct gj_goruntime runtime;
	struct gj_unwind_target target;
};

/* A program that processes may come to run: its own code alone. */
struct gj_profile_program {
	struct gj_unwind_target target; /* link-time addresses */
	unsigned int range_cnt;         /* of target */
	struct gj_unwind_range vdso;    /* its start and base from where a process has it; size 0: none */
	uint16_t m_vdso_sp, m_vdso_pc;  /* of struct gj_goruntime */
};

/*
 * gj_profile_targets_add - rows for all code that is mapped in process @pid now
 *
 * Returns 0; -ENOENT when it is no Go program, -ESRCH, -E2BIG with more than
 * GJ_UNWIND_RANGES mappings, -EOPNOTSUPP, -ENOMEM, with @diag.
 */
int gj_profile_targets_add(struct gj_profile_targets *targets, uint32_t pid, struct gj_diag *diag);

/*
 * gj_profile_targets_add_program - rows for the code of the Go program at @path
 *
 * The same file as one that a process has mapped gets no rows of its own. Returns 0,
 * -ENOENT when it carries none of Go's tables, errors of open(2), -ENOMEM.
 */
int gj_profile_targets_add_program(struct gj_profile_targets *targets, const char *path,
				   struct gj_profile_program *program_out);
void gj_profile_targets_deinit(struct gj_profile_targets *targets);

/* Copies @from to the beginning of an mmapable array map. 0 or a negative errno. */
int gj_profile_fill_array(int map_fd, const struct gj_buf *from);

/*
 * A timer of CPU time on processor @cpu, running. A descriptor, or a negative errno:
 * -ENODEV where the processor is off.
 */
int gj_profile_timer(unsigned int hz, int cpu);

/* --- shared by the files of src/profile only --- */

/*
 * gj_profile_rows - what an image's code does with the stack, as rows by address
 * @gotab, @facts: NULL when it has no Go code
 * @base_va: link-time address that rows count from, below all code
 * @rows_out: array of struct gj_unwind_row, by start, owned by the caller
 *
 * The first row starts at 0. Returns 0, -ENOMEM, -E2BIG beyond
 * GJ_MAX_UNWIND_CODE_BYTES or GJ_MAX_UNWIND_ROWS.
 */
int gj_profile_rows(const struct gj_image *image, const struct gj_gotab *gotab,
		    const struct gj_stitch_facts *facts, uint64_t base_va, struct gj_buf *rows_out);

/*
 * gj_profile_pages - which rows hold in each page of an image's code
 * @rows: the image's are those from @first_row on
 * @pages_out: struct gj_unwind_page of each page up to that of the last row
 */
int gj_profile_pages(const struct gj_buf *rows, uint32_t first_row, struct gj_buf *pages_out,
		     uint32_t *page_cnt_out);

/* One file, or the vdso, that is mapped executable in some process. */
struct gj_profile_image {
	uint64_t inode;
	uint32_t dev_major, dev_minor;
	bool is_vdso;
	struct gj_image *image; /* NULL: cannot be read, nothing is known of its code */
	struct gj_gotab *gotab;
	struct gj_stitch_facts facts; /* where there is a gotab */
	struct gj_symbol_index *symbols; /* made when first needed */
	uint64_t base_va;
	uint32_t first_page, page_cnt;
};

struct gj_profile_process *gj_profile_process(const struct gj_profile_targets *targets,
					      uint32_t pid);
/* The image behind @vma, NULL when it was not there at the beginning. */
struct gj_profile_image *gj_profile_image(const struct gj_profile_targets *targets,
					  const struct gj_vma *vma);

/* Names of the kernel's functions, out of /proc/kallsyms. */
struct gj_kallsyms;

struct gj_kallsyms *gj_kallsyms_new(void); /* NULL: out of memory; without permission it is empty */
void gj_kallsyms_free(struct gj_kallsyms *kallsyms); /* NULL allowed */
/* @mapping_out: dso, and sym where it is known; until the next call. -ENOENT outside the kernel. */
int gj_kallsyms_find(const struct gj_kallsyms *kallsyms, uint64_t va,
		     struct gj_mapping *mapping_out);

/* The BPF program, loaded. */
struct gj_profiler;

/* A program that is known by its file alone. */
struct gj_profile_gone {
	const char *path;
	struct gj_image *image; /* NULL: it is not there any more */
};

/* Stands for all of the kernel's part in a stack: no address anything is at. */
#define GJ_PROFILE_THE_KERNEL (1ull << 63)

/* One stack and how often it was seen. */
struct gj_profile_entry {
	uint32_t pid;
	const struct gj_profile_gone *gone; /* NULL: the process is there */
	uint64_t bias; /* with @gone: run-time less link-time addresses */
	uint64_t goid; /* 0: none, or not asked for */
	uint64_t cnt;
	const struct gj_profile_stack *stack; /* for the call */
};

int gj_profiler_new(const struct gj_profile_options *options,
		    const struct gj_profile_targets *targets, struct gj_profiler **profiler_out,
		    struct gj_diag *diag);
void gj_profiler_free(struct gj_profiler *profiler); /* NULL allowed */
/* Begins sampling. */
int gj_profiler_start(struct gj_profiler *profiler, struct gj_diag *diag);
void gj_profiler_stop(struct gj_profiler *profiler);
/* Takes out what has been counted; stops at the first non-zero result of @take. */
int gj_profiler_drain(struct gj_profiler *profiler,
		      int (*take)(void *data, const struct gj_profile_entry *entry), void *data,
		      struct gj_diag *diag);
/* All keys of a map of ours at this moment, one after another in @keys. 0 or -ENOMEM. */
int gj_profile_keys(int map_fd, size_t key_bytes, struct gj_buf *keys);
void gj_profiler_sums(struct gj_profiler *profiler, struct gj_profile_sums *sums_out);
/* Of all samples. */
uint64_t gj_profiler_count(const struct gj_profile_sums *sums);
/* What a sample took in each program: doing nothing, the kernel's own walk, ours; 0: never ran. */
struct gj_profile_cost {
	uint64_t empty_ns, fp_ns, ours_ns; /* mean */
	uint64_t samples;
};
void gj_profiler_cost(struct gj_profiler *profiler, struct gj_profile_cost *cost_out);

/* How many, how many whole, and why the others are not. */
void gj_profile_say_sums(const struct gj_profile_options *options,
			 const struct gj_profile_sums *sums, uint64_t lasted_ns);

/* gj_profile_run with options->instance (src/profile/pinned.c). */
int gj_profile_run_pinned(const struct gj_profile_options *options, struct gj_diag *diag);

/* The way from entries to text. */
struct gj_profile_sink;

struct gj_profile_sink *gj_profile_sink_new(const struct gj_profile_options *options,
					    struct gj_profile_targets *targets,
					    struct gj_diag *diag); /* NULL with @diag */
int gj_profile_sink_take(void *sink, const struct gj_profile_entry *entry);
/* Writes what is left and frees it. 0 or the error of writing. */
int gj_profile_sink_end(struct gj_profile_sink *sink, struct gj_diag *diag);

#endif
