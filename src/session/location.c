/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Locations seen: (file, offset, address) -> frames and their text, each made
 * once. An open hash table over chunks of memory that are freed together.
 */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/limits.h"
#include "session/session.h"

#define MIN_SLOTS 4096
/* Stands for the offset of what has no file of ours: the kernel, and unmapped user addresses. */
#define KERNEL_OFF 0
#define UNMAPPED_OFF 1

#define MAX_LOCATIONS (1 << 19) /* about 150 MB of text at most; then start afresh */

/* What is meant by an address. */
enum kind {
	KIND_EXACT,
	KIND_RETURN,   /* the call before it */
	KIND_FUNCTION, /* the function that begins there, wherever in it */
};

/* What a look-up and a record's text need stands first, within one cache line. */
struct entry {
	const struct gj_dso *dso;
	uint64_t file_off;
	uint64_t kind;
	struct gj_location location;
};

_Static_assert(offsetof(struct entry, location) + offsetof(struct gj_location, frames) <= 64,
	       "hot fields of a location");

struct slot {
	uint64_t hash;
	struct entry *entry; /* NULL: free */
};

/* Identity of a location. */
struct key {
	const struct gj_dso *dso;
	uint64_t file_off, ip;
	enum kind kind;
};

struct gj_locations {
	const struct gj_options *options;
	struct gj_repair *repair; /* NULL: nobody asks */
	struct gj_arena hot, cold; /* entries and texts; frames and names */
	struct slot *slots;
	size_t slot_cnt, entry_cnt;
	struct gj_buf text;
	struct gj_goframe frames[GJ_MAX_INLINE_DEPTH + 1];
};

struct gj_locations *gj_locations_new(const struct gj_options *options)
{
	struct gj_locations *locations = calloc(1, sizeof(*locations));

	if (!locations)
		return NULL;
	locations->options = options;
	locations->slot_cnt = MIN_SLOTS;
	locations->slots = calloc(MIN_SLOTS, sizeof(*locations->slots));
	if (!locations->slots) {
		free(locations);
		return NULL;
	}
	return locations;
}

static void drop_all(struct gj_locations *locations)
{
	gj_arena_deinit(&locations->hot);
	gj_arena_deinit(&locations->cold);
	memset(locations->slots, 0, locations->slot_cnt * sizeof(*locations->slots));
	locations->entry_cnt = 0;
}

void gj_locations_free(struct gj_locations *locations)
{
	if (!locations)
		return;
	drop_all(locations);
	free(locations->slots);
	gj_buf_deinit(&locations->text);
	free(locations);
}

void gj_locations_repair(struct gj_locations *locations, struct gj_repair *repair)
{
	locations->repair = repair;
}

bool gj_locations_trim(struct gj_locations *locations)
{
	if (locations->entry_cnt < MAX_LOCATIONS)
		return false;
	drop_all(locations);
	return true;
}

static char *take_text(struct gj_arena *arena, const void *bytes, size_t size_bytes)
{
	char *text = gj_arena_take(arena, size_bytes + 1);

	if (text) {
		memcpy(text, bytes, size_bytes);
		text[size_bytes] = '\0';
	}
	return text;
}

static uint64_t hash(const struct key *key)
{
	uint64_t mixed = (key->ip ^ (uint64_t)(uintptr_t)key->dso << 7 ^
			  (uint64_t)key->kind << 62) * 0x9e3779b97f4a7c15ULL;

	return mixed ^ mixed >> 32;
}

/* The slot that holds @key, or the free one where it belongs. */
static struct slot *find_slot(const struct gj_locations *locations, const struct key *key)
{
	uint64_t wanted = hash(key);
	size_t index = wanted & (locations->slot_cnt - 1);

	for (;;) {
		struct slot *slot = &locations->slots[index];
		const struct entry *entry = slot->entry;

		if (!entry || (slot->hash == wanted && entry->location.ip == key->ip &&
			       entry->dso == key->dso && entry->file_off == key->file_off &&
			       entry->kind == key->kind))
			return slot;
		index = (index + 1) & (locations->slot_cnt - 1);
	}
}

