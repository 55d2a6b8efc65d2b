/* SPDX-License-Identifier: GPL-2.0 */
/*
 * pprof's labels of a goroutine, out of its memory (Go src/runtime/pprof/label.go,
 * runtime.go). g.labels points to a labelMap:
 *
 *   from 1.24   struct { list []label }: {list, len, cap}, label is {key, value}, a
 *               string is {bytes, len}; sorted by key (since 1.26 in
 *               src/internal/runtime/pprof/label)
 *   to 1.23     map[string]string, a pointer (src/runtime/map.go):
 *               hmap    0 count   8 u8 flags   9 u8 B   16 buckets   24 oldbuckets
 *               bucket  0 u8 tophash[8]   8 keys[8]   136 values[8]   264 overflow
 *               2^B buckets; tophash below 5: no entry, or it has been moved
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "goroutine/goroutine.h"

#define ENTRY_CNT 8
#define MIN_TOP_HASH 5
#define SAME_SIZE_GROW 8 /* of flags: there are as many old buckets as new ones */
#define LAST_MAP_MINOR 23

struct string {
	uint64_t va, size_bytes;
};

struct bucket {
	uint8_t top_hashes[ENTRY_CNT];
	struct string keys[ENTRY_CNT], values[ENTRY_CNT];
	uint64_t overflow_va;
};

struct reader {
	int (*read)(void *data, uint64_t va, void *bytes_out, size_t size_bytes);
	void *data;
	struct gj_labels *labels;
	struct { size_t key_off, value_off; } offs[GJ_MAX_LABELS]; /* in labels->text, which moves */
	unsigned int bucket_cnt; /* looked at so far */
};

/* The longest beginning of [va, va + size) that is there, in bytes. */
static size_t read_most(const struct reader *reader, uint64_t va, char *bytes_out, size_t size_bytes)
{
	size_t low = 0, high = size_bytes;

	while (low < high) {
		size_t middle = high == size_bytes && !low ? high : low + (high - low + 1) / 2;

		if (!reader->read(reader->data, va, bytes_out, middle))
			low = middle;
		else
			high = middle - 1;
	}
	return low;
}

/* Without a character whose end is missing (UTF-8). */
static size_t trim(const char *text, size_t size_bytes)
{
	size_t at = size_bytes;

	while (at && ((uint8_t)text[at - 1] & 0xc0) == 0x80)
		at--;
	return at && (uint8_t)text[at - 1] >= 0xc0 ? at - 1 : size_bytes;
}

/* Appends @string and its NUL to the text; false when it is not all there, with what is. */
static bool add_text(const struct reader *reader, const struct string *string)
{
	char bytes[GJ_MAX_LABEL_BYTES];
	size_t wanted = string->size_bytes < sizeof(bytes) ? string->size_bytes : sizeof(bytes);
	size_t got = read_most(reader, string->va, bytes, wanted);
	bool is_whole = got == string->size_bytes;

	gj_buf_add(&reader->labels->text, bytes, is_whole ? got : trim(bytes, got));
	if (!is_whole)
		gj_buf_str(&reader->labels->text, "...");
	gj_buf_chr(&reader->labels->text, '\0');
	return is_whole;
}

static void add_label(struct reader *reader, const struct string *key, const struct string *value)
{
	struct gj_labels *labels = reader->labels;
	size_t key_off = labels->text.size_bytes;

	if (labels->cnt == GJ_MAX_LABELS)
		return;
	if (!add_text(reader, key)) {
		labels->text.size_bytes = key_off;
		return;
	}
	reader->offs[labels->cnt].key_off = key_off;
	reader->offs[labels->cnt++].value_off = labels->text.size_bytes;
	add_text(reader, value);
}

static void read_list(struct reader *reader, uint64_t labels_va)
{
	struct string slice;

	if (reader->read(reader->data, labels_va, &slice, sizeof(slice)))
		return;
	for (uint64_t i = 0; i < slice.size_bytes && i < GJ_MAX_LABELS; i++) {
		struct string pair[2];

		if (!reader->read(reader->data, slice.va + i * sizeof(pair), pair, sizeof(pair)))
			add_label(reader, &pair[0], &pair[1]);
	}
}

/* A bucket and those it runs over into. */
static void read_bucket(struct reader *reader, uint64_t va)
{
	struct bucket bucket;

	while (va && reader->bucket_cnt++ < GJ_MAX_LABEL_BUCKETS) {
		/* The last word may be missing: then so are other buckets, if there are any. */
		bucket.overflow_va = 0;
		if (reader->read(reader->data, va, &bucket, sizeof(bucket)) &&
		    reader->read(reader->data, va, &bucket, offsetof(struct bucket, overflow_va)))
			return;
		for (unsigned int i = 0; i < ENTRY_CNT; i++)
			if (bucket.top_hashes[i] >= MIN_TOP_HASH)
				add_label(reader, &bucket.keys[i], &bucket.values[i]);
		va = bucket.overflow_va;
	}
}

static void read_map(struct reader *reader, uint64_t labels_va)
{
	uint64_t map, bucket_cnt, heads[2];
	uint8_t flags[2]; /* and B */

	if (reader->read(reader->data, labels_va, &map, sizeof(map)) || !map ||
	    reader->read(reader->data, map + 8, flags, sizeof(flags)) ||
	    reader->read(reader->data, map + 16, heads, sizeof(heads)))
		return;
	bucket_cnt = flags[1] < 32 ? 1ULL << flags[1] : 0;
	for (unsigned int i = 0; i < 2; i++) {
		for (uint64_t k = 0; k < bucket_cnt && heads[i] &&
				     reader->bucket_cnt < GJ_MAX_LABEL_BUCKETS; k++)
			read_bucket(reader, heads[i] + k * sizeof(struct bucket));
		if (!(flags[0] & SAME_SIZE_GROW))
			bucket_cnt /= 2;
	}
}

static int compare(const void *a, const void *b)
{
	const struct gj_label *left = a, *right = b;

	return strcmp(left->key, right->key);
}

int gj_labels_read(uint64_t labels_va, int go_minor,
		   int (*read)(void *data, uint64_t va, void *bytes_out, size_t size_bytes),
		   void *data, struct gj_labels *labels_out)
{
	struct reader reader = { .read = read, .data = data, .labels = labels_out };

	labels_out->cnt = 0;
	labels_out->text.size_bytes = 0;
	if (!labels_va)
		return 0;
	if (go_minor > LAST_MAP_MINOR)
		read_list(&reader, labels_va);
	else
		read_map(&reader, labels_va);
	if (labels_out->text.failed) {
		gj_labels_deinit(labels_out);
		return -ENOMEM;
	}
	for (size_t i = 0; i < labels_out->cnt; i++) {
		labels_out->list[i].key = labels_out->text.data + reader.offs[i].key_off;
		labels_out->list[i].value = labels_out->text.data + reader.offs[i].value_off;
	}
	if (labels_out->cnt)
		qsort(labels_out->list, labels_out->cnt, sizeof(labels_out->list[0]), compare);
	return 0;
}

void gj_labels_deinit(struct gj_labels *labels)
{
	gj_buf_deinit(&labels->text);
	labels->cnt = 0;
}
