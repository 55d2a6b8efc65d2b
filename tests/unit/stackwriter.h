/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A Go program of functions that a test names, and the memory of one of its
 * threads, word by word, for tests of what walks stacks.
 *
 * Function number i stands at SW_TEXT + 0x100 i and is 0x100 bytes long; SP is
 * `delta` bytes down in all of it. Tables as Go 1.20 to 1.25 lay them out.
 *
 *   memory    10000..11000   the goroutine's stack
 *             20000..21000   g0's
 *             30000..31000   gsignal's
 *             40000          g, g0 (+400), gsignal (+800), m (+c00); offsets of Go 1.22
 */
#ifndef GJ_TEST_STACKWRITER_H
#define GJ_TEST_STACKWRITER_H

#include <elf.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "stitch/stitch.h"

struct sw_func {
	const char *name; /* NULL ends the list */
	int32_t delta;    /* of SP in bytes; SW_NO_TABLE: has no table */
	uint8_t flag;     /* GJ_GOFUNC_* */
	const char *code; /* of code_bytes; at the function's start */
	size_t code_bytes;
};
#define SW_NO_TABLE INT32_MIN

#define SW_BASE 0x400000
#define SW_TEXT_OFF 0x1000
#define SW_TEXT (SW_BASE + SW_TEXT_OFF)
#define SW_FUNC_BYTES 0x100
#define SW_TAB_OFF 0x8000
#define SW_DATA_OFF 0xc000
#define SW_FILE_BYTES 0xc400
#define SW_AT(index, off) (SW_TEXT + SW_FUNC_BYTES * (index) + (off))

#define SW_GO_STACK 0x10000
#define SW_G0_STACK 0x20000
#define SW_SIGNAL_STACK 0x30000
#define SW_STACK_BYTES 0x1000
#define SW_G 0x40000
#define SW_G0 0x40400
#define SW_GSIGNAL 0x40800
#define SW_M 0x40c00
#define SW_MEMORY 0x10000
#define SW_MEMORY_BYTES 0x31000

struct sw {
	uint8_t file[SW_FILE_BYTES];
	uint8_t memory[SW_MEMORY_BYTES];
	struct gj_image *image;
	struct gj_gotab *gotab;
	struct gj_goffsets offsets;
	struct gj_stitch_view view;
	struct gj_stitcher *stitcher;
	uint64_t values[17]; /* perf's ax bx cx dx si di bp sp ip, then r8 to r15 */
	struct gj_stitch_input input;
	struct gj_stack_frame frames[256];
	struct gj_stack stack;
	size_t read_cnt; /* calls of the view's read */
};

static inline void sw_put(struct sw *sw, uint64_t va, uint64_t value)
{
	memcpy(sw->memory + (va - SW_MEMORY), &value, sizeof(value));
}

static inline int sw_read(void *data, uint64_t va, void *bytes_out, size_t size_bytes)
{
	struct sw *sw = data;
	struct gj_window memory = { sw->memory, SW_MEMORY_BYTES };

	sw->read_cnt++;
	return gj_window_read(memory, va - SW_MEMORY, bytes_out, size_bytes) ? 0 : -14;
}

static inline int sw_find_image(void *data, uint64_t va, struct gj_stitch_image *image_out)
{
	struct sw *sw = data;

	if (va < SW_BASE || va >= SW_BASE + SW_FILE_BYTES)
		return -2;
	*image_out = (struct gj_stitch_image){ sw->image, sw->gotab, 0, false };
	return 0;
}

static inline uint32_t sw_varint(uint8_t *at, uint32_t value)
{
	uint32_t cnt = 0;

	for (; value >= 0x80; value >>= 7)
		at[cnt++] = (uint8_t)value | 0x80;
	at[cnt++] = (uint8_t)value;
	return cnt;
}

static inline uint32_t sw_add(struct sw *sw, uint32_t *end_off, const void *bytes, size_t size_bytes)
{
	uint32_t off = *end_off;

	memcpy(sw->file + off, bytes, size_bytes);
	*end_off += (uint32_t)size_bytes;
	return off;
}

static inline void sw_put64(struct sw *sw, uint32_t off, uint64_t value)
{
	memcpy(sw->file + off, &value, sizeof(value));
}

