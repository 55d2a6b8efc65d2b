# SPDX-License-Identifier: GPL-2.0
# The plugins: what perf and libtraceevent load. Shells are compiled without
# -fvisibility=hidden; the .map file alone says what they export.

DLFILTER_OBJS := $(O)/obj/plugins/perf/dlfilter.o $(O)/obj/plugins/perf/recording.o
DLFILTER_OBJS += $(O)/obj/plugins/perf/capture.o $(O)/obj/plugins/perf/options.o \
	$(O)/obj/plugins/perf/sample.o $(O)/obj/plugins/perf/style.o

$(O)/gojitter.so: $(DLFILTER_OBJS) $(O)/libgojitter.a plugins/perf/dlfilter.map
	$(call say,LINK,$@)
	$(Q)$(CC) $(CFLAGS) -shared -Wl,-z,defs -Wl,--as-needed \
		-Wl,--version-script=plugins/perf/dlfilter.map \
		-o $@ $(DLFILTER_OBJS) $(O)/libgojitter.a $(LDLIBS)

PLUGINS := $(O)/gojitter.so

# The other ways into the plugin. $(O)/ is their home: each finds the others
# beside itself. $(O)/bin/perf is the front that takes -s gojitter.so, and
# $(O)/exec-path an exec path for PERF_EXEC_PATH with perf's own parts and ours.
FRONT_OBJS := $(O)/obj/plugins/perf/ways/front.o $(O)/obj/plugins/perf/ways/script_args.o
WAYS := perf-gojitter gojitter-record gojitter-report gojitter.py

$(O)/bin/perf: $(FRONT_OBJS)
	$(call say,LINK,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS) -o $@ $(FRONT_OBJS)

$(WAYS:%=$(O)/%): $(O)/%: plugins/perf/ways/%
	$(call say,COPY,$@)
	$(Q)mkdir -p $(@D)
	$(Q)cp -p $< $@

# Made anew where another perf is found than the last time.
.PHONY: look-for-perf
$(O)/obj/exec-path.stamp: plugins/perf/ways/exec-path.sh look-for-perf
	$(Q)stock=$$(perf --exec-path 2>/dev/null); \
	[ "$$(cat $@ 2>/dev/null)" = "stock $$stock" ] && [ ! $< -nt $@ ] || { \
		rm -rf $(O)/exec-path && mkdir -p $(@D) && \
		$< $(O) $(O)/exec-path "$$stock" && echo "stock $$stock" >$@; }

PLUGINS += $(O)/bin/perf $(WAYS:%=$(O)/%) $(O)/obj/exec-path.stamp

# libtraceevent loads every .so of a directory, so the plugin has one of its
# own. Its tep_* and trace_seq_* come from the host, which may have them linked
# in: it does not name libtraceevent as a library it needs.
TRACEEVENT_OBJS := $(O)/obj/plugins/perf/traceevent.o $(O)/obj/plugins/perf/recording.o

$(O)/obj/plugins/perf/traceevent.o: BASE_CFLAGS += $(shell $(PKG_CONFIG) --cflags libtraceevent)

$(O)/traceevent/plugin_gojitter.so: $(TRACEEVENT_OBJS) $(O)/libgojitter.a plugins/perf/traceevent.map
	$(call say,LINK,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS) -shared -Wl,--as-needed -Wl,--version-script=plugins/perf/traceevent.map \
		-o $@ $(TRACEEVENT_OBJS) $(O)/libgojitter.a $(LDLIBS)

.PHONY: features
features:
	@echo 'libtraceevent: [$(HAVE_TRACEEVENT)] BPF: [$(HAVE_BPF)] libmicrohttpd: [$(HAVE_MICROHTTPD)]'
all: features

ifeq ($(HAVE_TRACEEVENT),on)
PLUGINS += $(O)/traceevent/plugin_gojitter.so
endif
