-- A whole page as one value: COPY text, one line a row.
SELECT COUNT(*), {nulls}, GROUP_CONCAT({line} SEPARATOR '\n') FROM {table} WHERE {where}
