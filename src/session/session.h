/* SPDX-License-Identifier: GPL-2.0 */
/*
 * One run over one recording: what the parts of src/session share. The public
 * face is include/gojitter.h.
 */
#ifndef GJ_SESSION_H
#define GJ_SESSION_H

#include "base/cursor.h"
#include "base/limits.h"
#include "gojitter.h"
#include "report/report.h"
#include "sample/sample.h"
#include "stitch/stitch.h"

/* What a location tells of its goroutine; struct gj_location.classes. */
enum gj_class {
	GJ_CLASS_GOEXIT = 1 << 0,      /* runtime.goexit: root of a goroutine */
	GJ_CLASS_SCHED = 1 << 1,       /* runtime.mcall or what runs only below it */
	GJ_CLASS_SYSTEMSTACK = 1 << 2,
	GJ_CLASS_ROOT = 1 << 3,        /* another root: mstart, rt0_go, a C thread's start */
	GJ_CLASS_ASM = 1 << 4,         /* Go assembly: R14 need not be g */
	GJ_CLASS_INTERRUPTED = 1 << 5, /* its caller was interrupted: exact address, no call */
	GJ_CLASS_COROUTINES = 1 << 6,  /* the image links runtime.coroswitch_m */
	GJ_CLASS_LACKS = 1 << 7,       /* in a chain by frame pointers its caller is left out */
	GJ_CLASS_UNNAMED = 1 << 8,     /* user code of which nobody knows the function */
	GJ_CLASS_TOP = 1 << 9,         /* what a chain by frame pointers has behind it is another stack's */
	GJ_CLASS_MORESTACK = 1 << 10,  /* runtime.morestack */
	GJ_CLASS_CLONE = 1 << 11,      /* runtime.clone and what it calls: where new threads begin */
};

enum gj_format { GJ_FORMAT_PERF, GJ_FORMAT_FOLDED, GJ_FORMAT_JSON, GJ_FORMAT_CHAINS, GJ_FORMAT_PPROF };

/*
 * format=chains, which `gojitter inject` reads: one for each sample with a user
 * part, in the order of their times, and one that says how much came before it.
 */
enum gj_chain_kind {
	GJ_CHAIN_CUT = 0,
	GJ_CHAIN_COMPLETE = 1, /* it ends at a goroutine's or thread's root */
	GJ_CHAIN_END = 2,      /* the last entry; time_ns is the bytes before it */
};

struct gj_chain_entry {
	uint64_t time_ns, ip; /* of the sample, as the host has them */
	uint32_t tid;
	int32_t cpu;
	uint32_t va_cnt; /* so many u64 follow: user addresses, innermost first */
	uint32_t kind;   /* enum gj_chain_kind */
};

struct gj_options {
	enum gj_format format;
	struct gj_report report;
	bool goid, lines, short_names, readable, show_probe;
	bool chose_goid;         /* goid= was given */
	bool prints_file_off;    /* of gj_host */
	bool host_lines;         /* the host prints every first line: its own options shape them */
	bool repair;             /* callers that a chain by frame pointers lacks */
	bool quality;            /* a line on the run at its end */
	bool ordered;            /* the host prints other records too: text must not wait */
	unsigned int name_flags; /* GJ_NAME_* of short_names and readable */
	unsigned int max_stack; /* frames of a call chain shown */
	const char *stop_bt; /* frames where perf ends a chain; it prints what is not Go's then */
	const char *event;   /* the only one shown; NULL: all, in folded stacks the first seen */
	const char *symfs;
	const char *output;  /* of format=pprof; these four borrowed from the arguments */
	unsigned int labels; /* GJ_LABEL_* of format=pprof */
	bool kernel;         /* format=pprof: the kernel's frames too */
	struct gj_pprof *pprof; /* the profile being made; NULL in other formats */
};

/* 0, or -EINVAL with @diag. */
int gj_options_parse(struct gj_options *options, char *const *args, int arg_cnt,
		     struct gj_diag *diag);

/* What perf keeps of a build id (tools/perf/util/build-id.h). */
#define GJ_BUILD_ID_BYTES 20

/*
 * The files behind the mappings, opened once each. A file that cannot be read,
 * is not Go, or is not the one that was recorded stays known as such.
 */
struct gj_dso {
	char *path; /* as the host names it; owned */
	struct gj_image *image;
	struct gj_gotab *gotab; /* NULL: no Go code to be had */
	uint8_t build_id[GJ_BUILD_ID_BYTES]; /* as recorded */
	size_t build_id_bytes;               /* 0: not known */
	uint64_t text_off, text_end_off;     /* the executable segment in the file; empty: unknown */
	bool has_coroutines;
	bool is_vdso;
	struct gj_goffsets *offsets; /* of its Go runtime, once asked for; owned; NULL: not known */
	bool is_offsets_tried;
	uint64_t root_id; /* what the path begins at; 0: this process' own root directory */
	const char *problem; /* why there is no image, until it has been told; static text */
};

