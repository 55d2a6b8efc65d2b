/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A perf.data file, copied with other call chains (layout: src/sample/perf_file.c).
 *
 * What stands before the records stays where it is, what stands behind them
 * moves by what they grew or shrank: the table of features, the features, and
 * whatever others have put behind the file. Then all that speaks of a place
 * behind the records is corrected, and so are the events' attrs, which stand in
 * the file twice: their samples have no stack dump any more, so that no perf
 * takes the chains for something it has to unwind itself
 * (tools/perf/util/machine.c, thread__resolve_callchain_unwind).
 */
#include <errno.h>

#include "inject/copy.h"

#define HEADER_BYTES 104
#define FEATURE_WORDS 4
#define HEADER_AUXTRACE 18 /* tools/perf/util/header.h; its index has offsets into the data */
#define HEADER_EVENT_DESC 12
#define RECORD_COMPRESSED 81 /* tools/perf/util/event.h; src/inject/inflate.c */
#define RECORD_COMPRESSED2 83
#define BUFFER_BYTES (1U << 20)
#define PASS_BYTES (4 << 20)

static int flush(struct gj_inject_copier *copier)
{
	const struct gj_inject_sink *sink = copier->sink;
	int err = copier->out.failed ? -ENOMEM : 0;

	if (!err && copier->out.size_bytes)
		err = sink->put(sink->data, copier->out_off, copier->out.data,
				copier->out.size_bytes);
	copier->out_off += copier->out.size_bytes;
	copier->out.size_bytes = 0;
	return err;
}

int gj_inject_put(struct gj_inject_copier *copier, struct gj_window bytes)
{
	int err = 0;

	if (copier->out.size_bytes + bytes.size_bytes > BUFFER_BYTES)
		err = flush(copier);
	if (!err && bytes.size_bytes > BUFFER_BYTES) {
		err = copier->sink->put(copier->sink->data, copier->out_off, bytes.base,
					bytes.size_bytes);
		copier->out_off += bytes.size_bytes;
	} else if (!err) {
		gj_buf_add(&copier->out, bytes.base, bytes.size_bytes);
	}
	return err;
}

/* Writes over what is there already. */
static int patch(struct gj_inject_copier *copier, uint64_t off, const void *bytes, size_t size_bytes)
{
	return copier->sink->put(copier->sink->data, off, bytes, size_bytes);
}

/* Where what stood at @off stands now. */
static uint64_t moved(const struct gj_inject_copier *copier, uint64_t off)
{
	return off < copier->data_end_off ? off : off + copier->grown_bytes;
}

/* The u64 at @off of the file is an offset; both have moved. */
static int patch_off(struct gj_inject_copier *copier, uint64_t off)
{
	uint64_t value;

	if (!gj_window_u64(copier->file, off, &value))
		return -EBADMSG;
	value = moved(copier, value);
	return patch(copier, moved(copier, off), &value, sizeof(value));
}

/* The attr of which the file has @size_bytes at @off, as its samples are now. */
static int patch_attr(struct gj_inject_copier *copier, uint64_t off, size_t size_bytes)
{
	struct perf_event_attr attr = { 0 };

	if (size_bytes > sizeof(attr))
		size_bytes = sizeof(attr);
	if (!gj_window_read(copier->file, off, &attr, size_bytes))
		return -EBADMSG;
	if (!(attr.sample_type & PERF_SAMPLE_CALLCHAIN))
		return 0;
	attr.sample_type &= ~(uint64_t)PERF_SAMPLE_STACK_USER;
	attr.sample_stack_user = 0;
	attr.exclude_callchain_user = 0;
	return patch(copier, moved(copier, off), &attr, size_bytes);
}

static int patch_attrs(struct gj_inject_copier *copier)
{
	const struct gj_perf_attr *attr;
	int err = 0;

	for (size_t i = 0; !err && (attr = gj_perf_attr_at(copier->attrs, i)); i++) {
		err = patch_attr(copier, attr->off, attr->size_bytes);
		if (!err)
			err = patch_off(copier, attr->entry_ids_off);
	}
	return err;
}

/* HEADER_EVENT_DESC has every attr once more, then its ids and its name. */
static int patch_event_desc(struct gj_inject_copier *copier, struct gj_window section)
{
	struct gj_cursor cur = gj_cursor_init(section);
	uint32_t event_cnt = gj_cursor_u32(&cur);
	uint32_t attr_bytes = gj_cursor_u32(&cur);
	int err = 0;

	while (event_cnt-- && !err) {
		const uint8_t *attr = gj_cursor_take(&cur, attr_bytes);
		uint32_t id_cnt = gj_cursor_u32(&cur);

		gj_cursor_take(&cur, gj_cursor_u32(&cur));
		gj_cursor_take(&cur, 8 * (uint64_t)id_cnt);
		if (gj_cursor_failed(&cur))
			return -EBADMSG;
		err = patch_attr(copier, (uint64_t)(attr - copier->file.base), attr_bytes);
	}
	return err;
}

