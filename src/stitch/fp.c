/* SPDX-License-Identifier: GPL-2.0 */
/* The frame-pointer walk over a dumped stack. */
#include "stitch/stitch.h"

size_t gj_fp_walk(struct gj_window stack, uint64_t ip, uint64_t sp, uint64_t fp,
		  uint64_t *chain_out, size_t max)
{
	size_t cnt = 0;

	if (max)
		chain_out[cnt++] = ip;
	while (cnt < max && fp >= sp && !(fp & 7)) {
		uint64_t next_fp, return_ip;

		if (!gj_window_u64(stack, fp - sp, &next_fp) ||
		    !gj_window_u64(stack, fp - sp + 8, &return_ip) || !return_ip)
			break;
		chain_out[cnt++] = return_ip;
		if (next_fp <= fp)
			break;
		fp = next_fp;
	}
	return cnt;
}
