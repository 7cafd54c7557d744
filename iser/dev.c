/* SPDX-License-Identifier: BSD-3-Clause */
#include "iser/dev.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <rdma/rdma_cma.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/base/log.h"
#include "gateway/base/num.h"
#include "gateway/core/buf.h"
#include "iser/conn.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct iser_dev *_Atomic devs;
static bool iwarp_trusted;

void
iser_devs_trust_iwarp(void)
{
	iwarp_trusted = true;
}

struct iser_dev *
iser_devs(void)
{
	return atomic_load(&devs);
}

static const char *
name(const struct iser_dev *dev)
{
	return ibv_get_device_name(dev->verbs->device);
}

static void
dev_free(struct iser_dev *dev)
{
	if (dev->mr)
		ibv_dereg_mr(dev->mr);
	if (dev->pd)
		ibv_dealloc_pd(dev->pd);
	if (dev->list)
		rdma_free_devices(dev->list);
	free(dev);
}

/*
 * iWARP places what an RDMA Read brings as if the peer wrote it, and wants its memory open for that, to
 * anybody who has seen its STag; elsewhere no peer may touch ours.
 */
static int
access_of(const struct ibv_context *verbs)
{
	bool iwarp = verbs->device->transport_type == IBV_TRANSPORT_IWARP;

	return IBV_ACCESS_LOCAL_WRITE | (iwarp ? IBV_ACCESS_REMOTE_WRITE : 0);
}

/* NULL, or why it cannot be used. */
static const char *
dev_init(struct iser_dev *dev)
{
	struct ibv_device_attr attr;
	uint8_t *base;
	uint64_t len;
	int rc, n;

	if (dev->verbs->device->transport_type == IBV_TRANSPORT_IWARP && !iwarp_trusted)
		return "over iWARP every peer could write into all I/O buffers; --iwarp allows it";
	/* Held as long as we use it, or librdmacm closes the context when the device goes. */
	dev->list = rdma_get_devices(&n);
	rc = ibv_query_device(dev->verbs, &attr);
	if (rc)
		return strerror(rc);
	dev->max_sge = (uint32_t)GW_MAX(attr.max_sge, 2);
	dev->max_read_sge = GW_MIN((uint32_t)GW_MAX(attr.max_sge_rd, 1), dev->max_sge);
	dev->max_wr = (uint32_t)attr.max_qp_wr;
	dev->max_cqe = (uint32_t)attr.max_cqe;
	dev->can_send_inv = attr.device_cap_flags & IBV_DEVICE_MEM_MGT_EXTENSIONS;
	dev->max_ord = (uint8_t)GW_MIN(attr.max_qp_init_rd_atom, 255);
	gw_arena_region(&base, &len);
	dev->pd = ibv_alloc_pd(dev->verbs);
	if (!dev->pd)
		return strerror(errno);
	dev->mr = ibv_reg_mr(dev->pd, base, len, access_of(dev->verbs));
	if (!dev->mr)
		return errno == ENOMEM ? "its memory cannot be locked: RLIMIT_MEMLOCK is too small"
				       : strerror(errno);
	return NULL;
}

/* --- what the device says of itself --- */

static void watch(struct iser_dev *dev);

struct farewell {
	struct gw_tour tour;
	struct iser_dev *dev;
	const void *conn; /* NULL: all of the device */
	uint32_t qp;
	const char *why;
};

static void
end_visit(struct gw_core *core, struct gw_tour *tour)
{
	struct farewell *f = gw_container(tour, struct farewell, tour);

	iser_conns_end(core, f->dev, f->conn, f->qp, f->why);
	gw_tour_next(tour);
}

static void
end_done(struct gw_tour *tour)
{
	free(gw_container(tour, struct farewell, tour));
}

/* Ends the connection of a QP, or all of the device, wherever they live. */
static void
farewell(struct iser_dev *dev, const void *conn, uint32_t qp, const char *why)
{
	struct farewell *f = calloc(1, sizeof(*f));

	if (!f)
		return; /* their completions with errors end them as well */
	f->dev = dev;
	f->conn = conn;
	f->qp = qp;
	f->why = why;
	gw_tour_start(&f->tour, end_visit, end_done);
}