static bool grow(struct gj_locations *locations)
{
	size_t old_cnt = locations->slot_cnt, mask = old_cnt * 2 - 1;
	struct slot *old = locations->slots;
	struct slot *slots = calloc(old_cnt * 2, sizeof(*slots));

	if (!slots)
		return false;
	for (size_t i = 0; i < old_cnt; i++) {
		size_t index = old[i].hash & mask;

		while (old[i].entry && slots[index].entry)
			index = (index + 1) & mask;
		if (old[i].entry)
			slots[index] = old[i];
	}
	free(old);
	locations->slots = slots;
	locations->slot_cnt = old_cnt * 2;
	return true;
}

struct class_of_name {
	const char *name;
	uint32_t classes;
};

/* Functions of the Go runtime that tell what the thread was doing (facts in docs/goroutines.md). */
static const struct class_of_name classes[] = {
	{ "runtime.goexit", GJ_CLASS_GOEXIT | GJ_CLASS_TOP },
	{ "runtime.systemstack", GJ_CLASS_SYSTEMSTACK },
	{ "runtime.mcall", GJ_CLASS_SCHED | GJ_CLASS_TOP },
	{ "runtime.schedule", GJ_CLASS_SCHED },
	{ "runtime.findRunnable", GJ_CLASS_SCHED },
	{ "runtime.findrunnable", GJ_CLASS_SCHED },
	{ "runtime.execute", GJ_CLASS_SCHED },
	{ "runtime.park_m", GJ_CLASS_SCHED },
	{ "runtime.goexit0", GJ_CLASS_SCHED },
	{ "runtime.gosched_m", GJ_CLASS_SCHED },
	{ "runtime.goschedImpl", GJ_CLASS_SCHED },
	{ "runtime.gopreempt_m", GJ_CLASS_SCHED },
	{ "runtime.preemptPark", GJ_CLASS_SCHED },
	{ "runtime.exitsyscall0", GJ_CLASS_SCHED },
	{ "runtime.exitsyscallNoP", GJ_CLASS_SCHED },
	{ "runtime.coroswitch_m", GJ_CLASS_SCHED },
	{ "runtime.gogo", GJ_CLASS_SCHED },
	{ "runtime.morestack", GJ_CLASS_MORESTACK },
	{ "runtime.clone", GJ_CLASS_CLONE },
	{ "runtime.stackcheck", GJ_CLASS_CLONE },
	{ "runtime.mstart", GJ_CLASS_ROOT | GJ_CLASS_TOP },
	{ "runtime.mstart1", GJ_CLASS_ROOT },
	{ "runtime.rt0_go", GJ_CLASS_ROOT | GJ_CLASS_TOP },
	{ "_rt0_amd64_linux", GJ_CLASS_ROOT },
	{ "_rt0_arm64_linux", GJ_CLASS_ROOT },
	{ "runtime.sigpanic", GJ_CLASS_INTERRUPTED },
	{ "runtime.asyncPreempt", GJ_CLASS_INTERRUPTED },
	{ "runtime.debugCallV2", GJ_CLASS_INTERRUPTED },
};

static uint32_t classify(const struct gj_dso *dso, const struct gj_gofunc *func)
{
	uint32_t found = func->flag & GJ_GOFUNC_ASM ? GJ_CLASS_ASM : 0;

	if (dso->has_coroutines)
		found |= GJ_CLASS_COROUTINES;
	for (size_t i = 0; i < sizeof(classes) / sizeof(classes[0]); i++)
		if (!strcmp(func->name, classes[i].name))
			found |= classes[i].classes;
	return found;
}

static const char *format_name(struct gj_locations *locations, const char *name)
{
	struct gj_buf *text = &locations->text;

	text->size_bytes = 0;
	gj_name_format(name, locations->options->name_flags, text);
	if (text->size_bytes > GJ_MAX_NAME_BYTES)
		text->size_bytes = GJ_MAX_NAME_BYTES;
	return text->failed ? NULL :
			      take_text(&locations->cold, text->data, text->size_bytes);
}

