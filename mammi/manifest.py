"""``assets.yaml`` read and checked: the files that do not come with the package, and which option needs which."""
import re
from dataclasses import dataclass, fields
from pathlib import Path

from mammi.errors import BadInput, near
from mammi.text_files import read_text

MANIFEST = Path(__file__).with_name("assets.yaml")
CREDENTIALS = ("none", "account", "agreement")
PLACES = ("any", "file", "folder")


@dataclass(frozen=True)
class File:
    """A file, or a pattern that some file must match, below an asset's folder.

    file    its name; several: any of them
    url     where it is downloaded from; ``member``: as the one entry of that name in a zip file
    sha256  and ``size`` (bytes) of what the url gives; None where nobody has published them
    """

    file: str | tuple
    url: str = None
    member: str = None
    sha256: str = None
    size: int = None

    @property
    def names(self):
        return (self.file,) if isinstance(self.file, str) else tuple(self.file)


@dataclass(frozen=True)
class Asset:
    """Files of one source under one licence.

    credentials  none, account, or agreement (to be signed)
    got          ``download``, ``make TARGET``, or ``by hand``
    key          the setting that names its place; several: the first that is set
    place        what the setting must name: a ``file``, a ``folder``, or ``any`` of both
    files        tuple of :class:`File`; none: whatever ``key`` names
    also         a folder where it is found without being named
    next         a sentence on what to do by hand
    """

    name: str
    what: str
    source: str
    licence: str
    credentials: str
    got: str
    key: str | tuple
    place: str = "any"
    files: tuple = ()
    also: str = None
    next: str = None

    @property
    def keys(self):
        return (self.key,) if isinstance(self.key, str) else tuple(self.key)


@dataclass(frozen=True)
class Option:
    """What one option of a config group needs.

    needs     assets, or tuples of assets of which one will do, or ``group/option``: what that one needs
    optional  assets without which it does less; ``without`` says what
    """

    needs: tuple = ()
    optional: tuple = ()
    without: str = None


class Manifest:
    """``assets`` {name: :class:`Asset`}, ``options`` {group: {option: :class:`Option`}}, ``settings`` {key: default}.

    Raises :class:`BadInput` for unknown keys and names, and for what contradicts itself.
    """

    def __init__(self, path=MANIFEST):
        import yaml

        try:
            content = yaml.safe_load(read_text(path))
            self.settings, assets, options = (dict(content[part]) for part in ("settings", "assets", "options"))
        except (yaml.YAMLError, KeyError, TypeError) as error:
            raise BadInput(f"{path} is no manifest with settings, assets and options: {error}") from error
        self.assets = {name: self._asset(path, name, entry) for name, entry in assets.items()}
        self.options = {group: {option: self._option(path, f"{group}/{option}", entry)
                                for option, entry in entries.items()} for group, entries in options.items()}
        for asset in self.assets.values():
            if unknown := [key for key in asset.keys if key not in self.settings]:
                raise BadInput(f"{path.name}: assets.{asset.name}: {unknown[0]} is none of the settings. "
                               f"{near(unknown[0], self.settings)}")
        for group, entries in self.options.items():
            for option, entry in entries.items():
                self.needs(group, option)
                for name in entry.optional:
                    self.asset(name)

    @staticmethod
    def _asset(path, name, entry):
        where = f"{path.name}: assets.{name}"
        files = tuple(_made(File, f"{where}.files", entry if isinstance(entry, dict) else {"file": entry})
                      for entry in entry.get("files", ()))
        asset = _made(Asset, where, {**entry, "name": name, "files": files})
        if asset.credentials not in CREDENTIALS or not re.fullmatch("download|by hand|make [a-z0-9-]+", asset.got):
            raise BadInput(f"{where}: credentials are {', '.join(CREDENTIALS)}, got is download, make TARGET or by "
                           f"hand; found {asset.credentials} and {asset.got}")
        if asset.place not in PLACES or asset.place == "file" and len(files) > 1:
            raise BadInput(f"{where}: place is one of {', '.join(PLACES)}, and a file is one; found {asset.place} of "
                           f"{len(files)} files")
        if (asset.got == "download") != any(file.url for file in files):
            raise BadInput(f"{where}: the files of a download have a url, others have none")
        for file in files:
            if file.sha256 is not None and not re.fullmatch("[0-9a-f]{64}", file.sha256):
                raise BadInput(f"{where}: {file.sha256} is no sha256 in small hexadecimal letters")
        return asset

    @staticmethod
    def _option(path, where, entry):
        entry = entry if isinstance(entry, dict) else {"needs": entry}
        option = _made(Option, f"{path.name}: options.{where}", entry)
        return Option(*(tuple(tuple(n) if isinstance(n, list) else n for n in needs)
                        for needs in (option.needs, option.optional)), option.without)

    def needs(self, group, option):
        """[tuple of assets of which one will do] of an option, those of the options it refers to included."""
        found = []
        for need in self.options[group][option].needs:
            if isinstance(need, str) and "/" in need:
                other = need.split("/")
                if other[1] not in self.options.get(other[0], ()):
                    raise BadInput(f"assets.yaml: {group}/{option} refers to {need}, which is not there")
                found += self.needs(*other)
            else:
                found.append(tuple(self.asset(n).name for n in ((need,) if isinstance(need, str) else need)))
        return list(dict.fromkeys(found))

    def asset(self, name):
        if name not in self.assets:
            raise BadInput(f"there is no asset {name}. {near(name, self.assets)}")
        return self.assets[name]


def _made(kind, where, entry):
    """``kind(**entry)``; BadInput for a key that it does not know, or one that lacks."""
    known = [field.name for field in fields(kind)]
    if unknown := [key for key in entry if key not in known]:
        raise BadInput(f"{where}: unknown key {unknown[0]}. {near(str(unknown[0]), known)}")
    try:
        return kind(**entry)
    except TypeError as error:
        raise BadInput(f"{where}: {error}") from error
