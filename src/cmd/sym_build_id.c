/* SPDX-License-Identifier: GPL-2.0 */
/*
 * gojitter sym --build-id: stacks as the kernel gives them with
 * BPF_F_USER_BUILD_ID. Each frame is one of (include/uapi/linux/bpf.h):
 *
 *   struct bpf_stack_build_id {
 *     s32 status;      0 no more frames, 1 build id and offset, 2 address
 *     u8 build_id[20]; filled up with zeros
 *     u64 offset;      in the file; with status 2 an address of the process
 *   }
 *
 * They come as lines BUILDID+0xOFFSET or 0xADDRESS, as arrays of that struct in a
 * file, or in what `bpftool map dump` prints of a stack map, JSON or not. In an
 * array all frames but the first are return addresses: the call stands before.
 */
#include <errno.h>
#include <linux/bpf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/cmd.h"
#include "cmd/sym.h"

#define FRAME_BYTES 32
#define BUILD_ID_BYTES 20
/* Text of a frame: an id in hexadecimal, or one of Go's, which has 83 bytes; and an offset. */
#define MAX_LABEL_BYTES 256

/* One run. */
struct run {
	const struct sym_options *opt;
	struct sym_finder *finder;
	bool is_array; /* the frames were not text: say which they are */
	bool is_bad;   /* a line was none */
};

struct frame {
	char label[MAX_LABEL_BYTES]; /* as it is printed */
	char id[MAX_LABEL_BYTES];    /* empty: value is an address */
	uint64_t value;
	bool is_return;
};

static int print_frame(struct run *run, const struct frame *frame)
{
	struct sym_place place = { 0 };
	struct sym_options opt = *run->opt;
	int err = frame->id[0] ? sym_finder_find(run->finder, frame->id, frame->value, &place) :
				 sym_finder_find_address(run->finder, frame->value, &place);

	if (err == -ENOMEM)
		return err;
	if ((opt.addresses || run->is_array) && !opt.json)
		printf("%s%s", frame->label, opt.pretty ? ": " : "\n");
	opt.addresses = false;
	return sym_finder_print(run->finder, &opt, err ? NULL : &place, frame->is_return);
}

/* "0x1f", or the same without 0x; false when it is anything else. */
static bool parse_frame(char *line, struct frame *frame)
{
	char *plus = strrchr(line, '+');
	size_t cnt;

	*frame = (struct frame){ 0 };
	line[strcspn(line, "\n")] = '\0';
	cnt = strlen(line);
	if (cnt >= sizeof(frame->label))
		return false;
	memcpy(frame->label, line, cnt + 1);
	if (!plus)
		return sym_parse_address(line, &frame->value);
	line += strspn(line, " \t");
	memcpy(frame->id, line, (size_t)(plus - line));
	return plus > line && sym_parse_address(plus + 1, &frame->value);
}

static int print_line(struct run *run, char *line)
{
	struct frame frame;

	if (!parse_frame(line, &frame)) {
		run->is_bad = true;
		return sym_finder_print(run->finder, run->opt, NULL, false);
	}
	return print_frame(run, &frame);
}

static void label_frame(struct frame *frame, const uint8_t *build_id)
{
	size_t cnt = BUILD_ID_BYTES;

	/* Ids of other than SHA-1's length are filled up. */
	while (cnt > 1 && !build_id[cnt - 1])
		cnt--;
	for (size_t i = 0; i < cnt; i++)
		sprintf(frame->id + 2 * i, "%02x", build_id[i]);
	snprintf(frame->label, sizeof(frame->label), "%.40s+0x%llx", frame->id,
		 (unsigned long long)frame->value);
}

/* An array up to its end or its first empty frame. 0, -EBADMSG with @status_out, or -ENOMEM. */
static int print_array(struct run *run, struct gj_window array, int32_t *status_out)
{
	int err = 0;

	for (uint64_t off = 0; !err && off < array.size_bytes; off += FRAME_BYTES) {
		struct frame frame = { .is_return = off > 0 };
		uint32_t status = 0;

		gj_window_u32(array, off, &status);
		gj_window_u64(array, off + 4 + BUILD_ID_BYTES, &frame.value);
		*status_out = (int32_t)status;
		if (status == BPF_STACK_BUILD_ID_EMPTY)
			break;
		if (status != BPF_STACK_BUILD_ID_VALID && status != BPF_STACK_BUILD_ID_IP)
			return -EBADMSG;
		if (status == BPF_STACK_BUILD_ID_VALID)
			label_frame(&frame, array.base + off + 4);
		else
			snprintf(frame.label, sizeof(frame.label), "0x%llx",
				 (unsigned long long)frame.value);
		err = print_frame(run, &frame);
	}
	return err;
}

