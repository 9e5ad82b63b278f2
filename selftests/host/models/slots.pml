/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The ring's slots: senders that claim, fill and commit them, receivers that
 * copy and take, and the kernel that repairs after a death. Each access to
 * shared memory is one step, and a participant may die after any of them.
 *
 * Sleeping is another model (sleep.pml). Here, a party that would sleep or try again
 * with the same values waits until one of the values that it read has changed.
 * So a ring that has stopped is a deadlock, whether its users sleep or spin.
 *
 * Rules are switched off one at a time by -D; see the list in run.
 */

#ifndef N
#define N	2
#endif
#ifndef CAPACITY
#define CAPACITY	2
#endif
/* Messages of the two senders. */
#ifndef COUNT0
#define COUNT0	3
#endif
#ifndef COUNT1
#define COUNT1	1
#endif
#ifndef SENDER_DEATHS
#define SENDER_DEATHS	1
#endif
#ifndef RECEIVER_DEATHS
#define RECEIVER_DEATHS	0
#endif
#ifdef ONE_SENDER
#define SENDERS	1
#else
#define SENDERS	2
#endif
#ifdef ONE_RECEIVER
#define RECEIVERS	1
#else
#define RECEIVERS	2
#endif

/* Positions wrap around, and the first messages do so. */
#define POSITIONS	16
#define FIRST	14
#define ADD(p, n)	(((p) + (n)) & 15)
#define DIFF(a, b)	(((a) - (b)) & 15)
/* As a signed difference: a is past b. */
#define PAST(a, b)	(DIFF(a, b) != 0 && DIFF(a, b) < 8)

/* A slot's word: position, owner, state. */
#define COMMITTED	1
#define BUSY	2
#define ABANDONED	3
#define WORD(p, owner, state)	(((p) << 4) | ((owner) << 2) | (state))
#define POS(w)	((w) >> 4)
#define OWNER(w)	(((w) >> 2) & 3)
#define STATE(w)	((w) & 3)

byte word[N];
/* The payload is written and read in two steps. */
byte first[N];
byte second[N];
byte tail = FIRST;
byte head = FIRST;

/* What no participant sees: the first position that was never claimed. */
byte claimed = FIRST;
byte committed;
byte received;
byte sender_deaths;
byte receiver_deaths;

/* A message's number is 1 to 8, its bit in the sets is this. */
#define BIT(m)	(1 << ((m) - 1))

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

/* Help tail on from t, or store it as the only sender. */
inline advance_tail()
{
	if
	:: tail == t -> tail = ADD(t, 1)
	:: else
	fi
}

proctype sender(byte me; byte message; byte end)
{
	byte t, h, w, i;

try:
	atomic {
		t = 0; h = 0; w = 0; i = 0;
		if
		:: message == end -> goto done
		:: else
		fi;
		t = tail;
		SENDER_MAY_DIE
	};
	atomic {
		h = head;
		/* EAGAIN, or sleep: only when it is true. */
		assert(PAST(h, t) || DIFF(t, h) < CAPACITY ||
		       DIFF(claimed, head) >= CAPACITY);
		SENDER_MAY_DIE
	};
	if
#ifdef UNSIGNED_FULL
	:: DIFF(t, h) >= CAPACITY ->
		(DIFF(tail, head) < CAPACITY);
		goto try
#else
	:: PAST(h, t) ->
#ifdef NO_HELP_PAST
		(tail != t)
#else
		atomic { advance_tail(); SENDER_MAY_DIE }
#endif
		goto try
	:: !PAST(h, t) && DIFF(t, h) >= CAPACITY ->
		/* Sleep until there is room, as the kernel sees it. */
		(PAST(head, tail) || DIFF(tail, head) < CAPACITY);
		goto try
#endif
	:: else
	fi;
	i = t % N;
	atomic { w = word[i]; SENDER_MAY_DIE };
#ifndef ONE_SENDER_BLIND
	if
	:: POS(w) == t ->
#ifdef NO_HELP
		(tail != t)
#else
		atomic { advance_tail(); SENDER_MAY_DIE }
#endif
		goto try
#ifndef STALE_CLAIM
	:: POS(w) != t && POS(w) != ADD(t, POSITIONS - N) ->
		(tail != t || head != h || word[i] != w);
		goto try
#endif
	:: else
	fi;
#endif

#ifdef ONE_SENDER
	atomic { first[i] = message; SENDER_MAY_DIE };
	atomic { second[i] = message; SENDER_MAY_DIE };
	atomic {
		claimed = ADD(t, 1);
		committed = committed | BIT(message);
		word[i] = WORD(t, me, COMMITTED);
		message++;
		SENDER_MAY_DIE
	};
	atomic { tail = ADD(t, 1); SENDER_MAY_DIE };
	goto try;
#else
	atomic {
		if
#ifdef CLAIM_BY_STORE
		:: true ->
#else
		:: word[i] != w -> goto try
		:: word[i] == w ->
#endif
			word[i] = WORD(t, me, BUSY);
			w = 0;
			h = 0;
			if
			:: PAST(ADD(t, 1), claimed) -> claimed = ADD(t, 1)
			:: else
			fi
		fi;
		SENDER_MAY_DIE
	};
	atomic { advance_tail(); SENDER_MAY_DIE };
#ifndef COMMIT_FIRST
	atomic { first[i] = message; SENDER_MAY_DIE };
	atomic { second[i] = message; SENDER_MAY_DIE };
#endif
	atomic {
		committed = committed | BIT(message);
		word[i] = WORD(t, me, COMMITTED);
#ifndef COMMIT_FIRST
		message++;
#endif
		SENDER_MAY_DIE
	};
#ifdef COMMIT_FIRST
	atomic { first[i] = message; SENDER_MAY_DIE };
	atomic { second[i] = message; message++; SENDER_MAY_DIE };
#endif
	goto try;
#endif

died:
	/*
	 * The kernel ends the mapping; then another process gets its owner
	 * number and goes on with the next message.
	 */
	atomic { t = 0; h = 0; w = 0; i = 0 };
#ifndef NO_RECOVERY
	do
	:: i < N ->
		atomic {
			if
#ifdef RECOVER_ANYBODY
			:: STATE(word[i]) == BUSY ->
#else
			:: STATE(word[i]) == BUSY && OWNER(word[i]) == me ->
#endif
				word[i] = word[i] | ABANDONED
			:: else
			fi;
			i++
		}
	:: else -> break
	od;
#endif
	atomic {
		i = 0;
		if
		:: message != end && !(committed & BIT(message)) -> message++
		:: else
		fi
	};
#ifndef LAST_WORDS
	goto try;
#endif
done:
	skip
}

