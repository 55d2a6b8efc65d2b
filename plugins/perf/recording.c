/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The perf.data file this perf has open, which a dlfilter is not told, and
 * the pages of it that perf has mapped.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "plugin.h"

static bool is_recording(int fd, struct gj_plugin_file *file)
{
	char magic[8];
	struct stat st;

	if (fstat(fd, &st) || !S_ISREG(st.st_mode) ||
	    pread(fd, magic, sizeof(magic), 0) != sizeof(magic) ||
	    memcmp(magic, "PERFILE2", sizeof(magic)))
		return false;
	file->size_bytes = (size_t)st.st_size;
	file->changed_s = st.st_mtime;
	return true;
}

void gj_plugin_map_recording(struct gj_plugin_file *file_out)
{
	DIR *dir = opendir("/proc/self/fd");
	struct dirent *entry;

	*file_out = (struct gj_plugin_file){ 0 };
	while (dir && !file_out->bytes && (entry = readdir(dir))) {
		int fd = atoi(entry->d_name);
		void *bytes;

		if (entry->d_name[0] == '.' || !is_recording(fd, file_out))
			continue;
		bytes = mmap(NULL, file_out->size_bytes, PROT_READ, MAP_SHARED, fd, 0);
		file_out->bytes = bytes == MAP_FAILED ? NULL : bytes;
	}
	if (dir)
		closedir(dir);
}

/* The read-only mapping of a file that holds @at; false when there is none. */
static bool find_mapping(const void *at, struct gj_plugin_reading *reading)
{
	FILE *maps = fopen("/proc/self/maps", "re");
	char line[512], access[5];
	unsigned long start, end, inode;
	bool found = false;

	while (maps && !found && fgets(line, sizeof(line), maps)) {
		if (sscanf(line, "%lx-%lx %4s %*s %*s %lu", &start, &end, access, &inode) != 4)
			continue;
		found = (unsigned long)at >= start && (unsigned long)at < end && inode &&
			access[0] == 'r' && access[1] == '-';
	}
	if (maps)
		fclose(maps);
	if (found) {
		reading->done = (uint8_t *)start;
		reading->end = (uint8_t *)end;
	}
	return found;
}

/* Records are not quite in order of time: perf may come back to what lies this far behind. */
#define BEHIND_BYTES (16 << 20)
#define STEP_BYTES (4 << 20)

void gj_plugin_read_until(struct gj_plugin_reading *reading, const void *at)
{
	uint8_t *now = (uint8_t *)(uintptr_t)at;
	uint8_t *keep;

	if (!reading->is_sought) {
		reading->is_sought = true;
		if (!find_mapping(at, reading))
			reading->end = reading->done = NULL;
	}
	if (now < reading->done || now >= reading->end ||
	    now - reading->done < BEHIND_BYTES + STEP_BYTES)
		return;
	keep = reading->done + (((size_t)(now - reading->done) - BEHIND_BYTES) & ~(size_t)4095);
	if (madvise(reading->done, (size_t)(keep - reading->done), MADV_DONTNEED))
		reading->end = reading->done;
	reading->done = keep;
}
