// SPDX-License-Identifier: GPL-2.0
/*
 * Ring buffer beside perf buffer, as the programs of gojitter trace fill them
 * (bpf/events.bpf.h): one processor tells events at a given rate, another reads.
 *
 *   events OBJECT      the object of tests/bench/events.bpf.c
 *
 * For each way: the greatest rate of which nothing was lost, the time from the
 * event to the reader, the loss when the reader takes twice as long as events
 * come. And what writing an event into a file takes.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/perf_event.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "events/events.h"

#define BUFFER_BYTES (8u << 20)   /* of both processors */
#define SMALL_BYTES (512u << 10)  /* that overload fills soon */
#define BURST 16
#define STEP_NS 300000000ull
#define OVERLOAD_NS 1000000000ull
#define CALM_RATE 50e3 /* events a second that every way takes */
#define MAX_SAMPLES (1u << 20)
#define POLL_NS 20000000

/* A way of handing events over. */
struct way {
	const char *name;
	bool by_perf;
	unsigned int wakeup_events; /* perf: wake after so many; 0: never */
	bool is_woken;              /* the reader waits for being woken; else it comes every POLL_NS */
};

static const struct way ways[] = {
	{ "ring buffer, wakes its reader", false, 0, true },
	{ "perf buffer, wakes every event", true, 1, true },
	{ "perf buffer, wakes every 64th", true, 64, true },
	{ "ring buffer, read every 20 ms", false, 0, false },
	{ "perf buffer, read every 20 ms", true, 0, false },
};

#define WAY_CNT (sizeof(ways) / sizeof(ways[0]))

struct bench {
	const struct way *way;
	struct bpf_object *object;
	int program, drops;
	struct ring_buffer *ring;
	struct perf_buffer *perf;
	volatile bool is_ready, is_over; /* the reader */
	uint64_t spin_ns;     /* that the reader takes for each event */
	uint64_t read_cnt;
	uint32_t *delays_ns;  /* MAX_SAMPLES, in turn */
};

/* Of one run. */
struct result {
	uint64_t told, lost; /* events */
	double seconds;
	double p50_us, p99_us;
};

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void die(const char *what, int err)
{
	fprintf(stderr, "events: %s: %s\n", what, strerror(err < 0 ? -err : err));
	exit(1);
}

/* Before all else that wants the processor, as far as we may. */
static void stay_on(unsigned int cpu)
{
	const struct sched_param first = { .sched_priority = 1 };
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	sched_setaffinity(0, sizeof(set), &set);
	sched_setscheduler(0, SCHED_FIFO, &first);
}

static void take(struct bench *bench, const void *data)
{
	const struct gj_event *event = data;
	uint64_t now = now_ns();

	bench->delays_ns[bench->read_cnt++ % MAX_SAMPLES] = (uint32_t)(now - event->time_ns);
	while (bench->spin_ns && now_ns() - now < bench->spin_ns)
		;
}

static int from_ring(void *data, void *event, size_t size_bytes)
{
	struct bench *bench = data;

	(void)size_bytes;
	take(bench, event);
	return bench->is_over ? -EINTR : 0;
}

static enum bpf_perf_event_ret from_perf(void *data, int cpu, struct perf_event_header *header)
{
	(void)cpu;
	if (header->type == PERF_RECORD_SAMPLE)
		take(data, (const uint32_t *)(header + 1) + 1);
	return LIBBPF_PERF_EVENT_CONT;
}

static void *read_all(void *data)
{
	struct bench *bench = data;
	const struct timespec pause = { .tv_nsec = POLL_NS };

	stay_on(1);
	bench->is_ready = true;
	while (!bench->is_over) {
		if (bench->way->is_woken && bench->ring)
			ring_buffer__poll(bench->ring, 100);
		else if (bench->way->is_woken)
			perf_buffer__poll(bench->perf, 100);
		else if (bench->ring)
			ring_buffer__consume(bench->ring);
		else
			perf_buffer__consume(bench->perf);
		if (!bench->way->is_woken)
			nanosleep(&pause, NULL);
	}
	return NULL;
}

