/* SPDX-License-Identifier: GPL-2.0 */
/* Each row of the seam table over a stack made by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "stackwriter.h"

enum {
	MAIN, LEAF, GOEXIT, SYSTEMSTACK, SYSTEMSTACK_SWITCH, MSTART, MORESTACK, NEWSTACK, MCALL, PARK,
	ASMCGOCALL, CGOCALLBACK, CROSSCALL2, SIGTRAMP, SIGRETURN, NANOTIME1, ASYNC_PREEMPT, GOGO,
	SCHEDULE, SIGFWD,
};

static const struct sw_func funcs[] = {
	[MAIN] = { "main.main", 24 },
	[LEAF] = { "main.leaf", 0 },
	[GOEXIT] = { "runtime.goexit", 0, GJ_GOFUNC_TOPFRAME },
	[SYSTEMSTACK] = { "runtime.systemstack", 8, GJ_GOFUNC_SPWRITE },
	[SYSTEMSTACK_SWITCH] = { "runtime.systemstack_switch", 8 },
	[MSTART] = { "runtime.mstart", 0, GJ_GOFUNC_TOPFRAME },
	[MORESTACK] = { "runtime.morestack", 0, GJ_GOFUNC_SPWRITE },
	[NEWSTACK] = { "runtime.newstack", 40 },
	[MCALL] = { "runtime.mcall", 8, GJ_GOFUNC_SPWRITE },
	[PARK] = { "runtime.park_m", 16 },
	/* mov [rsp+8], rdi: g is kept there since Go 1.22 */
	[ASMCGOCALL] = { "runtime.asmcgocall", 8, GJ_GOFUNC_SPWRITE, "\x48\x89\x7c\x24\x08", 5 },
	[CGOCALLBACK] = { "runtime.cgocallback", 32, GJ_GOFUNC_SPWRITE },
	[CROSSCALL2] = { "crosscall2", 256 },
	[SIGTRAMP] = { "runtime.sigtramp", 0, GJ_GOFUNC_TOPFRAME },
	/* mov rax, 15; syscall */
	[SIGRETURN] = { "runtime.sigreturn__sigaction", 0, 0, "\x48\xc7\xc0\x0f\0\0\0\x0f\x05", 9 },
	/* mov [rbx+0x368], rcx; mov [rbx+0x360], rdx: m.vdsoPC, m.vdsoSP */
	[NANOTIME1] = { "runtime.nanotime1", 24, 0, "\x48\x89\x8b\x68\x03\0\0\x48\x89\x93\x60\x03\0\0", 14 },
	[ASYNC_PREEMPT] = { "runtime.asyncPreempt", 16 },
	[GOGO] = { "gogo", 0, GJ_GOFUNC_SPWRITE },
	[SCHEDULE] = { "runtime.schedule", 32 },
	/* mov rbx, rsp; and rsp, -16 */
	[SIGFWD] = { "runtime.sigfwd", 0, 0, "\x48\x89\xe3\x48\x83\xe4\xf0", 7 },
	{ NULL },
};

#define GO(off) (SW_GO_STACK + (off))
#define SYS(off) (SW_G0_STACK + (off))
#define SIG(off) (SW_SIGNAL_STACK + (off))

static int setup(void **state)
{
	struct sw *sw = malloc(sizeof(*sw));

	*state = sw;
	return sw ? sw_open(sw, funcs, EM_X86_64) : -1;
}

static int teardown(void **state)
{
	sw_close(*state);
	free(*state);
	return 0;
}

/* main.main at SP @sp on the goroutine's stack, called by goexit. */
static void put_main(struct sw *sw, uint64_t sp)
{
	sw_put(sw, sp + 24, SW_AT(GOEXIT, 1));
}

static void put_saved(struct sw *sw, uint64_t pc, uint64_t sp)
{
	sw_put(sw, SW_G + 64, pc);
	sw_put(sw, SW_G + 56, sp);
}

