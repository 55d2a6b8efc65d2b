/* SPDX-License-Identifier: GPL-2.0 */
/* Memory of another process, through process_vm_readv(2). */
#include <errno.h>
#include <sys/uio.h>

#include "goroutine/live.h"

int gj_memory_read(uint32_t pid, uint64_t va, void *bytes_out, size_t size_bytes)
{
	struct iovec local = { bytes_out, size_bytes };
	struct iovec remote = { (void *)(uintptr_t)va, size_bytes };
	ssize_t got = process_vm_readv((pid_t)pid, &local, 1, &remote, 1, 0);

	if (got < 0)
		return -errno;
	return (size_t)got == size_bytes ? 0 : -EFAULT;
}

/*
 * One call; the kernel stops at the first part that is not there. *done_out:
 * how many parts are read or found unreadable, at least one.
 */
static int read_some(uint32_t pid, struct gj_memory_part *parts, size_t cnt, uint8_t *bytes_out,
		     size_t *done_out)
{
	struct iovec remote[GJ_MEMORY_MAX_PARTS] = { { NULL, 0 } };
	struct iovec local = { bytes_out, 0 };
	ssize_t got;
	size_t left, i;

	for (i = 0; i < cnt; i++) {
		remote[i] = (struct iovec){ (void *)(uintptr_t)parts[i].va, parts[i].size_bytes };
		local.iov_len += parts[i].size_bytes;
	}
	got = process_vm_readv((pid_t)pid, &local, 1, remote, cnt, 0);
	if (got < 0 && errno != EFAULT)
		return -errno;
	left = got < 0 ? 0 : (size_t)got;
	for (i = 0; i < cnt && parts[i].size_bytes <= left; i++) {
		parts[i].is_read = true;
		left -= parts[i].size_bytes;
	}
	if (i < cnt)
		parts[i++].is_read = false;
	*done_out = i;
	return 0;
}

int gj_memory_read_many(uint32_t pid, struct gj_memory_part *parts, size_t cnt, uint8_t *bytes_out)
{
	while (cnt) {
		size_t done;
		int err = read_some(pid, parts, cnt, bytes_out, &done);

		if (err)
			return err;
		for (; done; done--, parts++, cnt--)
			bytes_out += parts->size_bytes;
	}
	return 0;
}
