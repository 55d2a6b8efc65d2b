/* SPDX-License-Identifier: GPL-2.0 */
/* Files of events, read: chunk by chunk, with the names met so far (src/events/format.h). */
#include <errno.h>
#include <fcntl.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "events/events.h"
#include "events/format.h"

/* What a name is of: the upper half of struct known_name.key. */
enum { OF_FUNC, OF_KIND, OF_REASON }; /* OF_REASON + program */

/* A name, or a stack, by number. */
struct known_name {
	uint64_t key;
	const char *name;              /* in the file */
	struct gj_events_stack stack;
};

struct gj_events {
	char *label;                   /* owned */
	struct gj_window bytes;
	bool is_mapped;
	struct gj_events_head head;
	struct gj_events_program programs[GJ_EVENTS_MAX_PROGRAMS];
	void *names, *stacks;          /* trees of struct known_name */
	struct gj_cursor cur;          /* behind the block */
	struct gj_cursor block;        /* what is left of it */
	bool is_cut;                   /* the block is the last, and not whole */
	uint32_t event_cnt, lost_cnt;  /* left of the block */
	uint64_t first_ns;             /* of the block */
	uint64_t before[FIELD_CNT];
	uint64_t counts[GJ_EVENT_KIND_CNT];
	uint64_t read_cnt, lost, late;
	int end;                       /* what gj_events_next gives from here on, +1; 0: goes on */
};

static int by_key(const void *a, const void *b)
{
	const struct known_name *left = a, *right = b;

	return left->key < right->key ? -1 : left->key > right->key;
}

/* The entry of @key in @tree, made where there was none. NULL: out of memory. */
static struct known_name *make_entry(void **tree, uint64_t key)
{
	struct known_name *entry = calloc(1, sizeof(*entry)), **found;

	if (!entry)
		return NULL;
	entry->key = key;
	found = tsearch(entry, tree, by_key);
	if (!found || *found != entry)
		free(entry);
	return found ? *found : NULL;
}

static const struct known_name *find_entry(void *tree, uint64_t key)
{
	const struct known_name wanted = { .key = key };
	void *found = tfind(&wanted, &tree, by_key);

	return found ? *(struct known_name **)found : NULL;
}

static uint64_t name_key(unsigned int what, uint32_t number)
{
	return (uint64_t)what << 32 | number;
}

static uint64_t stack_key(uint64_t id, uint32_t program)
{
	return id ^ (uint64_t)program << 56;
}

/* u16 bytes, bytes, NUL; "" and a failed cursor when that is not there. */
static const char *take_string(struct gj_cursor *cur)
{
	uint16_t bytes = gj_cursor_u16(cur);
	const uint8_t *text = gj_cursor_take(cur, bytes + 1ull);

	if (text && !text[bytes])
		return (const char *)text;
	cur->failed = true;
	return "";
}

/* @cnt times a number and its name. */
static int take_names(struct gj_events *events, struct gj_cursor *cur, uint32_t cnt,
		      unsigned int what)
{
	for (uint32_t i = 0; i < cnt; i++) {
		uint32_t number = gj_cursor_u32(cur);
		const char *name = take_string(cur);
		struct known_name *entry;

		if (gj_cursor_failed(cur))
			return -EBADMSG;
		entry = make_entry(&events->names, name_key(what, number));
		if (!entry)
			return -ENOMEM;
		entry->name = name;
	}
	return 0;
}

static int take_reasons(struct gj_events *events, struct gj_cursor *cur)
{
	uint32_t cnt = gj_cursor_u32(cur), program = gj_cursor_u32(cur);

	return program < GJ_EVENTS_MAX_PROGRAMS ?
		       take_names(events, cur, cnt, OF_REASON + program) : -EBADMSG;
}

static int take_program(struct gj_events *events, struct gj_cursor *cur)
{
	struct gj_events_program program = {
		.number = gj_cursor_u32(cur),
		.go_minor = (int)gj_cursor_u32(cur),
		.text_va = gj_cursor_u64(cur),
	};

	program.path = take_string(cur);
	program.go_version = take_string(cur);
	program.build_id = take_string(cur);
	program.go_build_id = take_string(cur);
	if (gj_cursor_failed(cur) || program.number >= GJ_EVENTS_MAX_PROGRAMS)
		return -EBADMSG;
	events->programs[program.number] = program;
	return 0;
}

