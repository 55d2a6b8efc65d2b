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

#endif
