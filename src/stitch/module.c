/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What walks know of one image: where its seams are, what Go's tables say of
 * the addresses met so far, and its call frame information, compiled on first
 * use.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "stitch/walk.h"

/* Only these begin a name of the seam table; most functions are told apart by the first bytes. */
static bool may_be_seam(const char *name)
{
	return !strncmp(name, "runtime.", 8) || !strncmp(name, "time.now", 8) ||
	       !strncmp(name, "crosscall2", 10) || !strncmp(name, "gogo", 4);
}

static uint8_t seam_of(const char *name)
{
	if (!may_be_seam(name))
		return 0;
	for (size_t i = 0; i < gj_seam_cnt; i++)
		if (!strcmp(gj_seams[i].function, name))
			return (uint8_t)(i + 1);
	return 0;
}

/*
 * A function and its ABI wrapper bear one name. The wrapper is an ordinary
 * frame, and its function ID is the greater one.
 */
static void find_seams(struct gj_module *module)
{
	uint8_t ids[GJ_MODULE_SEAM_CNT];
	uint32_t func_cnt = gj_gotab_info(module->gotab)->func_cnt;
	struct gj_gofunc func;

	for (uint32_t i = 0; i < func_cnt; i++) {
		size_t slot;
		uint8_t seam;

		if (gj_gotab_func(module->gotab, i, &func) || !(seam = seam_of(func.name)))
			continue;
		for (slot = 0; slot < module->seam_cnt; slot++)
			if (module->seams[slot].seam == seam)
				break;
		if (slot == GJ_MODULE_SEAM_CNT || (slot < module->seam_cnt && ids[slot] <= func.func_id))
			continue;
		module->seam_cnt += slot == module->seam_cnt;
		module->seams[slot].entry_va = func.entry_va;
		module->seams[slot].seam = seam;
		ids[slot] = func.func_id;
	}
}

static struct gj_module *module_new(const struct gj_stitch_image *image)
{
	size_t place_cnt = image->image ? GJ_PLACE_CNT : 0;
	struct gj_module *module = calloc(1, sizeof(*module) + place_cnt * sizeof(module->places[0]));

	if (!module)
		return NULL;
	module->image = image->image;
	module->gotab = image->gotab;
	module->is_vdso = image->is_vdso;
	module->m_vdso_sp = -1;
	module->cgo_g_off = module->cgo_depth_off = -1;
	for (size_t i = 0; i < place_cnt; i++)
		module->places[i].va = UINT64_MAX;
	if (module->gotab) {
		find_seams(module);
		gj_module_read_code(module);
	}
	return module;
}

void gj_module_free(struct gj_module *module)
{
	if (!module)
		return;
	gj_cfi_free(module->cfi);
	free(module);
}

static void read_rows(struct gj_module *module, uint64_t va, struct gj_place *place)
{
	if (!module->is_cfi_tried) {
		module->is_cfi_tried = true;
		gj_cfi_new(module->image, "/usr/lib/debug", &module->cfi);
	}
	if (!module->cfi)
		return;
	place->row = gj_cfi_find(module->cfi, va);
	place->row_before = gj_cfi_find(module->cfi, va - 1);
}

static void read_place(struct gj_module *module, uint64_t va, struct gj_place *place)
{
	struct gj_gofunc func;

	*place = (struct gj_place){ .va = va, .is_sigreturn = gj_is_sigreturn(module->image, va) };
	if (!module->gotab || gj_gotab_find_func(module->gotab, va, &func)) {
		read_rows(module, va, place);
		return;
	}
	place->is_go = true;
	place->is_entry = va == func.entry_va;
	place->is_top = func.flag & GJ_GOFUNC_TOPFRAME;
	place->is_asm = func.flag & GJ_GOFUNC_ASM;
	/* In C another function may begin there. */
	place->is_sigreturn |= !place->is_entry && gj_is_in_sigreturn(module->image, va);
	place->has_delta = !gj_gotab_sp_delta(module->gotab, &func, va, &place->delta);
	for (size_t i = 0; i < module->seam_cnt; i++)
		if (module->seams[i].entry_va == func.entry_va)
			place->seam = module->seams[i].seam;
}

