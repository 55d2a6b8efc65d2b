/* SPDX-License-Identifier: GPL-2.0 */
/*
 * format=pprof: a profile with the sample types of Go's own CPU profile, so that
 * `go tool pprof` and `go build -pgo` take it for one (Go
 * src/cmd/internal/pgo/pprof.go wants samples/count or cpu/nanoseconds, and first
 * lines). Everything is named: nothing is left to be looked up in the binaries.
 *
 * Wrappers are left out of callers, as Go's own profiles do it (Go
 * src/runtime/traceback.go, tracebackPCs): "go f(x)" calls f by one, a method by
 * another receiver comes through one.
 *
 * The text of a location is its number in the profile, four bytes.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "pprof/pprof.h"
#include "session/session.h"

/* What the linker marks wrappers of one program with: _func.funcID. */
struct wrapper_id {
	const struct gj_dso *dso;
	unsigned int id;
};

struct gj_pprof {
	const struct gj_options *options;
	struct gj_profile_builder *builder;
	struct gj_buf event;          /* name, NUL-terminated; empty before the first sample */
	bool is_clock;                /* its periods are ns of CPU time */
	int64_t period;               /* of all samples so far; 0: they differ */
	uint64_t first_ns, last_ns;   /* of samples, recording's clock; 0: none */
	uint64_t wall_ns, clock_ns;   /* one moment by two clocks; 0: unknown */
	uint64_t left_out_cnt;        /* samples for which the profile had no room */
	uint32_t program;             /* mapping of the Go program met first */
	struct wrapper_id *wrappers;  /* owned; one for each Go program met */
	size_t wrapper_cnt;
};

struct gj_pprof *gj_pprof_new(const struct gj_options *options)
{
	struct gj_pprof *pprof = calloc(1, sizeof(*pprof));

	if (!pprof)
		return NULL;
	pprof->options = options;
	pprof->program = GJ_PROFILE_NONE;
	pprof->builder = gj_profile_builder_new(2);
	if (!pprof->builder) {
		free(pprof);
		return NULL;
	}
	return pprof;
}

void gj_pprof_free(struct gj_pprof *pprof)
{
	if (!pprof)
		return;
	gj_profile_builder_free(pprof->builder);
	gj_buf_deinit(&pprof->event);
	free(pprof->wrappers);
	free(pprof);
}

void gj_pprof_clock(struct gj_pprof *pprof, uint64_t wall_ns, uint64_t clock_ns)
{
	pprof->wall_ns = wall_ns;
	pprof->clock_ns = clock_ns;
}

/* The build id as recorded, else as the file has it. */
static void add_build_id(const struct gj_dso *dso, struct gj_buf *out)
{
	struct gj_window id = { dso->build_id, dso->build_id_bytes };

	if (!id.size_bytes && dso->image)
		id = gj_image_build_id(dso->image);
	for (size_t i = 0; i < id.size_bytes; i++)
		gj_buf_fmt(out, "%02x", id.base[i]);
	gj_buf_chr(out, '\0');
}

/*
 * A file is one mapping, where the first process had it: later ones' addresses
 * are told as if they had it there too.
 */
static int add_file(struct gj_pprof *pprof, const struct gj_dso *dso, uint64_t file_off,
		    const struct gj_location *location, uint32_t *index_out, uint64_t *va_out)
{
	bool has_text = file_off >= dso->text_off && file_off < dso->text_end_off;
	uint64_t start_off = has_text ? dso->text_off : file_off & ~(uint64_t)0xfff;
	struct gj_profile_mapping file = {
		.start_va = location->ip - (file_off - start_off),
		.file_off = start_off,
		.filename = dso->path,
	};
	struct gj_profile_mapping *added;
	struct gj_buf id = { 0 };
	int err = -ENOMEM;

	file.limit_va = file.start_va + (has_text ? dso->text_end_off - dso->text_off : 0x1000);
	add_build_id(dso, &id);
	file.build_id = id.data;
	if (!id.failed)
		err = gj_profile_add_mapping(pprof->builder, &file, index_out);
	gj_buf_deinit(&id);
	if (err)
		return err;
	added = gj_profile_mapping_at(pprof->builder, *index_out);
	added->has_functions |= location->frames[0].name != NULL;
	added->has_filenames = added->has_lines = added->has_inlines = added->has_functions;
	*va_out = added->start_va + (file_off - start_off);
	if (location->is_go && pprof->program == GJ_PROFILE_NONE)
		pprof->program = *index_out;
	return 0;
}

