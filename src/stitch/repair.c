/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The caller that a chain by frame pointers lacks, proven from code.
 *
 * Whoever has no frame pointer of its own leaves RBP as its caller had it, so
 * that the chain goes on with the caller's caller: A -> [B] -> C. The address
 * in C is that behind the call of B, which says who B is; B's frame pointer it
 * was. Where the code of B has one way only to get to A, that is the address
 * in B. Several ways prove B, not the place. No way at all is a contradiction,
 * and nothing is put in.
 *
 * "Way" takes in functions that stand between B and A and have no frame
 * pointer either, and functions that jump to others when they are through
 * (runtime.memequal to memeqbody). Calls through registers may lead anywhere;
 * but not to a function whose address nobody has. Where all that leads to A is
 * calls by functions with a frame pointer, the caller is one of these.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "stitch/repair.h"

#define CACHE_CNT 8192     /* answers kept; one pair of addresses in each slot */
#define MAX_JUMPS 4        /* from function to function, without a frame */
#define MAX_EDGES 100000   /* looked at for one answer */

struct answer {
	const struct gj_gotab *gotab; /* NULL: free */
	uint64_t va, return_va;
	bool is_return; /* va is a return address */
	struct gj_repaired repaired;
};

struct gj_repair {
	struct gj_repair_part *parts;
	struct answer answers[CACHE_CNT];
};

int gj_repair_new(struct gj_repair **repair_out)
{
	struct gj_repair *repair = calloc(1, sizeof(*repair));

	if (!repair)
		return -ENOMEM;
	*repair_out = repair;
	return 0;
}

void gj_repair_free(struct gj_repair *repair)
{
	if (!repair)
		return;
	while (repair->parts) {
		struct gj_repair_part *part = repair->parts;

		repair->parts = part->next;
		gj_codes_free(part->codes);
		gj_refs_free(part->refs);
		free(part->closed);
		free(part);
	}
	free(repair);
}

