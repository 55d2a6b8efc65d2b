/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A profile being made: what is added is looked for among what is there, by the
 * bytes of a key that holds all that tells two of a kind apart.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "pprof/pprof.h"
#include "pprof/store.h"

struct gj_profile_builder {
	size_t type_cnt;
	struct gj_arena arena;
	/* Texts are numbered so that keys hold numbers. */
	struct gj_pnumbers texts, mapping_keys, function_keys, location_keys, sample_keys;
	struct gj_profile_mapping *mappings;
	struct gj_profile_function *functions;
	struct gj_profile_location *locations;
	struct gj_profile_sample *samples;
	size_t mapping_cap, function_cap, location_cap, sample_cap;
	struct gj_buf key; /* reused */
	bool is_full;      /* a stack found no room: no more new ones */
};

struct gj_profile_builder *gj_profile_builder_new(size_t type_cnt)
{
	struct gj_profile_builder *builder = calloc(1, sizeof(*builder));

	if (!builder)
		return NULL;
	builder->type_cnt = type_cnt;
	builder->arena.max_bytes = GJ_MAX_PPROF_MEMORY_BYTES;
	builder->texts.arena = builder->mapping_keys.arena = builder->function_keys.arena =
		builder->location_keys.arena = builder->sample_keys.arena = &builder->arena;
	return builder;
}

void gj_profile_builder_free(struct gj_profile_builder *builder)
{
	if (!builder)
		return;
	gj_pnumbers_deinit(&builder->texts);
	gj_pnumbers_deinit(&builder->mapping_keys);
	gj_pnumbers_deinit(&builder->function_keys);
	gj_pnumbers_deinit(&builder->location_keys);
	gj_pnumbers_deinit(&builder->sample_keys);
	free(builder->mappings);
	free(builder->functions);
	free(builder->locations);
	free(builder->samples);
	gj_buf_deinit(&builder->key);
	gj_arena_deinit(&builder->arena);
	free(builder);
}

/* *@text becomes our own copy, one for each text; its number goes into the key. */
static int own_text(struct gj_profile_builder *builder, const char **text)
{
	uint32_t number;
	int err = gj_pnumbers_put(&builder->texts, *text, strlen(*text), &number, NULL);

	if (err)
		return err;
	*text = builder->texts.keys[number].bytes;
	gj_buf_add(&builder->key, &number, sizeof(number));
	return 0;
}

/* Looks the key up in @keys. */
static int number_key(struct gj_profile_builder *builder, struct gj_pnumbers *keys,
		      uint32_t *index_out, bool *is_new_out)
{
	if (builder->key.failed) {
		gj_buf_deinit(&builder->key);
		return -ENOMEM;
	}
	return gj_pnumbers_put(keys, builder->key.data, builder->key.size_bytes, index_out,
			       is_new_out);
}

int gj_profile_add_mapping(struct gj_profile_builder *builder,
			   const struct gj_profile_mapping *mapping, uint32_t *index_out)
{
	struct gj_profile_mapping own = *mapping, *mappings;
	bool is_new;
	int err;

	mappings = gj_parray_grow(builder->mappings, builder->mapping_keys.key_cnt,
			 &builder->mapping_cap, sizeof(*mappings));
	if (!mappings)
		return -ENOMEM;
	builder->mappings = mappings;
	builder->key.size_bytes = 0;
	err = own_text(builder, &own.filename);
	if (!err)
		err = own_text(builder, &own.build_id);
	if (err)
		return err;
	gj_buf_add(&builder->key, &own.file_off, sizeof(own.file_off));
	err = number_key(builder, &builder->mapping_keys, index_out, &is_new);
	if (!err && is_new)
		mappings[*index_out] = own;
	return err;
}

struct gj_profile_mapping *gj_profile_mapping_at(struct gj_profile_builder *builder,
						 uint32_t index)
{
	return &builder->mappings[index];
}

int gj_profile_add_function(struct gj_profile_builder *builder,
			    const struct gj_profile_function *function, uint32_t *index_out)
{
	struct gj_profile_function own = *function, *functions;
	bool is_new;
	int err;

	functions = gj_parray_grow(builder->functions, builder->function_keys.key_cnt,
			  &builder->function_cap, sizeof(*functions));
	if (!functions)
		return -ENOMEM;
	builder->functions = functions;
	builder->key.size_bytes = 0;
	err = own_text(builder, &own.name);
	if (!err)
		err = own_text(builder, &own.system_name);
	if (!err)
		err = own_text(builder, &own.filename);
	if (err)
		return err;
	gj_buf_add(&builder->key, &own.start_line, sizeof(own.start_line));
	err = number_key(builder, &builder->function_keys, index_out, &is_new);
	if (!err && is_new)
		functions[*index_out] = own;
	return err;
}

