from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from hcs_lib.core.domains import AXES, Coordinates, Domain, key_of


def axis(values: st.SearchStrategy[Any]) -> st.SearchStrategy[tuple[Any, ...]]:
    return st.just((None,)) | st.lists(values, min_size=1, max_size=3, unique=True).map(tuple)


DOMAINS = st.builds(Domain, axis(st.integers(1, 9)), axis(st.sampled_from("ABC")), axis(st.integers(0, 5)),
                    axis(st.integers(0, 5)))  # fmt: skip


@given(DOMAINS)
def test_calls_are_the_product_each_once_and_json_loses_nothing(domain: Domain) -> None:
    calls = list(domain)
    assert len(calls) == len(set(calls)) == len(domain.site) * len(domain.channel) * len(domain.z) * len(domain.t)
    assert all(getattr(call, name) in domain.values(name) for call in calls for name in AXES)
    assert Domain.from_json(domain.to_json()) == domain


@given(DOMAINS, st.sampled_from(AXES))
def test_a_stacked_axis_is_one_call(domain: Domain, stacked: str) -> None:
    calls = domain.without(stacked)
    assert calls.values(stacked) == (None,)
    assert len(list(calls)) * len(domain.values(stacked)) == len(list(domain))
    assert domain.without(None) == domain


def test_order_is_time_site_channel_z() -> None:
    domain = Domain((1, 2), ("B", "A"), (0,), (0, 1))
    assert [(c.t, c.site, c.channel) for c in domain][:4] == [(0, 1, "B"), (0, 1, "A"), (0, 2, "B"), (0, 2, "A")]


def test_labels_of_one_channel_serve_every_channel() -> None:
    producer = Domain((1, 2), ("DNA",), (0,), (0,))
    assert key_of(producer, Coordinates(2, "GFP", 0, 0)) == key_of(producer, Coordinates(2, None, 0, 0))
    assert key_of(producer, Coordinates(1, "GFP", 0, 0)) != key_of(producer, Coordinates(2, "GFP", 0, 0))
    both = Domain((1,), ("DNA", "GFP"), (0,), (0,))
    assert key_of(both, Coordinates(1, "GFP", 0, 0)) != key_of(both, Coordinates(1, "DNA", 0, 0))


@given(DOMAINS)
def test_calls_of_the_producer_have_keys_of_their_own(domain: Domain) -> None:
    keys = [key_of(domain, call) for call in domain]
    assert len(set(keys)) == len(keys)
