"""Every shipped data set: a tiny folder in the public layout, read through its yaml; the counts of the real copies."""
import csv
import json
import os
import tarfile
import zipfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mammi.errors import BadInput, MissingAsset
from mammi.types import Box
from run import behind, build
from tests.test_conf import config


def read(option, data, *overrides):
    """The probing set ``option`` with ``data`` as data folder."""
    cfg = config(f"probing_set={option}", f"paths.data={data}", f"paths.cache={data}/.cache", *overrides)
    return build(cfg, "probing_set")


def refused(option, data, *overrides):
    """The error that building it ends in."""
    with pytest.raises(Exception) as caught:  # noqa: PT011
        read(option, data, *overrides)
    assert isinstance(behind(caught.value), (BadInput, MissingAsset)), caught.value
    return str(behind(caught.value))


def picture(path, size=(64, 64), mode="L"):
    """An image whose pixels no other path has."""
    path.parent.mkdir(parents=True, exist_ok=True)
    grey = sum(path.name.encode()) * 7 + len(str(path.parent.name))
    pixels = (np.arange(size[0] * size[1]).reshape(size[::-1]) + grey) % 251
    Image.fromarray(pixels.astype(np.uint8)).convert(mode).save(path)


def mask(path, size, left, top, width, height):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.zeros(size[::-1], np.uint8)
    pixels[top:top + height, left:left + width] = 255
    Image.fromarray(pixels).save(path)


def dicom(path, size=(64, 64)):
    import pydicom
    from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage, generate_uid

    path.parent.mkdir(parents=True, exist_ok=True)
    file = pydicom.Dataset()
    file.file_meta = pydicom.dataset.FileMetaDataset()
    file.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    file.file_meta.MediaStorageSOPClassUID = file.SOPClassUID = SecondaryCaptureImageStorage
    file.file_meta.MediaStorageSOPInstanceUID = file.SOPInstanceUID = generate_uid()
    file.Columns, file.Rows = size
    file.SamplesPerPixel, file.PhotometricInterpretation = 1, "MONOCHROME2"
    file.BitsAllocated = file.BitsStored = 8
    file.HighBit, file.PixelRepresentation = 7, 0
    file.PixelData = ((np.arange(size[0] * size[1]) + sum(path.name.encode())) % 251).astype(np.uint8).tobytes()
    file.save_as(path, enforce_file_format=True)


def table(path, *lines):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n")


def truth(images):
    """{id: names of its labels}"""
    assert not np.isnan(images.labels).any()
    return {name: [label for label, value in zip(images.label_names, row) if value]
            for name, row in zip(images.ids, images.labels)}


def told(images, fact):
    return dict(zip(images.ids, images.facts[fact]))


def splits(images):
    return dict(zip(images.ids, images.splits))


def patients(images):
    return dict(zip(images.ids, images.patients))


# --- tiny copies in the public layout ---------------------------------------------------------------------------------


@pytest.fixture
def nih(tmp_path):
    table(tmp_path / "Data_Entry_2017_v2020.csv",
          "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,View Position,"
          "OriginalImage[Width,Height],OriginalImagePixelSpacing[x,y]",
          "00000001_000.png,Cardiomegaly|Pleural_Thickening,0,1,57,M,PA,2682,2749,0.143,0.143",
          "00000001_001.png,No Finding,1,1,58,M,AP,2682,2749,0.143,0.143",
          "00000002_000.png,Mass,0,2,80,F,PA,2500,2048,0.171,0.171")
    table(tmp_path / "BBox_List_2017.csv", "Image Index,Finding Label,Bbox [x,y,w,h],,,",
          "00000002_000.png,Infiltrate,256.0,512.0,128.0,64.0,,,")
    none = " ".join("0" * 14)
    table(tmp_path / "train_official.txt", f"00000001_000.png {none}", f"00000001_001.png {none}")
    table(tmp_path / "val_official.txt")
    table(tmp_path / "test_official.txt", f"00000002_000.png {none}")
    picture(tmp_path / "images_001" / "images" / "00000001_000.png")
    picture(tmp_path / "images_001" / "images" / "00000001_001.png")
    picture(tmp_path / "images_002" / "images" / "00000002_000.png")
    return tmp_path


