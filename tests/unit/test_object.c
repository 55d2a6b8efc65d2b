/* SPDX-License-Identifier: GPL-2.0 */
/* src/elf/object.c over a small BPF object written by hand; src/elf/anchor.c over this very program. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <elf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "elf/elf.h"
#include "failalloc.h"

/*
 * Sections: 1 "hooks" with first at 0 and second at 16, 16 bytes each; 2 ".rodata";
 * 3 ".relhooks": first refers to .rodata, second to the global word; 4 .symtab; 5 .strtab.
 */
enum { HOOKS = 1, DATA, RELOCATIONS, SYMBOLS, STRINGS, SECTION_CNT };

static const char strings[] =
	"\0hooks\0.rodata\0.relhooks\0.symtab\0.strtab\0first\0second\0word\0label\0";

static struct file {
	Elf64_Ehdr ehdr;
	uint8_t hooks[32];
	uint8_t data[8];
	Elf64_Rel relocations[2];
	Elf64_Sym symbols[6];
	char strings[sizeof(strings)];
	Elf64_Shdr sections[SECTION_CNT];
} file;

static uint32_t string_at(const char *text)
{
	size_t at = 1;

	while (strcmp(strings + at, text))
		at += strlen(strings + at) + 1;
	return (uint32_t)at;
}

static void put_section(int number, const char *name, uint32_t type, const void *bytes,
			size_t size_bytes, uint64_t entry_bytes)
{
	file.sections[number] = (Elf64_Shdr){
		.sh_name = string_at(name),
		.sh_type = type,
		.sh_offset = (uint64_t)((const char *)bytes - (const char *)&file),
		.sh_size = size_bytes,
		.sh_entsize = entry_bytes,
		.sh_addralign = 1,
	};
}

static void put_symbols(void)
{
	const uint8_t function = ELF64_ST_INFO(STB_GLOBAL, STT_FUNC);

	file.symbols[1] = (Elf64_Sym){ 0, ELF64_ST_INFO(STB_LOCAL, STT_SECTION), 0, DATA, 0, 0 };
	file.symbols[2] = (Elf64_Sym){ string_at("label"), ELF64_ST_INFO(STB_LOCAL, STT_NOTYPE), 0,
				       HOOKS, 8, 0 };
	file.symbols[3] = (Elf64_Sym){ string_at("first"), function, 0, HOOKS, 0, 16 };
	file.symbols[4] = (Elf64_Sym){ string_at("word"), ELF64_ST_INFO(STB_GLOBAL, STT_OBJECT), 0,
				       DATA, 4, 4 };
	file.symbols[5] = (Elf64_Sym){ string_at("second"), function, 0, HOOKS, 16, 16 };
}

static int write_file(void **state)
{
	(void)state;
	memset(&file, 0, sizeof(file));
	memcpy(file.ehdr.e_ident, ELFMAG, SELFMAG);
	file.ehdr.e_ident[EI_CLASS] = ELFCLASS64;
	file.ehdr.e_ident[EI_DATA] = ELFDATA2LSB;
	file.ehdr.e_type = ET_REL;
	file.ehdr.e_machine = EM_BPF;
	file.ehdr.e_shentsize = sizeof(Elf64_Shdr);
	file.ehdr.e_shnum = SECTION_CNT;
	file.ehdr.e_shstrndx = STRINGS;
	file.ehdr.e_shoff = offsetof(struct file, sections);
	for (unsigned int i = 0; i < sizeof(file.hooks); i++)
		file.hooks[i] = (uint8_t)i;
	memcpy(file.strings, strings, sizeof(strings));
	file.relocations[0] = (Elf64_Rel){ 0, ELF64_R_INFO(1ull, 1) };
	file.relocations[1] = (Elf64_Rel){ 24, ELF64_R_INFO(4ull, 1) };
	put_symbols();
	put_section(HOOKS, "hooks", SHT_PROGBITS, file.hooks, sizeof(file.hooks), 0);
	file.sections[HOOKS].sh_flags = SHF_ALLOC | SHF_EXECINSTR;
	put_section(DATA, ".rodata", SHT_PROGBITS, file.data, sizeof(file.data), 0);
	put_section(RELOCATIONS, ".relhooks", SHT_REL, file.relocations, sizeof(file.relocations),
		    sizeof(Elf64_Rel));
	file.sections[RELOCATIONS].sh_link = SYMBOLS;
	file.sections[RELOCATIONS].sh_info = HOOKS;
	put_section(SYMBOLS, ".symtab", SHT_SYMTAB, file.symbols, sizeof(file.symbols),
		    sizeof(Elf64_Sym));
	file.sections[SYMBOLS].sh_link = STRINGS;
	put_section(STRINGS, ".strtab", SHT_STRTAB, file.strings, sizeof(strings), 0);
	return 0;
}

