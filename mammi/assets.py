"""Which files of ``assets.yaml`` are here, and how the others are got. Nothing is loaded: a file is there or not."""
import os
import re
import shlex
from pathlib import Path

from mammi.errors import BadInput, MissingAsset, near

STATES = ("ready", "downloadable", "missing")
DATA = ("paths.data", "probing_set.root")  # folders of yours: nothing is put there unless you name them


class Shelf:
    """What of a manifest is here, given settings {``paths.data``: a path or None, ...}."""

    def __init__(self, manifest, words=(), environ=os.environ):
        """``words``: KEY=VALUE as ``run.py`` takes them; what they do not say is as in ``conf/paths/default.yaml``.

        GROUP=OPTION among them: :meth:`options` tells of these alone.
        """
        self.manifest, self.words, self._chosen = manifest, [], []
        self.values = {key: None if value is None else re.sub(r"\$(\w+)", lambda m: environ.get(m[1], ""), value)
                       for key, value in manifest.settings.items()}
        for word in words:
            key, is_setting, value = word.partition("=")
            if key in manifest.options and is_setting:
                if value not in manifest.options[key]:
                    raise BadInput(f"{word}: there is no such option. {near(value, manifest.options[key])}")
                self._chosen.append((key, value))
            elif key in self.values and is_setting:
                self.values[key] = None if value in ("", "null") else value
                self.words.append(word)
            else:
                raise BadInput(f"{word}: expected KEY=VALUE of a file or folder, or GROUP=OPTION. "
                               f"{near(key, [*self.values, *manifest.options])}")
        if not any(word.startswith("paths.cache=") for word in self.words):
            self.values["paths.cache"] = f"{self.values['paths.outputs']}/cache"

    @property
    def options(self):
        """[(group, option)] that were asked for; without any, all."""
        return self._chosen or [(group, option) for group, entries in self.manifest.options.items()
                                for option in entries]

    def named(self, asset):
        """(setting, path) of the first of its keys that is set; (key, None) where none is."""
        for key in asset.keys:
            if self.values[key]:
                return key, Path(self.values[key]).expanduser()
        return asset.keys[0], None

    def found(self, asset):
        """[one path for each of its files], or None."""
        place = self.named(asset)[1]
        if place and place.is_dir() and asset.place == "file" or place and place.is_file() and asset.place == "folder":
            place = None
        places = [place, self._folder(asset.also)]
        return next((files for place in places if place and (files := _files(asset, place))), None)

    def state(self, name):
        """One of ``STATES``."""
        asset = self.manifest.asset(name)
        if self.found(asset):
            return "ready"
        return "missing" if asset.got == "by hand" or self._unnamed(asset) else "downloadable"

    def next(self, name):
        """What to type or do to have it; empty where it is ready."""
        asset = self.manifest.asset(name)
        if self.found(asset):
            return ""
        key, place = self.named(asset)
        if self._unnamed(asset):
            return f"it is here, say so: {key}={self._own(asset)}"
        lacks = f"{key}={place} {_lacks(asset, place)}; " if place else ""
        if asset.got.startswith("make "):
            return f"{lacks}{asset.got}, then {key}={self._own(asset)}"
        if asset.got == "download":
            say = [f"{key}=FOLDER"] if place is None and key in DATA and not asset.also else []
            say += [shlex.quote(word) for word in self.words
                    if word.partition("=")[0] in (*asset.keys, "paths.outputs", "paths.cache")
                    and self.values[word.partition("=")[0]]]
            return lacks + " ".join(["python -m mammi assets --get", asset.name, *say])
        return lacks + (asset.next or f"get it from SOURCE, then {key}=FILE").replace("SOURCE", asset.source)

    def option(self, group, option):
        """(state, assets it lacks, optional ones it lacks)."""
        lacks = [min(any_of, key=lambda name: STATES.index(self.state(name)))
                 for any_of in self.manifest.needs(group, option)]
        lacks = [name for name in lacks if self.state(name) != "ready"]
        optional = [n for n in self.manifest.options[group][option].optional if self.state(n) != "ready"]
        return max((self.state(n) for n in lacks), key=STATES.index, default="ready"), lacks, optional

    def get(self, name):
        """Download an asset; returns what to say next. MissingAsset where that is not how it is got."""
        from mammi.download import download, take_member

        asset = self.manifest.asset(name)
        key, place = self.named(asset)
        if self.found(asset):
            return f"{name} is already here: {place or self._folder(asset.also)}"
        if asset.got != "download" or self._unnamed(asset):
            raise MissingAsset(f"{name} is not downloaded by this command. Next: {self.next(name)}")
        place = place or self._folder(asset.also) or (None if key in DATA else self._own(asset))
        if place is None:
            raise MissingAsset(f"{name} belongs into a folder of yours. Next: {self.next(name)}")
        for file in asset.files:
            path = place if place.suffix and place.suffix == Path(file.names[0]).suffix else place / file.names[0]
            try:
                if file.member:
                    archive = download(file.url, path.with_name(file.url.rsplit("/")[-1]), file.sha256, file.size)
                    take_member(archive, file.member, path)
                    archive.unlink()
                else:
                    download(file.url, path, file.sha256, file.size)
            except MissingAsset as error:
                if " Next: " in str(error):
                    raise
                inside = f"take {file.member} out of it and " * bool(file.member)
                raise MissingAsset(f"{error}. Next: try again with a network, or fetch it with a browser, {inside}"
                                   f"put it at {path}") from error
        place = path if asset.place == "file" else place
        return f"{name} is here: {place}" + ("" if self.found(asset) else f"\nuse it: {key}={place}")

    def verify(self):
        """[(asset, path, its sha256, the published one or None)] of all single files that are here."""
        from mammi.files import hash_of

        return [(asset.name, path, hash_of(path), None if file.member else file.sha256)
                for asset in self.manifest.assets.values() for file, path in zip(asset.files, self.found(asset) or ())
                if "*" not in "".join(file.names)]

    def _folder(self, place):
        """``paths.outputs/models`` -> that folder."""
        key, _, below = (place or "").partition("/")
        return Path(self.values[key]).expanduser() / below if key else None

    def _own(self, asset):
        """Where we put what has no place of its own: a folder, or the file in it."""
        folder = Path(self.values["paths.outputs"]).expanduser() / "models" / asset.name
        return folder / asset.files[0].names[0] if asset.place == "file" else folder

    def _unnamed(self, asset):
        """Whether it lies where we put it while its setting is not set."""
        return self.named(asset)[1] is None and asset.got != "by hand" and bool(_files(asset, self._own(asset)))


def _files(asset, place):
    """[a path for each file of ``asset``] in the folder, or as the file, ``place``; None where one lacks."""
    if place.is_file():
        return [place] if len(asset.files) < 2 else None
    if not place.is_dir():
        return None
    found = [_match(place, file) for file in asset.files] or [place]
    return found if all(found) else None


def _lacks(asset, place):
    """What is wrong with the place that a setting names."""
    if not place.exists():
        return "is not there"
    if asset.place == "file" or not place.is_dir():
        return "is no " + ("file" if asset.place == "file" else "folder")
    return "has no " + ", ".join(" or ".join(file.names) for file in asset.files if not _match(place, file))


def _match(folder, file):
    for name in file.names:
        if found := next(folder.glob(name), None):
            return found
    return None
