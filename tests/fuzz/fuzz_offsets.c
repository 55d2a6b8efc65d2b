/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Fuzz target: any bytes as the code of one of the runtime's functions that
 * recipes decode. u8 which function, u8 which callee stands behind it, then
 * the code.
 */
#include "../unit/codewriter.h"
#include "goroutine/offsets.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes);

static const char *const callers[] = {
	"runtime.systemstack",       "runtime.mcall",
	"runtime.casgstatus",        "runtime.minit",
	"runtime.goroutineheader",   "runtime.printcreatedby",
	"runtime.isSystemGoroutine", "runtime/pprof.runtime_getProfLabel",
	"runtime.wirep",             "runtime.mcommoninit",
	"runtime.allgadd",
};

static const char *const callees[] = { "runtime.gettid", "runtime.printuint", "runtime.printint",
				       "runtime.findfunc" };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes)
{
	struct gj_cursor cur = gj_cursor_init((struct gj_window){ data, size_bytes });
	uint8_t caller = gj_cursor_u8(&cur), callee = gj_cursor_u8(&cur);
	size_t code_bytes = gj_cursor_left(&cur);
	struct gj_goglobals globals;
	struct gj_goffsets offsets;
	struct gj_gotab *gotab;
	struct gj_image *image;
	struct cw_image file;
	int32_t m_alllink;

	if (!code_bytes || code_bytes > CW_MAX_CODE_BYTES)
		return 0;
	cw_write(&file, callers[caller % (sizeof(callers) / sizeof(callers[0]))],
		 callees[callee % (sizeof(callees) / sizeof(callees[0]))], cur.pos,
		 (uint32_t)code_bytes);
	if (gj_image_open_bytes((struct gj_window){ (uint8_t *)&file, file.size_bytes }, "input",
				&image, NULL))
		return 0;
	if (!gj_gotab_open(image, &gotab, NULL)) {
		gj_goffsets_find(image, gotab, &offsets, NULL);
		gj_goglobals_from_code(image, gotab, &globals, &m_alllink);
		gj_gotab_close(gotab);
	}
	gj_image_close(image);
	return 0;
}
