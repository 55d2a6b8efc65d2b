/* SPDX-License-Identifier: GPL-2.0 */
/* One sample's way: call chain -> locations -> goroutine -> text. */
#include "session/session.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "sample/sample.h"

#define OUT_BYTES (1 << 18)

struct gj_session {
	struct gj_host host;
	struct gj_options options;
	struct gj_dsos *dsos;
	struct gj_locations *locations;
	struct gj_ghistory *history;
	struct gj_folded *folded;
	struct gj_buf out;
	uint64_t written_bytes; /* out of out */
	struct gj_shared shared;
	struct gj_report plain; /* for records without Go: no goroutine */
	bool knows_width;    /* the event names' column */
	bool asked_lines;    /* whether the host has lines of the kernel's source */
	bool has_kernel_lines;
	bool is_full;        /* out of memory, told once */
	char *folded_event;  /* the event whose stacks are counted; owned */
	bool told_event;
	struct gj_chain chain; /* of the sample at hand */
	struct gj_labels labels;
	struct gj_quality *quality; /* NULL: not wanted */
};

static void flush(struct gj_session *session)
{
	if (session->out.size_bytes)
		session->host.write(session->host.data, session->out.data,
				    session->out.size_bytes);
	session->written_bytes += session->out.size_bytes;
	session->out.size_bytes = 0;
}

static void complain_memory(struct gj_session *session)
{
	if (!session->is_full)
		session->host.warn(session->host.data,
				   "out of memory; some samples are left to the host");
	session->is_full = true;
}

/* Without a word on the machine it is one like this. */
static struct gj_reg_numbers regs_of(enum gj_recorded machine)
{
	static const struct gj_reg_numbers amd64 = { GJ_ARCH_AMD64, .g = 22, .sp = 7, .ip = 8 };
	static const struct gj_reg_numbers arm64 = { GJ_ARCH_ARM64, .g = 28, .sp = 31, .ip = 32 };
	static const struct gj_reg_numbers none = { .g = 64, .sp = 64, .ip = 64 };

#ifdef __aarch64__
	if (machine == GJ_RECORDED_UNKNOWN)
		return arm64;
#endif
	if (machine == GJ_RECORDED_ARM64)
		return arm64;
	return machine == GJ_RECORDED_OTHER ? none : amd64;
}

/* 0 or -ENOMEM. */
static int begin_repair(struct gj_session *session)
{
	if (!session->options.repair)
		return 0;
	if (gj_repair_new(&session->chain.repair))
		return -ENOMEM;
	gj_locations_repair(session->locations, session->chain.repair);
	return 0;
}

/* A line on the run. */
static void tell_quality(struct gj_session *session)
{
	struct gj_buf line = { 0 };

	if (!session->quality || !gj_quality_text(session->quality, &line))
		return;
	gj_buf_add(&line, "", 1);
	if (!line.failed)
		session->host.warn(session->host.data, line.data);
	gj_buf_deinit(&line);
}

struct gj_session *gj_session_new(const struct gj_host *host, char *const *args, int arg_cnt)
{
	struct gj_session *session = calloc(1, sizeof(*session));
	struct gj_diag diag = { 0 };

	if (!session) {
		host->warn(host->data, "out of memory");
		return NULL;
	}
	/* A host built against an older header has a smaller struct. */
	memcpy(&session->host, host, host->size < sizeof(*host) ? host->size : sizeof(*host));
	if (gj_options_parse(&session->options, args, arg_cnt, &diag)) {
		host->warn(host->data, diag.text);
		free(session);
		return NULL;
	}
	session->options.prints_file_off = session->host.prints_file_off;
	session->options.report.id_width = session->host.id_width ? session->host.id_width : 7;
	session->dsos = gj_dsos_new(&session->host, session->options.symfs);
	if (session->options.format == GJ_FORMAT_PPROF)
		session->options.pprof = gj_pprof_new(&session->options);
	session->locations = gj_locations_new(&session->options);
	session->history = gj_ghistory_new();
	session->folded = gj_folded_new();
	if (session->options.quality)
		session->quality = gj_quality_new();
	if ((session->options.format == GJ_FORMAT_PPROF && !session->options.pprof) || !session->dsos ||
	    !session->locations || !session->history || !session->folded ||
	    gj_stitcher_new(&session->chain.stitcher) || begin_repair(session) ||
	    !gj_buf_reserve(&session->out, OUT_BYTES)) {
		host->warn(host->data, "out of memory");
		gj_session_end(session);
		return NULL;
	}
	session->chain.host = session->host;
	session->chain.dsos = session->dsos;
	session->chain.locations = session->locations;
	session->chain.regs = regs_of(GJ_RECORDED_UNKNOWN);
	session->chain.max = session->options.max_stack;
	session->plain = session->options.report;
	session->plain.fields &= ~(unsigned int)GJ_FIELD_GOID;
	return session;
}

