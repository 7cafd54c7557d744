/* SPDX-License-Identifier: BSD-3-Clause */
#include "gateway/base/list.h"
#include "tests/unit/base/suite.h"

struct item {
	int n;
	struct gw_list node;
};

static struct gw_list head, other;
static struct item items[4];

static void
setup(void)
{
	gw_list_init(&head);
	gw_list_init(&other);
	for (int i = 0; i < 4; i++) {
		items[i].n = i;
		gw_list_init(&items[i].node);
	}
}

static int
digits(struct gw_list *l)
{
	int v = 0;

	gw_list_each (it, l, struct item, node)
		v = v * 10 + it->n + 1;
	return v;
}

START_TEST(test_order)
{
	setup();
	ck_assert(gw_list_empty(&head));
	ck_assert_ptr_null(gw_list_first(&head, struct item, node));
	gw_list_add_tail(&head, &items[1].node);
	gw_list_add_tail(&head, &items[2].node);
	gw_list_add_head(&head, &items[0].node);
	ck_assert_int_eq(digits(&head), 123);
	ck_assert_ptr_eq(gw_list_first(&head, struct item, node), &items[0]);
}
END_TEST

START_TEST(test_delete_twice)
{
	setup();
	for (int i = 0; i < 3; i++)
		gw_list_add_tail(&head, &items[i].node);
	gw_list_del(&items[1].node);
	gw_list_del(&items[1].node);
	ck_assert_int_eq(digits(&head), 13);
	ck_assert(gw_list_empty(&items[1].node));
}
END_TEST

START_TEST(test_delete_while_walking)
{
	int seen = 0;

	setup();
	for (int i = 0; i < 4; i++)
		gw_list_add_tail(&head, &items[i].node);
	gw_list_each_safe (it, &head, struct item, node) {
		seen++;
		gw_list_del(&it->node);
	}
	ck_assert_int_eq(seen, 4);
	ck_assert(gw_list_empty(&head));
}
END_TEST

START_TEST(test_splice)
{
	setup();
	gw_list_add_tail(&head, &items[0].node);
	gw_list_splice_tail(&head, &other);
	ck_assert_int_eq(digits(&head), 1);
	gw_list_add_tail(&other, &items[1].node);
	gw_list_add_tail(&other, &items[2].node);
	gw_list_splice_tail(&head, &other);
	ck_assert_int_eq(digits(&head), 123);
	ck_assert(gw_list_empty(&other));
}
END_TEST

SUITE("list", test_order, test_delete_twice, test_delete_while_walking, test_splice)
