/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The seam at signals: a handler returns to a restorer, above whose address
 * stands all that was interrupted. Go's handler (sigtramp, on gsignal's stack)
 * and C's look alike.
 *
 *   amd64 (kernel arch/x86/include/uapi/asm/sigcontext.h), from SP, once the
 *   restorer's address has been taken off:
 *     40 + 8 n   r8 r9 r10 r11 r12 r13 r14 r15 rdi rsi rbp rbx rdx rax rcx rsp rip
 *   arm64 (arch/arm64/include/uapi/asm/sigcontext.h, kernel/signal.c):
 *     312 + 8 n  x0 .. x30; 560 sp, 568 pc
 */
#include <errno.h>
#include <string.h>

#include "base/limits.h"
#include "stitch/walk.h"

/* What every restorer is, Go's and libc's: debuggers know it by these bytes. */
static const uint8_t restorer_amd64[] = { 0x48, 0xc7, 0xc0, 15, 0, 0, 0, 0x0f, 0x05 };
static const uint8_t restorer_arm64[] = { 0x68, 0x11, 0x80, 0xd2, 0x01, 0x00, 0x00, 0xd4 };

/* Bytes of its first instruction, and of both. */
#define AMD64_SYSCALL_OFF 7
#define ARM64_SYSCALL_OFF 4

static bool is_restorer(const struct gj_image *image, uint64_t va)
{
	bool is_arm64 = gj_image_arch(image) == GJ_ARCH_ARM64;
	const uint8_t *want = is_arm64 ? restorer_arm64 : restorer_amd64;
	size_t size_bytes = is_arm64 ? sizeof(restorer_arm64) : sizeof(restorer_amd64);
	struct gj_window code = gj_image_at(image, va);

	return code.size_bytes >= size_bytes && !memcmp(code.base, want, size_bytes);
}

bool gj_is_sigreturn(const struct gj_image *image, uint64_t va)
{
	bool is_arm64 = gj_image_arch(image) == GJ_ARCH_ARM64;

	return is_restorer(image, va) ||
	       is_restorer(image, va - (is_arm64 ? ARM64_SYSCALL_OFF : AMD64_SYSCALL_OFF));
}

bool gj_is_in_sigreturn(const struct gj_image *image, uint64_t va)
{
	bool is_arm64 = gj_image_arch(image) == GJ_ARCH_ARM64;

	return is_restorer(image, va - (is_arm64 ? sizeof(restorer_arm64) : sizeof(restorer_amd64)));
}

int gj_stitch_find_restorer(const struct gj_image *image, uint64_t va, uint64_t *va_out)
{
	bool is_arm64 = gj_image_arch(image) == GJ_ARCH_ARM64;
	const uint8_t *want = is_arm64 ? restorer_arm64 : restorer_amd64;
	size_t size_bytes = is_arm64 ? sizeof(restorer_arm64) : sizeof(restorer_amd64);
	struct gj_window code = gj_image_at(image, va);
	const uint8_t *at = code.base ? memmem(code.base, code.size_bytes, want, size_bytes) : NULL;

	if (!at)
		return -ENOENT;
	*va_out = va + (uint64_t)(at - code.base);
	return 0;
}

static bool read_amd64(struct gj_walk *walk, uint64_t *pc_out)
{
	/* DWARF's numbers in the order of the words. */
	static const uint8_t order[] = { 8, 9, 10, 11, 12, 13, 14, 15, 5, 4, 6, 3, 1, 0, 2, 7 };
	uint64_t words = walk->sp + 40;

	for (size_t i = 0; i < sizeof(order); i++)
		gj_walk_set_saved(walk, order[i], words + 8 * i);
	return gj_walk_u64(walk, words + 8 * 16, pc_out);
}

static bool read_arm64(struct gj_walk *walk, uint64_t *pc_out)
{
	for (unsigned int i = 0; i <= GJ_ARM64_SP; i++)
		gj_walk_set_saved(walk, i, walk->sp + 312 + 8 * i);
	return gj_walk_u64(walk, walk->sp + 568, pc_out);
}

/* The first handler may have a stack of its own anywhere; one stack has few of them. */
enum gj_step gj_seam_sigreturn(struct gj_walk *walk)
{
	bool is_arm64 = walk->view->arch == GJ_ARCH_ARM64;
	uint64_t pc, sp;

	if (walk->sp > UINT64_MAX - 1024)
		return gj_walk_cut(walk, GJ_CUT_BOUNDS);
	if (++walk->signal_cnt > GJ_MAX_SIGNAL_FRAMES)
		return gj_walk_cut(walk, GJ_CUT_LIMIT);
	gj_walk_forget_regs(walk);
	if (!(is_arm64 ? read_arm64(walk, &pc) : read_amd64(walk, &pc)))
		return GJ_STEP_CUT;
	if (!gj_walk_reg(walk, is_arm64 ? GJ_ARM64_SP : GJ_AMD64_RSP, &sp))
		return GJ_STEP_CUT;
	/* C's handlers on a stack of their own: not one of those that are told apart. */
	if (gj_walk_kind(walk, sp) == GJ_ON_THREAD && gj_walk_kind(walk, walk->sp) == GJ_ON_THREAD)
		walk->reached[GJ_ON_THREAD] = 0;
	if (gj_walk_enter(walk, pc, sp, GJ_FRAME_SEAM, "sigreturn", false) != GJ_STEP_FRAME)
		return GJ_STEP_CUT;
	walk->is_innermost = true;
	return GJ_STEP_FRAME;
}
