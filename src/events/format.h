/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Layout of a file of events, for who writes and who reads it; little-endian.
 *
 *   head     GJ_EVENTS_MAGIC, u32 ABI, u32 bytes of the head, then struct gj_events_head's:
 *            u64 monotonic_ns, u64 realtime_ns, u64 kinds, u32 cpu_cnt, u32 flags, u8[40] boot id
 *   chunks   u32 what (enum), u32 bytes behind it, those bytes
 *
 * PROGRAM    u32 number, u32 go_minor, u64 text_va, four strings: path, Go's version,
 *            GNU build id (hex), Go's build id
 * REASONS    u32 count, u32 program, that many times u32 reason, string
 * KINDS      u32 count, that many times u32 kind, string
 * FUNCS      u32 count, that many times u32 gj_func, string
 * STACKS     u32 count, that many times u64 id, u32 program, u32 flags (1: is cut),
 *            u32 pc_cnt, u32 0, pc_cnt times u64 address, u32 gj_func, u32 0
 * END        u64 events in the file; without it the file was cut
 * EVENTS     u32 event_cnt, u32 lost_cnt, u64 first_ns, u64 late_cnt, then lost_cnt times
 *            u32 cpu, u32 0, u64 count; then the events
 *
 * A string is u16 bytes, those bytes, NUL. An event is u16 fields, then for each bit of
 * it, lowest first, the difference to the event before in the block (the first: to 0,
 * time to first_ns), zigzag, LEB128. Fields: time_ns, tgid, tid, goid, func, cpu, kind,
 * program, and the union as u32, u32, u64, u64.
 */
#ifndef GJ_EVENTS_FORMAT_H
#define GJ_EVENTS_FORMAT_H

#include <stdint.h>

#include "gj_trace_events.h"

enum gj_chunk {
	GJ_CHUNK_PROGRAM = 1,
	GJ_CHUNK_REASONS = 2,
	GJ_CHUNK_KINDS = 3,
	GJ_CHUNK_FUNCS = 4,
	GJ_CHUNK_STACKS = 5,
	GJ_CHUNK_EVENTS = 6,
	GJ_CHUNK_END = 7,
};

#define GJ_EVENTS_HEAD_BYTES 88
#define GJ_EVENTS_FLAG_PERF 1u
#define GJ_STACK_FLAG_CUT 1u
#define GJ_STACK_ROW_BYTES 16

enum { FIELD_TIME, FIELD_TGID, FIELD_TID, FIELD_GOID, FIELD_FUNC, FIELD_CPU, FIELD_KIND,
       FIELD_PROGRAM, FIELD_A, FIELD_B, FIELD_C, FIELD_D, FIELD_CNT };

/* The union's members have these in common (all are 24 bytes, taken for u32, u32, u64, u64). */
static inline void gj_event_to_fields(const struct gj_event *event, uint64_t fields[FIELD_CNT])
{
	fields[FIELD_TIME] = event->time_ns;
	fields[FIELD_TGID] = event->tgid;
	fields[FIELD_TID] = event->tid;
	fields[FIELD_GOID] = event->goid;
	fields[FIELD_FUNC] = event->func;
	fields[FIELD_CPU] = event->cpu;
	fields[FIELD_KIND] = event->kind;
	fields[FIELD_PROGRAM] = event->program;
	fields[FIELD_A] = event->span.what;
	fields[FIELD_B] = event->span.flags;
	fields[FIELD_C] = event->span.count_ns;
	fields[FIELD_D] = event->span.kernel_ns;
}

static inline void gj_event_of_fields(struct gj_event *event, const uint64_t fields[FIELD_CNT])
{
	*event = (struct gj_event){
		.time_ns = fields[FIELD_TIME],
		.tgid = (uint32_t)fields[FIELD_TGID],
		.tid = (uint32_t)fields[FIELD_TID],
		.goid = fields[FIELD_GOID],
		.func = (uint32_t)fields[FIELD_FUNC],
		.cpu = (uint16_t)fields[FIELD_CPU],
		.kind = (uint8_t)fields[FIELD_KIND],
		.program = (uint8_t)fields[FIELD_PROGRAM],
		.span = { (uint32_t)fields[FIELD_A], (uint32_t)fields[FIELD_B], fields[FIELD_C],
			  fields[FIELD_D] },
	};
}

#endif
