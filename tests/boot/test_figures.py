# SPDX-License-Identifier: MIT
"""Those of the figures that Atoll promises which take seconds: each is within its budget in
tests/bench/budgets."""

import sys

import pytest

from harness import BUILD, ROOT

sys.path.insert(0, str(ROOT / "tests" / "bench"))

import figures

CHOSEN = [
    "shares_3_on_2", "shares_30_on_1", "shares_30_on_4", "shares_200_on_4", "shares_200_on_1",
    *(f"witness_beside_{how}" for how in figures.STORMS), "timer_wake", "doorbell_sleep",
    "doorbell_spin", "exit_costs", "vm_memory", "vm_create", "vm_destroy", "boot_first_guest",
    "hvt_costs", "hvt_start", "frame_wake",
]


@pytest.mark.parametrize("name", CHOSEN)
def test_figure(name):
    rows = figures.FIGURES[name](BUILD)
    assert rows and all(row.as_recorded for row in rows), rows
