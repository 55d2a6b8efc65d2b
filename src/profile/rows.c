/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Rows for the unwinder in the kernel: .gopclntab's table of SP deltas for Go
 * code, with seams marked; call frame information for the rest, as far as it
 * goes by RSP or RBP (what compilers make of C does).
 */
#include <elf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "profile/profile.h"

/* One row on its way; of several with one start the last in order counts. */
struct draft {
	uint32_t start, rule;
	uint32_t order; /* which table it is of, enum order */
};
enum order { ORDER_RESTORER_END, ORDER_C, ORDER_GO, ORDER_RESTORER };

struct drafts {
	struct gj_buf list; /* struct draft */
	uint64_t base_va;
	bool is_too_far; /* or too many */
};

static uint32_t rule_of(enum gj_rule_kind kind, uint64_t value)
{
	return (uint32_t)kind << GJ_RULE_SHIFT | (uint32_t)value;
}

static void add(struct drafts *drafts, uint64_t va, uint32_t rule, enum order order)
{
	struct draft draft = { (uint32_t)(va - drafts->base_va), rule, order };

	/* Code described twice may not fill the memory. */
	if (va - drafts->base_va > GJ_MAX_UNWIND_CODE_BYTES ||
	    drafts->list.size_bytes / sizeof(draft) >= GJ_MAX_UNWIND_ROWS) {
		drafts->is_too_far = true;
		return;
	}
	gj_buf_add(&drafts->list, &draft, sizeof(draft));
}

/* Seams by their names in src/stitch/seam.c; those not here unwind as any Go code does. */
static const struct {
	const char *seam;
	enum gj_rule_kind kind;
} kinds[] = {
	{ "systemstack", GJ_RULE_SYSTEMSTACK },
	{ "morestack", GJ_RULE_MORESTACK },
	{ "mcall", GJ_RULE_MCALL },
	{ "gogo", GJ_RULE_GOGO },
	{ "asmcgocall", GJ_RULE_ASMCGOCALL },
	{ "cgocallback", GJ_RULE_CGOCALLBACK },
	{ "crosscall2", GJ_RULE_CROSSCALL2 },
	{ "sigfwd", GJ_RULE_SWITCHING },
	{ "callCgoSigaction", GJ_RULE_SWITCHING },
	{ "callCgoMmap", GJ_RULE_SWITCHING },
	{ "callCgoMunmap", GJ_RULE_SWITCHING },
	{ "vdso", GJ_RULE_VDSO_CALLER },
	{ "schedule", GJ_RULE_SCHEDULE },
	{ "goexit", GJ_RULE_ROOT },
	{ "mstart", GJ_RULE_ROOT },
	{ "rt0_go", GJ_RULE_ROOT },
};

static enum gj_rule_kind kind_of(const struct gj_stitch_facts *facts, const struct gj_gofunc *func)
{
	for (size_t i = 0; i < facts->seam_cnt; i++) {
		if (facts->seams[i].entry_va != func->entry_va)
			continue;
		for (size_t j = 0; j < sizeof(kinds) / sizeof(kinds[0]); j++)
			if (!strcmp(kinds[j].seam, facts->seams[i].name))
				return kinds[j].kind;
		return GJ_RULE_GO;
	}
	return func->flag & GJ_GOFUNC_TOPFRAME ? GJ_RULE_ROOT : GJ_RULE_GO;
}

/* Met at its first instruction, none of these has moved SP. */
static bool is_plain_at_entry(enum gj_rule_kind kind)
{
	return kind == GJ_RULE_ASMCGOCALL || kind == GJ_RULE_SWITCHING ||
	       kind == GJ_RULE_VDSO_CALLER;
}

