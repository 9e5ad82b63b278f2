// SPDX-License-Identifier: GPL-2.0-only
/*
 * Readers of broadcasts: which messages each handle has not read yet.
 *
 * A message is stored once. The messages of a mailbox have consecutive numbers, and
 * the newest has mailbox.next_seq - 1. Each handle is a reader, and keeps the number
 * of the message that it reads next. Each message counts the readers that read it next
 * (its cursors), and mailbox.caught_up counts the readers that have read all messages.
 * So storing a message takes the same time for one reader and for thousands; only
 * waking them depends on how many sleep. The first message can be freed once it has
 * no cursors: all readers are past it.
 *
 * If the first message is dropped although it has cursors (MBOX_DROP_OLDEST), the next
 * message gets its cursors. Those readers later compute from their own number how many
 * messages they lost.
 *
 * A reader can choose another policy than that of the mailbox. Among the cursors of a
 * message, such readers are counted once more (its choosers). So each message tells whether
 * a reader holds it. Few mailboxes have such readers: struct mbx_choices is made for the
 * first one.
 */
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include "history.h"
#include "reader.h"

/* Number of the first message that is stored, or else of the next one to be stored. */
static u64 first_stored(const struct mailbox *mb)
{
	return mb->next_seq - mb->stored.count;
}

/* Number of the first message that a handle can get, or else of the next one. */
static u64 first_seq(const struct mailbox *mb)
{
	return unlikely(mb->history) ? mb->history->first : first_stored(mb);
}

/* Whether a message is a copy in the history. */
static bool is_kept(const struct mailbox *mb, u64 seq)
{
	return seq < first_stored(mb);
}

/* Number of the message that a reader reads next. */
static u64 position(const struct mailbox *mb, const struct mbx_reader *reader)
{
	lockdep_assert_held(&mb->lock);
	return max(reader->seq, first_seq(mb));
}

static struct mbx_message *find_seq(const struct mailbox *mb, u64 seq)
{
	const struct mbx_queue *queue = is_kept(mb, seq) ? &mb->history->kept : &mb->stored;
	struct rb_node *node = queue->leaders.rb_root.rb_node;
	struct mbx_message *msg = mbx_queue_first(queue);

	/* A shortcut for the slowest reader. */
	if (msg && seq == mbx_ext(msg)->seq)
		return msg;
	while (node) {
		msg = rb_entry(node, struct mbx_message, rb);
		if (seq == mbx_ext(msg)->seq)
			return msg;
		node = seq < mbx_ext(msg)->seq ? node->rb_left : node->rb_right;
	}
	WARN_ON_ONCE(1);
	return NULL;
}

/* The message after another one, or NULL. */
static struct mbx_message *next_of(const struct mailbox *mb, struct mbx_message *msg)
{
	struct rb_node *node = rb_next(&msg->rb);

	/* What follows the last copy is stored. */
	if (!node && is_kept(mb, mbx_ext(msg)->seq))
		node = rb_first_cached(&mb->stored.leaders);
	return rb_entry_safe(node, struct mbx_message, rb);
}

/*
 * Add readers to those that read @msg next, or if it is NULL, to those that have read all.
 * @choosers: how many of them have chosen another policy.
 */
static void add_cursors(struct mailbox *mb, struct mbx_message *msg, int readers,
			int choosers)
{
	if (msg) {
		mbx_ext(msg)->cursors += readers;
		mbx_ext(msg)->choosers += choosers;
		return;
	}
	mb->caught_up += readers;
	if (unlikely(choosers))
		mb->choices->caught_up += choosers;
}

/* A reader begins or ceases to read a message next. */
static void count_cursor(struct mailbox *mb, u64 seq, int readers, int choosers)
{
	if (seq == mb->next_seq) {
		add_cursors(mb, NULL, readers, choosers);
		return;
	}
	add_cursors(mb, find_seq(mb, seq), readers, choosers);
	if (!is_kept(mb, seq))
		return;
	mb->history->late += readers;
	if (unlikely(choosers))
		mb->choices->late += choosers;
}

static bool has_choices(const struct mailbox *mb)
{
	return unlikely(mb->store_flags & MBX_STORE_CHOICES);
}

/* A reader that holds messages begins to read at @seq. */
static void hold_from(struct mailbox *mb, u64 seq)
{
	struct mbx_choices *choices = mb->choices;

	if (seq < choices->clear)
		choices->clear = max(seq, first_stored(mb));
}

