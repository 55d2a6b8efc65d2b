/* SPDX-License-Identifier: GPL-2.0 */
/*
 * First inputs of a fuzz target, made by recipe: a target may define
 * fuzz_seeds(); seeds.c writes what it gives into a directory and the fuzzer
 * starts from there.
 */
#ifndef GJ_TEST_SEEDS_H
#define GJ_TEST_SEEDS_H

#include <stddef.h>
#include <stdint.h>

/* Calls fuzz_seed() once for each input. */
void fuzz_seeds(void);
void fuzz_seed(const void *bytes, size_t size_bytes);

/* libFuzzer's two entry points. */
int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes);

#endif
