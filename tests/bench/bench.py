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
                                     usage="./atoll bench [--json FILE] [NAME...] "
                                           "(more: ./atoll help bench)")
    parser.add_argument("--build", default="build", type=pathlib.Path, metavar="DIR")
    parser.add_argument("--check", action="store_true", help="only check the command line")
    parser.add_argument("--json", metavar="FILE", help="write the rows to FILE too")
    parser.add_argument("--list", action="store_true", help="print the names of all figures")
    parser.add_argument("names", nargs="*", metavar="NAME")
    arguments = parser.parse_args(words)
    for name in arguments.names:
        if name not in figures.FIGURES:
            parser.error(f"no figure {name}: there are {', '.join(figures.FIGURES)}")
    return arguments


def show(row):
    side = "at most" if row.at_most else "at least"
    print(f"{row.name:24} {row.value:>10} {row.unit:20} {side} {row.budget:<6} "
          f"{'' if row.good else 'MISSED'}".rstrip(), flush=True)


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
        if arguments.json:
            make_iso.check_writable(arguments.json, "--json")
        rows = measure(arguments.names or list(figures.FIGURES), arguments.build.resolve())
        if arguments.json:
            pathlib.Path(arguments.json).write_text(json.dumps(
                [{"name": row.name, "value": row.value, "unit": row.unit, "budget": row.budget}
                 for row in rows], indent=1) + "\n")
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
