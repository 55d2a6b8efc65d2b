/* SPDX-License-Identifier: GPL-2.0 */
/*
 * One BPF object for one program that stock bpftool loads and attaches: this
 * build's objects linked, each program that is hooked once for each of its
 * places, with what a loader would have put into maps as a constant.
 */
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "gj_trace_census.h"
#include "load/write.h"

#define DATA_SECTION ".rodata"

/* Of the objects that are for no feature the one that is needed: others serve a loader of ours. */
#define PROCESSES "processes"
/* bpf/processes.bpf.c: meets processes of whose events none is hooked. */
#define ADOPT "gj_adopt"
#define ADOPT_SECTION "raw_tp/sched_switch"

/* Copied, each to its places; run by a loader of ours only. */
static const char *const dropped[] = { "uprobe", "syscall" };

/* An object on its way. */
struct writing {
	const struct gj_trace_options *options;
	char *program; /* path of it; owned */
	struct gj_load_targets targets;
	struct gj_anchors *anchors;
	const struct gj_load_image *images[GJ_LOAD_MAX_OBJECTS];
	size_t image_cnt;
	struct gj_write_places places;
	size_t unnamed_cnt;
	bool must_adopt;
	struct gj_diag why; /* the first feature that cannot be had */
	struct gj_buf unplaced; /* names of features */
	struct gj_buf said; /* lines, each with its NUL */
};

