/* SPDX-License-Identifier: GPL-2.0 */
/*
 * src/goroutine: the verdict on a sample, rule by rule; the history it looks
 * at; and trailers, good, cut and hostile.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>

#include "goroutine/goroutine.h"

#define PID 100u
#define TID 101u
#define G1 0xc001000000u /* goroutine 7, on the thread since time 50 */
#define G2 0xc002000000u /* goroutine 8 in both snapshots */
#define G3 0xc003000000u /* goroutine 9, then 10: used again */
#define G4 0xc004000000u /* only in the first snapshot */
#define G5 0xc005000000u /* only in the second */
#define STACK(g) ((g) + 0x100000), ((g) + 0x102000)
#define SP_IN(g) ((g) + 0x101000)

/* The two snapshots lie at 10..20 and 90..95; samples are at 60 unless said. */
static void add_snapshot(struct gj_buf *body, uint32_t flags, uint64_t begin_ns, uint64_t end_ns,
			 const struct gj_trail_g *gs, uint32_t g_cnt,
			 const struct gj_trail_m *ms, uint32_t m_cnt)
{
	struct gj_trail_snapshot head = { PID, flags, g_cnt, m_cnt, begin_ns, end_ns };

	gj_buf_add(body, &head, sizeof(head));
	gj_buf_add(body, gs, g_cnt * sizeof(*gs));
	gj_buf_add(body, ms, m_cnt * sizeof(*ms));
}

static void add_snapshots(struct gj_buf *body, uint32_t flags)
{
	static const struct gj_trail_g before[] = {
		{ G1, 7, STACK(G1), 0x71, 2, 0 },
		{ G2, 8, STACK(G2), 0x81, 4, 0 },
		{ G3, 9, STACK(G3), 0x91, 4, 0 },
		{ G4, 4, STACK(G4), 0x41, 4, 0 },
	};
	static const struct gj_trail_g after[] = {
		{ G1, 7, STACK(G1), 0x71, 2, 0 },
		/* Its stack has been moved. */
		{ G2, 8, 0x7000000, 0x7004000, 0x81, 4, 0 },
		{ G3, 10, STACK(G3), 0xa1, 4, 0 },
		{ G5, 5, STACK(G5), 0x51, 4, 0 },
	};
	static const struct gj_trail_m ms[] = {
		{ G2, 0x10, 0x20, TID, 0 },
		{ 0, 0x30, 0x40, TID + 1, 0 },
		{ 0xdead, 0x50, 0x60, TID + 2, 0 }, /* no goroutine of the snapshot */
	};

	add_snapshot(body, flags, 10, 20, before, 4, ms, 3);
	add_snapshot(body, flags, 90, 95, after, 4, ms, 3);
}

static struct gj_window window_of(const struct gj_buf *buf)
{
	return (struct gj_window){ (const uint8_t *)buf->data, buf->size_bytes };
}

static void switch_to(struct gj_ghistory *history, uint64_t time_ns, uint64_t g, uint64_t goid)
{
	struct gj_gswitch gswitch = { PID, TID, time_ns, g, goid, STACK(g), 0x71 };

	assert_int_equal(gj_ghistory_switch(history, &gswitch), 0);
}

/* What a case adds to or takes from a sample at time 60 of thread TID with nothing else known. */
enum {
	SWITCH = 1,      /* a switch to goroutine 7 at 50 was recorded */
	SNAPSHOTS = 2,   /* both snapshots were taken */
	GOEXIT = 4,      /* root_goexit */
	THREAD = 8,      /* root_thread */
	GO = 16,         /* leaf_is_go */
	MCALL = 32,
	SYSTEMSTACK = 64,
	COROUTINES = 128,
	OTHER_PID = 256,
	OTHER_TID = 512,
};

struct verdict_case {
	const char *what;
	unsigned int flags;
	uint64_t g, sp; /* 0: not recorded */
	uint64_t time_ns; /* 0: 60 */
	enum gj_goid_state state;
	uint64_t goid;
	const char *text; /* source, or reason */
};

