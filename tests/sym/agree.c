// SPDX-License-Identifier: GPL-2.0
/*
 * Three ways to the frames of an address must agree: a walk over whole tables
 * with gj_pciter, single look-ups (which start from notes in large functions)
 * and batches of many sizes (which read on from one address to the next).
 *
 *   agree FILE [ADDRESSES]
 *
 * Four threads share one gotab, so that they meet while it takes notes. Prints
 * "N addresses agree, N twins", or the first that do not.
 *
 * Twins are functions of one name: one is generated, an ABI wrapper, and by
 * its name the other one must be found.
 */
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "demangle/demangle.h"
#include "elf/elf.h"

#define THREAD_CNT 4
#define MAX_FRAMES (GJ_MAX_INLINE_DEPTH + 1)

struct job {
	const struct gj_gotab *gotab;
	uint64_t seed;
	size_t address_cnt;
	uint64_t begin_va, end_va;
	unsigned long bad_cnt;
};

static uint64_t next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

/* The value at @va by reading the table from its start; @none when there is none. */
static int32_t slow_value(const struct gj_gotab *gotab, const struct gj_gofunc *func,
			  enum gj_pctable table, uint64_t va, int32_t none)
{
	struct gj_pciter iter;
	struct gj_pcrow row;

	if (gj_pciter_init(gotab, func, table, &iter))
		return none;
	while (gj_pciter_next(&iter, &row) > 0)
		if (va >= row.start_va && va < row.end_va)
			return row.value;
	return none;
}

static void slow_line(const struct gj_gotab *gotab, const struct gj_gofunc *func, uint64_t va,
		      struct gj_goframe *frame)
{
	int32_t line = slow_value(gotab, func, GJ_PCTABLE_LINE, va, INT32_MIN);
	int32_t file = slow_value(gotab, func, GJ_PCTABLE_FILE, va, -1);

	frame->file = line == INT32_MIN ? NULL : gj_gotab_file(gotab, func, file);
	frame->line = frame->file ? line : 0;
}

static int slow_frames(const struct gj_gotab *gotab, uint64_t va, struct gj_goframe *frames)
{
	struct gj_goframe frame = { 0 };
	struct gj_inline_row row;
	struct gj_gofunc func;
	int cnt = 0, err = gj_gotab_find_func(gotab, va, &func);
	int32_t index;

	if (err)
		return err;
	slow_line(gotab, &func, va, &frame);
	index = slow_value(gotab, &func, GJ_PCTABLE_INLINE, va, -1);
	while (index >= 0 && cnt < GJ_MAX_INLINE_DEPTH &&
	       !gj_gotab_inline(gotab, &func, index, &row)) {
		frame.name = row.name;
		frame.start_line = row.start_line;
		frame.inlined = true;
		frames[cnt++] = frame;
		frame = (struct gj_goframe){ .file = row.call_file, .line = row.call_line };
		index = row.parent;
		if (gj_gotab_info(gotab)->layout != GJ_GOTAB_1_20)
			continue;
		slow_line(gotab, &func, row.parent_va, &frame);
		index = slow_value(gotab, &func, GJ_PCTABLE_INLINE, row.parent_va, -1);
	}
	frame.name = func.name;
	frame.start_line = func.start_line;
	frame.inlined = false;
	frames[cnt++] = frame;
	return cnt;
}

static bool same(const struct gj_goframe *a, int a_cnt, const struct gj_goframe *b, int b_cnt)
{
	if (a_cnt != b_cnt)
		return false;
	for (int i = 0; i < a_cnt; i++)
		if (a[i].name != b[i].name || a[i].file != b[i].file || a[i].line != b[i].line ||
		    a[i].start_line != b[i].start_line || a[i].inlined != b[i].inlined)
			return false;
	return true;
}

static void complain(struct job *job, const char *what, uint64_t va)
{
	if (job->bad_cnt++ < 5)
		printf("%s differ at %" PRIx64 "\n", what, va);
}

/* One list: each address three ways. */
static void compare_list(struct job *job, struct gj_gobatch *batch, const uint64_t *vas, size_t cnt,
			 bool with_inlines)
{
	static _Thread_local struct gj_goframe slow[MAX_FRAMES], single[MAX_FRAMES];
	struct gj_goanswer answer;
	size_t answer_cnt = 0;

	if (gj_gobatch_start(batch, job->gotab, vas, cnt, with_inlines))
		exit(1);
	while (gj_gobatch_next(batch, &answer)) {
		uint64_t va = vas[answer.index];
		int slow_cnt = slow_frames(job->gotab, va, slow);
		int single_cnt = gj_gotab_frames(job->gotab, va, single, MAX_FRAMES);

		answer_cnt++;
		if (!same(slow, slow_cnt, single, single_cnt))
			complain(job, "single look-ups", va);
		if (!with_inlines && slow_cnt > 1) {
			slow[slow_cnt - 1].file = slow[0].file;
			slow[slow_cnt - 1].line = slow[0].line;
			slow[0] = slow[slow_cnt - 1];
			slow_cnt = 1;
		}
		if (!same(slow, slow_cnt, answer.frames, answer.frame_cnt))
			complain(job, "batches", va);
	}
	if (answer_cnt != cnt)
		complain(job, "counts of answers", answer_cnt);
}

