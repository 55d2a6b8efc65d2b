// SPDX-License-Identifier: GPL-2.0
/*
 * How many addresses of a binary are named in a second, on one core, inside
 * one process.
 *
 *   bench_sym FILE [SECONDS]
 *
 * Addresses are uniformly random over the Go text, from a fixed seed. Prints
 * one line "WHAT COUNT/s" each for function + file:line and for all frames
 * with inlined calls, and how long opening and the first answer took.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/limits.h"
#include "demangle/demangle.h"
#include "elf/elf.h"

#define ADDRESS_CNT (1u << 20)

struct bench {
	const struct gj_gotab *gotab;
	uint64_t *addresses;
	double seconds;
	uint64_t found_cnt; /* keeps the work from being optimised away */
};

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
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

static void look_up_line(struct bench *bench, uint64_t va)
{
	struct gj_gofunc func;
	const char *file;
	int32_t line;

	if (!gj_gotab_find_func(bench->gotab, va, &func) &&
	    !gj_gotab_line(bench->gotab, &func, va, &file, &line))
		bench->found_cnt += (uint64_t)line;
}

static void look_up_frames(struct bench *bench, uint64_t va)
{
	struct gj_goframe frames[GJ_MAX_INLINE_DEPTH + 1];
	int cnt = gj_gotab_frames(bench->gotab, va, frames, GJ_MAX_INLINE_DEPTH + 1);

	bench->found_cnt += cnt > 0 ? (uint64_t)cnt : 0;
}

/* Rounds over all addresses until the time is up; the first round warms the caches. */
static void run(struct bench *bench, const char *what,
		void (*look_up)(struct bench *bench, uint64_t va))
{
	double begin = 0, spent = 0;
	uint64_t done_cnt = 0;

	for (int round = 0; round == 0 || spent < bench->seconds; round++) {
		if (round == 1)
			begin = now();
		for (uint32_t i = 0; i < ADDRESS_CNT; i++)
			look_up(bench, bench->addresses[i]);
		if (round == 0)
			continue;
		done_cnt += ADDRESS_CNT;
		spent = now() - begin;
	}
	printf("%s %.0f/s\n", what, (double)done_cnt / spent);
}

static void choose_addresses(struct bench *bench)
{
	uint32_t cnt = gj_gotab_info(bench->gotab)->func_cnt;
	struct gj_gofunc first, last;
	uint64_t state = 88172645463325252ULL;

	if (gj_gotab_func(bench->gotab, 0, &first) || gj_gotab_func(bench->gotab, cnt - 1, &last))
		exit(1);
	for (uint32_t i = 0; i < ADDRESS_CNT; i++)
		bench->addresses[i] =
			first.entry_va + next_random(&state) % (last.end_va - first.entry_va);
}

int main(int argc, char **argv)
{
	struct bench bench = { .seconds = argc > 2 ? atof(argv[2]) : 2 };
	struct gj_diag diag = { 0 };
	struct gj_image *image;
	struct gj_gotab *gotab;
	double begin = now();

	if (argc < 2) {
		fputs("usage: bench_sym FILE [SECONDS]\n", stderr);
		return 2;
	}
	if (gj_image_open(argv[1], &image, &diag) || gj_gotab_open(image, &gotab, &diag)) {
		fprintf(stderr, "bench_sym: %s\n", diag.text);
		return 1;
	}
	bench.gotab = gotab;
	look_up_line(&bench, gj_gotab_info(gotab)->text_va + 0x1000);
	printf("open+first %.3f ms\n", (now() - begin) * 1e3);
	bench.addresses = calloc(ADDRESS_CNT, sizeof(*bench.addresses));
	if (!bench.addresses)
		return 1;
	choose_addresses(&bench);
	run(&bench, "line", look_up_line);
	run(&bench, "frames", look_up_frames);
	fprintf(stderr, "checksum %" PRIu64 "\n", bench.found_cnt);
	free(bench.addresses);
	gj_gotab_close(gotab);
	gj_image_close(image);
	return 0;
}
