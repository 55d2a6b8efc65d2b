/* SPDX-License-Identifier: GPL-2.0 */
/*
 * plugin_gojitter.so: the libtraceevent plugin. In whatever prints tracepoints
 * through libtraceevent (perf script, perf trace --libtraceevent_print,
 * trace-cmd report), hits of our probe on runtime.execute read
 *
 *   goroutine 34 starts running main.worker (g=0xc000102380)
 *
 * A handler is registered for one event name, before the host reads any event;
 * the names come from the library. What is not as our recorder makes it is
 * left to the host's own format.
 */
#include <event-parse.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <trace-seq.h>

#include "gojitter.h"
#include "plugin.h"

#define GROUP "gojitter"

/* Found by name; the host's header declares neither. */
int TEP_PLUGIN_LOADER(struct tep_handle *tep);
void TEP_PLUGIN_UNLOADER(struct tep_handle *tep);

/* Hosts load plugins once for each handle, and the unloader gets only the handle. */
struct load {
	struct load *next;
	struct tep_handle *tep;
	struct gj_goexec *goexec;
	struct gj_plugin_file recording; /* bytes NULL: none */
};

static struct load *loads;

/*
 * perf 6.1 has libtraceevent linked in and exports but two dozen functions of
 * it: only those are to be used here.
 */
static bool read_field(const struct tep_record *record, struct tep_event *event,
		       const char *name, uint64_t *value_out)
{
	struct tep_format_field *field = tep_find_any_field(event, name);
	unsigned long long value;

	if (!field || field->offset < 0 || record->size - field->offset < field->size ||
	    tep_read_number_field(field, record->data, &value))
		return false;
	*value_out = value;
	return true;
}

static int print_hit(struct trace_seq *s, struct tep_record *record, struct tep_event *event,
		     void *context)
{
	struct load *load = context;
	struct gj_goexec_hit hit = { .size = sizeof(hit), .event = event->name };
	const char *text;
	uint64_t pid;

	if (!read_field(record, event, "common_pid", &pid) ||
	    !read_field(record, event, "__probe_ip", &hit.probe_ip) ||
	    !read_field(record, event, "g", &hit.g) ||
	    !read_field(record, event, "goid", &hit.goid))
		return -1;
	hit.tid = (uint32_t)pid;
	read_field(record, event, "start_pc", &hit.start_pc);
	text = gj_goexec_text(load->goexec, &hit);
	return text && trace_seq_puts(s, text) > 0 ? 0 : -1;
}

static void free_load(struct load *load)
{
	gj_goexec_free(load->goexec);
	if (load->recording.bytes)
		munmap(load->recording.bytes, load->recording.size_bytes);
	free(load);
}

int TEP_PLUGIN_LOADER(struct tep_handle *tep)
{
	struct load *load = calloc(1, sizeof(*load));
	const char *name;

	if (!load)
		return -1;
	load->tep = tep;
	gj_plugin_map_recording(&load->recording);
	load->goexec = gj_goexec_new(load->recording.bytes, load->recording.size_bytes);
	if (!load->goexec) {
		free_load(load);
		return -1;
	}
	for (size_t i = 0; (name = gj_goexec_event(load->goexec, i)); i++)
		tep_register_event_handler(tep, -1, GROUP, name, print_hit, load);
	load->next = loads;
	loads = load;
	return 0;
}

void TEP_PLUGIN_UNLOADER(struct tep_handle *tep)
{
	struct load **link = &loads, *load;
	const char *name;

	while (*link && (*link)->tep != tep)
		link = &(*link)->next;
	load = *link;
	if (!load)
		return;
	for (size_t i = 0; (name = gj_goexec_event(load->goexec, i)); i++)
		tep_unregister_event_handler(tep, -1, GROUP, name, print_hit, load);
	*link = load->next;
	free_load(load);
}
