/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The section table. It only helps: where it is absent or broken, everything
 * that counts is found through segments.
 */
#include "elf/image.h"

#include <errno.h>

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
