/* SPDX-License-Identifier: GPL-2.0 */
/* One recording under way; shared by record.c and target.c only. */
#ifndef GJ_RECORD_RECORDING_H
#define GJ_RECORD_RECORDING_H

#include <sys/stat.h>

#include "record/sampler.h"

struct recording {
	struct gj_record_options own; /* what is done, after all */
	const struct gj_record_options *options; /* the same */
	struct gj_programs programs;
	struct gj_watch *watch;
	struct gj_perf_run run;
	struct gj_stack_sampler *sampler; /* NULL: it is not used */
	struct stat before; /* of the output, when that was there */
	bool probed;  /* events are defined and will be recorded */
	bool command_only; /* the command is what is recorded, not just the timer */
};

/* One line to whoever is told what happens. */
void gj_recording_say(const struct recording *recording, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* Whether programs are looked at in order to be probed. */
bool gj_recording_may_probe(const struct recording *recording);

/*
 * Looks at what the options name: the sampler is told of Go programs, those
 * that may be probed are listed. -ESRCH or -ENOENT with @diag when it is not there.
 */
int gj_recording_find_targets(struct recording *recording, struct gj_diag *diag);

#endif
