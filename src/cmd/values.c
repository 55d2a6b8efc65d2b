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

bool gj_cmd_time(const char *text, uint64_t *ns_out)
{
	static const struct {
		const char *unit;
		uint64_t ns;
	} units[] = {
		{ "ms", 1000000 }, { "s", 1000000000 }, { "", 1000000000 }, { "m", 60000000000 },
		{ "h", 3600000000000 },
	};
	unsigned int number;

	if (!gj_cmd_number(&text, 1000000, "msh", &number))
		return false;
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
		if (!strcmp(text, units[i].unit)) {
			*ns_out = number * units[i].ns;
			return true;
		}
	return false;
}
