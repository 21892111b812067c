"""Secrecy: where a run's secrets go in and come out; without secrets it is not there at all."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final

import msgspec
from msgspec.structs import replace

from stenograph.engine.core.commands import (
    Cancel,
    Command,
    Keyable,
    Migrate,
    Pause,
    Resume,
    Retry,
    Signal,
    Start,
)
from stenograph.engine.core.edges import compile_graph
from stenograph.engine.core.events import ErrorInfo
from stenograph.engine.core.run import Run, key_id
from stenograph.engine.core.scopes import ROOT
from stenograph.engine.errors import (
    KeyReused,
    SchemaViolated,
    SignalRefused,
    StateRefused,
    WriteRefused,
)
from stenograph.engine.graphs.schemas import Effort
from stenograph.engine.state.patch import PatchOp, target
from stenograph.engine.state.rules import Rules
from stenograph.engine.state.state import State
from stenograph.engine.state.vault import Sealed, Vault
from stenograph.engine.tools.context import MESSAGE_MAX_BYTES, LogLine
from stenograph.engine.tools.draft import ABSENT, Draft
from stenograph.engine.tools.failure import MESSAGE_MAX_CHARS, TRACEBACK_MAX_CHARS
from stenograph.engine.values import canonical, encode, pointer

_NEAR: Final = 8
"""A message so near to its limit, in bytes, may have been cut, and a secret with it."""


class Secrecy:
    """Keeps a run's secrets out of all that is written down; ``vault`` is None when it has none."""

    def __init__(self, vault: Vault | None) -> None:
        self._vault = vault

    def __bool__(self) -> bool:
        return self._vault is not None

    def draft(self, state: State, keys: Collection[str]) -> Draft:
        """Return what a tool is given: the state with its secrets in it. Raises LookupError."""
        draft = state.draft()
        if self._vault is not None and keys:
            vault = self._vault.with_keys(keys)
            if missing := vault.missing(state):
                raise LookupError(f"the secrets {', '.join(missing)} are no longer kept")
            for key, value in vault.open(state).items():
                dict.__setitem__(draft, key, value)
        return draft

    def seal(
        self, state: State, draft: Draft, returned: dict[str, Any], rules: Rules
    ) -> dict[str, bytes]:
        """Take the secrets out of what a tool did; returns them, to be kept apart.

        Raises NotJson, StateTooLarge or SchemaViolated.
        """
        keys = rules.secrets
        if self._vault is None or not keys:
            return {}
        changed = {
            key: returned.pop(key) if key in returned else dict.get(draft, key, ABSENT)
            for key in keys
            if key in state or key in draft or key in returned
        }
        effort = Effort()
        for key, value in changed.items():
            if value is not ABSENT and (fault := rules.fault(key, value, effort)):
                raise SchemaViolated(key, fault.pointer, fault.detail)
        sealed = self._vault.with_keys(keys).seal(state, changed)
        for key, value in sealed.values.items():
            if value is ABSENT:
                dict.pop(draft, key, None)
            else:
                dict.__setitem__(draft, key, value)
        return sealed.secrets

    def seal_signal(self, signal: Signal, all_rules: Collection[Rules]) -> Signal:
        """Take the secret out of a signal that brings one.

        Raises SecretRefused, SecretLeaked, or SignalRefused when it fits no graph's schema.
        """
        if self._vault is None or signal.shown is not None:
            return signal
        self._vault.check(encode(signal.scope), "the scope of the signal")
        mine = [rules for rules in all_rules if signal.name in rules.secrets]
        if not mine:
            self._vault.check(signal.payload, f"the payload of signal {signal.name!r}")
            return signal
        value = {signal.name: msgspec.json.decode(signal.payload)}
        effort = Effort()
        faults = [rules.fault(signal.name, value[signal.name], effort) for rules in mine]
        if all(faults):
            raise SignalRefused(signal.name, [fault for fault in faults[:1] if fault])
        sealed = self._vault.with_keys({signal.name}).seal_given(value)
        payload = encode(sealed.values[signal.name])
        actor = self._vault.mask(signal.actor)
        return replace(
            signal, payload=payload, shown=signal.payload, secrets=sealed.secrets, actor=actor
        )

    def seal_command(self, command: Command, run: Run) -> Command:
        """Return a command without the secrets of its run that somebody may have put into it.

        One that was asked before stays as it is: nothing of it is written. Raises KeyReused too.
        """
        if isinstance(command, Keyable) and self._is_repeat(command, run):
            return command
        match command:
            case Signal():
                return self.seal_signal(command, all_rules(run))
            case Resume() if not command.secrets:
                scope = run.scopes.get(run.parked_at[0], run.scopes[ROOT])
                return self.seal_resume(command, compile_graph(scope.graph).rules)
            case Pause(reason=reason, actor=actor) | Cancel(reason=reason, actor=actor):
                return replace(command, reason=self.mask(reason), actor=self.mask(actor))
            case Retry(actor=actor) | Migrate(actor=actor):
                return replace(command, actor=self.mask(actor))
            case _:
                return command

    def _is_repeat(self, command: Keyable, run: Run) -> bool:
        """Tell whether a key was used before; a secret must be the same, as long as that is kept.

        The hash of what was asked leaves it out, which could be guessed from it.
        """
        if self._vault is None or command.key is None:
            return False
        known = run.keyed.get(key_id(command.actor, command.key))
        if known is None:
            self._vault.check(encode(command.key), "the idempotency key")
            return False
        if isinstance(command, Signal) and known.secret in self._vault.values:
            given = msgspec.json.decode(command.shown or command.payload)
            if command.name in all_secret_keys(run) and given != self._vault.values[known.secret]:
                raise KeyReused(command.key, run.id, known.seq)
        return True

    def check(self, patch: Collection[PatchOp]) -> None:
        """Raise SecretLeaked when a secret stands in a change that is about to be written."""
        if self._vault is not None:
            for op in patch:
                self._vault.check(encode(op), f"the key {target(op)[0]!r}")

    def check_goto(self, goto: str | None) -> None:
        """Raise SecretLeaked when a secret stands in where a tool wants to go."""
        if self._vault is not None and goto is not None:
            self._vault.check(encode(goto), "the name of the node to go to")

    def seal_resume(self, resume: Resume, rules: Rules) -> Resume:
        """Take the secrets out of what a person says a node returned.

        Raises SecretRefused, SecretLeaked, SchemaViolated or NotJson.
        """
        if self._vault is None or not resume.result:
            return resume
        effort = Effort()
        for key in sorted(rules.secrets & resume.result.keys()):
            if fault := rules.fault(key, resume.result[key], effort):
                raise SchemaViolated(key, fault.pointer, fault.detail)
        sealed = self._vault.with_keys(rules.secrets).seal_given(resume.result)
        for key, value in sealed.values.items():
            if key not in rules.secrets:
                self._vault.check(canonical(value, pointer(key))[0], f"the key {key!r}")
        actor = self._vault.mask(resume.actor)
        return replace(resume, result=sealed.values, secrets=sealed.secrets, actor=actor)

    def mask(self, text: str) -> str:
        """Return text without secrets."""
        return text if self._vault is None else self._vault.mask(text)

    def mask_line(self, line: LogLine) -> LogLine:
        """Return a log line without secrets; where it was cut, without its end as well."""
        if self._vault is None:
            return line
        message, fields = self._vault.mask(line.message), line.fields
        if len(line.message.encode()) >= MESSAGE_MAX_BYTES - _NEAR:
            message = message[: max(0, len(message) - self._longest())]
        if fields:
            fields = self._vault.mask_json(fields)
        return replace(line, message=message, fields=fields)

    def mask_error(self, error: ErrorInfo) -> ErrorInfo:
        """Return an error without secrets; where its text was cut, without what stood there."""
        if self._vault is None:
            return error
        message, trace = self._vault.mask(error.message), self._vault.mask(error.traceback)
        if len(error.message) >= MESSAGE_MAX_CHARS:
            message = message[: max(0, len(message) - self._longest())]
        if len(error.traceback) >= TRACEBACK_MAX_CHARS:
            trace = trace[self._longest() :]
        return replace(error, type=self._vault.mask(error.type), message=message, traceback=trace)

    def told(self, error: WriteRefused) -> str:
        """Return what is wrong with a write; what is quoted short may be the beginning of a secret."""
        if self and isinstance(error, SchemaViolated):
            return f"{error.pointer} does not fit the schema of its key"
        return str(error)

    def _longest(self) -> int:
        return 0 if self._vault is None else self._vault.longest