def test_nih14_full(nih):
    images = read("nih14_full", nih, f"probing_set.root={nih}", "probing_set.split=[train,test]")
    assert truth(images) == {"00000001_000.png": ["Cardiomegaly", "Pleural thickening"], "00000001_001.png": [],
                             "00000002_000.png": ["Mass"]}
    assert images.dataset == "nih14" and images.patients == ("1", "1", "2")
    assert images.splits == ("train", "train", "test")
    assert images.facts == {"view": ("PA", "AP", "PA"), "sex": ("M", "M", "F"), "age": ("57", "58", "80")}
    assert images.load([2, 0]).boxes == ((Box("Infiltration", 16, 32, 8, 4),), ())
    assert read("nih14_full", nih, f"probing_set.root={nih}").ids == images.ids[:2]


def test_nih14_full_as_downloaded(nih):
    folders = read("nih14_full", nih, f"probing_set.root={nih}", "probing_set.split=null")
    for part in ("images_001", "images_002"):
        with tarfile.open(nih / f"{part}.tar.gz", "w:gz") as archive:
            archive.add(nih / part / "images", "images")
    packed = read("nih14_full", nih, f"probing_set.root={nih}", "probing_set.split=null",
                  "probing_set.images='images_*.tar.gz'")
    assert packed.keys == folders.keys and packed.ids == folders.ids and packed.patients == folders.patients


def test_covid_cxr(tmp_path):
    base = tmp_path / "covid_cxr"
    table(base / "labels.csv", "image,filename,lung_mask_v7,radiologist_masks,patientid,sex,age,finding,view,license,"
          "clinical_notes,other_notes",
          'images/a.png,a.jpeg,lung_masks_v7/a.png,1,46,F,55.0,"COVID-19, ARDS",PA,CC BY,Dyspnea. No fever.,',
          "images/b.png,b.png,,0,47,,,No Finding,AP Supine,unspecified,,")
    table(base / "masks.csv", "filename,class,mask,instances,pixels,fraction",
          "a.jpeg,left_lung,masks/left_lung/a.png,1,4,0.1", "a.jpeg,consolidation,masks/consolidation/a.png,1,4,0.1")
    picture(base / "images" / "a.png", (40, 30))
    picture(base / "images" / "b.png", (20, 30))
    mask(base / "masks" / "left_lung" / "a.png", (40, 30), 0, 0, 20, 30)
    mask(base / "masks" / "consolidation" / "a.png", (40, 30), 5, 5, 3, 2)
    mask(base / "lung_masks_v7" / "a.png", (40, 30), 0, 0, 10, 10)
    images = read("covid_cxr", tmp_path)
    assert truth(images) == {"a.png": ["ARDS", "COVID-19"], "b.png": []} and images.patients == ("46", "47")
    assert images.texts == (("Dyspnea.", "No fever."), ())
    assert images.facts == {"view": ("PA", "AP Supine"), "sex": ("F", ""), "age": ("55.0", ""),
                            "licence": ("CC BY", "unspecified")}
    assert images.mask_names == ("consolidation", "left lung")
    drawn = images.load([0, 1], masks=True).masks
    assert [m.shape for m in drawn] == [(2, 30, 40), (2, 30, 20)]
    assert drawn[0].sum((1, 2)).tolist() == [6, 600] and drawn[0][:, 5:7, 5:8].all() and not drawn[1].any()
    lungs = read("covid_cxr", tmp_path, "~probing_set.masks", "+probing_set.masks={_target_: mammi.probing_set.masks."
                 'MaskFiles, patterns: {lungs: "lung_masks_v7/{stem}.png"}}')
    assert lungs.mask_names == ("lungs",) and lungs.load([0], masks=True).masks[0].sum() == 100


STRUCTURE = ("#,Taxonomy,Class,Template Name,File Folder,Filename,Image,Tag,Mask,Resolution,Top,Left,Width,Height,"
             "Points,Text Annotation,Minimal Top,Minimal Left,Minimal Width,Minimal Height,Attributes")


def structures(base, masks=True):
    table(base / "structure.csv", STRUCTURE,
          '1,,"COVID-19 Airways","Airways",,"a.jpg",images/0f.jpg,tags/0f_e.png,masks/0f_e.png,40x30,3,16,5,4,,'
          '"undefined",3,16,5,4,',
          '2,"Class:Left Lung","COVID-19 Left Lung","Left Lung",,"a.jpg",images/0f.jpg,tags/0f_l.png,masks/0f_l.png,'
          '40x30,0,10,20,30,,"undefined",0,10,20,30,',
          '3,,"COVID-19 Monitoring Probes","Monitoring Probes",,"a.jpg",images/0f.jpg,,,40x30,0,0,40,30,,"undefined",'
          ",,,,", '4,,"COVID-19 Nosogastric Tube","Nosogastric Tube",,"b.png",images/1f.png,tags/1f_n.png,'
          'masks/1f_n.png,20x20,0,0,20,20,,"undefined",0,0,20,20,')
    picture(base / "images" / "a.jpg", (40, 30))
    picture(base / "images" / "b.png", (20, 20), "RGBA")
    if masks:
        for name, size in (("0f_e", (5, 4)), ("0f_l", (20, 30)), ("1f_n", (20, 20))):
            (base / "masks").mkdir(exist_ok=True)
            Image.new("RGBA", size, (200, 0, 0, 255)).save(base / "masks" / f"{name}.png")


