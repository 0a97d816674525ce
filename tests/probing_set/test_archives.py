"""Images in zip and tar archives answer as the folder they were made of does; damaged archives are refused."""
import io
import os
import tarfile
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mammi.errors import BadInput, MissingAsset
from mammi.probing_set import archives
from mammi.probing_set.image_folder import ImageFolder
from tests.probing_set.packed import tarred, zipped

ENDS = (".zip", ".tar", ".tar.gz", ".tgz")


@pytest.fixture
def scans(tmp_path):
    """Six noisy images in two folders beside a file that is none."""
    rng = np.random.default_rng(0)
    for i in range(6):
        path = tmp_path / "scans" / ("left", "right")[i % 2] / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (40, 30), np.uint8)).save(path)
    (tmp_path / "scans" / "readme.txt").write_text("six images")
    return tmp_path / "scans"


def packed(folder, end, top="", name="all"):
    path = next(p for p in folder.parents if p.name != "scans") / f"{name}{end}"
    return (zipped if end == ".zip" else tarred)(folder, path, top)


def pixels(images):
    return [np.asarray(image).tolist() for image in images.load(range(len(images))).images]


def same(one, other):
    return (one.ids, one.keys, pixels(one)) == (other.ids, other.keys, pixels(other))


@pytest.mark.parametrize("end", ENDS)
def test_an_archive_is_as_good_as_its_folder(scans, end):
    packed(scans, end)
    folder, archive = ImageFolder(scans.parent, images="scans"), ImageFolder(scans.parent, images=f"all{end}")
    assert len(folder) == 6 and same(folder, archive) and archive.name == "all"
    assert not [p for p in scans.parent.rglob("*.png") if "scans" not in p.parts], "nothing is unpacked"


@pytest.mark.parametrize("end", ENDS)
def test_folders_in_an_archive(scans, end):
    packed(scans, end, "top/scans/")
    inner = ImageFolder(scans.parent, images=f"all{end}/top/scans/right")
    assert inner.ids == ("1.png", "3.png", "5.png") and inner.name == "right"
    by_folder = ImageFolder(scans.parent, images=f"all{end}/top/scans", split_folders=True, split="left",
                            class_folders=True)
    assert by_folder.ids == ("0.png", "2.png", "4.png") and by_folder.label_names == ("left",)
    with pytest.raises(BadInput, match="holds no file below top/nowhere/"):
        ImageFolder(scans.parent, images=f"all{end}/top/nowhere")
    with pytest.raises(BadInput, match="holds no image"):
        ImageFolder(scans.parent, images=f"all{end}", recursive=False)


@pytest.mark.parametrize("end", ENDS)
def test_several_archives_are_one_set(scans, end):
    packed(scans / "left", end, "images/", "images_001")
    packed(scans / "right", end, "images/", "images_002")
    (scans.parent / "table.csv").write_text("image,class\n" + "".join(f"images/{i}.png,{i % 2}\n" for i in range(6)))
    whole = ImageFolder(scans.parent, images="scans")
    for images in (f"images_*{end}", [f"images_002{end}", f"images_001{end}"]):
        parts = ImageFolder(scans.parent, images=images, csv="table.csv", label_columns=["class"])
        assert sorted(parts.ids) == list(parts.ids) and parts.labels[:, 0].tolist() == [0, 1] * 3
        assert dict(zip(parts.ids, parts.keys)) == dict(zip(whole.ids, whole.keys))


def test_names_that_repeat_across_archives_carry_the_archive(scans):
    for name in ("a", "b"):
        packed(scans / "left", ".zip", "", name)
    images = ImageFolder(scans.parent, images=["a.zip", "b.zip"])
    assert images.ids == tuple(f"{name}.zip/{i}.png" for name in "ab" for i in (0, 2, 4))
    assert images.keys[:3] == images.keys[3:]


def test_several_folders_keep_their_names(scans):
    images = ImageFolder(scans, images=["right", "left"], split_folders={"left": "train", "right": "test"})
    assert images.ids == tuple(f"{i}.png" for i in (0, 2, 4, 1, 3, 5))
    assert images.splits == ("train",) * 3 + ("test",) * 3
    assert ImageFolder(scans, images="[lr]*t").ids == images.ids


