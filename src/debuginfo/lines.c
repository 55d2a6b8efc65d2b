/* SPDX-License-Identifier: GPL-2.0 */
/*
 * .debug_line: a file table and a line number program for each unit, from
 * pcfile and pcln.
 *
 *   header   u32 length, u16 version, u32 header length, u8 minimum instruction
 *            length, u8 operations an instruction, u8 default is_stmt,
 *            i8 line base, u8 line range, u8 opcode base, operand counts,
 *            include_directories, u8 0, file_names, u8 0
 *   program  one sequence for each function
 * (DWARF 4, section 6.2.4)
 */
#include <errno.h>
#include <limits.h>
#include <string.h>

#include "debuginfo/build.h"
#include "debuginfo/dwarf.h"
#include "debuginfo/encode.h"

/* A special opcode moves the line by [base, base + range) and the address by the rest. */
#define LINE_BASE (-4)
#define LINE_RANGE 11
#define OPCODE_BASE 13

/* Number of the directory that @path starts with, 0 when it has none; *name_out is what follows. */
static uint32_t dir_number(struct gj_debug_files *files, const char *path, const char **name_out)
{
	const char *slash = strrchr(path, '/');
	size_t dir_bytes;
	uint32_t *number;
	bool is_new;

	*name_out = path;
	if (!slash || slash == path)
		return 0;
	dir_bytes = (size_t)(slash - path);
	number = gj_strmap_find(&files->dir_map, path, dir_bytes, &is_new);
	if (!number) {
		files->names.failed = true;
		return 0;
	}
	if (is_new) {
		*number = ++files->dir_cnt;
		gj_buf_add(&files->dirs, path, dir_bytes);
		gj_buf_chr(&files->dirs, '\0');
	}
	*name_out = slash + 1;
	return *number;
}

uint32_t gj_debug_file(struct gj_debug *debug, const char *path)
{
	struct gj_debug_files *files = &debug->files;
	const char *name;
	uint32_t *number, dir;
	bool is_new;

	if (!path || !*path || strnlen(path, PATH_MAX) == PATH_MAX)
		return 0;
	number = gj_strmap_find(&files->file_map, path, strlen(path), &is_new);
	if (!number) {
		files->names.failed = true;
		return 0;
	}
	if (!is_new)
		return *number;
	*number = ++files->file_cnt;
	dir = dir_number(files, path, &name);
	gj_buf_add(&files->names, name, strlen(name) + 1);
	gj_put_uleb(&files->names, dir);
	gj_put_uleb(&files->names, 0); /* time */
	gj_put_uleb(&files->names, 0); /* length */
	return files->file_cnt;
}

static bool add_row(struct gj_debug *debug, uint64_t va, uint32_t file, int32_t line)
{
	struct gj_debug_row row = { va, file, line > 0 ? (uint32_t)line : 0 };

	if (debug->row_cnt && debug->rows[debug->row_cnt - 1].file == row.file &&
	    debug->rows[debug->row_cnt - 1].line == row.line)
		return true;
	if (!gj_debug_grow((void **)&debug->rows, &debug->row_cap, debug->row_cnt,
			   sizeof(row)))
		return false;
	debug->rows[debug->row_cnt++] = row;
	return true;
}

/* Two tables walked side by side: a row ends where either of them says so. */
int gj_debug_read_lines(struct gj_debug *debug, const struct gj_gofunc *func, uint64_t end_va)
{
	struct gj_pcrow file = { .end_va = func->entry_va }, line = file;
	struct gj_pciter files, lines;
	uint64_t va = func->entry_va;
	uint32_t number = 0;

	debug->row_cnt = 0;
	if (gj_pciter_init(debug->gotab, func, GJ_PCTABLE_FILE, &files) ||
	    gj_pciter_init(debug->gotab, func, GJ_PCTABLE_LINE, &lines))
		return 0;
	while (va < end_va) {
		if (va >= file.end_va) {
			if (gj_pciter_next(&files, &file) != 1)
				break;
			number = gj_debug_file(debug,
					       gj_gotab_file(debug->gotab, func, file.value));
		}
		if (va >= line.end_va && gj_pciter_next(&lines, &line) != 1)
			break;
		if (!add_row(debug, va, number, line.value))
			return -ENOMEM;
		va = file.end_va < line.end_va ? file.end_va : line.end_va;
	}
	/* What the tables do not cover has no file and no line. */
	return va < end_va && !add_row(debug, va, 0, 0) ? -ENOMEM : 0;
}

/* The state machine of a line number program. */
struct machine {
	struct gj_buf *program;
	uint64_t va;
	uint32_t file, line;
	uint32_t unit_bytes; /* addresses count in this many bytes */
	bool is_open;        /* a sequence has begun */
};

static void put_extended(struct gj_buf *program, unsigned int opcode, unsigned int operand_bytes)
{
	gj_put_u8(program, 0);
	gj_put_uleb(program, operand_bytes + 1);
	gj_put_u8(program, opcode);
}

