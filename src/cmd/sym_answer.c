/* SPDX-License-Identifier: GPL-2.0 */
/*
 * gojitter sym: the text of each answer.
 *
 * Addresses are looked up in ascending order, which is fast, and printed in
 * the order they came in. Neighbours that have one answer share its text.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/sym.h"

/* Where an answer stands in query.text. */
struct sym_text {
	uint32_t off;
	uint32_t size_bytes;
};

void sym_query_deinit(struct sym_query *query)
{
	gj_gobatch_free(query->batch);
	free(query->vas);
	free(query->is_address);
	free(query->texts);
	gj_buf_deinit(&query->text);
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
	free(query->texts);
	query->cap = 0;
	cnt += cnt / 4; /* the next list may be a little longer */
	query->vas = malloc(cnt * sizeof(*query->vas));
	query->is_address = malloc(cnt * sizeof(*query->is_address));
	query->texts = malloc(cnt * sizeof(*query->texts));
	if (!query->vas || !query->is_address || !query->texts)
		return -ENOMEM;
	query->cap = cnt;
	return 0;
}

static const char *shown_file(const struct sym_options *opt, const char *file)
{
	const char *slash = opt->basenames ? strrchr(file, '/') : NULL;

	return slash ? slash + 1 : file;
}

static const char unknown[] = "??";

/*
 * The printed form of a name or a file. Neighbours in the text share theirs,
 * so that most are known already.
 */
