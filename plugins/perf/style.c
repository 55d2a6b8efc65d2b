/* SPDX-License-Identifier: GPL-2.0 */
/*
 * How this perf prints a record, so that ours cannot be told from its own.
 *
 * A dlfilter is not told perf's version, and distributions carry changes over
 * into older ones, so the answer is taken from perf's own strings:
 *
 *   "%7d/%-7d "  pid and tid take 7 columns since Linux 6.2, 5 before
 *                (tools/perf/builtin-script.c, perf_sample__fprintf_start)
 *   "dsoff"      the field that came in Linux 6.5 together with the end of
 *                printing user addresses as offsets in their file, which
 *                perf releases that know "machine_pid" (6.0) and not "dsoff" do
 *                (tools/perf/util/evsel_fprintf.c, sample__fprintf_callchain)
 */
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gojitter.h"
#include "plugin.h"

static bool holds(const void *bytes, size_t size_bytes, const char *text, size_t text_bytes)
{
	return memmem(bytes, size_bytes, text, text_bytes) != NULL;
}

void gj_plugin_style(struct gj_host *host)
{
	int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	void *perf = MAP_FAILED;
	struct stat st;

	if (fd >= 0 && !fstat(fd, &st) && st.st_size > 0)
		perf = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
	if (fd >= 0)
		close(fd);
	if (perf == MAP_FAILED)
		return;
	host->id_width = holds(perf, (size_t)st.st_size, "%7d/%-7d ", 9) ? 7 : 5;
	host->prints_file_off =
		!holds(perf, (size_t)st.st_size, "dsoff", sizeof("dsoff")) &&
		holds(perf, (size_t)st.st_size, "machine_pid", sizeof("machine_pid"));
	munmap(perf, (size_t)st.st_size);
}
