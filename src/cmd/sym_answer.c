/* SPDX-License-Identifier: GPL-2.0 */
/*
 * gojitter sym: looks addresses up and prints their answers.
 *
 * Addresses are looked up in ascending order, which is fast, and printed in
 * the order they came in. In between an answer is a few small numbers: a list
 * of a million would not fit into any cache as text. Neighbours that have one
 * answer share it, and names and files are brought into shape once.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/sym.h"

void sym_query_deinit(struct sym_query *query)
{
	gj_gobatch_free(query->batch);
	free(query->vas);
	free(query->is_address);
	free(query->answers);
	gj_buf_deinit(&query->frames);
	gj_buf_deinit(&query->strings);
	gj_buf_deinit(&query->out);
	*query = (struct sym_query){ 0 };
}

int sym_query_reserve(struct sym_query *query, size_t cnt)
{
	if (!query->batch && gj_gobatch_new(&query->batch))
		return -ENOMEM;
	if (cnt <= query->cap)
		return 0;
	free(query->vas);
	free(query->is_address);
	free(query->answers);
	query->cap = 0;
	cnt += cnt / 4; /* the next list may be a little longer */
	query->vas = malloc(cnt * sizeof(*query->vas));
	query->is_address = malloc(cnt * sizeof(*query->is_address));
	query->answers = malloc(cnt * sizeof(*query->answers));
	if (!query->vas || !query->is_address || !query->answers)
		return -ENOMEM;
	query->cap = cnt;
	return 0;
}

static const char *shown_file(const struct sym_options *opt, const char *file)
{
	const char *slash = opt->basenames ? strrchr(file, '/') : NULL;

	return slash ? slash + 1 : file;
}

/*
 * The printed form of a name or a file, @string being what the tables have;
 * NULL for unknown. Neighbours share theirs, so that most are known already.
 */
static struct sym_string printed(struct sym_query *query, const struct sym_options *opt,
				 const char *string, bool is_name)
{
	uint64_t hash = (uintptr_t)string * 0x9e3779b97f4a7c15ULL >> (64 - SYM_KNOWN_BITS);
	struct sym_known *known = &query->known[hash];
	struct gj_buf *strings = &query->strings;
	size_t off = strings->size_bytes;

	if (!string || known->string == string)
		return string ? known->printed : (struct sym_string){ 0 };
	if (is_name)
		gj_name_format(string, opt->name_flags, strings);
	else
		gj_buf_str(strings, shown_file(opt, string));
	*known = (struct sym_known){
		string, { (uint32_t)off, (uint32_t)(strings->size_bytes - off) }
	};
	gj_buf_chr(strings, '\0');
	return known->printed;
}

/* The ELF function symbol that holds @va: C code under cgo. NULL when there is none. */
static const char *elf_function(struct sym *sym, uint64_t va)
{
	struct gj_elf_symbol symbol;
	int err = 0;

	pthread_mutex_lock(&sym->symbols_lock);
	if (!sym->symbols)
		err = gj_symbol_index_new(sym->image, &sym->symbols);
	pthread_mutex_unlock(&sym->symbols_lock);
	return err || gj_symbol_index_find(sym->symbols, va, &symbol) ? NULL : symbol.name;
}

static struct sym_answer keep(struct sym_query *query, const struct sym_options *opt,
			      const struct gj_goframe *frames, int cnt)
{
	size_t more_bytes = (size_t)cnt * sizeof(struct sym_frame);
	char *to = gj_buf_reserve(&query->frames, more_bytes);
	struct sym_answer answer = {
		(uint32_t)(query->frames.size_bytes / sizeof(struct sym_frame)), (uint32_t)cnt
	};

	if (!to)
		return (struct sym_answer){ 0 };
	for (int i = 0; i < cnt; i++) {
		struct sym_frame frame = {
			.name = printed(query, opt, frames[i].name, true),
			.file = printed(query, opt, frames[i].file, false),
			.line = frames[i].file ? frames[i].line : 0,
			.start_line = frames[i].start_line,
			.inlined = frames[i].inlined,
		};

		memcpy(to + (size_t)i * sizeof(frame), &frame, sizeof(frame));
	}
	query->frames.size_bytes += more_bytes;
	return answer;
}

/* The answer that ELF symbols have for address @index. */
static struct sym_answer keep_symbol(struct sym_query *query, struct sym *sym, size_t index)
{
	struct gj_goframe frame = { 0 };

	if (query->is_address[index] && sym->image)
		frame.name = elf_function(sym, query->vas[index]);
	return keep(query, &sym->opt, &frame, 1);
}

int sym_query_answer(struct sym_query *query, struct sym *sym)
{
	bool with_inlines = sym->opt.inlines || sym->opt.json;
	int err = sym->gotab ? gj_gobatch_start(query->batch, sym->gotab, query->vas, query->cnt,
						with_inlines) : 0;
	struct sym_answer kept = { 0 };
	struct gj_goanswer answer;

	if (err)
		return err;
	query->frames.size_bytes = query->strings.size_bytes = 0;
	gj_buf_chr(&query->strings, '\0'); /* so that 0 is no string's place */
	memset(query->known, 0, sizeof(query->known));
	for (size_t i = 0; !sym->gotab && i < query->cnt; i++)
		query->answers[i] = keep_symbol(query, sym, i);
	while (sym->gotab && gj_gobatch_next(query->batch, &answer)) {
		if (!answer.is_same && answer.frame_cnt > 0) {
			kept = keep(query, &sym->opt, answer.frames, answer.frame_cnt);
		} else if (!answer.is_same) {
			kept = keep_symbol(query, sym, answer.index);
		}
		query->answers[answer.index] = kept;
	}
	/* 4 GB of strings from one piece of input would be names of megabytes each. */
	if (query->frames.failed || query->strings.failed || query->strings.size_bytes > UINT32_MAX)
		return -ENOMEM;
	return 0;
}