def test_covid_cxr_full(tmp_path):
    structures(tmp_path / "covid_cxr_full")
    images = read("covid_cxr_full", tmp_path)
    assert truth(images) == {"a.jpg": ["left lung", "airways", "monitoring probes"], "b.png": ["nasogastric tube"]}
    assert images.mask_names == images.label_names and len(images.mask_names) == 14 and images.dataset == "covid_cxr"
    assert any("1 of 4 rows of structure.csv name no mask file (Monitoring Probes)".lower() in note.lower()
               for note in images.notes)
    first, second = images.load([0, 1], masks=True).masks
    at = images.mask_names.index
    expected = np.zeros((30, 40), bool)
    expected[3:7, 16:21] = True
    np.testing.assert_array_equal(first[at("airways")], expected)
    assert first[at("left lung")][:, 10:30].all() and first[at("left lung")].sum() == 600  # airways erase no lung
    assert not first[at("monitoring probes")].any() and second[at("nasogastric tube")].all()


def chestx(base, images=True):
    square = [[100, 200], [300, 200], [300, 600], [100, 600]]
    record = {"file_name": "36199.png", "syms": ["Effusion", "Diffuse Nodule"], "boxes": [[100, 200, 300, 600]] * 2,
              "polygons": [square, square[:3]]}
    base.mkdir(exist_ok=True)
    (base / "ChestX_Det_train.json").write_text(json.dumps([record]))
    none = {"file_name": "36302.png", "syms": [], "boxes": [], "polygons": []}
    (base / "ChestX_Det_test.json").write_text(json.dumps([none]))
    if images:
        picture(base / "train_data" / "36199.png", (1024, 1024))
        picture(base / "test_data" / "36302.png", (512, 512))


def test_chestx_det(tmp_path):
    chestx(tmp_path / "chestx_det")
    images = read("chestx_det", tmp_path)
    assert truth(images) == {"36199.png": ["Diffuse Nodule", "Effusion"], "36302.png": []}
    assert splits(images) == {"36199.png": "train", "36302.png": "test"}
    at = images.ids.index("36199.png")
    batch = images.load([at, 1 - at], masks=True)
    assert batch.boxes == ((Box("Effusion", 100, 200, 200, 400), Box("Diffuse Nodule", 100, 200, 200, 400)), ())
    assert batch.mask_names == ("Diffuse Nodule", "Effusion") and batch.masks[0][1].sum() == 201 * 401
    assert 0 < batch.masks[0][0].sum() < 201 * 401 and batch.masks[1].shape == (2, 512, 512)
    assert not batch.masks[1].any() and read("chestx_det", tmp_path, "probing_set.split=test").ids == ("36302.png",)


def test_mini_mias(tmp_path):
    base = tmp_path / "mini_mias"
    table(base / "labels.csv", "Name,Background Tissue,Abnormality,Type,x,y,r", "mdb001,G,CIRC,B,512,256,128.0",
          "mdb002,G,NORM,,,,", "mdb003,D,CALC,M,*NOTE,3*,", "mdb004,F,MISC,B,100,1000,50", "mdb004,F,MISC,M,512,512,64")
    for i in range(1, 5):
        picture(base / "images" / f"mdb00{i}.png", (384, 384))
    images = read("mini_mias", tmp_path)
    assert truth(images) == {"mdb001.png": ["circumscribed mass", "benign", "fatty-glandular tissue"],
                             "mdb002.png": ["fatty-glandular tissue"],
                             "mdb003.png": ["calcification", "malignant", "dense-glandular tissue"],
                             "mdb004.png": ["ill-defined mass", "benign", "malignant", "fatty tissue"]}
    assert len(set(images.patients)) == 2 and images.patients[0] == images.patients[1] != images.patients[2]
    assert images.patients[2] == images.patients[3] and images.splits[0] == images.splits[1]
    batch = images.load(range(4))
    assert batch.boxes[0] == (Box("circumscribed mass", 144, 240, 96, 96),) and batch.boxes[1:3] == ((), ())
    assert [box.label for box in batch.boxes[3]] == ["ill-defined mass"] * 2
    left, top, right = batch.boxes[3][0].x, batch.boxes[3][0].y, batch.boxes[3][0].x + batch.boxes[3][0].w
    assert (left, top, right) == pytest.approx((50 * .375, 0, 150 * .375))  # cut at the upper border
    assert "2 of 5 rows of labels.csv draw no box" in images.notes


