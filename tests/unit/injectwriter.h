/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A recording of two events, one with call chains and stack dumps, and chains for
 * its samples, for tests that take either apart.
 */
#ifndef GJ_TEST_INJECTWRITER_H
#define GJ_TEST_INJECTWRITER_H

#include "inject/inject.h"
#include "perfwriter.h"
#include "session/session.h"

#define IW_CLOCK_TYPE                                                                      \
	(PERF_SAMPLE_IDENTIFIER | PERF_SAMPLE_IP | PERF_SAMPLE_TID | PERF_SAMPLE_TIME |     \
	 PERF_SAMPLE_CPU | PERF_SAMPLE_READ | PERF_SAMPLE_CALLCHAIN | PERF_SAMPLE_RAW |     \
	 PERF_SAMPLE_BRANCH_STACK | PERF_SAMPLE_REGS_USER | PERF_SAMPLE_STACK_USER |        \
	 PERF_SAMPLE_DATA_SRC)
#define IW_OTHER_TYPE                                                                      \
	(PERF_SAMPLE_IDENTIFIER | PERF_SAMPLE_IP | PERF_SAMPLE_TID | PERF_SAMPLE_TIME)
#define IW_ATTR_BYTES 128
#define IW_CLOCK_ID 7
#define IW_OTHER_ID 8
#define IW_KERNEL_IP 0xffffffff81000010
#define IW_USER_IP 0x401000
#define IW_DUMP_BYTES 32
#define IW_TRAILER "behind all"

static inline struct perf_event_attr iw_clock_attr(void)
{
	return (struct perf_event_attr){
		.size = IW_ATTR_BYTES,
		.sample_type = IW_CLOCK_TYPE,
		.read_format = PERF_FORMAT_GROUP | PERF_FORMAT_ID,
		.sample_regs_user = 0x1c0, /* BP SP IP */
		.sample_stack_user = IW_DUMP_BYTES,
		.exclude_callchain_user = 1,
	};
}

static inline void iw_bytes(struct pw *pw, const void *bytes, size_t size_bytes)
{
	memcpy(pw->bytes + pw->size_bytes, bytes, size_bytes);
	pw->size_bytes += size_bytes;
}

/* {attr, {offset, size} of its one id}, which stand right behind the header's. */
static inline void iw_attr(struct pw *pw, const struct perf_event_attr *attr, size_t id_off)
{
	iw_bytes(pw, attr, IW_ATTR_BYTES);
	pw_u64(pw, id_off);
	pw_u64(pw, 8);
}

static inline void iw_fixed(struct pw *pw, uint64_t id, uint64_t ip, uint32_t tid, uint64_t time_ns)
{
	pw_u64(pw, id);
	pw_u64(pw, ip);
	pw_u32(pw, 100);
	pw_u32(pw, tid);
	pw_u64(pw, time_ns);
}

/* A sample of the first event with all its parts; @dump_bytes 0: the kernel took none. */
static inline void iw_sample(struct pw *pw, uint16_t misc, uint64_t ip, uint32_t tid,
			     uint64_t time_ns, size_t dump_bytes)
{
	pw_record(pw, PERF_RECORD_SAMPLE, misc);
	iw_fixed(pw, IW_CLOCK_ID, ip, tid, time_ns);
	pw_u64(pw, 1); /* cpu */
	pw_u64(pw, 1); /* READ: one value and id */
	pw_u64(pw, 55);
	pw_u64(pw, IW_CLOCK_ID);
	if (misc == PERF_RECORD_MISC_KERNEL) {
		pw_u64(pw, 2);
		pw_u64(pw, (uint64_t)PERF_CONTEXT_KERNEL);
		pw_u64(pw, ip);
	} else {
		pw_u64(pw, 0);
	}
	pw_u32(pw, 4); /* RAW */
	pw_u32(pw, 0xabcd);
	pw_u64(pw, 1); /* one branch */
	pw_u64(pw, 1), pw_u64(pw, 2), pw_u64(pw, 3);
	pw_u64(pw, PERF_SAMPLE_REGS_ABI_64);
	pw_u64(pw, 0x11), pw_u64(pw, 0x22), pw_u64(pw, 0x33);
	pw_u64(pw, dump_bytes);
	for (size_t i = 0; i < dump_bytes; i++)
		pw_put(pw, 0xdd, 1);
	if (dump_bytes)
		pw_u64(pw, dump_bytes);
	pw_u64(pw, 0x5105); /* DATA_SRC */
	pw_record_end(pw);
}

static inline void iw_other(struct pw *pw, uint64_t time_ns)
{
	pw_record(pw, PERF_RECORD_SAMPLE, PERF_RECORD_MISC_USER);
	iw_fixed(pw, IW_OTHER_ID, IW_USER_IP, 100, time_ns);
	pw_record_end(pw);
}

static inline void iw_event_desc(struct pw *pw, const struct perf_event_attr *attr)
{
	pw_feature(pw);
	pw_u32(pw, 1);
	pw_u32(pw, IW_ATTR_BYTES);
	iw_bytes(pw, attr, IW_ATTR_BYTES);
	pw_u32(pw, 1);
	pw_u32(pw, 64);
	iw_bytes(pw, "cpu-clock\0                                                     ", 64);
	pw_u64(pw, IW_CLOCK_ID);
	pw_feature_end(pw);
}

