# SPDX-License-Identifier: LGPL-2.1-or-later
"""Mailboxes for Linux: whole messages between processes, through the kernel.

    import mbox

    with mbox.Mailbox.create("jobs") as jobs:
        jobs.send(b"hello")
        print(jobs.recv().data)

Each function that waits takes timeout, in seconds, or deadline, a time of
time.monotonic(): None waits without a limit, and timeout=0 does not wait. Signal handlers
run while a call waits, and Ctrl-C ends it. Threads can share a mailbox.

mbox(7) explains mailboxes; the exceptions are subclasses of mbox.Error, an OSError.
"""

import enum
import os
import time
from typing import NamedTuple

from . import _errors, _mbox
from ._errors import (Denied, Destroyed, Empty, Error, Exists, Full, Gone, Hangup, NotFound,
                      Quota, Stale, Timeout, TooLong, Unsupported, WouldBlock)
from ._messages import Lease, Message, Peek, Reply, Reservation

__all__ = [
    "Attr", "Denied", "Destroyed", "Empty", "Error", "Exists", "FDS_MAX", "Flag", "Full",
    "Gone", "Hangup", "Info", "Lease", "Mailbox", "Match", "Message", "NAME_MAX", "NotFound",
    "PRIO_MAX", "Peek", "PendingCall", "Quota", "Reply", "Reservation", "Stale", "Stat",
    "Timeout", "TooLong", "UNBOUNDED", "Unsupported", "WouldBlock", "info", "unlink", "walk",
]

_mbox.set_error(_errors.make)

PRIO_MAX = _mbox.PRIO_MAX
NAME_MAX = _mbox.NAME_MAX
FDS_MAX = _mbox.FDS_MAX
UNBOUNDED = _mbox.UNBOUNDED


class Flag(enum.IntFlag):
    """Flags of a mailbox, chosen when it is created: those of struct mbox_attr."""

    FIXED = _mbox.FIXED
    DROP_OLDEST = _mbox.DROP_OLDEST
    DROP_NEWEST = _mbox.DROP_NEWEST
    HANGUP = _mbox.HANGUP
    ONE_SENDER = _mbox.ONE_SENDER
    ONE_RECEIVER = _mbox.ONE_RECEIVER
    BROADCAST = _mbox.BROADCAST
    FAIR = _mbox.FAIR
    INHERIT = _mbox.INHERIT
    LEAF = _mbox.LEAF
    TEMPORARY = _mbox.TEMPORARY


class Match(enum.Enum):
    """How recv() compares the type of messages with its own."""

    EQUAL = _mbox.MATCH
    NOT = _mbox.MATCH_NOT
    LOWEST = _mbox.MATCH_LE


class Attr(NamedTuple):
    """What a mailbox is: struct mbox_attr."""

    mode: int
    flags: Flag
    capacity: int
    msg_max: int
    perm: int

    @property
    def ring(self):
        """Whether it is in shared memory."""
        return self.mode == _mbox.RING


class Stat(NamedTuple):
    """The state of a mailbox at one moment: struct mbox_stat."""

    attr: Attr
    id: int
    queued: int
    bytes: int
    waiting_senders: int
    waiting_receivers: int
    sent: int
    received: int
    dropped: int
    uid: int
    gid: int
    send_handles: int
    recv_handles: int
    stalled_ns: int
    stalled_pid: int
    highest: int
    leased: int
    oldest_ns: int
    expired: int
    redelivered: int
    dead_letters: int
    waited: tuple
    last_sender: int
    last_receiver: int


class Info(NamedTuple):
    """The features of the loaded module: struct mbox_info."""

    abi: int
    modes: int
    attr_flags: int
    call_flags: int


_RIGHTS = {"r": os.O_RDONLY, "w": os.O_WRONLY, "rw": os.O_RDWR}


def _oflags(mode, nonblock, more=0):
    try:
        flags = _RIGHTS[mode]
    except KeyError:
        raise ValueError(f"mode {mode!r} is not 'r', 'w' or 'rw'") from None
    return flags | more | (os.O_NONBLOCK if nonblock else 0)


