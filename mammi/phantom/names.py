"""Names of what the phantom can show."""

# NIH ChestX-ray14, in the order of its classifiers' logits
FINDINGS = ("Atelectasis", "Cardiomegaly", "Effusion", "Infiltration", "Mass", "Nodule", "Pneumonia", "Pneumothorax",
            "Consolidation", "Edema", "Emphysema", "Fibrosis", "Pleural thickening", "Hernia")

# shown in some images whatever their labels: distractors, never a label
DEVICES = ("Pacemaker", "Sternotomy", "Catheter", "Tube")
