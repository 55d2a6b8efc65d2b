/* SPDX-License-Identifier: GPL-2.0 */
/* Events as lines of text and of JSON, with every name that is known. */
#include <inttypes.h>
#include <string.h>

#include "demangle/demangle.h"
#include "events/events.h"

/* Bytes of a file, such that they drive no terminal. */
static void add_plain(struct gj_buf *out, const char *text)
{
	for (; *text; text++)
		gj_buf_chr(out, (unsigned char)*text < ' ' || *text == 0x7f ? '?' : *text);
}

static void add_func(const struct gj_events *events, uint32_t func, bool is_json,
		     struct gj_buf *out)
{
	const char *name = gj_events_func(events, func);
	struct gj_buf text = { 0 };

	if (name)
		gj_name_format(name, GJ_NAME_SHORT, &text);
	else
		gj_buf_fmt(&text, "func %#" PRIx32, func);
	gj_buf_chr(&text, '\0');
	if (text.failed)
		out->failed = true;
	else if (is_json)
		gj_buf_json(out, text.data);
	else
		add_plain(out, text.data);
	gj_buf_deinit(&text);
}

static void add_number(struct gj_buf *out, const char *before, uint64_t value)
{
	gj_buf_str(out, before);
	gj_buf_dec(out, value, 0, ' ');
}

/* In us, with the ns behind the point. */
static void add_us(struct gj_buf *out, const char *before, uint64_t ns)
{
	add_number(out, before, ns / 1000);
	gj_buf_chr(out, '.');
	gj_buf_dec(out, ns % 1000, 3, '0');
}

/* A name, or the number where there is none. */
static void add_name(const char *name, uint32_t number, bool is_json, struct gj_buf *out)
{
	if (!name)
		gj_buf_fmt(out, "%" PRIu32, number);
	else if (is_json)
		gj_buf_json(out, name);
	else
		add_plain(out, name);
}

static void add_kind(const struct gj_events *events, const struct gj_event *event, bool is_json,
		     struct gj_buf *out)
{
	add_name(gj_events_kind(events, event->kind), event->kind, is_json, out);
}

/* False for kinds that we have no words for. */
static bool is_goroutine(unsigned int kind)
{
	return kind >= goroutine_created && kind <= goroutine_dead;
}

static bool is_stop(unsigned int kind)
{
	return kind >= stw_stopping && kind <= stw_started;
}

static bool is_syscall(unsigned int kind)
{
	return kind == syscall_returned || kind == syscall_got_p;
}

static bool is_thread(unsigned int kind)
{
	return kind >= thread_runnable && kind <= thread_off;
}

/* Whether span.what is a number that has a name. */
static bool has_what(const struct gj_event *event)
{
	return is_stop(event->kind) || is_syscall(event->kind) || is_thread(event->kind) ||
	       event->span.what;
}

/* The name of span.what. */
static const char *what_name(const struct gj_event *event)
{
	if (is_stop(event->kind))
		return gj_event_stw_reason_name(event->span.what);
	if (is_syscall(event->kind))
		return event->span.what == UINT32_MAX ? "in C" :
							gj_event_syscall_name(event->span.what);
	return is_thread(event->kind) ? gj_event_queued_name(event->span.what) : NULL;
}

static const char *reason_name(const struct gj_events *events, const struct gj_event *event)
{
	return gj_events_reason(events, event->program, event->goroutine.reason);
}

/* The first function of a stack that is the program's own. */
static void text_place(const struct gj_events *events, const struct gj_event *event,
		       struct gj_buf *out)
{
	struct gj_events_stack stack;
	uint32_t func;
	uint64_t va;

	if (gj_events_stack(events, event, &stack))
		return;
	for (uint32_t i = 0; gj_events_stack_pc(&stack, i, &va, &func); i++) {
		const char *name = gj_events_func(events, func);

		if (!name || !strncmp(name, "runtime.", 8))
			continue;
		gj_buf_str(out, ", in ");
		add_func(events, func, false, out);
		return;
	}
}

static void text_goroutine(const struct gj_events *events, const struct gj_event *event,
			   struct gj_buf *out)
{
	const struct gj_event_goroutine *move = &event->goroutine;