/* Whether what a section of the file says of its place holds, and it is not among the records. */
static bool is_apart(const struct gj_inject_copier *copier, uint64_t section_off)
{
	uint64_t off, size_bytes;

	return gj_window_u64(copier->file, section_off, &off) &&
	       gj_window_u64(copier->file, section_off + 8, &size_bytes) &&
	       gj_window_holds(copier->file, off, size_bytes) &&
	       (off >= copier->data_end_off || off + size_bytes <= copier->data_off);
}

/* The table of features stands right behind the records: {u64 offset, u64 size} each. */
static int patch_features(struct gj_inject_copier *copier)
{
	uint64_t entry_off = copier->data_end_off, words[FEATURE_WORDS];
	int err = 0;

	if (!gj_window_read(copier->file, 72, words, sizeof(words)))
		return -EBADMSG;
	for (unsigned int bit = 0; !err && bit < 64 * FEATURE_WORDS; bit++) {
		uint64_t off, size_bytes;

		if (!(words[bit / 64] >> bit % 64 & 1))
			continue;
		if (!is_apart(copier, entry_off) || !gj_window_u64(copier->file, entry_off, &off) ||
		    !gj_window_u64(copier->file, entry_off + 8, &size_bytes))
			return -EBADMSG;
		if (bit == HEADER_EVENT_DESC)
			err = patch_event_desc(copier, gj_window_slice(copier->file, off, size_bytes));
		if (!err)
			err = patch_off(copier, entry_off);
		entry_off += 16;
	}
	return err;
}

static int patch_header(struct gj_inject_copier *copier)
{
	uint64_t data_bytes = copier->data_end_off - copier->data_off + copier->grown_bytes;
	int err = patch_off(copier, 24);

	if (!err)
		err = patch(copier, 48, &data_bytes, sizeof(data_bytes));
	return err ? err : patch_off(copier, 56);
}

/* Hands on what lies between *@from_out and @to, once that is worth it. */
static void pass(const struct gj_inject_copier *copier, const uint8_t **from_out, const uint8_t *to)
{
	const struct gj_inject_sink *sink = copier->sink;

	if (!sink->passed || to - *from_out < PASS_BYTES)
		return;
	sink->passed(sink->data, (struct gj_window){ *from_out, (size_t)(to - *from_out) });
	*from_out = to;
}

static int copy_record(struct gj_inject_copier *copier, const struct gj_perf_record *record,
		       struct gj_window whole)
{
	if (record->type == PERF_RECORD_SAMPLE)
		return gj_inject_sample(copier, record);
	return gj_inject_put(copier, whole);
}

/* Copies what is whole of the records in copier->inflated, and keeps the rest. */
static int copy_inflated(struct gj_inject_copier *copier)
{
	struct gj_buf *buf = &copier->inflated;
	struct gj_window bytes = { (const uint8_t *)buf->data, buf->size_bytes };
	size_t off = 0;
	int err = 0;

	while (!err) {
		uint16_t size_bytes;
		struct gj_perf_record record;
		struct gj_cursor cur;

		if (!gj_window_u16(bytes, off + 6, &size_bytes) ||
		    !gj_window_holds(bytes, off, size_bytes))
			break;
		cur = gj_cursor_init(gj_window_slice(bytes, off, size_bytes));
		if (!gj_perf_record_next(&cur, &record))
			return -EBADMSG;
		err = copy_record(copier, &record, gj_window_slice(bytes, off, size_bytes));
		off += size_bytes;
	}
	buf->size_bytes -= off;
	memmove(buf->data, buf->data + off, buf->size_bytes);
	return err;
}

/* A record that holds others. */
static int copy_compressed(struct gj_inject_copier *copier, const struct gj_perf_record *record)
{
	int err = copier->inflater ? 0 : gj_inflater_new(&copier->inflater);
	bool is_more = true;

	if (err == -ENOENT)
		return gj_diag_set(copier->diag, err,
				   "compressed, and libzstd.so.1 is not here; install libzstd1, or record without -z");
	if (!err)
		err = gj_inflater_feed(copier->inflater, record);
	while (!err && is_more) {
		err = gj_inflater_next(copier->inflater, &copier->inflated, &is_more);
		if (!err)
			err = copy_inflated(copier);
	}
	return err;
}