def test_mini_mias_as_published(tmp_path):
    """The archive of PGM files, and the table that the yaml's command makes from Info.txt."""
    base = tmp_path / "mini_mias"
    table(base / "Info.txt", "This file lists the films in the MIAS database", "mdb001 G CIRC B 535 425 197",
          "mdb002 G CIRC B 522 280 69", "mdb003 D NORM ", "mdb216 D CALC M *NOTE 3*")
    text = Path(__file__).parents[2].joinpath("conf/probing_set/mini_mias.yaml").read_text().replace("\n# ", " ")
    command = text[text.index("(echo"):text.index("labels.csv;") + len("labels.csv")]
    assert os.system(f"cd {base} && {command}") == 0
    with tarfile.open(base / "all-mias.tar.gz", "w:gz") as archive:
        for name in ("mdb001", "mdb002", "mdb003", "mdb216"):
            picture(tmp_path / f"{name}.pgm", (1024, 1024))
            archive.add(tmp_path / f"{name}.pgm", f"{name}.pgm")
    images = read("mini_mias", tmp_path, "probing_set.images=all-mias.tar.gz")
    assert images.ids == ("mdb001.pgm", "mdb002.pgm", "mdb003.pgm", "mdb216.pgm")
    assert images.patients[0] == images.patients[1] and len(set(images.patients)) == 3
    assert images.load([0, 3]).boxes == ((Box("circumscribed mass", 338, 402, 394, 394),), ())
    assert truth(images)["mdb003.pgm"] == ["dense-glandular tissue"]


HAM = ("lesion_id,image_id,dx,dx_type,age,sex,localization", "HAM_0000118,ISIC_0027419,bkl,histo,80.0,male,scalp",
       "HAM_0000118,ISIC_0025030,bkl,histo,80.0,male,scalp", "HAM_0002730,ISIC_0026769,nv,follow_up,,unknown,ear")


@pytest.fixture
def ham(tmp_path):
    base = tmp_path / "ham10000"
    table(base / "HAM10000_metadata.csv", *HAM)
    for part, name in ((1, "ISIC_0025030"), (1, "ISIC_0026769"), (2, "ISIC_0027419")):
        picture(base / f"HAM10000_images_part_{part}" / f"{name}.jpg", (60, 45), "RGB")
        mask(base / "HAM10000_segmentations_lesion_tschandl" / f"{name}_segmentation.png", (60, 45), 10, 10, 20, 20)
    return tmp_path


def test_ham10000_full(ham):
    images = read("ham10000_full", ham)
    assert truth(images) == {"ISIC_0025030.jpg": ["benign keratosis"], "ISIC_0026769.jpg": ["melanocytic nevus"],
                             "ISIC_0027419.jpg": ["benign keratosis"]}
    assert patients(images) == {"ISIC_0025030.jpg": "HAM_0000118", "ISIC_0027419.jpg": "HAM_0000118",
                                "ISIC_0026769.jpg": "HAM_0002730"}
    assert told(images, "age")["ISIC_0026769.jpg"] == "" and told(images, "sex")["ISIC_0026769.jpg"] == ""
    assert told(images, "site")["ISIC_0026769.jpg"] == "ear"
    assert images.dataset == "ham10000" and len(images.label_names) == 7
    batch = images.load([0], masks=True)
    assert batch.mask_names == ("lesion",) and batch.masks[0].sum() == 400 and batch.images[0].mode == "RGB"
    for part in (1, 2):
        with zipfile.ZipFile(ham / "ham10000" / f"HAM10000_images_part_{part}.zip", "w") as archive:
            for file in (ham / "ham10000" / f"HAM10000_images_part_{part}").iterdir():
                archive.write(file, file.name)
    assert read("ham10000_full", ham, "probing_set.images='HAM10000_images_part_*.zip'").keys == images.keys


VINDR = ("study_id,series_id,image_id,laterality,view_position,height,width,breast_birads,breast_density,"
         "finding_categories,finding_birads,xmin,ymin,xmax,ymax,split",
         "s1,r1,i1,L,CC,80,40,BI-RADS 5,DENSITY C,['Architectural Distortion'],BI-RADS 5,4,16,12,32,training",
         "s1,r1,i1,L,CC,80,40,BI-RADS 5,DENSITY C,['Mass'],BI-RADS 4,-2,8,6,16,training",
         "s1,r1,i2,L,MLO,80,40,BI-RADS 5,DENSITY C,\"['Nipple Retraction', 'Mass']\",BI-RADS 4,4,16,12,32,training",
         "s2,r2,i3,R,CC,80,40,BI-RADS 1,DENSITY B,['No Finding'],,,,,,test")