static void begin_sequence(struct machine *machine, uint64_t va)
{
	put_extended(machine->program, DW_LNE_set_address, 8);
	gj_put_u64(machine->program, va);
	machine->va = va;
	machine->file = machine->line = 1;
	machine->is_open = true;
}

static void end_sequence(struct machine *machine, uint64_t va)
{
	gj_put_u8(machine->program, DW_LNS_advance_pc);
	gj_put_uleb(machine->program, (va - machine->va) / machine->unit_bytes);
	put_extended(machine->program, DW_LNE_end_sequence, 0);
	machine->is_open = false;
}

/* Moves to @row in as few bytes as the special opcodes allow. */
static void put_row(struct machine *machine, const struct gj_debug_row *row)
{
	const unsigned int const_add = (255 - OPCODE_BASE) / LINE_RANGE;
	int64_t line_delta = (int64_t)row->line - machine->line;
	uint64_t pc_delta = (row->va - machine->va) / machine->unit_bytes;
	uint64_t limit;

	if (row->file != machine->file) {
		gj_put_u8(machine->program, DW_LNS_set_file);
		gj_put_uleb(machine->program, row->file);
	}
	if (line_delta < LINE_BASE || line_delta >= LINE_BASE + LINE_RANGE) {
		gj_put_u8(machine->program, DW_LNS_advance_line);
		gj_put_sleb(machine->program, line_delta);
		line_delta = 0;
	}
	/* The largest address step that a special opcode takes with this line step. */
	limit = (uint64_t)(255 - OPCODE_BASE - (line_delta - LINE_BASE)) / LINE_RANGE;
	if (pc_delta > limit && pc_delta <= limit + const_add && pc_delta >= const_add) {
		gj_put_u8(machine->program, DW_LNS_const_add_pc);
		pc_delta -= const_add;
	} else if (pc_delta > limit) {
		gj_put_u8(machine->program, DW_LNS_advance_pc);
		gj_put_uleb(machine->program, pc_delta);
		pc_delta = 0;
	}
	gj_put_u8(machine->program, (unsigned int)(line_delta - LINE_BASE) +
					    LINE_RANGE * (unsigned int)pc_delta + OPCODE_BASE);
	machine->va = row->va;
	machine->file = row->file;
	machine->line = row->line;
}

/* Addresses of AArch64 code count in instructions. */
static uint32_t instruction_bytes(const struct gj_debug *debug)
{
	return gj_image_arch(debug->image) == GJ_ARCH_ARM64 ? 4 : 1;
}

void gj_debug_put_lines(struct gj_debug *debug, uint64_t end_va)
{
	struct machine machine = { .program = &debug->program,
				   .unit_bytes = instruction_bytes(debug) };

	for (size_t i = 0; i < debug->row_cnt; i++) {
		const struct gj_debug_row *row = &debug->rows[i];

		if (!row->file) {
			if (machine.is_open)
				end_sequence(&machine, row->va);
			continue;
		}
		if (!machine.is_open)
			begin_sequence(&machine, row->va);
		put_row(&machine, row);
		debug->stats.line_cnt++;
	}
	if (machine.is_open)
		end_sequence(&machine, end_va);
}

static void empty(struct gj_debug *debug)
{
	struct gj_debug_files *files = &debug->files;

	gj_strmap_clear(&files->dir_map);
	gj_strmap_clear(&files->file_map);
	files->dirs.size_bytes = files->names.size_bytes = debug->program.size_bytes = 0;
	files->dir_cnt = files->file_cnt = 0;
}

void gj_debug_put_line_unit(struct gj_debug *debug)
{
	static const uint8_t operand_cnts[OPCODE_BASE - 1] = { 0, 1, 1, 1, 1, 0, 0, 0, 1, 0, 0, 1 };
	struct gj_buf *line = &debug->line;
	size_t unit = gj_begin_length(line), header;

	gj_put_u16(line, GJ_DWARF_VERSION);
	header = gj_begin_length(line);
	gj_put_u8(line, instruction_bytes(debug));
	gj_put_u8(line, 1);
	gj_put_u8(line, 1);
	gj_put_u8(line, (uint8_t)LINE_BASE);
	gj_put_u8(line, LINE_RANGE);
	gj_put_u8(line, OPCODE_BASE);
	gj_buf_add(line, operand_cnts, sizeof(operand_cnts));
	gj_buf_add(line, debug->files.dirs.data, debug->files.dirs.size_bytes);
	gj_put_u8(line, 0);
	gj_buf_add(line, debug->files.names.data, debug->files.names.size_bytes);
	gj_put_u8(line, 0);
	gj_end_length(line, header);
	gj_buf_add(line, debug->program.data, debug->program.size_bytes);
	gj_end_length(line, unit);
	line->failed |= debug->files.dirs.failed || debug->files.names.failed ||
			debug->program.failed;
	empty(debug);
}
