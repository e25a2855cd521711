# SPDX-License-Identifier: MIT
"""Every CPU model of Bochs: it runs `hello`, or Atoll refuses it in the words of the manual."""

import pytest

import bochs

RUNS = [
    "corei5_lynnfield_750",  # EPT, but no unrestricted guest
    "corei5_arrandale_m520",
    "corei7_sandy_bridge_2600k",
    "corei7_ivy_bridge_3770k",
    "corei7_haswell_4770",
    "broadwell_ult",
    "corei7_skylake_x",
    "corei3_cnl",
    "corei7_icelake_u",
    "tigerlake",
]

# VMX, but no secondary controls or no EPT in them.
NO_EPT = ["bx_generic", "core2_penryn_t9600"]

NO_VMX = [
    "p4_prescott_celeron_336",
    "athlon64_clawhammer",
    "athlon64_venice",
    "turion64_tyler",
    "phenom_8650_toliman",
    "zambezi",
    "trinity_apu",
    "ryzen",
]

NO_LONG_MODE = [
    "pentium",
    "pentium_mmx",
    "amd_k6_2_chomper",
    "p2_klamath",
    "p3_katmai",
    "p4_willamette",
    "core_duo_t2400_yonah",
    "atom_n270",
]


def test_the_lists_are_complete():
    assert sorted(RUNS + NO_EPT + NO_VMX + NO_LONG_MODE) == sorted(bochs.models())


@pytest.mark.parametrize("model", RUNS)
def test_runs(boot_demo, model):
    run, _ = boot_demo("hello", model=model)
    run.ends(3, 3)


@pytest.mark.parametrize("model", NO_EPT)
def test_refuses_without_ept(boot_demo, model):
    run, _ = boot_demo("hello", model=model)
    run.refuses(r"lacks \"enable EPT\"")


@pytest.mark.parametrize("model", NO_VMX)
def test_refuses_without_vmx(boot_demo, model):
    run, _ = boot_demo("hello", model=model)
    run.refuses(r"VMX \(CPUID.*ECX.*5")


@pytest.mark.parametrize("model", NO_LONG_MODE)
def test_refuses_without_long_mode(boot_demo, model):
    run, _ = boot_demo("hello", model=model)
    run.refuses(r"no long mode \(CPUID 0x80000001 EDX bit 29\)")