static struct sym_string printed(struct sym_query *query, const struct sym_options *opt,
				 const char *string, bool is_name)
{
	uint64_t hash = (uintptr_t)string * 0x9e3779b97f4a7c15ULL >> (64 - SYM_STRING_BITS);
	struct sym_string *known = &query->known[hash];
	struct gj_buf *strings = &query->strings;
	size_t off = strings->size_bytes;

	if (known->string == string)
		return *known;
	if (is_name && string != unknown)
		gj_name_format(string, opt->name_flags, strings);
	else
		gj_buf_str(strings, shown_file(opt, string));
	*known = (struct sym_string){ string, (uint32_t)off,
				      (uint32_t)(strings->size_bytes - off) };
	return *known;
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

void sym_add_line(const struct sym_options *opt, const char *file, int32_t line,
		  struct gj_buf *out)
{
	char text[LINE_MAX_BYTES];

	gj_buf_str(out, file ? shown_file(opt, file) : unknown);
	gj_buf_add(out, text, (size_t)(put_line(text, file ? line : 0) - text));
}

static const char inlined_by[] = " (inlined by) ";

static void add_frame(struct sym_query *query, const struct sym_options *opt,
		      const struct gj_goframe *frame, bool is_inlined_by)
{
	const char *name = frame->name ? frame->name : unknown;
	const char *file = frame->file ? frame->file : unknown;
	struct sym_string shown_name = { 0 }, shown = printed(query, opt, file, false);
	const char *strings;
	char *to;

	if (opt->functions)
		shown_name = printed(query, opt, name, true);
	strings = query->strings.data;
	to = gj_buf_reserve(&query->text, shown_name.size_bytes + shown.size_bytes +
						  sizeof(inlined_by) + LINE_MAX_BYTES);
	if (!to || query->strings.failed)
		return;
	if (opt->pretty && is_inlined_by)
		to = mempcpy(to, inlined_by, sizeof(inlined_by) - 1);
	if (opt->functions) {
		to = mempcpy(to, strings + shown_name.off, shown_name.size_bytes);
		if (opt->pretty)
			to = mempcpy(to, " at", 3);
		*to++ = opt->pretty ? ' ' : '\n';
	}
	to = mempcpy(to, strings + shown.off, shown.size_bytes);
	to = put_line(to, frame->file ? frame->line : 0);
	query->text.size_bytes = (size_t)(to - query->text.data);
}

static void add_json_frame(const struct sym_options *opt, const struct gj_goframe *frame,
			   struct gj_buf *out)
{
	struct gj_buf name = { 0 };

	gj_buf_str(out, "{\"func\":");
	if (frame->name) {
		gj_name_format(frame->name, opt->name_flags, &name);
		gj_buf_chr(&name, '\0');
	}
	if (frame->name && !name.failed)
		gj_buf_json(out, name.data);
	else
		gj_buf_str(out, "null");
	gj_buf_deinit(&name);
	gj_buf_str(out, ",\"file\":");
	if (frame->file)
		gj_buf_json(out, shown_file(opt, frame->file));
	else
		gj_buf_str(out, "null");
	gj_buf_fmt(out, ",\"line\":%d,\"start_line\":%d,\"inlined\":%s}", frame->line,
		   frame->start_line, frame->inlined ? "true" : "false");
}

/* Everything of an answer but its address. */
static void add_answer(struct sym_query *query, const struct sym_options *opt,
		       const struct gj_goframe *frames, int cnt)
{
	if (!opt->json) {
		for (int i = 0; i < cnt; i++)
			add_frame(query, opt, &frames[i], i > 0);
		return;
	}
	gj_buf_str(&query->text, "\"frames\":[");
	for (int i = 0; i < cnt && frames[0].name; i++) {
		if (i)
			gj_buf_chr(&query->text, ',');
		add_json_frame(opt, &frames[i], &query->text);
	}
	gj_buf_str(&query->text, "]}\n");
}

/* What stands before an answer that differs from address to address. */
static void add_address(const struct sym_options *opt, bool is_address, uint64_t va,
			struct gj_buf *out)
{
	char text[16];

	if (opt->json) {
		if (is_address)
			gj_buf_fmt(out, "{\"address\":\"0x%llx\",", (unsigned long long)va);
		else
			gj_buf_str(out, "{\"address\":null,");
	} else if (opt->addresses) {
		for (size_t i = 0; i < sizeof(text); i++)
			text[i] = "0123456789abcdef"[va >> (60 - 4 * i) & 15];
		gj_buf_str(out, "0x");
		gj_buf_add(out, text, sizeof(text));
		gj_buf_str(out, opt->pretty ? ": " : "\n");
	}
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

static void write_texts(struct sym_query *query, struct sym *sym)
{
	struct gj_goframe c_frame = { 0 };
	size_t begin = 0, end = 0;
	struct gj_goanswer answer;

	while (gj_gobatch_next(query->batch, &answer)) {
		if (!answer.is_same) {
			begin = query->text.size_bytes;
			if (answer.frame_cnt > 0) {
				add_answer(query, &sym->opt, answer.frames, answer.frame_cnt);
			} else {
				c_frame.name = NULL;
				if (query->is_address[answer.index])
					c_frame.name = elf_function(sym, query->vas[answer.index]);
				add_answer(query, &sym->opt, &c_frame, 1);
			}
			end = query->text.size_bytes;
		}
		query->texts[answer.index] =
			(struct sym_text){ (uint32_t)begin, (uint32_t)(end - begin) };
	}
}

int sym_query_answer(struct sym_query *query, struct sym *sym)
{
	bool with_inlines = sym->opt.inlines || sym->opt.json;
	int err = gj_gobatch_start(query->batch, sym->gotab, query->vas, query->cnt, with_inlines);

	if (err)
		return err;
	query->text.size_bytes = query->strings.size_bytes = 0;
	memset(query->known, 0, sizeof(query->known));
	write_texts(query, sym);
	/* 4 GB of text from one piece of input would be names of megabytes each. */
	if (query->text.failed || query->strings.failed || query->text.size_bytes > UINT32_MAX)
		return -ENOMEM;
	return 0;
}

#define AHEAD 8 /* answers fetched before they are printed */
#define OUT_BYTES (128u << 10)

/* Appends the answers from @first on until query->out is well filled; returns the next one. */
static size_t print_some(struct sym_query *query, const struct sym_options *opt, size_t first)
{
	bool with_address = opt->addresses || opt->json;
	struct gj_buf *out = &query->out;
	size_t i;

	for (i = first; i < query->cnt && out->size_bytes < OUT_BYTES && !out->failed; i++) {
		const struct sym_text *text = &query->texts[i];

		/* They lie anywhere in memory: bring in those that come next. */
		if (i + AHEAD < query->cnt)
			__builtin_prefetch(query->text.data + text[AHEAD].off);
		if (with_address)
			add_address(opt, query->is_address[i], query->vas[i], out);
		gj_buf_add(out, query->text.data + text->off, text->size_bytes);
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
