/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What src/sample gives besides struct gj_sample and gj_perf_record_regs, which
 * are public (include/gojitter.h): a look into perf.data itself.
 */
#ifndef GJ_SAMPLE_H
#define GJ_SAMPLE_H

#include <linux/perf_event.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/cursor.h"
#include "base/err.h"
#include "gj_abi.h"
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
 * @passed: called now and then with bytes that will not be looked at again; NULL allowed
 *
 * Looks at the header of every record. Compressed records and files beside the
 * main one (perf record -z, --threads) are not looked into. Returns 0; -ENOENT
 * when the recording carries no times; -ENOMEM; -EBADMSG when the file is cut or
 * damaged, after what stands before the damage.
 */
int gj_perf_file_gaps(struct gj_window file,
		      int (*found)(void *data, const struct gj_perf_gap *gap),
		      void (*passed)(void *data, struct gj_window bytes), void *data);

/*
 * The time of day and the recording's clock at one moment, in ns: perf notes both
 * where the clock was chosen (record -k). -ENOENT when it did not.
 */
int gj_perf_file_clock(struct gj_window file, uint64_t *wall_ns_out, uint64_t *clock_ns_out);

/* The records of a perf.data file; empty when it is none, or was not finished. */
struct gj_window gj_perf_file_data(struct gj_window file);

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

/*
 * The tracepoints' format files as perf copied them from tracefs
 * (tools/perf/util/trace-event-info.c), among other text; empty without any.
 */
struct gj_window gj_perf_file_formats(struct gj_window file);

/* The file behind one address of a process. */
struct gj_perf_map {
	const char *path;          /* into the perf.data file */
	uint64_t file_off;         /* of that address */
	uint64_t inode;            /* 0: unknown */
	struct gj_window build_id; /* empty: unknown */
};

struct gj_perf_maps;

/* Borrows @file. NULL: out of memory. */
struct gj_perf_maps *gj_perf_maps_new(struct gj_window file);
void gj_perf_maps_free(struct gj_perf_maps *maps); /* NULL allowed */
/* Whether the recording shows any executable mapping at all. */
bool gj_perf_maps_any(const struct gj_perf_maps *maps);
/*
 * What the process of thread @tid had mapped at @va when the recording ended.
 * -ENOENT when that is not known.
 */
int gj_perf_maps_find(const struct gj_perf_maps *maps, uint32_t tid, uint64_t va,
		      struct gj_perf_map *map_out);

/* The machine a perf.data file was recorded on; GJ_RECORDED_UNKNOWN when it does not say. */
enum gj_recorded { GJ_RECORDED_UNKNOWN, GJ_RECORDED_AMD64, GJ_RECORDED_ARM64, GJ_RECORDED_OTHER };
enum gj_recorded gj_perf_file_machine(struct gj_window file);

/* One event of a perf.data file. */
struct gj_perf_attr {
	struct perf_event_attr attr; /* what the file does not have of it is zero */
	size_t off;           /* of the attr in the file */
	size_t size_bytes;    /* of the attr there */
	size_t entry_ids_off; /* in the file: {u64 offset, u64 size} of its ids */
};

struct gj_perf_attrs;

/*
 * gj_perf_attrs_new - the events of a perf.data file
 * @file: borrowed until gj_perf_attrs_free
 *
 * Returns 0, -EBADMSG with @diag (to go behind the file's name), -ENOMEM.
 */
int gj_perf_attrs_new(struct gj_window file, struct gj_perf_attrs **attrs_out,
		      struct gj_diag *diag);
void gj_perf_attrs_free(struct gj_perf_attrs *attrs); /* NULL allowed */
const struct gj_perf_attr *gj_perf_attr_at(const struct gj_perf_attrs *attrs, size_t index);
/* The event of the sample whose record has @body; NULL: its id is not known. */
const struct gj_perf_attr *gj_perf_attr_of(struct gj_perf_attrs *attrs, struct gj_window body);

/* Where the parts of one sample lie, as offsets in the record's body. */
struct gj_perf_layout {
	uint64_t time_ns, ip; /* 2^64-1 and 0 where not recorded, tid 2^32-1, cpu -1 */
	uint32_t tid;
	int32_t cpu;
	size_t chain_off, chain_end_off; /* equal: no call chain */
	const uint8_t *chain;            /* its u64s, unaligned */
	uint64_t chain_cnt;
	size_t stack_off, stack_end_off; /* of the stack dump; equal: none */
};

/* 0, or -EBADMSG when the parts do not fit into the record. */
int gj_perf_sample_layout(const struct gj_perf_attr *attr, struct gj_window body,
			  struct gj_perf_layout *layout_out);

/*
 * gj_perf_file_trailer - what was put behind a perf.data file
 * @magic: eight bytes: "GJ", five capitals, a digit
 *
 * In the file, from its end backwards, stand any number of trailers: each a body,
 * then u64 body size and the magic. Returns 0; -ENOENT when there is none of that
 * magic; -EBADMSG when it is cut.
 */
int gj_perf_file_trailer(struct gj_window file, const char *magic, struct gj_window *body_out);

/*
 * The records of the two-stack sampler behind a perf.data file, as the trailer
 * "GJSTACK1" (layout of its body: bpf/gj_abi.h, struct gj_stack_record, one after
 * the other; docs/stacks.md).
 */
#define GJ_STACKS_MAGIC "GJSTACK1"

struct gj_stack_records;

/* What one sample of perf.data has behind it. Valid until the next gj_stack_records_find. */
struct gj_stack_sample {
	struct gj_stack_record record;
	const struct gj_stack_part *parts; /* record.part_cnt */
	const uint8_t *const *bytes;       /* of each part */
	struct gj_regs regs; /* the record's, by the numbers of PERF_REG_X86_* */
};

/*
 * gj_stack_records_new - make the records of @file findable
 * @file: the whole file; borrowed until gj_stack_records_free
 * @passed: called now and then with bytes that are not likely to be looked at
 *          again soon; NULL allowed
 *
 * Takes 24 bytes of memory for each record, in whatever order they are. Returns
 * 0; -ENOENT when there are none; -EBADMSG with @diag when they are cut or
 * damaged, with @records_out still set to those that are whole; -ENOMEM.
 */
int gj_stack_records_new(struct gj_window file,
			 void (*passed)(void *data, struct gj_window bytes), void *data,
			 struct gj_stack_records **records_out, struct gj_diag *diag);
void gj_stack_records_free(struct gj_stack_records *records); /* NULL allowed */
size_t gj_stack_records_cnt(const struct gj_stack_records *records);

/* A sample's time and its record's lie closer together than this: both are taken in one interrupt. */
#define GJ_STACK_NEAR_NS 1000000u

/*
 * The record made in the same interrupt as @sample: of the same thread, of the
 * same user registers as far as the sample has them, the nearest in time. Each
 * is found once. False when there is none: it was lost, or the sample is of
 * another event, or has no time, IP or SP to tell by.
 */
bool gj_stack_records_find(struct gj_stack_records *records, const struct gj_sample *sample,
			   struct gj_stack_sample *found_out);
/* [va, va + size) of the thread's memory: 0, or -EFAULT when it is not all there. */
int gj_stack_sample_read(const struct gj_stack_sample *sample, uint64_t va, void *bytes_out,
			 size_t size_bytes);

#endif
