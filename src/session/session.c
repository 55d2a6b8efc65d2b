/* SPDX-License-Identifier: GPL-2.0 */
/* One sample's way: call chain -> locations -> goroutine -> text. */
#include "session/session.h"

#include <errno.h>
#include <linux/perf_event.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "sample/sample.h"
#include "stitch/stitch.h"

#define OUT_BYTES (1 << 18)

/* Register numbers of arch/x86/include/uapi/asm/perf_regs.h and arm64's. */
enum { X86_BP = 6, X86_SP = 7, X86_IP = 8, X86_R14 = 22, ARM64_X28 = 28, ARM64_SP = 31 };

struct gj_session {
	struct gj_host host;
	struct gj_options options;
	struct gj_dsos *dsos;
	struct gj_locations *locations;
	struct gj_ghistory *history;
	struct gj_folded *folded;
	struct gj_buf out;
	bool is_full; /* out of memory, told once */
	/* The sample at hand. */
	const struct gj_location *found[GJ_MAX_CHAIN];
	enum gj_how hows[GJ_MAX_CHAIN];
	size_t found_cnt;
	uint64_t walked[GJ_MAX_CHAIN]; /* chain out of a stack dump */
	uint32_t first_user;           /* index of the innermost user location */
	bool has_go;
};

static void flush(struct gj_session *session)
{
	if (session->out.size_bytes)
		session->host.write(session->host.data, session->out.data,
				    session->out.size_bytes);
	session->out.size_bytes = 0;
}

static void complain_memory(struct gj_session *session)
{
	if (!session->is_full)
		session->host.warn(session->host.data,
				   "out of memory; some samples are left to the host");
	session->is_full = true;
}

struct gj_session *gj_session_new(const struct gj_host *host, char *const *args, int arg_cnt)
{
	struct gj_session *session = calloc(1, sizeof(*session));
	struct gj_diag diag = { 0 };

	if (!session) {
		host->warn(host->data, "out of memory");
		return NULL;
	}
	session->host = *host;
	if (gj_options_parse(&session->options, args, arg_cnt, &diag)) {
		host->warn(host->data, diag.text);
		free(session);
		return NULL;
	}
	session->dsos = gj_dsos_new(host, session->options.symfs);
	session->locations = gj_locations_new(&session->options);
	session->history = gj_ghistory_new();
	session->folded = gj_folded_new();
	if (!session->dsos || !session->locations || !session->history || !session->folded ||
	    !gj_buf_reserve(&session->out, OUT_BYTES)) {
		host->warn(host->data, "out of memory");
		gj_session_end(session);
		return NULL;
	}
	return session;
}

void gj_session_end(struct gj_session *session)
{
	if (!session)
		return;
	if (session->folded && session->options.format == GJ_FORMAT_FOLDED)
		gj_folded_write(session->folded, &session->out);
	flush(session);
	gj_folded_free(session->folded);
	gj_ghistory_free(session->history);
	gj_locations_free(session->locations);
	gj_dsos_free(session->dsos);
	gj_buf_deinit(&session->out);
	free(session);
}

struct losses {
	struct gj_session *session;
	uint64_t lost_cnt;
};

static int note_gap(void *data, const struct gj_perf_gap *gap)
{
	struct losses *losses = data;
	struct gj_ghistory *history = losses->session->history;

	losses->lost_cnt += gap->lost_cnt;
	return gap->pid ? gj_ghistory_exec(history, gap->pid, gap->begin_ns) :
			  gj_ghistory_lost(history, gap->begin_ns, gap->end_ns);
}

/* Switches that were lost must not leave a thread with the goroutine before. */
static void note_gaps(struct gj_session *session, struct gj_window file)
{
	struct losses losses = { .session = session };
	struct gj_diag line = { 0 };

	if (gj_perf_file_gaps(file, note_gap, &losses) == -ENOMEM)
		complain_memory(session);
	if (!losses.lost_cnt)
		return;
	gj_diag_set(&line, -ENOBUFS,
		    "%llu records were lost while recording; until a thread's next switch its goroutine is unknown. Record with a bigger buffer (-m)",
		    (unsigned long long)losses.lost_cnt);
	session->host.warn(session->host.data, line.text);
}

