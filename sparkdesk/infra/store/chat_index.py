"""The full-text index over chats: an FTS5 table beside the messages, which stay the only truth.

The one rule: the index is never in the way. A message is kept whether or not it can be indexed; what is not indexed yet
waits in `to_index`; an index that is damaged is made anew; a SQLite without FTS5 reads the messages themselves.
Source: sqlite.org/fts5.html (trigram tokenizer, bm25, rank).
"""

from __future__ import annotations

import logging
import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator

from sparkdesk.core.chat.search.likeness import grams, like_words, swaps
from sparkdesk.core.chat.search.place import Place, lower, place_of
from sparkdesk.core.chat.search.query import GRAM_CHARS, SearchQuery, parse_query
from sparkdesk.core.chat.search.said import Said, said_in, said_of
from sparkdesk.core.chat.store.chat_store import FoundMessage

log = logging.getLogger(__name__)

HEAD = -1
"""The position under which a chat's title, tags and folder stand."""
BATCH_ROWS = 50
BATCH_BYTES = 128 << 10
"""Of messages that are indexed in one go, so that nobody waits long behind it."""
MAX_FOUND = 2000
"""Rows that are ranked for one question."""
MAX_PER_CHAT = 3
FEW = 5
"""Fewer exact finds than this: words that are merely alike are looked for too."""
MAX_GRAMS = 24
MAX_LIKE = 120
"""Rows that are read to see whether their words are alike."""
MAX_LIKE_CHARS = 20_000
MAX_READ = 20_000
"""Messages that are read where there is no index."""
NO_INDEX = "Searching chats reads every message and finds whole words only, since this SQLite has no index of text."

_SLOTS = 1 << 24
"""Positions that one chat has in the index's row numbers."""
_RANK = "bm25(10.0, 4.0, 1.0)"
"""A title weighs ten times, a file's name four times what is said."""


