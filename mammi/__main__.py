"""``python -m mammi COMMAND``: what needs no experiment config."""
import argparse
import sys
from pathlib import Path

from mammi.errors import BadInput, MammiError


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="python -m mammi", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    report = commands.add_parser("report", help="fold run folders into a table (Markdown and CSV)")
    report.add_argument("folder", type=Path, help="a run folder, a sweep, or anything above them")
    tables = commands.add_parser("tables", help="the paper's tables from run folders: paper.md and phantom.md")
    tables.add_argument("folder", type=Path, nargs="?", default=Path("outputs"), help="anything above the runs")
    tables.add_argument("--to", type=Path, default=Path("experiments/mammi"), metavar="FOLDER")
    figures = commands.add_parser("figures", help="the paper's figures and the leaderboard from run folders")
    figures.add_argument("folder", type=Path, nargs="?", default=Path("outputs"), help="anything above the runs")
    figures.add_argument("--to", type=Path, default=Path("experiments/mammi/figures"), metavar="FOLDER")
    micn = commands.add_parser("micn-table", help="Med-MICN's published table beside runs of experiment=micn_table")
    micn.add_argument("folder", type=Path, nargs="?", default=Path("outputs"), help="anything above the runs")
    micn.add_argument("--to", type=Path, default=Path("experiments/micn"), metavar="FOLDER")
    verify = commands.add_parser("verify", help="compare a finished run of profile=paper with the published numbers")
    verify.add_argument("run", type=Path, nargs="?", help="its folder; without one the newest below outputs")
    verify.add_argument("--cosine-tolerance", type=float, default=0.005, metavar="X")
    cache = commands.add_parser("cache", help="what the cache holds; --clear deletes all of it, fitted models too")
    cache.add_argument("--root", type=Path, default=Path("outputs/cache"))
    cache.add_argument("--clear", action="store_true")
    diff = commands.add_parser("diff", help="say neuron by neuron what changed between two finished runs")
    diff.add_argument("run_a", type=Path, help="a run folder, such as outputs/run/2026-01-31_12-00-00-000000")
    diff.add_argument("run_b", type=Path)
    diff.add_argument("--csv", type=Path, metavar="FILE", help="also write a row per neuron")
    assets = commands.add_parser("assets", help="for every option: are its files here, and if not, what to do")
    assets.add_argument("settings", nargs="*", metavar="KEY=VALUE",
                        help="where files are, as run.py takes it (paths.data=DIR); or what to tell of (profile=paper)")
    what = assets.add_mutually_exclusive_group()
    what.add_argument("--get", metavar="NAME", help="download this one (the terms of its licence are yours to keep)")
    what.add_argument("--verify", action="store_true", help="check the sha256 of what is here")
    what.add_argument("--json", action="store_true", help="for scripts")
    mirror = commands.add_parser("mirror", help="copy finished runs to W&B; offline without a key")
    mirror.add_argument("folders", type=Path, nargs="+", metavar="FOLDER", help="a run folder, a sweep, or above them")
    mirror.add_argument("--project", default="mammi")
    mirror.add_argument("--entity")
    mirror.add_argument("--mode", choices=("online", "offline"), help="else WANDB_MODE, else online with a key")
    mirror.add_argument("--group", help="else the sweep's folder name")
    mirror.add_argument("--tag", action="append", default=[], dest="tags")
    mirror.add_argument("--images", action="store_true", help="also what shows or names single images")
    mirror.add_argument("--no-artifact", action="store_false", dest="artifact")
    dashboard = commands.add_parser("dashboard", help="make the W&B workspace of these runs")
    dashboard.add_argument("--entity", required=True)
    dashboard.add_argument("--project", default="mammi")
    dashboard.add_argument("--dry-run", type=Path, metavar="FILE", help="check it and write it as JSON; sends nothing")
    args = parser.parse_args(arguments)
    try:
        {"report": _report, "tables": _tables, "verify": _verify, "cache": _cache, "diff": _diff, "assets": _assets,
         "figures": _figures, "micn-table": _micn_table, "mirror": _mirror, "dashboard": _dashboard}[args.command](args)
    except MammiError as error:
        sys.exit(f"{type(error).__name__}: {error}")


def _report(args):
    from mammi.report import main as fold

    fold(args.folder)


def _tables(args):
    from mammi.tables.write import main as write

    write(args.folder, args.to)


def _micn_table(args):
    from mammi.tables.micn import main as write

    write(args.folder, args.to)


def _verify(args):
    from mammi.tables.verify import main as verify

    sys.exit(0 if verify(args.run, cosine_tolerance=args.cosine_tolerance) else 1)


def _figures(args):
    from mammi.figures.main import main as draw

    draw(args.folder, args.to)


def _diff(args):
    from mammi.diff import compare
    from mammi.diff_view import show
    from mammi.files import replacing
    from mammi.finished import read

    runs = read(args.run_a), read(args.run_b)
    found = compare(*runs)
    show(found, *runs)
    if args.csv:
        try:
            with replacing(args.csv) as part:
                found.neurons.to_csv(part, index=False)
        except OSError as error:
            raise BadInput(f"--csv {args.csv} cannot be written ({error}): give another file") from error
        print(f"Written: {args.csv}")


def _cache(args):
    from rich.console import Console
    from rich.table import Table

    from mammi.cache import Cache

    cache = Cache(args.root)
    table = Table("entry", "computed from", "files", "MB", title=str(args.root.resolve()), box=None)
    for name, inputs, files, size in cache.summary():
        kind, _, key = name.rpartition("/")
        table.add_row(f"{kind}/{key[:8]}" if kind else name, " ".join(inputs.split())[:40], str(files),
                      f"{size / 1e6:.1f}")
    Console().print(table)
    if args.clear:
        cache.clear()
        print("cleared")


def _assets(args):
    from mammi.assets import Shelf
    from mammi.assets_view import as_json, show, verify
    from mammi.manifest import Manifest

    shelf = Shelf(Manifest(), args.settings)
    if args.get:
        asset = shelf.manifest.asset(args.get)
        print(f"{asset.what}. Licence: {asset.licence}. Source: {asset.source}")
        print(shelf.get(args.get))
    elif args.verify:
        verify(shelf)
    elif args.json:
        print(as_json(shelf))
    else:
        show(shelf)


def _mirror(args):
    from mammi.tracking.send import mirror

    options = {key: value for key, value in vars(args).items() if key != "command"}
    for line in mirror(**options):
        print(line, flush=True)


def _dashboard(args):
    from mammi.tracking.dashboard import push, write

    print(write(args.entity, args.project, args.dry_run) if args.dry_run else push(args.entity, args.project))


if __name__ == "__main__":
    main()
