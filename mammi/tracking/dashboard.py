"""The W&B workspace of mirrored runs, in code: made again by one command, checked without a server."""
import json

from mammi.errors import BadInput, MissingAsset
from mammi.files import replacing
from mammi.tracking.send import has_key

NAME = "mammi"
RATES = {"hit": "exact hits", "hit_synonym": "hits, synonyms too", "f1": "F1", "cos_minilm": "cosine, MiniLM"}
CHOICES = ("choice.target", "choice.probing_set", "choice.concept_set", "choice.dissector", "choice.selection",
           "choice.method", "seed")
INTRO = ("Copies of run folders; the numbers are those of `metrics.json`. Tags tell `synthetic` from `real`: filter by "
         "one, and never compare across. Bars of one run: lower end of the 95% interval, value, upper end.")


def workspace(entity, project):
    """The :class:`wandb_workspaces.workspaces.Workspace`; :class:`MissingAsset` without that package."""
    try:
        import wandb_workspaces.reports.v2 as wr
        import wandb_workspaces.workspaces as ws
    except ImportError as error:
        raise MissingAsset(f"the dashboard needs a package ({error}): pip install wandb-workspaces") from error

    def bars(metric, **options):
        return wr.BarPlot(title=f"{RATES[metric]}, 95% interval", range_x=(0, 1),
                          metrics=[f"{metric}_low", metric, f"{metric}_high"], **options)

    def against(key, metric):
        return wr.ScatterPlot(title=f"{RATES[metric]} over {key}", x=wr.Config(key), y=wr.SummaryMetric(metric),
                              running_ymean=True, legend_template="${run:displayName}")

    grouped = {"groupby_aggfunc": "mean", "groupby_rangefunc": "minmax"}
    columns = [*map(wr.Config, CHOICES), *map(wr.SummaryMetric, RATES)]
    sections = {
        "Runs": [wr.MarkdownPanel(markdown=INTRO), *map(bars, RATES)],
        "Sweeps": [bars(metric, groupby="Group", **grouped) for metric in RATES],
        "Choices": [wr.ParallelCoordinatesPlot(columns=[wr.ParallelCoordinatesPlotColumn(metric=column)
                                                        for column in columns])],
        "Neurons": [wr.WeavePanelSummaryTable(table_name="neurons"), wr.MediaBrowser(media_keys=["pictures/scores"])],
        "Alpha of Eq. (1), figure 2a": [against("selection.alpha", metric) for metric in RATES],
        "Planted units": [against("target.noise", "hit_synonym"),
                          bars("hit_synonym", groupby=wr.Config("choice.method"), **grouped)]}
    return ws.Workspace(entity=entity, project=project, name=NAME, sections=[
        ws.Section(name=name, panels=panels, is_open=True) for name, panels in sections.items()])


def spec(entity, project):
    """The workspace as the dict that a server would get."""
    return json.loads(workspace(entity, project)._to_model().model_dump_json(by_alias=True, exclude_none=True))


def write(entity, project, path):
    """Leave :func:`spec` in the JSON file ``path``; return a line for the user."""
    made = spec(entity, project)
    try:
        with replacing(path) as part:
            part.write_text(json.dumps(made, indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        raise BadInput(f"--dry-run {path} cannot be written ({error}): give another file") from error
    return f"Written, nothing sent: {path}"


def push(entity, project):
    """Save the workspace in W&B, a new view at each call; return its address. Needs a key and the network."""
    import wandb

    made = workspace(entity, project)
    if not has_key(wandb.Settings().base_url):
        raise MissingAsset("W&B has no key here: set WANDB_API_KEY or run `wandb login`; or --dry-run FILE")
    try:
        made.save()
    except wandb.Error as error:
        raise BadInput(f"W&B: {error}") from error
    return made.url
