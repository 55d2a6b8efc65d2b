/* SPDX-License-Identifier: GPL-2.0 */
/* src/pprof: profiles made, written, read back; broken ones; stacks matched. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "failalloc.h"
#include "pprof/gzip.h"
#include "pprof/pprof.h"
#include "pprof/profile.pb-c.h"

static struct gj_profile_type types[] = { { "samples", "count" }, { "cpu", "nanoseconds" } };

/* "main.main:10 main.f:20*": root first, name and line, '*' behind what is no Go code. */
static int add_stack(struct gj_profile_builder *builder, const char *stack, int64_t cnt,
		     const struct gj_profile_label *label)
{
	const int64_t values[] = { cnt, cnt * 1000 };
	uint32_t locations[32];
	struct gj_profile_sample sample = { .locations = locations, .values = values, .labels = label,
					    .label_cnt = label ? 1 : 0 };
	char name[64];
	int line, read_cnt, err = 0;

	for (; sscanf(stack, " %63[^:]:%d%n", name, &line, &read_cnt) == 2; stack += read_cnt) {
		struct gj_profile_function function = { name, name, "/src/x.go", 1 };
		struct gj_profile_line frame = { .line = line };
		struct gj_profile_location location = { .address_va = (uint64_t)line, .mapping = GJ_PROFILE_NONE,
							.line_cnt = 1, .lines = &frame };

		if (stack[read_cnt] == '*') {
			function.filename = "";
			read_cnt++;
		}
		memmove(locations + 1, locations, sizeof(locations) - sizeof(locations[0]));
		err = gj_profile_add_function(builder, &function, &frame.function);
		if (!err)
			err = gj_profile_add_location(builder, &location, &locations[0]);
		if (err)
			return err;
		sample.location_cnt++;
	}
	return gj_profile_add_sample(builder, &sample);
}

struct stack {
	const char *text;
	int64_t cnt;
};

/* @stacks end with a NULL text. NULL: out of memory */
static struct gj_profile_builder *build(const struct stack *stacks, struct gj_profile *profile)
{
	struct gj_profile_builder *builder = gj_profile_builder_new(2);

	for (; builder && stacks->text; stacks++) {
		if (add_stack(builder, stacks->text, stacks->cnt, NULL)) {
			gj_profile_builder_free(builder);
			return NULL;
		}
	}
	*profile = (struct gj_profile){ .types = types, .type_cnt = 2 };
	if (builder)
		gj_profile_builder_view(builder, profile);
	return builder;
}

static void equal_stacks_add_up(void **state)
{
	struct gj_profile_builder *builder = gj_profile_builder_new(2);
	struct gj_profile_label path = { .key = "path", .str = "/a" }, goid = { .key = "goid", .num = 7, .unit = "" };
	struct gj_profile profile = { .types = types, .type_cnt = 2 };

	(void)state;
	assert_int_equal(add_stack(builder, "main.main:1 main.f:2", 1, NULL), 0);
	assert_int_equal(add_stack(builder, "main.main:1 main.f:2", 2, NULL), 0);
	assert_int_equal(add_stack(builder, "main.main:1 main.f:2", 4, &path), 0);
	assert_int_equal(add_stack(builder, "main.main:1 main.f:2", 8, &goid), 0);
	goid.num = 8;
	assert_int_equal(add_stack(builder, "main.main:1 main.f:2", 16, &goid), 0);
	assert_int_equal(add_stack(builder, "main.main:1 main.f:3", 32, NULL), 0);
	gj_profile_builder_view(builder, &profile);
	assert_int_equal(profile.sample_cnt, 5);
	assert_int_equal(profile.samples[0].values[0], 3);
	assert_int_equal(profile.samples[0].values[1], 3000);
	assert_int_equal(profile.samples[3].labels[0].num, 8);
	assert_int_equal(profile.function_cnt, 2);
	assert_int_equal(profile.location_cnt, 3);
	gj_profile_builder_free(builder);
}

