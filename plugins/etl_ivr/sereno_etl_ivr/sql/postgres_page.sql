SELECT {content}, {position}, {cells} FROM {table} WHERE {where}