static const struct verdict_case verdict_cases[] = {
	/* mcall first of all: the chain may lead into a goroutine that is parked. */
	{ "in the scheduler", MCALL | SWITCH | GO, G1, SP_IN(G1), 0, GJ_GOID_SCHED, 0,
	  "in the scheduler" },
	{ "in the scheduler, root of a goroutine", MCALL | SWITCH | GOEXIT | SYSTEMSTACK, 0, 0, 0,
	  GJ_GOID_SCHED, 0, "in the scheduler" },
	{ "in the scheduler, no switch", MCALL, 0, 0, 0, GJ_GOID_SCHED, 0, "in the scheduler" },

	{ "switch and register agree", SWITCH | GO, G1, SP_IN(G1), 0, GJ_GOID_KNOWN, 7,
	  "switch+register" },
	{ "the same in the kernel, without a chain", SWITCH, G1, 0, 0, GJ_GOID_KNOWN, 7,
	  "switch+register" },
	{ "the moment of the switch", SWITCH, G1, 0, 50, GJ_GOID_KNOWN, 7, "switch+register" },
	{ "before the switch", SWITCH, G1, 0, 49, GJ_GOID_UNKNOWN, 0,
	  "no switch of this thread known, or some were lost" },
	{ "another process with the same thread number", SWITCH | OTHER_PID, G1, SP_IN(G1), 0,
	  GJ_GOID_UNKNOWN, 0, "no switch of this thread known, or some were lost" },
	{ "another thread", SWITCH | OTHER_TID, G1, SP_IN(G1), 0, GJ_GOID_UNKNOWN, 0,
	  "no switch of this thread known, or some were lost" },

	/* Between two snapshots: the register, and one more sign. */
	{ "both snapshots, stack of the first", SNAPSHOTS, G2, SP_IN(G2), 0, GJ_GOID_KNOWN, 8,
	  "snapshots+register" },
	{ "both snapshots, stack of the second", SNAPSHOTS, G2, 0x7001000, 0, GJ_GOID_KNOWN, 8,
	  "snapshots+register" },
	{ "both snapshots, root of a goroutine", SNAPSHOTS | GOEXIT, G2, 0, 0, GJ_GOID_KNOWN, 8,
	  "snapshots+register" },
	{ "both snapshots, another stack", SNAPSHOTS, G2, SP_IN(G3), 0, GJ_GOID_UNKNOWN, 0,
	  "no switch of this thread known, or some were lost" },
	{ "both snapshots, no other sign", SNAPSHOTS, G2, 0, 0, GJ_GOID_UNKNOWN, 0,
	  "no switch of this thread known, or some were lost" },
	{ "the stack's lowest address is not inside", SNAPSHOTS, G2, G2 + 0x100000, 0,
	  GJ_GOID_UNKNOWN, 0, "no switch of this thread known, or some were lost" },
	{ "the stack's upper end is inside", SNAPSHOTS, G2, G2 + 0x102000, 0, GJ_GOID_KNOWN, 8,
	  "snapshots+register" },
	{ "a g used again in between", SNAPSHOTS | GOEXIT, G3, SP_IN(G3), 0, GJ_GOID_UNKNOWN, 0,
	  "no switch of this thread known, or some were lost" },
	{ "a g that ended in between", SNAPSHOTS | GOEXIT, G4, SP_IN(G4), 0, GJ_GOID_UNKNOWN, 0,
	  "no switch of this thread known, or some were lost" },
	{ "a g that began in between", SNAPSHOTS | GOEXIT, G5, SP_IN(G5), 0, GJ_GOID_UNKNOWN, 0,
	  "no switch of this thread known, or some were lost" },
	{ "while the first snapshot is read", SNAPSHOTS | GOEXIT, G2, SP_IN(G2), 15,
	  GJ_GOID_UNKNOWN, 0, "no switch of this thread known, or some were lost" },
	{ "as the first snapshot ends", SNAPSHOTS, G2, SP_IN(G2), 20, GJ_GOID_KNOWN, 8,
	  "snapshots+register" },
	{ "as the second begins", SNAPSHOTS, G2, SP_IN(G2), 90, GJ_GOID_KNOWN, 8,
	  "snapshots+register" },
	{ "while the second is read", SNAPSHOTS, G2, SP_IN(G2), 91, GJ_GOID_UNKNOWN, 0,
	  "no switch of this thread known, or some were lost" },
	{ "snapshots of another process", SNAPSHOTS | OTHER_PID, G2, SP_IN(G2), 0, GJ_GOID_UNKNOWN,
	  0, "no switch of this thread known, or some were lost" },
	{ "snapshots against the last switch", SNAPSHOTS | SWITCH, G2, SP_IN(G2), 0, GJ_GOID_KNOWN,
	  8, "snapshots+register" },

	/* A switch, and a register that holds something else. */
	{ "a g that some snapshot names", SNAPSHOTS | SWITCH | GO, G4, SP_IN(G1), 0,
	  GJ_GOID_UNKNOWN, 0, "register and last switch disagree" },
	{ "C or assembly on the goroutine's stack", SWITCH, 0x1234, SP_IN(G1), 0, GJ_GOID_KNOWN, 7,
	  "switch+stack" },
	{ "the same without a register", SWITCH, 0, SP_IN(G1), 0, GJ_GOID_KNOWN, 7,
	  "switch+stack" },
	{ "the same in a program with coroutines", SWITCH | COROUTINES, 0x1234, SP_IN(G1), 0,
	  GJ_GOID_UNKNOWN, 0, "register holds no known g" },
	{ "Go code whose register is no g", SWITCH | GO, 0x1234, SP_IN(G1), 0, GJ_GOID_G0, 0,
	  "on the system stack" },
	{ "systemstack, root of a goroutine", SWITCH | SYSTEMSTACK | GOEXIT | GO, 0x1234, 1, 0,
	  GJ_GOID_KNOWN, 7, "switch+root" },
	{ "the same in a program with coroutines", SWITCH | SYSTEMSTACK | GOEXIT | COROUTINES,
	  0x1234, 1, 0, GJ_GOID_G0, 0, "on the system stack" },
	{ "systemstack, root of a thread", SWITCH | SYSTEMSTACK | THREAD, 0x1234, 1, 0, GJ_GOID_G0,
	  0, "on the system stack" },
	{ "root of a thread", SWITCH | THREAD, 0x1234, 1, 0, GJ_GOID_G0, 0, "on the system stack" },
	{ "root of a goroutine without systemstack", SWITCH | GOEXIT, 0x1234, 1, 0,
	  GJ_GOID_UNKNOWN, 0, "register holds no known g" },
	{ "nothing recorded", SWITCH, 0, 0, 0, GJ_GOID_UNKNOWN, 0, "registers were not recorded" },

	/* No switch of this thread. */
	{ "root of a thread, no switch", THREAD, 0x1234, 1, 0, GJ_GOID_G0, 0,
	  "on the system stack" },
	{ "nothing at all", 0, 0, 0, 0, GJ_GOID_UNKNOWN, 0,
	  "no switch of this thread known, or some were lost" },
	{ "a g nobody saw", GO | GOEXIT, G1, SP_IN(G1), 0, GJ_GOID_UNKNOWN, 0,
	  "no switch of this thread known, or some were lost" },
};

