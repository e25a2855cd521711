# SPDX-License-Identifier: MIT
"""Starts QEMU: with KVM where the host offers VMX, else with TCG, which simulates no VMX."""

import os
import pathlib
import re
import subprocess

MAX_CPUS = 288  # of its machine q35
OVMF = pathlib.Path("/usr/share/OVMF/OVMF_CODE.fd")


def vmx_usable():
    """Whether a guest of KVM could run VMX here."""
    try:
        flags = pathlib.Path("/proc/cpuinfo").read_text()
    except OSError:
        return False
    try:
        nested = pathlib.Path("/sys/module/kvm_intel/parameters/nested").read_text().strip()
    except OSError:
        return False
    return re.search(r"^flags\s*:.*\bvmx\b", flags, re.MULTILINE) is not None \
        and nested in ("Y", "1") and os.access("/dev/kvm", os.R_OK | os.W_OK)


def models():
    """The CPU models that this QEMU knows."""
    result = subprocess.run(["qemu-system-x86_64", "-cpu", "help"], stdin=subprocess.DEVNULL,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                            check=False)
    return re.findall(r"^x86 (\S+)", result.stdout, re.MULTILINE)


def command(spec):
    """The command; the serial console is its standard input and output."""
    kvm = vmx_usable()
    words = ["qemu-system-x86_64", "-machine", "q35", "-accel", "kvm" if kvm else "tcg",
             "-cpu", spec.cpu_model or ("host" if kvm else "max"), "-smp", str(spec.cpus),
             "-m", str(spec.mem), "-cdrom", str(spec.iso), "-boot", "d", "-serial", "stdio",
             "-monitor", "none", "-display", "none", "-nic", "none", "-no-reboot"]
    if spec.trace:
        words += ["-serial", f"file:{spec.trace}"]
    if spec.uefi:
        words += ["-drive", f"if=pflash,format=raw,unit=0,readonly=on,file={OVMF}"]
    return words, None
