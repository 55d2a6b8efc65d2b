/* SPDX-License-Identifier: GPL-2.0 */
/*
 * One BPF object of an instance: opened, fitted to the targets, loaded. Maps of
 * equal name are one map: the first object makes it, the others get it.
 */
#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "load/instance.h"

/* enum bpf_attach_type of Linux 6.6, newer than the headers of libbpf 1.1. */
#define TRACE_UPROBE_MULTI 48

size_t gj_load_places(const struct gj_load_binary *binary, enum gj_feature feature,
		      const char *program, uint64_t *offs_out)
{
	const struct gj_feature_plan *plan;
	size_t cnt = 0;

	if (feature == GJ_FEATURE_CNT || !(binary->planned & 1u << feature))
		return 0;
	plan = &binary->plans[feature];
	for (unsigned int i = 0; !plan->err && i < plan->hook_cnt; i++) {
		if (strcmp(plan->hooks[i].spec->program, program))
			continue;
		for (unsigned int j = 0; j < plan->hooks[i].plan_cnt; j++, cnt++)
			if (offs_out)
				offs_out[cnt] = plan->hooks[i].plans[j].file_off;
	}
	return cnt;
}

static bool is_hooked(const struct bpf_program *program)
{
	return !strcmp(bpf_program__section_name(program), "uprobe");
}

static int fit_programs(struct gj_load *load, struct gj_load_object *object,
			enum gj_feature feature)
{
	struct bpf_program *program;
	int err = 0;

	bpf_object__for_each_program(program, object->object) {
		size_t cnt = 0;

		if (err || !is_hooked(program))
			continue;
		for (unsigned int i = 0; i < load->targets.binary_cnt; i++)
			cnt += gj_load_places(&load->targets.binaries[i], feature,
					      bpf_program__name(program), NULL);
		object->place_cnt += (uint32_t)cnt;
		if (!cnt)
			err = bpf_program__set_autoload(program, false);
		else if (load->multi != GJ_LOAD_SINGLE)
			err = bpf_program__set_expected_attach_type(
				program, (enum bpf_attach_type)TRACE_UPROBE_MULTI);
	}
	return err;
}

int gj_load_find_map(const struct gj_load *load, const char *name)
{
	for (size_t i = 0; i < load->map_cnt; i++)
		if (!strcmp(load->maps[i].name, name))
			return load->maps[i].fd;
	return -1;
}

/*
 * An object that only reads what others count says so by a constant has_NAME for each
 * map: true where there is one; else it does without, and the map is not made for it.
 */
static int fit_maps(struct gj_load *load, struct bpf_object *object)
{
	struct bpf_map *constants = bpf_object__find_map_by_name(object, ".rodata"), *map;
	struct btf *btf = bpf_object__btf(object);
	int section = btf__find_by_name_kind(btf, ".rodata", BTF_KIND_DATASEC), err = 0;
	const struct btf_type *type = section > 0 ? btf__type_by_id(btf, (uint32_t)section) : NULL;
	size_t size_bytes = 0;
	const void *initial = constants ? bpf_map__initial_value(constants, &size_bytes) : NULL;
	uint8_t *bytes = initial ? malloc(size_bytes) : NULL;

	if (bytes)
		memcpy(bytes, initial, size_bytes);
	else if (initial)
		err = -ENOMEM;
	for (unsigned int i = 0; bytes && type && !err && i < btf_vlen(type); i++) {
		const struct btf_var_secinfo *place = &btf_var_secinfos(type)[i];
		const char *name = btf__name_by_offset(btf, btf__type_by_id(btf, place->type)->name_off);

		if (strncmp(name, "has_", 4) || place->offset >= size_bytes)
			continue;
		map = bpf_object__find_map_by_name(object, name + 4);
		if (!map)
			continue;
		bytes[place->offset] = gj_load_find_map(load, name + 4) >= 0;
		if (!bytes[place->offset])
			err = bpf_map__set_autocreate(map, false);
	}
	if (bytes && !err)
		err = bpf_map__set_initial_value(constants, bytes, size_bytes);
	free(bytes);
	return err;
}

static int share_map(struct gj_load *load, struct bpf_map *map, struct gj_diag *diag)
{
	int fd = bpf_map__is_internal(map) ? -1 : gj_load_find_map(load, bpf_map__name(map));
	struct bpf_map_info info = { 0 };
	uint32_t size_bytes = sizeof(info);

	if (fd < 0)
		return 0;
	if (bpf_obj_get_info_by_fd(fd, &info, &size_bytes))
		return gj_diag_set(diag, -errno, "map %s: %s", bpf_map__name(map), strerror(errno));
	if (info.type != bpf_map__type(map) || info.key_size != bpf_map__key_size(map) ||
	    info.value_size != bpf_map__value_size(map))
		return gj_diag_set(diag, -EINVAL, "map %s: two BPF objects of this build differ on it",
				   bpf_map__name(map));
	return bpf_map__reuse_fd(map, fd);
}