/* The kernel proper, the vdso, unmapped memory: as wide as the addresses seen in it. */
static int add_other(struct gj_pprof *pprof, const struct gj_location *location,
		     uint32_t *index_out)
{
	struct gj_profile_mapping other = {
		.start_va = location->ip & ~(uint64_t)0xfff,
		.filename = location->dso ? location->dso : "",
		.build_id = "",
	};
	struct gj_profile_mapping *added;
	int err;

	other.limit_va = other.start_va + 0x1000;
	*index_out = GJ_PROFILE_NONE;
	if (!location->dso)
		return 0;
	err = gj_profile_add_mapping(pprof->builder, &other, index_out);
	if (err)
		return err;
	added = gj_profile_mapping_at(pprof->builder, *index_out);
	if (other.start_va < added->start_va)
		added->start_va = other.start_va;
	if (other.limit_va > added->limit_va)
		added->limit_va = other.limit_va;
	added->has_functions |= location->frames[0].name != NULL;
	added->has_filenames = added->has_lines = added->has_inlines = added->has_functions;
	return 0;
}

/*
 * The number of wrappers is the highest (Go src/internal/abi/symtab.go): 23 since
 * Go 1.25, 22 since 1.22, at least 21 before. A program without any has a lower one.
 */
static unsigned int find_wrapper_id(const struct gj_gotab *gotab)
{
	const struct gj_goinfo *info = gj_gotab_info(gotab);
	unsigned int highest = 0, least = info->go_minor >= 25 ? 23 : info->go_minor >= 22 ? 22 : 21;
	struct gj_gofunc func;

	for (uint32_t i = 0; i < info->func_cnt; i++)
		if (!gj_gotab_func(gotab, i, &func) && func.func_id > highest)
			highest = func.func_id;
	return highest >= least ? highest : UINT_MAX;
}

static unsigned int wrapper_id_of(struct gj_pprof *pprof, const struct gj_dso *dso)
{
	unsigned int id;
	struct wrapper_id *wrappers;

	for (size_t i = 0; i < pprof->wrapper_cnt; i++)
		if (pprof->wrappers[i].dso == dso)
			return pprof->wrappers[i].id;
	id = find_wrapper_id(dso->gotab);
	wrappers = reallocarray(pprof->wrappers, pprof->wrapper_cnt + 1, sizeof(*wrappers));
	if (wrappers) {
		pprof->wrappers = wrappers;
		wrappers[pprof->wrapper_cnt++] = (struct wrapper_id){ dso, id };
	}
	return id;
}

/* Whether the function that holds a call is a wrapper. */
static bool is_wrapper(struct gj_pprof *pprof, const struct gj_dso *dso, uint64_t file_off)
{
	struct gj_gofunc func;
	uint64_t va;

	return !gj_image_off_to_va(dso->image, file_off, &va) &&
	       !gj_gotab_find_func(dso->gotab, va - 1, &func) &&
	       func.func_id == wrapper_id_of(pprof, dso);
}

/* Innermost first. *@cnt_out is less than the location's where inlined ones are not shown. */
static int add_lines(struct gj_pprof *pprof, const struct gj_location *location,
		     struct gj_profile_line *lines, uint32_t *cnt_out)
{
	uint32_t cnt = 0;
	int err = 0;

	for (uint32_t i = 0; !err && i < location->frame_cnt && cnt < GJ_MAX_INLINE_DEPTH + 1; i++) {
		const struct gj_frame *frame = &location->frames[i];
		const struct gj_profile_function function = {
			.name = frame->name,
			.system_name = frame->name,
			.filename = frame->file ? frame->file : "",
			.start_line = frame->start_line,
		};

		if (!frame->name || (frame->inlined && !pprof->options->report.inlines))
			continue;
		lines[cnt].line = frame->line;
		err = gj_profile_add_function(pprof->builder, &function, &lines[cnt++].function);
	}
	*cnt_out = cnt;
	return err;
}