static void add_func(struct drafts *drafts, const struct gj_gotab *gotab,
		     const struct gj_gofunc *func, enum gj_rule_kind kind)
{
	struct gj_pciter iter;
	struct gj_pcrow row;

	if (gj_pciter_init(gotab, func, GJ_PCTABLE_SP, &iter)) {
		add(drafts, func->entry_va, rule_of(kind == GJ_RULE_ROOT ? kind : GJ_RULE_NONE, 0),
		    ORDER_GO);
		return;
	}
	while (gj_pciter_next(&iter, &row) > 0) {
		bool is_known = row.value >= 0 && (uint32_t)row.value <= GJ_RULE_MASK;
		uint64_t start_va = row.start_va;

		if (start_va == func->entry_va && is_plain_at_entry(kind)) {
			add(drafts, start_va, rule_of(GJ_RULE_GO, 0), ORDER_GO);
			if (row.end_va <= ++start_va)
				continue;
		}
		add(drafts, start_va,
		    is_known ? rule_of(kind, (uint32_t)row.value) : rule_of(GJ_RULE_NONE, 0),
		    ORDER_GO);
	}
}

static void add_go(struct drafts *drafts, const struct gj_gotab *gotab,
		   const struct gj_stitch_facts *facts)
{
	const struct gj_goinfo *info = gj_gotab_info(gotab);
	struct gj_gofunc func;

	for (uint32_t i = 0; i < info->func_cnt; i++)
		if (!gj_gotab_func(gotab, i, &func))
			add_func(drafts, gotab, &func, kind_of(facts, &func));
	add(drafts, info->etext_va, rule_of(GJ_RULE_NONE, 0), ORDER_GO);
}

#define DWARF_RBP 6
#define DWARF_RSP 7

static uint32_t rule_of_c(const struct gj_cfi_row *row)
{
	bool is_sp = row->cfa_reg == DWARF_RSP;
	uint32_t cfa, rbp = 0;

	if (row->is_root)
		return rule_of(GJ_RULE_ROOT, 0);
	if (row->cfa_kind != GJ_CFA_REG || (!is_sp && row->cfa_reg != DWARF_RBP) ||
	    row->ra_off != -8 || row->cfa_off < 8 || row->cfa_off % 8 ||
	    row->cfa_off / 8 > (int32_t)GJ_RULE_CFA_MASK)
		return rule_of(GJ_RULE_NONE, 0);
	cfa = (uint32_t)row->cfa_off / 8;
	if (row->saved[0] != GJ_CFI_SAME) {
		rbp = (uint32_t)-row->saved[0] / 8;
		if (row->saved[0] >= 0 || row->saved[0] % 8 || rbp > GJ_RULE_MASK >> GJ_RULE_RBP_SHIFT)
			return rule_of(GJ_RULE_NONE, 0);
	}
	return rule_of(is_sp ? GJ_RULE_C_SP : GJ_RULE_C_BP, rbp << GJ_RULE_RBP_SHIFT | cfa);
}

/* x86's .plt: entries of 16 bytes that push a word with their eleventh. */
static void add_plt(struct drafts *drafts, uint64_t va, uint64_t end_va)
{
	for (; va < end_va; va += 16) {
		add(drafts, va, rule_of(GJ_RULE_C_SP, 1), ORDER_C);
		add(drafts, va + 11, rule_of(GJ_RULE_C_SP, 2), ORDER_C);
	}
}

static int add_c(struct drafts *drafts, const struct gj_image *image, const struct gj_goinfo *go)
{
	const struct gj_cfi_row *row;
	struct gj_cfi *cfi;
	uint64_t va, next_va;
	int err = gj_cfi_new(image, "/usr/lib/debug", &cfi);

	if (err)
		return err == -ENOENT ? 0 : err;
	for (size_t i = 0; (row = gj_cfi_row(cfi, i, &va)); i++) {
		/* Go's own code may be described here, too; its tables are there even when stripped. */
		if (va < drafts->base_va || (go && va >= go->text_va && va < go->etext_va))
			continue;
		if (row->cfa_kind == GJ_CFA_PLT && gj_cfi_row(cfi, i + 1, &next_va) &&
		    next_va - va < GJ_MAX_CODE_BYTES)
			add_plt(drafts, va, next_va);
		else
			add(drafts, va, rule_of_c(row), ORDER_C);
	}
	gj_cfi_free(cfi);
	return 0;
}

#define RESTORER_BYTES 9 /* mov $15,%rax; syscall */

