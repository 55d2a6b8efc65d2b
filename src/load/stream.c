/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Events from the programs of an instance to a file: a buffer is emptied every
 * ROUND_NS, what is older than WINDOW_NS is written in order of time every FLUSH_ROUNDS.
 *
 * A program reads the clock before it takes its place in the buffer, and may be
 * preempted between; so what comes out is in order but for the window.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "events/events.h"
#include "gj_trace_goroutines.h"
#include "load/instance.h"

#define ROUND_NS 20000000
#define WINDOW_NS 200000000         /* threads of a busy machine stand still that long */
#define FLUSH_ROUNDS 5
#define MAX_ROUND_EVENTS (1u << 17) /* then what there is is written first */
#define CHECK_ROUNDS 10             /* until it is asked again whether processes are left */

struct gj_load_stream {
	struct gj_load *load;
	int fd;                      /* of the file */
	struct gj_events_writer *writer;
	struct ring_buffer *ring;
	struct perf_buffer *perf;
	int drops, targets, stacks;  /* descriptors of maps, the objects'; -1 */
	size_t cpu_cnt;
	uint64_t *sums, *before, *lost; /* owned: drop_ring_full by CPU, now, then, since */
	uint64_t lost_cnt;
	uint64_t last_ns;            /* of what came out of the buffer */
	uint32_t round_cnt;          /* events of this round */
	uint32_t rounds;             /* since something was written */
	int err;                     /* -ENOMEM of a callback */
	bool has_run;
	ino_t inode;                 /* of the instance's directory */
};

static uint64_t now_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static int take(struct gj_load_stream *stream, const void *data, size_t size_bytes)
{
	struct gj_event event;

	/* perf pads. */
	if (size_bytes < sizeof(event))
		return 0;
	memcpy(&event, data, sizeof(event));
	if (event.time_ns > stream->last_ns)
		stream->last_ns = event.time_ns;
	stream->err = gj_events_write(stream->writer, &event);
	stream->round_cnt++;
	return stream->err;
}

static int take_from_ring(void *data, void *bytes, size_t size_bytes)
{
	struct gj_load_stream *stream = data;
	int err = take(stream, bytes, size_bytes);

	/* The one that was taken is gone from the buffer also when this says stop. */
	return err ? err : stream->round_cnt >= MAX_ROUND_EVENTS ? -EAGAIN : 0;
}

/* Lost ones (PERF_RECORD_LOST) the programs have counted, by the error they got. */
static enum bpf_perf_event_ret take_from_perf(void *data, int cpu, struct perf_event_header *header)
{
	const uint32_t *raw_bytes = (const uint32_t *)(header + 1);

	(void)cpu;
	if (header->type == PERF_RECORD_SAMPLE)
		take(data, raw_bytes + 1, *raw_bytes);
	return LIBBPF_PERF_EVENT_CONT;
}

/* Names for the writer. */
static const char *func_name(void *data, uint32_t func)
{
	const struct gj_load_stream *stream = data;
	const struct gj_load_targets *targets = &stream->load->targets;
	uint32_t program = func >> GJ_FUNC_SHIFT, off = (func & GJ_FUNC_MASK) - 1;
	struct gj_gofunc found;

	if (program >= targets->binary_cnt ||
	    gj_gotab_find_func(targets->binaries[program].gotab,
			       targets->binaries[program].target.text_va + off, &found))
		return NULL;
	return found.name;
}

/* gj_func of link-time address @va; 0: none. */
static uint32_t func_at(const struct gj_load_binary *binary, uint64_t va)
{
	struct gj_gofunc found;

	if (gj_gotab_find_func(binary->gotab, va, &found) ||
	    found.entry_va < binary->target.text_va ||
	    found.entry_va - binary->target.text_va >= GJ_FUNC_MASK)
		return 0;
	return binary->target.program << GJ_FUNC_SHIFT |
	       (uint32_t)(found.entry_va - binary->target.text_va + 1);
}

