# SPDX-License-Identifier: MIT
"""Those of the figures that Atoll promises which take seconds: each is within its budget in
tests/bench/budgets. And how rows are shown."""

import sys

import pytest

from harness import BUILD, ROOT

sys.path.insert(0, str(ROOT / "tests" / "bench"))

import bench
import figures

CHOSEN = [
    "shares_3_on_2", "shares_30_on_1", "shares_30_on_4", "shares_200_on_4", "shares_200_on_1",
    *(f"witness_beside_{how}" for how in figures.STORMS), "timer_wake", "doorbell_sleep",
    "doorbell_spin", "doorbell_same_core", "link_round_trip", "sched_switch", "exit_costs",
    "vm_memory", "vm_create", "vm_destroy", "boot_first_guest", "boot_100_guests", "hvt_costs",
    "hvt_start", "frame_wake", "growth", "kernel_size",
]


@pytest.mark.parametrize("name", CHOSEN)
def test_figure(name):
    rows = figures.FIGURES[name](BUILD)
    assert rows
    assert [row for row in rows if not row.as_recorded] == []


def test_growth_is_seen(capsys):
    """What costs more with more VMs has missed its budget, however little it is."""
    flat = figures.growth_row("cpuid", {1: 1000, 10: 999, 1000: 1000}, "ticks")
    grown = figures.growth_row("cpuid", {1: 1000, 10: 1001, 1000: 1000}, "ticks")
    assert flat.as_recorded and flat.value == 0
    assert not grown.as_recorded and not grown.good
    bench.show(grown)
    words = capsys.readouterr().out.split()
    assert words[:2] == ["growth_cpuid", "0.1"] and "MISSED" in words
    assert " ".join(words).endswith("MISSED 1000, 1001, 1000 with 1, 10, 1000 others")
    assert [row.name for row in bench.with_parts([grown])] == [
        "growth_cpuid", "cpuid_with_1", "cpuid_with_10", "cpuid_with_1000"]


def test_row_without_budget(capsys):
    for row in figures.lines_of_code(BUILD):
        assert row.value > 0 and row.good and row.as_recorded
        bench.show(row)
        assert capsys.readouterr().out.split() == [row.name, str(row.value), "lines"]
