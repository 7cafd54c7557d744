# SPDX-License-Identifier: BSD-3-Clause

# The Debian release that the package is for: this machine's, or another one in a root made for it.
RELEASE	?=
DEB_DIR	:= $(B)/deb$(if $(RELEASE),/$(RELEASE))

## make deb               a Debian package for this release, in build/deb/
##                        RELEASE=trixie: for that one, in build/deb/trixie/
# Of the files that git knows, as they are now, in a tree of their own: nothing is left in this one.
deb:
	@v=$$(sed -n '1s/.*(\(.*\)).*/\1/p' debian/changelog) && [ "$$v" = "$(VERSION)" ] || \
		{ echo "debian/changelog is of version $$v, the Makefile of $(VERSION)" >&2; exit 1; }
	@rm -rf $(DEB_DIR) && mkdir -p $(DEB_DIR)/lichgate-$(VERSION)
	@git ls-files -z | xargs -0 tar -c | tar -x -C $(DEB_DIR)/lichgate-$(VERSION)
	cd $(DEB_DIR)/lichgate-$(VERSION) && \
		env -u MAKEFLAGS -u MAKELEVEL -u MFLAGS $(if $(RELEASE),debian/build-in $(RELEASE),dpkg-buildpackage -b -us -uc -ui)
	@rm -rf $(DEB_DIR)/lichgate-$(VERSION)
	@ls $(DEB_DIR)/*.deb

.PHONY: deb
