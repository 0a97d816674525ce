"""A finished run folder of made-up patients, and what an offline W&B run wrote of it."""
import json
import struct

import yaml

# What must not leave: in file names, in cells, in the config, in notes.
PATIENT, IMAGE, ROOT, OWNER = "pat4711", "scan_0815_mueller", "/data/clinic_st_anna", "mueller"
SECRETS = (PATIENT, IMAGE, ROOT, OWNER, "clinic_st_anna")
METRICS = {"hit": 0.5, "hit_low": 0.1, "hit_high": 0.9, "cos_mpnet": None, "cos_mpnet_note": f"give {ROOT}/mpnet",
           "n_neurons": 2, "target_name": "net"}
NEURONS = ("neuron,name,status,images_selected,hit,margin,pivotal_image,caption\n"
           f"0,Mass,ok,3,1,0.25,{IMAGE},of {PATIENT}\n"
           f"1,Edema,ok,2,0,,{IMAGE},\n")


def folder(path, overrides=(f"probing_set.root={ROOT}", "selection.alpha=0.9", "concept_set=wordnet"), mode="RUN",
           synthetic=False):
    """A run of task=annotate in ``path``; returns it."""
    (path / ".hydra").mkdir(parents=True)
    config = {"name": "exam", "seed": 3, "paths": {"data": ROOT}, "tracking": {"project": "mammi"},
              "selection": {"_target_": "mammi.selection.Adaptive", "alpha": 0.9},
              "method": {"beta": 0.95, "template": "An image of a", "words": ROOT},
              "target": {"layer": "final", "seed": "${seed}", "weights": f"{OWNER}.pt", "loop": "${target.loop}"},
              "probing_set": {"root": ROOT, "csv": "mueller.csv", "folder": OWNER, "split": "test", "limit": None,
                              "patients": [PATIENT]}}
    (path / ".hydra" / "config.yaml").write_text(yaml.safe_dump(config))
    (path / ".hydra" / "hydra.yaml").write_text(yaml.safe_dump({"hydra": {"mode": mode}}))
    choices = {"task": "annotate", "concept_set": "wordnet", "method": "mammi"}
    about = {"name": "exam", "choices": choices, "overrides": list(overrides), "seed": 3, "seconds": 1.5, "images": 5,
             "synthetic": synthetic, "notes": [f"left out: {IMAGE}.png of {ROOT}"],
             "names": {"target": "net", "concept_set": "wordnet (stand-in for mimic_nouns)", "probing_set": ROOT}}
    (path / "run.json").write_text(json.dumps(about))
    (path / "metrics.json").write_text(json.dumps(METRICS))
    (path / "annotations.csv").write_text("neuron,name,rank,concept,score\n0,Mass,1,mass,0.5\n1,Edema,1,edema,0.25\n")
    (path / "neurons.csv").write_text(NEURONS)
    (path / "contributions.csv").write_text(f"neuron,image,part\n0,{IMAGE},0.5\n")
    (path / "images.csv").write_text(f"id,patient\n{IMAGE},{PATIENT}\n")
    (path / "reproduce.sh").write_text(f"python run.py probing_set.root={ROOT}\n")
    for name in ("scores.png", "neurons.png", "unheard_of.png"):
        picture(path / name)
    return path


def picture(path):
    from PIL import Image

    Image.new("L", (4, 4), len(path.name)).save(path)


def written(path):
    """The records (protocol buffers) of the one W&B run in the run folder ``path``."""
    from wandb.proto import wandb_internal_pb2

    file, = (path / "wandb").glob("offline-run-*/run-*.wandb")
    for data in _records(file.read_bytes()):
        record = wandb_internal_pb2.Record()
        record.ParseFromString(data)
        yield record


def _records(data):
    """LevelDB's log: blocks of 32 KiB; a piece has checksum, length, type (1 whole, 2 first, 3 middle, 4 last)."""
    at, whole = 7, b""
    while at < len(data):
        if (room := -at % 32768) < 7 and room:
            at += room
            continue
        _, length, kind = struct.unpack("<IHB", data[at:at + 7])
        whole += data[at + 7:at + 7 + length]
        at += 7 + length
        if kind in (1, 4):
            yield whole
            whole = b""


def bytes_of(path):
    """All bytes that the W&B run in ``path`` holds for a server: its records, media, and staged files."""
    files = [*(path / "wandb").glob("offline-run-*/files/**/*"), *(path / "wandb").glob(".staged/artifacts/**/*")]
    return b"".join([record.SerializeToString() for record in written(path)]
                    + [name.encode() + file.read_bytes() for file in files if file.is_file() for name in [file.name]])
