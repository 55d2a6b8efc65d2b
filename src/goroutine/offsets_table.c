/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Offsets by Go release, as type g, m and gobuf of that release's
 * src/runtime/runtime2.go lay them out on 64-bit machines (amd64 and arm64
 * alike). One row per release; a new release adds one.
 *
 * Why they move: 1.17 tracking fields in g; 1.21 trace fields gone, parentGoid
 * added; 1.23 syscallbp; 1.25 gobuf.ret gone (8 bytes less in g and m); 1.26
 * signalSecret in m, DIT and secret fields in g.
 */
#include <errno.h>

#include "goroutine/offsets.h"

/*
 * Columns: sched.bp, syscallsp, syscallpc, atomicstatus, goid, waitsince,
 * waitreason, parentGoid, gopc, startpc, labels; then of m: procid, gsignal,
 * curg, p, id, alllink.
 */
#define ROW(bp, syssp, syspc, status, goid, since, reason, parent, go, start, labels, procid, \
	    gsignal, curg, p, id, alllink)                                                     \
	{                                                                                      \
		.g_stack_lo = 0, .g_stack_hi = 8, .g_m = 48, .g_sched_sp = 56,                 \
		.g_sched_pc = 64, .g_sched_bp = bp, .g_syscallsp = syssp,                      \
		.g_syscallpc = syspc, .g_status = status, .g_goid = goid,                      \
		.g_waitsince = since, .g_waitreason = reason, .g_parent_goid = parent,         \
		.g_gopc = go, .g_startpc = start, .g_labels = labels, .m_g0 = 0,               \
		.m_procid = procid, .m_gsignal = gsignal, .m_curg = curg, .m_p = p,            \
		.m_id = id, .m_alllink = alllink                                               \
	}

static const struct gj_goffsets rows[] = {
	[15] = ROW(104, 112, 120, 144, 152, 168, 176, -1, 280, 296, 344, 72, 80, 192, 208, 232, 336),
	[16] = ROW(104, 112, 120, 144, 152, 168, 176, -1, 280, 296, 344, 72, 80, 192, 208, 232, 344),
	[17] = ROW(104, 112, 120, 144, 152, 168, 176, -1, 296, 312, 360, 72, 80, 192, 208, 232, 344),
	[18] = ROW(104, 112, 120, 144, 152, 168, 176, -1, 296, 312, 360, 72, 80, 192, 208, 232, 336),
	[19] = ROW(104, 112, 120, 144, 152, 168, 176, -1, 296, 312, 360, 72, 80, 192, 208, 232, 336),
	[20] = ROW(104, 112, 120, 144, 152, 168, 176, -1, 296, 312, 360, 72, 80, 192, 208, 232, 336),
	[21] = ROW(104, 112, 120, 144, 152, 168, 176, 272, 280, 296, 344, 72, 80, 192, 208, 232, 336),
	[22] = ROW(104, 112, 120, 144, 152, 168, 176, 272, 280, 296, 344, 72, 80, 192, 208, 232, 328),
	[23] = ROW(104, 112, 120, 152, 160, 176, 184, 280, 288, 304, 352, 72, 80, 192, 208, 232, 328),
	[24] = ROW(104, 112, 120, 152, 160, 176, 184, 280, 288, 304, 352, 72, 80, 192, 208, 232, 328),
	[25] = ROW(96, 104, 112, 144, 152, 168, 176, 272, 280, 296, 344, 64, 72, 184, 200, 224, 344),
	[26] = ROW(96, 104, 112, 144, 152, 168, 176, 280, 288, 304, 352, 64, 72, 184, 208, 232, 352),
	[27] = ROW(96, 104, 112, 144, 152, 168, 176, 280, 288, 304, 352, 64, 72, 184, 208, 232, 352),
};

_Static_assert(sizeof(rows) / sizeof(rows[0]) == GJ_TABLE_LAST_MINOR + 1,
	       "GJ_TABLE_LAST_MINOR names the last row");

int gj_goffsets_from_table(int go_minor, struct gj_goffsets *offsets)
{
	int64_t tls_g = offsets->tls_g;
	uint64_t tls_got_va = offsets->tls_got_va;

	if (go_minor < GJ_TABLE_FIRST_MINOR || go_minor > GJ_TABLE_LAST_MINOR)
		return -ENOENT;
	*offsets = rows[go_minor];
	/* Where the TLS slot lies is the linker's doing, not the release's. */
	offsets->tls_g = tls_g;
	offsets->tls_got_va = tls_got_va;
	return 0;
}
