/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Prints a profile as src/pprof reads it, one line per sample, in the form in which
 * tests/pprof/raw.py prints what `go tool pprof -raw` says of the same file:
 *
 *   VALUE...|LABELS|ADDRESS FUNCTION FILE:LINE START;...
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pprof/pprof.h"

static void print_location(const struct gj_profile *profile, const struct gj_profile_location *location)
{
	printf("0x%" PRIx64, location->address_va);
	for (uint32_t i = 0; i < location->line_cnt; i++) {
		const struct gj_profile_line *line = &location->lines[i];
		const struct gj_profile_function *function = &profile->functions[line->function];

		if (*function->name)
			printf(" %s %s:%" PRId64 " s=%" PRId64, function->name, function->filename, line->line,
		       function->start_line);
	}
	putchar(';');
}

static int compare_labels(const void *a, const void *b)
{
	return strcmp(((const struct gj_profile_label *)a)->key, ((const struct gj_profile_label *)b)->key);
}

static void print_sample(const struct gj_profile *profile, const struct gj_profile_sample *sample)
{
	struct gj_profile_label *labels = calloc(sample->label_cnt + 1, sizeof(*labels));

	for (size_t i = 0; i < profile->type_cnt; i++)
		printf("%s%" PRId64, i ? " " : "", sample->values[i]);
	putchar('|');
	if (sample->label_cnt)
		memcpy(labels, sample->labels, sample->label_cnt * sizeof(*labels));
	qsort(labels, sample->label_cnt, sizeof(*labels), compare_labels);
	for (uint32_t i = 0; i < sample->label_cnt; i++) {
		if (labels[i].str)
			printf("%s:[%s]", labels[i].key, labels[i].str);
		else
			printf("%s:[%" PRId64 "]", labels[i].key, labels[i].num);
	}
	putchar('|');
	for (uint32_t i = 0; i < sample->location_cnt; i++)
		print_location(profile, &profile->locations[sample->locations[i]]);
	putchar('\n');
	free(labels);
}

int main(int argc, char **argv)
{
	struct gj_profile_file *file;
	const struct gj_profile *profile;
	struct gj_diag diag = { 0 };

	if (argc != 2 || gj_profile_open(argv[1], &file, &diag)) {
		fprintf(stderr, "%s\n", diag.text);
		return 1;
	}
	profile = gj_profile_of(file);
	for (size_t i = 0; i < profile->type_cnt; i++)
		printf("%s%s/%s", i ? " " : "", profile->types[i].type, profile->types[i].unit);
	printf("\nperiod %" PRId64 "\n", profile->period);
	for (size_t i = 0; i < profile->mapping_cnt; i++)
		printf("mapping 0x%" PRIx64 "/0x%" PRIx64 "/0x%" PRIx64 " %s %s\n", profile->mappings[i].start_va,
		       profile->mappings[i].limit_va, profile->mappings[i].file_off, profile->mappings[i].filename,
		       profile->mappings[i].build_id);
	for (size_t i = 0; i < profile->sample_cnt; i++)
		print_sample(profile, &profile->samples[i]);
	gj_profile_close(file);
	return 0;
}