static int find_stack(void *data, const struct gj_event *event, struct gj_events_stack *stack_out,
		      struct gj_buf *pcs_out)
{
	const struct gj_load_stream *stream = data;
	struct gj_blocked_stack_key key = { .tgid = event->tgid, .reason = event->goroutine.reason,
					    .hash = event->goroutine.at };
	struct gj_blocked_stack stack;

	if (stream->stacks < 0 || event->program >= stream->load->targets.binary_cnt ||
	    bpf_map_lookup_elem(stream->stacks, &key, &stack))
		return -ENOENT;
	*stack_out = (struct gj_events_stack){ .is_cut = stack.stack.is_cut };
	for (uint32_t i = 0; i < stack.stack.pc_cnt && i < GJ_GO_STACK_PCS; i++) {
		uint64_t va = stack.stack.pcs[i];
		/* Return addresses stand behind their calls. */
		uint32_t row[2] = { func_at(&stream->load->targets.binaries[event->program],
					    va - (i > 0)), 0 };

		/* No code of the program: what is behind it is not to be believed. */
		stack_out->is_cut |= !row[0];
		if (!row[0])
			break;
		gj_buf_add(pcs_out, &va, sizeof(va));
		gj_buf_add(pcs_out, row, sizeof(row));
		stack_out->pc_cnt++;
	}
	return 0;
}

static void read_boot_id(char boot_id_out[40])
{
	int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	ssize_t bytes = fd < 0 ? 0 : read(fd, boot_id_out, 39);

	boot_id_out[bytes > 0 ? bytes : 0] = '\0';
	boot_id_out[strcspn(boot_id_out, "\n")] = '\0';
	if (fd >= 0)
		close(fd);
}

static int write_programs(struct gj_load_stream *stream)
{
	const struct gj_load_targets *targets = &stream->load->targets;
	int err = 0;

	for (unsigned int i = 0; !err && i < targets->binary_cnt; i++) {
		const struct gj_load_binary *binary = &targets->binaries[i];
		struct gj_window id = gj_image_build_id(binary->image);
		struct gj_window go_id = gj_image_go_build_id(binary->image);
		struct gj_buf hex = { 0 }, go_text = { 0 };
		struct gj_events_program program = {
			.number = i, .go_minor = binary->target.go_minor,
			.text_va = binary->target.text_va, .path = binary->label,
			.go_version = gj_gotab_info(binary->gotab)->go_version,
		};

		for (size_t j = 0; j < id.size_bytes; j++)
			gj_buf_fmt(&hex, "%02x", id.base[j]);
		gj_buf_chr(&hex, '\0');
		gj_buf_add(&go_text, go_id.base, go_id.size_bytes);
		gj_buf_chr(&go_text, '\0');
		program.build_id = hex.data;
		program.go_build_id = go_text.data;
		err = hex.failed || go_text.failed ? -ENOMEM :
		      gj_events_write_program(stream->writer, &program, gj_wait_reason);
		gj_buf_deinit(&hex);
		gj_buf_deinit(&go_text);
	}
	return err;
}

static int begin_file(struct gj_load_stream *stream)
{
	const struct gj_load *load = stream->load;
	struct gj_events_head head = {
		.monotonic_ns = now_ns(CLOCK_MONOTONIC), .realtime_ns = now_ns(CLOCK_REALTIME),
		.kinds = load->options->events->kinds, .cpu_cnt = (uint32_t)stream->cpu_cnt,
		.by_perf = load->events_by_perf,
	};
	const struct gj_events_names names = { stream, func_name, find_stack };
	int err;

	read_boot_id(head.boot_id);
	err = gj_events_writer_new(stream->fd, &head, &names, &stream->writer);
	return err ? err : write_programs(stream);
}

/* Our own open: nothing but a regular file, or what is none yet. */
static int open_file(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_NONBLOCK | O_CLOEXEC, 0644), err = 0;
	struct stat st;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st))
		err = -errno;
	else if (!S_ISREG(st.st_mode))
		err = -EINVAL;
	else if (ftruncate(fd, 0))
		err = -errno;
	if (!err)
		return fd;
	close(fd);
	return err;
}

