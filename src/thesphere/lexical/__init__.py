"""Lexical evidence: inverted lists of words and character n-grams, and the score made from them."""
