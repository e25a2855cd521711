# SPDX-License-Identifier: MIT
"""A trace as JSON in the Trace Event Format, for ui.perfetto.dev and chrome://tracing: a process
for each VM with a thread for each vCPU, and one for the cores with a thread for each of them."""

import bisect

CORES = 0x10001  # number of the process of the cores, behind that of any VM
THREADS = 256    # of a process, so that no two threads have the same number

# SDM 24.8.3, bits 10:8 of the VM-entry interruption information.
EVENT_TYPES = {0: "interrupt", 2: "NMI", 3: "exception", 4: "software interrupt",
               5: "privileged exception", 6: "software exception", 7: "MTF"}


def of(dump, timeline):
    """The JSON object of a trace."""
    names = Names(dump)
    writer = _Writer(dump, timeline, names)
    writer.cores()
    writer.processes()
    for vcpu in timeline.vcpus:
        writer.vcpu(vcpu)
    writer.instants()
    writer.arrows()
    # Slices of a thread that begin together: the outer one first.
    writer.events.sort(key=lambda event: (event["ts"], -event.get("dur", 0)))
    return {"traceEvents": writer.metadata + writer.events, "displayTimeUnit": "ns",
            "otherData": {"TSC": f"{dump.frequency} Hz",
                          "overwritten events": sum(dump.overwritten().values())}}


class Names:
    """How VMs and vCPUs are called."""

    def __init__(self, dump):
        self.names = dump.names()

    def vm(self, vm):
        return self.names.get(vm, f"VM {vm}")

    def vcpu(self, vcpu):
        return f"{self.vm(vcpu[0])}.{vcpu[1]}"


def injected(information):
    """What a VM-entry interruption information delivers."""
    kind, vector = information >> 8 & 7, information & 0xFF
    if kind in (2, 7):
        return EVENT_TYPES[kind]
    return f"{EVENT_TYPES.get(kind, 'event')} {vector:#04x}"


class _Writer:
    def __init__(self, dump, timeline, names):
        self.dump = dump
        self.timeline = timeline
        self.names = names
        self.metadata = []
        self.events = []

    def nanoseconds(self, ticks):
        return (ticks - self.timeline.begin) * 10**9 // self.dump.frequency

    def event(self, phase, name, process, thread, ticks, **more):
        self.events.append({"ph": phase, "name": name, "pid": process,
                            "tid": process * THREADS + thread,
                            "ts": self.nanoseconds(ticks) / 1000, **more})

    def slice(self, name, process, thread, begin, end, **args):
        """The length is the difference of rounded times: what is nested stays nested."""
        length = self.nanoseconds(end) - self.nanoseconds(begin)
        self.event("X", name, process, thread, begin, dur=length / 1000, args=args)

    def name(self, kind, text, process, thread=0):
        """Of a process or a thread, with its place among the others."""
        number = process * THREADS + thread
        place = process % CORES if kind == "process" else thread  # the cores come first
        for what, args in (("name", {"name": text}), ("sort_index", {"sort_index": place})):
            self.metadata.append({"ph": "M", "name": f"{kind}_{what}", "pid": process,
                                  "tid": number, "args": args})

    def cores(self):
        self.name("process", "cores", CORES)
        overwritten = self.dump.overwritten()
        for core, slices in self.timeline.cores.items():
            self.name("thread", f"core {core}", CORES, core)
            if overwritten[core]:
                self.event("i", "earlier events were overwritten", CORES, core,
                           self.timeline.known[core], s="t", args={"events": overwritten[core]})
            for piece in slices:
                self.slice(self.names.vcpu(piece.vcpu), CORES, core, piece.begin, piece.end,
                           exits=len(piece.exits))

    def processes(self):
        """One for each VM that anything happens to."""
        vms = {vm for vm, _ in self.timeline.vcpus}
        for event in self.timeline.events:
            if event.kind == "doorbell":
                vms |= {event.fields.vm, event.fields.to}
        for vm in sorted(vms):
            self.name("process", self.names.vm(vm), vm + 1)

    def vcpu(self, vcpu):
        vm, index = vcpu
        self.name("thread", self.names.vcpu(vcpu), vm + 1, index)
        for piece in self.timeline.vcpus[vcpu]:
            self.slice("running", vm + 1, index, piece.begin, piece.end, core=piece.core)
            for begin, end, event in piece.exits:
                fields = event.fields
                self.slice(self.dump.exit_name(fields.reason), vm + 1, index, begin, end,
                           rip=f"{fields.rip:#x}", qualification=f"{fields.qualification:#x}",
                           cost_ticks=fields.cost, cpu=event.core)
        for begin, end in self.timeline.sleeps[vcpu]:
            self.slice("asleep", vm + 1, index, begin, end)

    def instants(self):
        for event in self.timeline.events:
            if event.kind not in ("inject", "wake", "migrate", "doorbell", "stop"):
                continue
            fields, args, scope, name = event.fields, {"cpu": event.core}, "t", event.kind
            thread = 0 if event.kind == "doorbell" else fields.vcpu
            if event.kind == "inject":
                name = f"inject {injected(fields.information)}"
                args["information"] = f"{fields.information:#010x}"
            elif event.kind == "migrate":
                name = f"migrate to core {fields.to}"
                args["to"] = fields.to
            elif event.kind == "doorbell":
                name = f"doorbell to {self.names.vm(fields.to)}"
                args["to"] = fields.to
                thread = self.who_rings(event)[1]
            elif event.kind == "stop":
                name = f"stop: {self.dump.stop_name(fields.reason)}"
                args["reason"], scope = fields.reason, "p"
            self.event("i", name, fields.vm + 1, thread, event.time, s=scope, args=args)

    def who_rings(self, event):
        """The vCPU that a doorbell is of: which one runs there; else (a VM that goes) the first."""
        slices = self.timeline.cores[event.core]
        at = bisect.bisect_right(slices, event.time, key=lambda piece: piece.begin) - 1
        if at >= 0 and event.time <= slices[at].end and slices[at].vcpu[0] == event.fields.vm:
            return slices[at].vcpu
        return (event.fields.vm, 0)

    def arrows(self):
        """From a doorbell to the next slice of the vCPU that slept when it came, and was woken."""
        bells = {}
        for event in self.timeline.events:
            if event.kind == "doorbell":
                bells.setdefault(event.fields.to, []).append(event)
        number = 0
        for (vm, index), sleeps in self.timeline.sleeps.items():
            rings = bells.get(vm, [])
            slices = self.timeline.vcpus[vm, index]
            for begin, end in sleeps:
                at = bisect.bisect_left(rings, begin, key=lambda event: event.time)
                after = bisect.bisect_left(slices, end, key=lambda piece: piece.begin)
                if at == len(rings) or rings[at].time > end or after == len(slices):
                    continue
                bell, number = rings[at], number + 1
                sender, thread = self.who_rings(bell)
                if (sender, thread) not in self.timeline.vcpus:
                    continue
                self.event("s", "doorbell", sender + 1, thread, bell.time, cat="doorbell",
                           id=number)
                self.event("f", "doorbell", vm + 1, index, slices[after].begin, cat="doorbell",
                           id=number, bp="e")