int gj_load_stream_open(struct gj_load *load, struct gj_diag *diag)
{
	const char *path = load->options->events->path;
	struct gj_load_stream *stream = calloc(1, sizeof(*stream));
	int cpu_cnt = libbpf_num_possible_cpus(), err = -ENOMEM;

	load->stream = stream;
	if (!stream || cpu_cnt <= 0)
		return gj_diag_set(diag, -ENOMEM, "out of memory");
	*stream = (struct gj_load_stream){ .load = load, .fd = -1, .drops = -1, .targets = -1,
					   .stacks = -1, .cpu_cnt = (size_t)cpu_cnt };
	stream->sums = calloc(3 * stream->cpu_cnt, sizeof(*stream->sums));
	if (stream->sums) {
		stream->before = stream->sums + stream->cpu_cnt;
		stream->lost = stream->before + stream->cpu_cnt;
		err = stream->fd = open_file(path);
	}
	if (err >= 0)
		err = begin_file(stream);
	return err ? gj_diag_set(diag, err, "%s: %s", path,
				 err == -EINVAL ? "no regular file" : strerror(-err)) : 0;
}

void gj_load_stream_free(struct gj_load_stream *stream)
{
	if (!stream)
		return;
	ring_buffer__free(stream->ring);
	perf_buffer__free(stream->perf);
	gj_events_writer_free(stream->writer);
	/* Nothing is in it. */
	if (stream->fd >= 0 && !stream->has_run)
		unlink(stream->load->options->events->path);
	if (stream->fd >= 0)
		close(stream->fd);
	free(stream->sums);
	free(stream);
}

/* Pages of one processor's perf buffer: a power of two. */
static size_t perf_pages(const struct gj_load_stream *stream)
{
	uint32_t bytes = stream->load->options->events->buffer_bytes;
	size_t pages = 1, page_bytes = (size_t)sysconf(_SC_PAGESIZE);

	while (pages * 2 * page_bytes * stream->cpu_cnt <= (bytes ? bytes : GJ_LOAD_EVENTS_BYTES))
		pages *= 2;
	return pages;
}

int gj_load_stream_begin(struct gj_load *load, struct gj_diag *diag)
{
	/* Nobody is woken: we come by ourselves. */
	struct perf_event_attr attr = {
		.size = sizeof(attr), .type = PERF_TYPE_SOFTWARE,
		.config = PERF_COUNT_SW_BPF_OUTPUT, .sample_type = PERF_SAMPLE_RAW,
		.sample_period = 1, .watermark = 1, .wakeup_watermark = 1u << 30,
	};
	struct gj_load_stream *stream = load->stream;
	int events = gj_load_find_map(load, "events");

	stream->drops = gj_load_find_map(load, "drops");
	stream->targets = gj_load_find_map(load, "targets");
	stream->stacks = gj_load_find_map(load, "blocked_stacks");
	if (events < 0 || stream->drops < 0)
		return gj_diag_set(diag, -EOPNOTSUPP, "no feature that is traced tells events");
	if (load->events_by_perf)
		stream->perf = perf_buffer__new_raw(events, perf_pages(stream), &attr,
						    take_from_perf, stream, NULL);
	else
		stream->ring = ring_buffer__new(events, take_from_ring, stream, NULL);
	if (stream->perf || stream->ring)
		return 0;
	return gj_diag_set(diag, -errno, "the buffer of events cannot be read: %s",
			   strerror(errno));
}

/* Adds up what no buffer took since the last call. */
static int count_lost(struct gj_load_stream *stream)
{
	uint32_t key = drop_ring_full;

	if (bpf_map_lookup_elem(stream->drops, &key, stream->sums))
		return -errno;
	for (size_t cpu = 0; cpu < stream->cpu_cnt; cpu++) {
		stream->lost[cpu] = stream->sums[cpu] - stream->before[cpu];
		stream->before[cpu] = stream->sums[cpu];
		stream->lost_cnt += stream->lost[cpu];
	}
	return 0;
}

