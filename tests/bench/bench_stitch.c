/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Frames unwound a second by each engine, in one run on one processor:
 *
 *   bench_stitch GO_BINARY
 *
 * pcsp walks a stack made of call sites of the Go binary; CFI walks this
 * program's own stack, 60 calls deep, by the compiled table and by libdwfl as
 * perf uses it; then rules alone are looked up all over libc, by the table and
 * by libdw. Frame pointers walk a stack made by hand.
 */
#include <elfutils/libdw.h>
#include <elfutils/libdwfl.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#include "stitch/stitch.h"

#define DEPTH 60
#define MAX 512
#define STACK_VA 0xc000100000
#define STACK_BYTES (1 << 20)

static double now(void)
{
	struct timespec at;

	clock_gettime(CLOCK_MONOTONIC, &at);
	return (double)at.tv_sec + (double)at.tv_nsec * 1e-9;
}

static void print(const char *what, double frames, double seconds)
{
	printf("%-34s %12.0f frames/s  %7.1f ns/frame\n", what, frames / seconds,
	       seconds / frames * 1e9);
}

struct target {
	struct gj_image *images[64];
	struct gj_gotab *gotab;
	struct { uint64_t start_va, end_va, bias; struct gj_image *image; } maps[64];
	size_t map_cnt;
	uint8_t *stack; /* at STACK_VA; NULL: this program's own memory */
};

static int read_memory(void *data, uint64_t va, void *bytes_out, size_t size_bytes)
{
	struct target *target = data;

	if (target->stack) {
		if (va < STACK_VA || va > STACK_VA + STACK_BYTES - size_bytes)
			return -14;
		memcpy(bytes_out, target->stack + (va - STACK_VA), size_bytes);
		return 0;
	}
	memcpy(bytes_out, (const void *)(uintptr_t)va, size_bytes);
	return 0;
}

static int find_image(void *data, uint64_t va, struct gj_stitch_image *image_out)
{
	struct target *target = data;

	for (size_t i = 0; i < target->map_cnt; i++)
		if (va >= target->maps[i].start_va && va < target->maps[i].end_va) {
			*image_out = (struct gj_stitch_image){ target->maps[i].image, target->gotab,
							       target->maps[i].bias, false,
							       target->maps[i].start_va,
							       target->maps[i].end_va };
			return 0;
		}
	return -2;
}

static double repeat(struct gj_stitcher *stitcher, struct target *target, const uint64_t *values,
		     const char *what, unsigned int rounds)
{
	static struct gj_stack_frame frames[MAX];
	struct gj_stack stack = { .frames = frames, .max = MAX };
	struct gj_stitch_view view = { .data = target, .read = read_memory,
				       .find_image = find_image, .arch = GJ_ARCH_AMD64 };
	struct gj_stitch_input input = { .regs = { 0xff01ff, values } };
	double begin, total = 0, first = now();

	gj_stitch(stitcher, &view, &input, &stack);
	first = now() - first;
	begin = now();
	for (unsigned int i = 0; i < rounds; i++) {
		gj_stitch(stitcher, &view, &input, &stack);
		total += (double)stack.cnt;
	}
	begin = now() - begin;
	print(what, total, begin);
	printf("%-34s %zu frames, %s; first walk %.1f ms\n", "", stack.cnt,
	       stack.is_complete ? stack.root : gj_cut_text(stack.cut), first * 1e3);
	return total / begin;
}

/* A stack of DEPTH frames: functions of the binary with a frame, called in their middle. */
static void bench_pcsp(const char *path)
{
	struct target target = { .stack = calloc(1, STACK_BYTES) };
	uint64_t values[17] = { 0 }, sp = STACK_VA, pcs[DEPTH];
	uint32_t cnt, made = 0, at = 0;
	struct gj_stitcher *stitcher;
	struct gj_gofunc func;
	int32_t delta;

	if (gj_image_open(path, &target.images[0], NULL) ||
	    gj_gotab_open(target.images[0], &target.gotab, NULL) || gj_stitcher_new(&stitcher)) {
		fprintf(stderr, "%s: no Go program\n", path);
		exit(1);
	}
	target.maps[0].start_va = gj_gotab_info(target.gotab)->text_va;
	target.maps[0].end_va = gj_gotab_info(target.gotab)->etext_va;
	target.maps[0].image = target.images[0];
	target.map_cnt = 1;
	cnt = gj_gotab_info(target.gotab)->func_cnt;
	values[7] = sp;
	for (at = 0; made < DEPTH; at = (at + cnt / 97 + 1) % cnt) {
		if (gj_gotab_func(target.gotab, at, &func) || func.flag || !strncmp(func.name, "runtime.", 8))
			continue;
		pcs[made] = func.entry_va + (func.end_va - func.entry_va) / 2;
		if (gj_gotab_sp_delta(target.gotab, &func, pcs[made], &delta) || delta <= 0 || delta > 4096)
			continue;
		if (made)
			memcpy(target.stack + (sp - 8 - STACK_VA), &pcs[made], 8);
		else
			values[8] = pcs[0];
		sp += (uint64_t)delta + 8;
		made++;
	}
	repeat(stitcher, &target, values, "pcsp (Go's tables)", 20000);
	gj_stitcher_free(stitcher);
	gj_gotab_close(target.gotab);
	gj_image_close(target.images[0]);
	free(target.stack);
}

