# SPDX-License-Identifier: BSD-3-Clause
# `make install DESTDIR= PREFIX=/usr/local`: programs, man pages, units and their user, completion.

PREFIX	   ?= /usr/local
SBINDIR	   ?= $(PREFIX)/sbin
MANDIR	   ?= $(PREFIX)/share/man
UNITDIR	   ?= $(PREFIX)/lib/systemd/system
SYSUSERSDIR ?= $(PREFIX)/lib/sysusers.d
UDEVDIR	   ?= $(PREFIX)/lib/udev/rules.d
COMPLETIONDIR ?= $(PREFIX)/share/bash-completion/completions
INSTALL	   ?= install

## make install           programs, man pages, systemd units and completion under $(DESTDIR)$(PREFIX)
install: all
	$(INSTALL) -d $(DESTDIR)$(SBINDIR) $(DESTDIR)$(MANDIR)/man7 $(DESTDIR)$(MANDIR)/man8 \
		$(DESTDIR)$(UNITDIR) $(DESTDIR)$(SYSUSERSDIR) $(DESTDIR)$(UDEVDIR) $(DESTDIR)$(COMPLETIONDIR)
	$(INSTALL) -m 0755 $(addprefix $(B)/,$(PROGRAMS)) $(DESTDIR)$(SBINDIR)
	$(INSTALL) -m 0644 mgmt/man/*.7 $(DESTDIR)$(MANDIR)/man7
	$(INSTALL) -m 0644 mgmt/man/*.8 $(DESTDIR)$(MANDIR)/man8
	$(INSTALL) -m 0644 mgmt/lgtadm.bash $(DESTDIR)$(COMPLETIONDIR)/lgtadm
	$(INSTALL) -m 0644 mgmt/systemd/lichgate.sysusers $(DESTDIR)$(SYSUSERSDIR)/lichgate.conf
	$(INSTALL) -m 0644 mgmt/systemd/lichgate.rules $(DESTDIR)$(UDEVDIR)/60-lichgate.rules
	for u in mgmt/systemd/*.service; do \
		sed 's,@SBINDIR@,$(SBINDIR),' $$u > $(DESTDIR)$(UNITDIR)/$${u##*/} && \
		chmod 0644 $(DESTDIR)$(UNITDIR)/$${u##*/} || exit 1; \
	done

.PHONY: install
