/* SPDX-License-Identifier: GPL-2.0 */
/* In place of the exporter's HTTP side where libmicrohttpd is not installed. */
#include <errno.h>

#include "export/export.h"

int gj_exporter_open(const char *listen, const char *instance, struct gj_exporter **exporter_out,
		     unsigned int *port_out, struct gj_diag *diag)
{
	(void)listen;
	(void)instance;
	(void)exporter_out;
	(void)port_out;
	return gj_diag_set(diag, -EOPNOTSUPP,
			   "built without HTTP; build again with libmicrohttpd-dev installed, or use --textfile");
}

void gj_exporter_close(struct gj_exporter *exporter)
{
	(void)exporter;
}