/* Rodata of the object: gj_events_by_perf is its only bool. */
static void set_perf(struct bpf_object *object, struct bpf_map *events)
{
	struct bpf_map *map;

	bpf_object__for_each_map(map, object) {
		size_t size_bytes = 0;
		uint8_t *bytes = bpf_map__is_internal(map) && strstr(bpf_map__name(map), ".rodata") ?
			(uint8_t *)bpf_map__initial_value(map, &size_bytes) : NULL;

		for (size_t i = 0; bytes && i < size_bytes; i++)
			bytes[i] = 1; /* the mask, which is not asked, and the bool */
	}
	bpf_map__set_type(events, BPF_MAP_TYPE_PERF_EVENT_ARRAY);
	bpf_map__set_key_size(events, 4);
	bpf_map__set_value_size(events, 4);
	bpf_map__set_max_entries(events, (uint32_t)libbpf_num_possible_cpus());
}

static void open_buffer(struct bench *bench, int events, uint32_t buffer_bytes)
{
	struct perf_event_attr attr = {
		.size = sizeof(attr), .type = PERF_TYPE_SOFTWARE,
		.config = PERF_COUNT_SW_BPF_OUTPUT, .sample_type = PERF_SAMPLE_RAW,
		.sample_period = 1, .wakeup_events = bench->way->wakeup_events,
	};
	size_t pages = buffer_bytes / 2 / (size_t)sysconf(_SC_PAGESIZE);

	if (!bench->way->wakeup_events) {
		attr.watermark = 1;
		attr.wakeup_watermark = 1u << 30;
	}
	if (bench->way->by_perf)
		bench->perf = perf_buffer__new_raw(events, pages, &attr, from_perf, bench, NULL);
	else
		bench->ring = ring_buffer__new(events, from_ring, bench, NULL);
	if (!bench->perf && !bench->ring)
		die("buffer", errno);
}

static void begin(struct bench *bench, const struct way *way, const char *path,
		  uint32_t buffer_bytes)
{
	struct bpf_program *program;
	struct bpf_map *events;

	*bench = (struct bench){ .way = way, .object = bpf_object__open_file(path, NULL),
				 .delays_ns = calloc(MAX_SAMPLES, sizeof(uint32_t)) };
	if (!bench->object || !bench->delays_ns)
		die(path, errno);
	events = bpf_object__find_map_by_name(bench->object, "events");
	bpf_map__set_max_entries(events, buffer_bytes);
	if (way->by_perf)
		set_perf(bench->object, events);
	program = bpf_object__find_program_by_name(
		bench->object, way->is_woken && !way->by_perf ? "burst_waking" : "burst");
	if (bpf_object__load(bench->object))
		die("load", errno);
	bench->program = bpf_program__fd(program);
	bench->drops = bpf_map__fd(bpf_object__find_map_by_name(bench->object, "drops"));
	open_buffer(bench, bpf_map__fd(events), buffer_bytes);
}

static void end(struct bench *bench)
{
	ring_buffer__free(bench->ring);
	perf_buffer__free(bench->perf);
	bpf_object__close(bench->object);
	free(bench->delays_ns);
}

static uint64_t lost_so_far(const struct bench *bench)
{
	uint64_t *counts = calloc((size_t)libbpf_num_possible_cpus(), sizeof(*counts)), sum = 0;
	uint32_t key = drop_ring_full;

	if (!counts || bpf_map_lookup_elem(bench->drops, &key, counts))
		die("drops", errno);
	for (int cpu = 0; cpu < libbpf_num_possible_cpus(); cpu++)
		sum += counts[cpu];
	free(counts);
	return sum;
}

static int by_size(const void *a, const void *b)
{
	const uint32_t *left = a, *right = b;

	return *left < *right ? -1 : *left > *right;
}

/* Tells @rate events a second for a while. */
static uint64_t tell(const struct bench *bench, double rate, uint64_t for_ns)
{
	uint64_t args[1] = { BURST }, begin_ns = now_ns(), cnt = 0;
	LIBBPF_OPTS(bpf_test_run_opts, once, .ctx_in = args, .ctx_size_in = sizeof(args));

	while (now_ns() - begin_ns < for_ns) {
		if ((double)cnt > (double)(now_ns() - begin_ns) * rate / 1e9)
			continue;
		if (bpf_prog_test_run_opts(bench->program, &once))
			die("test run", errno);
		cnt += BURST;
	}
	return cnt;
}

/* @spin_ns: that the reader takes for each. */
static struct result run(struct bench *bench, double rate, uint64_t for_ns, uint64_t spin_ns)
{
	uint64_t lost = lost_so_far(bench), begin_ns;
	struct result result;
	pthread_t reader;
	size_t cnt;

