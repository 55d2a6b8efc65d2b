/* SPDX-License-Identifier: GPL-2.0 */
/* src/goroutine/labels.c: labels in memory laid out by hand, as each release of Go keeps them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "goroutine/goroutine.h"

#define VA 0xc000100000u
#define LIST_VA (VA + 0x100)
#define TEXT_VA (VA + 0x8000)
#define BUCKET_VA (VA + 0x1000)
#define OVERFLOW_VA (VA + 0x2000)
#define OLD_VA (VA + 0x3000)
#define BUCKET_BYTES 272u

struct memory {
	uint8_t bytes[0x10000];
	size_t end;         /* what stands at or behind it is not there */
	uint64_t text_va;   /* of the next string */
};

static int read_memory(void *data, uint64_t va, void *bytes_out, size_t size_bytes)
{
	const struct memory *memory = data;
	struct gj_window window = { memory->bytes, memory->end };

	return va >= VA && gj_window_read(window, va - VA, bytes_out, size_bytes) ? 0 : -EFAULT;
}

static void put(struct memory *memory, uint64_t va, uint64_t value, size_t size_bytes)
{
	memcpy(memory->bytes + (va - VA), &value, size_bytes);
}

static void put_string(struct memory *memory, uint64_t va, const char *text)
{
	put(memory, va, memory->text_va, 8);
	put(memory, va + 8, strlen(text), 8);
	memcpy(memory->bytes + (memory->text_va - VA), text, strlen(text));
	memory->text_va += strlen(text);
}

static void begin(struct memory *memory)
{
	memset(memory, 0, sizeof(*memory));
	memory->end = sizeof(memory->bytes);
	memory->text_va = TEXT_VA;
}

static void put_slice(struct memory *memory, uint64_t cnt)
{
	put(memory, VA, LIST_VA, 8);
	put(memory, VA + 8, cnt, 8);
	put(memory, VA + 16, cnt, 8);
}

static void put_pair(struct memory *memory, unsigned int index, const char *key, const char *value)
{
	put_string(memory, LIST_VA + 32 * index, key);
	put_string(memory, LIST_VA + 32 * index + 16, value);
}

static void put_map(struct memory *memory, uint8_t flags, uint8_t b, uint64_t buckets, uint64_t old)
{
	put(memory, VA, VA + 0x80, 8);
	put(memory, VA + 0x80 + 8, flags, 1);
	put(memory, VA + 0x80 + 9, b, 1);
	put(memory, VA + 0x80 + 16, buckets, 8);
	put(memory, VA + 0x80 + 24, old, 8);
}

static void put_entry(struct memory *memory, uint64_t bucket_va, unsigned int index, uint8_t top_hash,
		      const char *key, const char *value)
{
	put(memory, bucket_va + index, top_hash, 1);
	put_string(memory, bucket_va + 8 + 16 * index, key);
	put_string(memory, bucket_va + 136 + 16 * index, value);
}

/* "key=value key=value" of what is found. */
static void expect(struct memory *memory, int go_minor, const char *text)
{
	struct gj_labels labels = { 0 };
	char got[4096] = "";

	assert_int_equal(gj_labels_read(VA, go_minor, read_memory, memory, &labels), 0);
	for (size_t i = 0; i < labels.cnt; i++)
		snprintf(got + strlen(got), sizeof(got) - strlen(got), "%s%s=%s", i ? " " : "",
			 labels.list[i].key, labels.list[i].value);
	assert_string_equal(got, text);
	gj_labels_deinit(&labels);
}

static void list(void **state)
{
	static struct memory memory;

	(void)state;
	begin(&memory);
	put_slice(&memory, 3);
	put_pair(&memory, 0, "handler", "/a b");
	put_pair(&memory, 1, "tenant", "");
	put_pair(&memory, 2, "user", "x");
	expect(&memory, 24, "handler=/a b tenant= user=x");
	expect(&memory, 27, "handler=/a b tenant= user=x");
	put_slice(&memory, UINT64_MAX);
	expect(&memory, 26, "= = = = = = = = = = = = = = = = = = = = = = = = = = = = = "
			    "handler=/a b tenant= user=x");
	put_slice(&memory, 0);
	expect(&memory, 27, "");
}

