/* SPDX-License-Identifier: GPL-2.0 */
/* What is taken from perf.data itself: event names' width, formats, mappings. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>

#include "perfwriter.h"
#include "sample/sample.h"

static int setup(void **state)
{
	struct pw *pw = malloc(sizeof(*pw));

	if (pw)
		pw_example(pw);
	*state = pw;
	return pw ? 0 : -1;
}

static int teardown(void **state)
{
	free(*state);
	return 0;
}

static struct gj_window file_of(const struct pw *pw)
{
	return (struct gj_window){ pw->bytes, pw->size_bytes };
}

static void event_width_is_that_of_the_longest_name(void **state)
{
	static const char *const names[] = { "a", "cycles:u", "bb" };
	struct pw *pw = *state;

	assert_int_equal(gj_perf_file_event_width(file_of(pw)), strlen("gojitter:goexec_1"));
	pw_begin(pw);
	pw_features(pw, 1 << PW_EVENT_DESC);
	pw_event_desc(pw, names, 3);
	assert_int_equal(gj_perf_file_event_width(file_of(pw)), 8);
}

static void no_feature_no_width(void **state)
{
	struct pw *pw = *state;

	pw_set(pw, 72, 1 << PW_TRACING_DATA, 8);
	assert_int_equal(gj_perf_file_event_width(file_of(pw)), 0);
	pw_set(pw, 72, 0, 8);
	assert_null(gj_perf_file_formats(file_of(pw)).base);
	pw_example(pw);
	memcpy(pw->bytes, "PERFILE1", 8);
	assert_int_equal(gj_perf_file_event_width(file_of(pw)), 0);
	assert_int_equal(gj_perf_file_data(file_of(pw)).size_bytes, 0);
	assert_int_equal(gj_perf_file_event_width((struct gj_window){ NULL, 0 }), 0);
}

static void formats_are_found_among_features(void **state)
{
	struct gj_window formats = gj_perf_file_formats(file_of(*state));

	assert_non_null(memmem(formats.base, formats.size_bytes, "name: goexec_1\n", 15));
	assert_int_equal(formats.base[formats.size_bytes - 1], 0);
}

/* Finds @va of @tid; the file's path, or NULL. */
static const char *path_at(const struct gj_perf_maps *maps, uint32_t tid, uint64_t va,
			   struct gj_perf_map *map)
{
	return gj_perf_maps_find(maps, tid, va, map) ? NULL : map->path;
}

static void maps_are_those_at_the_end_by_process(void **state)
{
	struct gj_perf_maps *maps = gj_perf_maps_new(file_of(*state));
	struct gj_perf_map map;

	assert_true(gj_perf_maps_any(maps));
	/* The program that took the first one's place, in both threads. */
	assert_string_equal(path_at(maps, 100, PW_BIN_VA + 8, &map), "/bin/second");
	assert_string_equal(path_at(maps, 101, PW_BIN_VA + 8, &map), "/bin/second");
	assert_int_equal(map.file_off, 0x3008);
	assert_int_equal(map.inode, PW_BIN_INODE);
	assert_int_equal(map.build_id.size_bytes, 0);
	assert_string_equal(path_at(maps, 200, PW_BIN_VA, &map), "/bin/third");
	assert_int_equal(map.inode, 0);
	assert_int_equal(map.build_id.size_bytes, PW_BUILD_ID_BYTES);
	assert_int_equal(map.build_id.base[0], 0xab);
	gj_perf_maps_free(maps);
}

static void maps_end_where_they_end(void **state)
{
	struct gj_perf_maps *maps = gj_perf_maps_new(file_of(*state));
	struct gj_perf_map map;

	assert_null(path_at(maps, 100, PW_BIN_VA - 1, &map));
	assert_string_equal(path_at(maps, 100, PW_BIN_VA + 0x1fff, &map), "/bin/first");
	assert_null(path_at(maps, 100, PW_BIN_VA + 0x2000, &map));
	assert_null(path_at(maps, 100, UINT64_MAX, &map));
	/* Data is no code; a process nobody saw has nothing. */
	assert_null(path_at(maps, 100, 0x7f0000000000, &map));
	assert_null(path_at(maps, 300, PW_BIN_VA, &map));
	gj_perf_maps_free(maps);
}

static void no_maps_without_records(void **state)
{
	struct pw *pw = *state;
	struct gj_perf_map map;
	struct gj_perf_maps *maps;

	pw_set(pw, 48, 0, 8);
	maps = gj_perf_maps_new(file_of(pw));
	assert_false(gj_perf_maps_any(maps));
	assert_int_equal(gj_perf_maps_find(maps, 100, PW_BIN_VA, &map), -ENOENT);
	gj_perf_maps_free(maps);
	gj_perf_maps_free(NULL);
}

/* Everything over a copy of exactly @size_bytes, so that a sanitizer sees its end. */
static void read_all(const uint8_t *bytes, size_t size_bytes)
{
	uint8_t *copy = malloc(size_bytes ? size_bytes : 1);
	struct gj_window file = { copy, size_bytes };
	struct gj_perf_maps *maps;
	struct gj_perf_map map;

	memcpy(copy, bytes, size_bytes);
	gj_perf_file_event_width(file);
	gj_perf_file_formats(file);
	maps = gj_perf_maps_new(file);
	assert_non_null(maps);
	for (uint32_t tid = 100; tid <= 200; tid += 50)
		if (!gj_perf_maps_find(maps, tid, PW_BIN_VA, &map))
			assert_in_range(strlen(map.path), 1, size_bytes);
	gj_perf_maps_free(maps);
	free(copy);
}

static void cut_anywhere(void **state)
{
	struct pw *pw = *state;

	for (size_t size_bytes = 0; size_bytes <= pw->size_bytes; size_bytes++)
		read_all(pw->bytes, size_bytes);
}

static void hostile_words_anywhere(void **state)
{
	static const uint64_t words[] = { 0, 1, 7, UINT64_MAX, UINT64_MAX - 1, 1ULL << 63, 0x7fffffff };
	struct pw *pw = *state;

	for (size_t off = 8; off + 8 <= pw->size_bytes; off += 2) {
		for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
			for (size_t cnt = 2; cnt <= 8; cnt *= 2) {
				struct pw broken = *pw;

				pw_set(&broken, off, words[i], cnt);
				read_all(broken.bytes, broken.size_bytes);
			}
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		TEST(event_width_is_that_of_the_longest_name),
		TEST(no_feature_no_width),
		TEST(formats_are_found_among_features),
		TEST(maps_are_those_at_the_end_by_process),
		TEST(maps_end_where_they_end),
		TEST(no_maps_without_records),
		TEST(cut_anywhere),
		TEST(hostile_words_anywhere),
	};

	return cmocka_run_group_tests_name("perf_file", tests, NULL, NULL);
}
