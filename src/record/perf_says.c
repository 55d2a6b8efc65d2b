/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What perf prints while it records for us: repeated, but for what tells nothing
 * here, as that events are off and on again. In quiet recordings kept back, and
 * repeated only when perf failed.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "record/record.h"

#define MAX_KEPT_BYTES (1u << 16) /* in a quiet recording */

/* tools/perf/builtin-record.c; @cnt bytes of a line, perhaps not all of it. */
static bool is_noise(const char *line, size_t cnt, bool quiet)
{
	static const char *const noise[] = { "Events disabled", "Events enabled",
					     "Event " GJ_UPROBE_GROUP ":",
					     "[ perf record: Woken up", "[ perf record: Captured" };

	for (size_t i = 0; i < sizeof(noise) / sizeof(noise[0]) - !quiet; i++) {
		size_t most = strlen(noise[i]);

		if (cnt && !memcmp(line, noise[i], cnt < most ? cnt : most))
			return true;
	}
	return false;
}

/* All whole lines of @says->text; at the end, and where it is no noise, also the last one begun. */
static void repeat(struct gj_perf_says *says, bool is_end)
{
	const char *at = says->text.data, *end = at + says->text.size_bytes;

	while (at < end) {
		const char *newline = memchr(at, '\n', (size_t)(end - at));
		const char *next = newline ? newline + 1 : end;
		bool drop = is_noise(at, (size_t)(next - at), says->quiet);

		if (!newline && !is_end && drop)
			break;
		if (!drop)
			says->repeat(at, (size_t)(next - at));
		at = next;
	}
	says->text.size_bytes = (size_t)(end - at);
	if (says->text.size_bytes)
		memmove(says->text.data, at, says->text.size_bytes);
}

void gj_perf_says_take(struct gj_perf_says *says)
{
	char bytes[4096];
	ssize_t got;

	if (says->fd < 0)
		return;
	while ((got = read(says->fd, bytes, sizeof(bytes))) > 0 || (got < 0 && errno == EINTR))
		if (got > 0 && says->text.size_bytes < MAX_KEPT_BYTES)
			gj_buf_add(&says->text, bytes, (size_t)got);
	if (!says->quiet && !says->text.failed)
		repeat(says, false);
}

void gj_perf_says_end(struct gj_perf_says *says, bool failed)
{
	gj_perf_says_take(says);
	if (says->fd < 0)
		return;
	if (!says->text.failed && (failed || !says->quiet))
		repeat(says, true);
	close(says->fd);
	says->fd = -1;
	gj_buf_deinit(&says->text);
}