	if (event->kind == goroutine_waiting || move->reason) {
		gj_buf_str(out, event->kind == goroutine_waiting ? "  " : "  after ");
		add_name(reason_name(events, event), move->reason, false, out);
	} else if (event->kind != goroutine_created) {
		gj_buf_str(out, "  from ");
		add_name(gj_event_status_name(move->from), move->from, false, out);
	}
	if (move->other_goid)
		add_number(out, "  by ", move->other_goid);
	text_place(events, event, out);
}

static void add_address(const struct gj_event_tcp *tcp, struct gj_buf *out)
{
	const uint8_t *remote = tcp->remote;

	if (remote[0] | remote[1] | remote[2] | remote[3])
		gj_buf_fmt(out, "%u.%u.%u.%u", remote[0], remote[1], remote[2], remote[3]);
}

static void text_tcp(const struct gj_event_tcp *tcp, struct gj_buf *out)
{
	gj_buf_fmt(out, "  port %u to ", tcp->local_port);
	add_address(tcp, out);
	gj_buf_fmt(out, ":%u", tcp->remote_port);
	add_number(out, "  ", tcp->segments);
	gj_buf_fmt(out, " segments, rtt %" PRIu32 " us%s", tcp->rtt_us,
		   tcp->writers > 1 ? ", or of another writer" : "");
}

static void json_tcp(const struct gj_event_tcp *tcp, struct gj_buf *out)
{
	gj_buf_fmt(out, ",\"local_port\":%u,\"remote_port\":%u,\"remote\":\"", tcp->local_port,
		   tcp->remote_port);
	add_address(tcp, out);
	add_number(out, "\",\"segments\":", tcp->segments);
	gj_buf_fmt(out, ",\"rtt_us\":%" PRIu32 ",\"writers\":%" PRIu32, tcp->rtt_us,
		   tcp->writers);
}

static void text_span(const struct gj_event *event, struct gj_buf *out)
{
	const struct gj_event_span *span = &event->span;

	if (has_what(event)) {
		gj_buf_str(out, "  ");
		add_name(what_name(event), span->what, false, out);
	}
	if (event->kind == netpoll_stormed) {
		add_number(out, "  ", span->count_ns);
		gj_buf_str(out, " empty polls in a second");
	} else if (span->count_ns) {
		add_us(out, "  ", span->count_ns);
		gj_buf_str(out, " us");
	}
	if (event->kind == syscall_returned) {
		add_us(out, ", ", span->kernel_ns);
		gj_buf_str(out, " in the kernel");
	}
}

void gj_events_text(const struct gj_events *events, const struct gj_event *event,
		    struct gj_buf *out)
{
	uint64_t begin_ns = gj_events_head(events)->monotonic_ns;
	bool is_before = event->time_ns < begin_ns;
	uint64_t ns = is_before ? begin_ns - event->time_ns : event->time_ns - begin_ns;

	add_number(out, is_before ? "-" : "", ns / 1000000000);
	gj_buf_chr(out, '.');
	gj_buf_dec(out, ns % 1000000000, 9, '0');
	gj_buf_fmt(out, " [%03u] ", event->cpu);
	if (event->kind == events_lost) {
		add_number(out, "", event->span.count_ns);
		gj_buf_str(out, " events lost on this processor");
		return;
	}
	gj_buf_fmt(out, "%" PRIu32 "/%" PRIu32 " ", event->tgid, event->tid);
	add_kind(events, event, false, out);
	if (event->goid)
		add_number(out, " ", event->goid);
	if (event->func) {
		gj_buf_chr(out, ' ');
		add_func(events, event->func, false, out);
	}
	if (is_goroutine(event->kind))
		text_goroutine(events, event, out);
	else if (event->kind == tcp_retransmitted)
		text_tcp(&event->tcp, out);
	else
		text_span(event, out);
}

static void json_stack(const struct gj_events *events, const struct gj_event *event,
		       struct gj_buf *out)
{
	struct gj_events_stack stack;
	uint32_t func;
	uint64_t va;

