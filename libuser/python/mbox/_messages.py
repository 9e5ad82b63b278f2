# SPDX-License-Identifier: LGPL-2.1-or-later
"""What is received: messages, leases, slots of rings."""

from ._errors import Error


class Message:
    """A message that was received. bytes() of it, and its length, are those of data.

    data: the bytes
    prio, type: as the sender gave them
    pid, uid, gid: the sender's; 0 if it has no pid here
    fds: descriptors that came with it; they are the caller's, who closes them
    token: not 0: a request; reply() answers it
    lost: how many messages this handle lost before this one (BROADCAST)
    deliveries: how often it has been on lease, this time included
    lifespan: seconds until it would have been dropped, or None
    length: its length, also if data was cut
    """

    __slots__ = ("mailbox", "data", "prio", "type", "token", "pid", "uid", "gid", "fds",
                 "lost", "deliveries", "lifespan", "length", "flags")

    def __init__(self, mailbox, fields):
        self.mailbox = mailbox
        (self.data, self.prio, self.type, self.token, self.pid, self.uid, self.gid, self.fds,
         self.lost, self.deliveries, lifespan, self.length, self.flags) = fields
        self.lifespan = lifespan / 1e9 if lifespan else None

    def __bytes__(self):
        return self.data

    def __len__(self):
        return len(self.data)

    def __repr__(self):
        return f"<{type(self).__name__} {self.data[:40]!r}, {self.length} bytes>"

    def reply(self, data=b"", *, fds=()):
        """Answer the request."""
        self.mailbox.reply(self.token, data, fds=fds)


class Lease(Message):
    """A message that comes back unless it is acknowledged.

    As a context manager, it acknowledges the message at the end, and puts it back if
    there is an exception. If the process ends before, the kernel puts it back.
    """

    __slots__ = ("ended",)

    def __init__(self, mailbox, fields):
        super().__init__(mailbox, fields)
        self.ended = False

    def ack(self):
        """The work is done: end the message."""
        self.mailbox._ack(self.token)
        self.ended = True

    def nack(self, delay=0):
        """Put the message back: to its place, or in delay seconds behind the others."""
        if not delay >= 0:
            raise ValueError("a negative delay")
        self.mailbox._nack(self.token, int(delay * 1e9))
        self.ended = True

    def put_back(self):
        """Put the message back as if it had never been on lease."""
        self.mailbox._put_back(self.token)
        self.ended = True

    def __enter__(self):
        return self

    def __exit__(self, kind, value, traceback):
        if self.ended:
            return
        if kind is None:
            self.ack()
            return
        try:
            self.nack()
        except (Error, ValueError):
            # The mailbox was closed, which puts it back too, or destroyed. The exception counts.
            pass


class Reply:
    """The reply to a call: data, and the descriptors that came with it, which are the
    caller's. bytes() of it, and its length, are those of data."""

    __slots__ = ("data", "fds", "flags")

    def __init__(self, data, fds, flags):
        self.data = data
        self.fds = fds
        self.flags = flags

    def __bytes__(self):
        return self.data

    def __len__(self):
        return len(self.data)

    def __repr__(self):
        return f"<Reply {self.data[:40]!r}, {len(self.data)} bytes>"


class _View:
    """A slot of a ring and the memoryview of its bytes."""

    __slots__ = ("_slot", "data")

    def __init__(self, slot):
        self._slot = slot
        self.data = memoryview(slot)

    def __len__(self):
        return self.data.nbytes

    def __enter__(self):
        return self


class Reservation(_View):
    """A slot that was reserved: write into data, then commit() or discard().

    As a context manager, it sends the message at the end, of length bytes, and discards
    it if there is an exception. A slice of data that still exists then is a BufferError:
    it would change a message that was sent.
    """

    __slots__ = ("length",)

    def __init__(self, slot, length):
        super().__init__(slot)
        self.length = length

    def commit(self, length=None):
        """Send the first bytes of data: length, if it is given, or those of the
        attribute."""
        self.data.release()
        self._slot.commit(self.length if length is None else length)
        self._slot = None

    def discard(self):
        """Give the slot back without a message."""
        self.data.release()
        self._slot.discard()
        self._slot = None

    def __exit__(self, kind, value, traceback):
        if self._slot is None:
            return
        if kind is None:
            self.commit()
            return
        try:
            self.discard()
        except BufferError:
            # The exception counts. The slot is discarded when the last slice is gone.
            pass


class Peek(_View):
    """The next message of a ring, in place, read-only. release() receives it, leave()
    does not.

    As a context manager, it receives the message at the end, and leaves it if there is an
    exception. A slice of data that still exists then is a BufferError: it would show
    another message.
    """

    __slots__ = ()

    def release(self):
        """Receive the message, whose data is not to be seen from now on."""
        self.data.release()
        self._slot.release()
        self._slot = None

    def leave(self):
        """Leave the message: it stays the next one."""
        self.data.release()
        self._slot.leave()
        self._slot = None

    def __exit__(self, kind, value, traceback):
        if self._slot is None:
            return
        if kind is None:
            self.release()
            return
        try:
            self.leave()
        except BufferError:
            pass
