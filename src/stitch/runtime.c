/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The runtime's state of one thread: its m, its goroutine, and which of its
 * stacks an SP lies on. Read through the view when first needed, believed only
 * where g and m point at each other.
 */
#include "stitch/walk.h"

static bool field(struct gj_walk *walk, uint64_t base, int32_t off, uint64_t *value_out)
{
	enum gj_cut cut = walk->cut;
	bool is_read = off >= 0 && gj_walk_u64(walk, base + (uint64_t)off, value_out);

	/* A walk that needs none of this has not failed. */
	walk->cut = cut;
	return is_read;
}

static bool read_bounds(struct gj_walk *walk, uint64_t g, enum gj_stack_kind kind)
{
	const struct gj_goffsets *offsets = walk->view->offsets;
	struct gj_runtime *runtime = &walk->runtime;

	return field(walk, g, offsets->g_stack_lo, &runtime->lo[kind]) &&
	       field(walk, g, offsets->g_stack_hi, &runtime->hi[kind]) &&
	       runtime->lo[kind] < runtime->hi[kind];
}

/*
 * On g0 and gsignal the goroutine is m.curg; otherwise it is g itself, also
 * in the few instructions where curg does not name it.
 */
static bool read_state(struct gj_walk *walk, uint64_t g)
{
	const struct gj_goffsets *offsets = walk->view->offsets;
	struct gj_runtime *runtime = &walk->runtime;
	uint64_t g0_m, cur_m;

	if (!g || g & 7 || !field(walk, g, offsets->g_m, &runtime->m) || !runtime->m ||
	    !field(walk, runtime->m, offsets->m_g0, &runtime->g0) ||
	    !field(walk, runtime->m, offsets->m_curg, &runtime->cur) ||
	    !field(walk, runtime->g0, offsets->g_m, &g0_m) || g0_m != runtime->m ||
	    !field(walk, runtime->g0, offsets->g_sched_sp, &runtime->g0_sp))
		return false;
	if (!field(walk, runtime->m, offsets->m_gsignal, &runtime->gsignal) ||
	    !runtime->gsignal || !read_bounds(walk, runtime->gsignal, GJ_ON_GSIGNAL)) {
		runtime->gsignal = 0;
		runtime->lo[GJ_ON_GSIGNAL] = runtime->hi[GJ_ON_GSIGNAL] = 0;
	}
	if (g != runtime->g0 && g != runtime->gsignal)
		runtime->cur = g;
	runtime->cgo_sp = runtime->g0_sp;
	if (!runtime->cur)
		return true;
	if (!field(walk, runtime->cur, offsets->g_m, &cur_m))
		return false;
	if (cur_m != runtime->m) { /* m has just been taken off it (dropg) */
		runtime->cur = 0;
		return g == runtime->g0 || g == runtime->gsignal;
	}
	return read_bounds(walk, runtime->cur, GJ_ON_GOROUTINE) &&
	       field(walk, runtime->cur, offsets->g_sched_pc, &runtime->sched_pc) &&
	       field(walk, runtime->cur, offsets->g_sched_sp, &runtime->sched_sp);
}

bool gj_walk_read_runtime(struct gj_walk *walk)
{
	struct gj_runtime *runtime = &walk->runtime;
	unsigned int g_reg = walk->view->arch == GJ_ARCH_ARM64 ? GJ_ARM64_X28 : GJ_AMD64_R14;
	uint64_t g;

	runtime->is_tried = true;
	if (!walk->view->offsets)
		return false;
	runtime->is_known = read_state(walk, walk->view->g);
	if (!runtime->is_known && walk->regs.known >> g_reg & 1 &&
	    !(walk->regs.saved >> g_reg & 1)) {
		g = walk->regs.values[g_reg];
		*runtime = (struct gj_runtime){ .is_tried = true };
		runtime->is_known = read_state(walk, g);
	}
	if (!runtime->is_known)
		*runtime = (struct gj_runtime){ .is_tried = true };
	return runtime->is_known;
}
