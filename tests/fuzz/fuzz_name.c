/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Fuzz target: any text as a symbol name, in every form, and as a JSON string.
 * Input: u8 flags of gj_name_format, then the name up to a NUL or the end.
 */
#include <stdlib.h>
#include <string.h>

#include "demangle/demangle.h"
#include "seeds.h"

/* A JSON string has no bare quote and no control character inside. */
static void check_json(const struct gj_buf *json)
{
	if (json->size_bytes < 2 || json->data[0] != '"' || json->data[json->size_bytes - 1] != '"')
		abort();
	for (size_t i = 1; i + 1 < json->size_bytes; i++) {
		if ((unsigned char)json->data[i] < 0x20 || json->data[i] == '"')
			abort();
		i += json->data[i] == '\\';
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes)
{
	struct gj_buf text = { 0 }, json = { 0 };
	char *name;

	if (!size_bytes)
		return 0;
	name = strndup((const char *)data + 1, size_bytes - 1);
	if (!name)
		return 0;
	gj_name_format(name, data[0], &text);
	/* No form of a name holds a NUL; what grows most is ".0", which becomes "{closure#0}". */
	if (memchr(text.size_bytes ? text.data : "a", '\0', text.size_bytes) ||
	    text.size_bytes > 6 * strlen(name))
		abort();
	gj_buf_chr(&text, '\0');
	if (!text.failed) {
		gj_buf_json(&json, text.data);
		check_json(&json);
	}
	gj_buf_deinit(&json);
	gj_buf_deinit(&text);
	free(name);
	return 0;
}

void fuzz_seeds(void)
{
	static const char *const names[] = {
		"gopkg.in/yaml%2ev3.(*T[go.shape.[]int,go.shape.struct { a int }]).M-fm.abi0",
		"main.main.func1.gowrap2.deferwrap3-range4",
		"main._Cfunc_puts",
		"type:.eq.[2]interface {}",
		"github_0com_1foo_1bar_x2dbaz.F_u20ac_U0001f600_a",
	};
	char seed[128];

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		for (int flags = 0; flags < 8; flags++) {
			seed[0] = (char)flags;
			memcpy(seed + 1, names[i], strlen(names[i]));
			fuzz_seed(seed, 1 + strlen(names[i]));
		}
	}
}