void gj_pprof_location(struct gj_pprof *pprof, const struct gj_dso *dso, uint64_t file_off,
		       bool is_return, const struct gj_location *location, struct gj_buf *text)
{
	struct gj_profile_line lines[GJ_MAX_INLINE_DEPTH + 1];
	struct gj_profile_location profiled = { .address_va = location->ip, .lines = lines };
	uint32_t index = GJ_PROFILE_NONE;
	int err;

	/* Modules of the kernel have a file, but are mapped by nobody. */
	if (dso && !location->is_kernel)
		err = add_file(pprof, dso, file_off, location, &profiled.mapping,
			       &profiled.address_va);
	else
		err = add_other(pprof, location, &profiled.mapping);
	/* Inside the call. */
	if (is_return)
		profiled.address_va--;
	if (!err)
		err = add_lines(pprof, location, lines, &profiled.line_cnt);
	if (is_return && location->is_go && profiled.line_cnt && is_wrapper(pprof, dso, file_off))
		profiled.line_cnt--;
	/* Nothing of the wrapper is left: no location. */
	if (!err && (profiled.line_cnt || !location->is_go))
		err = gj_profile_add_location(pprof->builder, &profiled, &index);
	if (err)
		text->failed = true;
	else
		gj_buf_add(text, &index, sizeof(index));
}

static struct gj_profile_label *text_label(struct gj_profile_label *label, const char *key,
					   const char *value)
{
	*label = (struct gj_profile_label){ .key = key, .str = value };
	return label + 1;
}

/* Without a unit 0 is no label at all to readers. */
static struct gj_profile_label *number_label(struct gj_profile_label *label, const char *key,
					     uint64_t value, const char *unit)
{
	*label = (struct gj_profile_label){ .key = key, .num = (int64_t)value, .unit = unit };
	return label + 1;
}

/* At most GJ_MAX_PPROF_LABELS. @thread: memory for the text of one */
static uint32_t add_labels(const struct gj_pprof *pprof, const struct gj_record *record,
			   struct gj_profile_label *labels, struct gj_buf *thread)
{
	const struct gj_sample *sample = record->sample;
	unsigned int wanted = pprof->options->labels;
	struct gj_profile_label *at = labels;

	if (wanted & GJ_LABEL_GOID && record->goid.state == GJ_GOID_KNOWN)
		at = number_label(at, "goid", record->goid.goid, "");
	if (wanted & GJ_LABEL_THREAD) {
		gj_buf_fmt(thread, "%s/%u", sample->comm ? sample->comm : "", sample->tid);
		gj_buf_chr(thread, '\0');
		if (!thread->failed)
			at = text_label(at, "thread", thread->data);
	}
	if (wanted & GJ_LABEL_CPU && sample->cpu >= 0)
		at = number_label(at, "cpu", (uint64_t)sample->cpu, "cpu");
	/* The format has no empty text: it would be the number 0. */
	for (size_t i = 0; wanted & GJ_LABEL_PPROF && i < record->label_cnt &&
			   at < labels + GJ_MAX_PPROF_LABELS; i++)
		if (*record->labels[i].value)
			at = text_label(at, record->labels[i].key, record->labels[i].value);
	return (uint32_t)(at - labels);
}

/* The numbers of the record's locations, leaf first. */
static uint32_t take_locations(const struct gj_pprof *pprof, const struct gj_record *record,
			       uint32_t *locations)
{
	uint32_t cnt = 0;

	for (size_t i = 0; i < record->location_cnt; i++) {
		const struct gj_location *location = record->locations[i];

		if (location->is_kernel && !pprof->options->kernel)
			continue;
		memcpy(&locations[cnt], location->text, sizeof(*locations));
		cnt += locations[cnt] != GJ_PROFILE_NONE;
	}
	return cnt;
}

/* cpu-clock and task-clock count nanoseconds (Linux kernel/events/core.c). */
static void note_sample(struct gj_pprof *pprof, const struct gj_sample *sample)
{
	const char *event = sample->event ? sample->event : "";

	if (!pprof->event.size_bytes) {
		/* Without modifiers: cycles:u is cycles. A tracepoint's name has a ':' of its own. */
		const char *colon = strchr(event, ':');
		bool has_modifier = colon && strspn(colon + 1, "ukhIGHpPSDWeb") == strlen(colon + 1);

		gj_buf_add(&pprof->event, event, has_modifier ? (size_t)(colon - event) : strlen(event));
		gj_buf_chr(&pprof->event, '\0');
		pprof->is_clock = !strncmp(event, "cpu-clock", 9) || !strncmp(event, "task-clock", 10);
		pprof->period = (int64_t)sample->period;
	}
	if (pprof->period != (int64_t)sample->period)
		pprof->period = 0;
	if (!sample->has_time)
		return;
	if (!pprof->first_ns || sample->time_ns < pprof->first_ns)
		pprof->first_ns = sample->time_ns;
	if (sample->time_ns > pprof->last_ns)
		pprof->last_ns = sample->time_ns;
}

