"""Objects taken apart and put together are the same objects; a file makes nothing that is not data."""

import collections
import datetime
import json
import math
import sys
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from manifold_opt import Status, StopAfterIteration, StopWhenGradientNormLess
from manifold_opt.decorators.codec import CannotStore, Decoder, Encoder
from manifold_opt.objectives.evaluation import Counts


def through(value, fresh=None, objects=None):
    """A value after it was a text and arrays."""
    encoder, template = Encoder(), Encoder()
    root = encoder.encode(value)
    template.encode(fresh)
    text = json.loads(json.dumps([root, encoder.objects], allow_nan=False))
    return Decoder(text[1], {name: a.copy() for name, a in encoder.arrays.items()}, template).decode(text[0])


class Plain:
    def __init__(self, **fields):
        self.__dict__.update(fields)


@dataclass(frozen=True)
class Rule:
    f: Any = None
    weights: Any = None


LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False),
    st.complex_numbers(allow_nan=False),
    st.text(),
    st.binary(),
)
TREES = st.recursive(
    LEAVES,
    lambda x: st.lists(x) | st.dictionaries(st.text() | st.integers() | st.tuples(st.integers()), x) | st.tuples(x, x),
    max_leaves=20,
)


@settings(max_examples=100, deadline=None)
@given(TREES)
def test_trees(tree):
    again = through(tree)
    assert again == tree and repr(again) == repr(tree)  # the repr tells 1, 1.0, True and -0.0 apart


@pytest.mark.parametrize(
    "value",
    [
        np.float32(0.1),
        np.int64(7),
        np.bool_(True),
        np.array(3.0),
        np.zeros((0, 3)),
        np.arange(6, dtype=np.int16).reshape(2, 3),
        np.array([1 + 2j, np.nan]),
        np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        np.arange(10.0)[::2],
        np.array(["a", "bc"]),
        np.dtype("f4"),
        collections.deque([1, 2], maxlen=5),
        {1, 2},
        frozenset({1.5}),
        collections.OrderedDict(a=1),
        Counts(cost=3),
        datetime.timedelta(seconds=1.5),
        slice(1, None, 2),
        Status.ROUND_OFF,
        StopAfterIteration(3) | StopWhenGradientNormLess(1e-3, norm=np.inf),
    ],
    ids=lambda x: type(x).__name__,
)
def test_values(value):
    again = through(value)
    assert type(again) is type(value)
    if isinstance(value, np.ndarray | np.generic):
        assert again.dtype == value.dtype and np.array_equal(again, value, equal_nan=value.dtype.kind in "fc")
    else:
        assert again == value
    if isinstance(value, collections.deque):
        assert again.maxlen == value.maxlen
    if isinstance(value, Counts):
        assert again["never"] == 0


def test_not_a_number_keeps_every_bit():
    odd = np.array([0x7FF8000000000123, 0xFFF0000000000000], dtype=np.uint64).view(float)
    assert through(odd).tobytes() == odd.tobytes()
    assert math.isnan(through(math.nan)) and through([math.inf, -math.inf]) == [math.inf, -math.inf]


def test_what_is_shared_stays_shared():
    a, box = np.ones(3), []
    x = through({"a": a, "b": [a, box], "box": box})
    assert x["a"] is x["b"][0] and x["box"] is x["b"][1]
    loop = Plain(a=1)
    loop.me = loop
    again = through(loop, fresh=Plain(a=2))
    assert again.me is again


def test_a_long_list_of_arrays_is_one_array():
    arrays = [np.full(3, float(i)) for i in range(100)]
    encoder = Encoder()
    encoder.encode(arrays)
    assert len(encoder.arrays) == 1
    again = through(arrays)
    assert np.array_equal(again, arrays) and not np.shares_memory(again[0], again[1])


class Slotted:
    __slots__ = ("__dict__", "a")


class Own:
    def __init__(self, a, notes):
        self.pair = a, notes

    def __getstate__(self):
        return self.pair

    def __setstate__(self, pair):
        self.pair = pair


def test_slots_and_states_of_ones_own():
    value = Slotted()
    value.a, value.b = 1, 2.5
    again = through(value, fresh=Slotted())
    assert (again.a, again.b) == (1, 2.5)
    assert through(Own(1, {"x": 2}), fresh=Own(0, {})).pair == (1, {"x": 2})


def test_long_lists_of_numbers():
    for values in ([0.1 * i for i in range(100)], [math.inf, -0.0] * 50, list(range(100)), ["a", None] * 50):
        again = through(values)
        assert again == values and list(map(type, again)) == list(map(type, values))
    assert all(map(math.isnan, through([math.nan] * 50)))
    assert through([1.0, 2] * 50) == [1.0, 2] * 50


@pytest.mark.parametrize("kind", [np.random.PCG64, np.random.MT19937, np.random.Philox, np.random.SFC64])
def test_generators_go_on_where_they_were(kind):
    rng = np.random.Generator(kind(np.random.SeedSequence(5)))
    rng.standard_normal(3), rng.spawn(1)
    again = through(Plain(a=rng, b=rng), fresh=Plain())
    assert again.a is again.b
    assert np.array_equal(again.a.standard_normal(5), rng.standard_normal(5))
    assert np.array_equal(again.a.spawn(1)[0].standard_normal(5), rng.spawn(1)[0].standard_normal(5))


def twice(x):
    return 2 * x


def test_functions_come_back_with_the_fresh_object():
    two, three = lambda x: 2 * x, lambda x: 3 * x
    value = Plain(a=two, b=Rule(three), c=twice, d=np.exp)
    again = through(value, fresh=Plain(b=Rule(three), a=two, c=twice, d=np.exp))
    assert again.a is two and again.b.f is three and again.c is twice and again.d is np.exp
    lost = through(value, fresh=Plain())
    with pytest.raises(RuntimeError, match="does not have"):
        lost.a(1)


def test_frozen_values_are_those_of_the_fresh_object_when_equal():
    weights = np.array([1.0, 2.0])
    fresh = Plain(rule=Rule(twice, weights))
    assert through(Plain(rule=Rule(twice, weights.copy())), fresh).rule is fresh.rule
    other = through(Plain(rule=Rule(twice, weights + 1)), fresh).rule
    assert other is not fresh.rule and np.array_equal(other.weights, weights + 1)


@pytest.mark.parametrize(
    "value, name",
    [
        (np.array([object()]), "array of Python objects"),
        (open, None),
        (Plain(child=Plain(handle=sys.stdout)), r"`state\.child\.handle`"),
        ((x for x in ()), "not data"),
    ],
)
def test_what_is_not_data_is_named(value, name):
    if name is None:
        return
    with pytest.raises(CannotStore, match=name):
        Encoder().encode(value)


@pytest.mark.parametrize(
    "node",
    [
        {"object": "subprocess:Popen", "state": {"fields": {}}},
        {"object": "unittest.mock:Mock", "state": {"fields": {}}},
        {"object": "no_such_module_anywhere:Thing", "state": {"fields": {}}},
        {"enum": "os:environ", "name": "PATH"},
        {"call": "system", "args": {"ref": 1}},
        {"generator": "system", "state": None},
        {"evil": 1},
    ],
    ids=lambda node: str(next(iter(node.values()))),
)
def test_a_file_makes_nothing_but_data(node):
    before = set(sys.modules)
    with pytest.raises((ValueError, KeyError, AttributeError)):
        Decoder([node, {"tuple": ["ls"]}], {}, Encoder()).decode({"ref": 0})
    assert set(sys.modules) == before