/* pctab and names: their offsets by function. */
static inline void sw_write_tables(struct sw *sw, const struct sw_func *funcs, uint32_t cnt,
				   uint32_t *end_off, uint32_t *name_offs, uint32_t *pcsp_offs)
{
	uint32_t names = *end_off, pctab;

	for (uint32_t i = 0; i < cnt; i++)
		name_offs[i] = sw_add(sw, end_off, funcs[i].name, strlen(funcs[i].name) + 1) - names;
	sw_put64(sw, SW_TAB_OFF + 32, names - SW_TAB_OFF);
	sw_put64(sw, SW_TAB_OFF + 40, *end_off - SW_TAB_OFF); /* cutab */
	sw_add(sw, end_off, "\0\0\0\0", 4);
	sw_put64(sw, SW_TAB_OFF + 48, *end_off - SW_TAB_OFF); /* filetab */
	sw_add(sw, end_off, "f.go", 5);
	pctab = *end_off;
	sw_put64(sw, SW_TAB_OFF + 56, pctab - SW_TAB_OFF);
	sw_add(sw, end_off, "", 1);
	for (uint32_t i = 0; i < cnt; i++) {
		uint8_t bytes[16];
		int64_t step = (int64_t)funcs[i].delta + 1;
		uint32_t size_bytes = sw_varint(bytes, step < 0 ? (uint32_t)~(2 * step) : (uint32_t)(2 * step));

		size_bytes += sw_varint(bytes + size_bytes, SW_FUNC_BYTES);
		bytes[size_bytes++] = 0;
		pcsp_offs[i] = funcs[i].delta == SW_NO_TABLE ? 0 :
				       sw_add(sw, end_off, bytes, size_bytes) - pctab;
	}
}

static inline void sw_write_functab(struct sw *sw, const struct sw_func *funcs, uint32_t cnt,
				    uint32_t end_off, const uint32_t *name_offs,
				    const uint32_t *pcsp_offs)
{
	uint32_t functab = (end_off + 7) & ~7U, records = functab + 8 * cnt + 4;

	sw_put64(sw, SW_TAB_OFF + 64, functab - SW_TAB_OFF);
	for (uint32_t i = 0; i <= cnt; i++) {
		uint32_t words[2] = { SW_FUNC_BYTES * i, records + 44 * i - functab };
		uint32_t func[11] = { words[0], 0 };

		memcpy(sw->file + functab + 8 * i, words, i < cnt ? 8 : 4);
		if (i == cnt)
			break;
		func[1] = name_offs[i];
		func[4] = pcsp_offs[i];
		func[10] = (uint32_t)funcs[i].flag << 8;
		memcpy(sw->file + records + 44 * i, func, sizeof(func));
		if (funcs[i].code)
			memcpy(sw->file + SW_TEXT_OFF + SW_FUNC_BYTES * i, funcs[i].code,
			       funcs[i].code_bytes);
	}
	sw_put64(sw, SW_DATA_OFF, SW_BASE + SW_TAB_OFF);
	sw_put64(sw, SW_DATA_OFF + 136, cnt + 1);
	for (unsigned int i = 0; i < 4; i++) /* minpc, maxpc, text, etext */
		sw_put64(sw, SW_DATA_OFF + 160 + 8 * i,
			 SW_TEXT + (i % 2 ? SW_FUNC_BYTES * cnt : 0));
	sw_put64(sw, SW_DATA_OFF + 320, SW_BASE + SW_TAB_OFF); /* gofunc */
}

static inline void sw_write_headers(struct sw *sw, uint16_t machine)
{
	Elf64_Ehdr ehdr = {
		.e_ident = { ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB, EV_CURRENT },
		.e_type = ET_EXEC, .e_machine = machine, .e_version = EV_CURRENT,
		.e_phoff = sizeof(Elf64_Ehdr), .e_ehsize = sizeof(Elf64_Ehdr),
		.e_phentsize = sizeof(Elf64_Phdr), .e_phnum = 2,
	};
	Elf64_Phdr phdrs[2] = {
		{ PT_LOAD, PF_R | PF_X, 0, SW_BASE, SW_BASE, SW_DATA_OFF, SW_DATA_OFF, 4096 },
		{ PT_LOAD, PF_R | PF_W, SW_DATA_OFF, SW_BASE + SW_DATA_OFF, SW_BASE + SW_DATA_OFF,
		  SW_FILE_BYTES - SW_DATA_OFF, SW_FILE_BYTES - SW_DATA_OFF, 4096 },
	};

	memcpy(sw->file, &ehdr, sizeof(ehdr));
	memcpy(sw->file + sizeof(ehdr), phdrs, sizeof(phdrs));
}

