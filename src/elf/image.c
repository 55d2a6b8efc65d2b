/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Opens and maps an ELF file and answers what lies at an address.
 *
 * Headers are read here rather than by libelf: its descriptors are filled while
 * they are read, which neither threads nor hostile files may share. The bytes
 * behind the headers are windows into the one mapping, so a page nobody asks
 * for is never touched.
 */
#include "elf/image.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/limits.h"

/* Identity, class, byte order and machine. */
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
static void add_segment(struct gj_image *image, const Elf64_Phdr *phdr)
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
	if (phdr->p_filesz <= UINT64_MAX - phdr->p_offset &&
	    phdr->p_offset + phdr->p_filesz > image->wanted_bytes)
		image->wanted_bytes = phdr->p_offset + phdr->p_filesz;
}

static void take_segment(struct gj_image *image, const Elf64_Phdr *phdr)
{
	switch (phdr->p_type) {
	case PT_LOAD:
		add_segment(image, phdr);
		break;
	case PT_INTERP:
		image->has_interp = true;
		break;
	case PT_DYNAMIC:
		image->dynamic_va = phdr->p_vaddr;
		image->dynamic_bytes = phdr->p_memsz;
		break;
	case PT_TLS:
		image->has_tls = true;
		image->tls_bytes = phdr->p_memsz;
		image->tls_align = phdr->p_align;
		break;
	case PT_NOTE:
		gj_image_read_notes(image, gj_window_slice(image->bytes, phdr->p_offset,
							   phdr->p_filesz));
		break;
	}
}

/* How many program headers there are; a number too big for the header stands in section 0. */
static uint64_t count_segments(const struct gj_image *image, const Elf64_Ehdr *ehdr)
{
	Elf64_Shdr shdr;

	if (ehdr->e_phnum != PN_XNUM || ehdr->e_shoff == 0 ||
	    !gj_window_read(image->bytes, ehdr->e_shoff, &shdr, sizeof(shdr)))
		return ehdr->e_phnum;
	return shdr.sh_info;
}

static int read_segments(struct gj_image *image, struct gj_diag *diag)
{
	Elf64_Ehdr ehdr;
	Elf64_Phdr phdr;
	uint64_t cnt;

	if (!gj_window_read(image->bytes, 0, &ehdr, sizeof(ehdr)))
		return -EBADMSG;
	cnt = count_segments(image, &ehdr);
	if (cnt > GJ_MAX_SEGMENTS)
		return gj_diag_set(diag, -EBADMSG, "%s: %llu program headers, more than %d",
				   image->path, (unsigned long long)cnt, GJ_MAX_SEGMENTS);
	if (cnt && (ehdr.e_phentsize != sizeof(phdr) ||
		    !gj_window_holds(image->bytes, ehdr.e_phoff, cnt * sizeof(phdr))))
		return gj_diag_set(diag, -EBADMSG,
				   "%s: its ELF program headers are broken or cut off", image->path);
	image->segments = calloc(cnt ? cnt : 1, sizeof(*image->segments));
	if (!image->segments)
		return -ENOMEM;
	for (uint64_t i = 0; i < cnt; i++)
		if (gj_window_read(image->bytes, ehdr.e_phoff + i * sizeof(phdr), &phdr,
				   sizeof(phdr)))
			take_segment(image, &phdr);
	return 0;
}

/* Go's linker leaves .note.gnu.build-id outside PT_NOTE. */
static void read_note_sections(struct gj_image *image)
{
	static const char *const names[] = { ".note.gnu.build-id", ".note.go.buildid" };
	struct gj_section section;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (!gj_image_find_section(image, names[i], &section))
			gj_image_read_notes(image, gj_image_section_bytes(image, &section));
}

static int open_image(struct gj_image *image, struct gj_diag *diag)
{
	int err = check_header(image, diag);

	if (!err)
		err = read_segments(image, diag);
	if (err)
		return err;
	gj_image_read_sections(image);
	gj_image_read_symbols(image);
	gj_image_read_relas(image);
	read_note_sections(image);
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
		/*
		 * Shared: into private mappings of a file, ours too, the kernel writes the
		 * breakpoints of its uprobes (kernel/events/uprobes.c, valid_vma).
		 */
		map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
		if (map == MAP_FAILED && errno == ENODEV) /* FUSE with direct_io */
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

void gj_image_forget(const struct gj_image *image, struct gj_window bytes)
{
	uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
	uintptr_t begin = ((uintptr_t)bytes.base + page - 1) & ~(page - 1);
	uintptr_t end = ((uintptr_t)bytes.base + bytes.size_bytes) & ~(page - 1);

	if (image->is_mapped && end > begin)
		madvise((void *)begin, end - begin, MADV_DONTNEED);
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

bool gj_image_is_cut(const struct gj_image *image)
{
	return image->wanted_bytes > image->bytes.size_bytes;
}

int gj_image_tls(const struct gj_image *image, uint64_t *memory_bytes_out, uint64_t *align_out)
{
	if (!image->has_tls)
		return -ENOENT;
	*memory_bytes_out = image->tls_bytes;
	*align_out = image->tls_align;
	return 0;
}