/* Returns the exit status. */
static int print_arrays(struct run *run, struct gj_window bytes, size_t array_bytes, bool *is_later)
{
	int32_t status = 0;

	if (!bytes.size_bytes || bytes.size_bytes % FRAME_BYTES)
		return gj_cmd_fail("standard input: %zu bytes are no array of struct bpf_stack_build_id, which has 32",
				   bytes.size_bytes);
	for (uint64_t off = 0; off < bytes.size_bytes; off += array_bytes) {
		int err;

		if (*is_later)
			putchar('\n');
		*is_later = true;
		err = print_array(run, gj_window_slice(bytes, off, array_bytes), &status);
		if (err == -ENOMEM)
			return gj_cmd_fail("out of memory");
		if (err)
			return gj_cmd_fail("standard input: a frame has status %d; was the stack taken with BPF_F_USER_BUILD_ID, or the map made with BPF_F_STACK_BUILD_ID?",
					   status);
	}
	return 0;
}

static int hex_value(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1;
}

/* The bytes at @text, "01 02" or "[\"0x01\",\"0x02\"": returns behind the last of them. */
static const char *take_bytes(const char *text, struct gj_buf *bytes)
{
	for (;;) {
		text += strspn(text, " \t\r\n\":,[");
		if (text[0] == '0' && text[1] == 'x')
			text += 2;
		if (hex_value(text[0]) < 0 || hex_value(text[1]) < 0 || hex_value(text[2]) >= 0)
			return text;
		gj_buf_chr(bytes, (char)(hex_value(text[0]) << 4 | hex_value(text[1])));
		text += 2;
	}
}

/* Every value in bpftool's text is an array. Returns the exit status. */
static int print_dump(struct run *run, const char *text)
{
	static const char word[] = "value";
	struct gj_buf bytes = { 0 };
	bool is_later = false;
	int status = 0;

	while (!status && (text = strstr(text, word))) {
		bytes.size_bytes = 0;
		text = take_bytes(text + sizeof(word) - 1, &bytes);
		if (bytes.failed)
			status = gj_cmd_fail("out of memory");
		else if (bytes.size_bytes)
			status = print_arrays(run, (struct gj_window){ (uint8_t *)bytes.data, bytes.size_bytes },
					      bytes.size_bytes, &is_later);
	}
	gj_buf_deinit(&bytes);
	if (!status && !is_later)
		return gj_cmd_fail("standard input: bpftool's dump holds no stacks");
	return status;
}

/* The rest of standard input behind @buf's bytes, and a NUL. False: it cannot be read, or memory is out. */
static bool read_rest(struct gj_buf *buf)
{
	size_t got;

	do {
		char *to = gj_buf_reserve(buf, 1 << 16);

		got = to ? fread(to, 1, 1 << 16, stdin) : 0;
		buf->size_bytes += got;
	} while (got);
	gj_buf_chr(buf, '\0');
	return !buf->failed && !ferror(stdin);
}

static bool begins_dump(const char *line)
{
	line += strspn(line, " \t");
	return *line == '[' || *line == '{' || !strncmp(line, "key:", 4);
}

static int print_lines(struct run *run)
{
	struct gj_buf all = { 0 };
	char *line = NULL;
	size_t cap = 0;
	int status = 0;

	while (!status && getline(&line, &cap, stdin) > 0) {
		if (begins_dump(line)) {
			run->is_array = true;
			gj_buf_str(&all, line);
			status = read_rest(&all) ? print_dump(run, all.data) :
						   gj_cmd_fail("standard input: %s", strerror(errno));
		} else if (print_line(run, line)) {
			status = gj_cmd_fail("out of memory");
		}
		fflush(stdout);
	}
	free(line);
	gj_buf_deinit(&all);
	return status ? status : run->is_bad ? GJ_EXIT_FAILED : 0;
}

static int print_raw(struct run *run)
{
	size_t array_bytes = FRAME_BYTES * (size_t)run->opt->raw_depth;
	struct gj_buf all = { 0 };
	bool is_later = false;
	int status;

	run->is_array = true;
	if (!read_rest(&all))
		status = gj_cmd_fail("standard input: %s", strerror(errno));
	else
		status = print_arrays(run, (struct gj_window){ (uint8_t *)all.data, all.size_bytes - 1 },
				      array_bytes ? array_bytes : all.size_bytes, &is_later);
	gj_buf_deinit(&all);
	return status;
}

int sym_print_build_ids(const struct sym_options *opt)
{
	struct run run = { .opt = opt };
	struct gj_diag diag = { 0 };
	int status, err = sym_finder_new(opt, &run.finder, &diag);

	if (err)
		return gj_cmd_fail_diag(err, &diag);
	status = opt->raw ? print_raw(&run) : print_lines(&run);
	sym_finder_free(run.finder);
	return status;
}