/* ---- handles come and go -------------------------------------------------- */

/* No reader has a higher number. */
static void add(struct mailbox *mb, struct mbx_reader *reader)
{
	struct rb_node **link = &mb->readers.rb_node, *parent = NULL;

	while (*link) {
		parent = *link;
		link = &parent->rb_right;
	}
	rb_link_node(&reader->node, parent, link);
	rb_insert_color(&reader->node, &mb->readers);
}

/**
 * mbx_reader_join() - a handle begins to receive
 * @mb: a mailbox with MBOX_BROADCAST
 * @reader: the reader of the handle
 */
void mbx_reader_join(struct mailbox *mb, struct mbx_reader *reader)
{
	struct mbx_history *history = mb->history;

	lockdep_assert_held(&mb->lock);
	reader->seq = mb->next_seq;
	reader->lost = 0;
	reader->chooses = false;
	reader->number = ++mb->last_reader;
	add(mb, reader);
	if (history)
		reader->seq = max(history->first,
				  mb->next_seq - min_t(u64, history->limit, mb->next_seq));
	count_cursor(mb, reader->seq, 1, 0);
	if (has_choices(mb) && !(mb->flags & MBOX_DROP_OLDEST))
		hold_from(mb, reader->seq);
}

/**
 * mbx_reader_leave() - a handle stops receiving
 * @mb: a mailbox with MBOX_BROADCAST
 * @reader: the reader of the handle
 *
 * This can change what mbx_readers_done() returns.
 */
void mbx_reader_leave(struct mailbox *mb, struct mbx_reader *reader)
{
	u64 seq = position(mb, reader);

	lockdep_assert_held(&mb->lock);
	if (mbx_reader_expelled(reader))
		return;
	rb_erase(&reader->node, &mb->readers);
	/* The messages are being freed, so their cursors do not matter. */
	if (!mb->dead)
		count_cursor(mb, seq, -1, -(int)reader->chooses);
}

/**
 * mbx_reader_expel() - a handle stops receiving for good, although it stays open
 * @mb: a mailbox with MBOX_BROADCAST
 * @reader: the reader of the handle, in mailbox.readers
 *
 * As mbx_reader_leave().
 */
void mbx_reader_expel(struct mailbox *mb, struct mbx_reader *reader)
{
	lockdep_assert_held(&mb->lock);
	mbx_reader_leave(mb, reader);
	reader->seq = MBX_EXPELLED;
	reader->lost = 0;
}

/**
 * mbx_reader_from() - find a reader by its number
 * @mb: a mailbox with MBOX_BROADCAST
 * @number: the number
 *
 * Return: the reader with that number, or else the one with the next number, or NULL.
 */
struct mbx_reader *mbx_reader_from(const struct mailbox *mb, u64 number)
{
	struct rb_node *node = mb->readers.rb_node;
	struct mbx_reader *reader, *found = NULL;

	lockdep_assert_held(&mb->lock);
	while (node) {
		reader = rb_entry(node, struct mbx_reader, node);
		if (reader->number < number) {
			node = node->rb_right;
		} else {
			found = reader;
			node = node->rb_left;
		}
	}
	return found;
}

/* How many readers are compared in one hold of the lock. */
#define COMPARE_AT_ONCE 32

/**
 * mbx_reader_slowest() - find the reader with the most messages to receive
 * @mb: a mailbox with MBOX_BROADCAST
 * @unread: set to how many messages that reader had to receive
 *
 * Readers that go on meanwhile can have been compared with an older state, and those that
 * come meanwhile are left out. Of equal ones, the first that was opened is found.
 *
 * A fatal signal ends the search early; the caller must check for it.
 *
 * Context: Process context, without mailbox.lock.
 * Return: the number of the reader, which may be gone, or 0 when there is none.
 */
