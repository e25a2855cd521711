# SPDX-License-Identifier: MIT
"""A picture of a trace: above, which vCPU ran when on which core; below, what exits cost."""

import collections
import dataclasses

import matplotlib

matplotlib.use("Agg")  # no display is needed
import matplotlib.colors
import matplotlib.figure
import matplotlib.patches
import matplotlib.ticker
import numpy

import chrome

SIZE, DPI = (16, 10), 100  # inches; 1600 x 1000 pixels
WINDOW_MS = 20             # more than this of a timeline is hard to read
# Okabe and Ito's colours and four of Paul Tol's: to be told apart whatever one's eyes see.
PALETTE = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#f0e442", "#7f7f7f",
           "#332288", "#999933", "#882255", "#44bb99")
MANY = matplotlib.colormaps["viridis"]  # for more VMs than that
DARK, LIGHT = "#1a1a1a", "#e4e4e4"
TOP, OVERVIEW = 0.905, 0.075  # of the panels, and the height of one: fractions of the picture
ROW = 0.8                  # height of a core's bars; rows are 1 apart
HYPERVISOR = 0.2           # of it: the strip in which exits are handled
LABEL_PIXELS = 9, 15       # a character of a label in a bar: its width and the height of a line
WAKES_MAX = 60             # more marks than this would hide one another
REASONS_MAX = 10
POINTS_MAX = 400           # of a reason, beside its box


@dataclasses.dataclass
class Window:
    """What of the timeline is shown, in ms from its begin."""
    begin: float
    end: float
    whole: float

    def is_part(self):
        return self.end - self.begin < self.whole * 0.999


def draw(dump, timeline, path, begin=None, end=None):
    """Writes a PNG to `path`; `begin` and `end` choose the window, in ms from the first event."""
    picture = _Picture(dump, timeline, begin, end)
    picture.draw()
    picture.figure.savefig(path, format="png", dpi=DPI)


