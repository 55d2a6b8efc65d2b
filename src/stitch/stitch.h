/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Whole stacks: kernel, Go, system stack, cgo and back.
 *
 * A walk takes registers and whatever bytes of the stacks there are, and picks
 * an engine for each frame: Go's own pcsp tables (exact for all Go code,
 * stripped too), call frame information (C code), frame pointers (what is
 * left, and what the kernel gives). Where the runtime leaves one stack for
 * another, a table of seams says how to go on (seam.c). Every frame tells how
 * it was found. A walk that cannot go on for certain ends there and says why:
 * a wrong frame is worse than a short stack.
 */
#ifndef GJ_STITCH_H
#define GJ_STITCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cursor.h"
#include "demangle/demangle.h"
#include "elf/elf.h"
#include "gojitter.h"
#include "goroutine/goroutine.h"

/* What is mapped at an address of the target. */
struct gj_stitch_image {
	const struct gj_image *image; /* outlives the stitcher */
	const struct gj_gotab *gotab; /* NULL: no Go tables; outlives the stitcher */
	uint64_t bias;                /* process address = link-time address + bias, modulo 2^64 */
	bool is_vdso;
	/*
	 * The addresses for which this answer holds; both 0: only the one asked
	 * for. Saves calls: within a walk each range is asked for once.
	 */
	uint64_t start_va, end_va;
};

/*
 * One thread of a target at one moment. The callbacks are called during
 * gj_stitch only, with @data.
 */
struct gj_stitch_view {
	void *data;
	/*
	 * [va, va + size) of the target's memory: 0, or a negative errno when
	 * it is not all there. Asked for stacks, and for the runtime's g and m.
	 */
	int (*read)(void *data, uint64_t va, void *bytes_out, size_t size_bytes);
	/* The executable mapping that holds @va: 0, or negative when there is none. */
	int (*find_image)(void *data, uint64_t va, struct gj_stitch_image *image_out);
	enum gj_arch arch;
	/*
	 * Where the runtime keeps its fields; NULL: not known. Without them, or
	 * where g or m cannot be read, no walk crosses from one stack to another.
	 */
	const struct gj_goffsets *offsets;
	uint64_t g; /* of the thread: its TLS slot, or R14 (amd64), X28 (arm64); 0: not known */
	/* Bounds of the stack SP is on; hi 0: not known. A goroutine's come from its g. */
	uint64_t stack_lo, stack_hi;
};

/* What was recorded of the thread. */
struct gj_stitch_input {
	struct gj_regs regs; /* user registers; none: the chain is all there is */
	/* Addresses in the kernel, innermost first; put in front as they are. */
	const uint64_t *kernel_chain;
	size_t kernel_cnt;
	/*
	 * The user part of the chain as the kernel found it by frame pointers:
	 * ip, then return addresses. NULL: none recorded.
	 */
	const uint64_t *user_chain;
	size_t user_cnt;
};

/* How a frame was found. */
enum gj_frame_how {
	GJ_FRAME_IP,     /* the instruction pointer itself */
	GJ_FRAME_KERNEL, /* the kernel's chain */
	GJ_FRAME_PCSP,   /* Go's tables */
	GJ_FRAME_CFI,    /* call frame information */
	GJ_FRAME_FP,     /* a saved frame pointer, by the kernel or by us */
	GJ_FRAME_SEAM,   /* over a seam; gj_stack_frame.seam names it */
};
#define GJ_FRAME_HOW_CNT 6

struct gj_stack_frame {
	uint64_t va; /* in the target */
	uint64_t sp; /* SP while this frame waits at @va; 0: not known */
	const struct gj_image *image; /* NULL: not asked for or none */
	uint64_t bias;                /* of the image */
	enum gj_frame_how how;
	const char *seam; /* static text; NULL unless how is GJ_FRAME_SEAM */
	bool is_return;   /* @va follows a call; look names and lines up at va - 1 */
	bool may_miss;    /* callers between this frame and the one before may be missing */
};

