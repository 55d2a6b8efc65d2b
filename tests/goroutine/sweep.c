/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Spoils each byte of the functions that recipes decode, in a copy of a real Go
 * binary, and asks for the offsets: they may be refused, but none may be wrong.
 *
 *   sweep FILE
 *
 * Prints how many answers were right and how many refused.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "goroutine/offsets.h"

static const char *const functions[] = {
	"runtime.systemstack",    "runtime.mcall",           "runtime.casgstatus",
	"runtime.minit",          "runtime.goroutineheader", "runtime.printcreatedby",
	"runtime.isSystemGoroutine", "runtime.wirep",        "runtime.mcommoninit",
	"runtime.allgadd",
};

struct sweep {
	uint8_t *bytes;
	size_t size_bytes;
	struct gj_goffsets truth;
	unsigned long right_cnt, refused_cnt;
};

static int find(struct sweep *sweep, struct gj_goffsets *offsets, struct gj_diag *diag)
{
	struct gj_window bytes = { sweep->bytes, sweep->size_bytes };
	struct gj_gotab *gotab = NULL;
	struct gj_image *image = NULL;
	/* The name is no file's: DWARF would be read from there. */
	int err = gj_image_open_bytes(bytes, "a spoiled copy", &image, diag);

	if (!err)
		err = gj_gotab_open(image, &gotab, diag);
	if (!err)
		err = gj_goffsets_find(image, gotab, offsets, diag);
	gj_gotab_close(gotab);
	gj_image_close(image);
	return err;
}

/* The same offsets; `source` may be another. */
static bool is_same(const struct gj_goffsets *a, const struct gj_goffsets *b)
{
	return !memcmp(a, b, offsetof(struct gj_goffsets, m_alllink) + sizeof(a->m_alllink)) &&
	       a->tls_g == b->tls_g;
}

static void spoil(struct sweep *sweep, const char *name, uint64_t off, uint64_t size_bytes)
{
	static const uint8_t flips[] = { 0x08, 0x55, 0xff };

	for (uint64_t at = off; at < off + size_bytes; at++)
		for (size_t i = 0; i < sizeof(flips); i++) {
			struct gj_goffsets offsets = { 0 };
			struct gj_diag diag = { 0 };
			int err;

			sweep->bytes[at] ^= flips[i];
			err = find(sweep, &offsets, &diag);
			sweep->bytes[at] ^= flips[i];
			if (!err && is_same(&offsets, &sweep->truth)) {
				sweep->right_cnt++;
			} else if (err == -EBADMSG && diag.text[0]) {
				sweep->refused_cnt++;
			} else {
				printf("%s+%llu: error %d, goid at %d\n", name,
				       (unsigned long long)(at - off), err, offsets.g_goid);
				exit(1);
			}
		}
}

static bool read_file(const char *path, struct sweep *sweep)
{
	FILE *file = fopen(path, "rb");
	long end;

	if (!file || fseek(file, 0, SEEK_END) || (end = ftell(file)) <= 0 ||
	    fseek(file, 0, SEEK_SET))
		return false;
	sweep->size_bytes = (size_t)end;
	sweep->bytes = malloc(sweep->size_bytes);
	return sweep->bytes && fread(sweep->bytes, 1, sweep->size_bytes, file) == sweep->size_bytes &&
	       !fclose(file);
}

int main(int argc, char **argv)
{
	struct sweep sweep = { 0 };
	struct gj_diag diag = { 0 };
	struct gj_gotab *gotab;
	struct gj_image *image;

	if (argc != 2 || !read_file(argv[1], &sweep) || find(&sweep, &sweep.truth, &diag)) {
		printf("usage: sweep FILE (%s)\n", diag.text);
		return 2;
	}
	if (gj_image_open(argv[1], &image, NULL) || gj_gotab_open(image, &gotab, NULL))
		return 2;
	for (size_t i = 0; i < sizeof(functions) / sizeof(functions[0]); i++) {
		struct gj_gofunc func;
		uint64_t off;

		if (gj_gotab_find_name(gotab, functions[i], &func) ||
		    gj_image_va_to_off(image, func.entry_va, &off)) {
			printf("%s is not there\n", functions[i]);
			return 1;
		}
		spoil(&sweep, functions[i], off, func.end_va - func.entry_va);
	}
	gj_gotab_close(gotab);
	gj_image_close(image);
	free(sweep.bytes);
	printf("%lu right, %lu refused\n", sweep.right_cnt, sweep.refused_cnt);
	return 0;
}
