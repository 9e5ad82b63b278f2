// SPDX-License-Identifier: GPL-2.0-only
/*
 * The table of operations. Programs in files name them by their number: new ones
 * go to the end.
 */
#include "fuzz.h"

const struct operation operations[] = {
	{ "create", op_create, 10, .may_fail = true },
	{ "open", op_open, 6, .may_fail = true },
	{ "open_id", op_open_id, 3, .may_fail = true },
	{ "unlink", op_unlink, 3, .may_fail = true },
	{ "walk", op_walk, 2, .may_fail = true },
	{ "info", op_info, 1, .may_fail = true },
	{ "send", op_send, 20, .may_fail = true },
	{ "recv", op_recv, 20, .may_fail = true },
	{ "sendv", op_sendv, 5, .may_fail = true },
	{ "recvv", op_recvv, 5, .may_fail = true },
	{ "stat", op_stat, 2, .may_fail = true },
	{ "capacity", op_set_capacity, 5, .may_fail = true },
	{ "destroy", op_destroy, 2, .may_fail = true },
	{ "raw", op_raw, 2, .may_fail = true },
	{ "read", op_read, 6, .may_fail = true },
	{ "write", op_write, 6, .may_fail = true },
	{ "poll", op_poll, 3, .may_fail = true },
	{ "epoll", op_epoll, 3, .may_fail = true },
	{ "dup", op_dup, 2 },
	{ "close", op_close, 4 },
	{ "fcntl", op_fcntl, 2 },
	{ "pass", op_pass, 2 },
	{ "take", op_take, 2 },
	{ "misc", op_misc, 2, .opens = true },
	{ "fdinfo", op_fdinfo, 1, .may_fail = true, .opens = true },
	{ "fork", op_fork, 1, .costly = true },
	{ "kill", op_kill, 3 },
	{ "alarm", op_alarm, 2 },
	{ "setuid", op_setuid, 2 },
	{ "setns", op_setns, 1 },
	{ "nice", op_nice, 2 },
	{ "sleep", op_sleep, 3 },
	{ "fail", op_fail, 4 },
	{ "trace", op_trace, 1, .opens = true },
	{ "param", op_param, 1, .costly = true, .opens = true },
	{ "memory", op_memory, 2 },
	{ "uring", op_uring, 4 },
	{ "call", op_call, 8, .may_fail = true },
	{ "reply", op_reply, 8, .may_fail = true },
	{ "reply_recv", op_reply_recv, 6, .may_fail = true },
	{ "notify", op_notify, 5, .may_fail = true, .opens = true },
	{ "direct", op_direct, 6, .may_fail = true },
};

const unsigned int noperations = ARRAY_SIZE(operations);