class ChatIndex:
    """The index of one database. Every method runs on the database's thread, those that change within its change."""

    def __init__(self, module: str = "fts5") -> None:
        """`module` is what indexes text; SQLite may be built without it."""
        self._module = module
        self.is_there = False
        self.notice = ""

    def prepare(self, db: sqlite3.Connection, *, is_read_only: bool) -> None:
        """Make the index if there is none; say so in `notice` when there can be none."""
        try:
            if not is_read_only:
                self._create(db)
            db.execute("SELECT rowid FROM chat_words WHERE chat_words MATCH '\"abc\"' LIMIT 1").fetchall()
            self.is_there = True
        except sqlite3.OperationalError as error:
            log.warning("no index of text: %s", error)
            self.notice = NO_INDEX

    def _create(self, db: sqlite3.Connection) -> None:
        columns = "title, names, said, tokenize='trigram'"
        db.execute(f"CREATE VIRTUAL TABLE IF NOT EXISTS chat_words USING {self._module}({columns})")

    # Keeping --------------------------------------------------------------------------------------------------

    def wait(self, db: sqlite3.Connection, number: int, position: int) -> None:
        """Have a message, or the head, of the chat with this number wait for the index."""
        db.execute("INSERT OR IGNORE INTO to_index VALUES (?, ?)", (number, position))

    def put(self, db: sqlite3.Connection, number: int, position: int, said: Said) -> None:
        """Index a message or a head; it waits no more."""
        db.execute("DELETE FROM to_index WHERE session_number = ? AND position = ?", (number, position))
        row = _row(number, position)
        if not 0 <= position + 1 < _SLOTS:
            return
        if said.is_empty:
            db.execute("DELETE FROM chat_words WHERE rowid = ?", (row,))
            return
        db.execute(
            "INSERT OR REPLACE INTO chat_words (rowid, title, names, said) VALUES (?, ?, ?, ?)",
            (row, said.title, said.names, said.text),
        )

    def forget(self, db: sqlite3.Connection, number: int, from_position: int = HEAD) -> None:
        """Forget a chat's rows from this position on."""
        if 0 <= from_position + 1 < _SLOTS:
            low, high = _row(number, from_position), _row(number, HEAD) + _SLOTS - 1
            db.execute("DELETE FROM chat_words WHERE rowid BETWEEN ? AND ?", (low, high))

    def index_some(self, db: sqlite3.Connection) -> int:
        """Index a batch of what waits; how much waits still."""
        rows = db.execute(
            "SELECT session_number, position, title, meta, message FROM to_index "
            "JOIN sessions ON number = session_number LEFT JOIN messages USING (session_number, position) LIMIT ?",
            (BATCH_ROWS,),
        )
        done_bytes = 0
        for number, position, title, meta, message in rows.fetchall():
            said = said_of(str(title), _bytes(meta)) if position == HEAD else said_in(_bytes(message or b""))
            self.put(db, number, position, said)
            done_bytes += len(message or b"")
            if done_bytes > BATCH_BYTES:
                break
        return int(db.execute("SELECT count(*) FROM to_index").fetchone()[0])

    def rebuild(self, db: sqlite3.Connection) -> None:
        """Throw the index away; everything waits to be indexed again."""
        db.execute("DROP TABLE IF EXISTS chat_words")
        self._create(db)
        db.execute(f"INSERT OR IGNORE INTO to_index SELECT number, {HEAD} FROM sessions")
        db.execute("INSERT OR IGNORE INTO to_index SELECT session_number, position FROM messages")

    # Finding --------------------------------------------------------------------------------------------------

    def find(self, db: sqlite3.Connection, words: str, limit: int) -> tuple[FoundMessage, ...]:
        """The places that have these words, the nearest first: the phrase, then all words, then words like them."""
        query = parse_query(words)
        if not query.words:
            return ()
        if not self.is_there:
            return self.read_through(db, words, limit)
        found: dict[int, FoundMessage] = {}
        for match in dict.fromkeys((_quoted(query.phrase), " AND ".join(map(_quoted, query.words)))):
            if len(found) < limit:
                self._add(db, found, query, match, limit)
        if len(found) < min(FEW, limit):
            found.update(self._find_like(db, query, found, limit))
        return tuple(found.values())

    def read_through(self, db: sqlite3.Connection, words: str, limit: int) -> tuple[FoundMessage, ...]:
        """As `find`, without the index: whole words only, and only of the newest messages when there are many."""
        return tuple(_limited(_read_through(db, parse_query(words)), limit))

    def _add(
        self, db: sqlite3.Connection, found: dict[int, FoundMessage], query: SearchQuery, match: str, limit: int
    ) -> None:
        needles = _needles(query)
        rows = _spread(self._rows(db, query, match), limit, found)
        for row, session_id, texts in self._texts(db, rows):
            found[row] = _found(session_id, _position(row), _best_place(texts, needles))

    def _rows(self, db: sqlite3.Connection, query: SearchQuery, match: str) -> list[int]:
        short = [word for word in query.words if len(word) < GRAM_CHARS]
        long = match if len(query.phrase) >= GRAM_CHARS else ""
        if " AND " in match or (short and len(query.words) == 1):
            long = " AND ".join(_quoted(word) for word in query.words if len(word) >= GRAM_CHARS)
        else:
            short = []
        has = "(title LIKE ? ESCAPE '!' OR names LIKE ? ESCAPE '!' OR said LIKE ? ESCAPE '!')"
        asked = [has] * len(short)
        values: list[object] = [_pattern(word) for word in short for _ in range(3)]
        order = "rowid DESC"
        if long:
            asked = ["chat_words MATCH ?", "rank MATCH ?", *asked]
            values = [long, _RANK, *values]
            order = "rank"
        sql = f"SELECT rowid FROM chat_words WHERE {' AND '.join(asked)} ORDER BY {order} LIMIT {MAX_FOUND}"
        return [int(row[0]) for row in db.execute(sql, values)]

    def _find_like(
        self, db: sqlite3.Connection, query: SearchQuery, known: dict[int, FoundMessage], limit: int
    ) -> dict[int, FoundMessage]:
        asked = [piece for word in query.words for piece in (*swaps(word.lower()), *grams(word.lower()))]
        pieces = [piece for piece in dict.fromkeys(asked) if len(piece) >= GRAM_CHARS][: 2 * MAX_GRAMS]
        if not pieces:
            return {}
        sql = "SELECT rowid FROM chat_words WHERE chat_words MATCH ? AND rank MATCH ? ORDER BY rank LIMIT ?"
        match = " OR ".join(map(_quoted, pieces))
        rows = [int(row[0]) for row in db.execute(sql, (match, _RANK, MAX_LIKE)) if row[0] not in known]
        alike: dict[int, FoundMessage] = {}
        for row, session_id, texts in self._texts(db, rows):
            needles = _like_needles(query, texts)
            if needles:
                place = _best_place(texts, needles)
                alike[row] = FoundMessage(session_id, _position(row), place.text, place.marks, is_like=True)
        return {row: alike[row] for row in _spread(alike, limit, known)}

    def _texts(self, db: sqlite3.Connection, rows: Iterable[int]) -> Iterator[tuple[int, str, tuple[str, ...]]]:
        sql = (
            "SELECT id, title, names, said FROM (SELECT rowid AS row, title, names, said FROM chat_words "
            "WHERE rowid = ?) JOIN (SELECT number, id FROM sessions) ON number = row / ?"
        )
        for row in rows:
            for session_id, *texts in db.execute(sql, (row, _SLOTS)):
                yield row, str(session_id), tuple(str(text) for text in texts)


