/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Fuzz target: any .eh_frame, in a small ELF file, and look-ups in what comes
 * of it. Input that begins as ELF files do is taken as the whole file.
 */
#include <elf.h>
#include <stdlib.h>

#include "seeds.h"
#include "stitch/stitch.h"

#define BASE 0x400000
#define FRAME_OFF 0x400
#define FILE_BYTES 0x2000

struct file {
	uint8_t bytes[FILE_BYTES];
};

static void write_file(struct file *file, const uint8_t *frame, size_t size_bytes)
{
	static const char names[] = "\0.eh_frame\0.shstrtab";
	Elf64_Ehdr ehdr = {
		.e_ident = { ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB, EV_CURRENT },
		.e_type = ET_DYN, .e_machine = EM_X86_64, .e_version = EV_CURRENT,
		.e_phoff = 64, .e_shoff = 0x100, .e_ehsize = 64, .e_phentsize = sizeof(Elf64_Phdr),
		.e_phnum = 1, .e_shentsize = sizeof(Elf64_Shdr), .e_shnum = 3, .e_shstrndx = 2,
	};
	Elf64_Phdr phdr = { PT_LOAD, PF_R | PF_X, 0, BASE, BASE, FILE_BYTES, FILE_BYTES, 4096 };
	Elf64_Shdr sections[3] = {
		{ 0 },
		{ 1, SHT_PROGBITS, SHF_ALLOC, BASE + FRAME_OFF, FRAME_OFF, size_bytes, 0, 0, 8, 0 },
		{ 11, SHT_STRTAB, 0, 0, 0x300, sizeof(names), 0, 0, 1, 0 },
	};

	memset(file, 0, sizeof(*file));
	memcpy(file->bytes, &ehdr, sizeof(ehdr));
	memcpy(file->bytes + 64, &phdr, sizeof(phdr));
	memcpy(file->bytes + 0x100, sections, sizeof(sections));
	memcpy(file->bytes + 0x300, names, sizeof(names));
	memcpy(file->bytes + FRAME_OFF, frame, size_bytes);
}

static void look_up(const struct gj_cfi *cfi)
{
	const struct gj_cfi_row *row;
	uint64_t va, last_va = 0;

	for (size_t i = 0; (row = gj_cfi_row(cfi, i, &va)); i++) {
		if ((i && va <= last_va) || row->cfa_kind > GJ_CFA_EXPRESSION)
			abort();
		if (row->cfa_kind != GJ_CFA_NONE && gj_cfi_find(cfi, va) != row)
			abort();
		last_va = va;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes)
{
	static struct file file;
	struct gj_window bytes = { file.bytes, FILE_BYTES };
	struct gj_image *image;
	struct gj_cfi *cfi;

	if (size_bytes >= 4 && !memcmp(data, ELFMAG, 4))
		bytes = (struct gj_window){ data, size_bytes };
	else
		write_file(&file, data, size_bytes > 0x1000 ? 0x1000 : size_bytes);
	if (gj_image_open_bytes(bytes, "", &image, NULL))
		return 0;
	if (!gj_cfi_new(image, NULL, &cfi)) {
		look_up(cfi);
		gj_cfi_free(cfi);
	}
	gj_image_close(image);
	return 0;
}

void fuzz_seeds(void)
{
	/* CIE zR, pcrel sdata4: CFA rsp+8, ra at c-8; FDE of 0x20 bytes: push rbp; mov rbp,rsp. */
	static const uint8_t frame[] = {
		0x14, 0, 0, 0, 0, 0, 0, 0, 1, 'z', 'R', 0, 1, 0x78, 16, 1, 0x1b, 0x0c, 7, 8, 0x90, 1, 0, 0,
		0x1c, 0, 0, 0, 0x1c, 0, 0, 0, 0xe0, 0xf0, 0xff, 0xff, 0x20, 0, 0, 0, 0, 0x41, 0x0e, 16,
		0x86, 2, 0x43, 0x0d, 6, 0x50, 0x0c, 7, 8, 0, 0, 0,
		0, 0, 0, 0,
	};

	fuzz_seed(frame, sizeof(frame));
	fuzz_seed(frame, 20);
}
