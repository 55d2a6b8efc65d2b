// SPDX-License-Identifier: GPL-2.0
/*
 * Fills a pinned hash with entries of no process until it takes no more, or empties
 * it of these.
 *
 *   fill MAP        prints how many entries were put in
 *   fill -d MAP
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define KEY_BYTES_MAX 64
/* Behind every number of a process. */
#define NO_TGID 0xfffffff0u

/* Memory for per-CPU values is got in the background: it may have to be waited for. */
static int put(int fd, const void *key, const void *value)
{
	for (int try = 0; try < 1000; try++) {
		if (!bpf_map_update_elem(fd, key, value, BPF_ANY))
			return 0;
		if (errno != ENOMEM)
			break;
		usleep(1000);
	}
	return -1;
}

int main(int argc, char **argv)
{
	bool is_emptying = argc == 3 && !strcmp(argv[1], "-d");
	int fd = bpf_obj_get(argv[argc - 1]), err = 0;
	uint32_t key[KEY_BYTES_MAX / 4] = { NO_TGID }, size_bytes, cnt = 0;
	struct bpf_map_info info = { 0 };
	void *value;

	size_bytes = sizeof(info);
	if (fd < 0 || bpf_obj_get_info_by_fd(fd, &info, &size_bytes) || info.key_size > KEY_BYTES_MAX) {
		perror(argv[argc - 1]);
		return 1;
	}
	/* Of a per-CPU map a value each. */
	value = calloc((size_t)sysconf(_SC_NPROCESSORS_CONF), (info.value_size + 7) & ~7u);
	for (uint32_t i = 0; value && !err && i <= info.max_entries; i++) {
		key[info.key_size / 4 - 1] = i;
		err = is_emptying ? bpf_map_delete_elem(fd, key) && errno != ENOENT : put(fd, key, value);
		cnt += !err;
	}
	if (!is_emptying)
		printf("%u\n", cnt);
	free(value);
	/* It takes no more: -E2BIG. */
	return is_emptying ? 0 : !(err && errno == E2BIG);
}