static void assert_same(const struct gj_profile *one, const struct gj_profile *other)
{
	assert_int_equal(one->sample_cnt, other->sample_cnt);
	assert_int_equal(one->location_cnt, other->location_cnt);
	assert_int_equal(one->function_cnt, other->function_cnt);
	assert_int_equal(one->mapping_cnt, other->mapping_cnt);
	assert_int_equal(one->period, other->period);
	assert_int_equal(one->time_ns, other->time_ns);
	assert_string_equal(one->period_type.unit, other->period_type.unit);
	for (size_t i = 0; i < one->sample_cnt; i++) {
		const struct gj_profile_sample *a = &one->samples[i], *b = &other->samples[i];

		assert_int_equal(a->location_cnt, b->location_cnt);
		assert_memory_equal(a->locations, b->locations, a->location_cnt * sizeof(*a->locations));
		assert_memory_equal(a->values, b->values, one->type_cnt * sizeof(*a->values));
		assert_int_equal(a->label_cnt, b->label_cnt);
		for (uint32_t j = 0; j < a->label_cnt; j++) {
			assert_string_equal(a->labels[j].key, b->labels[j].key);
			assert_int_equal(a->labels[j].num, b->labels[j].num);
			assert_int_equal(!a->labels[j].str, !b->labels[j].str);
		}
	}
	for (size_t i = 0; i < one->location_cnt; i++) {
		assert_int_equal(one->locations[i].address_va, other->locations[i].address_va);
		assert_int_equal(one->locations[i].mapping, other->locations[i].mapping);
		assert_int_equal(one->locations[i].lines[0].line, other->locations[i].lines[0].line);
	}
	for (size_t i = 0; i < one->function_cnt; i++) {
		assert_string_equal(one->functions[i].name, other->functions[i].name);
		assert_int_equal(one->functions[i].start_line, other->functions[i].start_line);
	}
}

/* A profile of all there is, written to @out. */
static int write_full(struct gj_buf *out, struct gj_profile *profile, struct gj_profile_builder **builder_out)
{
	static const char *const comments[] = { "made by hand" };
	struct gj_profile_mapping mapping = { 0x400000, 0x500000, 0x1000, "/bin/prog", "0a0b", true, true, true, true };
	struct gj_profile_label path = { .key = "path", .str = "/a" }, goid = { .key = "goid", .num = -1, .unit = "id" };
	struct gj_profile_builder *builder = gj_profile_builder_new(2);
	uint32_t index;
	int err;

	*builder_out = builder;
	if (!builder)
		return -ENOMEM;
	err = gj_profile_add_mapping(builder, &mapping, &index);
	if (!err)
		err = add_stack(builder, "main.main:1 main.f:2", 1, &path);
	if (!err)
		err = add_stack(builder, "main.main:1 main.f:2 write:3*", 5, &goid);
	if (err)
		return err;
	*profile = (struct gj_profile){
		.types = types, .type_cnt = 2, .comments = comments, .comment_cnt = 1,
		.drop_frames = "", .keep_frames = "", .default_type = "cpu", .time_ns = 1e18,
		.duration_ns = 5, .period_type = types[1], .period = 1000,
	};
	gj_profile_builder_view(builder, profile);
	return gj_profile_write(profile, out);
}

static void written_and_read_back(void **state)
{
	struct gj_profile_builder *builder;
	struct gj_profile_file *file;
	struct gj_profile profile;
	struct gj_buf out = { 0 }, again = { 0 };
	struct gj_diag diag = { 0 };

	(void)state;
	assert_int_equal(write_full(&out, &profile, &builder), 0);
	assert_int_equal(gj_profile_read((struct gj_window){ (uint8_t *)out.data, out.size_bytes }, "x", &file, &diag), 0);
	assert_same(&profile, gj_profile_of(file));
	assert_string_equal(gj_profile_of(file)->default_type, "cpu");
	assert_string_equal(gj_profile_of(file)->comments[0], "made by hand");
	assert_string_equal(gj_profile_of(file)->mappings[0].build_id, "0a0b");
	assert_int_equal(gj_profile_write(gj_profile_of(file), &again), 0);
	assert_int_equal(out.size_bytes, again.size_bytes);
	assert_memory_equal(out.data, again.data, out.size_bytes);
	gj_profile_close(file);
	gj_profile_builder_free(builder);
	gj_buf_deinit(&out);
	gj_buf_deinit(&again);
}

static int try_bytes(const void *bytes, size_t size_bytes, struct gj_diag *diag)
{
	uint8_t *copy = malloc(size_bytes ? size_bytes : 1); /* so that a sanitizer sees its end */
	struct gj_profile_file *file = NULL;
	int err;

	if (size_bytes)
		memcpy(copy, bytes, size_bytes);
	*diag = (struct gj_diag){ 0 };
	err = gj_profile_read((struct gj_window){ copy, size_bytes }, "x.pprof", &file, diag);
	if (!err)
		gj_profile_close(file);
	free(copy);
	return err;
}

