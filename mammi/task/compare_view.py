"""What a person sees of a comparison, and its key numbers."""
from mammi.compare.layers import LEVEL, NULL, OFFICIAL
from mammi.compare.tables import ALL, CLINICAL

WIDTH = 6  # concepts that a line of the terminal names


def facts_of(comparison, tables):
    """Flat {name: number} of the tables' rows over all layers; ``<what>_<threshold>_<model>``."""
    facts = {}
    total = tables["layers"][tables["layers"]["layer"] == ALL].set_index("model")
    for model, row in total.iterrows():
        facts |= {f"units_{model}": int(row["units"]), f"dead_{model}": int(row["dead"]),
                  f"mean_top1_{model}": row["mean_top1"]}
        for threshold in comparison.thresholds:
            facts |= {f"{what}_{threshold}_{model}": row[f"{what}_{threshold}"] for what in ("above", "concepts")}
            for what in ("entropy_broad_category", "entropy_category"):
                for end in ("", "_low", "_high"):
                    if f"{what}_{threshold}{end}" in row:
                        facts[f"{what}_{threshold}_{model}{end}"] = row[f"{what}_{threshold}{end}"]
    if len(tables["workflow"]):
        own = tables["workflow"]
        for row in own[(own["layer"] == ALL) & (own["part"] == CLINICAL)].to_dict("records"):
            for what in ("share", "less_reference"):
                for end in ("", "_low", "_high", "_chance"):
                    if row.get(f"{what}{end}") is not None:
                        facts[f"clinical_{what}_{row['threshold']}_{row['model']}{end}"] = row[f"{what}{end}"]
    for row in tables["changes"].groupby(["model", "threshold", "change"]).size().reset_index().to_numpy().tolist() \
            if len(tables["changes"]) else []:
        facts[f"{row[2]}_{row[1]}_{row[0]}"] = row[3]
    for threshold in comparison.thresholds:
        column = f"missing_{threshold}"
        facts[column] = int(tables["missing"][column].sum()) if len(tables["missing"]) else 0
    return facts


def summarise(comparison, tables, facts, names, notes, kind, folder):
    """Print a row per model, the largest changes by broad category, what is missing, notes, where everything lies."""
    from rich.console import Console
    from rich.table import Table

    console = Console()
    threshold = NULL if NULL in comparison.thresholds else OFFICIAL
    shown = Table(title=f"{names['probing_set']} ({kind}), {facts['images']} images; {names['concept_set']}; "
                  f"{names['dissector']}", title_justify="left", box=None, header_style="bold", padding=(0, 1, 0, 0))
    for column in ("model", "units", "top-1", "official", "null", "concepts", "clinical", "by chance", "entropy"):
        shown.add_column(column, justify="left" if column == "model" else "right", overflow="fold")
    for model in comparison.models:
        def fact(name, end="", model=model):
            return facts.get(f"{name}_{threshold}_{model}{end}")

        units = facts[f"units_{model}"]
        shown.add_row(model, str(units), f"{facts[f'mean_top1_{model}']:.2f}",
                      f"{facts[f'above_{OFFICIAL}_{model}'] / units:.0%}",
                      f"{facts[f'above_{NULL}_{model}'] / units:.0%}" if threshold == NULL else "n/a",
                      str(fact("concepts")), _text(fact, "clinical_share"),
                      _number(fact("clinical_share", "_chance")),
                      _text(fact, "entropy_broad_category") or _text(fact, "entropy_category"))
    console.print(shown)
    console.print(f"official, null: units above the threshold ({1 - LEVEL:.0%} of units that mean nothing pass the "
                  f"null's). The columns behind them are by the {threshold} threshold: different concepts, share of "
                  "clinical words with its 95 % interval over units, the same of null units, entropy of the (broad) "
                  "categories in nats.", soft_wrap=True)
    delta, changes = tables["delta"], tables["changes"]
    level = "broad_category" if "broad_category" in comparison.levels else "category"
    for model in comparison.models:
        if model == comparison.reference or not len(delta):
            continue
        own = delta[(delta["model"] == model) & (delta["layer"] == ALL) & (delta["threshold"] == threshold)
                    & (delta["level"] == level)]
        console.print(f"[bold]{model}[/] less {comparison.reference}, units by {level.replace('_', ' ')}: " + "; ".join(
            f"{row['category']} {row['units_difference']:+d} ({row['units_difference_low']:+.0f} to "
            f"{row['units_difference_high']:+.0f})" for row in own.to_dict("records")), soft_wrap=True)
        some = changes[(changes["model"] == model) & (changes["threshold"] == threshold)] if len(changes) else changes
        for change, column in (("gained", "units_model"), ("lost", "units_reference")):
            if not len(some):
                continue
            ranked = some[some["change"] == change].sort_values(column, ascending=False, kind="stable")
            if len(ranked):
                holder = model if change == "gained" else comparison.reference
                sure = f" ({int((ranked['p_chance'] < .05).sum())} of them {holder} has more often than chance, " \
                       "p < .05)" if "p_chance" in ranked else ""
                console.print(f"  {change} {len(ranked)} concepts{sure}: " + ", ".join(
                    f"{row['concept']} ({row[column]})" for row in ranked.head(WIDTH).to_dict("records"))
                    + ", ..." * (len(ranked) > WIDTH), soft_wrap=True)
    if len(changes) and "p_chance" in changes:
        console.print("p asks whether the model that has a word has it more often than null units have, not whether "
                      "anything changed.", soft_wrap=True)
    console.print(f"In no layer of any model: {facts[f'missing_{threshold}']} of {facts['concepts']} concepts "
                  "(missing.csv).")
    for note in notes:
        console.print(f"[yellow]{note}[/]", soft_wrap=True)
    console.print(f"Tables and figures: {folder}/coverage.csv, delta.csv, changes.csv, missing.csv, workflow.csv, "
                  "layers.csv, similarity.png, clinical.png, categories.png", soft_wrap=True)


def _text(fact, name):
    value = fact(name)
    if value is None or value != value:
        return ""
    return f"{value:.2f} ({fact(name, '_low'):.2f} to {fact(name, '_high'):.2f})"


def _number(value):
    return "" if value is None or value != value else f"{value:.2f}"
