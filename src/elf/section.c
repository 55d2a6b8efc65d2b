/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The section table. It only helps: where it is absent or broken, everything
 * that counts is found through segments.
 */
#include "elf/image.h"

#include <errno.h>
#include <zlib.h>

#include "base/limits.h"

static bool read_header(const struct gj_image *image, uint64_t index, Elf64_Shdr *shdr_out)
{
	return gj_window_read(image->headers, index * sizeof(*shdr_out), shdr_out,
			      sizeof(*shdr_out));
}

void gj_image_read_sections(struct gj_image *image)
{
	Elf64_Ehdr ehdr;
	Elf64_Shdr shdr;
	uint64_t cnt, name_index;

	if (!gj_window_read(image->bytes, 0, &ehdr, sizeof(ehdr)) || ehdr.e_shoff == 0 ||
	    ehdr.e_shentsize != sizeof(shdr) ||
	    !gj_window_read(image->bytes, ehdr.e_shoff, &shdr, sizeof(shdr)))
		return;
	/* Numbers that do not fit the header stand in section 0 (ELF-64, "Section Header"). */
	cnt = ehdr.e_shnum ? ehdr.e_shnum : shdr.sh_size;
	name_index = ehdr.e_shstrndx == SHN_XINDEX ? shdr.sh_link : ehdr.e_shstrndx;
	if (cnt > GJ_MAX_SECTIONS)
		cnt = GJ_MAX_SECTIONS;
	if (!gj_window_holds(image->bytes, ehdr.e_shoff, cnt * sizeof(shdr)))
		return;
	image->headers = gj_window_slice(image->bytes, ehdr.e_shoff, cnt * sizeof(shdr));
	if (read_header(image, name_index, &shdr) && shdr.sh_type != SHT_NOBITS)
		image->header_names = gj_window_slice(image->bytes, shdr.sh_offset, shdr.sh_size);
}

int gj_image_section(const struct gj_image *image, unsigned int index,
		     struct gj_section *section_out)
{
	const char *name;
	Elf64_Shdr shdr;

	if (!read_header(image, index, &shdr))
		return -ENOENT;
	name = gj_window_string(image->header_names, shdr.sh_name);
	*section_out = (struct gj_section){
		.name = name ? name : "",
		.index = index,
		.type = shdr.sh_type,
		.link = shdr.sh_link,
		.flags = shdr.sh_flags,
		.va = shdr.sh_addr,
		.file_off = shdr.sh_offset,
		.size_bytes = shdr.sh_size,
	};
	return 0;
}

int gj_image_find_section(const struct gj_image *image, const char *name,
			  struct gj_section *section_out)
{
	size_t name_bytes = strlen(name) + 1;
	Elf64_Shdr shdr;

	for (unsigned int i = 1; read_header(image, i, &shdr); i++)
		if (gj_window_holds(image->header_names, shdr.sh_name, name_bytes) &&
		    !memcmp(image->header_names.base + shdr.sh_name, name, name_bytes))
			return gj_image_section(image, i, section_out);
	return -ENOENT;
}

struct gj_window gj_image_section_bytes(const struct gj_image *image,
					const struct gj_section *section)
{
	if (section->type == SHT_NOBITS)
		return (struct gj_window){ NULL, 0 };
	return gj_window_slice(image->bytes, section->file_off, section->size_bytes);
}

/* The first bytes that a zlib stream holds. */
static ssize_t inflate_head(struct gj_window packed, void *to, size_t size_bytes)
{
	z_stream stream = { 0 };
	int got;

	if (inflateInit(&stream) != Z_OK)
		return -ENOMEM;
	/* zlib counts in 32 bits; more input than output never helps. */
	packed = gj_window_slice(packed, 0, UINT32_MAX);
	stream.next_in = (Bytef *)(uintptr_t)packed.base;
	stream.avail_in = (uInt)packed.size_bytes;
	stream.next_out = to;
	stream.avail_out = (uInt)size_bytes;
	got = inflate(&stream, Z_SYNC_FLUSH);
	inflateEnd(&stream);
	return got == Z_OK || got == Z_STREAM_END ? (ssize_t)(size_bytes - stream.avail_out) :
						   -EBADMSG;
}

ssize_t gj_image_section_head(const struct gj_image *image, const struct gj_section *section,
			      void *to, size_t size_bytes)
{
	struct gj_window bytes = gj_image_section_bytes(image, section);
	Elf64_Chdr chdr;

	if (size_bytes > UINT32_MAX)
		size_bytes = UINT32_MAX;
	if (section->flags & SHF_COMPRESSED) {
		if (!gj_window_read(bytes, 0, &chdr, sizeof(chdr)))
			return -EBADMSG;
		if (chdr.ch_type != ELFCOMPRESS_ZLIB)
			return -EOPNOTSUPP;
		return inflate_head(gj_window_slice(bytes, sizeof(chdr), UINT64_MAX), to,
				    size_bytes);
	}
	/* The older form: "ZLIB", the size in eight bytes, the stream. */
	if (!strncmp(section->name, ".zdebug", 7) && gj_window_holds(bytes, 0, 12) &&
	    !memcmp(bytes.base, "ZLIB", 4))
		return inflate_head(gj_window_slice(bytes, 12, UINT64_MAX), to, size_bytes);
	bytes = gj_window_slice(bytes, 0, size_bytes);
	if (bytes.size_bytes)
		memcpy(to, bytes.base, bytes.size_bytes);
	return (ssize_t)bytes.size_bytes;
}
