/* SPDX-License-Identifier: GPL-2.0 */
/* In place of the loader where BPF programs cannot be built (mk/bpf.mk). */
#include <errno.h>

#include "load/load.h"

static int refuse(struct gj_diag *diag)
{
	return gj_diag_set(diag, -EOPNOTSUPP,
			   "built without BPF; build again with clang, bpftool and libbpf-dev installed");
}

int gj_trace_start(const struct gj_trace_options *options, struct gj_diag *diag)
{
	(void)options;
	return refuse(diag);
}

int gj_trace_stop(const char *instance, struct gj_diag *diag)
{
	(void)instance;
	return refuse(diag);
}

int gj_trace_instances(int (*found)(void *data, const char *instance), void *data,
		       struct gj_diag *diag)
{
	(void)found;
	(void)data;
	return refuse(diag);
}

int gj_trace_keep(const char *instance, void (*say)(const char *line), struct gj_diag *diag)
{
	(void)instance;
	(void)say;
	return refuse(diag);
}

void gj_trace_report_budgets(void (*found)(const char *line))
{
	(void)found;
}

int gj_trace_write_object(const struct gj_trace_options *options, const char *path,
			  struct gj_diag *diag)
{
	(void)options;
	(void)path;
	return refuse(diag);
}

uint32_t gj_trace_features(void)
{
	return 0;
}
