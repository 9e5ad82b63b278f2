// SPDX-License-Identifier: GPL-2.0-only
/*
 * Compile-time checks of the uapi structures: they have no holes, their layout
 * does not change, and it is the same on every architecture.
 */
#include <linux/build_bug.h>
#include <linux/mbox.h>
#include <linux/stddef.h>

#define FIELD(type, field) sizeof_field(struct type, field)
#define END(type, field) offsetofend(struct type, field)

/* The sizes of the fields add up to the size of the structure: it has no hole. */
static_assert(sizeof(struct mbox_attr) ==
	      FIELD(mbox_attr, mode) + FIELD(mbox_attr, flags) +
		      FIELD(mbox_attr, capacity) + FIELD(mbox_attr, msg_max) +
		      FIELD(mbox_attr, perm));
static_assert(sizeof(struct mbox_info) ==
	      FIELD(mbox_info, abi) + FIELD(mbox_info, modes) +
		      FIELD(mbox_info, attr_flags) + FIELD(mbox_info, call_flags) +
		      FIELD(mbox_info, user_mailboxes) + FIELD(mbox_info, mailboxes) +
		      FIELD(mbox_info, user_bytes) + FIELD(mbox_info, bytes) +
		      FIELD(mbox_info, msg_max_limit) + FIELD(mbox_info, fds));
static_assert(sizeof(struct mbox_create) ==
	      FIELD(mbox_create, name) + FIELD(mbox_create, name_len) +
		      FIELD(mbox_create, oflags) + FIELD(mbox_create, attr) +
		      FIELD(mbox_create, reserved) + FIELD(mbox_create, id) +
		      FIELD(mbox_create, options));
/* struct mbox_options can grow, so no field may follow it. */
static_assert(END(mbox_create, options) == sizeof(struct mbox_create));
static_assert(sizeof(struct mbox_options) ==
	      FIELD(mbox_options, size) + FIELD(mbox_options, history) +
		      FIELD(mbox_options, max_deliveries) +
		      FIELD(mbox_options, dead_letter) +
		      FIELD(mbox_options, max_bytes));
static_assert(sizeof(struct mbox_open) ==
	      FIELD(mbox_open, name) + FIELD(mbox_open, name_len) +
		      FIELD(mbox_open, oflags) + FIELD(mbox_open, id));
static_assert(sizeof(struct mbox_unlink) ==
	      FIELD(mbox_unlink, name) + FIELD(mbox_unlink, name_len) +
		      FIELD(mbox_unlink, reserved));
static_assert(sizeof(struct mbox_stat) ==
	      FIELD(mbox_stat, id) + FIELD(mbox_stat, attr) +
		      FIELD(mbox_stat, queued) + FIELD(mbox_stat, bytes) +
		      FIELD(mbox_stat, waiting_senders) +
		      FIELD(mbox_stat, waiting_receivers) + FIELD(mbox_stat, sent) +
		      FIELD(mbox_stat, received) + FIELD(mbox_stat, dropped) +
		      FIELD(mbox_stat, uid) + FIELD(mbox_stat, gid) +
		      FIELD(mbox_stat, send_handles) +
		      FIELD(mbox_stat, recv_handles) + FIELD(mbox_stat, stalled_ns) +
		      FIELD(mbox_stat, stalled_pid) + FIELD(mbox_stat, reserved) +
		      FIELD(mbox_stat, highest) + FIELD(mbox_stat, leased) +
		      FIELD(mbox_stat, oldest_ns) + FIELD(mbox_stat, expired) +
		      FIELD(mbox_stat, redelivered) + FIELD(mbox_stat, dead_letters) +
		      FIELD(mbox_stat, waited) + FIELD(mbox_stat, last_sender) +
		      FIELD(mbox_stat, last_receiver));
static_assert(sizeof(struct mbox_walk) ==
	      FIELD(mbox_walk, id) + FIELD(mbox_walk, name) +
		      FIELD(mbox_walk, ns) + FIELD(mbox_walk, stat));
static_assert(sizeof(struct mbox_total) ==
	      FIELD(mbox_total, prefix) + FIELD(mbox_total, prefix_len) +
		      FIELD(mbox_total, max) + FIELD(mbox_total, id) +
		      FIELD(mbox_total, mailboxes) + FIELD(mbox_total, queued) +
		      FIELD(mbox_total, bytes));
/* struct mbox_stat can grow, so no field may follow it. */
static_assert(END(mbox_walk, stat) == sizeof(struct mbox_walk));
static_assert(sizeof(struct mbox_direct) ==
	      FIELD(mbox_direct, pid) + FIELD(mbox_direct, oflags) +
		      FIELD(mbox_direct, flags) + FIELD(mbox_direct, reserved));
