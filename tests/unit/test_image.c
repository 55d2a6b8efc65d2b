/* SPDX-License-Identifier: GPL-2.0 */
/* src/elf over small files written by hand, good ones and broken ones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <elf.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "exercise.h"
#include "gowriter.h"

static struct gw_image file;

static struct gj_image *open_file(void)
{
	struct gj_diag diag = { 0 };
	struct gj_image *image;

	if (gj_image_open_bytes((struct gj_window){ file.bytes, GW_IMAGE_BYTES }, "file", &image,
				&diag))
		fail_msg("%s", diag.text);
	return image;
}

static void assert_refused(int err, const char *text)
{
	struct gj_image *image = NULL;
	struct gj_diag diag = { 0 };

	assert_int_equal(gj_image_open_bytes((struct gj_window){ file.bytes, GW_IMAGE_BYTES },
					     "file", &image, &diag), err);
	assert_null(image);
	assert_non_null(strstr(diag.text, text));
	assert_int_equal(diag.err, err);
}

static void put_ehdr(size_t field_off, uint64_t value, size_t size_bytes)
{
	gw_put(&file, (uint32_t)field_off, value, size_bytes);
}

static void segments_and_addresses(void **state)
{
	struct gj_image *image;
	uint64_t value;

	(void)state;
	gw_write(&file, GW_1_20);
	image = open_file();
	assert_int_equal(gj_image_arch(image), GJ_ARCH_AMD64);
	assert_false(gj_image_is_dyn(image));
	assert_false(gj_image_is_cut(image));
	assert_int_equal(gj_image_segment(image, 0)->va, GW_BASE);
	assert_int_equal(gj_image_segment(image, 1)->flags, PF_R | PF_W);
	assert_null(gj_image_segment(image, 2));
	assert_int_equal(gj_image_at(image, GW_TEXT).size_bytes, 0x1000);
	assert_ptr_equal(gj_image_at(image, GW_TEXT).base, file.bytes + 0x1000);
	assert_int_equal(gj_image_at(image, GW_MODULEDATA + 0x3ff).size_bytes, 1);
	/* .bss is in memory, not in the file. */
	assert_int_equal(gj_image_at(image, GW_MODULEDATA + 0x400).size_bytes, 0);
	assert_int_equal(gj_image_at(image, GW_BASE - 1).size_bytes, 0);
	assert_int_equal(gj_image_at(image, UINT64_MAX).size_bytes, 0);
	assert_int_equal(gj_image_va_to_off(image, GW_MODULEDATA + 8, &value), 0);
	assert_int_equal(value, GW_MODULEDATA_OFF + 8);
	assert_int_equal(gj_image_off_to_va(image, 0x1010, &value), 0);
	assert_int_equal(value, GW_TEXT + 0x10);
	assert_int_equal(gj_image_off_to_va(image, GW_SECTIONS_OFF + 8, &value), -ENOENT);
	assert_int_equal(gj_image_va_to_off(image, 0x10, &value), -ENOENT);
	assert_int_equal(gj_image_pointer(image, GW_MODULEDATA, &value), 0);
	assert_int_equal(value, GW_PCLNTAB);
	assert_int_equal(gj_image_pointer(image, GW_MODULEDATA + 0x3fc, &value), -ENOENT);
	gj_image_close(image);
}

