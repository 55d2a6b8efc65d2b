/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Prints the wait reasons of releases: "MINOR NUMBER busy|- TEXT" lines.
 *
 *   reasons MINOR...
 */
#include <stdio.h>
#include <stdlib.h>

#include "goroutine/goroutine.h"

int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		int minor = atoi(argv[i]);
		uint64_t busy = gj_wait_reasons_busy(minor);

		for (unsigned int reason = 0; reason < GJ_WAIT_REASON_CNT; reason++) {
			const char *text = gj_wait_reason(minor, reason);

			if (text)
				printf("%d %u %s %s\n", minor, reason,
				       busy & 1ull << reason ? "busy" : "-", text);
		}
	}
	return 0;
}