/* The frames, innermost first, and the root; a cut where @root is NULL. */
static void expect(struct sw *sw, const char *root, const uint64_t *vas, size_t cnt)
{
	for (size_t i = 0; i < cnt && i < sw->stack.cnt; i++)
		if (sw->stack.frames[i].va != vas[i])
			fail_msg("frame %d is %llx, not %llx", (int)i,
				 (unsigned long long)sw->stack.frames[i].va,
				 (unsigned long long)vas[i]);
	assert_int_equal(sw->stack.cnt, cnt);
	if (root) {
		if (!sw->stack.is_complete)
			fail_msg("cut: %s", gj_cut_text(sw->stack.cut));
		assert_string_equal(sw->stack.root, root);
	} else {
		assert_false(sw->stack.is_complete);
		assert_null(sw->stack.root);
	}
}
#define EXPECT(sw, root, ...) \
	expect(sw, root, (uint64_t[]){ __VA_ARGS__ }, sizeof((uint64_t[]){ __VA_ARGS__ }) / 8)

static void expect_cut(struct sw *sw, enum gj_cut cut, size_t cnt)
{
	assert_false(sw->stack.is_complete);
	if (sw->stack.cut != cut)
		fail_msg("cut: %s", gj_cut_text(sw->stack.cut));
	assert_int_equal(sw->stack.cnt, cnt);
}

/* main.main < systemstack on the goroutine's stack at 0xf00, park_m on g0's. */
static void put_systemstack(struct sw *sw)
{
	put_saved(sw, SW_AT(SYSTEMSTACK_SWITCH, 8), GO(0xf00));
	sw_put(sw, GO(0xf08), SW_AT(MAIN, 0x20));
	put_main(sw, GO(0xf10));
	sw->view.g = SW_G0;
	sw_put(sw, SYS(0xe10), SW_AT(SYSTEMSTACK, 0x40));
}

static void systemstack(void **state)
{
	struct sw *sw = *state;

	put_systemstack(sw);
	assert_int_equal(sw_walk(sw, SW_AT(PARK, 4), SYS(0xe00)), 0);
	EXPECT(sw, "goexit", SW_AT(PARK, 4), SW_AT(SYSTEMSTACK, 0x40), SW_AT(MAIN, 0x20),
	       SW_AT(GOEXIT, 1));
	assert_int_equal(sw->stack.frames[1].how, GJ_FRAME_PCSP);
	assert_int_equal(sw->stack.frames[2].how, GJ_FRAME_SEAM);
	assert_string_equal(sw->stack.frames[2].seam, "systemstack");
	assert_true(sw->stack.frames[2].is_return);
	assert_int_equal(sw->stack.frames[2].sp, GO(0xf10));
}

/* Itself: on the goroutine's stack, on g0's after the switch, on g0's when called there. */
static void systemstack_itself(void **state)
{
	struct sw *sw = *state;

	put_systemstack(sw);
	sw->view.g = SW_G;
	sw_walk(sw, SW_AT(SYSTEMSTACK, 0x20), GO(0xf00));
	EXPECT(sw, "goexit", SW_AT(SYSTEMSTACK, 0x20), SW_AT(MAIN, 0x20), SW_AT(GOEXIT, 1));
	sw->view.g = SW_G0;
	sw_walk(sw, SW_AT(SYSTEMSTACK, 0x30), SYS(0xf00));
	EXPECT(sw, "goexit", SW_AT(SYSTEMSTACK, 0x30), SW_AT(MAIN, 0x20), SW_AT(GOEXIT, 1));
	sw_put(sw, SYS(0xe08), SW_AT(MSTART, 4));
	sw_walk(sw, SW_AT(SYSTEMSTACK, 0x30), SYS(0xe00));
	EXPECT(sw, "mstart", SW_AT(SYSTEMSTACK, 0x30), SW_AT(MSTART, 4));
}

