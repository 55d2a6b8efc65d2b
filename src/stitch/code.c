/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Decodes whole functions and follows RBP through them.
 *
 * Go's assembler makes frames in two ways (Go src/cmd/internal/obj/x86/obj6.go):
 *
 *   sub rsp,N; mov [rsp+D],rbp; lea rbp,[rsp+D] ... mov rbp,[rsp+D]; add rsp,N    to 1.20
 *   push rbp; mov rbp,rsp; sub rsp,N ... add rsp,N; pop rbp                      since
 *
 * Compilers up to 1.20 also lend duffzero and duffcopy a frame in passing
 * (lea rbp,[rsp-16] ... mov rbp,[rbp+0]). The state is followed in order of
 * address; behind a jump or a return it is what SP's table says: a frame
 * stands or it does not. That this holds along every direct jump is checked
 * afterwards; a function where it does not is not regular.
 */
#include "stitch/code.h"

#include <Zydis/Zydis.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"

#define BUCKET_CNT 4096

struct node {
	struct node *next;
	struct gj_code code;
};

struct gj_codes {
	const struct gj_image *image;
	const struct gj_gotab *gotab;
	ZydisDecoder decoder;
	struct node *buckets[BUCKET_CNT];
};

/* A jump within the function, to be checked at its end. */
struct inner {
	uint32_t from_off, target_off;
	uint8_t rbp;
};

struct insn {
	ZydisDecodedInstruction decoded;
	ZydisDecodedOperand ops[ZYDIS_MAX_OPERAND_COUNT];
	uint32_t off;
};

/* The walk over one function. */
struct sweep {
	struct gj_code *code;
	enum gj_code_rbp rbp;
	bool is_cut_off; /* the instruction before does not go on to this one */
	int64_t frame_off; /* D of the old form */
	int64_t kept_off;  /* where assembly keeps its own RBP over a call */
	struct gj_pciter sp;
	struct gj_pcrow row;
	struct inner *inners;
	size_t inner_cnt, inner_cap, edge_cap;
	bool is_out_of_memory;
};

/* One more of @size_bytes at *list; false when memory is out. */
static bool grow(void **list, size_t cnt, size_t *cap, size_t size_bytes)
{
	size_t wanted = *cap ? *cap * 2 : 8;
	void *more;

	if (cnt < *cap)
		return true;
	more = realloc(*list, wanted * size_bytes);
	if (!more)
		return false;
	*list = more;
	*cap = wanted;
	return true;
}

static void add_edge(struct sweep *sweep, const struct insn *insn, uint64_t target_va, bool is_call)
{
	struct gj_code *code = sweep->code;

	if (!grow((void **)&code->edges, code->edge_cnt, &sweep->edge_cap, sizeof(*code->edges))) {
		sweep->is_out_of_memory = true;
		return;
	}
	code->edges[code->edge_cnt++] = (struct gj_code_edge){
		.target_va = target_va,
		.end_off = insn->off + insn->decoded.length,
		.is_call = is_call,
		.rbp = (uint8_t)sweep->rbp,
	};
	/* A frame that somebody else goes on with is nobody's we could name. */
	code->is_regular &= is_call || sweep->rbp == GJ_RBP_CALLERS;
}

static void add_inner(struct sweep *sweep, uint32_t from_off, uint64_t target_off)
{
	if (!grow((void **)&sweep->inners, sweep->inner_cnt, &sweep->inner_cap,
		  sizeof(*sweep->inners))) {
		sweep->is_out_of_memory = true;
		return;
	}
	sweep->inners[sweep->inner_cnt++] = (struct inner){
		from_off, (uint32_t)target_off, (uint8_t)sweep->rbp,
	};
}

/* A switch's table: `jmp [reg+reg*8]`; or any jump by a register while a frame stands. */
static bool is_table_jump(const struct sweep *sweep, const ZydisDecodedOperand *operand)
{
	return sweep->rbp == GJ_RBP_OWN || (operand->type == ZYDIS_OPERAND_TYPE_MEMORY &&
				 operand->mem.index != ZYDIS_REGISTER_NONE);
}

static void take_branch(struct sweep *sweep, const struct insn *insn, bool is_call)
{
	const struct gj_code *code = sweep->code;
	const ZydisDecodedOperand *operand = &insn->ops[0];
	uint64_t target_va = 0;

	if (operand->type != ZYDIS_OPERAND_TYPE_IMMEDIATE) {
		if (is_call || !is_table_jump(sweep, operand))
			add_edge(sweep, insn, 0, is_call);
		return;
	}
	if (ZYAN_FAILED(ZydisCalcAbsoluteAddress(&insn->decoded, operand, code->entry_va + insn->off,
						 &target_va)))
		sweep->code->is_regular = false;
	else if (is_call)
		add_edge(sweep, insn, target_va, true);
	else if (target_va - code->entry_va < code->size_bytes)
		add_inner(sweep, insn->off, target_va - code->entry_va);
	else
		add_edge(sweep, insn, target_va, false);
}

