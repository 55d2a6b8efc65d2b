/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A profile to bytes. Messages written one behind the other are one message to
 * whoever reads them (protobuf.dev, "Last One Wins": repeated fields add up), so
 * each part goes out as a Profile of its own that holds nothing else.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "pprof/gzip.h"
#include "pprof/pprof.h"
#include "pprof/profile.pb-c.h"
#include "pprof/store.h"

struct writer {
	struct gj_gzip gzip;
	struct gj_arena arena;      /* of texts */
	struct gj_pnumbers texts;    /* the string table */
	struct gj_arena scratch;    /* of the message at hand */
	struct gj_buf bytes;         /* packed, reused */
	bool failed;
};

static int64_t text(struct writer *writer, const char *text)
{
	uint32_t number = 0;

	if (text && gj_pnumbers_put(&writer->texts, text, strlen(text), &number, NULL))
		writer->failed = true;
	return number;
}

static void put(struct writer *writer, const Gj__Wire__Profile *part)
{
	size_t size_bytes = gj__wire__profile__get_packed_size(part);
	char *room;

	writer->bytes.size_bytes = 0;
	room = size_bytes ? gj_buf_reserve(&writer->bytes, size_bytes) : NULL;
	if (room) {
		gj__wire__profile__pack(part, (uint8_t *)room);
		gj_gzip_add(&writer->gzip, room, size_bytes);
	}
	writer->failed |= writer->bytes.failed;
	gj_arena_deinit(&writer->scratch);
}

static void *scratch(struct writer *writer, size_t cnt, size_t each_bytes)
{
	void *array = gj_arena_array(&writer->scratch, cnt, each_bytes);

	writer->failed |= !array;
	return array;
}

static void put_type(struct writer *writer, const struct gj_profile_type *type, bool is_period)
{
	Gj__Wire__Profile part = GJ__WIRE__PROFILE__INIT;
	Gj__Wire__ValueType message = GJ__WIRE__VALUE_TYPE__INIT, *list = &message;

	message.type = text(writer, type->type);
	message.unit = text(writer, type->unit);
	if (is_period) {
		part.period_type = &message;
	} else {
		part.sample_type = &list;
		part.n_sample_type = 1;
	}
	put(writer, &part);
}

static void fill_label(struct writer *writer, const struct gj_profile_label *from,
		       Gj__Wire__Label *label)
{
	gj__wire__label__init(label);
	label->key = text(writer, from->key);
	if (from->str) {
		label->str = text(writer, from->str);
		return;
	}
	label->num = from->num;
	label->num_unit = text(writer, from->unit);
}

static void put_sample(struct writer *writer, const struct gj_profile *profile,
		       const struct gj_profile_sample *from)
{
	Gj__Wire__Profile part = GJ__WIRE__PROFILE__INIT;
	Gj__Wire__Sample sample = GJ__WIRE__SAMPLE__INIT, *list = &sample;
	Gj__Wire__Label *labels = scratch(writer, from->label_cnt, sizeof(*labels));

	sample.location_id = scratch(writer, from->location_cnt, sizeof(*sample.location_id));
	sample.label = scratch(writer, from->label_cnt, sizeof(*sample.label));
	sample.value = (int64_t *)(uintptr_t)from->values;
	sample.n_value = profile->type_cnt;
	part.sample = &list;
	part.n_sample = 1;
	if (!labels || !sample.location_id || !sample.label)
		return;
	sample.n_location_id = from->location_cnt;
	for (uint32_t i = 0; i < from->location_cnt; i++)
		sample.location_id[i] = from->locations[i] + 1ULL;
	sample.n_label = from->label_cnt;
	for (uint32_t i = 0; i < from->label_cnt; i++) {
		sample.label[i] = &labels[i];
		fill_label(writer, &from->labels[i], &labels[i]);
	}
	put(writer, &part);
}

static void put_mapping(struct writer *writer, const struct gj_profile_mapping *from, size_t index)
{
	Gj__Wire__Profile part = GJ__WIRE__PROFILE__INIT;
	Gj__Wire__Mapping mapping = GJ__WIRE__MAPPING__INIT, *list = &mapping;

	mapping.id = index + 1;
	mapping.memory_start = from->start_va;
	mapping.memory_limit = from->limit_va;
	mapping.file_offset = from->file_off;
	mapping.filename = text(writer, from->filename);
	mapping.build_id = text(writer, from->build_id);
	mapping.has_functions = from->has_functions;
	mapping.has_filenames = from->has_filenames;
	mapping.has_line_numbers = from->has_lines;
	mapping.has_inline_frames = from->has_inlines;
	part.mapping = &list;
	part.n_mapping = 1;
	put(writer, &part);
}