static void *compare(void *arg)
{
	struct job *job = arg;
	uint64_t text_bytes = job->end_va - job->begin_va, state = job->seed;
	size_t most = job->address_cnt / 4 + 1, cnt = 1;
	uint64_t *vas = calloc(most, sizeof(*vas));
	struct gj_gobatch *batch;

	if (!vas || gj_gobatch_new(&batch))
		exit(1);
	/* Lists of ever more addresses, some of them outside of the text. */
	for (size_t done = 0; done < job->address_cnt; done += cnt) {
		for (size_t i = 0; i < cnt; i++)
			vas[i] = job->begin_va - 8 + next_random(&state) % (text_bytes + 16);
		if (cnt > 2)
			vas[cnt / 2] = next_random(&state);
		compare_list(job, batch, vas, cnt, done % 3 != 0);
		cnt = cnt * 2 < most ? cnt * 2 : most;
	}
	gj_gobatch_free(batch);
	free(vas);
	return NULL;
}

static int compare_names(const void *left, const void *right)
{
	const struct gj_gofunc *a = left, *b = right;

	int order = strcmp(a->name, b->name);

	return order ? order : a->index < b->index ? -1 : a->index > b->index;
}

static bool is_generated(const struct gj_gotab *gotab, const struct gj_gofunc *func)
{
	const char *file;
	int32_t line;

	return !gj_gotab_line(gotab, func, func->entry_va, &file, &line) &&
	       !strcmp(file, "<autogenerated>");
}

/* Counts the twins; those that are not told apart are added to *bad_cnt. */
static unsigned long check_twins(const struct gj_gotab *gotab, unsigned long *bad_cnt)
{
	uint32_t cnt = 0, func_cnt = gj_gotab_info(gotab)->func_cnt;
	struct gj_gofunc *funcs = calloc(func_cnt, sizeof(*funcs)), found;
	unsigned long twin_cnt = 0;

	if (!funcs)
		exit(1);
	for (uint32_t i = 0; i < func_cnt; i++)
		cnt += !gj_gotab_func(gotab, i, &funcs[cnt]);
	qsort(funcs, cnt, sizeof(*funcs), compare_names);
	for (uint32_t i = 0; i + 1 < cnt; i++) {
		bool first = is_generated(gotab, &funcs[i]);

		if (strcmp(funcs[i].name, funcs[i + 1].name) ||
		    first == is_generated(gotab, &funcs[i + 1]))
			continue;
		twin_cnt++;
		if (gj_gotab_find_name(gotab, funcs[i].name, &found) ||
		    found.entry_va != funcs[i + first].entry_va) {
			printf("%s is found at %" PRIx64 ", its wrapper\n", funcs[i].name,
			       found.entry_va);
			++*bad_cnt;
		}
	}
	free(funcs);
	return twin_cnt;
}

int main(int argc, char **argv)
{
	size_t address_cnt = argc > 2 ? strtoul(argv[2], NULL, 10) : 40000;
	struct job jobs[THREAD_CNT];
	pthread_t threads[THREAD_CNT];
	struct gj_gofunc first, last;
	unsigned long bad_cnt = 0, twin_cnt;
	struct gj_image *image;
	struct gj_gotab *gotab;

	if (argc < 2 || gj_image_open(argv[1], &image, NULL) || gj_gotab_open(image, &gotab, NULL) ||
	    gj_gotab_func(gotab, 0, &first) ||
	    gj_gotab_func(gotab, gj_gotab_info(gotab)->func_cnt - 1, &last)) {
		puts("usage: agree FILE [ADDRESSES]");
		return 2;
	}
	for (unsigned int i = 0; i < THREAD_CNT; i++) {
		jobs[i] = (struct job){ gotab, 88172645463325252ULL + i, address_cnt / THREAD_CNT,
					first.entry_va, last.end_va, 0 };
		if (pthread_create(&threads[i], NULL, compare, &jobs[i]))
			return 1;
	}
	for (unsigned int i = 0; i < THREAD_CNT; i++) {
		pthread_join(threads[i], NULL);
		bad_cnt += jobs[i].bad_cnt;
	}
	twin_cnt = check_twins(gotab, &bad_cnt);
	gj_gotab_close(gotab);
	gj_image_close(image);
	if (bad_cnt)
		printf("%lu differ\n", bad_cnt);
	else
		printf("%zu addresses agree, %lu twins\n", address_cnt, twin_cnt);
	return bad_cnt != 0;
}
