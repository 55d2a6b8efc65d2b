# SPDX-License-Identifier: GPL-2.0
# libgojitter and the gojitter command. Directories stand in the order in
# which a sample passes them; each may include only those above it.

LIB_SRCS := \
	src/base/buf.c \
	src/base/err.c

LIB_SRCS += \
	src/sample/perf_file.c \
	src/sample/perf_gaps.c \
	src/sample/perf_record.c

LIB_SRCS += \
	src/elf/image.c \
	src/elf/note.c \
	src/elf/reloc.c \
	src/elf/section.c \
	src/elf/symbol.c

LIB_SRCS += \
	src/demangle/filetab.c \
	src/demangle/functab.c \
	src/demangle/goversion.c \
	src/demangle/inline.c \
	src/demangle/moduledata.c \
	src/demangle/name.c \
	src/demangle/pclntab_header.c \
	src/demangle/pcvalue.c

LIB_SRCS += \
	src/demangle/batch.c \
	src/demangle/pcindex.c

LIB_SRCS += \
	src/goroutine/gap.c \
	src/goroutine/history.c \
	src/goroutine/table.c \
	src/goroutine/trailer.c \
	src/goroutine/verdict.c

LIB_SRCS += \
	src/elf/maps.c

LIB_SRCS += \
	src/goroutine/live.c \
	src/goroutine/live_gs.c \
	src/goroutine/live_memory.c \
	src/goroutine/live_ms.c

LIB_SRCS += \
	src/goroutine/offsets.c \
	src/goroutine/offsets_code.c \
	src/goroutine/offsets_dwarf.c \
	src/goroutine/offsets_globals.c \
	src/goroutine/offsets_insn.c \
	src/goroutine/offsets_table.c

LIB_SRCS += \
	src/probe/cost.c \
	src/probe/plan.c \
	src/probe/tracefs.c

LIB_SRCS += \
	src/stitch/fp.c

LIB_SRCS += \
	src/report/folded.c \
	src/report/json.c \
	src/report/perf_text.c

LIB_SRCS += \
	src/session/dso.c \
	src/session/location.c \
	src/session/options.c \
	src/session/session.c

LIB_SRCS += \
	src/session/chain.c \
	src/session/shared.c

LIB_SRCS += \
	src/record/perf.c \
	src/record/process.c \
	src/record/program.c \
	src/record/record.c \
	src/record/watch.c

LIB_SRCS += \
	src/sample/perf_maps.c \
	src/session/goexec.c \
	src/session/goexec_binary.c \
	src/session/goexec_wrapper.c

CMD_SRCS := \
	src/cmd/doctor.c \
	src/cmd/record.c \
	src/cmd/demangle.c \
	src/cmd/main.c \
	src/cmd/sym.c

LIB_SRCS += \
	src/elf/writer.c \
	src/debuginfo/calls.c \
	src/debuginfo/debuginfo.c \
	src/debuginfo/frames.c \
	src/debuginfo/info.c \
	src/debuginfo/lines.c \
	src/debuginfo/place.c \
	src/debuginfo/strmap.c \
	src/debuginfo/symbols.c \
	src/debuginfo/units.c

CMD_SRCS += \
	src/cmd/debuginfo.c

CMD_SRCS += \
	src/cmd/sym_answer.c \
	src/cmd/sym_input.c

LIB_SRCS += \
	src/stitch/cfi.c \
	src/stitch/cfi_program.c \
	src/stitch/cfi_step.c \
	src/stitch/chain.c \
	src/stitch/module.c \
	src/stitch/pcsp.c \
	src/stitch/runtime.c \
	src/stitch/seam.c \
	src/stitch/seam_cgo.c \
	src/stitch/seam_signal.c \
	src/stitch/seam_vdso.c \
	src/stitch/stitch.c \
	src/stitch/walk.c

LIB_OBJS := $(LIB_SRCS:%.c=$(O)/obj/%.o)
CMD_OBJS := $(CMD_SRCS:%.c=$(O)/obj/%.o)

$(O)/obj/%.o: %.c
	$(call say,CC,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(BASE_CFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

$(O)/libgojitter.a: $(LIB_OBJS)
	$(call say,AR,$@)
	$(Q)rm -f $@ && $(AR) rcs $@ $^

$(O)/libgojitter.so: $(LIB_OBJS) src/libgojitter.map
	$(call say,LINK,$@)
	$(Q)$(CC) $(CFLAGS) -shared -Wl,-soname,libgojitter.so.0 -Wl,-z,defs \
		-Wl,--version-script=src/libgojitter.map -o $@ $(LIB_OBJS) $(LDLIBS)

$(O)/gojitter: $(CMD_OBJS) $(O)/libgojitter.a
	$(call say,LINK,$@)
	$(Q)$(CC) $(CFLAGS) -o $@ $^ $(LDLIBS)

-include $(shell find $(O)/obj -name '*.d' 2>/dev/null)
