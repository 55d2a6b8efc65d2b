/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Opens and maps an ELF file and answers what lies at an address.
 *
 * libelf reads the headers; the bytes behind them are windows into the one
 * mapping, so a page nobody asks for is never touched.
 */
#include "elf/image.h"

#include <errno.h>
#include <fcntl.h>
#include <gelf.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/limits.h"

/* Checks identity, class, order and machine before libelf sees the bytes. */
static int check_header(struct gj_image *image, struct gj_diag *diag)
{
	Elf64_Ehdr ehdr;

	if (!gj_window_read(image->bytes, 0, &ehdr, SELFMAG) ||
	    memcmp(ehdr.e_ident, ELFMAG, SELFMAG))
		return gj_diag_set(diag, -EBADMSG, "%s: not an ELF file", image->path);
	if (!gj_window_read(image->bytes, 0, &ehdr, sizeof(ehdr)))
		return gj_diag_set(diag, -EBADMSG, "%s: ELF header is cut short at %zu bytes",
				   image->path, image->bytes.size_bytes);
	if (ehdr.e_ident[EI_CLASS] != ELFCLASS64 || ehdr.e_ident[EI_DATA] != ELFDATA2LSB)
		return gj_diag_set(diag, -EOPNOTSUPP,
				   "%s: not a 64-bit little-endian ELF file; amd64 and arm64 are supported",
				   image->path);
	if (ehdr.e_machine == EM_X86_64)
		image->arch = GJ_ARCH_AMD64;
	else if (ehdr.e_machine == EM_AARCH64)
		image->arch = GJ_ARCH_ARM64;
	else
		return gj_diag_set(diag, -EOPNOTSUPP,
				   "%s: built for ELF machine %u; amd64 (62) and arm64 (183) are supported",
				   image->path, ehdr.e_machine);
	image->type = ehdr.e_type;
	return 0;
}

/* Notes one PT_LOAD, its file part clipped to what the file really holds. */
static void add_segment(struct gj_image *image, const GElf_Phdr *phdr)
{
	struct gj_segment *seg = &image->segments[image->segment_cnt];

	*seg = (struct gj_segment){
		.va = phdr->p_vaddr,
		.memory_bytes = phdr->p_memsz,
		.file_off = phdr->p_offset,
		.flags = phdr->p_flags,
	};
	seg->file_bytes =
		gj_window_slice(image->bytes, phdr->p_offset, phdr->p_filesz).size_bytes;
	/* An address range that wraps round names no memory. */
	if (seg->memory_bytes > UINT64_MAX - seg->va || seg->file_bytes > UINT64_MAX - seg->va)
		return;
	image->segment_cnt++;
}

static int read_segments(struct gj_image *image, struct gj_diag *diag)
{
	size_t cnt = 0;

	if (elf_getphdrnum(image->elf, &cnt))
		return gj_diag_set(diag, -EBADMSG, "%s: broken ELF program headers: %s",
				   image->path, elf_errmsg(-1));
	if (cnt > GJ_MAX_SEGMENTS)
		return gj_diag_set(diag, -EBADMSG, "%s: %zu program headers, more than %d",
				   image->path, cnt, GJ_MAX_SEGMENTS);
	image->segments = calloc(cnt ? cnt : 1, sizeof(*image->segments));
	if (!image->segments)
		return -ENOMEM;
	for (size_t i = 0; i < cnt; i++) {
		GElf_Phdr phdr;

		if (!gelf_getphdr(image->elf, (int)i, &phdr))
			break;
		if (phdr.p_type == PT_LOAD)
			add_segment(image, &phdr);
		if (phdr.p_type == PT_INTERP)
			image->has_interp = true;
		if (phdr.p_type == PT_DYNAMIC) {
			image->dynamic_va = phdr.p_vaddr;
			image->dynamic_bytes = phdr.p_memsz;
		}
		if (phdr.p_type == PT_TLS) {
			image->has_tls = true;
			image->tls_bytes = phdr.p_memsz;
			image->tls_align = phdr.p_align;
		}
	}
	return 0;
}

static int open_image(struct gj_image *image, struct gj_diag *diag)
{
	int err = check_header(image, diag);

	if (err)
		return err;
	elf_version(EV_CURRENT);
	/* libelf takes a plain char *, but writes only where it was asked to change the file. */
	image->elf = elf_memory((char *)(uintptr_t)image->bytes.base, image->bytes.size_bytes);
	if (!image->elf)
		return gj_diag_set(diag, -EBADMSG, "%s: broken ELF header: %s", image->path,
				   elf_errmsg(-1));
	err = read_segments(image, diag);
	if (err)
		return err;
	/* No section table is no error: packers and strippers drop it. */
	if (elf_getshdrnum(image->elf, &image->section_cnt) ||
	    elf_getshdrstrndx(image->elf, &image->shstrndx))
		image->section_cnt = 0;
	if (image->section_cnt > GJ_MAX_SECTIONS)
		image->section_cnt = GJ_MAX_SECTIONS;
	gj_image_find_notes(image);
	return 0;
}