@pytest.fixture
def vindr(tmp_path):
    base = tmp_path / "vindr_mammo"
    table(base / "finding_annotations.csv", *VINDR)
    for study, image in (("s1", "i1"), ("s1", "i2"), ("s2", "i3")):
        dicom(base / "images" / study / f"{image}.dicom", (40, 80))
    return tmp_path


def test_vindr_mammo(vindr):
    images = read("vindr_mammo", vindr, "probing_set.split=null")
    assert truth(images) == {"i1.dicom": ["Architectural Distortion", "Mass"],
                             "i2.dicom": ["Mass", "Nipple Retraction"], "i3.dicom": []}
    assert images.patients == ("s1", "s1", "s2") and images.splits == ("training", "training", "test")
    assert [images.facts[name] for name in ("view", "laterality", "birads", "density")] == [
        ("CC", "MLO", "CC"), ("L", "L", "R"), ("BI-RADS 5", "BI-RADS 5", "BI-RADS 1"),
        ("DENSITY C", "DENSITY C", "DENSITY B")]
    batch = images.load(range(3))
    assert batch.images[0].size == (40, 80)
    assert batch.boxes == ((Box("Architectural Distortion", 4, 16, 8, 16), Box("Mass", 0, 8, 6, 8)),
                           (Box("Nipple Retraction", 4, 16, 8, 16), Box("Mass", 4, 16, 8, 16)), ())
    assert read("vindr_mammo", vindr).ids == ("i3.dicom",)


def test_vindr_mammo_as_smaller_png(vindr):
    base = vindr / "vindr_mammo"
    for file in base.glob("images/*/*.dicom"):
        file.unlink()
        picture(file.with_suffix(".png"), (20, 40))
    images = read("vindr_mammo", vindr, "probing_set.split=training")
    assert images.ids == ("i1.png", "i2.png")
    assert images.load([0]).boxes[0][0] == Box("Architectural Distortion", 2, 8, 4, 8)


@pytest.mark.fault
def test_cropped_mammograms_are_refused_with_boxes_and_taken_without(vindr):
    for file in (vindr / "vindr_mammo").glob("images/*/*.dicom"):
        file.unlink()
        picture(file.with_suffix(".png"), (912, 1520))
    with pytest.raises(BadInput, match="40 x 80 pixels, this one has 912 x 1520: it was cropped.*boxes=null"):
        read("vindr_mammo", vindr, "probing_set.split=training").load([0])
    assert read("vindr_mammo", vindr, "probing_set.boxes=null").load([0]).boxes is None


def test_rsna_pneumonia(tmp_path):
    base = tmp_path / "rsna_pneumonia"
    table(base / "stage_2_train_labels.csv", "patientId,x,y,width,height,Target", "0004cfab-14fd,,,,,0",
          "00436515-870c,264.0,152.0,213.0,379.0,1", "00436515-870c,562.0,152.0,256.0,453.0,1")
    for name in ("0004cfab-14fd", "00436515-870c"):
        dicom(base / "stage_2_train_images" / f"{name}.dcm", (512, 512))
    images = read("rsna_pneumonia", tmp_path)
    assert truth(images) == {"0004cfab-14fd.dcm": [], "00436515-870c.dcm": ["lung opacity"]}
    assert images.patients == ("0004cfab-14fd", "00436515-870c") and images.label_names == ("lung opacity",)
    assert images.load([0, 1]).boxes == ((), (Box("lung opacity", 132, 76, 106.5, 189.5),
                                              Box("lung opacity", 281, 76, 128, 226.5)))
    assert "1 of 3 rows of stage_2_train_labels.csv draw no box" in images.notes


@pytest.mark.parametrize("yes, no", [("True", "False"), ("TRUE", "FALSE")])
def test_ddi(tmp_path, yes, no):
    table(tmp_path / "ddi" / "ddi_metadata.csv", ",DDI_ID,DDI_file,skin_tone,malignant,disease",
          f"0,1,000001.png,56,{yes},melanoma-in-situ", f"35,36,000036.png,34,{no},melanocytic-nevi")
    for name in ("000001.png", "000036.png"):
        picture(tmp_path / "ddi" / name, mode="RGB")
    images = read("ddi", tmp_path)
    assert truth(images) == {"000001.png": ["malignant", "melanoma-in-situ"],
                             "000036.png": ["benign", "melanocytic-nevi"]}
    assert images.facts == {"skin_tone": ("56", "34")} and images.patients == images.ids
    assert set(images.splits) <= {"train", "val", "test"}


