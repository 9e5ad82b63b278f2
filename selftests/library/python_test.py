# SPDX-License-Identifier: GPL-2.0-only
"""The Python package, as its users see it. Each function test_* is one test. KTAP.

No test depends on time: each waits for a state, and a call with a time-out either can
succeed at once or must time out.

usage: python_test.py [NAME]...
"""

import array
import ast
import asyncio
import errno
import faulthandler
import gc
import inspect
import io
import os
import resource
import select
import signal
import sys
import threading
import time
import traceback
import warnings

import mbox
from mbox import Flag, Mailbox, Match

FACTOR = int(os.environ.get("MBOX_TIME_FACTOR", "1"))
NAME = f"python-test-{os.getpid()}"
HERE = os.path.dirname(os.path.abspath(__file__))


# ---- tools -----------------------------------------------------------------------------

def until(condition):
    """Wait for a state."""
    end = time.monotonic() + 100 * FACTOR
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.001)


def raises(kind, function, *args, **kwargs):
    """The exception, which must be of just this kind."""
    try:
        result = function(*args, **kwargs)
    except Exception as exception:
        assert type(exception) is kind, f"{exception!r}, not {kind.__name__}"
        return exception
    raise AssertionError(f"returned {result!r}, no {kind.__name__}")


def in_child(function):
    """Run function in a child. Returns what waitpid() says."""
    sys.stdout.flush()
    pid = os.fork()
    if not pid:
        status = 1
        try:
            function()
            status = 0
        except BaseException:
            traceback.print_exc(file=sys.stdout)
            sys.stdout.flush()
        os._exit(status)
    return os.waitpid(pid, 0)[1]


class Thread(threading.Thread):
    """A thread whose result, or exception, join() gives."""

    def __init__(self, function, *args):
        super().__init__(daemon=True)
        self.function = function
        self.args = args
        self.result = self.exception = None
        self.start()

    def run(self):
        try:
            self.result = self.function(*self.args)
        except BaseException as exception:
            self.exception = exception

    def end(self):
        self.join(100 * FACTOR)
        assert not self.is_alive(), "the thread still runs"
        if self.exception:
            raise self.exception
        return self.result


class Ticks:
    """A signal again and again: function(n) is called in the main thread for the n-th, but
    not within itself."""

    def __init__(self, function):
        self.function = function
        self.n = 0
        self.inside = False

    def handler(self, number, frame):
        if self.inside:
            return
        self.inside = True
        try:
            self.n += 1
            self.function(self.n)
        finally:
            self.inside = False

    def __enter__(self):
        self.before = signal.signal(signal.SIGALRM, self.handler)
        signal.setitimer(signal.ITIMER_REAL, 0.005, 0.005)
        return self

    def __exit__(self, *exception):
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, self.before)


class Interrupt:
    """Raises KeyboardInterrupt at the third tick after begin(), once."""

    left = 0

    def begin(self):
        self.left = 3

    def __call__(self, n):
        if self.left:
            self.left -= 1
            if not self.left:
                raise KeyboardInterrupt


def open_files():
    return len(os.listdir("/proc/self/fd"))


def parameter(name, value):
    """Set a parameter of the module; returns what it was."""
    with open(f"/sys/module/mbox/parameters/{name}", "r+") as file:
        before = file.read().strip()
        file.write(str(value))
    return before


# ---- handles -----------------------------------------------------------------------------

def test_names_and_ids():
    with Mailbox.create(NAME, capacity=3, msg_max=100, exclusive=True) as mb:
        exception = raises(mbox.Exists, Mailbox.create, NAME, exclusive=True)
        assert exception.errno == errno.EEXIST
        assert isinstance(exception, FileExistsError)
        with Mailbox.open(NAME, "w") as writer, Mailbox.open_id(mb.id, "r") as reader:
            writer.send(b"hello")
            assert raises(mbox.Error, writer.recv).errno == errno.EBADF
            assert raises(mbox.Error, reader.send, b"").errno == errno.EBADF
            message = reader.recv()
            assert message.data == bytes(message) == b"hello" and len(message) == 5
            assert message.pid == os.getpid() and message.uid == os.getuid()
        assert (mb.id, NAME) in list(mbox.walk())
        mbox.unlink(NAME)
        assert raises(mbox.NotFound, Mailbox.open, NAME).errno == errno.ENOENT
        raises(mbox.NotFound, mbox.unlink, NAME)
        mb.send(b"it goes on")
    raises(mbox.NotFound, Mailbox.open_id, 1 << 60)
    raises(ValueError, Mailbox.open, NAME, "x")
    raises(TypeError, Mailbox)
    raises(ValueError, Mailbox.open, "zero\0byte")
    assert mbox.info().abi >= 9


def test_closed_mailbox():
    before = open_files()
    mb = Mailbox.create()
    with mb as same:
        assert mb is same and not mb.closed and "descriptor" in repr(mb)
        assert os.fstat(mb.fileno())
    mb.close()
    assert mb.closed and "closed" in repr(mb)
    for call in (mb.fileno, mb.stat, mb.recv, mb.destroy, mb.reopen, mb.peek, mb.reserve, mb.call,
                 lambda: mb.send(b""), lambda: mb.set_capacity(1), lambda: mb.reply(1),
                 lambda: mb.set_perm(mode=0)):
        raises(ValueError, call)
    raises(ValueError, asyncio.run, mb.arecv())
    assert open_files() == before


