/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Which goroutine a sample ran on, with proof.
 *
 * Three parts: where the runtime keeps its fields (offsets), which g was which
 * goroutine when (history), and the verdict on one sample, which needs two
 * signs that agree. A wrong goroutine ID is worse than none: whatever cannot
 * be proven is given a reason in place of a number.
 */
#ifndef GJ_GOROUTINE_H
#define GJ_GOROUTINE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/cursor.h"
#include "base/err.h"
#include "base/limits.h"
#include "demangle/demangle.h"
#include "elf/elf.h"

/*
 * Byte offsets in the runtime's structs (Go src/runtime/runtime2.go), and
 * where the TLS slot of g lies. A field of -1 does not exist in that release
 * or could not be found.
 */
struct gj_goffsets {
	int32_t g_stack_lo, g_stack_hi;
	int32_t g_m;
	int32_t g_sched_sp, g_sched_pc, g_sched_bp;
	int32_t g_syscallsp, g_syscallpc;
	int32_t g_status;
	int32_t g_goid;
	int32_t g_waitsince, g_waitreason;
	int32_t g_parent_goid, g_gopc, g_startpc, g_labels;
	int32_t m_g0, m_gsignal, m_curg, m_procid, m_p, m_id, m_alllink;
	int64_t tls_g; /* from the thread pointer (fs base); INT64_MIN when unknown */
	/*
	 * Where tls_g is unknown because the loader chooses it (c-shared,
	 * plugin): link-time address of the word that will hold it, else 0.
	 */
	uint64_t tls_got_va;
	const char *source; /* static text: those that agreed, "dwarf+code+table" and fewer */
};

/*
 * gj_goffsets_find - by DWARF, else by code recipes, else by the table of
 * releases, cross-checked (docs/offsets.md)
 *
 * Returns 0; -EOPNOTSUPP when the release is unknown and no recipe holds or
 * the architecture has none; -EBADMSG when two sources disagree (@diag names
 * both values).
 */
int gj_goffsets_find(const struct gj_image *image, const struct gj_gotab *gotab,
		     struct gj_goffsets *offsets_out, struct gj_diag *diag);

/* One switch of a thread to a goroutine, as the probe on runtime.execute saw it. */
struct gj_gswitch {
	uint32_t pid, tid;
	uint64_t time_ns;
	uint64_t g;
	uint64_t goid;
	uint64_t stack_lo, stack_hi;
	uint64_t start_pc;
};

/*
 * Our probe's events are called gojitter:goexec_<id>; the raw record is the
 * tracepoint's common header (8 bytes), __probe_ip (8), then the five u64
 * g, goid, stack_lo, stack_hi, start_pc.
 */
#define GJ_GOEXEC_GROUP "gojitter"
#define GJ_GOEXEC_PREFIX "goexec_"

/* True when perf event name @event (group:name/terms/) is that of our probe. */
bool gj_goexec_is_event(const char *event);
/* Fills all but pid, tid and time_ns. -EBADMSG when @raw is too short. */
int gj_goexec_decode(struct gj_window raw, struct gj_gswitch *switch_out);

/*
 * History of one recording. Times must not go backwards by more than the
 * host's reordering (perf delivers in order). Not thread-safe.
 */
struct gj_ghistory;

struct gj_ghistory *gj_ghistory_new(void); /* NULL: out of memory */
void gj_ghistory_free(struct gj_ghistory *history);

/* 0 or -ENOMEM. */
int gj_ghistory_switch(struct gj_ghistory *history, const struct gj_gswitch *gswitch);

/*
 * Gaps of the history, to be told before the samples, in any order: what was
 * known of a thread before the gap does not hold behind it until the thread's
 * next switch. Both return 0 or -ENOMEM.
 */
/* Switches of any process may be missing from @begin_ns to @end_ns. */
int gj_ghistory_lost(struct gj_ghistory *history, uint64_t begin_ns, uint64_t end_ns);
/* Process @pid became another program at @time_ns. */
int gj_ghistory_exec(struct gj_ghistory *history, uint32_t pid, uint64_t time_ns);

