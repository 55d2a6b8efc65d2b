# SPDX-License-Identifier: GPL-2.0
# make install: where each part goes. DESTDIR is put in front of all of it and
# is in none of the links, which are relative.

bindir ?= $(prefix)/bin
libdir ?= $(prefix)/lib
includedir ?= $(prefix)/include
libexecdir ?= $(prefix)/libexec
mandir ?= $(prefix)/share/man
docdir ?= $(prefix)/share/doc/gojitter
# Where perf looks for dlfilters, scripts and subcommands of others. It gets
# links only; empty, or a directory that is not there, is left out.
perfexecdir ?= $(shell perf --exec-path 2>/dev/null)
# Where libtraceevent looks for plugins; treated alike.
traceeventdir ?= $(shell $(PKG_CONFIG) --variable=libdir libtraceevent 2>/dev/null)/traceevent/plugins

# The plugin and the ways to it stand together, as in $(O)/: each finds the
# others beside itself.
home = $(libexecdir)/gojitter
PERF_LINKS := perf-gojitter dlfilters/gojitter.so scripts/python/gojitter.py \
	scripts/python/bin/gojitter-record scripts/python/bin/gojitter-report
MAN_PAGES := $(wildcard man/*.1 man/*.7)
DOCS := $(wildcard README.md LICENSE docs/*.md)
CONTRIB := $(wildcard contrib/*)
man_path = $(mandir)/man$(subst .,,$(suffix $(1)))/$(notdir $(1))

INSTALL := install -D
.PHONY: uninstall install-command install-library install-perf install-traceevent install-docs

install: all install-command install-library install-perf install-traceevent install-docs
	@echo "perf script -s gojitter.so: put the front before perf with PATH=$(home)/bin:\$$PATH"

install-command: all
	$(Q)$(INSTALL) -m 755 $(O)/gojitter $(DESTDIR)$(bindir)/gojitter

install-library: all
	$(Q)$(INSTALL) -m 755 $(O)/libgojitter.so $(DESTDIR)$(libdir)/libgojitter.so.$(VERSION)
	$(Q)ln -sf libgojitter.so.$(VERSION) $(DESTDIR)$(libdir)/libgojitter.so.0
	$(Q)ln -sf libgojitter.so.0 $(DESTDIR)$(libdir)/libgojitter.so
	$(Q)$(INSTALL) -m 644 include/gojitter.h $(DESTDIR)$(includedir)/gojitter.h

install-perf: install-command
	$(Q)$(INSTALL) -m 755 $(O)/gojitter.so $(DESTDIR)$(home)/gojitter.so
	$(Q)$(INSTALL) -m 755 $(O)/bin/perf $(DESTDIR)$(home)/bin/perf
	$(Q)for way in $(WAYS); do \
		$(INSTALL) -m $$(stat -c %a $(O)/$$way) $(O)/$$way $(DESTDIR)$(home)/$$way || exit 1; done
	$(Q)ln -srf $(DESTDIR)$(bindir)/gojitter $(DESTDIR)$(home)/gojitter
	$(Q)ln -srf $(DESTDIR)$(home)/perf-gojitter $(DESTDIR)$(bindir)/perf-gojitter
	$(Q)if [ -z "$(perfexecdir)" ] || [ ! -d "$(perfexecdir)" ]; then \
		echo "no perf found: --dlfilter gojitter.so and perf script report gojitter need" \
			"perfexecdir=DIR, what 'perf --exec-path' prints"; \
	elif [ -z "$(DESTDIR)" ] && [ ! -w "$(perfexecdir)" ]; then \
		echo "$(perfexecdir) is not writable: --dlfilter gojitter.so and perf script report" \
			"gojitter need root, or perfexecdir=DIR and PERF_EXEC_PATH=DIR"; \
	else \
		plugins/perf/ways/exec-path.sh $(DESTDIR)$(home) $(DESTDIR)$(perfexecdir); \
	fi

# perf with a libtraceevent of its own, as Debian's 6.1, finds it only through
# TRACEEVENT_PLUGIN_DIR=$(home)/traceevent.
install-traceevent: all
	$(Q)[ ! -f $(O)/traceevent/plugin_gojitter.so ] || $(INSTALL) -m 755 \
		$(O)/traceevent/plugin_gojitter.so $(DESTDIR)$(home)/traceevent/plugin_gojitter.so
	$(Q)if [ -f $(DESTDIR)$(home)/traceevent/plugin_gojitter.so ] && [ -d "$(traceeventdir)" ] && \
		{ [ -n "$(DESTDIR)" ] || [ -w "$(traceeventdir)" ]; }; then \
		mkdir -p $(DESTDIR)$(traceeventdir) && ln -srf $(DESTDIR)$(home)/traceevent/plugin_gojitter.so \
			$(DESTDIR)$(traceeventdir)/plugin_gojitter.so; \
	fi

install-docs:
	$(Q)$(foreach page,$(MAN_PAGES),$(INSTALL) -m 644 $(page) $(DESTDIR)$(call man_path,$(page)) &&) :
	$(Q)$(foreach doc,$(DOCS) $(CONTRIB),$(INSTALL) -m 644 $(doc) $(DESTDIR)$(docdir)/$(doc:docs/%=%) &&) :

# What install made, and the directories that are then empty and only ours.
uninstall:
	$(Q)rm -f $(DESTDIR)$(bindir)/gojitter $(DESTDIR)$(bindir)/perf-gojitter
	$(Q)rm -f $(DESTDIR)$(libdir)/libgojitter.so $(DESTDIR)$(libdir)/libgojitter.so.0 \
		$(DESTDIR)$(libdir)/libgojitter.so.$(VERSION) $(DESTDIR)$(includedir)/gojitter.h
	$(Q)rm -rf $(DESTDIR)$(home) $(DESTDIR)$(docdir)
	$(Q)rm -f $(foreach page,$(MAN_PAGES),$(DESTDIR)$(call man_path,$(page)))
	$(Q)[ -z "$(perfexecdir)" ] || [ ! -w "$(DESTDIR)$(perfexecdir)" ] || rm -f $(PERF_LINKS:%=$(DESTDIR)$(perfexecdir)/%)
	$(Q)[ ! -w "$(DESTDIR)$(traceeventdir)" ] || rm -f $(DESTDIR)$(traceeventdir)/plugin_gojitter.so

# bpftrace scripts of the kernel alone; they go with $(home).
.PHONY: install-bpftrace
install: install-bpftrace
install-bpftrace:
	$(Q)$(foreach script,$(wildcard scripts/*.bt),$(INSTALL) -m 755 $(script) $(DESTDIR)$(home)/$(script:scripts/%=bpftrace/%) &&) :
