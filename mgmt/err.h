/* SPDX-License-Identifier: BSD-3-Clause */
/* Why a request was refused: tgtadm's number for scripts, one sentence for people. */
#ifndef MGMT_ERR_H
#define MGMT_ERR_H

struct mgmt_err {
	int tgt;        /* enum tgt_err */
	char text[512]; /* no full stop at its end */
};

/* Fills e and returns -1, so that `return mgmt_fail(...)` refuses. */
int mgmt_fail(struct mgmt_err *e, int tgt, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

#endif