/* Why a walk ended before its root. */
enum gj_cut {
	GJ_CUT_NONE,
	GJ_CUT_NO_REGS,    /* no registers to begin with */
	GJ_CUT_NO_BYTES,   /* stack bytes that are not in the recording */
	GJ_CUT_BOUNDS,     /* it would leave the stack */
	GJ_CUT_NOT_UP,     /* it would not go up */
	GJ_CUT_NO_IMAGE,   /* an address where no code is mapped */
	GJ_CUT_NO_TABLE,   /* Go code whose table of SP does not say */
	GJ_CUT_NO_RULE,    /* C code that nothing describes */
	GJ_CUT_EXPRESSION, /* C code described by an expression we do not run */
	GJ_CUT_NO_REGISTER, /* the rule needs a register that is not known */
	GJ_CUT_UNDEFINED,  /* return address 0 where a caller should be */
	GJ_CUT_NO_RUNTIME, /* a seam, and g or m cannot be read */
	GJ_CUT_SWITCHING,  /* in the middle of a stack switch, or the saved state contradicts itself */
	GJ_CUT_LIMIT,      /* more frames than the caller has room for, or too many signals */
	GJ_CUT_CHAIN,      /* a chain by frame pointers that does not end at a root */
};
#define GJ_CUT_CNT 15

/* In words, for people: "stack bytes are not in the recording". */
const char *gj_cut_text(enum gj_cut cut);

/* One whole stack. */
struct gj_stack {
	struct gj_stack_frame *frames; /* the caller's room */
	size_t max;
	/* From here on filled by gj_stitch. */
	size_t cnt;
	size_t kernel_cnt;  /* of them, in front */
	bool is_complete;   /* the last frame is a root */
	const char *root;   /* which: "goexit", "mstart", "rt0_go", "mcall", "thread"; NULL when cut */
	enum gj_cut cut;    /* why not, else GJ_CUT_NONE */
	uint64_t cut_va;    /* the frame whose caller was not found */
	bool has_gap;       /* some frame has may_miss set */
	size_t repaired_cnt; /* frames that the recorded chain lacked */
};

/* Keeps what was learnt of images between walks. Not thread-safe; images must outlive it. */
struct gj_stitcher;

int gj_stitcher_new(struct gj_stitcher **stitcher_out); /* 0 or -ENOMEM */
void gj_stitcher_free(struct gj_stitcher *stitcher);    /* NULL allowed */

/*
 * gj_stitch - walk one thread
 * @stack: frames and max set by the caller; GJ_MAX_CHAIN frames always suffice
 *
 * Returns 0 and a stack, complete or cut; -ENOMEM. What cannot be read or
 * understood is no error: the stack says so.
 */
int gj_stitch(struct gj_stitcher *stitcher, const struct gj_stitch_view *view,
	      const struct gj_stitch_input *input, struct gj_stack *stack);

/*
 * Offset of m.vdsoSP, with m.vdsoPC 8 behind it: where code in the vdso was
 * called from. By the code of the runtime; -1 when that does not tell (amd64 only).
 */
int32_t gj_stitch_m_vdso_sp(const struct gj_image *image, const struct gj_gotab *gotab);

/*
 * Repair of chains by frame pointers (amd64) where code proves what they lack;
 * docs/stacks.md, "A chain alone". Keeps what it learnt of images, which must
 * outlive it. Not thread-safe. Addresses are link-time.
 */
struct gj_repair;

int gj_repair_new(struct gj_repair **repair_out); /* 0 or -ENOMEM */
void gj_repair_free(struct gj_repair *repair);    /* NULL allowed */

/*
 * True where RBP is not known to be that of the function at @va, so that in a
 * chain by frame pointers the address behind @va need not be its caller's.
 * @is_return: @va follows a call, else it was interrupted there
 */
bool gj_repair_lacks(struct gj_repair *repair, const struct gj_image *image,
		     const struct gj_gotab *gotab, uint64_t va, bool is_return);

