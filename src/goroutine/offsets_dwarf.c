/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Offsets from DWARF, versions 4 (up to Go 1.24) and 5, compressed or not,
 * through libdw. Go's linker puts the types of the whole program into the unit
 * called "runtime" (src/cmd/link/internal/ld/dwarf.go).
 */
#include <dwarf.h>
#include <elfutils/libdw.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/limits.h"
#include "goroutine/offsets.h"

struct member {
	const char *struct_name, *name;
	size_t field; /* in struct gj_goffsets */
};

#define MEMBER(struct_name, name, field) \
	{ "runtime." struct_name, name, offsetof(struct gj_goffsets, field) }

static const struct member members[] = {
	MEMBER("stack", "lo", g_stack_lo),
	MEMBER("stack", "hi", g_stack_hi),
	MEMBER("gobuf", "sp", g_sched_sp),
	MEMBER("gobuf", "pc", g_sched_pc),
	MEMBER("gobuf", "bp", g_sched_bp),
	MEMBER("g", "m", g_m),
	MEMBER("g", "syscallsp", g_syscallsp),
	MEMBER("g", "syscallpc", g_syscallpc),
	MEMBER("g", "atomicstatus", g_status),
	MEMBER("g", "goid", g_goid),
	MEMBER("g", "waitsince", g_waitsince),
	MEMBER("g", "waitreason", g_waitreason),
	MEMBER("g", "parentGoid", g_parent_goid),
	MEMBER("g", "gopc", g_gopc),
	MEMBER("g", "startpc", g_startpc),
	MEMBER("g", "labels", g_labels),
	MEMBER("m", "g0", m_g0),
	MEMBER("m", "gsignal", m_gsignal),
	MEMBER("m", "curg", m_curg),
	MEMBER("m", "procid", m_procid),
	MEMBER("m", "p", m_p),
	MEMBER("m", "id", m_id),
	MEMBER("m", "alllink", m_alllink),
};

#define MEMBER_CNT (sizeof(members) / sizeof(members[0]))

static int32_t *field_of(struct gj_goffsets *offsets, const struct member *member)
{
	return (int32_t *)(void *)((char *)offsets + member->field);
}

/* Where the embedded structs stand in g. */
struct embedded {
	int32_t stack, sched;
};

static int32_t member_offset(Dwarf_Die *die)
{
	Dwarf_Attribute attr;
	Dwarf_Word value;

	if (!dwarf_attr(die, DW_AT_data_member_location, &attr) ||
	    dwarf_formudata(&attr, &value) || value > INT32_MAX)
		return -1;
	return (int32_t)value;
}

static void take_struct(Dwarf_Die *die, const char *struct_name, struct gj_goffsets *offsets,
			struct embedded *embedded)
{
	bool is_g = !strcmp(struct_name, "runtime.g");
	unsigned int entries_left = GJ_MAX_DWARF_ENTRIES;
	Dwarf_Die child;

	if (dwarf_child(die, &child))
		return;
	do {
		const char *name = dwarf_diename(&child);

		if (dwarf_tag(&child) != DW_TAG_member || !name)
			continue;
		if (is_g && !strcmp(name, "stack"))
			embedded->stack = member_offset(&child);
		if (is_g && !strcmp(name, "sched"))
			embedded->sched = member_offset(&child);
		for (size_t i = 0; i < MEMBER_CNT; i++)
			if (!strcmp(members[i].struct_name, struct_name) &&
			    !strcmp(members[i].name, name))
				*field_of(offsets, &members[i]) = member_offset(&child);
	} while (--entries_left && !dwarf_siblingof(&child, &child));
}

static bool is_wanted(const char *struct_name)
{
	for (size_t i = 0; i < MEMBER_CNT; i++)
		if (!strcmp(members[i].struct_name, struct_name))
			return true;
	return false;
}

/* The four structs among the children of the runtime's unit. */
static void take_unit(Dwarf_Die *unit, struct gj_goffsets *offsets, struct embedded *embedded)
{
	unsigned int left = 4, entries_left = GJ_MAX_DWARF_ENTRIES;
	Dwarf_Die child;

	if (dwarf_child(unit, &child))
		return;
	do {
		const char *name;

		if (dwarf_tag(&child) != DW_TAG_structure_type)
			continue;
		name = dwarf_diename(&child);
		if (!name || !is_wanted(name))
			continue;
		take_struct(&child, name, offsets, embedded);
		left--;
	} while (left && --entries_left && !dwarf_siblingof(&child, &child));
}

/* Puts the parts of stack and gobuf where g has them. */
static void place(int32_t *field, int32_t base)
{
	*field = *field < 0 || base < 0 ? -1 : *field + base;
}

static int take_dwarf(Dwarf *dwarf, struct gj_goffsets *offsets)
{
	struct embedded embedded = { -1, -1 };
	struct gj_goffsets found;
	Dwarf_CU *cu = NULL;
	Dwarf_Die unit;

	gj_goffsets_clear(&found);
	while (found.g_goid < 0 && !dwarf_get_units(dwarf, cu, &cu, NULL, NULL, &unit, NULL)) {
		const char *name = dwarf_diename(&unit);

		if (name && !strcmp(name, "runtime"))
			take_unit(&unit, &found, &embedded);
	}
	if (found.g_goid < 0)
		return -ENOENT;
	place(&found.g_stack_lo, embedded.stack);
	place(&found.g_stack_hi, embedded.stack);
	place(&found.g_sched_sp, embedded.sched);
	place(&found.g_sched_pc, embedded.sched);
	place(&found.g_sched_bp, embedded.sched);
	*offsets = found;
	return 0;
}

/*
 * libdw changes headers in memory when it unpacks sections, which the image's
 * own mapping does not allow; so it opens the file once more. -1 when what
 * stands at the path now is not the file that the image was made from.
 */
static int reopen(const struct gj_image *image)
{
	struct gj_window bytes = gj_image_bytes(image);
	uint8_t header[sizeof(Elf64_Ehdr)];
	int fd = open(gj_image_path(image), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;

	if (fd < 0)
		return -1;
	if (!fstat(fd, &st) && S_ISREG(st.st_mode) && (uint64_t)st.st_size == bytes.size_bytes &&
	    bytes.size_bytes >= sizeof(header) &&
	    pread(fd, header, sizeof(header), 0) == (ssize_t)sizeof(header) &&
	    !memcmp(header, bytes.base, sizeof(header)))
		return fd;
	close(fd);
	return -1;
}

int gj_goffsets_from_dwarf(const struct gj_image *image, struct gj_goffsets *offsets)
{
	struct gj_section section;
	int err = -EBADMSG;
	Dwarf *dwarf;
	int fd;

	/* Up to Go 1.18 the compressed sections have their own names. */
	if (gj_image_find_section(image, ".debug_info", &section) &&
	    gj_image_find_section(image, ".zdebug_info", &section))
		return -ENOENT;
	fd = reopen(image);
	if (fd < 0)
		return -ENOENT;
	dwarf = dwarf_begin(fd, DWARF_C_READ);
	if (dwarf)
		err = take_dwarf(dwarf, offsets);
	dwarf_end(dwarf);
	close(fd);
	return err;
}
