/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Readers of the file `metrics`: what is kept of each while it reads, and the maps that
 * hold it. To be included once, behind metrics.bpf.h.
 */
#ifndef GJ_METRICS_READER_BPF_H
#define GJ_METRICS_READER_BPF_H

#include "metrics.bpf.h"

#define MAX_STEPS 2048   /* each at least 16 KiB of text, but the last */
#define MAX_READERS 8
#define MAX_SERIES 16384 /* of all readers */
#define MAX_CPUS 8192
#define ROOM_BYTES 16384 /* more than one series with its family's HELP and TYPE takes */
#define GIVEN_UP_NS 10000000000ull /* without a read, a reader is taken for gone ... */
#define BUSY_NS 1000000000ull      /* ... or, where all places are taken, that was first to fall silent */
#define MAX_WORDS WORDS_OF(struct gj_syscalls) /* the biggest value */
#define MAX_KEY_WORDS 8
#define LABEL_BYTES 160  /* of one label */
#define LABELS_BYTES ((MAX_LABELS + 1) * LABEL_BYTES)

/* Of Linux include/linux/bpf.h, btf.h, seq_file.h, to be relocated. */
struct btf {
	struct btf_type **types;
	const char *strings;
} GJ_KERNEL_TYPE;

struct bpf_map {
	struct btf *btf;
	__u32 btf_value_type_id;
} GJ_KERNEL_TYPE;

struct seq_file {
	unsigned long size, count;
} GJ_KERNEL_TYPE;

struct bpf_iter_meta {
	struct seq_file *seq;
	__u64 session_id;
} GJ_KERNEL_TYPE;

struct bpf_iter__bpf_map_elem {
	struct bpf_iter_meta *meta;
	struct bpf_map *map;
	void *key;
} GJ_KERNEL_TYPE;

/* A series: number @nr of @map as @session met it. */
struct series_key {
	__u64 session;
	__u32 map;
	__u32 nr;
};

/* A key of the map, or what it is added up by. */
struct series {
	__u32 words[MAX_KEY_WORDS];
};

struct sum_key {
	__u64 session;
	__u32 map;
	__u32 reserved; /* 0 */
	struct series series;
};

struct sum {
	__u64 words[SUM_WORDS];
};

struct reader {
	__u64 seen_ns;        /* when it last read */
	__u32 at_work;        /* the program runs for it: it must not be removed ... */
	__u32 is_dropped;     /* ... and who removes it must not be disturbed */
	__u64 lost_cnt;       /* series that found no room */
	__u32 family, nr;     /* what comes next */
	__u32 cnts[MAP_CNT];  /* series of each map */
	struct sum_key key;   /* of the series that is printed */
	__u64 words[MAX_WORDS]; /* its values */
	char labels[LABELS_BYTES];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, MAX_STEPS);
	__type(key, __u32);
	__type(value, struct gj_metrics_enums);
} metrics_steps SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, GJ_METRICS_NAMES);
	__type(key, __u32);
	__type(value, struct gj_metrics_name);
} metrics_names SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, MAX_READERS);
	__type(key, __u64);
	__type(value, struct reader);
} metrics_readers SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, MAX_SERIES);
	__type(key, struct series_key);
	__type(value, struct series);
} metrics_series SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, MAX_SERIES);
	__type(key, struct sum_key);
	__type(value, struct sum);
} metrics_sums SEC(".maps");

static const struct reader new_reader = { .at_work = 1 };

/* What callbacks get: all of it lives on the stack of gj_metrics. */
struct reading {
	struct bpf_iter_meta *meta;
	struct bpf_map *map; /* metrics_steps */
	struct reader *reader;
	__u64 session;
	__u32 collecting;    /* enum map_id */
	__u32 printed_cnt;
	__u32 labels_bytes;  /* of reader->labels, so far */
	__u64 cumulated;     /* of a histogram that is printed */
};

#endif
