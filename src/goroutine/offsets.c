/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Where the runtime keeps its fields: asks every source there is (DWARF, the
 * code, the table of releases), compares what they say with each other and
 * with what has held in every release, and fills what only the latter tells.
 * Two that disagree are an error: a wrong goroutine is worse than none.
 */
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "goroutine/offsets.h"

static const struct {
	const char *name;
	size_t off; /* in struct gj_goffsets */
} fields[] = {
#define FIELD(name, field) { name, offsetof(struct gj_goffsets, field) }
	FIELD("g.stack.lo", g_stack_lo),
	FIELD("g.stack.hi", g_stack_hi),
	FIELD("g.m", g_m),
	FIELD("g.sched.sp", g_sched_sp),
	FIELD("g.sched.pc", g_sched_pc),
	FIELD("g.sched.bp", g_sched_bp),
	FIELD("g.syscallsp", g_syscallsp),
	FIELD("g.syscallpc", g_syscallpc),
	FIELD("g.atomicstatus", g_status),
	FIELD("g.goid", g_goid),
	FIELD("g.waitsince", g_waitsince),
	FIELD("g.waitreason", g_waitreason),
	FIELD("g.parentGoid", g_parent_goid),
	FIELD("g.gopc", g_gopc),
	FIELD("g.startpc", g_startpc),
	FIELD("g.labels", g_labels),
	FIELD("m.g0", m_g0),
	FIELD("m.gsignal", m_gsignal),
	FIELD("m.curg", m_curg),
	FIELD("m.procid", m_procid),
	FIELD("m.p", m_p),
	FIELD("m.id", m_id),
	FIELD("m.alllink", m_alllink),
#undef FIELD
};

#define FIELD_CNT (sizeof(fields) / sizeof(fields[0]))

enum { FROM_DWARF = 1, FROM_CODE = 2, FROM_TABLE = 4 };

/* What has been found so far, and which source said so first. */
struct evidence {
	const struct gj_image *image;
	const struct gj_goinfo *info;
	struct gj_goffsets offsets;
	const char *said_by[FIELD_CNT];
	unsigned int sources;
	struct gj_diag *diag;
};

static int32_t *field_at(struct gj_goffsets *offsets, size_t index)
{
	return (int32_t *)(void *)((char *)offsets + fields[index].off);
}

static size_t index_of(size_t off)
{
	size_t index = 0;

	while (fields[index].off != off)
		index++;
	return index;
}

void gj_goffsets_clear(struct gj_goffsets *offsets)
{
	*offsets = (struct gj_goffsets){ .tls_g = INT64_MIN };
	for (size_t i = 0; i < FIELD_CNT; i++)
		*field_at(offsets, i) = -1;
}

static const char *release(const struct gj_goinfo *info)
{
	return info->go_version[0] ? info->go_version : "an unknown release";
}

/* Says that field @index is at @value; an error when another source said otherwise. */
static int say(struct evidence *evidence, size_t index, int32_t value, const char *by)
{
	int32_t *known = field_at(&evidence->offsets, index);

	if (value < 0)
		return 0;
	if (*known < 0) {
		*known = value;
		evidence->said_by[index] = by;
		return 0;
	}
	if (*known == value)
		return 0;
	return gj_diag_set(evidence->diag, -EBADMSG,
			   "%s: %s is at offset %d by %s but at %d by %s (%s); no goroutine can be trusted, please report this build",
			   gj_image_path(evidence->image), fields[index].name, *known,
			   evidence->said_by[index], value, by, release(evidence->info));
}

static int add_source(struct evidence *evidence, const struct gj_goffsets *offsets,
		      unsigned int source, const char *by)
{
	struct gj_goffsets said = *offsets;

	for (size_t i = 0; i < FIELD_CNT; i++) {
		int err = say(evidence, i, *field_at(&said, i), by);

		if (err)
			return err;
	}
	evidence->sources |= source;
	return 0;
}

/* Places that have held in every release from 1.14 to 1.27, on amd64 and arm64. */
static int add_fixed(struct evidence *evidence)
{
	static const struct gj_goffsets fixed = {
		.g_stack_lo = 0, .g_stack_hi = 8, .g_m = 48, .g_sched_sp = 56,
		.g_sched_pc = 64, .m_g0 = 0,
	};
	static const size_t offs[] = {
		offsetof(struct gj_goffsets, g_stack_lo), offsetof(struct gj_goffsets, g_stack_hi),
		offsetof(struct gj_goffsets, g_m), offsetof(struct gj_goffsets, g_sched_sp),
		offsetof(struct gj_goffsets, g_sched_pc), offsetof(struct gj_goffsets, m_g0),
	};
	struct gj_goffsets places = fixed;

	for (size_t i = 0; i < sizeof(offs) / sizeof(offs[0]); i++) {
		size_t index = index_of(offs[i]);
		int err = say(evidence, index, *field_at(&places, index), "every known release");

		if (err)
			return err;
	}
	return 0;
}

