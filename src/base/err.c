/* SPDX-License-Identifier: GPL-2.0 */
/* Keeps the first failure of an operation as one printable line. */
#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>

int gj_diag_set(struct gj_diag *diag, int err, const char *fmt, ...)
{
	va_list args;

	if (!diag || diag->err)
		return err;
	diag->err = err;
	va_start(args, fmt);
	vsnprintf(diag->text, sizeof(diag->text), fmt, args);
	va_end(args);
	for (char *c = diag->text; *c; c++)
		if ((unsigned char)*c < 0x20 || *c == 0x7f)
			*c = '?';
	return err;
}
