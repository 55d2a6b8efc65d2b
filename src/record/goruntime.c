/* SPDX-License-Identifier: GPL-2.0 */
/* Offsets of one Go program in the form BPF programs take (struct gj_goruntime). */
#include <errno.h>

#include "record/sampler.h"
#include "stitch/stitch.h"

static __u16 offset(int32_t off)
{
	return off < 0 || off >= (int32_t)GJ_NO_OFFSET ? GJ_NO_OFFSET : (__u16)off;
}

/* From 0 to the end of the last of the words at @offs; those unknown do not count. */
static __u16 span(const __u16 *offs, size_t cnt)
{
	__u16 end = 0;

	for (size_t i = 0; i < cnt; i++)
		if (offs[i] != GJ_NO_OFFSET && offs[i] + 8 > end)
			end = (__u16)(offs[i] + 8);
	return end;
}

static __u16 flags_of(const struct gj_gotab *gotab)
{
	struct gj_gofunc func;
	__u16 flags = 0;

	/* runtime/cgo, and with it what C calls to get into Go. */
	if (!gj_gotab_find_name(gotab, "crosscall2", &func))
		flags |= GJ_GORUNTIME_CGO;
	if (gj_gotab_info(gotab)->go_minor < 24)
		flags |= GJ_GORUNTIME_LABEL_MAP;
	return flags;
}

int gj_goruntime_fill(const struct gj_goffsets *offsets, const struct gj_image *image,
		      const struct gj_gotab *gotab, struct gj_goruntime *runtime_out)
{
	int32_t vdso_sp = gj_stitch_m_vdso_sp(image, gotab);
	struct gj_goruntime at = {
		.tls_g = offsets->tls_g,
		.g_stack_lo = offset(offsets->g_stack_lo),
		.g_stack_hi = offset(offsets->g_stack_hi),
		.g_m = offset(offsets->g_m),
		.g_sched_sp = offset(offsets->g_sched_sp),
		.g_sched_pc = offset(offsets->g_sched_pc),
		.g_sched_bp = offset(offsets->g_sched_bp),
		.g_goid = offset(offsets->g_goid),
		.g_labels = offset(offsets->g_labels),
		.m_g0 = offset(offsets->m_g0),
		.m_gsignal = offset(offsets->m_gsignal),
		.m_curg = offset(offsets->m_curg),
		.m_vdso_sp = offset(vdso_sp),
		.m_vdso_pc = vdso_sp < 0 ? GJ_NO_OFFSET : offset(vdso_sp + 8),
		.flags = flags_of(gotab),
	};
	const __u16 of_g[] = { at.g_stack_lo, at.g_stack_hi, at.g_m, at.g_sched_sp, at.g_sched_pc,
			       at.g_sched_bp, at.g_goid };
	const __u16 of_m[] = { at.m_g0, at.m_gsignal, at.m_curg };

	if (offsets->tls_g == INT64_MIN)
		return -EAGAIN;
	if (at.g_m == GJ_NO_OFFSET || at.g_goid == GJ_NO_OFFSET || at.m_g0 == GJ_NO_OFFSET ||
	    at.m_curg == GJ_NO_OFFSET || at.g_stack_lo == GJ_NO_OFFSET ||
	    at.g_stack_hi == GJ_NO_OFFSET || at.g_sched_sp == GJ_NO_OFFSET)
		return -EOPNOTSUPP;
	at.g_bytes = span(of_g, sizeof(of_g) / sizeof(of_g[0]));
	at.m_bytes = span(of_m, sizeof(of_m) / sizeof(of_m[0]));
	*runtime_out = at;
	return 0;
}

int gj_goruntime_of_file(const char *path, const char *label, struct gj_goruntime *runtime_out,
			 struct gj_diag *diag)
{
	struct gj_image *image = NULL;
	struct gj_gotab *gotab = NULL;
	struct gj_goffsets offsets;
	int err = -ENOENT;

	if (gj_image_open(path, &image, NULL) || gj_gotab_open(image, &gotab, NULL))
		goto out;
	err = gj_goffsets_find(image, gotab, &offsets, diag);
	if (err)
		goto out;
	err = gj_goruntime_fill(&offsets, image, gotab, runtime_out);
	if (err == -EOPNOTSUPP)
		gj_diag_set(diag, err, "%s: where its runtime keeps g is not known", label);
out:
	gj_gotab_close(gotab);
	gj_image_close(image);
	return err;
}
