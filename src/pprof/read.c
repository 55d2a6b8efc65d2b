/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Bytes to a profile: unpacked, decoded by protobuf-c into memory with a limit,
 * then every index and id checked (as profile.CheckValid of github.com/google/pprof
 * does) and replaced by the place of what it names.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/limits.h"
#include "pprof/gzip.h"
#include "pprof/pprof.h"
#include "pprof/profile.pb-c.h"
#include "pprof/store.h"

struct gj_profile_file {
	struct gj_profile profile;
	struct gj_arena arena; /* of all */
};

/* The id of an element and where it stands. */
struct id {
	uint64_t id;
	uint32_t index;
};

struct ids {
	struct id *list; /* by id */
	size_t cnt;
};

struct reader {
	struct gj_profile_file *file;
	const Gj__Wire__Profile *wire;
	struct ids mappings, locations, functions;
	const char *problem; /* first one; static text */
};

static void *take(void *data, size_t size_bytes)
{
	return gj_arena_take(data, size_bytes);
}

/* All is freed at once. */
static void give_back(void *data, void *memory)
{
	(void)data;
	(void)memory;
}

static int bad(struct reader *reader, const char *problem)
{
	if (!reader->problem)
		reader->problem = problem;
	return -EBADMSG;
}

static int text(struct reader *reader, int64_t index, const char **text_out)
{
	if (index < 0 || (uint64_t)index >= reader->wire->n_string_table)
		return bad(reader, "a text's number lies outside the string table");
	*text_out = reader->wire->string_table[index];
	return 0;
}

static void *array(struct reader *reader, size_t cnt, size_t each_bytes)
{
	return gj_arena_array(&reader->file->arena, cnt, each_bytes);
}

static int compare_ids(const void *a, const void *b)
{
	const struct id *one = a, *other = b;

	return (one->id > other->id) - (one->id < other->id);
}

static int sort_ids(struct reader *reader, struct ids *ids)
{
	/* Writers number from 1 up: mostly nothing is to be sorted. */
	for (size_t i = 1; i < ids->cnt; i++) {
		if (ids->list[i - 1].id >= ids->list[i].id) {
			qsort(ids->list, ids->cnt, sizeof(*ids->list), compare_ids);
			break;
		}
	}
	for (size_t i = 0; i < ids->cnt; i++)
		if (!ids->list[i].id || (i && ids->list[i - 1].id == ids->list[i].id))
			return bad(reader, "an id is 0 or there twice");
	return 0;
}

/* 0 names nothing: GJ_PROFILE_NONE. */
static int find_id(struct reader *reader, const struct ids *ids, uint64_t id, uint32_t *index_out)
{
	const struct id key = { .id = id };
	const struct id *found = &key;

	*index_out = GJ_PROFILE_NONE;
	if (!id)
		return 0;
	if (id <= ids->cnt && ids->list[id - 1].id == id)
		found = &ids->list[id - 1];
	else
		found = bsearch(&key, ids->list, ids->cnt, sizeof(key), compare_ids);
	if (!found)
		return bad(reader, "an id names nothing");
	*index_out = found->index;
	return 0;
}

/* Numbers of @kind's elements, which all begin with an id of the same name. */
#define FILL_IDS(reader, ids, kind)                                                                \
	do {                                                                                       \
		(ids)->cnt = (reader)->wire->n_##kind;                                             \
		(ids)->list = array(reader, (ids)->cnt, sizeof(struct id));                        \
		for (size_t i = 0; (ids)->list && i < (ids)->cnt; i++)                             \
			(ids)->list[i] = (struct id){ (reader)->wire->kind[i]->id, (uint32_t)i };  \
	} while (0)

