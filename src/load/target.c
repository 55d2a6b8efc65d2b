/* SPDX-License-Identifier: GPL-2.0 */
/* One Go program in the form that the programs of `gojitter trace` take (struct gj_trace_target). */
#include <elf.h>
#include <errno.h>

#include "load/instance.h"

static __u16 offset(int32_t off)
{
	return off < 0 || off >= (int32_t)GJ_NO_OFFSET ? GJ_NO_OFFSET : (__u16)off;
}

/* Where the lowest executable segment begins: what the kernel counts mm.start_code from. */
static uint64_t exec_va(const struct gj_image *image)
{
	const struct gj_segment *segment;
	uint64_t va = UINT64_MAX;

	for (unsigned int i = 0; (segment = gj_image_segment(image, i)); i++)
		if (segment->flags & PF_X && segment->va < va)
			va = segment->va;
	return va;
}

static void fill_offsets(const struct gj_goffsets *offsets, struct gj_trace_target *target)
{
	target->g_stack_lo = offset(offsets->g_stack_lo);
	target->g_stack_hi = offset(offsets->g_stack_hi);
	target->g_m = offset(offsets->g_m);
	target->g_sched_sp = offset(offsets->g_sched_sp);
	target->g_sched_pc = offset(offsets->g_sched_pc);
	target->g_sched_bp = offset(offsets->g_sched_bp);
	target->g_status = offset(offsets->g_status);
	target->g_goid = offset(offsets->g_goid);
	target->g_waitreason = offset(offsets->g_waitreason);
	target->g_waitsince = offset(offsets->g_waitsince);
	target->g_startpc = offset(offsets->g_startpc);
	target->g_gopc = offset(offsets->g_gopc);
	target->g_parent_goid = offset(offsets->g_parent_goid);
	target->g_syscallpc = offset(offsets->g_syscallpc);
	target->g_syscallsp = offset(offsets->g_syscallsp);
	target->g_labels = offset(offsets->g_labels);
	target->m_g0 = offset(offsets->m_g0);
	target->m_gsignal = offset(offsets->m_gsignal);
	target->m_curg = offset(offsets->m_curg);
	target->m_p = offset(offsets->m_p);
	target->m_procid = offset(offsets->m_procid);
	target->m_id = offset(offsets->m_id);
}

int gj_load_target_fill(const struct gj_image *image, const struct gj_gotab *gotab,
			const struct gj_goffsets *offsets, unsigned int number, const char *label,
			struct gj_trace_target *target_out, struct gj_diag *diag)
{
	const struct gj_goinfo *info = gj_gotab_info(gotab);
	struct gj_trace_target target = {
		.tls_g = offsets->tls_g,
		.text_va = info->text_va,
		.exec_va = exec_va(image),
		.allgs_va = gj_goallgs_va(image, gotab),
		.busy_reasons = gj_wait_reasons_busy(info->go_minor),
		.program = number,
		.go_minor = (__u16)info->go_minor,
	};

	fill_offsets(offsets, &target);
	if (offsets->tls_g == INT64_MIN)
		return gj_diag_set(diag, -EOPNOTSUPP,
				   "%s: where its threads keep g is not known before it runs; gojitter trace -p PID finds it",
				   label);
	if (target.g_m == GJ_NO_OFFSET || target.g_goid == GJ_NO_OFFSET ||
	    target.m_g0 == GJ_NO_OFFSET || target.m_curg == GJ_NO_OFFSET)
		return gj_diag_set(diag, -EOPNOTSUPP,
				   "%s: where its runtime keeps goroutines is not known (Go 1.%d)",
				   label, info->go_minor);
	*target_out = target;
	return 0;
}