/* Says it when all has gone well: of what fails there is one line. */
static void say(struct writing *writing, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

static void say(struct writing *writing, const char *fmt, ...)
{
	char line[1024];
	va_list args;

	va_start(args, fmt);
	vsnprintf(line, sizeof(line), fmt, args);
	va_end(args);
	gj_buf_add(&writing->said, line, strlen(line) + 1);
}

/* @features: one, or several with commas between. */
static int explain_places(const struct writing *writing, const char *features, int err,
			  struct gj_diag *diag)
{
	if (err == -ENOENT)
		return gj_diag_set(diag, err,
				   "%s cannot be had: %s has no symbols, by which bpftool finds places; gojitter trace needs none, gojitter debuginfo --with-code makes a copy that has them",
				   features, writing->program);
	if (err == -E2BIG)
		return gj_diag_set(diag, err, "%s: %s: more than %d places", features,
				   writing->program, GJ_MAX_OBJECT_PLACES);
	return gj_diag_set(diag, err, "%s: %s", features, strerror(-err));
}

/* Takes a feature's places; what cannot be had is in @diag. */
static int add_places(struct writing *writing, const struct gj_load_image *image,
		      enum gj_feature feature, struct gj_diag *diag)
{
	const struct gj_feature_plan *plan = &writing->targets.binaries[0].plans[feature];
	const char *name = gj_feature_name(feature);
	size_t before = writing->places.cnt, cnt;
	struct gj_diag why = { 0 };
	int err;

	if (plan->err)
		return gj_diag_set(diag, plan->err, "%s cannot be had: %s: %s", name,
				   writing->program, plan->reason);
	err = gj_write_check_kernel(image, &why);
	if (err)
		return gj_diag_set(diag, err, "%s cannot be had in an object: %s", name, why.text);
	err = gj_write_places_add(&writing->places, writing->anchors, writing->program, plan);
	if (err)
		return explain_places(writing, name, err, diag);
	if (plan->reason[0])
		say(writing, "%s: %s", name, plan->reason);
	cnt = writing->places.cnt - before;
	if (cnt)
		say(writing, "%s: hooked at %zu place%s", name, cnt, cnt == 1 ? "" : "s");
	else
		say(writing, "%s: nothing is hooked in the target", name);
	writing->must_adopt |= !cnt;
	return 0;
}

/* 1: taken; 0: not asked for, or not to be had and not asked for by name. */
static int add_feature(struct writing *writing, const struct gj_load_image *image,
		       enum gj_feature feature, struct gj_diag *diag)
{
	struct gj_diag why = { 0 };
	int err;

	if (!(writing->options->features & 1u << feature))
		return 0;
	err = add_places(writing, image, feature, &why);
	if (!err)
		return 1;
	if (!writing->options->is_default || err == -ENOMEM)
		return gj_diag_set(diag, err, "%s", why.text);
	/* What stands in the way of the first is the reason when there is no other. */
	gj_diag_set(&writing->why, err, "%s", why.text);
	if (err == -ENOENT) /* for all alike */
		gj_buf_fmt(&writing->unplaced, "%s%s", writing->unplaced.size_bytes ? ", " : "",
			   gj_feature_name(feature));
	else
		say(writing, "%s", why.text);
	return 0;
}

/* What has been left out for want of symbols, in one line. */
static void say_unplaced(struct writing *writing)
{
	struct gj_diag diag = { 0 };

	if (!writing->unplaced.data[0])
		return;
	explain_places(writing, writing->unplaced.data, -ENOENT, &diag);
	say(writing, "%s", diag.text);
}

static int choose(struct writing *writing, struct gj_diag *diag)
{
	const struct gj_load_image *image;
	unsigned int feature_cnt = 0;

	for (size_t i = 0; (image = gj_load_image(i)); i++) {
		enum gj_feature feature;
		int taken = !strcmp(image->name, PROCESSES);

		if (!gj_feature_find(image->name, strlen(image->name), &feature)) {
			taken = add_feature(writing, image, feature, diag);
			if (taken < 0)
				return taken;
			feature_cnt += (unsigned int)taken;
		}
		if (!taken)
			continue;
		if (writing->image_cnt == GJ_LOAD_MAX_OBJECTS)
			return gj_diag_set(diag, -E2BIG, "more than %d BPF objects",
					   GJ_LOAD_MAX_OBJECTS);
		writing->images[writing->image_cnt++] = image;
	}
	gj_buf_chr(&writing->unplaced, '\0');
	if (writing->unplaced.failed)
		return gj_diag_set(diag, -ENOMEM, "out of memory");
	say_unplaced(writing);
	if (feature_cnt && writing->must_adopt)
		return gj_write_places_add_section(&writing->places, ADOPT, ADOPT_SECTION);
	if (feature_cnt)
		return 0;
	if (writing->why.err == -ENOENT)
		return explain_places(writing, writing->unplaced.data, -ENOENT, diag);
	return gj_diag_set(diag, -EOPNOTSUPP, "%s", writing->why.err ? writing->why.text :
			   "nothing is asked for that this build has");
}

static void fill_given(const struct gj_load_binary *binary, void *to)
{
	struct gj_trace_given given = { .target = binary->target };

	gj_load_exes(binary, given.exes);
	memcpy(to, &given, sizeof(given));
}

/* What the loader puts into maps, which are empty when bpftool makes them. */
static const struct {
	const char *name; /* of the constant in BPF programs */
	size_t size_bytes;
	void (*fill)(const struct gj_load_binary *binary, void *to);
} constants[] = {
	{ "gj_given", sizeof(struct gj_trace_given), fill_given },
	{ "gj_census_given", sizeof(struct gj_census_program), gj_load_census_give },
	{ "gj_reasons_given", sizeof(struct gj_reasons), gj_load_reasons_give },
};

/* .rodata with the constants that the linked objects have. */
static int give(const struct writing *writing, const struct gj_object *object,
		struct gj_buf *data_out)
{
	struct gj_window bytes;
	int err = gj_object_section(object, DATA_SECTION, &bytes);

	if (err)
		return err;
	gj_buf_add(data_out, bytes.base, bytes.size_bytes);
	if (data_out->failed)
		return -ENOMEM;
	for (size_t i = 0; i < sizeof(constants) / sizeof(constants[0]); i++) {
		struct gj_object_symbol symbol;

		err = gj_object_symbol(object, constants[i].name, &symbol);
		if (err == -ENOENT && i) /* of a feature that is not asked for */
			continue;
		if (err || strcmp(symbol.section, DATA_SECTION) ||
		    symbol.size_bytes != constants[i].size_bytes ||
		    !gj_window_holds(bytes, symbol.off, symbol.size_bytes))
			return -EBADMSG;
		constants[i].fill(&writing->targets.binaries[0], data_out->data + symbol.off);
	}
	return 0;
}

static struct gj_window window(const struct gj_buf *buf)
{
	return (struct gj_window){ (const uint8_t *)buf->data, buf->size_bytes };
}

static int edit_object(struct writing *writing, const struct gj_object *object, struct btf *btf,
		       struct gj_buf *out)
{
	struct gj_object_edit edit = {
		.copies = writing->places.copies,
		.copy_cnt = writing->places.cnt,
		.dropped = dropped,
		.dropped_cnt = sizeof(dropped) / sizeof(dropped[0]),
	};
	struct gj_buf data = { 0 }, ext = { 0 };
	uint32_t btf_bytes;
	int err = gj_load_names_add(btf, &writing->targets, &writing->unnamed_cnt);

	if (!err)
		err = give(writing, object, &data);
	if (!err)
		err = gj_write_btf_ext(btf, object, &edit, &ext);
	if (!err) {
		const void *btf_data = btf__raw_data(btf, &btf_bytes);

		edit.replaced[0] = (struct gj_object_bytes){ DATA_SECTION, window(&data) };
		edit.replaced[1] = (struct gj_object_bytes){ BTF_EXT_ELF_SEC, window(&ext) };
		edit.replaced[2] = (struct gj_object_bytes){ BTF_ELF_SEC, { btf_data, btf_bytes } };
		edit.replaced_cnt = 3;
		err = btf_data ? gj_object_write(object, &edit, out) : -ENOMEM;
	}
	gj_buf_deinit(&data);
	gj_buf_deinit(&ext);
	return err;
}

static int compose(struct writing *writing, struct gj_buf *out, struct gj_diag *diag)
{
	struct gj_buf linked = { 0 };
	struct gj_object object;
	struct gj_window bytes;
	struct btf *btf = NULL;
	int err = gj_write_link(writing->images, writing->image_cnt, &linked, diag);

	if (!err)
		err = gj_object_init(window(&linked), &object, diag);
	if (!err)
		err = gj_object_section(&object, BTF_ELF_SEC, &bytes);
	if (!err) {
		btf = btf__new(bytes.base, (uint32_t)bytes.size_bytes);
		err = btf ? edit_object(writing, &object, btf, out) : -errno;
	}
	btf__free(btf);
	gj_buf_deinit(&linked);
	return err ? gj_diag_set(diag, err, "the object cannot be made: %s", strerror(-err)) : 0;
}

static int write_file(const char *path, const struct gj_buf *out, struct gj_diag *diag)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666), err;
	struct stat st;

	if (fd < 0 || fstat(fd, &st)) {
		err = gj_diag_set(diag, -errno, "%s: %s", path, strerror(errno));
		if (fd >= 0)
			close(fd);
		return err;
	}
	err = gj_write_all(fd, out->data, out->size_bytes);
	if (close(fd) && !err)
		err = -errno;
	if (!err)
		return 0;
	/* Half an object; a device stays. */
	if (S_ISREG(st.st_mode))
		unlink(path);
	return gj_diag_set(diag, err, "%s: %s", path, strerror(-err));
}

