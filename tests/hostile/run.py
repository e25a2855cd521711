# SPDX-License-Identifier: MIT
"""Runs the hostile suite: boots the guests of table.py, several at once beside a witness and a
peer, judges each by its row, and writes a JUnit report.

A boot counts only if the witness kept its state and at least 90 % of its due, all frames came back
and were whose they should be, and nobody panicked (but where a row says so); otherwise all cases of
it have failed. The due is what its weight gives it when
all the others want to run all the time, so a guest that takes time outside of its share shows.
"""

import argparse
import concurrent.futures
import os
import pathlib
import re
import shutil
import sys
import xml.etree.ElementTree

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path.insert(0, str(ROOT / "iso"))

import judge
import machine
import make_iso
import signals
import table
import verdict

GUESTS_MAX = 24  # hostile vCPUs of a boot
CPUS = 2
MEMORY_MIB = 88
TIMEOUT = 240
OPTIONS = "selftest=hostile"
WITNESS_WEIGHT = 1000
WEIGHT = 100     # of all others
LEAST_MS = 250   # that each boot lasts, for the witness to be measured
KILL_MS = 10000  # when the peer stops those that do not end
LOOP_MS = 400    # the same where they are not meant to end by themselves


class Boot:
    """Cases that share a machine: the guests' lines, and afterwards what they said."""

    def __init__(self, name, cases, model=""):
        self.name = name
        self.model = model
        self.guests = [judge.Guest(case, way) for case, ways in cases for way in ways]
        cases = self.cases = [case for case, _ in cases]
        self.links = sum(case.links for case in cases)

    def lines(self, build):
        folder = build / "tests/hostile"
        loops = any("OPERATOR" in case.ends for case in self.cases)
        peer = f"ms={LEAST_MS} kill={LOOP_MS if loops else KILL_MS}"
        return [f"{build}/guests/witness.elf witness control mem=2M weight={WITNESS_WEIGHT} "
                f'cmdline="until=others"',
                f'{folder}/peer.elf peer control mem=2M cmdline="{peer}"',
                *(guest.line(folder) for guest in self.guests)]

    def due(self):
        """The part of a core that is the witness' when nobody else ever sleeps."""
        others = WEIGHT * (1 + sum(guest.case.vcpus for guest in self.guests))
        toll = min((case.toll for case in self.cases), default=1)
        return toll * min(1, CPUS * WITNESS_WEIGHT / (WITNESS_WEIGHT + others))

    def run(self, build, folder):
        """Boots; returns what the serial console said and the complaint of the emulator."""
        first = self.cases[0] if self.cases else table.Case("", "")
        iso = folder / f"{self.name}.iso"
        options = first.options if "selftest=" in first.options else \
            f"{OPTIONS} {first.options}".strip()
        make_iso.make_iso(iso, build / "atoll.elf", [make_iso.Entry(
            "hostile", make_iso.ends_by_itself(options), self.lines(build))])
        try:
            spec = machine.Spec(iso=iso, machine="bochs", cpus=CPUS, mem=MEMORY_MIB,
                                cpu_model=self.model, timeout=TIMEOUT)
            result = machine.boot(spec, scratch=folder)
        finally:
            iso.unlink(missing_ok=True)
        (folder / f"{self.name}.txt").write_text(result.text)
        return result


