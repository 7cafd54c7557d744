/* SPDX-License-Identifier: BSD-3-Clause */
#include "iscsi/tcp_xport.h"

#include "iscsi/conn.h"
#include "iscsi/xport.h"

const struct gw_xport_ops tcp_xport = {
    .name = "tcp",
    .respond = iscsi_respond,
    .turn = iscsi_turn,
    .listen = tcp_listen,
    .accept = tcp_accept,
    .unlisten = tcp_unlisten,
    .close = iscsi_xport_close,
    .ask_logout = iscsi_xport_ask_logout,
    .params = iscsi_xport_params,
};