static struct gj_gevidence evidence_of(const struct verdict_case *c)
{
	return (struct gj_gevidence){
		.pid = c->flags & OTHER_PID ? PID + 1 : PID,
		.tid = c->flags & OTHER_TID ? TID + 5 : TID,
		.time_ns = c->time_ns ? c->time_ns : 60,
		.has_g = c->g != 0,
		.has_sp = c->sp != 0,
		.g = c->g,
		.sp = c->sp,
		.root_goexit = c->flags & GOEXIT,
		.root_thread = c->flags & THREAD,
		.leaf_is_go = c->flags & GO,
		.has_mcall = c->flags & MCALL,
		.has_systemstack = c->flags & SYSTEMSTACK,
		.has_coroutines = c->flags & COROUTINES,
	};
}

static void load(struct gj_ghistory *history, uint32_t flags)
{
	struct gj_buf file = { 0 }, trailer = { 0 };

	add_snapshots(&trailer, flags);
	gj_trail_finish(&trailer);
	gj_buf_str(&file, "what perf wrote");
	gj_buf_add(&file, trailer.data, trailer.size_bytes);
	assert_int_equal(gj_ghistory_load_trailer(history, window_of(&file), NULL), 0);
	gj_buf_deinit(&trailer);
	gj_buf_deinit(&file);
}

