/* SPDX-License-Identifier: GPL-2.0 */
/* Numbers of the Go runtime as names, in the form of assignments of a bpftrace script. */
#include <errno.h>

#include "bpftrace/script.h"
#include "goroutine/goroutine.h"

#define FIRST_STW_REASON_MINOR 21 /* stwReason: Go src/runtime/proc.go */
#define FIRST_LEAKED_MINOR 26     /* _Gleaked, _Gdeadextra: Go src/runtime/runtime2.go */
#define PAGE_BYTES 8192u

/* Go src/runtime/runtime2.go, _Gidle and on. */
static const char *const statuses[] = {
	"idle", "runnable", "running", "syscall", "waiting", "unused 5", "dead", "unused 7",
	"copystack", "preempted", "leaked", "dead extra",
};
#define OLD_STATUS_CNT 10

/* Go src/runtime/proc.go, stwReasonStrings. */
static const char *const stw_reasons[] = {
	"unknown", "GC mark termination", "GC sweep termination", "write heap dump",
	"goroutine profile", "goroutine profile cleanup", "all goroutines stack trace",
	"read mem stats", "AllThreadsSyscall", "GOMAXPROCS", "start trace", "stop trace",
	"CountPagesInUse (test)", "ReadMetricsSlow (test)", "ReadMemStatsSlow (test)",
	"PageCachePagesLeaked (test)", "ResetDebugLog (test)",
};

/* Go src/runtime/sizeclasses.go, class_to_size and class_to_allocnpages; the same since 1.16. */
static const uint16_t class_bytes[] = {
	0, 8, 16, 24, 32, 48, 64, 80, 96, 112, 128, 144, 160, 176, 192, 208, 224, 240, 256, 288, 320,
	352, 384, 416, 448, 480, 512, 576, 640, 704, 768, 896, 1024, 1152, 1280, 1408, 1536, 1792,
	2048, 2304, 2688, 3072, 3200, 3456, 4096, 4864, 5376, 6144, 6528, 6784, 6912, 8192, 9472,
	9728, 10240, 10880, 12288, 13568, 14336, 16384, 18432, 19072, 20480, 21760, 24576, 27264,
	28672, 32768,
};
static const uint8_t class_pages[] = {
	0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
	1, 1, 1, 2, 1, 2, 1, 2, 1, 3, 2, 3, 1, 3, 2, 3, 4, 5, 6, 1, 7, 6, 5, 4, 3, 5, 7, 2, 9, 7, 5, 8,
	3, 10, 7, 4,
};
#define CLASS_CNT (sizeof(class_bytes) / sizeof(class_bytes[0]))

_Static_assert(sizeof(class_pages) == CLASS_CNT, "a span for each class");

static void write_list(const char *const *names, unsigned int cnt, struct gj_buf *out)
{
	for (unsigned int i = 0; i < cnt; i++)
		gj_buf_fmt(out, "\t@name[%u] = \"%s\";\n", i, names[i]);
}

static int write_wait_reasons(int go_minor, struct gj_buf *out)
{
	unsigned int cnt = 0;

	gj_buf_str(out, "\t@name[0] = \"no reason given\";\n");
	for (unsigned int i = 1; i < GJ_WAIT_REASON_CNT; i++) {
		const char *name = gj_wait_reason(go_minor, i);

		if (!name)
			continue;
		gj_buf_fmt(out, "\t@name[%u] = \"%s\";\n", i, name);
		cnt++;
	}
	return cnt ? 0 : -EOPNOTSUPP;
}

int gj_bt_write_names(enum gj_bt_names names, int go_minor, struct gj_buf *out)
{
	switch (names) {
	case GJ_BT_NO_NAMES:
		return 0;
	case GJ_BT_WAIT_REASONS:
		return write_wait_reasons(go_minor, out);
	case GJ_BT_STATUSES:
		write_list(statuses, go_minor < FIRST_LEAKED_MINOR ? OLD_STATUS_CNT :
			   sizeof(statuses) / sizeof(statuses[0]), out);
		return 0;
	case GJ_BT_STW_REASONS:
		if (go_minor < FIRST_STW_REASON_MINOR)
			gj_buf_str(out, "\t@name[0] = \"not told before Go 1.21\";\n");
		else
			write_list(stw_reasons, sizeof(stw_reasons) / sizeof(stw_reasons[0]), out);
		return 0;
	case GJ_BT_SIZE_CLASSES:
		for (unsigned int i = 0; i < CLASS_CNT; i++)
			gj_buf_fmt(out, "\t@size[%u] = %u; @span[%u] = %u;\n", i, class_bytes[i], i,
				   class_pages[i] * PAGE_BYTES);
		return 0;
	}
	return -EOPNOTSUPP;
}