static inline void iw_example(struct pw *pw)
{
	struct perf_event_attr clock = iw_clock_attr();
	struct perf_event_attr other = { .size = IW_ATTR_BYTES, .sample_type = IW_OTHER_TYPE };

	pw_begin(pw);
	pw_u64(pw, IW_CLOCK_ID);
	pw_u64(pw, IW_OTHER_ID);
	pw_set(pw, 16, IW_ATTR_BYTES + 16, 8);
	pw_set(pw, 24, pw->size_bytes, 8);
	pw_set(pw, 32, 2 * (IW_ATTR_BYTES + 16), 8);
	iw_attr(pw, &clock, PW_HEADER_BYTES);
	iw_attr(pw, &other, PW_HEADER_BYTES + 8);
	pw_set(pw, 40, pw->size_bytes, 8);
	pw_comm(pw, 100, 100, "first");
	iw_sample(pw, PERF_RECORD_MISC_USER, IW_USER_IP, 100, 1000, IW_DUMP_BYTES);
	iw_other(pw, 1000);
	iw_sample(pw, PERF_RECORD_MISC_KERNEL, IW_KERNEL_IP, 101, 2000, IW_DUMP_BYTES);
	iw_sample(pw, PERF_RECORD_MISC_KERNEL, IW_KERNEL_IP, 0, 3000, 0);
	iw_sample(pw, PERF_RECORD_MISC_USER, IW_USER_IP + 4, 102, 4000, IW_DUMP_BYTES);
	pw_features(pw, 1 << 3 | 1 << PW_EVENT_DESC);
	pw_feature(pw);
	pw_text(pw, "host", 1);
	pw_feature_end(pw);
	iw_event_desc(pw, &clock);
	iw_bytes(pw, IW_TRAILER, strlen(IW_TRAILER));
}

/*
 * @from as perf record -z would have it, its records in pieces of @piece_bytes, fewer
 * than 256, each a zstd frame of one block stored as it is: magic, 0x20 (one byte of
 * size follows), size, u24 block size << 3 | 1 (RFC 8878). Without features.
 */
static inline void iw_compress(const struct pw *from, struct pw *to, size_t piece_bytes)
{
	uint64_t off, end, size_bytes;

	memcpy(&off, from->bytes + 40, 8);
	memcpy(&size_bytes, from->bytes + 48, 8);
	end = off + size_bytes;
	memset(to, 0, sizeof(*to));
	iw_bytes(to, from->bytes, off);
	for (; off < end; off += piece_bytes) {
		size_t size = end - off < piece_bytes ? end - off : piece_bytes;

		pw_record(to, 81, 0);
		pw_u32(to, 0xfd2fb528);
		pw_put(to, 0x20, 1);
		pw_put(to, size, 1);
		pw_put(to, size << 3 | 1, 3);
		iw_bytes(to, from->bytes + off, size);
		pw_record_end(to);
	}
	pw_features(to, 0);
}

/* Chains as format=chains writes them. */
static inline void iw_chain(struct pw *pw, uint64_t ip, uint32_t tid, uint64_t time_ns,
			    const uint64_t *vas, uint32_t va_cnt)
{
	const struct gj_chain_entry entry = {
		.time_ns = time_ns, .ip = ip, .tid = tid, .cpu = 1, .va_cnt = va_cnt,
		.kind = GJ_CHAIN_COMPLETE,
	};

	iw_bytes(pw, &entry, sizeof(entry));
	iw_bytes(pw, vas, 8 * (size_t)va_cnt);
}

static inline void iw_chains_end(struct pw *pw)
{
	const struct gj_chain_entry entry = { .time_ns = pw->size_bytes, .kind = GJ_CHAIN_END };

	iw_bytes(pw, &entry, sizeof(entry));
}

/* Chains of the first two samples of the example. */
static inline void iw_example_chains(struct pw *pw)
{
	static const uint64_t vas[] = { IW_USER_IP, 0x402001, 0x403002 };

	memset(pw, 0, sizeof(*pw));
	iw_chain(pw, IW_USER_IP, 100, 1000, vas, 3);
	iw_chain(pw, IW_KERNEL_IP, 101, 2000, vas + 1, 2);
	iw_chains_end(pw);
}

/* A sink into memory. */
struct iw_copy {
	uint8_t *bytes; /* owned by the test */
	size_t size_bytes, cap_bytes;
	int err; /* what put answers, once it is not 0 */
};

static inline int iw_put(void *data, uint64_t off, const void *bytes, size_t size_bytes)
{
	struct iw_copy *copy = data;

	if (copy->err)
		return copy->err;
	if (off > copy->cap_bytes || size_bytes > copy->cap_bytes - off)
		return -28; /* -ENOSPC */
	if (size_bytes)
		memcpy(copy->bytes + off, bytes, size_bytes);
	if (off + size_bytes > copy->size_bytes)
		copy->size_bytes = off + size_bytes;
	return 0;
}

#endif
