/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What people and tools read: perf script's text, folded stacks, JSON lines.
 *
 * A location is one address of a stack with all frames that stand for it; its
 * text is made once, in the run's format, and copied for every sample that
 * passes it.
 */
#ifndef GJ_REPORT_H
#define GJ_REPORT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "goroutine/goroutine.h"
#include "gojitter.h"

/* How a location was found; printed as json's "how". */
enum gj_how {
	GJ_HOW_IP,     /* the sample's own address */
	GJ_HOW_KERNEL, /* the kernel's own unwinder */
	GJ_HOW_FP,     /* frame pointers, by the kernel or over the dump */
	GJ_HOW_PCSP,   /* Go's tables, over the dump */
	GJ_HOW_CFI,    /* call frame information, over the dump */
	GJ_HOW_CALL,   /* proven from the code of its caller and callee; no stack was read */
	GJ_HOW_SEAM,   /* from one stack to another (src/stitch) */
};

struct gj_frame {
	const char *name; /* NULL: unknown */
	const char *file; /* NULL: unknown */
	int32_t line;
	int32_t start_line; /* of the function; 0: unknown */
	bool inlined;
};

struct gj_location {
	const char *text;    /* as the run's format prints it */
	uint32_t text_bytes;
	uint32_t classes;    /* for src/session */
	uint64_t ip;
	bool is_kernel;
	bool is_core;        /* the kernel proper: no module, no BPF program */
	bool is_go;
	uint32_t frame_cnt;  /* at least 1; innermost first, the last one not inlined */
	struct gj_frame *frames;
	uint64_t sym_off;    /* of ip in the last frame's function */
	uint64_t printed_ip; /* as the host prints it in a call chain */
	const char *dso;     /* NULL: unmapped */
};

/* What of a record is printed (perf script's -F). */
enum gj_field {
	GJ_FIELD_COMM = 1 << 0,
	GJ_FIELD_PID = 1 << 1,
	GJ_FIELD_TID = 1 << 2,
	GJ_FIELD_CPU = 1 << 3,
	GJ_FIELD_TIME = 1 << 4,
	GJ_FIELD_EVENT = 1 << 5,
	GJ_FIELD_PERIOD = 1 << 6,
	GJ_FIELD_IP = 1 << 7,
	GJ_FIELD_SYM = 1 << 8,
	GJ_FIELD_SYMOFF = 1 << 9,
	GJ_FIELD_DSO = 1 << 10,
	GJ_FIELD_SRCLINE = 1 << 11,
	GJ_FIELD_GOID = 1 << 12,
	GJ_FIELD_DEFAULT = GJ_FIELD_COMM | GJ_FIELD_TID | GJ_FIELD_CPU | GJ_FIELD_TIME |
			   GJ_FIELD_EVENT | GJ_FIELD_PERIOD | GJ_FIELD_IP | GJ_FIELD_SYM |
			   GJ_FIELD_SYMOFF | GJ_FIELD_DSO | GJ_FIELD_GOID,
};

struct gj_report {
	unsigned int fields;      /* GJ_FIELD_* */
	bool inlines;
	bool chains;              /* format=perf: call chains, else each sample's own address only */
	bool nanoseconds;
	bool annotate;            /* folded: _[k] behind kernel functions, _[i] behind inlined ones */
	unsigned int event_width; /* perf pads event names to the longest one */
	unsigned int id_width;    /* least columns of a pid and a tid */
};

struct gj_record {
	const struct gj_sample *sample;
	const struct gj_location *const *locations; /* innermost first */
	const enum gj_how *hows;
	const bool *gaps; /* callers before a location may be missing; NULL: nothing known */
	size_t location_cnt;
	const struct gj_location *leaf; /* of the sample's own address */
	struct gj_goid goid;
	const struct gj_label *labels; /* pprof's, sorted by key; of the goroutine of goid */
	size_t label_cnt;              /* 0: none, or not known */
	bool complete; /* the user part ends at a goroutine's or thread's root */
};

/* The lines of @location as perf script prints them, srcline after each if asked for. */
void gj_report_location(const struct gj_report *report, const struct gj_location *location,
			struct gj_buf *out);
/* " goid:N", or with the reason for none in place of N. */
void gj_report_goid(const struct gj_goid *goid, struct gj_buf *out);
/* One record of format=perf, with the empty line behind it. */
void gj_report_perf(const struct gj_report *report, const struct gj_record *record,
		    struct gj_buf *out);
/* The frames of @location as objects, each with a comma behind it. */
void gj_json_location(const struct gj_report *report, const struct gj_location *location,
		      struct gj_buf *out);
/* One line of format=json. */
void gj_report_json(const struct gj_report *report, const struct gj_record *record,
		    struct gj_buf *out);

/* Stacks counted for format=folded. */
struct gj_folded;
struct gj_folded *gj_folded_new(void); /* NULL: out of memory */
void gj_folded_free(struct gj_folded *folded);
/* The frames of @location, outermost first, each with a ';' before it. */
void gj_folded_location(const struct gj_report *report, const struct gj_location *location,
			struct gj_buf *out);
/* 0 or -ENOMEM. */
int gj_folded_add(struct gj_folded *folded, const struct gj_report *report,
		  const struct gj_record *record);
/* What the stacks counted so far take. */
size_t gj_folded_bytes(const struct gj_folded *folded);
/* "comm;root;...;leaf count" lines, sorted; nothing is counted any more then. */
void gj_folded_write(struct gj_folded *folded, struct gj_buf *out);

#endif