void gj_session_recording(struct gj_session *session, const uint8_t *bytes, size_t size_bytes)
{
	struct gj_window file = { bytes, size_bytes };
	struct gj_diag diag = { 0 };
	int err = gj_ghistory_load_trailer(session->history, file, &diag);

	if (err && err != -ENOENT)
		session->host.warn(session->host.data, diag.text);
	session->options.report.event_width = gj_perf_file_event_width(file);
	if (session->options.goid)
		note_gaps(session, file);
}

bool gj_session_early(struct gj_session *session, const struct gj_sample *sample)
{
	struct gj_gswitch gswitch = { .pid = sample->pid, .tid = sample->tid,
				      .time_ns = sample->time_ns };

	if (!sample->raw || !sample->event || !gj_goexec_is_event(sample->event))
		return false;
	if (!gj_goexec_decode((struct gj_window){ sample->raw, sample->raw_bytes }, &gswitch) &&
	    gj_ghistory_switch(session->history, &gswitch))
		complain_memory(session);
	return !session->options.show_probe;
}

static void add_location(struct gj_session *session, const struct gj_location *location,
			 enum gj_how how)
{
	if (!location) {
		complain_memory(session);
		return;
	}
	if (session->found_cnt == GJ_MAX_CHAIN)
		return;
	session->hows[session->found_cnt] = how;
	session->found[session->found_cnt++] = location;
	session->has_go |= location->is_go;
}

static void add_kernel(struct gj_session *session, uint64_t ip)
{
	const struct gj_location *location = gj_locations_kernel(session->locations, ip);
	struct gj_mapping mapping = { 0 };

	if (!location) {
		if (session->host.resolve(session->host.data, ip, &mapping))
			mapping = (struct gj_mapping){ 0 };
		/* Only the kernel proper stays where it is; modules come and go. */
		mapping.file_off = mapping.dso && !strcmp(mapping.dso, "[kernel.kallsyms]") ?
					   0 : UINT64_MAX;
		location = gj_locations_find(session->locations, NULL, &mapping, ip, true,
					     false);
	}
	add_location(session, location, GJ_HOW_KERNEL);
}

/* The caller of these was interrupted anywhere, not waiting for a call to return. */
static bool is_exact(const struct gj_session *session)
{
	return session->found_cnt == session->first_user ||
	       (session->found[session->found_cnt - 1]->classes & GJ_CLASS_INTERRUPTED);
}

static void add_user(struct gj_session *session, uint64_t ip)
{
	bool is_return = !is_exact(session);
	enum gj_how how = session->found_cnt == session->first_user ? GJ_HOW_IP : GJ_HOW_FP;
	struct gj_mapping mapping = { 0 };
	const struct gj_dso *dso = NULL;

	if (session->host.resolve(session->host.data, ip, &mapping))
		mapping = (struct gj_mapping){ 0 };
	if (mapping.dso) {
		dso = gj_dsos_find(session->dsos, &mapping);
		if (!dso) {
			complain_memory(session);
			return;
		}
	}
	add_location(session, gj_locations_find(session->locations, dso, &mapping, ip, false,
						is_return), how);
}

static uint64_t user_reg(const struct gj_sample *sample, unsigned int reg, bool *has_out)
{
	uint64_t value = 0;

	*has_out = sample->regs.values && (sample->regs.mask >> reg & 1);
	if (*has_out)
		memcpy(&value, sample->regs.values +
				       __builtin_popcountll(sample->regs.mask &
							    ((1ULL << reg) - 1)),
		       sizeof(value));
	return value;
}

/* A dwarf-mode sample has the user part as a stack dump. */
static void walk_dump(struct gj_session *session, const struct gj_sample *sample)
{
	struct gj_window stack = { sample->stack, sample->stack_bytes };
	bool has_ip, has_sp, has_bp;
	uint64_t ip = user_reg(sample, X86_IP, &has_ip);
	uint64_t sp = user_reg(sample, X86_SP, &has_sp);
	uint64_t bp = user_reg(sample, X86_BP, &has_bp);
	size_t cnt;

	if (!has_ip)
		return;
	session->first_user = (uint32_t)session->found_cnt;
	cnt = gj_fp_walk(has_sp && has_bp ? stack : (struct gj_window){ NULL, 0 }, ip, sp, bp,
			 session->walked, GJ_MAX_CHAIN);
	for (size_t i = 0; i < cnt; i++)
		add_user(session, session->walked[i]);
}

