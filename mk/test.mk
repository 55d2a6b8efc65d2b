# SPDX-License-Identifier: GPL-2.0
# Tests. A test is an executable that prints TAP; tests/run adds them up and
# ends with "N passed, N failed, N skipped".

# Unit tests, tests/unit/test_NAME.c: cmocka, no root, no Go.
UNIT_TESTS := \
	base

UNIT_TESTS += \
	gotab \
	image

UNIT_TESTS += \
	goroutine \
	live \
	live_changes \
	maps \
	offsets

UNIT_TESTS += \
	goexec \
	memory \
	name \
	perf_file \
	perf_gaps \
	perf_record

UNIT_TESTS += \
	cfi \
	pcsp \
	seam \
	stitch

UNIT_TESTS += \
	chain \
	report \
	shared

UNIT_TESTS += \
	quality \
	repair

# Fuzz targets, tests/fuzz/fuzz_NAME.c.
FUZZ_TARGETS :=

FUZZ_TARGETS += \
	gotab \
	image

FUZZ_TARGETS += \
	offsets \
	trailer

FUZZ_TARGETS += \
	demangle \
	goexec \
	name \
	perf_file \
	perf_record

FUZZ_TARGETS += \
	cfi \
	stitch

FUZZ_TARGETS += \
	repair

# Scripts that want real parts, in the order they run.
CHECK_SCRIPTS :=

CHECK_SCRIPTS += \
	tests/sym/forms.sh \
	tests/sym/matrix.sh \
	tests/sym/sweep.sh

CHECK_SCRIPTS += \
	tests/goroutine/live.sh \
	tests/goroutine/offsets.sh

CHECK_SCRIPTS += \
	tests/probe/plan.sh

CHECK_SCRIPTS += \
	tests/record/record.sh \
	tests/record/goid.sh \
	tests/record/others.sh

CHECK_SCRIPTS += \
	tests/traceevent/traceevent.sh

CHECK_SCRIPTS += \
	tests/fuzz/smoke.sh

CHECK_SCRIPTS += \
	tests/sym/agree.sh \
	tests/sym/bad.sh \
	tests/sym/demangle.sh \
	tests/sym/gccgo.sh \
	tests/sym/many.sh \
	tests/sym/names.sh \
	tests/sym/npm.sh

CHECK_SCRIPTS += \
	tests/stitch/cfi.sh \
	tests/stitch/live.sh

CHECK_SCRIPTS += \
	tests/stitch/repair.sh \
	tests/perf/repair.sh

LONG_SCRIPTS :=

LONG_SCRIPTS += \
	tests/sym/matrix-full.sh

LONG_SCRIPTS += \
	tests/record/goid-long.sh \
	tests/stitch/live-full.sh

# The ways into the perf plugin, and putting it all in place.
CHECK_SCRIPTS += \
	tests/perf/front.sh \
	tests/perf/ways.sh \
	tests/perf/install.sh

LONG_SCRIPTS += \
	tests/perf/ways-newest.sh \
	tests/perf/contrib.sh \
	tests/perf/contrib-newest.sh

# The perf plugin.
CHECK_SCRIPTS += \
	tests/perf/plugin.sh \
	tests/perf/plugin-formats.sh \
	tests/perf/plugin-bad.sh \
	tests/perf/plugin-packaged.sh \
	tests/perf/consumers.sh

LONG_SCRIPTS += \
	tests/perf/plugin-long.sh

LONG_SCRIPTS += \
	tests/fuzz/long.sh

# What gojitter trace tells of goroutines.
CHECK_SCRIPTS += tests/trace/goroutines.sh

BENCH_SCRIPTS :=

BENCH_SCRIPTS += \
	tests/bench/probe.sh

# gojitter debuginfo: its file as stock tools read it.
UNIT_TESTS += debuginfo
FUZZ_TARGETS += debuginfo
CHECK_SCRIPTS += \
	tests/debuginfo/forms.sh \
	tests/debuginfo/matrix.sh \
	tests/debuginfo/perf.sh \
	tests/debuginfo/gdb.sh \
	tests/debuginfo/bpftrace.sh
LONG_SCRIPTS += \
	tests/debuginfo/matrix-full.sh \
	tests/debuginfo/perf-newest.sh
BENCH_SCRIPTS += tests/debuginfo/measure.py

BENCH_SCRIPTS += \
	tests/bench/sym.py

