/* SPDX-License-Identifier: GPL-2.0 */
/*
 * BPF objects: relocatable ELF files (ET_REL, EM_BPF) as clang and libbpf's
 * linker write them, read and written anew with functions taken out of their
 * section, each into sections of its own.
 *
 *   what is written   ELF header; kept sections, copies, .symtab, relocations,
 *                     .strtab (names of sections too); section headers
 *
 * Format: ELF-64; relocations are Elf64_Rel (LLVM llvm/lib/Target/BPF).
 */
#include <elf.h>
#include <errno.h>
#include <stdlib.h>

#include "elf/elf.h"

#define ALIGN_BYTES 8

static bool read_header(const struct gj_object *object, uint32_t index, Elf64_Shdr *shdr_out)
{
	return gj_window_read(object->headers, (uint64_t)index * sizeof(*shdr_out), shdr_out,
			      sizeof(*shdr_out));
}

static struct gj_window bytes_of(const struct gj_object *object, const Elf64_Shdr *shdr)
{
	if (shdr->sh_type == SHT_NOBITS ||
	    !gj_window_holds(object->bytes, shdr->sh_offset, shdr->sh_size))
		return (struct gj_window){ 0 };
	return gj_window_slice(object->bytes, shdr->sh_offset, shdr->sh_size);
}

static const char *name_of(const struct gj_object *object, const Elf64_Shdr *shdr)
{
	const char *name = gj_window_string(object->names, shdr->sh_name);

	return name ? name : "";
}

int gj_object_init(struct gj_window bytes, struct gj_object *object_out, struct gj_diag *diag)
{
	struct gj_object object = { .bytes = bytes };
	Elf64_Shdr shdr;
	Elf64_Ehdr ehdr;

	if (!gj_window_read(bytes, 0, &ehdr, sizeof(ehdr)) ||
	    memcmp(ehdr.e_ident, ELFMAG, SELFMAG) || ehdr.e_ident[EI_CLASS] != ELFCLASS64 ||
	    ehdr.e_ident[EI_DATA] != ELFDATA2LSB || ehdr.e_type != ET_REL ||
	    ehdr.e_machine != EM_BPF || ehdr.e_shentsize != sizeof(shdr) ||
	    !gj_window_holds(bytes, ehdr.e_shoff, (uint64_t)ehdr.e_shnum * sizeof(shdr)))
		return gj_diag_set(diag, -EBADMSG, "no BPF object");
	object.headers = gj_window_slice(bytes, ehdr.e_shoff, (uint64_t)ehdr.e_shnum * sizeof(shdr));
	if (read_header(&object, ehdr.e_shstrndx, &shdr))
		object.names = bytes_of(&object, &shdr);
	for (uint32_t i = 1; read_header(&object, i, &shdr); i++) {
		if (shdr.sh_type != SHT_SYMTAB)
			continue;
		object.symbols = bytes_of(&object, &shdr);
		if (read_header(&object, shdr.sh_link, &shdr))
			object.strings = bytes_of(&object, &shdr);
		break;
	}
	if (!object.names.size_bytes || !object.symbols.size_bytes)
		return gj_diag_set(diag, -EBADMSG, "a BPF object without symbols");
	*object_out = object;
	return 0;
}

int gj_object_section(const struct gj_object *object, const char *name, struct gj_window *bytes_out)
{
	Elf64_Shdr shdr;

	for (uint32_t i = 1; read_header(object, i, &shdr); i++)
		if (!strcmp(name_of(object, &shdr), name)) {
			*bytes_out = bytes_of(object, &shdr);
			return 0;
		}
	return -ENOENT;
}

static bool read_symbol(const struct gj_object *object, uint64_t index, Elf64_Sym *sym_out,
			const char **name_out)
{
	if (!gj_window_read(object->symbols, index * sizeof(*sym_out), sym_out, sizeof(*sym_out)))
		return false;
	*name_out = gj_window_string(object->strings, sym_out->st_name);
	if (!*name_out)
		*name_out = "";
	return true;
}

int gj_object_symbol(const struct gj_object *object, const char *name,
		     struct gj_object_symbol *symbol_out)
{
	const char *found;
	Elf64_Shdr shdr;
	Elf64_Sym sym;