static void verdicts(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(verdict_cases) / sizeof(verdict_cases[0]); i++) {
		const struct verdict_case *c = &verdict_cases[i];
		struct gj_gevidence evidence = evidence_of(c);
		struct gj_ghistory *history = gj_ghistory_new();
		struct gj_goid goid;
		const char *text;

		assert_non_null(history);
		if (c->flags & SNAPSHOTS)
			load(history, 0);
		if (c->flags & SWITCH)
			switch_to(history, 50, G1, 7);
		gj_goid_find(history, &evidence, &goid);
		text = goid.state == GJ_GOID_KNOWN ? goid.source : goid.reason;
		if (goid.state != c->state || goid.goid != c->goid || strcmp(text, c->text))
			fail_msg("%s: state %d goid %llu '%s', not state %d goid %llu '%s'", c->what,
				 goid.state, (unsigned long long)goid.goid, text, c->state,
				 (unsigned long long)c->goid, c->text);
		gj_ghistory_free(history);
	}
}

/* What a BPF program read in the sample's interrupt, and the root of its stack. */
static const struct {
	const char *what;
	uint64_t goid;
	const char *root; /* NULL: cut */
	unsigned int flags;
	enum gj_goid_state state;
	const char *text;
} record_cases[] = {
	{ "on its own stack", 7, "goexit", SWITCH, GJ_GOID_KNOWN, "bpf" },
	{ "against the last switch", 8, "goexit", SWITCH, GJ_GOID_KNOWN, "bpf" },
	{ "a stack that is cut", 7, NULL, 0, GJ_GOID_KNOWN, "bpf" },
	{ "a C thread that calls Go", 7, "thread", 0, GJ_GOID_KNOWN, "bpf" },
	{ "over mcall, on behalf of it", 7, "goexit", MCALL, GJ_GOID_KNOWN, "bpf" },
	{ "the next one, not yet begun", 7, "mcall", MCALL, GJ_GOID_SCHED, "in the scheduler" },
	{ "the first on a new thread", 7, "mstart", MCALL, GJ_GOID_SCHED, "in the scheduler" },
	{ "in the scheduler, cut", 7, NULL, MCALL, GJ_GOID_SCHED, "in the scheduler" },
	{ "in the scheduler, none", 0, "mcall", MCALL, GJ_GOID_SCHED, "in the scheduler" },
	{ "a thread of the runtime's own", 0, "mstart", 0, GJ_GOID_G0, "on the system stack" },
	{ "none, cut, whatever was switched to", 0, NULL, SWITCH, GJ_GOID_G0, "on the system stack" },
	{ "a thread's root, and a goroutine", 7, "mstart", 0, GJ_GOID_UNKNOWN,
	  "stack and runtime disagree" },
	{ "the main thread's root, and a goroutine", 7, "rt0_go", 0, GJ_GOID_UNKNOWN,
	  "stack and runtime disagree" },
	{ "a goroutine's root, and none", 0, "goexit", 0, GJ_GOID_UNKNOWN,
	  "stack and runtime disagree" },
};

