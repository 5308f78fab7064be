"""One spelling for equal texts: Unicode NFC and tidy whitespace; line breaks, indents and wording stay."""

import re
import unicodedata

# Every line end that Unicode knows becomes \n and the no-break space a space; marks that show nothing go.
LINE_END = re.compile("\r\n|[\r\v\f\x85\u2028\u2029]")
BLANK_LINES = re.compile(r"\n{3,}")


def clean_text(text: str) -> str:
    """``text`` in NFC; lines ended by ``\\n``, no trailing blanks, at most one blank line in a row, none around.

    Cleaning a clean text changes nothing.
    """
    text = LINE_END.sub("\n", text).replace("\u00a0", " ").replace("\ufeff", "")
    text = unicodedata.normalize("NFC", text)
    lines = "\n".join(line.rstrip() for line in text.split("\n"))
    return BLANK_LINES.sub("\n\n", lines).strip("\n")
