/* SPDX-License-Identifier: GPL-2.0 */
/* Files of events, written: events kept for a while, sorted, names put before them. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "events/events.h"
#include "events/format.h"

/* Bytes of one string in the file. Longer ones are cut. */
#define MAX_STRING_BYTES 4096

/* Numbers whose names are in the file: open addressing, 0 stands for none (and is new each time). */
struct known {
	uint64_t *list; /* owned; a power of two */
	size_t cnt, cap;
};

struct gj_events_writer {
	int fd;
	struct gj_events_names names;
	struct gj_event *list; /* owned; kept until they are old enough */
	size_t cnt, cap;
	uint64_t last_ns;      /* of what was written */
	uint64_t written_cnt;
	struct known funcs, stacks;
	struct gj_buf out, chunk, pcs; /* used again and again */
};

static size_t place_of(const struct known *known, uint64_t number)
{
	size_t i = (size_t)(number * 0x9e3779b97f4a7c15ull >> 20) & (known->cap - 1);

	while (known->list[i] && known->list[i] != number)
		i = (i + 1) & (known->cap - 1);
	return i;
}

/* 1: it was new, 0, or -ENOMEM. */
static int learn(struct known *known, uint64_t number)
{
	size_t i;

	if (known->cnt * 2 >= known->cap) {
		struct known more = { .cap = known->cap ? known->cap * 2 : 256, .cnt = known->cnt };

		more.list = calloc(more.cap, sizeof(*more.list));
		if (!more.list)
			return -ENOMEM;
		for (size_t j = 0; j < known->cap; j++)
			if (known->list[j])
				more.list[place_of(&more, known->list[j])] = known->list[j];
		free(known->list);
		*known = more;
	}
	i = place_of(known, number);
	if (known->list[i])
		return 0;
	known->list[i] = number;
	known->cnt++;
	return 1;
}

static void add_u16(struct gj_buf *buf, uint16_t value)
{
	gj_buf_add(buf, &value, sizeof(value));
}

static void add_u32(struct gj_buf *buf, uint32_t value)
{
	gj_buf_add(buf, &value, sizeof(value));
}

static void add_u64(struct gj_buf *buf, uint64_t value)
{
	gj_buf_add(buf, &value, sizeof(value));
}

static void add_string(struct gj_buf *buf, const char *text)
{
	size_t bytes = strnlen(text ? text : "", MAX_STRING_BYTES);

	add_u16(buf, (uint16_t)bytes);
	gj_buf_add(buf, text, bytes);
	gj_buf_chr(buf, '\0');
}

/* Moves writer->chunk into writer->out. */
static void add_chunk(struct gj_events_writer *writer, enum gj_chunk what)
{
	add_u32(&writer->out, what);
	add_u32(&writer->out, (uint32_t)writer->chunk.size_bytes);
	gj_buf_add(&writer->out, writer->chunk.data, writer->chunk.size_bytes);
	writer->out.failed |= writer->chunk.failed;
	writer->chunk.size_bytes = 0;
}

static int write_out(struct gj_events_writer *writer)
{
	int err = writer->out.failed ? -ENOMEM :
		  gj_write_all(writer->fd, writer->out.data, writer->out.size_bytes);

	writer->out.size_bytes = 0;
	return err;
}

/* What a count at the chunk's beginning turned out to be. */
static void set_count(struct gj_buf *chunk, uint32_t cnt)
{
	if (!chunk->failed)
		memcpy(chunk->data, &cnt, sizeof(cnt));
}

static void add_kinds(struct gj_events_writer *writer)
{
	add_u32(&writer->chunk, GJ_EVENT_KIND_CNT);
	for (unsigned int kind = 0; kind < GJ_EVENT_KIND_CNT; kind++) {
		add_u32(&writer->chunk, kind);
		add_string(&writer->chunk, gj_event_kind_name(kind));
	}
	add_chunk(writer, GJ_CHUNK_KINDS);
}

int gj_events_writer_new(int fd, const struct gj_events_head *head,
			 const struct gj_events_names *names,
			 struct gj_events_writer **writer_out)
{
	struct gj_events_writer *writer = calloc(1, sizeof(*writer));
	int err;

	if (!writer)
		return -ENOMEM;
	writer->fd = fd;
	writer->names = *names;
	writer->last_ns = head->monotonic_ns;
	gj_buf_add(&writer->out, GJ_EVENTS_MAGIC, 8);
	add_u32(&writer->out, GJ_EVENTS_ABI);
	add_u32(&writer->out, GJ_EVENTS_HEAD_BYTES);
	add_u64(&writer->out, head->monotonic_ns);
	add_u64(&writer->out, head->realtime_ns);
	add_u64(&writer->out, head->kinds);
	add_u32(&writer->out, head->cpu_cnt);
	add_u32(&writer->out, head->by_perf ? GJ_EVENTS_FLAG_PERF : 0);
	gj_buf_add(&writer->out, head->boot_id, sizeof(head->boot_id));
	add_kinds(writer);
	err = write_out(writer);
	if (err)
		gj_events_writer_free(writer);
	else
		*writer_out = writer;
	return err;
}