def test_unclosed_mailbox():
    before = open_files()
    mb = Mailbox.create()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        del mb
        gc.collect()
    assert [w.category for w in caught] == [ResourceWarning], caught
    assert open_files() == before


def test_subclass():
    class Jobs(Mailbox):
        colour = None

    with Jobs.create() as jobs:
        jobs.colour = "red"
        assert type(jobs) is Jobs
        with jobs.reopen("r") as again:
            assert type(again) is Jobs and again.colour is None
            jobs.send(b"x")
            assert again.recv().mailbox is again


def test_attributes():
    flags = Flag.HANGUP | Flag.DROP_OLDEST
    with Mailbox.create(capacity=7, msg_max=77, flags=flags, perm=0o640) as mb:
        attr = mb.attr
        assert (attr.capacity, attr.msg_max, attr.flags) == (7, 77, flags)
        assert not attr.ring and mb.msg_max == 77
        mb.set_capacity(mbox.UNBOUNDED)
        mb.set_perm(mode=0o600)
        mb.send(b"abc")
        stat = mb.stat()
        assert stat.attr.capacity == mbox.UNBOUNDED and stat.attr.perm == 0o600
        assert (stat.queued, stat.bytes, stat.sent, stat.received) == (1, 3, 1, 0)
        assert (stat.send_handles, stat.recv_handles, stat.uid) == (1, 1, os.getuid())
        assert len(stat.waited) == 24 and stat.highest == 1
        assert (stat.last_sender, stat.last_receiver) == (os.getpid(), 0)
        mb.recv()
        assert sum(mb.stat().waited) == 1 and mb.stat().last_receiver == os.getpid()
    assert raises(mbox.Error, Mailbox.create, msg_max=0).errno == errno.EINVAL
    raises(OverflowError, Mailbox.create, capacity=1 << 32)
    raises(OverflowError, Mailbox.create, capacity=-1)


def test_pipe_and_descriptor():
    reader, writer = Mailbox.pipe()
    with reader, writer:
        copy = Mailbox.from_fd(os.dup(writer.fileno()))
        writer.send(b"1")
        writer.close()
        copy.send(b"2")
        copy.close()
        assert [message.data for message in reader] == [b"1", b"2"]
        assert raises(mbox.Hangup, reader.recv).errno == errno.EPIPE
    with open("/dev/null") as file:
        assert raises(mbox.Error, Mailbox.from_fd, file.fileno()).errno == errno.EINVAL
        os.fstat(file.fileno())


# ---- messages ----------------------------------------------------------------------------

def test_order_and_types():
    with Mailbox.create() as mb:
        for prio, type, text in (0, 5, b"a"), (9, 6, b"b"), (0, 7, b"c"), (9, 5, b"d"):
            mb.send(text, prio=prio, type=type)
        message = mb.recv(peek=True)
        assert (message.data, message.prio, message.type) == (b"b", 9, 6)
        assert mb.recv(peek=True, skip=3).data == b"c"
        assert mb.recv(type=5, match=Match.NOT).data == b"b"
        assert mb.recv(type=7).data == b"c"
        assert mb.recv(type=6, match=Match.LOWEST).data == b"d"
        raises(mbox.Empty, mb.recv, type=7, timeout=0)
        assert mb.recv(timeout=0).data == b"a"
        mb.send(b"big", type=(1 << 64) - 1)
        assert mb.recv().type == (1 << 64) - 1
        raises(OverflowError, mb.send, b"", type=1 << 64)
        raises(OverflowError, mb.send, b"", prio=-1)
        assert raises(mbox.Error, mb.send, b"", prio=mbox.PRIO_MAX + 1).errno == errno.EINVAL


def test_payloads():
    with Mailbox.create(msg_max=300000) as mb:
        for data in (b"", b"x", b"\0" * 65536, b"y" * 65537, os.urandom(300000),
                     bytearray(b"array"), memoryview(b"view")[1:], array.array("i", [1, 2])):
            mb.send(data)
            assert mb.recv().data == bytes(data)
        raises(TypeError, mb.send, "text")
        assert raises(mbox.TooLong, mb.send, b"z" * 300001).errno == errno.EMSGSIZE
        mb.send(b"0123456789")
        message = mb.recv(size=4)
        assert (message.data, message.length) == (b"0123", 10)
        mb.send(b"z" * 100000)
        assert mb.recv(size=0).length == 100000
        raises(ValueError, mb.recv, size=-2)
        # An array that is being sent cannot be resized by another thread, and can later.
        data = bytearray(8)
        mb.send(data)
        data.extend(b"more")
        mb.send(b"soon over", lifespan=1000)
        mb.recv()
        assert 0 < mb.recv().lifespan <= 1000
        raises(ValueError, mb.send, b"", lifespan=0)


