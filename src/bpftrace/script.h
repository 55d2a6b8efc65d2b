/* SPDX-License-Identifier: GPL-2.0 */
/* What a script is before it is filled in; of src/bpftrace only. */
#ifndef GJ_BPFTRACE_SCRIPT_H
#define GJ_BPFTRACE_SCRIPT_H

#include "bpftrace/bpftrace.h"
#include "probe/probe.h"

/* Maps that translate numbers, filled when the script begins. */
enum gj_bt_names {
	GJ_BT_NO_NAMES,
	GJ_BT_WAIT_REASONS, /* @name[g.waitreason] */
	GJ_BT_STATUSES,     /* @name[g.atomicstatus & 0xfff] */
	GJ_BT_STW_REASONS,  /* @name[stwReason] */
	GJ_BT_SIZE_CLASSES, /* @size[class], @span[class]: bytes of an object, of a span */
};

/*
 * In @body, a line "@@FUNCTION CONDITION" becomes the probe and the filter; CONDITION
 * may be missing. "%goid" becomes the offset of g.goid, "%reason" what holds the reason
 * in stopTheWorldWithSema.
 */
struct gj_bt_script {
	const char *name;
	const char *purpose; /* one line */
	const char *notes;   /* comment lines with sample output */
	enum gj_bt_names names;
	unsigned int needed_args; /* GJ_ARG_*, wherever it hooks */
	const char *body;
	const char *own_maps; /* "@a @b": not to be printed at the end */
};

extern const struct gj_bt_script gj_bt_scripts[];
extern const size_t gj_bt_script_cnt;

/* Appends the assignments that fill the maps of @names. -EOPNOTSUPP when the release is not known. */
int gj_bt_write_names(enum gj_bt_names names, int go_minor, struct gj_buf *out);

#endif