static void records(void **state)
{
	struct gj_gevidence evidence = { .pid = PID, .tid = TID, .time_ns = 60, .cur = G1 };
	struct gj_ghistory *history = gj_ghistory_new();
	struct gj_goid goid;

	(void)state;
	for (size_t i = 0; i < sizeof(record_cases) / sizeof(record_cases[0]); i++) {
		struct gj_ghistory *with = gj_ghistory_new();
		const char *text;

		evidence.has_goid = true;
		evidence.goid = record_cases[i].goid;
		evidence.root = record_cases[i].root;
		evidence.has_mcall = record_cases[i].flags & MCALL;
		if (record_cases[i].flags & SWITCH)
			switch_to(with, 50, G1, 7);
		gj_goid_find(with, &evidence, &goid);
		text = goid.state == GJ_GOID_KNOWN ? goid.source : goid.reason;
		if (goid.state != record_cases[i].state || strcmp(text, record_cases[i].text) ||
		    goid.goid != (goid.state == GJ_GOID_KNOWN ? record_cases[i].goid : 0))
			fail_msg("%s: state %d goid %llu '%s'", record_cases[i].what, goid.state,
				 (unsigned long long)goid.goid, text);
		gj_ghistory_free(with);
	}
	/* Where it began: its own word, else that of a snapshot that has it. */
	evidence.root = "goexit";
	evidence.goid = 7;
	evidence.has_mcall = false;
	load(history, 0);
	gj_goid_find(history, &evidence, &goid);
	assert_int_equal(goid.start_pc, 0x71);
	evidence.cur = G3;
	evidence.goid = 10;
	gj_goid_find(history, &evidence, &goid);
	assert_int_equal(goid.start_pc, 0xa1);
	evidence.goid = 11;
	gj_goid_find(history, &evidence, &goid);
	assert_int_equal(goid.start_pc, 0);
	evidence.start_pc = 0x1234;
	gj_goid_find(history, &evidence, &goid);
	assert_int_equal(goid.start_pc, 0x1234);
	gj_ghistory_free(history);
}

/* Asks about goroutine @g on thread @tid at @time_ns, register and stack in order. */
static struct gj_goid ask(struct gj_ghistory *history, uint32_t tid, uint64_t time_ns, uint64_t g)
{
	struct gj_gevidence evidence = {
		.pid = PID, .tid = tid, .time_ns = time_ns, .has_g = true, .has_sp = true,
		.g = g, .sp = SP_IN(g), .leaf_is_go = true, .root_goexit = true,
	};
	struct gj_goid goid;

	gj_goid_find(history, &evidence, &goid);
	return goid;
}

/* A switch takes the place of the one before; one with a fault in it makes the thread unknown. */
static void switches(void **state)
{
	struct gj_ghistory *history = gj_ghistory_new();
	struct gj_goid goid;

	(void)state;
	switch_to(history, 50, G1, 7);
	switch_to(history, 55, G2, 8);
	goid = ask(history, TID, 60, G2);
	assert_int_equal(goid.state, GJ_GOID_KNOWN);
	assert_int_equal(goid.goid, 8);
	assert_int_equal(goid.start_pc, 0x71);
	/* The g of the switch before is known, but it is not on the thread any more. */
	goid = ask(history, TID, 60, G1);
	assert_int_equal(goid.state, GJ_GOID_UNKNOWN);
	assert_string_equal(goid.reason, "register and last switch disagree");
	/* Switches out of order change nothing. */
	switch_to(history, 52, G3, 9);
	assert_int_equal(ask(history, TID, 60, G2).goid, 8);
	/* A probe whose fetch faulted leaves zeros. */
	switch_to(history, 58, 0, 0);
	goid = ask(history, TID, 60, G2);
	assert_int_equal(goid.state, GJ_GOID_UNKNOWN);
	assert_string_equal(goid.reason, "no switch of this thread known, or some were lost");
	gj_ghistory_free(history);
	gj_ghistory_free(NULL);
}

