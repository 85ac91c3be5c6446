"""Where a study is kept: a journal file, or a PostgreSQL database that workers on many machines share."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

import optuna
from optuna.exceptions import StorageInternalError
from optuna.storages import BaseStorage, JournalStorage, RDBStorage, get_storage
from optuna.storages.journal import JournalFileBackend

from tobs.errors import TobsError, UsageError
from tobs.tuning.file_lock import JournalLock

if TYPE_CHECKING:
    from collections.abc import Iterator

SCHEMES = ("postgresql", "postgres", "postgresql+psycopg")
DRIVER = "postgresql+psycopg"
CONNECT_TIMEOUT = 10
"""Seconds."""
GUARD = 0x746F6273
"""Number of the database's lock under which tables are made."""


def is_url(where: str) -> bool:
    """Whether this names a database, not a file."""
    return "://" in where


def shown(where: str) -> str:
    """A storage as it may be shown and kept: without user's password and parameters."""
    if not is_url(where):
        return where
    parts = urlsplit(where)
    user, _, host = parts.netloc.rpartition("@")
    name = user.partition(":")[0]
    return f"{parts.scheme}://{name + '@' if name else ''}{host}{parts.path}"


@contextmanager
def connected(where: str | Path, *, begin: bool = True) -> Iterator[BaseStorage]:
    """A storage, whose connections end with the block. One that does not exist is made if `begin` says so.

    What a database raises in the block becomes a `TobsError` without its password. Raises `UsageError` for what is
    neither a file nor PostgreSQL, and where nothing is that has to be there.
    """
    with reached(str(where)):
        if not (isinstance(where, str) and is_url(where)):
            yield journal_file(where, begin=begin)
            return
        database = _database(where, begin=begin)
        try:
            yield get_storage(database)
        finally:
            database.engine.dispose()


def journal_file(where: str | Path, *, begin: bool = True) -> BaseStorage:
    """The storage in a file that several processes may write to."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    file = Path(where).expanduser()
    if file.is_dir():
        raise UsageError(f"{file} is a folder", hint="--storage takes a journal file or postgresql://…")
    if not begin and not file.exists():
        raise UsageError(f"{file} does not exist", hint=_BEGIN)
    file.parent.mkdir(parents=True, exist_ok=True)
    return JournalStorage(JournalFileBackend(str(file), lock_obj=JournalLock(file)))


def _database(where: str, *, begin: bool) -> RDBStorage:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    scheme, _, rest = where.partition("://")
    if scheme not in SCHEMES:
        hint = "--storage takes a journal file or postgresql://USER@HOST/DATABASE."
        raise UsageError(f"a study cannot be kept in {scheme}://…", hint=hint)
    try:
        import psycopg  # noqa: PLC0415 - only who asks for PostgreSQL needs these
        from sqlalchemy.exc import SQLAlchemyError  # noqa: PLC0415
    except ImportError:
        hint = "Install it: pip install 'tobs[postgres]'."
        raise TobsError("PostgreSQL needs psycopg, which is not installed", hint=hint) from None
    try:
        with psycopg.connect(f"postgresql://{rest}", connect_timeout=CONNECT_TIMEOUT) as guard:
            guard.execute("SELECT pg_advisory_lock(%s)", [GUARD])  # until it is closed: tables are made once
            made = guard.execute("SELECT to_regclass('studies') IS NOT NULL").fetchone()
            if not begin and made != (True,):
                raise UsageError(f"{shown(where)} holds no study", hint=_BEGIN)
            options = {"pool_pre_ping": True, "connect_args": {"connect_timeout": CONNECT_TIMEOUT}}
            return RDBStorage(f"{DRIVER}://{rest}", engine_kwargs=options)
    except psycopg.Error as error:
        raise SQLAlchemyError(str(error)) from None
    except RuntimeError as error:  # Optuna's word for tables of another release
        raise TobsError(
            f"{shown(where)} cannot be used: {error}", hint="Take another database, or upgrade it."
        ) from None


_BEGIN = "Begin it: `tobs tune --scenario S --storage STORAGE`."


@contextmanager
def reached(where: str) -> Iterator[None]:
    """Turn what a database raises into a `TobsError` that does not tell its password."""
    if not is_url(where):
        yield
        return
    from sqlalchemy.exc import SQLAlchemyError  # noqa: PLC0415 - as psycopg

    try:
        yield
    except (SQLAlchemyError, StorageInternalError) as error:
        cause = getattr(error, "orig", None) or getattr(error.__cause__, "orig", None) or error
        text = " ".join(str(cause).split()) or type(cause).__name__
        for secret in _secrets(where):
            text = text.replace(secret, "***")
        hint = "See that it runs and holds the study; the same command goes on, and loses at most the running trial."
        raise TobsError(f"the storage {shown(where)} failed: {text}", hint=hint) from None


def _secrets(where: str) -> list[str]:
    """What must not be told, as it stands in the URL and as it is meant; the longest first."""
    parts = urlsplit(where) if is_url(where) else None
    if parts is None:
        return []
    password = parts.netloc.rpartition("@")[0].partition(":")[2]
    found = {password, unquote(password), parts.query, unquote(parts.query)}
    return sorted(filter(None, found), key=len, reverse=True)