static void sections_and_symbols(void **state)
{
	struct gj_symbol_index *index;
	struct gj_elf_symbol symbol;
	struct gj_section section;
	struct gj_image *image;

	(void)state;
	gw_write(&file, GW_1_20);
	image = open_file();
	assert_int_equal(gj_image_find_section(image, ".gopclntab", &section), 0);
	assert_int_equal(section.va, GW_PCLNTAB);
	assert_int_equal(section.index, 1);
	assert_int_equal(gj_image_find_section(image, ".gopcln", &section), -ENOENT);
	assert_int_equal(gj_image_section(image, 5, &section), -ENOENT);
	assert_int_equal(gj_image_find_symbol(image, "c_code", &symbol), 0);
	assert_int_equal(symbol.va, GW_BASE + 0x800);
	assert_int_equal(gj_image_find_symbol(image, "c_cod", &symbol), -ENOENT);
	assert_int_equal(gj_image_symbol(image, 1, &symbol), 0);
	assert_string_equal(symbol.name, "main.outer");
	assert_int_equal(gj_image_symbol(image, 3, &symbol), -ENOENT);
	assert_int_equal(gj_symbol_index_new(image, &index), 0);
	assert_int_equal(gj_symbol_index_find(index, GW_BASE + 0x81f, &symbol), 0);
	assert_string_equal(symbol.name, "c_code");
	assert_int_equal(gj_symbol_index_find(index, GW_BASE + 0x820, &symbol), -ENOENT);
	assert_int_equal(gj_symbol_index_find(index, GW_BASE + 0x7ff, &symbol), -ENOENT);
	assert_int_equal(gj_symbol_index_find(index, GW_OUTER, &symbol), 0);
	assert_string_equal(symbol.name, "main.outer");
	gj_symbol_index_free(index);
	gj_image_close(image);
}

/* A symbol without a size reaches to the next one; the last one to nowhere. */
static void symbols_without_size(void **state)
{
	uint32_t symbols_off, names_off = GW_SECTIONS_OFF + 5 * sizeof(Elf64_Shdr);
	struct gj_symbol_index *index;
	struct gj_elf_symbol symbol;
	struct gj_image *image;
	Elf64_Shdr shdr;

	(void)state;
	gw_write(&file, GW_1_20);
	memcpy(&shdr, file.bytes + GW_SECTIONS_OFF + 3 * sizeof(shdr), sizeof(shdr));
	symbols_off = (uint32_t)shdr.sh_offset;
	assert_true(symbols_off > names_off);
	for (uint32_t i = 1; i < 3; i++)
		gw_put(&file, symbols_off + i * (uint32_t)sizeof(Elf64_Sym) +
				      (uint32_t)offsetof(Elf64_Sym, st_size), 0, 8);
	image = open_file();
	assert_int_equal(gj_symbol_index_new(image, &index), 0);
	assert_int_equal(gj_symbol_index_find(index, GW_OUTER - 1, &symbol), 0);
	assert_string_equal(symbol.name, "c_code");
	assert_int_equal(gj_symbol_index_find(index, GW_OUTER, &symbol), -ENOENT);
	gj_symbol_index_free(index);
	gj_image_close(image);
}

/* Counts too big for the ELF header stand in section 0. */
static void extended_numbers(void **state)
{
	struct gj_section section;
	struct gj_image *image;

	(void)state;
	gw_write(&file, GW_1_20);
	put_ehdr(offsetof(Elf64_Ehdr, e_phnum), PN_XNUM, 2);
	put_ehdr(offsetof(Elf64_Ehdr, e_shnum), 0, 2);
	put_ehdr(offsetof(Elf64_Ehdr, e_shstrndx), SHN_XINDEX, 2);
	gw_put(&file, GW_SECTIONS_OFF + offsetof(Elf64_Shdr, sh_info), 2, 4);
	gw_put(&file, GW_SECTIONS_OFF + offsetof(Elf64_Shdr, sh_size), 5, 8);
	gw_put(&file, GW_SECTIONS_OFF + offsetof(Elf64_Shdr, sh_link), 2, 4);
	image = open_file();
	assert_non_null(gj_image_segment(image, 1));
	assert_int_equal(gj_image_find_section(image, ".strtab", &section), 0);
	assert_int_equal(section.index, 4);
	gj_image_close(image);
}

#define DYNAMIC_OFF 0x2280
#define RELA_OFF 0x2300

