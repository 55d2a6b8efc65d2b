/* SPDX-License-Identifier: GPL-2.0 */
/*
 * /proc/PID/maps: text in, mappings out; and where in a process an image lies.
 *
 *   559cd0a00000-559cd0a22000 r-xp 00002000 fe:01 131087     /usr/bin/cat (deleted)
 *   start        end          rwxp offset   device inode     path
 *
 * A newline in a path is written \\012; nothing else is escaped (kernel
 * fs/proc/task_mmu.c, show_map_vma).
 */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/limits.h"
#include "elf/elf.h"

struct gj_maps {
	struct gj_buf text; /* the lines, each ended by a NUL; paths point into it */
	struct gj_vma *mappings;
	size_t cnt;
};

static bool take_number(char **pos, int base, char end, uint64_t *value_out)
{
	char *rest;

	/* strtoull would take blanks and signs. */
	if (!strchr("0123456789abcdef", **pos) || !**pos)
		return false;
	errno = 0;
	*value_out = strtoull(*pos, &rest, base);
	if (errno || rest == *pos || *rest != end)
		return false;
	*pos = rest + 1;
	return true;
}

static bool take_flags(char **pos, struct gj_vma *mapping)
{
	const char *text = *pos;

	if (strnlen(text, 5) < 5 || text[4] != ' ')
		return false;
	mapping->flags = (text[0] == 'r' ? PF_R : 0u) | (text[1] == 'w' ? PF_W : 0u) |
			 (text[2] == 'x' ? PF_X : 0u);
	mapping->is_shared = text[3] == 's';
	*pos += 5;
	return true;
}

/* Undoes \012 in place and takes off " (deleted)". */
static void take_path(char *text, struct gj_vma *mapping)
{
	static const char deleted[] = " (deleted)";
	size_t size_bytes;
	char *to = text;

	for (const char *from = text; *from;) {
		bool is_newline = !strncmp(from, "\\012", 4);

		*to++ = is_newline ? '\n' : *from;
		from += is_newline ? 4 : 1;
	}
	*to = '\0';
	size_bytes = (size_t)(to - text);
	if (size_bytes > sizeof(deleted) - 1 &&
	    !strcmp(to - (sizeof(deleted) - 1), deleted)) {
		mapping->is_deleted = true;
		*(to - (sizeof(deleted) - 1)) = '\0';
	}
	mapping->path = text;
}

static bool take_line(char *line, struct gj_vma *mapping)
{
	uint64_t major, minor;

	*mapping = (struct gj_vma){ .path = "" };
	if (!take_number(&line, 16, '-', &mapping->start_va) ||
	    !take_number(&line, 16, ' ', &mapping->end_va) ||
	    mapping->end_va <= mapping->start_va || !take_flags(&line, mapping) ||
	    !take_number(&line, 16, ' ', &mapping->file_off) ||
	    !take_number(&line, 16, ':', &major) || !take_number(&line, 16, ' ', &minor) ||
	    major > UINT32_MAX || minor > UINT32_MAX)
		return false;
	mapping->dev_major = (uint32_t)major;
	mapping->dev_minor = (uint32_t)minor;
	/* The inode ends the line where there is no path, with a blank behind it or without. */
	if (take_number(&line, 10, '\0', &mapping->inode))
		return true;
	if (!take_number(&line, 10, ' ', &mapping->inode))
		return false;
	line += strspn(line, " ");
	take_path(line, mapping);
	return true;
}

static int parse(struct gj_maps *maps, const char *path, struct gj_diag *diag)
{
	char *line = maps->text.data, *end = line + maps->text.size_bytes;
	size_t line_cnt = 0;

	for (const char *c = line; c < end; c++)
		line_cnt += *c == '\n';
	maps->mappings = calloc(line_cnt + 1, sizeof(*maps->mappings));
	if (!maps->mappings)
		return -ENOMEM;
	while (line < end) {
		char *stop = memchr(line, '\n', (size_t)(end - line));

		if (!stop)
			return gj_diag_set(diag, -EBADMSG, "%s: cut short after %zu lines", path,
					   maps->cnt);
		*stop = '\0';
		if (strlen(line) != (size_t)(stop - line) ||
		    !take_line(line, &maps->mappings[maps->cnt]))
			return gj_diag_set(diag, -EBADMSG, "%s: line %zu is no mapping", path,
					   maps->cnt + 1);
		maps->cnt++;
		line = stop + 1;
	}
	return 0;
}