static void
async_event(struct iser_dev *dev, const struct ibv_async_event *ev, const void *conn, uint32_t qp)
{
	switch (ev->event_type) {
	case IBV_EVENT_QP_FATAL:
	case IBV_EVENT_QP_REQ_ERR:
	case IBV_EVENT_QP_ACCESS_ERR:
		farewell(dev, conn, qp, "its queue pair failed");
		break;
	case IBV_EVENT_CQ_ERR:
	case IBV_EVENT_DEVICE_FATAL:
		gw_err("an RDMA device failed: device=%s event=\"%s\"", name(dev),
		       ibv_event_type_str(ev->event_type));
		farewell(dev, NULL, 0, "the RDMA device failed");
		break;
	default:
		gw_debug("device=%s event=\"%s\"", name(dev), ibv_event_type_str(ev->event_type));
		break;
	}
}

static void
async_ready(struct gw_op *op, int res)
{
	struct iser_dev *dev = gw_container(op, struct iser_dev, async);
	struct ibv_async_event ev;

	if (res < 0) {
		dev->watched = false;
		return;
	}
	while (ibv_get_async_event(dev->verbs, &ev) == 0) {
		bool of_qp = ev.event_type <= IBV_EVENT_PATH_MIG_ERR &&
			     ev.event_type != IBV_EVENT_CQ_ERR;
		const void *conn = of_qp ? ev.element.qp->qp_context : NULL;
		uint32_t qp = of_qp ? ev.element.qp->qp_num : 0;

		/* A QP is destroyed only when its events were acknowledged: at once. */
		ibv_ack_async_event(&ev);
		async_event(dev, &ev, conn, qp);
	}
	if (errno == EAGAIN || errno == EINTR) {
		watch(dev);
		return;
	}
	/* It has gone; its connections hear that from the connection manager. */
	dev->watched = false;
	gw_warn("an RDMA device has gone: device=%s", name(dev));
}

static void
watch(struct iser_dev *dev)
{
	dev->watched = true;
	gw_poll(gw_core_at(0), &dev->async, dev->verbs->async_fd, POLLIN);
}

static void
watch_on(struct gw_core *core, struct gw_msg *msg)
{
	(void)core;
	watch(gw_container(msg, struct iser_dev, msg));
}

/* --- */

static struct iser_dev *
dev_new(struct ibv_context *verbs)
{
	struct iser_dev *dev = calloc(1, sizeof(*dev));
	const char *why;

	if (!dev)
		return NULL;
	dev->verbs = verbs;
	dev->async.done = async_ready;
	why = dev_init(dev);
	if (why) {
		/* It stays in the list, so that this is said once. */
		gw_err("an RDMA device cannot be used: device=%s why=\"%s\"", name(dev), why);
		return dev;
	}
	(void)iser_never_waits(verbs->async_fd);
	dev->msg.fn = watch_on;
	gw_send(gw_core_at(0), &dev->msg);
	gw_info("RDMA device opened: device=%s max_sge=%u max_ord=%u", name(dev), dev->max_sge,
		dev->max_ord);
	return dev;
}

struct iser_dev *
iser_dev_get(struct ibv_context *verbs)
{
	struct iser_dev *dev;

	pthread_mutex_lock(&lock);
	dev = iser_devs();
	while (dev && dev->verbs != verbs)
		dev = dev->next;
	if (!dev) {
		dev = dev_new(verbs);
		if (dev) {
			dev->next = iser_devs();
			atomic_store(&devs, dev);
		}
	}
	pthread_mutex_unlock(&lock);
	return dev && dev->mr ? dev : NULL;
}

unsigned
iser_devs_open(void)
{
	struct ibv_context **list;
	unsigned n = 0;
	int all = 0;

	list = rdma_get_devices(&all);
	for (int i = 0; list && i < all; i++)
		n += iser_dev_get(list[i]) != NULL;
	if (list)
		rdma_free_devices(list);
	return n;
}

void
iser_devs_close(void)
{
	struct iser_dev *dev, *next;

	for (dev = iser_devs(); dev; dev = next) {
		next = dev->next;
		dev_free(dev);
	}
	atomic_store(&devs, NULL);
}
