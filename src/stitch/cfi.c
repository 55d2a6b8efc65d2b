/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Call frame information compiled into one sorted table.
 *
 * libdw takes the sections apart into descriptions (FDE); cfi_program.c runs
 * each once; what comes out is kept in 28 bytes a row, so that a frame costs a
 * binary search. The sources are .eh_frame and .debug_frame, compressed or not,
 * of the image and of its debug file.
 */
#include <dwarf.h>
#include <elfutils/libdw.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/limits.h"
#include "stitch/cfi_table.h"

struct gj_cfi {
	uint64_t base_va; /* rows count from here */
	struct gj_cfi_row *rows; /* by start */
	uint32_t *starts; /* of the rows once more, close together for the search */
	size_t cnt, cap;
	size_t expression_cnt;
};

/* What is being compiled. */
struct compile {
	struct gj_cfi *cfi;
	enum gj_arch arch;
	int err;
};

static void add_row(struct compile *compile, const struct gj_cfi_row *row)
{
	struct gj_cfi *cfi = compile->cfi;

	if (compile->err)
		return;
	if (cfi->cnt == GJ_MAX_CFI_ROWS) {
		compile->err = -E2BIG;
		return;
	}
	if (cfi->cnt == cfi->cap) {
		size_t cap = cfi->cap ? 2 * cfi->cap : 1024;
		struct gj_cfi_row *rows = reallocarray(cfi->rows, cap, sizeof(*rows));

		if (!rows) {
			compile->err = -ENOMEM;
			return;
		}
		cfi->rows = rows;
		cfi->cap = cap;
	}
	cfi->rows[cfi->cnt++] = *row;
}

static void take_row(void *data, uint64_t va, const struct gj_cfi_row *row)
{
	struct compile *compile = data;
	struct gj_cfi_row placed = *row;

	placed.start = (uint32_t)(va - compile->cfi->base_va);
	add_row(compile, &placed);
}

/* All rows of a description, and one that says nothing behind it. */
static void compile_program(struct compile *compile, const struct gj_cfi_program *program)
{
	uint64_t base_va = compile->cfi->base_va;

	if (program->start_va < base_va || program->end_va <= program->start_va ||
	    program->end_va - base_va > UINT32_MAX)
		return;
	gj_cfi_run(program, take_row, compile);
	add_row(compile, &(struct gj_cfi_row){ .start = (uint32_t)(program->end_va - base_va) });
}

/*
 * How an FDE's addresses are written: DW_EH_PE_* in the CIE's augmentation
 * (LSB, Linux Standard Base Core, section 10.6; "zR" and its like).
 */
static uint8_t pointer_encoding(const Dwarf_CIE *cie, bool is_eh)
{
	const char *augmentation = cie->augmentation;
	struct gj_cursor cur = gj_cursor_init(
		(struct gj_window){ cie->augmentation_data, cie->augmentation_data_size });

	if (!is_eh || augmentation[0] != 'z')
		return DW_EH_PE_absptr;
	for (const char *letter = augmentation + 1; *letter; letter++) {
		if (*letter == 'R')
			return gj_cursor_u8(&cur);
		if (*letter == 'L')
			gj_cursor_u8(&cur);
		else if (*letter == 'P')
			gj_cursor_take(&cur, (gj_cursor_u8(&cur) & 7) == 4 ? 8 : 4);
		else if (*letter != 'S' && *letter != 'B')
			break;
	}
	return DW_EH_PE_absptr;
}

