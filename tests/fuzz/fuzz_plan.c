/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Fuzz target: any bytes as the code of a function that is to be hooked. The
 * first byte says which arguments are needed.
 */
#include <errno.h>
#include <stdlib.h>

#include "../unit/codewriter.h"
#include "probe/feature.h"
#include "seeds.h"

static void check(const struct gj_gofunc *func, const struct gj_probe_plan *plans, int cnt)
{
	for (int i = 0; i < cnt; i++)
		if (plans[i].va < func->entry_va || plans[i].va >= func->end_va ||
		    plans[i].file_off != offsetof(struct cw_image, code) + plans[i].va - CW_TEXT ||
		    (i && plans[i].va < plans[i - 1].va))
			abort();
}

static void plan(const struct gj_image *image, const struct gj_gofunc *func, unsigned int needed_args)
{
	struct gj_probe_plan entry, *plans = NULL;
	int err = gj_probe_plan_entry(image, func, needed_args, &entry, NULL);
	int cnt = gj_probe_plan_returns(image, func, &plans);

	if (!err)
		check(func, &entry, 1);
	/* One that is not code for one is not for the other. */
	if ((err == -EBADMSG) != (cnt == -EBADMSG))
		abort();
	check(func, plans, cnt);
	free(plans);
	for (int is_behind = 0; is_behind < 2; is_behind++) {
		plans = NULL;
		cnt = gj_probe_plan_calls(image, func, func->end_va, is_behind, &plans);
		if (!is_behind)
			check(func, plans, cnt);
		free(plans);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes)
{
	struct cw_image *bytes;
	struct gj_image *image = NULL;
	struct gj_gotab *gotab = NULL;
	struct gj_gofunc func;

	if (size_bytes < 2 || size_bytes - 1 > CW_MAX_CODE_BYTES)
		return 0;
	bytes = calloc(1, sizeof(*bytes));
	if (!bytes)
		return 0;
	cw_write(bytes, "runtime.netpoll", "runtime.gopark", data + 1, (uint32_t)size_bytes - 1);
	if (!gj_image_open_bytes((struct gj_window){ (const uint8_t *)bytes, bytes->size_bytes }, "plan",
				 &image, NULL) &&
	    !gj_gotab_open(image, &gotab, NULL) &&
	    !gj_gotab_find_name(gotab, "runtime.netpoll", &func))
		plan(image, &func, data[0] & 31);
	gj_gotab_close(gotab);
	gj_image_close(image);
	free(bytes);
	return 0;
}

void fuzz_seeds(void)
{
	static const uint8_t checked[] = { 2, 0x49, 0x3b, 0x66, 0x10, 0x76, 0x09, 0x55, 0xe8, 0x04,
					   0, 0, 0, 0x5d, 0xc3, 0xcc, 0xeb, 0xf0 };
	static const uint8_t plain[] = { 0, 0x31, 0xc0, 0xc3, 0xf3, 0xc3 };

	fuzz_seed(checked, sizeof(checked));
	fuzz_seed(plain, sizeof(plain));
}