class _Picture:
    def __init__(self, dump, timeline, begin, end):
        self.dump = dump
        self.timeline = timeline
        self.names = chrome.Names(dump)
        self.window = self.choose_window(begin, end)
        self.vms = sorted({vm for vm, _ in timeline.vcpus})
        self.by_vm = len(timeline.vcpus) > len(PALETTE)
        self.figure = matplotlib.figure.Figure(figsize=SIZE, dpi=DPI)

    def ms(self, ticks):
        return (ticks - self.timeline.begin) * 1000 / self.dump.frequency

    def choose_window(self, begin, end):
        """What is asked for, or all; of what is long a part with as many vCPUs in it as there can
        be, and with a usual number of slices."""
        whole = max(self.ms(self.timeline.end), 1e-6)
        if begin is not None or end is not None:
            begin = min(max(begin or 0, 0), whole)
            end = min(whole if end is None else end, whole)
            return Window(begin, end, whole) if begin < end else Window(0, whole, whole)
        if whole <= WINDOW_MS:
            return Window(0, whole, whole)
        steps = numpy.linspace(0, whole - WINDOW_MS, 200)
        spans = [(piece.vcpu, self.ms(piece.begin), self.ms(piece.end))
                 for pieces in self.timeline.cores.values() for piece in pieces]
        known = [self.ms(ticks) for ticks in self.timeline.known.values()]

        def richness(start):
            seen = [vcpu for vcpu, first, last in spans
                    if last >= start and first <= start + WINDOW_MS]
            return (sum(time <= start for time in known), len(set(seen)), len(seen))

        rich = {start: richness(start) for start in steps}
        best = [start for start in steps if rich[start][:2] == max(rich.values())[:2]]
        start = sorted(best, key=lambda start: rich[start][2])[len(best) // 2]
        return Window(start, start + WINDOW_MS, whole)

    def color(self, vcpu):
        if not self.by_vm:
            return PALETTE[list(self.timeline.vcpus).index(vcpu)]
        place = self.vms.index(vcpu[0])
        if len(self.vms) <= len(PALETTE):
            return PALETTE[place]
        return MANY(place / (len(self.vms) - 1))

    def draw(self):
        cores = len(self.timeline.cores)
        top = TOP
        if self.window.is_part():
            self.overview(self.panel(top, OVERVIEW))
            top -= OVERVIEW + 0.06
        height = min(0.2 + 0.04 * cores, 0.36)
        axes = self.panel(top, height)
        self.rows(axes)
        self.legend(axes)
        top -= height + 0.145
        self.costs(self.panel(top, top - 0.075))
        overwritten = sum(self.dump.overwritten().values())
        names = ", ".join(map(self.names.vm, self.vms)) if len(self.vms) <= 6 else \
            f"{self.names.vm(self.vms[0])} … {self.names.vm(self.vms[-1])} ({len(self.vms)} VMs)"
        self.figure.text(0.5, 0.972, f"{names} on {cores} core{'s'[:cores != 1]}", ha="center",
                         va="center", fontsize=18, weight="bold")
        self.figure.text(
            0.5, 0.942, f"{self.window.whole:,.1f} ms, {len(self.timeline.events):,} events" +
            (f", {overwritten:,} earlier ones overwritten" if overwritten else ""),
            ha="center", va="center", fontsize=12, color="#555555")

    def panel(self, top, height):
        """Axes, by fractions of the picture."""
        return self.figure.add_axes((0.135, top - height, 0.74, height))

    def bars(self, axes, height, begin, end):
        """The slices of each core that reach into these ms, as a row of bars; returns them."""
        shown = []
        for row, (core, pieces) in enumerate(self.timeline.cores.items()):
            known = self.ms(self.timeline.known[core])
            if known > begin:
                axes.add_patch(matplotlib.patches.Rectangle(
                    (begin, row - height / 2), known - begin, height, facecolor="white",
                    edgecolor="#bbbbbb", hatch="////", linewidth=0))
            pieces = [piece for piece in pieces
                      if self.ms(piece.end) >= begin and self.ms(piece.begin) <= end]
            axes.broken_barh(
                [(self.ms(piece.begin), self.ms(piece.end) - self.ms(piece.begin))
                 for piece in pieces], (row - height / 2, height),
                facecolors=[self.color(piece.vcpu) for piece in pieces], linewidth=0)
            shown += [(row, piece) for piece in pieces]
        axes.set_xlim(begin, end)
        axes.set_ylim(len(self.timeline.cores) - 0.45, -0.55)
        axes.set_facecolor("#f7f7f7")
        for side in ("top", "right", "left"):
            axes.spines[side].set_visible(False)
        return shown

    def overview(self, axes):
        """All of the trace, and where in it the window lies."""
        window = self.window
        self.bars(axes, 0.9, 0, window.whole)
        axes.axvspan(window.begin, window.end, facecolor="none", edgecolor=DARK, linewidth=1.8)
        axes.set_yticks([])
        axes.set_ylabel("whole trace\nin ms", rotation=0, ha="right", va="center", fontsize=12)
        axes.xaxis.set_major_locator(matplotlib.ticker.MaxNLocator(12))
        axes.tick_params(labelsize=10, pad=2)

    def rows(self, axes):
        window = self.window
        shown = self.bars(axes, ROW, window.begin, window.end)
        pixel = (window.end - window.begin) / (SIZE[0] * DPI * 0.74)
        for row, piece in shown:
            exits = [(self.ms(begin), max(self.ms(end) - self.ms(begin), pixel))
                     for begin, end, _ in piece.exits]
            axes.broken_barh(exits, (row + ROW / 2 - ROW * HYPERVISOR, ROW * HYPERVISOR),
                             facecolors=DARK, linewidth=0)
            self.label(axes, row, piece, pixel)
        self.wakes(axes)
        axes.set_yticks(range(len(self.timeline.cores)),
                        [f"core {core}" for core in self.timeline.cores], fontsize=12)
        axes.tick_params(axis="y", length=0)
        axes.tick_params(axis="x", labelsize=11)
        axes.xaxis.set_major_locator(matplotlib.ticker.MaxNLocator(11))
        axes.set_xlabel("ms since the first event", fontsize=12)

    def label(self, axes, row, piece, pixel):
        """The name in a bar that has room for it."""
        begin = max(self.ms(piece.begin), self.window.begin)
        end = min(self.ms(piece.end), self.window.end)
        name = self.short(piece.vcpu)
        width, height = LABEL_PIXELS
        length = width * (len(name) + 1)
        upright = (end - begin) / pixel < length
        row_pixels = axes.get_position().height * SIZE[1] * DPI / len(self.timeline.cores)
        if upright and ((end - begin) / pixel < height or
                        row_pixels * ROW * (1 - HYPERVISOR) < length) or row_pixels < 2 * height:
            return
        red, green, blue = matplotlib.colors.to_rgb(self.color(piece.vcpu))
        bright = 0.299 * red + 0.587 * green + 0.114 * blue > 0.5
        axes.text((begin + end) / 2, row - ROW * HYPERVISOR / 2, name, ha="center",
                  va="center_baseline" if upright else "center", fontsize=10,
                  rotation=90 if upright else 0, color=DARK if bright else "white", clip_on=True)

    def short(self, vcpu):
        """Without the number of a vCPU that is its VM's only one."""
        alone = sum(vm == vcpu[0] for vm, _ in self.timeline.vcpus) == 1
        return self.names.vm(vcpu[0]) if alone else self.names.vcpu(vcpu)

    def wakes(self, axes):
        """A mark where a sleeper was woken, if they can be told apart."""
        row_of = {core: row for row, core in enumerate(self.timeline.cores)}
        wakes = [event for event in self.timeline.events if event.kind == "wake" and
                 self.window.begin <= self.ms(event.time) <= self.window.end]
        self.marks = 0 < len(wakes) <= WAKES_MAX
        if self.marks:
            axes.scatter([self.ms(event.time) for event in wakes],
                         [row_of[event.core] - ROW / 2 - 0.03 for event in wakes],
                         marker="v", s=34, linewidths=0.5, edgecolors=DARK, zorder=3,
                         c=[self.color((event.fields.vm, event.fields.vcpu)) for event in wakes],
                         clip_on=False)

    def legend(self, axes):
        handles = []
        gradient = self.by_vm and len(self.vms) > len(PALETTE)
        if not gradient:
            shown = [((vm, 0), self.names.vm(vm)) for vm in self.vms] if self.by_vm else \
                [(vcpu, self.short(vcpu)) for vcpu in self.timeline.vcpus]
            handles += [matplotlib.patches.Patch(color=self.color(vcpu), label=_shortened(name))
                        for vcpu, name in shown]
        handles.append(matplotlib.patches.Patch(color=DARK, label="handling exits"))
        if self.marks:
            handles.append(axes.scatter([], [], marker="v", s=34, linewidths=0.5, c="white",
                                        edgecolors=DARK, label="woken"))
        if any(self.ms(ticks) > self.window.begin for ticks in self.timeline.known.values()):
            handles.append(matplotlib.patches.Patch(
                facecolor="white", edgecolor="#bbbbbb", hatch="////", label="overwritten"))
        axes.legend(handles=handles, loc="upper left", bbox_to_anchor=(1.005, 1.03),
                    frameon=False, fontsize=11, handlelength=1.2, borderaxespad=0.3)
        if gradient:
            self.gradient(axes, len(handles))

    def gradient(self, axes, above):
        """Below the rest of the legend: the colours of many VMs and the names of some."""
        bar = axes.inset_axes([1.02, 0, 0.018, 0.93 - 0.085 * above])
        count = len(self.vms)
        bar.imshow(numpy.arange(count).reshape(-1, 1), cmap=MANY, aspect="auto")
        places = range(0, count, (count + 7) // 8)
        bar.set_yticks(places, [_shortened(self.names.vm(self.vms[place])) for place in places],
                       fontsize=11)
        bar.yaxis.tick_right()
        bar.set_xticks([])

    # ---- What exits cost

    def reasons(self):
        """(label, costs in ticks), by how much time they took in all; what is rare as one."""
        costs = collections.defaultdict(list)
        for event in self.timeline.events:
            if event.kind == "exit":
                costs[self.dump.exit_name(event.fields.reason)].append(event.fields.cost)
        rows = sorted(costs.items(), key=lambda row: -sum(row[1]))
        if len(rows) > REASONS_MAX:
            rest = rows[REASONS_MAX - 1:]
            rows[REASONS_MAX - 1:] = [(f"{len(rest)} others",
                                       [cost for _, values in rest for cost in values])]
        return rows

    def costs(self, axes):
        rows = self.reasons()
        axes.set_title("What handling an exit costs, by its reason, in the whole trace",
                       fontsize=14, loc="left", pad=30)
        if not rows:
            axes.text(0.5, 0.5, "no exits", ha="center", transform=axes.transAxes, fontsize=13)
            axes.set_axis_off()
            return
        total = max(sum(sum(costs) for _, costs in rows), 1)
        random = numpy.random.default_rng(1)  # the same picture each time
        for row, (_, costs) in enumerate(rows):
            values = numpy.maximum(numpy.array(costs), 1)
            points = values if len(values) <= POINTS_MAX else \
                numpy.concatenate([random.choice(values, POINTS_MAX), [values.min(), values.max()]])
            axes.scatter(points, row + random.uniform(-0.26, 0.26, len(points)), s=7,
                         color=PALETTE[0], alpha=0.35, linewidths=0)
            axes.boxplot([values], positions=[row], vert=False, widths=0.62, whis=(1, 99),
                         showfliers=False, boxprops={"color": DARK}, whiskerprops={"color": DARK},
                         capprops={"color": DARK}, manage_ticks=False,
                         medianprops={"color": PALETTE[5], "linewidth": 2.5})
        self.columns(axes, rows, total)
        axes.set_xscale("log")
        axes.set_ylim(len(rows) - 0.4, -0.6)
        axes.set_yticks(range(len(rows)), [_shortened(name, 18) for name, _ in rows], fontsize=12)
        axes.tick_params(axis="y", length=0)
        axes.tick_params(axis="x", labelsize=11)
        _log_ticks(axes.xaxis, lambda x, _: f"{x:,.0f}")
        axes.set_xlabel(f"cost in ticks of the TSC ({self.dump.frequency / 1e6:,.0f} MHz); "
                        "box: quartiles and median, whiskers: 1 % to 99 %", fontsize=12)
        axes.grid(axis="x", color=LIGHT)
        axes.set_axisbelow(True)
        for side in ("top", "right", "left"):
            axes.spines[side].set_visible(False)
        scale = 1e6 / self.dump.frequency
        above = axes.secondary_xaxis("top", functions=(lambda x: x * scale, lambda x: x / scale))
        _log_ticks(above.xaxis, lambda x, _: f"{x:g} µs")
        above.tick_params(labelsize=10, colors="#555555")
        above.spines["top"].set_color("#bbbbbb")

    def columns(self, axes, rows, total):
        """Figures on the right: how many, and their share of the time of all."""
        def write(place, row, text, **more):
            axes.text(place, row, text, transform=axes.get_yaxis_transform(), ha="right",
                      va="center", fontsize=12, **more)

        for place, text in ((1.065, "count"), (1.14, "time")):
            axes.annotate(text, (place, 1), xycoords="axes fraction", xytext=(0, 10),
                          textcoords="offset points", ha="right", fontsize=12, color="#555555")
        for row, (_, costs) in enumerate(rows):
            write(1.065, row, f"{len(costs):,}")
            write(1.14, row, f"{100 * sum(costs) / total:.1f} %")


def _log_ticks(axis, text):
    """Labels at 1, 2 and 5 of each decade."""
    axis.set_major_locator(matplotlib.ticker.LogLocator(subs=(1, 2, 5)))
    axis.set_major_formatter(matplotlib.ticker.FuncFormatter(text))
    axis.set_minor_locator(matplotlib.ticker.NullLocator())


def _shortened(text, length=14):
    return text if len(text) <= length else text[:length - 1] + "…"