/* What is saved must be what systemstack saves, inside the goroutine's stack. */
static void systemstack_contradicted(void **state)
{
	struct sw *sw = *state;
	static const uint64_t saved[][2] = {
		{ SW_AT(MAIN, 8), GO(0xf00) }, { SW_AT(SYSTEMSTACK_SWITCH, 8), GO(0x1008) },
		{ SW_AT(SYSTEMSTACK_SWITCH, 8), 0 }, { SW_AT(SYSTEMSTACK_SWITCH, 8), SYS(0xf00) },
		{ 0, GO(0xf00) }, { UINT64_MAX, UINT64_MAX },
	};

	put_systemstack(sw);
	for (size_t i = 0; i < sizeof(saved) / sizeof(saved[0]); i++) {
		put_saved(sw, saved[i][0], saved[i][1]);
		sw_walk(sw, SW_AT(PARK, 4), SYS(0xe00));
		expect_cut(sw, GJ_CUT_SWITCHING, 2);
		assert_int_equal(sw->stack.cut_va, SW_AT(SYSTEMSTACK, 0x40));
	}
	put_systemstack(sw);
	sw->view.offsets = NULL;
	sw_walk(sw, SW_AT(PARK, 4), SYS(0xe00));
	expect_cut(sw, GJ_CUT_NO_RUNTIME, 2);
}

static void morestack(void **state)
{
	struct sw *sw = *state;

	/* leaf wants more stack in its prologue, at 0xf00 of the goroutine's. */
	put_saved(sw, SW_AT(LEAF, 0x80), GO(0xf00));
	sw_put(sw, GO(0xf00), SW_AT(MAIN, 0x20));
	put_main(sw, GO(0xf08));
	sw->view.g = SW_G0;
	sw_put(sw, SYS(0xef8), SW_AT(MORESTACK, 0x60));
	sw_walk(sw, SW_AT(NEWSTACK, 8), SYS(0xed0));
	EXPECT(sw, "goexit", SW_AT(NEWSTACK, 8), SW_AT(MORESTACK, 0x60), SW_AT(LEAF, 0x80),
	       SW_AT(MAIN, 0x20), SW_AT(GOEXIT, 1));
	assert_string_equal(sw->stack.frames[2].seam, "morestack");
	/* Under the scheduler m.curg is the next to run, not who wanted more stack. */
	sw_put(sw, SYS(0xec8), SW_AT(NEWSTACK, 8));
	sw_walk(sw, SW_AT(SCHEDULE, 8), SYS(0xea8));
	EXPECT(sw, "schedule", SW_AT(SCHEDULE, 8), SW_AT(NEWSTACK, 8), SW_AT(MORESTACK, 0x60));
}

/* All memory but the goroutine's stack. */
static int read_without_go(void *data, uint64_t va, void *bytes_out, size_t size_bytes)
{
	return va >= GO(0) && va < GO(0x1000) ? -14 : sw_read(data, va, bytes_out, size_bytes);
}

