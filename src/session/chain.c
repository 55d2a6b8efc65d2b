/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A sample's call chain -> locations, innermost first: the kernel's part, then
 * the user's, which a recording made with --call-graph dwarf has as a dump of
 * the stack.
 */
#include "session/session.h"

#include <errno.h>
#include <linux/perf_event.h>
#include <string.h>

/* Since Linux 6.19: what follows is a cookie, the user's part comes in a record of its own. */
#define CONTEXT_USER_DEFERRED ((uint64_t)-640)

static void add(struct gj_chain *chain, const struct gj_location *location, enum gj_how how)
{
	if (!location) {
		chain->is_cut = true;
		return;
	}
	if (chain->cnt == GJ_MAX_CHAIN)
		return;
	chain->hows[chain->cnt] = how;
	chain->found[chain->cnt++] = location;
	chain->has_go |= location->is_go;
	chain->is_all_core &= location->is_core;
}

static struct gj_mapping resolve(const struct gj_chain *chain, uint64_t ip)
{
	struct gj_mapping mapping = { 0 };

	if (chain->sample->mapping && ip == chain->sample->ip)
		return *chain->sample->mapping;
	if (chain->host.resolve(chain->host.data, ip, &mapping))
		mapping = (struct gj_mapping){ 0 };
	return mapping;
}

static const struct gj_location *find_kernel(struct gj_chain *chain, uint64_t ip)
{
	const struct gj_location *location = gj_locations_kernel(chain->locations, ip);
	const struct gj_dso *dso = NULL;
	struct gj_mapping mapping;

	if (location)
		return location;
	mapping = resolve(chain, ip);
	/* Only the kernel proper stays where it is; BPF programs and modules come and go. */
	if (mapping.dso && strcmp(mapping.dso, "[kernel.kallsyms]")) {
		dso = gj_dsos_find(chain->dsos, &mapping, chain->sample->pid);
		if (!dso)
			return NULL;
	}
	return gj_locations_find(chain->locations, dso, &mapping, ip, true, false);
}

/*
 * The program loader maps a segment of a file as one piece: where one address
 * of this sample's process lies in it, its neighbours do too.
 */
static void enter_text(struct gj_chain *chain, const struct gj_dso *dso, uint64_t ip,
		       uint64_t file_off)
{
	if (!dso || file_off < dso->text_off || file_off >= dso->text_end_off)
		return;
	chain->text = dso;
	chain->text_bias = ip - file_off;
}

static const struct gj_location *find_user(struct gj_chain *chain, uint64_t ip, bool is_return)
{
	const struct gj_location *location;
	struct gj_dso *dso = NULL;
	struct gj_mapping mapping;
	uint64_t off = ip - chain->text_bias;

	if (chain->text && off >= chain->text->text_off && off < chain->text->text_end_off) {
		location = gj_locations_known(chain->locations, chain->text, off, ip, is_return);
		if (location)
			return location;
	}
	mapping = resolve(chain, ip);
	if (mapping.dso) {
		dso = gj_dsos_find(chain->dsos, &mapping, chain->sample->pid);
		if (!dso)
			return NULL;
		if (!mapping.sym)
			gj_dsos_explain(chain->dsos, dso);
	}
	enter_text(chain, dso, ip, mapping.file_off);
	return gj_locations_find(chain->locations, dso, &mapping, ip, false, is_return);
}

static void add_user(struct gj_chain *chain, uint64_t ip)
{
	bool is_first = chain->cnt == chain->first_user;
	/* The caller of some was interrupted anywhere, not waiting for a call to return. */
	bool is_return = !is_first &&
			 !(chain->found[chain->cnt - 1]->classes & GJ_CLASS_INTERRUPTED);

	add(chain, find_user(chain, ip, is_return), is_first ? GJ_HOW_IP : GJ_HOW_FP);
}

bool gj_sample_reg(const struct gj_sample *sample, unsigned int reg, uint64_t *value_out)
{
	*value_out = 0;
	if (!sample->regs.values || reg > 63 || !(sample->regs.mask >> reg & 1))
		return false;
	memcpy(value_out, sample->regs.values + __builtin_popcountll(sample->regs.mask &
								     ((1ULL << reg) - 1)),
	       sizeof(*value_out));
	return true;
}

/* The stack dump of the sample at hand, which begins at SP. */
static int read_dump(void *data, uint64_t va, void *bytes_out, size_t size_bytes)
{
	const struct gj_chain *chain = data;
	struct gj_window dump = { chain->sample->stack, chain->sample->stack_bytes };
	uint64_t sp;

	gj_sample_reg(chain->sample, chain->regs.sp, &sp);
	return va >= sp && gj_window_read(dump, va - sp, bytes_out, size_bytes) ? 0 : -EFAULT;
}

