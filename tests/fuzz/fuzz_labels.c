/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Fuzz target: pprof labels in a goroutine's memory. The first byte is the
 * release, the rest stands at address 4096, where g.labels points.
 */
#include <errno.h>

#include "goroutine/goroutine.h"
#include "seeds.h"

#define VA 4096u

static int read_input(void *data, uint64_t va, void *bytes_out, size_t size_bytes)
{
	const struct gj_window *input = data;

	return va >= VA && gj_window_read(*input, va - VA, bytes_out, size_bytes) ? 0 : -EFAULT;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes)
{
	struct gj_window input = { data + 1, size_bytes - 1 };
	struct gj_labels labels = { 0 };
	volatile size_t bytes = 0;

	if (!size_bytes)
		return 0;
	gj_labels_read(VA, data[0] & 1 ? 23 : 27, read_input, &input, &labels);
	for (size_t i = 0; i < labels.cnt; i++)
		bytes += strlen(labels.list[i].key) + strlen(labels.list[i].value);
	gj_labels_deinit(&labels);
	return 0;
}

void fuzz_seeds(void)
{
	uint8_t input[1 + 512] = { 0 };
	uint64_t list[] = { VA + 24, 2, 2, VA + 4, 3, VA + 8, 9, VA + 1, 0, VA, 400 };
	uint64_t map[] = { VA + 8, 1, 0, VA + 64, VA + 64 };

	memcpy(input + 1, list, sizeof(list));
	fuzz_seed(input, sizeof(input));
	input[0] = 1;
	memcpy(input + 1, map, sizeof(map));
	memset(input + 1 + 64, 9, 2);
	memcpy(input + 1 + 72, list + 3, 32);
	fuzz_seed(input, sizeof(input));
}
