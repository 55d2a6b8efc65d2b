/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What bpf/metrics.bpf.c tells, as tables: the maps of all features, how each is read,
 * the labels its keys make, and the families of metrics its values are.
 *
 * A new family is a row of `families`; of a map that is not here yet also a row of
 * METRICS_MAPS and one of `labels`. docs/metrics.md lists what comes of it.
 * To be included once, behind <linux/bpf.h>, <linux/ptrace.h>.
 */
#ifndef GJ_METRICS_BPF_H
#define GJ_METRICS_BPF_H

#include "trace.bpf.h"

#include "gj_trace_alloc.h"
#include "gj_trace_census.h"
#include "gj_trace_gc.h"
#include "gj_trace_goroutines.h"
#include "gj_trace_metrics.h"
#include "gj_trace_netpoll.h"
#include "gj_trace_syscalls.h"
#include "gj_trace_tcp.h"
#include "gj_trace_threads.h"

#define WORDS_OF(type) (sizeof(type) / sizeof(__u64))
#define HIST_WORDS WORDS_OF(struct gj_hist)

/*
 * Maps whose keys are series: X(kind of map, name, type of its key, of its value, u64 words of
 * a value that are read). Words are added up where the kind is per CPU.
 */
#define METRICS_PERCPU_MAPS(X) \
	X(PERCPU_HASH, stw, struct gj_stw_key, struct gj_hist, HIST_WORDS) \
	X(PERCPU_HASH, mark_assist, struct gj_assist_key, struct gj_hist, HIST_WORDS) \
	X(PERCPU_HASH, sweep, __u32, struct gj_hist, HIST_WORDS) \
	X(PERCPU_HASH, alloc, struct gj_alloc_key, struct gj_alloc, WORDS_OF(struct gj_alloc)) \
	X(PERCPU_HASH, netpoll, struct gj_netpoll_key, struct gj_netpoll, WORDS_OF(struct gj_netpoll)) \
	X(PERCPU_HASH, syscalls, struct gj_syscall_key, struct gj_syscalls, WORDS_OF(struct gj_syscalls)) \
	X(PERCPU_HASH, sched_latency, struct gj_goroutine_func_key, struct gj_hist, HIST_WORDS) \
	X(PERCPU_HASH, blocked, struct gj_blocked_key, struct gj_hist, HIST_WORDS) \
	X(PERCPU_HASH, goroutine_counts, __u32, struct gj_goroutine_counts, \
	  WORDS_OF(struct gj_goroutine_counts)) \
	X(PERCPU_HASH, run_queue, struct gj_run_queue_key, struct gj_hist, HIST_WORDS) \
	X(PERCPU_HASH, off_cpu, struct gj_off_cpu_key, struct gj_hist, HIST_WORDS)
#define METRICS_PLAIN_MAPS(X) \
	X(HASH, gc, __u32, struct gj_gc, WORDS_OF(struct gj_gc)) \
	X(HASH, netpoll_storm, __u32, struct gj_netpoll_storm, WORDS_OF(struct gj_netpoll_storm)) \
	X(HASH, long_runs, struct gj_goroutine_func_key, struct gj_long_run, 2) \
	X(HASH, tcp_unowned, __u32, struct gj_unowned, WORDS_OF(struct gj_unowned)) \
	X(HASH, census_counts, struct gj_census_count_key, struct gj_census_count, 1) \
	X(HASH, census_passes, __u32, struct gj_census_pass, WORDS_OF(struct gj_census_pass))
/* Maps with an entry for each goroutine, thread or connection: added up by what sum_NAME says. */
#define METRICS_SUMMED_MAPS(X) \
	X(HASH, goroutines, struct gj_goroutine_key, struct gj_goroutine, 1) \
	X(HASH, thread_states, __u32, struct gj_thread_state, 2) \
	X(HASH, tcp_retransmits, struct gj_retransmit_key, struct gj_retransmits, SUM_WORDS)
#define SUM_WORDS 9

#define MAP_ID(kind, name, key, value, words) map_##name,
enum map_id {
	map_drops,
	map_targets,
	map_self,
	METRICS_PERCPU_MAPS(MAP_ID) METRICS_PLAIN_MAPS(MAP_ID) METRICS_SUMMED_MAPS(MAP_ID)
	MAP_CNT,
};