/* So that whoever reads the chains sees that they are all there. */
static void end_chains(struct gj_session *session)
{
	const struct gj_chain_entry entry = {
		.time_ns = session->written_bytes + session->out.size_bytes,
		.kind = GJ_CHAIN_END,
	};

	gj_buf_add(&session->out, &entry, sizeof(entry));
}

static void end_profile(struct gj_session *session)
{
	struct gj_diag diag = { 0 };

	if (session->options.pprof && gj_pprof_end(session->options.pprof, &diag))
		session->host.warn(session->host.data, diag.text);
}

void gj_session_end(struct gj_session *session)
{
	if (!session)
		return;
	if (session->folded && session->options.format == GJ_FORMAT_FOLDED)
		gj_folded_write(session->folded, &session->out);
	if (session->options.format == GJ_FORMAT_CHAINS)
		end_chains(session);
	flush(session);
	end_profile(session);
	if (session->dsos)
		gj_dsos_sum_up(session->dsos);
	tell_quality(session);
	gj_quality_free(session->quality);
	free(session->folded_event);
	gj_shared_deinit(&session->shared);
	gj_folded_free(session->folded);
	gj_pprof_free(session->options.pprof);
	gj_ghistory_free(session->history);
	gj_locations_free(session->locations);
	/* Before the images that it learnt from. */
	gj_stitcher_free(session->chain.stitcher);
	gj_stack_records_free(session->chain.records);
	gj_repair_free(session->chain.repair);
	gj_dsos_free(session->dsos);
	gj_labels_deinit(&session->labels);
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

/* Whole pages of the file that is mapped there; reading them again brings them back. */
static void give_back(void *data, struct gj_window bytes)
{
	(void)data;
	gj_window_give_back(bytes);
}

/* Switches that were lost must not leave a thread with the goroutine before. */
static void note_gaps(struct gj_session *session, struct gj_window file)
{
	struct losses losses = { .session = session };
	struct gj_diag line = { 0 };

	if (gj_perf_file_gaps(file, note_gap, give_back, &losses) == -ENOMEM)
		complain_memory(session);
	if (session->quality)
		gj_quality_lost(session->quality, losses.lost_cnt);
	if (!losses.lost_cnt)
		return;
	gj_diag_set(&line, -ENOBUFS,
		    "%llu records were lost while recording; until a thread's next switch its goroutine is unknown. Record with a bigger buffer (-m)",
		    (unsigned long long)losses.lost_cnt);
	session->host.warn(session->host.data, line.text);
}

/* What the two-stack sampler left, where it ran. */
static void load_records(struct gj_session *session, struct gj_window file)
{
	struct gj_diag diag = { 0 };
	int err = gj_stack_records_new(file, give_back, NULL, &session->chain.records, &diag);

	if (err == -ENOMEM)
		complain_memory(session);
	else if (err && err != -ENOENT)
		session->host.warn(session->host.data, diag.text);
}

void gj_session_recording(struct gj_session *session, const uint8_t *bytes, size_t size_bytes)
{
	struct gj_window file = { bytes, size_bytes };
	struct gj_diag diag = { 0 };
	uint64_t wall_ns, clock_ns;
	int err = gj_ghistory_load_trailer(session->history, file, &diag);

	if (err && err != -ENOENT)
		session->host.warn(session->host.data, diag.text);
	load_records(session, file);
	session->chain.regs = regs_of(gj_perf_file_machine(file));
	session->plain.event_width = gj_perf_file_event_width(file);
	session->options.report.event_width = session->plain.event_width;
	session->knows_width = session->plain.event_width > 0;
	if (session->options.pprof && !gj_perf_file_clock(file, &wall_ns, &clock_ns))
		gj_pprof_clock(session->options.pprof, wall_ns, clock_ns);
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

/* What a BPF program read of the goroutine in the sample's own interrupt. */
static void gather_record(const struct gj_chain *chain, struct gj_gevidence *evidence)
{
	const struct gj_stack_record *record = &chain->recorded.record;
	int32_t off = chain->go && chain->go->offsets ? chain->go->offsets->g_startpc : -1;

	if (!chain->has_record || !(record->flags & GJ_STACK_G_READ))
		return;
	evidence->has_goid = true;
	evidence->goid = record->goid;
	evidence->root = chain->stack.is_complete ? chain->stack.root : NULL;
	evidence->cur = record->g && record->curg ? record->curg : record->g;
	if (off >= 0)
		gj_stack_sample_read(&chain->recorded, evidence->cur + (uint64_t)off,
				     &evidence->start_pc, sizeof(evidence->start_pc));
}

/* What the locations and registers show of the goroutine. */
static void gather(const struct gj_chain *chain, const struct gj_sample *sample,
		   struct gj_gevidence *evidence)
{
	uint32_t all = 0, root;
	const struct gj_location *leaf;

	*evidence = (struct gj_gevidence){
		.pid = sample->pid,
		.tid = sample->tid,
		.time_ns = sample->time_ns,
		.is_kernel = sample->is_kernel,
	};
	evidence->has_g = gj_sample_reg(sample, chain->regs.g, &evidence->g);
	evidence->has_sp = gj_sample_reg(sample, chain->regs.sp, &evidence->sp);
	gather_record(chain, evidence);
	if (chain->cnt == chain->first_user)
		return;
	for (size_t i = chain->first_user; i < chain->cnt; i++)
		all |= chain->found[i]->classes;
	leaf = chain->found[chain->first_user];
	root = chain->found[chain->cnt - 1]->classes;
	evidence->root_goexit = root & GJ_CLASS_GOEXIT;
	evidence->root_thread = all & GJ_CLASS_ROOT;
	evidence->leaf_is_go = leaf->is_go && !(leaf->classes & GJ_CLASS_ASM);
	evidence->has_mcall = all & GJ_CLASS_SCHED;
	evidence->has_systemstack = all & GJ_CLASS_SYSTEMSTACK;
	evidence->has_coroutines = all & GJ_CLASS_COROUTINES;
}

static int read_record(void *data, uint64_t va, void *bytes_out, size_t size_bytes)
{
	return gj_stack_sample_read(data, va, bytes_out, size_bytes);
}

/* pprof's labels, where a record has them and it is known whose they are. */
static void find_labels(struct gj_session *session, struct gj_record *record)
{
	struct gj_chain *chain = &session->chain;

	if (session->options.format == GJ_FORMAT_PERF || session->options.format == GJ_FORMAT_FOLDED ||
	    record->goid.state != GJ_GOID_KNOWN || !chain->has_record || !chain->go)
		return;
	if (gj_labels_read(chain->recorded.record.labels,
			   gj_gotab_info(chain->go->gotab)->go_minor, read_record,
			   &chain->recorded, &session->labels))
		complain_memory(session);
	record->labels = session->labels.list;
	record->label_cnt = session->labels.cnt;
}

static bool is_complete(const struct gj_chain *chain)
{
	size_t cnt = chain->cnt;

	if (!cnt || chain->found[cnt - 1]->is_kernel)
		return cnt > 0;
	return (chain->is_walked && chain->stack.is_complete) || chain->is_topped ||
	       chain->found[cnt - 1]->classes & (GJ_CLASS_GOEXIT | GJ_CLASS_ROOT);
}

/* format=perf: whether the host has to write the record's first line. */
static bool needs_host_line(const struct gj_session *session, const struct gj_sample *sample)
{
	return sample->host_line || session->options.host_lines ||
	       (!session->knows_width && (session->options.report.fields & GJ_FIELD_EVENT));
}

static enum gj_printer put_perf(struct gj_session *session, const struct gj_record *record)
{
	if (needs_host_line(session, record->sample)) {
		flush(session);
		if (!gj_shared_put(&session->shared, record))
			return GJ_HOST_SHARES;
		complain_memory(session);
		return GJ_HOST_PRINTS;
	}
	gj_report_perf(&session->options.report, record, &session->out);
	return GJ_PRINTED;
}

/* What is written is no text of the host's; all in it is as wide as this machine's. */
static void put_chain(struct gj_session *session, const struct gj_record *record)
{
	const struct gj_chain *chain = &session->chain;
	struct gj_chain_entry entry = {
		.time_ns = record->sample->time_ns,
		.ip = record->sample->ip,
		.tid = record->sample->tid,
		.cpu = record->sample->cpu,
		.kind = record->complete ? GJ_CHAIN_COMPLETE : GJ_CHAIN_CUT,
	};
	size_t first = 0;

	while (first < chain->cnt && chain->found[first]->is_kernel)
		first++;
	entry.va_cnt = (uint32_t)(chain->cnt - first);
	if (!entry.va_cnt)
		return;
	gj_buf_add(&session->out, &entry, sizeof(entry));
	for (size_t i = first; i < chain->cnt; i++)
		gj_buf_add(&session->out, &chain->found[i]->ip, sizeof(chain->found[i]->ip));
}

/* Out of memory: the host prints what we cannot, unless nobody could read that. */
static enum gj_printer give_up(struct gj_session *session)
{
	complain_memory(session);
	flush(session);
	return session->options.format == GJ_FORMAT_CHAINS ? GJ_PRINTED : GJ_HOST_PRINTS;
}

/* @before: the size of the output in front of the record */
static enum gj_printer end_record(struct gj_session *session, enum gj_printer printer,
				  size_t before)
{
	if (session->out.failed) {
		session->out.failed = false;
		session->out.size_bytes = before;
		return give_up(session);
	}
	if (session->options.ordered || session->out.size_bytes >= OUT_BYTES - (OUT_BYTES >> 2))
		flush(session);
	return printer;
}

static enum gj_printer put(struct gj_session *session, const struct gj_record *record)
{
	enum gj_printer printer = GJ_PRINTED;
	size_t before = session->out.size_bytes;

	switch (session->options.format) {
	case GJ_FORMAT_PERF:
		printer = put_perf(session, record);
		break;
	case GJ_FORMAT_JSON:
		gj_report_json(&session->options.report, record, &session->out);
		break;
	case GJ_FORMAT_CHAINS:
		put_chain(session, record);
		break;
	case GJ_FORMAT_FOLDED:
		if (gj_folded_add(session->folded, &session->options.report, record))
			complain_memory(session);
		/* Lines that come twice add up for whoever reads folded stacks. */
		if (gj_folded_bytes(session->folded) > GJ_MAX_FOLDED_BYTES)
			gj_folded_write(session->folded, &session->out);
		break;
	case GJ_FORMAT_PPROF:
		if (gj_pprof_add(session->options.pprof, record) == -ENOMEM)
			complain_memory(session);
		break;
	}
	return end_record(session, printer, before);
}

/*
 * Counts of different events do not add up: without event= the first one seen
 * is counted, as FlameGraph's stackcollapse-perf.pl does it.
 */
static bool is_counted(struct gj_session *session, const char *event)
{
	struct gj_diag line = { 0 };

	if ((session->options.format != GJ_FORMAT_FOLDED && !session->options.pprof) ||
	    session->options.event)
		return true;
	if (!session->folded_event)
		session->folded_event = strdup(event);
	if (!session->folded_event || !strcmp(session->folded_event, event))
		return true;
	gj_diag_set(&line, -EINVAL, "counting %s only; event=%s counts the other",
		    session->folded_event, event);
	if (!session->told_event)
		session->host.warn(session->host.data, line.text);
	session->told_event = true;
	return false;
}

/* False for a record of an event that is not wanted. */
static bool is_wanted(struct gj_session *session, const struct gj_sample *sample)
{
	const char *event = sample->event ? sample->event : "";

	if (session->options.event && strcmp(session->options.event, event))
		return false;
	return is_counted(session, event);
}

/*
 * The kernel's idle loop and threads are most of a recording of a whole machine
 * that is not busy. We print them faster than the host, and alike unless it
 * knows the kernel's inlined calls.
 */
static bool prints_kernel(struct gj_session *session, const struct gj_sample *sample)
{
	const struct gj_host *host = &session->host;

	if (!session->chain.is_all_core || session->options.stop_bt ||
	    needs_host_line(session, sample) || !host->has_lines)
		return false;
	if (!session->asked_lines)
		session->has_kernel_lines = host->has_lines(host->data);
	session->asked_lines = true;
	return !session->has_kernel_lines;
}

/* format=perf: a record without Go is printed as the host would. */
static enum gj_printer put_other(struct gj_session *session, const struct gj_record *record)
{
	size_t before = session->out.size_bytes;

	if (!prints_kernel(session, record->sample)) {
		flush(session);
		return GJ_HOST_PRINTS;
	}
	gj_report_perf(&session->plain, record, &session->out);
	return end_record(session, GJ_PRINTED, before);
}

/* Go's, or C code's of a Go program, walked out of the sampler's record: the host knows less of it. */
static bool is_ours(const struct gj_chain *chain)
{
	return chain->has_go || chain->has_record;
}

enum gj_printer gj_session_sample(struct gj_session *session, const struct gj_sample *sample)
{
	struct gj_chain *chain = &session->chain;
	struct gj_gevidence evidence;
	struct gj_record record = {
		.sample = sample,
		.locations = chain->found,
		.hows = chain->hows,
		.gaps = chain->gaps,
		.goid = { .state = GJ_GOID_UNKNOWN, .reason = "off" },
	};

	if (!is_wanted(session, sample))
		return GJ_PRINTED;
	if (gj_chain_find(chain, sample))
		return give_up(session);
	record.location_cnt = chain->cnt;
	record.leaf = chain->leaf;
	record.complete = is_complete(chain);
	if (session->options.goid && sample->has_goid) {
		record.goid = (struct gj_goid){ .state = GJ_GOID_KNOWN, .goid = sample->goid,
						.source = "host" };
	} else if (session->options.goid &&
		   (is_ours(chain) || session->options.format != GJ_FORMAT_PERF)) {
		gather(chain, sample, &evidence);
		gj_goid_find(session->history, &evidence, &record.goid);
		find_labels(session, &record);
	}
	if (session->quality)
		gj_quality_count(session->quality, chain, &record, session->options.goid);
	if (!is_ours(chain) && session->options.format == GJ_FORMAT_PERF)
		return put_other(session, &record);
	return put(session, &record);
}

void gj_session_shared(struct gj_session *session, const char *text, size_t size_bytes)
{
	struct gj_window printed = { (const uint8_t *)text, size_bytes };
	unsigned int event_width = 0;

	if (!session->shared.is_pending)
		return;
	/* perf script --per-event-dump writes elsewhere. */
	if (!size_bytes) {
		session->shared.is_pending = false;
		return;
	}
	gj_shared_merge(&session->shared, &session->options.report, session->chain.found,
			session->chain.cnt, printed, &session->out, &event_width);
	if (!session->knows_width) {
		session->options.report.event_width = session->plain.event_width = event_width;
		session->knows_width = event_width > 0;
	}
	if (session->out.failed) {
		session->out.failed = false;
		session->out.size_bytes = 0;
		complain_memory(session);
		session->host.write(session->host.data, text, size_bytes);
	}
}