static int take_stacks(struct gj_events *events, struct gj_cursor *cur)
{
	uint32_t cnt = gj_cursor_u32(cur);

	for (uint32_t i = 0; i < cnt; i++) {
		struct gj_events_stack stack = { .id = gj_cursor_u64(cur) };
		struct known_name *entry;

		stack.program = gj_cursor_u32(cur);
		stack.is_cut = gj_cursor_u32(cur) & GJ_STACK_FLAG_CUT;
		stack.pc_cnt = gj_cursor_u32(cur);
		gj_cursor_u32(cur);
		stack.pcs.size_bytes = (size_t)stack.pc_cnt * GJ_STACK_ROW_BYTES;
		stack.pcs.base = gj_cursor_take(cur, stack.pcs.size_bytes);
		if (gj_cursor_failed(cur))
			return -EBADMSG;
		entry = make_entry(&events->stacks, stack_key(stack.id, stack.program));
		if (!entry)
			return -ENOMEM;
		entry->stack = stack;
	}
	return 0;
}

static int begin_block(struct gj_events *events, struct gj_cursor cur)
{
	events->event_cnt = gj_cursor_u32(&cur);
	events->lost_cnt = gj_cursor_u32(&cur);
	events->first_ns = gj_cursor_u64(&cur);
	events->late += gj_cursor_u64(&cur);
	if (gj_cursor_failed(&cur)) {
		events->event_cnt = events->lost_cnt = 0;
		return -EBADMSG;
	}
	memset(events->before, 0, sizeof(events->before));
	events->before[FIELD_TIME] = events->first_ns;
	events->block = cur;
	return 0;
}

/* 1 at the file's end, 0, -EBADMSG, -ENOMEM. */
static int take_chunk(struct gj_events *events, uint32_t what, struct gj_cursor cur)
{
	switch (what) {
	case GJ_CHUNK_PROGRAM: return take_program(events, &cur);
	case GJ_CHUNK_REASONS: return take_reasons(events, &cur);
	case GJ_CHUNK_KINDS: return take_names(events, &cur, gj_cursor_u32(&cur), OF_KIND);
	case GJ_CHUNK_FUNCS: return take_names(events, &cur, gj_cursor_u32(&cur), OF_FUNC);
	case GJ_CHUNK_STACKS: return take_stacks(events, &cur);
	case GJ_CHUNK_EVENTS: return begin_block(events, cur);
	case GJ_CHUNK_END: return gj_cursor_u64(&cur) == events->read_cnt ? 1 : -EBADMSG;
	default: return 0; /* newer than we are; nothing we know depends on it */
	}
}

/* The next chunk; in one that was cut, what there is of it. Returns as take_chunk does, -ENODATA. */
static int next_chunk(struct gj_events *events)
{
	uint32_t what, size_bytes;
	size_t left;
	int err;

	if (events->is_cut || !gj_cursor_left(&events->cur))
		return -ENODATA;
	what = gj_cursor_u32(&events->cur);
	size_bytes = gj_cursor_u32(&events->cur);
	if (gj_cursor_failed(&events->cur))
		return -ENODATA;
	left = gj_cursor_left(&events->cur);
	events->is_cut = size_bytes > left;
	if (events->is_cut)
		size_bytes = (uint32_t)left;
	err = take_chunk(events, what,
			 gj_cursor_init((struct gj_window){
				 gj_cursor_take(&events->cur, size_bytes), size_bytes }));
	return events->is_cut && err == -EBADMSG ? -ENODATA : err;
}

static bool take_event(struct gj_events *events, struct gj_event *event_out)
{
	struct gj_cursor *cur = &events->block;
	uint16_t changed = gj_cursor_u16(cur);

	for (unsigned int i = 0; i < FIELD_CNT; i++) {
		uint64_t diff = 0;
		uint8_t byte = 0x80;

		if (!(changed >> i & 1))
			continue;
		/* Ten bytes hold 64 bits. */
		for (unsigned int shift = 0; byte & 0x80; shift += 7) {
			if (shift > 63)
				cur->failed = true;
			byte = gj_cursor_u8(cur);
			if (gj_cursor_failed(cur))
				return false;
			diff |= (uint64_t)(byte & 0x7f) << shift;
		}
		events->before[i] += diff >> 1 ^ (diff & 1 ? UINT64_MAX : 0);
	}
	if (gj_cursor_failed(cur))
		return false;
	gj_event_of_fields(event_out, events->before);
	return true;
}