u64 mbx_reader_slowest(struct mailbox *mb, u64 *unread)
{
	u64 next = 1, last, most = 0, slowest = 0;
	struct mbx_reader *reader;
	struct rb_node *node;
	unsigned int n;

	spin_lock(&mb->lock);
	last = mb->last_reader;
	spin_unlock(&mb->lock);
	do {
		spin_lock(&mb->lock);
		reader = mbx_reader_from(mb, next);
		for (n = 0; reader && reader->number <= last && n < COMPARE_AT_ONCE; n++) {
			if (!slowest || mbx_reader_unread(mb, reader) > most) {
				slowest = reader->number;
				most = mbx_reader_unread(mb, reader);
			}
			next = reader->number + 1;
			node = rb_next(&reader->node);
			reader = rb_entry_safe(node, struct mbx_reader, node);
		}
		spin_unlock(&mb->lock);
		cond_resched();
	} while (n == COMPARE_AT_ONCE && !fatal_signal_pending(current));
	*unread = most;
	return slowest;
}

/* ---- messages come and go ------------------------------------------------- */

/**
 * mbx_readers_store() - store a message for all readers
 * @mb: a mailbox with MBOX_BROADCAST
 * @msg: the message, with a struct mbx_message_ext
 */
void mbx_readers_store(struct mailbox *mb, struct mbx_message *msg)
{
	struct mbx_message_ext *ext = mbx_ext(msg);

	lockdep_assert_held(&mb->lock);
	ext->seq = mb->next_seq++;
	ext->cursors = mb->caught_up;
	ext->choosers = 0;
	mb->caught_up = 0;
	if (has_choices(mb))
		swap(ext->choosers, mb->choices->caught_up);
	mbx_queue_add_last(&mb->stored, msg);
}

/**
 * mbx_readers_skip() - number a message that no handle will get before it is a copy
 * @mb: a mailbox with MBOX_BROADCAST and a history; nothing is stored
 * @msg: the message
 */
void mbx_readers_skip(struct mailbox *mb, struct mbx_message *msg)
{
	lockdep_assert_held(&mb->lock);
	mbx_ext(msg)->seq = mb->next_seq++;
	if (!mbx_history_take_copy(mb, msg)) {
		mb->history->missing++;
		mbx_history_gap(mb, mb->next_seq);
	}
}

/**
 * mbx_readers_surplus() - get the copy that is not needed since a message was stored
 * @mb: a mailbox with MBOX_BROADCAST and a history
 *
 * Return: the copy, which the caller releases, or NULL.
 */
struct mbx_message *mbx_readers_surplus(struct mailbox *mb)
{
	u64 limit = mb->history->limit;
	struct mbx_message_ext *ext;
	struct mbx_message *copy;

	lockdep_assert_held(&mb->lock);
	if (mb->stored.count <= limit)
		return NULL;
	ext = mbx_ext(find_seq(mb, mb->next_seq - limit - 1));
	copy = ext->copy;
	ext->copy = NULL;
	return copy;
}

/*
 * Of a mailbox with a history, the first message leaves mailbox.stored. Its copy takes its
 * place if every reader has read it; otherwise nothing before the next message is left.
 */
static void leave_history(struct mailbox *mb, struct mbx_message *msg)
{
	struct mbx_history *history = mb->history;
	u64 seq = mbx_ext(msg)->seq;

	lockdep_assert_held(&mb->lock);
	if (!mbx_ext(msg)->cursors && !history->late && mbx_history_take_copy(mb, msg))
		return;
	if (mb->next_seq - seq <= history->limit)
		history->missing++;
	add_cursors(mb, next_of(mb, msg), history->late, has_choices(mb) ? mb->choices->late : 0);
	history->late = 0;
	if (has_choices(mb))
		mb->choices->late = 0;
	mbx_history_gap(mb, seq + 1);
}

/**
 * mbx_readers_unstore() - remove the first message
 * @mb: a mailbox with MBOX_BROADCAST
 * @msg: the first message
 *
 * Return: whether a reader has not read it.
 */
bool mbx_readers_unstore(struct mailbox *mb, struct mbx_message *msg)
{
	u32 cursors = mbx_ext(msg)->cursors;
	bool unread = cursors;

	lockdep_assert_held(&mb->lock);
	/* Readers of the history come to it later. */
	if (unlikely(mb->history))
		unread |= mb->history->late;
	if (cursors)
		add_cursors(mb, next_of(mb, msg), cursors, mbx_ext(msg)->choosers);
	if (has_choices(mb))
		mb->choices->clear = max(mb->choices->clear, mbx_ext(msg)->seq + 1);
	if (unlikely(mb->history))
		leave_history(mb, msg);
	mbx_queue_remove(&mb->stored, msg);
	return unread;
}

