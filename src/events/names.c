/* SPDX-License-Identifier: GPL-2.0 */
/* Names of the numbers in events: those of the enumerations that programs and bpftool use. */
#include <string.h>

#include "events/events.h"
#include "gj_trace_gc.h"

#define NAME(value) [value] = #value
#define CNT(list) (sizeof(list) / sizeof((list)[0]))

static const struct {
	const char *name, *feature;
} kinds[GJ_EVENT_KIND_CNT] = {
#define KIND(kind, feature) [kind] = { #kind, feature }
	KIND(events_lost, NULL),
	KIND(goroutine_created, "goroutines"),
	KIND(goroutine_runnable, "goroutines"),
	KIND(goroutine_running, "goroutines"),
	KIND(goroutine_waiting, "goroutines"),
	KIND(goroutine_syscall, "goroutines"),
	KIND(goroutine_dead, "goroutines"),
	KIND(stw_stopping, "gc"),
	KIND(stw_stopped, "gc"),
	KIND(stw_starting, "gc"),
	KIND(stw_started, "gc"),
	KIND(gc_mark_begin, "gc"),
	KIND(gc_mark_end, "gc"),
	KIND(gc_swept, "gc"),
	KIND(gc_assist, "gc"),
	KIND(syscall_returned, "syscalls"),
	KIND(syscall_got_p, "syscalls"),
	KIND(netpoll_stormed, "netpoll"),
	KIND(thread_runnable, "threads"),
	KIND(thread_running, "threads"),
	KIND(thread_off, "threads"),
	KIND(tcp_retransmitted, "tcp"),
#undef KIND
};

/* Without the prefix that keeps them apart from other enumerations. */
static const char *const statuses[] = {
	NAME(g_idle), NAME(g_runnable), NAME(g_running), NAME(g_syscall), NAME(g_waiting),
	NAME(g_dead), NAME(g_copystack), NAME(g_preempted), NAME(g_leaked), NAME(g_deadextra),
};

static const char *const stw_reasons[] = {
	NAME(unknown_reason), NAME(GC_mark_termination), NAME(GC_sweep_termination),
	NAME(write_heap_dump), NAME(goroutine_profile), NAME(goroutine_profile_cleanup),
	NAME(all_goroutines_stack_trace), NAME(read_mem_stats), NAME(AllThreadsSyscall),
	NAME(GOMAXPROCS), NAME(start_trace), NAME(stop_trace), NAME(CountPagesInUse_test),
	NAME(ReadMetricsSlow_test), NAME(ReadMemStatsSlow_test), NAME(PageCachePagesLeaked_test),
	NAME(ResetDebugLog_test),
};

const char *gj_event_kind_name(unsigned int kind)
{
	return kind < CNT(kinds) ? kinds[kind].name : NULL;
}

const char *gj_event_kind_feature(unsigned int kind)
{
	return kind < CNT(kinds) ? kinds[kind].feature : NULL;
}

const char *gj_event_status_name(unsigned int status)
{
	return status < CNT(statuses) && statuses[status] ? statuses[status] + strlen("g_") : NULL;
}

const char *gj_event_syscall_name(unsigned int number)
{
	static const char *const names[] = {
#include <events/syscalls.inc>
	};

	return number < CNT(names) ? names[number] : NULL;
}

const char *gj_event_stw_reason_name(unsigned int reason)
{
	return reason < CNT(stw_reasons) ? stw_reasons[reason] : NULL;
}

/* enum gj_queued of bpf/gj_trace_threads.h. */
const char *gj_event_queued_name(unsigned int queued)
{
	static const char *const names[] = { "sleeping", "woken", "created", "preempted" };

	return queued < CNT(names) ? names[queued] : NULL;
}

static bool is_name(const char *name, const char *text, size_t text_bytes)
{
	return name && strlen(name) == text_bytes && !memcmp(name, text, text_bytes);
}

uint64_t gj_event_kinds_find(const char *name, size_t name_bytes)
{
	uint64_t found = 0;

	for (unsigned int kind = 0; kind < CNT(kinds); kind++)
		if (is_name(kinds[kind].name, name, name_bytes) ||
		    is_name(kinds[kind].feature, name, name_bytes))
			found |= GJ_EVENT_BIT(kind);
	return found;
}
