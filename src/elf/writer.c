/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Writes an ELF file that goes with an image: a debug file, or a whole copy
 * with sections added.
 *
 *   debug file   ELF header, program headers, notes, added sections,
 *                .shstrtab, section headers
 *   whole copy   the image's bytes, added sections, .shstrtab, section headers
 *
 * Both keep the numbers of the image's sections: perf looks a symbol's section
 * up in the stripped file by the number it has in the debug file (linux
 * tools/perf/util/symbol-elf.c, dso__load_sym_internal). A section that is
 * gone leaves an inactive header (SHT_NULL) behind.
 */
#include "elf/image.h"

#include <errno.h>
#include <gelf.h>
#include <unistd.h>

#include "base/buf.h"

#define ADDED_ALIGN 8

struct writer {
	const struct gj_image *image;
	int fd;
	bool with_code;
	Elf *elf;
	Elf64_Ehdr ehdr;
	struct gj_buf names;
	uint64_t end_off; /* where the next bytes go */
};

static int elf_failed(const struct writer *writer, struct gj_diag *diag)
{
	return gj_diag_set(diag, -EIO, "cannot write the ELF file made from %s: %s",
			   gj_image_path(writer->image), elf_errmsg(-1));
}

static uint64_t align_up(uint64_t off, uint64_t align)
{
	return align > 1 ? (off + align - 1) / align * align : off;
}

/* Appends a section as @shdr says; its name and, where there are bytes, their place are set here. */
static int put_section(struct writer *writer, const char *name, Elf64_Shdr *shdr,
		       struct gj_window bytes, bool compress, struct gj_diag *diag)
{
	Elf_Scn *scn = elf_newscn(writer->elf);
	Elf_Data *data = NULL;

	shdr->sh_name = (Elf64_Word)writer->names.size_bytes;
	gj_buf_add(&writer->names, name, strlen(name) + 1);
	if (!scn)
		return elf_failed(writer, diag);
	if (bytes.size_bytes) {
		data = elf_newdata(scn);
		if (!data)
			return elf_failed(writer, diag);
		data->d_buf = (void *)(uintptr_t)bytes.base;
		data->d_size = bytes.size_bytes;
		data->d_type = ELF_T_BYTE;
		data->d_version = EV_CURRENT;
		data->d_align = 1;
		shdr->sh_size = bytes.size_bytes;
	}
	if (!gelf_update_shdr(scn, (GElf_Shdr *)shdr))
		return elf_failed(writer, diag);
	if (data && compress && elf_compress(scn, ELFCOMPRESS_ZLIB, 0) < 0)
		return elf_failed(writer, diag);
	if (!gelf_getshdr(scn, (GElf_Shdr *)shdr))
		return elf_failed(writer, diag);
	if (data) {
		shdr->sh_offset = align_up(writer->end_off, shdr->sh_addralign);
		writer->end_off = shdr->sh_offset + shdr->sh_size;
	}
	return gelf_update_shdr(scn, (GElf_Shdr *)shdr) ? 0 : elf_failed(writer, diag);
}

/* Symbols and debug information of the image: the added sections replace them. */
static bool is_replaced(const char *name, uint32_t type)
{
	static const char *const prefixes[] = { ".debug_", ".zdebug_", ".gnu_debuglink",
						".strtab", ".shstrtab" };

	for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++)
		if (!strncmp(name, prefixes[i], strlen(prefixes[i])))
			return true;
	return type == SHT_SYMTAB || type == SHT_SYMTAB_SHNDX;
}

static int read_header(const struct gj_image *image, unsigned int index, Elf64_Shdr *shdr_out)
{
	return gj_window_read(image->headers, (uint64_t)index * sizeof(*shdr_out), shdr_out,
			      sizeof(*shdr_out)) ? 0 : -ENOENT;
}

/* How many of the image's sections are kept: up to the last that is in memory, or all. */
static unsigned int kept_sections(const struct gj_image *image, bool with_code)
{
	unsigned int cnt = 1;
	Elf64_Shdr shdr;

	for (unsigned int i = 1; !read_header(image, i, &shdr); i++)
		if (with_code || shdr.sh_flags & SHF_ALLOC)
			cnt = i + 1;
	return cnt;
}

