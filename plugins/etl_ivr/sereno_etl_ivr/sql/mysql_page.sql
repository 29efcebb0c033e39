-- A whole page as one value: see source/mysql_text.py.
SELECT COUNT(*), {nulls}, GROUP_CONCAT({line} SEPARATOR x'1e') FROM {table} WHERE {where}
