/* SPDX-License-Identifier: GPL-2.0 */
/*
 * .debug_frame: how to find the caller at each instruction, from pcsp.
 *
 * The tables say how far SP is below where it was at the entry. On amd64 the
 * return address lies just above that; on arm64 it is in LR until a frame has
 * been made and then at the frame's lowest word (Go src/cmd/link/internal/ld/
 * dwarf.go, writeframes).
 */
#include "debuginfo/build.h"
#include "debuginfo/dwarf.h"
#include "debuginfo/encode.h"

#define DATA_ALIGN (-8)
#define CIE_ID 0xffffffff

/* The machine's numbers (System V ABI for AMD64, section 3.6.2; AArch64 DWARF, section 4.1). */
struct machine {
	unsigned int sp, return_address, code_align;
	unsigned int entry_bytes; /* from SP to the CFA at the entry */
};

static const struct machine machines[] = {
	[GJ_ARCH_AMD64] = { .sp = 7, .return_address = 16, .code_align = 1, .entry_bytes = 8 },
	[GJ_ARCH_ARM64] = { .sp = 31, .return_address = 30, .code_align = 4, .entry_bytes = 0 },
};

static void end_record(struct gj_buf *frame, size_t record)
{
	static const uint8_t padding[sizeof(uint64_t)] = { DW_CFA_nop };

	gj_buf_add(frame, padding, -(frame->size_bytes - record + 4) % sizeof(padding));
	gj_end_length(frame, record);
}

/* The return address lies @off_bytes below the CFA, or still in its register for 0. */
static void put_return_address(struct gj_buf *frame, const struct machine *machine,
			       int64_t off_bytes)
{
	gj_put_u8(frame, off_bytes ? DW_CFA_offset_extended_sf : DW_CFA_same_value);
	gj_put_uleb(frame, machine->return_address);
	if (off_bytes)
		gj_put_sleb(frame, -off_bytes / DATA_ALIGN);
}

static void put_common_record(struct gj_buf *frame, const struct machine *machine)
{
	size_t record = gj_begin_length(frame);

	gj_put_u32(frame, CIE_ID);
	gj_put_u8(frame, GJ_DWARF_FRAME_VERSION);
	gj_put_u8(frame, 0); /* no augmentation */
	gj_put_uleb(frame, machine->code_align);
	gj_put_sleb(frame, DATA_ALIGN);
	gj_put_uleb(frame, machine->return_address);
	gj_put_u8(frame, DW_CFA_def_cfa);
	gj_put_uleb(frame, machine->sp);
	gj_put_uleb(frame, machine->entry_bytes);
	put_return_address(frame, machine, machine->entry_bytes);
	/* The caller's SP is the CFA itself. */
	gj_put_u8(frame, DW_CFA_val_offset);
	gj_put_uleb(frame, machine->sp);
	gj_put_uleb(frame, 0);
	end_record(frame, record);
}

static void put_advance(struct gj_buf *frame, uint64_t delta)
{
	if (!delta)
		return;
	if (delta < 64) {
		gj_put_u8(frame, DW_CFA_advance_loc | (unsigned int)delta);
	} else if (delta <= UINT8_MAX) {
		gj_put_u8(frame, DW_CFA_advance_loc1);
		gj_put_u8(frame, (unsigned int)delta);
	} else if (delta <= UINT16_MAX) {
		gj_put_u8(frame, DW_CFA_advance_loc2);
		gj_put_u16(frame, (uint16_t)delta);
	} else {
		gj_put_u8(frame, DW_CFA_advance_loc4);
		gj_put_u32(frame, (uint32_t)delta);
	}
}

/* Assembly that pops its frame before a jump has SP above the CFA for an instruction or two. */
static void put_cfa_offset(struct gj_buf *frame, int64_t off_bytes)
{
	gj_put_u8(frame, off_bytes < 0 ? DW_CFA_def_cfa_offset_sf : DW_CFA_def_cfa_offset);
	if (off_bytes < 0)
		gj_put_sleb(frame, off_bytes / DATA_ALIGN);
	else
		gj_put_uleb(frame, (uint64_t)off_bytes);
}

static void put_func_record(struct gj_debug *debug, const struct machine *machine,
			    const struct gj_gofunc *func, uint64_t end_va)
{
	struct gj_buf *frame = &debug->frame;
	uint64_t va = func->entry_va;
	struct gj_pciter iter;
	struct gj_pcrow row;
	size_t record;

	if (gj_pciter_init(debug->gotab, func, GJ_PCTABLE_SP, &iter))
		return;
	record = gj_begin_length(frame);
	gj_put_u32(frame, 0); /* the common record */
	gj_put_u64(frame, va);
	gj_put_u64(frame, end_va - va);
	/* Nothing called the first function of a stack. */
	if (func->flag & GJ_GOFUNC_TOPFRAME) {
		gj_put_u8(frame, DW_CFA_undefined);
		gj_put_uleb(frame, machine->return_address);
	}
	while (gj_pciter_next(&iter, &row) == 1 && row.start_va < end_va) {
		put_advance(frame, (row.start_va - va) / machine->code_align);
		va = row.start_va;
		put_cfa_offset(frame, row.value + (int64_t)machine->entry_bytes);
		if (!machine->entry_bytes && !(func->flag & GJ_GOFUNC_TOPFRAME))
			put_return_address(frame, machine, row.value > 0 ? row.value : 0);
	}
	end_record(frame, record);
}

int gj_debug_put_frames(struct gj_debug *debug, struct gj_diag *diag)
{
	const struct machine *machine = &machines[gj_image_arch(debug->image)];
	int err = 0;

	put_common_record(&debug->frame, machine);
	for (size_t i = 0; !err && i < debug->func_cnt; i++) {
		struct gj_gofunc func;

		if (!gj_gotab_func(debug->gotab, debug->funcs[i].index, &func))
			put_func_record(debug, machine, &func, debug->funcs[i].end_va);
		err = gj_debug_check(debug, diag);
	}
	return err;
}