/* Wait for another value of what was read. */
#define CHANGED	(head != h || word[i] != w)

proctype receiver()
{
	byte h, w, i, a, b;

try:
	atomic { w = 0; h = head; i = h % N; RECEIVER_MAY_DIE };
#ifdef FOLLOW_TAIL
end_tail:
	(head != tail);
	atomic { h = head; i = h % N };
#endif
	atomic {
		w = word[i];
		/* EAGAIN, or sleep: only when it is true. */
		if
#ifdef STALE_EMPTY
		:: POS(w) != h -> assert(head == claimed)
#else
		:: POS(w) == ADD(h, POSITIONS - N) -> assert(head == claimed)
#endif
		:: POS(w) == h && STATE(w) == BUSY -> assert(head == h)
		:: else
		fi;
		RECEIVER_MAY_DIE
	};
	if
	:: POS(w) != h || STATE(w) == BUSY -> skip;
end_wait:
		CHANGED;
		goto try
	:: POS(w) == h && STATE(w) == COMMITTED -> skip
	:: POS(w) == h && STATE(w) == ABANDONED ->
		atomic {
			if
			:: head == h -> head = ADD(h, 1)
			:: else
			fi;
			RECEIVER_MAY_DIE
		};
		goto try
	fi;
#ifdef TAKE_FIRST
	/* Without release order, the copy can be read after the CAS. */
	atomic {
		if
		:: head == h -> head = ADD(h, 1)
		:: else -> goto try
		fi
	};
#endif
	atomic { a = first[i]; RECEIVER_MAY_DIE };
	atomic { b = second[i]; RECEIVER_MAY_DIE };
	atomic {
#ifndef TAKE_FIRST
		if
#ifdef TAKE_BY_STORE
		:: true ->
#else
		:: head != h -> goto try
		:: head == h ->
#endif
			head = ADD(h, 1)
		fi;
#endif
		assert(a != 0 && a == b);
		assert(committed & BIT(a));
		assert(!(received & BIT(a)));
		/* First in, first out: none of this sender's later ones. */
		assert(!(received & ~(BIT(a) | (BIT(a) - 1)) &
			 (a <= COUNT0 -> BIT(COUNT0 + 1) - 1 : 255)));
		received = received | BIT(a);
		a = 0;
		b = 0;
		RECEIVER_MAY_DIE
	};
	goto try;

died:
#ifdef ONE_RECEIVER
	/* Another process maps the ring as its receiver. */
	goto try;
#endif
	atomic { h = 0; w = 0; i = 0; a = 0; b = 0 }
}

/* When nothing moves any more: whatever was committed has been received. */
active proctype monitor()
{
	timeout -> assert(received == committed)
}

init {
	atomic {
		byte k = 0;
		do
		:: k < N ->
			word[(FIRST + k) % N] =
				WORD(ADD(FIRST + k, POSITIONS - N), 0, COMMITTED);
			k++
		:: else -> break
		od;
		run sender(1, 1, 1 + COUNT0);
#ifndef ONE_SENDER
		run sender(2, 1 + COUNT0, 1 + COUNT0 + COUNT1);
#endif
		run receiver();
#ifndef ONE_RECEIVER
		run receiver()
#endif
	}
}
