// SPDX-License-Identifier: GPL-2.0
/*
 * Reads one real Go binary cut off at every byte of what matters: its headers,
 * the header of .gopclntab, functab, _func records, names, file and pc-value
 * tables, inline trees, moduledata.
 *
 *   sweep FILE
 *
 * Each cut lies against a page that may not be touched, so that one byte read
 * behind it kills the program. Also spoils each 4-byte word of the same places
 * with hostile values. Prints how often it opened a file, and nothing else
 * when all went well.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../unit/exercise.h"

struct sweep {
	struct gj_window file;
	uint8_t *room; /* big enough for the file; behind it the forbidden page */
	size_t room_bytes;
	unsigned long open_cnt;
};

/* The first @size_bytes of the file, ending where the forbidden page begins. */
static uint8_t *place(struct sweep *sweep, size_t size_bytes)
{
	uint8_t *to = sweep->room + sweep->room_bytes - size_bytes;

	memcpy(to, sweep->file.base, size_bytes);
	return to;
}

static void cut_each_byte(struct sweep *sweep, uint64_t off, uint64_t size_bytes)
{
	for (uint64_t i = off; i < off + size_bytes && i < sweep->file.size_bytes; i++) {
		exercise_bytes(place(sweep, i), i);
		sweep->open_cnt++;
	}
}

static void spoil_each_word(struct sweep *sweep, uint64_t off, uint64_t size_bytes)
{
	static const uint32_t values[] = { 0, 1, 0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff };
	uint8_t *copy = place(sweep, sweep->file.size_bytes);

	for (uint64_t i = off; i < off + size_bytes && i + 4 <= sweep->file.size_bytes; i += 4) {
		uint32_t good;

		memcpy(&good, copy + i, 4);
		for (size_t v = 0; v < sizeof(values) / sizeof(values[0]); v++) {
			memcpy(copy + i, &values[v], 4);
			exercise_bytes(copy, sweep->file.size_bytes);
			sweep->open_cnt++;
		}
		memcpy(copy + i, &good, 4);
	}
}

static void both(struct sweep *sweep, uint64_t off, uint64_t size_bytes)
{
	cut_each_byte(sweep, off, size_bytes);
	spoil_each_word(sweep, off, size_bytes);
}

static void sweep_va(struct sweep *sweep, const struct gj_image *image, uint64_t va,
		     uint64_t size_bytes)
{
	uint64_t off;

	if (va && !gj_image_va_to_off(image, va, &off))
		both(sweep, off, size_bytes);
}

/* A record and the tables it names, of the function in the middle that has an inline tree. */
static void sweep_func(struct sweep *sweep, const struct gj_image *image,
		       const struct gj_gotab *gotab)
{
	const struct gj_goinfo *info = gj_gotab_info(gotab);
	struct gj_inline_row row;
	struct gj_gofunc func;
	uint64_t off;

	for (uint32_t i = info->func_cnt / 2; i < info->func_cnt; i++)
		if (!gj_gotab_func(gotab, i, &func) && !gj_gotab_inline(gotab, &func, 0, &row))
			break;
	sweep_va(sweep, image, func.pcdata_va - 48, 160);
	if (!gj_image_va_to_off(image, info->pclntab_va, &off)) {
		uint64_t name_off = (uint64_t)((const uint8_t *)func.name -
					       gj_image_bytes(image).base);

		both(sweep, name_off - 16, 64);
		cut_each_byte(sweep, off + func.pcln_off, 32);
	}
	sweep_va(sweep, image, info->gofunc_va, 32);
}

/* functab begins where the header says; up to Go 1.15 right behind it. */
static void sweep_functab(struct sweep *sweep, const struct gj_image *image,
			  const struct gj_goinfo *info)
{
	static const uint8_t ref_offs[] = {
		[GJ_GOTAB_1_2] = 0, [GJ_GOTAB_1_16] = 56, [GJ_GOTAB_1_18] = 64, [GJ_GOTAB_1_20] = 64,
	};
	uint64_t off = 16;

	if (ref_offs[info->layout])
		gj_window_u64(gj_image_at(image, info->pclntab_va), ref_offs[info->layout], &off);
	sweep_va(sweep, image, info->pclntab_va + off, 256);
}

static void sweep_tables(struct sweep *sweep)
{
	struct gj_gotab *gotab;
	struct gj_image *image;

	if (gj_image_open_bytes(sweep->file, "file", &image, NULL) ||
	    gj_gotab_open(image, &gotab, NULL)) {
		puts("sweep: the file itself does not open");
		exit(1);
	}
	both(sweep, 0, 640); /* ELF and program headers */
	sweep_va(sweep, image, gj_gotab_info(gotab)->pclntab_va, 96);
	sweep_va(sweep, image, gj_gotab_info(gotab)->moduledata_va, 360);
	sweep_functab(sweep, image, gj_gotab_info(gotab));
	sweep_func(sweep, image, gotab);
	/* Everything else, coarsely. */
	for (size_t off = 0; off < sweep->file.size_bytes; off += sweep->file.size_bytes / 300)
		cut_each_byte(sweep, off + off % 7, 1);
	gj_gotab_close(gotab);
	gj_image_close(image);
}

static struct gj_window read_file(const char *path)
{
	struct gj_window win = { NULL, 0 };
	FILE *file = fopen(path, "rb");
	uint8_t *bytes;
	long end;

	if (!file || fseek(file, 0, SEEK_END) || (end = ftell(file)) <= 0 ||
	    fseek(file, 0, SEEK_SET))
		return win;
	bytes = malloc((size_t)end);
	if (bytes && fread(bytes, 1, (size_t)end, file) == (size_t)end)
		win = (struct gj_window){ bytes, (size_t)end };
	fclose(file);
	return win;
}

int main(int argc, char **argv)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	struct sweep sweep = { 0 };

	sweep.file = argc > 1 ? read_file(argv[1]) : sweep.file;
	if (!sweep.file.size_bytes) {
		puts("usage: sweep FILE");
		return 2;
	}
	sweep.room_bytes = (sweep.file.size_bytes + page - 1) & ~(page - 1);
	sweep.room = mmap(NULL, sweep.room_bytes + page, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (sweep.room == MAP_FAILED || mprotect(sweep.room + sweep.room_bytes, page, PROT_NONE))
		return 1;
	sweep_tables(&sweep);
	printf("%lu files opened\n", sweep.open_cnt);
	return 0;
}
