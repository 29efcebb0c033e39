-- How far the rows of ivr.calls were gone through, by their key.
SELECT source, position, content, ordinal FROM ivr.widening