/* Functions nobody calls: their first instruction is what a frame returns to. */
static bool is_returned_to(const struct gj_dso *dso, uint64_t va)
{
	static const char *const names[] = {
		"runtime.sigreturn", /* the signal frame's restorer, Go src/runtime/sys_linux_amd64.s */
		"runtime.sigreturn__sigaction",
		"runtime.systemstack_switch", /* saved by systemstack up to Go 1.19 */
	};
	struct gj_gofunc func;

	if (gj_gotab_find_func(dso->gotab, va, &func) || func.entry_va != va)
		return false;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (!strcmp(func.name, names[i]))
			return true;
	return false;
}

/* A profile spells names as Go's own do, unless others are asked for. */
static const char *name_of(struct gj_locations *locations, const char *name)
{
	return locations->options->pprof && !locations->options->name_flags ? name :
								     format_name(locations, name);
}

/* Before Go 1.20 the tables do not tell it of inlined functions: theirs may stand for itself too. */
static int32_t start_line_of(const struct gj_locations *locations, const struct gj_dso *dso,
			     const struct gj_gofunc *outer, const struct gj_goframe *frame)
{
	struct gj_gofunc func = *outer;

	if (frame->start_line || !locations->options->pprof)
		return frame->start_line;
	if (frame->inlined && gj_gotab_find_name(dso->gotab, frame->name, &func))
		return 0;
	return gj_gotab_first_line(dso->gotab, &func);
}

/* A frame of which nothing but its function is known. */
static bool fill_function(struct gj_locations *locations, const struct gj_gofunc *func, uint64_t va,
			  struct gj_location *location)
{
	location->frames = gj_arena_take(&locations->cold, sizeof(*location->frames));
	if (!location->frames)
		return false;
	location->frames[0] = (struct gj_frame){ .name = name_of(locations, func->name) };
	location->frame_cnt = 1;
	location->is_go = true;
	location->sym_off = va - func->entry_va;
	return true;
}

/* Fills the location from Go's tables; false when they do not hold the address. */
static bool fill_go(struct gj_locations *locations, const struct gj_dso *dso,
		    struct entry *entry)
{
	struct gj_location *location = &entry->location;
	struct gj_gofunc func;
	uint64_t va, call_va;
	int cnt;

	if (gj_image_off_to_va(dso->image, entry->file_off, &va))
		return false;
	call_va = entry->kind == KIND_RETURN && !is_returned_to(dso, va) ? va - 1 : va;
	if (gj_gotab_find_func(dso->gotab, call_va, &func))
		return false;
	if (entry->kind == KIND_FUNCTION)
		return fill_function(locations, &func, va, location);
	cnt = gj_gotab_frames(dso->gotab, call_va, locations->frames, GJ_MAX_INLINE_DEPTH + 1);
	if (cnt <= 0)
		return false;
	location->frames = gj_arena_take(&locations->cold, (size_t)cnt * sizeof(*location->frames));
	if (!location->frames)
		return false;
	for (int i = 0; i < cnt; i++) {
		const struct gj_goframe *from = &locations->frames[i];

		location->frames[i] = (struct gj_frame){
			.name = name_of(locations, from->name),
			.file = from->file,
			.line = from->line,
			.start_line = start_line_of(locations, dso, &func, from),
			.inlined = from->inlined,
		};
	}
	location->frame_cnt = (uint32_t)cnt;
	location->sym_off = va - func.entry_va;
	location->is_go = true;
	location->classes = classify(dso, &func);
	if (locations->repair && gj_repair_lacks(locations->repair, dso->image, dso->gotab, va,
						 call_va != va))
		location->classes |= GJ_CLASS_LACKS;
	return true;
}

/* What the host itself says of the address. */
static bool fill_host(struct gj_locations *locations, const struct gj_mapping *mapping,
		      struct gj_location *location)
{
	location->frames = gj_arena_take(&locations->cold, sizeof(*location->frames));
	if (!location->frames)
		return false;
	location->frames[0] = (struct gj_frame){ 0 };
	if (mapping->sym)
		location->frames[0].name =
			take_text(&locations->cold, mapping->sym, strlen(mapping->sym));
	location->frame_cnt = 1;
	location->sym_off = mapping->sym_off;
	return true;
}

