"""What reports on the phantom are made of.

Placeholders: {There} "There is a" or "There are"; {side}, {Side} right, left, bilateral; {on_side} "on the right" or
"on both sides"; {lobe} "the right lower lobe" or "both lower lobes"; {in_lung} "in the left mid lung" or "in both upper
lungs"; {s} and {es} plural endings.
"""

# Class names that no training text contains, with the stem that is looked for. Their findings are described in other
# words, so whether a dissector gives them their names tells how far it carries beyond its training text.
WITHHELD = {"Cardiomegaly": "cardiomegal", "Emphysema": "emphysem"}

TEMPLATE = "A chest x-ray image of a"

FINDINGS = {
    "Atelectasis": (
        "{There} band{s} of atelectasis {in_lung}.", "Linear atelectasis at the {side} base.",
        "Subsegmental atelectasis {in_lung} with volume loss.",
        "Plate-like density {on_side}, in keeping with atelectasis.",
        "Discoid atelectasis above the {side} hemidiaphragm.", "Partial collapse of {lobe}, atelectasis."),
    "Cardiomegaly": (
        "The heart is enlarged.", "The cardiac silhouette is enlarged.", "Enlargement of the cardiac silhouette.",
        "Moderate cardiac enlargement.", "The heart is larger than half the width of the chest.", "Enlarged heart.",
        "The transverse diameter of the heart is increased.", "A wide heart, enlarged to the left."),
    "Effusion": (
        "{There} {side} pleural effusion{s}.", "{Side} pleural effusion{s} with a blunted costophrenic angle.",
        "Moderate {side} effusion{s}.", "Pleural fluid {on_side}.", "Layering pleural effusion {on_side}.",
        "Blunting of the costophrenic angle {on_side} from pleural fluid."),
    "Infiltration": (
        "Patchy infiltration {in_lung}.", "{There} hazy infiltrate{s} {in_lung}.", "Ill-defined infiltrates {in_lung}.",
        "Interstitial infiltration {in_lung}.", "{Side} lung infiltration.", "Faint patchy infiltrate{s} of {lobe}."),
    "Mass": (
        "{There} mass{es} {in_lung}.", "Large rounded mass{es} of {lobe}, tumor suspected.",
        "A well-defined lung mass {on_side}.", "Mass of {lobe}, possible neoplasm.", "Big lobulated mass {in_lung}."),
    "Nodule": (
        "{There} small nodule{s} {in_lung}.", "Pulmonary nodule{s} {on_side}.",
        "Small round nodular density {in_lung}.", "Nodule{s} of {lobe}, possibly granuloma.", "{Side} lung nodule{s}."),
    "Pneumonia": (
        "Pneumonia of {lobe}.", "Airspace opacity {in_lung} with air bronchograms, pneumonia.",
        "Opacity {in_lung} that suggests pneumonia.", "{Side} pneumonia, likely infectious.",
        "Lobar pneumonia {on_side}.", "Infection of {lobe}, pneumonia."),
    "Pneumothorax": (
        "{There} {side} pneumothorax.", "Apical pneumothorax {on_side} with a visible pleural line.",
        "Moderate pneumothorax {on_side}.", "Air in the pleural space {on_side}, pneumothorax.",
        "{Side} pneumothorax with a partly collapsed lung."),
    "Consolidation": (
        "Consolidation of {lobe}.", "Dense consolidation {in_lung}.", "Homogeneous lobar consolidation {on_side}.",
        "{Side} lung consolidation.", "Solid opacification of {lobe}, consolidation."),
    "Edema": (
        "Pulmonary edema.", "Perihilar haze on both sides from pulmonary edema.",
        "Interstitial edema with septal lines.", "Vascular congestion and edema.",
        "Batwing opacities of alveolar edema.",
        "Edema of both lungs, heart failure."),
    "Emphysema": (
        "Hyperinflated lungs with flattened diaphragms.", "Hyperinflation of both lungs.",
        "The lungs are hyperexpanded.", "Hyperexpansion with flattening of the hemidiaphragms.",
        "Overinflated, hyperlucent lungs.", "Hyperlucency and hyperinflation, obstructive lung disease.",
        "Air trapping with flat diaphragms, as in chronic obstructive pulmonary disease."),
    "Fibrosis": (
        "Fibrosis of both lungs.", "Reticular markings {in_lung} from fibrosis.", "Interstitial fibrosis {in_lung}.",
        "Pulmonary fibrosis.", "Fibrosis with honeycombing and scarring.", "Coarse scarring {in_lung}, fibrosis."),
    "Pleural thickening": (
        "{Side} pleural thickening.", "Thickening of the pleura {on_side}.",
        "Pleural thickening {on_side} along the ribs.", "Thickened pleura {on_side} with scarring.",
        "Pleural cap {on_side}, thickening of the pleura."),
    "Hernia": (
        "There is a hiatal hernia.", "Large hiatal hernia behind the heart.",
        "Retrocardiac air-fluid level of a hernia.", "Hiatus hernia with part of the stomach in the chest.",
        "Retrocardiac lucency, a hiatal hernia."),
}

