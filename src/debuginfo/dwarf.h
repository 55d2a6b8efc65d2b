/* SPDX-License-Identifier: GPL-2.0 */
/* The numbers of DWARF 4 that debug files are written with (dwarfstd.org, section 7). */
#ifndef GJ_DEBUGINFO_DWARF_H
#define GJ_DEBUGINFO_DWARF_H

#define GJ_DWARF_VERSION 4
#define GJ_DWARF_ARANGES_VERSION 2
#define GJ_DWARF_FRAME_VERSION 3

enum {
	DW_TAG_compile_unit = 0x11,
	DW_TAG_inlined_subroutine = 0x1d,
	DW_TAG_subprogram = 0x2e,
};

enum {
	DW_AT_name = 0x03,
	DW_AT_stmt_list = 0x10,
	DW_AT_low_pc = 0x11,
	DW_AT_high_pc = 0x12,
	DW_AT_language = 0x13,
	DW_AT_inline = 0x20,
	DW_AT_producer = 0x25,
	DW_AT_abstract_origin = 0x31,
	DW_AT_decl_file = 0x3a,
	DW_AT_decl_line = 0x3b,
	DW_AT_external = 0x3f,
	DW_AT_ranges = 0x55,
	DW_AT_call_file = 0x58,
	DW_AT_call_line = 0x59,
	DW_AT_linkage_name = 0x6e,
};

enum {
	DW_FORM_addr = 0x01,
	DW_FORM_data1 = 0x0b,
	DW_FORM_strp = 0x0e,
	DW_FORM_udata = 0x0f,
	DW_FORM_ref_udata = 0x15,
	DW_FORM_sec_offset = 0x17,
	DW_FORM_flag_present = 0x19,
};

#define DW_LANG_Go 0x16
#define DW_INL_inlined 1

enum {
	DW_LNS_copy = 1,
	DW_LNS_advance_pc = 2,
	DW_LNS_advance_line = 3,
	DW_LNS_set_file = 4,
	DW_LNS_const_add_pc = 8,
	DW_LNE_end_sequence = 1,
	DW_LNE_set_address = 2,
};

enum {
	DW_CFA_nop = 0x00,
	DW_CFA_advance_loc1 = 0x02,
	DW_CFA_advance_loc2 = 0x03,
	DW_CFA_advance_loc4 = 0x04,
	DW_CFA_undefined = 0x07,
	DW_CFA_same_value = 0x08,
	DW_CFA_def_cfa = 0x0c,
	DW_CFA_def_cfa_offset = 0x0e,
	DW_CFA_offset_extended_sf = 0x11,
	DW_CFA_def_cfa_offset_sf = 0x13,
	DW_CFA_val_offset = 0x14,
	DW_CFA_advance_loc = 0x40, /* with the delta in its low six bits */
};

#endif
