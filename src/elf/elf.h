/* SPDX-License-Identifier: GPL-2.0 */
/*
 * One ELF file, mapped: segments, sections, symbols, notes, and the bytes
 * behind a link-time virtual address.
 *
 * Little-endian 64-bit x86-64 and AArch64 only. The file is mapped, not read;
 * a look-up touches the pages it needs and nothing else. Section headers may
 * be absent or wrong: segments are what counts, sections only help.
 *
 * An image is immutable after gj_image_open; any number of threads may read
 * one. All pointers returned live until gj_image_close.
 */
#ifndef GJ_ELF_H
#define GJ_ELF_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/cursor.h"
#include "base/err.h"

struct gj_image;

enum gj_arch {
	GJ_ARCH_AMD64 = 1,
	GJ_ARCH_ARM64 = 2,
};

/* A PT_LOAD segment. */
struct gj_segment {
	uint64_t va;
	uint64_t memory_bytes;
	uint64_t file_off;
	uint64_t file_bytes; /* clipped to the file's real size */
	uint32_t flags;      /* PF_R, PF_W, PF_X */
};

struct gj_section {
	const char *name;
	uint32_t index;
	uint32_t type;
	uint32_t link; /* sh_link: the string table of a symbol table */
	uint64_t flags;
	uint64_t va;
	uint64_t file_off;
	uint64_t size_bytes;
};

struct gj_elf_symbol {
	const char *name;
	uint64_t va;
	uint64_t size_bytes;
	uint8_t type; /* STT_* */
	uint8_t binding; /* STB_* */
	uint16_t section_index;
};

/*
 * gj_image_open - map an ELF file
 * @path: file to open; copied
 * @image_out: the image, owned by the caller until gj_image_close
 *
 * Returns 0, -ENOENT and other errors of open(2), -EBADMSG when the file is no
 * ELF file or its headers contradict each other, -EOPNOTSUPP for another
 * class, byte order or machine, -ENOMEM.
 */
int gj_image_open(const char *path, struct gj_image **image_out, struct gj_diag *diag);

/* The same over bytes in memory, which must outlive the image. @label stands for the path. */
int gj_image_open_bytes(struct gj_window bytes, const char *label, struct gj_image **image_out,
			struct gj_diag *diag);

void gj_image_close(struct gj_image *image); /* NULL allowed */

const char *gj_image_path(const struct gj_image *image);
struct gj_window gj_image_bytes(const struct gj_image *image); /* the whole file */
enum gj_arch gj_image_arch(const struct gj_image *image);
bool gj_image_is_dyn(const struct gj_image *image); /* ET_DYN: PIE, c-shared or plugin */
bool gj_image_has_interp(const struct gj_image *image); /* PT_INTERP: dynamically linked program */
bool gj_image_is_cut(const struct gj_image *image); /* shorter than its segments say */

/* Segment number @index in file order, or NULL. */
const struct gj_segment *gj_image_segment(const struct gj_image *image, unsigned int index);

/* -ENOENT when there is none (or no section table). */
int gj_image_find_section(const struct gj_image *image, const char *name,
			  struct gj_section *section_out);
/* Section number @index, -ENOENT past the last one. */
int gj_image_section(const struct gj_image *image, unsigned int index,
		     struct gj_section *section_out);

/*
 * The first @size_bytes of a section's contents, decompressed where they are
 * compressed with zlib (SHF_COMPRESSED, or .zdebug_* before Go 1.19). Returns
 * how many there are, or -EBADMSG, -EOPNOTSUPP for another compression, -ENOMEM.
 */
ssize_t gj_image_section_head(const struct gj_image *image, const struct gj_section *section,
			      void *to, size_t size_bytes);

/* Looks through .symtab, then .dynsym; linear. -ENOENT when there is none. */
int gj_image_find_symbol(const struct gj_image *image, const char *name,
			 struct gj_elf_symbol *symbol_out);
/* .symtab (or .dynsym where there is none) as a list: symbol @index, -ENOENT past the last. */
int gj_image_symbol(const struct gj_image *image, unsigned int index,
		    struct gj_elf_symbol *symbol_out);

/*
 * Functions of .symtab (or .dynsym where there is none) by address, for code
 * that Go's tables do not cover. Immutable; the image must outlive it.
 */
struct gj_symbol_index;

/* 0, -ENOMEM, -E2BIG beyond GJ_MAX_SYMBOLS. An image without symbols gives an empty index. */
int gj_symbol_index_new(const struct gj_image *image, struct gj_symbol_index **index_out);
void gj_symbol_index_free(struct gj_symbol_index *index); /* NULL allowed */
/* The function that holds @va; one without a size reaches to the next. -ENOENT when none does. */
int gj_symbol_index_find(const struct gj_symbol_index *index, uint64_t va,
			 struct gj_elf_symbol *symbol_out);