/* libbpf divides a section's name at the first ':'. */
static int begin(struct writing *writing, const char *path, struct gj_diag *diag)
{
	const char *file = writing->options->files[0];
	struct stat st;
	int err;

	writing->program = realpath(file, NULL);
	if (!writing->program)
		return gj_diag_set(diag, -errno, "%s: %s", file, strerror(errno));
	if (strpbrk(writing->program, ":\n") || strstr(writing->program, "!/"))
		return gj_diag_set(diag, -EINVAL,
				   "%s: bpftool takes no ':', no '!/' and no newline in the path of a program",
				   writing->program);
	err = gj_load_targets_init(&writing->targets, writing->options, diag);
	if (err)
		return err;
	if (!stat(path, &st) && st.st_dev == writing->targets.binaries[0].dev &&
	    st.st_ino == writing->targets.binaries[0].ino)
		return gj_diag_set(diag, -EINVAL, "%s is the program; name another file", path);
	return gj_anchors_new(writing->targets.binaries[0].image, &writing->anchors);
}

static void tell(struct writing *writing, const char *path, size_t size_bytes)
{
	if (writing->unnamed_cnt)
		say(writing, "%zu functions are shown by number: the kernel takes no more names",
		    writing->unnamed_cnt);
	say(writing, "%s: %zu bytes, for %s as it is now", path, size_bytes, writing->program);
	for (size_t i = 0; !writing->said.failed && i < writing->said.size_bytes;
	     i += strlen(writing->said.data + i) + 1)
		writing->options->say(writing->said.data + i);
}

static void deinit(struct writing *writing)
{
	gj_buf_deinit(&writing->unplaced);
	gj_buf_deinit(&writing->said);
	gj_write_places_deinit(&writing->places);
	gj_anchors_free(writing->anchors);
	gj_load_targets_deinit(&writing->targets);
	free(writing->program);
	free(writing);
}

int gj_trace_write_object(const struct gj_trace_options *options, const char *path,
			  struct gj_diag *diag)
{
	struct writing *writing = calloc(1, sizeof(*writing));
	struct gj_buf out = { 0 };
	int err;

	if (!writing)
		return gj_diag_set(diag, -ENOMEM, "out of memory");
	writing->options = options;
	/* What its linker and the test for dots say is for nobody. */
	libbpf_set_print(NULL);
	err = begin(writing, path, diag);
	if (!err)
		err = choose(writing, diag);
	if (!err)
		err = compose(writing, &out, diag);
	if (!err)
		err = write_file(path, &out, diag);
	if (!err)
		tell(writing, path, out.size_bytes);
	gj_buf_deinit(&out);
	deinit(writing);
	return err;
}
