/* SPDX-License-Identifier: GPL-2.0 */
/*
 * src/debuginfo over hand-written tables of every layout: what GNU addr2line
 * reads in the file made from them, where it goes, and that no broken byte and
 * no failing allocation leads anywhere but to an error.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "debuginfo/debuginfo.h"
#include "debuginfo/encode.h"
#include "debuginfo/strmap.h"
#include "gowriter.h"

static struct gw_image file;

#if defined(__SANITIZE_ADDRESS__)
#define HAS_OWN_MALLOC
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define HAS_OWN_MALLOC
#endif
#endif

#ifndef HAS_OWN_MALLOC
/* The allocation that is to fail, counting down to 0; negative: none. */
static long fail_in = -1;

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t cnt, size_t size);
void *__libc_realloc(void *old, size_t size);

static int is_failing(void)
{
	return fail_in >= 0 && fail_in-- == 0;
}

void *malloc(size_t size)
{
	return is_failing() ? NULL : __libc_malloc(size);
}

void *calloc(size_t cnt, size_t size)
{
	return is_failing() ? NULL : __libc_calloc(cnt, size);
}

void *realloc(void *old, size_t size)
{
	return is_failing() ? NULL : __libc_realloc(old, size);
}
#endif

/* Writes the debug file of @file; what comes back is that of the first step that fails. */
static int write_debuginfo(int fd, const struct gj_debuginfo_options *options,
			   struct gj_debuginfo_stats *stats, struct gj_diag *diag)
{
	struct gj_window bytes = { file.bytes, GW_IMAGE_BYTES };
	struct gj_image *image = NULL;
	struct gj_gotab *gotab = NULL;
	int err = gj_image_open_bytes(bytes, "file", &image, diag);

	if (!err)
		err = gj_gotab_open(image, &gotab, diag);
	if (!err)
		err = gj_debuginfo_write(image, gotab, options, fd, stats, diag);
	gj_gotab_close(gotab);
	gj_image_close(image);
	return err;
}

static int new_file(void)
{
	int fd = memfd_create("debuginfo", 0);

	assert_true(fd >= 0);
	return fd;
}

/* What addr2line -f -i says of @va in the file @fd, in one line. */
static void ask_addr2line(int fd, uint64_t va, char *answer, size_t answer_bytes)
{
	char command[128], line[256];
	FILE *pipe;

	snprintf(command, sizeof(command), "addr2line -f -i -e /proc/%d/fd/%d %#llx", getpid(), fd,
		 (unsigned long long)va);
	answer[0] = '\0';
	pipe = popen(command, "r");
	assert_non_null(pipe);
	while (fgets(line, sizeof(line), pipe)) {
		line[strcspn(line, "\n")] = ' ';
		strncat(answer, line, answer_bytes - strlen(answer) - 1);
	}
	assert_int_equal(pclose(pipe), 0);
}

static void assert_answer(int fd, uint64_t va, const char *wanted)
{
	char answer[1024];

	ask_addr2line(fd, va, answer, sizeof(answer));
	assert_string_equal(answer, wanted);
}

static void frames_by_addr2line(void **state)
{
	struct gj_debuginfo_options options = { 0 };
	struct gj_debuginfo_stats stats;
	struct gj_diag diag = { 0 };

	(void)state;
	for (int layout = 0; layout < GW_LAYOUT_CNT; layout++) {
		int fd = new_file();

		gw_write(&file, (enum gw_layout)layout);
		/* addr2line wants a section around each address: segments become sections. */
		gw_put(&file, offsetof(Elf64_Ehdr, e_shoff), 0, 8);
		gw_put(&file, offsetof(Elf64_Ehdr, e_shnum), 0, 2);
		assert_int_equal(write_debuginfo(fd, &options, &stats, &diag), 0);
		assert_int_equal(stats.func_cnt, 2);
		assert_int_equal(stats.inlined_cnt, 1);
		assert_int_equal(stats.broken_cnt, 0);
		assert_int_equal(stats.line_cnt, 4);
		assert_answer(fd, GW_OUTER, "main.outer /src/outer.go:10 ");
		assert_answer(fd, GW_OUTER + 5, layout < GW_1_20 ?
			      "main.inner /src/inner.go:20 main.outer /src/outer.go:11 " :
			      "main.inner /src/inner.go:20 main.outer /src/outer.go:10 ");
		assert_answer(fd, GW_OUTER + 8, "main.outer /src/outer.go:12 ");
		assert_answer(fd, GW_LEAF - 1, "main.outer /src/outer.go:12 ");
		assert_answer(fd, GW_LEAF + 3, "main.leaf /src/outer.go:30 ");
		close(fd);
	}
}

