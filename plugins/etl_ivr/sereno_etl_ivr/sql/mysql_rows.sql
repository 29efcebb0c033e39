-- {cells}: each as bytes.
SELECT {position}, {cells} FROM {table} WHERE {where}