def test_kermany(tmp_path):
    base = tmp_path / "kermany" / "chest_xray"
    names = ("train/NORMAL/IM-0115-0001.jpeg", "train/NORMAL/NORMAL2-IM-0246-0001-0002.jpeg",
             "train/NORMAL/NORMAL2-IM-0246-0001.jpeg", "train/PNEUMONIA/person1_bacteria_1.jpeg",
             "train/PNEUMONIA/person1_bacteria_2.jpeg", "val/PNEUMONIA/person1946_bacteria_4874.jpeg",
             "test/PNEUMONIA/person1_virus_6.jpeg", "test/NORMAL/IM-0001-0001.jpeg",
             "test/PNEUMONIA/person1_bacteria_9.jpeg", "test/PNEUMONIA/BACTERIA-1008087-0001.jpeg")
    for name in names:
        picture(base / name)
    images = read("kermany", tmp_path)
    assert images.label_names == ("pneumonia",) and len(images) == len(names)
    of = {name.split("/")[-1]: name.split("/") for name in names}
    for name, labels in truth(images).items():
        assert labels == (["pneumonia"] if of[name][1] == "PNEUMONIA" else [])
    assert splits(images) == {name: parts[0] for name, parts in of.items()}
    assert patients(images)["NORMAL2-IM-0246-0001-0002.jpeg"] == "NORMAL2-IM-0246"
    assert patients(images)["person1_virus_6.jpeg"] == "person1_virus"
    assert patients(images)["BACTERIA-1008087-0001.jpeg"] == "BACTERIA-1008087"
    assert any("1 of 7 patients are in two splits: person1_bacteria (test: 1, train: 2)" in n for n in images.notes)


def test_covid_ct(tmp_path):
    base = tmp_path / "covid_ct"
    names = {"CT_COVID": {"train": ["2020.02.10.20021584-p6-52%0.png", "2020.02.10.20021584-p7-1%12.png"],
                          "val": ["kjr-21-e25-p1-6.png"], "test": ["PIIS0140673620303603%8.png"]},
             "CT_NonCOVID": {"train": ["1428.png"], "val": ["25%0.jpg", "25%1.jpg"], "test": ["20.jpg"]}}
    for group, lists in names.items():
        for split, files in lists.items():
            kind = group.removeprefix("CT_")
            table(base / "Data-split" / kind / f"{split}CT_{kind}.txt", *files)
            for file in files:
                picture(base / "Images-processed" / group / file)
    images = read("covid_ct", tmp_path)
    assert truth(images) == {file: ["COVID-19"] * (group == "CT_COVID")
                             for group, lists in names.items() for files in lists.values() for file in files}
    assert splits(images) == {file: split for lists in names.values() for split, files in lists.items()
                              for file in files}
    assert patients(images) == {
        "2020.02.10.20021584-p6-52%0.png": "2020.02.10.20021584",
        "2020.02.10.20021584-p7-1%12.png": "2020.02.10.20021584",
        "kjr-21-e25-p1-6.png": "kjr-21-e25", "PIIS0140673620303603%8.png": "PIIS0140673620303603", "1428.png": "1428",
        "25%0.jpg": "25", "25%1.jpg": "25", "20.jpg": "20"}
    assert len(read("covid_ct", tmp_path, "probing_set.split=val")) == 3


def test_fitzpatrick17k(tmp_path):
    base = tmp_path / "fitzpatrick17k"
    table(base / "fitzpatrick17k.csv",
          "md5hash,fitzpatrick_scale,fitzpatrick_centaur,label,nine_partition_label,three_partition_label,qc,url,"
          "url_alphanum", "d2bac3c9,2,3,dermatofibroma,benign dermal,benign,,https://a/1.jpg,1jpg.jpg",
          "45f7fe0e,6,5,kaposi sarcoma,malignant dermal,malignant,,https://a/2.jpg,2jpg.jpg",
          "9bc21ae9,-1,-1,necrobiosis lipoidica,inflammatory,non-neoplastic,,https://a/3.jpg,3jpg.jpg")
    for name in ("d2bac3c9", "9bc21ae9"):
        picture(base / "images" / f"{name}.jpg", mode="RGB")
    images = read("fitzpatrick17k", tmp_path)
    assert truth(images) == {"d2bac3c9.jpg": ["benign", "benign dermal"],
                             "9bc21ae9.jpg": ["inflammatory", "non-neoplastic"]}
    assert told(images, "condition")["d2bac3c9.jpg"] == "dermatofibroma"
    assert told(images, "skin_type") == {"d2bac3c9.jpg": "2", "9bc21ae9.jpg": ""}
    assert any("1 rows have no image (45f7fe0e)" in note for note in images.notes)