static int read_ids(struct reader *reader)
{
	int err;

	FILL_IDS(reader, &reader->mappings, mapping);
	FILL_IDS(reader, &reader->locations, location);
	FILL_IDS(reader, &reader->functions, function);
	if (!reader->mappings.list || !reader->locations.list || !reader->functions.list)
		return -ENOMEM;
	err = sort_ids(reader, &reader->mappings);
	if (!err)
		err = sort_ids(reader, &reader->locations);
	return err ? err : sort_ids(reader, &reader->functions);
}

static int read_type(struct reader *reader, const Gj__Wire__ValueType *from,
		     struct gj_profile_type *type)
{
	int err = text(reader, from->type, &type->type);

	return err ? err : text(reader, from->unit, &type->unit);
}

static int read_types(struct reader *reader)
{
	struct gj_profile *profile = &reader->file->profile;
	struct gj_profile_type *types = array(reader, reader->wire->n_sample_type, sizeof(*types));
	int err = types ? 0 : -ENOMEM;

	for (size_t i = 0; !err && i < reader->wire->n_sample_type; i++)
		err = read_type(reader, reader->wire->sample_type[i], &types[i]);
	profile->types = types;
	profile->type_cnt = reader->wire->n_sample_type;
	if (!err && reader->wire->period_type)
		err = read_type(reader, reader->wire->period_type, &profile->period_type);
	return err;
}

static int read_mappings(struct reader *reader)
{
	struct gj_profile *profile = &reader->file->profile;
	struct gj_profile_mapping *mappings =
		array(reader, reader->wire->n_mapping, sizeof(*mappings));
	int err = mappings ? 0 : -ENOMEM;

	for (size_t i = 0; !err && i < reader->wire->n_mapping; i++) {
		const Gj__Wire__Mapping *from = reader->wire->mapping[i];

		mappings[i] = (struct gj_profile_mapping){
			.start_va = from->memory_start,
			.limit_va = from->memory_limit,
			.file_off = from->file_offset,
			.has_functions = from->has_functions,
			.has_filenames = from->has_filenames,
			.has_lines = from->has_line_numbers,
			.has_inlines = from->has_inline_frames,
		};
		err = text(reader, from->filename, &mappings[i].filename);
		if (!err)
			err = text(reader, from->build_id, &mappings[i].build_id);
	}
	profile->mappings = mappings;
	profile->mapping_cnt = reader->wire->n_mapping;
	return err;
}

static int read_functions(struct reader *reader)
{
	struct gj_profile *profile = &reader->file->profile;
	struct gj_profile_function *functions =
		array(reader, reader->wire->n_function, sizeof(*functions));
	int err = functions ? 0 : -ENOMEM;

	for (size_t i = 0; !err && i < reader->wire->n_function; i++) {
		const Gj__Wire__Function *from = reader->wire->function[i];

		functions[i].start_line = from->start_line;
		err = text(reader, from->name, &functions[i].name);
		if (!err)
			err = text(reader, from->system_name, &functions[i].system_name);
		if (!err)
			err = text(reader, from->filename, &functions[i].filename);
	}
	profile->functions = functions;
	profile->function_cnt = reader->wire->n_function;
	return err;
}

static int read_location(struct reader *reader, const Gj__Wire__Location *from,
			 struct gj_profile_location *location)
{
	struct gj_profile_line *lines = array(reader, from->n_line, sizeof(*lines));
	int err = lines ? find_id(reader, &reader->mappings, from->mapping_id, &location->mapping) :
			  -ENOMEM;

	for (size_t i = 0; !err && i < from->n_line; i++) {
		lines[i].line = from->line[i]->line;
		err = find_id(reader, &reader->functions, from->line[i]->function_id,
			      &lines[i].function);
	}
	location->address_va = from->address;
	location->lines = lines;
	location->line_cnt = (uint32_t)from->n_line;
	return err;
}

