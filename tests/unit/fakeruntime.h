/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A Go 1.22 runtime with five goroutines on three threads, in this program's
 * own memory, for tests of what reads one (src/goroutine/live*.c).
 */
#ifndef GJ_TEST_FAKERUNTIME_H
#define GJ_TEST_FAKERUNTIME_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include "goroutine/live.h"

/* Go 1.22, src/runtime/runtime2.go; only what is read. */
struct fake_g {
	uint64_t stack_lo, stack_hi, guards[2], panics[2];
	uint64_t m;
	uint8_t sched_to_status[88];
	uint32_t status, stack_lock;
	uint64_t goid, schedlink, waitsince;
	uint8_t waitreason, rest[119];
	uint64_t start_pc, tail[15];
};

struct fake_m {
	uint64_t g0;
	uint8_t morebuf[64];
	uint64_t procid, gsignal;
	uint8_t to_curg[104];
	uint64_t curg;
	uint8_t to_alllink[128];
	uint64_t alllink;
};

_Static_assert(offsetof(struct fake_g, m) == 48, "layout of Go 1.22");
_Static_assert(offsetof(struct fake_g, status) == 144, "layout of Go 1.22");
_Static_assert(offsetof(struct fake_g, goid) == 152, "layout of Go 1.22");
_Static_assert(offsetof(struct fake_g, waitreason) == 176, "layout of Go 1.22");
_Static_assert(offsetof(struct fake_g, start_pc) == 296, "layout of Go 1.22");
_Static_assert(offsetof(struct fake_m, procid) == 72, "layout of Go 1.22");
_Static_assert(offsetof(struct fake_m, curg) == 192, "layout of Go 1.22");
_Static_assert(offsetof(struct fake_m, alllink) == 328, "layout of Go 1.22");

#define G_CNT 5
#define M_CNT 3

struct fake {
	struct fake_g gs[G_CNT];
	struct fake_g g0s[M_CNT];
	struct fake_m ms[M_CNT];
	uint64_t pointers[G_CNT + 3];
	struct {
		uint64_t va, cnt, cap;
	} allgs;
	uint64_t allm;
	struct gj_target target;
	struct gj_buf out;
	uint32_t cnt;
};

static inline uint64_t va_of(const void *pointer)
{
	return (uint64_t)(uintptr_t)pointer;
}

static inline int fake_setup(void **state)
{
	struct fake *fake = calloc(1, sizeof(*fake));

	*state = fake;
	if (!fake)
		return -1;
	for (unsigned int i = 0; i < G_CNT; i++) {
		fake->gs[i] = (struct fake_g){
			.stack_lo = 0x10000 * (i + 1), .stack_hi = 0x10000 * (i + 1) + 0x800,
			.status = 4, .goid = i + 1, .waitreason = 14, .start_pc = 0x400000 + i,
		};
		/* Not in the order of their addresses, which the snapshot is. */
		fake->pointers[i ? G_CNT - i : 0] = va_of(&fake->gs[i]);
	}
	fake->allgs.va = va_of(fake->pointers);
	fake->allgs.cnt = G_CNT;
	fake->allgs.cap = G_CNT + 3;
	for (unsigned int i = 0; i < M_CNT; i++) {
		fake->ms[i] = (struct fake_m){
			.g0 = va_of(&fake->g0s[i]), .gsignal = 0x1000 + i, .procid = (uint64_t)getpid() + i,
			.curg = va_of(&fake->gs[i]),
			.alllink = i + 1 < M_CNT ? va_of(&fake->ms[i + 1]) : 0,
		};
		fake->g0s[i].m = va_of(&fake->ms[i]);
	}
	fake->allm = va_of(fake->ms);
	fake->target.pid = (uint32_t)getpid();
	gj_goffsets_clear(&fake->target.offsets);
	if (gj_goffsets_from_table(22, &fake->target.offsets))
		return -1;
	fake->target.offsets.source = "table";
	fake->target.allgs_va = va_of(&fake->allgs);
	fake->target.allm_va = va_of(&fake->allm);
	return 0;
}

static inline int fake_teardown(void **state)
{
	struct fake *fake = *state;

	gj_buf_deinit(&fake->out);
	free(fake);
	return 0;
}

#endif