def test_hidden_members_are_no_images(scans):
    for name in ("__MACOSX/left/._0.png", ".thumbs/7.png", "left/.8.png"):
        (scans / name).parent.mkdir(parents=True, exist_ok=True)
        (scans / name).write_bytes(b"what some systems leave")
    for end in ENDS:
        packed(scans, end)
        assert len(ImageFolder(scans.parent, images=f"all{end}")) == len(ImageFolder(scans)) == 6


def test_names_in_archives_of_other_systems(tmp_path):
    file = io.BytesIO()
    Image.new("L", (4, 4), 9).save(file, "PNG")
    with tarfile.open(tmp_path / "a.tar", "w", format=tarfile.GNU_FORMAT) as archive:
        for name in ("./scans/1.png", f"./scans/{'x' * 150}.png"):
            member = tarfile.TarInfo(name)
            member.size = len(file.getvalue())
            archive.addfile(member, io.BytesIO(file.getvalue()))
        member = tarfile.TarInfo("./scans/copy.png")
        member.type, member.linkname = tarfile.LNKTYPE, "./scans/1.png"
        archive.addfile(member)
    images = ImageFolder(tmp_path, images="a.tar/scans")
    assert images.ids == ("1.png", "copy.png", f"{'x' * 150}.png") and images.keys[0] == images.keys[1]


def test_threads_read_one_archive_at_once(scans):
    for end in ENDS:
        archive = archives.open_archive(packed(scans, end))
        names = [name for name in archive.names() if name.endswith(".png")] * 30
        with ThreadPoolExecutor(8) as pool:
            found = list(pool.map(archive.read, names))
        assert found == [(scans / name).read_bytes() for name in names]
        assert archive.read(names[0], 8) == found[0][:8]


def test_a_compressed_tar_is_read_through_once(scans, tmp_path, monkeypatch):
    path = packed(scans, ".tar.gz")
    first = ImageFolder(scans.parent, images="all.tar.gz", memo=tmp_path / "memo")
    listed = []
    monkeypatch.setattr(archives.Tar, "_list", lambda self: listed.append(self) or [])
    assert same(first, ImageFolder(scans.parent, images="all.tar.gz", memo=tmp_path / "memo")) and not listed
    os.utime(path, ns=(1, 1))
    with pytest.raises(BadInput, match="holds no file"):
        ImageFolder(scans.parent, images="all.tar.gz", memo=tmp_path / "memo")
    assert listed


def test_a_damaged_index_is_made_again(scans, tmp_path, caplog):
    packed(scans, ".tar.gz")
    options = {"images": "all.tar.gz", "memo": tmp_path / "memo"}
    first = ImageFolder(scans.parent, **options)
    for end, damage in ((".json", b"{"), (".gzidx", b"nothing")):
        next((tmp_path / "memo" / "archive_index").glob(f"*{end}")).write_bytes(damage)
        assert same(first, ImageFolder(scans.parent, **options)) and "damaged index" in caplog.text
        caplog.clear()


# --- injected faults --------------------------------------------------------------------------------------------------


@pytest.mark.fault
@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("kept", [0, .3, .6, None])
def test_a_truncated_archive_is_refused(scans, end, kept):
    path = packed(scans, end)
    data = path.read_bytes()
    if kept is None:  # all but the last bytes that matter: a tar ends in zeros
        data = data.rstrip(b"\0")[:-1]
    path.write_bytes(data[:int(kept * len(data))] if kept is not None else data)
    with pytest.raises(BadInput, match="damaged.*only downloaded in part: fetch it again"):
        ImageFolder(scans.parent, images=path.name)


@pytest.mark.fault
def test_a_tar_cut_between_two_files_is_refused(scans):
    path = packed(scans, ".tar")
    with tarfile.open(path) as archive:
        cut = archive.getmembers()[3].offset
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(BadInput, match="ends before its end mark"):
        ImageFolder(scans.parent, images="all.tar")