/*
 * Snapshots of a live process' goroutines. `gojitter record` appends them
 * behind perf.data; perf ignores what follows its own sections. Layout, all
 * little-endian, from the end of the file backwards:
 *
 *   file end - 16   u64 body size, "GJTRAIL1"
 *   before that     the body: snapshots, each struct gj_trail_snapshot, then
 *                   g_cnt struct gj_trail_g sorted by g, then m_cnt struct
 *                   gj_trail_m
 */
#define GJ_TRAIL_MAGIC "GJTRAIL1"
#define GJ_TRAIL_PROBED 1u /* the probe on runtime.execute was armed */

struct gj_trail_snapshot {
	uint32_t pid;
	uint32_t flags; /* GJ_TRAIL_* */
	uint32_t g_cnt, m_cnt;
	uint64_t begin_ns, end_ns; /* CLOCK_MONOTONIC, around the reading */
};

struct gj_trail_g {
	uint64_t g, goid, stack_lo, stack_hi, start_pc;
	uint32_t status, waitreason;
};

struct gj_trail_m {
	uint64_t curg, g0, gsignal;
	uint32_t tid, pad;
};

_Static_assert(sizeof(struct gj_trail_snapshot) == 32, "trailer layout");
_Static_assert(sizeof(struct gj_trail_g) == 48, "trailer layout");
_Static_assert(sizeof(struct gj_trail_m) == 32, "trailer layout");

/* @file: the whole file; not kept. -ENOENT when it carries none, -EBADMSG, -ENOMEM. */
int gj_ghistory_load_trailer(struct gj_ghistory *history, struct gj_window file,
			     struct gj_diag *diag);

/* Makes a whole trailer of the snapshots in @body by adding the footer. @body->failed as ever. */
void gj_trail_finish(struct gj_buf *body);

/*
 * A live Go process, looked at from outside: it is not stopped and nothing is
 * put into it. Not thread-safe.
 */
struct gj_live;

/*
 * gj_live_open - find the Go runtime in a process
 * @pid: as this process' /proc numbers it
 * @live_out: owned by the caller until gj_live_close
 *
 * The executable counts first, then whatever else is mapped executable (a
 * c-shared library); of several runtimes in one process the first is taken.
 *
 * Returns 0; -ENOENT when nothing in the process is Go, -EAGAIN when its
 * runtime has not started yet, -ESRCH when there is no such process, -EPERM,
 * -EOPNOTSUPP when offsets or the runtime's variables cannot be found,
 * -EBADMSG when what is found there contradicts itself, -ENOMEM.
 */
int gj_live_open(uint32_t pid, struct gj_live **live_out, struct gj_diag *diag);
void gj_live_close(struct gj_live *live); /* NULL allowed */

/*
 * gj_live_snapshot - append one snapshot (struct gj_trail_snapshot and what follows)
 * @flags: GJ_TRAIL_*, kept in the snapshot
 * @body_out: what stood in it stays; left as it was on failure
 *
 * Goroutines that are dead are left out, and so are threads that have not
 * told the runtime their number yet. Each goroutine is consistent in itself;
 * the process goes on while they are read, so all of them together are not.
 *
 * Returns 0, -ESRCH when the process is gone or has become another program,
 * -EPERM, -EAGAIN when it changed too fast to be read, -E2BIG beyond
 * GJ_MAX_GOROUTINES or GJ_MAX_THREADS, -EBADMSG, -ENOMEM.
 */
int gj_live_snapshot(struct gj_live *live, uint32_t flags, struct gj_buf *body_out,
		     struct gj_diag *diag);

/* Offsets of the process' runtime, with the TLS slot as the loader chose it. Live as @live does. */
const struct gj_goffsets *gj_live_offsets(const struct gj_live *live);
/* The file the runtime is in: the program, or a library of its. Live as @live does. */
const struct gj_image *gj_live_image(const struct gj_live *live);
const struct gj_gotab *gj_live_gotab(const struct gj_live *live);

