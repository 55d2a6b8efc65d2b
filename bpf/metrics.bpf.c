/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The maps of an instance as Prometheus exposition text: `cat` of the pin `metrics`.
 *
 * An iterator over the steps of `metrics_steps`. At the first one the keys of all maps are
 * noted; they are the series of this reading, so that each comes once whatever happens to
 * the maps meanwhile. Every step prints as many series as find room; where none does it
 * returns 1, upon which the kernel gives out what there is and calls again (Linux
 * kernel/bpf/bpf_iter.c, bpf_seq_read: its buffer has eight pages and does not grow).
 *
 * Readers do not share anything. What one leaves that gave up is removed by later ones.
 */
#include <linux/bpf.h>
#include <linux/btf.h>

#include <bpf/bpf_endian.h>
#include <linux/ptrace.h>

#include "metrics.bpf.h"

char LICENSE[] SEC("license") = "GPL";

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

static __always_inline _Bool note(struct reading *reading, __u32 map, const struct series *series)
{
	struct series_key key = { .session = reading->session, .map = map };

	if (map >= MAP_CNT)
		return 0;
	key.nr = reading->reader->cnts[map];
	if (bpf_map_update_elem(&metrics_series, &key, series, BPF_ANY)) {
		reading->reader->lost_cnt++;
		return 0;
	}
	reading->reader->cnts[map]++;
	return 1;
}

#define NOTE_KEY(words_cnt) \
static long note_##words_cnt(void *map __attribute__((unused)), __u32 *key, \
			     void *value __attribute__((unused)), struct reading *reading) \
{ \
	struct series series = { 0 }; \
	_Pragma("unroll") for (int i = 0; i < words_cnt; i++) \
		series.words[i] = key[i]; \
	note(reading, reading->collecting, &series); \
	return 0; \
}
NOTE_KEY(1)
NOTE_KEY(2)
NOTE_KEY(3)
NOTE_KEY(4)
NOTE_KEY(7)
/* That for keys of a type. */
#define NOTE(key_type) (sizeof(key_type) == 4 ? note_1 : sizeof(key_type) == 8 ? note_2 : \
			sizeof(key_type) == 12 ? note_3 : sizeof(key_type) == 16 ? note_4 : note_7)

/* Adds to the sums of what @series says, which is a series of its own. */
static __always_inline void add_up(struct reading *reading, __u32 map, const struct series *series,
				   const struct sum *more)
{
	struct sum_key key = { .session = reading->session, .map = map, .series = *series };
	struct sum *sum = bpf_map_lookup_elem(&metrics_sums, &key);

	if (!sum) {
		if (note(reading, map, series) && bpf_map_update_elem(&metrics_sums, &key, more, BPF_ANY))
			reading->reader->lost_cnt++;
		return;
	}
	for (int i = 0; i < SUM_WORDS; i++)
		sum->words[i] += more->words[i];
}

static long sum_targets(void *map __attribute__((unused)), __u32 *tgid,
			struct gj_trace_target *target, struct reading *reading)
{
	struct series series = { { *tgid, target->program, target->go_minor } };
	struct sum one = { { 1 } };

	add_up(reading, map_targets, &series, &one);
	return 0;
}

static long sum_goroutines(void *map __attribute__((unused)), struct gj_goroutine_key *key,
			   struct gj_goroutine *goroutine, struct reading *reading)
{
	struct series series = { { key->tgid, goroutine->status, goroutine->reason } };
	struct sum one = { { 1 } };

	/* What is left of a process that has ended are no goroutines. */
	if (!bpf_map_lookup_elem(&targets, &series.words[0]))
		return 0;
	add_up(reading, map_goroutines, &series, &one);
	return 0;
}

static long sum_thread_states(void *map __attribute__((unused)), __u32 *tid __attribute__((unused)),
			      struct gj_thread_state *thread, struct reading *reading)
{
	struct series series = { { thread->tgid, thread->run } };
	struct sum sum = { { 1, thread->unseen_switch_ins } };

	add_up(reading, map_thread_states, &series, &sum);
	return 0;
}

