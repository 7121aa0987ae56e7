"""Read numbers out of a pickle without running it.

A pickle is a small program. This reader walks its instructions with a stack of its own and only ever builds
numbers, texts, lists, dictionaries and arrays; a class or function that the file names is never looked up. Of
the names a file may call, those that rebuild NumPy arrays, SciPy sparse matrices and chumpy's ``Ch`` are
known here by name, with what they would have built; any other name ends the reading.
"""

import codecs
import io
import pickletools
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy import ndarray

from facewright.core.errors import AssetError
from facewright.models.importers.raw import check_file

MAX_INSTRUCTIONS = 2_000_000
MAX_AXES = 8
# Bytes that the walk may make beside those of the file, for each byte of it: arrays come out of texts, which
# Python 2 wrote with up to four characters for a byte, and are copied once or twice on the way.
BYTES_PER_BYTE, LEAST_BYTES = 8, 1 << 20
RECONSTRUCTORS = {
    "numpy.core.multiarray._reconstruct",
    "numpy._core.multiarray._reconstruct",
    "copy_reg._reconstructor",
    "copyreg._reconstructor",
}
SCALARS = {"numpy.core.multiarray.scalar", "numpy._core.multiarray.scalar"}
BUFFERS = {"numpy.core.numeric._frombuffer", "numpy._core.numeric._frombuffer"}
SETS = {"__builtin__.set", "builtins.set", "__builtin__.frozenset", "builtins.frozenset"}
CLASSES = {"numpy.ndarray", "chumpy.ch.Ch", "__builtin__.object", "builtins.object"}
CLASSES |= {f"scipy.sparse.{kind}.{kind}_matrix" for kind in ("csc", "csr", "coo")}
CLASSES |= {f"scipy.sparse._{kind}.{kind}_matrix" for kind in ("csc", "csr", "coo")}
KNOWN = RECONSTRUCTORS | SCALARS | BUFFERS | SETS | CLASSES | {"numpy.dtype", "_codecs.encode"}
MARK = object()
OPERATIONS = {operation.code: operation for operation in pickletools.opcodes}


@dataclass(frozen=True)
class Named:
    """A class or function that the file names; nothing but its name."""

    name: str


@dataclass
class Inert:
    """What would have been an instance of a class: the class's name and the state beside it."""

    kind: str
    state: Any = None


@dataclass
class _Type:
    code: str
    order: str = "|"


@dataclass
class _Machine:
    """The stack and memo of the walk."""

    budget: int
    stack: list[Any] = field(default_factory=list)
    memo: dict[int, Any] = field(default_factory=dict)

    def spend(self, count: int) -> None:
        """Count bytes that are about to be made out of others."""
        self.budget -= count
        if self.budget < 0:
            raise ValueError("it makes far more bytes than it has")

    def above_mark(self) -> list[Any]:
        for place in range(len(self.stack) - 1, -1, -1):
            if self.stack[place] is MARK:
                items = self.stack[place + 1 :]
                del self.stack[place:]
                return items
        raise ValueError("a mark is missing")


def read_inert_pickle(path: Path) -> Any:
    """Read the numbers, texts and arrays of a pickle of protocol 0 to 5; nothing in it is executed.

    Returns:
        What the pickle holds, with arrays as NumPy arrays and instances of classes as ``Inert``.

    Raises:
        AssetError: the file is missing, too large, damaged, or names something that is not known here.
    """
    check_file(path)
    try:
        with path.open("rb") as stream:
            return _walk(stream, _Machine(LEAST_BYTES + BYTES_PER_BYTE * path.stat().st_size))
    except (
        LookupError, ValueError, TypeError, AttributeError, ArithmeticError, MemoryError, OSError
    ) as error:  # fmt: skip
        raise AssetError(f"{path} cannot be read as a pickle of arrays ({error}).") from error


def as_array(value: Any) -> ndarray:
    """The numbers of an array, or those inside of a chumpy object.

    Raises:
        TypeError: the value holds no numbers.
    """
    if isinstance(value, Inert) and value.kind == "chumpy.ch.Ch" and isinstance(value.state, dict):
        value = value.state.get("x")
    if not isinstance(value, ndarray) or value.dtype.kind not in "fiub":
        raise TypeError(f"expected an array of numbers, got {getattr(value, 'kind', type(value).__name__)}")
    return value