static int keep_section(struct writer *writer, unsigned int index, struct gj_diag *diag)
{
	struct gj_window none = { NULL, 0 }, bytes = none;
	struct gj_section section;
	Elf64_Shdr shdr;
	bool is_alloc;

	if (gj_image_section(writer->image, index, &section) ||
	    read_header(writer->image, index, &shdr))
		return -ENOENT;
	is_alloc = shdr.sh_flags & SHF_ALLOC;
	bytes = gj_image_section_bytes(writer->image, &section);
	if ((!is_alloc && (!writer->with_code || is_replaced(section.name, section.type))) ||
	    (writer->with_code && shdr.sh_type != SHT_NOBITS && bytes.size_bytes != shdr.sh_size)) {
		/* libelf fills the file from where a section without bytes stands. */
		shdr = (Elf64_Shdr){ .sh_type = SHT_NULL, .sh_offset = writer->end_off };
		return put_section(writer, "", &shdr, none, false, diag);
	}
	if (writer->with_code)
		return put_section(writer, section.name, &shdr, none, false, diag);
	if (shdr.sh_type == SHT_NOTE)
		return put_section(writer, section.name, &shdr, bytes, false, diag);
	shdr.sh_type = SHT_NOBITS;
	return put_section(writer, section.name, &shdr, none, false, diag);
}

/* A section for each segment, where the image has no section headers. */
static int make_sections(struct writer *writer, struct gj_diag *diag)
{
	struct gj_window none = { NULL, 0 };
	int err = 0;

	for (unsigned int i = 0; !err && i < writer->image->segment_cnt; i++) {
		const struct gj_segment *seg = &writer->image->segments[i];
		const char *name = seg->flags & PF_X ? ".text" :
				   seg->flags & PF_W ? ".data" : ".rodata";
		Elf64_Shdr shdr = {
			.sh_type = writer->with_code ? SHT_PROGBITS : SHT_NOBITS,
			.sh_flags = SHF_ALLOC | (seg->flags & PF_X ? SHF_EXECINSTR : 0) |
				    (seg->flags & PF_W ? SHF_WRITE : 0),
			.sh_addr = seg->va,
			.sh_offset = seg->file_off,
			.sh_size = writer->with_code ? seg->file_bytes : seg->memory_bytes,
			.sh_addralign = 1,
		};

		err = put_section(writer, name, &shdr, none, false, diag);
	}
	return err;
}

uint16_t gj_elf_section_at(const struct gj_image *image, uint64_t va)
{
	Elf64_Shdr shdr;

	if (!image->headers.size_bytes) {
		for (unsigned int i = 0; i < image->segment_cnt; i++)
			if (va >= image->segments[i].va &&
			    va - image->segments[i].va < image->segments[i].memory_bytes)
				return (uint16_t)(i + 1);
		return SHN_ABS;
	}
	for (unsigned int i = 1; i < SHN_LORESERVE && !read_header(image, i, &shdr); i++)
		if (shdr.sh_flags & SHF_ALLOC && !(shdr.sh_flags & SHF_TLS) &&
		    va >= shdr.sh_addr && va - shdr.sh_addr < shdr.sh_size)
			return (uint16_t)i;
	return SHN_ABS;
}

static int put_sections(struct writer *writer, const struct gj_new_section *added,
			size_t added_cnt, struct gj_diag *diag)
{
	unsigned int kept_cnt = kept_sections(writer->image, writer->with_code);
	int err = 0;

	if (!writer->image->headers.size_bytes)
		err = make_sections(writer, diag);
	for (unsigned int i = 1; !err && i < kept_cnt; i++)
		err = keep_section(writer, i, diag);
	for (size_t i = 0; !err && i < added_cnt; i++) {
		Elf64_Shdr shdr = {
			.sh_type = added[i].type,
			.sh_info = added[i].info,
			.sh_entsize = added[i].entry_bytes,
			.sh_addralign = added[i].align,
		};

		if (added[i].is_symbol_table) {
			size_t cnt;

			if (elf_getshdrnum(writer->elf, &cnt))
				return elf_failed(writer, diag);
			shdr.sh_link = (Elf64_Word)(cnt ? cnt + 1 : 2);
		}
		err = put_section(writer, added[i].name, &shdr, added[i].bytes,
				  added[i].compress, diag);
	}
	return err;
}

/* .shstrtab, with its own name in it, and the number of it in the ELF header. */
static int put_names(struct writer *writer, struct gj_diag *diag)
{
	static const char own_name[] = ".shstrtab";
	Elf64_Shdr shdr = { .sh_type = SHT_STRTAB, .sh_addralign = 1 };
	struct gj_window bytes;
	size_t cnt;
	int err;

	/* put_section would move the buffer when it adds a name. */
	gj_buf_reserve(&writer->names, sizeof(own_name));
	bytes = (struct gj_window){ (const uint8_t *)writer->names.data,
				    writer->names.size_bytes + sizeof(own_name) };
	err = put_section(writer, own_name, &shdr, bytes, false, diag);
	if (err)
		return err;
	if (writer->names.failed)
		return gj_diag_set(diag, -ENOMEM, "out of memory");
	if (elf_getshdrnum(writer->elf, &cnt))
		return elf_failed(writer, diag);
	if (cnt >= SHN_LORESERVE)
		return gj_diag_set(diag, -E2BIG, "%s: %zu sections are too many",
				   gj_image_path(writer->image), cnt);
	writer->ehdr.e_shstrndx = (Elf64_Half)(cnt - 1);
	return 0;
}

