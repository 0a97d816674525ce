"""``python -m mammi assets``: for every option whether its files are here, and what to do where they are not."""
import json

from mammi.errors import BadInput

NEEDS = {"none": "", "account": "; needs an account", "agreement": "; needs a signed agreement"}


def show(shelf):
    """What is ready in a line a group; a table of the other options; a paragraph for each asset that they lack."""
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False, soft_wrap=True)
    table, ready, wanted = Table("option", "state", "lacks", box=None, padding=(0, 2, 0, 0)), {}, {}
    table.columns[0].no_wrap = True
    for group, option in shelf.options:
        state, lacks, optional = shelf.option(group, option)
        if not lacks and not optional:
            ready.setdefault(group, []).append(option)
            continue
        wanted |= dict.fromkeys((*lacks, *optional))
        without = shelf.manifest.options[group][option].without
        table.add_row(f"{group}={option}", state if lacks else "ready, in part",
                      ", ".join((*lacks, *optional)) + (f"; without: {without}" if without else ""))
    for group, options in ready.items():
        console.print(f"ready: {group}=" + " ".join(options), markup=False)
    if table.rows:
        console.print()
        console.print(table, soft_wrap=False)
    for name in wanted:
        asset = shelf.manifest.assets[name]
        console.print(f"\n{name} ({shelf.state(name)}): {asset.what}\n  next: {shelf.next(name)}\n"
                      f"  licence: {asset.licence}{NEEDS[asset.credentials]}\n  source: {asset.source}", markup=False)


def as_json(shelf):
    """The same as text, for scripts."""
    options = [{"option": f"{group}={option}", "state": state, "lacks": lacks, "optional": optional}
               for group, option in shelf.options for state, lacks, optional in [shelf.option(group, option)]]
    assets = {name: {"state": shelf.state(name), "next": shelf.next(name), "licence": asset.licence,
                     "credentials": asset.credentials, "source": asset.source,
                     "files": [str(path) for path in shelf.found(asset) or ()]}
              for name, asset in shelf.manifest.assets.items()}
    return json.dumps({"options": options, "assets": assets}, indent=1)


def verify(shelf):
    """Print the checksum of every single file that is here; BadInput where one is not as published."""
    wrong, there = [], shelf.verify()
    if not there:
        print("no file of the manifest is here. Next: name your folder, paths.data=FOLDER")
    for name, path, found, published in there:
        says = "no checksum is published" if published is None else "as published" if found == published else "WRONG"
        print(f"{name}: {path}: sha256 {found}: {says}")
        wrong += [f"{path} (expected {published})"] if says == "WRONG" else []
    if wrong:
        raise BadInput(f"other files than were published: {', '.join(wrong)}. Next: delete them and get them again")
