"""What a row's paper run needs that does not come with the package, by the names of the assets manifest."""
OF_METRIC = {"cos_mpnet": "all-mpnet-base-v2", "cos_clip": "clip_vit_b16"}


def needs(manifest, row, metric=None):
    """[names of assets, or what else is lacking] of the run of ``row`` under profile=paper, to have ``metric``."""
    parts = dict(need.split("/") for need in manifest.options["profile"]["paper"].needs)
    parts |= {key: option for key, option in row.options("paper").items() if key in manifest.options}
    found = {}
    for group, option in parts.items():
        if option not in manifest.options[group]:
            found[f"{group}={option}, which is not here yet"] = None
        else:
            found |= {" or ".join(any_of): None for any_of in manifest.needs(group, option)}
    found |= {OF_METRIC[metric]: None} if metric in OF_METRIC else {}
    return list(found)


def explained(manifest, names):
    """A line for each asset among ``names``: the setting that names it, what it is, how it is got."""
    lines = []
    for name in dict.fromkeys(part for names_of_one in names for part in names_of_one.split(" or ")):
        if asset := manifest.assets.get(name):
            got = {"download": f"`python -m mammi assets --get {name}`", "by hand": asset.next or asset.source}
            lines.append(f"`{name}` (`{'` or `'.join(f'{key}=' for key in asset.keys)}`): {asset.what}. Next: "
                         f"{got.get(asset.got, f'`{asset.got}`')}".replace("SOURCE", asset.source))
    return lines