struct gj_dsos;

struct gj_dsos *gj_dsos_new(const struct gj_host *host, const char *symfs);
void gj_dsos_free(struct gj_dsos *dsos);
/* Says once why @dso could not be read, when something stood in the way. */
void gj_dsos_explain(struct gj_dsos *dsos, struct gj_dso *dso);
/* Tells how many files were passed over in silence. */
void gj_dsos_sum_up(const struct gj_dsos *dsos);
/* Where the Go runtime in @dso keeps its fields, NULL where that is not known: told once, why. */
const struct gj_goffsets *gj_dsos_offsets(struct gj_dsos *dsos, struct gj_dso *dso);
/* @pid: a process that has it mapped. NULL only when memory is out. */
struct gj_dso *gj_dsos_find(struct gj_dsos *dsos, const struct gj_mapping *mapping, uint32_t pid);

/* A record whose first line the host prints: what of it is ours, until that line comes. */
struct gj_shared {
	bool is_pending;
	struct gj_buf event; /* name, to find its place in the line */
	struct gj_goid goid;
};

void gj_shared_deinit(struct gj_shared *shared);
/* Keeps what is needed of @record but its locations. 0 or -ENOMEM. */
int gj_shared_put(struct gj_shared *shared, const struct gj_record *record);
/*
 * The host's @text with our parts in it, @locations written as the host writes its frames.
 * @event_width_out: the columns the host gives an event's name; 0 when the line shows none
 */
void gj_shared_merge(struct gj_shared *shared, const struct gj_report *report,
		     const struct gj_location *const *locations, size_t location_cnt,
		     struct gj_window text, struct gj_buf *out, unsigned int *event_width_out);

/* Labels of a profile's samples. */
enum gj_label_kind {
	GJ_LABEL_GOID = 1 << 0,
	GJ_LABEL_THREAD = 1 << 1,
	GJ_LABEL_CPU = 1 << 2,
	GJ_LABEL_PPROF = 1 << 3, /* the program's own */
};

/* The profile that format=pprof makes. */
struct gj_pprof;

struct gj_pprof *gj_pprof_new(const struct gj_options *options); /* NULL: out of memory */
void gj_pprof_free(struct gj_pprof *pprof);                     /* NULL allowed */
/* The clock of the samples and the time of day at one moment, in ns. */
void gj_pprof_clock(struct gj_pprof *pprof, uint64_t wall_ns, uint64_t clock_ns);
/*
 * Appends to @text what stands for @location in a record's locations.
 * @dso: NULL for the kernel proper and unmapped addresses; @file_off: in it
 */
void gj_pprof_location(struct gj_pprof *pprof, const struct gj_dso *dso, uint64_t file_off,
		       bool is_return, const struct gj_location *location, struct gj_buf *text);
/* 0; -E2BIG when the profile is full; -ENOMEM. */
int gj_pprof_add(struct gj_pprof *pprof, const struct gj_record *record);
/* Writes the profile to the run's output=. 0, or negative errno with @diag. */
int gj_pprof_end(struct gj_pprof *pprof, struct gj_diag *diag);

/*
 * Locations seen, so that each is symbolized and formatted once. Bounded: when
 * the cap is reached all are dropped, so a location lives only until the next
 * gj_locations_trim.
 */
struct gj_locations;

struct gj_locations *gj_locations_new(const struct gj_options *options);
void gj_locations_free(struct gj_locations *locations);
/* True when all of them have been dropped. */
bool gj_locations_trim(struct gj_locations *locations);
/* From here on locations tell whether their caller is lacking; @repair: borrowed. */
void gj_locations_repair(struct gj_locations *locations, struct gj_repair *repair);
/*
 * @dso: NULL for kernel and unmapped addresses
 * @is_return: @ip is a return address, the call stands before it
 * NULL only when memory is out.
 */
const struct gj_location *gj_locations_find(struct gj_locations *locations,
					    const struct gj_dso *dso,
					    const struct gj_mapping *mapping, uint64_t ip,
					    bool is_kernel, bool is_return);
/* The function that holds @ip, wherever in it: no inlined calls, no line. */
const struct gj_location *gj_locations_function(struct gj_locations *locations,
						const struct gj_dso *dso, uint64_t file_off,
						uint64_t ip);
