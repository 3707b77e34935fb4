# `make install` copies what `make distribution` has built, and builds nothing, so that it may run as
# root. Packages and images are made from it: DESTDIR is their root, and PREFIX and the folders are
# where the files will be. `make uninstall` removes what `make install` would copy.

PREFIX ?= /usr/local
DESTDIR ?=
BINDIR ?= $(PREFIX)/bin
LIBDIR ?= $(PREFIX)/lib
INCLUDEDIR ?= $(PREFIX)/include
DATADIR ?= $(PREFIX)/share
MANDIR ?= $(DATADIR)/man
DOCDIR ?= $(DATADIR)/doc/holdfast
SYSCONFDIR ?= /etc
UNITDIR ?= $(PREFIX)/lib/systemd/system
SYSUSERSDIR ?= $(PREFIX)/lib/sysusers.d
TMPFILESDIR ?= $(PREFIX)/lib/tmpfiles.d
BASHDIR ?= $(DATADIR)/bash-completion/completions
ZSHDIR ?= $(DATADIR)/zsh/site-functions
FISHDIR ?= $(DATADIR)/fish/vendor_completions.d

DISTRIBUTION ?= .build/distribution
PROGRAM ?= $(DISTRIBUTION)/bin/holdfast
HEADER = Sources/CHoldfast/include/holdfast.h
PARTS = program notices library manual completions service documents
LIBRARY_VERSION = $(shell sed -n 's/^\#define HOLDFAST_VERSION_[A-Z]* //p' $(HEADER) | paste -sd.)

.PHONY: distribution install uninstall $(addprefix install-,$(PARTS))

distribution:
	$(SWIFT) build -c release --product holdfast
	$(SWIFT) build -c release --product holdfast-c
	Scripts/distribution $(DISTRIBUTION)

BUILT = $(PROGRAM) $(DISTRIBUTION)/library/libholdfast.so.$(LIBRARY_VERSION) \
  $(DISTRIBUTION)/man/holdfast.1 $(DISTRIBUTION)/man/holdfast-reservoir.conf.5 \
  $(DISTRIBUTION)/completions/fish

# Says what is missing before anything is copied.
install:
	$(call ready,$(BUILT))
	@$(MAKE) --no-print-directory $(addprefix install-,$(PARTS))

ready = @for file in $(1); do test -e "$$file" || \
  { echo "install: $$file is missing: run make distribution first" >&2; exit 1; }; done
# Files of packaging have the paths of PREFIX=/usr. $(call place,FILE,MODE,DESTINATION)
place = sed -e 's|/usr/bin/holdfast|$(BINDIR)/holdfast|g' \
  -e 's|/usr/share/holdfast|$(DATADIR)/holdfast|g' $(1) >"$(DESTDIR)$(3)" && \
  chmod $(2) "$(DESTDIR)$(3)"

install-program:
	$(call ready,$(PROGRAM))
	install -d "$(DESTDIR)$(BINDIR)"
	install -m 755 $(PROGRAM) "$(DESTDIR)$(BINDIR)/holdfast"

# Whatever has the program has the licenses of all that is linked in.
install-notices:
	install -d "$(DESTDIR)$(DOCDIR)"
	install -m 644 LICENSE packaging/copyright "$(DESTDIR)$(DOCDIR)/"

install-library:
	install -d "$(DESTDIR)$(LIBDIR)/pkgconfig" "$(DESTDIR)$(INCLUDEDIR)"
	install -m 644 $(DISTRIBUTION)/library/libholdfast.so.$(LIBRARY_VERSION) "$(DESTDIR)$(LIBDIR)/"
	cp -P $(DISTRIBUTION)/library/libholdfast.so $(DISTRIBUTION)/library/libholdfast.so.0 \
	  "$(DESTDIR)$(LIBDIR)/"
	install -m 644 $(HEADER) "$(DESTDIR)$(INCLUDEDIR)/"
	sed -e 's|@prefix@|$(PREFIX)|' -e 's|@libdir@|$(LIBDIR)|' -e 's|@includedir@|$(INCLUDEDIR)|' \
	  -e 's|@version@|$(LIBRARY_VERSION)|' packaging/holdfast.pc.in \
	  >"$(DESTDIR)$(LIBDIR)/pkgconfig/holdfast.pc"
	chmod 644 "$(DESTDIR)$(LIBDIR)/pkgconfig/holdfast.pc"