static void put_location(struct writer *writer, const struct gj_profile_location *from,
			 size_t index)
{
	Gj__Wire__Profile part = GJ__WIRE__PROFILE__INIT;
	Gj__Wire__Location location = GJ__WIRE__LOCATION__INIT, *list = &location;
	Gj__Wire__Line *lines = scratch(writer, from->line_cnt, sizeof(*lines));

	location.id = index + 1;
	location.mapping_id = from->mapping == GJ_PROFILE_NONE ? 0 : from->mapping + 1ULL;
	location.address = from->address_va;
	location.line = scratch(writer, from->line_cnt, sizeof(*location.line));
	part.location = &list;
	part.n_location = 1;
	if (!lines || !location.line)
		return;
	location.n_line = from->line_cnt;
	for (uint32_t i = 0; i < from->line_cnt; i++) {
		uint32_t function = from->lines[i].function;

		gj__wire__line__init(&lines[i]);
		lines[i].function_id = function == GJ_PROFILE_NONE ? 0 : function + 1ULL;
		lines[i].line = from->lines[i].line;
		location.line[i] = &lines[i];
	}
	put(writer, &part);
}

static void put_function(struct writer *writer, const struct gj_profile_function *from,
			 size_t index)
{
	Gj__Wire__Profile part = GJ__WIRE__PROFILE__INIT;
	Gj__Wire__Function function = GJ__WIRE__FUNCTION__INIT, *list = &function;

	function.id = index + 1;
	function.name = text(writer, from->name);
	function.system_name = text(writer, from->system_name);
	function.filename = text(writer, from->filename);
	function.start_line = from->start_line;
	part.function = &list;
	part.n_function = 1;
	put(writer, &part);
}

static void put_header(struct writer *writer, const struct gj_profile *profile)
{
	Gj__Wire__Profile part = GJ__WIRE__PROFILE__INIT;

	part.comment = scratch(writer, profile->comment_cnt, sizeof(*part.comment));
	for (size_t i = 0; part.comment && i < profile->comment_cnt; i++)
		part.comment[part.n_comment++] = text(writer, profile->comments[i]);
	part.drop_frames = text(writer, profile->drop_frames);
	part.keep_frames = text(writer, profile->keep_frames);
	part.time_nanos = profile->time_ns;
	part.duration_nanos = profile->duration_ns;
	part.period = profile->period;
	part.default_sample_type = text(writer, profile->default_type);
	put(writer, &part);
	if (profile->period_type.type)
		put_type(writer, &profile->period_type, true);
}

static void put_texts(struct writer *writer)
{
	for (size_t i = 0; i < writer->texts.key_cnt; i++) {
		Gj__Wire__Profile part = GJ__WIRE__PROFILE__INIT;
		char *string = (char *)(uintptr_t)writer->texts.keys[i].bytes;

		part.string_table = &string;
		part.n_string_table = 1;
		put(writer, &part);
	}
}

static void put_all(struct writer *writer, const struct gj_profile *profile)
{
	/* Number 0 is the empty text. */
	text(writer, "");
	for (size_t i = 0; i < profile->type_cnt; i++)
		put_type(writer, &profile->types[i], false);
	for (size_t i = 0; i < profile->sample_cnt; i++)
		put_sample(writer, profile, &profile->samples[i]);
	for (size_t i = 0; i < profile->mapping_cnt; i++)
		put_mapping(writer, &profile->mappings[i], i);
	for (size_t i = 0; i < profile->location_cnt; i++)
		put_location(writer, &profile->locations[i], i);
	for (size_t i = 0; i < profile->function_cnt; i++)
		put_function(writer, &profile->functions[i], i);
	put_header(writer, profile);
	put_texts(writer);
}

int gj_profile_write(const struct gj_profile *profile, struct gj_buf *out)
{
	struct writer writer = { 0 };
	int err = gj_gzip_begin(&writer.gzip, out);

	if (err)
		return err;
	writer.texts.arena = &writer.arena;
	put_all(&writer, profile);
	err = gj_gzip_end(&writer.gzip);
	if (writer.failed)
		err = -ENOMEM;
	gj_buf_deinit(&writer.bytes);
	gj_pnumbers_deinit(&writer.texts);
	gj_arena_deinit(&writer.arena);
	return err;
}