#define LINE_MAX_BYTES 16

/* ":LINE" and a newline at @to; returns behind them. */
static char *put_line(char *to, int32_t line)
{
	char digits[LINE_MAX_BYTES];
	char *pos = digits + sizeof(digits);
	uint32_t value = line < 0 ? -(uint32_t)line : (uint32_t)line;

	*--pos = '\n';
	do {
		*--pos = (char)('0' + value % 10);
		value /= 10;
	} while (value);
	if (line < 0)
		*--pos = '-';
	*--pos = ':';
	return mempcpy(to, pos, (size_t)(digits + sizeof(digits) - pos));
}

static const char unknown[] = "??";

void sym_add_line(const struct sym_options *opt, const char *file, int32_t line,
		  struct gj_buf *out)
{
	char text[LINE_MAX_BYTES];

	gj_buf_str(out, file ? shown_file(opt, file) : unknown);
	gj_buf_add(out, text, (size_t)(put_line(text, file ? line : 0) - text));
}

static inline char *put_string(const struct sym_query *query, struct sym_string string, char *to)
{
	if (!string.off)
		return mempcpy(to, unknown, sizeof(unknown) - 1);
	return mempcpy(to, query->strings.data + string.off, string.size_bytes);
}

static const char inlined_by[] = " (inlined by) ";

static void add_frame(struct sym_query *query, const struct sym_options *opt,
		      const struct sym_frame *frame, bool is_inlined_by)
{
	char *to = gj_buf_reserve(&query->out, frame->name.size_bytes + frame->file.size_bytes +
						       sizeof(inlined_by) + 2 * sizeof(unknown) +
						       LINE_MAX_BYTES);

	if (!to)
		return;
	if (opt->pretty && is_inlined_by)
		to = mempcpy(to, inlined_by, sizeof(inlined_by) - 1);
	if (opt->functions) {
		to = put_string(query, frame->name, to);
		if (opt->pretty)
			to = mempcpy(to, " at", 3);
		*to++ = opt->pretty ? ' ' : '\n';
	}
	to = put_line(put_string(query, frame->file, to), frame->line);
	query->out.size_bytes = (size_t)(to - query->out.data);
}

static void add_json_string(struct sym_query *query, struct sym_string string)
{
	if (string.off)
		gj_buf_json(&query->out, query->strings.data + string.off);
	else
		gj_buf_str(&query->out, "null");
}

static void add_json_frame(struct sym_query *query, const struct sym_frame *frame)
{
	gj_buf_str(&query->out, "{\"func\":");
	add_json_string(query, frame->name);
	gj_buf_str(&query->out, ",\"file\":");
	add_json_string(query, frame->file);
	gj_buf_fmt(&query->out, ",\"line\":%d,\"start_line\":%d,\"inlined\":%s}", frame->line,
		   frame->start_line, frame->inlined ? "true" : "false");
}

static void add_address(uint64_t va, bool is_pretty, struct gj_buf *out)
{
	char text[16];

	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = "0123456789abcdef"[va >> (60 - 4 * i) & 15];
	gj_buf_str(out, "0x");
	gj_buf_add(out, text, sizeof(text));
	gj_buf_str(out, is_pretty ? ": " : "\n");
}

/* An address about which nothing is known has no frames here. */
static void add_json(struct sym_query *query, const struct sym_frame *frames, size_t i)
{
	struct gj_buf *out = &query->out;

	if (query->is_address[i])
		gj_buf_fmt(out, "{\"address\":\"0x%llx\",\"frames\":[",
			   (unsigned long long)query->vas[i]);
	else
		gj_buf_str(out, "{\"address\":null,\"frames\":[");
	for (uint32_t f = 0; f < query->answers[i].cnt && frames[0].name.off; f++) {
		if (f)
			gj_buf_chr(out, ',');
		add_json_frame(query, &frames[f]);
	}
	gj_buf_str(out, "]}\n");
}

#define AHEAD 8 /* answers fetched before they are printed */
#define OUT_BYTES (128u << 10)

/* Appends the answers from @first on until query->out is well filled; returns the next one. */
static size_t print_some(struct sym_query *query, const struct sym_options *opt, size_t first)
{
	/* gj_buf's memory is malloc's and holds nothing else. */
	const struct sym_frame *frames = (const void *)query->frames.data;
	struct gj_buf *out = &query->out;
	size_t i;

	for (i = first; i < query->cnt && out->size_bytes < OUT_BYTES && !out->failed; i++) {
		const struct sym_answer *answer = &query->answers[i];

		/* They lie anywhere in memory: bring in those that come next. */
		if (i + AHEAD < query->cnt)
			__builtin_prefetch(&frames[answer[AHEAD].first]);
		if (opt->json) {
			add_json(query, &frames[answer->first], i);
			continue;
		}
		if (opt->addresses)
			add_address(query->vas[i], opt->pretty, out);
		for (uint32_t f = 0; f < answer->cnt; f++)
			add_frame(query, opt, &frames[answer->first + f], f > 0);
	}
	return i;
}

int sym_query_print(struct sym_query *query, const struct sym_options *opt)
{
	size_t done = 0;

	while (done < query->cnt && !query->out.failed) {
		query->out.size_bytes = 0;
		done = print_some(query, opt, done);
		fwrite(query->out.data, 1, query->out.size_bytes, stdout);
	}
	return query->out.failed ? -ENOMEM : 0;
}
