/* SPDX-License-Identifier: GPL-2.0 */
/*
 * One run over one recording: what the parts of src/session share. The public
 * face is include/gojitter.h.
 */
#ifndef GJ_SESSION_H
#define GJ_SESSION_H

#include "gojitter.h"
#include "report/report.h"

/* What a location tells of its goroutine; struct gj_location.classes. */
enum gj_class {
	GJ_CLASS_GOEXIT = 1 << 0,      /* runtime.goexit: root of a goroutine */
	GJ_CLASS_SCHED = 1 << 1,       /* runtime.mcall or what runs only below it */
	GJ_CLASS_SYSTEMSTACK = 1 << 2,
	GJ_CLASS_ROOT = 1 << 3,        /* another root: mstart, rt0_go, a C thread's start */
	GJ_CLASS_ASM = 1 << 4,         /* Go assembly: R14 need not be g */
	GJ_CLASS_INTERRUPTED = 1 << 5, /* its caller was interrupted: exact address, no call */
	GJ_CLASS_COROUTINES = 1 << 6,  /* the image links runtime.coroswitch_m */
};

enum gj_format { GJ_FORMAT_PERF, GJ_FORMAT_FOLDED, GJ_FORMAT_JSON };

struct gj_options {
	enum gj_format format;
	struct gj_report report;
	unsigned int name_flags;
	bool goid, show_probe;
	const char *symfs; /* borrowed from the arguments */
};

/* 0, or -EINVAL with @diag. */
int gj_options_parse(struct gj_options *options, char *const *args, int arg_cnt,
		     struct gj_diag *diag);

/*
 * The files behind the mappings, opened once each. A file that cannot be read,
 * is not Go, or is not the one that was recorded stays known as such.
 */
struct gj_dso {
	char *path; /* as the host names it; owned */
	struct gj_image *image;
	struct gj_gotab *gotab; /* NULL: no Go code to be had */
	bool has_coroutines;
};

struct gj_dsos;

struct gj_dsos *gj_dsos_new(const struct gj_host *host, const char *symfs);
void gj_dsos_free(struct gj_dsos *dsos);
/* NULL only when memory is out. */
const struct gj_dso *gj_dsos_find(struct gj_dsos *dsos, const struct gj_mapping *mapping);

/*
 * Locations seen, so that each is symbolized and formatted once. Bounded: when
 * the cap is reached all are dropped, so a location lives only until the next
 * gj_locations_trim.
 */
struct gj_locations;

struct gj_locations *gj_locations_new(const struct gj_options *options);
void gj_locations_free(struct gj_locations *locations);
void gj_locations_trim(struct gj_locations *locations);
/*
 * @dso: NULL for kernel and unmapped addresses
 * @is_return: @ip is a return address, the call stands before it
 * NULL only when memory is out.
 */
const struct gj_location *gj_locations_find(struct gj_locations *locations,
					    const struct gj_dso *dso,
					    const struct gj_mapping *mapping, uint64_t ip,
					    bool is_kernel, bool is_return);
/* The kernel location of @ip where it is known already; kernel text does not move. */
const struct gj_location *gj_locations_kernel(const struct gj_locations *locations,
					      uint64_t ip);

#endif