static void mcall(void **state)
{
	struct sw *sw = *state;

	put_saved(sw, SW_AT(MAIN, 0x20), GO(0xf00));
	put_main(sw, GO(0xf00));
	sw_put(sw, GO(0xef8), SW_AT(MAIN, 0x20));
	sw->view.g = SW_G0;
	sw_put(sw, SYS(0xef0), SW_AT(MCALL, 0x50));
	sw_put(sw, SYS(0xef8), SW_G);
	sw_walk(sw, SW_AT(PARK, 4), SYS(0xee0));
	EXPECT(sw, "goexit", SW_AT(PARK, 4), SW_AT(MCALL, 0x50), SW_AT(MAIN, 0x20),
	       SW_AT(GOEXIT, 1));
	sw->view.read = read_without_go;
	sw_walk(sw, SW_AT(PARK, 4), SYS(0xee0));
	EXPECT(sw, "mcall", SW_AT(PARK, 4), SW_AT(MCALL, 0x50));
	sw->view.read = sw_read;
	/* recovery has begun to write where the goroutine goes on. */
	put_saved(sw, SW_AT(MAIN, 0x20), GO(0xf40));
	sw_walk(sw, SW_AT(PARK, 4), SYS(0xee0));
	expect_cut(sw, GJ_CUT_SWITCHING, 2);
	put_saved(sw, SW_AT(MAIN, 0x20), GO(0xf00));
	/* mcall was given another goroutine than m.curg is by now. */
	sw_put(sw, SYS(0xef8), SW_G + 0x2000);
	sw_walk(sw, SW_AT(PARK, 4), SYS(0xee0));
	EXPECT(sw, "mcall", SW_AT(PARK, 4), SW_AT(MCALL, 0x50));
	/* The scheduler: no goroutine at all. */
	sw_put(sw, SW_M + 192, 0);
	sw_walk(sw, SW_AT(PARK, 4), SYS(0xee0));
	EXPECT(sw, "mcall", SW_AT(PARK, 4), SW_AT(MCALL, 0x50));
}

/* Go < C < Go: cgocallback on the goroutine's stack, with C's frames on g0's. */
static void put_cgo(struct sw *sw)
{
	/* The goroutine's: main.main < asmcgocall at 0xf00, then cgocallback's copy at 0xec8. */
	sw_put(sw, GO(0xf08), SW_AT(MAIN, 0x20));
	put_main(sw, GO(0xf10));
	sw_put(sw, GO(0xef8 - 8 - 8), SW_AT(SYSTEMSTACK_SWITCH, 8));
	/* g0's: asmcgocall keeps g and the depth; crosscall2; cgocallback keeps the base before. */
	sw_put(sw, SYS(0xe00 + 8), SW_G);
	sw_put(sw, SYS(0xe00), 0x1000 - 0xf00);
	sw_put(sw, SYS(0xe00 - 8), SW_AT(ASMCGOCALL, 0x60));
	sw_put(sw, SYS(0xcf0), SW_AT(CROSSCALL2, 0x90));
	sw_put(sw, SYS(0xcf0 - 32), SYS(0xf00));
	sw_put(sw, SW_G0 + 56, SYS(0xcf0 - 32));
}

static void cgocallback(void **state)
{
	struct sw *sw = *state;

	put_cgo(sw);
	sw_put(sw, GO(0xe00), SW_AT(CGOCALLBACK, 0x70));
	/* crosscall2 was called by asmcgocall itself: no C in between. */
	sw_walk(sw, SW_AT(LEAF, 4), GO(0xe00));
	EXPECT(sw, "goexit", SW_AT(LEAF, 4), SW_AT(CGOCALLBACK, 0x70), SW_AT(CROSSCALL2, 0x90),
	       SW_AT(ASMCGOCALL, 0x60), SW_AT(MAIN, 0x20), SW_AT(GOEXIT, 1));
	assert_string_equal(sw->stack.frames[2].seam, "cgocallback");
	assert_string_equal(sw->stack.frames[4].seam, "asmcgocall");
	assert_false(sw->stack.has_gap);
}

/*
 * Go < C < Go < C: the inner cgocallback is interrupted on g0's stack with its
 * frame in g0.sched.sp; the outer one's is kept in it.
 */