	for (uint64_t i = 1; read_symbol(object, i, &sym, &found); i++) {
		if (ELF64_ST_BIND(sym.st_info) == STB_LOCAL || strcmp(found, name) ||
		    !read_header(object, sym.st_shndx, &shdr) || sym.st_shndx == SHN_UNDEF)
			continue;
		if (sym.st_value > shdr.sh_size || sym.st_size > shdr.sh_size - sym.st_value)
			return -EBADMSG;
		*symbol_out = (struct gj_object_symbol){
			.section = name_of(object, &shdr),
			.section_index = sym.st_shndx,
			.off = sym.st_value,
			.size_bytes = sym.st_size,
		};
		return 0;
	}
	return -ENOENT;
}

void gj_object_weaken(const struct gj_object *object, uint8_t *bytes, const char *function)
{
	size_t begin_off = (size_t)(object->symbols.base - object->bytes.base);
	const char *name;
	Elf64_Sym sym;

	for (uint64_t i = 1; read_symbol(object, i, &sym, &name); i++) {
		if (ELF64_ST_BIND(sym.st_info) != STB_GLOBAL ||
		    (ELF64_ST_TYPE(sym.st_info) != STT_OBJECT && strcmp(name, function)))
			continue;
		sym.st_info = ELF64_ST_INFO(STB_WEAK, ELF64_ST_TYPE(sym.st_info));
		memcpy(bytes + begin_off + i * sizeof(sym), &sym, sizeof(sym));
	}
}

/* An object being written. */
struct writer {
	const struct gj_object *object;
	const struct gj_object_edit *edit;
	struct gj_object_symbol *sources; /* of each copy; owned */
	uint32_t *sections;               /* new number of each section, 0: none; owned */
	uint32_t *symbols;                /* of each symbol; owned */
	uint32_t symbol_cnt;              /* written */
	uint32_t first_copy;              /* number of the first copy's section */
	uint32_t symtab_index;
	struct gj_buf *out;
	struct gj_buf headers, strings, symtab;
};

static uint32_t header_cnt(const struct writer *writer)
{
	return (uint32_t)(writer->headers.size_bytes / sizeof(Elf64_Shdr));
}

static uint32_t add_string(struct writer *writer, const char *text)
{
	uint32_t off = (uint32_t)writer->strings.size_bytes;

	gj_buf_add(&writer->strings, text, strlen(text) + 1);
	return off;
}

/* @shdr without its name and place. */
static void add_section(struct writer *writer, const char *name, Elf64_Shdr shdr,
			struct gj_window bytes)
{
	static const char zeros[ALIGN_BYTES];

	gj_buf_add(writer->out, zeros, -writer->out->size_bytes % ALIGN_BYTES);
	shdr.sh_name = add_string(writer, name);
	shdr.sh_offset = writer->out->size_bytes;
	if (shdr.sh_type != SHT_NOBITS) {
		shdr.sh_size = bytes.size_bytes;
		gj_buf_add(writer->out, bytes.base, bytes.size_bytes);
	}
	gj_buf_add(&writer->headers, &shdr, sizeof(shdr));
}

bool gj_object_drops(const struct gj_object_edit *edit, const char *section)
{
	for (size_t i = 0; i < edit->dropped_cnt; i++)
		if (!strcmp(edit->dropped[i], section))
			return true;
	return section[0] == '?';
}

/* False when the section is left out; its bytes may be others. */
static bool is_kept(const struct writer *writer, const char *name, const Elf64_Shdr *shdr,
		    struct gj_window *bytes)
{
	const struct gj_object_edit *edit = writer->edit;

	if ((shdr->sh_type != SHT_PROGBITS && shdr->sh_type != SHT_NOBITS) ||
	    gj_object_drops(edit, name))
		return false;
	for (size_t i = 0; i < edit->replaced_cnt; i++)
		if (!strcmp(edit->replaced[i].name, name))
			*bytes = edit->replaced[i].bytes;
	return true;
}

static void keep_sections(struct writer *writer)
{
	Elf64_Shdr shdr = { 0 };

	gj_buf_add(&writer->headers, &shdr, sizeof(shdr));
	for (uint32_t i = 1; read_header(writer->object, i, &shdr); i++) {
		struct gj_window bytes = bytes_of(writer->object, &shdr);
		const char *name = name_of(writer->object, &shdr);

		if (!is_kept(writer, name, &shdr, &bytes))
			continue;
		writer->sections[i] = header_cnt(writer);
		add_section(writer, name, shdr, bytes);
	}
}