/* The same where it is known already, else NULL. */
const struct gj_location *gj_locations_known(const struct gj_locations *locations,
					     const struct gj_dso *dso, uint64_t file_off,
					     uint64_t ip, bool is_return);
/* The location of @ip in the kernel proper, which does not move, where it is known already. */
const struct gj_location *gj_locations_kernel(const struct gj_locations *locations,
					      uint64_t ip);

/*
 * Registers by their numbers in the recording (arch/.../include/uapi/asm/perf_regs.h).
 * g is where Go keeps the goroutine: R14, X28.
 */
struct gj_reg_numbers {
	enum gj_arch arch;
	unsigned int g, sp, ip;
};

/* User register @reg of @sample; false, and 0, when it was not recorded. */
bool gj_sample_reg(const struct gj_sample *sample, unsigned int reg, uint64_t *value_out);

/* Where a process' Go runtime was met last. */
struct gj_runtime_place {
	uint32_t pid;
	uint64_t va;
};
#define GJ_RUNTIME_PLACES 64 /* power of two */
/* What was put between two addresses of a chain before. */
struct gj_put {
	const struct gj_location *last; /* NULL: free */
	uint64_t ip;                    /* behind it in the chain */
	const struct gj_location *found[GJ_REPAIR_MAX];
	uint8_t cnt;
	bool may_miss;
};

#define GJ_PUT_CNT 1024

/* The locations of one sample, until the next one. */
struct gj_chain {
	struct gj_host host;
	struct gj_dsos *dsos;
	struct gj_locations *locations;
	struct gj_reg_numbers regs;
	size_t max;                                    /* entries of a recorded chain looked at */
	const struct gj_sample *sample;                /* at hand */
	const struct gj_location *found[GJ_MAX_CHAIN]; /* innermost first */
	enum gj_how hows[GJ_MAX_CHAIN];
	bool gaps[GJ_MAX_CHAIN]; /* callers before this one may be missing */
	size_t gap_cnt, repaired_cnt;
	size_t unnamed_cnt; /* user locations without a name */
	uint32_t classes;   /* of all locations together */
	enum gj_cut cut; /* of a walk over a dump */
	size_t cnt;
	size_t first_user; /* index of the innermost user location */
	const struct gj_location *leaf; /* of the sample's own address */
	bool has_go;
	bool is_all_core; /* nothing but the kernel proper */
	bool is_cut;      /* out of memory */
	bool is_return;   /* the last recorded address was added as one */
	bool is_topped;   /* a recorded chain was followed to a root */
	/* The file whose text the sample's addresses lie in, at address minus bias. */
	const struct gj_dso *text;
	uint64_t text_bias;
	uint64_t user[GJ_MAX_CHAIN]; /* the recorded chain's user part */
	size_t user_cnt;

	/* The sampler's; NULL: none. */
	struct gj_stack_records *records;
	struct gj_stack_sample recorded; /* of the sample at hand */
	bool has_record;
	struct gj_stitcher *stitcher;
	struct gj_stack_frame walked[GJ_MAX_CHAIN];
	struct gj_stack stack; /* the user part as walked, over those frames */
	bool is_walked;        /* there was something to walk */
	struct gj_dso *go;     /* the image with the Go runtime; NULL: none met */
	struct gj_runtime_place runtimes[GJ_RUNTIME_PLACES];
	struct gj_repair *repair; /* NULL: chains stay as they were recorded */
	struct gj_put puts[GJ_PUT_CNT];
};

/* An address of the given process; all 0 where nothing is mapped. */
struct gj_mapping gj_chain_resolve(const struct gj_chain *chain, uint64_t ip);
/*
 * Walks the user part of the sample at hand, out of its record or its stack dump,
 * with chain->user beside it; fills is_walked, stack and go. 0 or -ENOMEM.
 */
int gj_chain_walk(struct gj_chain *chain);

/* Fills all below locations. 0, or -ENOMEM: then the host prints the sample. */
int gj_chain_find(struct gj_chain *chain, const struct gj_sample *sample);

/* What a run has seen, for the line at its end. */
struct gj_quality;

struct gj_quality *gj_quality_new(void); /* NULL: out of memory */
void gj_quality_free(struct gj_quality *quality); /* NULL allowed */
/* A sample that was printed; @chain holds its locations. @with_goid: its goroutine was looked for. */
void gj_quality_count(struct gj_quality *quality, const struct gj_chain *chain,
		      const struct gj_record *record, bool with_goid);
/* Records the kernel could not deliver. */
void gj_quality_lost(struct gj_quality *quality, uint64_t cnt);
/* The line; false when there was no Go code in any sample. */
bool gj_quality_text(const struct gj_quality *quality, struct gj_buf *out);

#endif