BENCH_SCRIPTS += \
	tests/perf/speed.sh

BENCH_SCRIPTS += \
	tests/bench/stitch.sh

# gojitter sym --build-id.
CHECK_SCRIPTS += tests/sym/build-id.sh

# gojitter inject.
UNIT_TESTS += inject
FUZZ_TARGETS += inject
CHECK_SCRIPTS += \
	tests/inject/inject.sh \
	tests/inject/bad.sh
LONG_SCRIPTS += \
	tests/inject/inject-full.sh \
	tests/inject/hotspot.sh

# The two-stack sampler and its records.
UNIT_TESTS += stack_records labels
FUZZ_TARGETS += stack_records labels
CHECK_SCRIPTS += \
	tests/record/sampler.sh \
	tests/stitch/twostack.sh
LONG_SCRIPTS += \
	tests/record/sampler-long.sh \
	tests/stitch/twostack-long.sh
BENCH_SCRIPTS += tests/bench/sampler.sh

# How whole the stacks of live programs are, and Go's own tracebacks.
UNIT_TESTS += seam_thread
CHECK_SCRIPTS += \
	tests/stitch/shares.sh \
	tests/stitch/traceback.sh
LONG_SCRIPTS += tests/stitch/traceback-full.sh
BENCH_SCRIPTS += tests/bench/shares.sh

# arm64, emulated.
CHECK_SCRIPTS += tests/stitch/arm64.sh
LONG_SCRIPTS += tests/stitch/arm64-full.sh

# pprof profiles.
UNIT_TESTS += pprof
FUZZ_TARGETS += pprof
CHECK_SCRIPTS += \
	tests/pprof/convert.sh \
	tests/pprof/compare.sh
LONG_SCRIPTS += \
	tests/pprof/convert-full.sh \
	tests/pprof/compare-full.sh

# gojitter profile.
UNIT_TESTS += rows
FUZZ_TARGETS += rows
CHECK_SCRIPTS += tests/bpf/profile.sh
LONG_SCRIPTS += tests/bpf/profile-long.sh

# gojitter bpftrace and scripts/*.bt.
CHECK_SCRIPTS += \
	tests/bpftrace/generate.sh \
	tests/bpftrace/scripts.sh

# Kernels in an emulated machine.
LONG_SCRIPTS += tests/bpf/vm.sh
BENCH_SCRIPTS += tests/bench/profile.sh

# gojitter trace.
CHECK_SCRIPTS += \
	tests/load/reasons.sh \
	tests/load/trace.sh \
	tests/load/faults.sh
LONG_SCRIPTS += tests/load/kernels.sh

# What gojitter trace tells of the runtime: garbage collector, allocator, netpoller, syscalls.
CHECK_SCRIPTS += \
	tests/trace/alloc.sh \
	tests/trace/gc.sh \
	tests/trace/netpoll.sh \
	tests/trace/syscalls.sh

# The goroutine census.
CHECK_SCRIPTS += tests/trace/census.sh
LONG_SCRIPTS += tests/trace/census-full.sh

# Stacks of programs in uprobes.
CHECK_SCRIPTS += tests/load/own-stack.sh
# Programs that others have hooked.
CHECK_SCRIPTS += tests/load/hooked.sh

# Events of gojitter trace.
UNIT_TESTS += events
FUZZ_TARGETS += events
CHECK_SCRIPTS += tests/trace/events.sh
BENCH_SCRIPTS += tests/bench/events.sh
# Samples that gojitter trace takes.
CHECK_SCRIPTS += tests/trace/samples.sh
BENCH_SCRIPTS += tests/bench/samples.sh
# Metrics for Prometheus.
CHECK_SCRIPTS += tests/trace/metrics.sh
LONG_SCRIPTS += tests/trace/metrics-kernels.sh
FUZZ_TARGETS += metrics

# What gojitter trace hooks.
UNIT_TESTS += plan
FUZZ_TARGETS += plan
CHECK_SCRIPTS += tests/probe/features.sh

