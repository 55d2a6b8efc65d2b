/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Instances of `gojitter trace`: BPF objects loaded for targets, their maps,
 * programs and links pinned under GJ_TRACE_PINS/<instance>, so that they outlive
 * the command and stock bpftool reads them.
 */
#ifndef GJ_LOAD_H
#define GJ_LOAD_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "probe/feature.h"

#define GJ_TRACE_SAMPLE_HZ 49 /* unless asked for; odd, so as not to fall in step with other timers */

/* Events written to a file while the instance is there, which then is removed. */
struct gj_trace_events {
	const char *path;         /* of the file, which is made anew */
	uint64_t kinds;           /* GJ_EVENT_BIT of each wanted (bpf/gj_trace_events.h) */
	uint32_t buffer_bytes;    /* of all processors together; 0: 16 MiB */
	uint64_t for_ns;          /* 0: until @stop or until no process is left */
	bool by_perf;             /* perf buffers also where the kernel has ring buffers */
	const volatile sig_atomic_t *stop; /* other than 0: end */
};

struct gj_trace_options {
	const char *instance;     /* name of its directory: letters, digits, "_-" (bpffs takes no dots) */
	const uint32_t *pids;     /* processes */
	unsigned int pid_cnt;
	const char *const *files; /* programs: processes they run now, and those to come */
	unsigned int file_cnt;
	uint32_t features;        /* bit N: enum gj_feature N is wanted */
	bool is_default;          /* features nobody asked for by name: what cannot be had is told, and left */
	const struct gj_trace_events *events; /* NULL: none */
	unsigned int sample_hz;   /* of GJ_FEATURE_SAMPLES: a second and processor */
	bool take_over;           /* an instance of that name is replaced */
	uint32_t budget_permille; /* what probes may cost (docs/trace.md); 0: whatever they do */
	bool is_budget_default;   /* nobody asked for it: where it cannot be had, that is told */
	/*
	 * The instance has its name, and a budget: somebody has to call gj_trace_keep for it.
	 * 0 or a negative errno, which is told.
	 */
	int (*keep)(const char *instance);
	bool is_verbose;          /* what libbpf and the kernel's verifier say is said, too */
	/* One line without newline: what is hooked, what it costs, what cannot be had. */
	void (*say)(const char *line);
};

/*
 * gj_trace_start - load, attach and pin, then return
 *
 * With @options->events it returns when these have ended, and the instance is gone.
 *
 * Returns 0, -EEXIST when the instance exists, -EPERM with the capability that is
 * missing, or another negative errno with @diag. On failure nothing stays behind. Not to be
 * called by two threads at once.
 */
int gj_trace_start(const struct gj_trace_options *options, struct gj_diag *diag);

/* Removes an instance, also one that was half made or half removed. -ENOENT. */
int gj_trace_stop(const char *instance, struct gj_diag *diag);

/*
 * Calls @found with the name of each instance until it returns other than 0, which
 * is then returned; a name need not be there any more. Removes what killed ones left.
 */
int gj_trace_instances(int (*found)(void *data, const char *instance), void *data,
		       struct gj_diag *diag);

/*
 * gj_trace_keep - watch over the budget of an instance
 * @say: what is turned off
 *
 * Returns 0 when the instance is gone, or all of its processes where none can come, whose
 * hooks are then removed;
 * -ENOENT, -EINVAL: it has no budget; -EEXIST: another process does it; -EPERM.
 */
int gj_trace_keep(const char *instance, void (*say)(const char *line), struct gj_diag *diag);
/* Calls @found with a line for each feature that is turned off, and each keeper that is missing. */
void gj_trace_report_budgets(void (*found)(const char *line));
/*
 * gj_trace_write_object - an object that stock bpftool loads and attaches
 * @options: one file; features, is_default, say
 * @path: of the object; not of the program
 *
 * bpftool prog loadall @path DIR pinmaps DIR/maps autoattach (7.5 and later)
 * does the rest. The object is for the file as it is now: every place of every
 * feature is a program of its own, which bpftool finds by a symbol of the file.
 *
 * Returns 0; -ENOENT when the file has no symbols and nothing else can be had;
 * -EOPNOTSUPP; -E2BIG; or another negative errno with @diag. On failure no file
 * is left.
 */
int gj_trace_write_object(const struct gj_trace_options *options, const char *path,
			  struct gj_diag *diag);

/* Features whose objects this build has. Bit N: enum gj_feature N. */
uint32_t gj_trace_features(void);

#endif
