/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Sleeping and waking on a ring: the counts in the kernel's page, the calls to
 * wait and to wake, poll with edges, deaths, callers that give up.
 *
 * The slots are the subject of another model (slots.pml). Here a claim is one
 * step, and a position is never used twice; but whoever looks at a position
 * whose slot has been claimed again sees that.
 *
 * Plain stores that publish go through a store buffer: a message's commit, and
 * the head of an only receiver. The process memory lets them out at any moment
 * later; a full fence waits for that.
 *
 * Rules are switched off one at a time by -D; see the list in run.
 */

#ifndef CAPACITY
#define CAPACITY	1
#endif
#ifndef COUNT0
#define COUNT0	2
#endif
#ifndef COUNT1
#define COUNT1	1
#endif
#ifndef SENDER_DEATHS
#define SENDER_DEATHS	0
#endif
#ifndef RECEIVER_DEATHS
#define RECEIVER_DEATHS	0
#endif
/* Receivers that return to the application, and do not come back. */
#ifndef LEAVES
#define LEAVES	1
#endif
#ifndef DISCARDS
#define DISCARDS	0
#endif
#ifdef ONE_RECEIVER
#define RECEIVERS	1
#else
#define RECEIVERS	2
#endif
#ifndef POLLER
/* Which receiver waits by epoll, for edges; 9: none. */
#define POLLER	9
#endif
#ifndef SEND_POLLER
#define SEND_POLLER	9
#endif

#define POSITIONS	(COUNT0 + COUNT1 + 1)

#define FREE	0
#define COMMITTED	1
#define BUSY	2
#define ABANDONED	3

byte state[POSITIONS];
byte owner[POSITIONS];
byte tail;
byte head;

/* Store buffers: the position that a sender commits or abandons, plus one. */
byte leaving[2];
byte leaving_state[2];
/* And the head of the only receiver. */
byte head_leaving;

/* The kernel's lists of waiters, and the sides that are polled for. */
bool receiver_waits[2];
bool sender_waits[2];
bool polled_receivers;
bool polled_senders;
/* The kernel has put the other side's fence off, with ASYM_FENCE. */
bool fence_due;
/* What epoll remembers until it is asked. */
bool edge_receiver;
bool edge_sender;
bool poller_idle;
bool send_poller_idle;

byte sender_deaths;
byte receiver_deaths;
byte leaves;
byte discards;

/* What programs see of it in the kernel's page. */
#define RECEIVERS_COUNT \
	(receiver_waits[0] || receiver_waits[1] || polled_receivers)
#define SENDERS_COUNT	(sender_waits[0] || sender_waits[1] || polled_senders)

/* Is there something at position h, unless the slot is claimed for a later one? */
#define REUSED(h)	(tail > (h) + CAPACITY)
#define HAS_MESSAGE(h) \
	(REUSED(h) || state[h] == COMMITTED || state[h] == ABANDONED)
#define HAS_ROOM(t, h)	((t) < (h) + CAPACITY)

#define SENDER_MAY_DIE \
	if \
	:: sender_deaths < SENDER_DEATHS -> sender_deaths++; goto died \
	:: true \
	fi
#define RECEIVER_MAY_DIE \
	if \
	:: receiver_deaths < RECEIVER_DEATHS -> receiver_deaths++; goto died \
	:: true \
	fi

/* A poller stays in the wait queue: so the side stays polled. */
inline tell_receivers()
{
	if
	:: polled_receivers ->
		edge_receiver = true;
#ifdef DISARM
		polled_receivers = false
#endif
	:: else
	fi
}

inline tell_senders()
{
	if
	:: polled_senders ->
		edge_sender = true;
#ifdef DISARM
		polled_senders = false
#endif
	:: else
	fi
}

/* Any one of the waiters, and the poller. */
inline wake_a_receiver()
{
	if
	:: receiver_waits[0] -> receiver_waits[0] = false
	:: receiver_waits[1] -> receiver_waits[1] = false
	:: !receiver_waits[0] && !receiver_waits[1]
	fi;
	tell_receivers()
}

inline wake_a_sender()
{
	if
	:: sender_waits[0] -> sender_waits[0] = false
	:: sender_waits[1] -> sender_waits[1] = false
	:: !sender_waits[0] && !sender_waits[1]
	fi;
	tell_senders()
}

/* MBOX_IOC_RING_WAKE for one. */
inline wake_a_receiver_if_counted()
{
	atomic {
		if
		:: sleepers ->
			sleepers = false;
			wake_a_receiver()
		:: else
		fi
	}
}

