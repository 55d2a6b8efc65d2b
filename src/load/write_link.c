/* SPDX-License-Identifier: GPL-2.0 */
/* BPF objects of this build linked into one by libbpf's linker, in memory. */
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "load/write.h"

/* In every object; one is enough. */
#define BEGIN "gj_begin"

#define PATH_BYTES 32

/* A file in memory and the name by which libbpf opens it. Its descriptor or a negative errno. */
static int make_file(const char *name, char path_out[PATH_BYTES])
{
	int fd = memfd_create(name, MFD_CLOEXEC);

	if (fd < 0)
		return -errno;
	snprintf(path_out, PATH_BYTES, "/proc/self/fd/%d", fd);
	return fd;
}

/* Definitions that other objects have as well must give way. */
static int write_weak(const struct gj_load_image *image, int fd)
{
	struct gj_window bytes = { image->bytes, image->size_bytes };
	uint8_t *copy = malloc(image->size_bytes);
	struct gj_object object;
	int err = copy ? gj_object_init(bytes, &object, NULL) : -ENOMEM;

	if (!err) {
		memcpy(copy, image->bytes, image->size_bytes);
		gj_object_weaken(&object, copy, BEGIN);
		err = gj_write_all(fd, copy, image->size_bytes);
	}
	free(copy);
	return err;
}

static int add_image(struct bpf_linker *linker, const struct gj_load_image *image)
{
	char path[PATH_BYTES];
	int fd = make_file(image->name, path), err;

	if (fd < 0)
		return fd;
	err = write_weak(image, fd);
	if (!err)
		err = bpf_linker__add_file(linker, path, NULL);
	close(fd);
	return err;
}

static int read_file(int fd, struct gj_buf *out)
{
	struct stat st;
	char *to;

	if (fstat(fd, &st))
		return -errno;
	to = gj_buf_reserve(out, (size_t)st.st_size);
	if (!to)
		return -ENOMEM;
	if (pread(fd, to, (size_t)st.st_size, 0) != st.st_size)
		return -EIO;
	out->size_bytes += (size_t)st.st_size;
	return 0;
}

int gj_write_link(const struct gj_load_image *const *images, size_t image_cnt,
		  struct gj_buf *linked_out, struct gj_diag *diag)
{
	struct bpf_linker *linker = NULL;
	char path[PATH_BYTES];
	int fd = make_file("linked", path), err = fd < 0 ? fd : 0;

	if (!err) {
		linker = bpf_linker__new(path, NULL);
		err = linker ? 0 : -errno;
	}
	for (size_t i = 0; !err && i < image_cnt; i++)
		err = add_image(linker, images[i]);
	if (!err)
		err = bpf_linker__finalize(linker);
	if (!err)
		err = read_file(fd, linked_out);
	bpf_linker__free(linker);
	if (fd >= 0)
		close(fd);
	return err ? gj_diag_set(diag, err, "BPF objects of this build cannot be linked: %s",
				 strerror(-err)) : 0;
}
