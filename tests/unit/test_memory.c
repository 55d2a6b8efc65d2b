/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Each allocation of each part failing in turn: no crash, nothing lost, and
 * an answer that says so. Leaks and uses of freed memory show in make
 * test-asan, where these tests run too.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "exercise.h"
#include "failalloc.h"
#include "gojitter.h"
#include "goroutine/goroutine.h"
#include "gowriter.h"
#include "perfwriter.h"
#include "sample/sample.h"

/* @once with every allocation failing in turn; it must have had some to fail. */
static void each_fails(void (*once)(void *data), void *data)
{
	assert_int_not_equal(failalloc_each(once, data), 0);
}

/* A failure that is not of memory has no place here. */
static void check(int err)
{
	if (err && err != -ENOMEM)
		fail_msg("error %d", err);
	if (err && !failalloc_happened)
		fail_msg("out of memory, but no allocation failed");
}

static void use_buf(void *data)
{
	struct gj_buf buf = { 0 };
	size_t size_bytes;

	(void)data;
	gj_buf_str(&buf, "begin");
	for (int i = 0; i < 1000; i++)
		gj_buf_fmt(&buf, "%d ", i);
	gj_buf_json(&buf, "a\"b\n\xff");
	size_bytes = buf.size_bytes;
	if (buf.failed != failalloc_happened)
		fail_msg("failed is %d", buf.failed);
	/* A failed buffer stays as it is. */
	gj_buf_str(&buf, "end");
	if (buf.failed && buf.size_bytes != size_bytes)
		fail_msg("a failed buffer grew");
	gj_buf_deinit(&buf);
}

static void buf(void **state)
{
	(void)state;
	each_fails(use_buf, NULL);
}

static void use_image(void *data)
{
	const struct gw_image *file = data;
	struct gj_window bytes = { file->bytes, sizeof(file->bytes) };
	struct gj_image *image = NULL;
	struct gj_gotab *gotab = NULL;
	struct gj_diag diag = { 0 };
	int err = gj_image_open_bytes(bytes, "file", &image, &diag);

	check(err);
	if (err)
		return;
	exercise_image(image);
	err = gj_gotab_open(image, &gotab, &diag);
	check(err);
	if (!err)
		exercise_gotab(gotab);
	gj_gotab_close(gotab);
	gj_image_close(image);
}

static void image_and_tables(void **state)
{
	struct gw_image file;

	(void)state;
	for (int layout = 0; layout < GW_LAYOUT_CNT; layout++) {
		gw_write(&file, (enum gw_layout)layout);
		each_fails(use_image, &file);
	}
}

/* One snapshot of two goroutines and two threads, as it stands behind a recording. */
static size_t write_trailer(uint8_t *bytes)
{
	struct gj_trail_snapshot head = { 1, GJ_TRAIL_PROBED, 2, 2, 10, 20 };
	struct gj_trail_g gs[2] = { { 0xc000000100, 1, 1, 2, 3, 4, 5 }, { 0xc000000200, 2, 1, 2, 3, 4, 5 } };
	struct gj_trail_m ms[2] = { { 0xc000000100, 0, 0, 1, 0 }, { 0xc000000200, 0, 0, 2, 0 } };
	uint64_t body_bytes = sizeof(head) + sizeof(gs) + sizeof(ms);

	memcpy(bytes, &head, sizeof(head));
	memcpy(bytes + sizeof(head), gs, sizeof(gs));
	memcpy(bytes + sizeof(head) + sizeof(gs), ms, sizeof(ms));
	memcpy(bytes + body_bytes, &body_bytes, 8);
	memcpy(bytes + body_bytes + 8, GJ_TRAIL_MAGIC, 8);
	return body_bytes + 16;
}

static void use_history(void *data)
{
	struct gj_ghistory *history = gj_ghistory_new();
	uint8_t trailer[512];
	struct gj_window file = { trailer, write_trailer(trailer) };
	struct gj_gevidence evidence = { .pid = 1, .tid = 1, .time_ns = 100, .has_g = true };
	struct gj_goid goid;

	(void)data;
	if (!history) {
		check(-ENOMEM);
		return;
	}
	check(gj_ghistory_load_trailer(history, file, NULL));
	/* More threads and goroutines than the tables begin with. */
	for (uint32_t i = 1; i < 400; i++) {
		struct gj_gswitch gswitch = { .pid = 1, .tid = i, .time_ns = 100 + i,
					      .g = 0xc000000000 + i, .goid = i };

		check(gj_ghistory_switch(history, &gswitch));
	}
	evidence.g = 0xc000000001;
	gj_goid_find(history, &evidence, &goid);
	gj_ghistory_free(history);
}

static void history(void **state)
{
	(void)state;
	each_fails(use_history, NULL);
}