/**
 * mbx_readers_done() - get the first message if every reader has read it
 * @mb: a mailbox with MBOX_BROADCAST
 *
 * Return: the message, which can be freed, or NULL.
 */
struct mbx_message *mbx_readers_done(const struct mailbox *mb)
{
	struct mbx_message *msg = mbx_queue_first(&mb->stored);

	lockdep_assert_held(&mb->lock);
	/* A handle that reads the history will read this message later. */
	if (unlikely(mb->history && mb->history->late))
		return NULL;
	return msg && !mbx_ext(msg)->cursors ? msg : NULL;
}

/* ---- readers that choose what senders do ------------------------------------ */

/**
 * mbx_choices_make() - prepare a mailbox for readers with another policy
 * @mb: a mailbox with MBOX_BROADCAST
 *
 * Context: Process context, may sleep.
 * Return: 0 or -ENOMEM.
 */
int mbx_choices_make(struct mailbox *mb)
{
	struct mbx_choices *choices = kzalloc(sizeof(*choices), GFP_KERNEL_ACCOUNT);

	if (!choices)
		return -ENOMEM;
	spin_lock(&mb->lock);
	if (!has_choices(mb)) {
		choices->clear = first_stored(mb);
		mb->choices = choices;
		mb->store_flags |= MBX_STORE_CHOICES;
		choices = NULL;
	}
	spin_unlock(&mb->lock);
	kfree(choices);
	return 0;
}

/**
 * mbx_reader_choose() - a reader gets another policy, or that of the mailbox
 * @mb: a mailbox with MBOX_BROADCAST; @chooses: with MBX_STORE_CHOICES
 * @reader: the reader, which was not expelled
 * @chooses: whether it is another one
 *
 * This can change what mbx_readers_spare() returns.
 */
void mbx_reader_choose(struct mailbox *mb, struct mbx_reader *reader, bool chooses)
{
	u64 seq = position(mb, reader);

	lockdep_assert_held(&mb->lock);
	if (reader->chooses == chooses)
		return;
	count_cursor(mb, seq, 0, chooses ? 1 : -1);
	reader->chooses = chooses;
	if (chooses == !!(mb->flags & MBOX_DROP_OLDEST))
		hold_from(mb, seq);
}

/**
 * mbx_reader_policy() - the name of what senders do when a reader falls behind
 * @mb: a mailbox with MBOX_BROADCAST
 * @reader: the reader
 */
const char *mbx_reader_policy(const struct mailbox *mb, const struct mbx_reader *reader)
{
	lockdep_assert_held(&mb->lock);
	if (!!(mb->flags & MBOX_DROP_OLDEST) != reader->chooses)
		return "drop-oldest";
	return mb->flags & MBOX_DROP_NEWEST ? "drop-newest" : "wait";
}

/* How many of some readers hold the message that they read next. */
static u32 holders(const struct mailbox *mb, u32 readers, u32 choosers)
{
	return mb->flags & MBOX_DROP_OLDEST ? choosers : readers - choosers;
}

/**
 * mbx_readers_hold_late() - whether a reader that reads the history holds messages
 * @mb: a mailbox with MBX_STORE_CHOICES
 */
bool mbx_readers_hold_late(const struct mailbox *mb)
{
	lockdep_assert_held(&mb->lock);
	return mb->history && holders(mb, mb->history->late, mb->choices->late);
}

/**
 * mbx_readers_hold() - whether a reader holds a message that it reads next
 * @mb: a mailbox with MBX_STORE_CHOICES
 * @msg: the message, which is stored
 */
bool mbx_readers_hold(const struct mailbox *mb, struct mbx_message *msg)
{
	lockdep_assert_held(&mb->lock);
	return holders(mb, mbx_ext(msg)->cursors, mbx_ext(msg)->choosers);
}

/*
 * Search on for the first stored message that a reader holds. Return false if that takes
 * more than @steps.
 */
static bool find_held(struct mailbox *mb, unsigned int steps)
{
	struct mbx_choices *choices = mb->choices;
	struct mbx_message *msg;

	/* Without readers, messages get numbers without being stored. */
	choices->clear = max(choices->clear, first_stored(mb));
	if (choices->clear == mb->next_seq)
		return true;
	msg = find_seq(mb, choices->clear);
	while (msg && !mbx_readers_hold(mb, msg)) {
		if (!steps--)
			return false;
		choices->clear++;
		msg = next_of(mb, msg);
	}
	return true;
}