/* Initial location and length of an FDE; @va is where its first byte is in memory. */
static bool read_range(struct gj_cursor *cur, uint8_t encoding, uint64_t va, uint64_t *start_out,
		       uint64_t *end_out)
{
	uint64_t start, size_bytes;

	switch (encoding & 0x0f) {
	case DW_EH_PE_absptr:
	case DW_EH_PE_udata8:
	case DW_EH_PE_sdata8:
		start = gj_cursor_u64(cur);
		size_bytes = gj_cursor_u64(cur);
		break;
	case DW_EH_PE_udata4:
		start = gj_cursor_u32(cur);
		size_bytes = gj_cursor_u32(cur);
		break;
	case DW_EH_PE_sdata4:
		start = (uint64_t)(int64_t)(int32_t)gj_cursor_u32(cur);
		size_bytes = gj_cursor_u32(cur);
		break;
	default:
		return false;
	}
	if ((encoding & 0x70) == DW_EH_PE_pcrel)
		start += va;
	else if (encoding & 0xf0)
		return false;
	*start_out = start;
	*end_out = start + size_bytes;
	return !gj_cursor_failed(cur) && size_bytes;
}

/* The code an FDE describes and its instructions, behind the augmentation's own data. */
static bool read_fde(struct gj_window fde, uint64_t va, const Dwarf_CIE *cie, bool is_eh,
		     struct gj_cfi_program *program_out)
{
	struct gj_cursor cur = gj_cursor_init(fde);

	if (!read_range(&cur, pointer_encoding(cie, is_eh), va, &program_out->start_va,
			&program_out->end_va))
		return false;
	if (cie->augmentation[0] == 'z')
		gj_cursor_take(&cur, gj_cursor_varint32(&cur));
	program_out->own = (struct gj_window){ cur.pos, gj_cursor_left(&cur) };
	program_out->initial = (struct gj_window){
		cie->initial_instructions,
		(size_t)(cie->initial_instructions_end - cie->initial_instructions),
	};
	program_out->code_align = cie->code_alignment_factor;
	program_out->data_align = cie->data_alignment_factor;
	program_out->ra_reg = cie->return_address_register;
	return !gj_cursor_failed(&cur);
}

struct frame_section {
	Elf_Data *data;
	uint64_t va;
	bool is_eh;
};

static void compile_section(struct compile *compile, const unsigned char *ident,
			    const struct frame_section *section)
{
	Dwarf_CFI_Entry entry, cie = { 0 };
	Dwarf_Off off = 0, next_off, cie_off = (Dwarf_Off)-1, ignored;
	struct gj_cfi_program program = { .arch = compile->arch };

	for (; off < section->data->d_size && !compile->err; off = next_off) {
		const uint8_t *bytes = section->data->d_buf;
		int got = dwarf_next_cfi(ident, section->data, section->is_eh, off, &next_off,
					 &entry);

		if (got > 0 || (got < 0 && next_off <= off))
			break;
		if (got < 0 || dwarf_cfi_cie_p(&entry))
			continue;
		if (entry.fde.CIE_pointer != cie_off) {
			if (dwarf_next_cfi(ident, section->data, section->is_eh,
					   entry.fde.CIE_pointer, &ignored, &cie) ||
			    !dwarf_cfi_cie_p(&cie))
				continue;
			cie_off = entry.fde.CIE_pointer;
		}
		if (read_fde((struct gj_window){ entry.fde.start,
						 (size_t)(entry.fde.end - entry.fde.start) },
			     section->va + (uint64_t)(entry.fde.start - bytes), &cie.cie,
			     section->is_eh, &program))
			compile_program(compile, &program);
	}
}

static Elf_Data *find_data(Elf *elf, const char *name, uint64_t *va_out)
{
	size_t names;
	Elf_Scn *scn = NULL;

	if (elf_getshdrstrndx(elf, &names))
		return NULL;
	while ((scn = elf_nextscn(elf, scn))) {
		GElf_Shdr header;
		const char *found = gelf_getshdr(scn, &header) ?
					    elf_strptr(elf, names, header.sh_name) : NULL;

		if (!found || header.sh_type == SHT_NOBITS || strcmp(found, name))
			continue;
		if (header.sh_flags & SHF_COMPRESSED ? elf_compress(scn, 0, 0) < 0 :
		    name[1] == 'z' && elf_compress_gnu(scn, 0, 0) < 0)
			return NULL;
		*va_out = header.sh_addr;
		return elf_getdata(scn, NULL);
	}
	return NULL;
}