static void cgocallback_interrupted(void **state)
{
	struct sw *sw = *state;

	put_cgo(sw);
	sw_put(sw, SYS(0xaf0 - 32), SYS(0xcf0 - 32));
	sw_put(sw, SW_G0 + 56, SYS(0xaf0 - 32));
	sw_put(sw, SYS(0xaf0), SW_AT(CROSSCALL2, 0x90));
	sw_put(sw, SYS(0xc00 - 8), SW_AT(ASMCGOCALL, 0x60));
	sw_put(sw, SYS(0xc00), 0x1000 - 0xd00);
	sw_put(sw, SYS(0xc00 + 8), SW_G);
	sw_put(sw, GO(0xd08), SW_AT(LEAF, 4));
	sw_put(sw, GO(0xd10), SW_AT(CGOCALLBACK, 0x70));
	sw_walk(sw, SW_AT(CGOCALLBACK, 0x40), SYS(0xaf0 - 32));
	EXPECT(sw, "goexit", SW_AT(CGOCALLBACK, 0x40), SW_AT(CROSSCALL2, 0x90),
	       SW_AT(ASMCGOCALL, 0x60), SW_AT(LEAF, 4), SW_AT(CGOCALLBACK, 0x70),
	       SW_AT(CROSSCALL2, 0x90), SW_AT(ASMCGOCALL, 0x60), SW_AT(MAIN, 0x20), SW_AT(GOEXIT, 1));
}

/* SP has been moved to g0's stack and on, and nothing is kept there yet: RBP tells, since Go 1.21. */
static void asmcgocall_switching(void **state)
{
	struct sw *sw = *state;

	put_cgo(sw);
	sw_put(sw, SW_G0 + 56, SYS(0xf00));
	sw_put(sw, SW_G + 56, GO(0xf00));
	sw_put(sw, SW_G + 64, SW_AT(SYSTEMSTACK_SWITCH, 8));
	sw_put(sw, SYS(0xec0 + 8), 0x1234);
	sw->values[SW_BP] = GO(0xf00);
	sw_walk(sw, SW_AT(ASMCGOCALL, 0x4b), SYS(0xec0));
	EXPECT(sw, "goexit", SW_AT(ASMCGOCALL, 0x4b), SW_AT(MAIN, 0x20), SW_AT(GOEXIT, 1));
	/* The caller's record, or one on g0's stack: it may be any call. */
	sw->values[SW_BP] = GO(0xf20);
	sw_walk(sw, SW_AT(ASMCGOCALL, 0x4b), SYS(0xec0));
	expect_cut(sw, GJ_CUT_SWITCHING, 1);
}

/* asmcgocall kept another g, or a depth outside its stack. */
static void asmcgocall_contradicted(void **state)
{
	static const uint64_t kept[][2] = { { SW_G0, 0x100 }, { SW_G, 0 }, { SW_G, 0x1001 },
					    { SW_G, UINT64_MAX }, { 1, 0x100 } };
	struct sw *sw = *state;

	put_cgo(sw);
	sw_put(sw, SYS(0xdf8), SW_AT(ASMCGOCALL, 0x60));
	sw->view.g = SW_G0;
	for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++) {
		sw_put(sw, SYS(0xe08), kept[i][0]);
		sw_put(sw, SYS(0xe00), kept[i][1]);
		sw_walk(sw, SW_AT(LEAF, 4), SYS(0xdf8));
		expect_cut(sw, GJ_CUT_SWITCHING, 2);
	}
	/* No goroutine to leave: SP itself was kept, and must be above. */
	sw_put(sw, SYS(0xe08), 0);
	sw_put(sw, SYS(0xe00), SYS(0xdf0));
	sw_walk(sw, SW_AT(LEAF, 4), SYS(0xdf8));
	expect_cut(sw, GJ_CUT_NOT_UP, 2);
	sw_put(sw, SYS(0xe00), SYS(0xe40));
	sw_put(sw, SYS(0xe48), SW_AT(MSTART, 4));
	sw_walk(sw, SW_AT(LEAF, 4), SYS(0xdf8));
	EXPECT(sw, "mstart", SW_AT(LEAF, 4), SW_AT(ASMCGOCALL, 0x60), SW_AT(MSTART, 4));
}

static void put_context(struct sw *sw, uint64_t at, uint64_t pc, uint64_t sp)
{
	sw_put(sw, at, SW_AT(SIGRETURN, 0));
	sw_put(sw, at + 8 + 168, pc);
	sw_put(sw, at + 8 + 160, sp);
}