/* With the probe armed, what a thread ran at the first snapshot is as good as a switch. */
static void threads_of_snapshots(void **state)
{
	struct gj_ghistory *history = gj_ghistory_new();
	struct gj_goid goid;

	(void)state;
	load(history, GJ_TRAIL_PROBED);
	/* It was read some time between the snapshot's begin and end. */
	assert_int_equal(ask(history, TID, 19, G2).state, GJ_GOID_UNKNOWN);
	goid = ask(history, TID, 20, G2);
	assert_int_equal(goid.state, GJ_GOID_KNOWN);
	assert_int_equal(goid.goid, 8);
	assert_int_equal(goid.start_pc, 0x81);
	assert_string_equal(goid.source, "switch+register");
	/* Threads without a goroutine, or with one that is not in the snapshot, say nothing. */
	assert_string_equal(ask(history, TID + 1, 100, G4).reason,
			    "no switch of this thread known, or some were lost");
	assert_string_equal(ask(history, TID + 2, 100, G4).reason,
			    "no switch of this thread known, or some were lost");
	/* A later switch counts, be it while the snapshot was taken. */
	switch_to(history, 15, G3, 9);
	assert_int_equal(ask(history, TID, 16, G3).goid, 9);
	switch_to(history, 30, G1, 7);
	assert_int_equal(ask(history, TID, 40, G1).goid, 7);
	gj_ghistory_free(history);

	/* Without the probe a thread may have run others since. */
	history = gj_ghistory_new();
	load(history, 0);
	assert_string_equal(ask(history, TID, 100, G2).reason,
			    "no switch of this thread known, or some were lost");
	gj_ghistory_free(history);
}

/* A first snapshot from before the probe was armed says nothing of threads; the next one does. */
static void unarmed_snapshot(void **state)
{
	static const struct gj_trail_g gs[] = { { G2, 8, STACK(G2), 0x81, 2, 0 } };
	static const struct gj_trail_m ms[] = { { G2, 0x10, 0x20, TID, 0 } };
	struct gj_ghistory *history = gj_ghistory_new();
	struct gj_buf body = { 0 };

	(void)state;
	add_snapshot(&body, 0, 1, 2, gs, 1, ms, 1);
	add_snapshot(&body, GJ_TRAIL_PROBED, 10, 20, gs, 1, ms, 1);
	gj_trail_finish(&body);
	assert_int_equal(gj_ghistory_load_trailer(history, window_of(&body), NULL), 0);
	assert_string_equal(ask(history, TID, 20, G2).source, "switch+register");
	gj_buf_deinit(&body);
	gj_ghistory_free(history);
}

/* Behind a hole the switch before it says nothing; the next one does. */
static void holes(void **state)
{
	struct gj_ghistory *history = gj_ghistory_new();

	(void)state;
	/* In any order, one inside another. */
	assert_int_equal(gj_ghistory_lost(history, 300, 310), 0);
	assert_int_equal(gj_ghistory_lost(history, 100, 200), 0);
	assert_int_equal(gj_ghistory_lost(history, 110, 120), 0);
	assert_int_equal(gj_ghistory_exec(history, PID, 400), 0);
	assert_int_equal(gj_ghistory_exec(history, PID + 1, 500), 0);
	switch_to(history, 50, G1, 7);
	assert_int_equal(ask(history, TID, 100, G1).goid, 7);
	assert_int_equal(ask(history, TID, 101, G1).state, GJ_GOID_UNKNOWN);
	assert_int_equal(ask(history, TID, 250, G1).state, GJ_GOID_UNKNOWN);
	switch_to(history, 150, G1, 7); /* what came behind it may be missing */
	assert_int_equal(ask(history, TID, 160, G1).state, GJ_GOID_UNKNOWN);
	switch_to(history, 201, G1, 7);
	assert_int_equal(ask(history, TID, 300, G1).goid, 7);
	assert_int_equal(ask(history, TID, 305, G1).state, GJ_GOID_UNKNOWN);
	switch_to(history, 350, G1, 7);
	assert_int_equal(ask(history, TID, 400, G1).goid, 7);
	assert_int_equal(ask(history, TID, 401, G1).state, GJ_GOID_UNKNOWN);
	switch_to(history, 450, G1, 7);
	assert_int_equal(ask(history, TID, 600, G1).goid, 7);
	gj_ghistory_free(history);
}

/* Ids of one program say nothing of the next one in the same process. */
static void exec_between_snapshots(void **state)
{
	struct gj_ghistory *history = gj_ghistory_new();

	(void)state;
	load(history, 0);
	assert_int_equal(gj_ghistory_exec(history, PID, 50), 0);
	assert_int_equal(ask(history, TID, 60, G2).state, GJ_GOID_UNKNOWN);
	gj_ghistory_free(history);
}