/* Rules alone, at addresses all over libc: the table, then libdw. */
static void bench_rules(const struct target *target)
{
	enum { CNT = 4096, ROUNDS = 50 };
	static uint64_t vas[CNT];
	uint64_t seed = 1, va, found = 0;
	const struct gj_image *image = NULL;
	double table, libdw, total = 0;
	size_t row_cnt, expression_cnt;
	struct gj_cfi *cfi;
	Dwarf_CFI *dw;
	Elf *elf;

	for (size_t i = 0; i < target->map_cnt; i++)
		if (strstr(gj_image_path(target->maps[i].image), "/libc.so"))
			image = target->maps[i].image;
	table = now();
	if (!image || gj_cfi_new(image, NULL, &cfi))
		return;
	gj_cfi_count(cfi, &row_cnt, &expression_cnt);
	printf("%-34s %zu rows, %zu of them expressions, %.1f ms\n", "compiling libc's", row_cnt,
	       expression_cnt, (now() - table) * 1e3);
	for (size_t i = 0; i < CNT; i++) {
		seed = seed * 6364136223846793005 + 1442695040888963407;
		vas[i] = gj_cfi_row(cfi, (seed >> 33) % row_cnt, &va) ? va : 0;
	}
	table = now();
	for (unsigned int round = 0; round < ROUNDS; round++)
		for (size_t i = 0; i < CNT; i++)
			found += gj_cfi_find(cfi, vas[i]) != NULL;
	table = now() - table;
	print("rules by the table, all over libc", ROUNDS * (double)CNT, table);
	elf = elf_begin(open(gj_image_path(image), O_RDONLY), ELF_C_READ_MMAP, NULL);
	dw = dwarf_getcfi_elf(elf);
	libdw = now();
	for (unsigned int round = 0; round < ROUNDS; round++)
		for (size_t i = 0; i < CNT; i++) {
			Dwarf_Frame *frame = NULL;
			Dwarf_Op *ops, memory[3];
			size_t op_cnt;

			if (dwarf_cfi_addrframe(dw, vas[i], &frame))
				continue;
			dwarf_frame_cfa(frame, &ops, &op_cnt);
			dwarf_frame_register(frame, 16, memory, &ops, &op_cnt);
			dwarf_frame_register(frame, 6, memory, &ops, &op_cnt);
			free(frame);
			total++;
		}
	libdw = now() - libdw;
	print("rules by libdw, all over libc", ROUNDS * (double)CNT, libdw);
	printf("%-34s %.1f times (%.0f and %.0f found)\n", "rules, table against libdw", libdw / table,
	       (double)found / ROUNDS, total / ROUNDS);
	dwarf_cfi_end(dw);
	elf_end(elf);
	gj_cfi_free(cfi);
}

/* The same walk by libdwfl, which is what perf does with a dump. */
static const uint64_t *dwfl_values;

static bool dwfl_memory(Dwfl *dwfl, Dwarf_Addr va, Dwarf_Word *word, void *arg)
{
	(void)dwfl, (void)arg;
	memcpy(word, (const void *)(uintptr_t)va, sizeof(*word));
	return true;
}

static pid_t dwfl_next(Dwfl *dwfl, void *arg, void **thread_arg)
{
	(void)dwfl, (void)arg;
	if (*thread_arg)
		return 0;
	*thread_arg = (void *)(uintptr_t)1;
	return getpid();
}

static bool dwfl_thread(Dwfl *dwfl, pid_t tid, void *arg, void **thread_arg)
{
	(void)dwfl, (void)tid, (void)arg;
	*thread_arg = (void *)(uintptr_t)1;
	return true;
}