static void signals(void **state)
{
	struct sw *sw = *state;

	put_context(sw, SIG(0x800), SW_AT(LEAF, 0x30), GO(0xf00));
	sw_put(sw, GO(0xf00), SW_AT(MAIN, 0x20));
	put_main(sw, GO(0xf08));
	sw->view.g = SW_GSIGNAL;
	sw_walk(sw, SW_AT(SIGTRAMP, 4), SIG(0x800));
	EXPECT(sw, "goexit", SW_AT(SIGTRAMP, 4), SW_AT(SIGRETURN, 0), SW_AT(LEAF, 0x30),
	       SW_AT(MAIN, 0x20), SW_AT(GOEXIT, 1));
	assert_false(sw->stack.frames[2].is_return);
	assert_true(sw->stack.frames[3].is_return);
	/* The handler has returned already: before the system call, and in it. */
	for (unsigned int off = 7; off <= 9; off += 2) {
		sw_walk(sw, SW_AT(SIGRETURN, off), SIG(0x808));
		EXPECT(sw, "goexit", SW_AT(SIGRETURN, off), SW_AT(LEAF, 0x30), SW_AT(MAIN, 0x20),
		       SW_AT(GOEXIT, 1));
	}
	/* A context that names itself would go round for ever. */
	put_context(sw, SIG(0x800), SW_AT(SIGTRAMP, 4), SIG(0x800));
	sw_walk(sw, SW_AT(SIGTRAMP, 4), SIG(0x800));
	expect_cut(sw, GJ_CUT_NOT_UP, 2);
}

/* Signals on stacks that nobody knows may lead anywhere, but not for ever. */
static void signals_go_round(void **state)
{
	struct sw *sw = *state;

	sw->view.offsets = NULL;
	put_context(sw, SIG(0x800), SW_AT(SIGTRAMP, 4), SYS(0x800));
	put_context(sw, SYS(0x800), SW_AT(SIGTRAMP, 4), SIG(0x800));
	sw_walk(sw, SW_AT(SIGTRAMP, 4), SIG(0x800));
	assert_false(sw->stack.is_complete);
	assert_int_equal(sw->stack.cut, GJ_CUT_LIMIT);
	assert_in_range(sw->stack.cnt, 3, 32);
}

static void vdso(void **state)
{
	struct sw *sw = *state;

	/* nanotime1 has saved its caller and stands on g0's stack. */
	sw_put(sw, SW_M + 0x360, GO(0xf00));
	sw_put(sw, SW_M + 0x368, SW_AT(MAIN, 0x20));
	put_main(sw, GO(0xf00));
	sw_walk(sw, SW_AT(NANOTIME1, 0x40), SYS(0xef0));
	EXPECT(sw, "goexit", SW_AT(NANOTIME1, 0x40), SW_AT(MAIN, 0x20), SW_AT(GOEXIT, 1));
	assert_string_equal(sw->stack.frames[1].seam, "vdso");
	/* On the goroutine's own stack its table holds. */
	sw_put(sw, GO(0xe98), SW_AT(MAIN, 0x28));
	put_main(sw, GO(0xea0));
	sw_put(sw, SW_M + 0x360, 0);
	sw_walk(sw, SW_AT(NANOTIME1, 0x10), GO(0xe80));
	EXPECT(sw, "goexit", SW_AT(NANOTIME1, 0x10), SW_AT(MAIN, 0x28), SW_AT(GOEXIT, 1));
}

