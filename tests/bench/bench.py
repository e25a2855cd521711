# SPDX-License-Identifier: MIT
"""Measures the figures that Atoll promises and prints them beside their budgets.

Exit status: 0 when all are within their budgets, 1 when one is not, 2 for wrong usage.
"""

import argparse
import concurrent.futures
import json
import os
import pathlib
import sys

import figures  # first: it says where the next ones are
import make_iso
import signals
import verdict


def parse(words):
    parser = argparse.ArgumentParser(prog="atoll bench", allow_abbrev=False,
                                     usage="./atoll bench [--json FILE] [--compare FILE] "
                                           "[--plot OUT.png] [NAME...] "
                                           "(more: ./atoll help bench)")
    parser.add_argument("--build", default="build", type=pathlib.Path, metavar="DIR")
    parser.add_argument("--check", action="store_true", help="only check the command line")
    parser.add_argument("--json", metavar="FILE", help="write the rows to FILE too")
    parser.add_argument("--compare", metavar="FILE", help="say what changed since FILE was written")
    parser.add_argument("--plot", metavar="OUT.png", help="draw them beside KVM's")
    parser.add_argument("--list", action="store_true", help="print the names of all figures")
    parser.add_argument("names", nargs="*", metavar="NAME")
    arguments = parser.parse_args(words)
    for name in arguments.names:
        if name not in figures.FIGURES:
            parser.error(f"no figure {name}: there are {', '.join(figures.FIGURES)}")
    return arguments


def remark(row):
    """What stands behind a row: how many VMREADs it takes, or the figures that it sums up."""
    if row.vmreads is not None:
        return f"{row.vmreads} VMREAD, {row.vmwrites} VMWRITE"
    if row.parts:
        numbers = ", ".join(part.name.rpartition("_")[2] for part in row.parts)
        return f"{', '.join(str(part.value) for part in row.parts)} with {numbers} others"
    return ""


def show(row):
    side = "at most" if row.at_most else "at least"
    budget = "" if row.budget is None else f"{side} {row.budget}"
    print(f"{row.name:24} {row.value:>10} {row.unit:20} {budget:17} "
          f"{'' if row.good else 'MISSED ':7}{remark(row)}".rstrip(), flush=True)


def with_parts(rows):
    """All rows, and behind each those that it sums up: for others than people."""
    return [one for row in rows for one in (row, *row.parts)]


def read_rows(path):
    """What --json wrote, by name."""
    try:
        return {row["name"]: row for row in json.loads(pathlib.Path(path).read_text())}
    except (ValueError, TypeError, KeyError):
        raise make_iso.UsageError(f"--compare {path}: not what --json writes") from None


def compare(rows, before):
    """A line for each row that is not as it was."""
    changed = False
    for row in with_parts(rows):
        if row.name not in before:
            print(f"{row.name}: new")
        elif (old := before[row.name]["value"]) != row.value:
            percent = f" ({100 * (row.value - old) / old:+.1f} %)" if old else ""
            print(f"{row.name}: {old} -> {row.value} {row.unit}{percent}")
        else:
            continue
        changed = True
    print("" if changed else "all as before\n", end="", flush=True)


def measure(names, build):
    """Runs as many emulators at once as there are cores; prints each row as it comes, in order."""
    rows = []
    with concurrent.futures.ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        for future in [pool.submit(figures.FIGURES[name], build) for name in names]:
            for row in future.result():
                show(row)
                rows.append(row)
    return rows


def main():
    arguments = parse(sys.argv[1:])
    if arguments.list:
        print("\n".join(figures.FIGURES))
    if arguments.check or arguments.list:
        return 0
    try:
        signals.unwind()
        for option in ("json", "plot"):
            if path := getattr(arguments, option):
                make_iso.check_writable(path, f"--{option}")
        before = read_rows(arguments.compare) if arguments.compare else {}
        rows = measure(arguments.names or list(figures.FIGURES), arguments.build.resolve())
        if arguments.json:
            pathlib.Path(arguments.json).write_text(json.dumps(
                [{"name": row.name, "value": row.value, "unit": row.unit, "vmreads": row.vmreads,
                  "vmwrites": row.vmwrites} for row in with_parts(rows)], indent=1) + "\n")
        if arguments.compare:
            compare(rows, before)
        if arguments.plot:
            import plot_kvm  # matplotlib is here only where a picture is wanted
            plot_kvm.draw(rows, arguments.plot)
    except figures.Failed as error:
        print(f"atoll bench: {error}", file=sys.stderr)
        return 1
    except (make_iso.UsageError, OSError) as error:
        print(f"atoll bench: {error}", file=sys.stderr)
        return verdict.WRONG_USAGE
    except KeyboardInterrupt:
        print("\natoll bench: interrupted", file=sys.stderr)
        return verdict.INTERRUPTED
    missed = sum(not row.good for row in rows)
    print(f"{len(rows)} figures, {missed} missed", flush=True)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
