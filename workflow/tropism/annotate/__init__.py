"""Find metaphors: texts in, spans with exact character offsets out; and how good the spans are against gold labels."""
