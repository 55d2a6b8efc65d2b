/* SPDX-License-Identifier: GPL-2.0 */
/* Processes of this machine, out of /proc. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "record/record.h"

int gj_each_process(int (*add)(void *data, uint32_t pid), void *data)
{
	DIR *proc = opendir("/proc");
	struct dirent *entry;
	int err = 0;

	if (!proc)
		return -errno;
	while (!err && (entry = readdir(proc))) {
		uint32_t pid = (uint32_t)strtoul(entry->d_name, NULL, 10);

		if (pid)
			err = add(data, pid);
	}
	closedir(proc);
	return err;
}

/* Parent of @pid: field 4 of /proc/PID/stat; 0 when it is gone. */
static uint32_t parent_of(uint32_t pid)
{
	char path[32], text[512];
	unsigned int parent = 0;
	const char *rest = NULL;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%u/stat", pid);
	file = fopen(path, "re");
	if (!file)
		return 0;
	if (fgets(text, sizeof(text), file))
		for (const char *at = text; *at; at++)
			if (*at == ')')
				rest = at;
	fclose(file);
	return rest && sscanf(rest, ") %*c %u", &parent) == 1 ? parent : 0;
}

struct descent {
	uint32_t ancestor;
	int (*add)(void *data, uint32_t pid);
	void *data;
};

#define MAX_DESCENT 64 /* generations looked back; a loop cannot arise but a race could show one */

static int add_descendant(void *data, uint32_t pid)
{
	const struct descent *descent = data;
	uint32_t at = pid;

	for (int i = 0; i < MAX_DESCENT && at > 1; i++) {
		at = parent_of(at);
		if (at == descent->ancestor)
			return descent->add(descent->data, pid);
	}
	return 0;
}

int gj_each_descendant(uint32_t pid, int (*add)(void *data, uint32_t pid), void *data)
{
	struct descent descent = { pid, add, data };

	return gj_each_process(add_descendant, &descent);
}
