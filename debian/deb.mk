# SPDX-License-Identifier: BSD-3-Clause

## make deb               a Debian package for this release, in build/deb/
# Of the files that git knows, as they are now, in a tree of their own: nothing is left in this one.
deb:
	@v=$$(sed -n '1s/.*(\(.*\)).*/\1/p' debian/changelog) && [ "$$v" = "$(VERSION)" ] || \
		{ echo "debian/changelog is of version $$v, the Makefile of $(VERSION)" >&2; exit 1; }
	@rm -rf $(B)/deb && mkdir -p $(B)/deb/lichgate-$(VERSION)
	@git ls-files -z | xargs -0 tar -c | tar -x -C $(B)/deb/lichgate-$(VERSION)
	cd $(B)/deb/lichgate-$(VERSION) && \
		env -u MAKEFLAGS -u MAKELEVEL -u MFLAGS dpkg-buildpackage -b -us -uc -ui
	@rm -rf $(B)/deb/lichgate-$(VERSION)
	@ls $(B)/deb/*.deb

.PHONY: deb