static bool take_lost(struct gj_events *events, struct gj_event *event_out)
{
	uint32_t cpu = gj_cursor_u32(&events->block);
	uint64_t cnt;

	gj_cursor_u32(&events->block);
	cnt = gj_cursor_u64(&events->block);
	*event_out = (struct gj_event){
		.time_ns = events->first_ns, .cpu = (uint16_t)cpu, .kind = events_lost,
		.span.count_ns = cnt,
	};
	if (gj_cursor_failed(&events->block) || cpu >= GJ_EVENTS_MAX_CPUS)
		return false;
	events->lost += cnt;
	return true;
}

/* The next of this block; false when it is not there as its head says. */
static bool take_item(struct gj_events *events, struct gj_event *event_out)
{
	if (events->lost_cnt) {
		events->lost_cnt--;
		return take_lost(events, event_out);
	}
	events->event_cnt--;
	if (!take_event(events, event_out))
		return false;
	events->read_cnt++;
	if (event_out->kind < GJ_EVENT_KIND_CNT)
		events->counts[event_out->kind]++;
	return true;
}

static int explain(const struct gj_events *events, int err, struct gj_diag *diag)
{
	if (err == -ENODATA)
		return gj_diag_set(diag, err,
				   "%s: it has no end (cut, or its recorder was killed); %llu events before that are good",
				   events->label, (unsigned long long)events->read_cnt);
	if (err == -EBADMSG)
		return gj_diag_set(diag, err,
				   "%s: it contradicts itself behind event %llu; those before are good",
				   events->label, (unsigned long long)events->read_cnt);
	return err;
}

int gj_events_next(struct gj_events *events, struct gj_event *event_out, struct gj_diag *diag)
{
	int err = events->end ? events->end - 1 : 0;

	while (!events->end && !events->event_cnt && !events->lost_cnt) {
		err = next_chunk(events);
		if (err)
			events->end = (err > 0 ? 0 : err) + 1;
	}
	if (!events->end) {
		if (take_item(events, event_out))
			return 1;
		events->end = (events->is_cut ? -ENODATA : -EBADMSG) + 1;
	}
	err = events->end - 1;
	return err ? explain(events, err, diag) : 0;
}

static int read_head(struct gj_events *events, struct gj_diag *diag)
{
	struct gj_cursor cur = gj_cursor_init(events->bytes);
	struct gj_events_head *head = &events->head;
	const uint8_t *magic = gj_cursor_take(&cur, 8), *boot_id;
	uint32_t abi = gj_cursor_u32(&cur), head_bytes = gj_cursor_u32(&cur);

	if (!magic || memcmp(magic, GJ_EVENTS_MAGIC, 8))
		return gj_diag_set(diag, -EBADMSG,
				   "%s: no file of events (gojitter trace --events writes them)",
				   events->label);
	if (!gj_cursor_failed(&cur) && abi != GJ_EVENTS_ABI)
		return gj_diag_set(diag, -EOPNOTSUPP,
				   "%s: events of ABI %u; this gojitter reads ABI %d", events->label,
				   abi, GJ_EVENTS_ABI);
	head->monotonic_ns = gj_cursor_u64(&cur);
	head->realtime_ns = gj_cursor_u64(&cur);
	head->kinds = gj_cursor_u64(&cur);
	head->cpu_cnt = gj_cursor_u32(&cur);
	head->by_perf = gj_cursor_u32(&cur) & GJ_EVENTS_FLAG_PERF;
	boot_id = gj_cursor_take(&cur, sizeof(head->boot_id));
	if (!boot_id || boot_id[sizeof(head->boot_id) - 1] || head_bytes < GJ_EVENTS_HEAD_BYTES)
		return gj_diag_set(diag, -EBADMSG, "%s: its head is not whole", events->label);
	memcpy(head->boot_id, boot_id, sizeof(head->boot_id));
	events->cur = gj_cursor_init(gj_window_slice(events->bytes, head_bytes, SIZE_MAX));
	return 0;
}

