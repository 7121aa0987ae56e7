"""Flags for every number and switch of a method's settings, made of the settings themselves."""

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field, fields, is_dataclass, make_dataclass, replace
from typing import Any, Literal, TypeVar, get_args, get_type_hints

Settings = TypeVar("Settings")
OnOff = Literal["on", "off"]  # a flag of two states that may also be left to the scale


@dataclass(frozen=True)
class Flag:
    """One of them.

    Attributes:
        name: of the field of the options.
        kind: of its values.
        told: what the settings say of it.
    """

    name: str
    kind: Any
    told: str


def with_flags(options: type, settings: type, leave_out: Collection[str] = ()) -> type:
    """Options with a field, None if not given, for each value of a settings dataclass and of those in it.

    A value of an inner dataclass is named after that and itself: ``render_camera``. What the options have
    already is left to them.

    Args:
        options: a frozen dataclass.
        settings: of the method.
        leave_out: names of flags that something else decides.
    """
    known = {one.name for one in fields(options)} | set(leave_out)
    flags = [flag for flag in _flags(settings) if flag.name not in known]
    made = make_dataclass(
        options.__name__,
        [(flag.name, flag.kind | None, field(default=None)) for flag in flags],
        bases=(options,),
        frozen=True,
        kw_only=True,
    )
    lines = [f"    {flag.name}: {flag.told[:1].upper()}{flag.told[1:]}" for flag in flags]
    made.__doc__ = "\n".join([(options.__doc__ or "").strip(), "", "Args:", *lines])
    made.flag_names = frozenset(flag.name for flag in flags)  # pyright: ignore[reportAttributeAccessIssue]
    return made


def changed(settings: Settings, options: object, inside: str = "") -> Settings:
    """Settings with what was given by flags; the same object if nothing was.

    Args:
        settings: of the scale.
        options: of a type that ``with_flags`` made, or of its base.
        inside: name of the field that holds these settings; "" for the outermost.
    """
    known, changes = getattr(options, "flag_names", frozenset()), dict[str, Any]()
    hints = get_type_hints(type(settings))
    for one in fields(settings):  # pyright: ignore[reportArgumentType]
        inner, value = _dataclass_in(hints[one.name]), getattr(settings, one.name)
        if inner is not None:
            start = inner() if value is None else value
            new = changed(start, options, one.name)
            if new is not start:
                changes[one.name] = new
        elif (name := _name(inside, one.name)) in known and getattr(options, name) is not None:
            given = getattr(options, name)
            changes[one.name] = given == "on" if hints[one.name] is bool else given
    return replace(settings, **changes) if changes else settings  # pyright: ignore[reportArgumentType]


def _flags(settings: type, inside: str = "") -> Iterator[Flag]:
    hints, told = get_type_hints(settings), _attributes(settings.__doc__ or "")
    for one in fields(settings):
        inner = _dataclass_in(hints[one.name])
        if inner is not None:
            yield from _flags(inner, one.name)
        else:
            kind = OnOff if hints[one.name] is bool else hints[one.name]
            yield Flag(_name(inside, one.name), kind, told.get(one.name, ""))


def _name(inside: str, name: str) -> str:
    return f"{inside}_{name}" if inside else name


def _dataclass_in(hint: Any) -> type | None:
    """The dataclass that a field holds, or may hold."""
    return next((kind for kind in (hint, *get_args(hint)) if is_dataclass(kind)), None)  # pyright: ignore[reportReturnType]


def _attributes(doc: str) -> dict[str, str]:
    """Texts of the section Attributes by name, each in one line."""
    _, _, section = doc.partition("Attributes:")
    found = re.findall(r"^        (\w+): (.*(?:\n            .*)*)", section, re.MULTILINE)
    return {name: " ".join(text.split()) for name, text in found}
