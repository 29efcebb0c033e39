SELECT {content}, {position}, {cells}, {moment} FROM {table} WHERE {where}
