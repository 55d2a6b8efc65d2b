/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Wait reasons of each release: Go src/runtime/runtime2.go, waitReasonStrings.
 * They are numbered anew whenever one is added, in 1.26 nearly all.
 */
#include <string.h>

#include "goroutine/goroutine.h"

/* Releases that number alike, by the first of them; the last column ends with LAST_MINOR. */
static const int first_minors[] = { 14, 20, 22, 23, 24, 25, 26 };
#define LAST_MINOR 27
#define COLUMN_CNT (sizeof(first_minors) / sizeof(first_minors[0]))

static const struct {
	const char *text;
	int8_t numbers[COLUMN_CNT]; /* -1: not in that release */
} reasons[] = {
	{ "GC assist marking", { 1, 1, 1, 1, 1, 1, 1 } },
	{ "IO wait", { 2, 2, 2, 2, 2, 2, 2 } },
	{ "chan receive (nil chan)", { 3, 3, 3, 3, 3, 3, 15 } },
	{ "chan send (nil chan)", { 4, 4, 4, 4, 4, 4, 16 } },
	{ "dumping heap", { 5, 5, 5, 5, 5, 5, 3 } },
	{ "garbage collection", { 6, 6, 6, 6, 6, 6, 4 } },
	{ "garbage collection scan", { 7, 7, 7, 7, 7, 7, 5 } },
	{ "panicwait", { 8, 8, 8, 8, 8, 8, 6 } },
	{ "select", { 9, 9, 9, 9, 9, 9, 18 } },
	{ "select (no cases)", { 10, 10, 10, 10, 10, 10, 17 } },
	{ "GC assist wait", { 11, 11, 11, 11, 11, 11, 7 } },
	{ "GC sweep wait", { 12, 12, 12, 12, 12, 12, 8 } },
	{ "GC scavenge wait", { 13, 13, 13, 13, 13, 13, 9 } },
	{ "chan receive", { 14, 14, 14, 14, 14, 14, 19 } },
	{ "chan send", { 15, 15, 15, 15, 15, 15, 20 } },
	{ "finalizer wait", { 16, 16, 16, 16, 16, 16, 10 } },
	{ "force gc (idle)", { 17, 17, 17, 17, 17, 17, 11 } },
	{ "GOMAXPROCS updater (idle)", { -1, -1, -1, -1, -1, 18, 12 } },
	{ "semacquire", { 18, 18, 18, 18, 18, 19, 13 } },
	{ "sleep", { 19, 19, 19, 19, 19, 20, 14 } },
	{ "sync.Cond.Wait", { 20, 20, 20, 20, 20, 21, 21 } },
	{ "timer goroutine (idle)", { 21, -1, -1, -1, -1, -1, -1 } },
	{ "sync.Mutex.Lock", { -1, 21, 21, 21, 21, 22, 22 } },
	{ "sync.RWMutex.RLock", { -1, 22, 22, 22, 22, 23, 23 } },
	{ "sync.RWMutex.Lock", { -1, 23, 23, 23, 23, 24, 24 } },
	{ "sync.WaitGroup.Wait", { -1, -1, -1, -1, 24, 25, 25 } },
	{ "trace reader (blocked)", { 22, 24, 24, 24, 25, 26, 26 } },
	{ "wait for GC cycle", { 23, 25, 25, 25, 26, 27, 27 } },
	{ "GC worker (idle)", { 24, 26, 26, 26, 27, 28, 28 } },
	{ "GC worker (active)", { -1, 27, 27, 27, 28, 29, 29 } },
	{ "preempted", { 25, 28, 28, 28, 29, 30, 30 } },
	{ "debug call", { 26, 29, 29, 29, 30, 31, 31 } },
	{ "GC mark termination", { -1, 30, 30, 30, 31, 32, 32 } },
	{ "stopping the world", { -1, 31, 31, 31, 32, 33, 33 } },
	{ "flushing proc caches", { -1, -1, 32, 32, 33, 34, 34 } },
	{ "trace goroutine status", { -1, -1, 33, 33, 34, 35, 35 } },
	{ "trace proc status", { -1, -1, 34, 34, 35, 36, 36 } },
	{ "page trace flush", { -1, -1, 35, 35, 36, 37, 37 } },
	{ "coroutine", { -1, -1, 36, 36, 37, 38, 38 } },
	{ "GC weak to strong wait", { -1, -1, -1, 37, 38, 39, 39 } },
	{ "synctest.Run", { -1, -1, -1, -1, 39, 40, 40 } },
	{ "synctest.Wait", { -1, -1, -1, -1, 40, 41, 41 } },
	{ "chan receive (synctest)", { -1, -1, -1, -1, 41, -1, -1 } },
	{ "chan receive (durable)", { -1, -1, -1, -1, -1, 42, 42 } },
	{ "chan send (synctest)", { -1, -1, -1, -1, 42, -1, -1 } },
	{ "chan send (durable)", { -1, -1, -1, -1, -1, 43, 43 } },
	{ "select (synctest)", { -1, -1, -1, -1, 43, -1, -1 } },
	{ "select (durable)", { -1, -1, -1, -1, -1, 44, 44 } },
	{ "sync.WaitGroup.Wait (durable)", { -1, -1, -1, -1, -1, 45, 45 } },
	{ "cleanup wait", { -1, -1, -1, -1, -1, 46, 46 } },
};
#define REASON_CNT (sizeof(reasons) / sizeof(reasons[0]))

/*
 * The goroutine is marked as waiting so that its stack may be scanned, and goes on
 * working: isWaitingForSuspendG of runtime2.go, and who else sets _Gwaiting around a
 * systemstack call.
 */
static const char *const busy[] = {
	"GC assist marking", "garbage collection", "garbage collection scan", "GC worker (active)",
	"GC mark termination", "stopping the world", "flushing proc caches",
	"trace goroutine status", "trace proc status", "page trace flush",
};

/* Negative for a release that is not known. */
static int column_of(int go_minor)
{
	int column = -1;

	if (go_minor > LAST_MINOR)
		return -1;
	while (column + 1 < (int)COLUMN_CNT && go_minor >= first_minors[column + 1])
		column++;
	return column;
}

const char *gj_wait_reason(int go_minor, unsigned int reason)
{
	int column = column_of(go_minor);

	for (size_t i = 0; column >= 0 && i < REASON_CNT; i++)
		if (reasons[i].numbers[column] == (int)reason)
			return reasons[i].text;
	return NULL;
}

uint64_t gj_wait_reasons_busy(int go_minor)
{
	uint64_t bits = 0;

	for (unsigned int reason = 1; reason < GJ_WAIT_REASON_CNT; reason++) {
		const char *text = gj_wait_reason(go_minor, reason);

		for (size_t i = 0; text && i < sizeof(busy) / sizeof(busy[0]); i++)
			if (!strcmp(text, busy[i]))
				bits |= 1ull << reason;
	}
	return bits;
}