static bool is_on_stack(const ZydisDecodedOperand *operand, ZydisRegister base)
{
	return operand->type == ZYDIS_OPERAND_TYPE_MEMORY && operand->mem.base == base &&
	       operand->mem.index == ZYDIS_REGISTER_NONE &&
	       operand->mem.segment == ZYDIS_REGISTER_SS;
}

/* What stands before `lea rbp, [rsp+D]` in the old form has moved SP: D is not below it. */
static void take_lea(struct sweep *sweep, int64_t off)
{
	if (off < 0) {
		/* The passing frame of duffcopy. */
		sweep->rbp = sweep->rbp == GJ_RBP_OWN ? GJ_RBP_OWN : GJ_RBP_WILD;
		return;
	}
	sweep->frame_off = off;
	sweep->rbp = GJ_RBP_OWN;
}

static void take_load(struct sweep *sweep, const ZydisDecodedOperand *from)
{
	bool is_sp = is_on_stack(from, ZYDIS_REGISTER_RSP);
	int64_t off = from->mem.disp.value;

	if (is_on_stack(from, ZYDIS_REGISTER_RBP) && off == 0 && sweep->rbp == GJ_RBP_OWN)
		return;
	if (is_sp && off == sweep->frame_off)
		sweep->rbp = GJ_RBP_CALLERS;
	else if (is_sp && off == sweep->kept_off)
		sweep->rbp = GJ_RBP_OWN;
	else
		sweep->rbp = GJ_RBP_WILD;
}

/* @insn changes RBP. */
static void take_change(struct sweep *sweep, const struct insn *insn)
{
	const ZydisDecodedOperand *to = &insn->ops[0], *from = &insn->ops[1];
	bool is_whole = to->type == ZYDIS_OPERAND_TYPE_REGISTER &&
			to->reg.value == ZYDIS_REGISTER_RBP;

	if (insn->decoded.mnemonic == ZYDIS_MNEMONIC_POP && is_whole) {
		sweep->rbp = GJ_RBP_CALLERS;
	} else if (insn->decoded.mnemonic == ZYDIS_MNEMONIC_LEA && is_whole &&
		   from->mem.base == ZYDIS_REGISTER_RSP && from->mem.index == ZYDIS_REGISTER_NONE) {
		take_lea(sweep, from->mem.disp.value);
	} else if (insn->decoded.mnemonic == ZYDIS_MNEMONIC_MOV && is_whole &&
		   from->type == ZYDIS_OPERAND_TYPE_REGISTER &&
		   from->reg.value == ZYDIS_REGISTER_RSP) {
		sweep->frame_off = INT64_MIN;
		sweep->rbp = GJ_RBP_OWN;
	} else if (insn->decoded.mnemonic == ZYDIS_MNEMONIC_MOV && is_whole) {
		take_load(sweep, from);
	} else {
		sweep->rbp = GJ_RBP_WILD;
	}
	sweep->code->has_own |= sweep->rbp == GJ_RBP_OWN;
}

static bool changes_rbp(const struct insn *insn)
{
	for (unsigned int i = 0; i < insn->decoded.operand_count; i++)
		if (insn->ops[i].type == ZYDIS_OPERAND_TYPE_REGISTER &&
		    insn->ops[i].actions & ZYDIS_OPERAND_ACTION_MASK_WRITE &&
		    ZydisRegisterGetLargestEnclosing(ZYDIS_MACHINE_MODE_LONG_64,
						     insn->ops[i].reg.value) == ZYDIS_REGISTER_RBP)
			return true;
	return false;
}

/* SP's distance to where the function found it. */
static int32_t sp_delta(struct sweep *sweep, uint64_t va)
{
	while (va >= sweep->row.end_va && gj_pciter_next(&sweep->sp, &sweep->row) > 0)
		;
	return va >= sweep->row.start_va && va < sweep->row.end_va ? sweep->row.value : 0;
}

static void take(struct sweep *sweep, const struct insn *insn)
{
	struct gj_code *code = sweep->code;
	ZydisInstructionCategory category = insn->decoded.meta.category;

	int32_t delta = sp_delta(sweep, code->entry_va + insn->off);

	/* Behind a call that never returns stands what asks for more stack: no frame there. */
	if (delta <= 0 && (sweep->is_cut_off || sweep->rbp == GJ_RBP_OWN))
		sweep->rbp = GJ_RBP_CALLERS;
	else if (sweep->is_cut_off)
		sweep->rbp = code->has_own ? GJ_RBP_OWN : GJ_RBP_CALLERS;
	sweep->is_cut_off = category == ZYDIS_CATEGORY_RET || category == ZYDIS_CATEGORY_UNCOND_BR ||
			    insn->decoded.mnemonic == ZYDIS_MNEMONIC_UD2 ||
			    insn->decoded.mnemonic == ZYDIS_MNEMONIC_INT3;
	code->starts[insn->off / 8] |= (uint8_t)(1 << insn->off % 8);
	code->rbps[insn->off] = (uint8_t)sweep->rbp;
	if (sweep->rbp == GJ_RBP_OWN && insn->decoded.mnemonic == ZYDIS_MNEMONIC_MOV &&
	    is_on_stack(&insn->ops[0], ZYDIS_REGISTER_RSP) &&
	    insn->ops[1].type == ZYDIS_OPERAND_TYPE_REGISTER &&
	    insn->ops[1].reg.value == ZYDIS_REGISTER_RBP)
		sweep->kept_off = insn->ops[0].mem.disp.value;
	if (category == ZYDIS_CATEGORY_CALL)
		take_branch(sweep, insn, true);
	else if (category == ZYDIS_CATEGORY_UNCOND_BR || category == ZYDIS_CATEGORY_COND_BR)
		take_branch(sweep, insn, false);
	else if (changes_rbp(insn))
		take_change(sweep, insn);
}