/* What is added to the link-time addresses of that file. */
uint64_t gj_live_bias(const struct gj_live *live);

/* Link-time address of the slice runtime.allgs, by symbol or by code (amd64); 0: not found. */
uint64_t gj_goallgs_va(const struct gj_image *image, const struct gj_gotab *gotab);

/*
 * Wait reasons (g.waitreason) of a release, as the N of Go 1.N: what the runtime
 * calls number @reason; NULL when the release, or the number in it, is not known.
 * Static text.
 */
const char *gj_wait_reason(int go_minor, unsigned int reason);
/* Bit N: with reason N the goroutine's work goes on, though it is said to wait; 0: not known. */
uint64_t gj_wait_reasons_busy(int go_minor);
#define GJ_WAIT_REASON_CNT 64 /* all numbers are below it */

/* What one sample shows of its goroutine. */
struct gj_gevidence {
	uint32_t pid, tid;
	uint64_t time_ns;
	bool has_g, has_sp;
	bool is_kernel;        /* the sample itself hit in the kernel */
	uint64_t g;            /* R14 (amd64), X28 (arm64) */
	uint64_t sp;
	/* What the user part of the call chain holds. */
	bool root_goexit;      /* outermost frame is runtime.goexit */
	bool root_thread;      /* some frame is a thread's root: mstart, rt0_go */
	bool leaf_is_go;       /* innermost user frame is Go code with g in its register (not ASM, not C) */
	bool has_mcall;        /* runtime.mcall, or a scheduler function that only runs below it */
	bool has_systemstack;
	bool has_coroutines;   /* the binary links runtime.coroswitch_m */
	/*
	 * What a BPF program read in the sample's own interrupt: the g of the thread's
	 * TLS slot, or m.curg where that is g0 or gsignal. The stack has to agree.
	 */
	bool has_goid;
	uint64_t goid;         /* 0: the thread had no goroutine */
	uint64_t cur;          /* its g */
	uint64_t start_pc;     /* 0: not recorded */
	const char *root;      /* of the walked stack (gj_stack.root); NULL: it is cut */
};

enum gj_goid_state {
	GJ_GOID_KNOWN = 0,
	GJ_GOID_SCHED,   /* the thread was in the scheduler: no goroutine */
	GJ_GOID_G0,      /* on g0 or gsignal, user goroutine not provable */
	GJ_GOID_UNKNOWN, /* no proof */
};

struct gj_goid {
	enum gj_goid_state state;
	uint64_t goid;       /* valid when state is KNOWN */
	uint64_t start_pc;   /* 0 when unknown */
	const char *source;  /* static text: "switch+register", ...; for json's goid_source */
	const char *reason;  /* static text: why it is unknown */
};

void gj_goid_find(struct gj_ghistory *history, const struct gj_gevidence *evidence,
		  struct gj_goid *goid_out);

/* One pprof label of a goroutine (Go src/runtime/pprof/label.go); a NUL byte ends either text. */
struct gj_label {
	const char *key, *value;
};

/* Labels of one goroutine; begins as all zero. */
struct gj_labels {
	struct gj_label list[GJ_MAX_LABELS]; /* sorted by key */
	size_t cnt;
	struct gj_buf text; /* their bytes */
};

/*
 * gj_labels_read - the labels that g.labels points to
 * @labels_va: that pointer
 * @go_minor: N of Go 1.N
 * @read: [va, va + size) of the target's memory: 0, or negative when it is not all there
 * @labels_out: what stood in it is replaced
 *
 * A label whose key is not all there is left out; a value that is not ends in
 * "...". Returns 0 or -ENOMEM.
 */
int gj_labels_read(uint64_t labels_va, int go_minor,
		   int (*read)(void *data, uint64_t va, void *bytes_out, size_t size_bytes),
		   void *data, struct gj_labels *labels_out);
void gj_labels_deinit(struct gj_labels *labels);

#endif