def is_damaged_index(error: BaseException | None) -> bool:
    """Whether the index may be unsound: it says so itself, or cannot be written when a change is to be kept.

    Source: sqlite.org/rescode.html (SQLITE_CORRUPT_VTAB is a SQLITE_CORRUPT).
    """
    code = getattr(error, "sqlite_errorcode", 0)
    return code & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_CONSTRAINT)


def _row(number: int, position: int) -> int:
    return number * _SLOTS + position + 1


def _position(row: int) -> int:
    return row % _SLOTS - 1


def _bytes(value: object) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "replace")


def _quoted(words: str) -> str:
    """A phrase in the index's own language, in which nothing has a meaning but the quotes around it."""
    return '"' + words.replace('"', '""') + '"'


def _pattern(word: str) -> str:
    return "%" + "".join(f"!{char}" if char in "!%_" else char for char in word) + "%"


def _needles(query: SearchQuery) -> tuple[str, ...]:
    return tuple(dict.fromkeys(lower(word) for word in (query.phrase, *query.words)))


def _like_needles(query: SearchQuery, texts: tuple[str, ...]) -> tuple[str, ...]:
    """The words of the texts that are like those asked for; none unless each word has one."""
    text = lower("\n".join(texts)[:MAX_LIKE_CHARS])
    needles: list[str] = []
    for word in query.words:
        alike = like_words(text, lower(word)) or ((lower(word),) if lower(word) in text else ())
        if not alike:
            return ()
        needles.extend(alike)
    return tuple(needles)


def _best_place(texts: tuple[str, ...], needles: tuple[str, ...]) -> Place:
    """The place in that text which has the first of the needles."""
    for needle in needles:
        for text in texts:
            if needle in lower(text):
                return place_of(text, (needle, *needles))
    return place_of(next((text for text in texts if text), ""), needles)


def _found(session_id: str, position: int, place: Place) -> FoundMessage:
    return FoundMessage(session_id, position, place.text, place.marks)


def _spread(rows: Iterable[int], limit: int, known: Iterable[int]) -> list[int]:
    """The first rows beside those known, up to `limit` in all, so that no chat takes the place of the others."""
    seen = set(known)
    taken = Counter(row // _SLOTS for row in seen)
    kept: list[int] = []
    for row in rows:
        number = row // _SLOTS
        if row not in seen and taken[number] < MAX_PER_CHAT and len(seen) + len(kept) < limit:
            taken[number] += 1
            kept.append(row)
    return kept


def _limited(places: Iterator[FoundMessage], limit: int) -> Iterator[FoundMessage]:
    taken: Counter[str] = Counter()
    for place in places:
        taken[place.session_id] += 1
        if taken[place.session_id] <= MAX_PER_CHAT:
            yield place
            limit -= 1
        if limit <= 0:
            return


def _read_through(db: sqlite3.Connection, query: SearchQuery) -> Iterator[FoundMessage]:
    """Without an index: titles first, then the messages of the newest chats, as many as may be read."""
    words, needles = tuple(map(lower, query.words)), _needles(query)

    def has_all(texts: Iterable[str]) -> bool:
        text = lower("\n".join(texts))
        return all(word in text for word in words)

    for session_id, title, meta in db.execute("SELECT id, title, meta FROM sessions ORDER BY number DESC"):
        head = (said_of(str(title), _bytes(meta)).title,)
        if has_all(head):
            yield _found(str(session_id), HEAD, _best_place(head, needles))
    sql = (
        "SELECT id, position, message FROM messages JOIN sessions ON number = session_number "
        "ORDER BY session_number DESC, position DESC LIMIT ?"
    )
    for session_id, position, message in db.execute(sql, (MAX_READ,)):
        said = said_in(_bytes(message))
        texts = (said.names, said.text)
        if has_all(texts):
            yield _found(str(session_id), int(position), _best_place(texts, needles))
