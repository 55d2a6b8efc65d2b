/* SPDX-License-Identifier: GPL-2.0 */
/* perf's sample and mapping as ours. */
#include <linux/perf_event.h>
#include <perf/perf_dlfilter.h>

#include "gojitter.h"
#include "plugin.h"

/* Events whose record perf ends with more than the fields all events have. */
static bool has_own_fields(const struct perf_event_attr *attr)
{
	const uint64_t own = PERF_SAMPLE_ADDR | PERF_SAMPLE_DATA_SRC | PERF_SAMPLE_WEIGHT_TYPE |
			     PERF_SAMPLE_PHYS_ADDR | PERF_SAMPLE_DATA_PAGE_SIZE |
			     PERF_SAMPLE_CODE_PAGE_SIZE;

	return attr->type >= PERF_TYPE_RAW && (attr->sample_type & own);
}

bool gj_plugin_sample(const struct perf_dlfilter_sample *from,
		      const struct perf_event_attr *attr, struct gj_sample *sample_out)
{
	uint64_t type = attr ? attr->sample_type : 0;

	*sample_out = (struct gj_sample){
		.size = sizeof(*sample_out),
		.pid = (uint32_t)from->pid,
		.tid = (uint32_t)from->tid,
		.cpu = type & PERF_SAMPLE_CPU ? from->cpu : -1,
		.ip = from->ip,
		.time_ns = from->time,
		.period = from->period,
		.has_time = type & PERF_SAMPLE_TIME,
		.has_period = type & PERF_SAMPLE_PERIOD,
		.is_kernel = from->cpumode == PERF_RECORD_MISC_KERNEL,
		.event = from->event,
		.chain = type & PERF_SAMPLE_CALLCHAIN ? (const uint64_t *)from->raw_callchain : NULL,
		.chain_cnt = from->raw_callchain_nr,
		.raw = from->raw_data,
		.raw_bytes = from->raw_size,
		.host_line = from->raw_data || (attr && has_own_fields(attr)),
	};
	return from->size >= offsetof(struct perf_dlfilter_sample, event) + sizeof(from->event);
}

void gj_plugin_mapping(const struct perf_dlfilter_al *al, struct gj_mapping *mapping_out)
{
	*mapping_out = (struct gj_mapping){
		.dso = al->dso,
		.file_off = al->addr,
		.sym = al->sym,
		.sym_off = al->symoff,
		.build_id = al->buildid_size ? al->buildid : NULL,
		.build_id_bytes = al->buildid_size,
	};
}
