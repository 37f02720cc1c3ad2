"""Objects as JSON and arrays, and back: what pickle does, for data alone.

Whatever pickles (by ``__getstate__``, ``__dict__`` or ``__slots__``) is taken apart the same way, but only into
numbers, text, arrays and the names of classes. Nothing in a file is ever called or imported: a class is looked up among
those that are loaded, and must be one of this package's, a subclass of one, a dataclass, or one that the state being
filled uses itself. Functions are not stored: their names are, and the state being filled brings them back.
"""

from __future__ import annotations

import collections
import copyreg
import dataclasses
import datetime
import enum
import functools
import hashlib
import importlib
import json
import math
import sys
import types
from collections.abc import Callable, Container
from typing import Any

import numpy as np

from .base import StateDecorator

CALLED: dict[str, Any] = {
    cls.__name__: cls
    for cls in (collections.deque, collections.OrderedDict, set, frozenset, range, slice, datetime.timedelta)
}
GENERATORS = ("PCG64", "PCG64DXSM", "MT19937", "Philox", "SFC64")
STACK = 32
"""From this length on, a list of arrays of one shape and dtype is stored as one array."""

_FUNCTIONS = (types.FunctionType, types.BuiltinFunctionType, types.MethodType, np.ufunc, type)


class CannotStore(TypeError):
    """A value that is neither data nor made of data."""