@pytest.mark.fault
@pytest.mark.parametrize("end", ENDS)
def test_a_truncated_image_in_an_archive_is_named_or_skipped(scans, end):
    broken = scans / "left" / "2.png"
    broken.write_bytes(broken.read_bytes()[:-30])
    packed(scans, end)
    with pytest.raises(BadInput, match="1 of 6 images cannot be read: 2.png.*on_bad_image=skip"):
        ImageFolder(scans.parent, images=f"all{end}")
    assert len(ImageFolder(scans.parent, images=f"all{end}", on_bad_image="skip")) == 5


@pytest.mark.fault
def test_bytes_that_changed_inside_a_zip_are_seen(scans):
    path = packed(scans, ".zip")
    with zipfile.ZipFile(path) as archive:
        at = archive.getinfo("right/1.png").header_offset + 200
    data = bytearray(path.read_bytes())
    data[at] ^= 255
    path.write_bytes(data)
    with pytest.raises(BadInput, match="1.png .it cannot be taken out of all.zip"):
        ImageFolder(scans.parent, images="all.zip")


@pytest.mark.fault
def test_a_zip_with_a_password_is_refused(scans):
    path = packed(scans, ".zip")
    data = bytearray(path.read_bytes())
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):  # the flag 'encrypted' of each member
        at = -1
        while (at := data.find(mark, at + 1)) >= 0:
            data[at + offset] |= 1
    path.write_bytes(data)
    with pytest.raises(BadInput, match="6 of 6 images.*password|6 of 6 images.*encrypted"):
        ImageFolder(scans.parent, images="all.zip")


@pytest.mark.fault
@pytest.mark.parametrize("end", ENDS)
def test_an_archive_without_images_says_what_it_holds(tmp_path, end):
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "a.txt").write_text("no image")
    packed(tmp_path / "texts", end)
    with pytest.raises(BadInput, match=r"all\S* holds no image.*It holds files of .txt; convert them"):
        ImageFolder(tmp_path, images=f"all{end}")


@pytest.mark.fault
def test_what_is_no_archive_or_not_there_is_told(scans):
    (scans.parent / "all.rar").write_bytes(b"Rar!")
    with pytest.raises(BadInput, match=r"all.rar: expected a folder or an archive \(.zip, .tar, .tar.gz, .tgz\)"):
        ImageFolder(scans.parent, images="all.rar")
    (scans.parent / "page.zip").write_text("<html>please log in</html>")
    with pytest.raises(BadInput, match="page.zip cannot be read as an archive.*fetch it again"):
        ImageFolder(scans.parent, images="page.zip")
    for images in ("all.zip", "images_*.tar.gz"):
        with pytest.raises(MissingAsset, match="probing_set.images=.*nothing of that name"):
            ImageFolder(scans.parent, images=images)


@pytest.mark.fault
def test_an_image_that_goes_away_while_in_use_is_named(scans):
    images = ImageFolder(scans)
    (scans / "right" / "5.png").unlink()
    with pytest.raises(BadInput, match="5.png cannot be read.*start again"):
        images.load([5])


# --- the real copy ----------------------------------------------------------------------------------------------------

DATA = Path(os.environ.get("MAMMI_DATA") or Path(__file__).resolve().parents[3] / "shared" / "data")


@pytest.mark.skipif(not (DATA / "nih14").is_dir(), reason=f"no NIH images: neither MAMMI_DATA nor {DATA} has a folder "
                                                          "nih14")
def test_real_images_packed_as_nih_publishes_them(tmp_path):
    files = sorted((DATA / "nih14" / "images").iterdir())[:60]
    for part, own in (("images_001", files[:40]), ("images_002", files[40:])):
        with tarfile.open(tmp_path / f"{part}.tar.gz", "w:gz") as archive:
            for file in own:
                archive.add(file, f"images/{file.name}")
    packed = ImageFolder(tmp_path, images="images_*.tar.gz")
    plain = ImageFolder(DATA / "nih14", images="images")
    assert packed.ids == plain.ids[:60] and packed.keys == plain.keys[:60]
    for one, other in zip(packed.load(range(60)).images, plain.load(range(60)).images):
        assert one.mode == other.mode and one.tobytes() == other.tobytes()
