/* SPDX-License-Identifier: GPL-2.0 */
/* src/elf/maps.c: lines as the kernel writes them, broken ones, and load biases. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <elf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "elf/elf.h"
#include "gowriter.h"

static int open_text(const char *text, size_t size_bytes, struct gj_maps **maps_out,
		     struct gj_diag *diag)
{
	char path[] = "/tmp/gojitter-maps-XXXXXX";
	int fd = mkstemp(path), err;

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, size_bytes), size_bytes);
	close(fd);
	err = gj_maps_open(path, maps_out, diag);
	unlink(path);
	return err;
}

static struct gj_maps *maps_of(const char *text)
{
	struct gj_diag diag = { 0 };
	struct gj_maps *maps;

	if (open_text(text, strlen(text), &maps, &diag))
		fail_msg("%s", diag.text);
	return maps;
}

static const char sample[] =
	"00400000-00482000 r--p 00000000 fe:01 131087                             /srv/a program (deleted)\n"
	"00482000-0052a000 r-xp 00082000 fe:01 131087                             /srv/a program (deleted)\n"
	"0052a000-0052b000 rwxs 0012a000 103:0a 18446744073709551615              /srv/new\\012line\n"
	"7ffe43f9a000-7ffe43fbb000 rw-p 00000000 00:00 0                          [stack]\n"
	"7ffe43fc0000-7ffe43fc4000 ---p 00000000 00:00 0 \n"
	"ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0                  [vsyscall]\n";

static void lines(void **state)
{
	struct gj_maps *maps = maps_of(sample);
	const struct gj_vma *vma = gj_maps_vma(maps, 1);

	(void)state;
	assert_int_equal(vma->start_va, 0x482000);
	assert_int_equal(vma->end_va, 0x52a000);
	assert_int_equal(vma->file_off, 0x82000);
	assert_int_equal(vma->flags, PF_R | PF_X);
	assert_int_equal(vma->inode, 131087);
	assert_int_equal(vma->dev_major, 0xfe);
	assert_int_equal(vma->dev_minor, 1);
	assert_true(vma->is_deleted);
	assert_false(vma->is_shared);
	assert_string_equal(vma->path, "/srv/a program");
	vma = gj_maps_vma(maps, 2);
	assert_true(vma->is_shared);
	assert_false(vma->is_deleted);
	assert_int_equal(vma->flags, PF_R | PF_W | PF_X);
	assert_int_equal(vma->dev_major, 0x103);
	assert_true(vma->inode == UINT64_MAX);
	assert_string_equal(vma->path, "/srv/new\nline");
	assert_string_equal(gj_maps_vma(maps, 3)->path, "[stack]");
	assert_string_equal(gj_maps_vma(maps, 4)->path, "");
	assert_int_equal(gj_maps_vma(maps, 4)->flags, 0);
	assert_int_equal(gj_maps_vma(maps, 5)->start_va, 0xffffffffff600000);
	assert_null(gj_maps_vma(maps, 6));
	assert_ptr_equal(gj_maps_find(maps, 0x481fff), gj_maps_vma(maps, 0));
	assert_ptr_equal(gj_maps_find(maps, 0x482000), gj_maps_vma(maps, 1));
	assert_null(gj_maps_find(maps, 0x3fffff));
	assert_null(gj_maps_find(maps, 0x52b000));
	assert_null(gj_maps_find(maps, UINT64_MAX));
	gj_maps_close(maps);
	gj_maps_close(NULL);
}

/* Our own, as the kernel writes them now: a function, a stack variable and the program's file. */
static void own_process(void **state)
{
	struct gj_maps *maps;
	const struct gj_vma *vma;
	struct stat st;
	char exe[4096];
	ssize_t size_bytes = readlink("/proc/self/exe", exe, sizeof(exe) - 1);

	(void)state;
	assert_true(size_bytes > 0);
	exe[size_bytes] = '\0';
	assert_int_equal(gj_maps_open("/proc/self/maps", &maps, NULL), 0);
	vma = gj_maps_find(maps, (uint64_t)(uintptr_t)&own_process);
	assert_non_null(vma);
	assert_int_equal(vma->flags, PF_R | PF_X);
	assert_string_equal(vma->path, exe);
	assert_int_equal(stat(exe, &st), 0);
	assert_int_equal(vma->inode, st.st_ino);
	vma = gj_maps_find(maps, (uint64_t)(uintptr_t)&st);
	assert_non_null(vma);
	assert_string_equal(vma->path, "[stack]");
	gj_maps_close(maps);
}

static void own_bias(void **state)
{
	struct gj_elf_symbol symbol;
	struct gj_image *image;
	struct gj_maps *maps;
	uint64_t bias, own_va = (uint64_t)(uintptr_t)&gj_maps_open;

	(void)state;
	assert_int_equal(gj_image_open("/proc/self/exe", &image, NULL), 0);
	assert_int_equal(gj_maps_open("/proc/self/maps", &maps, NULL), 0);
	assert_int_equal(gj_maps_load_bias(maps, gj_maps_find(maps, own_va), image, &bias), 0);
	assert_int_equal(gj_image_find_symbol(image, "gj_maps_open", &symbol), 0);
	assert_int_equal(symbol.va + bias, own_va);
	gj_maps_close(maps);
	gj_image_close(image);
}

