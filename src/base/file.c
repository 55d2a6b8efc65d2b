/* SPDX-License-Identifier: GPL-2.0 */
/* Writing all of something, and giving back what was read. */
#include "base/file.h"

#include <errno.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

int gj_write_all(int fd, const void *bytes, size_t size_bytes)
{
	const char *from = bytes;

	while (size_bytes) {
		ssize_t done = write(fd, from, size_bytes);

		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0)
			return done ? -errno : -EIO;
		from += done;
		size_bytes -= (size_t)done;
	}
	return 0;
}

void gj_window_give_back(struct gj_window bytes)
{
	uintptr_t page_bytes = (uintptr_t)sysconf(_SC_PAGESIZE);
	uintptr_t begin = ((uintptr_t)bytes.base + page_bytes - 1) & ~(page_bytes - 1);
	uintptr_t end = ((uintptr_t)bytes.base + bytes.size_bytes) & ~(page_bytes - 1);

	if (end > begin)
		madvise((void *)begin, end - begin, MADV_DONTNEED);
}