def packed(cases):
    """The boots that all `cases` need."""
    groups = {}
    for case in cases:
        for model in case.models:
            groups.setdefault((case.boot, case.options, model), []).append(case)
    boots = []
    for (*_, model), members in groups.items():
        chunk, weight = [], 0
        for case in members:
            ways = range(len(case.ends))
            while ways:
                part, ways = ways[:GUESTS_MAX // case.vcpus], ways[GUESTS_MAX // case.vcpus:]
                if chunk and weight + case.vcpus * len(part) > GUESTS_MAX:
                    boots.append((chunk, model))
                    chunk, weight = [], 0
                chunk.append((case, part))
                weight += case.vcpus * len(part)
        boots.append((chunk, model))
    names = [f"{chunk[0][0].number}-{chunk[-1][0].number}" for chunk, _ in boots]
    return [Boot(f"{name}-{i}" if names.count(name) > 1 else name, chunk, model)
            for i, (name, (chunk, model)) in enumerate(zip(names, boots))]


def defined(test):
    """Is the test there that a row names?"""
    path, _, name = test.partition("::")
    file = ROOT / path
    return file.exists() and re.search(rf"\b{re.escape(name)}\b", file.read_text()) is not None


def problems_of_table():
    """What is wrong with the table itself: files without a row, rows without a file or a test."""
    rows = {case.number: case for case in table.CASES}
    wrong = [] if len(rows) == len(table.CASES) else ["a number stands twice in the table"]
    files = {path.stem.upper() for path in HERE.glob("[a-z][0-9][0-9].c")}
    wrong += [f"{number}: no file" for number, case in rows.items()
              if case.ends and case.ends != (table.REFUSED,) and number not in files]
    wrong += [f"{number}: a file, and the row has no end" for number in files
              if number not in rows or not rows[number].ends]
    wrong += [f"{number}: no test {test}" for number, case in rows.items()
              for test in case.elsewhere if not defined(test)]
    wrong += [f"{number}: neither an end, nor a reason, nor tests" for number, case in rows.items()
              if not (case.ends or case.skip or case.elsewhere)]
    return wrong


def judged(boots, build, jobs):
    """Runs all boots; returns {number: [what is wrong]}."""
    folder = build / "hostile"
    folder.mkdir(exist_ok=True)
    solo = Boot("solo", [])
    alone = solo.run(build, folder)
    rate = judge.witness_rate(alone.lines)
    wrong = judge.boot_problems(alone, solo, rate) if rate else ["the witness alone did not end"]
    if wrong:
        print(alone.text, "solo: " + "; ".join(wrong), sep="\n", flush=True)
        return {case.number: ["the boot of the witness alone failed"]
                for boot in boots for case in boot.cases}
    verdicts = {}
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        runs = {pool.submit(boot.run, build, folder): boot for boot in boots}
        for run in concurrent.futures.as_completed(runs):
            boot, result = runs[run], run.result()
            panics = any(guest.end == table.PANIC for guest in boot.guests)
            shared = judge.panic_problems(result, build / "atoll.elf") if panics else \
                judge.boot_problems(result, boot, rate)
            if panics and not shared:  # what a panic keeps is of no use
                shutil.rmtree(re.search(r"\(its files are in (.*)\)$", result.complaint)[1])
            kept = "until the panic" if panics else \
                f"the witness had {100 * judge.witness_rate(result.lines) / rate:.0f} % of what " \
                f"it has alone, {100 * boot.due():.0f} % are due"
            print(f"{boot.name}: {len(boot.guests)} guests, {result.elapsed:.0f} s, {kept}",
                  flush=True)
            for problem in shared:
                print(f"  FAILED: {problem} (see {folder / boot.name}.txt)", flush=True)
            for guest in boot.guests:
                own = shared + judge.guest_problems(result.lines, guest)
                verdicts.setdefault(guest.case.number, []).extend(own)
    return verdicts


def report(verdicts, path):
    """Prints and writes the outcomes; returns how many passed, failed, were skipped."""
    suite = xml.etree.ElementTree.Element("testsuite", name="hostile")
    count = {"passed": 0, "failed": 0, "skipped": 0, "held by other suites": 0}
    for case in table.CASES:
        element = xml.etree.ElementTree.SubElement(
            suite, "testcase", classname="hostile", name=f"{case.number} {case.statement}")
        if case.number in verdicts:
            wrong = verdicts[case.number]
            count["failed" if wrong else "passed"] += 1
            if wrong:
                text = "; ".join(dict.fromkeys(wrong))
                print(f"{case.number} {case.statement}: FAILED: {text}", flush=True)
                xml.etree.ElementTree.SubElement(element, "failure", message=text)
        elif case.ends:
            suite.remove(element)  # not asked for
        else:
            reason = case.skip or "held by " + ", ".join(case.elsewhere)
            count["skipped" if case.skip else "held by other suites"] += 1
            xml.etree.ElementTree.SubElement(element, "skipped", message=reason)
    path.parent.mkdir(parents=True, exist_ok=True)
    xml.etree.ElementTree.ElementTree(suite).write(path)
    print("hostile: " + ", ".join(f"{number} {what}" for what, number in count.items()),
          flush=True)
    return count["failed"]


def main():
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("--build", required=True, type=pathlib.Path, metavar="DIR")
    parser.add_argument("--report", required=True, type=pathlib.Path, metavar="FILE")
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)),
                        help="emulators at once")
    parser.add_argument("--seeds", type=int, default=table.SEEDS, metavar="N",
                        help="random guests (default %(default)s)")
    parser.add_argument("--list", action="store_true", help="print the table")
    parser.add_argument("numbers", nargs="*", metavar="NUMBER", help="only these (B: all of B)")
    arguments = parser.parse_args()
    if arguments.list:
        for case in table.CASES:
            print(f"{case.number}  {case.statement}: " + (", ".join(case.ends) or case.skip or
                  "held by " + ", ".join(case.elsewhere)))
        return 0
    if wrong := problems_of_table():
        print("\n".join(wrong))
        return 1
    wanted = [case for case in table.with_seeds(arguments.seeds) if case.ends and
              (not arguments.numbers or
               any(case.number.startswith(number.upper()) for number in arguments.numbers))]
    verdicts = judged(packed(wanted), arguments.build.resolve(), arguments.jobs)
    return 1 if report(verdicts, arguments.report) else 0


if __name__ == "__main__":
    try:
        signals.unwind()
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(verdict.INTERRUPTED)
