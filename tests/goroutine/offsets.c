/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Prints what one source of offsets says about a binary, for offsets.sh:
 *
 *   offsets FILE all|dwarf|code|table
 *
 * One line "FIELD OFFSET" per field that is known, the TLS slot and the text of
 * `source` (all only). Exit status 1 and the reason when there is nothing.
 */
#include <stdio.h>
#include <string.h>

#include "goroutine/offsets.h"

static void print_field(const char *name, int32_t value)
{
	if (value >= 0)
		printf("%s %d\n", name, value);
}

static void print_offsets(const struct gj_goffsets *offsets)
{
	print_field("g.stack.lo", offsets->g_stack_lo);
	print_field("g.stack.hi", offsets->g_stack_hi);
	print_field("g.m", offsets->g_m);
	print_field("g.sched.sp", offsets->g_sched_sp);
	print_field("g.sched.pc", offsets->g_sched_pc);
	print_field("g.sched.bp", offsets->g_sched_bp);
	print_field("g.syscallsp", offsets->g_syscallsp);
	print_field("g.syscallpc", offsets->g_syscallpc);
	print_field("g.atomicstatus", offsets->g_status);
	print_field("g.goid", offsets->g_goid);
	print_field("g.waitsince", offsets->g_waitsince);
	print_field("g.waitreason", offsets->g_waitreason);
	print_field("g.parentGoid", offsets->g_parent_goid);
	print_field("g.gopc", offsets->g_gopc);
	print_field("g.startpc", offsets->g_startpc);
	print_field("g.labels", offsets->g_labels);
	print_field("m.g0", offsets->m_g0);
	print_field("m.procid", offsets->m_procid);
	print_field("m.gsignal", offsets->m_gsignal);
	print_field("m.curg", offsets->m_curg);
	print_field("m.p", offsets->m_p);
	print_field("m.id", offsets->m_id);
	print_field("m.alllink", offsets->m_alllink);
	if (offsets->tls_g != INT64_MIN)
		printf("tls %lld\n", (long long)offsets->tls_g);
	if (offsets->tls_got_va)
		printf("tls-slot 0x%llx\n", (unsigned long long)offsets->tls_got_va);
	if (offsets->source)
		printf("source %s\n", offsets->source);
}

static int ask(const char *source, const struct gj_image *image, const struct gj_gotab *gotab,
	       struct gj_goffsets *offsets, struct gj_diag *diag)
{
	gj_goffsets_clear(offsets);
	if (!strcmp(source, "dwarf"))
		return gj_goffsets_from_dwarf(image, offsets);
	if (!strcmp(source, "code"))
		return gj_goffsets_from_code(image, gotab, offsets);
	if (!strcmp(source, "table"))
		return gj_goffsets_from_table(gj_gotab_info(gotab)->go_minor, offsets);
	return gj_goffsets_find(image, gotab, offsets, diag);
}

int main(int argc, char **argv)
{
	struct gj_gotab *gotab = NULL;
	struct gj_image *image = NULL;
	struct gj_goffsets offsets;
	struct gj_diag diag = { 0 };
	int err;

	if (argc != 3)
		return 2;
	err = gj_image_open(argv[1], &image, &diag);
	if (!err)
		err = gj_gotab_open(image, &gotab, &diag);
	if (!err)
		err = ask(argv[2], image, gotab, &offsets, &diag);
	if (err)
		printf("error %d %s\n", err, diag.text);
	else
		print_offsets(&offsets);
	gj_gotab_close(gotab);
	gj_image_close(image);
	return err ? 1 : 0;
}