/* gowriter's file: text at 400000 (offset 0), data at 402000 (offset 2000). */
static void biases(void **state)
{
	static const struct {
		const char *text;
		size_t index;
		int err;
		uint64_t bias;
	} cases[] = {
		{ "00400000-00402000 r-xp 00000000 fe:01 7 /p\n", 0, 0, 0 },
		{ "55500000-55502000 r-xp 00000000 fe:01 7 /p\n", 0, 0, 0x55100000 },
		/* Below its link address. */
		{ "00010000-00012000 r-xp 00000000 fe:01 7 /p\n", 0, 0, (uint64_t)0x10000 - 0x400000 },
		/* Split by mprotect: the second half of text. */
		{ "55501000-55502000 r-xp 00001000 fe:01 7 /p\n", 0, 0, 0x55100000 },
		/* No executable mapping of the file (text copied to huge pages): by its data. */
		{ "55502000-55503000 rw-p 00002000 fe:01 7 /p\n", 0, 0, 0x55100000 },
		/* The executable one decides, wherever it stands and whichever was meant. */
		{ "10000000-10001000 rw-p 00002000 fe:01 7 /p\n"
		  "55500000-55502000 r-xp 00000000 fe:01 7 /p\n", 0, 0, 0x55100000 },
		/* Other files: another inode, device, name. */
		{ "10000000-10002000 r-xp 00000000 fe:01 8 /p\n"
		  "20000000-20002000 r-xp 00000000 fe:02 7 /p\n"
		  "30000000-30002000 r-xp 00000000 fe:01 7 /q\n"
		  "55500000-55502000 r-xp 00000000 fe:01 7 /p\n", 3, 0, 0x55100000 },
		/* An offset in no segment. */
		{ "55500000-55502000 r-xp 00009000 fe:01 7 /p\n", 0, -ENOENT, 0 },
		/* Data mapped executable only fits no segment. */
		{ "55500000-55502000 r-xp 00002000 fe:01 7 /p\n", 0, -ENOENT, 0 },
	};
	static struct gw_image file;
	struct gj_image *image;

	(void)state;
	gw_write(&file, GW_1_20);
	assert_int_equal(gj_image_open_bytes((struct gj_window){ file.bytes, GW_IMAGE_BYTES }, "file",
					     &image, NULL), 0);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct gj_maps *maps = maps_of(cases[i].text);
		uint64_t bias = 0;

		assert_int_equal(gj_maps_load_bias(maps, gj_maps_vma(maps, cases[i].index), image,
						   &bias), cases[i].err);
		assert_true(cases[i].err || bias == cases[i].bias);
		gj_maps_close(maps);
	}
	gj_image_close(image);
}

static void broken_lines(void **state)
{
	static const char *const texts[] = {
		"\n",
		"hello\n",
		"00400000 00482000 r--p 00000000 fe:01 131087 /p\n",
		"00400000-00482000 r--\n",
		"00482000-00400000 r--p 00000000 fe:01 131087 /p\n",
		"00400000-00400000 r--p 00000000 fe:01 131087 /p\n",
		"-00482000 r--p 00000000 fe:01 131087 /p\n",
		" 400000-00482000 r--p 00000000 fe:01 131087 /p\n",
		"+400000-00482000 r--p 00000000 fe:01 131087 /p\n",
		"10000000000000000-10000000000000001 r--p 00000000 fe:01 131087 /p\n",
		"00400000-00482000 r--p 00000000 fe01 131087 /p\n",
		"00400000-00482000 r--p 00000000 fe:100000000 131087 /p\n",
		"00400000-00482000 r--p 00000000 fe:01 12x /p\n",
		"00400000-00482000 r--p 00000000 fe:01\n",
		"00400000-00482000 r--p 00000000 fe:01 7 /p\n00500000\n",
	};
	struct gj_maps *maps = NULL;

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct gj_diag diag = { 0 };

		if (open_text(texts[i], strlen(texts[i]), &maps, &diag) != -EBADMSG)
			fail_msg("taken: %s", texts[i]);
		assert_non_null(strstr(diag.text, "is no mapping"));
		assert_null(maps);
	}
	/* A NUL in a line. */
	assert_int_equal(open_text("00400000-00482000 r--p 00000000 fe:01 7 /p\0q\n", 46, &maps, NULL),
			 -EBADMSG);
	assert_int_equal(gj_maps_open("/nowhere/maps", &maps, NULL), -ENOENT);
	assert_int_equal(gj_maps_open("/proc/self", &maps, NULL), -EISDIR);
}

/* Cut at each byte: whole lines or a refusal. */
static void cut_lines(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(sample); i++) {
		struct gj_maps *maps = NULL;
		struct gj_diag diag = { 0 };
		int err = open_text(sample, i, &maps, &diag);

		assert_int_equal(err, i == 0 || sample[i - 1] == '\n' ? 0 : -EBADMSG);
		gj_maps_close(maps);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines),	cmocka_unit_test(own_process),
		cmocka_unit_test(own_bias),	cmocka_unit_test(biases),
		cmocka_unit_test(broken_lines), cmocka_unit_test(cut_lines),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
