/* SPDX-License-Identifier: GPL-2.0 */
/* The records of perf.data's data section; shared by src/sample only. */
#ifndef GJ_SAMPLE_PERF_FILE_H
#define GJ_SAMPLE_PERF_FILE_H

#include "base/cursor.h"

/* {u32 type, u16 misc, u16 size}, then the body (include/uapi/linux/perf_event.h). */
struct gj_perf_record {
	uint32_t type; /* PERF_RECORD_*, or one of perf's own (tools/perf/util/event.h) */
	uint16_t misc;
	struct gj_window body;
};

/*
 * The next record of a cursor over gj_perf_file_data(), stepping over trace bytes
 * that follow some of perf's own. False at the end, or where the section is
 * cut or damaged; then gj_cursor_failed().
 */
bool gj_perf_record_next(struct gj_cursor *cur, struct gj_perf_record *record_out);

#endif