static void async_preempt(void **state)
{
	struct sw *sw = *state;

	sw_put(sw, GO(0xe10), SW_AT(LEAF, 0));
	sw_put(sw, GO(0xe18), SW_AT(MAIN, 0x20));
	put_main(sw, GO(0xe20));
	sw_walk(sw, SW_AT(ASYNC_PREEMPT, 8), GO(0xe00));
	EXPECT(sw, "goexit", SW_AT(ASYNC_PREEMPT, 8), SW_AT(LEAF, 0), SW_AT(MAIN, 0x20),
	       SW_AT(GOEXIT, 1));
	/* Interrupted, not calling: the address is the instruction that comes next. */
	assert_false(sw->stack.frames[1].is_return);
}

static void gogo(void **state)
{
	struct sw *sw = *state;

	put_saved(sw, SW_AT(MAIN, 0x20), 0);
	put_main(sw, GO(0xf00));
	sw_walk(sw, SW_AT(GOGO, 0x20), GO(0xf00));
	EXPECT(sw, "goexit", SW_AT(GOGO, 0x20), SW_AT(MAIN, 0x20), SW_AT(GOEXIT, 1));
	assert_true(sw->stack.frames[1].is_return);
	/* It has never run: what stands before its first instruction is another function. */
	put_saved(sw, SW_AT(LEAF, 0), 0);
	sw_put(sw, GO(0xf00), SW_AT(GOEXIT, 1));
	sw_walk(sw, SW_AT(GOGO, 0x20), GO(0xf00));
	EXPECT(sw, "goexit", SW_AT(GOGO, 0x20), SW_AT(LEAF, 0), SW_AT(GOEXIT, 1));
	assert_false(sw->stack.frames[1].is_return);
}

/* SP is kept in RBX while C runs: sigfwd's caller is at the unrounded SP. */
static void sigfwd(void **state)
{
	struct sw *sw = *state;

	sw_put(sw, SIG(0x7f0 - 8), SW_AT(SIGFWD, 0x10));
	sw_put(sw, SIG(0x7f8), SW_AT(MSTART, 4));
	sw->values[SW_BX] = SIG(0x7f8);
	sw->view.g = SW_GSIGNAL;
	sw_walk(sw, SW_AT(LEAF, 4), SIG(0x7f0 - 8));
	EXPECT(sw, "mstart", SW_AT(LEAF, 4), SW_AT(SIGFWD, 0x10), SW_AT(MSTART, 4));
	sw->values[SW_BX] = SIG(0x8f8);
	sw_walk(sw, SW_AT(LEAF, 4), SIG(0x7f0 - 8));
	expect_cut(sw, GJ_CUT_SWITCHING, 2);
}

/* g or m that contradict each other, or are not there, are as good as unknown. */
static void broken_runtime(void **state)
{
	static const struct { uint64_t va, value; } breaks[] = {
		{ SW_G + 48, 0 }, { SW_M, 0 }, { SW_M, SW_G + 1 }, { SW_G0 + 48, SW_M + 8 },
		{ SW_G, UINT64_MAX }, { SW_G + 8, 0 }, { SW_M, UINT64_MAX }, { SW_G + 48, UINT64_MAX },
	};
	struct sw *sw = *state;

	for (size_t i = 0; i < sizeof(breaks) / sizeof(breaks[0]); i++) {
		sw_write_runtime(sw);
		put_systemstack(sw);
		sw->view.g = SW_G;
		sw_put(sw, breaks[i].va, breaks[i].value);
		sw_walk(sw, SW_AT(PARK, 4), SYS(0xe00));
		assert_false(sw->stack.is_complete);
		assert_int_equal(sw->stack.cnt, 2);
	}
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(systemstack), TEST(systemstack_itself), TEST(systemstack_contradicted),
		TEST(morestack), TEST(mcall), TEST(cgocallback),
		TEST(cgocallback_interrupted), TEST(asmcgocall_switching),
		TEST(asmcgocall_contradicted),
		TEST(signals), TEST(signals_go_round), TEST(vdso), TEST(async_preempt), TEST(gogo),
		TEST(sigfwd), TEST(broken_runtime),
	};

	return cmocka_run_group_tests_name("seam", tests, NULL, NULL);
}
