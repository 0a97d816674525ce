"""The look of all figures, and files that are the same bytes from the same numbers."""
import textwrap

from mammi.files import replacing

# Okabe and Ito's colours, told apart by colour-blind readers too.
BLUE, ORANGE, GREEN, RED, SKY, PURPLE, BLACK = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#56B4E9", "#CC79A7",
                                                "#000000")
GREY = "#767676"
COLUMN, PAGE = 3.5, 7.0  # widths in inches, of one column of print and of two
STYLE = {"font.size": 7.5, "axes.titlesize": 8, "axes.labelsize": 7.5, "xtick.labelsize": 7, "ytick.labelsize": 7,
         "legend.fontsize": 6.5, "legend.title_fontsize": 6.5, "legend.frameon": False, "axes.spines.top": False,
         "axes.spines.right": False, "axes.linewidth": 0.6, "lines.linewidth": 1.2, "lines.markersize": 3.5,
         "grid.linewidth": 0.4, "grid.color": "#dddddd", "axes.axisbelow": True, "pdf.fonttype": 42,
         "savefig.dpi": 200}
SELECTIONS = {"adaptive": (BLUE, "adaptive, Eq. (1)"), "top_k": (ORANGE, "top k"), "all": (GREEN, "all images")}


def figure(width, height, title, kind, about):
    """An empty figure, ``width`` x ``height`` inches; its title says the ``kind`` of images, small print ``about``."""
    from matplotlib.figure import Figure

    fig = Figure((width, height), layout="constrained")
    fig.suptitle(f"{title}\n{kind} images", fontsize=8.5)
    fig.supxlabel("\n".join(textwrap.wrap(about, int(25 * width))), fontsize=5.5, color=GREY)
    return fig


def look(selection):
    """(colour, label) of an option of ``selection``."""
    return SELECTIONS.get(selection, (GREY, selection))


def bars(data):
    """(2, rows): how far ``low`` lies below ``value`` and ``high`` above; a mean may be an ulp beside both."""
    return [(data["value"] - data["low"]).clip(0), (data["high"] - data["value"]).clip(0)]


def legend_below(ax, title, ncols=1):
    """The legend under the panel and its axis label, where it hides nothing; the padding is in heights of its font."""
    ax.legend(loc="upper right", bbox_to_anchor=(1, 0), borderaxespad=4.5, ncols=ncols, title=title,
              columnspacing=1.2)


def save(fig, stem):
    """``stem``.png and ``stem``.pdf, without dates and versions of libraries."""
    nothing = {"png": {"Software": None}, "pdf": {"CreationDate": None, "Producer": None, "Creator": None}}
    for kind, metadata in nothing.items():
        with replacing(stem.with_name(f"{stem.name}.{kind}")) as part:
            fig.savefig(part, format=kind, metadata=metadata)
