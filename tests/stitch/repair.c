/* SPDX-License-Identifier: GPL-2.0 */
/*
 * For each line "VA IS_RETURN NEXT" (hexadecimal, link-time): what a chain by
 * frame pointers that goes from VA to NEXT lacks between them, by the code of
 * the program argv[1]. Prints "whole", or "EXACT MAY_MISS" and addresses.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "stitch/stitch.h"

int main(int argc, char **argv)
{
	struct gj_repair *repair;
	struct gj_image *image;
	struct gj_gotab *gotab;
	char line[256];

	if (argc < 2 || gj_image_open(argv[1], &image, NULL) ||
	    gj_gotab_open(image, &gotab, NULL) || gj_repair_new(&repair))
		return 2;
	while (fgets(line, sizeof(line), stdin)) {
		struct gj_repaired repaired;
		char *at = line;
		uint64_t va = strtoull(at, &at, 16);
		bool is_return = strtoull(at, &at, 16);
		uint64_t next = strtoull(at, &at, 16);

		if (!gj_repair_lacks(repair, image, gotab, va, is_return)) {
			puts("whole");
		} else {
			gj_repair_find(repair, image, gotab, va, is_return, next, &repaired);
			printf("%d %d", repaired.is_exact, repaired.may_miss);
			for (size_t i = 0; i < repaired.cnt; i++)
				printf(" %" PRIx64, repaired.vas[i]);
			putchar('\n');
		}
		fflush(stdout);
	}
	gj_repair_free(repair);
	gj_gotab_close(gotab);
	gj_image_close(image);
	return 0;
}