def _limit(timeout, deadline):
    """The flags and the deadline in nanoseconds, 0: none, of a call that may wait."""
    if timeout is None and deadline is None:
        return 0, 0
    if timeout is not None:
        if deadline is not None:
            raise ValueError("both timeout and deadline")
        if not timeout >= 0:
            raise ValueError("a negative timeout")
        if timeout == 0:
            return _mbox.DONTWAIT, 0
        deadline = time.monotonic() + timeout
    elif deadline != deadline:
        raise ValueError("a deadline that is no number")
    # What is later than the clock can show is never.
    if deadline >= 9e9:
        return 0, 0
    return 0, max(int(deadline * 1e9), 1)


class PendingCall:
    """A call that was started: wait() fetches its reply, cancel() withdraws it."""

    __slots__ = ("_mailbox", "_token", "_reply_max", "_reply_fds")

    def __init__(self, mailbox, token, reply_max, reply_fds):
        self._mailbox = mailbox
        self._token = token
        self._reply_max = reply_max
        self._reply_fds = reply_fds

    def _fetch(self, flags, deadline):
        if not self._token:
            raise ValueError("the call was fetched or cancelled already")
        try:
            result = self._mailbox._call_wait(self._token, flags, deadline, self._reply_max,
                                              self._reply_fds)
        except Error:
            # It is the end of the call.
            self._token = 0
            raise
        if isinstance(result, int):
            raise _errors.make(result, "call")
        self._token = 0
        return Reply(*result)

    def wait(self, timeout=None, deadline=None):
        """Wait until the call has ended, and return its reply.

        If the time is over before, Timeout is raised (timeout=0: WouldBlock), and the call
        goes on.
        """
        return self._fetch(*_limit(timeout, deadline))

    def cancel(self):
        """Withdraw the call. Returns whether it had not ended yet."""
        token, self._token = self._token, 0
        return bool(token) and self._mailbox._call_cancel(token)

    def __enter__(self):
        return self

    def __exit__(self, kind, value, traceback):
        if self._token and not self._mailbox.closed:
            self.cancel()