static int read_text(const char *path, struct gj_buf *text, struct gj_diag *diag)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t got = -1;
	int err = 0;

	if (fd < 0)
		return gj_diag_set(diag, -errno, "%s: %s", path, strerror(errno));
	for (;;) {
		char *room = gj_buf_reserve(text, 65536);

		if (!room) {
			err = -ENOMEM;
			break;
		}
		got = read(fd, room, 65536);
		if (got < 0)
			err = gj_diag_set(diag, -errno, "%s: %s", path, strerror(errno));
		if (got <= 0)
			break;
		text->size_bytes += (size_t)got;
		if (text->size_bytes > GJ_MAX_MAPS_BYTES) {
			err = gj_diag_set(diag, -E2BIG, "%s: longer than %u bytes", path,
					  GJ_MAX_MAPS_BYTES);
			break;
		}
	}
	close(fd);
	return err;
}

int gj_maps_open(const char *path, struct gj_maps **maps_out, struct gj_diag *diag)
{
	struct gj_maps *maps = calloc(1, sizeof(*maps));
	int err;

	if (!maps)
		return gj_diag_set(diag, -ENOMEM, "%s: out of memory", path);
	err = read_text(path, &maps->text, diag);
	if (!err)
		err = parse(maps, path, diag);
	if (err) {
		gj_maps_close(maps);
		return gj_diag_set(diag, err, "%s: out of memory", path);
	}
	*maps_out = maps;
	return 0;
}

void gj_maps_close(struct gj_maps *maps)
{
	if (!maps)
		return;
	gj_buf_deinit(&maps->text);
	free(maps->mappings);
	free(maps);
}

const struct gj_vma *gj_maps_vma(const struct gj_maps *maps, size_t index)
{
	return index < maps->cnt ? &maps->mappings[index] : NULL;
}

const struct gj_vma *gj_maps_find(const struct gj_maps *maps, uint64_t va)
{
	for (size_t i = 0; i < maps->cnt; i++)
		if (va >= maps->mappings[i].start_va && va < maps->mappings[i].end_va)
			return &maps->mappings[i];
	return NULL;
}

static bool is_same_file(const struct gj_vma *a, const struct gj_vma *b)
{
	return a->inode == b->inode && a->dev_major == b->dev_major &&
	       a->dev_minor == b->dev_minor && !strcmp(a->path, b->path);
}

/* True when @mapping begins inside @seg; says what was added to its addresses. */
static bool fits(const struct gj_vma *mapping, const struct gj_segment *seg,
		 uint64_t *bias_out)
{
	/* The kernel maps whole pages; a segment begins somewhere in its first one. */
	uint64_t skew = seg->file_off % (uint64_t)sysconf(_SC_PAGESIZE);
	uint64_t first_off = seg->file_off - skew;

	if (!seg->file_bytes || mapping->file_off < first_off ||
	    mapping->file_off - first_off >= seg->file_bytes + skew)
		return false;
	*bias_out = mapping->start_va - (seg->va - skew + (mapping->file_off - first_off));
	return true;
}

int gj_maps_load_bias(const struct gj_maps *maps, const struct gj_vma *mapping,
		      const struct gj_image *image, uint64_t *bias_out)
{
	const struct gj_segment *seg;

	/* Segments may share a page of the file; the flags tell which one a mapping shows. */
	for (int wanted = PF_X; wanted >= 0; wanted -= PF_X)
		for (size_t i = 0; i < maps->cnt; i++) {
			const struct gj_vma *other = &maps->mappings[i];

			if (!is_same_file(mapping, other))
				continue;
			for (unsigned int k = 0; (seg = gj_image_segment(image, k)); k++)
				if ((seg->flags & PF_X) == (other->flags & PF_X) &&
				    (int)(seg->flags & PF_X) == wanted &&
				    fits(other, seg, bias_out))
					return 0;
		}
	return -ENOENT;
}