# Of CHECK_SCRIPTS, those that read files, step programs in a debugger or hold two
# readings of one recording against each other, or ask for what has happened and not for
# how long it took: nothing in them depends on how fast they are, so two of them run at
# a time.
FILE_SCRIPTS := $(foreach name,agree bad demangle forms gccgo many matrix names npm sweep,tests/sym/$(name).sh)
FILE_SCRIPTS += $(foreach name,forms gdb matrix perf,tests/debuginfo/$(name).sh)
FILE_SCRIPTS += $(foreach name,cfi live repair traceback,tests/stitch/$(name).sh)
FILE_SCRIPTS += $(foreach name,consumers install plugin plugin-bad plugin-formats plugin-packaged ways,tests/perf/$(name).sh)
FILE_SCRIPTS += $(foreach name,faults hooked object overlay own-stack reasons trace,tests/load/$(name).sh)
FILE_SCRIPTS += $(foreach name,census faults metrics verifier,tests/trace/$(name).sh)
FILE_SCRIPTS += tests/bpftrace/generate.sh tests/fuzz/smoke.sh tests/goroutine/offsets.sh tests/inject/bad.sh \
	tests/inject/inject.sh tests/pprof/convert.sh tests/probe/features.sh tests/probe/plan.sh \
	tests/traceevent/traceevent.sh

# Programs that scripts and benchmarks run.
TEST_PROGRAMS := \
	bench/bench_sym \
	sym/sweep

TEST_PROGRAMS += \
	goroutine/offsets \
	goroutine/snapshot \
	goroutine/sweep

TEST_PROGRAMS += \
	probe/plan

TEST_PROGRAMS += \
	probe/features

TEST_PROGRAMS += \
	bench/measure \
	sym/agree

TEST_PROGRAMS += \
	bench/bench_stitch \
	stitch/cfi \
	stitch/live

TEST_PROGRAMS += \
	pprof/dump \
	stitch/repair \
	sym/buildid

TEST_PROGRAMS += \
	load/reasons

CHECK_SCRIPTS += tests/load/budget.sh
ifeq ($(HAVE_BPF),on)
TEST_PROGRAMS += load/jited
TEST_PROGRAMS += bench/events
endif
# What gojitter trace costs.
TEST_PROGRAMS += bench/hook
BENCH_SCRIPTS += tests/bench/trace.sh tests/bench/exits.sh

# What the kernel's verifier says of all BPF programs.
TEST_PROGRAMS += trace/verifier
CHECK_SCRIPTS += tests/trace/verifier.sh
LONG_SCRIPTS += tests/trace/verifier-kernels.sh

# Much to trace, and what goes wrong.
TEST_PROGRAMS += trace/fill
CHECK_SCRIPTS += tests/trace/faults.sh
LONG_SCRIPTS += \
	tests/trace/faults-long.sh \
	tests/trace/matrix-full.sh

UNIT_TESTS += object
# Objects for stock bpftool (gojitter bpf-object).
CHECK_SCRIPTS += tests/load/object.sh tests/load/overlay.sh
LONG_SCRIPTS += tests/load/object-full.sh tests/load/object-kernels.sh
# Threads and TCP as the kernel's own accounts have them.
CHECK_SCRIPTS += \
	tests/trace/threads.sh \
	tests/trace/tcp.sh
LONG_SCRIPTS += tests/trace/kernels.sh

TEST_BINS := $(TEST_PROGRAMS:%=$(O)/tests/%)
comma := ,
UNIT_BINS := $(UNIT_TESTS:%=$(O)/tests/unit/test_%)