def test_descriptors():
    before = open_files()
    with Mailbox.create() as mb:
        r, w = os.pipe()
        with open(w, "wb", buffering=0) as file:
            mb.send(b"end", fds=[file, r])
        os.close(r)
        received = mb.recv(fds=2).fds
        assert len(received) == 2
        os.write(received[0], b"through")
        assert os.read(received[1], 10) == b"through"
        mb.send(b"none", fds=received)
        assert mb.recv().fds == ()
        assert open_files() == before + 3
        for fd in received:
            os.close(fd)
        raises(ValueError, mb.send, b"", fds=[0] * 33)
        raises(ValueError, mb.recv, fds=33)
        assert raises(mbox.Error, mb.send, b"", fds=[received[0]]).errno == errno.EBADF
        raises(TypeError, mb.send, b"", fds=["0"])
        raises(TypeError, mb.send, b"", fds=5)
    assert open_files() == before


def test_limits_of_waiting():
    with Mailbox.create(capacity=1) as mb:
        exception = raises(mbox.Empty, mb.recv, timeout=0)
        assert exception.errno == errno.EAGAIN and isinstance(exception, BlockingIOError)
        exception = raises(mbox.Timeout, mb.recv, timeout=0.01)
        assert exception.errno == errno.ETIMEDOUT and isinstance(exception, TimeoutError)
        start = time.monotonic()
        raises(mbox.Timeout, mb.recv, deadline=start + 0.02)
        assert time.monotonic() >= start + 0.02
        raises(mbox.Timeout, mb.recv, deadline=-5)
        # It does what it can without waiting.
        mb.send(b"x", deadline=1)
        raises(mbox.Full, mb.send, b"y", timeout=0)
        raises(mbox.Timeout, mb.send, b"y", timeout=0.01)
        assert mb.recv(deadline=0).data == b"x"
        for limits in ({"timeout": 1, "deadline": 1}, {"timeout": -1}, {"timeout": float("nan")},
                       {"deadline": float("nan")}):
            raises(ValueError, mb.recv, **limits)
            raises(ValueError, mb.send, b"", **limits)
        mb.send(b"z", timeout=float("inf"))
        assert mb.recv(timeout=1e30).data == b"z"
    with Mailbox.create(nonblock=True) as mb:
        raises(mbox.Empty, mb.recv)


def test_other_errors():
    with Mailbox.create() as mb, mb.reopen() as other:
        other.destroy()
        for call in mb.recv, mb.stat, mb.call, lambda: mb.send(b""):
            assert raises(mbox.Destroyed, call).errno == errno.EIDRM
    with Mailbox.create(ring=True) as ring:
        assert raises(mbox.Unsupported, ring.call).errno == errno.EOPNOTSUPP
        assert ring.attr.ring
    with Mailbox.create() as mb:
        assert raises(mbox.Gone, mb.reply, 12345).errno == errno.ESRCH
        assert raises(mbox.Unsupported, mb.peek).errno == errno.EOPNOTSUPP
    assert raises(mbox.NotFound, Mailbox.open, "/nothing/here").errno == errno.ENOENT
    for kind in (mbox.Full, mbox.Empty, mbox.Timeout, mbox.Hangup, mbox.Destroyed, mbox.Denied):
        assert issubclass(kind, mbox.Error) and issubclass(kind, OSError)


def test_permission_and_quota():
    if os.getuid():
        return "SKIP not root"
    before = parameter("user_mailboxes", 3)

    def other_user():
        os.setgroups([])
        os.setgid(65534)
        os.setuid(65534)
        assert raises(mbox.Denied, Mailbox.open, NAME).errno == errno.EACCES
        mailboxes = [Mailbox.create() for _ in range(3)]
        assert raises(mbox.Quota, Mailbox.create).errno == errno.EDQUOT
        assert len(mailboxes) == 3

    try:
        with Mailbox.create(NAME, flags=Flag.TEMPORARY):
            assert in_child(other_user) == 0
    finally:
        parameter("user_mailboxes", before)


# ---- leases ------------------------------------------------------------------------------

def test_leases():
    with Mailbox.create() as mb:
        mb.send(b"job")
        with mb.recv(lease=True) as job:
            assert job.data == b"job" and job.deliveries == 1
            assert mb.stat().leased == 1
        assert mb.stat().leased == 0 and mb.stat().queued == 0
        raises(mbox.Gone, job.ack)

        mb.send(b"fails")
        try:
            with mb.recv(lease=True):
                raise RuntimeError
        except RuntimeError:
            pass
        job = mb.recv(lease=True)
        assert (job.data, job.deliveries) == (b"fails", 2)
        job.put_back()
        job = mb.recv(lease=True)
        assert job.deliveries == 1
        with job:
            job.nack()
        job = mb.recv(lease=True)
        raises(ValueError, job.nack, -1)
        job.nack(0.01)
        with mb.recv(lease=True) as job:
            assert job.data == b"fails"
        assert mb.stat().queued == 0
        # The handle is closed in between: the exception of the work counts.
        mb.send(b"closed")
        worker = mb.reopen()
        try:
            with worker.recv(lease=True):
                worker.close()
                raise RuntimeError
        except RuntimeError:
            pass
        assert mb.recv().data == b"closed"