int gj_profile_add_location(struct gj_profile_builder *builder,
			    const struct gj_profile_location *location, uint32_t *index_out)
{
	struct gj_profile_location own = *location, *locations;
	bool is_new;
	int err;

	locations = gj_parray_grow(builder->locations, builder->location_keys.key_cnt,
			  &builder->location_cap, sizeof(*locations));
	if (!locations)
		return -ENOMEM;
	builder->locations = locations;
	own.lines = gj_arena_array(&builder->arena, own.line_cnt, sizeof(*own.lines));
	if (!own.lines)
		return -ENOMEM;
	builder->key.size_bytes = 0;
	gj_buf_add(&builder->key, &own.address_va, sizeof(own.address_va));
	gj_buf_add(&builder->key, &own.mapping, sizeof(own.mapping));
	for (uint32_t i = 0; i < own.line_cnt; i++) {
		struct gj_profile_line *line = (struct gj_profile_line *)own.lines + i;

		line->function = location->lines[i].function;
		line->line = location->lines[i].line;
		gj_buf_add(&builder->key, &line->function, sizeof(line->function));
		gj_buf_add(&builder->key, &line->line, sizeof(line->line));
	}
	err = number_key(builder, &builder->location_keys, index_out, &is_new);
	if (!err && is_new)
		locations[*index_out] = own;
	return err;
}

/* Puts the labels into the key; their texts become ours in @own. */
static int own_labels(struct gj_profile_builder *builder, struct gj_profile_label *own,
		      uint32_t cnt)
{
	int err = 0;

	for (uint32_t i = 0; !err && i < cnt; i++) {
		gj_buf_chr(&builder->key, own[i].str ? 's' : 'n');
		err = own_text(builder, &own[i].key);
		if (!err)
			err = own_text(builder, own[i].str ? &own[i].str : &own[i].unit);
		if (!own[i].str)
			gj_buf_add(&builder->key, &own[i].num, sizeof(own[i].num));
	}
	return err;
}

/* The stack and labels, seen for the first time. */
static int new_sample(struct gj_profile_builder *builder, const struct gj_profile_sample *sample,
		      const struct gj_profile_label *labels, uint32_t index)
{
	struct gj_profile_sample own = *sample;

	own.locations = gj_arena_copy(&builder->arena, sample->locations,
				       sample->location_cnt * sizeof(*own.locations));
	own.values = gj_arena_array(&builder->arena, builder->type_cnt, sizeof(*own.values));
	own.labels = gj_arena_copy(&builder->arena, labels, sample->label_cnt * sizeof(*labels));
	if (!own.locations || !own.values || !own.labels)
		return -ENOMEM;
	builder->samples[index] = own;
	return 0;
}

static int add_stack(struct gj_profile_builder *builder, const struct gj_profile_sample *sample,
		     struct gj_profile_label *labels)
{
	uint32_t index;
	int64_t *values;
	bool is_new;
	int err;

	builder->key.size_bytes = 0;
	gj_buf_add(&builder->key, &sample->location_cnt, sizeof(sample->location_cnt));
	gj_buf_add(&builder->key, sample->locations,
		   sample->location_cnt * sizeof(*sample->locations));
	err = own_labels(builder, labels, sample->label_cnt);
	if (!err && builder->is_full &&
	    gj_pnumbers_find(&builder->sample_keys, builder->key.data, builder->key.size_bytes) ==
		    UINT32_MAX)
		return -E2BIG;
	if (!err)
		err = number_key(builder, &builder->sample_keys, &index, &is_new);
	if (!err && is_new) {
		builder->samples[index] = (struct gj_profile_sample){ 0 };
		err = new_sample(builder, sample, labels, index);
	}
	builder->is_full |= err != 0;
	/* The one that found no room when it was new stays out. */
	if (err || !builder->samples[index].values)
		return -E2BIG;
	values = (int64_t *)(uintptr_t)builder->samples[index].values;
	for (size_t i = 0; i < builder->type_cnt; i++)
		__builtin_add_overflow(values[i], sample->values[i], &values[i]);
	return 0;
}

int gj_profile_add_sample(struct gj_profile_builder *builder,
			  const struct gj_profile_sample *sample)
{
	struct gj_profile_label labels[GJ_MAX_PPROF_LABELS];
	struct gj_profile_sample *samples;

	if (sample->label_cnt > GJ_MAX_PPROF_LABELS)
		return -E2BIG;
	samples = gj_parray_grow(builder->samples, builder->sample_keys.key_cnt,
			&builder->sample_cap, sizeof(*samples));
	if (!samples)
		return -ENOMEM;
	builder->samples = samples;
	if (sample->label_cnt)
		memcpy(labels, sample->labels, sample->label_cnt * sizeof(*labels));
	return add_stack(builder, sample, labels);
}

/* The one that found no room is the last. */
static size_t placed_samples(const struct gj_profile_builder *builder)
{
	size_t cnt = builder->sample_keys.key_cnt;

	return cnt && !builder->samples[cnt - 1].values ? cnt - 1 : cnt;
}

void gj_profile_builder_view(const struct gj_profile_builder *builder,
			     struct gj_profile *profile_out)
{
	profile_out->mappings = builder->mappings;
	profile_out->mapping_cnt = builder->mapping_keys.key_cnt;
	profile_out->functions = builder->functions;
	profile_out->function_cnt = builder->function_keys.key_cnt;
	profile_out->locations = builder->locations;
	profile_out->location_cnt = builder->location_keys.key_cnt;
	profile_out->samples = builder->samples;
	profile_out->sample_cnt = placed_samples(builder);
}
