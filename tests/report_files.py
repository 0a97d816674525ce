"""The same few reports, written as every kind of source that mammi reads."""
import csv
import gzip
import io
import json
import tarfile
import zipfile

# (findings, impression) of made-up reports
REPORTS = (
    ("There is a small left pleural effusion. The heart is normal in size.", "Pleural effusion."),
    ("Bilateral effusions are seen. A 3 mm nodule in the right lung.", "Nodule."),
    ("No pneumothorax or focal consolidation. Mild pleural thickening.", "Pleural thickening, no change."),
    ("A goiter displaces the trachea.", "No pneumothorax."),
    ("The heart is large. Pleural thickening at the apex.", "Cardiomegaly."),
)
STUDIES = tuple(f"s5000000{i}" for i in range(len(REPORTS)))
PATIENTS = tuple(f"p1000000{i // 2}" for i in range(len(REPORTS)))
SPLITS = ("train", "train", "val", "test", "test")


def whole(findings, impression):
    return f"{findings}\n{impression}"


def xml(findings="", impression="", indication="Lupus?"):
    parts = {"INDICATION": indication, "FINDINGS": findings, "IMPRESSION": impression}
    return "<r>" + "".join(f'<AbstractText Label="{k}">{v}</AbstractText>' for k, v in parts.items()) + "</r>"


def mimic(findings, impression):
    """Headings in capitals, lines wrapped after three words."""
    words = findings.split()
    wrapped = "\n ".join(" ".join(words[i:i + 3]) for i in range(0, len(words), 3))
    return (f"                     FINAL REPORT\n EXAMINATION:  CHEST (PA AND LAT)\n \n INDICATION:  Lupus?\n \n"
            f" FINDINGS: \n \n {wrapped}\n \n IMPRESSION: \n \n {impression}\n")


def annotation():
    """R2Gen's, an entry per image and two images of each study."""
    splits = {"train": [], "val": [], "test": []}
    for i in range(len(REPORTS)):
        for image in "ab":
            splits[SPLITS[i]].append({"id": f"{i}{image}", "study_id": int(STUDIES[i][1:]),
                                      "subject_id": int(PATIENTS[i][1:]), "report": whole(*REPORTS[i]),
                                      "image_path": [f"{i}{image}.jpg"], "split": SPLITS[i]})
    return splits


def files(path, named):
    for name, text in named.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_text(text)
    return path


def tar(path, named, mode="w:gz"):
    with tarfile.open(path, mode) as archive:
        for name, text in named.items():
            member = tarfile.TarInfo(name)
            member.size = len(text.encode())
            archive.addfile(member, io.BytesIO(text.encode()))
    return path


def zipped(path, named):
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in named.items():
            archive.writestr(name, text)
    return path


def table(path, header, rows):
    with open(path, "w", newline="") as file:
        writer = csv.writer(file, delimiter="\t" if path.suffix == ".tsv" else ",")
        writer.writerows([header, *rows])
    return path


def named(kind):
    """{name of a file: its text}, last report first: the order of an archive must not matter."""
    numbers = reversed(range(len(REPORTS)))
    if kind == "mimic":
        return {f"files/p10/{PATIENTS[i]}/{STUDIES[i]}.txt": mimic(*REPORTS[i]) for i in numbers}
    if kind == "openi":
        return {f"ecgen/{i}.xml": xml(*REPORTS[i]) for i in numbers}
    return {f"deep/{i}.txt": whole(*REPORTS[i]) for i in numbers}


def every_source(folder):
    """{what: path of a source that holds REPORTS}."""
    rows = [(STUDIES[i], PATIENTS[i], *REPORTS[i], SPLITS[i]) for i in range(len(REPORTS))]
    sources = {f"{kind} {how}": write(folder / f"{kind}{ending}", named(kind))
               for kind in ("text", "openi", "mimic")
               for how, ending, write in (("folder", "", files), ("tgz", ".tgz", tar), ("zip", ".zip", zipped))}
    sources |= {
        "lines": folder / "lines.txt", "r2gen": folder / "annotation.json", "gz": folder / "lines2.txt.gz",
        "csv": table(folder / "a.csv", ("study_id", "subject_id", "findings", "impression", "split"), rows),
        "tsv": table(folder / "a.tsv", ("split", "Report"), [(row[-1], whole(*row[2:4])) for row in rows])}
    text = "\n".join(" ".join(report) for report in REPORTS)
    sources["lines"].write_text(text)
    sources["gz"].write_bytes(gzip.compress(text.encode()))
    sources["r2gen"].write_text(json.dumps(annotation()))
    return sources