def test_lease_of_a_worker_that_dies():
    with Mailbox.create(NAME, flags=Flag.TEMPORARY) as mb:
        mb.send(b"job")

        def worker():
            with Mailbox.open(NAME) as own, own.recv(lease=True):
                os.kill(os.getpid(), signal.SIGKILL)

        assert os.WTERMSIG(in_child(worker)) == signal.SIGKILL
        with mb.recv(lease=True) as job:
            assert job.deliveries == 2


# ---- calls -------------------------------------------------------------------------------

def test_calls():
    with Mailbox.create() as mb, mb.reopen() as client:
        server = Thread(mb.serve, lambda request: request.data.upper())
        assert client.call(b"hello").data == b"HELLO"
        assert bytes(client.call(b"x", timeout=1000)) == b"X"
        # A caller that takes no long reply does not end the server.
        assert raises(mbox.TooLong, client.call, b"long", reply_max=3).errno == errno.EMSGSIZE
        raises(ValueError, client.call, b"", timeout=0)
        raises(ValueError, client.call, b"", reply_max=-1)
        assert len(client.call()) == 0
        client.destroy()
        raises(mbox.Destroyed, server.end)


def test_calls_that_were_started():
    with Mailbox.create() as mb:
        first = mb.call_start(b"1")
        second = mb.call_start(b"2", reply_fds=1)
        raises(mbox.WouldBlock, first.wait, timeout=0)
        raises(mbox.Timeout, first.wait, timeout=0.01)
        one, two = mb.recv(), mb.recv()
        assert one.token and two.token
        two.reply(b"two", fds=[1])
        raises(mbox.Gone, two.reply)
        reply = second.wait()
        assert reply.data == b"two" and len(reply.fds) == 1
        os.close(reply.fds[0])
        raises(ValueError, second.wait)
        raises(mbox.WouldBlock, first.wait, timeout=0)
        one.reply(b"one")
        assert first.wait(timeout=1000).data == b"one"
        # Withdrawn: no server sees it.
        third = mb.call_start(b"3")
        assert third.cancel() and not third.cancel()
        raises(mbox.Empty, mb.recv, timeout=0)
        # Ended already: its end, and the descriptors in it, are dropped.
        before = open_files()
        with mb.call_start(b"4", reply_fds=1) as fourth:
            mb.recv().reply(b"four", fds=[1])
        assert not fourth.cancel() and open_files() == before
        # The call's own deadline, which is over already.
        call = mb.call_start(b"5", deadline=1)
        raises(mbox.Timeout, call.wait)
        raises(ValueError, call.wait)
        raises(mbox.Timeout, mb.call, b"6", timeout=0.01)


def test_serve():
    with Mailbox.create() as mb:
        mb.send(b"no request")
        gone = mb.call_start(b"gone")
        served = []

        def function(message):
            served.append(message.data)
            if message.data == b"gone":
                gone.cancel()
            return b"reply"

        assert mb.serve(function, count=2) == 2
        assert served == [b"no request", b"gone"]
        raises(mbox.Timeout, mb.serve, function, timeout=0.01)
        call = mb.call_start(b"raises")
        raises(ZeroDivisionError, mb.serve, lambda message: 1 / 0)
        call.cancel()
        call = mb.call_start(b"itself")
        mb.serve(lambda message: message.reply(b"own"), count=1)
        assert call.wait().data == b"own"
    reader, writer = Mailbox.pipe()
    with reader:
        writer.send(b"last")
        writer.close()
        assert reader.serve(served.append) == 1


# ---- signals -----------------------------------------------------------------------------

def test_call_goes_on_after_a_signal():
    with Mailbox.create() as mb:
        with Ticks(lambda n: n == 3 and mb.send(b"from the handler")):
            assert mb.recv().data == b"from the handler"
        # With what is left of the time.
        with Ticks(lambda n: None) as ticks:
            raises(mbox.Timeout, mb.recv, timeout=0.1)
            until(lambda: ticks.n)
        # A request is sent once.
        requests = []

        replied = []

        def serve(n):
            # One that is repeated would be here too.
            if mb.stat().queued:
                requests.append((n, mb.recv(timeout=0)))
            if requests and n >= requests[0][0] + 5 and not replied:
                requests[0][1].reply(b"done")
                replied.append(n)

        with Ticks(serve):
            assert mb.call(b"once").data == b"done"
        assert len(requests) == 1 and mb.stat().queued == 0


def test_interrupt():
    interrupt = Interrupt()
    with Mailbox.create(capacity=1) as mb, \
            Mailbox.create(ring=True, capacity=1, msg_max=16) as ring:
        def full(mailbox, call):
            mailbox.send(b"full")
            try:
                interrupt.begin()
                call()
            finally:
                assert mailbox.recv().data == b"full"

        def empty(mailbox, call):
            interrupt.begin()
            call()

        for where, mailbox, call in (
                (empty, mb, mb.recv), (empty, mb, lambda: mb.recv(timeout=10000)),
                (full, mb, lambda: mb.send(b"no room", timeout=10000)),
                (full, mb, lambda: mb.call(b"no room")),
                (empty, mb, lambda: mb.call(b"no server")), (empty, ring, ring.peek),
                (empty, ring, ring.recv), (full, ring, ring.reserve),
                (full, ring, lambda: ring.send(b"no room"))):
            with Ticks(interrupt):
                try:
                    where(mailbox, call)
                except KeyboardInterrupt:
                    continue
            raise AssertionError("it returned")
        assert mb.stat().queued == 0, "a call that was interrupted is still there"