const struct gj_place *gj_module_place(struct gj_module *module, uint64_t va)
{
	struct gj_place *place = &module->places[(va ^ va >> 12) % GJ_PLACE_CNT];

	if (place->va != va)
		read_place(module, va, place);
	return place;
}

struct gj_stitcher {
	struct gj_module *modules;
};

int gj_stitcher_new(struct gj_stitcher **stitcher_out)
{
	struct gj_stitcher *stitcher = calloc(1, sizeof(*stitcher));

	if (!stitcher)
		return -ENOMEM;
	*stitcher_out = stitcher;
	return 0;
}

void gj_stitcher_free(struct gj_stitcher *stitcher)
{
	if (!stitcher)
		return;
	while (stitcher->modules) {
		struct gj_module *module = stitcher->modules;

		stitcher->modules = module->next;
		gj_module_free(module);
	}
	free(stitcher);
}

static struct gj_module *find_recent(struct gj_walk *walk, uint64_t va,
				     struct gj_stitch_image *image_out)
{
	for (size_t i = 0; i < sizeof(walk->recent) / sizeof(walk->recent[0]); i++)
		if (va >= walk->recent[i].image.start_va && va < walk->recent[i].image.end_va) {
			*image_out = walk->recent[i].image;
			return walk->recent[i].module;
		}
	return NULL;
}

/* The module of what the view says is mapped at @va. */
static struct gj_module *find_module(struct gj_walk *walk, uint64_t va,
				     struct gj_stitch_image *image_out)
{
	struct gj_module **at = &walk->stitcher->modules, *module;

	*image_out = (struct gj_stitch_image){ 0 };
	if (walk->view->find_image(walk->view->data, va, image_out) ||
	    (!image_out->image && !image_out->is_vdso)) {
		walk->cut = GJ_CUT_NO_IMAGE;
		return NULL;
	}
	/* The vdso may come without an image; it has no tables then. */
	if (!image_out->image)
		image_out->gotab = NULL;
	while (*at && ((*at)->image != image_out->image || (*at)->gotab != image_out->gotab))
		at = &(*at)->next;
	module = *at;
	if (!module) {
		module = module_new(image_out);
		if (!module) {
			walk->is_out_of_memory = true;
			return NULL;
		}
	} else {
		*at = module->next;
	}
	/* The one used last stands first. */
	module->next = walk->stitcher->modules;
	walk->stitcher->modules = module;
	return module;
}

struct gj_module *gj_walk_module(struct gj_walk *walk, uint64_t va,
				 struct gj_stitch_image *image_out)
{
	struct gj_module *module = find_recent(walk, va, image_out);

	if (module)
		return module;
	module = find_module(walk, va, image_out);
	if (module && image_out->start_va < image_out->end_va) {
		memmove(&walk->recent[1], &walk->recent[0],
			sizeof(walk->recent) - sizeof(walk->recent[0]));
		walk->recent[0].image = *image_out;
		walk->recent[0].module = module;
	}
	return module;
}

struct gj_module *gj_walk_modules(const struct gj_walk *walk)
{
	return walk->stitcher->modules;
}

int gj_stitch_facts(const struct gj_image *image, const struct gj_gotab *gotab,
		    struct gj_stitch_facts *facts_out)
{
	struct gj_stitch_image what = { .image = image, .gotab = gotab };
	struct gj_module *module = module_new(&what);

	if (!module)
		return -ENOMEM;
	*facts_out = (struct gj_stitch_facts){
		.m_vdso_sp = module->m_vdso_sp,
		.cgo_g_off = module->cgo_g_off,
		.seam_cnt = module->seam_cnt,
	};
	for (size_t i = 0; i < module->seam_cnt; i++) {
		facts_out->seams[i].name = gj_seams[module->seams[i].seam - 1].name;
		facts_out->seams[i].entry_va = module->seams[i].entry_va;
	}
	gj_module_free(module);
	return 0;
}