DEVICES = {
    "Pacemaker": ("A pacemaker is in place.", "Cardiac pacemaker with two leads.",
                  "Pacemaker generator over the chest wall.", "Pacemaker leads end in the heart."),
    "Sternotomy": ("Median sternotomy wires.", "Sternal wires after sternotomy.", "Intact midline sternotomy wires.",
                   "Prior sternotomy and bypass surgery."),
    "Catheter": ("A central venous catheter is in place.", "Central catheter with its tip in the superior vena cava.",
                 "Jugular venous catheter.", "PICC line, a peripheral catheter."),
    "Tube": ("An endotracheal tube is in place.", "Endotracheal tube with its tip above the carina.",
             "Tube in the trachea.", "Tracheal tube, the patient is intubated."),
}

NORMAL = ("No acute abnormality.", "Clear lungs and a normal heart.", "Normal chest.", "The lungs are clear.",
          "Heart and mediastinum are within normal limits.", "No acute disease.", "No abnormal finding.",
          "Healthy lungs, normal study.", "Unremarkable chest radiograph.")

# What may be denied, and the findings with which the denial would be false
LUNG = ("Atelectasis", "Infiltration", "Mass", "Nodule", "Pneumonia", "Consolidation", "Edema", "Emphysema", "Fibrosis")
DENIALS = (
    ("No pneumothorax.", ("Pneumothorax",)),
    ("No pleural effusion.", ("Effusion",)),
    ("No focal consolidation.", ("Consolidation", "Pneumonia", "Infiltration", "Mass", "Atelectasis")),
    ("The heart is of normal size.", ("Cardiomegaly",)),
    ("No sign of pneumonia.", ("Pneumonia", "Consolidation", "Infiltration")),
    ("No nodule or mass.", ("Nodule", "Mass")),
    ("No edema.", ("Edema",)),
    ("The lungs are clear.", LUNG),
    ("The pleura is unremarkable.", ("Effusion", "Pneumothorax", "Pleural thickening")),
    ("The bones are intact.", ()),
)

# Names and noun phrases for short prompts
PROMPTS = {
    "Atelectasis": ("atelectasis", "linear atelectasis", "basal atelectasis", "lung collapse"),
    "Cardiomegaly": ("enlarged heart", "cardiac enlargement", "enlarged cardiac silhouette",
                     "enlargement of the heart"),
    "Effusion": ("effusion", "pleural effusion", "pleural fluid"),
    "Infiltration": ("infiltration", "lung infiltrate", "patchy infiltration"),
    "Mass": ("mass", "lung mass", "large mass"),
    "Nodule": ("nodule", "pulmonary nodule", "small nodule"),
    "Pneumonia": ("pneumonia", "lobar pneumonia", "pneumonia with air bronchograms"),
    "Pneumothorax": ("pneumothorax", "apical pneumothorax"),
    "Consolidation": ("consolidation", "lobar consolidation"),
    "Edema": ("edema", "pulmonary edema"),
    "Emphysema": ("hyperinflation", "hyperinflated lung", "hyperexpansion of the lungs", "flattened diaphragm"),
    "Fibrosis": ("fibrosis", "lung fibrosis", "interstitial fibrosis"),
    "Pleural thickening": ("pleural thickening", "thickening of the pleura"),
    "Hernia": ("hernia", "hiatal hernia"),
    "Pacemaker": ("pacemaker", "cardiac pacemaker"),
    "Sternotomy": ("sternotomy", "sternotomy wire", "sternal wire"),
    "Catheter": ("catheter", "central venous catheter"),
    "Tube": ("tube", "endotracheal tube"),
    "Normal": ("normal chest", "clear lung", "normal heart", "healthy chest"),
}