static int add_copies(struct writer *writer)
{
	const struct gj_object_edit *edit = writer->edit;

	writer->first_copy = header_cnt(writer);
	for (size_t i = 0; i < edit->copy_cnt; i++) {
		struct gj_object_symbol *source = &writer->sources[i];
		Elf64_Shdr shdr;
		int err = gj_object_symbol(writer->object, edit->copies[i].function, source);

		if (err)
			return err;
		read_header(writer->object, source->section_index, &shdr);
		add_section(writer, edit->copies[i].section, shdr,
			    gj_window_slice(bytes_of(writer->object, &shdr), source->off,
					    source->size_bytes));
	}
	return 0;
}

static void add_symbol(struct writer *writer, Elf64_Sym sym, const char *name)
{
	sym.st_name = *name ? add_string(writer, name) : 0;
	gj_buf_add(&writer->symtab, &sym, sizeof(sym));
	writer->symbol_cnt++;
}

/* Those of kept sections that relocations may name: no labels, no names of files. */
static void keep_symbols(struct writer *writer, bool is_local)
{
	const char *name;
	Elf64_Sym sym;

	for (uint64_t i = 1; read_symbol(writer->object, i, &sym, &name); i++) {
		uint32_t section = sym.st_shndx;

		if ((ELF64_ST_BIND(sym.st_info) == STB_LOCAL) != is_local)
			continue;
		if (section && section < SHN_LORESERVE) {
			section = section < writer->object->headers.size_bytes / sizeof(Elf64_Shdr) ?
				  writer->sections[section] : 0;
			if (!section)
				continue;
		}
		if (is_local && ELF64_ST_TYPE(sym.st_info) != STT_SECTION &&
		    ELF64_ST_TYPE(sym.st_info) != STT_OBJECT &&
		    ELF64_ST_TYPE(sym.st_info) != STT_FUNC)
			continue;
		sym.st_shndx = (uint16_t)section;
		writer->symbols[i] = writer->symbol_cnt;
		add_symbol(writer, sym, ELF64_ST_TYPE(sym.st_info) == STT_SECTION ? "" : name);
	}
}

static void add_symbols(struct writer *writer)
{
	const struct gj_object_edit *edit = writer->edit;
	Elf64_Shdr shdr = {
		.sh_type = SHT_SYMTAB,
		.sh_entsize = sizeof(Elf64_Sym),
		.sh_addralign = ALIGN_BYTES,
	};

	add_symbol(writer, (Elf64_Sym){ 0 }, "");
	keep_symbols(writer, true);
	shdr.sh_info = writer->symbol_cnt;
	keep_symbols(writer, false);
	for (size_t i = 0; i < edit->copy_cnt; i++)
		add_symbol(writer, (Elf64_Sym){
			.st_info = ELF64_ST_INFO(STB_GLOBAL, STT_FUNC),
			.st_shndx = (uint16_t)(writer->first_copy + i),
			.st_size = writer->sources[i].size_bytes,
		}, edit->copies[i].name);
	writer->symtab_index = header_cnt(writer);
	add_section(writer, ".symtab", shdr,
		    (struct gj_window){ (uint8_t *)writer->symtab.data, writer->symtab.size_bytes });
}

/* Relocations of @from that are within [@off, @off + @size_bytes), for section @target of the new ones. */
static int add_relocations(struct writer *writer, const Elf64_Shdr *from, uint32_t target,
			   const char *target_name, uint64_t off, uint64_t size_bytes)
{
	struct gj_window bytes = bytes_of(writer->object, from);
	struct gj_buf relocations = { 0 }, name = { 0 };
	uint64_t symbol_cnt = writer->object->symbols.size_bytes / sizeof(Elf64_Sym);
	Elf64_Shdr shdr = *from;
	Elf64_Rel rel;
	int err = 0;

	for (uint64_t i = 0; !err && gj_window_read(bytes, i * sizeof(rel), &rel, sizeof(rel)); i++) {
		uint64_t symbol = ELF64_R_SYM(rel.r_info);

		if (rel.r_offset < off || rel.r_offset - off >= size_bytes)
			continue;
		if (symbol >= symbol_cnt || !writer->symbols[symbol])
			err = -EBADMSG;
		else
			rel.r_info = ELF64_R_INFO((uint64_t)writer->symbols[symbol],
						  ELF64_R_TYPE(rel.r_info));
		rel.r_offset -= off;
		gj_buf_add(&relocations, &rel, sizeof(rel));
	}
	gj_buf_fmt(&name, ".rel%s", target_name);
	gj_buf_chr(&name, '\0');
	shdr.sh_link = writer->symtab_index;
	shdr.sh_info = target;
	if (relocations.failed || name.failed)
		err = -ENOMEM;
	else if (!err && relocations.size_bytes)
		add_section(writer, name.data, shdr,
			    (struct gj_window){ (uint8_t *)relocations.data, relocations.size_bytes });
	gj_buf_deinit(&relocations);
	gj_buf_deinit(&name);
	return err;
}