# ---- threads, processes --------------------------------------------------------------------

def test_threads():
    count, senders, receivers = 500, 3, 3
    with Mailbox.create(capacity=4) as mb:
        def send(number):
            for i in range(count):
                mb.send(b"%d %d" % (number, i))

        def receive():
            got = []
            while True:
                data = mb.recv().data
                if data == b"end":
                    return got
                got.append(data)

        receiving = [Thread(receive) for _ in range(receivers)]
        for thread in [Thread(send, i) for i in range(senders)]:
            thread.end()
        for _ in range(receivers):
            mb.send(b"end")
        got = [data for thread in receiving for data in thread.end()]
        assert sorted(got) == sorted(b"%d %d" % (n, i) for n in range(senders)
                                     for i in range(count))


def test_close_while_a_call_waits():
    for ring in False, True:
        with Mailbox.create(ring=ring) as watcher:
            mb = watcher.reopen()
            fd = mb.fileno()
            thread = Thread(mb.recv)
            until(lambda: watcher.stat().waiting_receivers == 1)
            mb.close()
            raises(ValueError, mb.recv)
            # The call has it open still, so its number is no other file's.
            assert os.fstat(fd)
            watcher.send(b"late")
            assert thread.end().data == b"late"
            until(lambda: watcher.stat().recv_handles == 1)


def test_destroy_ends_calls():
    with Mailbox.create() as mb:
        thread = Thread(mb.recv)
        until(lambda: mb.stat().waiting_receivers == 1)
        mb.destroy()
        raises(mbox.Destroyed, thread.end)


def test_fork():
    with Mailbox.create() as there, Mailbox.create() as back:
        there.send(b"to the child")

        def child():
            back.send(there.recv().data + b", and back")
            there.close()
            raises(ValueError, there.recv)

        assert in_child(child) == 0
        assert back.recv().data == b"to the child, and back"
        there.send(b"open here")


def test_fork_during_a_call():
    """A child closes what another thread of its parent uses."""
    for ring in False, True:
        with Mailbox.create(ring=ring) as mb:
            thread = Thread(mb.recv)
            until(lambda: mb.stat().waiting_receivers)
            descriptor = mb.fileno()

            def child():
                mb.close()
                raises(OSError, os.fstat, descriptor)

            assert in_child(child) == 0
            mb.send(b"still open")
            assert thread.end().data == b"still open"
        raises(OSError, os.fstat, descriptor)


def test_direct_link():
    parent = os.getpid()

    def child():
        with Mailbox.direct(parent) as link:
            link.send(b"from the child")
            assert link.recv().data == b"from the parent"

    sys.stdout.flush()
    pid = os.fork()
    if not pid:
        status = 1
        try:
            child()
            status = 0
        finally:
            os._exit(status)
    with Mailbox.direct(pid) as link:
        assert link.recv().data == b"from the child"
        link.send(b"from the parent")
        assert os.waitpid(pid, 0)[1] == 0
    raises(mbox.Gone, Mailbox.direct, pid)


# ---- rings -------------------------------------------------------------------------------

def test_ring_in_place():
    with Mailbox.create(ring=True, capacity=4, msg_max=100) as ring:
        ring.send(b"copied")
        with ring.reserve(50) as slot:
            assert len(slot) == 50 and not slot.data.readonly
            slot.data[:5] = b"place"
            slot.length = 5
        assert ring.recv().data == b"copied"
        with ring.peek() as slot:
            assert slot.data.readonly and bytes(slot.data) == b"place"
            raises(TypeError, slot.data.__setitem__, 0, 1)
        raises(mbox.Empty, ring.peek, block=False)
        # All of it, if no length is given.
        slot = ring.reserve()
        slot.data[:] = bytes(range(100))
        slot.commit()
        raises(ValueError, slot.data.__getitem__, 0)
        slot = ring.peek()
        assert list(slot.data) == list(range(100))
        slot.leave()
        assert ring.recv().data == bytes(range(100))
        raises(mbox.TooLong, ring.reserve, 101)
        slot = ring.reserve(10)
        raises(ValueError, slot.commit, 11)
        raises(ValueError, slot._slot.release)
        slot.discard()
        raises(mbox.Empty, ring.recv, timeout=0)
        slots = [ring.reserve(1) for _ in range(4)]
        raises(mbox.Full, ring.reserve, block=False)
        for slot in slots:
            slot.data[:] = b"x"
            slot.commit()
        raises(mbox.Full, ring.send, b"", timeout=0)


def test_exceptions_in_place():
    with Mailbox.create(ring=True) as ring:
        try:
            with ring.reserve(10):
                raise RuntimeError
        except RuntimeError:
            pass
        ring.send(b"behind it")
        try:
            with ring.peek():
                raise RuntimeError
        except RuntimeError:
            pass
        assert ring.recv(timeout=0).data == b"behind it"
        # Dropped, it does not hold up the ring.
        ring.reserve(10)
        ring.send(b"next")
        assert ring.recv(timeout=0).data == b"next"
        ring.send(b"taken")
        slot = ring.peek()
        ring.recv()
        assert raises(mbox.Stale, slot.release).errno == errno.ESTALE


