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
 * Readers share nothing but room. What one leaves that gave up is removed by later ones.
 */
#include <linux/bpf.h>
#include <linux/btf.h>
#include <linux/ptrace.h>

#include "metrics_print.bpf.h"

char LICENSE[] SEC("license") = "GPL";

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