/* Where the notes of a PT_NOTE segment stand in a debug file; unchanged where they are not carried. */
static uint64_t note_off(const struct writer *writer, const Elf64_Phdr *phdr)
{
	Elf_Scn *scn = NULL;
	GElf_Shdr shdr;

	while ((scn = elf_nextscn(writer->elf, scn)))
		if (gelf_getshdr(scn, &shdr) && shdr.sh_type == SHT_NOTE &&
		    shdr.sh_addr == phdr->p_vaddr)
			return shdr.sh_offset;
	return phdr->p_offset;
}

static int put_segments(struct writer *writer, uint64_t source_off, struct gj_diag *diag)
{
	for (int i = 0; i < writer->ehdr.e_phnum; i++) {
		Elf64_Phdr phdr;

		if (!gj_window_read(writer->image->bytes,
				    source_off + (uint64_t)i * sizeof(phdr), &phdr, sizeof(phdr)))
			return gj_diag_set(diag, -EBADMSG,
					   "%s: its ELF program headers are broken or cut off",
					   gj_image_path(writer->image));
		if (phdr.p_type == PT_NOTE && !writer->with_code)
			phdr.p_offset = note_off(writer, &phdr);
		if (!gelf_update_phdr(writer->elf, i, (GElf_Phdr *)&phdr))
			return elf_failed(writer, diag);
	}
	return 0;
}

/* The image's own bytes behind the ELF header: code, data and whatever no section covers. */
static int copy_image(const struct writer *writer, struct gj_diag *diag)
{
	struct gj_window bytes = writer->image->bytes;
	uint64_t off = sizeof(Elf64_Ehdr);

	while (off < bytes.size_bytes) {
		ssize_t cnt = pwrite(writer->fd, bytes.base + off, bytes.size_bytes - off,
				     (off_t)off);

		if (cnt < 0 && errno == EINTR)
			continue;
		if (cnt <= 0)
			return gj_diag_set(diag, cnt ? -errno : -EIO, "cannot write a copy of %s: %s",
					   gj_image_path(writer->image),
					   strerror(cnt ? errno : EIO));
		off += (uint64_t)cnt;
	}
	return 0;
}

static int begin_file(struct writer *writer, struct gj_diag *diag)
{
	uint64_t phdrs_end;

	writer->elf = elf_version(EV_CURRENT) == EV_NONE ? NULL :
							 elf_begin(writer->fd, ELF_C_WRITE, NULL);
	if (!writer->elf || !gelf_newehdr(writer->elf, ELFCLASS64))
		return elf_failed(writer, diag);
	/* The layout is ours: offsets of the image stay as they are. */
	elf_flagelf(writer->elf, ELF_C_SET, ELF_F_LAYOUT);
	if (!writer->with_code)
		writer->ehdr.e_phoff = sizeof(Elf64_Ehdr);
	/* Compressing wants to know the byte order. */
	if (!gelf_update_ehdr(writer->elf, (GElf_Ehdr *)&writer->ehdr))
		return elf_failed(writer, diag);
	if (writer->ehdr.e_phnum && !gelf_newphdr(writer->elf, writer->ehdr.e_phnum))
		return elf_failed(writer, diag);
	phdrs_end = writer->ehdr.e_phoff + (uint64_t)writer->ehdr.e_phnum * sizeof(Elf64_Phdr);
	writer->end_off = align_up(writer->with_code ? writer->image->bytes.size_bytes : phdrs_end,
				   ADDED_ALIGN);
	gj_buf_chr(&writer->names, '\0');
	return 0;
}

int gj_elf_write(const struct gj_image *image, int fd, const struct gj_new_section *added,
		 size_t added_cnt, bool with_code, struct gj_diag *diag)
{
	struct writer writer = { .image = image, .fd = fd, .with_code = with_code };
	uint64_t phdrs_off;
	int err;

	if (!gj_window_read(image->bytes, 0, &writer.ehdr, sizeof(writer.ehdr)))
		return -EBADMSG;
	phdrs_off = writer.ehdr.e_phoff;
	err = begin_file(&writer, diag);
	if (!err)
		err = put_sections(&writer, added, added_cnt, diag);
	if (!err)
		err = put_names(&writer, diag);
	if (!err)
		err = put_segments(&writer, phdrs_off, diag);
	if (err)
		goto out;
	writer.ehdr.e_shoff = align_up(writer.end_off, ADDED_ALIGN);
	if (!gelf_update_ehdr(writer.elf, (GElf_Ehdr *)&writer.ehdr) ||
	    elf_update(writer.elf, ELF_C_WRITE) < 0)
		err = elf_failed(&writer, diag);
	if (!err && with_code)
		err = copy_image(&writer, diag);
out:
	if (writer.elf)
		elf_end(writer.elf);
	gj_buf_deinit(&writer.names);
	return err;
}