int gj_image_open_bytes(struct gj_window bytes, const char *label, struct gj_image **image_out,
			struct gj_diag *diag)
{
	struct gj_image *image = calloc(1, sizeof(*image));
	int err;

	if (!image)
		return gj_diag_set(diag, -ENOMEM, "%s: out of memory", label);
	image->bytes = bytes;
	image->path = strdup(label);
	err = image->path ? open_image(image, diag) : -ENOMEM;
	if (err) {
		gj_image_close(image);
		return gj_diag_set(diag, err, "%s: out of memory", label);
	}
	*image_out = image;
	return 0;
}

/* Maps the whole file read-only; the descriptor is not kept. */
static int map_file(const char *path, struct gj_window *bytes_out, struct gj_diag *diag)
{
	struct stat st;
	void *map;
	int err = 0;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	if (fd < 0)
		return gj_diag_set(diag, -errno, "%s: %s", path, strerror(errno));
	if (fstat(fd, &st)) {
		err = gj_diag_set(diag, -errno, "%s: %s", path, strerror(errno));
	} else if (!S_ISREG(st.st_mode)) {
		err = gj_diag_set(diag, S_ISDIR(st.st_mode) ? -EISDIR : -EBADMSG,
				  "%s: not a regular file", path);
	} else if (st.st_size == 0) {
		err = gj_diag_set(diag, -EBADMSG, "%s: the file is empty", path);
	} else {
		map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
		if (map == MAP_FAILED)
			err = gj_diag_set(diag, -errno, "%s: cannot map: %s", path,
					  strerror(errno));
		else
			*bytes_out = (struct gj_window){ map, (size_t)st.st_size };
	}
	close(fd);
	return err;
}

int gj_image_open(const char *path, struct gj_image **image_out, struct gj_diag *diag)
{
	struct gj_window bytes;
	int err = map_file(path, &bytes, diag);

	if (err)
		return err;
	/* Look-ups jump about: read-ahead would only bring pages nobody wants. */
	madvise((void *)(uintptr_t)bytes.base, bytes.size_bytes, MADV_RANDOM);
	err = gj_image_open_bytes(bytes, path, image_out, diag);
	if (err)
		munmap((void *)(uintptr_t)bytes.base, bytes.size_bytes);
	else
		(*image_out)->is_mapped = true;
	return err;
}

void gj_image_close(struct gj_image *image)
{
	if (!image)
		return;
	elf_end(image->elf);
	if (image->is_mapped)
		munmap((void *)(uintptr_t)image->bytes.base, image->bytes.size_bytes);
	free(image->segments);
	free(image->path);
	free(image);
}

const char *gj_image_path(const struct gj_image *image)
{
	return image->path;
}

struct gj_window gj_image_bytes(const struct gj_image *image)
{
	return image->bytes;
}

enum gj_arch gj_image_arch(const struct gj_image *image)
{
	return image->arch;
}

bool gj_image_is_dyn(const struct gj_image *image)
{
	return image->type == ET_DYN;
}

bool gj_image_has_interp(const struct gj_image *image)
{
	return image->has_interp;
}

const struct gj_segment *gj_image_segment(const struct gj_image *image, unsigned int index)
{
	return index < image->segment_cnt ? &image->segments[index] : NULL;
}

struct gj_window gj_image_at(const struct gj_image *image, uint64_t va)
{
	for (unsigned int i = 0; i < image->segment_cnt; i++) {
		const struct gj_segment *seg = &image->segments[i];

		if (va >= seg->va && va - seg->va < seg->file_bytes)
			return gj_window_slice(image->bytes, seg->file_off + (va - seg->va),
					       seg->file_bytes - (va - seg->va));
	}
	return (struct gj_window){ NULL, 0 };
}

int gj_image_off_to_va(const struct gj_image *image, uint64_t file_off, uint64_t *va_out)
{
	for (unsigned int i = 0; i < image->segment_cnt; i++) {
		const struct gj_segment *seg = &image->segments[i];

		if (file_off >= seg->file_off && file_off - seg->file_off < seg->file_bytes) {
			*va_out = seg->va + (file_off - seg->file_off);
			return 0;
		}
	}
	return -ENOENT;
}

int gj_image_va_to_off(const struct gj_image *image, uint64_t va, uint64_t *file_off_out)
{
	for (unsigned int i = 0; i < image->segment_cnt; i++) {
		const struct gj_segment *seg = &image->segments[i];

		if (va >= seg->va && va - seg->va < seg->file_bytes) {
			*file_off_out = seg->file_off + (va - seg->va);
			return 0;
		}
	}
	return -ENOENT;
}

int gj_image_tls(const struct gj_image *image, uint64_t *memory_bytes_out, uint64_t *align_out)
{
	if (!image->has_tls)
		return -ENOENT;
	*memory_bytes_out = image->tls_bytes;
	*align_out = image->tls_align;
	return 0;
}
