"""Keys: the same asked again with the same idempotency key is no second event, as long as a run is kept.

The run remembers of each key whose it was and a hash of what was asked; so a repeat is known by the
fold alone, in the decision that would make the event.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final, assert_never

import msgspec

from stenograph.engine.core.commands import Keyable, Migrate, Resume, Retry, Signal
from stenograph.engine.core.run import Run, key_id
from stenograph.engine.core.secrecy import all_secret_keys
from stenograph.engine.errors import KeyReused, PreconditionFailed, TooManyKeys
from stenograph.engine.values import canonical, pointer, request_hash

KEYS_MAX: Final = 10_000
"""So many keys a run remembers; asked with another one it refuses, for it forgets none."""


def is_repeat(run: Run, asked: Keyable) -> bool:
    """Tell whether this was asked before, with its key; raises KeyReused when that asked for else."""
    if asked.key is None or (known := run.keyed.get(key_id(asked.actor, asked.key))) is None:
        return False
    if known.request != request_of(run, asked):
        raise KeyReused(asked.key, run.id, known.seq)
    return True


def marks(run: Run, asked: Keyable) -> dict[str, Any]:
    """Return the fields by which an event says with which key it was asked for; raises TooManyKeys."""
    if asked.key is None:
        return {}
    if len(run.keyed) >= KEYS_MAX:
        raise TooManyKeys(run.id, KEYS_MAX)
    return {"key": asked.key, "request": request_of(run, asked)}


def request_of(run: Run, asked: Keyable) -> str:
    """Return a hash of what was asked, but for secrets, which could be guessed from it."""
    match asked:
        case Signal(name=name, shown=shown, payload=payload, scope=scope, saw=saw):
            is_secret = name in all_secret_keys(run)
            value = None if is_secret else msgspec.json.decode(shown or payload)
            return request_hash(["signal", name, value, scope, saw])
        case Resume(limits=limits, result=result, scope=scope):
            hidden = all_secret_keys(run)
            values = {
                str(key): None if key in hidden else canonical(value, pointer(str(key)))[1]
                for key, value in (result or {}).items()
            }
            return request_hash(["resume", limits, None if result is None else values, scope])
        case Retry(limits=limits):
            return request_hash(["retry", limits])
        case Migrate(named=named):
            return request_hash(["migrate", named])
        case _:
            assert_never(asked)


def check_seq(run_id: str, seq: int, if_seqs: Collection[int] | None) -> None:
    """Raise PreconditionFailed unless the last event of a run is one of those that it must be."""
    if if_seqs is not None and seq not in if_seqs:
        raise PreconditionFailed(run_id, asked=if_seqs, head=seq)