/* File bytes behind [va, end of its segment's file part); empty when not backed by the file. */
struct gj_window gj_image_at(const struct gj_image *image, uint64_t va);

/*
 * Drops pages of @bytes that a scan has brought into memory and that will not
 * be needed; reading them again brings them back.
 */
void gj_image_forget(const struct gj_image *image, struct gj_window bytes);

/* File offset <-> link-time virtual address through PT_LOAD. -ENOENT when in no segment. */
int gj_image_off_to_va(const struct gj_image *image, uint64_t file_off, uint64_t *va_out);
int gj_image_va_to_off(const struct gj_image *image, uint64_t va, uint64_t *file_off_out);

/*
 * The pointer-sized word at @va as it stands in a process whose load bias is
 * zero: the raw word, or, where that is 0, the addend of a relative relocation
 * for it (linkers that keep RELA addends out of the file). -ENOENT when @va is
 * not backed by the file.
 */
int gj_image_pointer(const struct gj_image *image, uint64_t va, uint64_t *value_out);

/*
 * Where linkers keep addends out of the file, words cannot be found by their
 * value nor tables be read in place. Both of these are -ENOENT in any other
 * image.
 */
/* The next word that points to @value; *rela_index starts at 0 and is moved on. */
int gj_image_find_pointer(const struct gj_image *image, uint64_t value, uint64_t *rela_index,
			  uint64_t *va_out);
/* [va, va + size) with its pointers filled in, to be freed by the caller; or -ENOMEM. */
int gj_image_copy_relocated(const struct gj_image *image, uint64_t va, uint64_t size_bytes,
			    uint8_t **copy_out);

/* The GNU build id (NT_GNU_BUILD_ID) as bytes, empty when there is none. */
struct gj_window gj_image_build_id(const struct gj_image *image);
/* Go's own build id (.note.go.buildid) as text bytes, empty when there is none. */
struct gj_window gj_image_go_build_id(const struct gj_image *image);

/* A section that gj_elf_write adds behind those of the image. */
struct gj_new_section {
	const char *name;
	uint32_t type;  /* SHT_* */
	uint32_t info;  /* sh_info */
	uint32_t entry_bytes;
	uint32_t align; /* in bytes */
	bool is_symbol_table; /* its strings are in the section added after it */
	bool compress;  /* zlib, SHF_COMPRESSED, where that makes it smaller */
	struct gj_window bytes; /* borrowed */
};

/*
 * gj_elf_write - write an ELF file that goes with an image
 * @fd: open for writing, empty; stays open
 * @added: @added_cnt sections; they take the place of the image's symbols and
 *         debug information
 * @with_code: true for a whole copy of the image, false for a debug file:
 *             notes and headers only, all other sections SHT_NOBITS
 *
 * Program headers and the number, address, size and file offset of every
 * section that is in memory are those of the image, because perf pairs the
 * sections of both files by number and takes offsets from either. An image
 * without section headers gets one section for each segment.
 *
 * Returns 0, -E2BIG when there are too many sections, -ENOMEM, or the error of
 * writing.
 */
int gj_elf_write(const struct gj_image *image, int fd, const struct gj_new_section *added,
		 size_t added_cnt, bool with_code, struct gj_diag *diag);

/* Number that section @index of the image, or the one that holds @va, has in such a file. */
uint16_t gj_elf_section_at(const struct gj_image *image, uint64_t va);

/*
 * Symbols from which libbpf finds places in a file: SEC("uprobe/FILE:SYMBOL+OFFSET"),
 * which stock bpftool attaches. The image must outlive it.
 */
struct gj_anchors;

/* 0, -ENOMEM, -E2BIG beyond GJ_MAX_SYMBOLS. Without symbols it is empty. */
int gj_anchors_new(const struct gj_image *image, struct gj_anchors **anchors_out);
void gj_anchors_free(struct gj_anchors *anchors); /* NULL allowed */
/*
 * gj_anchors_find - a symbol that libbpf of any version finds, near a place
 * @file_off: of the place
 * @name_out: of the function before it, or, where there is none, behind it;
 *            letters, digits, '_' and '.'
 * @delta_out: bytes from there to the place; below 0 when it stands behind
 *
 * -ENOENT when the file has no such symbol.
 */
int gj_anchors_find(const struct gj_anchors *anchors, uint64_t file_off, const char **name_out,
		    int64_t *delta_out);