static long sum_tcp_retransmits(void *map __attribute__((unused)), struct gj_retransmit_key *key,
				struct gj_retransmits *sent, struct reading *reading)
{
	struct series series = { { key->tgid, key->func, key->family } };
	struct sum sum = { { sent->segments, sent->timeouts, sent->fast, sent->probes,
			     sent->handshakes, sent->other, sent->unseen, sent->failed_cnt,
			     sent->ambiguous } };

	add_up(reading, map_tcp_retransmits, &series, &sum);
	return 0;
}

static __always_inline void collect(struct reading *reading)
{
	reading->reader->cnts[map_self] = 1;
	reading->collecting = map_drops;
	bpf_for_each_map_elem(&drops, note_1, reading, 0);
	bpf_for_each_map_elem(&targets, sum_targets, reading, 0);
#define COLLECT(kind, name, key_type, value_type, words_cnt) \
	if (has_##name) { \
		reading->collecting = map_##name; \
		bpf_for_each_map_elem(&name, NOTE(key_type), reading, 0); \
	}
	METRICS_PERCPU_MAPS(COLLECT)
	METRICS_PLAIN_MAPS(COLLECT)
#define COLLECT_SUMS(kind, name, key_type, value_type, words_cnt) \
	if (has_##name) \
		bpf_for_each_map_elem(&name, sum_##name, reading, 0);
	METRICS_SUMMED_MAPS(COLLECT_SUMS)
}

/* One CPU's part of a series. */
#define ADD_CPU(kind, name, key_type, value_type, words_cnt) \
static long add_##name(__u32 cpu, struct reading *reading) \
{ \
	__u64 *value = bpf_map_lookup_percpu_elem(&name, &reading->reader->key.series, cpu); \
	__u64 old = cpu ? ~0ull : 0; /* the first one's replace what is there */ \
	if (!value) \
		return 1; \
	barrier_var(old); \
	for (int i = 0; i < (int)(words_cnt); i++) \
		reading->reader->words[i] = (reading->reader->words[i] & old) + value[i]; \
	return 0; \
}
METRICS_PERCPU_MAPS(ADD_CPU)
ADD_CPU(PERCPU_ARRAY, drops, __u32, __u64, 1)

/* Its values into reader->words; false when there are none any more. */
static __noinline _Bool load(struct reading *reading, __u32 map)
{
	struct reader *reader = reading->reader;

	switch (map) {
	case map_self:
		reader->words[0] = reader->lost_cnt;
		return 1;
	case map_drops:
		return bpf_loop(MAX_CPUS, add_drops, reading, 0) > 1;
#define LOAD_CPUS(kind, name, key_type, value_type, words_cnt) \
	case map_##name: \
		return has_##name && bpf_loop(MAX_CPUS, add_##name, reading, 0) > 1;
	METRICS_PERCPU_MAPS(LOAD_CPUS)
#define LOAD(kind, name, key_type, value_type, words_cnt) \
	case map_##name: { \
		__u64 *value = has_##name ? bpf_map_lookup_elem(&name, &reader->key.series) : 0; \
		for (int i = 0; value && i < (int)(words_cnt); i++) \
			reader->words[i] = value[i]; \
		return value != 0; \
	}
	METRICS_PLAIN_MAPS(LOAD)
	default: {
		struct sum *sum = bpf_map_lookup_elem(&metrics_sums, &reader->key);

		for (int i = 0; sum && i < SUM_WORDS; i++)
			reader->words[i] = sum->words[i];
		return sum != 0;
	}
	}
}

/* Looks for @value among the enumerators from @low to before @high, of the kernel's @list. */
struct search {
	struct btf_enum *list;
	__u32 low, high;
	__s32 value;
};

/* They are in the order of their values (src/load/names.c). */
static long halve(__u32 index __attribute__((unused)), struct search *search)
{
	__u32 middle = (search->low + search->high) / 2;
	struct btf_enum name;

	if (search->low + 1 >= search->high ||
	    bpf_probe_read_kernel(&name, sizeof(name), search->list + middle))
		return 1;
	if (name.val <= search->value)
		search->low = middle;
	else
		search->high = middle;
	return 0;
}

/* Kernel address of the name that type @member of struct gj_metrics_enums has for @value; 0: none. */
static __always_inline __u64 find_name(struct bpf_map *map, __u32 member, __s32 value)
{
	struct btf_type **types = BPF_CORE_READ(map, btf, types), *holder = 0, *type = 0;
	struct btf_member of_type = { 0 };
	struct btf_enum name = { 0 };
	struct btf_type head = { 0 };
	struct search search = { .value = value };

	bpf_probe_read_kernel(&holder, sizeof(holder), &types[map->btf_value_type_id]);
	bpf_probe_read_kernel(&of_type, sizeof(of_type), (struct btf_member *)(holder + 1) + member);
	bpf_probe_read_kernel(&type, sizeof(type), &types[of_type.type]);
	if (!of_type.type || bpf_probe_read_kernel(&head, sizeof(head), type))
		return 0;
	search.high = BTF_INFO_VLEN(head.info);
	search.list = (struct btf_enum *)(type + 1);
	bpf_loop(16, halve, &search, 0); /* of 65535 at most */
	if (bpf_probe_read_kernel(&name, sizeof(name), search.list + search.low) || name.val != value)
		return 0;
	return (__u64)BPF_CORE_READ(map, btf, strings) + name.name_off;
}

/* A thread's name, whose characters are anything but 0; with others than these, as hex digits. */
static __always_inline long print_comm(struct reader *reader, char *at, const char *comma, __u64 name)
{
	__u32 *words = &reader->key.series.words[COMM_WORD];
	const char *text = (const char *)words;
	_Bool is_plain = 1;

	for (int i = 0; i < 16 && text[i]; i++)
		if (text[i] < ' ' || text[i] > '~' || text[i] == '"' || text[i] == '\\')
			is_plain = 0;
	return is_plain ? BPF_SNPRINTF(at, LABEL_BYTES, "%s%s=\"%s\"", comma, name, text) :
			  BPF_SNPRINTF(at, LABEL_BYTES, "%s%s=\"0x%08x%08x%08x%08x\"", comma, name,
				       bpf_ntohl(words[0]), bpf_ntohl(words[1]), bpf_ntohl(words[2]),
				       bpf_ntohl(words[3]));
}

static __always_inline __u32 print_label(struct reading *reading, __u32 off,
					 const struct label *label)
{
	struct reader *reader = reading->reader;
	const char *comma = off ? "," : "";
	__u64 name = (__u64)label->name;
	__u32 value, word = label->word;
	char *at = reader->labels + off;
	long bytes;

	if (word >= MAX_KEY_WORDS || off > LABELS_BYTES - LABEL_BYTES)
		return off;
	value = reader->key.series.words[word];
	if (label->kind == LABEL_PROGRAM) {
		__u32 number = value + 1;
		__u64 text = (__u64)bpf_map_lookup_elem(&metrics_names, &number);

		bytes = BPF_SNPRINTF(at, LABEL_BYTES, "%s%s=\"%s\"", comma, name, text ? text : (__u64)"");
	} else if (label->kind == LABEL_GO) {
		bytes = BPF_SNPRINTF(at, LABEL_BYTES, "%s%s=\"1.%u\"", comma, name, value);
	} else if (label->kind == LABEL_COMM) {
		bytes = print_comm(reader, at, comma, name);
	} else {
		__u64 text = label->kind < LABEL_ENUM ? 0 :
			find_name(reading->map, label->kind - LABEL_ENUM, (__s32)value);

		bytes = text ? BPF_SNPRINTF(at, LABEL_BYTES, "%s%s=\"%s\"", comma, name, text) :
			       BPF_SNPRINTF(at, LABEL_BYTES, "%s%s=\"%u\"", comma, name, value);
	}
	/* With the 0 behind it. */
	return bytes > 0 && bytes <= LABEL_BYTES ? off + bytes - 1 : off;
}

static __always_inline const struct label *label_of(__u32 map, __u32 number)
{
	__u64 index = map * MAX_LABELS + number;

	/* The compiler knows that it is small enough; the verifier has to see it checked. */
	barrier_var(index);
	if (index >= MAP_CNT * MAX_LABELS)
		return 0;
	barrier_var(index);
	return &labels[0][0] + index;
}

static long add_label(__u32 number, struct reading *reading)
{
	const struct label *label = label_of(reading->reader->key.map, number);

	if (!label || label->kind == LABEL_NONE)
		return 1;
	reading->labels_bytes = print_label(reading, reading->labels_bytes, label);
	return 0;
}

/* reader->labels, which every line of the series has. */
static __noinline void make_labels(struct reading *reading)
{
	struct reader *reader = reading->reader;
	__u32 first = 0;
	struct gj_metrics_name *instance = bpf_map_lookup_elem(&metrics_names, &first);
	long bytes = 0;

	reader->labels[0] = 0;
	if (instance && instance->text[0])
		bytes = BPF_SNPRINTF(reader->labels, LABEL_BYTES, "trace=\"%s\"", instance->text);
	reading->labels_bytes = bytes > 0 && bytes <= LABEL_BYTES ? bytes - 1 : 0;
	bpf_loop(MAX_LABELS, add_label, reading, 0);
}

static __always_inline const struct family *family_of(const struct reader *reader)
{
	__u64 number = reader->family;

	if (number >= FAMILY_CNT)
		return 0;
	barrier_var(number);
	return &families[number];
}

/* Checked where it is used, with nothing between: so the verifier sees it. */
static __always_inline __u64 word_of(const struct reader *reader, __u64 index)
{
	barrier_var(index);
	if (index >= MAX_WORDS)
		return 0;
	barrier_var(index);
	return reader->words[index];
}

/*
 * Ends of buckets in seconds, 2^GJ_HIST_MIN_EXP ns and on, as Go's strconv writes them
 * (client_golang, so node_exporter): series have the same labels whichever way they come.
 */
static const char les[][16] = {
	"2.56e-07", "5.12e-07", "1.024e-06", "2.048e-06", "4.096e-06", "8.192e-06",
	"1.6384e-05", "3.2768e-05", "6.5536e-05", "0.000131072", "0.000262144", "0.000524288",
	"0.001048576", "0.002097152", "0.004194304", "0.008388608", "0.016777216", "0.033554432",
	"0.067108864", "0.134217728", "0.268435456", "0.536870912", "1.073741824", "2.147483648",
	"4.294967296", "8.589934592", "17.179869184", "34.359738368", "68.719476736",
};
#define LE_CNT (sizeof(les) / sizeof(les[0]))
_Static_assert(LE_CNT == GJ_HIST_MAX_EXP - GJ_HIST_MIN_EXP + 1, "one for each power of two");

/* Behind the other labels. The kernel's %s has to stand before a space or punctuation. */
static __always_inline __u64 le_of(const struct reader *reader)
{
	return reader->labels[0] ? (__u64)",le=" : (__u64)"le=";
}

/* Bucket @number: all that is below its end. */
static long print_bucket(__u32 number, struct reading *reading)
{
	const struct family *family = family_of(reading->reader);
	__u64 step, power;
	__u32 slot;

	if (!family)
		return 1;
	step = family->kind == HIST2 ? 1 : 2;
	/* Slot 0, then four to each power of two. */
	slot = number ? 1 + 4 * (number - 1) * step : 0;
	for (__u32 i = 0; i < 8; i++)
		if (number ? i < 4 * step : !i)
			reading->cumulated += word_of(reading->reader,
						      family->word + AT(gj_hist, slots) + slot + i);
	power = number * step;
	barrier_var(power);
	if (power >= LE_CNT)
		return 1;
	barrier_var(power);
	BPF_SEQ_PRINTF(reading->meta->seq, "%s_bucket{%s%s\"%s\"} %llu\n", (__u64)family->name,
		       (__u64)reading->reader->labels, le_of(reading->reader), (__u64)les[power],
		       reading->cumulated);
	return 0;
}

static __always_inline void print_histogram(struct reading *reading, const struct family *family)
{
	struct seq_file *seq = reading->meta->seq;
	__u32 step = family->kind == HIST2 ? 1 : 2;
	const char *labels_text = reading->reader->labels;
	__u64 sum_ns;

	reading->cumulated = 0;
	bpf_loop((GJ_HIST_MAX_EXP - GJ_HIST_MIN_EXP) / step + 1, print_bucket, reading, 0);
	reading->cumulated += word_of(reading->reader, family->word + HIST_WORDS - 1);
	sum_ns = word_of(reading->reader, family->word + AT(gj_hist, sum_ns));
	BPF_SEQ_PRINTF(seq, "%s_bucket{%s%s\"+Inf\"} %llu\n", (__u64)family->name,
		       (__u64)labels_text, le_of(reading->reader), reading->cumulated);
	BPF_SEQ_PRINTF(seq, "%s_sum{%s} %llu.%09llu\n", (__u64)family->name, (__u64)labels_text,
		       sum_ns / 1000000000, sum_ns % 1000000000);
	BPF_SEQ_PRINTF(seq, "%s_count{%s} %llu\n", (__u64)family->name, (__u64)labels_text,
		       reading->cumulated);
}

static __always_inline void print_header(struct reading *reading, const struct family *family)
{
	struct seq_file *seq = reading->meta->seq;
	const char *type = family->kind >= HIST2 ? "histogram" : family->kind >= GAUGE ? "gauge" :
			   "counter";

	BPF_SEQ_PRINTF(seq, "# HELP %s %s\n# TYPE %s %s\n", (__u64)family->name, (__u64)family->help,
		       (__u64)family->name, (__u64)type);
}

static __noinline void print_values(struct reading *reading, const struct family *family)
{
	struct reader *reader = reading->reader;
	struct seq_file *seq = reading->meta->seq;
	__u64 value = word_of(reader, family->word);

	if (family->kind >= HIST2) {
		/* A histogram's first word is its count. */
		if (value)
			print_histogram(reading, family);
	} else if (family->kind == COUNTER_NS || family->kind == GAUGE_NS || family->kind == GAUGE_AGE) {
		if (family->kind == GAUGE_AGE)
			value = bpf_ktime_get_ns() - value;
		BPF_SEQ_PRINTF(seq, "%s{%s} %llu.%09llu\n", (__u64)family->name, (__u64)reader->labels,
			       value / 1000000000, value % 1000000000);
	} else {
		BPF_SEQ_PRINTF(seq, "%s{%s} %llu\n", (__u64)family->name, (__u64)reader->labels, value);
	}
}

/* The next series, or on to the next family; 1 when there is none or no room. */
static long print_next(__u32 index __attribute__((unused)), struct reading *reading)
{
	struct reader *reader = reading->reader;
	const struct family *family = family_of(reader);
	struct series_key key = { .session = reading->session };
	struct series *series;
	__u32 map;

	if (!family || reading->meta->seq->size - reading->meta->seq->count < ROOM_BYTES)
		return 1;
	map = family->map;
	if (map >= MAP_CNT || reader->nr >= reader->cnts[map]) {
		reader->family++;
		reader->nr = 0;
		return 0;
	}
	if (!reader->nr)
		print_header(reading, family);
	reading->printed_cnt++;
	key.map = map;
	key.nr = reader->nr++;
	series = bpf_map_lookup_elem(&metrics_series, &key);
	reader->key.session = key.session;
	reader->key.map = map;
	if (series)
		reader->key.series = *series;
	else if (map != map_self)
		return 0;
	if (!load(reading, map))
		return 0;
	make_labels(reading);
	print_values(reading, family);
	return 0;
}

static long drop_series(__u32 nr, struct reading *reading)
{
	struct series_key key = { .session = reading->session, .map = reading->collecting, .nr = nr };
	struct series *series = bpf_map_lookup_elem(&metrics_series, &key);
	struct sum_key sum = { .session = key.session, .map = key.map };

	if (!series)
		return 0;
	sum.series = *series;
	bpf_map_delete_elem(&metrics_sums, &sum);
	bpf_map_delete_elem(&metrics_series, &key);
	return 0;
}

static long drop_map(__u32 map, struct reading *reading)
{
	if (map >= MAP_CNT)
		return 1;
	reading->collecting = map;
	bpf_loop(reading->reader->cnts[map], drop_series, reading, 0);
	return 0;
}

static __noinline void end(struct reading *reading)
{
	bpf_loop(MAP_CNT, drop_map, reading, 0);
	bpf_map_delete_elem(&metrics_readers, &reading->session);
}

/* The reader that has been silent longest. */
struct silent {
	__u64 seen_ns, session;
};

/*
 * Removes another reader, unless it has come back at this very moment. Each says first
 * what it does, then looks what the other does; an atomic addition is a barrier.
 */
static __always_inline void end_other(struct reader *reader, __u64 session)
{
	struct reading other = { .reader = reader, .session = session };

	__sync_fetch_and_add(&reader->is_dropped, 1);
	if (reader->at_work)
		__sync_fetch_and_add(&reader->is_dropped, -1);
	else
		end(&other);
}

/* The reader whose program this is; NULL: there is none yet, or it was taken for gone. */
static __always_inline struct reader *come_back(const __u64 *session)
{
	struct reader *reader = bpf_map_lookup_elem(&metrics_readers, session);

	if (!reader)
		return 0;
	__sync_fetch_and_add(&reader->at_work, 1);
	if (!reader->is_dropped)
		return reader;
	__sync_fetch_and_add(&reader->at_work, -1);
	return 0;
}

static long find_silent(void *map __attribute__((unused)), __u64 *session, struct reader *reader,
			struct silent *silent)
{
	if (!reader->at_work && reader->seen_ns < silent->seen_ns) {
		silent->seen_ns = reader->seen_ns;
		silent->session = *session;
	}
	return 0;
}

/* The kernel does not tell of files that are closed before their end. */
static long drop_silent(__u32 index __attribute__((unused)), void *nothing __attribute__((unused)))
{
	struct silent silent = { .seen_ns = bpf_ktime_get_ns() };
	__u64 now_ns = silent.seen_ns;
	struct reader *reader;
	long cnt = bpf_for_each_map_elem(&metrics_readers, find_silent, &silent, 0);

	if (silent.seen_ns + (cnt < MAX_READERS ? GIVEN_UP_NS : BUSY_NS) > now_ns)
		return 1;
	reader = bpf_map_lookup_elem(&metrics_readers, &silent.session);
	if (reader)
		end_other(reader, silent.session);
	return 0;
}

static __always_inline void begin(struct reading *reading)
{
	struct silent silent = { 0 };

	bpf_loop(MAX_READERS, drop_silent, 0, 0);
	if (bpf_map_update_elem(&metrics_readers, &reading->session, &new_reader, BPF_NOEXIST))
		return;
	reading->reader = bpf_map_lookup_elem(&metrics_readers, &reading->session);
	if (!reading->reader)
		return;
	collect(reading);
	/* What others have noted is no reason to leave something out: later there is room. */
	if (reading->reader->lost_cnt &&
	    bpf_for_each_map_elem(&metrics_readers, find_silent, &silent, 0) > 1) {
		end(reading);
		reading->reader = 0;
	}
}

SEC("iter/bpf_map_elem")
int gj_metrics(struct bpf_iter__bpf_map_elem *ctx)
{
	__u32 *step = ctx->key;
	struct reading reading = { .meta = ctx->meta, .map = ctx->map };

	reading.session = reading.meta->session_id;
	reading.reader = come_back(&reading.session);
	if (!step) {
		if (reading.reader)
			end(&reading);
		return 0;
	}
	if (!reading.reader && !*step)
		begin(&reading);
	if (!reading.reader)
		return 1;
	bpf_loop(1 << 22, print_next, &reading, 0);
	reading.reader->seen_ns = bpf_ktime_get_ns();
	__sync_fetch_and_add(&reading.reader->at_work, -1);
	/* Nothing found room, or all is said; at the last step there is no next one. */
	if (!family_of(reading.reader))
		return 0;
	return !reading.printed_cnt || *step == MAX_STEPS - 1;
}