static void find_locations(struct gj_session *session, const struct gj_sample *sample)
{
	bool in_kernel = sample->is_kernel, has_user = false;

	session->found_cnt = 0;
	session->first_user = 0;
	session->has_go = false;
	gj_locations_trim(session->locations);
	if (!sample->chain) {
		if (sample->is_kernel)
			add_kernel(session, sample->ip);
		else
			add_user(session, sample->ip);
		return;
	}
	for (uint64_t i = 0; i < sample->chain_cnt && i < GJ_MAX_CHAIN; i++) {
		uint64_t ip = sample->chain[i];

		if (ip >= (uint64_t)PERF_CONTEXT_MAX) {
			in_kernel = ip == (uint64_t)PERF_CONTEXT_KERNEL;
			session->first_user = (uint32_t)session->found_cnt;
		} else if (in_kernel) {
			add_kernel(session, ip);
			session->first_user = (uint32_t)session->found_cnt;
		} else {
			add_user(session, ip);
			has_user = true;
		}
	}
	if (!has_user && sample->stack)
		walk_dump(session, sample);
}

/* What the locations and registers show of the goroutine. */
static void gather(const struct gj_session *session, const struct gj_sample *sample,
		   struct gj_gevidence *evidence)
{
	uint32_t all = 0, leaf, root;

	*evidence = (struct gj_gevidence){
		.pid = sample->pid,
		.tid = sample->tid,
		.time_ns = sample->time_ns,
		.is_kernel = sample->is_kernel,
	};
	evidence->g = user_reg(sample, X86_R14, &evidence->has_g);
	evidence->sp = user_reg(sample, X86_SP, &evidence->has_sp);
	if (session->found_cnt == session->first_user)
		return;
	for (size_t i = session->first_user; i < session->found_cnt; i++)
		all |= session->found[i]->classes;
	leaf = session->first_user;
	root = session->found[session->found_cnt - 1]->classes;
	evidence->root_goexit = root & GJ_CLASS_GOEXIT;
	evidence->root_thread = all & GJ_CLASS_ROOT;
	evidence->leaf_is_go = session->found[leaf]->is_go &&
			       !(session->found[leaf]->classes & GJ_CLASS_ASM);
	evidence->has_mcall = all & GJ_CLASS_SCHED;
	evidence->has_systemstack = all & GJ_CLASS_SYSTEMSTACK;
	evidence->has_coroutines = all & GJ_CLASS_COROUTINES;
}

static bool is_complete(const struct gj_session *session)
{
	size_t cnt = session->found_cnt;

	if (!cnt || session->found[cnt - 1]->is_kernel)
		return cnt > 0;
	return session->found[cnt - 1]->classes & (GJ_CLASS_GOEXIT | GJ_CLASS_ROOT);
}

static void put(struct gj_session *session, const struct gj_record *record)
{
	switch (session->options.format) {
	case GJ_FORMAT_PERF:
		gj_report_perf(&session->options.report, record, &session->out);
		break;
	case GJ_FORMAT_JSON:
		gj_report_json(&session->options.report, record, &session->out);
		break;
	case GJ_FORMAT_FOLDED:
		if (gj_folded_add(session->folded, &session->options.report, record))
			complain_memory(session);
		break;
	}
	if (session->out.size_bytes >= OUT_BYTES - (OUT_BYTES >> 2))
		flush(session);
}

bool gj_session_sample(struct gj_session *session, const struct gj_sample *sample)
{
	struct gj_gevidence evidence;
	struct gj_record record = {
		.sample = sample,
		.goid = { .state = GJ_GOID_UNKNOWN, .reason = "off" },
	};

	find_locations(session, sample);
	/* Nothing of Go's in it: the host prints it as ever, in its place among ours. */
	if (!session->has_go && session->options.format == GJ_FORMAT_PERF) {
		flush(session);
		return false;
	}
	if (session->options.goid) {
		gather(session, sample, &evidence);
		gj_goid_find(session->history, &evidence, &record.goid);
	}
	record.locations = session->found;
	record.hows = session->hows;
	record.location_cnt = session->found_cnt;
	record.complete = is_complete(session);
	put(session, &record);
	if (session->out.failed) {
		session->out.failed = false;
		complain_memory(session);
		return false;
	}
	return true;
}