static void use_perf_maps(void *data)
{
	const struct pw *pw = data;
	struct gj_perf_maps *maps = gj_perf_maps_new((struct gj_window){ pw->bytes, pw->size_bytes });
	struct gj_perf_map map;

	if (!maps)
		check(-ENOMEM);
	else if (gj_perf_maps_find(maps, 101, PW_BIN_VA, &map))
		fail_msg("a mapping is missing");
	gj_perf_maps_free(maps);
}

static void perf_maps(void **state)
{
	struct pw pw;

	(void)state;
	pw_example(&pw);
	each_fails(use_perf_maps, &pw);
}

static void use_goexec(void *data)
{
	const struct pw *pw = data;
	struct gj_goexec *goexec = gj_goexec_new(pw->bytes, pw->size_bytes);
	struct gj_goexec_hit hit = { .size = sizeof(hit), .event = "goexec_1", .tid = 100,
				     .probe_ip = PW_BIN_VA, .g = 1, .goid = 2, .start_pc = 3 };
	const char *text;

	if (!goexec) {
		check(-ENOMEM);
		return;
	}
	for (size_t i = 0; gj_goexec_event(goexec, i); i++)
		exercise_string(gj_goexec_event(goexec, i));
	text = gj_goexec_text(goexec, &hit);
	if (!text)
		check(-ENOMEM);
	else if (strcmp(text, "goroutine 2 starts running 0x3 (g=0x1)"))
		fail_msg("%s", text);
	gj_goexec_free(goexec);
}

static void goexec(void **state)
{
	struct pw pw;

	(void)state;
	pw_example(&pw);
	each_fails(use_goexec, &pw);
}

/* A program with Go's tables on disk, as a session finds it. */
struct run {
	char path[32];
	const char *args[2];
	struct pw recording;
	size_t written_bytes;
};

static int resolve(void *data, uint64_t ip, struct gj_mapping *mapping_out)
{
	struct run *run = data;

	*mapping_out = (struct gj_mapping){ .dso = run->path, .file_off = ip - GW_BASE };
	return 0;
}

static void count_text(void *data, const char *text, size_t size_bytes)
{
	((struct run *)data)->written_bytes += strnlen(text, size_bytes);
}

static void take_line(void *data, const char *line)
{
	(void)data;
	exercise_string(line);
}

/* As a host does: its own first line where the session wants to share it. */
static void put_sample(struct gj_session *session, const struct gj_sample *sample)
{
	static const char text[] = "program 1 [000] 1.000000: 1 cpu-clock: \n\t10 [unknown] (program)\n\n";

	if (gj_session_sample(session, sample) == GJ_HOST_SHARES)
		gj_session_shared(session, text, sizeof(text) - 1);
}

static void use_session(void *data)
{
	struct run *run = data;
	const struct gj_host host = { .size = sizeof(host), .data = run, .resolve = resolve,
				      .write = count_text, .warn = take_line };
	const uint64_t chain[] = { (uint64_t)-512, GW_OUTER + 4, GW_LEAF + 1, 0x10 };
	uint8_t raw[56] = { 0 };
	const struct gj_sample sample = {
		.size = sizeof(sample), .pid = 1, .tid = 1, .ip = GW_OUTER + 4, .event = "cpu-clock",
		.comm = "program", .chain = chain, .chain_cnt = 4,
	};
	const struct gj_sample hit = { .size = sizeof(hit), .pid = 1, .tid = 1, .raw = raw,
				       .raw_bytes = sizeof(raw), .event = "gojitter:goexec_1" };
	struct gj_session *session = gj_session_new(&host, (char *const *)run->args, 1);

	if (!session) {
		check(-ENOMEM);
		return;
	}
	run->written_bytes = 0;
	gj_session_recording(session, run->recording.bytes, run->recording.size_bytes);
	gj_session_early(session, &hit);
	put_sample(session, &sample);
	put_sample(session, &sample);
	gj_session_end(session);
	if (!failalloc_happened && !run->written_bytes)
		fail_msg("%s: nothing written", run->args[0]);
}

static void session(void **state)
{
	static const char *const formats[] = { "format=perf", "format=json", "format=folded" };
	struct run run = { .path = "/tmp/gojitter-test-XXXXXX" };
	struct gw_image file;
	int fd = mkstemp(run.path);

	(void)state;
	pw_example(&run.recording);
	gw_write(&file, GW_1_20);
	assert_int_equal(write(fd, file.bytes, sizeof(file.bytes)), sizeof(file.bytes));
	for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
		run.args[0] = formats[i];
		each_fails(use_session, &run);
	}
	close(fd);
	unlink(run.path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(buf),       cmocka_unit_test(image_and_tables),
		cmocka_unit_test(history),   cmocka_unit_test(perf_maps),
		cmocka_unit_test(goexec),    cmocka_unit_test(session),
	};

	return cmocka_run_group_tests_name("memory", tests, NULL, NULL);
}