static bool fill_text(struct gj_locations *locations, struct entry *entry)
{
	static void (*const formats[])(const struct gj_report *, const struct gj_location *,
				       struct gj_buf *) = {
		[GJ_FORMAT_PERF] = gj_report_location,
		[GJ_FORMAT_FOLDED] = gj_folded_location,
		[GJ_FORMAT_JSON] = gj_json_location,
		[GJ_FORMAT_CHAINS] = gj_report_location, /* nobody reads it */
	};
	struct gj_location *location = &entry->location;
	struct gj_buf *text = &locations->text;

	text->size_bytes = 0;
	if (locations->options->pprof)
		gj_pprof_location(locations->options->pprof, entry->dso, entry->file_off,
				  entry->kind == KIND_RETURN, location, text);
	else
		formats[locations->options->format](&locations->options->report, location, text);
	if (text->failed)
		return false;
	location->text = take_text(&locations->hot, text->data, text->size_bytes);
	location->text_bytes = (uint32_t)text->size_bytes;
	return location->text != NULL;
}

static struct entry *make(struct gj_locations *locations, const struct key *key,
			  const struct gj_mapping *mapping, bool is_kernel)
{
	struct entry *entry = gj_arena_take(&locations->hot, sizeof(*entry));
	const struct gj_dso *dso = key->dso;

	if (!entry)
		return NULL;
	*entry = (struct entry){
		.dso = dso,
		.file_off = key->file_off,
		.kind = key->kind,
		.location = { .ip = key->ip, .printed_ip = key->ip,
			      .is_kernel = is_kernel, .is_core = is_kernel && !dso },
	};
	if (locations->options->prints_file_off && mapping->dso && !is_kernel)
		entry->location.printed_ip = mapping->file_off;
	if (dso)
		entry->location.dso = dso->path;
	else if (mapping->dso)
		entry->location.dso =
			take_text(&locations->cold, mapping->dso, strlen(mapping->dso));
	if (!(dso && dso->gotab && fill_go(locations, dso, entry)) &&
	    !fill_host(locations, mapping, &entry->location))
		return NULL;
	if (!is_kernel && !entry->location.frames[entry->location.frame_cnt - 1].name)
		entry->location.classes |= GJ_CLASS_UNNAMED;
	return fill_text(locations, entry) ? entry : NULL;
}

static const struct gj_location *find(struct gj_locations *locations, const struct key *key,
				      const struct gj_mapping *mapping, bool is_kernel)
{
	struct slot *slot = find_slot(locations, key);
	struct entry *entry;

	if (slot->entry)
		return &slot->entry->location;
	if (locations->entry_cnt * 2 >= locations->slot_cnt) {
		if (!grow(locations))
			return NULL;
		slot = find_slot(locations, key);
	}
	entry = make(locations, key, mapping, is_kernel);
	if (!entry)
		return NULL;
	*slot = (struct slot){ hash(key), entry };
	locations->entry_cnt++;
	return &entry->location;
}

const struct gj_location *gj_locations_find(struct gj_locations *locations,
					    const struct gj_dso *dso,
					    const struct gj_mapping *mapping, uint64_t ip,
					    bool is_kernel, bool is_return)
{
	const struct key key = {
		.dso = dso,
		.file_off = dso ? mapping->file_off : is_kernel ? KERNEL_OFF : UNMAPPED_OFF,
		.ip = ip,
		.kind = is_return ? KIND_RETURN : KIND_EXACT,
	};

	return find(locations, &key, mapping, is_kernel);
}

const struct gj_location *gj_locations_function(struct gj_locations *locations,
						const struct gj_dso *dso, uint64_t file_off,
						uint64_t ip)
{
	const struct key key = { dso, file_off, ip, KIND_FUNCTION };
	const struct gj_mapping mapping = { .dso = dso->path, .file_off = file_off };

	return find(locations, &key, &mapping, false);
}

const struct gj_location *gj_locations_known(const struct gj_locations *locations,
					     const struct gj_dso *dso, uint64_t file_off,
					     uint64_t ip, bool is_return)
{
	const struct key key = { dso, file_off, ip, is_return ? KIND_RETURN : KIND_EXACT };
	const struct entry *entry = find_slot(locations, &key)->entry;

	return entry ? &entry->location : NULL;
}

const struct gj_location *gj_locations_kernel(const struct gj_locations *locations, uint64_t ip)
{
	return gj_locations_known(locations, NULL, KERNEL_OFF, ip, false);
}