/* A BPF object, open: parts of its bytes. */
struct gj_object {
	struct gj_window bytes;   /* borrowed */
	struct gj_window headers; /* whole Elf64_Shdr entries */
	struct gj_window names;   /* of sections */
	struct gj_window symbols, strings;
};

struct gj_object_symbol {
	const char *section; /* name of the section it is in */
	uint32_t section_index;
	uint64_t off;        /* there */
	uint64_t size_bytes;
};

/* -EBADMSG when @bytes, which must outlive it, are no BPF object. */
int gj_object_init(struct gj_window bytes, struct gj_object *object_out, struct gj_diag *diag);
/* -ENOENT. Empty where there is only a size (.bss). */
int gj_object_section(const struct gj_object *object, const char *name, struct gj_window *bytes_out);
/* A global symbol; -ENOENT, -EBADMSG when it is not within its section. */
int gj_object_symbol(const struct gj_object *object, const char *name,
		     struct gj_object_symbol *symbol_out);
/*
 * Of global data, and of the function called @function, a linker shall take the
 * first it meets. Changes @bytes, a copy of the object's.
 */
void gj_object_weaken(const struct gj_object *object, uint8_t *bytes, const char *function);

/* A function by itself: once more, in a section of its own. */
struct gj_object_copy {
	const char *function; /* in the object */
	const char *section;  /* the new one's name */
	const char *name;     /* the copy's */
};

/* What becomes different. All borrowed. */
struct gj_object_edit {
	const struct gj_object_copy *copies;
	size_t copy_cnt;
	const char *const *dropped; /* sections that are left out */
	size_t dropped_cnt;
	struct gj_object_bytes {
		const char *name;   /* of a section, which gets */
		struct gj_window bytes;
	} replaced[3];
	size_t replaced_cnt;
};

/* Also what begins with '?': libbpf loads it only when told to. */
bool gj_object_drops(const struct gj_object_edit *edit, const char *section);

/*
 * gj_object_write - a BPF object once more, with an edit
 * @out: empty; owned by the caller in any case
 *
 * Debug information is to be left out before. Returns 0; -ENOENT when a copied
 * function is not there; -EBADMSG when something refers to what is left out;
 * -E2BIG; -ENOMEM.
 */
int gj_object_write(const struct gj_object *object, const struct gj_object_edit *edit,
		    struct gj_buf *out);

/* PT_TLS: size in memory and alignment in bytes. -ENOENT when there is none. */
int gj_image_tls(const struct gj_image *image, uint64_t *memory_bytes_out, uint64_t *align_out);

/* One line of /proc/PID/maps (kernel Documentation/filesystems/proc.rst). */
struct gj_vma {
	uint64_t start_va, end_va; /* in the process */
	uint64_t file_off;
	uint64_t inode; /* 0: no file behind it */
	uint32_t dev_major, dev_minor;
	uint32_t flags; /* PF_R, PF_W, PF_X */
	bool is_shared;
	bool is_deleted; /* the file has lost its name; path is the one it had */
	const char *path; /* "" without one; "[heap]" and its like as they stand */
};

/* All mappings of a process at one moment, in order of address. Immutable. */
struct gj_maps;

/*
 * gj_maps_open - read a file in the form of /proc/PID/maps
 * @maps_out: owned by the caller until gj_maps_close
 *
 * Returns 0, errors of open(2) and read(2) (-ESRCH: the process is gone),
 * -EBADMSG for a line in another form, -E2BIG beyond GJ_MAX_MAPS_BYTES,
 * -ENOMEM.
 */
int gj_maps_open(const char *path, struct gj_maps **maps_out, struct gj_diag *diag);
void gj_maps_close(struct gj_maps *maps); /* NULL allowed */

/* Mapping number @index, NULL past the last. Lives until gj_maps_close. */
const struct gj_vma *gj_maps_vma(const struct gj_maps *maps, size_t index);
/* The mapping that holds @va, or NULL. */
const struct gj_vma *gj_maps_find(const struct gj_maps *maps, uint64_t va);

/*
 * gj_maps_load_bias - what was added to an image's link-time addresses
 * @mapping: any mapping of the image's file
 * @bias_out: may wrap: process address = link-time address + bias, modulo 2^64
 *
 * Decided by an executable segment where one is mapped from the file, else by
 * any. -ENOENT when no mapping fits a segment.
 */
int gj_maps_load_bias(const struct gj_maps *maps, const struct gj_vma *mapping,
		      const struct gj_image *image, uint64_t *bias_out);

#endif
