/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What src/sample gives besides struct gj_sample and gj_perf_record_regs, which
 * are public (include/gojitter.h): a look into perf.data's own header.
 */
#ifndef GJ_SAMPLE_H
#define GJ_SAMPLE_H

#include "base/cursor.h"
#include "gojitter.h"

/*
 * Length of the longest event name of a perf.data file, to which perf script
 * pads; 0 when the file does not say (tools/perf/util/header.h, HEADER_EVENT_DESC).
 */
unsigned int gj_perf_file_event_width(struct gj_window file);

/* A stretch of a recording in which events are missing, or a moment at which a process became another program. */
struct gj_perf_gap {
	uint32_t pid;  /* 0: of any process */
	uint64_t begin_ns, end_ns; /* clock of the recording; equal for an exec */
	uint64_t lost_cnt; /* records lost; 0 for an exec */
};

/*
 * gj_perf_file_gaps - losses and execs of a perf.data file, in the file's order
 * @found: called for each; a result other than 0 ends the search and is returned
 *
 * Looks at the header of every record. Compressed records and files beside the
 * main one (perf record -z, --threads) are not looked into. Returns 0; -ENOENT
 * when the recording carries no times; -ENOMEM; -EBADMSG when the file is cut or
 * damaged, after what stands before the damage.
 */
int gj_perf_file_gaps(struct gj_window file,
		      int (*found)(void *data, const struct gj_perf_gap *gap), void *data);

#endif
