/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The user part of a sample's stack, walked by src/stitch: out of the two-stack
 * sampler's record, with all of the runtime's stacks, or out of a stack dump
 * (perf record --call-graph dwarf). A chain by frame pointers, where one was
 * recorded as well, goes on behind what there are bytes for.
 */
#include <errno.h>
#include <string.h>

#include "session/session.h"

/* The stack dump of the sample at hand, which begins at SP. */
static int read_dump(void *data, uint64_t va, void *bytes_out, size_t size_bytes)
{
	const struct gj_chain *chain = data;
	struct gj_window dump = { chain->sample->stack, chain->sample->stack_bytes };
	uint64_t sp;

	gj_sample_reg(chain->sample, chain->regs.sp, &sp);
	return va >= sp && gj_window_read(dump, va - sp, bytes_out, size_bytes) ? 0 : -EFAULT;
}

static int read_record(void *data, uint64_t va, void *bytes_out, size_t size_bytes)
{
	const struct gj_chain *chain = data;

	return gj_stack_sample_read(&chain->recorded, va, bytes_out, size_bytes);
}

static struct gj_dso *find_dso(const struct gj_chain *chain, const struct gj_mapping *mapping)
{
	return mapping->dso ? gj_dsos_find(chain->dsos, mapping, chain->sample->pid) : NULL;
}

static struct gj_runtime_place *place_of(struct gj_chain *chain)
{
	return &chain->runtimes[chain->sample->pid & (GJ_RUNTIME_PLACES - 1)];
}

/* The first image with Go's code that a walk meets has the runtime. */
static void note_go(struct gj_chain *chain, struct gj_dso *dso, uint64_t va)
{
	if (chain->go || !dso->gotab)
		return;
	chain->go = dso;
	*place_of(chain) = (struct gj_runtime_place){ chain->sample->pid, va };
}

static int find_image(void *data, uint64_t va, struct gj_stitch_image *image_out)
{
	struct gj_chain *chain = data;
	struct gj_mapping mapping = gj_chain_resolve(chain, va);
	struct gj_dso *dso = find_dso(chain, &mapping);
	uint64_t link_va;

	if (dso && dso->is_vdso && !dso->image) {
		*image_out = (struct gj_stitch_image){ .is_vdso = true };
		return 0;
	}
	if (!dso || !dso->image || gj_image_off_to_va(dso->image, mapping.file_off, &link_va))
		return -ENOENT;
	note_go(chain, dso, va);
	*image_out = (struct gj_stitch_image){
		.image = dso->image,
		.gotab = dso->gotab,
		.bias = va - link_va,
		.is_vdso = dso->is_vdso,
	};
	if (mapping.file_off >= dso->text_off && mapping.file_off < dso->text_end_off) {
		image_out->start_va = va - (mapping.file_off - dso->text_off);
		image_out->end_va = va + (dso->text_end_off - mapping.file_off);
	}
	return 0;
}

/* The image with the process' Go runtime, as far as it is known before the walk. */
static void find_go(struct gj_chain *chain, uint64_t ip)
{
	const struct gj_runtime_place *place = place_of(chain);
	struct gj_stitch_image image;

	chain->go = NULL;
	find_image(chain, ip, &image);
	/* In C code: where the runtime was before, if that is still mapped there. */
	if (!chain->go && place->pid == chain->sample->pid)
		find_image(chain, place->va, &image);
}

static int stitch(struct gj_chain *chain, struct gj_stitch_view *view, const struct gj_regs *regs)
{
	const struct gj_stitch_input input = {
		.regs = *regs,
		.user_chain = chain->user_cnt ? chain->user : NULL,
		.user_cnt = chain->user_cnt,
	};

	chain->is_walked = true;
	chain->stack = (struct gj_stack){ .frames = chain->walked, .max = chain->max - chain->cnt };
	return gj_stitch(chain->stitcher, view, &input, &chain->stack);
}

static int walk_record(struct gj_chain *chain)
{
	const struct gj_stack_record *record = &chain->recorded.record;
	struct gj_stitch_view view = {
		.data = chain, .read = read_record, .find_image = find_image,
		.arch = GJ_ARCH_AMD64, .g = record->g, .stack_lo = record->sp,
	};
	int err;

	find_go(chain, record->ip);
	if (chain->go)
		view.offsets = gj_dsos_offsets(chain->dsos, chain->go);
	err = stitch(chain, &view, &chain->recorded.regs);
	/* Begun in C, the runtime was only met on the way. */
	if (err || view.offsets || !chain->go)
		return err;
	view.offsets = gj_dsos_offsets(chain->dsos, chain->go);
	return view.offsets ? stitch(chain, &view, &chain->recorded.regs) : 0;
}

static int walk_dump(struct gj_chain *chain)
{
	const struct gj_sample *sample = chain->sample;
	struct gj_stitch_view view = {
		.data = chain, .read = read_dump, .find_image = find_image, .arch = chain->regs.arch,
	};

	chain->go = NULL;
	gj_sample_reg(sample, chain->regs.g, &view.g);
	gj_sample_reg(sample, chain->regs.sp, &view.stack_lo);
	return stitch(chain, &view, &sample->regs);
}

int gj_chain_walk(struct gj_chain *chain)
{
	const struct gj_sample *sample = chain->sample;

	chain->has_record = chain->records && chain->regs.arch == GJ_ARCH_AMD64 &&
			    gj_stack_records_find(chain->records, sample, &chain->recorded);
	if (chain->has_record)
		return walk_record(chain);
	return sample->stack ? walk_dump(chain) : 0;
}