static void cut_short(void **state)
{
	struct gj_profile_builder *builder;
	struct gj_profile profile;
	struct gj_buf out = { 0 }, plain = { 0 };
	struct gj_diag diag;

	(void)state;
	assert_int_equal(write_full(&out, &profile, &builder), 0);
	for (size_t cnt = 0; cnt < out.size_bytes; cnt++)
		assert_int_equal(try_bytes(out.data, cnt, &diag), -EBADMSG);
	assert_int_equal(gj_gzip_unpack((struct gj_window){ (uint8_t *)out.data, out.size_bytes }, 1 << 20, &plain), 0);
	assert_int_equal(try_bytes(plain.data, plain.size_bytes, &diag), 0);
	/* Cut between two fields it may still be whole enough; never worse than refused. */
	for (size_t cnt = 0; cnt < plain.size_bytes; cnt++) {
		int err = try_bytes(plain.data, cnt, &diag);

		assert_true(!err || (err == -EBADMSG && strstr(diag.text, "x.pprof: not a pprof profile")));
	}
	gj_profile_builder_free(builder);
	gj_buf_deinit(&plain);
	gj_buf_deinit(&out);
}

/* What one field of an otherwise good profile is set to. */
struct wire {
	Gj__Wire__ValueType type;
	Gj__Wire__Label label;
	Gj__Wire__Sample sample;
	Gj__Wire__Mapping mapping, mapping2;
	Gj__Wire__Line line;
	Gj__Wire__Location location;
	Gj__Wire__Function function;
	Gj__Wire__Profile profile;
	Gj__Wire__ValueType *type_list;
	Gj__Wire__Label *label_list;
	Gj__Wire__Sample *sample_list;
	Gj__Wire__Mapping *mapping_list[2];
	Gj__Wire__Line *line_list;
	Gj__Wire__Location *location_list;
	Gj__Wire__Function *function_list;
	uint64_t location_id;
	int64_t value, comment;
	char *texts[2];
};

static void wire_init(struct wire *wire)
{
	*wire = (struct wire){
		GJ__WIRE__VALUE_TYPE__INIT, GJ__WIRE__LABEL__INIT, GJ__WIRE__SAMPLE__INIT, GJ__WIRE__MAPPING__INIT,
		GJ__WIRE__MAPPING__INIT, GJ__WIRE__LINE__INIT, GJ__WIRE__LOCATION__INIT,
		GJ__WIRE__FUNCTION__INIT, GJ__WIRE__PROFILE__INIT, &wire->type, &wire->label,
		&wire->sample, { &wire->mapping, &wire->mapping2 }, &wire->line, &wire->location,
		&wire->function, 1, 1, 1, { (char *)"", (char *)"text" },
	};
	wire->sample.location_id = &wire->location_id;
	wire->sample.value = &wire->value;
	wire->sample.label = &wire->label_list;
	wire->sample.n_location_id = wire->sample.n_value = wire->sample.n_label = 1;
	wire->mapping.id = wire->location.id = wire->function.id = 1;
	wire->mapping2.id = 2;
	wire->location.mapping_id = wire->line.function_id = 1;
	wire->location.line = &wire->line_list;
	wire->location.n_line = 1;
	wire->profile.sample_type = &wire->type_list;
	wire->profile.sample = &wire->sample_list;
	wire->profile.mapping = wire->mapping_list;
	wire->profile.location = &wire->location_list;
	wire->profile.function = &wire->function_list;
	wire->profile.string_table = wire->texts;
	wire->profile.comment = &wire->comment;
	wire->profile.period_type = &wire->type;
	wire->profile.n_sample_type = wire->profile.n_sample = wire->profile.n_location =
		wire->profile.n_function = wire->profile.n_comment = 1;
	wire->profile.n_mapping = wire->profile.n_string_table = 2;
}

static int try_wire(const struct wire *wire, struct gj_diag *diag)
{
	size_t size_bytes = gj__wire__profile__get_packed_size(&wire->profile);
	uint8_t *bytes = malloc(size_bytes);
	int err;

	gj__wire__profile__pack(&wire->profile, bytes);
	err = try_bytes(bytes, size_bytes, diag);
	free(bytes);
	return err;
}