/*
 * C's return addresses are looked up a byte lower, and so is that of a restorer.
 * In the kernel it stands behind its last instruction.
 */
static void add_restorers(struct drafts *drafts, const struct gj_image *image,
			  const struct gj_goinfo *go)
{
	const struct gj_segment *segment;

	for (unsigned int i = 0; (segment = gj_image_segment(image, i)); i++) {
		uint64_t va = segment->va;

		if (!(segment->flags & PF_X))
			continue;
		while (!gj_stitch_find_restorer(image, va, &va)) {
			bool is_go = go && va >= go->text_va && va < go->etext_va;

			add(drafts, is_go ? va : va - 1, rule_of(GJ_RULE_SIGRETURN, 0),
			    ORDER_RESTORER);
			va += RESTORER_BYTES;
			add(drafts, va, rule_of(GJ_RULE_SIGRETURN, 0), ORDER_RESTORER);
			add(drafts, va + 1, rule_of(GJ_RULE_NONE, 0), ORDER_RESTORER_END);
		}
	}
}

static int compare(const void *a, const void *b)
{
	const struct draft *one = a, *other = b;

	if (one->start != other->start)
		return one->start < other->start ? -1 : 1;
	return one->order < other->order ? -1 : one->order > other->order;
}

/* Rows that say what the one before says are left out. */
static void finish(struct drafts *drafts, struct gj_buf *rows_out)
{
	struct draft *list = (struct draft *)(void *)drafts->list.data;
	size_t cnt = drafts->list.size_bytes / sizeof(*list);
	uint32_t rule = rule_of(GJ_RULE_NONE, 0);
	struct gj_unwind_row row = { 0, rule };

	if (cnt)
		qsort(list, cnt, sizeof(*list), compare);
	gj_buf_add(rows_out, &row, sizeof(row)); /* so that every look-up finds one */
	for (size_t i = 0; i < cnt; i++) {
		if (i + 1 < cnt && list[i + 1].start == list[i].start)
			continue;
		if (list[i].rule == rule)
			continue;
		rule = list[i].rule;
		row = (struct gj_unwind_row){ list[i].start, rule };
		gj_buf_add(rows_out, &row, sizeof(row));
	}
}

int gj_profile_rows(const struct gj_image *image, const struct gj_gotab *gotab,
		    const struct gj_stitch_facts *facts, uint64_t base_va, struct gj_buf *rows_out)
{
	const struct gj_goinfo *go = gotab ? gj_gotab_info(gotab) : NULL;
	struct drafts drafts = { .base_va = base_va };
	int err = add_c(&drafts, image, go);

	if (!err && gotab)
		add_go(&drafts, gotab, facts);
	if (!err)
		add_restorers(&drafts, image, go);
	if (!err && drafts.is_too_far)
		err = -E2BIG;
	if (!err && !drafts.list.failed)
		finish(&drafts, rows_out);
	if (!err && (drafts.list.failed || rows_out->failed))
		err = -ENOMEM;
	gj_buf_deinit(&drafts.list);
	return err;
}

int gj_profile_pages(const struct gj_buf *rows, uint32_t first_row, struct gj_buf *pages_out,
		     uint32_t *page_cnt_out)
{
	const struct gj_unwind_row *list = (const void *)rows->data;
	uint32_t row_cnt = (uint32_t)(rows->size_bytes / sizeof(*list)), row = first_row;
	const uint64_t page_bytes = 1u << GJ_UNWIND_PAGE_SHIFT;
	uint32_t cnt = 0;

	for (uint64_t start = 0; row < row_cnt; start += page_bytes) {
		struct gj_unwind_page page;

		while (row + 1 < row_cnt && list[row + 1].start <= start)
			row++;
		page = (struct gj_unwind_page){ row, row };
		while (page.last + 1 < row_cnt && list[page.last + 1].start < start + page_bytes)
			page.last++;
		gj_buf_add(pages_out, &page, sizeof(page));
		cnt++;
		row = page.last + 1 < row_cnt ? page.last : row_cnt;
	}
	*page_cnt_out = cnt;
	return pages_out->failed ? -ENOMEM : 0;
}
