"""A fleet of real agents at one broker: every message arrives once, through a broker's restart too, and whatever does not is told."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from host_sim.acquirer.office import Office
from host_sim.acquirer.registry import Registry
from host_sim.brokers import MosquittoBroker, free_port
from host_sim.cli import main
from host_sim.fleet.fleet import FleetError, Plan, hints, run
from host_sim.fleet.ledger import Ledger, latency, per_second
from host_sim.pki import TestAuthority

FIRST, SECOND = ("T1", 1, 1), ("T1", 1, 2)
QUICK = Plan(terminals=3, seconds=2.0, every=1.0)


def quietly(line: str) -> None:
    """Nobody watches."""


def said(ledger: Ledger, name: tuple[str, int, int], at_s: float = 0.0) -> None:
    ledger.handed(name, at_s)
    ledger.acknowledged(name)


# The ledger.


def test_what_the_broker_took_and_the_store_has_once_is_delivered() -> None:
    ledger = Ledger(1)
    said(ledger, FIRST, 10.0)
    ledger.made("T1")
    assert (ledger.published, ledger.delivered, ledger.lost, ledger.holds) == (1, 0, 1, False)
    ledger.kept(FIRST, "report", 10.25)
    assert (ledger.published, ledger.delivered, ledger.lost, ledger.duplicated, ledger.holds) == (1, 1, 0, 0, True)
    assert ledger.document()["latency_ms"] == {"p50": 250, "p95": 250, "p99": 250, "max": 250}
    assert ledger.reports == {"made": 1, "delivered": 1}


def test_a_message_that_is_sent_again_is_one_message_and_counts_from_the_first_time() -> None:
    ledger = Ledger(1)
    ledger.handed(FIRST, 1.0)
    said(ledger, FIRST, 3.0)
    ledger.kept(FIRST, "state", 4.0)
    assert (ledger.published, ledger.delivered, ledger.holds) == (1, 1, True)
    assert ledger.document()["latency_ms"]["max"] == 3000


def test_what_is_kept_before_the_broker_says_that_it_has_it_is_not_missed() -> None:
    ledger = Ledger(1)
    ledger.handed(FIRST, 0.0)
    ledger.kept(FIRST, "state", 0.1)
    ledger.acknowledged(FIRST)
    assert (ledger.lost, ledger.holds) == (0, True)


def test_what_no_connection_took_and_a_newer_one_said_is_not_lost() -> None:
    ledger = Ledger(1)
    ledger.handed(FIRST, 0.0)  # and gave way: never acknowledged, never kept
    said(ledger, SECOND)
    ledger.kept(SECOND, "state", 0.1)
    assert (ledger.published, ledger.lost, ledger.holds) == (1, 0, True)


def test_the_same_message_twice_in_the_store_is_told() -> None:
    ledger = Ledger(1)
    said(ledger, FIRST)
    ledger.kept(FIRST, "state", 0.1)
    ledger.kept(FIRST, "state", 0.2)
    assert (ledger.duplicated, ledger.holds) == (1, False)


def test_a_report_that_was_told_under_two_names_is_told() -> None:
    ledger = Ledger(1)
    ledger.made("T1")
    for name in (FIRST, SECOND):
        said(ledger, name)
        ledger.kept(name, "report", 0.1)
    assert (ledger.duplicated, ledger.holds) == (1, False)


def test_a_report_that_was_made_and_never_sent_is_lost() -> None:
    ledger = Ledger(2)
    said(ledger, FIRST)
    ledger.kept(FIRST, "report", 0.1)
    ledger.made("T1")
    ledger.made("T2")
    assert (ledger.lost, ledger.holds) == (1, False)


@pytest.mark.parametrize("what", ["refused", "given_up"])
def test_what_is_refused_or_given_up_fails_the_run(what: str) -> None:
    ledger = Ledger(1)
    said(ledger, FIRST)
    ledger.kept(FIRST, "state", 0.1)
    assert ledger.holds
    setattr(ledger, what, 1)
    assert not ledger.holds
    assert ledger.lost == (what == "given_up")


def test_what_nobody_of_the_fleet_said_is_told_and_a_last_will_is_not_that() -> None:
    ledger = Ledger(1)
    said(ledger, FIRST)
    ledger.kept(FIRST, "state", 0.1)
    ledger.will(SECOND)
    ledger.kept(SECOND, "state", 0.2)
    assert (ledger.published, ledger.delivered, ledger.verified, ledger.wills, ledger.holds) == (1, 1, 2, 1, True)
    ledger.kept(("T1", 1, 3), "state", 0.3)
    assert (ledger.strange, ledger.holds) == (1, False)


def test_a_run_in_which_nothing_was_said_proves_nothing() -> None:
    assert not Ledger(1).holds


def test_those_that_broke_away_have_to_be_back() -> None:
    ledger = Ledger(2)
    said(ledger, FIRST)
    ledger.kept(FIRST, "state", 0.1)
    ledger.connected("T1", 1.0)  # before anything broke: of no wave
    ledger.broke("storm", 10.0)
    ledger.connected("T1", 11.0)
    ledger.connected("T1", 12.5)  # thrown out, and back again
    assert not ledger.holds
    ledger.connected("T2", 13.2)
    ledger.connected("T2", 60.0)  # later, and of no wave
    assert ledger.holds
    told = ledger.document()["reconnect"]
    assert (told["connects"], told["back"], told["span_s"], told["all_back_after_s"]) == (3, 2, 2.2, 3.2)


def test_seconds_are_counted_from_the_first_and_the_last_one_is_whole() -> None:
    assert per_second([]) == (0, 0.0)
    assert per_second([5.5]) == (1, 1.0)
    assert per_second([5.5, 5.9, 6.4, 6.6, 8.6]) == (3, 5 / 4)  # 5.5 to 6.5, then 1, 0 and 1


def test_latencies_are_by_nearest_rank() -> None:
    assert latency([]) is None
    assert latency([float(value) for value in range(1, 101)]) == {"p50": 50, "p95": 95, "p99": 99, "max": 100}


# What is asked wrongly.


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (["-n", "0"], "1 to 10000 terminals"),
        (["-n", "1", "--seconds", "0"], "--seconds 0: more than 0"),
        (["-n", "1", "--workers", "0"], "--workers 0: more than 0"),
        (["-n", "1", "--restart-broker-after", "60"], "less than the 60 s of --seconds"),
        (["-n", "1", "--storm", "99"], "less than the 60 s of --seconds"),
        (["-n", "1", "--slow", "60", "--lossy", "60"], "at most 100 percent"),
        (["-n", "1", "--name", "a/b"], "letters and digits only"),
        (["-n", "1", "--ca", "x.pem"], "are for a --broker"),
        (["-n", "1", "--broker", "mqtt://localhost"], "mqtts://HOST:PORT is wanted"),
        (["-n", "1", "--broker", "mqtts://localhost:99999"], "mqtts://HOST:PORT is wanted"),
        (["-n", "1", "--broker", "localhost:8883"], "mqtts://HOST:PORT is wanted"),
        (["-n", "1", "--broker", "mqtts://localhost"], "needs --authority"),
        (["-n", "1", "--broker", "mqtts://localhost", "--ca", "x.pem", "--restart-broker-after", "1"], "for the fleet's own broker"),
        (["-n", "1", "--broker", "mqtts://localhost", "--authority", "/nowhere.pem"], "/nowhere.pem: No such file"),
    ],
)
def test_what_is_asked_wrongly_is_one_line_and_exit_code_2(arguments: list[str], what: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fleet", *arguments]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.startswith("reinstate: ") and what in told.err
    assert told.err.count("\n") == 1


def test_a_folder_that_is_in_use_is_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mine").touch()
    assert main(["fleet", "-n", "1", "--keep", str(tmp_path)]) == 2
    assert "not empty" in capsys.readouterr().err
    assert [file.name for file in tmp_path.iterdir()] == ["mine"]


def test_files_that_are_no_authority_and_no_certificate_are_named(tmp_path: Path) -> None:
    file = tmp_path / "no.pem"
    file.write_text("-----BEGIN CERTIFICATE-----\nno\n-----END CERTIFICATE-----\n")
    plan = Plan(terminals=1, broker="mqtts://localhost", ca=file)
    with pytest.raises(FleetError, match=r"--ca .*no\.pem: one certificate is wanted"):
        asyncio.run(run(replace(plan, keep=tmp_path / "one"), quietly))
    with pytest.raises(FleetError, match=r"--authority .*no\.pem: a P-256 key and its certificate"):
        asyncio.run(run(replace(plan, ca=None, authority=file, keep=tmp_path / "two"), quietly))


def test_who_cuts_connections_too_early_is_told_what_follows() -> None:
    assert hints(Plan(terminals=1, storm_after=30.0)) == []
    assert len(hints(Plan(terminals=1, storm_after=29.0, restart_after=1.0))) == 2


# Fleets.


def everything_arrived(report: dict[str, Any], plan: Plan) -> None:
    assert report["troubles"] == []
    assert report["holds"], report
    assert (report["terminals"], report["lost"], report["duplicated"], report["refused"]) == (plan.terminals, 0, 0, 0)
    assert report["published"] == report["delivered"] == report["verified"] - report["wills"] > 0
    assert report["reports"]["made"] == report["reports"]["delivered"]


@pytest.mark.needs("mosquitto")
def test_every_report_is_in_the_acquirers_store_once_through_a_restart_of_the_broker_and_a_storm(tmp_path: Path) -> None:
    plan = replace(QUICK, seconds=4.0, restart_after=1.0, storm_after=3.0, keep=tmp_path / "kept")
    report = asyncio.run(run(plan, quietly))
    everything_arrived(report, plan)
    assert [(wave["cause"], wave["back"]) for wave in report["waves"]] == [("broker restart", 3), ("storm", 3)]
    registry = Registry(Office(tmp_path / "kept").registry_url)
    reports = registry.messages(kinds=("report",))
    registry.close()
    # One of its start, and one each second.
    assert {kept.terminal: 5 for kept in reports} == {name: sum(kept.terminal == name for kept in reports) for name in registry.terminals()}
    assert len({(kept.terminal, kept.claims.boot_count, kept.claims.sequence) for kept in reports}) == report["reports"]["delivered"] == 15


@pytest.mark.needs("mosquitto")
def test_a_line_that_loses_something_loses_no_message() -> None:
    plan = Plan(terminals=2, seconds=2.0, every=1.0, lossy=50)
    everything_arrived(asyncio.run(run(plan, quietly)), plan)


@pytest.mark.needs("mosquitto")
def test_several_workers_share_what_terminals_say(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["fleet", "-n", "3", "--seconds", "2", "--every", "1", "--workers", "2"]
    assert main([*arguments, "--json"]) == 0
    told = capsys.readouterr()
    report = json.loads(told.out)
    everything_arrived(report, QUICK)
    assert "all 3 online" in told.err


@pytest.mark.needs("mosquitto")
def test_a_storm_comes_in_the_middle_and_the_table_tells_of_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fleet", "-n", "2", "--seconds", "2", "--every", "1", "--storm"]) == 0
    told = capsys.readouterr()
    lines = told.out.splitlines()
    assert [line for line in lines if line.startswith("storm ") and "2 of 2 back" in line]
    assert "all that was said has arrived, once" in lines[-1]
    assert "--storm 1: a connection of less than 30 s" in told.err


@pytest.mark.needs("mosquitto")
def test_a_fleet_runs_at_a_broker_that_another_authority_has_certified_and_again_at_the_same_one(tmp_path: Path) -> None:
    async def play() -> list[dict[str, Any]]:
        clients, servers = TestAuthority("clients"), TestAuthority("servers")
        (tmp_path / "authority.pem").write_bytes(clients.saved())
        ca = tmp_path / "ca.der"
        ca.write_bytes(servers.certificate_der)
        broker = MosquittoBroker(tmp_path / "broker", clients, "acq7", servers.server())
        broker.port = free_port()
        await broker.start()
        try:
            plan = replace(QUICK, broker=f"mqtts://localhost:{broker.port}", authority=tmp_path / "authority.pem", ca=ca, name="acq7")
            reports = [await run(plan, quietly) for _ in range(2)]
            ca.write_bytes(servers.server().certificate.public_bytes(Encoding.DER))  # of this name, and of nobody's issue
            with pytest.raises(FleetError, match="does not come to work: no connection to the broker"):
                await run(plan, quietly)
        finally:
            await broker.stop()
        return reports

    for report in asyncio.run(play()):
        everything_arrived(report, QUICK)
        assert report["broker"].startswith("mqtts://localhost:")
