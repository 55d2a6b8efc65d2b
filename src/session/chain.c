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

/* @may_miss: callers between this location and the one before may be missing */
static void add(struct gj_chain *chain, const struct gj_location *location, enum gj_how how,
		bool may_miss)
{
	if (!location) {
		chain->is_cut = true;
		return;
	}
	if (chain->cnt == GJ_MAX_CHAIN)
		return;
	chain->hows[chain->cnt] = how;
	chain->gaps[chain->cnt] = may_miss;
	chain->gap_cnt += may_miss;
	chain->found[chain->cnt++] = location;
	chain->classes |= location->classes;
	chain->unnamed_cnt += (location->classes & GJ_CLASS_UNNAMED) != 0;
	chain->has_go |= location->is_go;
	chain->is_all_core &= location->is_core;
}

struct gj_mapping gj_chain_resolve(const struct gj_chain *chain, uint64_t ip)
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
	mapping = gj_chain_resolve(chain, ip);
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
	mapping = gj_chain_resolve(chain, ip);
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

/* Link-time address of @ip in the Go program whose text was met last. */
static bool find_va(const struct gj_chain *chain, uint64_t ip, uint64_t *va_out)
{
	const struct gj_dso *dso = chain->text;
	uint64_t off = ip - chain->text_bias;

	return dso && dso->gotab && off >= dso->text_off && off < dso->text_end_off &&
	       !gj_image_off_to_va(dso->image, off, va_out);
}

/* A frame that was proven, at link-time @va. */
static const struct gj_location *find_proven(struct gj_chain *chain, uint64_t va, bool is_exact)
{
	const struct gj_dso *dso = chain->text;
	uint64_t file_off;

	/* Whoever looks return addresses up takes one off: it must stay the function's. */
	if (gj_image_va_to_off(dso->image, is_exact ? va : va + 1, &file_off))
		return NULL;
	return is_exact ? find_user(chain, file_off + chain->text_bias, true) :
			  gj_locations_function(chain->locations, dso, file_off,
						file_off + chain->text_bias);
}

/* What belongs between the last location and @ip. */
static void find_lacking(struct gj_chain *chain, uint64_t ip, struct gj_put *put)
{
	const struct gj_location *last = put->last;
	bool is_vdso = !last->is_go && last->dso && !strcmp(last->dso, "[vdso]");
	uint64_t va = 0, return_va;
	struct gj_repaired repaired;

	if (!find_va(chain, ip, &return_va) || (!is_vdso && !find_va(chain, last->ip, &va)))
		return;
	gj_repair_find(chain->repair, chain->text->image, chain->text->gotab, va,
		       chain->is_return, return_va, &repaired);
	put->may_miss = repaired.may_miss;
	for (size_t i = 0; i < repaired.cnt; i++) {
		const struct gj_location *location =
			find_proven(chain, repaired.vas[i], repaired.is_exact);

		if (location)
			put->found[put->cnt++] = location;
	}
}

/*
 * Puts in what is lacking between the last location and @ip, which follows it
 * in the chain. Returns whether something may be missing still in front of @ip.
 */
static bool repair(struct gj_chain *chain, uint64_t ip)
{
	const struct gj_location *last = chain->found[chain->cnt - 1];
	struct gj_put *put = &chain->puts[((uintptr_t)last >> 6 ^ ip) % GJ_PUT_CNT];

	if (put->last != last || put->ip != ip) {
		*put = (struct gj_put){ .last = last, .ip = ip, .may_miss = true };
		find_lacking(chain, ip, put);
	}
	/* Where the function is certain but not the place in it, the hole is in front of it. */
	for (size_t i = 0; i < put->cnt; i++)
		add(chain, put->found[i], GJ_HOW_CALL, put->may_miss);
	chain->repaired_cnt += put->cnt;
	return put->may_miss && !put->cnt;
}

