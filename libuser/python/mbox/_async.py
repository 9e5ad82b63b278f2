# SPDX-License-Identifier: LGPL-2.1-or-later
"""Waiting for a mailbox in an event loop of asyncio, without threads.

A call is tried without waiting. If it would have to wait, the coroutine waits for an event
of the descriptor, and tries again. It tries after the wait, never in a callback of the loop:
so a task that is cancelled between the event and its next step has taken no message.

An event says that some call would not wait, not that this one would not: the message may
have another type, or be too long for the room. So the loop watches an epoll instance that
has the mailbox edge-triggered, and a coroutine tries once for each change. That instance
also has EPOLLPRI, which loops cannot watch: it tells that a reply can be fetched.
"""

import asyncio
import inspect
import select

IN = select.EPOLLIN
OUT = select.EPOLLOUT
PRI = select.EPOLLPRI

# Whatever is waited for: after them, the call fails or ends.
_ALWAYS = select.EPOLLERR | select.EPOLLHUP


class _Poller:
    """The coroutines of one loop that wait for one mailbox."""

    def __init__(self, mailbox, loop):
        self.mailbox = mailbox
        self.loop = loop
        self.users = 0
        self.mask = 0
        self.waiting = []
        self.epoll = select.epoll()
        loop.add_reader(self.epoll.fileno(), self.ready)

    def watch(self, events):
        """Report these events too; of those that are there already, once."""
        if events & ~self.mask:
            mask = self.mask | events
            fd = self.mailbox.fileno()
            if self.mask:
                self.epoll.modify(fd, mask | select.EPOLLET)
            else:
                self.epoll.register(fd, mask | select.EPOLLET)
            self.mask = mask

    def ready(self):
        for _, events in self.epoll.poll(0):
            self.wake(events)

    def wake(self, events):
        for wanted, future in self.waiting:
            if events & (wanted | _ALWAYS) and not future.done():
                future.set_result(None)

    async def wait(self, events):
        entry = events, self.loop.create_future()
        self.waiting.append(entry)
        try:
            await entry[1]
        finally:
            self.waiting.remove(entry)

    def closed(self):
        """The mailbox was closed, perhaps by another thread: each coroutine finds that."""
        try:
            self.loop.call_soon_threadsafe(self.wake, _ALWAYS)
        except RuntimeError:
            # The loop is closed: nothing runs in it.
            pass

    def end(self):
        self.loop.remove_reader(self.epoll.fileno())
        self.epoll.close()


async def repeat(mailbox, events, attempt):
    """Call attempt() until it does not raise BlockingIOError; wait in between."""
    try:
        return attempt()
    except BlockingIOError:
        pass
    loop = asyncio.get_running_loop()
    # At once: the loop of another thread may be here too.
    pollers = mailbox.__dict__.setdefault("_pollers", {})
    poller = pollers.get(loop)
    if poller is None:
        poller = pollers[loop] = _Poller(mailbox, loop)
    poller.users += 1
    try:
        poller.watch(events)
        while True:
            await poller.wait(events)
            try:
                return attempt()
            except BlockingIOError:
                pass
    finally:
        poller.users -= 1
        if not poller.users:
            del pollers[loop]
            poller.end()


async def result_of(value):
    """What a function returned, or its coroutine."""
    return await value if inspect.isawaitable(value) else value
