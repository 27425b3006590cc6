"""A node is checked against what the code takes for true, for real, and the report outlives the program."""

from __future__ import annotations

from pathlib import Path

import pytest

from sparkdesk.core.cluster.node import ClusterRecord, NodeRecord
from sparkdesk.core.errors import PlanError
from sparkdesk.core.probes.assumption import Hold
from sparkdesk.core.probes.assumption_table import ASSUMPTIONS
from sparkdesk.infra.store import SqliteStore
from sparkdesk.services.clock import SystemClock
from sparkdesk.services.fleet.field import FieldReports
from sparkdesk.services.fleet.inventory import Inventory
from sparkdesk.services.fleet.reader import Reader
from sparkdesk.services.tasks import Tasks
from sparkdesk.services.wait import wait_for_value
from tests.fakes.connector import LocalConnector

PROGRAM = (Path(__file__).resolve().parents[3] / "sparkdesk" / "remote" / "reader.py").read_bytes()
NODE = NodeRecord(id="n1", name="annas-box", address="10.9.8.7", port=22, user="anna", host_key="ssh-ed25519 AAAA")


class Bench:
    """Field reports over one node that is a folder of this computer with a Spark's files in it."""

    def __init__(self, tmp_path: Path) -> None:
        self.root = tmp_path / "root"
        for path, text in (
            ("etc/dgx-release", 'DGX_NAME="DGX Spark"\nDGX_SERIAL_NUMBER="1234567890123"\n'),
            ("sys/class/dmi/id/product_family", "annas-box\n"),
            ("proc/meminfo", "MemTotal:       127535084 kB\nMemAvailable:   100000000 kB\n"),
        ):
            file = self.root / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        self.tasks = Tasks()
        self.store = SqliteStore(tmp_path / "data")
        self.connector = LocalConnector(tmp_path / "home", {"SPARKDESK_ROOT": str(self.root)})
        clock = SystemClock()
        self.inventory = Inventory(tasks=self.tasks, connector=self.connector, store=self.store, clock=clock)
        reader = Reader(program=PROGRAM, shells=self.inventory.shell, clock=clock)
        self.field = FieldReports(
            inventory=self.inventory, reader=reader, store=self.store, clock=clock, application="SparkDesk test"
        )

    async def open(self) -> None:
        await self.store.open()
        await self.inventory.open(ClusterRecord(id="c", name="C", nodes=(NODE,)))
        await wait_for_value(self.inventory.nodes, lambda nodes: nodes[0].is_live, timeout_s=20)

    async def close(self) -> None:
        await self.inventory.close()
        await self.tasks.close()
        await self.store.close()


async def test_what_is_right_holds_what_is_wrong_differs_and_it_is_remembered(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    await bench.open()
    try:
        await bench.field.run("n1")
        report = bench.field.reports.value["n1"]
        held = {result.assumption_id: result.hold for result in report.results}
        assert report.state == "done"
        assert len(held) == len(ASSUMPTIONS)
        assert held["dgx-name"] is Hold.HELD
        assert held["product-family"] is Hold.DIFFERS
        assert held["board-name"] is Hold.NOT_SEEN
        assert report.seen_ms("dgx-name") == report.t_ms > 0
        assert report.seen_ms("product-family") == 0
        saved = bench.field.redacted("n1").decode()
        assert "annas-box" not in saved
        assert "1234567890123" not in saved
        again = FieldReports(
            inventory=bench.inventory,
            reader=bench.field._reader,
            store=bench.store,
            clock=SystemClock(),
            application="",
        )
        await again.load()
        assert again.reports.value["n1"] == report
    finally:
        await bench.close()


async def test_a_node_that_is_away_fails_and_keeps_the_report_of_before(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    await bench.open()
    try:
        await bench.field.run("n1")
        before = bench.field.reports.value["n1"].results
        bench.connector.lose("n1")
        await wait_for_value(bench.inventory.nodes, lambda nodes: not nodes[0].is_live, timeout_s=20)
        await bench.field.run("n1")
        report = bench.field.reports.value["n1"]
        assert (report.state, report.results) == ("failed", before)
        assert report.remedy
    finally:
        await bench.close()


async def test_there_is_nothing_to_save_before_a_check(tmp_path: Path) -> None:
    with pytest.raises(PlanError, match="no report"):
        Bench(tmp_path).field.redacted("n1")
