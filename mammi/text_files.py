"""Text files of other people: UTF-8 or a clear error, any kind of line end."""
import gzip
import zlib
from codecs import BOM_UTF8
from pathlib import Path

from mammi.errors import BadInput, MissingAsset


def read_text(path):
    """Text of a UTF-8 file, unzipped when it ends in .gz; a byte order mark is left out."""
    path = Path(path).expanduser()
    try:
        data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except FileNotFoundError as error:
        raise MissingAsset(f"no file {path}. Next: correct the path; relative paths start at {Path.cwd()}") from error
    except (OSError, EOFError, zlib.error) as error:
        raise BadInput(f"cannot read {path}: {error}. Next: give a readable text file") from error
    return decode(data, path)


def decode(data, path):
    """Bytes of the file ``path`` as text; BadInput with the byte's position where they are not UTF-8."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BadInput(f"{path}: byte {error.start} (0x{data[error.start]:02x}, line "
                       f"{data.count(10, 0, error.start) + 1}) is not UTF-8. Next: save the file as UTF-8, for example "
                       "iconv -f latin1 -t utf-8 OLD > NEW") from error
    if "\0" in text:
        raise BadInput(f"{path}: byte {data.index(0)} is zero, so this is no UTF-8 text file (UTF-16 or binary?). "
                       "Next: save it as UTF-8 text")
    return text.removeprefix(BOM_UTF8.decode())


def lines(text):
    """Lines with Unix, Windows or old Mac ends; the end of the last line starts no further one."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return text.removesuffix("\n").split("\n") if text else []