static bool dwfl_registers(Dwfl_Thread *thread, void *arg)
{
	/* DWARF's numbers out of perf's order. */
	static const uint8_t from[17] = { 0, 3, 2, 1, 4, 5, 6, 7, 9, 10, 11, 12, 13, 14, 15, 16, 8 };
	Dwarf_Word words[17];

	(void)arg;
	for (size_t i = 0; i < 17; i++)
		words[i] = dwfl_values[from[i]];
	return dwfl_thread_state_registers(thread, 0, 17, words);
}

static int dwfl_frame(Dwfl_Frame *state, void *arg)
{
	Dwarf_Addr pc;
	bool is_activation;

	*(double *)arg += dwfl_frame_pc(state, &pc, &is_activation);
	return DWARF_CB_OK;
}

static double bench_dwfl(const uint64_t *values)
{
	static const Dwfl_Callbacks callbacks = {
		.find_elf = dwfl_linux_proc_find_elf, .find_debuginfo = dwfl_standard_find_debuginfo,
	};
	static const Dwfl_Thread_Callbacks threads = {
		.next_thread = dwfl_next, .get_thread = dwfl_thread, .memory_read = dwfl_memory,
		.set_initial_registers = dwfl_registers,
	};
	Dwfl *dwfl = dwfl_begin(&callbacks);
	double begin, total = 0;

	dwfl_values = values;
	if (dwfl_linux_proc_report(dwfl, getpid()) || dwfl_report_end(dwfl, NULL, NULL) ||
	    !dwfl_attach_state(dwfl, NULL, getpid(), &threads, NULL))
		return 0;
	dwfl_getthread_frames(dwfl, getpid(), dwfl_frame, &total);
	total = 0;
	begin = now();
	for (unsigned int i = 0; i < 500; i++)
		dwfl_getthread_frames(dwfl, getpid(), dwfl_frame, &total);
	begin = now() - begin;
	print("the same walk by libdw (dwfl)", total, begin);
	dwfl_end(dwfl);
	return total / begin;
}

static void bench_own(void)
{
	static const int order[17] = { REG_RAX, REG_RBX, REG_RCX, REG_RDX, REG_RSI, REG_RDI, REG_RBP,
				       REG_RSP, REG_RIP, REG_R8, REG_R9, REG_R10, REG_R11, REG_R12,
				       REG_R13, REG_R14, REG_R15 };
	struct target target = { 0 };
	uint64_t values[17];
	const struct gj_vma *vma;
	struct gj_stitcher *stitcher;
	struct gj_maps *maps;
	ucontext_t context;
	double ours;

	if (gj_maps_open("/proc/self/maps", &maps, NULL) || gj_stitcher_new(&stitcher))
		exit(1);
	for (size_t i = 0; (vma = gj_maps_vma(maps, i)) && target.map_cnt < 64; i++) {
		size_t at = target.map_cnt;

		if (!(vma->flags & 1) || vma->path[0] != '/' ||
		    gj_image_open(vma->path, &target.maps[at].image, NULL))
			continue;
		gj_maps_load_bias(maps, vma, target.maps[at].image, &target.maps[at].bias);
		target.maps[at].start_va = vma->start_va;
		target.maps[at].end_va = vma->end_va;
		target.map_cnt++;
	}
	getcontext(&context);
	for (size_t i = 0; i < 17; i++)
		values[i] = (uint64_t)context.uc_mcontext.gregs[order[i]];
	ours = repeat(stitcher, &target, values, "CFI by the compiled table, walking", 20000);
	printf("%-34s %.1f times\n", "walk, table against libdw", ours / bench_dwfl(values));
	bench_rules(&target);
	gj_stitcher_free(stitcher);
	for (size_t i = 0; i < target.map_cnt; i++)
		gj_image_close(target.maps[i].image);
	gj_maps_close(maps);
}

__attribute__((noinline)) static int recurse(int depth)
{
	volatile char room[32];

	room[depth & 31] = 1;
	if (!depth)
		bench_own();
	else
		recurse(depth - 1);
	return room[depth & 31];
}

int main(int argc, char **argv)
{
	if (argc != 2) {
		fprintf(stderr, "usage: bench_stitch GO_BINARY\n");
		return 2;
	}
	bench_pcsp(argv[1]);
	recurse(DEPTH);
	return 0;
}
