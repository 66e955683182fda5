"""A fuzzer: seeded mutations of everything that is read, through every command that reads it; run by ``make fuzz``.

`mutation` changes bytes, text and plain values; `cases` makes a case of a kind and a number, and says which commands
read it; `trying` carries one out within its limits, `__main__` thousands of them. What ever failed is in `test_seeds`.
"""
