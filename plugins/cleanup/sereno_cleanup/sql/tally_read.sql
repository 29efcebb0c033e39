SELECT job, subject, outcome, items, freed_bytes FROM cleanup.tally ORDER BY job, subject, outcome LIMIT 4000