#define GJ_REPAIR_MAX 3

/* What belongs between an address of a chain and the next one. */
struct gj_repaired {
	uint64_t vas[GJ_REPAIR_MAX]; /* innermost first */
	size_t cnt;    /* 0: nothing is proven */
	bool is_exact; /* return addresses; else the entry of a function: where in it is not known */
	bool may_miss; /* callers may be missing still */
};

/*
 * @va: an address where gj_repair_lacks; 0: in the vdso
 * @return_va: the one behind it in the chain
 */
void gj_repair_find(struct gj_repair *repair, const struct gj_image *image,
		    const struct gj_gotab *gotab, uint64_t va, bool is_return, uint64_t return_va,
		    struct gj_repaired *repaired_out);

/* Call frame information of one image, compiled for look-ups. Immutable. */
struct gj_cfi;

/*
 * gj_cfi_new - compile .eh_frame and .debug_frame of an image
 * @debug_dir: where separate debug files stand ("/usr/lib/debug"); NULL: look for none
 *
 * Returns 0, -ENOENT when the image has none, -ENOMEM.
 */
int gj_cfi_new(const struct gj_image *image, const char *debug_dir, struct gj_cfi **cfi_out);
void gj_cfi_free(struct gj_cfi *cfi); /* NULL allowed */

/* Registers that rules can save, in this order: amd64 rbp rbx r12 r13 r14 r15; arm64 x29 alone. */
#define GJ_CFI_SAVED_CNT 6
#define GJ_CFI_SAME INT16_MIN

enum gj_cfa_kind {
	GJ_CFA_NONE,       /* no rule holds here */
	GJ_CFA_REG,        /* CFA = register + offset */
	GJ_CFA_PLT,        /* CFA = SP + 8, or + 16 from byte 11 of each 16 on (x86 .plt) */
	GJ_CFA_EXPRESSION, /* something else */
};

/* The rule from start_va on, until the next row. */
struct gj_cfi_row {
	uint32_t start; /* from gj_cfi's base address */
	int32_t cfa_off;
	uint8_t cfa_kind;
	uint8_t cfa_reg;   /* DWARF's number */
	bool is_root;      /* the return address is undefined: a thread begins here */
	bool ra_in_reg;    /* arm64: in x30 still */
	int16_t ra_off;    /* of the return address, from the CFA */
	int16_t saved[GJ_CFI_SAVED_CNT]; /* from the CFA; GJ_CFI_SAME: not saved */
};

/* The row for link-time address @va; NULL when none holds. */
const struct gj_cfi_row *gj_cfi_find(const struct gj_cfi *cfi, uint64_t va);
/* Rows in all, and those that are expressions. */
void gj_cfi_count(const struct gj_cfi *cfi, size_t *rows_out, size_t *expressions_out);
/* Row number @index and its link-time address; NULL past the last. */
const struct gj_cfi_row *gj_cfi_row(const struct gj_cfi *cfi, size_t index, uint64_t *va_out);

/* What walks know of one Go image's runtime before they begin: for walks elsewhere, in BPF. */
#define GJ_STITCH_SEAMS 64
struct gj_stitch_facts {
	int32_t m_vdso_sp; /* offset in m, m.vdsoPC 8 behind it; -1: not known */
	int32_t cgo_g_off; /* where asmcgocall keeps g, from SP on g0's stack; -1: not known */
	size_t seam_cnt;
	/* Row of the seam table by name (docs/stacks.md), and its function's link-time entry. */
	struct { const char *name; uint64_t entry_va; } seams[GJ_STITCH_SEAMS];
};

/* 0 or -ENOMEM. */
int gj_stitch_facts(const struct gj_image *image, const struct gj_gotab *gotab,
		    struct gj_stitch_facts *facts_out);
/* Link-time address of the next restorer (what signal handlers return to) from @va on; -ENOENT: none. */
int gj_stitch_find_restorer(const struct gj_image *image, uint64_t va, uint64_t *va_out);

#endif