$(O)/tests/unit/%: tests/unit/%.c $(O)/libgojitter.a
	$(call say,CC,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(BASE_CFLAGS) $(CFLAGS) -Itests/unit -MMD -MP -o $@ $< $(O)/libgojitter.a \
		-lcmocka $(LDLIBS) $(UNIT_LDFLAGS)

# Allocations that tests/unit/failalloc.h makes fail.
$(O)/tests/unit/test_memory $(O)/tests/unit/test_pprof $(O)/tests/unit/test_object: UNIT_LDFLAGS := $(patsubst %,-Wl$(comma)--wrap=%, \
	malloc calloc realloc reallocarray strdup strndup tsearch)

$(TEST_BINS): $(O)/tests/%: tests/%.c $(O)/libgojitter.a
	$(call say,CC,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(BASE_CFLAGS) $(CFLAGS) -o $@ $< $(O)/libgojitter.a $(LDLIBS)

test: $(UNIT_BINS)
	$(Q)O=$(abspath $(O)) tests/run $(UNIT_BINS)

.PHONY: run-check run-check-long run-bench
run-check: all lint $(UNIT_BINS) $(TEST_BINS)
	$(Q)O=$(abspath $(O)) tests/run -j2 $(UNIT_BINS) $(UNIT_TESTS:%=$(O)/tests/asan/asan_%) \
		$(filter $(FILE_SCRIPTS),$(CHECK_SCRIPTS)) -j1 $(filter-out $(FILE_SCRIPTS),$(CHECK_SCRIPTS))

# A long test may take an hour.
run-check-long: all $(UNIT_BINS) $(TEST_BINS)
	$(Q)O=$(abspath $(O)) GJ_TEST_TIMEOUT=3600 tests/run $(LONG_SCRIPTS)

run-bench: all $(TEST_BINS)
	$(Q)for b in $(BENCH_SCRIPTS); do O=$(abspath $(O)) $$b || exit 1; done

lint:
	$(Q)O=$(abspath $(O)) scripts/check-tree.sh $(CHECK_SCRIPTS) $(LONG_SCRIPTS) $(BENCH_SCRIPTS)

# Fuzzing: the library and each target once more, by clang, with libFuzzer and
# the sanitizers of addresses and undefined behaviour.
FUZZ_CC ?= clang
FUZZ_FLAGS := $(filter-out $(WARNINGS),$(BASE_CFLAGS)) -O1 -g -fno-omit-frame-pointer \
	-fsanitize=address,undefined -fno-sanitize-recover=undefined
FUZZ_OBJS := $(LIB_SRCS:%.c=$(O)/fuzz/obj/%.o)
FUZZ_BINS := $(FUZZ_TARGETS:%=$(O)/fuzz/fuzz_%)
export GJ_FUZZ_TARGETS := $(FUZZ_TARGETS)

$(O)/fuzz/obj/%.o: %.c
	$(call say,FUZZCC,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(FUZZ_CC) $(FUZZ_FLAGS) -fsanitize=fuzzer-no-link -MMD -MP -c -o $@ $<

$(O)/fuzz/libgojitter.a: $(FUZZ_OBJS)
	$(call say,AR,$@)
	$(Q)rm -f $@ && $(AR) rcs $@ $^

$(FUZZ_BINS): $(O)/fuzz/%: tests/fuzz/%.c $(O)/fuzz/obj/tests/fuzz/seeds.o $(O)/fuzz/libgojitter.a
	$(call say,FUZZCC,$<)
	$(Q)$(FUZZ_CC) $(FUZZ_FLAGS) -fsanitize=fuzzer -Itests/unit -MMD -MP -o $@ $< \
		$(O)/fuzz/obj/tests/fuzz/seeds.o $(O)/fuzz/libgojitter.a $(LDLIBS)

.PHONY: fuzz-smoke fuzz-long
fuzz-smoke: $(FUZZ_BINS)
	$(Q)O=$(abspath $(O)) tests/run tests/fuzz/smoke.sh

fuzz-long: $(FUZZ_BINS)
	$(Q)O=$(abspath $(O)) GJ_TEST_TIMEOUT=3600 tests/run tests/fuzz/long.sh

run-check: $(FUZZ_BINS)
run-check-long: $(FUZZ_BINS)

# The unit tests by gcc with the same sanitizers.
ASAN_FLAGS := -O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all
ASAN_BINS := $(UNIT_TESTS:%=$(O)/tests/asan/asan_%)

.PHONY: unit-bins asan-bins asan-plugin test-asan
unit-bins: $(UNIT_BINS)

# Under names of their own, so that neither results nor logs are taken for the plain ones'.
asan-bins:
	$(Q)$(MAKE) --no-print-directory O=$(O)/asan CFLAGS='$(ASAN_FLAGS)' unit-bins
	$(Q)mkdir -p $(O)/tests/asan
	$(Q)for t in $(UNIT_TESTS); do \
		ln -sf ../../asan/tests/unit/test_$$t $(O)/tests/asan/asan_$$t; done

# The perf plugin, too; whoever loads it preloads the sanitizers.
asan-plugin:
	$(Q)$(MAKE) --no-print-directory O=$(O)/asan CFLAGS='$(ASAN_FLAGS)' \
		LDLIBS='$(LDLIBS) -lasan -lubsan' $(O)/asan/gojitter.so

test-asan: asan-bins
	$(Q)O=$(abspath $(O)) tests/run $(ASAN_BINS)

run-check: asan-bins

-include $(shell find $(O)/fuzz $(O)/tests/unit -name '*.d' 2>/dev/null)