static void numbers_that_name_nothing(void **state)
{
	static const int64_t hostile[] = { 2, 3, INT32_MAX, UINT32_MAX, INT64_MAX, INT64_MIN, -1 };
	struct wire wire;
	int64_t *const texts[] = {
		&wire.type.type, &wire.type.unit, &wire.label.key, &wire.label.str, &wire.label.num_unit,
		&wire.mapping.filename, &wire.mapping.build_id, &wire.function.name, &wire.function.system_name,
		&wire.function.filename, &wire.profile.drop_frames, &wire.profile.keep_frames,
		&wire.profile.default_sample_type, &wire.comment,
	};
	uint64_t *const ids[] = { &wire.location_id, &wire.location.mapping_id, &wire.line.function_id,
				  &wire.location.id, &wire.function.id };
	struct gj_diag diag;

	(void)state;
	wire_init(&wire);
	assert_int_equal(try_wire(&wire, &diag), 0);
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		for (size_t j = 0; j < sizeof(hostile) / sizeof(hostile[0]); j++) {
			wire_init(&wire);
			*texts[i] = hostile[j];
			assert_int_equal(try_wire(&wire, &diag), -EBADMSG);
			assert_non_null(strstr(diag.text, "outside the string table"));
		}
	}
	for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
		for (size_t j = 1; j < sizeof(hostile) / sizeof(hostile[0]); j++) {
			wire_init(&wire);
			*ids[i] = (uint64_t)hostile[j];
			assert_int_equal(try_wire(&wire, &diag), -EBADMSG);
		}
	}
}

static void contradictions(void **state)
{
	struct gj_diag diag;
	struct wire wire;

	(void)state;
	wire_init(&wire);
	wire.mapping2.id = 1;
	assert_int_equal(try_wire(&wire, &diag), -EBADMSG);
	assert_non_null(strstr(diag.text, "an id is 0 or there twice"));
	wire_init(&wire);
	wire.mapping2.id = 0;
	assert_int_equal(try_wire(&wire, &diag), -EBADMSG);
	wire_init(&wire);
	wire.sample.n_value = 0;
	assert_int_equal(try_wire(&wire, &diag), -EBADMSG);
	assert_non_null(strstr(diag.text, "one value for each sample type"));
	wire_init(&wire);
	wire.texts[0] = (char *)"not empty";
	assert_int_equal(try_wire(&wire, &diag), -EBADMSG);
	wire_init(&wire);
	wire.profile.n_sample_type = 0;
	assert_int_equal(try_wire(&wire, &diag), -EBADMSG);
	wire_init(&wire);
	wire.location_id = 0;
	assert_int_equal(try_wire(&wire, &diag), -EBADMSG);
	/* These may be missing, and ids may come in any order. */
	wire_init(&wire);
	wire.location.mapping_id = wire.line.function_id = 0;
	wire.mapping.id = UINT64_MAX;
	assert_int_equal(try_wire(&wire, &diag), 0);
}

/* Zeros by the megabyte, in two members. */
static void gzip_has_a_limit(void **state)
{
	static const uint8_t zeros[1 << 16];
	struct gj_buf packed = { 0 }, plain = { 0 };
	struct gj_gzip gzip;
	struct gj_window window;

	(void)state;
	for (int member = 0; member < 2; member++) {
		assert_int_equal(gj_gzip_begin(&gzip, &packed), 0);
		for (int i = 0; i < 16; i++)
			gj_gzip_add(&gzip, zeros, sizeof(zeros));
		assert_int_equal(gj_gzip_end(&gzip), 0);
	}
	window = (struct gj_window){ (uint8_t *)packed.data, packed.size_bytes };
	assert_int_equal(gj_gzip_unpack(window, 2 << 20, &plain), 0);
	assert_int_equal(plain.size_bytes, 2 << 20);
	plain.size_bytes = 0;
	assert_int_equal(gj_gzip_unpack(window, (2 << 20) - 1, &plain), -E2BIG);
	gj_buf_deinit(&plain);
	gj_buf_deinit(&packed);
}

/* A message of two bytes that takes a hundred: 20 million of them. */
static void memory_has_a_limit(void **state)
{
	const size_t cnt = 20000000;
	struct gj_diag diag = { 0 };
	uint8_t *bytes = malloc(2 * cnt);

	(void)state;
	for (size_t i = 0; i < cnt; i++)
		memcpy(bytes + 2 * i, "\x12", 2);
	assert_int_equal(try_bytes(bytes, 2 * cnt, &diag), -E2BIG);
	free(bytes);
}

static void expect_match(const struct gj_comparison *comparison, enum gj_side side, size_t index, enum gj_match match,
			 int64_t other_weight)
{
	size_t cnt;
	const struct gj_aligned *stack = gj_comparison_stacks(comparison, side, &cnt) + index;

	assert_true(index < cnt);
	assert_int_equal(stack->match, match);
	assert_int_equal(stack->other_weight, other_weight);
	assert_int_equal(!stack->why, match == GJ_MATCH_EXACT);
}