int gj_pprof_add(struct gj_pprof *pprof, const struct gj_record *record)
{
	struct gj_profile_label labels[GJ_MAX_PPROF_LABELS];
	uint32_t locations[GJ_MAX_CHAIN];
	const int64_t values[2] = { 1, (int64_t)record->sample->period };
	struct gj_profile_sample sample = { .locations = locations, .values = values,
					    .labels = labels };
	struct gj_buf thread = { 0 };
	int err;

	note_sample(pprof, record->sample);
	sample.location_cnt = take_locations(pprof, record, locations);
	/* With kernel=off, one of a kernel thread. */
	if (!sample.location_cnt)
		return 0;
	sample.label_cnt = add_labels(pprof, record, labels, &thread);
	err = gj_profile_add_sample(pprof->builder, &sample);
	gj_buf_deinit(&thread);
	if (err == -E2BIG)
		pprof->left_out_cnt++;
	return err;
}

static int write_out(const char *path, const struct gj_buf *bytes, struct gj_diag *diag)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	size_t done_bytes = 0;
	ssize_t cnt = 0;
	int err = 0;

	if (fd < 0)
		return gj_diag_set(diag, -errno, "%s: %s", path, strerror(errno));
	while (done_bytes < bytes->size_bytes && cnt >= 0) {
		cnt = write(fd, bytes->data + done_bytes, bytes->size_bytes - done_bytes);
		done_bytes += cnt > 0 ? (size_t)cnt : 0;
	}
	if (cnt < 0)
		err = gj_diag_set(diag, -errno, "%s: %s", path, strerror(errno));
	if (close(fd) && !err)
		err = gj_diag_set(diag, -errno, "%s: %s", path, strerror(errno));
	return err;
}

/* Readers take the first mapping for the program. */
static void put_program_first(const struct gj_pprof *pprof, struct gj_profile *profile)
{
	struct gj_profile_mapping *mappings = (struct gj_profile_mapping *)(uintptr_t)profile->mappings;
	struct gj_profile_location *locations =
		(struct gj_profile_location *)(uintptr_t)profile->locations;
	uint32_t program = pprof->program;
	struct gj_profile_mapping first;

	if (program == GJ_PROFILE_NONE || !program)
		return;
	first = mappings[0];
	mappings[0] = mappings[program];
	mappings[program] = first;
	for (size_t i = 0; i < profile->location_cnt; i++) {
		if (locations[i].mapping == program)
			locations[i].mapping = 0;
		else if (!locations[i].mapping)
			locations[i].mapping = program;
	}
}

int gj_pprof_end(struct gj_pprof *pprof, struct gj_diag *diag)
{
	struct gj_profile_type types[2] = { { "samples", "count" }, { "cpu", "nanoseconds" } };
	struct gj_profile profile = { .types = types, .type_cnt = 2, .period = pprof->period };
	struct gj_buf out = { 0 };
	int err;

	if (!pprof->is_clock && pprof->event.size_bytes && !pprof->event.failed)
		types[1] = (struct gj_profile_type){ pprof->event.data, "count" };
	profile.period_type = types[1];
	profile.duration_ns = (int64_t)(pprof->last_ns - pprof->first_ns);
	if (pprof->wall_ns && pprof->first_ns)
		profile.time_ns = (int64_t)(pprof->wall_ns + (pprof->first_ns - pprof->clock_ns));
	gj_profile_builder_view(pprof->builder, &profile);
	put_program_first(pprof, &profile);
	err = gj_profile_write(&profile, &out);
	if (err)
		gj_diag_set(diag, err, "out of memory; no profile is written");
	else
		err = write_out(pprof->options->output, &out, diag);
	gj_buf_deinit(&out);
	if (!err && pprof->left_out_cnt)
		err = gj_diag_set(diag, -E2BIG,
				  "%llu samples are not in the profile, which has no room for more stacks; give fewer labels (labels=none)",
				  (unsigned long long)pprof->left_out_cnt);
	return err;
}