int gj_events_open_bytes(struct gj_window bytes, const char *label, struct gj_events **events_out,
			 struct gj_diag *diag)
{
	struct gj_events *events = calloc(1, sizeof(*events));
	int err = -ENOMEM;

	if (events)
		events->label = strdup(label);
	if (events && events->label) {
		events->bytes = bytes;
		err = read_head(events, diag);
	}
	if (err)
		gj_events_close(events);
	else
		*events_out = events;
	return err;
}

/* -EBADMSG for what is no regular file. */
static int map(int fd, struct gj_window *bytes_out)
{
	struct stat st;
	void *bytes;

	if (fstat(fd, &st))
		return -errno;
	if (!S_ISREG(st.st_mode))
		return S_ISDIR(st.st_mode) ? -EISDIR : -EBADMSG;
	if (!st.st_size)
		return 0;
	bytes = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (bytes == MAP_FAILED)
		return -errno;
	*bytes_out = (struct gj_window){ bytes, (size_t)st.st_size };
	return 0;
}

int gj_events_open(const char *path, struct gj_events **events_out, struct gj_diag *diag)
{
	/* A pipe without a writer must not keep us waiting. */
	int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC), err = fd < 0 ? -errno : 0;
	struct gj_window bytes = { NULL, 0 };

	if (!err)
		err = map(fd, &bytes);
	if (fd >= 0)
		close(fd);
	if (err)
		return gj_diag_set(diag, err, "%s: %s", path,
				   err == -EBADMSG ? "no regular file" : strerror(-err));
	err = gj_events_open_bytes(bytes, path, events_out, diag);
	if (!err)
		(*events_out)->is_mapped = true;
	else if (bytes.base)
		munmap((void *)bytes.base, bytes.size_bytes);
	return err;
}

void gj_events_close(struct gj_events *events)
{
	if (!events)
		return;
	tdestroy(events->names, free);
	tdestroy(events->stacks, free);
	if (events->is_mapped && events->bytes.base)
		munmap((void *)events->bytes.base, events->bytes.size_bytes);
	free(events->label);
	free(events);
}

const struct gj_events_head *gj_events_head(const struct gj_events *events)
{
	return &events->head;
}

uint64_t gj_events_count(const struct gj_events *events, enum gj_event_kind kind)
{
	return kind < GJ_EVENT_KIND_CNT ? events->counts[kind] : 0;
}

uint64_t gj_events_lost(const struct gj_events *events)
{
	return events->lost;
}

uint64_t gj_events_late(const struct gj_events *events)
{
	return events->late;
}

const struct gj_events_program *gj_events_program(const struct gj_events *events, uint32_t number)
{
	return number < GJ_EVENTS_MAX_PROGRAMS && events->programs[number].path ?
		       &events->programs[number] : NULL;
}

static const char *find_name(const struct gj_events *events, unsigned int what, uint32_t number)
{
	const struct known_name *entry = find_entry(events->names, name_key(what, number));

	return entry ? entry->name : NULL;
}

const char *gj_events_func(const struct gj_events *events, uint32_t func)
{
	return find_name(events, OF_FUNC, func);
}

const char *gj_events_kind(const struct gj_events *events, unsigned int kind)
{
	const char *name = gj_event_kind_name(kind);

	return name ? name : find_name(events, OF_KIND, kind);
}

const char *gj_events_reason(const struct gj_events *events, uint32_t program, uint32_t reason)
{
	return program < GJ_EVENTS_MAX_PROGRAMS ?
		       find_name(events, OF_REASON + program, reason) : NULL;
}

int gj_events_stack(const struct gj_events *events, const struct gj_event *event,
		    struct gj_events_stack *stack_out)
{
	const struct known_name *entry = event->kind == goroutine_waiting ?
		find_entry(events->stacks, stack_key(event->goroutine.at, event->program)) : NULL;

	if (!entry)
		return -ENOENT;
	*stack_out = entry->stack;
	return 0;
}

bool gj_events_stack_pc(const struct gj_events_stack *stack, uint32_t index, uint64_t *va_out,
			uint32_t *func_out)
{
	uint64_t off = (uint64_t)index * GJ_STACK_ROW_BYTES;

	return index < stack->pc_cnt && gj_window_u64(stack->pcs, off, va_out) &&
	       gj_window_u32(stack->pcs, off + 8, func_out);
}
