/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Takes snapshots of a live process and prints them as text, for live.sh:
 *
 *   snapshot PID [COUNT [FILE]]
 *
 *   tls OFFSET
 *   snapshot PID FLAGS NANOSECONDS
 *   g ADDRESS GOID STATUS WAITREASON STACK_LO STACK_HI START_PC
 *   m TID CURG G0 GSIGNAL
 *
 * Only the last of COUNT snapshots is printed; FILE gets all of them as a
 * trailer. Exit status 1 and one line "error ERRNO TEXT" when it cannot.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "goroutine/goroutine.h"

static void print_snapshot(const char *bytes)
{
	struct gj_trail_snapshot head;

	memcpy(&head, bytes, sizeof(head));
	bytes += sizeof(head);
	printf("snapshot %u %u %" PRIu64 "\n", head.pid, head.flags, head.end_ns - head.begin_ns);
	for (uint32_t i = 0; i < head.g_cnt; i++, bytes += sizeof(struct gj_trail_g)) {
		struct gj_trail_g g;

		memcpy(&g, bytes, sizeof(g));
		printf("g %" PRIx64 " %" PRIu64 " %u %u %" PRIx64 " %" PRIx64 " %" PRIx64 "\n", g.g,
		       g.goid, g.status, g.waitreason, g.stack_lo, g.stack_hi, g.start_pc);
	}
	for (uint32_t i = 0; i < head.m_cnt; i++, bytes += sizeof(struct gj_trail_m)) {
		struct gj_trail_m m;

		memcpy(&m, bytes, sizeof(m));
		printf("m %u %" PRIx64 " %" PRIx64 " %" PRIx64 "\n", m.tid, m.curg, m.g0, m.gsignal);
	}
}

static int write_file(const char *path, const struct gj_buf *buf)
{
	FILE *file = fopen(path, "w");
	bool is_written = file && fwrite(buf->data, 1, buf->size_bytes, file) == buf->size_bytes;

	return file && !fclose(file) && is_written ? 0 : 1;
}

int main(int argc, char **argv)
{
	unsigned long cnt = argc > 2 ? strtoul(argv[2], NULL, 10) : 1;
	struct gj_buf body = { 0 };
	struct gj_diag diag = { 0 };
	struct gj_live *live = NULL;
	size_t last = 0;
	int err;

	if (argc < 2)
		return 2;
	err = gj_live_open((uint32_t)strtoul(argv[1], NULL, 10), &live, &diag);
	if (!err)
		printf("tls %" PRId64 "\n", gj_live_offsets(live)->tls_g);
	while (!err && cnt--) {
		last = body.size_bytes;
		err = gj_live_snapshot(live, GJ_TRAIL_PROBED, &body, &diag);
	}
	if (err)
		printf("error %d %s\n", err, diag.text);
	else if (body.size_bytes)
		print_snapshot(body.data + last);
	gj_live_close(live);
	gj_trail_finish(&body);
	if (!err && argc > 3)
		err = write_file(argv[3], &body);
	gj_buf_deinit(&body);
	return err ? 1 : 0;
}
