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
 *
 * Not by libelf: it insists on filling what lies between the sections it
 * knows, over the bytes of a whole copy and, where a section has no bytes, over
 * the ELF header; and it crashes when memory runs out (elfutils 0.188,
 * gelf_update_shdr after a failed elf_newscn).
 */
#include "elf/image.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>
#include <zlib.h>

#include "base/buf.h"

#define ADDED_ALIGN 8

struct writer {
	const struct gj_image *image;
	int fd;
	bool with_code;
	struct gj_buf headers; /* Elf64_Shdr entries */
	struct gj_buf names;   /* .shstrtab */
	uint64_t end_off;      /* where the next bytes go */
	struct gj_diag *diag;
};

static uint64_t align_up(uint64_t off, uint64_t align)
{
	return align > 1 ? (off + align - 1) / align * align : off;
}

static int put_bytes(const struct writer *writer, uint64_t off, const void *bytes,
		     size_t size_bytes)
{
	while (size_bytes) {
		ssize_t cnt = pwrite(writer->fd, bytes, size_bytes, (off_t)off);

		if (cnt < 0 && errno == EINTR)
			continue;
		if (cnt <= 0) {
			int err = cnt ? errno : EIO;

			return gj_diag_set(writer->diag, -err,
					   "cannot write the ELF file made from %s: %s",
					   gj_image_path(writer->image), strerror(err));
		}
		bytes = (const uint8_t *)bytes + cnt;
		off += (uint64_t)cnt;
		size_bytes -= (size_t)cnt;
	}
	return 0;
}

/* A section whose bytes are elsewhere or already there: only its header is written. */
static void add_header(struct writer *writer, const char *name, Elf64_Shdr shdr)
{
	shdr.sh_name = (Elf64_Word)writer->names.size_bytes;
	gj_buf_add(&writer->names, name, strlen(name) + 1);
	gj_buf_add(&writer->headers, &shdr, sizeof(shdr));
}

static unsigned int header_cnt(const struct writer *writer)
{
	return (unsigned int)(writer->headers.size_bytes / sizeof(Elf64_Shdr));
}

/* A section with its bytes, behind what has been written so far. */
static int add_section(struct writer *writer, const char *name, Elf64_Shdr shdr,
		       struct gj_window bytes)
{
	shdr.sh_offset = align_up(writer->end_off, shdr.sh_addralign);
	shdr.sh_size = bytes.size_bytes;
	writer->end_off = shdr.sh_offset + shdr.sh_size;
	add_header(writer, name, shdr);
	return put_bytes(writer, shdr.sh_offset, bytes.base, bytes.size_bytes);
}

/* The same as a zlib stream behind an Elf64_Chdr, where that is shorter (ELF-64, "Section Compression"). */
static int add_compressed(struct writer *writer, const char *name, Elf64_Shdr shdr,
			  struct gj_window bytes)
{
	Elf64_Chdr chdr = {
		.ch_type = ELFCOMPRESS_ZLIB,
		.ch_size = bytes.size_bytes,
		.ch_addralign = shdr.sh_addralign,
	};
	uLongf packed_bytes = compressBound(bytes.size_bytes);
	uint8_t *packed = malloc(sizeof(chdr) + packed_bytes);
	int err = -ENOMEM;

