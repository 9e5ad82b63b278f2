# SPDX-License-Identifier: LGPL-2.1-or-later
"""The exceptions of mailboxes, by error number."""

import errno
import os


class Error(OSError):
    """A call on a mailbox failed; errno has the reason."""


class WouldBlock(Error, BlockingIOError):
    """The call would have to wait, and may not (EAGAIN)."""


class Full(WouldBlock):
    """A send that may not wait found no room (EAGAIN)."""


class Empty(WouldBlock):
    """A receive that may not wait found no message (EAGAIN)."""


class Timeout(Error, TimeoutError):
    """The time was over before the call could complete (ETIMEDOUT)."""


class Hangup(Error, BrokenPipeError):
    """The other side is gone, or dropped the message (EPIPE)."""


class Destroyed(Error):
    """The mailbox was destroyed (EIDRM)."""


class TooLong(Error):
    """The message is too long for the mailbox, or for the buffer (EMSGSIZE)."""


class NotFound(Error, FileNotFoundError):
    """There is no mailbox of that name or id (ENOENT)."""


class Exists(Error, FileExistsError):
    """The name exists (EEXIST)."""


class Denied(Error, PermissionError):
    """The permission bits or the owner do not allow it (EACCES, EPERM)."""


class Gone(Error, ProcessLookupError):
    """Nothing waits for this reply, no message is on this lease, or no process is there
    (ESRCH)."""


class Quota(Error):
    """A limit of the user is reached (EDQUOT)."""


class Stale(Error):
    """Another call received the message meanwhile (ESTALE)."""


class Unsupported(Error):
    """A mailbox of this mode or with these flags does not have the operation
    (EOPNOTSUPP)."""


_BY_NUMBER = {
    errno.EAGAIN: WouldBlock,
    errno.ETIMEDOUT: Timeout,
    errno.EPIPE: Hangup,
    errno.EIDRM: Destroyed,
    errno.EMSGSIZE: TooLong,
    errno.ENOENT: NotFound,
    errno.EEXIST: Exists,
    errno.EACCES: Denied,
    errno.EPERM: Denied,
    errno.ESRCH: Gone,
    errno.EDQUOT: Quota,
    errno.ESTALE: Stale,
    errno.EOPNOTSUPP: Unsupported,
}

_WAITS = {"send": Full, "reserve": Full, "receive": Empty, "peek": Empty}


def make(number, what):
    """The exception for an error of a call; what names the call."""
    kind = _BY_NUMBER.get(number, Error)
    if kind is WouldBlock:
        kind = _WAITS.get(what, kind)
    return kind(number, f"{what}: {os.strerror(number)}")