static void stacks_are_matched(void **state)
{
	static const struct stack of_pprof[] = {
		{ "main.main:1 main.f:2", 60 },
		{ "main.main:1 main.f:3 main.g:4", 50 },
		{ "main.main:1 main.f:5 runtime.mallocgc:6 runtime.nextFree:7", 40 },
		{ "main.main:1 main.f:8 main.h:9", 30 },
		{ "main.other:1", 20 },
		{ "main.main:1 main.w:11 runtime.asyncPreempt:1", 10 },
		{ "runtime.mstart:1 runtime.sysmon:2", 5 },
		{ NULL, 0 },
	};
	static const struct stack of_perf[] = {
		{ "runtime.goexit:9 main.main.gowrap1:1 main.main:1 main.f:2 write:0* ksys_write:0*", 6 },
		{ "runtime.goexit:9 main.main:1 main.f:2", 600 },
		{ "runtime.goexit:9 main.main:1 main.f:3 main.g:5", 500 },
		{ "runtime.goexit:9 main.main:1 main.f:3 main.g:6", 400 },
		{ "runtime.goexit:9 main.main:1 main.f:5 runtime.mallocgc:7", 300 },
		{ "runtime.goexit:9 main.main:1 main.f:8", 200 },
		{ "runtime.goexit:9 main.main:1 main.w:11", 100 },
		{ NULL, 0 },
	};
	struct gj_profile pprof, perf;
	struct gj_profile_builder *one = build(of_pprof, &pprof), *other = build(of_perf, &perf);
	struct gj_comparison *comparison;
	const struct gj_compared *sums;

	(void)state;
	assert_int_equal(gj_compare(&pprof, &perf, &comparison, NULL), 0);
	expect_match(comparison, GJ_SIDE_OURS, 0, GJ_MATCH_EXACT, 606000);
	expect_match(comparison, GJ_SIDE_OURS, 1, GJ_MATCH_LEAF, 900000);
	expect_match(comparison, GJ_SIDE_OURS, 2, GJ_MATCH_USER, 300000);
	expect_match(comparison, GJ_SIDE_OURS, 3, GJ_MATCH_PREFIX, 200000);
	expect_match(comparison, GJ_SIDE_OURS, 4, GJ_MATCH_NONE, 0);
	expect_match(comparison, GJ_SIDE_OURS, 5, GJ_MATCH_EXACT, 100000);
	expect_match(comparison, GJ_SIDE_OURS, 6, GJ_MATCH_NONE, 0);
	sums = gj_comparison_sums(comparison, GJ_SIDE_OURS);
	assert_int_equal(sums->total, 215000);
	assert_int_equal(sums->user, 210000);
	assert_int_equal(sums->user_match[GJ_MATCH_EXACT], 70000);
	sums = gj_comparison_sums(comparison, GJ_SIDE_THEIRS);
	assert_int_equal(sums->beyond, 6000);
	assert_int_equal(sums->beyond_matched, 6000);
	gj_comparison_free(comparison);
	gj_profile_builder_free(one);
	gj_profile_builder_free(other);
}

static void check(int err)
{
	if (err && (err != -ENOMEM || !failalloc_happened) && err != -E2BIG)
		fail_msg("error %d", err);
}

static void use_all(void *data)
{
	static const struct stack stacks[] = { { "main.main:1 main.f:2", 6 }, { "main.main:1 main.g:3", 6 }, { NULL, 0 } };
	struct gj_profile_builder *builder = NULL, *small;
	struct gj_profile_file *file = NULL;
	struct gj_comparison *comparison = NULL;
	struct gj_profile profile, other;
	struct gj_buf out = { 0 };
	int err = write_full(&out, &profile, &builder);

	(void)data;
	check(err);
	if (!err) {
		err = gj_profile_read((struct gj_window){ (uint8_t *)out.data, out.size_bytes }, "x", &file, NULL);
		/* protobuf-c does not say why it gave up. */
		if (err && !failalloc_happened)
			fail_msg("error %d", err);
	}
	small = build(stacks, &other);
	if (file && small) {
		check(gj_compare(gj_profile_of(file), &other, &comparison, NULL));
		gj_comparison_free(comparison);
	}
	gj_profile_close(file);
	gj_profile_builder_free(builder);
	gj_profile_builder_free(small);
	gj_buf_deinit(&out);
}

static void allocations_fail(void **state)
{
	(void)state;
	assert_true(failalloc_each(use_all, NULL) > 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(equal_stacks_add_up),
		cmocka_unit_test(written_and_read_back),
		cmocka_unit_test(cut_short),
		cmocka_unit_test(numbers_that_name_nothing),
		cmocka_unit_test(contradictions),
		cmocka_unit_test(gzip_has_a_limit),
		cmocka_unit_test(memory_has_a_limit),
		cmocka_unit_test(stacks_are_matched),
		cmocka_unit_test(allocations_fail),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