	bench->is_ready = bench->is_over = false;
	bench->spin_ns = spin_ns;
	bench->read_cnt = 0;
	if (pthread_create(&reader, NULL, read_all, bench))
		die("thread", errno);
	stay_on(0);
	/* It begins on our processor. */
	while (!bench->is_ready)
		nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
	begin_ns = now_ns();
	result.told = tell(bench, rate, for_ns);
	result.seconds = (double)(now_ns() - begin_ns) / 1e9;
	bench->is_over = true;
	pthread_join(reader, NULL);
	result.lost = lost_so_far(bench) - lost;
	cnt = bench->read_cnt < MAX_SAMPLES ? bench->read_cnt : MAX_SAMPLES;
	qsort(bench->delays_ns, cnt, sizeof(*bench->delays_ns), by_size);
	result.p50_us = cnt ? bench->delays_ns[cnt / 2] / 1e3 : 0;
	result.p99_us = cnt ? bench->delays_ns[cnt * 99 / 100] / 1e3 : 0;
	/* What is left is nobody's. */
	bench->spin_ns = 0;
	bench->is_over = false;
	if (bench->ring)
		ring_buffer__consume(bench->ring);
	else
		perf_buffer__consume(bench->perf);
	return result;
}

/* The greatest rate, per second, of which nothing is lost; more than the teller can say is not asked. */
static double find_max(struct bench *bench)
{
	double best = 0;

	for (double rate = 100e3; rate < 20e6; rate *= 1.4) {
		struct result result = run(bench, rate, STEP_NS, 0);
		double told = (double)result.told / result.seconds;

		if (!result.lost && told > best)
			best = told;
		if (result.lost || told < rate * 0.9)
			break;
	}
	return best;
}

static void measure(const struct way *way, const char *path)
{
	struct result calm, slow;
	struct bench bench;
	double max;

	begin(&bench, way, path, BUFFER_BYTES);
	max = find_max(&bench);
	calm = run(&bench, CALM_RATE, STEP_NS, 0);
	end(&bench);
	begin(&bench, way, path, SMALL_BYTES);
	slow = run(&bench, 2 * CALM_RATE, OVERLOAD_NS, (uint64_t)(1e9 / CALM_RATE));
	end(&bench);
	printf("  %-31s %5.2f M/s  p50 %8.1f us  p99 %8.1f us  loses %4.1f %%\n", way->name,
	       max / 1e6, calm.p50_us, calm.p99_us, 100.0 * (double)slow.lost / (double)slow.told);
	fflush(stdout);
}

static const char *no_name(void *data, uint32_t func)
{
	(void)data;
	(void)func;
	return NULL;
}

static int no_stack(void *data, const struct gj_event *event, struct gj_events_stack *stack_out,
		    struct gj_buf *pcs_out)
{
	(void)data;
	(void)event;
	(void)stack_out;
	(void)pcs_out;
	return -ENOENT;
}

/* Four changes of each of 100 goroutines in turn, a microsecond apart. */
static void measure_file(void)
{
	const unsigned int cnt = 2000000;
	const struct gj_events_head head = { .cpu_cnt = 2 };
	const struct gj_events_names names = { NULL, no_name, no_stack };
	struct gj_events_writer *writer = NULL;
	int fd = open("/tmp", O_TMPFILE | O_RDWR, 0600);
	uint64_t begin_ns = now_ns();

	if (gj_events_writer_new(fd, &head, &names, &writer))
		die("file", errno);
	for (unsigned int i = 0; i < cnt; i++) {
		struct gj_event event = {
			.time_ns = 1000ull * i, .tgid = 1, .tid = 1 + i / 16 % 4, .goid = 1 + i / 4 % 100,
			.func = 17 + i / 4 % 7, .cpu = (uint16_t)(i / 16 % 2),
			.kind = (uint8_t)(goroutine_runnable + i % 3),
			.goroutine = { .from = (uint16_t)(1 + i % 3), .to = 2, .reason = 15 },
		};

		gj_events_write(writer, &event);
		if (i % 20000 == 0)
			gj_events_flush(writer, event.time_ns - 1000, NULL, 0);
	}
	gj_events_finish(writer, NULL, 0);
	printf("  writing the file: %.0f ns and %.1f bytes an event\n",
	       (double)(now_ns() - begin_ns) / cnt, (double)lseek(fd, 0, SEEK_END) / cnt);
	gj_events_writer_free(writer);
	close(fd);
}

int main(int argc, char **argv)
{
	if (argc != 2) {
		fputs("usage: events OBJECT\n", stderr);
		return 2;
	}
	for (size_t i = 0; i < WAY_CNT; i++)
		measure(&ways[i], argv[1]);
	measure_file();
	return 0;
}
