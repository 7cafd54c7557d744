# SPDX-License-Identifier: BSD-3-Clause
# `make install DESTDIR= PREFIX=/usr/local`: programs, man pages, units, completion, the state directory.

PREFIX	   ?= /usr/local
SBINDIR	   ?= $(PREFIX)/sbin
MANDIR	   ?= $(PREFIX)/share/man
UNITDIR	   ?= $(PREFIX)/lib/systemd/system
COMPLETIONDIR ?= $(PREFIX)/share/bash-completion/completions
INSTALL	   ?= install

## make install           programs, man pages, systemd units and completion under $(DESTDIR)$(PREFIX)
install: all
	$(INSTALL) -d $(DESTDIR)$(SBINDIR) $(DESTDIR)$(MANDIR)/man7 $(DESTDIR)$(MANDIR)/man8 \
		$(DESTDIR)$(UNITDIR) $(DESTDIR)$(COMPLETIONDIR)
	$(INSTALL) -d -m 0700 $(DESTDIR)/var/lib/lichgate
	$(INSTALL) -m 0755 $(addprefix $(B)/,$(PROGRAMS)) $(DESTDIR)$(SBINDIR)
	$(INSTALL) -m 0644 mgmt/man/*.7 $(DESTDIR)$(MANDIR)/man7
	$(INSTALL) -m 0644 mgmt/man/*.8 $(DESTDIR)$(MANDIR)/man8
	$(INSTALL) -m 0644 mgmt/lgtadm.bash $(DESTDIR)$(COMPLETIONDIR)/lgtadm
	for u in mgmt/systemd/*.service; do \
		sed 's,@SBINDIR@,$(SBINDIR),' $$u > $(DESTDIR)$(UNITDIR)/$${u##*/} && \
		chmod 0644 $(DESTDIR)$(UNITDIR)/$${u##*/} || exit 1; \
	done

.PHONY: install