/* .eh_frame, which is in memory and so never compressed. */
static void compile_eh_frame(struct compile *compile, Elf *elf)
{
	const unsigned char *ident = (const unsigned char *)elf_getident(elf, NULL);
	struct frame_section section = { .is_eh = true };

	if (!ident)
		return;
	section.data = find_data(elf, ".eh_frame", &section.va);
	if (section.data && section.data->d_buf)
		compile_section(compile, ident, &section);
}

/* .debug_frame, or .zdebug_frame where it was compressed the old way. */
static void compile_debug_frame(struct compile *compile, Elf *elf)
{
	const unsigned char *ident = (const unsigned char *)elf_getident(elf, NULL);
	struct frame_section section = { 0 };

	if (!ident)
		return;
	section.data = find_data(elf, ".debug_frame", &section.va);
	if (!section.data)
		section.data = find_data(elf, ".zdebug_frame", &section.va);
	if (section.data && section.data->d_buf)
		compile_section(compile, ident, &section);
}

static int compare_rows(const void *a, const void *b)
{
	const struct gj_cfi_row *one = a, *two = b;

	if (one->start != two->start)
		return one->start < two->start ? -1 : 1;
	/* The end of one description and the start of the next: the latter counts, and stands last. */
	return (one->cfa_kind != GJ_CFA_NONE || one->is_root) -
	       (two->cfa_kind != GJ_CFA_NONE || two->is_root);
}

static bool is_same_rule(const struct gj_cfi_row *one, const struct gj_cfi_row *two)
{
	struct gj_cfi_row moved = *two;

	moved.start = one->start;
	return !memcmp(one, &moved, sizeof(moved));
}

/*
 * In order, one row at each address, and none that says what the one before
 * says. 0 or -ENOMEM.
 */
static int finish(struct gj_cfi *cfi)
{
	size_t kept = 0;

	if (cfi->cnt)
		qsort(cfi->rows, cfi->cnt, sizeof(cfi->rows[0]), compare_rows);
	for (size_t i = 0; i < cfi->cnt; i++) {
		if (i + 1 < cfi->cnt && cfi->rows[i + 1].start == cfi->rows[i].start)
			continue;
		if (kept && is_same_rule(&cfi->rows[kept - 1], &cfi->rows[i]))
			continue;
		cfi->rows[kept++] = cfi->rows[i];
	}
	cfi->cnt = kept;
	cfi->starts = calloc(kept + 1, sizeof(cfi->starts[0]));
	if (!cfi->starts)
		return -ENOMEM;
	for (size_t i = 0; i < kept; i++) {
		cfi->starts[i] = cfi->rows[i].start;
		cfi->expression_cnt += cfi->rows[i].cfa_kind == GJ_CFA_EXPRESSION;
	}
	return 0;
}

/* The lowest address of the image. */
static uint64_t base_of(const struct gj_image *image)
{
	uint64_t base_va = UINT64_MAX;
	const struct gj_segment *segment;

	for (unsigned int i = 0; (segment = gj_image_segment(image, i)); i++)
		if (segment->va < base_va)
			base_va = segment->va;
	return base_va;
}

/* The debug file of an image by its build ID, open for reading; -1 when there is none. */
static int open_debug_file(const struct gj_image *image, const char *debug_dir)
{
	struct gj_window id = gj_image_build_id(image);
	const char *cache = getenv("DEBUGINFOD_CACHE_PATH"), *home = getenv("HOME");
	char hex[129] = "", path[4096];
	int fd;

	if (id.size_bytes < 2 || id.size_bytes > 64)
		return -1;
	for (size_t i = 0; i < id.size_bytes; i++)
		snprintf(hex + 2 * i, 3, "%02x", id.base[i]);
	snprintf(path, sizeof(path), "%s/.build-id/%.2s/%s.debug", debug_dir, hex, hex + 2);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0)
		return fd;
	if (cache)
		snprintf(path, sizeof(path), "%s/%s/debuginfo", cache, hex);
	else
		snprintf(path, sizeof(path), "%s/.cache/debuginfod_client/%s/debuginfo",
			 home ? home : "", hex);
	return open(path, O_RDONLY | O_CLOEXEC);
}