/* Many keys, so that the tables grow. */
static void many_threads(void **state)
{
	struct gj_ghistory *history = gj_ghistory_new();

	(void)state;
	for (uint32_t i = 1; i < 5000; i++) {
		struct gj_gswitch gswitch = { PID, i, 50, G1 + i * 0x1000u, i, 0, 0, 0 };

		assert_int_equal(gj_ghistory_switch(history, &gswitch), 0);
	}
	for (uint32_t i = 1; i < 5000; i++)
		assert_int_equal(ask(history, i, 60, G1 + i * 0x1000u).goid, i);
	gj_ghistory_free(history);
}

static int load_bytes(const void *bytes, size_t size_bytes, struct gj_diag *diag)
{
	struct gj_ghistory *history = gj_ghistory_new();
	/* A copy of exactly that size, so that a sanitizer sees its end. */
	uint8_t *copy = malloc(size_bytes ? size_bytes : 1);
	int err;

	assert_non_null(history);
	assert_non_null(copy);
	memcpy(copy, bytes, size_bytes);
	err = gj_ghistory_load_trailer(history, (struct gj_window){ copy, size_bytes }, diag);
	ask(history, TID, 60, G1);
	ask(history, TID, 60, G2);
	gj_ghistory_free(history);
	free(copy);
	return err;
}

/* The layout as goroutine.h draws it, byte for byte. */
static void trailer_layout(void **state)
{
	struct gj_buf trailer = { 0 };
	uint64_t body_bytes;

	(void)state;
	add_snapshots(&trailer, 0);
	assert_int_equal(trailer.size_bytes, 2 * (32 + 4 * 48 + 3 * 32));
	gj_trail_finish(&trailer);
	assert_int_equal(trailer.size_bytes, 2 * (32 + 4 * 48 + 3 * 32) + 16);
	assert_memory_equal(trailer.data + trailer.size_bytes - 8, "GJTRAIL1", 8);
	memcpy(&body_bytes, trailer.data + trailer.size_bytes - 16, 8);
	assert_int_equal(body_bytes, trailer.size_bytes - 16);
	gj_buf_deinit(&trailer);

	/* Nothing behind a recording but an empty trailer. */
	gj_trail_finish(&trailer);
	assert_int_equal(load_bytes(trailer.data, trailer.size_bytes, NULL), 0);
	gj_buf_deinit(&trailer);
	assert_int_equal(load_bytes("", 0, NULL), -ENOENT);
	assert_int_equal(load_bytes("PERFILE2 and a lot more bytes", 29, NULL), -ENOENT);
}

static void cut_trailers(void **state)
{
	struct gj_buf trailer = { 0 };

	(void)state;
	add_snapshots(&trailer, GJ_TRAIL_PROBED);
	gj_trail_finish(&trailer);
	for (size_t cut = 1; cut <= trailer.size_bytes; cut++) {
		struct gj_diag diag = { 0 };
		size_t left = trailer.size_bytes - cut;

		/* At the end: the footer is gone. */
		assert_int_equal(load_bytes(trailer.data, left, &diag), -ENOENT);
		assert_int_equal(diag.err, 0);
		/* At the front: the body is shorter than the footer says. */
		assert_int_equal(load_bytes(trailer.data + cut, left, &diag),
				 left < 16 ? -ENOENT : -EBADMSG);
		assert_true(left < 16 || strstr(diag.text, "cut short"));
	}
	/* In the body, with a footer that agrees: only a cut between snapshots goes unseen. */
	for (size_t cut = 1; cut < trailer.size_bytes - 16; cut++) {
		size_t left = trailer.size_bytes - 16 - cut;
		struct gj_diag diag = { 0 };
		struct gj_buf shorter = { 0 };

		gj_buf_add(&shorter, trailer.data, left);
		gj_trail_finish(&shorter);
		assert_int_equal(load_bytes(shorter.data, shorter.size_bytes, &diag),
				 left == (trailer.size_bytes - 16) / 2 ? 0 : -EBADMSG);
		gj_buf_deinit(&shorter);
	}
	gj_buf_deinit(&trailer);
}