# --- injected faults --------------------------------------------------------------------------------------------------

SETS = sorted(p.stem for p in Path(__file__).parents[2].joinpath("conf/probing_set").glob("*.yaml")
              if not p.stem.startswith(("phantom", "image_folder")))


@pytest.mark.fault
@pytest.mark.parametrize("option", SETS)
def test_an_empty_data_folder_is_told_with_what_to_set(option, tmp_path):
    assert "paths.data" in refused(option, tmp_path / "nowhere")


@pytest.mark.fault
def test_annotations_without_images_say_that_images_are_missing(tmp_path):
    chestx(tmp_path / "chestx_det", images=False)
    assert "there is no folder" in (message := refused("chestx_det", tmp_path)) and "train_data" in message


@pytest.mark.fault
def test_masks_that_were_not_downloaded_are_named(tmp_path, ham):
    structures(tmp_path / "covid_cxr_full", masks=False)
    assert "0f_e.png" in (message := refused("covid_cxr_full", tmp_path)) and "probing_set.masks=null" in message
    (ham / "ham10000" / "HAM10000_segmentations_lesion_tschandl").rename(ham / "elsewhere")
    assert "no mask is named HAM10000_segmentations_lesion_tschandl/{stem}" in refused("ham10000_full", ham)
    assert len(read("ham10000_full", ham, "probing_set.masks=null")) == 3


@pytest.mark.fault
def test_an_unknown_diagnosis_and_a_lacking_column_are_refused(ham):
    metadata = ham / "ham10000" / "HAM10000_metadata.csv"
    table(metadata, *HAM[:3], HAM[3].replace(",nv,", ",scc,"))
    assert "scc not in probing_set.label_names" in refused("ham10000_full", ham)
    table(metadata, HAM[0].replace("localization", "site"), *HAM[1:])
    assert "localization" in refused("ham10000_full", ham)


@pytest.mark.fault
def test_one_study_in_both_official_splits_is_refused(vindr):
    table(vindr / "vindr_mammo" / "finding_annotations.csv", *VINDR[:3], VINDR[3].replace("training", "test"), VINDR[4])
    assert "s1" in refused("vindr_mammo", vindr)


# --- the real copies --------------------------------------------------------------------------------------------------

DATA = Path(os.environ.get("MAMMI_DATA") or Path(__file__).resolve().parents[3] / "shared" / "data")


def real(folder):
    return pytest.mark.skipif(not (DATA / folder).is_dir(),
                              reason=f"no real images: neither MAMMI_DATA nor {DATA} has a folder {folder}")


@pytest.fixture
def copy(tmp_path):
    """Reads a set of the real data folder; its cache lies elsewhere."""
    return lambda option, *overrides: read(option, DATA, f"paths.cache={tmp_path}", *overrides)


def counts(images):
    return dict(zip(images.label_names, images.labels.sum(0).astype(int).tolist()))


def disjoint(images):
    of = {}
    for patient, split in zip(images.patients, images.splits):
        of.setdefault(patient, set()).add(split)
    return all(len(found) == 1 for found in of.values()) and set(images.splits) == {"train", "val", "test"}


def boxed(images):
    """[boxes of an image] of all images, read in blocks."""
    return [boxes for start in range(0, len(images), 64)
            for boxes in images.load(range(start, min(start + 64, len(images)))).boxes]


@real("nih14")
def test_nih14_copy(copy):
    images = copy("nih14")
    assert (len(images), len(set(images.patients)), images.dataset) == (1014, 691, "nih14")
    assert Counter(images.facts["view"]) == {"AP": 573, "PA": 441} and set(images.facts["sex"]) == {"F", "M"}
    assert Counter(images.splits) == {"train": 714, "val": 139, "test": 161} and disjoint(images)
    found = [boxes for boxes in boxed(images) if boxes]
    assert len(found) == 44 and sum(map(len, found)) == 49


COVID_MASKS = {"cardiomediastinum": 100, "airways": 99, "left lung": 99, "right lung": 99, "ground glass opacities": 93,
               "consolidation": 32, "tubings": 16, "endotracheal tube": 13, "monitoring probes": 12,
               "central venous line": 11, "nasogastric tube": 10, "pleural effusion": 2, "pneumothorax": 1}


