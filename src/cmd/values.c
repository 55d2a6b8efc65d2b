/* SPDX-License-Identifier: GPL-2.0 */
/* Values of options that more than one subcommand takes. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/cmd.h"

bool gj_cmd_number(const char **text, unsigned long max, const char *ends,
		   unsigned int *number_out)
{
	char *end;
	unsigned long value;

	errno = 0;
	value = strtoul(*text, &end, 10);
	if (end == *text || **text == '-' || errno || value < 1 || value > max ||
	    (*end && !strchr(ends, *end)))
		return false;
	*number_out = (unsigned int)value;
	*text = end;
	return true;
}

bool gj_cmd_pids(const char *text, uint32_t *pids, unsigned int max, unsigned int *cnt)
{
	while (*text) {
		if (*cnt == max || !gj_cmd_number(&text, 1 << 22, ",", &pids[*cnt]))
			return false;
		++*cnt;
		text += *text == ',';
	}
	return *cnt > 0;
}