/*
 * The loader sets those true whose map another object has made; the others are
 * not made for this one, and the verifier drops the code.
 */
#define MAP_DECLARE(kind, name, key_type, value_type, words) \
	const volatile _Bool has_##name; \
	struct { \
		__uint(type, BPF_MAP_TYPE_##kind); \
		__uint(map_flags, BPF_F_NO_PREALLOC); \
		__uint(max_entries, 1); \
		__type(key, key_type); \
		__type(value, value_type); \
	} name SEC(".maps");
METRICS_PERCPU_MAPS(MAP_DECLARE)
METRICS_PLAIN_MAPS(MAP_DECLARE)
METRICS_SUMMED_MAPS(MAP_DECLARE)

/* What a word of a key is as a label. */
enum label_kind {
	LABEL_NONE,
	LABEL_NUMBER,
	LABEL_PROGRAM, /* name of program number ... */
	LABEL_GO,      /* Go 1.N */
	LABEL_COMM,    /* the 16 bytes from word COMM_WORD on */
	LABEL_ENUM,    /* and more: member of struct gj_metrics_enums, of that type */
};
#define ENUM_OF(member) (LABEL_ENUM + __builtin_offsetof(struct gj_metrics_enums, member) / 4)

#define COMM_WORD 3

#define MAX_LABELS 4
struct label {
	char name[14];
	__u8 kind; /* enum label_kind */
	__u8 word; /* of the key */
};

static const struct label labels[MAP_CNT][MAX_LABELS] = {
	[map_drops] = { { "reason", ENUM_OF(drop), 0 } },
	[map_targets] = { { "pid", LABEL_NUMBER, 0 }, { "program", LABEL_PROGRAM, 1 },
			  { "go", LABEL_GO, 2 } },
	[map_stw] = { { "pid", LABEL_NUMBER, 0 }, { "reason", ENUM_OF(stw_reason), 1 },
		      { "phase", ENUM_OF(stw_phase), 2 } },
	[map_mark_assist] = { { "pid", LABEL_NUMBER, 0 }, { "func", ENUM_OF(func), 1 } },
	[map_sweep] = { { "pid", LABEL_NUMBER, 0 } },
	[map_alloc] = { { "pid", LABEL_NUMBER, 0 }, { "size_class", ENUM_OF(size_class), 1 } },
	[map_netpoll] = { { "pid", LABEL_NUMBER, 0 }, { "kind", ENUM_OF(poll_kind), 1 } },
	[map_syscalls] = { { "pid", LABEL_NUMBER, 0 }, { "syscall", ENUM_OF(syscall), 1 } },
	[map_sched_latency] = { { "pid", LABEL_NUMBER, 0 }, { "func", ENUM_OF(func), 1 } },
	[map_blocked] = { { "pid", LABEL_NUMBER, 0 }, { "reason", ENUM_OF(reason), 1 },
			  { "func", ENUM_OF(func), 2 } },
	[map_goroutine_counts] = { { "pid", LABEL_NUMBER, 0 } },
	[map_gc] = { { "pid", LABEL_NUMBER, 0 } },
	[map_netpoll_storm] = { { "pid", LABEL_NUMBER, 0 } },
	[map_long_runs] = { { "pid", LABEL_NUMBER, 0 }, { "func", ENUM_OF(func), 1 } },
	[map_run_queue] = { { "pid", LABEL_NUMBER, 0 }, { "since", ENUM_OF(queued), 1 },
			    { "func", ENUM_OF(func), 2 }, { "comm", LABEL_COMM, COMM_WORD } },
	[map_off_cpu] = { { "pid", LABEL_NUMBER, 0 }, { "kind", ENUM_OF(off_cpu), 1 } },
	[map_tcp_unowned] = { { "netns", LABEL_NUMBER, 0 } },
	[map_census_counts] = { { "pid", LABEL_NUMBER, 0 }, { "status", ENUM_OF(status), 1 },
				{ "reason", ENUM_OF(reason), 2 }, { "func", ENUM_OF(func), 3 } },
	[map_census_passes] = { { "pid", LABEL_NUMBER, 0 } },
	[map_thread_states] = { { "pid", LABEL_NUMBER, 0 }, { "state", ENUM_OF(thread_run), 1 } },
	[map_tcp_retransmits] = { { "pid", LABEL_NUMBER, 0 }, { "func", ENUM_OF(func), 1 },
				  { "family", ENUM_OF(family), 2 } },
	[map_goroutines] = { { "pid", LABEL_NUMBER, 0 }, { "status", ENUM_OF(status), 1 },
			     { "reason", ENUM_OF(reason), 2 } },
};

enum family_kind {
	COUNTER,
	COUNTER_NS, /* told in seconds */
	GAUGE,
	GAUGE_NS,   /* told in seconds */
	GAUGE_AGE,  /* of CLOCK_MONOTONIC in ns, told as the seconds since */
	HIST2,      /* struct gj_hist, a bucket for each power of 2 */
	HIST4,      /* of every second one: where there are many series */
};

struct family {
	char name[48]; /* of the Prometheus metric */
	char help[112];
	__u8 map;      /* enum map_id */
	__u8 kind;     /* enum family_kind */
	__u16 word;    /* of the map's value, where it begins */
};
#define AT(type, member) (__builtin_offsetof(struct type, member) / sizeof(__u64))

/* In the order in which they are told. */
static const struct family families[] = {
	{ "gojitter_drops_total", "What could not be counted, by cause; docs/abi.md tells of which map.",
	  map_drops, COUNTER, 0 },
	{ "gojitter_metrics_lost_series", "Series left out of this text: there are more than it has room for.",
	  map_self, GAUGE, 0 },
	{ "gojitter_process_info", "Processes that are traced now, with their program and release of Go.",
	  map_targets, GAUGE, 0 },
	{ "gojitter_gc_cycles_total", "Garbage collections that have ended marking.",
	  map_gc, COUNTER, AT(gj_gc, cycles) },
	{ "gojitter_gc_mark_seconds", "Time from the start of marking to its termination: write barriers are on.",
	  map_gc, HIST2, AT(gj_gc, mark) },
	{ "gojitter_gc_sweep_seconds", "Time from the end of marking until all was swept.",
	  map_sweep, HIST2, 0 },
	{ "gojitter_stop_the_world_seconds", "Stops of the world, by reason and phase.", map_stw, HIST2, 0 },
	{ "gojitter_gc_mark_assist_seconds", "Time in which goroutines had to help marking, by their start function.",
	  map_mark_assist, HIST4, 0 },
	{ "gojitter_alloc_refills_total", "Spans of a P's cache that were full, by size class.",
	  map_alloc, COUNTER, AT(gj_alloc, refills) },
	{ "gojitter_alloc_grows_total", "Refills for which a new span was asked of the heap.",
	  map_alloc, COUNTER, AT(gj_alloc, grows) },
	{ "gojitter_alloc_spans_total", "Spans that the heap gave; of the large classes one for each object.",
	  map_alloc, COUNTER, AT(gj_alloc, spans) },
	{ "gojitter_alloc_span_bytes_total", "Bytes of the spans that the heap gave.",
	  map_alloc, COUNTER, AT(gj_alloc, span_bytes) },
	{ "gojitter_alloc_lock_waits_total", "Waits in futex(2) for a lock during refills.",
	  map_alloc, COUNTER, AT(gj_alloc, lock_waits) },
	{ "gojitter_alloc_lock_wait_seconds_total", "Time waited in futex(2) for a lock during refills.",
	  map_alloc, COUNTER_NS, AT(gj_alloc, lock_wait_ns) },
	{ "gojitter_alloc_refill_seconds", "Duration of refills, with sweeping and waiting.",
	  map_alloc, HIST4, AT(gj_alloc, refill) },
	{ "gojitter_netpoll_calls_total", "Calls of runtime.netpoll, by the delay asked for.",
	  map_netpoll, COUNTER, AT(gj_netpoll, calls) },
	{ "gojitter_netpoll_empty_total", "Calls of epoll_pwait(2) that gave no event.",
	  map_netpoll, COUNTER, AT(gj_netpoll, empty) },
	{ "gojitter_netpoll_interrupted_total", "Calls of epoll_pwait(2) that a signal ended.",
	  map_netpoll, COUNTER, AT(gj_netpoll, interrupted) },
	{ "gojitter_netpoll_events_total", "Events of descriptors, and those that wake the poller.",
	  map_netpoll, COUNTER, AT(gj_netpoll, events) },
	{ "gojitter_netpoll_delay_seconds", "Delays that timed polls asked for.",
	  map_netpoll, HIST2, AT(gj_netpoll, delay) },
	{ "gojitter_netpoll_inside_seconds", "Time from the call until the kernel had an answer.",
	  map_netpoll, HIST2, AT(gj_netpoll, inside) },
	{ "gojitter_netpoll_empty_polls_per_second_max", "Polls of one second that neither waited nor found anything; the most so far.",
	  map_netpoll_storm, GAUGE, AT(gj_netpoll_storm, max_empty_cnt) },
	{ "gojitter_syscall_seconds", "Syscalls from entersyscall to exitsyscall.",
	  map_syscalls, HIST4, AT(gj_syscalls, whole) },
	{ "gojitter_syscall_kernel_seconds", "Time of syscalls in the kernel.",
	  map_syscalls, HIST4, AT(gj_syscalls, kernel) },
	{ "gojitter_syscall_p_wait_seconds", "Time behind a syscall until there was a P again, where one had to be found.",
	  map_syscalls, HIST4, AT(gj_syscalls, p_wait) },
	{ "gojitter_goroutines", "Goroutines by status and, while they wait, reason.", map_goroutines, GAUGE, 0 },
	{ "gojitter_goroutines_created_total", "Goroutines created.",
	  map_goroutine_counts, COUNTER, AT(gj_goroutine_counts, created) },
	{ "gojitter_goroutines_exited_total", "Goroutines that have ended.",
	  map_goroutine_counts, COUNTER, AT(gj_goroutine_counts, exited) },
	{ "gojitter_goroutine_starts_total", "Times that a goroutine was put on a thread.",
	  map_goroutine_counts, COUNTER, AT(gj_goroutine_counts, started) },
	{ "gojitter_goroutine_parks_total", "Times that a goroutine began to wait.",
	  map_goroutine_counts, COUNTER, AT(gj_goroutine_counts, parked) },
	{ "gojitter_goroutine_readies_total", "Times that a waiting goroutine became runnable.",
	  map_goroutine_counts, COUNTER, AT(gj_goroutine_counts, readied) },
	{ "gojitter_goroutine_resumes_total", "Waits that turned out to be none.",
	  map_goroutine_counts, COUNTER, AT(gj_goroutine_counts, resumed) },
	{ "gojitter_goroutine_preemptions_total", "Times that a goroutine was taken off by request of the runtime.",
	  map_goroutine_counts, COUNTER, AT(gj_goroutine_counts, preempted) },
	{ "gojitter_goroutine_yields_total", "Times that a goroutine put itself behind others.",
	  map_goroutine_counts, COUNTER, AT(gj_goroutine_counts, yielded) },
	{ "gojitter_goroutine_syscalls_total", "Syscalls entered, up to Go 1.25.",
	  map_goroutine_counts, COUNTER, AT(gj_goroutine_counts, syscalls) },
	{ "gojitter_goroutine_syscalls_lost_p_total", "Syscalls behind which there was no P.",
	  map_goroutine_counts, COUNTER, AT(gj_goroutine_counts, syscalls_lost_p) },
	{ "gojitter_goroutine_learnt_total", "Goroutines older than the trace, met at an event.",
	  map_goroutine_counts, COUNTER, AT(gj_goroutine_counts, learnt) },
	{ "gojitter_goroutine_unseen_total", "Events whose predecessor bypassed the hooks: no duration was added.",
	  map_goroutine_counts, COUNTER, AT(gj_goroutine_counts, unseen) },
	{ "gojitter_goroutine_sched_latency_seconds", "Time from runnable to running, by start function.",
	  map_sched_latency, HIST4, 0 },
	{ "gojitter_goroutine_blocked_seconds", "Time from waiting to runnable, by wait reason and start function.",
	  map_blocked, HIST4, 0 },
	{ "gojitter_goroutine_long_runs_total", "Runs of 10 ms and more without a switch of goroutines.",
	  map_long_runs, COUNTER, AT(gj_long_run, cnt) },
	{ "gojitter_goroutine_long_runs_slept_total", "Longer ones during which the thread slept in the kernel.",
	  map_long_runs, COUNTER, AT(gj_long_run, slept_cnt) },
	{ "gojitter_census_goroutines", "Goroutines as the file census found them when it was last read.",
	  map_census_counts, GAUGE, AT(gj_census_count, number) },
	{ "gojitter_census_age_seconds", "Time since the file census was read.",
	  map_census_passes, GAUGE_AGE, AT(gj_census_pass, seen_ns) },
	{ "gojitter_census_duration_seconds", "How long that took.",
	  map_census_passes, GAUGE_NS, AT(gj_census_pass, took_ns) },
	{ "gojitter_census_torn", "Goroutines that ran on whenever they were read: no stack.",
	  map_census_passes, GAUGE, AT(gj_census_pass, torn) },
	{ "gojitter_census_busy", "Goroutines only marked as waiting, for the collector or the tracer.",
	  map_census_passes, GAUGE, AT(gj_census_pass, busy) },
	{ "gojitter_census_cut", "Goroutines whose stack was not read down to its first function.",
	  map_census_passes, GAUGE, AT(gj_census_pass, cut) },
	{ "gojitter_census_unreadable", "Goroutines that could not be read, and are not told.",
	  map_census_passes, GAUGE, AT(gj_census_pass, unreadable) },
	{ "gojitter_census_whole", "Whether the process was there, and its memory, all the time: 1 or 0.",
	  map_census_passes, GAUGE, AT(gj_census_pass, is_whole) },
	{ "gojitter_thread_run_queue_seconds", "Time that threads waited for a processor, by what made them runnable.",
	  map_run_queue, HIST4, 0 },
	{ "gojitter_thread_off_cpu_seconds", "Time from a thread's switch away to its switch back.",
	  map_off_cpu, HIST2, 0 },
	{ "gojitter_threads", "Threads by what the kernel does with them.", map_thread_states, GAUGE, 0 },
	{ "gojitter_threads_unseen_switches", "Switches to threads that there are, of which the kernel did not tell.",
	  map_thread_states, GAUGE, 1 },
	{ "gojitter_tcp_retransmits_total", "Segments sent again, by the goroutine that last wrote the socket.",
	  map_tcp_retransmits, COUNTER, 0 },
	{ "gojitter_tcp_ambiguous_retransmits_total", "Those of sockets that others had written within a second.",
	  map_tcp_retransmits, COUNTER, 8 },
	{ "gojitter_tcp_timeout_retransmits_total", "Those after the retransmission timer.",
	  map_tcp_retransmits, COUNTER, 1 },
	{ "gojitter_tcp_fast_retransmits_total", "Those without waiting for the timer.",
	  map_tcp_retransmits, COUNTER, 2 },
	{ "gojitter_tcp_probe_retransmits_total", "Tail loss probes.", map_tcp_retransmits, COUNTER, 3 },
	{ "gojitter_tcp_handshake_retransmits_total", "SYN and SYN-ACK.", map_tcp_retransmits, COUNTER, 4 },
	{ "gojitter_tcp_other_retransmits_total", "Those of none of these kinds.", map_tcp_retransmits, COUNTER, 5 },
	{ "gojitter_tcp_unseen_retransmits_total", "Those that only the socket's own count tells of.",
	  map_tcp_retransmits, COUNTER, 6 },
	{ "gojitter_tcp_failed_retransmits_total", "Tries of which nothing was sent, Linux 6.17 and later.",
	  map_tcp_retransmits, COUNTER, 7 },
	{ "gojitter_tcp_unowned_retransmits_total", "Segments sent again of sockets no goroutine is known for, by network namespace.",
	  map_tcp_unowned, COUNTER, AT(gj_unowned, segments) },
	{ "gojitter_tcp_unowned_syn_acks_total", "SYN-ACKs sent again of such sockets.",
	  map_tcp_unowned, COUNTER, AT(gj_unowned, syn_acks) },
};
#define FAMILY_CNT (sizeof(families) / sizeof(families[0]))

#endif