static int share_maps(struct gj_load *load, struct bpf_object *object, struct gj_diag *diag)
{
	struct bpf_map *map;
	int err = fit_maps(load, object);

	bpf_object__for_each_map(map, object)
		if (!err)
			err = share_map(load, map, diag);
	return err;
}

/* Pins what this object made; the others will find it. */
static int keep_maps(struct gj_load *load, struct bpf_object *object, struct gj_diag *diag)
{
	char path[640];
	struct bpf_map *map;

	bpf_object__for_each_map(map, object) {
		const char *name = bpf_map__name(map);

		if (bpf_map__is_internal(map) || !bpf_map__autocreate(map) ||
		    gj_load_find_map(load, name) >= 0)
			continue;
		if (load->map_cnt == GJ_LOAD_MAX_MAPS)
			return gj_diag_set(diag, -E2BIG, "more than %d maps", GJ_LOAD_MAX_MAPS);
		load->maps[load->map_cnt++] =
			(struct gj_load_map){ .name = name, .fd = bpf_map__fd(map) };
		/* Nothing comes there. */
		if (!strcmp(name, "events") && !load->options->events)
			continue;
		snprintf(path, sizeof(path), "%s/%s", load->stage, name);
		if (bpf_obj_pin(bpf_map__fd(map), path))
			return gj_diag_set(diag, -errno, "%s: %s", path, strerror(errno));
	}
	return 0;
}

/* gj_begin: notes our pid namespace, whose numbers the maps then hold. */
static int begin(struct bpf_object *object)
{
	struct bpf_program *program = bpf_object__find_program_by_name(object, "gj_begin");
	LIBBPF_OPTS(bpf_test_run_opts, once);
	int err = program ? bpf_prog_test_run_opts(bpf_program__fd(program), &once) : 0;

	return err < 0 ? err : 0;
}

static int pin_programs(struct gj_load *load, struct bpf_object *object, struct gj_diag *diag)
{
	struct bpf_program *program;
	char path[640];

	bpf_object__for_each_program(program, object) {
		if (!bpf_program__autoload(program) ||
		    bpf_program__type(program) == BPF_PROG_TYPE_SYSCALL)
			continue;
		snprintf(path, sizeof(path), "%s/progs/%s", load->stage, bpf_program__name(program));
		if (bpf_obj_pin(bpf_program__fd(program), path))
			return gj_diag_set(diag, -errno, "%s: %s", path, strerror(errno));
	}
	return 0;
}

/* What made loading fail, in words that tell what to do. */
static int explain(const char *name, int err, struct gj_diag *diag)
{
	if (access("/sys/kernel/btf/vmlinux", R_OK))
		return gj_diag_set(diag, err,
				   "this kernel has no BTF (/sys/kernel/btf/vmlinux, CONFIG_DEBUG_INFO_BTF)");
	if (err == -EPERM)
		return gj_diag_set(diag, err,
				   "%s: this user may not load BPF programs (CAP_BPF and CAP_PERFMON are needed; become root)",
				   name);
	return gj_diag_set(diag, err, "%s: the kernel refuses its BPF programs: %s", name,
			   strerror(-err));
}

static int open_object(struct gj_load *load, const struct gj_load_image *image,
		       struct gj_load_object *object, struct gj_diag *diag)
{
	LIBBPF_OPTS(bpf_object_open_opts, opts, .object_name = image->name);
	size_t unnamed_cnt = 0;
	int err;

	object->name = image->name;
	object->object = bpf_object__open_mem(image->bytes, image->size_bytes, &opts);
	if (!object->object)
		return gj_diag_set(diag, -errno, "%s: its BPF object cannot be read: %s", image->name,
				   strerror(errno));
	err = gj_load_names_add(bpf_object__btf(object->object), &load->targets, &unnamed_cnt);
	if (err)
		return gj_diag_set(diag, err, "%s: names cannot be added: %s", image->name,
				   strerror(-err));
	if (unnamed_cnt > load->unnamed_cnt)
		load->unnamed_cnt = unnamed_cnt;
	return 0;
}

int gj_load_object(struct gj_load *load, const struct gj_load_image *image,
		   enum gj_feature feature, struct gj_diag *diag)
{
	struct gj_load_object object = { 0 };
	int err = open_object(load, image, &object, diag);

	if (!err)
		err = fit_programs(load, &object, feature);
	if (!err)
		err = gj_load_events_fit(load, object.object);
	if (!err)
		err = gj_load_choose_programs(object.object);
	if (!err)
		err = share_maps(load, object.object, diag);
	if (!err && feature == GJ_FEATURE_SAMPLES)
		err = gj_load_samples_fit(load, object.object, diag);
	if (!err) {
		err = bpf_object__load(object.object);
		if (err)
			explain(image->name, err, diag);
	}
	if (!err)
		err = begin(object.object);
	if (err) {
		bpf_object__close(object.object);
		return gj_diag_set(diag, err, "%s: %s", image->name, strerror(-err));
	}
	/* From here on the object is the instance's, whose stage goes as a whole. */
	load->objects[load->object_cnt++] = object;
	err = keep_maps(load, object.object, diag);
	return err ? err : pin_programs(load, object.object, diag);
}