/* 0, 1, max, max-1 and the sign bit in every word: any answer, but none from outside. */
static void hostile_words(void **state)
{
	static const uint32_t values[] = { 0, 1, 0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff };
	struct gj_buf trailer = { 0 };

	(void)state;
	add_snapshots(&trailer, GJ_TRAIL_PROBED);
	gj_trail_finish(&trailer);
	for (size_t off = 0; off + 4 <= trailer.size_bytes; off += 4) {
		uint32_t good;

		memcpy(&good, trailer.data + off, 4);
		for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
			struct gj_diag diag = { 0 };
			int err;

			memcpy(trailer.data + off, &values[i], 4);
			err = load_bytes(trailer.data, trailer.size_bytes, &diag);
			assert_true(err == 0 || err == -ENOENT || err == -EBADMSG);
			assert_true(err != -EBADMSG || diag.text[0]);
		}
		memcpy(trailer.data + off, &good, 4);
	}
	gj_buf_deinit(&trailer);
}

/* Counts whose product with a struct's size is 0 or small modulo 2^32. */
static void hostile_counts(void **state)
{
	static const uint32_t counts[] = { 0xffffffff, 0x55555556, 0x08000000, 0x80000000, 5, 1000 };

	(void)state;
	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++)
		for (size_t field = 0; field < 2; field++) {
			struct gj_trail_snapshot head = { .pid = PID };
			struct gj_buf trailer = { 0 };

			*(field ? &head.m_cnt : &head.g_cnt) = counts[i];
			gj_buf_add(&trailer, &head, sizeof(head));
			gj_buf_add(&trailer, (const char[64]){ 0 }, 64);
			gj_trail_finish(&trailer);
			assert_int_equal(load_bytes(trailer.data, trailer.size_bytes, NULL), -EBADMSG);
			gj_buf_deinit(&trailer);
		}
}

static void probe_records(void **state)
{
	uint64_t raw[7] = { 0, 0, G1, 7, 0x1000, 0x2000, 0x71 };
	struct gj_gswitch gswitch = { .pid = PID, .tid = TID, .time_ns = 5 };

	(void)state;
	assert_true(gj_goexec_is_event("gojitter:goexec_1a2b"));
	assert_true(gj_goexec_is_event("gojitter:goexec_1a2b/period=1/"));
	assert_false(gj_goexec_is_event("gojitter:goexec"));
	assert_false(gj_goexec_is_event("probe:goexec_1a2b"));
	assert_false(gj_goexec_is_event(""));
	for (size_t size_bytes = 0; size_bytes < sizeof(raw); size_bytes++) {
		uint8_t *copy = malloc(size_bytes ? size_bytes : 1);

		memcpy(copy, raw, size_bytes);
		assert_int_equal(gj_goexec_decode((struct gj_window){ copy, size_bytes }, &gswitch),
				 -EBADMSG);
		assert_int_equal(gswitch.goid, 0);
		free(copy);
	}
	assert_int_equal(gj_goexec_decode((struct gj_window){ (uint8_t *)raw, sizeof(raw) },
					  &gswitch), 0);
	assert_int_equal(gswitch.g, G1);
	assert_int_equal(gswitch.goid, 7);
	assert_int_equal(gswitch.stack_lo, 0x1000);
	assert_int_equal(gswitch.stack_hi, 0x2000);
	assert_int_equal(gswitch.start_pc, 0x71);
	assert_int_equal(gswitch.tid, TID);
	assert_int_equal(gswitch.time_ns, 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(verdicts),
		cmocka_unit_test(records),
		cmocka_unit_test(switches),
		cmocka_unit_test(threads_of_snapshots),
		cmocka_unit_test(unarmed_snapshot),
		cmocka_unit_test(holes),
		cmocka_unit_test(exec_between_snapshots),
		cmocka_unit_test(many_threads),
		cmocka_unit_test(trailer_layout),
		cmocka_unit_test(cut_trailers),
		cmocka_unit_test(hostile_words),
		cmocka_unit_test(hostile_counts),
		cmocka_unit_test(probe_records),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