static_assert(sizeof(struct mbox_msg) ==
	      FIELD(mbox_msg, buf) + FIELD(mbox_msg, len) +
		      FIELD(mbox_msg, flags) + FIELD(mbox_msg, deadline_ns) +
		      FIELD(mbox_msg, prio) + FIELD(mbox_msg, skip) +
		      FIELD(mbox_msg, type) + FIELD(mbox_msg, token) +
		      FIELD(mbox_msg, pid) + FIELD(mbox_msg, uid) +
		      FIELD(mbox_msg, gid) + FIELD(mbox_msg, nfds) +
		      FIELD(mbox_msg, fds) + FIELD(mbox_msg, lost) +
		      FIELD(mbox_msg, deliveries) + FIELD(mbox_msg, reserved) +
		      FIELD(mbox_msg, lifespan_ns));
static_assert(sizeof(struct mbox_vec) ==
	      FIELD(mbox_vec, msgs) + FIELD(mbox_vec, n) +
		      FIELD(mbox_vec, flags) + FIELD(mbox_vec, msg_size) +
		      FIELD(mbox_vec, reserved));
static_assert(sizeof(struct mbox_set_capacity) ==
	      FIELD(mbox_set_capacity, capacity) +
		      FIELD(mbox_set_capacity, reserved) +
		      FIELD(mbox_set_capacity, max_bytes));
static_assert(sizeof(struct mbox_ring_info) ==
	      FIELD(mbox_ring_info, version) + FIELD(mbox_ring_info, owner) +
		      FIELD(mbox_ring_info, capacity) + FIELD(mbox_ring_info, slots) +
		      FIELD(mbox_ring_info, msg_max) + FIELD(mbox_ring_info, stride) +
		      FIELD(mbox_ring_info, flags) + FIELD(mbox_ring_info, barrier) +
		      FIELD(mbox_ring_info, slots_size));
static_assert(sizeof(struct mbox_ring_wait) ==
	      FIELD(mbox_ring_wait, side) + FIELD(mbox_ring_wait, flags) +
		      FIELD(mbox_ring_wait, deadline_ns));
static_assert(sizeof(struct mbox_ring_wake) ==
	      FIELD(mbox_ring_wake, side) + FIELD(mbox_ring_wake, n));
static_assert(sizeof(struct mbox_request) ==
	      FIELD(mbox_request, buf) + FIELD(mbox_request, rep) +
		      FIELD(mbox_request, len) + FIELD(mbox_request, rep_len) +
		      FIELD(mbox_request, flags) + FIELD(mbox_request, prio) +
		      FIELD(mbox_request, type) +
		      FIELD(mbox_request, deadline_ns) +
		      FIELD(mbox_request, ticket));
static_assert(sizeof(struct mbox_reply) ==
	      FIELD(mbox_reply, token) + FIELD(mbox_reply, buf) +
		      FIELD(mbox_reply, len) + FIELD(mbox_reply, reserved));
static_assert(sizeof(struct mbox_reply_recv) ==
	      FIELD(mbox_reply_recv, reply) + FIELD(mbox_reply_recv, next) +
		      FIELD(mbox_reply_recv, next_size) +
		      FIELD(mbox_reply_recv, reserved));
static_assert(sizeof(struct mbox_lease) ==
	      FIELD(mbox_lease, token) + FIELD(mbox_lease, delay_ns) +
		      FIELD(mbox_lease, flags) + FIELD(mbox_lease, reserved));
static_assert(sizeof(struct mbox_notify) ==
	      FIELD(mbox_notify, kind) + FIELD(mbox_notify, signo) +
		      FIELD(mbox_notify, value) + FIELD(mbox_notify, fd) +
		      FIELD(mbox_notify, reserved));
static_assert(sizeof(struct mbox_call_start) ==
	      FIELD(mbox_call_start, req) + FIELD(mbox_call_start, msg_size) +
		      FIELD(mbox_call_start, rep_max) + FIELD(mbox_call_start, token));
static_assert(sizeof(struct mbox_call_wait) ==
	      FIELD(mbox_call_wait, token) + FIELD(mbox_call_wait, rep) +
		      FIELD(mbox_call_wait, deadline_ns) +
		      FIELD(mbox_call_wait, msg_size) + FIELD(mbox_call_wait, ended));
static_assert(sizeof(struct mbox_call_cancel) == FIELD(mbox_call_cancel, token));
static_assert(sizeof(struct mbox_callmsg) ==
	      FIELD(mbox_callmsg, req) + FIELD(mbox_callmsg, rep) +
		      FIELD(mbox_callmsg, msg_size) + FIELD(mbox_callmsg, reserved) +
		      FIELD(mbox_callmsg, ticket));
