/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Writes small perf.data files and records by hand, for tests that need a
 * recording whose every byte they know and may break
 * (tools/perf/Documentation/perf.data-file-format.txt,
 * include/uapi/linux/perf_event.h).
 *
 * Fields are appended in the file's order:
 *
 *   pw_begin(), then records between pw_record() and pw_record_end(), then
 *   pw_features(), then for each feature bit in order pw_feature() and its bytes.
 */
#ifndef GJ_TEST_PERFWRITER_H
#define GJ_TEST_PERFWRITER_H

#include <linux/perf_event.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

#define PW_HEADER_BYTES 104
#define PW_TRACING_DATA 1
#define PW_EVENT_DESC 12

struct pw {
	uint8_t bytes[8192];
	size_t size_bytes;
	size_t record_off;  /* of the record being written */
	size_t section_off; /* of the next feature's place and size */
	size_t feature_off; /* of the feature being written, 0: none */
};

static inline void pw_put(struct pw *pw, uint64_t value, size_t size_bytes)
{
	memcpy(pw->bytes + pw->size_bytes, &value, size_bytes);
	pw->size_bytes += size_bytes;
}

static inline void pw_u16(struct pw *pw, uint16_t value) { pw_put(pw, value, 2); }
static inline void pw_u32(struct pw *pw, uint32_t value) { pw_put(pw, value, 4); }
static inline void pw_u64(struct pw *pw, uint64_t value) { pw_put(pw, value, 8); }

/* @text with its NUL, filled up to a multiple of @align. */
static inline void pw_text(struct pw *pw, const char *text, size_t align)
{
	memcpy(pw->bytes + pw->size_bytes, text, strlen(text) + 1);
	pw->size_bytes += strlen(text) + 1;
	while (pw->size_bytes % align)
		pw_put(pw, 0, 1);
}

static inline void pw_set(struct pw *pw, size_t off, uint64_t value, size_t size_bytes)
{
	memcpy(pw->bytes + off, &value, size_bytes);
}

static inline void pw_begin(struct pw *pw)
{
	memset(pw, 0, sizeof(*pw));
	memcpy(pw->bytes, "PERFILE2", 8);
	pw_set(pw, 8, PW_HEADER_BYTES, 8);
	pw_set(pw, 40, PW_HEADER_BYTES, 8);
	pw->size_bytes = PW_HEADER_BYTES;
}

static inline void pw_record(struct pw *pw, uint32_t type, uint16_t misc)
{
	pw->record_off = pw->size_bytes;
	pw_u32(pw, type);
	pw_u16(pw, misc);
	pw_u16(pw, 0);
}

static inline void pw_record_end(struct pw *pw)
{
	pw_set(pw, pw->record_off + 6, pw->size_bytes - pw->record_off, 2);
}

static inline void pw_comm(struct pw *pw, uint32_t pid, uint32_t tid, const char *comm)
{
	pw_record(pw, PERF_RECORD_COMM, 0);
	pw_u32(pw, pid);
	pw_u32(pw, tid);
	pw_text(pw, comm, 8);
	pw_record_end(pw);
}

static inline void pw_fork(struct pw *pw, uint32_t pid, uint32_t ppid, uint32_t tid, uint32_t ptid)
{
	pw_record(pw, PERF_RECORD_FORK, 0);
	pw_u32(pw, pid);
	pw_u32(pw, ppid);
	pw_u32(pw, tid);
	pw_u32(pw, ptid);
	pw_u64(pw, 0);
	pw_record_end(pw);
}

/* @build_id: PW_BUILD_ID_BYTES of it, NULL to give the inode. */
#define PW_BUILD_ID_BYTES 20
static inline void pw_mmap2(struct pw *pw, uint32_t pid, uint64_t va, uint64_t size_bytes,
			    uint64_t file_off, uint64_t inode, const uint8_t *build_id,
			    uint32_t prot, const char *path)
{
	pw_record(pw, PERF_RECORD_MMAP2,
		  PERF_RECORD_MISC_USER | (build_id ? PERF_RECORD_MISC_MMAP_BUILD_ID : 0));
	pw_u32(pw, pid);
	pw_u32(pw, pid);
	pw_u64(pw, va);
	pw_u64(pw, size_bytes);
	pw_u64(pw, file_off);
	if (build_id) {
		pw_u32(pw, PW_BUILD_ID_BYTES);
		memcpy(pw->bytes + pw->size_bytes, build_id, PW_BUILD_ID_BYTES);
		pw->size_bytes += PW_BUILD_ID_BYTES;
	} else {
		pw_u64(pw, 0);
		pw_u64(pw, inode);
		pw_u64(pw, 0);
	}
	pw_u32(pw, prot);
	pw_u32(pw, MAP_PRIVATE);
	pw_text(pw, path, 8);
	pw_record_end(pw);
}

/*
 * One attr before the records, of which only the sample type counts; to be
 * called right after pw_begin().
 */
static inline void pw_attr(struct pw *pw, uint64_t sample_type)
{
	pw_set(pw, 16, 128 + 16, 8);
	pw_set(pw, 24, PW_HEADER_BYTES, 8);
	pw_set(pw, 32, 128 + 16, 8);
	pw_set(pw, PW_HEADER_BYTES + 24, sample_type, 8);
	pw->size_bytes += 128 + 16;
	pw_set(pw, 40, pw->size_bytes, 8);
}

