"""English nouns to their singular, by rule: the lemma-aware match of the evaluation.

Written for radiology, where the general lemmatisers that run offline miss the plurals that matter. Of the 119 words of
``tests/test_lemma.py`` spaCy's rules got 34 wrong ("atelectasis" -> "atelectasi"), WordNet's morphy 18
("pneumothoraces" stays), simplemma 2.0 14 ("masses" -> "masse"), lemminflect 0.2 14 ("fibrosis" -> "fibrosi").
Only number is folded: "infiltrate" and "infiltration" stay two words; that they name one finding is for
``mammi/synonyms.yaml`` to say.
"""
import re
from functools import lru_cache

# Singulars (or words that are no plural) that end like a plural.
SINGULAR = frozenset("""
    aids always ards atlas azygos bias biceps canvas caries chaos christmas corps cosmos diabetes facies feces forceps
    gas herpes lens mers news pancreas pathos perhaps psoas rabies sars scabies series species texas triceps ascites
    does towards afterwards besides whereas mumps rickets measles hives ethos asbestos tetralogies yes trans
    """.split())

# Plurals that no rule below covers.
IRREGULAR = dict(pair.split(":") for pair in """
    men:man women:woman children:child feet:foot teeth:tooth mice:mouse lice:louse people:person peoples:person oxen:ox
    geese:goose leaves:leaf lives:life knives:knife halves:half calves:calf shelves:shelf wolves:wolf loaves:loaf
    scarves:scarf wives:wife thieves:thief selves:self hooves:hoof elves:elf dwarves:dwarf
    apices:apex cortices:cortex vertices:vertex cicatrices:cicatrix matrices:matrix indices:index appendices:appendix
    cervices:cervix helices:helix calices:calix calyces:calyx varices:varix fornices:fornix
    bronchi:bronchus thrombi:thrombus emboli:embolus alveoli:alveolus foci:focus loci:locus radii:radius
    humeri:humerus calculi:calculus hili:hilus sulci:sulcus menisci:meniscus nuclei:nucleus fungi:fungus
    bacilli:bacillus cocci:coccus rami:ramus villi:villus tali:talus malleoli:malleolus condyli:condylus tori:torus
    gyri:gyrus uteri:uterus stimuli:stimulus cacti:cactus alumni:alumnus bronchioli:bronchiolus nevi:nevus tophi:tophus
    hila:hilum septa:septum diverticula:diverticulum bacteria:bacterium atria:atrium ostia:ostium sterna:sternum
    manubria:manubrium acetabula:acetabulum ilia:ilium labra:labrum sera:serum strata:stratum interstitia:interstitium
    ganglia:ganglion phenomena:phenomenon criteria:criterion olecrana:olecranon osteophyta:osteophyte
    mediastina:mediastinum infundibula:infundibulum
    femora:femur viscera:viscus foramina:foramen lumina:lumen abdomina:abdomen corpora:corpus genera:genus
    pharynges:pharynx larynges:larynx phalanges:phalanx meninges:meninx
    axes:axis bases:base crises:crisis theses:thesis gases:gas biases:bias lenses:lens atlases:atlas pancreases:pancreas
    canvases:canvas gasses:gas testes:testis buses:bus pluses:plus uses:use plateaus:plateau
    headaches:headache aches:ache caches:cache toothaches:toothache backaches:backache psyches:psyche
    shoes:shoe toes:toe tiptoes:tiptoe canoes:canoe horseshoes:horseshoe floes:floe hoes:hoe oboes:oboe
    movies:movie cookies:cookie calories:calorie zombies:zombie prairies:prairie eyries:eyrie
    """.split())

# (ending, its replacement, shortest word it holds for), first match wins. An empty replacement cuts the ending off.
RULES = (
    ("thoraces", "thorax", 8),          # pneumothoraces
    ("itides", "itis", 8),              # pneumonitides
    ("mata", "ma", 7),                  # granulomata, stigmata
    ("ectases", "ectasis", 9),          # atelectases, bronchiectases
    ("stases", "stasis", 8),            # metastases
    ("theses", "thesis", 9),            # prostheses, hypotheses
    ("physes", "physis", 8),            # epiphyses
    ("lyses", "lysis", 7),              # analyses
    ("gnoses", "gnosis", 8),            # diagnoses
    ("ptoses", "ptosis", 7),
    ("brioses", "briosis", 9),
    ("broses", "brosis", 8),            # fibroses
    ("noses", "nosis", 8),              # stenoses
    ("lioses", "liosis", 9),            # scolioses
    ("phoses", "phosis", 8),            # kyphoses
    ("doses", "dosis", 8),              # lordoses
    ("croses", "crosis", 8),            # necroses
    ("rrhoses", "rrhosis", 9),          # cirrhoses
    ("mboses", "mbosis", 8),            # thromboses
    ("leroses", "lerosis", 9),          # scleroses
    ("culoses", "culosis", 9),          # tuberculoses
    ("iases", "iasis", 8),              # psoriases
    ("ae", "a", 5),                     # vertebrae
    ("ies", "y", 5),                    # opacities
    ("sses", "ss", 5), ("shes", "sh", 5), ("tches", "tch", 5), ("ches", "ch", 5), ("xes", "x", 5), ("zzes", "zz", 6),
    ("auses", "ause", 6), ("ouses", "ouse", 6), ("fuses", "fuse", 5), ("cuses", "cuse", 6),
    ("uses", "us", 6),                  # sinuses
    ("oes", "o", 6),                    # echoes
    ("ss", "ss", 2), ("us", "us", 2), ("is", "is", 2),
    ("'s", "", 3),
    ("s", "", 4),
)


def lemmas(text):
    """``text`` in lower case, every word in the singular, words joined by one blank.

    Blanks, hyphens and underscores part words, other signs at their ends fall away: "Pleural_Thickening" and
    "pleural thickenings." are both "pleural thickening". Idempotent; "" for a text without a letter or digit.
    """
    return " ".join(_lemma(word) for word in re.findall(r"[^\W_]+(?:['’][^\W_]+)*", text.lower()))


@lru_cache(maxsize=100_000)
def _lemma(word):
    word = word.replace("’", "'")
    if word in SINGULAR:
        return word
    if word in IRREGULAR:
        return IRREGULAR[word]
    for ending, singular, shortest in RULES:
        if word.endswith(ending) and len(word) >= shortest:
            return word.removesuffix(ending) + singular
    return word
