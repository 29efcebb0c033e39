-- {cells}: each as bytes.
SELECT {content}, {position}, {cells} FROM {table} WHERE {where}