install-manual:
	install -d "$(DESTDIR)$(MANDIR)/man1" "$(DESTDIR)$(MANDIR)/man5"
	for page in $(DISTRIBUTION)/man/*; do \
	  $(call place,$$page,644,$(MANDIR)/man$${page##*.}/$${page##*/}) || exit 1; done

install-completions:
	install -d "$(DESTDIR)$(BASHDIR)" "$(DESTDIR)$(ZSHDIR)" "$(DESTDIR)$(FISHDIR)"
	install -m 644 $(DISTRIBUTION)/completions/bash "$(DESTDIR)$(BASHDIR)/holdfast"
	install -m 644 $(DISTRIBUTION)/completions/zsh "$(DESTDIR)$(ZSHDIR)/_holdfast"
	install -m 644 $(DISTRIBUTION)/completions/fish "$(DESTDIR)$(FISHDIR)/holdfast.fish"

# The service has no configuration then, so nothing starts it. The examples, the dashboard, the
# alerts and the hook are not documents: images often leave those out.
install-service:
	install -d "$(DESTDIR)$(UNITDIR)" "$(DESTDIR)$(SYSUSERSDIR)" "$(DESTDIR)$(TMPFILESDIR)" \
	  "$(DESTDIR)$(SYSCONFDIR)/holdfast" "$(DESTDIR)$(DATADIR)/holdfast/libvirt" \
	  "$(DESTDIR)$(DATADIR)/holdfast/grafana" "$(DESTDIR)$(DATADIR)/holdfast/prometheus"
	for unit in packaging/systemd/*; do \
	  $(call place,$$unit,644,$(UNITDIR)/$$(basename $$unit)) || exit 1; done
	install -m 644 packaging/sysusers.d/holdfast.conf "$(DESTDIR)$(SYSUSERSDIR)/"
	install -m 644 packaging/tmpfiles.d/holdfast.conf "$(DESTDIR)$(TMPFILESDIR)/"
	install -m 644 packaging/reservoir.conf "$(DESTDIR)$(DATADIR)/holdfast/"
	install -m 644 packaging/grafana/holdfast.json "$(DESTDIR)$(DATADIR)/holdfast/grafana/"
	install -m 644 packaging/prometheus/holdfast.rules.yml \
	  "$(DESTDIR)$(DATADIR)/holdfast/prometheus/"
	install -m 755 packaging/libvirt/qemu "$(DESTDIR)$(DATADIR)/holdfast/libvirt/"

install-documents:
	install -d "$(DESTDIR)$(DOCDIR)/docs/decisions" "$(DESTDIR)$(DOCDIR)/docs/pictures"
	install -m 644 README.md ARCHITECTURE.md CHANGELOG.md SECURITY.md "$(DESTDIR)$(DOCDIR)/"
	install -m 644 docs/*.md "$(DESTDIR)$(DOCDIR)/docs/"
	install -m 644 docs/decisions/*.md "$(DESTDIR)$(DOCDIR)/docs/decisions/"
	install -m 644 docs/pictures/*.svg "$(DESTDIR)$(DOCDIR)/docs/pictures/"

# Folders are removed if they are Holdfast's own and empty.
uninstall:
	@stage=$$(mktemp -d) && trap 'rm -rf "$$stage"' EXIT && \
	$(MAKE) -s install DESTDIR="$$stage" && cd "$$stage" && \
	find . ! -type d | while read -r file; do rm -f "$(DESTDIR)/$$file"; done && \
	find . -depth -type d | grep -E '/holdfast(/|$$)' | while read -r folder; do \
	  rmdir "$(DESTDIR)/$$folder" 2>/dev/null || true; done
