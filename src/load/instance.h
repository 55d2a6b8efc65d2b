/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the files of src/load share: the programs and processes that are traced,
 * the objects loaded for them, and the directory they are pinned in.
 */
#ifndef GJ_LOAD_INSTANCE_H
#define GJ_LOAD_INSTANCE_H

#include <sys/types.h>

#include "gj_trace.h"
#include "gj_trace_samples.h"
#include "goroutine/goroutine.h"
#include "load/load.h"
#include "profile/profile.h"

struct bpf_object;
struct bpf_program;
struct btf;

#define GJ_LOAD_MAX_BINARIES 16 /* what gj_func has room for above GJ_FUNC_SHIFT */
#define GJ_LOAD_MAX_OBJECTS 16
#define GJ_LOAD_MAX_MAPS 256

/* One Go program, or a library with a Go runtime in it. */
struct gj_load_binary {
	dev_t dev;
	ino_t ino;
	bool is_file;             /* asked for by its name: all processes that run it */
	char *label;              /* for people; owned */
	int fd;                   /* of the file, which thereby stays the same one; -1 */
	char path[32];            /* that descriptor's, for the kernel */
	struct gj_live *live;     /* owns image and gotab where the runtime is in a library; or NULL */
	struct gj_image *image;
	struct gj_gotab *gotab;
	struct gj_trace_target target; /* with bias and inode 0 */
	struct gj_feature_plan plans[GJ_FEATURE_CNT];
	uint32_t planned;         /* bit N: plans[N] is made */
};

struct gj_load_process {
	uint32_t pid;
	dev_t dev;      /* of its program */
	ino_t ino;
	struct gj_trace_target target;
	unsigned int binary; /* number of */
};

struct gj_load_targets {
	struct gj_load_binary binaries[GJ_LOAD_MAX_BINARIES];
	unsigned int binary_cnt;
	struct gj_load_process *processes; /* owned */
	unsigned int process_cnt;
};

/* Finds what @options names. 0 or negative errno with @diag; deinit in either case. */
int gj_load_targets_init(struct gj_load_targets *targets, const struct gj_trace_options *options,
			 struct gj_diag *diag);
/* Whether it is there and runs the program it ran. */
bool gj_load_is_running(const struct gj_load_process *process);
/*
 * A program's file as BPF programs read it of a process (mm->exe_file): on overlayfs and
 * btrfs stat(2) may show other numbers than the kernel has, and /proc/PID/maps those of the
 * file below. One of the two is it; they may be equal.
 */
void gj_load_exes(const struct gj_load_binary *binary, struct gj_exe exes_out[2]);
void gj_load_targets_deinit(struct gj_load_targets *targets);

/*
 * gj_load_target_fill - what the programs are told of one Go program
 * @number: of the program in its instance
 * @label: of the program, for people
 *
 * Returns 0 or -EOPNOTSUPP with @diag when its release has no such fields or its
 * slot of g is not known.
 */
int gj_load_target_fill(const struct gj_image *image, const struct gj_gotab *gotab,
			const struct gj_goffsets *offsets, unsigned int number, const char *label,
			struct gj_trace_target *target_out, struct gj_diag *diag);

/*
 * gj_load_names_add - give a BPF object's placeholders the targets' own names
 * @btf: of an object that is open and not loaded
 *
 * enum gj_func gets the functions, enum gj_wait_reason the wait reasons.
 * @unnamed_out: functions that found no room. Returns 0 or a negative errno.
 */
int gj_load_names_add(struct btf *btf, const struct gj_load_targets *targets,
		      size_t *unnamed_out);

/* A BPF object of this build. */
struct gj_load_image {
	const char *name; /* of bpf/NAME.bpf.c */
	const uint8_t *bytes;
	size_t size_bytes;
};

/* Number @index, NULL past the last; in the order in which they are to be loaded. */
const struct gj_load_image *gj_load_image(size_t index);

/* Links of the kernel (src/load/attach.c). */
enum gj_load_multi {
	GJ_LOAD_SINGLE,    /* a link for each place */
	GJ_LOAD_MULTI_ALL, /* uprobe.multi: many places in one link; not for single processes */
	GJ_LOAD_MULTI,
};
enum gj_load_multi gj_load_find_multi(void); /* what this kernel has */

/* Bits of an instance. */
struct gj_load_object {
	const char *name;
	struct bpf_object *object; /* owned */
	uint32_t place_cnt;        /* hooked in the targets */
};

struct gj_load_map {
	const char *name; /* the object's */
	int fd;           /* the object's */
};

struct gj_load_stream;

/* What bpf/samples.bpf.c is told of the targets' code. */
struct gj_load_samples {
	struct gj_profile_targets code;
	struct gj_buf functions; /* u64 each: what samples_functions has */
	struct gj_samples_program programs[GJ_LOAD_MAX_BINARIES];
};

struct gj_load {
	const struct gj_trace_options *options;
	struct gj_load_targets targets;
	struct gj_load_object objects[GJ_LOAD_MAX_OBJECTS];
	size_t object_cnt;
	struct gj_load_map maps[GJ_LOAD_MAX_MAPS];
	size_t map_cnt;
	uint32_t budget_permille; /* the options', where the kernel lets us measure */
	struct gj_load_samples samples;
	size_t unnamed_cnt; /* functions without a name in the maps */
	enum gj_load_multi multi;
	bool events_by_perf; /* the map `events` is a perf event array */
	struct gj_load_stream *stream; /* owned; NULL: no events are asked for */
	int stage_fd;    /* holds the lock of the directory that is being filled; -1 */
	char stage[512]; /* its path; "" */
};