static int add_all_relocations(struct writer *writer)
{
	const struct gj_object_edit *edit = writer->edit;
	Elf64_Shdr shdr, target;
	int err = 0;

	for (uint32_t i = 1; !err && read_header(writer->object, i, &shdr); i++) {
		if (shdr.sh_type != SHT_REL || !read_header(writer->object, shdr.sh_info, &target))
			continue;
		/* Of .BTF and .BTF.ext as clang has them: libbpf needs none. */
		if (writer->sections[shdr.sh_info] && target.sh_flags & SHF_EXECINSTR)
			err = add_relocations(writer, &shdr, writer->sections[shdr.sh_info],
					      name_of(writer->object, &target), 0, UINT64_MAX);
		for (size_t j = 0; !err && j < edit->copy_cnt; j++)
			if (writer->sources[j].section_index == shdr.sh_info)
				err = add_relocations(writer, &shdr,
						      writer->first_copy + (uint32_t)j,
						      edit->copies[j].section,
						      writer->sources[j].off,
						      writer->sources[j].size_bytes);
	}
	return err;
}

static bool has_failed(const struct writer *writer)
{
	return writer->headers.failed || writer->strings.failed || writer->symtab.failed ||
	       writer->out->failed;
}

/* .strtab and what refers to it, the section headers, the ELF header. */
static int finish(struct writer *writer)
{
	Elf64_Shdr shdr = { .sh_type = SHT_STRTAB, .sh_addralign = 1 }, *symtab;
	uint32_t strtab = header_cnt(writer);
	Elf64_Ehdr ehdr;

	/* Its own name first: adding the section takes the strings as they are. */
	shdr.sh_name = add_string(writer, ".strtab");
	shdr.sh_offset = writer->out->size_bytes;
	shdr.sh_size = writer->strings.size_bytes;
	gj_buf_add(&writer->headers, &shdr, sizeof(shdr));
	gj_buf_add(writer->out, writer->strings.data, writer->strings.size_bytes);
	gj_buf_add(writer->out, (char[ALIGN_BYTES]){ 0 }, -writer->out->size_bytes % ALIGN_BYTES);
	if (has_failed(writer))
		return -ENOMEM;
	if (strtab >= SHN_LORESERVE)
		return -E2BIG;
	symtab = (Elf64_Shdr *)writer->headers.data + writer->symtab_index;
	symtab->sh_link = strtab;
	memcpy(&ehdr, writer->object->bytes.base, sizeof(ehdr));
	ehdr.e_shoff = writer->out->size_bytes;
	ehdr.e_shnum = (uint16_t)(strtab + 1);
	ehdr.e_shstrndx = (uint16_t)strtab;
	memcpy(writer->out->data, &ehdr, sizeof(ehdr));
	gj_buf_add(writer->out, writer->headers.data, writer->headers.size_bytes);
	return writer->out->failed ? -ENOMEM : 0;
}

int gj_object_write(const struct gj_object *object, const struct gj_object_edit *edit,
		    struct gj_buf *out)
{
	struct writer writer = { .object = object, .edit = edit, .out = out };
	static const Elf64_Ehdr none;
	int err = -ENOMEM;

	writer.sources = calloc(edit->copy_cnt + 1, sizeof(*writer.sources));
	writer.sections = calloc(object->headers.size_bytes / sizeof(Elf64_Shdr) + 1,
				 sizeof(*writer.sections));
	writer.symbols = calloc(object->symbols.size_bytes / sizeof(Elf64_Sym) + 1,
				sizeof(*writer.symbols));
	gj_buf_add(out, &none, sizeof(none));
	add_string(&writer, "");
	if (writer.sources && writer.sections && writer.symbols) {
		keep_sections(&writer);
		err = add_copies(&writer);
	}
	if (!err) {
		add_symbols(&writer);
		err = add_all_relocations(&writer);
	}
	if (!err)
		err = finish(&writer);
	/* Which makes other things look wrong. */
	if (has_failed(&writer))
		err = -ENOMEM;
	free(writer.sources);
	free(writer.sections);
	free(writer.symbols);
	gj_buf_deinit(&writer.headers);
	gj_buf_deinit(&writer.strings);
	gj_buf_deinit(&writer.symtab);
	return err;
}
