/* SPDX-License-Identifier: BSD-3-Clause */
/* Intrusive doubly linked list with a head node. Not thread-safe: a list belongs to one core. */
#ifndef GW_BASE_LIST_H
#define GW_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct gw_list {
	struct gw_list *prev, *next;
};

#define gw_container(ptr, type, member)                                                            \
	((type *)(void *)((char *)(ptr) - offsetof(type, member)))

static inline void
gw_list_init(struct gw_list *l)
{
	l->prev = l->next = l;
}

static inline bool
gw_list_empty(const struct gw_list *l)
{
	return l->next == l;
}

static inline void
gw_list_add_tail(struct gw_list *head, struct gw_list *n)
{
	n->prev = head->prev;
	n->next = head;
	head->prev->next = n;
	head->prev = n;
}

static inline void
gw_list_add_head(struct gw_list *head, struct gw_list *n)
{
	gw_list_add_tail(head->next, n);
}

/* Unlinks n and leaves it an empty list, so that a second del is harmless. */
static inline void
gw_list_del(struct gw_list *n)
{
	n->prev->next = n->next;
	n->next->prev = n->prev;
	gw_list_init(n);
}

/* Moves all of `from` to the tail of `to`. */
static inline void
gw_list_splice_tail(struct gw_list *to, struct gw_list *from)
{
	if (gw_list_empty(from))
		return;
	from->next->prev = to->prev;
	to->prev->next = from->next;
	from->prev->next = to;
	to->prev = from->prev;
	gw_list_init(from);
}

#define gw_list_entry(ptr, type, member) gw_container(ptr, type, member)
#define gw_list_first(head, type, member)                                                          \
	(gw_list_empty(head) ? NULL : gw_container((head)->next, type, member))

/*
 * The node of an entry, by address arithmetic: at the end of a walk `it` stands for the head, which is
 * no `type` and may not be aligned as one.
 */
#define gw_list_node_(it, type, member)                                                            \
	((struct gw_list *)(void *)((char *)(it) + offsetof(type, member)))

/* The body may not unlink `it`; use the _safe form for that. */
#define gw_list_each(it, head, type, member)                                                       \
	for (type *it = gw_container((head)->next, type, member);                                  \
	     gw_list_node_(it, type, member) != (head);                                            \
	     it = gw_container(gw_list_node_(it, type, member)->next, type, member))
#define gw_list_each_safe(it, head, type, member)                                                  \
	for (type *it = gw_container((head)->next, type, member),                                  \
		  *it##_n_ = gw_container(gw_list_node_(it, type, member)->next, type, member);    \
	     gw_list_node_(it, type, member) != (head);                                            \
	     it = it##_n_,                                                                         \
		  it##_n_ = gw_container(gw_list_node_(it, type, member)->next, type, member))

#endif