def _walk(stream: io.BufferedReader, machine: _Machine) -> Any:
    for _ in range(MAX_INSTRUCTIONS):
        code = stream.read(1)
        if not code:
            raise ValueError("it ends early")
        operation = OPERATIONS.get(code.decode("latin-1"))
        if operation is None:
            raise ValueError(f"{code!r} is no instruction")
        if operation.name == "STOP":
            return machine.stack.pop()
        argument = _argument(operation, stream)
        step = STEPS.get(operation.name)
        if step is None:
            raise ValueError(f"the instruction {operation.name} is not allowed")
        step(machine, argument)
    raise ValueError(f"it has more than {MAX_INSTRUCTIONS} instructions")


def _argument(operation: pickletools.OpcodeInfo, stream: io.BufferedReader) -> Any:
    if operation.name == "STRING":  # of Python 2: the standard reader takes ASCII only
        text = stream.readline().strip()
        if len(text) < 2 or text[:1] != text[-1:] or text[:1] not in b"'\"":
            raise ValueError("a text has no quotes")
        decoded = codecs.escape_decode(text[1:-1])[0]  # pyright: ignore[reportAttributeAccessIssue]
        return decoded.decode("latin-1")
    return operation.arg.reader(stream) if operation.arg else None  # pyright: ignore[reportArgumentType]


def _named(name: str) -> Named:
    if name not in KNOWN:
        raise ValueError(f"it asks for {name}, which no face model needs: nothing of it was run")
    return Named(name)


def _bytes(machine: _Machine, value: Any) -> bytes:
    if not isinstance(value, str | bytes | bytearray):  # bytes(9) would be nine zeros
        raise ValueError(f"an array whose bytes are a {type(value).__name__}")
    machine.spend(len(value))
    return value.encode("latin-1") if isinstance(value, str) else bytes(value)


def _call(machine: _Machine, function: Any, arguments: Any) -> Any:
    name = function.name if isinstance(function, Named) else None
    if name in RECONSTRUCTORS:
        return Inert(arguments[0].name)
    if name == "numpy.dtype":
        return _Type(str(arguments[0]))
    if name in SCALARS:
        return np.frombuffer(_bytes(machine, arguments[1]), dtype=_numeric(arguments[0]), count=1)[0]
    if name in BUFFERS:
        return _array(machine, *arguments)
    if name in SETS:
        machine.spend(8 * len(arguments[0]) if arguments else 0)
        return list(arguments[0]) if arguments else []
    if name == "_codecs.encode":
        return _bytes(machine, arguments[0])
    raise ValueError(f"a call of {name or type(function).__name__} is not allowed")


def _instance(kind: Any, arguments: Any) -> Inert:
    if not isinstance(kind, Named) or kind.name not in CLASSES or arguments:
        raise ValueError(f"an instance of {getattr(kind, 'name', kind)!r} is not allowed")
    return Inert(kind.name)


def _build(machine: _Machine, _: Any) -> None:
    state = machine.stack.pop()
    target = machine.stack[-1]
    if isinstance(target, _Type):
        target.order = str(state[1])
    elif isinstance(target, Inert) and target.kind == "numpy.ndarray":
        _, shape, kind, fortran, data = state
        target.state = _array(machine, data, kind, shape, "F" if fortran else "C")
        machine.stack[-1] = target.state  # the memo keeps the shell: see _recall
    elif isinstance(target, Inert):
        target.state = state
    else:
        raise ValueError(f"state for a {type(target).__name__} is not allowed")


def _numeric(kind: Any) -> np.dtype:
    if not isinstance(kind, _Type) or kind.code[:1] not in "fiub" or kind.order not in "<>|=":
        raise ValueError("an array that does not hold numbers")
    return np.dtype(kind.code).newbyteorder(kind.order)  # pyright: ignore[reportArgumentType]


def _array(machine: _Machine, data: Any, kind: Any, shape: Any, order: str) -> ndarray:
    sizes = tuple(int(size) for size in shape)
    numbers = np.frombuffer(_bytes(machine, data), dtype=_numeric(kind))
    if (
        len(sizes) > MAX_AXES
        or min(sizes, default=1) < 0
        or int(np.prod(sizes, dtype=object)) != len(numbers)
    ):
        raise ValueError(f"an array of shape {sizes} holds {len(numbers)} numbers")
    return numbers.reshape(sizes, order="F" if order == "F" else "C")


def _push(machine: _Machine, value: Any) -> None:
    machine.stack.append(value)


def _global(machine: _Machine, argument: str) -> None:
    machine.stack.append(_named(argument.replace(" ", ".", 1)))


def _stack_global(machine: _Machine, _: Any) -> None:
    name, module = machine.stack.pop(), machine.stack.pop()
    machine.stack.append(_named(f"{module}.{name}"))