static struct gj_window whole(void) { return (struct gj_window){ (uint8_t *)&file, sizeof(file) }; }

static const struct gj_object_copy copies[] = {
	{ "second", "hooks/one", "second" },
	{ "second", "hooks/two", "second_2" },
	{ "first", "hooks/three", "first" },
};
static const char *const dropped[] = { "hooks" };
static const uint8_t other_data[12] = "other data";

static const struct gj_object_edit edit = {
	.copies = copies,
	.copy_cnt = 3,
	.dropped = dropped,
	.dropped_cnt = 1,
	.replaced = { { ".rodata", { other_data, sizeof(other_data) } } },
	.replaced_cnt = 1,
};

/* The symbol that the only relocation of section @name refers to. */
static Elf64_Sym relocated(const struct gj_object *object, const char *name, uint64_t *off_out)
{
	struct gj_window bytes;
	Elf64_Rel rel;
	Elf64_Sym sym;

	assert_int_equal(gj_object_section(object, name, &bytes), 0);
	assert_int_equal(bytes.size_bytes, sizeof(rel));
	memcpy(&rel, bytes.base, sizeof(rel));
	assert_int_equal(ELF64_R_TYPE(rel.r_info), 1);
	assert_true(gj_window_read(object->symbols, ELF64_R_SYM(rel.r_info) * sizeof(sym), &sym,
				   sizeof(sym)));
	*off_out = rel.r_offset;
	return sym;
}

static void functions_apart(void **state)
{
	struct gj_object object, written;
	struct gj_object_symbol symbol;
	struct gj_buf out = { 0 };
	struct gj_window bytes;
	uint64_t off;
	Elf64_Sym sym;

	(void)state;
	assert_int_equal(gj_object_init(whole(), &object, NULL), 0);
	assert_int_equal(gj_object_write(&object, &edit, &out), 0);
	assert_int_equal(gj_object_init((struct gj_window){ (uint8_t *)out.data, out.size_bytes },
					&written, NULL), 0);
	assert_int_equal(gj_object_section(&written, "hooks", &bytes), -ENOENT);
	assert_true(gj_object_drops(&edit, "?hooks"));
	assert_int_equal(gj_object_section(&written, ".rodata", &bytes), 0);
	assert_int_equal(bytes.size_bytes, sizeof(other_data));
	for (unsigned int i = 0; i < 3; i++) {
		assert_int_equal(gj_object_section(&written, copies[i].section, &bytes), 0);
		assert_int_equal(bytes.size_bytes, 16);
		assert_int_equal(bytes.base[0], i == 2 ? 0 : 16);
		assert_int_equal(gj_object_symbol(&written, copies[i].name, &symbol), 0);
		assert_string_equal(symbol.section, copies[i].section);
		assert_int_equal(symbol.off, 0);
		assert_int_equal(symbol.size_bytes, 16);
	}
	sym = relocated(&written, ".relhooks/two", &off);
	assert_int_equal(off, 8);
	assert_string_equal((const char *)written.strings.base + sym.st_name, "word");
	sym = relocated(&written, ".relhooks/three", &off);
	assert_int_equal(off, 0);
	assert_int_equal(ELF64_ST_TYPE(sym.st_info), STT_SECTION);
	assert_int_equal(gj_object_symbol(&written, "word", &symbol), 0);
	assert_string_equal(symbol.section, ".rodata");
	gj_buf_deinit(&out);
}

static void refusals(void **state)
{
	static const char *const both[] = { "hooks", ".rodata" };
	struct gj_object_copy missing = { "third", "hooks/one", "third" };
	struct gj_object_edit wrong = edit;
	struct gj_buf out = { 0 };
	struct gj_object object;
	struct gj_object_symbol symbol;

	(void)state;
	assert_int_equal(gj_object_init(whole(), &object, NULL), 0);
	wrong.copies = &missing;
	wrong.copy_cnt = 1;
	assert_int_equal(gj_object_write(&object, &wrong, &out), -ENOENT);
	gj_buf_deinit(&out);
	wrong = edit;
	wrong.dropped = both;
	wrong.dropped_cnt = 2;
	out = (struct gj_buf){ 0 };
	assert_int_equal(gj_object_write(&object, &wrong, &out), -EBADMSG);
	gj_buf_deinit(&out);
	file.symbols[5].st_size = 17;
	assert_int_equal(gj_object_symbol(&object, "second", &symbol), -EBADMSG);
	file.ehdr.e_machine = EM_X86_64;
	assert_int_equal(gj_object_init(whole(), &object, NULL), -EBADMSG);
}