static int read_locations(struct reader *reader)
{
	struct gj_profile *profile = &reader->file->profile;
	struct gj_profile_location *locations =
		array(reader, reader->wire->n_location, sizeof(*locations));
	int err = locations ? 0 : -ENOMEM;

	for (size_t i = 0; !err && i < reader->wire->n_location; i++)
		err = read_location(reader, reader->wire->location[i], &locations[i]);
	profile->locations = locations;
	profile->location_cnt = reader->wire->n_location;
	return err;
}

static int read_labels(struct reader *reader, const Gj__Wire__Sample *from,
		       struct gj_profile_sample *sample)
{
	struct gj_profile_label *labels = array(reader, from->n_label, sizeof(*labels));
	int err = labels ? 0 : -ENOMEM;

	for (size_t i = 0; !err && i < from->n_label; i++) {
		const Gj__Wire__Label *label = from->label[i];

		labels[i].num = label->num;
		err = text(reader, label->key, &labels[i].key);
		if (!err && label->str)
			err = text(reader, label->str, &labels[i].str);
		if (!err)
			err = text(reader, label->num_unit, &labels[i].unit);
	}
	sample->labels = labels;
	sample->label_cnt = (uint32_t)from->n_label;
	return err;
}

static int read_sample(struct reader *reader, const Gj__Wire__Sample *from,
		       struct gj_profile_sample *sample)
{
	uint32_t *locations = array(reader, from->n_location_id, sizeof(*locations));
	int err = locations ? 0 : -ENOMEM;

	if (from->n_value != reader->wire->n_sample_type)
		return bad(reader, "a sample has not one value for each sample type");
	for (size_t i = 0; !err && i < from->n_location_id; i++) {
		err = from->location_id[i] ? 0 : bad(reader, "a sample's location has no id");
		if (!err)
			err = find_id(reader, &reader->locations, from->location_id[i],
				      &locations[i]);
	}
	sample->locations = locations;
	sample->location_cnt = (uint32_t)from->n_location_id;
	sample->values = from->value;
	return err ? err : read_labels(reader, from, sample);
}

static int read_samples(struct reader *reader)
{
	struct gj_profile *profile = &reader->file->profile;
	struct gj_profile_sample *samples = array(reader, reader->wire->n_sample, sizeof(*samples));
	int err = samples ? 0 : -ENOMEM;

	for (size_t i = 0; !err && i < reader->wire->n_sample; i++)
		err = read_sample(reader, reader->wire->sample[i], &samples[i]);
	profile->samples = samples;
	profile->sample_cnt = reader->wire->n_sample;
	return err;
}

static int read_header(struct reader *reader)
{
	const Gj__Wire__Profile *wire = reader->wire;
	struct gj_profile *profile = &reader->file->profile;
	const char **comments = array(reader, wire->n_comment, sizeof(*comments));
	int err = comments ? 0 : -ENOMEM;

	if (!wire->n_string_table || wire->string_table[0][0])
		return bad(reader, "its string table does not begin with an empty text");
	for (size_t i = 0; !err && i < wire->n_comment; i++)
		err = text(reader, wire->comment[i], &comments[i]);
	if (!err)
		err = text(reader, wire->drop_frames, &profile->drop_frames);
	if (!err)
		err = text(reader, wire->keep_frames, &profile->keep_frames);
	if (!err)
		err = text(reader, wire->default_sample_type, &profile->default_type);
	profile->comments = comments;
	profile->comment_cnt = wire->n_comment;
	profile->time_ns = wire->time_nanos;
	profile->duration_ns = wire->duration_nanos;
	profile->period = wire->period;
	return err;
}

static int read_all(struct reader *reader)
{
	static int (*const steps[])(struct reader *) = { read_header, read_ids, read_types,
							 read_mappings, read_functions,
							 read_locations, read_samples };
	int err = 0;

	if (!reader->wire->n_sample_type)
		return bad(reader, "it has no sample types");
	for (size_t i = 0; !err && i < sizeof(steps) / sizeof(steps[0]); i++)
		err = steps[i](reader);
	return err;
}