/* Reads what was written with the image reader: a file like the one it goes with. */
static void symbols_and_sections(void **state)
{
	struct gj_debuginfo_options options = { 0 };
	struct gj_elf_symbol symbol;
	struct gj_section section;
	struct gj_image *image;
	int fd = new_file();
	char path[64];

	(void)state;
	gw_write(&file, GW_1_20);
	assert_int_equal(write_debuginfo(fd, &options, NULL, NULL), 0);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	assert_int_equal(gj_image_open(path, &image, NULL), 0);
	/* The image names main.outer itself, main.leaf it does not. */
	assert_int_equal(gj_image_find_symbol(image, "main.outer", &symbol), 0);
	assert_int_equal(symbol.va, GW_OUTER);
	assert_int_equal(gj_image_find_symbol(image, "main.leaf", &symbol), 0);
	assert_int_equal(symbol.va, GW_LEAF);
	assert_int_equal(symbol.size_bytes, GW_ETEXT - GW_LEAF);
	assert_int_equal(symbol.type, STT_FUNC);
	assert_int_equal(gj_image_find_symbol(image, "c_code", &symbol), 0);
	assert_int_equal(symbol.va, GW_BASE + 0x800);
	assert_int_equal(gj_image_section(image, 1, &section), 0);
	assert_string_equal(section.name, ".gopclntab");
	assert_int_equal(section.type, SHT_NOBITS);
	assert_int_equal(section.va, GW_PCLNTAB);
	assert_int_equal(section.file_off, GW_PCLNTAB_OFF);
	assert_int_equal(gj_image_segment(image, 1)->va, GW_MODULEDATA);
	assert_int_equal(gj_image_segment(image, 1)->file_off, GW_MODULEDATA_OFF);
	gj_image_close(image);
	close(fd);
}

static void place_by_path_and_id(void **state)
{
	struct gj_window bytes = { file.bytes, GW_IMAGE_BYTES };
	struct gj_buf place = { 0 }, script = { 0 };
	struct gj_image *image;

	(void)state;
	gw_write(&file, GW_1_20);
	assert_int_equal(gj_image_open_bytes(bytes, "file", &image, NULL), 0);
	assert_int_equal(gj_debuginfo_place(image, "/opt/a", "/root", &place),
			 GJ_DEBUGINFO_BY_PATH);
	assert_string_equal(place.data, "/root/usr/lib/debug/opt/a");
	gj_debuginfo_gdb_script(image, &script);
	assert_false(script.failed);
	gj_image_close(image);
	gj_buf_deinit(&place);
	gj_buf_deinit(&script);
}

static void numbers(void **state)
{
	/* DWARF 4, figures 22 and 23. */
	static const uint8_t wanted[] = { 2, 0x7f, 0x80, 1, 0x81, 1, 0xb9, 0x64,
					  2, 0x7e, 0xff, 0, 0x81, 0x7f, 0x80, 1, 0x80, 0x7f };
	struct gj_buf buf = { 0 };

	(void)state;
	gj_put_uleb(&buf, 2);
	gj_put_uleb(&buf, 127);
	gj_put_uleb(&buf, 128);
	gj_put_uleb(&buf, 129);
	gj_put_uleb(&buf, 12857);
	gj_put_sleb(&buf, 2);
	gj_put_sleb(&buf, -2);
	gj_put_sleb(&buf, 127);
	gj_put_sleb(&buf, -127);
	gj_put_sleb(&buf, 128);
	gj_put_sleb(&buf, -128);
	assert_int_equal(buf.size_bytes, sizeof(wanted));
	assert_memory_equal(buf.data, wanted, sizeof(wanted));
	buf.size_bytes = 0;
	gj_put_uleb(&buf, UINT64_MAX);
	gj_put_sleb(&buf, INT64_MIN);
	assert_int_equal(buf.size_bytes, 20);
	gj_buf_deinit(&buf);
}

