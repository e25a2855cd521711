# SPDX-License-Identifier: MIT
"""Guests in odd but legal states, one test for each bug that they once showed."""

import pytest

from harness import image, own_image

RESTRICTED = "corei5_lynnfield_750"  # EPT without unrestricted guest


def test_exception_in_real_mode_has_no_error_code(boot):
    run = boot([f"{own_image('real_mode')} real"])
    run.has(r"real\.0: stopped: GUEST_RESET: reset by port 0x64")


def test_real_mode_needs_unrestricted_guest(boot):
    run = boot([f"{own_image('real_mode')} real", f"{image('hello')} good"], model=RESTRICTED)
    run.has(r"real\.0: stopped: UNSUPPORTED_MODE: .*unrestricted guest")
    run.ends(1, 2)


@pytest.mark.parametrize("model", ["", RESTRICTED])
def test_eip_wraps_behind_an_exit(boot, model):
    run = boot([f"{own_image('eip_wrap')} wrap"], model=model)
    run.has(r"wrap\.0: stopped: GUEST_RESET: reset by port 0x64")


def test_nmis_keep_coming(boot):
    run = boot([f"{own_image('probe_storm')} storm cmdline=\"signal=1 ms=20 gap=900\""],
               options="tour log=exits:EXCEPTION-OR-NMI")
    run.ends(1, 1)
    assert len(run.matches(r"storm\.0: exit 0 .* NMI ")) > 5


def test_cores_ask_each_other_for_signals(boot):
    run = boot([f"{own_image('probe_storm')} inits cmdline=\"signal=0 ms=150\"",
                f"{own_image('probe_storm')} interrupts cmdline=\"signal=2 ms=150\""],
               options="tour")
    run.has(r"an INIT stays pending here: this core starts anew")
    run.ends(2, 2)


@pytest.mark.parametrize("model", ["", RESTRICTED, "tigerlake"])
def test_registers_of_guests_on_one_core(boot, model):
    """Each witness keeps patterns of its own in general, SSE, AVX and debug registers and MSRs."""
    names = ["one", "two", "three"]
    run = boot([f'{image("witness")} {name} cmdline="ms=60"' for name in names], cpus=1,
               model=model, options="slice=100")
    run.ends(3, 3)
    for name in names:
        run.has(rf"{name}\| witness: \d+ rounds, memory intact")
        if model != RESTRICTED:  # which has no AVX
            run.has(rf"{name}\| witness: counting for 60 ms, with AVX")


def test_much_memory(boot):
    """A machine with memory above 4 GiB, a guest with a leaf of 1 GiB. No more than 2 GiB may be
    touched: beyond that Bochs 2.7 swaps to a file and loses writes."""
    run = boot([f"{image('hello')} large mem=1100M", f"{image('hello')} small"], cpus=1, mem=5120,
               timeout=200)
    run.ends(2, 2)
    top = run.has(r"atoll: memory: \d+ MiB usable in \d+ ranges, up to 0x([0-9a-f]+)")
    assert int(top[1], 16) > 1 << 32
    run.has(r"large\| RAM: 11263\d\d KiB")