/* @bytes: uncompressed */
static int decode(struct gj_window bytes, struct reader *reader)
{
	ProtobufCAllocator allocator = { take, give_back, &reader->file->arena };

	reader->wire = gj__wire__profile__unpack(&allocator, bytes.size_bytes, bytes.base);
	if (!reader->wire) {
		/* protobuf-c does not say why: near the limit it was that. */
		return reader->file->arena.used_bytes > GJ_MAX_PPROF_MEMORY_BYTES / 2 ?
			       -E2BIG : bad(reader, "it is no protobuf message of this kind");
	}
	return read_all(reader);
}

static bool is_gzip(struct gj_window bytes)
{
	return bytes.size_bytes >= 2 && bytes.base[0] == 0x1f && bytes.base[1] == 0x8b;
}

static int explain(const struct reader *reader, const char *what, int err, struct gj_diag *diag)
{
	switch (err) {
	case -EBADMSG:
		return gj_diag_set(diag, err, "%s: not a pprof profile: %s", what,
				   reader->problem ? reader->problem :
						     "its gzip stream is damaged or cut");
	case -E2BIG:
		return gj_diag_set(diag, err, "%s: takes more memory than a profile is allowed (%u MB)",
				   what, GJ_MAX_PPROF_MEMORY_BYTES >> 20);
	default:
		return gj_diag_set(diag, err, "%s: out of memory", what);
	}
}

int gj_profile_read(struct gj_window bytes, const char *what, struct gj_profile_file **file_out,
		    struct gj_diag *diag)
{
	struct reader reader = { .file = calloc(1, sizeof(*reader.file)) };
	struct gj_buf plain = { 0 };
	int err = 0;

	if (!reader.file)
		return explain(&reader, what, -ENOMEM, diag);
	reader.file->arena.max_bytes = GJ_MAX_PPROF_MEMORY_BYTES;
	if (is_gzip(bytes)) {
		err = gj_gzip_unpack(bytes, GJ_MAX_PPROF_BYTES, &plain);
		bytes = (struct gj_window){ (const uint8_t *)plain.data, plain.size_bytes };
	} else if (bytes.size_bytes > GJ_MAX_PPROF_BYTES) {
		err = -E2BIG;
	}
	if (!err)
		err = decode(bytes, &reader);
	gj_buf_deinit(&plain);
	if (err) {
		gj_profile_close(reader.file);
		return explain(&reader, what, err, diag);
	}
	*file_out = reader.file;
	return 0;
}

/* Reads @fd to its end, which may be a pipe. */
static int slurp(int fd, struct gj_buf *out)
{
	ssize_t cnt = 1;

	while (cnt > 0) {
		char *room = gj_buf_reserve(out, 1 << 16);

		if (!room)
			return -ENOMEM;
		if (out->size_bytes > GJ_MAX_PPROF_BYTES)
			return -E2BIG;
		cnt = read(fd, room, 1 << 16);
		if (cnt < 0)
			return -errno;
		out->size_bytes += (size_t)cnt;
	}
	return 0;
}

int gj_profile_open(const char *path, struct gj_profile_file **file_out, struct gj_diag *diag)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), err;
	struct gj_buf bytes = { 0 };

	if (fd < 0)
		return gj_diag_set(diag, -errno, "%s: %s", path, strerror(errno));
	err = slurp(fd, &bytes);
	close(fd);
	if (err)
		gj_diag_set(diag, err, "%s: %s", path, strerror(-err));
	else
		err = gj_profile_read((struct gj_window){ (const uint8_t *)bytes.data,
							  bytes.size_bytes },
				      path, file_out, diag);
	gj_buf_deinit(&bytes);
	return err;
}

void gj_profile_close(struct gj_profile_file *file)
{
	if (!file)
		return;
	gj_arena_deinit(&file->arena);
	free(file);
}

const struct gj_profile *gj_profile_of(const struct gj_profile_file *file)
{
	return &file->profile;
}
