/* SPDX-License-Identifier: GPL-2.0 */
/*
 * .BTF.ext of an object whose functions have got sections of their own: which
 * instructions are of which function, line, and relocation against the kernel.
 *
 *   header      u16 magic, u8 version, u8 flags, u32 header bytes, then for each
 *               kind of information u32 offset behind the header, u32 bytes
 *   each kind   u32 bytes of a record, then for each section of the object
 *   section     u32 name (in .BTF), u32 records, the records
 *   record      u32 offset in the section, the rest by kind
 *
 * Linux Documentation/bpf/btf.rst, "The .BTF.ext section"; libbpf
 * src/libbpf_internal.h.
 */
#include <bpf/btf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "load/write.h"

#define MAGIC 0xeb9f
#define VERSION 1
#define KIND_CNT 3 /* functions, lines, CO-RE relocations */
#define MAX_RECORD_BYTES 64

struct header {
	uint16_t magic;
	uint8_t version, flags;
	uint32_t header_bytes;
	struct {
		uint32_t off, size_bytes;
	} kinds[KIND_CNT];
};

struct context {
	struct btf *btf;
	const struct gj_object *object;
	const struct gj_object_edit *edit;
	struct gj_buf *out;
};

/* Records of a section that are of a part of it, for a section called @name. */
static int add_part(const struct context *context, const char *name, struct gj_window records,
		    uint32_t record_bytes, uint64_t off, uint64_t size_bytes)
{
	size_t begin = context->out->size_bytes;
	uint32_t head[2] = { 0 }, insn_off;
	uint8_t record[MAX_RECORD_BYTES];
	int name_off = btf__add_str(context->btf, name);

	if (name_off < 0)
		return name_off;
	head[0] = (uint32_t)name_off;
	gj_buf_add(context->out, head, sizeof(head));
	for (uint64_t at = 0; gj_window_read(records, at, record, record_bytes); at += record_bytes) {
		memcpy(&insn_off, record, sizeof(insn_off));
		if (insn_off < off || insn_off - off >= size_bytes)
			continue;
		insn_off -= (uint32_t)off;
		memcpy(record, &insn_off, sizeof(insn_off));
		gj_buf_add(context->out, record, record_bytes);
		head[1]++;
	}
	if (context->out->failed)
		return -ENOMEM;
	/* A section without records is refused. */
	if (head[1])
		memcpy(context->out->data + begin, head, sizeof(head));
	else
		context->out->size_bytes = begin;
	return 0;
}

static int add_section(const struct context *context, const char *name, struct gj_window records,
		       uint32_t record_bytes)
{
	const struct gj_object_edit *edit = context->edit;
	int err = 0;

	if (!gj_object_drops(edit, name))
		err = add_part(context, name, records, record_bytes, 0, UINT64_MAX);
	for (size_t i = 0; !err && i < edit->copy_cnt; i++) {
		struct gj_object_symbol source;

		err = gj_object_symbol(context->object, edit->copies[i].function, &source);
		if (!err && !strcmp(source.section, name))
			err = add_part(context, edit->copies[i].section, records, record_bytes,
				       source.off, source.size_bytes);
	}
	return err;
}

static int add_kind(const struct context *context, struct gj_window kind)
{
	size_t begin = context->out->size_bytes;
	struct gj_cursor cursor = gj_cursor_init(kind);
	uint32_t record_bytes = gj_cursor_u32(&cursor);
	int err = 0;

	if (!kind.size_bytes)
		return 0;
	if (record_bytes < sizeof(uint32_t) || record_bytes > MAX_RECORD_BYTES)
		return -EBADMSG;
	gj_buf_add(context->out, &record_bytes, sizeof(record_bytes));
	while (!err && gj_cursor_left(&cursor)) {
		const char *name = btf__str_by_offset(context->btf, gj_cursor_u32(&cursor));
		uint64_t size_bytes = (uint64_t)gj_cursor_u32(&cursor) * record_bytes;
		const uint8_t *records = gj_cursor_take(&cursor, size_bytes);
		char *copy = name && records ? strdup(name) : NULL; /* adding strings moves them */

		if (!copy)
			return name && records ? -ENOMEM : -EBADMSG;
		err = add_section(context, copy, (struct gj_window){ records, size_bytes },
				  record_bytes);
		free(copy);
	}
	/* So is a kind without sections. */
	if (!err && context->out->size_bytes == begin + sizeof(record_bytes))
		context->out->size_bytes = begin;
	return err;
}

int gj_write_btf_ext(struct btf *btf, const struct gj_object *object,
		     const struct gj_object_edit *edit, struct gj_buf *out)
{
	struct context context = { btf, object, edit, out };
	struct header from = { 0 }, to = { MAGIC, VERSION, 0, sizeof(to), { { 0 } } };
	struct gj_window bytes;
	int err = gj_object_section(object, BTF_EXT_ELF_SEC, &bytes);

	if (err)
		return err;
	if (!gj_window_read(bytes, 0, &from, sizeof(from)) || from.magic != MAGIC ||
	    from.version != VERSION || from.header_bytes < sizeof(from))
		return -EBADMSG;
	gj_buf_add(out, &to, sizeof(to));
	bytes = gj_window_slice(bytes, from.header_bytes, UINT64_MAX);
	for (unsigned int i = 0; !err && i < KIND_CNT; i++) {
		size_t begin = out->size_bytes;

		err = add_kind(&context, gj_window_slice(bytes, from.kinds[i].off,
							 from.kinds[i].size_bytes));
		to.kinds[i].off = (uint32_t)(begin - sizeof(to));
		to.kinds[i].size_bytes = (uint32_t)(out->size_bytes - begin);
	}
	if (!err && out->failed)
		err = -ENOMEM;
	if (!err)
		memcpy(out->data, &to, sizeof(to));
	return err;
}