/* Empties the buffer. 1: there may be more, 0, or negative errno. */
static int empty(struct gj_load_stream *stream)
{
	int err;

	stream->round_cnt = 0;
	err = stream->ring ? ring_buffer__consume(stream->ring) : perf_buffer__consume(stream->perf);
	if (stream->err)
		return stream->err;
	if (err == -EAGAIN)
		return 1;
	return err < 0 ? err : 0;
}

/* As empty, and writes what is old enough. */
static int do_round(struct gj_load_stream *stream)
{
	uint64_t until_ns = now_ns(CLOCK_MONOTONIC);
	int more = empty(stream), err;

	if (more < 0)
		return more;
	/* There is room for more rounds of few. */
	if (!more && ++stream->rounds < FLUSH_ROUNDS)
		return 0;
	stream->rounds = 0;
	if (more)
		until_ns = stream->last_ns;
	err = count_lost(stream);
	if (!err)
		err = gj_events_flush(stream->writer, until_ns - WINDOW_NS, stream->lost,
				      stream->cpu_cnt);
	return err ? err : more;
}

/* Inode of the instance's directory; 0: there is none. */
static ino_t find_instance(const struct gj_load *load)
{
	char path[512];
	struct stat st;

	snprintf(path, sizeof(path), "%s/%s", GJ_TRACE_PINS, load->options->instance);
	return stat(path, &st) ? 0 : st.st_ino;
}

/* Whether there is something to wait for. */
static bool goes_on(const struct gj_load_stream *stream)
{
	uint32_t pid;

	if (find_instance(stream->load) != stream->inode)
		return false;
	return stream->load->options->file_cnt || stream->targets < 0 ||
	       !bpf_map_get_next_key(stream->targets, NULL, &pid);
}

static int run(struct gj_load_stream *stream)
{
	const struct gj_trace_events *options = stream->load->options->events;
	uint64_t begin_ns = now_ns(CLOCK_MONOTONIC);
	const struct timespec pause = { .tv_nsec = ROUND_NS };
	int more = 0;

	for (unsigned int i = 1; !*options->stop; i++) {
		if (options->for_ns && now_ns(CLOCK_MONOTONIC) - begin_ns >= options->for_ns)
			break;
		if (i % CHECK_ROUNDS == 0 && !goes_on(stream))
			break;
		/* A signal ends it. */
		if (!more)
			nanosleep(&pause, NULL);
		more = do_round(stream);
		if (more < 0)
			return more;
	}
	return 0;
}

/* What came until nothing was attached any more. */
static int finish(struct gj_load_stream *stream)
{
	int more = 1, err;

	while (more > 0)
		more = do_round(stream);
	err = more < 0 ? more : count_lost(stream);
	return err ? err : gj_events_finish(stream->writer, stream->lost, stream->cpu_cnt);
}

static void tell(const struct gj_load_stream *stream)
{
	const struct gj_trace_options *options = stream->load->options;
	char line[1024];
	int bytes = snprintf(line, sizeof(line), "%llu events in %s",
			     (unsigned long long)gj_events_written(stream->writer),
			     options->events->path);

	if (bytes > 0 && (size_t)bytes < sizeof(line) && stream->lost_cnt)
		snprintf(line + bytes, sizeof(line) - (size_t)bytes,
			 "; %llu found no room and are lost, which the file says where; give a bigger --events-buffer",
			 (unsigned long long)stream->lost_cnt);
	options->say(line);
}

int gj_load_stream_run(struct gj_load *load, struct gj_diag *diag)
{
	struct gj_load_stream *stream = load->stream;
	int err, more;

	stream->has_run = true;
	stream->inode = find_instance(load);
	err = run(stream);
	/* Somebody else may have removed or replaced it. */
	more = find_instance(load) == stream->inode ? gj_pins_remove(load->options->instance, NULL) : 0;
	if (!err)
		err = more;
	more = finish(stream);
	if (!err)
		err = more;
	if (err)
		return gj_diag_set(diag, err, "%s: %s", load->options->events->path, strerror(-err));
	tell(stream);
	return 0;
}