static void string_map(void **state)
{
	static char keys[5000][8];
	struct gj_strmap map = { 0 };
	bool is_new;

	(void)state;
	for (unsigned int round = 0; round < 3; round++) {
		for (uint32_t i = 0; i < 5000; i++) {
			snprintf(keys[i], sizeof(keys[i]), "k%u", i);
			*gj_strmap_find(&map, keys[i], strlen(keys[i]), &is_new) = i;
			assert_true(is_new);
		}
		for (uint32_t i = 0; i < 5000; i++) {
			assert_int_equal(*gj_strmap_find(&map, keys[i], strlen(keys[i]), &is_new), i);
			assert_false(is_new);
		}
		/* The length counts: "k1" is not "k10". */
		gj_strmap_find(&map, "k4999", 4, &is_new);
		assert_false(is_new);
		gj_strmap_clear(&map);
	}
	gj_strmap_deinit(&map);
}

/* Words of headers, tables and moduledata replaced by what breaks sums and signs. */
static void hostile_words(void **state)
{
	static const uint64_t values[] = { 0, 0x7fffffff, 0xffffffff, UINT64_MAX };
	struct gj_debuginfo_options options = { 0 };
	int fd = new_file();

	(void)state;
	for (int layout = 0; layout < GW_LAYOUT_CNT; layout++) {
		gw_write(&file, (enum gw_layout)layout);
		for (uint32_t off = 0; off + 8 <= GW_IMAGE_BYTES; off += 4) {
			uint64_t good;

			if ((off > 0xb0 && off < 0x1000) || (off > file.end_off && off < 0x2000))
				continue;
			memcpy(&good, file.bytes + off, 8);
			for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
				gw_put(&file, off, values[i], i < 3 ? 4 : 8);
				options.with_code = i & 1;
				write_debuginfo(fd, &options, NULL, NULL);
				assert_int_equal(ftruncate(fd, 0), 0);
				memcpy(file.bytes + off, &good, 8);
			}
		}
	}
	close(fd);
}

/* A function that reaches over the whole address space makes no output of that size. */
static void bounded_output(void **state)
{
	struct gj_debuginfo_options options = { 0 };
	int fd = new_file();
	struct stat st;

	(void)state;
	gw_write(&file, GW_1_16);
	gw_put(&file, file.functab_off + 2 * 16, UINT64_MAX, 8);
	write_debuginfo(fd, &options, NULL, NULL);
	assert_int_equal(fstat(fd, &st), 0);
	assert_true(st.st_size < 100000);
	close(fd);
}

#ifndef HAS_OWN_MALLOC /* a sanitizer's cannot be replaced */
static void failing_allocations(void **state)
{
	struct gj_debuginfo_options options = { 0 };
	int fd = new_file(), err = -ENOMEM;
	bool reached = true;
	long cnt;

	(void)state;
	gw_write(&file, GW_1_20);
	for (cnt = 0; reached && cnt < 1000; cnt++) {
		struct gj_diag diag = { 0 };

		assert_int_equal(ftruncate(fd, 0), 0);
		fail_in = cnt;
		err = write_debuginfo(fd, &options, NULL, &diag);
		reached = fail_in < 0;
		fail_in = -1;
		/* What is only nice to have, as the release that built the file, may be done without. */
		if (err) {
			assert_int_equal(err, -ENOMEM);
			assert_true(diag.text[0]);
		}
	}
	assert_int_equal(err, 0);
	assert_true(cnt > 20 && cnt < 1000);
	close(fd);
}
#endif

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers),
		cmocka_unit_test(string_map),
		cmocka_unit_test(frames_by_addr2line),
		cmocka_unit_test(symbols_and_sections),
		cmocka_unit_test(place_by_path_and_id),
		cmocka_unit_test(hostile_words),
		cmocka_unit_test(bounded_output),
#ifndef HAS_OWN_MALLOC
		cmocka_unit_test(failing_allocations),
#endif
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