class Mailbox(_mbox.Handle):
    """One handle of a mailbox, made by create(), open() and the other class methods.

    As a context manager, it is closed at the end. Iteration receives messages until the
    other side has hung up. It has fileno(), for select, poll and event loops. If another
    thread closes it, a call that waits goes on; destroy() ends calls.
    """

    _pollers = None

    # ---- where it comes from ------------------------------------------------------

    @classmethod
    def create(cls, name=None, mode="rw", *, capacity=64, msg_max=8192, flags=0, ring=False,
               perm=0o600, exclusive=False, nonblock=False, history=0, max_deliveries=0,
               dead_letter=None, max_bytes=0):
        """Create a mailbox, or open the one that has the name.

        name: without "/"; None: an anonymous mailbox
        mode: "r" to receive, "w" to send, "rw" for both
        capacity, msg_max, flags, perm: the attributes of a new mailbox
        ring: it is in shared memory
        exclusive: raise Exists if the name exists
        nonblock: no call on this handle waits
        history, max_deliveries, dead_letter, max_bytes: options of a new mailbox;
            dead_letter is a Mailbox
        """
        return cls._create(name, _oflags(mode, nonblock, os.O_EXCL if exclusive else 0),
                           _mbox.RING if ring else _mbox.QUEUE, int(flags), capacity, msg_max,
                           perm, history, max_deliveries,
                           -1 if dead_letter is None else dead_letter.fileno(), max_bytes)

    @classmethod
    def open(cls, name, mode="rw", *, nonblock=False):
        """Open a mailbox by its name, or by a path with "/" in it."""
        return cls._open(name, _oflags(mode, nonblock))

    @classmethod
    def open_id(cls, id, mode="rw", *, nonblock=False):
        """Open a mailbox by its id, as stat() reports it."""
        return cls._open_id(id, _oflags(mode, nonblock))

    @classmethod
    def direct(cls, pid, mode="rw", *, nonblock=False):
        """Open the link to another process."""
        return cls._direct(pid, _oflags(mode, nonblock))

    @classmethod
    def from_fd(cls, fd):
        """Make a mailbox of a descriptor, which it owns from now on."""
        return cls._from_fd(fd)

    @classmethod
    def pipe(cls):
        """Create an anonymous mailbox with Flag.HANGUP: a handle that receives, and one that
        sends."""
        return cls._pipe()

    def reopen(self, mode="rw", *, nonblock=False):
        """Open the mailbox again: a handle of its own, with the rights of mode."""
        return self._reopen(_oflags(mode, nonblock))

    # ---- the end -------------------------------------------------------------------

    def close(self):
        """Close the handle. While calls of other threads wait, it stays open for them."""
        self._close()
        for poller in list((self._pollers or {}).values()):
            poller.closed()

    def __enter__(self):
        return self

    def __exit__(self, kind, value, traceback):
        self.close()

    # ---- state ---------------------------------------------------------------------

    def stat(self):
        """The state of the mailbox."""
        attr, *rest = self._stat()
        return Stat(Attr(attr[0], Flag(attr[1]), *attr[2:]), *rest)

    @property
    def attr(self):
        """The attributes of the mailbox."""
        return self.stat().attr

    @property
    def id(self):
        """The id of the mailbox."""
        return self.stat().id

    def set_capacity(self, capacity):
        """Change the capacity: messages, 0: rendezvous, or UNBOUNDED."""
        self._set_capacity(capacity)

    def set_perm(self, *, uid=None, gid=None, mode=None):
        """Change owner, group and permission bits; None leaves one as it is."""
        self._set_perm(*(0xffffffff if n is None else n for n in (uid, gid, mode)))

    def __repr__(self):
        state = "closed" if self.closed else f"descriptor {self.fileno()}"
        return f"<mbox.{type(self).__name__}, {state}>"

    # ---- messages --------------------------------------------------------------------

    def send(self, data, *, prio=0, type=0, fds=(), sync=False, lifespan=None, timeout=None,
             deadline=None):
        """Send a message; while the mailbox is full, wait.

        data: bytes, or any object with a buffer
        prio: 0 to PRIO_MAX, the highest is received first
        type: any number of 64 bits, for recv(type=...)
        fds: descriptors, or objects with fileno(), that travel in the message
        sync: return after a receiver has copied the message
        lifespan: seconds after which it is dropped if it has not been received
        """
        flags, ns = _limit(timeout, deadline)
        if sync:
            flags |= _mbox.SYNC
        self._send(data, prio, type, fds, flags, ns, _lifespan(lifespan))

    def recv(self, *, timeout=None, deadline=None, type=None, match=Match.EQUAL, lease=False,
             peek=False, skip=0, fds=0, size=None):
        """Receive the oldest message of the highest priority; while there is none, wait.

        type, match: only messages of this type, of any other, or the lowest type not above
        lease: return a Lease, whose message comes back unless it is acknowledged
        peek: leave the message in the mailbox, looking past skip others
        fds: how many descriptors may come with it; others are closed
        size: cut the message to so many bytes; None: it has any length
        """
        flags, ns = _limit(timeout, deadline)
        return self._receive(flags, ns, type, match, lease, peek, skip, fds, size)

    def _receive(self, flags, ns, type, match, lease, peek, skip, fds, size):
        if type is not None:
            flags |= match.value
        if lease:
            flags |= _mbox.LEASE
        if peek:
            flags |= _mbox.PEEK
        if size is None:
            size = -1
        elif size < 0:
            raise ValueError("a negative size")
        else:
            flags |= _mbox.TRUNC
        fields = self._recv(flags, ns, type or 0, skip, fds, size)
        return (Lease if lease else Message)(self, fields)

    def __iter__(self):
        return self

    def __next__(self):
        try:
            return self.recv()
        except Hangup:
            raise StopIteration from None

    # ---- requests --------------------------------------------------------------------

    def call(self, data=b"", *, prio=0, type=0, fds=(), reply_max=None, reply_fds=0,
             timeout=None, deadline=None):
        """Send a request, wait for the reply, and return it.

        reply_max: length of the longest reply; None: that of a message
        reply_fds: how many descriptors may come with it
        timeout, deadline: of the whole call
        """
        if timeout == 0:
            raise ValueError("a call always waits: see call_start()")
        with self.call_start(data, prio=prio, type=type, fds=fds, reply_max=reply_max,
                             reply_fds=reply_fds, timeout=timeout, deadline=deadline) as call:
            return call.wait()

    def call_start(self, data=b"", *, prio=0, type=0, fds=(), reply_max=None, reply_fds=0,
                   timeout=None, deadline=None):
        """Send a request, and return a PendingCall, without waiting for the reply.

        timeout, deadline: of the whole call, as for call(); timeout=0: do not wait for
        room, and then the call has no limit
        """
        flags, ns = _limit(timeout, deadline)
        if reply_max is None:
            reply_max = self.msg_max
        elif reply_max < 0:
            raise ValueError("a negative length")
        token = self._call_start(data, prio, type, fds, flags, ns, reply_max)
        return PendingCall(self, token, reply_max, reply_fds)

    def reply(self, token, data=b"", *, fds=()):
        """Reply to the request with this token; Message.reply() is shorter."""
        self._reply(token, data, fds)

    def serve(self, function, *, count=None, timeout=None):
        """Answer requests: receive a message, call function(message), reply what it returns.

        function returns bytes, or None for an empty reply; what it returns for a message
        that is no request is ignored. It can call message.reply() itself, and return None.
        A caller that is gone, or takes only a shorter reply, is no error. An exception of
        function ends serve().

        Returns after count messages, or when the other side has hung up. Raises Timeout if
        there is no message for timeout seconds.
        """
        done = 0
        while count is None or done < count:
            try:
                message = self.recv(timeout=timeout)
            except Hangup:
                break
            _answer(message, function(message))
            done += 1
        return done

    # ---- rings -----------------------------------------------------------------------

    def reserve(self, length=None, *, block=True):
        """Reserve a slot of a ring, for a message that is written in place: a Reservation.

        length: most bytes that will be written; None: as many as a message can have
        block: wait while the ring is full; otherwise raise Full
        """
        if length is None:
            length = self.msg_max
        return Reservation(self._reserve(length, 0 if block else _mbox.DONTWAIT), length)

    def peek(self, *, block=True):
        """Look at the next message of a ring, in place: a Peek.

        block: wait while there is none; otherwise raise Empty
        """
        return Peek(self._peek(0 if block else _mbox.DONTWAIT))

    # ---- asyncio -----------------------------------------------------------------------

    async def asend(self, data, *, prio=0, type=0, fds=(), lifespan=None):
        """As send(), without blocking the event loop. If it is cancelled while it waits,
        nothing was sent."""
        from . import _async

        ns = _lifespan(lifespan)
        return await _async.repeat(
            self, _async.OUT,
            lambda: self._send(data, prio, type, fds, _mbox.DONTWAIT, 0, ns))

    async def arecv(self, *, type=None, match=Match.EQUAL, lease=False, peek=False, skip=0,
                    fds=0, size=None):
        """As recv(), without blocking the event loop. If it is cancelled, no message was
        taken."""
        from . import _async

        return await _async.repeat(
            self, _async.IN,
            lambda: self._receive(_mbox.DONTWAIT, 0, type, match, lease, peek, skip, fds, size))

    async def acall(self, data=b"", *, prio=0, type=0, fds=(), reply_max=None, reply_fds=0):
        """As call(), without blocking the event loop. If it is cancelled, the request is
        withdrawn, or its reply is dropped."""
        from . import _async

        call = await _async.repeat(
            self, _async.OUT,
            lambda: self.call_start(data, prio=prio, type=type, fds=fds, reply_max=reply_max,
                                    reply_fds=reply_fds, timeout=0))
        with call:
            return await _async.repeat(self, _async.PRI, lambda: call.wait(timeout=0))

    async def aserve(self, function, *, count=None):
        """As serve(); function can be a coroutine function. One request at a time."""
        from . import _async

        done = 0
        while count is None or done < count:
            try:
                message = await self.arecv()
            except Hangup:
                break
            _answer(message, await _async.result_of(function(message)))
            done += 1
        return done

    def __aiter__(self):
        return self

    async def __anext__(self):
        try:
            return await self.arecv()
        except Hangup:
            raise StopAsyncIteration from None


def _lifespan(seconds):
    if seconds is None:
        return 0
    if not seconds > 0:
        raise ValueError("a lifespan that is not positive")
    return max(int(seconds * 1e9), 1)


def _answer(message, data):
    if not message.token:
        return
    try:
        message.reply(b"" if data is None else data)
    except (Gone, TooLong):
        # The caller is gone, or takes no reply of this length, which it is told; or the
        # function has replied itself. No caller can end a server.
        pass


def unlink(name):
    """Remove the name of a mailbox, which goes on for those that have it open."""
    _mbox.unlink(name)


def info():
    """The features of the loaded module."""
    return Info(*_mbox.info())


def walk():
    """The id and the name of each mailbox that the caller may see."""
    found = (0, "")
    while (found := _mbox.walk(found[0])) is not None:
        yield found