def secret_keys(graph: bytes) -> frozenset[str]:
    """Return the keys that a graph declares secret."""
    return compile_graph(graph).rules.secrets


def all_rules(run: Run) -> list[Rules]:
    """Return what a run's graph, and those that it calls, declare of their keys."""
    graphs = [run.graph, *(bytes(pinned.graph) for pinned in run.graphs.values())]
    return [compile_graph(graph).rules for graph in graphs if graph]


def all_secret_keys(run: Run) -> frozenset[str]:
    """Return the keys that a run's graph, or one that it calls, declares secret."""
    return frozenset().union(*(rules.secrets for rules in all_rules(run)))


def secrets_in(start: Start) -> bool:
    """Tell whether a run that is to begin may ever hold secrets."""
    graphs = [start.graph, *(bytes(pinned.graph) for pinned in start.graphs.values())]
    return any(secret_keys(graph) for graph in graphs)


def seal_start(
    values: Mapping[str, Any], rules: Rules, said: Mapping[str, str]
) -> tuple[Sealed, Vault]:
    """Take the secrets out of a first state; ``said`` is all that is written down beside it.

    Raises SecretRefused, SecretLeaked, NotJson, or StateRefused for one that does not fit.
    """
    keys, beside = rules.secrets, encode(dict(said))  # which is to be UTF-8 in any case
    if not keys:
        return Sealed(dict(values), {}), Vault(keys)
    effort = Effort()
    faults = [rules.fault(key, values[key], effort) for key in sorted(keys & values.keys())]
    if found := [fault for fault in faults if fault]:
        raise StateRefused(found)
    vault = Vault(keys)
    sealed = vault.seal_given(values)
    for key, value in sealed.values.items():
        if key not in keys:
            vault.check(canonical({key: value}, "")[0], f"the key {vault.mask(key)!r}")
    vault.check(beside, "the tags, the actor or the idempotency key")
    return sealed, vault
