{cursor} AT TIME ZONE $2