/* Makes the file a PIE with one relative relocation for moduledata's first word. */
static void put_relocation(bool in_place)
{
	Elf64_Phdr phdr = { PT_DYNAMIC, PF_R, DYNAMIC_OFF, GW_MODULEDATA + 0x280, 0, 0x40, 0x40, 8 };
	Elf64_Dyn dynamic[] = { { DT_RELA, { GW_MODULEDATA + 0x300 } },
				{ DT_RELASZ, { 2 * sizeof(Elf64_Rela) } },
				{ DT_NULL, { 0 } } };
	Elf64_Rela relas[] = { { GW_MODULEDATA, R_X86_64_RELATIVE, GW_PCLNTAB },
			       { GW_MODULEDATA + 8, R_X86_64_RELATIVE, 0x1234 } };

	put_ehdr(offsetof(Elf64_Ehdr, e_type), ET_DYN, 2);
	put_ehdr(offsetof(Elf64_Ehdr, e_phnum), 3, 2);
	memcpy(file.bytes + sizeof(Elf64_Ehdr) + 2 * sizeof(phdr), &phdr, sizeof(phdr));
	memcpy(file.bytes + DYNAMIC_OFF, dynamic, sizeof(dynamic));
	memcpy(file.bytes + RELA_OFF, relas, sizeof(relas));
	gw_put(&file, GW_MODULEDATA_OFF, in_place ? GW_PCLNTAB : 0, 8);
}

static void addends_in_place(void **state)
{
	uint64_t value, rela_index = 0;
	struct gj_image *image;
	uint8_t *copy;

	(void)state;
	gw_write(&file, GW_1_20);
	put_relocation(true);
	image = open_file();
	assert_true(gj_image_is_dyn(image));
	assert_int_equal(gj_image_pointer(image, GW_MODULEDATA, &value), 0);
	assert_int_equal(value, GW_PCLNTAB);
	/* A zero is a zero then. */
	assert_int_equal(gj_image_pointer(image, GW_MODULEDATA + 8, &value), 0);
	assert_int_equal(value, 0);
	assert_int_equal(gj_image_find_pointer(image, GW_PCLNTAB, &rela_index, &value), -ENOENT);
	assert_int_equal(gj_image_copy_relocated(image, GW_MODULEDATA, 16, &copy), -ENOENT);
	gj_image_close(image);
}

static void addends_apart(void **state)
{
	uint64_t value, rela_index = 0, words[3];
	struct gj_gotab *gotab;
	struct gj_image *image;
	uint8_t *copy;

	(void)state;
	gw_write(&file, GW_1_27);
	put_relocation(false);
	image = open_file();
	assert_int_equal(gj_image_pointer(image, GW_MODULEDATA, &value), 0);
	assert_int_equal(value, GW_PCLNTAB);
	assert_int_equal(gj_image_pointer(image, GW_MODULEDATA + 8, &value), 0);
	assert_int_equal(value, 0x1234);
	assert_int_equal(gj_image_find_pointer(image, GW_PCLNTAB, &rela_index, &value), 0);
	assert_int_equal(value, GW_MODULEDATA);
	assert_int_equal(gj_image_find_pointer(image, GW_PCLNTAB, &rela_index, &value), -ENOENT);
	assert_int_equal(gj_image_copy_relocated(image, GW_MODULEDATA, sizeof(words), &copy), 0);
	memcpy(words, copy, sizeof(words));
	free(copy);
	assert_true(words[0] == GW_PCLNTAB && words[1] == 0x1234 && words[2] == 0);
	/* moduledata has no word to scan for, only its relocation. */
	assert_int_equal(gj_gotab_open(image, &gotab, NULL), 0);
	assert_int_equal(gj_gotab_info(gotab)->moduledata_va, GW_MODULEDATA);
	gj_gotab_close(gotab);
	gj_image_close(image);
}