/* Distances that have held in every release: @field stands @bytes behind @base. */
static const struct {
	size_t field, base;
	int32_t bytes;
	int first_minor;
} distances[] = {
#define DISTANCE(field, base, bytes, first_minor) \
	{ offsetof(struct gj_goffsets, field), offsetof(struct gj_goffsets, base), bytes, first_minor }
	DISTANCE(g_goid, g_status, 8, 0),
	DISTANCE(g_waitsince, g_goid, 16, 0),
	DISTANCE(g_waitreason, g_goid, 24, 0),
	DISTANCE(g_syscallsp, g_sched_bp, 8, 0),
	DISTANCE(g_syscallpc, g_sched_bp, 16, 0),
	DISTANCE(g_startpc, g_gopc, 16, 0),
	DISTANCE(g_labels, g_gopc, 64, 0),
	DISTANCE(g_parent_goid, g_gopc, -8, 21),
	DISTANCE(m_procid, m_gsignal, -8, 0),
	DISTANCE(m_curg, m_gsignal, 112, 0),
	DISTANCE(m_id, m_p, 24, 0),
#undef DISTANCE
};

static int add_distances(struct evidence *evidence)
{
	for (size_t i = 0; i < sizeof(distances) / sizeof(distances[0]); i++) {
		size_t base = index_of(distances[i].base);
		int32_t base_off = *field_at(&evidence->offsets, base);
		int err;

		if (base_off < 0 || evidence->info->go_minor < distances[i].first_minor)
			continue;
		err = say(evidence, index_of(distances[i].field), base_off + distances[i].bytes,
			  "its distance in every known release");
		if (err)
			return err;
	}
	return 0;
}

/*
 * True where the slot can only be at -8: a program's own TLS block ends at the
 * thread pointer (amd64), and it holds g alone; or there is no block since the
 * program is static, and Go's linker lays g there itself (Go
 * src/cmd/link/internal/ld/sym.go, Tlsoffset).
 */
static bool has_fixed_tls(const struct gj_image *image)
{
	uint64_t size_bytes, align;

	if (gj_image_arch(image) != GJ_ARCH_AMD64)
		return false;
	if (gj_image_tls(image, &size_bytes, &align))
		return !gj_image_is_dyn(image);
	return size_bytes == 8 && align <= 8 &&
	       (!gj_image_is_dyn(image) || gj_image_has_interp(image));
}

/* Anything else is for the code to say. */
static int add_tls(struct evidence *evidence)
{
	struct gj_goffsets *offsets = &evidence->offsets;

	if (!has_fixed_tls(evidence->image))
		return 0;
	if (offsets->tls_g != INT64_MIN && offsets->tls_g != -8)
		return gj_diag_set(evidence->diag, -EBADMSG,
				   "%s: the TLS slot of g is at %lld by the code but at -8 by the program headers (%s); please report this build",
				   gj_image_path(evidence->image), (long long)offsets->tls_g,
				   release(evidence->info));
	offsets->tls_g = -8;
	offsets->tls_got_va = 0;
	return 0;
}

/* The table counts only for a release the file names; a guess from its layout is none. */
static int table_minor(const struct gj_goinfo *info)
{
	return strcmp(info->version_source, "layout") ? info->go_minor : -1;
}

static int ask_sources(struct evidence *evidence, const struct gj_gotab *gotab)
{
	struct gj_goffsets said;
	int err = 0;

	gj_goffsets_clear(&said);
	if (!gj_goffsets_from_dwarf(evidence->image, &said))
		err = add_source(evidence, &said, FROM_DWARF, "DWARF");
	gj_goffsets_clear(&said);
	if (!err && !gj_goffsets_from_code(evidence->image, gotab, &said)) {
		evidence->offsets.tls_g = said.tls_g;
		evidence->offsets.tls_got_va = said.tls_got_va;
		if (said.g_status >= 0 && said.m_gsignal >= 0)
			err = add_source(evidence, &said, FROM_CODE, "the code");
	}
	gj_goffsets_clear(&said);
	if (!err && !gj_goffsets_from_table(table_minor(evidence->info), &said))
		err = add_source(evidence, &said, FROM_TABLE, "the table of releases");
	return err;
}

static const char *source_text(unsigned int sources)
{
	/* Without the table the release is newer than it, or not known. */
	static const char *const texts[] = {
		[FROM_DWARF] = "dwarf (release not in the table)",
		[FROM_CODE] = "code (release not in the table)",
		[FROM_DWARF | FROM_CODE] = "dwarf+code (release not in the table)",
		[FROM_TABLE] = "table",
		[FROM_DWARF | FROM_TABLE] = "dwarf+table",
		[FROM_CODE | FROM_TABLE] = "code+table",
		[FROM_DWARF | FROM_CODE | FROM_TABLE] = "dwarf+code+table",
	};

	return texts[sources];
}

int gj_goffsets_find(const struct gj_image *image, const struct gj_gotab *gotab,
		     struct gj_goffsets *offsets_out, struct gj_diag *diag)
{
	struct evidence evidence = {
		.image = image, .info = gj_gotab_info(gotab), .diag = diag,
	};
	int err;

	gj_goffsets_clear(&evidence.offsets);
	err = ask_sources(&evidence, gotab);
	if (err)
		return err;
	if (!evidence.sources)
		return gj_diag_set(diag, -EOPNOTSUPP,
				   "%s: goroutines of %s are not known: the table ends at go1.%d and there is no DWARF and no code that tells",
				   gj_image_path(image), release(evidence.info),
				   GJ_TABLE_LAST_MINOR);
	err = add_fixed(&evidence);
	if (!err)
		err = add_distances(&evidence);
	if (!err)
		err = add_tls(&evidence);
	if (err)
		return err;
	evidence.offsets.source = source_text(evidence.sources);
	*offsets_out = evidence.offsets;
	return 0;
}