/* The image's own file once more, since libelf writes into what it decompresses. -1: not there. */
static int open_again(const struct gj_image *image)
{
	int fd = open(gj_image_path(image), O_RDONLY | O_CLOEXEC);
	struct stat st;

	if (fd >= 0 && !fstat(fd, &st) && (uint64_t)st.st_size == gj_image_bytes(image).size_bytes)
		return fd;
	if (fd >= 0)
		close(fd);
	return -1;
}

static void compile_file(struct compile *compile, int fd)
{
	Elf *elf = fd >= 0 ? elf_begin(fd, ELF_C_READ_MMAP_PRIVATE, NULL) : NULL;

	if (elf)
		compile_debug_frame(compile, elf);
	elf_end(elf);
	if (fd >= 0)
		close(fd);
}

static void compile_all(struct compile *compile, const struct gj_image *image,
			const char *debug_dir)
{
	struct gj_window bytes = gj_image_bytes(image);
	Elf *elf = elf_memory((char *)(uintptr_t)bytes.base, bytes.size_bytes);

	if (elf)
		compile_eh_frame(compile, elf);
	elf_end(elf);
	compile_file(compile, open_again(image));
	if (debug_dir)
		compile_file(compile, open_debug_file(image, debug_dir));
}

int gj_cfi_new(const struct gj_image *image, const char *debug_dir, struct gj_cfi **cfi_out)
{
	struct compile compile = { .arch = gj_image_arch(image) };

	elf_version(EV_CURRENT);
	compile.cfi = calloc(1, sizeof(*compile.cfi));
	if (!compile.cfi)
		return -ENOMEM;
	compile.cfi->base_va = base_of(image);
	compile_all(&compile, image, debug_dir);
	if (!compile.err && !compile.cfi->cnt)
		compile.err = -ENOENT;
	if (!compile.err)
		compile.err = finish(compile.cfi);
	if (compile.err) {
		gj_cfi_free(compile.cfi);
		return compile.err;
	}
	*cfi_out = compile.cfi;
	return 0;
}

void gj_cfi_free(struct gj_cfi *cfi)
{
	if (!cfi)
		return;
	free(cfi->rows);
	free(cfi->starts);
	free(cfi);
}

const struct gj_cfi_row *gj_cfi_find(const struct gj_cfi *cfi, uint64_t va)
{
	const uint32_t *at = cfi->starts;
	const struct gj_cfi_row *row;
	size_t left = cfi->cnt;

	if (va < cfi->base_va || va - cfi->base_va > UINT32_MAX || va - cfi->base_va < at[0])
		return NULL;
	/* The last start not above; no branch that a processor could guess wrong. */
	while (left > 1) {
		size_t half = left / 2;

		at += at[half] <= va - cfi->base_va ? half : 0;
		left -= half;
	}
	row = &cfi->rows[at - cfi->starts];
	return row->cfa_kind != GJ_CFA_NONE || row->is_root ? row : NULL;
}

void gj_cfi_count(const struct gj_cfi *cfi, size_t *rows_out, size_t *expressions_out)
{
	*rows_out = cfi->cnt;
	*expressions_out = cfi->expression_cnt;
}

const struct gj_cfi_row *gj_cfi_row(const struct gj_cfi *cfi, size_t index, uint64_t *va_out)
{
	if (index >= cfi->cnt)
		return NULL;
	*va_out = cfi->base_va + cfi->rows[index].start;
	return &cfi->rows[index];
}