@real("covid_cxr")
def test_covid_cxr_copy(copy):
    images = copy("covid_cxr")
    assert len(images) == 153 and len(set(images.patients)) == 107 and disjoint(images)
    assert counts(images) == {"ARDS": 11, "COVID-19": 118, "Klebsiella": 1, "Legionella": 2, "Pneumocystis": 11,
                              "SARS": 10, "Streptococcus": 6}
    assert Counter(images.facts["view"]) == {"PA": 117, "AP": 20, "AP Supine": 16}
    assert sum(map(bool, images.texts)) == 151
    with open(DATA / "covid_cxr" / "masks.csv") as file:
        pixels = {(row["filename"].rsplit(".", 1)[0], row["class"].replace("_", " ")): int(row["pixels"])
                  for row in csv.DictReader(file)}
    drawn = {}
    for start in range(0, 153, 32):
        batch = images.load(range(start, min(start + 32, 153)), masks=True)
        for name, picture, masks in zip(batch.ids, batch.images, batch.masks):
            assert masks.shape == (13, *picture.size[::-1])
            drawn |= {(name.rsplit(".", 1)[0], label): int(own.sum())
                      for label, own in zip(batch.mask_names, masks) if own.any()}
    assert drawn == pixels and len(drawn) == 587
    assert Counter(label for _, label in drawn) == COVID_MASKS


@real("mini_mias")
def test_mini_mias_copy(copy):
    images = copy("mini_mias")
    assert len(images) == 322 and len(set(images.patients)) == 161 and disjoint(images)
    assert set(Counter(images.patients).values()) == {2}
    found = counts(images)
    assert [found[f"{kind} tissue"] for kind in ("fatty", "fatty-glandular", "dense-glandular")] == [106, 104, 112]
    kinds = images.label_names[:6]
    assert [found[kind] for kind in kinds] == [25, 23, 19, 14, 19, 15]  # CALC CIRC SPIC MISC ARCH ASYM
    assert (images.labels[:, :6].sum(1) == 0).sum() == 207
    boxes = boxed(images)
    assert sum(map(len, boxes)) == 119 and "211 of 330 rows of labels.csv draw no box" in images.notes
    assert boxes[0][0] == pytest.approx(("circumscribed mass", 126.75, 150.75, 147.75, 147.75))


@real("ham10000_subset")
def test_ham10000_copy(copy):
    images = copy("ham10000")
    assert len(images) == 890 == len(set(images.patients)) and disjoint(images)
    assert counts(images) == {"actinic keratosis": 150, "basal cell carcinoma": 150, "benign keratosis": 150,
                              "dermatofibroma": 60, "melanoma": 150, "melanocytic nevus": 150, "vascular lesion": 80}
    assert min(Counter(images.splits).values()) > 90  # .15 of 890 are 133


@real("chestx_det")
def test_chestx_det_annotations(tmp_path, copy):
    """The published annotations with small blank images in place of the real ones."""
    base = DATA / "chestx_det"
    (tmp_path / "chestx_det").mkdir()
    blank = tmp_path / "blank.png"
    Image.new("1", (128, 128)).save(blank)
    for split in ("train", "test"):
        name = f"ChestX_Det_{split}.json"
        (tmp_path / "chestx_det" / name).symlink_to(base / name)
        folder = tmp_path / "chestx_det" / f"{split}_data"
        folder.mkdir()
        for record in json.loads((base / name).read_text()):
            os.link(blank, folder / record["file_name"])
    images = read("chestx_det", tmp_path)
    assert Counter(images.splits) == {"train": 3025, "test": 553} and len(images.label_names) == 13
    assert Counter(zip(images.splits, (images.labels.sum(1) == 0).tolist())) == {
        ("train", False): 2478, ("train", True): 547, ("test", False): 489, ("test", True): 64}
    every = {split: [i for i, own in enumerate(images.splits) if own == split] for split in ("train", "test")}
    found = {split: sum(len(images._drawn[i]) for i in own) for split, own in every.items()}
    assert found == {"train": 7905, "test": 1734}
    batch = images.load(every["test"][::10], masks=True)
    for row, boxes, masks in zip(batch.labels, batch.boxes, batch.masks):
        np.testing.assert_array_equal(masks.any((1, 2)), row > 0)
        assert {box.label for box in boxes} == {n for n, value in zip(batch.label_names, row) if value}
    assert "train_data" in refused("chestx_det", DATA, f"paths.cache={tmp_path}")
