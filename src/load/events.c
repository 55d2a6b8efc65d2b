/* SPDX-License-Identifier: GPL-2.0 */
/* Which events the programs of an instance tell, and through which kind of buffer. */
#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "gj_trace_events.h"
#include "load/instance.h"

bool gj_load_events_need_perf(const struct gj_load *load)
{
	return (load->options->events && load->options->events->by_perf) ||
	       libbpf_probe_bpf_map_type(BPF_MAP_TYPE_RINGBUF, NULL) == 0;
}

/* Where variable @name is in the object's .rodata; -ENOENT. */
static int find_variable(const struct btf *btf, const char *name)
{
	int section = btf__find_by_name_kind(btf, ".rodata", BTF_KIND_DATASEC);
	const struct btf_type *type = section > 0 ? btf__type_by_id(btf, (uint32_t)section) : NULL;

	for (unsigned int i = 0; type && i < btf_vlen(type); i++) {
		const struct btf_var_secinfo *variable = &btf_var_secinfos(type)[i];
		const struct btf_type *of = btf__type_by_id(btf, variable->type);

		if (!strcmp(btf__name_by_offset(btf, of->name_off), name))
			return (int)variable->offset;
	}
	return -ENOENT;
}

static int set_variable(struct bpf_object *object, const char *name, const void *value,
			size_t value_bytes)
{
	int off = find_variable(bpf_object__btf(object), name);
	struct bpf_map *map;

	bpf_object__for_each_map(map, object) {
		size_t size_bytes = 0;
		char *bytes = bpf_map__is_internal(map) && strstr(bpf_map__name(map), ".rodata") ?
			(char *)bpf_map__initial_value(map, &size_bytes) : NULL;

		if (!bytes || off < 0 || (size_t)off + value_bytes > size_bytes)
			continue;
		memcpy(bytes + off, value, value_bytes);
		return 0;
	}
	return -ENOENT;
}

/* A power of two; the kernel wants whole pages. */
static uint32_t ring_bytes(const struct gj_load *load)
{
	uint32_t page_bytes = (uint32_t)sysconf(_SC_PAGESIZE), bytes = page_bytes;
	uint32_t wanted = load->options->events->buffer_bytes;

	while (bytes < (wanted ? wanted : GJ_LOAD_EVENTS_BYTES) && bytes < 1u << 31)
		bytes *= 2;
	return bytes;
}

static int fit_map(const struct gj_load *load, struct bpf_map *map)
{
	int err;

	if (!load->events_by_perf)
		return bpf_map__set_max_entries(map, load->options->events ?
							     ring_bytes(load) :
							     (uint32_t)sysconf(_SC_PAGESIZE));
	err = bpf_map__set_type(map, BPF_MAP_TYPE_PERF_EVENT_ARRAY);
	if (!err)
		err = bpf_map__set_key_size(map, sizeof(uint32_t));
	if (!err)
		err = bpf_map__set_value_size(map, sizeof(uint32_t));
	return err ? err : bpf_map__set_max_entries(map, (uint32_t)libbpf_num_possible_cpus());
}

int gj_load_events_fit(const struct gj_load *load, struct bpf_object *object)
{
	struct bpf_map *map = bpf_object__find_map_by_name(object, "events");
	uint64_t kinds = load->options->events ? load->options->events->kinds : 0;
	bool by_perf = load->events_by_perf;
	int err;

	if (!map)
		return 0;
	err = fit_map(load, map);
	if (!err)
		err = set_variable(object, "gj_event_mask", &kinds, sizeof(kinds));
	return err ? err : set_variable(object, "gj_events_by_perf", &by_perf, sizeof(by_perf));
}
