-- {table}, {column}: what refers. {other_table}, {other_column}: to what.
SELECT t.{column}::text AS {column}, count(*) AS rows FROM {table} t
 WHERE t.{column} IS NOT NULL
   AND NOT EXISTS (SELECT FROM {other_table} o WHERE o.{other_column} = t.{column})
 GROUP BY t.{column} ORDER BY count(*) DESC, t.{column}