inline wake_a_sender_if_counted()
{
	atomic {
		if
		:: sleepers ->
			sleepers = false;
			wake_a_sender()
		:: else
		fi
	}
}

/* The end of a mapping. */
inline wake_all()
{
	atomic {
		receiver_waits[0] = false;
		receiver_waits[1] = false;
		sender_waits[0] = false;
		sender_waits[1] = false;
		tell_receivers();
		tell_senders()
	}
}

/*
 * The kernel's half of an asymmetric fence. Its own store of the count is visible;
 * with an interrupt to the other side's CPUs, one after the other, theirs are so
 * too. Beyond the limit of interrupts, the process later makes up for it.
 */
inline fence_senders()
{
#if defined(ASYM_FENCE) && !defined(NO_KERNEL_FENCE)
	if
	:: true ->
		(leaving[0] == 0);
		(leaving[1] == 0)
	:: true -> fence_due = true
	fi
#else
	skip
#endif
}

inline fence_receivers()
{
#if defined(ASYM_FENCE) && !defined(NO_KERNEL_FENCE)
	if
	:: true -> (head_leaving == 0)
	:: true -> fence_due = true
	fi
#else
	skip
#endif
}

/*
 * A sender of some messages. To save states, what would be looked at again is
 * forgotten (0) once it has been used.
 */
proctype sender(byte me; byte count)
{
	byte p, t, h;
	bool woken, sleepers;

	if
	:: me == SEND_POLLER -> goto poll
	:: else
	fi;
try:
	atomic {
		/* A claim is a CAS, and so a full fence to what was stored. */
		leaving[me] == 0;
		if
		:: count == 0 -> goto done
		:: count != 0 && !HAS_ROOM(tail, head) -> goto no_room
		:: else
		fi;
		p = tail;
		tail++;
		state[p] = BUSY;
		owner[p] = me;
		count--;
		SENDER_MAY_DIE
	};
	atomic {
		leaving[me] = p + 1;
		p = 0;
		if
		:: leaving_state[me] = COMMITTED
		:: discards < DISCARDS ->
			discards++;
			leaving_state[me] = ABANDONED;
#ifdef DISCARD_SILENTLY
			goto pass_on
#endif
		fi;
		SENDER_MAY_DIE
	};
#if !defined(ASYM_FENCE) && !defined(NO_FENCE)
	leaving[me] == 0;
#endif
	atomic { sleepers = RECEIVERS_COUNT; SENDER_MAY_DIE };
	/* The call takes a lock, which lets out what was stored before. */
	!sleepers || leaving[me] == 0;
	wake_a_receiver_if_counted();
pass_on:
	if
	:: woken ->
		atomic { t = tail; SENDER_MAY_DIE };
		atomic {
			sleepers = HAS_ROOM(t, head) && SENDERS_COUNT;
			t = 0;
			SENDER_MAY_DIE
		};
		wake_a_sender_if_counted()
	:: else
	fi;
	woken = false;
	goto try;

no_room:
	if
	:: me == SEND_POLLER -> goto edge
	:: else
	fi;
#ifdef COUNT_AFTER
	t = tail;
	atomic {
		h = head;
		if
		:: HAS_ROOM(t, h) -> t = 0; h = 0; woken = true; goto try
		:: else -> t = 0; h = 0
		fi
	};
	sender_waits[me] = true;
#else
	atomic { sender_waits[me] = true; SENDER_MAY_DIE };
	fence_receivers();
	t = tail;
	atomic {
		h = head;
		if
		:: HAS_ROOM(t, h) ->
			t = 0; h = 0; woken = true;
			sender_waits[me] = false;
			goto try
		:: else -> t = 0; h = 0
		fi
	};
#endif
end_sleep:
	if
	:: atomic { !sender_waits[me] -> woken = true }; goto try
	:: atomic { sender_deaths < SENDER_DEATHS -> sender_deaths++; goto died }
	fi;

poll:
#ifdef ARM_UNLESS_READY
	if
	:: HAS_ROOM(tail, head) -> goto try
	:: else
	fi;
#endif
#ifdef POLL_EARLY
	atomic { polled_senders = true; SENDER_MAY_DIE };
	t = tail;
	atomic {
		h = head;
		if
		:: HAS_ROOM(t, h) -> t = 0; h = 0; goto try
		:: else -> t = 0; h = 0
		fi
	};
	fence_receivers();
#else
	/* Once is enough, while the side stays polled. */
	if
	:: polled_senders
	:: else ->
		atomic { polled_senders = true; SENDER_MAY_DIE };
		fence_receivers()
	fi;
#endif
	t = tail;
	atomic {
		h = head;
		if
		:: HAS_ROOM(t, h) -> t = 0; h = 0; goto try
		:: else -> t = 0; h = 0
		fi
	};
edge:
	send_poller_idle = true;
end_edge:
	atomic { edge_sender -> edge_sender = false; send_poller_idle = false };
#ifdef MULTISHOT
	goto try;
#else
	goto poll;
#endif

died:
	atomic {
		leaving[me] == 0;
		sender_waits[me] = false;
		t = 0; h = 0; p = 0; sleepers = false; woken = false
	};
#ifndef NO_RECOVERY
	do
	:: p < POSITIONS ->
		atomic {
			if
			:: state[p] == BUSY && owner[p] == me ->
				state[p] = ABANDONED
			:: else
			fi;
			p++
		}
	:: else -> break
	od;
#endif
#ifndef RECOVER_SILENTLY
	wake_all();
#endif
done:
	skip
}