static void map(void **state)
{
	static struct memory memory;

	(void)state;
	begin(&memory);
	put_map(&memory, 0, 0, BUCKET_VA, 0);
	put_entry(&memory, BUCKET_VA, 0, 200, "user", "x");
	put_entry(&memory, BUCKET_VA, 1, 1, "gone", "x");
	put_entry(&memory, BUCKET_VA, 5, 5, "handler", "/a");
	put_entry(&memory, BUCKET_VA, 6, 4, "moved", "x");
	expect(&memory, 15, "handler=/a user=x");
	expect(&memory, 23, "handler=/a user=x");
	expect(&memory, 24, "");
	/* More than eight: an overflow bucket, a second bucket, and some not moved yet. */
	put(&memory, BUCKET_VA + 264, OVERFLOW_VA, 8);
	put_entry(&memory, OVERFLOW_VA, 0, 77, "over", "1");
	put_map(&memory, 0, 1, BUCKET_VA, OLD_VA);
	put_entry(&memory, BUCKET_VA + BUCKET_BYTES, 7, 255, "second", "2");
	put_entry(&memory, OLD_VA, 0, 2, "moved", "x");
	put_entry(&memory, OLD_VA, 1, 9, "stays", "3");
	put_entry(&memory, OLD_VA + BUCKET_BYTES, 0, 9, "beyond", "x");
	expect(&memory, 22, "handler=/a over=1 second=2 stays=3 user=x");
	put_map(&memory, 8, 1, BUCKET_VA, OLD_VA);
	expect(&memory, 22, "beyond=x handler=/a over=1 second=2 stays=3 user=x");
	/* Without its last word, as the sampler copies a bucket. */
	begin(&memory);
	put_map(&memory, 0, 0, VA + sizeof(memory.bytes) - 264, 0);
	put_entry(&memory, VA + sizeof(memory.bytes) - 264, 3, 9, "a", "b");
	expect(&memory, 21, "a=b");
}

static void hostile(void **state)
{
	static struct memory memory;
	struct gj_labels labels = { 0 };

	(void)state;
	begin(&memory);
	/* Buckets that run over into themselves, and more of them than there is memory. */
	put_map(&memory, 0, 255, BUCKET_VA, BUCKET_VA);
	expect(&memory, 23, "");
	put_map(&memory, 0, 31, BUCKET_VA, BUCKET_VA);
	put(&memory, BUCKET_VA + 264, BUCKET_VA, 8);
	put_entry(&memory, BUCKET_VA, 0, 9, "a", "b");
	assert_int_equal(gj_labels_read(VA, 23, read_memory, &memory, &labels), 0);
	assert_int_equal(labels.cnt, GJ_MAX_LABELS);
	assert_int_equal(gj_labels_read(0, 23, read_memory, &memory, &labels), 0);
	assert_int_equal(labels.cnt, 0);
	gj_labels_deinit(&labels);
}

/* What is missing of a value is shown as missing; a key that is not whole names nothing. */
static void missing(void **state)
{
	static struct memory memory;
	char value[2 * GJ_MAX_LABEL_BYTES], text[sizeof(value)];

	(void)state;
	for (size_t cut = 0; cut <= 12; cut++) {
		static const char *const texts[] = {
			"", "", "", "k\xc3\xa4y=...", "k\xc3\xa4y=v...", "k\xc3\xa4y=va...", "k\xc3\xa4y=va...",
			/* A character that is whole may be taken for one that is not. */
			"k\xc3\xa4y=va...", "k\xc3\xa4y=va\xc3\xa4l...", "k\xc3\xa4y=va\xc3\xa4lu...",
			"k\xc3\xa4y=va\xc3\xa4lue", "k\xc3\xa4y=va\xc3\xa4lue", "k\xc3\xa4y=va\xc3\xa4lue",
		};

		begin(&memory);
		put_slice(&memory, 1);
		put_pair(&memory, 0, "k\xc3\xa4y", "va\xc3\xa4lue");
		memory.end = TEXT_VA - VA + 1 + cut;
		expect(&memory, 27, texts[cut]);
	}
	/* Longer than we show. */
	memset(value, 'v', sizeof(value) - 1);
	value[sizeof(value) - 1] = '\0';
	begin(&memory);
	put_slice(&memory, 1);
	put_pair(&memory, 0, "k", value);
	snprintf(text, sizeof(text), "k=%.*s...", GJ_MAX_LABEL_BYTES, value);
	expect(&memory, 27, text);
	/* A list of which the second half is not there. */
	begin(&memory);
	put_slice(&memory, 2);
	put_pair(&memory, 0, "", "");
	put_pair(&memory, 1, "", "");
	memory.end = LIST_VA - VA + 63;
	expect(&memory, 27, "=");
	memory.end = 15;
	expect(&memory, 27, "");
	expect(&memory, 20, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(list),
		cmocka_unit_test(map),
		cmocka_unit_test(hostile),
		cmocka_unit_test(missing),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