	if (packed && compress(packed + sizeof(chdr), &packed_bytes, bytes.base,
			       bytes.size_bytes) == Z_OK) {
		memcpy(packed, &chdr, sizeof(chdr));
		packed_bytes += sizeof(chdr);
		if (packed_bytes < bytes.size_bytes) {
			bytes = (struct gj_window){ packed, packed_bytes };
			shdr.sh_flags |= SHF_COMPRESSED;
			shdr.sh_addralign = ADDED_ALIGN;
		}
		err = add_section(writer, name, shdr, bytes);
	}
	free(packed);
	return err;
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

static int keep_section(struct writer *writer, unsigned int index)
{
	struct gj_section section;
	struct gj_window bytes;
	Elf64_Shdr shdr;

	if (gj_image_section(writer->image, index, &section) ||
	    read_header(writer->image, index, &shdr))
		return -ENOENT;
	if (!(shdr.sh_flags & SHF_ALLOC) &&
	    (!writer->with_code || is_replaced(section.name, section.type))) {
		add_header(writer, "", (Elf64_Shdr){ .sh_type = SHT_NULL });
		return 0;
	}
	bytes = gj_image_section_bytes(writer->image, &section);
	if (shdr.sh_type == SHT_NOTE && !writer->with_code) {
		if (shdr.sh_addralign > ADDED_ALIGN)
			shdr.sh_addralign = ADDED_ALIGN;
		return add_section(writer, section.name, shdr, bytes);
	}
	if (!writer->with_code)
		shdr.sh_type = SHT_NOBITS;
	add_header(writer, section.name, shdr);
	return 0;
}

/* A section for each segment, where the image has no section headers. */
static void make_sections(struct writer *writer)
{
	for (unsigned int i = 0; i < writer->image->segment_cnt; i++) {
		const struct gj_segment *seg = &writer->image->segments[i];
		const char *name = seg->flags & PF_X ? ".text" :
				   seg->flags & PF_W ? ".data" : ".rodata";

		add_header(writer, name, (Elf64_Shdr){
			.sh_type = writer->with_code ? SHT_PROGBITS : SHT_NOBITS,
			.sh_flags = SHF_ALLOC | (seg->flags & PF_X ? SHF_EXECINSTR : 0) |
				    (seg->flags & PF_W ? SHF_WRITE : 0),
			.sh_addr = seg->va,
			.sh_offset = seg->file_off,
			.sh_size = writer->with_code ? seg->file_bytes : seg->memory_bytes,
			.sh_addralign = 1,
		});
	}
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

static int add_sections(struct writer *writer, const struct gj_new_section *added,
			size_t added_cnt)
{
	unsigned int kept_cnt = kept_sections(writer->image, writer->with_code);
	int err = 0;

	add_header(writer, "", (Elf64_Shdr){ .sh_type = SHT_NULL });
	if (!writer->image->headers.size_bytes)
		make_sections(writer);
	for (unsigned int i = 1; !err && i < kept_cnt; i++)
		err = keep_section(writer, i);
	for (size_t i = 0; !err && i < added_cnt; i++) {
		Elf64_Shdr shdr = {
			.sh_type = added[i].type,
			.sh_link = added[i].is_symbol_table ? header_cnt(writer) + 1 : 0,
			.sh_info = added[i].info,
			.sh_entsize = added[i].entry_bytes,
			.sh_addralign = added[i].align,
		};

		err = added[i].compress && added[i].bytes.size_bytes ?
			      add_compressed(writer, added[i].name, shdr, added[i].bytes) :
			      add_section(writer, added[i].name, shdr, added[i].bytes);
	}
	return err;
}

/* .shstrtab, with its own name in it. */
static int add_names(struct writer *writer)
{
	static const char own_name[] = ".shstrtab";
	Elf64_Shdr shdr = {
		.sh_type = SHT_STRTAB,
		.sh_offset = writer->end_off,
		.sh_size = writer->names.size_bytes + sizeof(own_name),
		.sh_addralign = 1,
	};

	add_header(writer, own_name, shdr);
	writer->end_off += shdr.sh_size;
	if (writer->names.failed || writer->headers.failed)
		return -ENOMEM;
	return put_bytes(writer, shdr.sh_offset, writer->names.data, writer->names.size_bytes);
}

/* Where the notes of a PT_NOTE segment stand in a debug file; unchanged where they are not carried. */
static uint64_t note_off(const struct writer *writer, const Elf64_Phdr *phdr)
{
	const Elf64_Shdr *headers = (const Elf64_Shdr *)writer->headers.data;

	for (unsigned int i = 0; i < header_cnt(writer); i++)
		if (headers[i].sh_type == SHT_NOTE && headers[i].sh_addr == phdr->p_vaddr)
			return headers[i].sh_offset;
	return phdr->p_offset;
}

/* The program headers of a debug file, behind its ELF header. */
static int put_segments(const struct writer *writer, const Elf64_Ehdr *ehdr, uint64_t image_off)
{
	int err = 0;

	for (unsigned int i = 0; !err && i < ehdr->e_phnum; i++) {
		Elf64_Phdr phdr;

		if (!gj_window_read(writer->image->bytes, image_off + i * sizeof(phdr), &phdr,
				    sizeof(phdr)))
			return gj_diag_set(writer->diag, -EBADMSG,
					   "%s: its ELF program headers are broken or cut off",
					   gj_image_path(writer->image));
		if (phdr.p_type == PT_NOTE)
			phdr.p_offset = note_off(writer, &phdr);
		/* Readers go there for what it names; what is loaded they take from the sections. */
		if (phdr.p_type == PT_DYNAMIC || phdr.p_type == PT_INTERP)
			phdr.p_filesz = 0;
		err = put_bytes(writer, ehdr->e_phoff + i * sizeof(phdr), &phdr, sizeof(phdr));
	}
	return err;
}

/* The headers, which say where all the rest has been put. */
static int put_headers(struct writer *writer, Elf64_Ehdr ehdr)
{
	uint64_t image_off = ehdr.e_phoff;
	int err = 0;

	if (header_cnt(writer) >= SHN_LORESERVE)
		return gj_diag_set(writer->diag, -E2BIG, "%s: %u sections are too many",
				   gj_image_path(writer->image), header_cnt(writer));
	ehdr.e_shoff = align_up(writer->end_off, ADDED_ALIGN);
	ehdr.e_shentsize = sizeof(Elf64_Shdr);
	ehdr.e_shnum = (Elf64_Half)header_cnt(writer);
	ehdr.e_shstrndx = ehdr.e_shnum - 1;
	if (!writer->with_code) {
		ehdr.e_phoff = sizeof(ehdr);
		err = put_segments(writer, &ehdr, image_off);
	}
	if (!err)
		err = put_bytes(writer, ehdr.e_shoff, writer->headers.data,
				writer->headers.size_bytes);
	return err ? err : put_bytes(writer, 0, &ehdr, sizeof(ehdr));
}

int gj_elf_write(const struct gj_image *image, int fd, const struct gj_new_section *added,
		 size_t added_cnt, bool with_code, struct gj_diag *diag)
{
	struct writer writer = { .image = image, .fd = fd, .with_code = with_code, .diag = diag };
	Elf64_Ehdr ehdr;
	int err = 0;

	if (!gj_window_read(image->bytes, 0, &ehdr, sizeof(ehdr)))
		return -EBADMSG;
	writer.end_off = sizeof(ehdr) + ehdr.e_phnum * sizeof(Elf64_Phdr);
	if (with_code) {
		/* Code, data and whatever no section covers. */
		writer.end_off = align_up(image->bytes.size_bytes, ADDED_ALIGN);
		err = put_bytes(&writer, 0, image->bytes.base, image->bytes.size_bytes);
	}
	if (!err)
		err = add_sections(&writer, added, added_cnt);
	if (!err)
		err = add_names(&writer);
	if (!err)
		err = put_headers(&writer, ehdr);
	if (err == -ENOMEM)
		gj_diag_set(diag, err, "%s: out of memory", gj_image_path(image));
	gj_buf_deinit(&writer.headers);
	gj_buf_deinit(&writer.names);
	return err;
}