/*
 * Jumps arrive where an instruction starts, with RBP as it is taken to be
 * there. Where one does not, nothing from there on is certain, nor what is
 * reached from there.
 */
static void check_inners(struct sweep *sweep)
{
	struct gj_code *code = sweep->code;
	uint32_t before;

	do {
		before = code->sure_bytes;
		for (size_t i = 0; i < sweep->inner_cnt; i++) {
			const struct inner *inner = &sweep->inners[i];
			bool fits = gj_code_bit(code->starts, inner->target_off) &&
				    code->rbps[inner->target_off] == inner->rbp &&
				    inner->from_off < code->sure_bytes;

			if (!fits && inner->target_off < code->sure_bytes)
				code->sure_bytes = inner->target_off;
		}
	} while (code->sure_bytes < before);
	code->is_regular &= code->sure_bytes == code->size_bytes;
}

static bool read_code(struct gj_codes *codes, const struct gj_gofunc *func, struct gj_window bytes,
		      struct gj_code *code)
{
	struct sweep sweep = { .code = code, .frame_off = INT64_MIN, .kept_off = INT64_MIN };
	struct insn insn = { .off = 0 };

	code->is_regular = !gj_pciter_init(codes->gotab, func, GJ_PCTABLE_SP, &sweep.sp);
	while (insn.off < bytes.size_bytes) {
		struct gj_window rest = gj_window_slice(bytes, insn.off, UINT64_MAX);

		if (ZYAN_FAILED(ZydisDecoderDecodeFull(&codes->decoder, rest.base, rest.size_bytes,
						       &insn.decoded, insn.ops))) {
			code->sure_bytes = insn.off;
			break;
		}
		take(&sweep, &insn);
		insn.off += insn.decoded.length;
	}
	check_inners(&sweep);
	free(sweep.inners);
	return !sweep.is_out_of_memory;
}

static void free_node(struct node *node)
{
	free(node->code.edges);
	free(node->code.starts);
	free(node->code.rbps);
	free(node);
}

static struct node *make(struct gj_codes *codes, const struct gj_gofunc *func)
{
	struct gj_window bytes = gj_window_slice(gj_image_at(codes->image, func->entry_va), 0,
						 func->end_va - func->entry_va);
	struct node *node;

	if (!bytes.size_bytes || bytes.size_bytes > GJ_MAX_CODE_BYTES)
		return NULL;
	node = calloc(1, sizeof(*node));
	if (!node)
		return NULL;
	node->code.entry_va = func->entry_va;
	node->code.size_bytes = node->code.sure_bytes = (uint32_t)bytes.size_bytes;
	node->code.starts = calloc(1, bytes.size_bytes / 8 + 1);
	node->code.rbps = calloc(1, bytes.size_bytes);
	if (node->code.starts && node->code.rbps && read_code(codes, func, bytes, &node->code))
		return node;
	free_node(node);
	return NULL;
}

const struct gj_code *gj_codes_find(struct gj_codes *codes, const struct gj_gofunc *func)
{
	struct node **bucket = &codes->buckets[(func->entry_va >> 5) % BUCKET_CNT], *node;

	for (node = *bucket; node; node = node->next)
		if (node->code.entry_va == func->entry_va)
			return &node->code;
	node = make(codes, func);
	if (!node)
		return NULL;
	node->next = *bucket;
	*bucket = node;
	return &node->code;
}

int gj_codes_new(const struct gj_image *image, const struct gj_gotab *gotab,
		 struct gj_codes **codes_out)
{
	struct gj_codes *codes = calloc(1, sizeof(*codes));

	if (!codes)
		return -ENOMEM;
	codes->image = image;
	codes->gotab = gotab;
	if (ZYAN_FAILED(ZydisDecoderInit(&codes->decoder, ZYDIS_MACHINE_MODE_LONG_64,
					 ZYDIS_STACK_WIDTH_64))) {
		free(codes);
		return -ENOMEM;
	}
	*codes_out = codes;
	return 0;
}

void gj_codes_free(struct gj_codes *codes)
{
	if (!codes)
		return;
	for (size_t i = 0; i < BUCKET_CNT; i++)
		while (codes->buckets[i]) {
			struct node *node = codes->buckets[i];

			codes->buckets[i] = node->next;
			free_node(node);
		}
	free(codes);
}