	if (gj_events_stack(events, event, &stack))
		return;
	gj_buf_fmt(out, ",\"stack_is_cut\":%s,\"stack\":[", stack.is_cut ? "true" : "false");
	for (uint32_t i = 0; gj_events_stack_pc(&stack, i, &va, &func); i++) {
		gj_buf_fmt(out, "%s{\"va\":%" PRIu64 ",\"func\":", i ? "," : "", va);
		add_func(events, func, true, out);
		gj_buf_chr(out, '}');
	}
	gj_buf_chr(out, ']');
}

static void json_goroutine(const struct gj_events *events, const struct gj_event *event,
			   struct gj_buf *out)
{
	const struct gj_event_goroutine *move = &event->goroutine;

	gj_buf_str(out, ",\"from\":");
	add_name(gj_event_status_name(move->from), move->from, true, out);
	gj_buf_str(out, ",\"to\":");
	add_name(gj_event_status_name(move->to), move->to, true, out);
	if (event->kind == goroutine_waiting || move->reason) {
		gj_buf_str(out, ",\"reason\":");
		add_name(reason_name(events, event), move->reason, true, out);
	}
	if (move->other_goid)
		add_number(out, ",\"by\":", move->other_goid);
	if (event->kind == goroutine_created && move->at)
		add_number(out, ",\"created_at\":", move->at);
	json_stack(events, event, out);
}

static void json_span(const struct gj_event *event, struct gj_buf *out)
{
	const struct gj_event_span *span = &event->span;

	if (has_what(event)) {
		gj_buf_str(out, is_stop(event->kind) ? ",\"reason\":" : ",\"what\":");
		add_name(what_name(event), span->what, true, out);
	}
	add_number(out, event->kind == events_lost || event->kind == netpoll_stormed ?
			   ",\"count\":" : ",\"ns\":", span->count_ns);
	if (event->kind == syscall_returned)
		add_number(out, ",\"kernel_ns\":", span->kernel_ns);
}

void gj_events_json(const struct gj_events *events, const struct gj_event *event,
		    struct gj_buf *out)
{
	add_number(out, "{\"time_ns\":", event->time_ns);
	gj_buf_str(out, ",\"kind\":");
	add_kind(events, event, true, out);
	gj_buf_fmt(out, ",\"cpu\":%u", event->cpu);
	if (event->kind != events_lost)
		gj_buf_fmt(out, ",\"pid\":%" PRIu32 ",\"tid\":%" PRIu32 ",\"program\":%u",
			   event->tgid, event->tid, event->program);
	if (event->goid)
		add_number(out, ",\"goid\":", event->goid);
	if (event->func) {
		gj_buf_str(out, ",\"func\":");
		add_func(events, event->func, true, out);
	}
	if (is_goroutine(event->kind))
		json_goroutine(events, event, out);
	else if (event->kind == tcp_retransmitted)
		json_tcp(&event->tcp, out);
	else
		json_span(event, out);
	gj_buf_chr(out, '}');
}

void gj_events_json_head(const struct gj_events *events, struct gj_buf *out)
{
	const struct gj_events_head *head = gj_events_head(events);
	const struct gj_events_program *program;
	bool is_first = true;

	gj_buf_fmt(out, "{\"abi\":%d,\"monotonic_ns\":%" PRIu64 ",\"realtime_ns\":%" PRIu64
		   ",\"cpus\":%" PRIu32 ",\"buffer\":\"%s\",\"boot_id\":",
		   GJ_EVENTS_ABI, head->monotonic_ns, head->realtime_ns, head->cpu_cnt,
		   head->by_perf ? "perf" : "ring");
	gj_buf_json(out, head->boot_id);
	gj_buf_str(out, ",\"programs\":[");
	for (uint32_t i = 0; i < GJ_EVENTS_MAX_PROGRAMS; i++) {
		program = gj_events_program(events, i);
		if (!program)
			continue;
		gj_buf_fmt(out, "%s{\"program\":%" PRIu32 ",\"path\":", is_first ? "" : ",", i);
		gj_buf_json(out, program->path);
		gj_buf_str(out, ",\"go\":");
		gj_buf_json(out, program->go_version);
		gj_buf_str(out, ",\"build_id\":");
		gj_buf_json(out, program->build_id);
		gj_buf_str(out, ",\"go_build_id\":");
		gj_buf_json(out, program->go_build_id);
		gj_buf_chr(out, '}');
		is_first = false;
	}
	gj_buf_str(out, "]}");
}
