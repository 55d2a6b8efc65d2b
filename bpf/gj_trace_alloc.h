/* SPDX-License-Identifier: GPL-2.0 */
/* Maps of bpf/alloc.bpf.c. docs/trace-runtime.md. */
#ifndef GJ_TRACE_ALLOC_H
#define GJ_TRACE_ALLOC_H

#include "gj_trace.h"

/*
 * Go's spanClass (src/runtime/mheap.go): the size class (sizeclasses.go, the same
 * table in Go 1.16 to 1.27) times 2, plus 1 where the objects hold no pointers.
 */
enum gj_size_class {
	large = 0, large_noscan = 1,
	size_8 = 2, size_8_noscan = 3,
	size_16 = 4, size_16_noscan = 5,
	size_24 = 6, size_24_noscan = 7,
	size_32 = 8, size_32_noscan = 9,
	size_48 = 10, size_48_noscan = 11,
	size_64 = 12, size_64_noscan = 13,
	size_80 = 14, size_80_noscan = 15,
	size_96 = 16, size_96_noscan = 17,
	size_112 = 18, size_112_noscan = 19,
	size_128 = 20, size_128_noscan = 21,
	size_144 = 22, size_144_noscan = 23,
	size_160 = 24, size_160_noscan = 25,
	size_176 = 26, size_176_noscan = 27,
	size_192 = 28, size_192_noscan = 29,
	size_208 = 30, size_208_noscan = 31,
	size_224 = 32, size_224_noscan = 33,
	size_240 = 34, size_240_noscan = 35,
	size_256 = 36, size_256_noscan = 37,
	size_288 = 38, size_288_noscan = 39,
	size_320 = 40, size_320_noscan = 41,
	size_352 = 42, size_352_noscan = 43,
	size_384 = 44, size_384_noscan = 45,
	size_416 = 46, size_416_noscan = 47,
	size_448 = 48, size_448_noscan = 49,
	size_480 = 50, size_480_noscan = 51,
	size_512 = 52, size_512_noscan = 53,
	size_576 = 54, size_576_noscan = 55,
	size_640 = 56, size_640_noscan = 57,
	size_704 = 58, size_704_noscan = 59,
	size_768 = 60, size_768_noscan = 61,
	size_896 = 62, size_896_noscan = 63,
	size_1024 = 64, size_1024_noscan = 65,
	size_1152 = 66, size_1152_noscan = 67,
	size_1280 = 68, size_1280_noscan = 69,
	size_1408 = 70, size_1408_noscan = 71,
	size_1536 = 72, size_1536_noscan = 73,
	size_1792 = 74, size_1792_noscan = 75,
	size_2048 = 76, size_2048_noscan = 77,
	size_2304 = 78, size_2304_noscan = 79,
	size_2688 = 80, size_2688_noscan = 81,
	size_3072 = 82, size_3072_noscan = 83,
	size_3200 = 84, size_3200_noscan = 85,
	size_3456 = 86, size_3456_noscan = 87,
	size_4096 = 88, size_4096_noscan = 89,
	size_4864 = 90, size_4864_noscan = 91,
	size_5376 = 92, size_5376_noscan = 93,
	size_6144 = 94, size_6144_noscan = 95,
	size_6528 = 96, size_6528_noscan = 97,
	size_6784 = 98, size_6784_noscan = 99,
	size_6912 = 100, size_6912_noscan = 101,
	size_8192 = 102, size_8192_noscan = 103,
	size_9472 = 104, size_9472_noscan = 105,
	size_9728 = 106, size_9728_noscan = 107,
	size_10240 = 108, size_10240_noscan = 109,
	size_10880 = 110, size_10880_noscan = 111,
	size_12288 = 112, size_12288_noscan = 113,
	size_13568 = 114, size_13568_noscan = 115,
	size_14336 = 116, size_14336_noscan = 117,
	size_16384 = 118, size_16384_noscan = 119,
	size_18432 = 120, size_18432_noscan = 121,
	size_19072 = 122, size_19072_noscan = 123,
	size_20480 = 124, size_20480_noscan = 125,
	size_21760 = 126, size_21760_noscan = 127,
	size_24576 = 128, size_24576_noscan = 129,
	size_27264 = 130, size_27264_noscan = 131,
	size_28672 = 132, size_28672_noscan = 133,
	size_32768 = 134, size_32768_noscan = 135,
};

/* Key of `alloc`. */
struct gj_alloc_key {
	__u32 tgid;
	enum gj_size_class class;
};

struct gj_alloc {
	__u64 refills;         /* a P's cached span of that class was full: what bypasses the fast path */
	__u64 grows;           /* of them, no span had room: a new one was asked of the heap */
	__u64 spans;           /* that the heap gave; of class large one for each object */
	__u64 span_bytes;
	__u64 lock_waits;      /* futex(2) in refills: locks that spinning did not get */
	__u64 lock_wait_ns;
	__u64 max_lock_wait_ns;
	struct gj_hist refill; /* how long a refill takes, sweeping and waiting included */
};

_Static_assert(sizeof(struct gj_alloc) == 56 + sizeof(struct gj_hist), "no padding");

#endif