class Missing:
    """Stands for a function that a file names and nobody brought back; calling it says so."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def __call__(self, *args: Any, **keywords: Any) -> Any:
        """Raise: the function is not there."""
        raise RuntimeError(f"the checkpoint names the function {self.name}, which the state built now does not have.")


def function_name(function: Any) -> str:
    """Name under which a function or class is stored; local functions of one name are told apart by their code."""
    name: str = getattr(function, "__qualname__", "") or getattr(function, "__name__", type(function).__qualname__)
    code = getattr(function, "__code__", None)
    if "<" in name and code is not None:
        constants = [x for x in code.co_consts if not isinstance(x, types.CodeType)]
        body = repr((code.co_code, constants, code.co_names, code.co_varnames))
        name += "#" + hashlib.sha256(body.encode()).hexdigest()[:12]
    return f"{getattr(function, '__module__', None)}:{name}"


def class_name(cls: type) -> str:
    """Name under which a class is stored."""
    return f"{cls.__module__}:{cls.__qualname__}"


def is_frozen(value: Any) -> bool:
    """Whether a value or a class is a frozen dataclass."""
    return dataclasses.is_dataclass(value) and value.__dataclass_params__.frozen  # type: ignore[union-attr]  # undocumented


class Encoder:
    """Takes objects apart.

    Attributes
    ----------
    objects : list
        One JSON node per object; values refer to them as ``{"ref": i}``, so that shared ones stay shared.
    arrays : dict of str to array
    values : dict of str to object
        Canonical text -> frozen dataclass, see `canonical`.
    functions : dict of str to callable
    classes : set of str
    decorators : list of StateDecorator
        Those met inside a state, as around its subsolver; only what they wrap is stored.
    """

    def __init__(self) -> None:
        self.objects: list[Any] = []
        self.arrays: dict[str, Any] = {}
        self.functions: dict[str, Any] = {}
        self.classes: set[str] = set()
        self.frozen: list[tuple[int, Any]] = []
        self.decorators: list[Any] = []
        self._memo: dict[int, tuple[int, Any]] = {}

    def encode(self, value: Any, path: str = "state") -> Any:
        """JSON node of a value; ``path`` is how messages name it."""
        if value is None or type(value) in (bool, int, str):
            return value
        if type(value) is float:
            return value if math.isfinite(value) else {"float": repr(value)}
        known = self._memo.get(id(value))
        if known is not None:
            return {"ref": known[0]}
        i = len(self.objects)
        self._memo[id(value)] = (i, value)  # keeps it alive, so that its id stays its own
        self.objects.append(None)
        self.objects[i] = self._node(value, path, i)
        return {"ref": i}

    def _node(self, value: Any, path: str, i: int) -> Any:
        if isinstance(value, np.ndarray) and type(value) is np.ndarray:
            return {"array": self._array(value, path)}
        if isinstance(value, np.generic):
            return {"scalar": self._array(np.asarray(value), path)}
        if type(value) is complex:
            return {"complex": [repr(value.real), repr(value.imag)]}
        if type(value) is bytes:
            return {"bytes": value.hex()}
        if type(value) is list:
            return self._list(value, path)
        if type(value) is tuple:
            return {"tuple": [self.encode(x, f"{path}[{j}]") for j, x in enumerate(value)]}
        if type(value) is dict:
            return {"dict": self._pairs(value.items(), path)}
        if isinstance(value, np.dtype):
            return {"dtype": value.str if value.names is None else repr(value.descr)}
        if isinstance(value, enum.Enum):
            return {"enum": self._class(type(value), path), "name": value.name}
        if isinstance(value, np.random.Generator):
            return self._generator(value, path)
        if isinstance(value, _FUNCTIONS) or isinstance(value, Missing):
            name = value.name if isinstance(value, Missing) else function_name(value)
            self.functions[name] = value
            return {"function": name}
        if isinstance(value, StateDecorator):
            self.decorators.append(value)
            return {"decorated": len(self.decorators) - 1, "core": self.encode(value.core, path)}
        return self._object(value, path, i)

    def _array(self, value: Any, path: str) -> str:
        if value.dtype.hasobject:
            raise CannotStore(f"`{path}` is an array of Python objects, which a checkpoint cannot hold.")
        name = f"a{len(self.arrays)}"
        self.arrays[name] = value
        return name

    def _list(self, value: list[Any], path: str) -> Any:
        kinds = set(map(type, value))
        if kinds <= {bool, int, str, type(None)}:
            return {"list": list(value)}
        if kinds == {float} and len(value) >= STACK:
            return {"floats": self._array(np.array(value), path)}
        first = value[0]
        if len(value) >= STACK and type(first) is np.ndarray and not first.dtype.hasobject:
            fresh = {id(x) for x in value}.isdisjoint(self._memo)
            same = all(type(x) is np.ndarray and x.shape == first.shape and x.dtype == first.dtype for x in value)
            if fresh and same:
                return {"stack": self._array(np.stack(value), path)}
        return {"list": [self.encode(x, f"{path}[{j}]") for j, x in enumerate(value)]}

    def _pairs(self, items: Any, path: str) -> list[Any]:
        return [[self.encode(key, path), self.encode(x, f"{path}[{key!r}]")] for key, x in items]

    def _class(self, cls: type, path: str) -> str:
        name = class_name(cls)
        self.classes.add(name)
        return name

    def _generator(self, rng: np.random.Generator, path: str) -> Any:
        kind = type(rng.bit_generator).__name__
        if kind not in GENERATORS:
            raise CannotStore(f"`{path}` is a random generator on {kind}, which a checkpoint does not know.")
        seed = getattr(rng.bit_generator, "seed_seq", None)
        node = {"generator": kind, "state": self.encode(rng.bit_generator.state, path)}
        if type(seed) is np.random.SeedSequence:
            node["seed"] = self.encode(seed.state, path)
        return node

    def _object(self, value: Any, path: str, i: int) -> Any:
        try:
            reduced = value.__reduce_ex__(2)
        except TypeError as error:
            raise CannotStore(f"`{path}`, a {type(value).__qualname__}, is not data: {error}.") from None
        if not isinstance(reduced, tuple):
            raise CannotStore(f"`{path}`, a {type(value).__qualname__}, is not data.")
        make, args, *rest = reduced
        name = getattr(make, "__name__", "")
        state, listed, pairs = (*rest, None, None, None)[:3]
        if make is copyreg.__newobj__ and len(args) == 1:  # type: ignore[attr-defined]  # documented in PEP 307
            node: dict[str, Any] = {"object": self._class(type(value), path)}
        elif name in CALLED and CALLED[name] is make:
            node = {"call": name, "args": self.encode(args, path)}
        else:
            raise CannotStore(
                f"`{path}`, a {type(value).__qualname__}, is not data. A solver names what can be made anew in "
                "`transient`."
            )
        if state is not None:
            node["state"] = self._state(state, hasattr(type(value), "__setstate__"), path)
        if listed is not None:
            node["items"] = [self.encode(x, path) for x in listed]
        if pairs is not None:
            node["pairs"] = self._pairs(pairs, path)
        if is_frozen(value):
            self.frozen.append((i, value))
        return node

    def _state(self, state: Any, own: bool, path: str) -> Any:
        if not own and isinstance(state, tuple) and len(state) == 2:  # pickle's pair of __dict__ and __slots__
            state = {**(state[0] or {}), **(state[1] or {})}
        if type(state) is dict and all(isinstance(name, str) for name in state):
            return {"fields": {name: self.encode(x, f"{path}.{name}") for name, x in state.items()}}
        return {"value": self.encode(state, path)}

    @property
    def values(self) -> dict[str, Any]:
        """Canonical text -> frozen value."""
        return {canonical(i, self.objects, self.arrays): value for i, value in self.frozen}


def canonical(i: int, objects: list[Any], arrays: dict[str, Any]) -> str:
    """Text that two frozen values share exactly when they are equal (functions by name)."""
    return json.dumps(expanded({"ref": i}, objects, arrays), sort_keys=True)


def expanded(
    node: Any,
    objects: list[Any],
    arrays: dict[str, Any],
    exact: Container[int] | None = None,
    above: tuple[int, ...] = (),
) -> Any:
    """Node with its references followed and its arrays replaced by what identifies them.

    With ``exact``, arrays outside those objects count by dtype and shape only, and generators all look alike.
    """
    if isinstance(node, list):
        return [expanded(x, objects, arrays, exact, above) for x in node]
    if not isinstance(node, dict):
        return node
    if "ref" in node:
        i = node["ref"]
        if i in above:
            return {"cycle": above.index(i)}
        inside = None if exact is not None and i in exact else exact
        return expanded(objects[i], objects, arrays, inside, (*above, i))
    if "generator" in node and exact is not None:
        return "a random generator"
    member = next((node[kind] for kind in ("array", "scalar", "stack", "floats") if kind in node), None)
    if member is not None:
        a = np.ascontiguousarray(arrays[member])
        content = [] if exact is not None and "array" in node else [hashlib.sha256(a.tobytes()).hexdigest()]
        return {"array": [a.dtype.str, list(a.shape), *content]}
    return {key: expanded(x, objects, arrays, exact, above) for key, x in node.items()}


class Decoder:
    """Puts objects together again.

    Parameters
    ----------
    objects, arrays
        As in `Encoder`.
    fresh : Encoder
        That has taken apart the state being filled: equal values, functions of the same name and decorators come from
        there, and its classes are trusted.
    """

    def __init__(self, objects: list[Any], arrays: dict[str, Any], fresh: Encoder) -> None:
        self.objects, self.arrays = objects, arrays
        self.values, self.functions, self.classes = fresh.values, fresh.functions, fresh.classes
        self.decorators = fresh.decorators
        self._made: dict[int, Any] = {}

    def refill(self, made: Any, node: Any) -> Any:
        """Decode a reference to an object into one that is there already; its decoded state is returned."""
        i = node["ref"]
        self._made[i] = made  # what refers to it gets the one being filled
        return self.decode_state(self.objects[i]["state"])

    def decode(self, node: Any) -> Any:
        """Value of a JSON node."""
        if not isinstance(node, dict):
            return node
        if "float" in node:
            return float(node["float"])
        i = node["ref"]
        if i not in self._made:
            self._made[i] = self._value(self.objects[i], i)
        return self._made[i]

    def _value(self, node: Any, i: int) -> Any:
        kind = next(iter(node))
        make: Callable[[Any, int], Any] = getattr(self, f"_make_{kind}")
        return make(node, i)

    def _make_array(self, node: Any, i: int) -> Any:
        return self.arrays[node["array"]]

    def _make_scalar(self, node: Any, i: int) -> Any:
        return self.arrays[node["scalar"]][()]

    def _make_stack(self, node: Any, i: int) -> Any:
        return [x.copy() for x in self.arrays[node["stack"]]]

    def _make_floats(self, node: Any, i: int) -> Any:
        return self.arrays[node["floats"]].tolist()

    def _make_complex(self, node: Any, i: int) -> complex:
        return complex(*map(float, node["complex"]))

    def _make_bytes(self, node: Any, i: int) -> bytes:
        return bytes.fromhex(node["bytes"])

    def _make_list(self, node: Any, i: int) -> list[Any]:
        made = self._made[i] = []
        made.extend(map(self.decode, node["list"]))
        return made

    def _make_tuple(self, node: Any, i: int) -> tuple[Any, ...]:
        return tuple(map(self.decode, node["tuple"]))

    def _make_dict(self, node: Any, i: int) -> dict[Any, Any]:
        made = self._made[i] = {}
        made.update((self.decode(key), self.decode(x)) for key, x in node["dict"])
        return made

    def _make_dtype(self, node: Any, i: int) -> np.dtype[Any]:
        return np.dtype(node["dtype"])

    def _make_enum(self, node: Any, i: int) -> Any:
        return self._class(node["enum"])[node["name"]]

    def _make_generator(self, node: Any, i: int) -> np.random.Generator:
        if node["generator"] not in GENERATORS:
            raise ValueError(f"unknown random generator {node['generator']!r}")
        seed = np.random.SeedSequence(**self.decode(node["seed"])) if "seed" in node else None
        bits = getattr(np.random, node["generator"])(seed)
        bits.state = self.decode(node["state"])
        return np.random.Generator(bits)

    def _make_function(self, node: Any, i: int) -> Any:
        name = node["function"]
        if name in self.functions:
            return self.functions[name]
        module, _, qualname = name.partition(":")
        if module.split(".")[0] == "manifold_opt" and "<" not in qualname:
            return functools.reduce(getattr, qualname.split("."), importlib.import_module(module))
        return Missing(name)

    def _make_decorated(self, node: Any, i: int) -> Any:
        if node["decorated"] >= len(self.decorators):
            return self.decode(node["core"])
        made = self._made[i] = self.decorators[node["decorated"]]
        fill(made.core, self.refill(made.core, node["core"]))
        return made

    def _make_call(self, node: Any, i: int) -> Any:
        made = self._made[i] = CALLED[node["call"]](*self.decode(node["args"]))
        return self._filled(made, node)

    def _make_object(self, node: Any, i: int) -> Any:
        cls = self._class(node["object"])
        if is_frozen(cls):
            known = self.values.get(canonical(i, self.objects, self.arrays))
            if known is not None:
                return known
        made = self._made[i] = cls.__new__(cls)
        return self._filled(made, node)

    def _filled(self, made: Any, node: Any) -> Any:
        if "pairs" in node:
            made.update((self.decode(key), self.decode(x)) for key, x in node["pairs"])
        if "items" in node:
            made.extend(map(self.decode, node["items"]))
        if "state" in node:
            fill(made, self.decode_state(node["state"]))
        return made

    def decode_state(self, node: Any) -> Any:
        """What an object's ``__setstate__`` takes."""
        if "value" in node:
            return self.decode(node["value"])
        return {name: self.decode(x) for name, x in node["fields"].items()}

    def _class(self, name: str) -> Any:
        module, _, qualname = name.partition(":")
        if module.split(".")[0] == "manifold_opt":
            importlib.import_module(module)
        if module not in sys.modules:
            raise ValueError(f"the class {qualname} of {module} is not loaded: import it first")
        cls = functools.reduce(getattr, qualname.split("."), sys.modules[module])
        if not (isinstance(cls, type) and (name in self.classes or trusted(cls))):
            raise ValueError(f"{name} is not a class that a checkpoint may hold")
        return cls


def trusted(cls: type) -> bool:
    """Whether objects of a class may be made from a file: data, and whatever subclasses this package."""
    if dataclasses.is_dataclass(cls) or cls.__module__.startswith("scipy.sparse."):
        return True
    return any(base.__module__.split(".")[0] == "manifold_opt" for base in cls.__mro__)


def fill(made: Any, state: Any) -> None:
    """Give an object its state, as unpickling does."""
    if hasattr(type(made), "__setstate__"):
        made.__setstate__(state)
        return
    for name, value in state.items():
        object.__setattr__(made, name, value)