static int copy_data(struct gj_inject_copier *copier)
{
	struct gj_window data = gj_perf_file_data(copier->file);
	struct gj_cursor cur = gj_cursor_init(data);
	const uint8_t *from = cur.pos;
	struct gj_perf_record record;
	int err = 0;

	while (!err && gj_cursor_left(&cur)) {
		const uint8_t *start = cur.pos;

		if (!gj_perf_record_next(&cur, &record)) {
			err = gj_diag_set(copier->diag, -EBADMSG, "damaged %llu bytes into its records",
					  (unsigned long long)(start - data.base));
			break;
		}
		if (record.type == RECORD_COMPRESSED || record.type == RECORD_COMPRESSED2)
			err = copy_compressed(copier, &record);
		else
			err = copy_record(copier, &record,
					  (struct gj_window){ start, (size_t)(cur.pos - start) });
		pass(copier, &from, cur.pos);
	}
	return !err && copier->inflated.size_bytes ? -EBADMSG : err;
}

static int copy_all(struct gj_inject_copier *copier)
{
	int err = gj_inject_put(copier, gj_window_slice(copier->file, 0, copier->data_off));

	if (!err)
		err = copy_data(copier);
	if (!err)
		err = flush(copier);
	if (err)
		return err;
	copier->grown_bytes = copier->out_off - copier->data_end_off;
	err = gj_inject_put(copier, gj_window_slice(copier->file, copier->data_end_off, UINT64_MAX));
	if (!err)
		err = flush(copier);
	if (!err)
		err = patch_header(copier);
	if (!err)
		err = patch_attrs(copier);
	return err ? err : patch_features(copier);
}

static int take_layout(struct gj_inject_copier *copier)
{
	struct gj_window data = gj_perf_file_data(copier->file);

	if (!data.base)
		return -EBADMSG;
	copier->data_off = (uint64_t)(data.base - copier->file.base);
	copier->data_end_off = copier->data_off + data.size_bytes;
	return copier->data_off >= HEADER_BYTES && is_apart(copier, 24) ? 0 : -EBADMSG;
}

static bool has_feature(struct gj_window file, unsigned int bit)
{
	uint64_t features;

	return gj_window_u64(file, 72, &features) && features >> bit & 1;
}

#define PIPE_HEADER_BYTES 16

int gj_inject_check(struct gj_window file, struct gj_diag *diag)
{
	uint64_t header_bytes = 0, data_bytes = 0;

	if (file.size_bytes < 8 || memcmp(file.base, "PERFILE2", 8))
		return gj_diag_set(diag, -EBADMSG, "not a perf.data file");
	gj_window_u64(file, 8, &header_bytes);
	if (header_bytes == PIPE_HEADER_BYTES)
		return gj_diag_set(diag, -EOPNOTSUPP,
				   "recorded into a pipe; record into a file (perf record -o FILE)");
	if (gj_window_u64(file, 48, &data_bytes) && !data_bytes)
		return gj_diag_set(diag, -EBADMSG,
				   "has no records; perf record was killed before it finished the file");
	if (!gj_perf_file_data(file).base)
		return gj_diag_set(diag, -EBADMSG, "cut short or damaged: its records are not all there");
	if (has_feature(file, HEADER_AUXTRACE))
		return gj_diag_set(diag, -EOPNOTSUPP,
				   "holds a hardware trace, whose samples perf makes itself; there is nothing to put chains into");
	return 0;
}

int gj_inject_copy(struct gj_window file, struct gj_chains *chains,
		   const struct gj_inject_sink *sink, struct gj_inject_stats *stats_out,
		   struct gj_diag *diag)
{
	struct gj_inject_copier copier = {
		.file = file, .chains = chains, .sink = sink, .stats = stats_out, .diag = diag,
	};
	int err = gj_inject_check(file, diag);

	*stats_out = (struct gj_inject_stats){ 0 };
	if (!err)
		err = gj_perf_attrs_new(file, &copier.attrs, diag);
	if (!err)
		err = take_layout(&copier);
	if (!err)
		err = copy_all(&copier);
	gj_perf_attrs_free(copier.attrs);
	gj_inflater_free(copier.inflater);
	gj_buf_deinit(&copier.inflated);
	gj_buf_deinit(&copier.out);
	if (err == -EBADMSG)
		gj_diag_set(diag, err, "damaged: its parts do not fit together");
	if (err == -ENOMEM)
		gj_diag_set(diag, err, "out of memory");
	return err;
}