static void add_user(struct gj_chain *chain, uint64_t ip)
{
	bool is_first = chain->cnt == chain->first_user, may_miss = false;
	uint32_t classes = is_first ? GJ_CLASS_INTERRUPTED : chain->found[chain->cnt - 1]->classes;
	/* The caller of some was interrupted anywhere, not waiting for a call to return. */
	bool is_return = !(classes & GJ_CLASS_INTERRUPTED);
	const struct gj_location *location;

	location = find_user(chain, ip, is_return);
	/* C code need not have frame pointers. */
	if (classes & GJ_CLASS_LACKS ||
	    (chain->repair && location && location->is_go && !is_first &&
	     !chain->found[chain->cnt - 1]->is_go))
		may_miss = repair(chain, ip);
	add(chain, location, is_first ? GJ_HOW_IP : GJ_HOW_FP, may_miss);
	chain->is_return = is_return;
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

static enum gj_how how_of(const struct gj_stack_frame *frame)
{
	static const enum gj_how hows[GJ_FRAME_HOW_CNT] = {
		[GJ_FRAME_IP] = GJ_HOW_IP,   [GJ_FRAME_KERNEL] = GJ_HOW_KERNEL,
		[GJ_FRAME_PCSP] = GJ_HOW_PCSP, [GJ_FRAME_CFI] = GJ_HOW_CFI,
		[GJ_FRAME_FP] = GJ_HOW_FP,   [GJ_FRAME_SEAM] = GJ_HOW_SEAM,
	};

	return hows[frame->how];
}

/* Frame @index of those walked. Where a recorded chain goes on behind them it may lack callers as ever. */
static void add_walked(struct gj_chain *chain, size_t index)
{
	const struct gj_stack_frame *frame = &chain->stack.frames[index];
	const struct gj_location *location = find_user(chain, frame->va, frame->is_return);
	bool may_miss = frame->may_miss;

	if (index && frame->how == GJ_FRAME_FP && location && !chain->is_cut &&
	    chain->found[chain->cnt - 1]->classes & GJ_CLASS_LACKS) {
		chain->is_return = frame[-1].is_return;
		may_miss = repair(chain, frame->va);
	}
	add(chain, location, how_of(frame), may_miss);
}

/*
 * Nobody called the last location, although its chain may go on: a new thread
 * begins with RBP of the one that made it, and up to Go 1.24 mcall leaves RBP
 * as it was, so that whoever was parked last, and runs elsewhere by now, seems
 * to have called the scheduler. So does whoever wanted more stack and was made
 * to wait. mcall and morestack that were hit themselves have a caller.
 */
static bool is_top(const struct gj_chain *chain)
{
	uint32_t last;

	/* Out of memory. */
	if (chain->cnt == chain->first_user)
		return false;
	last = chain->found[chain->cnt - 1]->classes;
	if (last & GJ_CLASS_MORESTACK)
		return chain->classes & GJ_CLASS_SCHED;
	return last & GJ_CLASS_TOP &&
	       (chain->cnt > chain->first_user + 1 || !(last & GJ_CLASS_SCHED));
}

/* Whose call of clone was interrupted. */
enum cloned { CLONED_NOT, CLONED_NEW, CLONED_UNKNOWN };

/*
 * Go src/runtime/sys_linux_{amd64,arm64}.s: a system call, from which two threads come
 * back; the one that called goes on to the first RET, the new one behind it.
 */
static enum cloned where_in_clone(enum gj_arch arch, struct gj_window code, uint64_t off)
{
	static const uint8_t syscall[] = { 0x0f, 0x05 }, ret[] = { 0xc3 };
	static const uint8_t svc[] = { 0x01, 0x00, 0x00, 0xd4 }, arm64_ret[] = { 0xc0, 0x03, 0x5f, 0xd6 };
	bool is_amd64 = arch == GJ_ARCH_AMD64;
	size_t call_bytes = is_amd64 ? sizeof(syscall) : sizeof(svc);
	const uint8_t *call = memmem(code.base, code.size_bytes, is_amd64 ? syscall : svc, call_bytes);
	const uint8_t *end = code.base + code.size_bytes, *back;

	if (!call)
		return CLONED_UNKNOWN;
	back = memmem(call, (size_t)(end - call), is_amd64 ? ret : arm64_ret,
		      is_amd64 ? sizeof(ret) : sizeof(arm64_ret));
	if (!back)
		return CLONED_UNKNOWN;
	if (off < (uint64_t)(call - code.base) + call_bytes)
		return CLONED_NOT;
	return off > (uint64_t)(back - code.base) ? CLONED_NEW : CLONED_UNKNOWN;
}

/*
 * A thread begins in the middle of runtime.clone with RBP of the one that made it, which
 * goes on meanwhile: what a chain has behind it is that one's stack, changed under the
 * kernel's eyes.
 */
static enum cloned is_new_thread(struct gj_chain *chain)
{
	const char *root;
	enum cloned cloned;
	struct gj_gofunc func;
	uint64_t va;

	if (chain->cnt == chain->first_user ||
	    !(chain->found[chain->cnt - 1]->classes & GJ_CLASS_CLONE) ||
	    !find_va(chain, chain->user[0], &va) ||
	    gj_gotab_find_func(chain->text->gotab, va, &func))
		return CLONED_NOT;
	/* New threads call it; so does the first, which has nothing behind it either. */
	if (!strcmp(func.name, "runtime.stackcheck"))
		return CLONED_UNKNOWN;
	cloned = where_in_clone(gj_image_arch(chain->text->image),
				gj_window_slice(gj_image_at(chain->text->image, func.entry_va), 0,
						func.end_va - func.entry_va),
				va - func.entry_va);
	if (cloned != CLONED_UNKNOWN || !chain->first_user)
		return cloned;
	root = chain->found[chain->first_user - 1]->frames[0].name;
	/* Linux arch/x86/entry/entry_64.S, arch/arm64/kernel/entry.S. An interrupt tells nothing. */
	if (root && !strncmp(root, "ret_from_fork", strlen("ret_from_fork")))
		return CLONED_NEW;
	return root && (!strncmp(root, "entry_SYSCALL", strlen("entry_SYSCALL")) ||
			!strncmp(root, "el0t_64_sync", strlen("el0t_64_sync"))) ?
		       CLONED_NOT :
		       CLONED_UNKNOWN;
}

/*
 * Up to Go 1.23 RBP names a record below SP around calls of duffzero and
 * duffcopy: {its own RBP, the call's return address}. At the call that address
 * is not there yet, behind it not any more; the record it leads to is right.
 *
 *   lea rbp, [rsp-16]; call duffzero; mov rbp, [rbp]
 */
static bool is_second_dead(const struct gj_chain *chain)
{
	static const uint8_t before[] = { 0x48, 0x8d, 0x6c, 0x24, 0xf0, 0xe8 };
	static const uint8_t behind[] = { 0x48, 0x8b, 0x6d, 0x00 };
	struct gj_window code;
	uint64_t va;

	if (!find_va(chain, chain->user[0], &va))
		return false;
	code = gj_image_at(chain->text->image, va - 5);
	return gj_window_holds(code, 0, 5 + sizeof(behind)) &&
	       (!memcmp(code.base, before, sizeof(before)) ||
		(code.base[0] == 0xe8 && chain->user[1] == chain->user[0] &&
		 !memcmp(code.base + 5, behind, sizeof(behind))));
}

/* What the kernel recorded of the user's part, as far as it is this stack's. */
static void add_recorded(struct gj_chain *chain)
{
	enum cloned cloned = CLONED_NOT;

	for (size_t i = 0; i < chain->user_cnt && chain->cnt < chain->max; i++) {
		if (i == 1 && chain->repair && chain->regs.arch == GJ_ARCH_AMD64 &&
		    is_second_dead(chain))
			continue;
		add_user(chain, chain->user[i]);
		if (!i)
			cloned = is_new_thread(chain);
		chain->is_topped = is_top(chain) || cloned == CLONED_NEW;
		if (chain->repair && (chain->is_topped || cloned))
			break;
	}
}

/* The walked frames, or, where there was nothing to walk, the chain by frame pointers. */
static void add_user_part(struct gj_chain *chain, const struct gj_sample *sample)
{
	const struct gj_stack *stack = &chain->stack;
	uint64_t ip;

	if (gj_chain_walk(chain)) {
		chain->is_cut = true;
		return;
	}
	for (size_t i = 0; chain->is_walked && i < stack->cnt; i++)
		add_walked(chain, i);
	if (chain->is_walked)
		chain->cut = stack->cut;
	/* Without SP there is no stack to walk; where the program was is known all the same. */
	if (chain->is_walked && !stack->cnt && gj_sample_reg(sample, chain->regs.ip, &ip))
		add(chain, find_user(chain, ip, false), GJ_HOW_IP, false);
	if (!chain->is_walked)
		add_recorded(chain);
}

/* The kernel's part to locations, the user's to chain->user: a walk may know it better. */
static void read_chain(struct gj_chain *chain, const struct gj_sample *sample)
{
	bool in_kernel = sample->is_kernel, is_cookie = false;

	for (uint64_t i = 0; i < sample->chain_cnt && chain->cnt + chain->user_cnt < chain->max; i++) {
		uint64_t ip = sample->chain[i];

		if (ip >= (uint64_t)PERF_CONTEXT_MAX) {
			in_kernel = ip == (uint64_t)PERF_CONTEXT_KERNEL;
			is_cookie = ip == CONTEXT_USER_DEFERRED;
		} else if (is_cookie) {
			is_cookie = false;
		} else if (in_kernel) {
			add(chain, find_kernel(chain, ip), GJ_HOW_KERNEL, false);
		} else {
			chain->user[chain->user_cnt++] = ip;
		}
	}
	chain->first_user = chain->cnt;
}

int gj_chain_find(struct gj_chain *chain, const struct gj_sample *sample)
{
	chain->sample = sample;
	chain->cnt = 0;
	chain->first_user = 0;
	chain->has_go = false;
	chain->is_all_core = true;
	chain->is_cut = false;
	chain->gap_cnt = chain->repaired_cnt = chain->unnamed_cnt = 0;
	chain->classes = 0;
	chain->cut = GJ_CUT_CHAIN;
	chain->text = NULL;
	chain->user_cnt = 0;
	chain->is_walked = false;
	chain->is_topped = false;
	chain->has_record = false;
	if (gj_locations_trim(chain->locations))
		memset(chain->puts, 0, sizeof(chain->puts));
	if (sample->chain) {
		read_chain(chain, sample);
		add_user_part(chain, sample);
	}
	chain->leaf = chain->cnt && chain->found[0]->ip == sample->ip ? chain->found[0] :
		      sample->is_kernel ? find_kernel(chain, sample->ip) :
					  find_user(chain, sample->ip, false);
	if (!sample->chain)
		add(chain, chain->leaf, sample->is_kernel ? GJ_HOW_KERNEL : GJ_HOW_IP, false);
	return chain->is_cut || !chain->leaf ? -ENOMEM : 0;
}