static int find_image(void *data, uint64_t va, struct gj_stitch_image *image_out)
{
	struct gj_chain *chain = data;
	struct gj_mapping mapping = resolve(chain, va);
	const struct gj_dso *dso = mapping.dso ? gj_dsos_find(chain->dsos, &mapping, chain->sample->pid) : NULL;
	uint64_t link_va;

	if (!dso || !dso->image || gj_image_off_to_va(dso->image, mapping.file_off, &link_va))
		return -ENOENT;
	*image_out = (struct gj_stitch_image){
		.image = dso->image,
		.gotab = dso->gotab,
		.bias = va - link_va,
	};
	if (mapping.file_off >= dso->text_off && mapping.file_off < dso->text_end_off) {
		image_out->start_va = va - (mapping.file_off - dso->text_off);
		image_out->end_va = va + (dso->text_end_off - mapping.file_off);
	}
	return 0;
}

static enum gj_how how_of(const struct gj_stack_frame *frame)
{
	static const enum gj_how hows[GJ_FRAME_HOW_CNT] = {
		[GJ_FRAME_IP] = GJ_HOW_IP,   [GJ_FRAME_KERNEL] = GJ_HOW_KERNEL,
		[GJ_FRAME_PCSP] = GJ_HOW_PCSP, [GJ_FRAME_CFI] = GJ_HOW_CFI,
		[GJ_FRAME_FP] = GJ_HOW_FP,   [GJ_FRAME_SEAM] = GJ_HOW_SEAM,
	};

	return hows[frame->how];
}

/* A dwarf-mode sample has the user part as a stack dump. */
static void walk_dump(struct gj_chain *chain, const struct gj_sample *sample)
{
	struct gj_stitch_view view = {
		.data = chain,
		.read = read_dump,
		.find_image = find_image,
		.arch = chain->regs.arch,
	};
	const struct gj_stitch_input input = { .regs = sample->regs };
	struct gj_stack stack = { .frames = chain->walked, .max = chain->max - chain->cnt };

	uint64_t ip;

	gj_sample_reg(sample, chain->regs.g, &view.g);
	gj_sample_reg(sample, chain->regs.sp, &view.stack_lo);
	chain->first_user = chain->cnt;
	if (gj_stitch(chain->stitcher, &view, &input, &stack)) {
		chain->is_cut = true;
		return;
	}
	for (size_t i = 0; i < stack.cnt; i++)
		add(chain, find_user(chain, stack.frames[i].va, stack.frames[i].is_return),
		    how_of(&stack.frames[i]));
	/* Without SP there is no stack to walk; where the program was is known all the same. */
	if (!stack.cnt && gj_sample_reg(sample, chain->regs.ip, &ip))
		add(chain, find_user(chain, ip, false), GJ_HOW_IP);
}

static void walk_chain(struct gj_chain *chain, const struct gj_sample *sample)
{
	bool in_kernel = sample->is_kernel, is_cookie = false;

	for (uint64_t i = 0; i < sample->chain_cnt && chain->cnt < chain->max; i++) {
		uint64_t ip = sample->chain[i];

		if (ip >= (uint64_t)PERF_CONTEXT_MAX) {
			in_kernel = ip == (uint64_t)PERF_CONTEXT_KERNEL;
			is_cookie = ip == CONTEXT_USER_DEFERRED;
			chain->first_user = chain->cnt;
		} else if (is_cookie) {
			is_cookie = false;
		} else if (in_kernel) {
			add(chain, find_kernel(chain, ip), GJ_HOW_KERNEL);
			chain->first_user = chain->cnt;
		} else {
			add_user(chain, ip);
		}
	}
	if (chain->cnt == chain->first_user && sample->stack)
		walk_dump(chain, sample);
}

int gj_chain_find(struct gj_chain *chain, const struct gj_sample *sample)
{
	chain->sample = sample;
	chain->cnt = 0;
	chain->first_user = 0;
	chain->has_go = false;
	chain->is_all_core = true;
	chain->is_cut = false;
	chain->text = NULL;
	gj_locations_trim(chain->locations);
	if (sample->chain)
		walk_chain(chain, sample);
	chain->leaf = chain->cnt && chain->found[0]->ip == sample->ip ? chain->found[0] :
		      sample->is_kernel ? find_kernel(chain, sample->ip) :
					  find_user(chain, sample->ip, false);
	if (!sample->chain)
		add(chain, chain->leaf, sample->is_kernel ? GJ_HOW_KERNEL : GJ_HOW_IP);
	return chain->is_cut || !chain->leaf ? -ENOMEM : 0;
}