/*
 * gj_load_object - open, fit and load one object
 * @image: which
 * @feature: whose hooks its programs go to; GJ_FEATURE_CNT: none
 *
 * Returns 0, or a negative errno with @diag; then nothing of it is left.
 */
int gj_load_object(struct gj_load *load, const struct gj_load_image *image,
		   enum gj_feature feature, struct gj_diag *diag);

/*
 * gj_load_choose_programs - turn on programs that stand in for others (src/load/variants.c)
 * @object: open and not loaded
 *
 * Returns 0 or a negative errno.
 */
int gj_load_choose_programs(struct bpf_object *object);
/* The kernel describes each tracepoint as a type, btf_trace_NAME (include/trace/bpf_probe.h). */
bool gj_load_has_tracepoint(const struct btf *kernel, const char *name);

/* Descriptor of the instance's map called @name, -1: there is none yet. */
int gj_load_find_map(const struct gj_load *load, const char *name);

/* Places where @program of @feature goes in @binary, or all where offs_out is NULL. */
size_t gj_load_places(const struct gj_load_binary *binary, enum gj_feature feature,
		      const char *program, uint64_t *offs_out);

/* Pins @fd as links/PROGRAM, further ones (@number from 0) as links/PROGRAM-2 and so on. */
int gj_load_pin_link(struct gj_load *load, const char *program, unsigned int number, int fd,
		     struct gj_diag *diag);

/* Attaches all programs of an object and pins their links below the stage. */
int gj_load_attach(struct gj_load *load, struct gj_load_object *object, enum gj_feature feature,
		   struct gj_diag *diag);

/*
 * Events (src/load/events.c). The map `events` is there in any case, as the programs
 * name it; without @options->events it is as small as can be, and not pinned.
 */
#define GJ_LOAD_EVENTS_BYTES (16u << 20) /* of the buffer, unless told */
bool gj_load_events_need_perf(const struct gj_load *load); /* asked for, or no ring buffer here */
/* Tells an object that is open which events to tell. 0 or negative errno. */
int gj_load_events_fit(const struct gj_load *load, struct bpf_object *object);

/*
 * The reader of events (src/load/stream.c): made when the targets are known, begun
 * when the map is there and before anything is attached, run when the instance has
 * its name. It takes the instance away, also when it fails. 0 or negative errno
 * with @diag.
 */
int gj_load_stream_open(struct gj_load *load, struct gj_diag *diag);
int gj_load_stream_begin(struct gj_load *load, struct gj_diag *diag);
int gj_load_stream_run(struct gj_load *load, struct gj_diag *diag);
void gj_load_stream_free(struct gj_load_stream *stream); /* NULL allowed */

/* The bpf file system (src/load/pins.c). */
int gj_pins_open(struct gj_diag *diag); /* mounted, and our directories are there */
int gj_pins_check_name(const char *instance, struct gj_diag *diag);
bool gj_pins_exist(const char *instance);
/* Makes load->stage, a directory that nobody takes for an instance; with links/ and progs/. */
int gj_pins_stage(struct gj_load *load, struct gj_diag *diag);
/* The stage gets the instance's name; one of that name is removed with @take_over. */
int gj_pins_publish(struct gj_load *load, struct gj_diag *diag);
/* Removes a stage; what was published is none any more. */
void gj_pins_unstage(struct gj_load *load);
int gj_pins_remove(const char *instance, struct gj_diag *diag);
/*
 * gj_pins_detach - take a program's links away
 * @dir_fd: of the instance's directory, or its stage's
 *
 * Returns when they are gone: 0, also when there was none; a negative errno.
 */
int gj_pins_detach(int dir_fd, const char *program);
void gj_pins_clean(void); /* what killed ones have left */

/* The census (src/load/census.c): fills its maps where they are; 0 or negative errno. */
int gj_load_census_fill(const struct gj_load *load);
/* -EOPNOTSUPP with what the kernel lacks for it. */
int gj_load_census_check(struct gj_diag *diag);
/* The same for an object of bpf-object: struct gj_census_program, struct gj_reasons. */
void gj_load_census_give(const struct gj_load_binary *binary, void *to);
void gj_load_reasons_give(const struct gj_load_binary *binary, void *to);
/* Samples (src/load/samples.c). -EOPNOTSUPP with what the kernel lacks for them. */
int gj_load_samples_check(struct gj_diag *diag);
/* Makes tables of the targets' code and sizes the maps of @object, which is not loaded yet, for them. */
int gj_load_samples_fit(struct gj_load *load, struct bpf_object *object, struct gj_diag *diag);
/* Fills its maps where they are; 0 or a negative errno. */
int gj_load_samples_fill(const struct gj_load *load);
/* Puts @program on a timer of each processor. */
int gj_load_samples_attach(struct gj_load *load, struct bpf_program *program, struct gj_diag *diag);
void gj_load_samples_tell(const struct gj_load *load, char *text_out, size_t text_bytes);
void gj_load_samples_deinit(struct gj_load_samples *samples);

/* The capability that is missing, in words, with -EPERM; 0. */
int gj_load_check_caps(struct gj_diag *diag);
bool gj_load_may_ptrace(void); /* CAP_SYS_PTRACE: processes of other users */

#endif