def test_memoryviews_that_outlive_a_slot():
    with Mailbox.create(ring=True) as ring:
        slot = ring.reserve(10)
        part = slot.data[2:4]
        raises(BufferError, slot.commit)
        part[:] = b"ab"
        raises(BufferError, slot.discard)
        part.release()
        raises(ValueError, part.__getitem__, 0)
        slot.commit(4)
        slot = ring.peek()
        part = slot.data[2:]
        raises(BufferError, slot.release)
        raises(BufferError, slot.leave)
        assert bytes(part) == b"ab"
        del part
        slot.release()
        # With an exception under way, that one counts; the slot ends with the view.
        try:
            with ring.reserve(10) as slot:
                part = slot.data[:]
                raise RuntimeError
        except RuntimeError:
            pass
        part[0] = 1
        del slot
        part[0] = 2
        del part
        gc.collect()
        ring.send(b"goes on")
        assert ring.recv(timeout=0).data == b"goes on"


def test_slots_and_close():
    with Mailbox.create(ring=True) as ring:
        other = ring.reopen()
        slot = other.reserve(4)
        view = slot.data
        other.close()
        view[:] = b"late"
        slot.commit()
        looking = ring.reopen()
        peek = looking.peek()
        looking.close()
        assert bytes(peek.data) == b"late"
        peek.release()
        assert ring.stat().recv_handles == 1
        raises(mbox.Empty, ring.recv, timeout=0)


def test_slots_and_fork():
    with Mailbox.create(ring=True) as ring:
        slot = ring.reserve(4)

        def child():
            raises(BufferError, memoryview, slot._slot)
            slot._slot = None
            gc.collect()
            ring.send(b"child")

        def child_that_closes():
            descriptor = ring.fileno()
            ring.close()
            raises(OSError, os.fstat, descriptor)
            slot.data.release()
            raises(ValueError, slot._slot.commit, 4)
            raises(ValueError, slot._slot.discard)
            slot._slot = None
            gc.collect()

        assert in_child(child) == 0
        assert in_child(child_that_closes) == 0
        slot.data[:] = b"mine"
        slot.commit()
        assert ring.recv().data == b"mine"
        assert ring.recv().data == b"child"


# ---- memory ------------------------------------------------------------------------------

def test_leaks():
    mb = Mailbox.create(msg_max=100000)
    ring = Mailbox.create(ring=True)
    fail = mb.reopen("r")

    def ordinary():
        mb.send(b"x")
        mb.recv(timeout=0)

    def everything():
        mb.send(b"y" * 70000, fds=[0])
        for fd in mb.recv(fds=1).fds:
            os.close(fd)
        mb.send(b"job")
        with mb.recv(lease=True):
            pass
        with mb.call_start(b"call", reply_max=70000) as call:
            mb.recv().reply(b"z" * 70000)
            call.wait()
        with ring.reserve(100):
            pass
        with ring.peek():
            pass
        ring.reserve(1)
        for call in ((mb.recv, 0), (ring.peek,), (ring.recv, 0), (fail.send, 0)):
            try:
                if call[0] == ring.peek:
                    call[0](block=False)
                elif call[0] == fail.send:
                    call[0](b"")
                else:
                    call[0](timeout=0)
                raise AssertionError("it succeeds")
            except mbox.Error:
                pass
        with mb.reopen() as again:
            again.stat()

    def measure():
        gc.collect()
        return (sys.getallocatedblocks(), open_files(), sys.getrefcount(None),
                resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)

    for function, times in (ordinary, 10000), (everything, 500):
        for _ in range(50):
            function()
        blocks, files, nones, memory = measure()
        for _ in range(times):
            function()
        after = measure()
        assert after[0] < blocks + 100, f"{after[0] - blocks} blocks after {times} times"
        assert after[1] == files
        assert after[2] < nones + 100
        assert after[3] < memory + 16384, f"{after[3] - memory} KiB after {times} times"
    for mailbox in mb, ring, fail:
        mailbox.close()


# ---- asyncio -----------------------------------------------------------------------------

def test_asyncio():
    async def main(mb):
        waiting = [asyncio.create_task(mb.arecv()) for _ in range(3)]
        await asyncio.sleep(0)
        for i in range(3):
            await mb.asend(b"%d" % i)
        assert sorted(m.data for m in await asyncio.gather(*waiting)) == [b"0", b"1", b"2"]
        # No room.
        sent = [asyncio.create_task(mb.asend(b"%d" % i)) for i in range(10)]
        got = [(await mb.arecv()).data for _ in range(10)]
        assert sorted(got) == [b"%d" % i for i in range(10)]
        await asyncio.gather(*sent)
        with_lease = asyncio.create_task(mb.arecv(lease=True))
        await asyncio.sleep(0)
        await mb.asend(b"job")
        with await with_lease as job:
            assert job.deliveries == 1
        assert mb._pollers == {}

    for ring in False, True:
        if ring:
            with Mailbox.create(ring=True, capacity=2) as mb:
                async def ring_main():
                    task = asyncio.create_task(mb.arecv())
                    await asyncio.sleep(0)
                    await mb.asend(b"x")
                    assert (await task).data == b"x"
                    sends = [asyncio.create_task(mb.asend(b"y")) for _ in range(5)]
                    for _ in range(5):
                        assert (await mb.arecv()).data == b"y"
                    await asyncio.gather(*sends)

                asyncio.run(ring_main())
        else:
            with Mailbox.create(capacity=2) as mb:
                asyncio.run(main(mb))


