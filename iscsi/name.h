/* SPDX-License-Identifier: BSD-3-Clause */
/* iSCSI names (RFC 7143 4.2.7) and socket addresses as text. */
#ifndef ISCSI_NAME_H
#define ISCSI_NAME_H

#include <netinet/in.h>
#include <stdbool.h>
#include <sys/socket.h>

#include "gateway/api/model.h"

/*
 * Copies a name in lower case, the form in which names are compared (RFC 3722 for ASCII). False, and
 * dst empty: empty, longer than GW_NAME_MAX, or with a character outside of a-z 0-9 . - : _ + @ /
 */
bool iscsi_name_copy(char dst[GW_NAME_MAX + 1], const char *src);

/* True if a name that iscsi_name_copy() made is of type iqn., eui. or naa. (4.2.7.4 to 4.2.7.6). */
bool iscsi_name_typed(const char *name);

/* The numeric address without port; IPv4 mapped into IPv6 as IPv4. "?" for what is neither. */
void iscsi_addr_text(const struct sockaddr_storage *ss, char dst[INET6_ADDRSTRLEN]);

/* AF_INET or AF_INET6 as iscsi_addr_text() writes it; 0 for what is neither. */
int iscsi_addr_family(const struct sockaddr_storage *ss);

#endif
