/* SPDX-License-Identifier: GPL-2.0 */
/* Capabilities that the kernel wants of who loads BPF programs. */
#include <errno.h>
#include <linux/capability.h>
#include <stdio.h>

#include "load/instance.h"

/* CapEff of /proc/PID/status (kernel Documentation/filesystems/proc.rst). */
static uint64_t effective(void)
{
	FILE *status = fopen("/proc/self/status", "re");
	unsigned long long caps = 0;
	char line[256];

	while (status && fgets(line, sizeof(line), status))
		if (sscanf(line, "CapEff: %llx", &caps) == 1)
			break;
	if (status)
		fclose(status);
	return caps;
}

int gj_load_check_caps(struct gj_diag *diag)
{
	uint64_t caps = effective();
	bool is_admin = caps & 1ull << CAP_SYS_ADMIN;
	bool has_bpf = is_admin || caps & 1ull << CAP_BPF;
	bool has_perfmon = is_admin || caps & 1ull << CAP_PERFMON;

	if (has_bpf && has_perfmon)
		return 0;
	return gj_diag_set(diag, -EPERM, "%s missing; run as root, or with CAP_BPF and CAP_PERFMON",
			   has_bpf ? "CAP_PERFMON is" :
			   has_perfmon ? "CAP_BPF is" : "CAP_BPF and CAP_PERFMON are");
}

bool gj_load_may_ptrace(void)
{
	return effective() & 1ull << CAP_SYS_PTRACE;
}
