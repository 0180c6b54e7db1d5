"""What the tests of the evidence log share: a log on a flash in memory, and what is in it."""

from hashlib import sha256

from firmware_agent.records.evidence import FIRST_HEAD, PREFIX, Evidence, entries, walked
from firmware_agent.store import Store
from tests.core.parts import NOW_S

NONE = (0, FIRST_HEAD)


def opened(flash, segment_bytes=65536):
    store = Store(flash, segment_bytes)
    store.open()
    return store


def enter(store, log, *facts):
    store.put_all(log.changes(list(facts), 1, NOW_S))
    log.written()


def filled(flash, count):
    """A store and its log with so many entries of one fact each, the fact's number the entry's."""
    store = opened(flash)
    log = Evidence(store)
    for _ in range(count):
        enter(store, log, ["test", log.number + 1])
    return store, log


def heads(store):
    """Number -> head, worked out from the records alone."""
    head = FIRST_HEAD
    found = {}
    for key in store.keys(PREFIX):
        head = sha256(head + store.get(key)).digest()
        found[int(key[len(PREFIX) :])] = head
    return found


def damage(store, kept=NONE):
    return str(walked(store, kept)[1] or "")


def key(number):
    return PREFIX + "%08d" % number


def facts(store):
    return [fact for entry in entries(store) for fact in entry.facts]


def facts_of(store, kind):
    return [fact[1:] for fact in facts(store) if fact[0] == kind]


def events(terminal):
    """(name, detail) of the events that wait to be sent, at once or together."""
    told = [terminal.outbox.message(key) for key in terminal.outbox.waiting()]
    return [(claims.text("name"), claims.text("detail")) for claims in told if claims.kind.name == "event"]
