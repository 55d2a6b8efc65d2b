/* SPDX-License-Identifier: GPL-2.0 */
/* The BPF objects of this build, carried in the command; make lists them (mk/bpf.mk). */
#include <string.h>

#include "load/instance.h"

/* What the compiler of BPF programs wrote, byte for byte. */
#define GJ_OBJECT(name, file)                                               \
	__asm__(".pushsection .rodata\n.balign 16\ngj_object_" #name ":\n"  \
		".incbin \"" file "\"\ngj_object_end_" #name ":\n.popsection"); \
	extern const uint8_t gj_object_##name[] __attribute__((visibility("hidden"))); \
	extern const uint8_t gj_object_end_##name[] __attribute__((visibility("hidden")));
#include <objects.h>
#undef GJ_OBJECT

static const struct {
	const char *name;
	const uint8_t *begin, *end;
} objects[] = {
#define GJ_OBJECT(name, file) { #name, gj_object_##name, gj_object_end_##name },
#include <objects.h>
	{ 0 },
};

const struct gj_load_image *gj_load_image(size_t index)
{
	static struct gj_load_image images[sizeof(objects) / sizeof(objects[0])];

	if (!objects[index].name)
		return NULL;
	images[index] = (struct gj_load_image){
		.name = objects[index].name,
		.bytes = objects[index].begin,
		.size_bytes = (size_t)(objects[index].end - objects[index].begin),
	};
	return &images[index];
}

uint32_t gj_trace_features(void)
{
	uint32_t features = 0;
	enum gj_feature feature;

	for (size_t i = 0; objects[i].name; i++)
		if (!gj_feature_find(objects[i].name, strlen(objects[i].name), &feature))
			features |= 1u << feature;
	return features;
}
