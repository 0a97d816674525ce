"""Your own images: a folder or an archive; with labels, patients, splits, sentences, boxes and masks where known."""
import numpy as np

from mammi.errors import BadInput
from mammi.probing_set.base import ProbingSet, spread
from mammi.probing_set.image_files import BROKEN, EXTENSIONS, decode, existing, in_threads
from mammi.probing_set.image_keys import ImageKeys
from mammi.probing_set.image_sources import open_images
from mammi.probing_set.listing import Listing, examples
from mammi.probing_set.patients import Patients
from mammi.probing_set.splits import by_folder, by_share, check_patients, check_ways
from mammi.probing_set.table import label_rows, one_hot, open_table, read_facts, read_sentences, read_split_files
from mammi.types import Batch


class ImageFolder(ProbingSet):
    """Images below ``root/folder/images``; every path that is not absolute starts at ``root/folder``.

    root, folder           where everything lies
    images                 a folder, an archive (.zip, .tar, .tar.gz, .tgz) that stays packed, a folder in an archive
                           (``scans.zip/train``), a pattern (``images_*.tar.gz``), or a list of them; ``recursive``: in
                           sub-folders too; ``extensions`` that count as images, and DICOM files without one
    csv, image_column      a table (.csv, or .json with a list of objects), or several of the same columns, and its
                           column of file names (the first one when not given), with or without folders and extension;
                           several rows of an image are joined, a label holds if any row has it
    label_columns          columns of 1, 0, true, false, yes, no, and blank or -1 (unknown), or
    labels_column          a column, or several, of names joined by ``separator`` or in a list, ['Mass', 'Nodule'], or
    class_folders          true: the folder directly above an image names its label. For these two, ``none`` is the
                           name for 'nothing present', ``label_names`` fixes the names and their order
    aliases                {spelling in a table or folder: name used here}, for labels, box labels and masks
    patient_column         or ``patient_pattern``, a regular expression whose group 1 is the patient in a file name;
                           without either the patient of the DICOM header, else each image is its own patient.
                           ``images_per_patient``: group 1 counts images, so many of a patient after each other
    split_column           or ``split_files`` {split: text file or several, one image a line, spelled as in the
                           table}, or
    split_folders          true: the first folder below ``images`` names the split, {folder: split} where it is named
                           otherwise, or
    split_shares           {split: share}: patients are drawn by ``split_seed``, each for itself
    split                  one name, several, or None for all images
    shared_patients        ``error`` or ``note`` for patients who are in two splits, chosen or not
    text_columns           columns with sentences that describe the image, or
    label_sentences        :class:`mammi.probing_set.label_sentences.LabelSentences`: sentences made from the labels
    facts                  {name: column} of what else is known: ``view``, ``sex``, ``age``, and others
    dicom_facts            patient, view, sex and age out of DICOM headers where no column says them
    boxes, masks           readers of :mod:`mammi.probing_set.boxes` and :mod:`mammi.probing_set.masks`
    template               the domain's prompt without the concept
    limit                  this many images, evenly over the list
    on_bad_image           ``error`` or ``skip`` (counted in ``notes``) for files that do not decode
    unmatched              ``error`` or ``drop`` for images without a row, rows of the split without an image, and
                           boxes and masks of images that are neither here nor listed
    memo                   a folder that keeps the images' keys, so that a file that has not changed (size, times) is
                           not read at the next start; None: all are read
    name, dataset          what rows and logs call it; the collection it is from, see the base class

    Ids are file names, or paths below ``images`` where names repeat. Keys are hashes of the files' bytes. Without
    ``csv`` and ``split_files`` every image counts.
    """

    def __init__(self, root, folder=None, images=None, csv=None, image_column=None, label_columns=None,
                 labels_column=None, separator="|", label_names=None, none="No Finding", aliases=None,
                 class_folders=False, patient_column=None, patient_pattern=None, images_per_patient=1,
                 split_column=None, split_files=None, split_folders=False, split_shares=None, split_seed=0,
                 split=None, shared_patients="error",
                 text_columns=None, label_sentences=None, facts=None, dicom_facts=True, boxes=None, masks=None,
                 template="A medical image of a", limit=None, on_bad_image="error", unmatched="error",
                 extensions=None, recursive=True, memo=None, name=None, dataset=""):
        for option, value, allowed in (("on_bad_image", on_bad_image, ("error", "skip")),
                                       ("unmatched", unmatched, ("error", "drop")),
                                       ("shared_patients", shared_patients, ("error", "note"))):
            if value not in allowed:
                raise BadInput(f"probing_set.{option}={value}: expected {' or '.join(allowed)}")
        if not csv and any((label_columns, labels_column, patient_column, split_column, text_columns, facts)):
            raise BadInput("labels, patients, splits, sentences or facts by column need probing_set.csv")
        if class_folders and (label_columns or labels_column):
            raise BadInput("give probing_set.class_folders or labels by column, not both")
        check_ways(split_column=split_column, split_files=split_files, split_folders=split_folders,
                   split_shares=split_shares)
        base, aliases, extensions = existing(root, folder), dict(aliases or {}), tuple(extensions or EXTENSIONS)
        source, called = open_images(base, images, extensions, recursive, memo)
        wanted = (split,) if isinstance(split, str) else tuple(split or ())
        self.name = (name or called) + (f" ({'+'.join(wanted)})" if wanted else "")
        self.template, self.dataset, self._boxes, self._source = template or "", dataset or "", boxes, source

        table = open_table(base, csv) if csv else None
        split_of = read_split_files(split_files or {}, base)
        if table:
            entries = table.column(table.header[0] if image_column is None else image_column,
                                   "probing_set.image_column")
        else:
            entries = list(split_of) or source.paths
        listing, keys = Listing(entries, source.paths, extensions), ImageKeys(source, memo)
        patients = Patients(listing, table, patient_column, patient_pattern, images_per_patient,
                            keys.headers if dicom_facts else None)

        if split_column is not None:
            splits = table.column(split_column, "probing_set.split_column")
        elif split_folders:
            splits = [by_folder(source.paths[i], split_folders) if i is not None else None for i in listing.files]
        elif split_shares:
            splits = by_share(patients(range(len(entries))), split_shares, split_seed)
        else:
            splits = [split_of.get(entry) for entry in entries]
        splits = [split or None for split in splits]
        shared = check_patients(patients, splits, shared_patients) if any(splits) else ()
        rows, dropped = listing.choose(splits, wanted, unmatched)
        chosen = np.array(sorted(rows))[spread(len(rows), limit)]
        chosen, found, skipped = _whole(chosen.tolist(), keys, listing.ids, on_bad_image)
        rows = [rows[i] for i in chosen]
        first = [own[0] for own in rows]

        self._chosen = chosen
        self.ids, self.keys = tuple(listing.ids[i] for i in chosen), tuple(seen.key for seen in found)
        self.patients, unnamed = patients.checked(first)
        self.splits = tuple(splits[row] or "" for row in first) if any(splits) else ()
        self.notes = (*shared, *dropped, *skipped, *unnamed)
        headers = [seen.header for seen in found] if dicom_facts else ()
        self.facts = read_facts(table, dict(facts or {}), rows, headers)

        if class_folders:
            self.label_names, self.labels = one_hot([[_above(source.paths[i])] for i in chosen], label_names, none,
                                                    aliases, "probing_set.class_folders")
        elif table:
            names, values = label_rows(table, label_columns, labels_column, separator, label_names, none, aliases)
            if names:  # present in any row of the image, else absent in any, else unknown
                self.label_names, self.labels = names, np.stack([np.fmax.reduce(values[own]) for own in rows])
        if text_columns:
            self.texts = read_sentences(table, rows, text_columns)
        if label_sentences:
            if text_columns or self.labels is None:
                raise BadInput("probing_set.label_sentences needs labels, and no probing_set.text_columns beside it")
            self.texts = label_sentences(self.label_names, self.labels, self.template, self.keys)
            self.notes += ("sentences made from the labels: not reports of these patients",)

        drawn, masks = boxes.read(base, aliases) if boxes else {}, masks.open(base, aliases) if masks else None
        known, lost = listing.match(drawn, "boxes", unmatched)
        self._drawn = [[box for entry in known.get(i, ()) for box in drawn[entry]] for i in chosen]
        self.notes += (*lost, *(boxes.notes if boxes else ()))
        if masks:
            known, lost = listing.match(masks.images, "masks", unmatched)
            self._masks, self.mask_names = masks, tuple(masks.names)
            self._masked = [known.get(i, ()) for i in chosen]
            there = sum(map(bool, self._masked))
            some = f"{there} of {len(chosen)} images have masks; the others count as empty"
            self.notes += (*lost, *masks.notes, *([some] if there < len(chosen) else ()))
        self.outlined = np.array([i in known for i in chosen]) if boxes or masks else None

    def load(self, indices, masks=False):
        indices = [int(i) for i in indices]
        images = in_threads(self._image, indices)
        return Batch(
            images=tuple(images), ids=tuple(self.ids[i] for i in indices),
            patients=tuple(self.patients[i] for i in indices),
            labels=None if self.labels is None else self.labels[indices], label_names=self.label_names,
            masks=self._draw(indices, images) if masks and self.mask_names else None,
            mask_names=self.mask_names if masks else (),
            boxes=tuple(self._scaled(i, image) for i, image in zip(indices, images)) if self._boxes else None)

    def _image(self, i):
        try:
            return decode(self._source.read(self._chosen[i]))
        except BROKEN as error:
            raise BadInput(f"{self.ids[i]} cannot be read ({error}), though it could when it was first seen. Restore "
                           "it, and start again") from error

    def _scaled(self, i, image):
        try:
            return self._boxes.scaled(self._drawn[i], *image.size)
        except BadInput as error:
            raise BadInput(f"{self.ids[i]}: {error}") from error

    def _draw(self, indices, images):
        """B of (M, H, W) bool, or one (B, M, H, W) array where all sizes agree."""
        drawn = []
        for i, image in zip(indices, images):
            empty = np.zeros((len(self.mask_names), *image.size[::-1]), bool)
            drawn.append(np.logical_or.reduce([empty, *(self._masks.draw(entry, image.size)
                                                        for entry in self._masked[i])]))
        return np.stack(drawn) if len({mask.shape for mask in drawn}) == 1 else tuple(drawn)


def _whole(chosen, keys, ids, on_bad_image):
    """(positions of whole files, what was seen in them, notes on broken ones)."""
    found = keys(chosen)
    bad = [(ids[i], seen.reason) for i, seen in zip(chosen, found) if seen.key is None]
    good = [(i, seen) for i, seen in zip(chosen, found) if seen.key is not None]
    if bad and (on_bad_image == "error" or not good):
        raise BadInput(f"{len(bad)} of {len(chosen)} images cannot be read: {bad[0][0]} ({bad[0][1]})"
                       f"{', ...' if len(bad) > 1 else ''}. Restore them, or go on without: "
                       "probing_set.on_bad_image=skip")
    note = f"skipped: {len(bad)} of {len(chosen)} images cannot be read{examples([image for image, _ in bad])}"
    return [i for i, _ in good], [seen for _, seen in good], [note] if bad else []


def _above(path):
    parts = path.split("/")
    if len(parts) < 2:
        raise BadInput(f"probing_set.class_folders: {path} lies in no folder that could name its label. Check "
                       "probing_set.images")
    return parts[-2]
