/* SPDX-License-Identifier: GPL-2.0 */
/*
 * One series as lines of Prometheus' text format: its labels, with names that are found in
 * the kernel's copy of the types, and its values. To be included once, behind <linux/btf.h>.
 */
#ifndef GJ_METRICS_PRINT_BPF_H
#define GJ_METRICS_PRINT_BPF_H

#include <bpf/bpf_endian.h>

#include "metrics_reader.bpf.h"

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

#endif
