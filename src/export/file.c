/* SPDX-License-Identifier: GPL-2.0 */
/* A file for node_exporter's textfile collector, which must never see half of it. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "export/export.h"

static int write_new(int fd, const struct gj_buf *text)
{
	int err = gj_write_all(fd, text->data, text->size_bytes);

	/* The collector runs as somebody else. */
	if (!err && fchmod(fd, 0644))
		err = -errno;
	/* Some file systems tell of a full disk only here. */
	if (close(fd) && !err)
		err = -errno;
	return err;
}

int gj_export_to_file(const char *instance, const char *directory, struct gj_diag *diag)
{
	struct gj_buf text = { 0 };
	char path[4096], temporary[4096];
	int err = gj_export_text(instance, &text, diag), fd;

	if (!err && (size_t)snprintf(path, sizeof(path), "%s/%s", directory, GJ_EXPORT_FILE) >=
			    sizeof(path) - 16)
		err = gj_diag_set(diag, -ENAMETOOLONG, "%s: too long a name", directory);
	if (err)
		goto out;
	snprintf(temporary, sizeof(temporary), "%.*s/.%s.XXXXXX", (int)strlen(directory), directory,
		 GJ_EXPORT_FILE);
	fd = mkstemp(temporary);
	if (fd < 0) {
		err = gj_diag_set(diag, -errno, "%s: %s", directory, strerror(errno));
		goto out;
	}
	err = write_new(fd, &text);
	if (!err && rename(temporary, path))
		err = -errno;
	if (err) {
		unlink(temporary);
		gj_diag_set(diag, err, "%s: %s", path, strerror(-err));
	}
out:
	gj_buf_deinit(&text);
	return err;
}