def _reduce(machine: _Machine, _: Any) -> None:
    arguments, function = machine.stack.pop(), machine.stack.pop()
    machine.stack.append(_call(machine, function, arguments))


def _new(machine: _Machine, _: Any) -> None:
    arguments, kind = machine.stack.pop(), machine.stack.pop()
    machine.stack.append(_instance(kind, arguments))


def _list_of_mark(machine: _Machine, _: Any) -> None:
    machine.stack.append(machine.above_mark())


def _tuple_of_mark(machine: _Machine, _: Any) -> None:
    machine.stack.append(tuple(machine.above_mark()))


def _dict_of_mark(machine: _Machine, _: Any) -> None:
    items = machine.above_mark()
    machine.stack.append(dict(zip(items[::2], items[1::2], strict=True)))


def _extend(machine: _Machine, _: Any) -> None:
    items = machine.above_mark()
    machine.stack[-1].extend(items)


def _append(machine: _Machine, _: Any) -> None:
    item = machine.stack.pop()
    machine.stack[-1].append(item)


def _set_items(machine: _Machine, _: Any) -> None:
    items = machine.above_mark()
    machine.stack[-1].update(zip(items[::2], items[1::2], strict=True))


def _set_item(machine: _Machine, _: Any) -> None:
    value, key = machine.stack.pop(), machine.stack.pop()
    machine.stack[-1][key] = value


def _recall(machine: _Machine, argument: Any) -> None:
    value = machine.memo[int(argument)]
    is_array = isinstance(value, Inert) and isinstance(value.state, ndarray)
    machine.stack.append(value.state if is_array else value)


def _remember(machine: _Machine, argument: Any) -> None:
    machine.memo[int(argument)] = machine.stack[-1]


def _memoize(machine: _Machine, _: Any) -> None:
    machine.memo[len(machine.memo)] = machine.stack[-1]


def _tuple_of(count: int) -> Callable[[_Machine, Any], None]:
    def step(machine: _Machine, _: Any) -> None:
        items = tuple(machine.stack[len(machine.stack) - count :]) if count else ()
        if len(items) != count:
            raise ValueError("a tuple is short")
        del machine.stack[len(machine.stack) - count :]
        machine.stack.append(items)

    return step


def _pop(machine: _Machine, _: Any) -> None:
    machine.stack.pop()


def _pop_mark(machine: _Machine, _: Any) -> None:
    machine.above_mark()


def _nothing(machine: _Machine, argument: Any) -> None:
    del machine, argument


VALUES = (
    "INT BININT BININT1 BININT2 LONG LONG1 LONG4 FLOAT BINFLOAT STRING BINSTRING SHORT_BINSTRING BINBYTES"
)
VALUES += " SHORT_BINBYTES BINBYTES8 BYTEARRAY8 UNICODE BINUNICODE SHORT_BINUNICODE BINUNICODE8"
STEPS: dict[str, Callable[[_Machine, Any], None]] = {
    **dict.fromkeys(VALUES.split(), _push),
    **dict.fromkeys(("PROTO", "FRAME"), _nothing),
    **dict.fromkeys(("GET", "BINGET", "LONG_BINGET"), _recall),
    **dict.fromkeys(("PUT", "BINPUT", "LONG_BINPUT"), _remember),
    "MEMOIZE": _memoize,
    "NONE": lambda machine, _: machine.stack.append(None),
    "NEWTRUE": lambda machine, _: machine.stack.append(True),
    "NEWFALSE": lambda machine, _: machine.stack.append(False),
    "MARK": lambda machine, _: machine.stack.append(MARK),
    "POP": _pop,
    "POP_MARK": _pop_mark,
    "EMPTY_LIST": lambda machine, _: machine.stack.append([]),
    "EMPTY_SET": lambda machine, _: machine.stack.append([]),
    "EMPTY_DICT": lambda machine, _: machine.stack.append({}),
    "EMPTY_TUPLE": _tuple_of(0),
    "TUPLE1": _tuple_of(1),
    "TUPLE2": _tuple_of(2),
    "TUPLE3": _tuple_of(3),
    "LIST": _list_of_mark,
    "FROZENSET": _list_of_mark,
    "TUPLE": _tuple_of_mark,
    "DICT": _dict_of_mark,
    "APPEND": _append,
    "APPENDS": _extend,
    "ADDITEMS": _extend,
    "SETITEM": _set_item,
    "SETITEMS": _set_items,
    "GLOBAL": _global,
    "STACK_GLOBAL": _stack_global,
    "REDUCE": _reduce,
    "NEWOBJ": _new,
    "BUILD": _build,
}
