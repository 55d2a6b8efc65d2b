// SPDX-License-Identifier: GPL-2.0
/*
 * How many addresses of a binary are named in a second, on one core, inside
 * one process.
 *
 *   bench_sym FILE [ROUNDS]
 *
 * Addresses are uniformly random over the Go text, from a fixed seed; a round
 * asks for a million of them. Prints one line "WHAT RATE" each, RATE being the
 * median round's addresses a second of processor time:
 *
 *   one-line     function and file:line, one address at a time
 *   one-frames   every frame with inlined calls, one address at a time
 *   many-line    as one-line, in batches of 2^18
 *   many-frames  as one-frames, in batches of 2^18
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/limits.h"
#include "demangle/demangle.h"
#include "elf/elf.h"

#define ADDRESS_CNT (1u << 20)
#define BATCH_CNT (1u << 18)
#define MAX_ROUNDS 101

struct bench {
	const struct gj_gotab *gotab;
	struct gj_gobatch *batch;
	uint64_t *vas;
	unsigned int round_cnt;
	volatile uint64_t sum; /* keeps the work from being optimised away */
};

static double cpu_seconds(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec * 1e-9;
}

static uint64_t next_random(uint64_t *state)
{
	/* xorshift64* (Vigna, "An experimental exploration of Marsaglia's xorshift generators") */
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return *state * 2685821657736338717ULL;
}

static void one_line(struct bench *bench)
{
	struct gj_gofunc func;
	const char *file;
	int32_t line;

	for (size_t i = 0; i < ADDRESS_CNT; i++)
		if (!gj_gotab_find_func(bench->gotab, bench->vas[i], &func) &&
		    !gj_gotab_line(bench->gotab, &func, bench->vas[i], &file, &line))
			bench->sum += (uint64_t)line + (uintptr_t)file;
}

static void one_frames(struct bench *bench)
{
	struct gj_goframe frames[GJ_MAX_INLINE_DEPTH + 1];

	for (size_t i = 0; i < ADDRESS_CNT; i++)
		if (gj_gotab_frames(bench->gotab, bench->vas[i], frames,
				    GJ_MAX_INLINE_DEPTH + 1) > 0)
			bench->sum += (uint64_t)frames[0].line + (uintptr_t)frames[0].file;
}

static void many(struct bench *bench, bool with_inlines)
{
	struct gj_goanswer answer;

	for (size_t i = 0; i < ADDRESS_CNT; i += BATCH_CNT) {
		if (gj_gobatch_start(bench->batch, bench->gotab, bench->vas + i, BATCH_CNT,
				     with_inlines))
			exit(1);
		while (gj_gobatch_next(bench->batch, &answer))
			if (answer.frame_cnt > 0)
				bench->sum += (uint64_t)answer.frames[0].line +
					      (uintptr_t)answer.frames[0].file;
	}
}

static void many_line(struct bench *bench)
{
	many(bench, false);
}

static void many_frames(struct bench *bench)
{
	many(bench, true);
}

static const struct {
	const char *name;
	void (*run)(struct bench *bench);
} kinds[] = {
	{ "one-line", one_line },
	{ "one-frames", one_frames },
	{ "many-line", many_line },
	{ "many-frames", many_frames },
};

#define KIND_CNT (sizeof(kinds) / sizeof(kinds[0]))

static int compare_doubles(const void *left, const void *right)
{
	double a = *(const double *)left, b = *(const double *)right;

	return a < b ? -1 : a > b;
}

/* All kinds take turns, so that none is measured in a better moment. Round 0 warms up. */
static void run(struct bench *bench)
{
	static double seconds[KIND_CNT][MAX_ROUNDS];

	for (unsigned int round = 0; round <= bench->round_cnt; round++)
		for (size_t k = 0; k < KIND_CNT; k++) {
			double begin = cpu_seconds();

			kinds[k].run(bench);
			if (round)
				seconds[k][round - 1] = cpu_seconds() - begin;
		}
	for (size_t k = 0; k < KIND_CNT; k++) {
		qsort(seconds[k], bench->round_cnt, sizeof(double), compare_doubles);
		printf("%s %.0f\n", kinds[k].name, ADDRESS_CNT / seconds[k][bench->round_cnt / 2]);
	}
}

static void choose_addresses(struct bench *bench)
{
	uint32_t cnt = gj_gotab_info(bench->gotab)->func_cnt;
	uint64_t state = 88172645463325252ULL;
	struct gj_gofunc first, last;

	if (gj_gotab_func(bench->gotab, 0, &first) || gj_gotab_func(bench->gotab, cnt - 1, &last))
		exit(1);
	for (uint32_t i = 0; i < ADDRESS_CNT; i++)
		bench->vas[i] =
			first.entry_va + next_random(&state) % (last.end_va - first.entry_va);
}

int main(int argc, char **argv)
{
	struct bench bench = { .round_cnt = argc > 2 ? (unsigned int)atoi(argv[2]) : 5 };
	struct gj_diag diag = { 0 };
	struct gj_image *image;
	struct gj_gotab *gotab;

	if (argc < 2 || bench.round_cnt < 1 || bench.round_cnt > MAX_ROUNDS) {
		fputs("usage: bench_sym FILE [ROUNDS]\n", stderr);
		return 2;
	}
	if (gj_image_open(argv[1], &image, &diag) || gj_gotab_open(image, &gotab, &diag)) {
		fprintf(stderr, "bench_sym: %s\n", diag.text);
		return 1;
	}
	bench.gotab = gotab;
	bench.vas = calloc(ADDRESS_CNT, sizeof(*bench.vas));
	if (!bench.vas || gj_gobatch_new(&bench.batch))
		return 1;
	choose_addresses(&bench);
	run(&bench);
	gj_gobatch_free(bench.batch);
	free(bench.vas);
	gj_gotab_close(gotab);
	gj_image_close(image);
	return 0;
}