static void weak_definitions(void **state)
{
	struct gj_object object;
	struct file copy = file;

	(void)state;
	assert_int_equal(gj_object_init(whole(), &object, NULL), 0);
	gj_object_weaken(&object, (uint8_t *)&copy, "first");
	assert_int_equal(ELF64_ST_BIND(copy.symbols[3].st_info), STB_WEAK);
	assert_int_equal(ELF64_ST_BIND(copy.symbols[4].st_info), STB_WEAK);
	assert_int_equal(ELF64_ST_BIND(copy.symbols[5].st_info), STB_GLOBAL);
	assert_int_equal(ELF64_ST_BIND(copy.symbols[2].st_info), STB_LOCAL);
}

static void write_any(struct gj_window bytes)
{
	struct gj_buf out = { 0 };
	struct gj_object object;

	if (!gj_object_init(bytes, &object, NULL))
		gj_object_write(&object, &edit, &out);
	gj_buf_deinit(&out);
}

/* Behind the bytes there are none: a copy for each size, each word made wrong. */
static void broken_bytes(void **state)
{
	static const uint64_t values[] = { 0, 1, UINT64_MAX, INT64_MAX, INT64_MIN };

	(void)state;
	for (size_t size_bytes = 0; size_bytes <= sizeof(file); size_bytes++) {
		uint8_t *copy = malloc(size_bytes + 1);

		memcpy(copy, &file, size_bytes);
		write_any((struct gj_window){ copy, size_bytes });
		free(copy);
	}
	for (size_t at = 0; at + 8 <= sizeof(file); at += 4)
		for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
			struct file copy = file;

			memcpy((uint8_t *)&copy + at, &values[i], sizeof(values[i]));
			write_any((struct gj_window){ (uint8_t *)&copy, sizeof(copy) });
		}
}

static void write_once(void *data)
{
	struct gj_buf out = { 0 };
	int err = gj_object_write(data, &edit, &out);

	gj_buf_deinit(&out);
	assert_int_equal(err, failalloc_happened ? -ENOMEM : 0);
}

static void no_memory(void **state)
{
	struct gj_object object;

	(void)state;
	assert_int_equal(gj_object_init(whole(), &object, NULL), 0);
	assert_true(failalloc_each(write_once, &object) > 3);
}

/* As src/elf/object.c has them. */
static __attribute__((noinline, used)) void add_section(void) {}
static __attribute__((noinline, used)) void read_symbol(void) {}

/* The first function whose name another has, too: statics of two files. */
static void find_ambiguous(const struct gj_image *image, struct gj_elf_symbol *symbol_out)
{
	struct gj_elf_symbol other;

	for (unsigned int i = 0; !gj_image_symbol(image, i, symbol_out); i++) {
		if (symbol_out->type != STT_FUNC || !symbol_out->section_index)
			continue;
		for (unsigned int j = i + 1; !gj_image_symbol(image, j, &other); j++)
			if (other.type == STT_FUNC && other.va != symbol_out->va &&
			    !strcmp(other.name, symbol_out->name))
				return;
	}
	fail_msg("no two functions have one name");
}

static void places_by_symbols(void **state)
{
	struct gj_elf_symbol symbol;
	struct gj_anchors *anchors;
	struct gj_image *image;
	const char *name;
	uint64_t off;
	int64_t delta;

	(void)state;
	assert_int_equal(gj_image_open("/proc/self/exe", &image, NULL), 0);
	assert_int_equal(gj_anchors_new(image, &anchors), 0);
	assert_int_equal(gj_image_find_symbol(image, "gj_object_write", &symbol), 0);
	assert_int_equal(gj_image_va_to_off(image, symbol.va, &off), 0);
	assert_int_equal(gj_anchors_find(anchors, off, &name, &delta), 0);
	assert_string_equal(name, "gj_object_write");
	assert_int_equal(delta, 0);
	assert_int_equal(gj_anchors_find(anchors, off + 5, &name, &delta), 0);
	assert_string_equal(name, "gj_object_write");
	assert_int_equal(delta, 5);
	/* Of several functions of one name none will do. */
	find_ambiguous(image, &symbol);
	assert_int_equal(gj_image_va_to_off(image, symbol.va, &off), 0);
	assert_int_equal(gj_anchors_find(anchors, off, &name, &delta), 0);
	assert_string_not_equal(name, symbol.name);
	assert_true(delta > 0);
	/* Before the first. */
	assert_int_equal(gj_anchors_find(anchors, 0, &name, &delta), 0);
	assert_true(delta < 0);
	gj_anchors_free(anchors);
	gj_image_close(image);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(functions_apart, write_file),
		cmocka_unit_test_setup(refusals, write_file),
		cmocka_unit_test_setup(weak_definitions, write_file),
		cmocka_unit_test_setup(broken_bytes, write_file),
		cmocka_unit_test_setup(no_memory, write_file),
		cmocka_unit_test(places_by_symbols),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
