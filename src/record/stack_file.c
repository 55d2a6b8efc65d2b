/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the sampler wrote, kept in a file without a name while perf records, and
 * appended to perf.data as a trailer when it is done (layout: docs/abi.md). A
 * file without a name is gone with whoever held it, however that ended.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/file.h"
#include "record/sampler.h"
#include "sample/sample.h"

#define PENDING_BYTES (1u << 20) /* written at once */

/* Where the file system has no O_TMPFILE: a name for a moment. */
static int open_named(const char *directory)
{
	struct gj_buf path = { 0 };
	int fd = -1;

	gj_buf_fmt(&path, "%s/.gojitter-XXXXXX", directory);
	gj_buf_chr(&path, '\0');
	if (!path.failed)
		fd = mkostemp(path.data, O_CLOEXEC);
	if (fd >= 0)
		unlink(path.data);
	gj_buf_deinit(&path);
	return fd;
}

int gj_stack_file_open(struct gj_stack_file *file, const char *output, struct gj_diag *diag)
{
	const char *slash = strrchr(output, '/');
	char *directory = slash ? strndup(output, (size_t)(slash - output) + 1) : strdup(".");

	*file = (struct gj_stack_file){ .fd = -1 };
	if (!directory)
		return gj_diag_set(diag, -ENOMEM, "out of memory");
	file->fd = open(directory, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (file->fd < 0)
		file->fd = open_named(directory);
	if (file->fd < 0)
		file->err = gj_diag_set(diag, -errno, "%s: no file can be made there: %s",
					directory, strerror(errno));
	free(directory);
	return file->err;
}

void gj_stack_file_close(struct gj_stack_file *file)
{
	if (file->fd >= 0)
		close(file->fd);
	file->fd = -1;
	gj_buf_deinit(&file->pending);
}

static void flush(struct gj_stack_file *file)
{
	if (!file->err && file->pending.failed)
		file->err = -ENOMEM;
	if (!file->err)
		file->err = gj_write_all(file->fd, file->pending.data, file->pending.size_bytes);
	/* Otherwise what was written of them is left out. */
	if (!file->err) {
		file->size_bytes += file->pending.size_bytes;
		file->cnt += file->pending_cnt;
	}
	file->pending.size_bytes = 0;
	file->pending_cnt = 0;
}

/* perf cannot finish its file on a full disk: it is left some room. */
static bool is_room_left(int fd)
{
	struct statvfs st;

	return fstatvfs(fd, &st) || !st.f_blocks ||
	       st.f_bavail * st.f_frsize >= GJ_STACK_FILE_SPARED_BYTES;
}

void gj_stack_file_add(struct gj_stack_file *file, const void *bytes, size_t size_bytes)
{
	if (file->err)
		return;
	gj_buf_add(&file->pending, bytes, size_bytes);
	file->pending_cnt++;
	if (!file->pending.failed && file->pending.size_bytes < PENDING_BYTES)
		return;
	flush(file);
	if (!file->err && !is_room_left(file->fd))
		file->err = -ENOSPC;
}

#define STRETCH_BYTES (1u << 20)

/*
 * The kernel copies without us where both files are on one file system. What
 * was copied is given back at once, so that the disk needs no room for all of it twice.
 */
static int move(int from, int to, uint64_t size_bytes)
{
	char bytes[1 << 16];
	off_t moved = 0, returned = 0;
	int err;

	while (size_bytes) {
		size_t most = size_bytes < STRETCH_BYTES ? size_bytes : STRETCH_BYTES;
		ssize_t got = copy_file_range(from, NULL, to, NULL, most, 0);

		if (got <= 0) {
			got = read(from, bytes, size_bytes < sizeof(bytes) ? size_bytes :
									     sizeof(bytes));
			if (got < 0 && errno == EINTR)
				continue;
			if (got <= 0)
				return got ? -errno : -EIO;
			err = gj_write_all(to, bytes, (size_t)got);
			if (err)
				return err;
		}
		size_bytes -= (uint64_t)got;
		moved += got;
		/* Where it cannot be done it takes room, and that is all. */
		if (moved - returned >= (off_t)STRETCH_BYTES &&
		    !fallocate(from, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, returned,
			       moved - returned))
			returned = moved;
	}
	return 0;
}

int gj_stack_file_append(struct gj_stack_file *file, const char *output, struct gj_diag *diag)
{
	struct gj_buf footer = { 0 };
	off_t end = -1;
	int fd, err;

	flush(file);
	if (!file->size_bytes)
		return 0;
	gj_buf_add(&footer, &file->size_bytes, sizeof(file->size_bytes));
	gj_buf_add(&footer, GJ_STACKS_MAGIC, sizeof(GJ_STACKS_MAGIC) - 1);
	fd = footer.failed ? -1 : open(output, O_WRONLY | O_CLOEXEC);
	if (fd >= 0 && lseek(file->fd, 0, SEEK_SET) == 0)
		end = lseek(fd, 0, SEEK_END);
	err = end < 0 ? -errno : move(file->fd, fd, file->size_bytes);
	if (!err)
		err = gj_write_all(fd, footer.data, footer.size_bytes);
	/* Half a trailer would be worse than none. */
	if (err && end >= 0 && ftruncate(fd, end))
		err = -errno;
	if (fd >= 0)
		close(fd);
	gj_buf_deinit(&footer);
	if (err)
		return gj_diag_set(diag, err, "%s: the stack records cannot be written: %s", output,
				   strerror(-err));
	return 0;
}