def test_asyncio_types():
    """A message of another type neither wakes it again and again, nor hides its own."""
    async def main(mb):
        tries = 0
        receive = mb._receive

        def counted(*args):
            nonlocal tries
            tries += 1
            return receive(*args)

        mb._receive = counted
        mb.send(b"other", type=1)
        task = asyncio.create_task(mb.arecv(type=2))
        for _ in range(50):
            await asyncio.sleep(0.001)
        assert tries <= 3, f"{tries} tries"
        mb.send(b"mine", type=2)
        assert (await task).data == b"mine"
        assert (await mb.arecv()).data == b"other"

    with Mailbox.create() as mb:
        asyncio.run(main(mb))


def test_asyncio_cancelled_receive_loses_nothing():
    async def main(mb):
        sent, got = 0, []
        for i in range(300):
            task = asyncio.create_task(mb.arecv())
            # The message comes before, at the same time as, or after the task is cancelled.
            for _ in range(i % 4):
                await asyncio.sleep(0)
            mb.send(b"%d" % sent)
            sent += 1
            for _ in range(i // 4 % 5):
                await asyncio.sleep(0)
            task.cancel()
            try:
                got.append(int((await task).data))
            except asyncio.CancelledError:
                pass
            try:
                got.append(int((await asyncio.wait_for(mb.arecv(), 0.0001 * (i % 3))).data))
            except asyncio.TimeoutError:
                pass
        while mb.stat().queued:
            got.append(int((await mb.arecv()).data))
        assert sorted(got) == list(range(sent))

    with Mailbox.create(capacity=mbox.UNBOUNDED) as mb:
        asyncio.run(main(mb))


def test_asyncio_calls():
    async def main(mb):
        async def upper(request):
            await asyncio.sleep(0)
            return request.data.upper()

        server = asyncio.create_task(mb.aserve(upper))
        calls = [asyncio.create_task(mb.acall(b"call %d" % i)) for i in range(20)]
        assert [r.data for r in await asyncio.gather(*calls)] == \
            [b"CALL %d" % i for i in range(20)]
        try:
            await mb.acall(b"long", reply_max=2)
            raise AssertionError("it succeeds")
        except mbox.TooLong:
            pass
        server.cancel()
        await asyncio.gather(server, return_exceptions=True)
        # Withdrawn.
        task = asyncio.create_task(mb.acall(b"nobody serves it"))
        while not mb.stat().queued:
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert mb.stat().queued == 0
        assert await mb.aserve(upper, count=0) == 0

    with Mailbox.create() as mb:
        asyncio.run(main(mb))


def test_asyncio_ends():
    async def collect(reader):
        return [message.data async for message in reader]

    async def main():
        reader, writer = Mailbox.pipe()
        task = asyncio.create_task(collect(reader))
        await asyncio.sleep(0)
        await writer.asend(b"last")
        writer.close()
        assert await task == [b"last"]
        assert await reader.aserve(len) == 0
        reader.close()
        # Closed, by this thread and by another, and destroyed.
        for end in Mailbox.close, lambda mb: Thread(mb.close), Mailbox.destroy:
            mb = Mailbox.create()
            task = asyncio.create_task(mb.arecv())
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            end(mb)
            try:
                await task
                raise AssertionError("it succeeds")
            except (ValueError, mbox.Destroyed) as exception:
                assert (end is Mailbox.destroy) == isinstance(exception, mbox.Destroyed)
            mb.close()

    before = open_files()
    asyncio.run(main())
    gc.collect()
    assert open_files() == before


def test_two_loops():
    """A mailbox that the loops of two threads use."""
    async def receive(mb, n):
        return [(await mb.arecv()).data for _ in range(n)]

    with Mailbox.create() as mb:
        threads = [Thread(asyncio.run, receive(mb, 50)) for _ in range(2)]
        for i in range(100):
            mb.send(b"%d" % i)
        got = [data for thread in threads for data in thread.end()]
        assert sorted(got) == sorted(b"%d" % i for i in range(100))


def test_two_loops_at_once():
    """Two threads are the first to wait for a mailbox: both have looked before either goes on,
    and if both change it, the second does when the first waits."""
    here = threading.get_ident()
    both = threading.Barrier(2)
    seen = set()
    sets = []

    class Watched(Mailbox):
        def __getattribute__(self, name):
            value = super().__getattribute__(name)
            thread = threading.get_ident()
            if name in ("_pollers", "__dict__") and thread not in {here} | seen:
                seen.add(thread)
                both.wait(100 * FACTOR)
            return value

        def __setattr__(self, name, value):
            sets.append(name)
            if sets.count("_pollers") == 2:
                until(lambda: self.__dict__["_pollers"])
            super().__setattr__(name, value)

    async def receive(mb):
        return (await mb.arecv()).data

    with Watched.create() as mb:
        threads = [Thread(asyncio.run, receive(mb)) for _ in range(2)]
        until(lambda: len(mb.__dict__.get("_pollers") or ()) == 2)
        for _ in range(2):
            mb.send(b"x")
        assert [thread.end() for thread in threads] == [b"x", b"x"]
        assert mb._pollers == {}


def test_poll():
    with Mailbox.create() as mb:
        assert select.select([mb], [mb], [], 0) == ([], [mb], [])
        mb.send(b"x")
        assert select.select([mb], [], [], 0) == ([mb], [], [])


# ---- stubs, documentation ------------------------------------------------------------------

def test_stubs_agree():
    """Each public name, with its parameters, is in the stubs, and no other."""
    path = os.path.join(os.path.dirname(mbox.__file__), "__init__.pyi")
    with open(path) as file:
        tree = ast.parse(file.read())

    def parameters(node):
        a = node.args
        names = [arg.arg for arg in a.posonlyargs + a.args + a.kwonlyargs]
        return [name for name in names if name not in ("self", "cls")]

    def real_parameters(function):
        return [name for name in inspect.signature(function).parameters
                if name not in ("self", "cls")]

    top = {}
    for node in tree.body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and node.name[0] != "_":
            top[node.name] = node
        elif isinstance(node, ast.AnnAssign):
            top[node.target.id] = node
    assert sorted(top) == sorted(mbox.__all__), set(top) ^ set(mbox.__all__)
    for name, node in top.items():
        thing = getattr(mbox, name)
        if isinstance(node, ast.FunctionDef):
            assert parameters(node) == real_parameters(thing), name
        if not isinstance(node, ast.ClassDef):
            continue
        assert thing.__doc__, name
        members = {part.name: part for part in node.body
                   if isinstance(part, (ast.FunctionDef, ast.AsyncFunctionDef))}
        public = {member for base in thing.__mro__ if base.__module__.startswith("mbox")
                  for member, value in vars(base).items() if not member.startswith("_")
                  and (callable(value) or isinstance(value, (classmethod, property)))}
        if issubclass(thing, (Mailbox, mbox.Message, mbox.Reservation, mbox.Peek,
                              mbox.PendingCall)) and thing is not mbox.Lease:
            stubs = {member for member in members if not member.startswith("_")}
            fields = {part.target.id for part in node.body if isinstance(part, ast.AnnAssign)}
            assert public <= stubs | fields, (name, public - stubs)
        for member, part in members.items():
            value = getattr(thing, member)
            if member.startswith("__") or isinstance(value, property) or \
                    not inspect.isfunction(value) and not inspect.ismethod(value):
                continue
            assert parameters(part) == real_parameters(value), f"{name}.{member}"
            assert value.__doc__, f"{name}.{member} has no docstring"
            is_async = isinstance(part, ast.AsyncFunctionDef)
            assert is_async == inspect.iscoroutinefunction(value), f"{name}.{member}"


def run_examples(page, at_least):
    """Each example of the page prints what its comments say."""
    path = os.path.join(HERE, page)
    with open(path) as file:
        lines = file.read().split("\n")
    examples, inside = [], None
    for number, line in enumerate(lines, 1):
        if line == ".. code-block:: python":
            inside = []
            examples.append((number, inside))
        elif inside is not None and line and not line.startswith("   "):
            inside = None
        elif inside is not None:
            inside.append(line[3:])
    assert len(examples) >= at_least, f"{len(examples)} examples"
    for number, example in examples:
        code = compile("\n" * number + "\n".join(example), path, "exec")

        def run():
            out = sys.stdout = io.StringIO()
            try:
                exec(code, {"__name__": "__main__"})
            finally:
                sys.stdout = sys.__stdout__
            wanted = [line.split("# prints ", 1)[1] for line in example if "# prints " in line]
            assert out.getvalue().split("\n")[:-1] == wanted, (out.getvalue(), wanted)

        assert in_child(run) == 0, f"line {number}"


def test_examples_of_the_page():
    run_examples("python.rst", 8)


def test_examples_of_the_page_on_event_loops():
    run_examples("event-loops.rst", 1)


# ---- all of them ---------------------------------------------------------------------------

def main():
    names = [name for name, thing in globals().items()
             if name.startswith("test_") and inspect.isfunction(thing)]
    if sys.argv[1:]:
        names = [name for name in names if name in sys.argv[1:]]
    print(f"TAP version 13\n1..{len(names)}", flush=True)
    failed = 0
    for number, name in enumerate(names, 1):
        # One that hangs says where.
        faulthandler.dump_traceback_later(40 * FACTOR, exit=True)
        try:
            skip = globals()[name]()
        except BaseException:
            print("".join("# " + line + "\n" for line in traceback.format_exc().split("\n")), end="")
            print(f"not ok {number} {name[5:]}", flush=True)
            failed = 1
        else:
            print(f"ok {number} {name[5:]}" + (f" # {skip}" if skip else ""), flush=True)
    return failed


if __name__ == "__main__":
    sys.exit(main())
