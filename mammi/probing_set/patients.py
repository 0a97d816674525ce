"""Who is in an image: by a column, by the file's name, by the DICOM header; else each image is its own patient."""
import re

from mammi.errors import BadInput, number


class Patients:
    """Patients of the rows of a :class:`mammi.probing_set.listing.Listing`.

    column, pattern  of ``probing_set.patient_column`` and ``patient_pattern``, at most one of them
    per              images per patient, where ``pattern`` finds the number of an image, counted from 1
    headers          function of positions of images -> what their DICOM headers say, None for other files; or None,
                     so that headers do not count
    """

    def __init__(self, listing, table, column, pattern, per, headers):
        if column is not None and pattern is not None:
            raise BadInput("give probing_set.patient_column or probing_set.patient_pattern, not both")
        self._per = number("probing_set.images_per_patient", per, 1, whole=True)
        if per > 1 and pattern is None:
            raise BadInput("probing_set.images_per_patient needs probing_set.patient_pattern, whose group 1 is an "
                           "image's number")
        self._listing, self._names, self._pattern = listing, listing.names(), pattern
        self._given, self._headers, self._unnamed = None, headers, set()
        if column is not None:
            self._given = table.column(column, "probing_set.patient_column")
            self._check_one_each()
        elif pattern is not None:
            self._given = [self._search(name) for name in self._names]

    def _check_one_each(self):
        of = {}
        for name, patient in zip(self._names, self._given):
            if patient and of.setdefault(name, patient) != patient:
                raise BadInput(f"{name} is of two patients in probing_set.patient_column: {of[name]} and {patient}")

    def _search(self, name):
        try:
            found = re.search(self._pattern, name)
        except re.error as error:
            raise BadInput(f"probing_set.patient_pattern={self._pattern} is no regular expression: {error}") from error
        group = found.group(1) if found and found.groups() else None
        if self._per == 1 or group is None:
            return group
        if not group.isdecimal():
            raise BadInput(f"probing_set.images_per_patient={self._per}: probing_set.patient_pattern finds {group} in "
                           f"{name}, which is no number")
        return str((int(group) - 1) // self._per + 1)

    def __call__(self, rows):
        """One patient for each of ``rows``; the image's name where none is known."""
        given = self._given and [self._given[row] for row in rows]
        if given is None:
            given = self._by_header(rows) if self._headers else [None] * len(rows)
        return tuple(patient or self._names[row] for patient, row in zip(given, rows))

    def checked(self, rows):
        """The same of rows that are in use: there, ``pattern`` must fit; and notes."""
        if self._pattern is not None:
            for row in rows:
                if self._given[row] is None:
                    raise BadInput(f"probing_set.patient_pattern={self._pattern}: no group 1 in {self._names[row]}")
        found = self(rows)
        unnamed = len(self._unnamed.intersection(rows))
        return found, (f"{unnamed} of {len(rows)} DICOM headers name no patient: those images count as patients of "
                       "their own",) if unnamed else ()

    def _by_header(self, rows):
        there = [row for row in rows if self._listing.files[row] is not None]
        headers = dict(zip(there, self._headers([self._listing.files[row] for row in there])))
        self._unnamed.update(row for row, header in headers.items() if header and not header["patient"])
        return [(headers.get(row) or {}).get("patient") for row in rows]