/**
 * mbx_readers_spare() - whether there would be room without messages that no reader holds
 * @mb: a mailbox with MBX_STORE_CHOICES
 * @steps: how many messages to look at
 *
 * A message leaves from the front, so what comes after one that is held stays.
 */
enum mbx_spare mbx_readers_spare(struct mailbox *mb, unsigned int steps)
{
	struct mbx_choices *choices = mb->choices;
	bool known;
	u64 rest;

	lockdep_assert_held(&mb->lock);
	if (mbx_readers_hold_late(mb))
		return MBX_SPARE_NONE;
	known = find_held(mb, steps);
	rest = mb->next_seq - choices->clear;
	if (rest < mb->limit)
		return MBX_SPARE_ENOUGH;
	return known ? MBX_SPARE_NONE : MBX_SPARE_UNKNOWN;
}

/* ---- reading ---------------------------------------------------------------- */

/**
 * mbx_reader_unread() - how many messages a handle can receive
 * @mb: a mailbox with MBOX_BROADCAST
 * @reader: the reader of the handle
 */
u64 mbx_reader_unread(const struct mailbox *mb, const struct mbx_reader *reader)
{
	return max_t(s64, mb->next_seq - position(mb, reader), 0);
}

/**
 * mbx_reader_has_unread() - whether a handle can receive a message
 * @mb: a mailbox with MBOX_BROADCAST
 * @reader: the reader of the handle
 */
bool mbx_reader_has_unread(const struct mailbox *mb,
			   const struct mbx_reader *reader)
{
	/* Signed, because of MBX_EXPELLED. */
	return (s64)(mb->next_seq - position(mb, reader)) > 0;
}

/**
 * mbx_reader_lost() - how many messages were dropped before a handle read them
 * @mb: a mailbox with MBOX_BROADCAST
 * @reader: the reader of the handle
 */
u64 mbx_reader_lost(const struct mailbox *mb, const struct mbx_reader *reader)
{
	return reader->lost + position(mb, reader) - reader->seq;
}

/**
 * mbx_reader_catch_up() - move a reader past the messages that were dropped
 * @mb: a mailbox with MBOX_BROADCAST
 * @reader: the reader of the handle
 */
void mbx_reader_catch_up(const struct mailbox *mb, struct mbx_reader *reader)
{
	u64 lost = mbx_reader_lost(mb, reader);

	reader->seq = position(mb, reader);
	reader->lost = lost;
}

/**
 * mbx_reader_find() - find a message that a handle has not read
 * @mb: a mailbox with MBOX_BROADCAST
 * @reader: the reader of the handle, after mbx_reader_catch_up()
 * @skip: how many messages to skip
 *
 * Return: the message, or NULL.
 */
struct mbx_message *mbx_reader_find(const struct mailbox *mb,
				    const struct mbx_reader *reader, u32 skip)
{
	lockdep_assert_held(&mb->lock);
	/* Signed, because of MBX_EXPELLED. */
	if (skip >= (s64)(mb->next_seq - reader->seq))
		return NULL;
	return find_seq(mb, reader->seq + skip);
}

/**
 * mbx_reader_advance() - a handle has read a message
 * @mb: a mailbox with MBOX_BROADCAST
 * @reader: the reader of the handle
 * @msg: the message, which may have been dropped meanwhile
 * @seq: number of the message
 *
 * Return: false if another thread read it first with this handle, or the mailbox was
 * destroyed.
 */
bool mbx_reader_advance(struct mailbox *mb, struct mbx_reader *reader,
			struct mbx_message *msg, u64 seq)
{
	lockdep_assert_held(&mb->lock);
	if (mb->dead || reader->seq != seq)
		return false;
	/* If the message was dropped, mbx_readers_unstore() has moved its cursors. */
	if (unlikely(mb->history) && seq >= first_seq(mb)) {
		count_cursor(mb, seq, -1, -(int)reader->chooses);
		count_cursor(mb, seq + 1, 1, reader->chooses);
	} else if (seq >= first_seq(mb)) {
		add_cursors(mb, msg, -1, -(int)reader->chooses);
		add_cursors(mb, next_of(mb, msg), 1, reader->chooses);
	}
	reader->seq++;
	reader->lost = 0;
	return true;
}
