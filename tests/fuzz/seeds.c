/* SPDX-License-Identifier: GPL-2.0 */
/* With GJ_FUZZ_SEEDS=DIR a fuzz target writes its seeds there and ends. */
#include "seeds.h"

#include <stdio.h>
#include <stdlib.h>

static const char *seed_dir;
static unsigned int seed_cnt;

void fuzz_seed(const void *bytes, size_t size_bytes)
{
	char path[4096];
	FILE *file;

	snprintf(path, sizeof(path), "%s/seed-%03u", seed_dir, seed_cnt++);
	file = fopen(path, "w");
	if (!file || fwrite(bytes, 1, size_bytes, file) != size_bytes || fclose(file)) {
		perror(path);
		exit(1);
	}
}

/* A target without seeds starts from nothing. */
__attribute__((weak)) void fuzz_seeds(void)
{
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	seed_dir = getenv("GJ_FUZZ_SEEDS");
	if (!seed_dir)
		return 0;
	fuzz_seeds();
	exit(0);
}
