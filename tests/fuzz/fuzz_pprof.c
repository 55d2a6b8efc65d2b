/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Fuzz target: any bytes as a profile. What is read must be whole: every index
 * within its array, the same after writing and reading again, and comparable.
 */
#include <stdlib.h>
#include <string.h>

#include "pprof/pprof.h"
#include "seeds.h"

static void check_indexes(const struct gj_profile *profile)
{
	for (size_t i = 0; i < profile->sample_cnt; i++)
		for (uint32_t j = 0; j < profile->samples[i].location_cnt; j++)
			if (profile->samples[i].locations[j] >= profile->location_cnt)
				abort();
	for (size_t i = 0; i < profile->location_cnt; i++) {
		const struct gj_profile_location *location = &profile->locations[i];

		if (location->mapping != GJ_PROFILE_NONE && location->mapping >= profile->mapping_cnt)
			abort();
		for (uint32_t j = 0; j < location->line_cnt; j++)
			if (location->lines[j].function != GJ_PROFILE_NONE &&
			    location->lines[j].function >= profile->function_cnt)
				abort();
	}
}

static void write_again(const struct gj_profile *profile)
{
	struct gj_buf once = { 0 }, twice = { 0 };
	struct gj_profile_file *file = NULL;

	if (gj_profile_write(profile, &once) ||
	    gj_profile_read((struct gj_window){ (const uint8_t *)once.data, once.size_bytes }, "again",
			    &file, NULL) ||
	    gj_profile_write(gj_profile_of(file), &twice))
		abort();
	if (once.size_bytes != twice.size_bytes || memcmp(once.data, twice.data, once.size_bytes))
		abort();
	gj_profile_close(file);
	gj_buf_deinit(&once);
	gj_buf_deinit(&twice);
}

static void compare(const struct gj_profile *profile)
{
	struct gj_comparison *comparison;
	struct gj_buf out = { 0 };
	size_t cnt;

	if (gj_compare(profile, profile, &comparison, NULL))
		abort();
	for (const struct gj_aligned *stack = gj_comparison_stacks(comparison, GJ_SIDE_OURS, &cnt); cnt--; stack++)
		if (stack->frame_cnt && stack->match != GJ_MATCH_EXACT)
			abort();
	gj_comparison_text(comparison, 5, &out);
	gj_comparison_json(comparison, &out);
	gj_buf_deinit(&out);
	gj_comparison_free(comparison);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes)
{
	struct gj_profile_file *file;

	if (gj_profile_read((struct gj_window){ data, size_bytes }, "input", &file, NULL))
		return 0;
	check_indexes(gj_profile_of(file));
	write_again(gj_profile_of(file));
	compare(gj_profile_of(file));
	gj_profile_close(file);
	return 0;
}

/* One sample of one location, function and mapping; uncompressed and compressed. */
void fuzz_seeds(void)
{
	static const char plain[] = "\x0a\x04\x08\x01\x10\x02"
				    "\x12\x0f\x0a\x02\x01\x02\x12\x01\x07\x1a\x06\x08\x03\x10\x04\x18\x01"
				    "\x1a\x08\x08\x01\x10\x01\x18\x09\x28\x03"
				    "\x22\x0c\x08\x01\x10\x01\x18\x05\x22\x04\x08\x01\x10\x09"
				    "\x22\x0c\x08\x02\x10\x01\x18\x06\x22\x04\x08\x02\x10\x08"
				    "\x2a\x0a\x08\x01\x10\x03\x18\x03\x20\x05\x28\x02"
				    "\x2a\x0a\x08\x02\x10\x04\x18\x04\x20\x05\x28\x02"
				    "\x32\x00\x32\x03" "cpu\x32\x0bnanoseconds\x32\x06main.f\x32\x0cruntime.main\x32\x04" "x.go"
				    "\x48\x01\x50\x01\x5a\x04\x08\x01\x10\x02\x60\x01";
	struct gj_profile_file *file;
	struct gj_buf packed = { 0 };

	fuzz_seed(plain, sizeof(plain) - 1);
	if (gj_profile_read((struct gj_window){ (const uint8_t *)plain, sizeof(plain) - 1 }, "seed", &file, NULL))
		abort();
	if (!gj_profile_write(gj_profile_of(file), &packed))
		fuzz_seed(packed.data, packed.size_bytes);
	gj_profile_close(file);
	gj_buf_deinit(&packed);
}