void gj_events_writer_free(struct gj_events_writer *writer)
{
	if (!writer)
		return;
	free(writer->list);
	free(writer->funcs.list);
	free(writer->stacks.list);
	gj_buf_deinit(&writer->out);
	gj_buf_deinit(&writer->chunk);
	gj_buf_deinit(&writer->pcs);
	free(writer);
}

int gj_events_write_program(struct gj_events_writer *writer,
			    const struct gj_events_program *program,
			    const char *(*reason)(int go_minor, unsigned int reason))
{
	struct gj_buf *chunk = &writer->chunk;
	uint32_t cnt = 0;

	add_u32(chunk, program->number);
	add_u32(chunk, (uint32_t)program->go_minor);
	add_u64(chunk, program->text_va);
	add_string(chunk, program->path);
	add_string(chunk, program->go_version);
	add_string(chunk, program->build_id);
	add_string(chunk, program->go_build_id);
	add_chunk(writer, GJ_CHUNK_PROGRAM);
	add_u32(chunk, 0);
	add_u32(chunk, program->number);
	/* A wait reason is one byte in g (Go src/runtime/runtime2.go). */
	for (unsigned int i = 0; i < 256; i++) {
		const char *text = reason(program->go_minor, i);

		if (!text)
			continue;
		add_u32(chunk, i);
		add_string(chunk, text);
		cnt++;
	}
	set_count(chunk, cnt);
	add_chunk(writer, GJ_CHUNK_REASONS);
	return write_out(writer);
}

int gj_events_write(struct gj_events_writer *writer, const struct gj_event *event)
{
	if (writer->cnt == writer->cap) {
		size_t cap = writer->cap ? writer->cap * 2 : 4096;
		struct gj_event *list = reallocarray(writer->list, cap, sizeof(*list));

		if (!list)
			return -ENOMEM;
		writer->list = list;
		writer->cap = cap;
	}
	writer->list[writer->cnt++] = *event;
	return 0;
}

static int by_time(const void *a, const void *b)
{
	const struct gj_event *left = a, *right = b;

	return left->time_ns < right->time_ns ? -1 : left->time_ns > right->time_ns;
}

/* How many of the sorted events are old enough. */
static size_t sort(struct gj_events_writer *writer, uint64_t until_ns)
{
	size_t cnt = writer->cnt, i;

	for (i = 1; i < cnt && writer->list[i - 1].time_ns <= writer->list[i].time_ns; i++)
		;
	/* glibc's is a merge: events of one time keep their order. */
	if (i < cnt)
		qsort(writer->list, cnt, sizeof(*writer->list), by_time);
	while (cnt && writer->list[cnt - 1].time_ns > until_ns)
		cnt--;
	return cnt;
}

static int add_func(struct gj_events_writer *writer, uint32_t func, uint32_t *cnt)
{
	int is_new = func ? learn(&writer->funcs, func) : 0;
	const char *name = is_new > 0 ? writer->names.func(writer->names.data, func) : NULL;

	if (name) {
		add_u32(&writer->chunk, func);
		add_string(&writer->chunk, name);
		++*cnt;
	}
	return is_new < 0 ? is_new : 0;
}

/* Rows of a new stack go to writer->out as a chunk of their own; its functions to the chunk. */
static int add_stack(struct gj_events_writer *writer, const struct gj_event *event,
		     struct gj_buf *stacks, uint32_t *stack_cnt, uint32_t *func_cnt)
{
	struct gj_events_stack stack;
	uint64_t va;
	uint32_t func;
	int err = event->kind == goroutine_waiting && event->goroutine.at ?
		  learn(&writer->stacks, event->goroutine.at ^ (uint64_t)event->program << 56) : 0;

	if (err <= 0)
		return err;
	writer->pcs.size_bytes = 0;
	if (writer->names.stack(writer->names.data, event, &stack, &writer->pcs))
		return 0;
	stack.pcs = (struct gj_window){ (const uint8_t *)writer->pcs.data, writer->pcs.size_bytes };
	add_u64(stacks, event->goroutine.at);
	add_u32(stacks, event->program);
	add_u32(stacks, stack.is_cut ? GJ_STACK_FLAG_CUT : 0);
	add_u32(stacks, stack.pc_cnt);
	add_u32(stacks, 0);
	gj_buf_add(stacks, writer->pcs.data, writer->pcs.size_bytes);
	++*stack_cnt;
	err = writer->pcs.failed ? -ENOMEM : 0;
	for (uint32_t i = 0; !err && gj_events_stack_pc(&stack, i, &va, &func); i++)
		err = add_func(writer, func, func_cnt);
	return err;
}

