# SPDX-License-Identifier: MIT
"""QEMU simulates no VMX without KVM: an image booted by BIOS or UEFI ends in a clear refusal."""

import pytest

import qemu


@pytest.mark.skipif(qemu.vmx_usable(), reason="with KVM, QEMU has VMX: nothing is refused")
@pytest.mark.parametrize("uefi", [False, True], ids=["bios", "uefi"])
def test_refuses_without_vmx(boot_demo, uefi):
    run, _ = boot_demo("hello", on="qemu", uefi=uefi)
    run.refuses(r"VMX \(CPUID.*ECX.*5")


@pytest.mark.skipif(not qemu.vmx_usable(), reason="needs KVM with nested VMX")
@pytest.mark.parametrize("uefi", [False, True], ids=["bios", "uefi"])
def test_runs_in_kvm(boot_demo, uefi):
    run, _ = boot_demo("hello", on="qemu", uefi=uefi)
    run.ends(3, 3)
