"""Who holds a node's lock, as remote/lock.py tells it, and how a command runs under it.

The one rule: what the node says is a stranger's text, read totally and within bounds; and a command that changes a
locked node begins only while its lease is not taken over, and is known to run for as long as it does.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from sparkdesk.core.command import Command, Exit, Outcome
from sparkdesk.core.plain_text import make_line

MAX_CHARS = 200
MAX_PATH_CHARS = 400
NOT_BEGUN = 75
"""The exit code of HOLD when it did not begin the command, and says so with the token. Source: sysexits.h."""

HOLD = r"""import fcntl,json,os,signal,sys,time
path,token,argv=sys.argv[1],sys.argv[2],sys.argv[3:]
flags=os.O_RDONLY|os.O_NOFOLLOW|os.O_NONBLOCK|os.O_CLOEXEC
def end(code,words):
 os.write(2,words.encode("utf-8","replace"));os._exit(code)
def voided(name):
 try:
  with open(os.open(name,flags),"rb") as file:return token in json.loads(file.read(8192))["voided"]
 except (OSError,ValueError,KeyError,TypeError,RecursionError):return False
try:
 fd=os.open(path,flags);until=time.monotonic()+5
 while True:
  try:fcntl.flock(fd,fcntl.LOCK_SH|fcntl.LOCK_NB);break
  except BlockingIOError:
   if time.monotonic()>until:raise
  time.sleep(.02)
 if not os.fstat(fd).st_nlink:raise OSError("it was let go")
 for name in os.listdir(os.path.dirname(path)):
  if name.startswith("sparkdesk-lease-") and voided(os.path.join(os.path.dirname(path),name)):
   raise OSError("it was taken over")
except OSError as error:end(75,"sparkdesk lock %s: %s\n"%(token,error))
fcntl.fcntl(fd,fcntl.F_DUPFD,200)
for one in (signal.SIGPIPE,signal.SIGXFSZ):signal.signal(one,signal.SIG_DFL)
try:os.execvp(argv[0],argv)
except OSError as error:end(127 if isinstance(error,FileNotFoundError) else 126,"%s: %s\n"%(argv[0],error.strerror))
"""
"""FILE TOKEN ARGV: becomes the command, with a shared flock on its lease's file that it and its children keep.

Not flock(1): as root it cannot open a file of the account's in a sticky folder (fs.protected_regular). The descriptor
that is kept (200 or more) is one that no script uses for itself; the first one ends with the exec. What Python ignores
(SIGPIPE, SIGXFSZ) is set back, so that nothing differs for the command. Stdlib only, Python 3.8+.
"""


@dataclass(frozen=True, slots=True)
class LockHolder:
    """A SparkDesk that changes or measures a node now. All text is untrusted."""

    node_id: str
    node: str
    """The node's name."""
    token: str
    """Names this lease; who breaks it, breaks this one and no other."""
    who: str
    """user@computer, as that SparkDesk calls itself."""
    account: str
    """The node's account that it uses."""
    what: str
    """The playbook's title."""
    held_s: float = math.nan
    """How long it holds the lock; NaN is not known."""
    file: str = ""
    """Where a command of this lease still runs: the file on the node that it holds."""

    @property
    def words(self) -> str:
        """Who, what, since when: for a message or a question."""
        since = f", for {self.held_s:.0f} s now" if math.isfinite(self.held_s) else ""
        return f"{self.who or self.account or 'somebody'} is at work on {self.node} ({self.what or 'not said'}{since})"

    @property
    def busy_words(self) -> str:
        """Whose command still runs, and what for."""
        whose = self.who or self.account or "somebody"
        return f"A command of {whose} still runs on {self.node}: {self.what or 'what for is not said'}"


def read_holder(found: object, node_id: str, node: str) -> LockHolder | None:
    """The holder in an answer of remote/lock.py; None where it names none."""
    if not isinstance(found, Mapping):
        return None
    held_s = found.get("held_s")
    is_known = isinstance(held_s, int | float) and not isinstance(held_s, bool) and 0 <= held_s < 1e9
    words = {key: _text(found.get(key)) for key in ("token", "who", "account", "what")}
    age_s = float(held_s) if is_known and held_s is not None else math.nan
    return LockHolder(node_id, node, held_s=age_s, file=read_file(found), **words)


def read_busy(found: object, node_id: str, node: str) -> tuple[LockHolder, ...]:
    """The leases of others of which a command still runs."""
    rows = [read_holder(row, node_id, node) for row in found[:8]] if isinstance(found, list) else []
    return tuple(row for row in rows if row is not None)


def read_file(found: Mapping[str, object]) -> str:
    """The path of a lease's file; "" for what is none."""
    path = found.get("file")
    is_path = isinstance(path, str) and path.startswith("/") and len(path) <= MAX_PATH_CHARS and path.isprintable()
    return path if isinstance(path, str) and is_path else ""


def hold_command(command: Command, file: str, token: str) -> Command:
    """The command, begun only while the lease lives, and holding its file until it ends."""
    words = ("python3", "-I", "-S", "-c", HOLD, file, token, *command.argv)
    return Command(words, command.env, command.cwd)


def is_not_begun(outcome: Outcome, token: str) -> bool:
    """Whether the node says that it did not begin the command, for want of the lease."""
    return outcome.fate == Exit(NOT_BEGUN) and f"sparkdesk lock {token}: ".encode() in outcome.stderr


def _text(value: object) -> str:
    return make_line(value, max_chars=MAX_CHARS) if isinstance(value, str) else ""
