/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Call chains out of stack bytes.
 *
 * So far the frame-pointer walk over a dumped stack, for recordings made with
 * --call-graph dwarf, whose call chains hold the kernel part only.
 */
#ifndef GJ_STITCH_H
#define GJ_STITCH_H

#include <stddef.h>
#include <stdint.h>

#include "base/cursor.h"

/*
 * gj_fp_walk - follow saved frame pointers through a stack dump
 * @stack: bytes from @sp upwards
 * @ip, @sp, @fp: user registers of the sample
 * @chain_out: receives @ip and then return addresses, innermost first
 *
 * Each record is {caller's frame pointer, return address} at @fp (amd64 and
 * arm64 alike). The walk goes upwards only and ends at the dump's edge, at a
 * frame pointer that does not rise, or at a zero return address. Returns the
 * number of addresses, at most @max.
 */
size_t gj_fp_walk(struct gj_window stack, uint64_t ip, uint64_t sp, uint64_t fp,
		  uint64_t *chain_out, size_t max);

#endif