/*
 * A receiver without end. After a message, and when it gives up, it may go back
 * to its application (leave) and not come again; its mapping stays.
 */
proctype receiver(byte me)
{
	byte h;
	bool woken, moved, took, leave, sleepers;

	if
	:: me == POLLER -> goto poll
	:: else
	fi;
try:
	atomic {
#ifdef ONE_RECEIVER
		h = (head_leaving -> head_leaving : head);
#else
		h = head;
#endif
		RECEIVER_MAY_DIE
	};
	atomic {
		if
		:: REUSED(h) -> goto try
		:: !REUSED(h) && !HAS_MESSAGE(h) -> goto nothing
		:: else
		fi;
		/* A message that is longer than the buffer: the call fails. */
		if
		:: state[h] == COMMITTED && leaves < LEAVES ->
			leaves++; leave = true;
			goto call_ends
		:: true
		fi;
		RECEIVER_MAY_DIE
	};
	atomic {
#ifdef ONE_RECEIVER
		head_leaving = h + 1;
#else
		if
		:: head != h -> goto try
		:: else -> head = h + 1
		fi;
#endif
		took = state[h] == COMMITTED;
#ifdef SKIP_SILENTLY
		moved = took;
#else
		moved = true;
#endif
		if
		:: !took -> goto try
		:: took && leaves < LEAVES -> leaves++; leave = true
		:: took
		fi;
		RECEIVER_MAY_DIE
	};

call_ends:
	/* Also in the middle of a call, before it sleeps. */
	if
	:: moved ->
#if defined(ONE_RECEIVER) && !defined(ASYM_FENCE) && !defined(NO_FENCE)
		head_leaving == 0;
#endif
		atomic { h = 0; sleepers = SENDERS_COUNT; RECEIVER_MAY_DIE };
		/* As above. */
		!sleepers || head_leaving == 0;
		wake_a_sender_if_counted()
	:: else
	fi;
	if
#ifdef KEEP_WAKE_UP
	:: false ->
#endif
#ifdef SHORT_KEEPS
	:: woken && took ->
#endif
#if !defined(KEEP_WAKE_UP) && !defined(SHORT_KEEPS)
	:: woken && (took || leave) ->
#endif
		atomic { h = head; RECEIVER_MAY_DIE };
		atomic {
			sleepers = HAS_MESSAGE(h) && RECEIVERS_COUNT;
			h = 0;
			RECEIVER_MAY_DIE
		};
		wake_a_receiver_if_counted()
	:: else
	fi;
	atomic {
		h = 0; moved = false;
		if
		:: leave -> goto left
		:: !leave && took -> took = false; woken = false; goto try
		:: else
		fi
	};

	/* Nothing to receive. */
	if
	:: me == POLLER -> goto edge
	:: else
	fi;
#ifdef COUNT_AFTER
	h = head;
	atomic {
		if
		:: HAS_MESSAGE(h) -> h = 0; woken = true; goto try
		:: else -> h = 0
		fi
	};
	receiver_waits[me] = true;
#else
	atomic { receiver_waits[me] = true; RECEIVER_MAY_DIE };
#ifdef ASYM_FENCE
	/* What is ready needs no interrupts. */
	h = head;
	if
	:: HAS_MESSAGE(h) ->
#ifdef LOOK_TWICE
		skip
#else
		atomic { h = 0; woken = true; receiver_waits[me] = false };
		goto try
#endif
	:: else -> fence_senders()
	fi;
#else
	fence_senders();
#endif
	h = head;
	atomic {
		if
		:: HAS_MESSAGE(h) ->
			h = 0; woken = true;
			receiver_waits[me] = false;
			goto try
		:: else -> h = 0
		fi
	};
#endif
end_sleep:
	if
	:: atomic { !receiver_waits[me] -> woken = true }; goto try
	:: atomic {
		/* The deadline: only if it has not been chosen before. */
#ifndef GIVE_UP_CHOSEN
		receiver_waits[me] &&
#endif
		leaves < LEAVES -> leaves++; receiver_waits[me] = false
	}; goto left
	:: atomic { receiver_deaths < RECEIVER_DEATHS -> receiver_deaths++; goto died }
	fi;

nothing:
	atomic { h = 0; took = false };
	goto call_ends;

poll:
#ifdef ARM_UNLESS_READY
	h = head;
	atomic {
		if
		:: HAS_MESSAGE(h) -> h = 0; goto try
		:: else -> h = 0
		fi
	};
#endif
#ifdef POLL_EARLY
	atomic { polled_receivers = true; RECEIVER_MAY_DIE };
	h = head;
	atomic {
		if
		:: HAS_MESSAGE(h) -> h = 0; goto try
		:: else -> h = 0
		fi
	};
	fence_senders();
#else
	/* Once is enough, while the side stays polled. */
	if
	:: polled_receivers
	:: else ->
		atomic { polled_receivers = true; RECEIVER_MAY_DIE };
		fence_senders()
	fi;
#endif
	h = head;
	atomic {
		if
		:: HAS_MESSAGE(h) -> h = 0; goto try
		:: else -> h = 0
		fi
	};
edge:
	poller_idle = true;
end_edge:
	atomic { edge_receiver -> edge_receiver = false; poller_idle = false };
#ifdef MULTISHOT
	goto try;
#else
	goto poll;
#endif

died:
	atomic {
		head_leaving == 0;
		receiver_waits[me] = false;
		h = 0; sleepers = false; woken = false;
		moved = false; took = false; leave = false
	};
#ifndef DIE_SILENTLY
	wake_all();
#endif
#ifdef ONE_RECEIVER
	/* Another process maps the ring as its receiver. */
	goto try;
#endif
left:
	skip
}