/* Names and stacks of the first @cnt events that are not in the file yet. */
static int add_names(struct gj_events_writer *writer, size_t cnt)
{
	struct gj_buf stacks = { 0 };
	uint32_t func_cnt = 0, stack_cnt = 0;
	int err = 0;

	add_u32(&writer->chunk, 0);
	add_u32(&stacks, 0);
	for (size_t i = 0; !err && i < cnt; i++) {
		err = add_func(writer, writer->list[i].func, &func_cnt);
		if (!err)
			err = add_stack(writer, &writer->list[i], &stacks, &stack_cnt, &func_cnt);
	}
	set_count(&writer->chunk, func_cnt);
	if (func_cnt)
		add_chunk(writer, GJ_CHUNK_FUNCS);
	writer->chunk.size_bytes = 0;
	if (stack_cnt) {
		set_count(&stacks, stack_cnt);
		gj_buf_add(&writer->chunk, stacks.data, stacks.size_bytes);
		add_chunk(writer, GJ_CHUNK_STACKS);
	}
	if (stacks.failed)
		err = -ENOMEM;
	gj_buf_deinit(&stacks);
	return err;
}

/* The difference of an event to the one before. At most 2 + FIELD_CNT * 10 bytes. */
static void add_event(struct gj_buf *buf, const struct gj_event *event, uint64_t before[FIELD_CNT])
{
	uint8_t *start = (uint8_t *)gj_buf_reserve(buf, 2 + FIELD_CNT * 10), *to = start + 2;
	uint64_t fields[FIELD_CNT];
	uint16_t changed = 0;

	if (!start)
		return;
	gj_event_to_fields(event, fields);
	for (unsigned int i = 0; i < FIELD_CNT; i++) {
		uint64_t diff = fields[i] - before[i];

		if (!diff)
			continue;
		changed |= (uint16_t)(1u << i);
		diff = diff << 1 ^ (diff >> 63 ? UINT64_MAX : 0);
		for (; diff >= 0x80; diff >>= 7)
			*to++ = (uint8_t)(diff | 0x80);
		*to++ = (uint8_t)diff;
		before[i] = fields[i];
	}
	memcpy(start, &changed, sizeof(changed));
	buf->size_bytes += (size_t)(to - start);
}

static void add_lost(struct gj_buf *chunk, const uint64_t *lost, size_t cpu_cnt)
{
	for (size_t cpu = 0; lost && cpu < cpu_cnt; cpu++) {
		if (!lost[cpu])
			continue;
		add_u32(chunk, (uint32_t)cpu);
		add_u32(chunk, 0);
		add_u64(chunk, lost[cpu]);
	}
}

/* Lost ones without an event beside them have the time of the last. */
static void add_block(struct gj_events_writer *writer, size_t cnt, const uint64_t *lost,
		      size_t cpu_cnt, uint32_t lost_cnt)
{
	uint64_t before[FIELD_CNT] = { cnt ? writer->list[0].time_ns : writer->last_ns };
	uint64_t late_cnt = 0;

	for (size_t i = 0; i < cnt && writer->list[i].time_ns < writer->last_ns; i++)
		late_cnt++;
	add_u32(&writer->chunk, (uint32_t)cnt);
	add_u32(&writer->chunk, lost_cnt);
	add_u64(&writer->chunk, before[FIELD_TIME]);
	add_u64(&writer->chunk, late_cnt);
	add_lost(&writer->chunk, lost, cpu_cnt);
	for (size_t i = 0; i < cnt; i++)
		add_event(&writer->chunk, &writer->list[i], before);
	if (before[FIELD_TIME] > writer->last_ns)
		writer->last_ns = before[FIELD_TIME];
	add_chunk(writer, GJ_CHUNK_EVENTS);
}

int gj_events_flush(struct gj_events_writer *writer, uint64_t until_ns, const uint64_t *lost,
		    size_t cpu_cnt)
{
	size_t cnt = sort(writer, until_ns);
	uint32_t lost_cnt = 0;
	int err;

	for (size_t cpu = 0; lost && cpu < cpu_cnt; cpu++)
		lost_cnt += lost[cpu] != 0;
	if (!cnt && !lost_cnt)
		return 0;
	err = add_names(writer, cnt);
	if (err)
		return err;
	add_block(writer, cnt, lost, cpu_cnt, lost_cnt);
	err = write_out(writer);
	if (err)
		return err;
	writer->written_cnt += cnt;
	writer->cnt -= cnt;
	memmove(writer->list, writer->list + cnt, writer->cnt * sizeof(*writer->list));
	return 0;
}

int gj_events_finish(struct gj_events_writer *writer, const uint64_t *lost, size_t cpu_cnt)
{
	int err = gj_events_flush(writer, UINT64_MAX, lost, cpu_cnt);

	if (err)
		return err;
	add_u64(&writer->chunk, writer->written_cnt);
	add_chunk(writer, GJ_CHUNK_END);
	return write_out(writer);
}

uint64_t gj_events_written(const struct gj_events_writer *writer)
{
	return writer->written_cnt;
}
