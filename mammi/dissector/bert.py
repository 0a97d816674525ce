"""Bio_ClinicalBERT, the text network of several dissectors: its sizes and its tokenizer."""
from transformers import BertTokenizer

from mammi.errors import BadInput

SIZES = {"vocab_size": 28996, "hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12,
         "intermediate_size": 3072}
VOCABULARY = "vocab.txt of Bio_ClinicalBERT (emilyalsentzer/Bio_ClinicalBERT on the Hugging Face hub)"


def tokenizer(path, size, what=VOCABULARY):
    """Lower-cased, as the authors' is, although the vocabulary is a cased one.

    Raises :class:`BadInput` unless the file has ``size`` tokens, the special ones among them.
    """
    try:
        words = set(path.read_text(encoding="utf-8").rstrip("\n").split("\n"))
    except UnicodeDecodeError as error:
        raise BadInput(f"dissector.vocabulary: {path} is not UTF-8 ({error}). It must be {what}") from error
    lacking = sorted({"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"} - words)
    if len(words) != size or lacking:
        raise BadInput(f"dissector.vocabulary: {path} has {len(words):,} tokens"
                       + (f" without {', '.join(lacking)}" if lacking else "")
                       + f", but the text network knows {size:,}. It must be {what}")
    return BertTokenizer(str(path), do_lower_case=True)