static void build_ids(void **state)
{
	static const uint8_t notes[] = {
		4, 0, 0, 0, 3, 0, 0, 0, 3, 0, 0, 0, 'G', 'N', 'U', 0, 0xab, 0xcd, 0xef, 0,
		4, 0, 0, 0, 4, 0, 0, 0, 4, 0, 0, 0, 'G', 'o', 0, 0, 'w', 'x', 'y', 'z',
	};
	Elf64_Phdr phdr = { PT_NOTE, PF_R, 0x800, GW_BASE + 0x800, 0, sizeof(notes), sizeof(notes), 4 };
	struct gj_image *image;

	(void)state;
	gw_write(&file, GW_1_20);
	put_ehdr(offsetof(Elf64_Ehdr, e_phnum), 3, 2);
	memcpy(file.bytes + sizeof(Elf64_Ehdr) + 2 * sizeof(phdr), &phdr, sizeof(phdr));
	memcpy(file.bytes + 0x800, notes, sizeof(notes));
	image = open_file();
	assert_int_equal(gj_image_build_id(image).size_bytes, 3);
	assert_memory_equal(gj_image_build_id(image).base, "\xab\xcd\xef", 3);
	assert_int_equal(gj_image_go_build_id(image).size_bytes, 4);
	assert_memory_equal(gj_image_go_build_id(image).base, "wxyz", 4);
	gj_image_close(image);
}

static void refusals(void **state)
{
	(void)state;
	gw_write(&file, GW_1_20);
	put_ehdr(0, 0, 1);
	assert_refused(-EBADMSG, "not an ELF file");
	gw_write(&file, GW_1_20);
	put_ehdr(EI_CLASS, ELFCLASS32, 1);
	assert_refused(-EOPNOTSUPP, "64-bit little-endian");
	gw_write(&file, GW_1_20);
	put_ehdr(EI_DATA, ELFDATA2MSB, 1);
	assert_refused(-EOPNOTSUPP, "64-bit little-endian");
	gw_write(&file, GW_1_20);
	put_ehdr(offsetof(Elf64_Ehdr, e_machine), EM_RISCV, 2);
	assert_refused(-EOPNOTSUPP, "built for ELF machine 243");
	gw_write(&file, GW_1_20);
	put_ehdr(offsetof(Elf64_Ehdr, e_phoff), GW_IMAGE_BYTES - 60, 8);
	assert_refused(-EBADMSG, "program headers are broken or cut off");
	gw_write(&file, GW_1_20);
	put_ehdr(offsetof(Elf64_Ehdr, e_phnum), 60000, 2);
	assert_refused(-EBADMSG, "60000 program headers, more than 1024");
}

static void cut_file(void **state)
{
	struct gj_image *image;

	(void)state;
	gw_write(&file, GW_1_20);
	assert_int_equal(gj_image_open_bytes((struct gj_window){ file.bytes, 0x1800 }, "file", &image,
					     NULL), 0);
	assert_true(gj_image_is_cut(image));
	assert_int_equal(gj_image_at(image, GW_TEXT).size_bytes, 0x800);
	assert_int_equal(gj_image_at(image, GW_MODULEDATA).size_bytes, 0);
	gj_image_close(image);
}

static void mapped_file(void **state)
{
	char path[] = "/tmp/test_image.XXXXXX";
	int fd = mkstemp(path);
	struct gj_image *image;
	struct gj_diag diag = { 0 };

	(void)state;
	gw_write(&file, GW_1_20);
	assert_int_equal(write(fd, file.bytes, GW_IMAGE_BYTES), GW_IMAGE_BYTES);
	assert_int_equal(gj_image_open(path, &image, &diag), 0);
	assert_string_equal(gj_image_path(image), path);
	assert_int_equal(gj_image_bytes(image).size_bytes, GW_IMAGE_BYTES);
	exercise_image(image);
	gj_image_close(image);
	assert_int_equal(ftruncate(fd, 0), 0);
	assert_int_equal(gj_image_open(path, &image, &diag), -EBADMSG);
	assert_non_null(strstr(diag.text, "the file is empty"));
	unlink(path);
	close(fd);
	diag.err = 0;
	assert_int_equal(gj_image_open(path, &image, &diag), -ENOENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(segments_and_addresses),
		cmocka_unit_test(sections_and_symbols),
		cmocka_unit_test(symbols_without_size),
		cmocka_unit_test(extended_numbers),
		cmocka_unit_test(addends_in_place),
		cmocka_unit_test(addends_apart),
		cmocka_unit_test(build_ids),
		cmocka_unit_test(refusals),
		cmocka_unit_test(cut_file),
		cmocka_unit_test(mapped_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