/* What is in the store buffers comes out. */
active proctype memory()
{
end:
	do
	:: atomic {
		leaving[0] > 0 ->
		state[leaving[0] - 1] = leaving_state[0];
		leaving[0] = 0; leaving_state[0] = 0
	}
	:: atomic {
		leaving[1] > 0 ->
		state[leaving[1] - 1] = leaving_state[1];
		leaving[1] = 0; leaving_state[1] = 0
	}
	:: atomic {
		head_leaving > 0 -> head = head_leaving; head_leaving = 0
	}
	od
}

#ifdef ASYM_FENCE
/*
 * A fence that comes late: then one of those that looked without it is woken on
 * each side that has something to do, and passes that on.
 */
active proctype later()
{
end:
	do
	:: atomic { fence_due -> fence_due = false };
		(leaving[0] == 0);
		(leaving[1] == 0);
		(head_leaving == 0);
#ifndef LATER_SILENTLY
		atomic {
			if
			:: HAS_MESSAGE(head) -> wake_a_receiver()
			:: else
			fi
		};
		atomic {
			if
			:: HAS_ROOM(tail, head) -> wake_a_sender()
			:: else
			fi
		}
#endif
	od
}
#endif

/* When nothing moves any more: no party sleeps although it could go on. */
active proctype monitor()
{
	byte p;

	timeout ->
	assert(!(HAS_MESSAGE(head) && (receiver_waits[0] || receiver_waits[1])));
	assert(!(HAS_MESSAGE(head) && poller_idle));
	assert(!(HAS_ROOM(tail, head) && (sender_waits[0] || sender_waits[1])));
	assert(!(HAS_ROOM(tail, head) && send_poller_idle));
	do
	:: p < POSITIONS -> assert(state[p] != BUSY); p++
	:: else -> break
	od
}

init {
	atomic {
		run sender(0, COUNT0);
		run sender(1, COUNT1);
		run receiver(0);
#ifndef ONE_RECEIVER
		run receiver(1)
#endif
	}
}
