/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What instances of `gojitter trace` have counted, for Prometheus: their pinned
 * iterators are read, nothing else is asked of the kernel. docs/metrics.md.
 */
#ifndef GJ_EXPORT_H
#define GJ_EXPORT_H

#include "base/buf.h"
#include "base/err.h"

#define GJ_EXPORT_FILE "gojitter.prom" /* what the textfile collector takes ends in .prom */

struct gj_exporter;

/*
 * gj_export_text - the text of one instance, or of all
 * @instance: its name; NULL: all there are, which may be none
 * @text_out: added to; in it each family of metrics stands once
 *
 * An instance that goes meanwhile, or has no metrics (a kernel before 5.19), is left out
 * unless it was named. Returns 0, -ENOENT, -EAGAIN when too many read at once, or another
 * negative errno with @diag; what @text_out then has beyond what it had is of no use.
 */
int gj_export_text(const char *instance, struct gj_buf *text_out, struct gj_diag *diag);

/*
 * gj_export_merge - several expositions as one
 * @texts: not ended by 0
 *
 * Lines of a family come together behind its HELP and TYPE, which are the first's that has
 * it. Lines before a text's first "# HELP" are left out. Returns 0 or -ENOMEM.
 */
int gj_export_merge(const struct gj_buf *texts, size_t text_cnt, struct gj_buf *text_out);

/* Puts gj_export_text into @directory/GJ_EXPORT_FILE, whole or not at all. */
int gj_export_to_file(const char *instance, const char *directory, struct gj_diag *diag);

/*
 * gj_exporter_open - serve gj_export_text at http://ADDRESS/metrics
 * @listen: "ADDR:PORT", "[ADDR]:PORT" or ":PORT" (all addresses); port 0: any that is free
 * @instance: lives until gj_exporter_close
 * @port_out: the port it listens at
 *
 * Every request is answered by a thread of its own making, one at a time. Returns 0,
 * -EINVAL for an address that is none, -EOPNOTSUPP where this build has no libmicrohttpd,
 * or another negative errno with @diag.
 */
int gj_exporter_open(const char *listen, const char *instance, struct gj_exporter **exporter_out,
		     unsigned int *port_out, struct gj_diag *diag);
void gj_exporter_close(struct gj_exporter *exporter);

#endif
