/* SPDX-License-Identifier: GPL-2.0 */
/* In place of sampler.c where BPF programs cannot be built: there is none to be had. */
#include <errno.h>

#include "record/sampler.h"

int gj_sampler_open(unsigned int stack_bytes, unsigned int slice_bytes, uint32_t ring_bytes,
		    void (*say)(const char *line), struct gj_stack_sampler **sampler_out,
		    struct gj_diag *diag)
{
	(void)stack_bytes;
	(void)slice_bytes;
	(void)ring_bytes;
	(void)say;
	(void)sampler_out;
	return gj_diag_set(diag, -EOPNOTSUPP, "gojitter was built without BPF");
}

void gj_sampler_close(struct gj_stack_sampler *sampler)
{
	(void)sampler;
}

/* The others need one; nobody has it. */
int gj_sampler_keep(struct gj_stack_sampler *sampler, const char *output, struct gj_diag *diag)
{
	(void)sampler;
	(void)output;
	(void)diag;
	return -EOPNOTSUPP;
}

int gj_sampler_add_file(struct gj_stack_sampler *sampler, const char *path, struct gj_diag *diag)
{
	return gj_sampler_keep(sampler, path, diag);
}

int gj_sampler_add_process(struct gj_stack_sampler *sampler, uint32_t pid, struct gj_diag *diag)
{
	(void)pid;
	return gj_sampler_keep(sampler, NULL, diag);
}

int gj_sampler_add_live(struct gj_stack_sampler *sampler, uint32_t pid, const struct gj_live *live)
{
	(void)pid;
	(void)live;
	return gj_sampler_keep(sampler, NULL, NULL);
}

int gj_sampler_attach(struct gj_stack_sampler *sampler, pid_t pid)
{
	(void)pid;
	return gj_sampler_keep(sampler, NULL, NULL);
}

int gj_sampler_attach_all(struct gj_stack_sampler *sampler, pid_t pid, unsigned int *set_cnt_out)
{
	*set_cnt_out = 0;
	return gj_sampler_attach(sampler, pid);
}

void gj_sampler_wait(struct gj_stack_sampler *sampler, int most_ms)
{
	(void)sampler;
	(void)most_ms;
}

void gj_sampler_drain(struct gj_stack_sampler *sampler)
{
	(void)sampler;
}

int gj_sampler_finish(struct gj_stack_sampler *sampler, const char *output,
		      struct gj_sampler_totals *totals_out, struct gj_diag *diag)
{
	*totals_out = (struct gj_sampler_totals){ .file_bytes = 0 };
	return gj_sampler_keep(sampler, output, diag);
}
