"""Any operations on the store, with the power cut at any byte of them: against a dictionary it is the old one or the new one."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from firmware_agent.store import Store, StoreError
from tests.core.parts import Flash, PowerCut

KEYS = st.sampled_from(["a", "b", "key.c", "d" * 32])
VALUES = st.one_of(st.none(), st.binary(max_size=60))
BATCHES = st.lists(st.tuples(KEYS, VALUES), min_size=1, max_size=4)
# An operation: a batch, or a cut in the n-th write from now with so many bytes of it kept, or a medium that fails and recovers.
OPERATIONS = st.lists(
    st.one_of(
        BATCHES,
        st.tuples(st.just("cut"), st.integers(1, 8), st.integers(0, 90)),
        st.tuples(st.just("broken"), st.integers(0, 90)),
        st.just("mended"),
        st.just("boot"),
    ),
    max_size=40,
)
SEGMENT_BYTES = 250


def applied(model: dict[str, bytes], batch: list[tuple[str, bytes | None]]) -> dict[str, bytes]:
    new = dict(model)
    for key, value in batch:
        if value is None:
            new.pop(key, None)
        else:
            new[key] = value
    return new


def content(store: Store) -> dict[str, bytes | None]:
    return {key: store.get(key) for key in store.keys()}


def opened(flash: Flash) -> Store:
    """Boot until it boots: a cut may fall into the opening itself."""
    while True:
        flash.power_up()
        store = Store(flash, SEGMENT_BYTES)
        try:
            store.open()
            return store
        except PowerCut:
            continue


@settings(max_examples=300, deadline=None)
@given(OPERATIONS)
def test_after_any_operations_and_cuts_the_store_is_the_old_or_the_new_dictionary(operations: list) -> None:
    flash = Flash()
    store = opened(flash)
    model: dict[str, bytes] = {}
    maybe: list[dict[str, bytes]] = []  # what an operation that failed may have left, to be seen at the next boot

    def boot() -> None:
        nonlocal store, model, maybe
        flash.broken = False
        store = opened(flash)
        found = content(store)
        assert found in [model, *maybe]
        assert store.damaged == 0
        assert len(flash.names()) == 1
        model, maybe = found, []  # type: ignore[assignment]

    for operation in operations:
        if operation == "boot":
            boot()
        elif operation == "mended":
            flash.broken = False
        elif operation[0] == "cut":
            flash.cut(operation[1], operation[2])
        elif operation[0] == "broken":
            flash.broken = True
            flash.keep_of_broken = operation[1]
        else:
            new = applied(model, operation)
            try:
                store.put_all(operation)
                model, maybe = new, []
            except PowerCut:
                maybe.append(new)
                boot()
            except StoreError as error:
                assert error.code == "medium" and flash.broken
                maybe.append(new)
            assert content(store) == model
    flash.power_up()
    boot()
    store.put("last", b"word")
    assert content(opened(flash)) == {**model, "last": b"word"}


@settings(max_examples=200, deadline=None)
@given(st.lists(BATCHES, min_size=1, max_size=20), st.data())
def test_after_one_byte_rotted_every_value_is_one_that_was_once_put(batches: list, data: st.DataObject) -> None:
    flash = Flash()
    store = opened(flash)
    ever: dict[str, list[bytes]] = {}
    for batch in batches:
        store.put_all(batch)
        for key, value in batch:
            if value is not None:
                ever.setdefault(key, []).append(value)
    (name,) = flash.names()
    at = data.draw(st.integers(0, len(flash.files[name]) - 1))
    flash.files[name][at] ^= data.draw(st.integers(1, 255))
    again = Store(flash, SEGMENT_BYTES)
    try:
        again.open()
    except StoreError as error:
        # Only where nothing is stored besides: an empty store whose mark, or whose only record, has rotted.
        assert error.code == "corrupt" and len(content(store)) <= 1
        return
    for key in again.keys():
        assert again.get(key) in ever[key]