/* TIME, CPU and IDENTIFIER as they end every record but samples (sample_id). */
#define PW_SAMPLE_ID (PERF_SAMPLE_TIME | PERF_SAMPLE_CPU | PERF_SAMPLE_IDENTIFIER)
static inline void pw_sample_id(struct pw *pw, uint64_t time_ns, uint32_t cpu)
{
	pw_u64(pw, time_ns);
	pw_u64(pw, cpu);
	pw_u64(pw, 1);
	pw_record_end(pw);
}

static inline void pw_lost(struct pw *pw, uint64_t lost_cnt, uint64_t time_ns, uint32_t cpu)
{
	pw_record(pw, PERF_RECORD_LOST, 0);
	pw_u64(pw, 1);
	pw_u64(pw, lost_cnt);
	pw_sample_id(pw, time_ns, cpu);
}

static inline void pw_sample(struct pw *pw, uint64_t time_ns, uint32_t cpu)
{
	pw_record(pw, PERF_RECORD_SAMPLE, PERF_RECORD_MISC_USER);
	pw_u64(pw, 1);
	pw_u64(pw, time_ns);
	pw_u64(pw, cpu);
	pw_record_end(pw);
}

static inline void pw_exec(struct pw *pw, uint32_t pid, uint64_t time_ns, uint32_t cpu)
{
	pw_record(pw, PERF_RECORD_COMM, PERF_RECORD_MISC_COMM_EXEC);
	pw_u32(pw, pid);
	pw_u32(pw, pid);
	pw_text(pw, "next", 8);
	pw_sample_id(pw, time_ns, cpu);
}

/* The end of the records; @bits: one per feature that will follow. */
static inline void pw_features(struct pw *pw, uint64_t bits)
{
	uint64_t data_off;

	memcpy(&data_off, pw->bytes + 40, 8);
	pw_set(pw, 48, pw->size_bytes - data_off, 8);
	pw_set(pw, 72, bits, 8);
	pw->section_off = pw->size_bytes;
	pw->size_bytes += 16 * (size_t)__builtin_popcountll(bits);
}

static inline void pw_feature(struct pw *pw)
{
	pw->feature_off = pw->size_bytes;
}

static inline void pw_feature_end(struct pw *pw)
{
	pw_set(pw, pw->section_off, pw->feature_off, 8);
	pw_set(pw, pw->section_off + 8, pw->size_bytes - pw->feature_off, 8);
	pw->section_off += 16;
}

/* HEADER_EVENT_DESC: @cnt events with one ID each, names filled up as perf does. */
static inline void pw_event_desc(struct pw *pw, const char *const *names, uint32_t cnt)
{
	pw_feature(pw);
	pw_u32(pw, cnt);
	pw_u32(pw, PERF_ATTR_SIZE_VER0);
	for (uint32_t i = 0; i < cnt; i++) {
		pw->size_bytes += PERF_ATTR_SIZE_VER0;
		pw_u32(pw, 1);
		pw_u32(pw, (uint32_t)(strlen(names[i]) + 1 + 63) & ~63U);
		size_t name_off = pw->size_bytes;
		pw_text(pw, names[i], 1);
		pw->size_bytes = name_off + ((strlen(names[i]) + 1 + 63) & ~63UL);
		pw_u64(pw, i);
	}
	pw_feature_end(pw);
}

/*
 * A recording of two processes: 100 (threads 100, 101), which then runs another
 * program, and 200; with tracepoint formats and two events.
 */
#define PW_BIN_VA 0x400000
#define PW_BIN_INODE 4711

static inline void pw_example(struct pw *pw)
{
	static const char *const names[] = { "cpu-clock", "gojitter:goexec_1" };
	static const uint8_t id[PW_BUILD_ID_BYTES] = { 0xab, 0xcd, 1 };

	pw_begin(pw);
	pw_comm(pw, 100, 100, "first");
	pw_mmap2(pw, 100, PW_BIN_VA, 0x2000, 0, 1, NULL, PROT_READ | PROT_EXEC, "/bin/first");
	pw_fork(pw, 100, 100, 101, 100);
	pw_mmap2(pw, 100, 0x7f0000000000, 0x1000, 0, 2, NULL, PROT_READ, "/lib/data");
	pw_mmap2(pw, 100, PW_BIN_VA, 0x1000, 0x3000, PW_BIN_INODE, NULL, PROT_READ | PROT_EXEC,
		 "/bin/second");
	pw_record(pw, 71, 0); /* AUXTRACE: bytes that are no records follow it */
	pw_u64(pw, 5);
	pw_record_end(pw);
	pw_text(pw, "\xff\xff\xff\xff", 1);
	pw_comm(pw, 200, 200, "other");
	pw_mmap2(pw, 200, PW_BIN_VA, 0x1000, 0, 0, id, PROT_READ | PROT_EXEC, "/bin/third");
	pw_features(pw, 1 << PW_TRACING_DATA | 1 << 3 | 1 << PW_EVENT_DESC);
	pw_feature(pw);
	pw_text(pw, "\x17\x08\x44tracing0.6\nname: goexec_1\nID: 7\nname: sched_switch\n", 1);
	pw_feature_end(pw);
	pw_feature(pw);
	pw_text(pw, "host", 1);
	pw_feature_end(pw);
	pw_event_desc(pw, names, 2);
}

#endif