static void find_injected(struct gj_repair_part *part)
{
	static const char *const names[] = {
		"runtime.sigpanic", "runtime.sigpanic0", "runtime.asyncPreempt",
		"runtime.debugCallV1", "runtime.debugCallV2",
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (!gj_gotab_find_name(part->gotab, names[i], &part->injected[part->injected_cnt]))
			part->injected_cnt++;
}

/* NULL when memory is out. */
static struct gj_repair_part *find_part(struct gj_repair *repair, const struct gj_image *image,
			      const struct gj_gotab *gotab)
{
	struct gj_repair_part *part = repair->parts;

	while (part && (part->image != image || part->gotab != gotab))
		part = part->next;
	if (part)
		return part;
	part = calloc(1, sizeof(*part));
	if (!part || gj_codes_new(image, gotab, &part->codes)) {
		free(part);
		return NULL;
	}
	part->image = image;
	part->gotab = gotab;
	find_injected(part);
	part->next = repair->parts;
	repair->parts = part;
	return part;
}

/* The instruction that holds the byte at @off. */
static uint64_t start_of(const struct gj_code *code, uint64_t off)
{
	while (off && !gj_code_bit(code->starts, off))
		off--;
	return off;
}

/* @is_return: of the call before @va */
static enum gj_code_rbp rbp_at(const struct gj_code *code, uint64_t va, bool is_return)
{
	uint64_t off = is_return ? start_of(code, va - 1 - code->entry_va) : va - code->entry_va;

	return off < code->sure_bytes && gj_code_bit(code->starts, off) ? code->rbps[off] :
									  GJ_RBP_WILD;
}

bool gj_repair_lacks(struct gj_repair *repair, const struct gj_image *image,
		     const struct gj_gotab *gotab, uint64_t va, bool is_return)
{
	struct gj_repair_part *part;
	const struct gj_code *code;
	struct gj_gofunc func;
	int32_t delta;

	/* arm64 keeps the return address in a register, which the kernel follows in its own way. */
	if (gj_image_arch(image) != GJ_ARCH_AMD64 ||
	    gj_gotab_find_func(gotab, is_return ? va - 1 : va, &func))
		return false;
	/* Behind a root there is nobody; behind a signal's handler, whoever was interrupted. */
	if (func.flag & GJ_GOFUNC_TOPFRAME && strcmp(func.name, "runtime.sigtramp"))
		return false;
	if (gj_gotab_sp_delta(gotab, &func, is_return ? va - 1 : va, &delta) || delta <= 0)
		return true;
	/* Compilers make no calls before their frame stands. */
	if (is_return && !(func.flag & GJ_GOFUNC_ASM) && gj_gotab_info(gotab)->go_minor >= 17)
		return false;
	part = find_part(repair, image, gotab);
	code = part ? gj_codes_find(part->codes, &func) : NULL;
	return !code || rbp_at(code, va, is_return) != GJ_RBP_OWN;
}

/* The search for ways from one function to another. */
struct search {
	struct gj_repair_part *part;
	struct gj_gofunc leaf;
	uint64_t ras[GJ_REPAIR_MAX]; /* return addresses on the way, outermost first */
	size_t ra_cnt;
	unsigned int jump_cnt;
	unsigned int edge_cnt;
	/* What it comes to. */
	unsigned int way_cnt;
	bool may_be_other; /* also by ways that cannot be seen */
	bool has_detour;   /* a way with more than one call, or out of an inlined function */
	struct gj_repaired first;
};

static void arrive(struct search *search)
{
	struct gj_goframe frames[2];

	search->has_detour |= search->ra_cnt > 1 ||
			      gj_gotab_frames(search->part->gotab, search->ras[0] - 1, frames, 2) != 1;
	if (search->way_cnt++)
		return;
	search->first.cnt = search->ra_cnt;
	for (size_t i = 0; i < search->ra_cnt; i++)
		search->first.vas[i] = search->ras[search->ra_cnt - 1 - i];
}

/*
 * morestack and what it calls run on another stack on behalf of a function that
 * has not begun: every function leads there.
 */
static bool is_morestack(const struct gj_gofunc *func)
{
	return !strncmp(func->name, "runtime.morestack", 17);
}

static void follow(struct search *search, const struct gj_gofunc *func);

static void follow_edge(struct search *search, const struct gj_code *code,
			const struct gj_code_edge *edge)
{
	struct gj_gofunc func;

	if (!edge->target_va || ++search->edge_cnt > MAX_EDGES ||
	    gj_gotab_find_func(search->part->gotab, edge->target_va, &func)) {
		search->may_be_other = true;
		return;
	}
	/* duffzero and duffcopy are entered anywhere. */
	if (func.entry_va != edge->target_va && func.entry_va != search->leaf.entry_va &&
	    strncmp(func.name, "runtime.duff", 12)) {
		search->may_be_other = true;
		return;
	}
	if (is_morestack(&func))
		return;
	if (edge->is_call ? search->ra_cnt == GJ_REPAIR_MAX : search->jump_cnt == MAX_JUMPS) {
		search->may_be_other = true;
		return;
	}
	if (edge->is_call)
		search->ras[search->ra_cnt++] = code->entry_va + edge->end_off;
	else
		search->jump_cnt++;
	follow(search, &func);
	if (edge->is_call)
		search->ra_cnt--;
	else
		search->jump_cnt--;
}

/* @func has been entered, RBP still the first function's. */
static void follow(struct search *search, const struct gj_gofunc *func)
{
	const struct gj_code *code;

	if (func->entry_va == search->leaf.entry_va)
		arrive(search);
	code = gj_codes_find(search->part->codes, func);
	if (!code || (!code->is_regular && code->edge_cnt)) {
		search->may_be_other = true;
		return;
	}
	for (uint32_t i = 0; i < code->edge_cnt && search->edge_cnt <= MAX_EDGES; i++)
		if (code->edges[i].rbp == GJ_RBP_WILD)
			search->may_be_other = true;
		else if (code->edges[i].rbp == GJ_RBP_CALLERS)
			follow_edge(search, code, &code->edges[i]);
}

/* All ways from frames of @code to the leaf. */
static void find_ways(struct search *search, const struct gj_code *code)
{
	for (uint32_t i = 0; i < code->edge_cnt; i++)
		if (code->edges[i].is_call && code->edges[i].rbp == GJ_RBP_OWN)
			follow_edge(search, code, &code->edges[i]);
}

/*
 * Whose frame it is when the function at @target_va is called: its own, or
 * that of one it jumps to. -ENOENT unless there is exactly one.
 */
static int find_owner(struct gj_repair_part *part, uint64_t target_va, unsigned int jump_cnt,
		      struct gj_gofunc *owner_out, unsigned int *owner_cnt)
{
	const struct gj_code *code;
	struct gj_gofunc func;

	if (jump_cnt > MAX_JUMPS || !target_va ||
	    gj_gotab_find_func(part->gotab, target_va, &func) || func.entry_va != target_va)
		return -ENOENT;
	code = gj_codes_find(part->codes, &func);
	if (!code || !code->is_regular)
		return -ENOENT;
	if (code->has_own) {
		*owner_out = func;
		if (++*owner_cnt > 1)
			return -ENOENT;
	}
	for (uint32_t i = 0; i < code->edge_cnt; i++)
		if (!code->edges[i].is_call &&
		    find_owner(part, code->edges[i].target_va, jump_cnt + 1, owner_out, owner_cnt))
			return -ENOENT;
	return 0;
}

/* The call that ends at @return_va; NULL when there is none. */
static const struct gj_code_edge *find_call(struct gj_repair_part *part, uint64_t return_va)
{
	const struct gj_code *code;
	struct gj_gofunc func;

	if (gj_gotab_find_func(part->gotab, return_va - 1, &func))
		return NULL;
	code = gj_codes_find(part->codes, &func);
	for (uint32_t i = 0; code && i < code->edge_cnt; i++)
		if (code->edges[i].is_call && func.entry_va + code->edges[i].end_off == return_va)
			return &code->edges[i];
	return NULL;
}

/* The function called just before @return_va: -ENOENT when that is no direct call. */
static int find_called(struct gj_repair_part *part, uint64_t return_va,
		       struct gj_gofunc *called_out)
{
	const struct gj_code_edge *edge = find_call(part, return_va);

	return edge && edge->target_va ?
		       gj_gotab_find_func(part->gotab, edge->target_va, called_out) : -ENOENT;
}

/* A signal handler may have put in the caller: no call stands before its return address then. */
static bool may_be_injected(struct gj_repair_part *part, const struct gj_gofunc *leaf)
{
	for (size_t i = 0; i < part->injected_cnt; i++) {
		struct search search = { .part = part, .leaf = *leaf };
		const struct gj_code *code = gj_codes_find(part->codes, &part->injected[i]);

		if (!code || part->injected[i].entry_va == leaf->entry_va)
			return true;
		find_ways(&search, code);
		if (search.way_cnt)
			return true;
	}
	return false;
}

/* No direct call stands before the return address; but there may be one caller only. */
static void prove_by_entries(struct gj_repair_part *part, const struct gj_gofunc *leaf,
			     struct gj_repaired *repaired)
{
	struct gj_goframe frames[2];
	struct gj_entered entered;

	if (!gj_repair_is_closed(part, leaf))
		return;
	gj_repair_find_entries(part, leaf, &entered);
	if (!entered.is_by_one || !entered.site_cnt)
		return;
	*repaired = (struct gj_repaired){ .cnt = 1, .is_exact = entered.site_cnt == 1 };
	repaired->vas[0] = repaired->is_exact ? entered.return_va : entered.by.entry_va;
	/* Calls in what was inlined there are not shown. */
	repaired->may_miss = !repaired->is_exact &&
			     gj_gotab_frames(part->gotab, entered.return_va - 1, frames, 2) != 1;
}

/* The frame whose RBP the leaf has is that of @owner. */
static void prove_by_owner(struct gj_repair_part *part, const struct gj_gofunc *owner,
			   const struct gj_gofunc *leaf, struct gj_repaired *repaired)
{
	struct search search = { .part = part, .leaf = *leaf };
	const struct gj_code *code = gj_codes_find(part->codes, owner);

	find_ways(&search, code);
	/* Then no call that cannot be seen leads there. */
	if (search.may_be_other && gj_repair_is_closed(part, leaf))
		search.may_be_other = false;
	if (search.way_cnt == 1 && !search.may_be_other) {
		*repaired = search.first;
		repaired->is_exact = true;
	} else if (search.way_cnt || search.may_be_other) {
		*repaired = (struct gj_repaired){
			.vas = { owner->entry_va }, .cnt = 1,
			.may_miss = search.may_be_other || search.has_detour,
		};
	}
}

/*
 * Code that is not Go's, without a frame of its own, called through a register:
 * the vdso. Either by whom the chain goes on with, or by the function called there.
 */
static void prove_foreign(struct gj_repair_part *part, uint64_t return_va,
			  struct gj_repaired *repaired)
{
	const struct gj_code_edge *edge = find_call(part, return_va);
	unsigned int owner_cnt = 0, call_cnt = 0;
	const struct gj_code *code;
	struct gj_gofunc owner;

	if (edge && !edge->target_va)
		repaired->may_miss = false;
	if (!edge || find_owner(part, edge->target_va, 0, &owner, &owner_cnt) || owner_cnt != 1)
		return;
	code = gj_codes_find(part->codes, &owner);
	for (uint32_t i = 0; i < code->edge_cnt; i++) {
		edge = &code->edges[i];
		if (edge->is_call && !edge->target_va && edge->rbp == GJ_RBP_OWN && !call_cnt++)
			repaired->vas[0] = owner.entry_va + edge->end_off;
	}
	repaired->cnt = call_cnt > 0;
	repaired->is_exact = call_cnt == 1;
	repaired->may_miss = !call_cnt;
	if (call_cnt > 1)
		repaired->vas[0] = owner.entry_va;
}

/* The leaf has RBP of whoever called it; who and where from? */
static void prove(struct gj_repair_part *part, const struct gj_gofunc *leaf,
		  const struct answer *asked, struct gj_repaired *repaired)
{
	unsigned int owner_cnt = 0;
	const struct gj_code *code = gj_codes_find(part->codes, leaf);
	struct gj_gofunc called, owner;

	if (!code || !code->is_regular ||
	    rbp_at(code, asked->va, asked->is_return) != GJ_RBP_CALLERS)
		return;
	if (find_called(part, asked->return_va, &called)) {
		prove_by_entries(part, leaf, repaired);
		return;
	}
	/* It has no frame at all, and its caller has lent it one. */
	if (called.entry_va == leaf->entry_va && !code->has_own) {
		repaired->may_miss = false;
		return;
	}
	if (!find_owner(part, called.entry_va, 0, &owner, &owner_cnt) && owner_cnt == 1 &&
	    !may_be_injected(part, leaf))
		prove_by_owner(part, &owner, leaf, repaired);
}

void gj_repair_find(struct gj_repair *repair, const struct gj_image *image,
		    const struct gj_gotab *gotab, uint64_t va, bool is_return, uint64_t return_va,
		    struct gj_repaired *repaired_out)
{
	uint64_t key = (va << 1 | is_return) * 0x9e3779b97f4a7c15ULL ^ return_va * 0xc2b2ae3d27d4eb4fULL;
	struct answer *answer = &repair->answers[(key >> 32) % CACHE_CNT];
	struct gj_gofunc leaf;
	struct gj_repair_part *part;

	if (answer->gotab != gotab || answer->va != va || answer->is_return != is_return ||
	    answer->return_va != return_va) {
		*answer = (struct answer){
			.gotab = gotab, .va = va, .return_va = return_va, .is_return = is_return,
			.repaired = { .may_miss = true },
		};
		part = find_part(repair, image, gotab);
		if (part && !va)
			prove_foreign(part, return_va, &answer->repaired);
		else if (part && !gj_gotab_find_func(gotab, is_return ? va - 1 : va, &leaf))
			prove(part, &leaf, answer, &answer->repaired);
	}
	*repaired_out = answer->repaired;
}