static_assert(sizeof(struct mbox_expel) ==
	      FIELD(mbox_expel, reader) + FIELD(mbox_expel, unread) +
		      FIELD(mbox_expel, flags) + FIELD(mbox_expel, reserved));
static_assert(sizeof(struct mbox_set_reader) ==
	      FIELD(mbox_set_reader, policy) + FIELD(mbox_set_reader, reserved));
static_assert(sizeof(struct mbox_replymsg) ==
	      FIELD(mbox_replymsg, token) + FIELD(mbox_replymsg, buf) +
		      FIELD(mbox_replymsg, len) + FIELD(mbox_replymsg, nfds) +
		      FIELD(mbox_replymsg, fds));

/* The layout that existing programs were compiled with. */
static_assert(sizeof(struct mbox_attr) == 20);
static_assert(sizeof(struct mbox_info) == 48);
static_assert(sizeof(struct mbox_create) == 72);
static_assert(sizeof(struct mbox_options) == 24);
static_assert(sizeof(struct mbox_open) == 24);
static_assert(sizeof(struct mbox_unlink) == 16);
static_assert(sizeof(struct mbox_stat) == 344);
static_assert(sizeof(struct mbox_walk) == 616);
static_assert(sizeof(struct mbox_direct) == 16);
static_assert(sizeof(struct mbox_total) == 48);
static_assert(sizeof(struct mbox_msg) == 96);
static_assert(sizeof(struct mbox_vec) == 24);
static_assert(sizeof(struct mbox_set_capacity) == 16);
static_assert(sizeof(struct mbox_ring_info) == 40);
static_assert(sizeof(struct mbox_ring_kernel) == 192);
static_assert(offsetof(struct mbox_ring_kernel, receivers) == 64);
static_assert(offsetof(struct mbox_ring_kernel, senders) == 128);
static_assert(sizeof(struct mbox_ring_slot) == 16);
static_assert(sizeof(struct mbox_ring_wait) == 16);
static_assert(sizeof(struct mbox_ring_wake) == 8);
static_assert(sizeof(struct mbox_request) == 56);
static_assert(sizeof(struct mbox_reply) == 24);
static_assert(sizeof(struct mbox_reply_recv) == 40);
static_assert(sizeof(struct mbox_notify) == 24);
static_assert(sizeof(struct mbox_lease) == 24);
static_assert(sizeof(struct mbox_call_start) == 24);
static_assert(sizeof(struct mbox_call_wait) == 32);
static_assert(sizeof(struct mbox_call_cancel) == 8);
static_assert(sizeof(struct mbox_callmsg) == 32);
static_assert(sizeof(struct mbox_replymsg) == 32);
static_assert(sizeof(struct mbox_expel) == 24);
static_assert(sizeof(struct mbox_set_reader) == 8);
static_assert(END(mbox_msg, deadline_ns) == 24);

/* The part of each structure that an ioctl requires. */
static_assert(END(mbox_info, modes) == 8);
static_assert(END(mbox_create, id) == 48);
static_assert(END(mbox_open, id) == 24);
static_assert(END(mbox_unlink, reserved) == 16);
static_assert(END(mbox_walk, stat.recv_handles) == 360);
static_assert(END(mbox_direct, reserved) == 16);
static_assert(END(mbox_total, bytes) == 48);
static_assert(END(mbox_msg, flags) == 16);
static_assert(END(mbox_vec, reserved) == 24);
static_assert(END(mbox_stat, id) == 8);
static_assert(END(mbox_set_capacity, reserved) == 8);
static_assert(END(mbox_ring_wait, deadline_ns) == 16);
static_assert(END(mbox_ring_wake, n) == 8);
static_assert(END(mbox_request, deadline_ns) == 48);
static_assert(END(mbox_reply, reserved) == 24);
static_assert(END(mbox_reply_recv, reserved) == 40);
static_assert(END(mbox_notify, reserved) == 24);
static_assert(END(mbox_lease, delay_ns) == 16);
static_assert(END(mbox_call_start, token) == 24);
static_assert(END(mbox_call_wait, ended) == 32);
static_assert(END(mbox_call_cancel, token) == 8);
static_assert(END(mbox_callmsg, ticket) == 32);
static_assert(END(mbox_replymsg, fds) == 32);
static_assert(END(mbox_expel, reserved) == 24);
static_assert(END(mbox_set_reader, reserved) == 8);
static_assert(END(mbox_msg, flags) == MBOX_MSG_SIZE_MIN);
static_assert(END(mbox_request, deadline_ns) == MBOX_REQUEST_SIZE_MIN);
static_assert(END(mbox_create, id) == MBOX_CREATE_SIZE_MIN);
