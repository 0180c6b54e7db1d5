"""A terminal looked at closely: what it sends is verified by other people's code, and what it does when its memory is bad."""

from __future__ import annotations

from pathlib import Path

import cbor2
import pytest
from pycose.headers import Algorithm
from pycose.keys import EC2Key
from pycose.keys.curves import P256
from pycose.messages import Sign1Message

from firmware_agent.selftest.report import from_list
from host_sim.platform import RealTime
from host_sim.terminal import RUNTIMES
from host_sim.world import TERMINAL, Shop
from tests.messages.esp256 import Esp256
from tests.story.world import LIMIT_S, heard_by, run_story, until


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_what_the_running_agent_sends_is_verified_by_an_independent_implementation(runtime: str) -> None:
    async def story(shop: Shop) -> None:
        heard = heard_by(shop)
        shop.terminal.power_on()
        await until(lambda: len(shop.account.reports) == 1 and bool(shop.account.state), "a report and a state")
        public_key = shop.account.public_key
        key = EC2Key(crv=P256, x=public_key[:32], y=public_key[32:])
        kinds = set()
        for message in heard:
            cose = Sign1Message.decode(message.payload)
            assert cose.phdr[Algorithm] is Esp256
            cose.key = key
            cose.external_aad = message.topic.encode()
            assert cose.verify_signature()
            cose.external_aad = b"poi/v1/acq1/T0000002/state"
            assert not cose.verify_signature()
            claims = cbor2.loads(cose.payload)
            assert claims[2] == TERMINAL  # sub
            assert claims[267] == 1  # bootcount
            version, kind, sequence, body = claims[-65537]
            assert version == 1 and sequence > 0 and isinstance(body, dict)
            assert cbor2.dumps(claims, canonical=True) == cose.payload
            kinds.add(kind)
        assert kinds >= {1, 2}  # state and report

    run_story(story, runtime)


def data_folder(shop: Shop) -> Path:
    return shop.terminal.folder / "data"


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_terminal_whose_store_is_damaged_tests_its_devices_says_so_and_formats_nothing(runtime: str) -> None:
    async def story(shop: Shop) -> None:
        (segment,) = data_folder(shop).glob("store.*")
        segment.rename(segment.with_name("store.00000007"))
        segment = segment.with_name("store.00000007")
        segment.write_bytes(bytes(100))
        shop.terminal.power_on()
        await until(lambda: any("自检" in line or "存储器出错" in line for line in shop.terminal.screen()), "the warning")
        screen = shop.terminal.screen
        await until(lambda: any("存储器" in line and "故障" in line for line in screen()), "what the self-test says of it")
        await until(lambda: "diagnosis storage damaged by storage fail" in shop.terminal.lines, "the diagnosis")
        assert any(line.startswith("degraded corrupt") for line in shop.terminal.lines)
        assert segment.read_bytes() == bytes(100)
        shop.terminal.check()  # it goes on

    run_story(story, runtime)


def test_a_terminal_that_was_never_set_up_says_so() -> None:
    async def story(shop: Shop) -> None:
        for file in data_folder(shop).iterdir():
            file.unlink()
        shop.terminal.power_on()
        await until(lambda: any("终端尚未初始化" in line for line in shop.terminal.screen()), "the warning")

    run_story(story, "cpython")


def test_a_terminal_without_wifi_boots_tests_itself_and_delivers_when_it_is_back() -> None:
    async def story(shop: Shop) -> None:
        wifi = shop.terminal.bench.chips["network"]
        wifi.fault("out_of_range")
        shop.terminal.power_on()
        await until(lambda: any("self-test network fail" in line for line in shop.terminal.lines), "the network's failure")
        await until(lambda: any("network not in range" in line for line in shop.terminal.screen()), "the result")
        wifi.fault("out_of_range", False)
        await until(lambda: len(shop.account.reports) == 1, "the report")
        told = [from_list(values) for values in shop.account.reports[0]["results"]]
        outcomes = {result.phase: result.outcome for result in told}
        assert outcomes["network"] == "fail"
        assert outcomes["printer"] == "pass"
        await until(lambda: shop.account.state.get("mode") == "in_service", "the state")

    run_story(story, "cpython")


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_terminal_that_wakes_in_1970_says_so_and_is_set_by_the_acquirers_signed_time(runtime: str) -> None:
    async def story(shop: Shop) -> None:
        lines = shop.terminal.lines
        shop.terminal.breakable["clock"].fault("lost")
        shop.acquirer.hang(True)  # nobody tells the time yet
        shop.terminal.power_on()
        await until(lambda: any("time lost" in line for line in shop.terminal.screen()), "what the self-test found")
        shop.terminal.bench.chips["keypad"].tap("1")  # type: ignore[attr-defined]
        await until(lambda: any("The clock is not set" in line for line in shop.terminal.screen()), "the warning")
        await until(lambda: "link online" in lines, "a connection")
        where, message = await shop.acquirer.signed("order", TERMINAL, {"action": "suspend", "reason": "violation"})
        await shop.acquirer.publish(where, message)
        await until(lambda: any(line.startswith("refused: time_unknown") for line in lines), "the refusal")
        shop.acquirer.hang(False)
        await until(lambda: "time signed" in lines, "the answer")
        await until(lambda: bool(shop.account.reports), "a report")
        name = await shop.acquirer.order(TERMINAL, action="self_test")
        await shop.acquirer.receipt_of(TERMINAL, name, LIMIT_S)
        await until(lambda: len(shop.account.reports) == 2, "the ordered self-test")
        await until(lambda: any("time lost" in line for line in shop.terminal.screen()), "what it found, until the next boot")
        shop.terminal.bench.chips["keypad"].tap("1")  # type: ignore[attr-defined]
        await until(lambda: any("Ready for payments" in line for line in shop.terminal.screen()), "the idle page")
        assert not any("The clock is not set" in line for line in shop.terminal.screen())
        # Now that the time is known, what has expired is refused.
        where, message = await shop.acquirer.signed("order", TERMINAL, {"action": "self_test"}, expires=shop.clock.wall_s() - 60)
        await shop.acquirer.publish(where, message)
        await until(lambda: any(receipt.get("refusal") == "expired" for receipt in shop.account.receipts), "the refusal")

    run_story(story, runtime)


@pytest.mark.needs("mosquitto")
def test_a_flood_of_forgeries_is_logged_and_pushes_no_report_out_of_the_outbox() -> None:
    async def story(shop: Shop) -> None:
        shop.terminal.power_on()
        await until(lambda: len(shop.account.reports) == 1, "the first report")
        name = await shop.acquirer.order(TERMINAL, action="self_test")
        await shop.acquirer.receipt_of(TERMINAL, name, LIMIT_S)
        where = f"poi/v1/{shop.acquirer.name}/{TERMINAL}/order"
        for number in range(200):
            await shop.acquirer.publish(where, b"\xa1\x01" + number.to_bytes(1, "big"))

        def refused_forgeries() -> int:
            """An order that was sent again because its receipt was slow is refused, too, and is no forgery."""
            return sum(line.startswith("refused: ") and "replayed" not in line for line in shop.terminal.lines)

        await until(lambda: refused_forgeries() == 200, "every refusal in the log")
        await until(lambda: len(shop.account.reports) == 2, "the report of the ordered self-test")
        assert shop.account.reports[-1].get("dropped", 0) == 0
        assert shop.account.state["mode"] == "in_service"

    run_story(story, "cpython", "mosquitto", time=RealTime())  # mosquitto knows no other
