# SPDX-License-Identifier: MIT
"""Atoll's figures beside those of Linux 6.1's KVM for the same work, as a picture.

KVM's were measured in the same Bochs 2.7, with the same CPU model and one CPU: a minimal static VMM
as /init, RDTSC in the guest, the empty loop taken off. "defaults" are the kernel's, "best" is with
mitigations=off.
"""

import matplotlib

matplotlib.use("Agg")  # no display is needed
import matplotlib.figure

KVM = {  # name: (what it is, defaults, best)
    "hypercall_null": ("null hypercall", 1_099, 1_015),
    "cpuid": ("CPUID leaf 0", 1_061, 977),
    "rdmsr": ("RDMSR", 1_181, 1_097),
    "out_device": ("OUT to a device", 3_107, 2_995),
    "ept_zero_page": ("fresh page, besides clearing", 3_006, 2_879),
    "self_ipi": ("self-IPI to handler", 2_582, 2_500),
    "hlt_wake": ("timer to handler, asleep", 6_457, 6_355),
    "vm_create": ("create a VM", 616_000, 601_000),
    "boot_first_guest": ("boot to the first exit", 2_133_000_000, 2_133_000_000),
}
COLOURS = {"Atoll": "#0072b2", "KVM at its best": "#e69f00", "KVM, defaults": "#999999"}
BAR = 0.27


def draw(rows, path):
    """Writes a PNG with those of the rows that KVM has too."""
    chosen = [row for row in rows if row.name in KVM]
    figure = matplotlib.figure.Figure(figsize=(12, 1.6 + 0.75 * len(chosen)), dpi=100)
    axes = figure.add_subplot()
    for at, row in enumerate(chosen):
        _, defaults, best = KVM[row.name]
        for number, (who, value) in enumerate(zip(COLOURS, (row.value, best, defaults))):
            place = at + (number - 1) * BAR
            axes.barh(place, value, BAR, color=COLOURS[who], label=who if at == 0 else None)
            axes.annotate(f"{value:,}", (value, place), (4, 0), textcoords="offset points",
                          va="center", fontsize=8)
    axes.set_yticks(range(len(chosen)), [KVM[row.name][0] for row in chosen])
    axes.invert_yaxis()
    axes.set_xscale("log")
    axes.margins(x=0.15)
    axes.set_xlabel("instructions (TSC ticks of Bochs with one CPU), logarithmic; fewer is better")
    axes.set_title("What the same work costs in the same emulator")
    axes.legend(loc="upper right")
    axes.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    figure.savefig(path, format="png")
