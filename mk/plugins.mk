# SPDX-License-Identifier: GPL-2.0
# The plugins: what perf and libtraceevent load. Shells are compiled without
# -fvisibility=hidden; the .map file alone says what they export.

DLFILTER_OBJS := $(O)/obj/plugins/perf/dlfilter.o $(O)/obj/plugins/perf/recording.o

$(O)/gojitter.so: $(DLFILTER_OBJS) $(O)/libgojitter.a plugins/perf/dlfilter.map
	$(call say,LINK,$@)
	$(Q)$(CC) $(CFLAGS) -shared -Wl,-z,defs -Wl,--version-script=plugins/perf/dlfilter.map \
		-o $@ $(DLFILTER_OBJS) $(O)/libgojitter.a $(LDLIBS)

PLUGINS := $(O)/gojitter.so