/* The runtime's state: the goroutine runs, nothing is saved. */
static inline void sw_write_runtime(struct sw *sw)
{
	static const uint64_t gs[3][2] = { { SW_G, SW_GO_STACK }, { SW_G0, SW_G0_STACK },
					   { SW_GSIGNAL, SW_SIGNAL_STACK } };

	for (unsigned int i = 0; i < 3; i++) {
		sw_put(sw, gs[i][0], gs[i][1]);
		sw_put(sw, gs[i][0] + 8, gs[i][1] + SW_STACK_BYTES);
		sw_put(sw, gs[i][0] + 48, SW_M);
	}
	sw_put(sw, SW_G0 + 56, SW_G0_STACK + 0xf00); /* sched.sp */
	sw_put(sw, SW_M, SW_G0);
	sw_put(sw, SW_M + 80, SW_GSIGNAL);
	sw_put(sw, SW_M + 192, SW_G);
}

/* 0, or the error of whoever refuses the file. Afterwards: set values, memory, then sw_walk. */
static inline int sw_open(struct sw *sw, const struct sw_func *funcs, uint16_t machine)
{
	uint32_t cnt = 0, name_offs[64], pcsp_offs[64], end_off = SW_TAB_OFF + 72;
	int err;

	memset(sw, 0, sizeof(*sw));
	while (funcs[cnt].name)
		cnt++;
	sw_write_headers(sw, machine);
	memcpy(sw->file + SW_TAB_OFF, "\xf1\xff\xff\xff\0\0", 6);
	sw->file[SW_TAB_OFF + 6] = machine == EM_AARCH64 ? 4 : 1;
	sw->file[SW_TAB_OFF + 7] = 8;
	sw_put64(sw, SW_TAB_OFF + 8, cnt);
	sw_put64(sw, SW_TAB_OFF + 24, SW_TEXT);
	sw_write_tables(sw, funcs, cnt, &end_off, name_offs, pcsp_offs);
	sw_write_functab(sw, funcs, cnt, end_off, name_offs, pcsp_offs);
	sw_write_runtime(sw);
	err = gj_image_open_bytes((struct gj_window){ sw->file, SW_FILE_BYTES }, "test", &sw->image,
				  NULL);
	if (!err)
		err = gj_gotab_open(sw->image, &sw->gotab, NULL);
	if (!err)
		err = gj_stitcher_new(&sw->stitcher);
	memset(&sw->offsets, 0xff, sizeof(sw->offsets));
	sw->offsets.g_stack_lo = 0;
	sw->offsets.g_stack_hi = 8;
	sw->offsets.g_m = 48;
	sw->offsets.g_sched_sp = 56;
	sw->offsets.g_sched_pc = 64;
	sw->offsets.g_sched_bp = 104;
	sw->offsets.m_g0 = 0;
	sw->offsets.m_gsignal = 80;
	sw->offsets.m_curg = 192;
	sw->view = (struct gj_stitch_view){
		.data = sw, .read = sw_read, .find_image = sw_find_image,
		.arch = machine == EM_AARCH64 ? GJ_ARCH_ARM64 : GJ_ARCH_AMD64,
		.offsets = &sw->offsets, .g = SW_G,
	};
	sw->input.regs = (struct gj_regs){ 0xff01ff, sw->values };
	sw->stack = (struct gj_stack){ .frames = sw->frames, .max = 256 };
	return err;
}

static inline void sw_close(struct sw *sw)
{
	gj_stitcher_free(sw->stitcher);
	gj_gotab_close(sw->gotab);
	gj_image_close(sw->image);
}

#define SW_BX 1
#define SW_BP 6
#define SW_SP 7
#define SW_IP 8
#define SW_R14 15

/* Walks from @ip and @sp; 0 or -ENOMEM. */
static inline int sw_walk(struct sw *sw, uint64_t ip, uint64_t sp)
{
	sw->values[SW_SP] = sp;
	sw->values[SW_IP] = ip;
	return gj_stitch(sw->stitcher, &sw->view, &sw->input, &sw->stack);
}

#endif
